//! Storing and reading receipts and uploads.

use std::borrow::Cow;

use devmason_domain::{BuildId, ProjectId, TestSummary};
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::{Conn, Sql};
use crate::store::columns::{At, Id, instant, plain};
use crate::store::fault::Outcome;
use crate::store::packed::{pack_bytes, unpack_bytes};
use crate::store::schema::{build, receipt, step, upload};
use crate::{KeptUpload, PackedBody, PackedCases, Piece, RawBody, Receipts, TestReport};

pub(in super::super) fn number(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn piece(first: i32, count: i32) -> Piece {
    Piece { first: first.unsigned_abs(), count: count.unsigned_abs() }
}

/// The number of receipts of a build.
fn count_receipts(conn: &mut Conn, project: ProjectId, id: BuildId) -> Outcome<u32> {
    let known: i64 = receipt::table
        .filter(receipt::project_id.eq(project.0).and(receipt::build_id.eq(Id(id.0))))
        .count()
        .get_result(conn)?;
    Ok(u32::try_from(known).unwrap_or(u32::MAX))
}

/// Appends a part's receipts and its upload to those of its build.
pub(in super::super) fn add(conn: &mut Conn, part: &Part<'_>, first_test: u32) -> Outcome<()> {
    if part.report.receipts.is_empty() && part.report.upload.is_none() {
        return Ok(());
    }
    let first_receipt = count_receipts(conn, part.project, part.build)?;
    insert_receipts(conn, part, first_receipt)?;
    let Some(raw) = &part.report.upload else { return Ok(()) };
    let known: i64 = upload::table
        .filter(upload::project_id.eq(part.project.0).and(upload::build_id.eq(Id(part.build.0))))
        .count()
        .get_result(conn)?;
    let packed;
    let body = match &raw.body {
        RawBody::Packed(body) => body,
        RawBody::Given(body) => {
            packed = pack(body);
            &packed
        }
    };
    diesel::insert_into(upload::table)
        .values((
            (
                upload::project_id.eq(part.project.0),
                upload::build_id.eq(Id(part.build.0)),
                upload::nth.eq(i32::try_from(known).unwrap_or(i32::MAX)),
                upload::received.eq(At(raw.received.micros())),
                upload::content_type.eq(plain(&raw.content_type)),
                upload::said.eq(plain(&raw.said)),
                upload::one_step.eq(raw.one_step),
                upload::first_step.eq(number(part.steps.first)),
                upload::steps.eq(number(part.steps.count)),
            ),
            (
                upload::first_test.eq(number(first_test)),
                upload::tests.eq(i32::try_from(part.cases.len()).unwrap_or(i32::MAX)),
                upload::first_receipt.eq(number(first_receipt)),
                upload::receipts.eq(i32::try_from(part.report.receipts.len()).unwrap_or(i32::MAX)),
                upload::bytes.eq(i64::try_from(body.bytes.len()).unwrap_or(i64::MAX)),
                upload::packed.eq(i16::from(body.is_compressed)),
                upload::body.eq(body.bytes.as_slice()),
            ),
        ))
        .execute(conn)?;
    Ok(())
}

fn insert_receipts(conn: &mut Conn, part: &Part<'_>, first: u32) -> Outcome<()> {
    for (nth, document) in (first..).zip(&part.report.receipts) {
        diesel::insert_into(receipt::table)
            .values((
                receipt::project_id.eq(part.project.0),
                receipt::build_id.eq(Id(part.build.0)),
                receipt::nth.eq(number(nth)),
                receipt::document.eq(plain(document)),
                receipt::part.eq(part.report.part.as_deref()),
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

/// The receipts of a build's files.
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
        // A caller that asks for all receipts processes them, so no size limit applies.
        let is_enough = most < u32::MAX && bytes > MOST_BYTES;
        if is_last || is_enough || found.len() >= most as usize {
            return Ok(found);
        }
    }
}

/// How many receipts are read at once, and roughly how many bytes of them are returned.
const AT_ONCE: i64 = 50;
const MOST_BYTES: usize = 8 << 20;

/// The stored uploads of a build, in order, without their bodies.
pub(super) fn list(conn: &mut Conn, project: ProjectId, id: BuildId) -> Outcome<Vec<KeptUpload>> {
    type Row = (i32, At, String, String, bool, (i32, i32), (i32, i32), (i32, i32), i64);
    let rows: Vec<Row> = upload::table
        .filter(upload::project_id.eq(project.0).and(upload::build_id.eq(Id(id.0))))
        .order(upload::nth)
        .select((
            upload::nth,
            upload::received,
            upload::content_type,
            upload::said,
            upload::one_step,
            (upload::first_step, upload::steps),
            (upload::first_test, upload::tests),
            (upload::first_receipt, upload::receipts),
            upload::bytes,
        ))
        .load(conn)?;
    rows.into_iter()
        .map(|(nth, received, content_type, said, one_step, steps, tests, receipts, bytes)| {
            Ok(KeptUpload {
                nth: nth.unsigned_abs(),
                received: instant(received, 0)?,
                content_type,
                said,
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

/// Removes the receipts and uploads of a build.
pub(in super::super) fn remove(conn: &mut Conn, project: ProjectId, id: BuildId) -> Outcome<()> {
    for statement in [
        "delete from receipt where project_id = ? and build_id = ?",
        "delete from upload where project_id = ? and build_id = ?",
    ] {
        Sql::<()>::new(statement)
            .bind::<BigInt, _>(project.0)
            .bind::<crate::store::schema::sql::Uuid, _>(Id(id.0))
            .execute(conn)?;
    }
    Ok(())
}

/// Removes a batch of uploads older than the given time; true if there were any.
pub(in super::super) fn forget_before(conn: &mut Conn, oldest: At, piece: i64) -> Outcome<bool> {
    let statement = format!(
        "delete from upload where (project_id, build_id, nth) in \
         (select project_id, build_id, nth from upload where received < ? order by received limit {piece})"
    );
    let removed = Sql::<()>::new(statement)
        .bind::<crate::store::schema::sql::Instant, _>(oldest)
        .execute(conn)?;
    Ok(removed > 0)
}

/// Removes some of the oldest uploads if the total size exceeds the limit; true if it did.
pub(in super::super) fn forget_beyond(conn: &mut Conn, bytes: u64, piece: i64) -> Outcome<bool> {
    let kept: i64 =
        Sql::<BigInt>::new("select cast(coalesce(sum(bytes), 0) as bigint) from upload")
            .get_result(conn)?;
    if kept.unsigned_abs() <= bytes {
        return Ok(false);
    }
    // Only as many of the oldest as are needed.
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

/// The number of cases according to a summary.
pub(in super::super) fn count(summary: &TestSummary) -> u32 {
    u32::try_from(summary.total).unwrap_or(u32::MAX)
}

/// The report of a build or step that was just stored, and which steps of the build it belongs to.
pub(in super::super) struct Part<'a> {
    pub(in super::super) project: ProjectId,
    pub(in super::super) build: BuildId,
    pub(in super::super) report: &'a TestReport,
    /// Its cases, packed.
    pub(in super::super) cases: &'a PackedCases,
    pub(in super::super) steps: Piece,
}

impl Part<'_> {
    /// Whether there is nothing to store.
    pub(in super::super) fn is_empty(&self) -> bool {
        self.report.is_empty()
    }
}

pub(super) fn pack(body: &[u8]) -> PackedBody {
    match pack_bytes(body) {
        Cow::Owned(bytes) => PackedBody { bytes, is_compressed: true },
        Cow::Borrowed(bytes) => PackedBody { bytes: bytes.to_vec(), is_compressed: false },
    }
}
