//! The documentation, and the reference of the API.

use actix_web::HttpResponse;
use devmason_domain::Digest;
use devmason_pages::{Doc, DocPage, Reference, Site};

use crate::call::Call;
use crate::error::ApiError;
use crate::negotiate::Format;

/// The call as it is for a browser: these pages have no other representation.
fn as_page<'a>(call: &Call<'a>) -> Call<'a> {
    Call { format: Format::Html, ..*call }
}

/// A page or an image of the documentation.
pub(crate) fn page(call: &Call<'_>, path: &str) -> Result<HttpResponse, ApiError> {
    let call = as_page(call);
    if let Some(image) = Doc::image(path) {
        let etag = call.etag(&[&Digest::of(image).short()]);
        if call.is_known(&etag) {
            return Ok(call.unchanged(&etag));
        }
        return Ok(call.other(&etag, "image/png", image));
    }
    let doc = Doc::find(path).ok_or(ApiError::NotFound("page not found"))?;
    let site = Site { json: None, ..call.site() };
    call.shown(&DocPage::new(site, doc))
}

/// The reference of the API.
pub(crate) fn reference(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let call = as_page(call);
    let etag = call.etag(&[]);
    if let Some(answer) = call.ready(&etag) {
        return Ok(answer);
    }
    let site = Site { json: None, ..call.site() };
    let description = crate::openapi::document(&call.app.settings.version, "");
    call.paged(&etag, &Reference::new(site, &description))
}
