//! Submissions of squad-client.

use actix_web::HttpResponse;
use actix_web::http::header;
use devmason_domain::{Digest, Timestamp};
use devmason_wire::Field;
use devmason_wire::squad::{PROTOCOL, Place, read};

use super::form::{Owned, fields};
use super::{add, begin, close, find, has};
use crate::call::Call;
use crate::error::ApiError;

/// Takes a submission: each is a run of its own, so its build is finished with it.
pub(crate) async fn post(
    call: &Call<'_>,
    (group, project, build, environment): (&str, &str, &str, &str),
) -> Result<HttpResponse, ApiError> {
    super::count(call, PROTOCOL, None);
    let project = super::permitted(call, project).await?;
    let received = Timestamp::now();
    let content_type = call.header(header::CONTENT_TYPE).unwrap_or_default().to_owned();
    let fields = fields(&content_type, call.body().await?.clone()).await?;
    let [group, build, environment] = [group, build, environment].map(str::to_owned);
    let place = Place { group, build, environment };
    let key = Digest::of_parts([&place.group, &place.build, &place.environment]);
    let part = super::read(call, move |body| {
        let fields: Vec<Field<'_>> = fields.iter().map(Owned::borrowed).collect();
        // The boundary of a form differs from request to request.
        let said =
            Digest::of_parts(fields.iter().flat_map(|field| [field.name.as_bytes(), field.value]));
        let mut part = read(&fields, &place, body, received)?;
        part.receipt.digest = Some(format!("sha256:{said}"));
        Ok(part)
    })
    .await?;
    let project = project.registered(call).await?;
    let (held, is_new) = match find(call, &project, PROTOCOL, key).await? {
        Some(held) => (held, false),
        None => (begin(call, &project, (PROTOCOL, key, 1), &part).await?, true),
    };
    if !has(call, &held.foreign, &part).await? {
        add(call, &held, part, !is_new).await?;
    }
    if is_new {
        close(call, &held, None).await?;
        let number = held.foreign.number;
        call.ask(move |repository| repository.foreign_heard(number, None)).await?;
    }
    Ok(HttpResponse::Created().content_type("text/plain").body(held.foreign.number.to_string()))
}
