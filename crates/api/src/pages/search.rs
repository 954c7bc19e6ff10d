//! The page of a search.

use actix_web::HttpResponse;
use devmason_pages::SearchPage;

use crate::call::Call;
use crate::documents::search::{found, wanted};
use crate::error::ApiError;

pub(crate) async fn get(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let typed = call.params.first("q").unwrap_or_default();
    // Who typed too little is told so beside the box.
    let (results, problem) = match wanted(call) {
        Ok(Some(text)) => (Some(found(call, text).await?), String::new()),
        Ok(None) => (None, String::new()),
        Err(ApiError::BadValue { problem, .. }) => (None, problem),
        Err(error) => return Err(error),
    };
    call.shown(&SearchPage { site: call.site(), typed, results, problem })
}
