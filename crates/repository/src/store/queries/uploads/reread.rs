//! Storing the result of reparsing a build's uploads.

use std::borrow::Cow;
use std::collections::HashMap;

use devmason_domain::{Build, Outcome as Ended, Step, StepLog};
use diesel::prelude::*;

use super::super::logs;
use super::steps::{insert_step, output_bytes};
use super::stored::{Part, list, number};
use super::{Conn, cases, counts, next};
use crate::store::columns::{At, Id};
use crate::store::fault::Outcome;
use crate::store::schema::{build, receipt, step, upload};
use crate::{KeptUpload, PackedCases, Piece, Reread, Updated};

/// The positions of steps that came as API documents and belong to no upload.
fn places_of_documents(uploads: &[KeptUpload], steps: u32) -> Vec<u32> {
    let is_of = |nth: u32| {
        let is_in =
            |piece: Piece| (piece.first..piece.first.saturating_add(piece.count)).contains(&nth);
        uploads.iter().any(|upload| is_in(upload.steps))
    };
    (0..steps).filter(|nth| !is_of(*nth)).collect()
}

/// The positions of steps that came as documents, before and after reparsing.
fn moved_documents(conn: &mut Conn, of: &Build, new: &Reread) -> Outcome<Vec<(u32, u32)>> {
    // An upload that was not reparsed keeps its steps, like a document.
    let mut uploads = list(conn, of.project, of.id)?;
    uploads.retain(|upload| new.uploads.iter().any(|again| again.nth == upload.nth));
    let old = places_of_documents(&uploads, of.steps);
    let steps = u32::try_from(new.steps.len()).unwrap_or(u32::MAX);
    Ok(old.into_iter().zip(places_of_documents(&new.uploads, steps)).collect())
}

/// What a step's document left beside the step: its receipt, and the fingerprint of its end.
type Beside = (Option<String>, Option<Vec<u8>>);

fn beside_documents(
    conn: &mut Conn,
    of: &Build,
    moved: &[(u32, u32)],
) -> Outcome<HashMap<u32, Beside>> {
    let known: Vec<(i32, Option<String>, Option<Vec<u8>>)> = step::table
        .filter(step::project_id.eq(of.project.0).and(step::build_id.eq(Id(of.id.0))))
        .filter(step::receipt.is_not_null().or(step::digest.is_not_null()))
        .select((step::position, step::receipt, step::digest))
        .load(conn)?;
    let mut known: HashMap<u32, Beside> = known
        .into_iter()
        .map(|(place, receipt, digest)| (place.unsigned_abs(), (receipt, digest)))
        .collect();
    Ok(moved.iter().filter_map(|(from, to)| Some((*to, known.remove(from)?))).collect())
}

/// Replaces what a build's uploads were parsed into.
pub(super) fn reread(
    conn: &mut Conn,
    of: &Build,
    new: &Reread,
    packed: &PackedCases,
) -> Outcome<Updated<()>> {
    let (project, id) = (of.project.0, Id(of.id.0));
    let this = || build::table.filter(build::project_id.eq(project).and(build::id.eq(id)));
    let failed = new.steps.iter().filter(|step| !step.success).count();
    // Locks the row, so that nothing is added in the meantime.
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
    let moved = moved_documents(conn, of, new)?;
    let mut documents = beside_documents(conn, of, &moved)?;
    logs::move_all(conn, of, &moved)?;
    diesel::delete(step::table.filter(step::project_id.eq(project).and(step::build_id.eq(id))))
        .execute(conn)?;
    cases::remove(conn, of.project, of.id)?;
    let receipts = receipt::project_id.eq(project).and(receipt::build_id.eq(id));
    diesel::delete(receipt::table.filter(receipts)).execute(conn)?;
    for (place, step) in (0..).zip(&new.steps) {
        let (receipt, digest) = documents.remove(&place).unwrap_or_default();
        // What its log has stays there.
        let logged = || Step { output: String::new(), errout: String::new(), ..step.clone() };
        let step =
            if step.log == StepLog::Absent { Cow::Borrowed(step) } else { Cow::Owned(logged()) };
        insert_step(conn, of.project, of.id, number(place), &step, receipt.as_deref())?;
        if let Some(digest) = digest {
            diesel::update(step::table.find((project, id, number(place))))
                .set(step::digest.eq(digest))
                .execute(conn)?;
        }
    }
    let steps = Piece { first: 0, count: u32::try_from(new.steps.len()).unwrap_or(u32::MAX) };
    let part =
        Part { project: of.project, build: of.id, report: &new.report, cases: packed, steps };
    cases::add(conn, &[part])?;
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
    counts::bump(conn, project, std::iter::empty(), sender, 0)?;
    counts::collection_changed(conn, counts::BUILDS, 0)?;
    Ok(Updated::Done(()))
}
