//! Single builds: storing, extending, reading and deleting.

use devmason_domain::query::Selection;
use devmason_domain::{Build, BuildId, BuildKey, Closing, ProjectId, State, Step, Timestamp};
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::rows::{Joined, builds, domain, there};
use super::{
    Conn, Store, cases, counts, foreign, lists, logs, next, record, steps, tuned, uploads,
};
use crate::store::columns::{At, Id, instant};
use crate::store::fault::Outcome;
use crate::store::schema::{build, build_component, build_tag, step};
use crate::{
    Actor, Appended, BuildPart, BuildQuery, Builds, Closed, Count, NewBuild, NewStep, Recorded,
    Result, Scope, Tally, Updated,
};

pub(super) fn close(
    conn: &mut Conn,
    project: ProjectId,
    id: BuildId,
    closing: Closing,
    now: Timestamp,
) -> Outcome<Closed> {
    let running = || {
        build::table.filter(
            build::project_id
                .eq(project.0)
                .and(build::id.eq(Id(id.0)))
                .and(build::finished.is_null()),
        )
    };
    // The first update locks the row, so that no step is added between reading the steps and closing
    // the build.
    let held: Option<(i32, Option<i64>, At)> = diesel::update(running())
        .set(build::version.eq(next("build.version")))
        .returning((build::failed_steps, build::sender_id, build::started))
        .get_result(conn)
        .optional()?;
    let Some((failed, sender, started)) = held else {
        return Ok(if there(conn, project, id)?.is_some() {
            Closed::Finished
        } else {
            Closed::Gone
        });
    };
    let (success, end) = (closing.success.unwrap_or(false), closing.finished.unwrap_or(now));
    let ended = logs::end_all(conn, project, id, success, end)?;
    let failed = failed + if success { 0 } else { ended };
    let latest: Option<(At, i16)> = step::table
        .filter(step::project_id.eq(project.0).and(step::build_id.eq(Id(id.0))))
        .order((step::finished.desc(), step::position.desc()))
        .select((step::finished, step::finished_offset))
        .first(conn)
        .optional()?;
    let finished = match (closing.finished, latest) {
        (Some(finished), _) => finished,
        // A report may contain tests that ran before the build was created.
        (None, Some((at, offset))) => instant(At(at.0.max(started.0)), offset)?,
        (None, None) => now,
    };
    diesel::update(running())
        .set((
            build::success.eq(closing.success.unwrap_or(failed == 0)),
            build::failed_steps.eq(failed),
            build::finished.eq(At(finished.micros())),
            build::finished_offset.eq(finished.offset_minutes()),
            build::updated_at.eq(At(now.micros())),
        ))
        .execute(conn)?;
    counts::bump(conn, project.0, std::iter::empty(), sender, 0)?;
    Ok(Closed::Done)
}

pub(super) fn find(conn: &mut Conn, project: ProjectId, key: &BuildKey) -> Outcome<Option<Build>> {
    if let Some(id) = BuildId::from_key(key) {
        let filter = build::project_id.eq(project.0).and(build::id.eq(Id(id.0)));
        let row: Option<Joined> = builds!().filter(filter).first(conn).optional()?;
        // A build with a chosen key is found only by that key.
        if let Some(row) = row.filter(|row| row.0.key.is_none()) {
            return grown(conn, row).map(Some);
        }
    }
    let filter = build::project_id.eq(project.0).and(build::key.eq(key.as_str()));
    let row: Option<Joined> = builds!().filter(filter).first(conn).optional()?;
    row.map(|row| grown(conn, row)).transpose()
}

/// A build, whose outputs include what its running steps have written so far.
fn grown(conn: &mut Conn, row: Joined) -> Outcome<Build> {
    let mut build = domain(row)?;
    if build.outcome.state() == State::Running {
        build.output_bytes += logs::growing(conn, build.project, build.id)?;
    }
    Ok(build)
}

pub(super) fn delete(
    conn: &mut Conn,
    project: ProjectId,
    id: BuildId,
    seen: Option<i64>,
) -> Outcome<Updated<()>> {
    let this = || build::project_id.eq(project.0).and(build::id.eq(Id(id.0)));
    let deleted: Option<(Option<i64>, String)> = diesel::delete(build::table.filter(this()))
        .filter(build::version.eq(seen.unwrap_or(0)).or(seen.is_none().into_sql::<Bool>()))
        .returning((build::sender_id, build::tags))
        .get_result(conn)
        .optional()?;
    let Some((sender, tags)) = deleted else {
        return Ok(if there(conn, project, id)?.is_some() {
            Updated::Stale
        } else {
            Updated::Gone
        });
    };
    diesel::delete(
        step::table.filter(step::project_id.eq(project.0).and(step::build_id.eq(Id(id.0)))),
    )
    .execute(conn)?;
    let of_it =
        build_component::project_id.eq(project.0).and(build_component::build_id.eq(Id(id.0)));
    diesel::delete(build_component::table.filter(of_it)).execute(conn)?;
    logs::remove(conn, project, id)?;
    cases::remove(conn, project, id)?;
    uploads::remove(conn, project, id)?;
    foreign::remove(conn, project, id)?;
    let tags: Vec<&str> = tags.split(';').filter(|tag| !tag.is_empty()).collect();
    for tag in &tags {
        diesel::delete(build_tag::table.find((project.0, tag, Id(id.0)))).execute(conn)?;
    }
    counts::bump(conn, project.0, tags.iter().copied(), sender, -1)?;
    counts::collection_changed(conn, counts::BUILDS, 0)?;
    Ok(Updated::Done(()))
}

impl Builds for Store {
    fn writers(&self) -> usize {
        tuned::WRITERS
    }
    fn build_record_many(&self, new: &[NewBuild]) -> Result<Vec<Recorded>> {
        let needs_more = |new: &NewBuild| {
            new.claim.is_some()
                || matches!(new.sender, Actor::Newcomer(_))
                || !new.test_report.is_empty()
        };
        let cases = new.iter().map(|new| self.packed(new.project, &new.test_report.tests));
        let cases = cases.collect::<Result<Vec<_>>>()?;
        if new.iter().any(needs_more) {
            self.write(|conn| record::record_many(conn, new, &cases, true))
        } else {
            let in_transaction = !tuned::ONE_STATEMENT;
            self.write_at_once(|conn| record::record_many(conn, new, &cases, in_transaction))
        }
    }
    fn step_append_many(&self, new: &[NewStep]) -> Result<Vec<Appended>> {
        let needs_more = |new: &NewStep| new.claim.is_some() || !new.test_report.is_empty();
        let cases = new.iter().map(|new| self.packed(new.project, &new.test_report.tests));
        let cases = cases.collect::<Result<Vec<_>>>()?;
        if new.iter().any(needs_more) {
            self.write(|conn| record::append_many(conn, new, &cases, true))
        } else {
            let in_transaction = !tuned::ONE_STATEMENT;
            self.write_at_once(|conn| record::append_many(conn, new, &cases, in_transaction))
        }
    }
    fn build_close(
        &self,
        project: ProjectId,
        id: BuildId,
        closing: Closing,
        now: Timestamp,
    ) -> Result<Closed> {
        self.write(|conn| close(conn, project, id, closing, now))
    }
    fn build_find(&self, project: ProjectId, key: &BuildKey) -> Result<Option<Build>> {
        self.read(|conn| find(conn, project, key))
    }
    fn build_list(&self, query: &BuildQuery) -> Result<BuildPart> {
        self.read(|conn| lists::list(conn, query))
    }
    fn build_count(&self, scope: &Scope, selection: &Selection) -> Result<Count> {
        self.read(|conn| lists::count(conn, scope, selection))
    }
    fn build_tally(&self, scope: &Scope) -> Result<Tally> {
        self.read(|conn| counts::tally(conn, scope))
    }
    fn step_list(&self, of: &[Build]) -> Result<Vec<Option<Vec<Step>>>> {
        self.read(|conn| steps::steps(conn, of))
    }
    fn step_one(&self, of: &Build, nth: u32) -> Result<Option<Step>> {
        self.read(|conn| steps::step_whole(conn, of, nth))
    }
    fn step_head(&self, of: &Build, nth: u32) -> Result<Option<Step>> {
        self.read(|conn| steps::step_at(conn, of, nth))
    }
    fn step_outline(&self, of: &[Build]) -> Result<Vec<Vec<Step>>> {
        self.read(|conn| steps::outline(conn, of))
    }
    fn build_delete(
        &self,
        project: ProjectId,
        id: BuildId,
        seen: Option<i64>,
    ) -> Result<Updated<()>> {
        self.write(|conn| delete(conn, project, id, seen))
    }
}
