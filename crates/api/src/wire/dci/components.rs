//! Components, as DCI's commands say and hear them. They are the server's own: a type is created with its
//! first component, and what a component of the server has no place for is in its `data`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use devmason_domain::query::{COMPONENTS, Selection, parse_query, parse_sort};
use devmason_domain::{Component, ComponentDetails, fresh_uuid, limits};
use devmason_repository::{Created, Listing, Named, NewComponent, NewComponentType};
use devmason_wire::dci;
use serde_json::{Map, Value, json};

use super::{conditions, listed, one, topics};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::quoted;

/// The most components that are looked through for a list.
const LISTED: u64 = 1_000;

/// What a component of the server has members of its own for.
const OWN: [&str; 5] = ["name", "display_name", "type", "url", "canonical_project_name"];

/// Whether a request creates a component as DCI's commands do.
pub(crate) fn is_ours(body: &[u8]) -> bool {
    let said: Option<Map<String, Value>> = serde_json::from_slice(body).ok();
    said.is_some_and(|said| said.contains_key("topic_id") && said.contains_key("type"))
}

/// Creates a component, and its type if there is none of that name.
pub(crate) async fn post(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    call.app.settings.policy.create_component(call.viewer())?;
    let said = dci::object(call.body().await?)?;
    let invalid =
        |name| move |error: devmason_domain::Invalid| ApiError::BadValue { name, problem: error.0 };
    let name = match said.get("display_name").filter(|name| !name.is_null()) {
        Some(_) => dci::text(&said, "display_name")?,
        None => dci::text(&said, "name")?,
    };
    let topic = dci::text(&said, "topic_id")?;
    if topics::find(call, &topic).await?.is_none() {
        let problem = format!("'{topic}' does not exist");
        return Err(ApiError::BadValue { name: "topic_id", problem });
    }
    let type_name = dci::text(&said, "type")?;
    let mut rest = said.clone();
    OWN.iter().for_each(|name| drop(rest.remove(*name)));
    let text = |name: &'static str| match said.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(_) => dci::text(&said, name)?.parse().map(Some).map_err(invalid(name)),
    };
    let data = json!(rest).to_string();
    if data.len() > limits::COMPONENT_DATA {
        let problem = format!("must be at most {} bytes with all else", limits::COMPONENT_DATA);
        return Err(ApiError::BadValue { name: "data", problem });
    }
    let details = ComponentDetails {
        url: text("url")?,
        canonical_project_name: text("canonical_project_name")?,
        data: Some(data),
        ..ComponentDetails::default()
    };
    let name = name.parse().map_err(invalid("display_name"))?;
    // Once all else is known to be good.
    let new_type = NewComponentType {
        id: fresh_uuid(),
        name: type_name.parse().map_err(invalid("type"))?,
        creator: call.caller.actor()?,
        claim: None,
    };
    match call.ask(move |repository| repository.component_type_create(&new_type)).await? {
        Created::UsernameTaken => return Err(ApiError::Raced),
        Created::New(_) | Created::NameTaken | Created::NoType | Created::Claimed(_) => {}
    }
    let new = NewComponent {
        id: fresh_uuid(),
        name,
        component_type: Named::Name(type_name.clone()),
        details,
        creator: call.caller.actor()?,
        claim: None,
    };
    match call.ask(move |repository| repository.component_create(&new)).await? {
        Created::New(component) => {
            Ok(one(StatusCode::CREATED, "component", document(&component, &type_name)))
        }
        Created::NameTaken => Err(ApiError::Conflict("this name is already taken")),
        Created::UsernameTaken | Created::NoType | Created::Claimed(_) => Err(ApiError::Raced),
    }
}

/// A component in DCI's words.
fn document(of: &Component, type_name: &str) -> Map<String, Value> {
    let data = of.details.data.as_deref().and_then(|data| serde_json::from_str(data).ok());
    let mut document: Map<String, Value> = data.unwrap_or_default();
    let time =
        |at: devmason_domain::Timestamp| at.to_rfc3339_utc().trim_end_matches('Z').to_owned();
    let own = json!({
        "id": of.id, "name": of.name.as_str(), "display_name": of.name.as_str(), "type": type_name,
        "url": of.details.url.as_ref().map(|url| url.as_str()),
        "canonical_project_name": of.details.canonical_project_name.as_ref().map(|name| name.as_str()),
        "created_at": time(of.created_at), "updated_at": time(of.updated_at),
        "etag": crate::objects::component_etag(of),
    });
    document.extend(own.as_object().cloned().unwrap_or_default());
    let usual =
        json!({"state": "active", "tags": [], "data": {}, "version": null, "topic_id": null});
    for (name, value) in usual.as_object().cloned().unwrap_or_default() {
        document.entry(name).or_insert(value);
    }
    document
}

/// The components of a topic: those that were created for it, and those that were created for none.
pub(crate) async fn list(call: &Call<'_>, topic: &str) -> Result<HttpResponse, ApiError> {
    let project = topics::find(call, topic).await?.ok_or(ApiError::NotFound("topic not found"))?;
    let (mut selection, mut of_type) = (Selection::default(), None);
    for (name, value) in conditions(call)? {
        if name == "type" {
            of_type = Some(value);
        } else if matches!(name.as_str(), "name" | "display_name") {
            let condition = format!("eq(name,{})", quoted(&value));
            selection.filter = selection.filter.and(parse_query(&COMPONENTS, &condition)?);
        }
    }
    selection.sort = parse_sort(&COMPONENTS, "-created_at")?;
    let listing = Listing { selection, offset: 0, limit: LISTED };
    let (found, types) = call
        .ask(move |repository| {
            let of_type = match &of_type {
                Some(name) => match repository.component_type_find(&Named::Name(name.clone()))? {
                    Some(of_type) => Some(of_type.id),
                    None => return Ok((Vec::new(), Vec::new())),
                },
                None => None,
            };
            let found = repository.component_list(of_type, &listing)?.items;
            let ids: Vec<_> = found.iter().map(|of| of.component_type).collect();
            Ok((found, repository.component_types_by_id(&ids)?))
        })
        .await?;
    let documents = found.iter().map(|of| {
        let of_type = types.iter().find(|known| known.id == of.component_type);
        document(of, of_type.map_or("", |of_type| of_type.name.as_str()))
    });
    let slug = project.slug.as_str();
    let of_topic = |document: &Map<String, Value>| match document.get("topic_id") {
        Some(Value::String(id)) => crate::wire::slug_of(id).eq_ignore_ascii_case(slug),
        _ => true,
    };
    let usual = |mut document: Map<String, Value>| {
        // As it is asked for.
        document.insert("topic_id".to_owned(), json!(topic));
        document
    };
    listed(call, "components", documents.filter(of_topic).map(usual).collect())
}
