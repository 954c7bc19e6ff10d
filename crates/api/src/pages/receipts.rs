//! The page of a receipt.

use actix_web::HttpResponse;
use devmason_domain::{Build, BuildKey, Project, Slug};
use devmason_hypermedia::{Method, Subject};
use devmason_pages::ReceiptPage;
use devmason_repository::Piece;

use crate::call::Call;
use crate::documents::builds::find;
use crate::documents::receipts::{SHOWN, or_what_it_has, reparsed};
use crate::error::ApiError;

/// The HTML page: a table that shows which files are kept, and a form to reparse them.
async fn show(call: &Call<'_>, project: &Project, build: &Build) -> Result<HttpResponse, ApiError> {
    let (id, of) = (project.id, build.id);
    let (receipts, kept) = call
        .ask(move |repository| {
            Ok((repository.receipt_list(id, of, SHOWN)?, repository.upload_list(id, of)?))
        })
        .await?;
    let receipts = or_what_it_has(receipts, build);
    let mut files: Vec<(String, bool)> =
        receipts.files.into_iter().map(|file| (file, false)).collect();
    for Piece { first, count } in kept.iter().map(|upload| upload.receipts) {
        let of = files.iter_mut().skip(first as usize).take(count as usize);
        of.for_each(|(_, is_kept)| *is_kept = true);
    }
    let methods = call.view().methods(Subject::Reparse(project, build));
    let may_reparse = methods.contains(&Method::Post) && !kept.is_empty();
    let of = (project, build);
    call.shown(&ReceiptPage::new(call.site(), of, &receipts.documents, &files, may_reparse))
}

pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<HttpResponse, ApiError> {
    let (project, build) = find(call, slug, key).await?;
    show(call, &project, &build).await
}

/// Parses the uploads again, and shows the new receipt.
pub(crate) async fn reparse(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<HttpResponse, ApiError> {
    let (project, build) = reparsed(call, slug, key).await?;
    show(call, &project, &build).await
}
