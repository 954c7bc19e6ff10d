//! Receipts: how a build's uploads were parsed; and reparsing.

use std::time::Instant;

use actix_web::HttpResponse;
use devmason_domain::{Build, BuildKey, Counts, Outcome, Project, Receipt, Slug, Step, Timestamp};
use devmason_hypermedia::Resource;
use devmason_hypermedia::document::ReceiptDocument;
use devmason_repository::{
    KeptUpload, Piece, Receipts, Repository, Reread, TestQuery, TestReport, Updated,
};
use serde_json::value::RawValue;

use super::builds::{borrowed, find, state};
use crate::call::Call;
use crate::error::ApiError;
use crate::upload;

/// Maximum total size of a build's uploads for reparsing, in bytes as stored.
const MAX_REREAD: u64 = 256 << 20;

/// Maximum number of document receipts, and of file receipts, to show.
pub(crate) const SHOWN: u32 = 1_000;

pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<HttpResponse, ApiError> {
    let (project, build) = find(call, slug, key).await?;
    match call.ready(&call.etag(&borrowed(&state(&project, &build)))) {
        Some(answer) => Ok(answer),
        None => show(call, &project, &build).await,
    }
}

async fn show(call: &Call<'_>, project: &Project, build: &Build) -> Result<HttpResponse, ApiError> {
    let etag = call.etag(&borrowed(&state(project, build)));
    let (id, of) = (project.id, build.id);
    let receipts = call.ask(move |repository| repository.receipt_list(id, of, SHOWN)).await?;
    let uploads = or_what_it_has(receipts, build)
        .all()
        .into_iter()
        .map(RawValue::from_string)
        .collect::<Result<_, _>>()
        .map_err(|error| ApiError::Unwritable(error.to_string()))?;
    let links = call.view().receipt_links(project, build);
    call.ok(&etag, &ReceiptDocument { uploads, links })
}

/// A build stored before document receipts were introduced gets a receipt made from its own data.
pub(crate) fn or_what_it_has(mut receipts: Receipts, build: &Build) -> Receipts {
    if receipts.documents.is_empty() && receipts.files.is_empty() {
        let receipt = Receipt {
            format: Some(Receipt::DOCUMENT.to_owned()),
            recognized: Receipt::AS_SAID.to_owned(),
            steps: Some(build.steps.into()),
            tests: Some(Counts::from(&build.tests)),
            ..Receipt::default()
        };
        receipts.documents.push(upload::written(&receipt));
    }
    receipts
}

pub(crate) async fn reparse(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<HttpResponse, ApiError> {
    let receipt = Resource::Receipt(slug.clone(), key.clone());
    let (project, build) = reparsed(call, slug, key).await?;
    show(&Call { arrived: Instant::now(), resource: &receipt, ..*call }, &project, &build).await
}

/// Reparses the uploads of a build and returns the updated build.
pub(crate) async fn reparsed(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<(Project, Build), ApiError> {
    let (project, build) = find(call, slug, key).await?;
    call.app.settings.policy.delete_build(call.viewer(), &project, &build)?;
    // A reparse replaces the receipt, and has no document of its own.
    let receipt = Resource::Receipt(slug.clone(), key.clone());
    let of_receipt = Call { resource: &receipt, ..*call };
    of_receipt.seen(build.version, &borrowed(&state(&project, &build)))?;
    let new = reread(call, &build).await?;
    match call.ask(move |repository| repository.build_reread(&build, &new)).await? {
        Updated::Done(()) => find(&Call { arrived: Instant::now(), ..*call }, slug, key).await,
        Updated::Stale => Err(ApiError::Conflict("the build changed in the meantime; retry")),
        Updated::Gone => Err(ApiError::NotFound("build not found")),
    }
}

/// The build after reparsing its uploads; data from other sources stays in place.
async fn reread(call: &Call<'_>, build: &Build) -> Result<Reread, ApiError> {
    let of = build.clone();
    let (kept, old) = call
        .ask(move |repository| {
            let kept = repository.upload_list(of.project, of.id)?;
            let bytes = kept.iter().map(|upload| upload.bytes).sum::<u64>() + of.output_bytes;
            let is_short = bytes <= MAX_REREAD;
            let old =
                if is_short && !kept.is_empty() { Some(Old::load(repository, &of)?) } else { None };
            Ok((kept, old))
        })
        .await?;
    if kept.is_empty() {
        return Err(ApiError::Conflict("no stored uploads for this build"));
    }
    let old = old
        .ok_or(ApiError::Conflict("the build's uploads are too large to reparse in one request"))?;
    if old.steps.iter().any(Step::is_running) {
        return Err(ApiError::Conflict("a step of the build is running; end it first"));
    }
    let succeeded = old.steps.iter().all(|step| step.success);
    let (mut steps, mut tests, mut receipts) =
        (Pieces::of(old.steps), Pieces::of(old.tests), Pieces::of(old.receipts));
    let mut uploads = Vec::with_capacity(kept.len());
    for upload in kept {
        let (project, id, nth) = (build.project, build.id, upload.nth);
        let body = call.ask(move |repository| repository.upload_body(project, id, nth)).await?;
        // An upload that has just expired keeps its previous results.
        let Some(body) = body else { continue };
        let again = upload::read_again(call, &upload, body).await?;
        uploads.push(KeptUpload {
            steps: steps.replace(upload.steps, again.steps),
            tests: tests.replace(upload.tests, again.tests),
            receipts: receipts.replace(upload.receipts, again.receipts),
            ..upload
        });
    }
    let steps: Vec<Step> = steps.whole();
    // A result derived from the steps is derived again; one reported for the build itself stays.
    let success = match build.outcome {
        Outcome::Finished { success, .. } if success == succeeded => {
            Some(steps.iter().all(|step| step.success))
        }
        _ => None,
    };
    let report = TestReport {
        tests: tests.whole().into(),
        receipts: receipts.whole(),
        ..TestReport::default()
    };
    Ok(Reread { steps, report, uploads, success, now: Timestamp::now() })
}

/// The current contents of a build.
struct Old {
    steps: Vec<Step>,
    tests: Vec<devmason_domain::TestResult>,
    receipts: Vec<String>,
}

impl Old {
    fn load(repository: &dyn Repository, of: &Build) -> devmason_repository::Result<Self> {
        let steps = repository.step_list(std::slice::from_ref(of))?.pop().flatten();
        let tests = repository.test_list(&TestQuery::all(of.project, of.id))?;
        Ok(Self {
            steps: steps.unwrap_or_default(),
            tests: tests.into_iter().map(|placed| placed.result).collect(),
            receipts: repository.receipt_list(of.project, of.id, u32::MAX)?.files,
        })
    }
}

/// A list of which pieces are replaced in order.
struct Pieces<T> {
    old: std::vec::IntoIter<T>,
    taken: u32,
    new: Vec<T>,
}

impl<T> Pieces<T> {
    fn of(old: Vec<T>) -> Self {
        Self { old: old.into_iter(), taken: 0, new: Vec::new() }
    }

    /// Replaces a piece, which must come after the previous one; returns the position of its
    /// replacement.
    fn replace(&mut self, piece: Piece, by: Vec<T>) -> Piece {
        let before = piece.first.saturating_sub(self.taken);
        self.new.extend(self.old.by_ref().take(before as usize));
        self.old.by_ref().take(piece.count as usize).for_each(drop);
        self.taken = piece.first.saturating_add(piece.count);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let place = Piece { first: number(self.new.len()), count: number(by.len()) };
        self.new.extend(by);
        place
    }

    /// The complete new list.
    fn whole(mut self) -> Vec<T> {
        self.new.extend(self.old);
        self.new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_replaced_and_the_rest_stays() {
        let piece = |first, count| Piece { first, count };
        let mut pieces = Pieces::of((0..10).collect());
        assert_eq!(pieces.replace(piece(1, 2), vec![100]), piece(1, 1));
        assert_eq!(pieces.replace(piece(3, 0), vec![200, 201]), piece(2, 2));
        assert_eq!(pieces.replace(piece(5, 4), vec![]), piece(6, 0));
        assert_eq!(pieces.whole(), [0, 100, 200, 201, 3, 4, 9]);
    }
}
