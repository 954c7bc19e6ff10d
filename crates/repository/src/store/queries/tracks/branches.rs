//! Builds by branch and by commit, and the tracks of a project.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use devmason_domain::{Build, BuildId, Expected, ProjectId, Track, TrackKey};
use diesel::prelude::*;

use super::super::cases::builds_of;
use super::super::rows::of_track;
use super::super::{Conn, Db, counts, next};
use diesel::sql_types::Bool;

use crate::store::clock;
use crate::store::columns::{At, Id, instant, plain};
use crate::store::fault::{Fault, Outcome};
use crate::store::schema::{build, track};
use crate::{Begun, KnownTrack, OfBranch, Ran, Updated};

#[derive(Queryable, Selectable)]
#[diesel(table_name = track)]
pub(super) struct TrackRow {
    variant: String,
    branch: String,
    credited: bool,
    expected: Option<String>,
    version: i64,
}

impl TryFrom<TrackRow> for KnownTrack {
    type Error = Fault;
    fn try_from(row: TrackRow) -> Outcome<Self> {
        Ok(Self {
            track: Track { variant: row.variant, branch: row.branch, is_credited: row.credited },
            expected: row.expected.map(|text| text.parse()).transpose()?.unwrap_or_default(),
            version: row.version,
        })
    }
}

/// Number of a project's newest builds that are searched for those of a branch: few at first.
const WALKS: [i64; 2] = [200, ACTIVE];

/// Maximum number of tracks whose newest builds are read one by one.
const TRACKS: i64 = 100;

pub(super) fn newest(
    conn: &mut Conn,
    project: ProjectId,
    of: &OfBranch<'_>,
    limit: u64,
) -> Outcome<Vec<Build>> {
    let ids = newest_ids(conn, project, of, None, limit)?;
    in_order(conn, project, ids)
}

pub(super) fn revisions(
    conn: &mut Conn,
    project: ProjectId,
    of: &OfBranch<'_>,
    before: BuildId,
    limit: u64,
) -> Outcome<Vec<Ran>> {
    let ids = newest_ids(conn, project, of, Some(before), limit)?;
    let rows: Vec<(Id, Option<String>, Option<String>)> = build::table
        .filter(build::project_id.eq(project.0).and(build::id.eq_any(ids)))
        .order(build::id.desc())
        .select((build::id, build::revision, of_track("variant")))
        .load(conn)?;
    let run = |(id, revision, variant): (Id, Option<String>, Option<String>)| {
        Some(Ran { build: BuildId(id.0), revision, variant: variant? })
    };
    Ok(rows.into_iter().filter_map(run).collect())
}

pub(super) fn of_revision(
    conn: &mut Conn,
    project: ProjectId,
    revision: &str,
    limit: u64,
) -> Outcome<Vec<Build>> {
    let of_it = || {
        build::table
            .filter(build::project_id.eq(project.0).and(build::revision.eq(plain(revision))))
            .order(build::id.desc())
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .select(build::id)
    };
    let mut ids: Vec<Id> = of_it().filter(build::sender_id.is_not_null()).load(conn)?;
    if ids.is_empty() {
        ids = of_it().load(conn)?;
    }
    in_order(conn, project, ids)
}

pub(super) fn like(conn: &mut Conn, project: ProjectId, start: &str) -> Outcome<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    // Behind all texts that begin with it: revisions consist of ASCII letters and digits.
    let end = format!("{start}~");
    while found.len() < 2 {
        let mut more = build::table
            .filter(build::project_id.eq(project.0))
            .filter(build::revision.ge(plain(start)).and(build::revision.lt(plain(&end))))
            .into_boxed::<Db>();
        if let Some(last) = found.last() {
            more = more.filter(build::revision.gt(last.clone()));
        }
        let next: Option<Option<String>> =
            more.order(build::revision).select(build::revision).first(conn).optional()?;
        let Some(Some(next)) = next else { break };
        found.push(next);
    }
    Ok(found)
}

/// The newest builds of a branch, the newest first.
pub(super) fn newest_ids(
    conn: &mut Conn,
    project: ProjectId,
    of: &OfBranch<'_>,
    before: Option<BuildId>,
    limit: u64,
) -> Outcome<Vec<Id>> {
    // All ids are below this one.
    let before = Id(before.map_or(uuid::Uuid::max(), |before| before.0));
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
            .filter(build::project_id.eq(project.0).and(build::id.lt(before)))
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
            return Ok(ids);
        }
    }
    // The branch has hardly any of the newest builds: those of its tracks are found one by one.
    for key in tracks.limit(TRACKS).load::<i64>(conn)? {
        clock::check()?;
        let of_track: Vec<Id> = build::table
            .filter(build::project_id.eq(project.0).and(build::track.eq(key)))
            .filter(build::id.lt(before))
            .order(build::id.desc())
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .select(build::id)
            .load(conn)?;
        ids.extend(of_track);
    }
    ids.sort_unstable_by_key(|id| Reverse(id.0));
    ids.dedup();
    ids.truncate(limit);
    Ok(ids)
}

/// Those of some tracks that belong to a branch.
pub(super) fn among(
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
pub(super) fn in_order(conn: &mut Conn, project: ProjectId, ids: Vec<Id>) -> Outcome<Vec<Build>> {
    let mut found = builds_of(conn, project, ids.iter().copied())?;
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

pub(super) fn with_finished(
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

/// Maximum number of a project's tracks whose newest builds are looked up; of a project with more, the
/// newest builds are read.
const FEW: i64 = 300;

pub(super) fn active(conn: &mut Conn, project: ProjectId, limit: u64) -> Outcome<Vec<KnownTrack>> {
    let of_project = track::table.filter(track::project_id.eq(project.0)).select(track::key);
    let keys: Vec<i64> = of_project.limit(FEW + 1).load(conn)?;
    let is_few = i64::try_from(keys.len()).is_ok_and(|tracks| tracks <= FEW);
    let mut keys =
        if is_few { active_among(conn, project, keys)? } else { active_of_builds(conn, project)? };
    keys.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let rows: Vec<(i64, TrackRow)> = track::table
        .filter(track::project_id.eq(project.0).and(track::key.eq_any(&keys)))
        .select((track::key, TrackRow::as_select()))
        .load(conn)?;
    let mut found: HashMap<i64, TrackRow> = rows.into_iter().collect();
    keys.iter().filter_map(|key| found.remove(key)).map(KnownTrack::try_from).collect()
}

/// The active ones of a project's tracks, the one with the newest build first.
fn active_among(conn: &mut Conn, project: ProjectId, keys: Vec<i64>) -> Outcome<Vec<i64>> {
    let newest = build::table
        .filter(build::project_id.eq(project.0).and(build::track.eq(track::key.nullable())))
        .order(build::id.desc())
        .select(build::id)
        .limit(1)
        .single_value();
    let newest: Vec<(i64, Option<Id>)> = track::table
        .filter(track::project_id.eq(project.0).and(track::key.eq_any(keys)))
        .select((track::key, newest))
        .load(conn)?;
    let mut newest: Vec<(Id, i64)> =
        newest.into_iter().filter_map(|(key, id)| Some((id?, key))).collect();
    newest.sort_unstable_by_key(|(id, _)| Reverse(id.0));
    let Some((oldest, _)) = newest.last() else { return Ok(Vec::new()) };
    // None if all of them are active, as usual.
    let last_active: Option<Id> = build::table
        .filter(build::project_id.eq(project.0).and(build::id.gt(*oldest)))
        .order(build::id.desc())
        .offset(ACTIVE - 1)
        .select(build::id)
        .first(conn)
        .optional()?;
    let is_active = |id: &Id| last_active.is_none_or(|last| id.0 >= last.0);
    Ok(newest.into_iter().filter(|(id, _)| is_active(id)).map(|(_, key)| key).collect())
}

/// The tracks of a project's newest builds, the one with the newest build first.
fn active_of_builds(conn: &mut Conn, project: ProjectId) -> Outcome<Vec<i64>> {
    let keys: Vec<Option<i64>> = build::table
        .filter(build::project_id.eq(project.0))
        .order(build::id.desc())
        .limit(ACTIVE)
        .select(build::track)
        .load(conn)?;
    let mut known = HashSet::new();
    Ok(keys.into_iter().flatten().filter(|key| known.insert(*key)).collect())
}

pub(super) fn find(
    conn: &mut Conn,
    project: ProjectId,
    key: TrackKey,
) -> Outcome<Option<KnownTrack>> {
    let one = track::table.find((project.0, key.0)).select(TrackRow::as_select());
    one.first(conn).optional()?.map(KnownTrack::try_from).transpose()
}

/// A build's id, its client's, when it started, and whether it succeeded.
type BegunRow = (Id, Option<String>, At, i16, Option<bool>);

pub(super) fn begun(
    conn: &mut Conn,
    project: ProjectId,
    key: TrackKey,
    limit: u64,
) -> Outcome<Vec<Begun>> {
    let rows: Vec<BegunRow> = build::table
        .filter(build::project_id.eq(project.0).and(build::track.eq(key.0)))
        .order(build::id.desc())
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select((build::id, build::key, build::started, build::started_offset, build::success))
        .load(conn)?;
    let begun = |(id, key, started, offset, success): BegunRow| {
        let id = BuildId(id.0);
        Ok(Begun {
            key: key.map_or_else(|| Ok(id.into()), |key| key.parse())?,
            started: instant(started, offset)?,
            success,
        })
    };
    rows.into_iter().map(begun).collect()
}

pub(super) fn expect(
    conn: &mut Conn,
    project: ProjectId,
    key: TrackKey,
    expected: Expected,
    seen: Option<i64>,
) -> Outcome<Updated<KnownTrack>> {
    let stored = (expected != Expected::Learned).then(|| expected.to_string());
    let changed = diesel::update(track::table.find((project.0, key.0)))
        .filter(track::version.eq(seen.unwrap_or(0)).or(seen.is_none().into_sql::<Bool>()))
        .set((track::expected.eq(stored), track::version.eq(next("track.version"))))
        .execute(conn)?;
    let Some(current) = find(conn, project, key)? else { return Ok(Updated::Gone) };
    if changed == 0 {
        return Ok(Updated::Stale);
    }
    counts::project_changed(conn, project)?;
    Ok(Updated::Done(current))
}
