//! The end of running steps.

use devmason_domain::{BuildId, ProjectId, StepLog, Timestamp};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable};

use super::super::uploads::Part;
use super::super::{cases, counts, next};
use super::{Conn, Id, Sql, hold, number, position, sql, step_log, tuned};
use crate::store::columns::At;
use crate::store::fault::Outcome;
use crate::store::schema::{build, step};
use crate::{Ended, PackedCases, Piece, StepEnd, StepPlace};

/// The bytes that are stored of a log.
fn stored_bytes(conn: &mut Conn, place: StepPlace) -> Outcome<i64> {
    Ok(Sql::<BigInt>::new(
        "select cast(coalesce(sum(past - start), 0) as bigint) from log_piece \
         where project_id = ? and build_id = ? and position = ?",
    )
    .bind::<BigInt, _>(place.project.0)
    .bind::<sql::Uuid, _>(Id(place.build.0))
    .bind::<Integer, _>(position(place.step))
    .get_result(conn)?)
}

/// The state of a step that has not to be ended any more.
fn ended(conn: &mut Conn, end: &StepEnd) -> Outcome<Option<Ended>> {
    let place = end.place;
    let known: Option<(i16, Option<Vec<u8>>)> = step::table
        .find((place.project.0, Id(place.build.0), position(place.step)))
        .select((step::log, step::digest))
        .first(conn)
        .optional()?;
    let Some((log, digest)) = known else { return Ok(Some(Ended::Gone)) };
    Ok(match (step_log(log)?, digest) {
        (StepLog::Open, _) => None,
        (StepLog::Closed, Some(digest)) if digest == end.digest.0 => Some(Ended::Known),
        _ => Some(Ended::Differs),
    })
}

/// Ends a running step.
pub(super) fn end(conn: &mut Conn, end: &StepEnd, packed: &PackedCases) -> Outcome<Ended> {
    if let Some(ended) = ended(conn, end)? {
        return Ok(ended);
    }
    let place = end.place;
    let this = || build::table.find((place.project.0, Id(place.build.0)));
    // In the order in which closing a build locks: first its row, then its steps.
    let sender: Option<Option<i64>> = diesel::update(this())
        .set(build::version.eq(next("build.version")))
        .returning(build::sender_id)
        .get_result(conn)
        .optional()?;
    let Some(sender) = sender else { return Ok(Ended::Gone) };
    hold(conn, place)?;
    if let Some(ended) = ended(conn, end)? {
        return Ok(ended);
    }
    let bytes = stored_bytes(conn, place)?;
    diesel::update(step::table.find((place.project.0, Id(place.build.0), position(place.step))))
        .set((
            step::log.eq(number(StepLog::Closed)),
            step::success.eq(end.success),
            step::finished.eq(At(end.finished.micros())),
            step::finished_offset.eq(end.finished.offset_minutes()),
            step::bad_cases.eq(i32::try_from(end.bad_cases).unwrap_or(i32::MAX)),
            step::digest.eq(end.digest.0.as_slice()),
            step::receipt.eq(end.test_report.document.as_deref()),
            end.extras.as_ref().map(|extras| step::extras.eq(extras.as_str())),
        ))
        .execute(conn)?;
    let steps = Piece { first: place.step, count: 1 };
    let (project, build) = (place.project, place.build);
    cases::add(conn, &[Part { project, build, report: &end.test_report, cases: packed, steps }])?;
    diesel::update(this())
        .set((
            build::failed_steps.eq(build::failed_steps + i32::from(!end.success)),
            build::output_bytes.eq(build::output_bytes + bytes),
            build::updated_at.eq(At(Timestamp::now().micros())),
        ))
        .execute(conn)?;
    counts::bump(conn, place.project.0, std::iter::empty(), sender, 0)?;
    tuned::tell_logs(conn, &[place])?;
    Ok(Ended::Done)
}

/// Ends all running steps of a build, whose row is locked; how many there were.
pub(in super::super) fn end_all(
    conn: &mut Conn,
    project: ProjectId,
    build: BuildId,
    success: bool,
    finished: Timestamp,
) -> Outcome<i32> {
    let mut open: Vec<i32> = step::table
        .filter(step::project_id.eq(project.0).and(step::build_id.eq(Id(build.0))))
        .filter(step::log.eq(number(StepLog::Open)))
        .order(step::position)
        .select(step::position)
        .load(conn)?;
    let mut bytes = 0;
    let mut ended = Vec::new();
    for position in &mut open {
        let place = StepPlace { project, build, step: position.unsigned_abs() };
        // Those who append lock steps in this order, too.
        hold(conn, place)?;
        bytes += stored_bytes(conn, place)?;
        ended.push(place);
    }
    if ended.is_empty() {
        return Ok(0);
    }
    diesel::update(step::table)
        .filter(step::project_id.eq(project.0).and(step::build_id.eq(Id(build.0))))
        .filter(step::log.eq(number(StepLog::Open)))
        .set((
            step::log.eq(number(StepLog::Closed)),
            step::success.eq(success),
            step::finished.eq(At(finished.micros())),
            step::finished_offset.eq(finished.offset_minutes()),
            step::bad_cases.eq(None::<i32>.into_sql::<Nullable<Integer>>()),
        ))
        .execute(conn)?;
    diesel::update(build::table.find((project.0, Id(build.0))))
        .set(build::output_bytes.eq(build::output_bytes + bytes))
        .execute(conn)?;
    tuned::tell_logs(conn, &ended)?;
    Ok(i32::try_from(ended.len()).unwrap_or(i32::MAX))
}

/// The steps that ended with their build: no document did.
pub(super) fn abandoned(
    conn: &mut Conn,
    project: ProjectId,
    build: BuildId,
) -> Outcome<Vec<StepPlace>> {
    let positions: Vec<i32> = step::table
        .filter(step::project_id.eq(project.0).and(step::build_id.eq(Id(build.0))))
        .filter(step::log.eq(number(StepLog::Closed)).and(step::digest.is_null()))
        .order(step::position)
        .select(step::position)
        .load(conn)?;
    let place = |position: i32| StepPlace { project, build, step: position.unsigned_abs() };
    Ok(positions.into_iter().map(place).collect())
}
