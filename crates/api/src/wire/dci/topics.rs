//! Topics, which are projects. What a topic has and a project has no place for is kept under its name.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use devmason_domain::{Project, Timestamp};
use devmason_repository::{ForeignKind, Listing, Named, NewForeignObject};
use devmason_wire::dci::PROTOCOL;
use serde_json::{Map, Value, json};

use super::remotecis::named;
use super::{listed, one, page};
use crate::call::Call;
use crate::error::ApiError;
use crate::wire;

const TOPICS: ForeignKind = ForeignKind { protocol: PROTOCOL, kind: "topic" };

/// What a topic is called in the store: another project may get its name later.
fn name_of(project: &Project) -> String {
    project.id.0.to_string()
}

/// A topic, with what was said of it when it was registered here.
async fn document(call: &Call<'_>, project: &Project) -> Result<Map<String, Value>, ApiError> {
    let named = Named::Name(name_of(project));
    let said = call.ask(move |repository| repository.foreign_object_find(TOPICS, &named)).await?;
    let said = said.and_then(|said| serde_json::from_str(&said.body).ok());
    let mut document: Map<String, Value> = said.unwrap_or_default();
    let time = |at: Timestamp| at.to_rfc3339_utc().trim_end_matches('Z').to_owned();
    let own = json!({
        "id": project.slug.as_str(), "name": project.name.as_str(),
        "created_at": time(project.created_at), "updated_at": time(project.updated_at),
        "etag": format!("{}-{}", project.id.0, project.version),
    });
    document.extend(own.as_object().cloned().unwrap_or_default());
    let usual = json!({
        "state": "active", "component_types": [], "data": {}, "export_control": false,
        "product_id": null,
    });
    for (name, value) in usual.as_object().cloned().unwrap_or_default() {
        document.entry(name).or_insert(value);
    }
    Ok(document)
}

/// Registers a topic: its project, if there is none of its name.
pub(crate) async fn post(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    wire::count(call, PROTOCOL, call.header(super::CLIENT));
    let (name, said) = named(call.body().await?)?;
    let permitted = wire::permitted(call, &name).await?;
    if let Some(project) = &permitted.there {
        // What is said of a topic is said of its project.
        call.app.settings.policy.change_project(call.viewer(), project)?;
    }
    let project = permitted.registered(call).await?;
    let new = NewForeignObject {
        of: TOPICS,
        name: name_of(&project),
        body: json!(said).to_string(),
        created_at: Timestamp::now(),
    };
    match call.ask(move |repository| repository.foreign_object_add(&new)).await? {
        (_, true) => Ok(one(StatusCode::CREATED, "topic", document(call, &project).await?)),
        (_, false) => Err(ApiError::Conflict("this name is already taken")),
    }
}

/// The project of a topic's id or name.
pub(super) async fn find(call: &Call<'_>, id: &str) -> Result<Option<Project>, ApiError> {
    match wire::slug_of(id).parse() {
        Ok(slug) => call.find_project(&slug).await,
        Err(_) => Ok(None),
    }
}

pub(crate) async fn get(call: &Call<'_>, id: &str) -> Result<HttpResponse, ApiError> {
    let project = find(call, id).await?.ok_or(ApiError::NotFound("topic not found"))?;
    Ok(one(StatusCode::OK, "topic", document(call, &project).await?))
}

pub(crate) async fn list(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let wanted = super::conditions(call)?;
    let by_name = wanted.iter().find(|(key, _)| key == "name" || key == "id");
    let Some((key, value)) = by_name else {
        let (limit, offset) = call.params.limit_and_offset()?;
        let listing = Listing { limit, offset, ..Listing::default() };
        let found = call.ask(move |repository| repository.project_query(&listing)).await?;
        let mut documents = Vec::with_capacity(found.items.len());
        for project in &found.items {
            documents.push(document(call, project).await?);
        }
        return Ok(page("topics", documents, found.count));
    };
    let mut documents = Vec::new();
    if let Some(project) = find(call, value).await? {
        let mut found = document(call, &project).await?;
        // A project is found by the name that became its own.
        found.insert(key.clone(), json!(value));
        documents.push(found);
    }
    listed(call, "topics", documents)
}
