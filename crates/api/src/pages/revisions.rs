//! The page of a commit's insight.

use actix_web::HttpResponse;
use devmason_domain::Slug;
use devmason_pages::RevisionPage;

use super::{LONGEST, pager, shown};
use crate::call::Call;
use crate::documents::revisions;
use crate::error::ApiError;
use crate::respond::Found;

pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    revision: &str,
) -> Result<HttpResponse, ApiError> {
    let page = match revisions::page(call, slug, revision, LONGEST).await? {
        Found::Ready(answer) => return Ok(answer),
        Found::New(page) => page,
    };
    let pager = pager(call, &page.list, String::new());
    let of = (&page.document, shown(call, &page.project));
    let html = RevisionPage::new(call.site(), &page.project, of, pager);
    call.paged(&page.etag, &html.map_err(|error| ApiError::Unwritable(error.to_string()))?)
}
