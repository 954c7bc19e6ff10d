//! Storing the result of reparsing a build's uploads.

use std::collections::HashMap;

use devmason_domain::{Build, Outcome as Ended};
use diesel::prelude::*;

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

/// The receipts of steps that came as documents, by their positions after reparsing.
fn moved_documents(conn: &mut Conn, of: &Build, new: &Reread) -> Outcome<HashMap<u32, String>> {
    // An upload that was not reparsed keeps its steps, like a document.
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
    let mut documents = moved_documents(conn, of, new)?;
    diesel::delete(step::table.filter(step::project_id.eq(project).and(step::build_id.eq(id))))
        .execute(conn)?;
    cases::remove(conn, of.project, of.id)?;
    let receipts = receipt::project_id.eq(project).and(receipt::build_id.eq(id));
    diesel::delete(receipt::table.filter(receipts)).execute(conn)?;
    for (place, step) in (0..).zip(&new.steps) {
        let receipt = documents.remove(&place);
        insert_step(conn, of.project, of.id, number(place), step, receipt.as_deref())?;
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
