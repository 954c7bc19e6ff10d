//! The page of a build's insight.

use actix_web::HttpResponse;
use devmason_domain::{BuildKey, Slug};
use devmason_pages::InsightPage;

use super::{LONGEST, pager, shown};
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
    let of = (&page.document, shown(call, &page.project));
    let html = InsightPage::new(call.site(), &page.project, &page.build, of, pager);
    call.paged(&page.etag, &html.map_err(|error| ApiError::Unwritable(error.to_string()))?)
}
