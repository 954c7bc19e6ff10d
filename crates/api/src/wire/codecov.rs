//! Test results from codecov-cli.

use actix_web::HttpResponse;
use devmason_domain::{Digest, Slug, Timestamp};
use devmason_hypermedia::Resource;
use devmason_repository::ForeignKey;
use devmason_wire::codecov::{About, PROTOCOL, about, files};
use serde_json::json;

use super::{Held, add, begin, close, find, has, silence};
use crate::call::Call;
use crate::error::ApiError;

/// The protocol under which permissions to send files are kept.
const PERMITTED: &str = "codecov-upload";

/// Hears what an upload is about; says where its files go.
pub(crate) async fn post(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    super::count(call, PROTOCOL, None);
    let About { project, key, part } = super::read(call, about).await?;
    let project = super::permitted(call, &project).await?.registered(call).await?;
    let key = Digest::of(key.as_bytes());
    let held = match find(call, &project, PROTOCOL, key).await? {
        Some(held) => held,
        None => begin(call, &project, (PROTOCOL, key, 1), &part).await?,
    };
    // The files come without credentials, to an address that nobody else knows.
    let token = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let permitted =
        ForeignKey { project: project.id, protocol: PERMITTED, key: Digest::of(token.as_bytes()) };
    let (build, ends) = (held.build.id, silence::end(call.app, Timestamp::now()));
    call.ask(move |repository| repository.foreign_add(&permitted, 1, build, ends)).await?;
    let files = Resource::CodecovFiles(project.slug.clone(), token);
    let build = Resource::Build(project.slug.clone(), held.build.key());
    Ok(HttpResponse::Ok().json(json!({
        "url": call.base.href(&build), "raw_upload_location": call.base.href(&files),
    })))
}

/// Takes the files.
pub(crate) async fn put(
    call: &Call<'_>,
    slug: &Slug,
    token: &str,
) -> Result<HttpResponse, ApiError> {
    const UNKNOWN: ApiError = ApiError::NotFound("nothing is expected here");
    let project = call.project(slug).await?;
    let key = Digest::of(token.as_bytes());
    let permitted = ForeignKey { project: project.id, protocol: PERMITTED, key };
    let found = call
        .ask(move |repository| {
            let Some(permitted) = repository.foreign_runs(&permitted, 1)?.pop() else {
                return Ok(None);
            };
            let build = repository.foreign_held(&permitted)?;
            Ok(build.map(|(project, build)| (permitted, project, build)))
        })
        .await?;
    let (foreign, project, build) = found.ok_or(UNKNOWN)?;
    let (received, limit) = (Timestamp::now(), call.app.settings.max_body_bytes);
    let parts = super::read(call, move |body| files(body, limit, received)).await?;
    let held = Held { project, foreign, build };
    for part in parts {
        if !has(call, &held.foreign, &part).await? {
            add(call, &held, part, false).await?;
        }
    }
    // An upload is whole: more may come, and opens the build again.
    close(call, &held, None).await?;
    Ok(HttpResponse::Ok().json(json!({})))
}
