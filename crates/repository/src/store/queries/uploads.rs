//! What uploads were read as, and for a time the uploads themselves, so that they can be read again.

use std::borrow::Cow;
use std::collections::HashMap;

use devmason_domain::{Build, BuildId, Outcome as Ended, ProjectId, TestSummary};
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::builds::{self, insert_step, output_bytes};
use super::tests::{self, Part};
use super::users::instant;
use super::{Conn, Outcome, Sql, lists, next, upkeep};
use crate::store::columns::{At, Id};
use crate::store::packed::{pack_bytes, unpack_bytes};
use crate::store::schema::{build, receipt, step, test_result, upload};
use crate::{KeptUpload, Piece, Receipts, Reread, Updated};

fn number(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn piece(first: i32, count: i32) -> Piece {
    Piece { first: first.unsigned_abs(), count: count.unsigned_abs() }
}

/// The receipts that a build has.
fn count_receipts(conn: &mut Conn, project: ProjectId, id: BuildId) -> Outcome<u32> {
    let known: i64 = receipt::table
        .filter(receipt::project_id.eq(project.0).and(receipt::build_id.eq(Id(id.0))))
        .count()
        .get_result(conn)?;
    Ok(u32::try_from(known).unwrap_or(u32::MAX))
}

/// Stores a part's receipts behind those that its build has, and its upload.
pub(super) fn add(conn: &mut Conn, part: &Part<'_>, first_test: u32) -> Outcome<()> {
    if part.report.receipts.is_empty() && part.report.upload.is_none() {
        return Ok(());
    }
    let first_receipt = count_receipts(conn, part.project, part.build)?;
    insert_receipts(conn, part.project, part.build, first_receipt, &part.report.receipts)?;
    let Some(raw) = &part.report.upload else { return Ok(()) };
    let known: i64 = upload::table
        .filter(upload::project_id.eq(part.project.0).and(upload::build_id.eq(Id(part.build.0))))
        .count()
        .get_result(conn)?;
    let body = pack_bytes(&raw.body);
    diesel::insert_into(upload::table)
        .values((
            (
                upload::project_id.eq(part.project.0),
                upload::build_id.eq(Id(part.build.0)),
                upload::nth.eq(i32::try_from(known).unwrap_or(i32::MAX)),
                upload::received.eq(At(raw.received.micros())),
                upload::content_type.eq(tests::plain(&raw.content_type)),
                upload::query.eq(tests::plain(&raw.query)),
                upload::one_step.eq(raw.one_step),
                upload::first_step.eq(number(part.steps.first)),
                upload::steps.eq(number(part.steps.count)),
            ),
            (
                upload::first_test.eq(number(first_test)),
                upload::tests.eq(i32::try_from(part.report.tests.len()).unwrap_or(i32::MAX)),
                upload::first_receipt.eq(number(first_receipt)),
                upload::receipts.eq(i32::try_from(part.report.receipts.len()).unwrap_or(i32::MAX)),
                upload::bytes.eq(i64::try_from(body.len()).unwrap_or(i64::MAX)),
                upload::packed.eq(i16::from(matches!(body, Cow::Owned(_)))),
                upload::body.eq(body.as_ref()),
            ),
        ))
        .execute(conn)?;
    Ok(())
}

fn insert_receipts(
    conn: &mut Conn,
    project: ProjectId,
    id: BuildId,
    first: u32,
    documents: &[String],
) -> Outcome<()> {
    for (nth, document) in (first..).zip(documents) {
        diesel::insert_into(receipt::table)
            .values((
                receipt::project_id.eq(project.0),
                receipt::build_id.eq(Id(id.0)),
                receipt::nth.eq(number(nth)),
                receipt::document.eq(tests::plain(document)),
            ))
            .execute(conn)?;
    }
    Ok(())
}

pub(super) fn receipts(
    conn: &mut Conn,
    project: ProjectId,
    id: BuildId,
    most: u32,
) -> Outcome<Receipts> {
    let of_build: Option<Option<String>> =
        build::table.find((project.0, Id(id.0))).select(build::receipt).first(conn).optional()?;
    let of_steps: Vec<Option<String>> = step::table
        .filter(step::project_id.eq(project.0).and(step::build_id.eq(Id(id.0))))
        .filter(step::receipt.is_not_null())
        .order(step::position)
        .limit(most.into())
        .select(step::receipt)
        .load(conn)?;
    let documents = of_build.into_iter().chain(of_steps).flatten().collect();
    Ok(Receipts { documents, files: of_files(conn, project, id, most)? })
}

/// What the files that a build came with, or that were added to it, were read as.
fn of_files(conn: &mut Conn, project: ProjectId, id: BuildId, most: u32) -> Outcome<Vec<String>> {
    let (mut found, mut bytes) = (Vec::new(), 0);
    loop {
        let some: Vec<String> = receipt::table
            .filter(receipt::project_id.eq(project.0).and(receipt::build_id.eq(Id(id.0))))
            .order(receipt::nth)
            .offset(i64::try_from(found.len()).unwrap_or(i64::MAX))
            .limit(AT_ONCE.min(i64::from(most) - i64::try_from(found.len()).unwrap_or(i64::MAX)))
            .select(receipt::document)
            .load(conn)?;
        let is_last = some.len() < usize::try_from(AT_ONCE).unwrap_or(0);
        bytes += some.iter().map(String::len).sum::<usize>();
        found.extend(some);
        // All that are wanted are read without a bound of bytes where something is done with them.
        let is_enough = most < u32::MAX && bytes > MOST_BYTES;
        if is_last || is_enough || found.len() >= most as usize {
            return Ok(found);
        }
    }
}

/// How many receipts are read at once, and how many bytes of them are shown, about.
const AT_ONCE: i64 = 50;
const MOST_BYTES: usize = 8 << 20;

/// The places of steps that came as documents of the API: those that no upload is.
fn places_of_documents(uploads: &[KeptUpload], steps: u32) -> Vec<u32> {
    let is_of = |nth: u32| {
        let is_in =
            |piece: Piece| (piece.first..piece.first.saturating_add(piece.count)).contains(&nth);
        uploads.iter().any(|upload| is_in(upload.steps))
    };
    (0..steps).filter(|nth| !is_of(*nth)).collect()
}

/// What the steps of a build that came as documents were read as, by their places once its uploads were read again.
fn moved_documents(conn: &mut Conn, of: &Build, new: &Reread) -> Outcome<HashMap<u32, String>> {
    // One that was not read again stays as it was, like a document.
    let mut uploads = list(conn, of.project, of.id)?;
    uploads.retain(|upload| new.uploads.iter().any(|again| again.nth == upload.nth));
    let old = places_of_documents(&uploads, of.steps);
    let known: Vec<(i32, Option<String>)> = step::table
        .filter(step::project_id.eq(of.project.0).and(step::build_id.eq(Id(of.id.0))))
        .filter(step::receipt.is_not_null())
        .select((step::position, step::receipt))
        .load(conn)?;
    let mut known: HashMap<u32, String> = known
        .into_iter()
        .filter_map(|(place, receipt)| Some((place.unsigned_abs(), receipt?)))
        .collect();
    let steps = u32::try_from(new.steps.len()).unwrap_or(u32::MAX);
    let moved = old.into_iter().zip(places_of_documents(&new.uploads, steps));
    Ok(moved.filter_map(|(from, to)| Some((to, known.remove(&from)?))).collect())
}

/// The uploads of a build that are kept, in order, without their bodies.
pub(super) fn list(conn: &mut Conn, project: ProjectId, id: BuildId) -> Outcome<Vec<KeptUpload>> {
    type Row = (i32, At, String, String, bool, (i32, i32), (i32, i32), (i32, i32), i64);
    let rows: Vec<Row> = upload::table
        .filter(upload::project_id.eq(project.0).and(upload::build_id.eq(Id(id.0))))
        .order(upload::nth)
        .select((
            upload::nth,
            upload::received,
            upload::content_type,
            upload::query,
            upload::one_step,
            (upload::first_step, upload::steps),
            (upload::first_test, upload::tests),
            (upload::first_receipt, upload::receipts),
            upload::bytes,
        ))
        .load(conn)?;
    rows.into_iter()
        .map(|(nth, received, content_type, query, one_step, steps, tests, receipts, bytes)| {
            Ok(KeptUpload {
                nth: nth.unsigned_abs(),
                received: instant(received, 0)?,
                content_type,
                query,
                one_step,
                steps: piece(steps.0, steps.1),
                tests: piece(tests.0, tests.1),
                receipts: piece(receipts.0, receipts.1),
                bytes: bytes.unsigned_abs(),
            })
        })
        .collect()
}

pub(super) fn body(
    conn: &mut Conn,
    project: ProjectId,
    id: BuildId,
    nth: u32,
) -> Outcome<Option<Vec<u8>>> {
    let found: Option<(Vec<u8>, i16)> = upload::table
        .find((project.0, Id(id.0), number(nth)))
        .select((upload::body, upload::packed))
        .first(conn)
        .optional()?;
    found.map(|(body, packed)| unpack_bytes(body, packed != 0)).transpose()
}

/// Replaces what a build's uploads were read as.
pub(super) fn reread(conn: &mut Conn, of: &Build, new: &Reread) -> Outcome<Updated<()>> {
    let (project, id) = (of.project.0, Id(of.id.0));
    let this = || build::table.filter(build::project_id.eq(project).and(build::id.eq(id)));
    let failed = new.steps.iter().filter(|step| !step.success).count();
    // Holds the row, so that nothing is added meanwhile.
    let held: Option<Option<i64>> = diesel::update(this().filter(build::version.eq(of.version)))
        .set((
            build::version.eq(next("build.version")),
            build::steps.eq(i32::try_from(new.steps.len()).unwrap_or(i32::MAX)),
            build::failed_steps.eq(i32::try_from(failed).unwrap_or(i32::MAX)),
            build::output_bytes.eq(output_bytes(&new.steps)),
            build::tests.eq(""),
            build::updated_at.eq(At(new.now.micros())),
        ))
        .returning(build::sender_id)
        .get_result(conn)
        .optional()?;
    let Some(sender) = held else {
        let there: i64 = this().count().get_result(conn)?;
        return Ok(if there > 0 { Updated::Stale } else { Updated::Gone });
    };
    if let (Ended::Finished { .. }, Some(success)) = (of.outcome, new.success) {
        diesel::update(this()).set(build::success.eq(success)).execute(conn)?;
    }
    let mut documents = moved_documents(conn, of, new)?;
    diesel::delete(step::table.filter(step::project_id.eq(project).and(step::build_id.eq(id))))
        .execute(conn)?;
    let cases = test_result::project_id.eq(project).and(test_result::build_id.eq(id));
    diesel::delete(test_result::table.filter(cases)).execute(conn)?;
    let receipts = receipt::project_id.eq(project).and(receipt::build_id.eq(id));
    diesel::delete(receipt::table.filter(receipts)).execute(conn)?;
    for (place, step) in (0..).zip(&new.steps) {
        let receipt = documents.remove(&place);
        insert_step(conn, of.project, of.id, number(place), step, receipt.as_deref())?;
    }
    let steps = Piece { first: 0, count: u32::try_from(new.steps.len()).unwrap_or(u32::MAX) };
    let part = Part { project: of.project, build: of.id, report: &new.report, steps };
    tests::add(conn, &[part])?;
    for upload in &new.uploads {
        diesel::update(upload::table.find((project, id, number(upload.nth))))
            .set((
                upload::first_step.eq(number(upload.steps.first)),
                upload::steps.eq(number(upload.steps.count)),
                upload::first_test.eq(number(upload.tests.first)),
                upload::tests.eq(number(upload.tests.count)),
                upload::first_receipt.eq(number(upload.receipts.first)),
                upload::receipts.eq(number(upload.receipts.count)),
            ))
            .execute(conn)?;
    }
    lists::bump(conn, project, std::iter::empty(), sender, 0)?;
    upkeep::collection_changed(conn, builds::COLLECTION, 0)?;
    Ok(Updated::Done(()))
}

/// Removes a piece of the uploads that are older than that; true where there was one.
pub(super) fn forget_before(conn: &mut Conn, oldest: At, piece: i64) -> Outcome<bool> {
    let statement = format!(
        "delete from upload where (project_id, build_id, nth) in \
         (select project_id, build_id, nth from upload where received < ? order by received limit {piece})"
    );
    let removed = Sql::<()>::new(statement)
        .bind::<crate::store::schema::sql::Instant, _>(oldest)
        .execute(conn)?;
    Ok(removed > 0)
}

/// Removes some of the oldest uploads where all of them together are longer than that; true where there were.
pub(super) fn forget_beyond(conn: &mut Conn, bytes: u64, piece: i64) -> Outcome<bool> {
    let kept: i64 =
        Sql::<BigInt>::new("select cast(coalesce(sum(bytes), 0) as bigint) from upload")
            .get_result(conn)?;
    if kept.unsigned_abs() <= bytes {
        return Ok(false);
    }
    // As many of the oldest as are too much, and no more.
    let oldest: Vec<(i64, Id, i32, i64)> = upload::table
        .order((upload::received, upload::bytes))
        .limit(piece)
        .select((upload::project_id, upload::build_id, upload::nth, upload::bytes))
        .load(conn)?;
    let mut left = kept.unsigned_abs();
    for (project, id, nth, size) in oldest {
        if left <= bytes {
            break;
        }
        diesel::delete(upload::table.find((project, id, nth))).execute(conn)?;
        left = left.saturating_sub(size.unsigned_abs());
    }
    Ok(true)
}

/// Whether a summary says how many cases there are so far.
pub(super) fn count(summary: &TestSummary) -> u32 {
    u32::try_from(summary.total).unwrap_or(u32::MAX)
}
