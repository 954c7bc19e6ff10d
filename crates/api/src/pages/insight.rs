//! The page of a build's insight.

use actix_web::HttpResponse;
use devmason_domain::{BuildKey, Slug};
use devmason_pages::InsightPage;

use super::{LONGEST, may_triage, pager};
use crate::call::Call;
use crate::documents::insight;
use crate::error::ApiError;
use crate::respond::Found;

pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<HttpResponse, ApiError> {
    let page = match insight::page(call, slug, key, LONGEST).await? {
        Found::Ready(answer) => return Ok(answer),
        Found::New(page) => page,
    };
    let pager = pager(call, &page.list, String::new());
    let of = (&page.document, may_triage(call, &page.project));
    let shown = InsightPage::new(call.site(), &page.project, &page.build, of, pager);
    call.paged(&page.etag, &shown.map_err(|error| ApiError::Unwritable(error.to_string()))?)
}
