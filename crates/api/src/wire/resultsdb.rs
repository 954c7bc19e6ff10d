//! Results from clients of ResultsDB.

use actix_web::HttpResponse;
use devmason_domain::{Digest, Timestamp, limits};
use devmason_hypermedia::Resource;
use devmason_repository::{ForeignKind, Named, NewForeignObject, Repository};
use devmason_wire::resultsdb::{PROTOCOL, Said, read};
use serde_json::{Map, Value, json};

use super::dci::remotecis::SAID;
use super::{add, begin, find, has};
use crate::call::Call;
use crate::error::ApiError;

/// The project of those who name none in their URL.
pub(crate) const PROJECT: &str = "resultsdb";

const GROUPS: ForeignKind = ForeignKind { protocol: PROTOCOL, kind: "group" };

/// Takes a result.
pub(crate) async fn post(call: &Call<'_>, project: &str) -> Result<HttpResponse, ApiError> {
    super::count(call, PROTOCOL, None);
    let received = Timestamp::now();
    let Said { key, credentials, mut part, retried, said } =
        super::read(call, move |body| read(body, received)).await?;
    let caller = super::caller_with(call, credentials.as_deref()).await?;
    let call = &Call { caller: caller.as_ref().unwrap_or(call.caller), ..*call };
    if let Some((_, group)) = part.client.iter().find(|(name, _)| name == "group") {
        let said = of_group(call, project, group).await?;
        part.client.extend(said);
    }
    let project = super::permitted(call, project).await?.registered(call).await?;
    let key = Digest::of(key.as_bytes());
    let held = match find(call, &project, PROTOCOL, key).await? {
        Some(held) => held,
        None => begin(call, &project, (PROTOCOL, key, 1), &part).await?,
    };
    let (of, build) = (held.foreign.project, held.foreign.build);
    let was_retried = move |repository: &dyn Repository| {
        for digest in &retried {
            if repository.part_exists(of, build, digest)? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    if !has(call, &held.foreign, &part).await? && !call.ask(was_retried).await? {
        add(call, &held, part, false).await?;
    }
    let build = Resource::Build(project.slug.clone(), held.build.key());
    let mut answer = Map::new();
    answer.extend(said);
    answer.insert("id".to_owned(), json!(held.foreign.number));
    answer.insert("href".to_owned(), json!(call.base.href(&build)));
    answer.insert("submit_time".to_owned(), json!(received.to_rfc3339_utc()));
    Ok(HttpResponse::Created().json(Value::Object(answer)))
}

/// What a group is called in the store: groups of different projects may have the same id.
fn name_of(project: &str, group: &str) -> String {
    format!("{}/{group}", super::slug_of(project).to_ascii_lowercase())
}

/// What was said of a group.
async fn of_group(
    call: &Call<'_>,
    project: &str,
    group: &str,
) -> Result<Vec<(String, String)>, ApiError> {
    let named = Named::Name(name_of(project, group));
    let found = call.ask(move |repository| repository.foreign_object_find(GROUPS, &named)).await?;
    let said = found.and_then(|found| serde_json::from_str::<Value>(&found.body).ok());
    let said = said.unwrap_or_default();
    let of = |name: &str, of: &str| Some((name.to_owned(), said.get(of)?.as_str()?.to_owned()));
    Ok([of("description", "description"), of("job_url", "ref_url")].into_iter().flatten().collect())
}

/// Keeps what is said of a group, until its first result. What is said first of a group stays.
pub(crate) async fn post_group(call: &Call<'_>, project: &str) -> Result<HttpResponse, ApiError> {
    let mut said = devmason_wire::dci::object(call.body().await?)?;
    let key = said.remove("_auth_token");
    let caller = super::caller_with(call, key.as_ref().and_then(Value::as_str)).await?;
    let call = &Call { caller: caller.as_ref().unwrap_or(call.caller), ..*call };
    super::permitted(call, project).await?;
    let id = match said.get("uuid") {
        None | Some(Value::Null) => uuid::Uuid::new_v4().to_string(),
        Some(_) => devmason_wire::dci::text(&said, "uuid")?,
    };
    said.insert("uuid".to_owned(), json!(id));
    let body = Value::Object(said).to_string();
    if id.len() > limits::NAME || body.len() > SAID {
        let problem =
            format!("must be at most {SAID} bytes of text, with a uuid of {}", limits::NAME);
        return Err(ApiError::BadValue { name: "body", problem });
    }
    let (name, created_at) = (name_of(project, &id), Timestamp::now());
    let new = NewForeignObject { of: GROUPS, name, body, created_at };
    let (kept, _) = call.ask(move |repository| repository.foreign_object_add(&new)).await?;
    let kept: Value = serde_json::from_str(&kept.body).unwrap_or_default();
    Ok(HttpResponse::Created().json(kept))
}
