//! The page of the server's administrators.

use actix_web::HttpResponse;
use devmason_pages::AdministrationPage;

use crate::call::Call;
use crate::documents::administration::state;
use crate::error::ApiError;

pub(crate) async fn get(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let state = state(call).await?;
    call.shown(&AdministrationPage { site: call.site(), of: state })
}
