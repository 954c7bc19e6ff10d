//! The labs that run jobs. A lab's name is the host of its builds.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use devmason_domain::{Timestamp, limits};
use devmason_repository::{ForeignKind, ForeignObject, Named, NewForeignObject};
use devmason_wire::dci::{self, PROTOCOL};
use serde_json::{Map, Value, json};

use super::{listed, one};
use crate::call::Call;
use crate::error::ApiError;

const LABS: ForeignKind = ForeignKind { protocol: PROTOCOL, kind: "remoteci" };

/// The most labs that are looked through for a list.
const LISTED: u32 = 1_000;

/// The longest text of what is said of an object, in bytes.
pub(in crate::wire) const SAID: usize = 64 << 10;

/// The lab with this id or name.
pub(super) async fn find(call: &Call<'_>, id: &str) -> Result<Option<ForeignObject>, ApiError> {
    let (named, name) = (Named::from(id), Named::Name(id.to_owned()));
    call.ask(move |repository| match repository.foreign_object_find(LABS, &named)? {
        None => repository.foreign_object_find(LABS, &name),
        found => Ok(found),
    })
    .await
}

/// A registered object, with what was said of it.
pub(super) fn document(of: &ForeignObject) -> Map<String, Value> {
    let mut document: Map<String, Value> = serde_json::from_str(&of.body).unwrap_or_default();
    let at = of.created_at.to_rfc3339_utc();
    let own = json!({
        "id": of.id, "name": of.name, "created_at": at.trim_end_matches('Z'),
        "updated_at": at.trim_end_matches('Z'), "etag": of.id.simple().to_string(),
    });
    document.extend(own.as_object().cloned().unwrap_or_default());
    document.entry("state").or_insert_with(|| json!("active"));
    document.entry("data").or_insert_with(|| json!({}));
    document
}

/// What is said of an object that is to be registered, and its name.
pub(super) fn named(body: &[u8]) -> Result<(String, Map<String, Value>), ApiError> {
    let mut said = dci::object(body)?;
    let name = dci::text(&said, "name")?.trim().to_owned();
    if name.len() > limits::NAME || name.contains('\0') {
        let problem = format!("must be at most {} bytes long", limits::NAME);
        return Err(ApiError::BadValue { name: "name", problem });
    }
    said.remove("name");
    if json!(said).to_string().len() > SAID {
        let problem = format!("the members have more than {SAID} bytes");
        return Err(ApiError::BadValue { name: "body", problem });
    }
    Ok((name, said))
}

/// Registers a lab.
pub(crate) async fn post(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    call.app.settings.policy.create_component(call.viewer())?;
    let (name, said) = named(call.body().await?)?;
    let new = NewForeignObject {
        of: LABS,
        name,
        body: json!(said).to_string(),
        created_at: Timestamp::now(),
    };
    match call.ask(move |repository| repository.foreign_object_add(&new)).await? {
        (lab, true) => Ok(one(StatusCode::CREATED, "remoteci", document(&lab))),
        (_, false) => Err(ApiError::Conflict("this name is already taken")),
    }
}

pub(crate) async fn get(call: &Call<'_>, id: &str) -> Result<HttpResponse, ApiError> {
    let lab = find(call, id).await?.ok_or(ApiError::NotFound("remoteci not found"))?;
    Ok(one(StatusCode::OK, "remoteci", document(&lab)))
}

pub(crate) async fn list(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let wanted = super::conditions(call)?.into_iter().find(|(key, _)| key == "name");
    let labs = match wanted {
        Some((_, name)) => {
            let named = Named::Name(name);
            let found = call.ask(move |repository| repository.foreign_object_find(LABS, &named));
            found.await?.into_iter().collect()
        }
        None => call.ask(move |repository| repository.foreign_object_list(LABS, LISTED)).await?,
    };
    listed(call, "remotecis", labs.iter().map(document).collect())
}
