//! Tracks, and what comparing builds needs.

mod branches;
mod listed;
mod untracked;

use std::collections::HashMap;

use devmason_domain::insight::{Case, FailureKey, StepRun};
use devmason_domain::{
    Build, BuildId, Expected, JsonObject, ProjectId, TestFailure, Track, TrackKey, full_test_name,
};
use devmason_strips::unpack;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use super::cases::{builds_of, failures, names, numbers, position};
use super::rows::{of_track, summary};
use super::{Conn, Db, Sql, Store, sightings};
use crate::store::clock;
use crate::store::columns::{At, Id, instant, plain};
use crate::store::fault::{Fault, Outcome};
use crate::store::schema::{build, build_tag, step, strip, track};
use crate::{
    Among, Begun, KnownTrack, Listed, Listing, OfBranch, PlacedTrack, Ran, Result, Tracked, Tracks,
    Updated,
};
use branches::{active, begun, expect, find, like, newest, of_revision, revisions, with_finished};
use untracked::{are_complete, more};

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
    finished: Option<At>,
    success: Option<bool>,
    revision: Option<String>,
    host: Option<String>,
    failed_steps: i32,
    tests: String,
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
        finished: instant(row.finished.unwrap_or(row.started), 0)?,
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
        Among::Sighted(key) => {
            let ids = sightings::builds(conn, project, *key, (before, limit.saturating_mul(2)))?;
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

fn cases(
    conn: &mut Conn,
    project: ProjectId,
    builds: &[BuildId],
    of_test: Option<i64>,
) -> Outcome<Vec<Vec<Case>>> {
    let ids: Vec<Id> = builds.iter().map(|build| Id(build.0)).collect();
    let mut strips = strip::table
        .filter(strip::project_id.eq(project.0).and(strip::build_id.eq_any(ids)))
        .into_boxed::<Db>();
    if let Some(test) = of_test {
        strips = strips.filter(strip::low.le(test).and(strip::high.ge(test)));
    }
    let strips: Vec<(Id, i32, Vec<u8>)> = strips
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
            took: case.micros.map(|micros| (micros as f64 / 1e6) as f32),
        });
        let is_wanted = |case: &Case| of_test.is_none_or(|test| case.test == test);
        found.entry(of).or_default().extend(cases.filter(is_wanted));
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
    fn revision_builds(
        &self,
        project: ProjectId,
        revision: &str,
        limit: u64,
    ) -> Result<Vec<Build>> {
        self.read(|conn| of_revision(conn, project, revision, limit))
    }
    fn revisions_like(&self, project: ProjectId, start: &str) -> Result<Vec<String>> {
        self.read(|conn| like(conn, project, start))
    }
    fn branch_revisions(
        &self,
        project: ProjectId,
        of: &OfBranch<'_>,
        before: BuildId,
        limit: u64,
    ) -> Result<Vec<Ran>> {
        self.read(|conn| revisions(conn, project, of, before, limit))
    }
    fn branch_with_finished(
        &self,
        project: ProjectId,
        branches: &[&str],
        is_credited: bool,
    ) -> Result<Option<String>> {
        self.read(|conn| with_finished(conn, project, branches, is_credited))
    }
    fn track_active(&self, project: ProjectId, limit: u64) -> Result<Vec<KnownTrack>> {
        self.read(|conn| active(conn, project, limit))
    }
    fn track_query(&self, listing: &Listing) -> Result<Listed<PlacedTrack>> {
        self.read(|conn| listed::query(conn, listing))
    }
    fn track_find(&self, project: ProjectId, key: TrackKey) -> Result<Option<KnownTrack>> {
        self.read(|conn| find(conn, project, key))
    }
    fn track_begun(&self, project: ProjectId, key: TrackKey, limit: u64) -> Result<Vec<Begun>> {
        self.read(|conn| begun(conn, project, key, limit))
    }
    fn track_expect(
        &self,
        project: ProjectId,
        key: TrackKey,
        expected: Expected,
        seen: Option<i64>,
    ) -> Result<Updated<KnownTrack>> {
        self.write(|conn| expect(conn, project, key, expected, seen))
    }
    fn tracks_are_complete(&self, project: ProjectId) -> Result<bool> {
        self.read(|conn| are_complete(conn, project))
    }
    fn track_more(&self) -> Result<bool> {
        self.write(more)
    }
    fn case_list(&self, project: ProjectId, builds: &[BuildId]) -> Result<Vec<Vec<Case>>> {
        self.read(|conn| cases(conn, project, builds, None))
    }
    fn cases_of_test(
        &self,
        project: ProjectId,
        builds: &[BuildId],
        test: i64,
    ) -> Result<Vec<Vec<Case>>> {
        self.read(|conn| cases(conn, project, builds, Some(test)))
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
