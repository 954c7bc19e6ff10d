//! The steps of builds.

use std::collections::HashMap;

use devmason_domain::{Build, BuildId, JsonObject, ProjectId, Step, StepLog, StepName};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, SmallInt, Text};

use super::filter::{Columns, bounds};
use super::narrow::place;
use super::{Conn, Db, Sql, logs, tuned};
use crate::store::columns::{At, Id, instant};
use crate::store::fault::{Fault, Outcome};
use crate::store::packed::{Packed, unpack};
use crate::store::schema::{build, project, sql, step};
use crate::{Listed, Listing, PlacedStep, StepPlace, WHOLE_LOG};

/// The approximate size of a step without its texts, in bytes.
const STEP: usize = 128;

/// The approximate size of steps in bytes: names, outputs and client data.
pub(in super::super) fn output_bytes(steps: &[Step]) -> i64 {
    let bytes = |step: &Step| {
        let texts = [step.name.as_str(), &step.output, &step.errout, step.extras.as_str()];
        texts.iter().map(|text| text.len()).sum::<usize>() + STEP
    };
    steps.iter().map(|step| bytes(step) as i64).sum()
}

/// A step's number of bad cases, as stored.
pub(in super::super) fn bad_cases(step: &Step) -> Option<i32> {
    step.bad_cases.map(|bad| i32::try_from(bad).unwrap_or(i32::MAX))
}

const INSERT_STEP: &str = "
insert into step (project_id, build_id, position, name, success, started, started_offset, finished,
                  finished_offset, output, errout, extras, packed, receipt, bad_cases, log)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// Stores a step at a position of its build.
pub(in super::super) fn insert_step(
    conn: &mut Conn,
    project: ProjectId,
    build: BuildId,
    position: i32,
    step: &Step,
    receipt: Option<&str>,
) -> Outcome<()> {
    let packed = Packed::new(step);
    Sql::<()>::new(INSERT_STEP)
        .bind::<BigInt, _>(project.0)
        .bind::<sql::Uuid, _>(Id(build.0))
        .bind::<Integer, _>(position)
        .bind::<Text, _>(step.name.as_str())
        .bind::<Bool, _>(step.success)
        .bind::<sql::Instant, _>(At(step.started.micros()))
        .bind::<SmallInt, _>(step.started.offset_minutes())
        .bind::<sql::Instant, _>(At(step.finished.micros()))
        .bind::<SmallInt, _>(step.finished.offset_minutes())
        .bind::<Binary, _>(&*packed.output)
        .bind::<Binary, _>(&*packed.errout)
        .bind::<Text, _>(step.extras.as_str())
        .bind::<SmallInt, _>(packed.flags)
        .bind::<Nullable<Text>, _>(receipt)
        .bind::<Nullable<Integer>, _>(bad_cases(step))
        .bind::<SmallInt, _>(logs::number(step.log))
        .execute(conn)?;
    Ok(())
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = step)]
struct StepRow {
    build_id: Id,
    position: i32,
    name: String,
    success: bool,
    started: At,
    started_offset: i16,
    finished: At,
    finished_offset: i16,
    output: Vec<u8>,
    errout: Vec<u8>,
    extras: String,
    packed: i16,
    bad_cases: Option<i32>,
    log: i16,
}

impl TryFrom<StepRow> for Step {
    type Error = Fault;
    fn try_from(row: StepRow) -> Outcome<Self> {
        let (output, errout) = unpack(row.output, row.errout, row.packed)?;
        Ok(Self {
            name: StepName::from_stored(row.name),
            success: row.success,
            started: instant(row.started, row.started_offset)?,
            finished: instant(row.finished, row.finished_offset)?,
            output,
            errout,
            extras: JsonObject::from_stored(row.extras),
            bad_cases: row.bad_cases.map(i32::unsigned_abs),
            log: logs::step_log(row.log)?,
        })
    }
}

/// Steps are only ever appended, so those below the step count read with the build are the steps it
/// had then: a consistent result without a snapshot.
pub(super) fn steps(conn: &mut Conn, of: &[Build]) -> Outcome<Vec<Option<Vec<Step>>>> {
    let mut by_project: HashMap<i64, Vec<Id>> = HashMap::new();
    for build in of.iter().filter(|build| build.steps > 0) {
        by_project.entry(build.project.0).or_default().push(Id(build.id.0));
    }
    let mut found: HashMap<(i64, Id), Vec<StepRow>> = HashMap::new();
    for (project, ids) in by_project {
        let rows = match ids.as_slice() {
            [id] => step::table
                .filter(step::project_id.eq(project).and(step::build_id.eq(*id)))
                .order(step::position)
                .select(StepRow::as_select())
                .load(conn)?,
            _ => step::table
                .filter(step::project_id.eq(project).and(step::build_id.eq_any(ids)))
                .order((step::build_id, step::position))
                .select(StepRow::as_select())
                .load(conn)?,
        };
        for row in rows {
            found.entry((project, row.build_id)).or_default().push(row);
        }
    }
    of.iter()
        .map(|build| {
            let mut rows = found.remove(&(build.project.0, Id(build.id.0))).unwrap_or_default();
            rows.retain(|row| i64::from(row.position) < i64::from(build.steps));
            if rows.len() as u64 != u64::from(build.steps) {
                return Ok(None);
            }
            let each = (0..).zip(rows).map(|(nth, row)| {
                let step = Step::try_from(row)?;
                with_outputs(conn, build, nth, step)
            });
            each.collect::<Outcome<_>>().map(Some)
        })
        .collect()
}

/// A step with its outputs, which may be in its log.
fn with_outputs(conn: &mut Conn, of: &Build, nth: u32, mut step: Step) -> Outcome<Step> {
    if step.log != StepLog::Absent {
        let place = StepPlace { project: of.project, build: of.id, step: nth };
        (step.output, step.errout) = logs::outputs(conn, place, WHOLE_LOG)?;
    }
    Ok(step)
}

/// Fields of steps, over `step join project`.
const STEP_COLUMNS: Columns = Columns {
    fields: &[
        ("id", tuned::STEP_ID),
        ("build_id", "step.build_id"),
        ("project", "project.slug_key"),
        ("position", "step.position"),
        ("name", "step.name"),
        ("success", "(case when step.log = 1 then null else step.success end)"),
        ("started", "step.started"),
        ("finished", "(case when step.log = 1 then null else step.finished end)"),
    ],
    folded: &["project"],
    sets: &[],
    open: "null",
    scanned: "step.position",
    indexed: &[],
    tracks: None,
};

/// A step in a list, without its outputs: a thousand of them may exceed the server's memory.
#[derive(Queryable, Selectable)]
#[diesel(table_name = step)]
struct PlacedRow {
    project_id: i64,
    build_id: Id,
    position: i32,
    name: String,
    success: bool,
    started: At,
    started_offset: i16,
    finished: At,
    finished_offset: i16,
    extras: String,
    bad_cases: Option<i32>,
    log: i16,
}

impl PlacedRow {
    fn step(self) -> Outcome<Step> {
        Ok(Step {
            name: StepName::from_stored(self.name),
            success: self.success,
            started: instant(self.started, self.started_offset)?,
            finished: instant(self.finished, self.finished_offset)?,
            output: String::new(),
            errout: String::new(),
            extras: JsonObject::from_stored(self.extras),
            bad_cases: self.bad_cases.map(i32::unsigned_abs),
            log: logs::step_log(self.log)?,
        })
    }

    /// The step with its build's version.
    fn placed(self, versions: &HashMap<Id, i64>) -> Outcome<PlacedStep> {
        Ok(PlacedStep {
            project: ProjectId(self.project_id),
            build: BuildId(self.build_id.0),
            // A build removed in the meantime has no version.
            version: versions.get(&self.build_id).copied().unwrap_or_default(),
            position: self.position.unsigned_abs(),
            step: self.step()?,
        })
    }
}

/// The step at a position, with its outputs.
pub(super) fn step_whole(conn: &mut Conn, of: &Build, nth: u32) -> Outcome<Option<Step>> {
    let step = step_at(conn, of, nth)?;
    step.map(|step| with_outputs(conn, of, nth, step)).transpose()
}

pub(super) fn step_at(conn: &mut Conn, of: &Build, nth: u32) -> Outcome<Option<Step>> {
    let Ok(position) = i32::try_from(nth) else { return Ok(None) };
    if nth >= of.steps {
        return Ok(None);
    }
    let row: Option<StepRow> = step::table
        .find((of.project.0, Id(of.id.0), position))
        .select(StepRow::as_select())
        .first(conn)
        .optional()?;
    row.map(Step::try_from).transpose()
}

/// The maximum number of steps in an outline.
const OUTLINE: i32 = 1_000;

pub(super) fn outline(conn: &mut Conn, of: &[Build]) -> Outcome<Vec<Vec<Step>>> {
    let mut by_project: HashMap<i64, Vec<Id>> = HashMap::new();
    for build in of.iter().filter(|build| build.steps > 0) {
        by_project.entry(build.project.0).or_default().push(Id(build.id.0));
    }
    let mut found: HashMap<Id, Vec<Step>> = HashMap::new();
    for (project, ids) in by_project {
        let rows: Vec<PlacedRow> = step::table
            .filter(step::project_id.eq(project).and(step::build_id.eq_any(ids)))
            .filter(step::position.lt(OUTLINE))
            .order((step::build_id, step::position))
            .select(PlacedRow::as_select())
            .load(conn)?;
        for row in rows {
            let id = row.build_id;
            found.entry(id).or_default().push(row.step()?);
        }
    }
    Ok(of.iter().map(|build| found.remove(&Id(build.id.0)).unwrap_or_default()).collect())
}

pub(super) fn query(conn: &mut Conn, listing: &Listing) -> Outcome<Listed<PlacedStep>> {
    let (limit, offset) = bounds(listing);
    let (of_project, of_build) = place(conn, &listing.selection.filter)?;
    let selected = || {
        let mut all = step::table
            .inner_join(project::table)
            .into_boxed::<Db>()
            .filter(project::slug_key.is_not_null())
            .filter(STEP_COLUMNS.filter(&listing.selection.filter));
        if let Some(id) = of_project {
            all = all.filter(step::project_id.eq(id.0));
        }
        if let Some(id) = of_build {
            all = all.filter(step::build_id.eq(id));
        }
        all
    };
    let count: i64 = selected().count().get_result(conn)?;
    let rows: Vec<PlacedRow> = selected()
        .order(
            STEP_COLUMNS
                .order(&listing.selection.sort, "step.project_id, step.build_id, step.position"),
        )
        .limit(limit)
        .offset(offset)
        .select(PlacedRow::as_select())
        .load(conn)?;
    let mut ids: Vec<Id> = rows.iter().map(|row| row.build_id).collect();
    // Unless sorted otherwise, steps of one build are adjacent.
    ids.dedup();
    let versions: HashMap<Id, i64> = build::table
        .filter(build::id.eq_any(ids))
        .select((build::id, build::version))
        .load(conn)?
        .into_iter()
        .collect();
    Ok(Listed {
        items: rows.into_iter().map(|row| row.placed(&versions)).collect::<Outcome<_>>()?,
        count: count.unsigned_abs(),
    })
}
