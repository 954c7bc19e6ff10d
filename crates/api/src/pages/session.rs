//! The page to sign in with.

use actix_web::HttpResponse;
use devmason_pages::SignIn;

use crate::call::Call;
use crate::error::ApiError;
use crate::form::is_within;

pub(crate) fn get(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let next = call.params.first("next").unwrap_or_default();
    let next = if is_within(next, call.base.prefix()) { next } else { "" };
    call.shown(&SignIn { site: call.site(), next, username: "", problem: "" })
}
