//! Tracks, and what comparing builds needs.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};

use devmason_domain::insight::{Case, FailureKey, StepRun};
use devmason_domain::{
    Build, BuildId, ClientRecord, JsonObject, Origin, ProjectId, TagSet, TestFailure, Track,
    TrackParts, VariantPart, full_test_name,
};
use devmason_strips::unpack;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use super::cases::{builds_of, failures, names, numbers, position};
use super::rows::{of_track, summary, tags};
use super::{Conn, Db, Sql, Store, counts, next, projects, tuned};
use crate::store::clock;
use crate::store::columns::{At, Id, instant, plain};
use crate::store::fault::{Fault, Outcome};
use crate::store::schema::{build, build_tag, project, step, strip, track};
use crate::{Among, OfBranch, Result, Tracked, Tracks};

/// Number of builds that get their tracks in one transaction.
const PIECE: i64 = 200;

/// Maximum number of steps of a build that are compared.
const STEPS: i32 = 1_000;

/// Makes sure that a track is known.
pub(in super::super) fn remember(conn: &mut Conn, project: i64, of: &Track) -> Outcome<()> {
    Sql::<()>::new(
        "insert into track (project_id, key, variant, branch, credited) values (?, ?, ?, ?, ?) on conflict do nothing",
    )
    .bind::<BigInt, _>(project)
    .bind::<BigInt, _>(of.key().0)
    .bind::<Text, _>(plain(&of.variant))
    .bind::<Text, _>(of.branch.as_str())
    .bind::<Bool, _>(of.is_credited)
    .execute(conn)?;
    Ok(())
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = build)]
struct Row {
    id: Id,
    key: Option<String>,
    started: At,
    started_offset: i16,
    success: Option<bool>,
    revision: Option<String>,
    host: Option<String>,
    failed_steps: i32,
    tests: String,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = track)]
struct TrackRow {
    variant: String,
    branch: String,
    credited: bool,
}

impl From<TrackRow> for Track {
    fn from(row: TrackRow) -> Self {
        Self { variant: row.variant, branch: row.branch, is_credited: row.credited }
    }
}

/// A build's row, its track's variant and branch, and whether it has a sender.
type Found = (Row, Option<String>, Option<String>, bool);

fn tracked((row, variant, branch, is_credited): Found) -> Outcome<Tracked> {
    let id = BuildId(row.id.0);
    let missing = || Fault::Corrupt("a build's track is missing".into());
    Ok(Tracked {
        id,
        key: row.key.map_or_else(|| Ok(id.into()), |key| key.parse())?,
        track: Track {
            variant: variant.ok_or_else(missing)?,
            branch: branch.ok_or_else(missing)?,
            is_credited,
        },
        started: instant(row.started, row.started_offset)?,
        success: row.success.unwrap_or(false),
        revision: row.revision,
        host: row.host,
        failed_steps: row.failed_steps.unsigned_abs(),
        tests: summary(&row.tests)?,
    })
}

fn list(
    conn: &mut Conn,
    project: ProjectId,
    among: &Among,
    before: Option<BuildId>,
    limit: u64,
) -> Outcome<Vec<Tracked>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut query = build::table
        .filter(build::project_id.eq(project.0))
        .filter(build::finished.is_not_null())
        .filter(build::track.is_not_null())
        .into_boxed::<Db>();
    if let Some(before) = before {
        query = query.filter(build::id.lt(Id(before.0)));
    }
    query = match among {
        Among::All => query,
        Among::Track(key) => query.filter(build::track.eq(key.0)),
        Among::Revision { revision, variant, is_credited } => {
            let fits = track::table.filter(
                track::project_id
                    .eq(build::project_id)
                    .and(track::key.nullable().eq(build::track))
                    .and(track::variant.eq(variant))
                    .and(track::credited.eq(is_credited)),
            );
            query.filter(build::revision.eq(revision)).filter(diesel::dsl::exists(fits))
        }
        Among::Tagged(tag) => {
            // Newer ones than these may still run, so a few more are looked at.
            let mut ids = build_tag::table
                .filter(build_tag::project_id.eq(project.0).and(build_tag::tag.eq(tag.as_str())))
                .into_boxed::<Db>();
            if let Some(before) = before {
                ids = ids.filter(build_tag::build_id.lt(Id(before.0)));
            }
            let ids: Vec<Id> = ids
                .order(build_tag::build_id.desc())
                .limit(limit.saturating_mul(2))
                .select(build_tag::build_id)
                .load(conn)?;
            query.filter(build::id.eq_any(ids))
        }
    };
    query
        .order(build::id.desc())
        .limit(limit)
        .select((
            Row::as_select(),
            of_track("variant"),
            of_track("branch"),
            build::sender_id.is_not_null(),
        ))
        .load::<Found>(conn)?
        .into_iter()
        .map(tracked)
        .collect()
}

/// Number of a project's newest builds that are searched for those of a branch: few at first.
const WALKS: [i64; 2] = [200, ACTIVE];

/// Maximum number of tracks whose newest builds are read one by one.
const TRACKS: i64 = 100;

fn newest(
    conn: &mut Conn,
    project: ProjectId,
    of: &OfBranch<'_>,
    limit: u64,
) -> Outcome<Vec<Build>> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut tracks = track::table
        .filter(track::project_id.eq(project.0).and(track::branch.eq(plain(of.branch))))
        .select(track::key)
        .into_boxed::<Db>();
    if let Some(variant) = of.variant {
        tracks = tracks.filter(track::variant.eq(plain(variant)));
    }
    if let Some(is_credited) = of.is_credited {
        tracks = tracks.filter(track::credited.eq(is_credited));
    }
    let mut ids: Vec<Id> = Vec::new();
    for most in WALKS {
        let walked: Vec<(Id, Option<i64>)> = build::table
            .filter(build::project_id.eq(project.0))
            .order(build::id.desc())
            .limit(most)
            .select((build::id, build::track))
            .load(conn)?;
        let of_these: Vec<i64> = walked.iter().filter_map(|(_, track)| *track).collect();
        let of_branch: HashSet<i64> = among(conn, project, of, of_these)?;
        let fits = |track: &Option<i64>| track.is_some_and(|key| of_branch.contains(&key));
        let is_whole = i64::try_from(walked.len()).is_ok_and(|walked| walked < most);
        ids = walked.into_iter().filter(|(_, track)| fits(track)).map(|(id, _)| id).collect();
        if ids.len() >= limit || is_whole {
            ids.truncate(limit);
            return in_order(conn, project, ids);
        }
    }
    // The branch has hardly any of the newest builds: those of its tracks are found one by one.
    for key in tracks.limit(TRACKS).load::<i64>(conn)? {
        clock::check()?;
        let of_track: Vec<Id> = build::table
            .filter(build::project_id.eq(project.0).and(build::track.eq(key)))
            .order(build::id.desc())
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .select(build::id)
            .load(conn)?;
        ids.extend(of_track);
    }
    ids.sort_unstable_by_key(|id| Reverse(id.0));
    ids.dedup();
    ids.truncate(limit);
    in_order(conn, project, ids)
}

/// Those of some tracks that belong to a branch.
fn among(
    conn: &mut Conn,
    project: ProjectId,
    of: &OfBranch<'_>,
    mut keys: Vec<i64>,
) -> Outcome<HashSet<i64>> {
    keys.sort_unstable();
    keys.dedup();
    let rows: Vec<(i64, TrackRow)> = track::table
        .filter(track::project_id.eq(project.0).and(track::key.eq_any(keys)))
        .select((track::key, TrackRow::as_select()))
        .load(conn)?;
    let fits = |row: &TrackRow| {
        row.branch == of.branch
            && of.variant.is_none_or(|variant| row.variant == variant)
            && of.is_credited.is_none_or(|is_credited| row.credited == is_credited)
    };
    Ok(rows.into_iter().filter(|(_, row)| fits(row)).map(|(key, _)| key).collect())
}

/// The builds with these ids that still exist, in this order.
fn in_order(conn: &mut Conn, project: ProjectId, ids: Vec<Id>) -> Outcome<Vec<Build>> {
    let mut found = builds_of(conn, project, ids.iter().copied())?;
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

fn with_finished(
    conn: &mut Conn,
    project: ProjectId,
    branches: &[&str],
    is_credited: bool,
) -> Outcome<Option<String>> {
    for branch in branches {
        let finished = build::table.filter(
            build::project_id
                .eq(project.0)
                .and(build::track.eq(track::key.nullable()))
                .and(build::finished.is_not_null()),
        );
        let any: Option<i64> = track::table
            .filter(track::project_id.eq(project.0).and(track::branch.eq(*branch)))
            .filter(track::credited.eq(is_credited))
            .filter(diesel::dsl::exists(finished))
            .select(track::key)
            .first(conn)
            .optional()?;
        if any.is_some() {
            return Ok(Some((*branch).to_owned()));
        }
    }
    Ok(None)
}

/// Number of a project's newest builds whose tracks are active.
const ACTIVE: i64 = 2_000;

fn active(conn: &mut Conn, project: ProjectId, limit: u64) -> Outcome<Vec<Track>> {
    let keys: Vec<Option<i64>> = build::table
        .filter(build::project_id.eq(project.0))
        .order(build::id.desc())
        .limit(ACTIVE)
        .select(build::track)
        .load(conn)?;
    let mut known = HashSet::new();
    let mut keys: Vec<i64> = keys.into_iter().flatten().filter(|key| known.insert(*key)).collect();
    keys.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let rows: Vec<(i64, TrackRow)> = track::table
        .filter(track::project_id.eq(project.0).and(track::key.eq_any(&keys)))
        .select((track::key, TrackRow::as_select()))
        .load(conn)?;
    let mut found: HashMap<i64, Track> =
        rows.into_iter().map(|(key, row)| (key, row.into())).collect();
    Ok(keys.iter().filter_map(|key| found.remove(key)).collect())
}

fn are_complete(conn: &mut Conn, project: ProjectId) -> Outcome<bool> {
    let without = build::table.filter(build::project_id.eq(project.0).and(build::track.is_null()));
    let any: bool = diesel::select(diesel::dsl::exists(without)).get_result(conn)?;
    Ok(!any)
}

/// A build without a track.
type Untracked = (i64, Id, Option<String>, Option<i64>, String, String);

fn more(conn: &mut Conn) -> Outcome<bool> {
    let rows: Vec<Untracked> = Sql::<(
        BigInt,
        crate::store::schema::sql::Uuid,
        Nullable<Text>,
        Nullable<BigInt>,
        Text,
        Text,
    )>::new(format!(
        "select project_id, id, key, sender_id, client, tags from build \
         where track is null and exists (select 1 from project p where p.id = build.project_id and p.slug_key is not null) \
         order by project_id desc, id desc limit {PIECE}{}",
        tuned::UNLESS_LOCKED
    ))
    .load(conn)?;
    let projects: BTreeSet<i64> = rows.iter().map(|row| row.0).collect();
    let rules: Vec<(i64, Option<String>)> = project::table
        .filter(project::id.eq_any(&projects))
        .select((project::id, project::variant_by))
        .load(conn)?;
    // A damaged row must not keep the others from being prepared.
    let rules = rules.into_iter();
    let rules: HashMap<i64, Vec<VariantPart>> = rules
        .map(|(id, stored)| {
            (id, projects::variant_by(stored).unwrap_or_else(|_| VariantPart::usual()))
        })
        .collect();
    let mut found = Vec::with_capacity(rows.len());
    for (project, id, key, sender, client, joined) in &rows {
        let client = ClientRecord(JsonObject::from_stored(client.clone()));
        let tags: TagSet = tags(joined).unwrap_or_else(|fault| {
            tracing::warn!(project, build = %id.0, ?fault, "the tags of a build are damaged");
            TagSet::default()
        });
        let key = key.clone().unwrap_or_else(|| id.0.to_string());
        let parts =
            TrackParts { client: &client, tags: &tags, key: &key, is_credited: sender.is_some() };
        let origin = Origin::from(&client);
        let of = Track::of(parts, &origin, rules.get(project).map_or(&[][..], Vec::as_slice));
        found.push((*project, *id, of, origin.revision));
    }
    // In one order, so that two writers with the same tracks cannot deadlock.
    found.sort_unstable_by_key(|(project, id, of, _)| (*project, of.key().0, id.0));
    for (project, _, of, _) in &found {
        remember(conn, *project, of)?;
    }
    found.sort_unstable_by_key(|(project, id, ..)| (*project, id.0));
    for (project, id, of, revision) in found {
        diesel::update(build::table.find((project, id)))
            .set((
                build::track.eq(of.key().0),
                build::revision.eq(revision),
                build::version.eq(next("build.version")),
            ))
            .execute(conn)?;
    }
    for project in projects {
        counts::bump(conn, project, std::iter::empty(), None, 0)?;
    }
    if !rows.is_empty() {
        counts::collection_changed(conn, counts::BUILDS, 0)?;
    }
    Ok(!rows.is_empty())
}

fn cases(conn: &mut Conn, project: ProjectId, builds: &[BuildId]) -> Outcome<Vec<Vec<Case>>> {
    let ids: Vec<Id> = builds.iter().map(|build| Id(build.0)).collect();
    let strips: Vec<(Id, i32, Vec<u8>)> = strip::table
        .filter(strip::project_id.eq(project.0).and(strip::build_id.eq_any(ids)))
        .order((strip::build_id, strip::nth))
        .select((strip::build_id, strip::first, strip::body))
        .load(conn)?;
    let mut found: HashMap<Id, Vec<Case>> = HashMap::new();
    for (of, first, body) in strips {
        clock::check()?;
        let body = unpack(&body)?;
        let cases = body.cases().enumerate().map(|(at, case)| Case {
            position: position(first, at),
            test: case.test,
            status: case.status,
            failure: case.failure,
        });
        found.entry(of).or_default().extend(cases);
    }
    Ok(builds.iter().map(|build| found.remove(&Id(build.0)).unwrap_or_default()).collect())
}

fn steps(conn: &mut Conn, project: ProjectId, builds: &[BuildId]) -> Outcome<Vec<Vec<StepRun>>> {
    let ids: Vec<Id> = builds.iter().map(|build| Id(build.0)).collect();
    let rows: Vec<(Id, i32, String, bool, Option<i32>, String)> = step::table
        .filter(step::project_id.eq(project.0).and(step::build_id.eq_any(ids)))
        .filter(step::position.lt(STEPS))
        .order((step::build_id, step::position))
        .select((
            step::build_id,
            step::position,
            step::name,
            step::success,
            step::bad_cases,
            step::extras,
        ))
        .load(conn)?;
    let mut found: HashMap<Id, Vec<StepRun>> = HashMap::new();
    for (of, position, name, success, bad_cases, extras) in rows {
        let is_report = JsonObject::from_stored(extras).member_string("report").is_some();
        let bad_cases = bad_cases.map(i32::unsigned_abs);
        let position = position.unsigned_abs();
        let run = StepRun { position, name, success, bad_cases, is_report };
        found.entry(of).or_default().push(run);
    }
    Ok(builds.iter().map(|build| found.remove(&Id(build.0)).unwrap_or_default()).collect())
}

impl Tracks for Store {
    fn tracked_list(
        &self,
        project: ProjectId,
        among: &Among,
        before: Option<BuildId>,
        limit: u64,
    ) -> Result<Vec<Tracked>> {
        self.read(|conn| list(conn, project, among, before, limit))
    }
    fn branch_newest(
        &self,
        project: ProjectId,
        of: &OfBranch<'_>,
        limit: u64,
    ) -> Result<Vec<Build>> {
        self.read(|conn| newest(conn, project, of, limit))
    }
    fn branch_with_finished(
        &self,
        project: ProjectId,
        branches: &[&str],
        is_credited: bool,
    ) -> Result<Option<String>> {
        self.read(|conn| with_finished(conn, project, branches, is_credited))
    }
    fn track_active(&self, project: ProjectId, limit: u64) -> Result<Vec<Track>> {
        self.read(|conn| active(conn, project, limit))
    }
    fn tracks_are_complete(&self, project: ProjectId) -> Result<bool> {
        self.read(|conn| are_complete(conn, project))
    }
    fn track_more(&self) -> Result<bool> {
        self.write(more)
    }
    fn case_list(&self, project: ProjectId, builds: &[BuildId]) -> Result<Vec<Vec<Case>>> {
        self.read(|conn| cases(conn, project, builds))
    }
    fn step_runs(&self, project: ProjectId, builds: &[BuildId]) -> Result<Vec<Vec<StepRun>>> {
        self.read(|conn| steps(conn, project, builds))
    }
    fn test_names(&self, project: ProjectId, tests: &[i64]) -> Result<HashMap<i64, String>> {
        let found = self.read(|conn| names(conn, project, tests.iter().copied()))?;
        let full =
            |(id, (suite, name)): (i64, (String, String))| (id, full_test_name(&suite, &name));
        Ok(found.into_iter().map(full).collect())
    }
    fn test_numbers(
        &self,
        project: ProjectId,
        full_names: &[String],
    ) -> Result<HashMap<String, i64>> {
        self.read(|conn| numbers(conn, project, full_names))
    }
    fn failure_list(
        &self,
        project: ProjectId,
        keys: &[FailureKey],
    ) -> Result<HashMap<FailureKey, TestFailure>> {
        self.read(|conn| failures(conn, project, keys.iter().copied()))
    }
    fn builds_by_id(&self, project: ProjectId, builds: &[BuildId]) -> Result<Vec<Build>> {
        let ids = || builds.iter().map(|build| Id(build.0));
        let found = self.read(|conn| builds_of(conn, project, ids()))?;
        Ok(found.into_values().collect())
    }
}
