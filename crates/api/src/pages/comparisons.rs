//! The page of two builds, compared.

use actix_web::HttpResponse;
use devmason_domain::Slug;
use devmason_hypermedia::BuildPair;
use devmason_pages::ComparisonPage;

use crate::call::Call;
use crate::documents::comparisons::compared;
use crate::error::ApiError;
use crate::respond::Found;

pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    pair: &BuildPair,
) -> Result<HttpResponse, ApiError> {
    match compared(call, slug, pair).await? {
        Found::Ready(answer) => Ok(answer),
        Found::New(of) => {
            call.paged(&of.etag, &ComparisonPage::new(call.site(), &of.project, &of.document))
        }
    }
}
