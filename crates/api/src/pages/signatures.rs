//! The page of a signature.

use actix_web::HttpResponse;
use devmason_domain::{SignatureId, Slug};
use devmason_pages::SignaturePage;

use super::may_triage;
use crate::call::Call;
use crate::documents::signatures;
use crate::error::ApiError;
use crate::respond::Found;

/// A signature.
pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    id: &SignatureId,
) -> Result<HttpResponse, ApiError> {
    let read = match signatures::read(call, slug, id).await? {
        Found::Ready(answer) => return Ok(answer),
        Found::New(read) => read,
    };
    let may_triage = may_triage(call, &read.project);
    let page = SignaturePage::new(call.site(), &read.project, &read.document, may_triage);
    call.paged(&read.etag, &page)
}
