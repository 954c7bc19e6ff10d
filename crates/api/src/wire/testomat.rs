//! Runs of Testomat.io's reporter. Its key is in the body.

use actix_web::HttpResponse;
use devmason_domain::{Digest, State, Timestamp};
use devmason_hypermedia::Resource;
use devmason_wire::testomat::{PROTOCOL, Said, failed, read, tests};
use serde_json::json;

use super::{Held, add, begin, close, find, has, tell};
use crate::call::Call;
use crate::error::ApiError;

const NO_RUN: ApiError = ApiError::NotFound("run not found");

/// Begins a run. Reporters that share one begin it together, by its title.
pub(crate) async fn post(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    super::count(call, PROTOCOL, None);
    let said = super::read(call, read).await?;
    let caller = super::caller_with(call, said.credentials.as_deref()).await?;
    let call = &Call { caller: caller.as_ref().unwrap_or(call.caller), ..*call };
    let project = super::permitted(call, &said.project).await?.registered(call).await?;
    let uid = match &said.shared {
        Some(title) => Digest::of_parts([PROTOCOL, title.as_str()]).short(),
        None => uuid::Uuid::new_v4().simple().to_string(),
    };
    let key = Digest::of(uid.as_bytes());
    let held = match find(call, &project, PROTOCOL, key).await? {
        Some(held) => held,
        None => begin(call, &project, (PROTOCOL, key, 1), &said.part).await?,
    };
    Ok(answer(call, &held, &uid))
}

/// The answer. The client replaces the scheme and host of the URL by those that it was told.
fn answer(call: &Call<'_>, held: &Held, uid: &str) -> HttpResponse {
    let build = Resource::Build(held.project.slug.clone(), held.build.key());
    HttpResponse::Ok().json(json!({"uid": uid, "url": call.base.href(&build)}))
}

/// The run with this id.
async fn run(call: &Call<'_>, said: &Said, uid: &str) -> Result<Held, ApiError> {
    let project = super::project(call, &said.project).await?;
    find(call, &project, PROTOCOL, Digest::of(uid.as_bytes())).await?.ok_or(NO_RUN)
}

/// Takes tests of a run, also after its end.
pub(crate) async fn post_tests(call: &Call<'_>, uid: &str) -> Result<HttpResponse, ApiError> {
    let said = super::read(call, read).await?;
    let caller = super::caller_with(call, said.credentials.as_deref()).await?;
    let call = &Call { caller: caller.as_ref().unwrap_or(call.caller), ..*call };
    let held = run(call, &said, uid).await?;
    let received = Timestamp::now();
    let part = super::read(call, move |body| tests(body, received)).await?;
    if !has(call, &held.foreign, &part).await? {
        add(call, &held, part, true).await?;
    }
    Ok(HttpResponse::Ok().json(json!({})))
}

/// Says something of a run, or ends it.
pub(crate) async fn put(call: &Call<'_>, uid: &str) -> Result<HttpResponse, ApiError> {
    let mut said = super::read(call, read).await?;
    let caller = super::caller_with(call, said.credentials.as_deref()).await?;
    let call = &Call { caller: caller.as_ref().unwrap_or(call.caller), ..*call };
    let held = run(call, &said, uid).await?;
    tell(call, &held, &mut said.part).await?;
    if said.end == Some(true) && held.build.failed_steps == 0 {
        // A run may fail without any test that did, and later tests must not undo that.
        let part = failed(Timestamp::now())?;
        if !has(call, &held.foreign, &part).await? {
            add(call, &held, part, true).await?;
        }
    }
    if said.end.is_some() && held.build.outcome.state() == State::Running {
        close(call, &held, None).await?;
        let number = held.foreign.number;
        call.ask(move |repository| repository.foreign_heard(number, None)).await?;
    }
    Ok(answer(call, &held, uid))
}
