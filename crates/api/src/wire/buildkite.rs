//! Batches of test cases from the collectors of Buildkite Test Engine.

use actix_web::HttpResponse;
use actix_web::http::header;
use devmason_domain::{Digest, Slug, Timestamp};
use devmason_hypermedia::Resource;
use devmason_wire::Field;
use devmason_wire::buildkite::{Batch, PROTOCOL, read, read_form};
use serde_json::json;

use super::form::{Owned, fields};
use super::{add, begin, find, has};
use crate::call::Call;
use crate::error::ApiError;

pub(crate) async fn post(call: &Call<'_>, slug: &Slug) -> Result<HttpResponse, ApiError> {
    super::count(call, PROTOCOL, None);
    let project = super::permitted(call, slug.as_str()).await?;
    let received = Timestamp::now();
    let content_type = call.header(header::CONTENT_TYPE).unwrap_or_default().to_owned();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Batch { key, mut part } = match media_type.as_str() {
        "application/json" => super::read(call, move |body| read(body, received)).await?,
        "multipart/form-data" => {
            let fields = fields(&content_type, call.body().await?.clone()).await?;
            super::read(call, move |_| {
                let fields: Vec<Field<'_>> = fields.iter().map(Owned::borrowed).collect();
                read_form(&fields, received)
            })
            .await?
        }
        _ => return Err(ApiError::UnsupportedType),
    };
    let project = project.registered(call).await?;
    let client = [("run".to_owned(), key.clone())];
    part.client.extend(client);
    let key = Digest::of(key.as_bytes());
    let held = match find(call, &project, PROTOCOL, key).await? {
        Some(held) => held,
        None => begin(call, &project, (PROTOCOL, key, 1), &part).await?,
    };
    let cases = part.tests.len();
    let is_new = !has(call, &held.foreign, &part).await?;
    let digest = part.receipt.digest.clone().unwrap_or_default();
    if is_new {
        add(call, &held, part, false).await?;
    }
    let build = Resource::Build(project.slug.clone(), held.build.key());
    Ok(HttpResponse::Accepted().json(json!({
        "id": digest.trim_start_matches("sha256:"),
        "run_id": held.build.key().as_str(),
        "queued": if is_new { cases } else { 0 },
        "skipped": if is_new { 0 } else { cases },
        "errors": [],
        "run_url": call.base.href(&build),
    })))
}
