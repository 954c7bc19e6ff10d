//! Launches of ReportPortal's agents.
//!
//! Each request is kept as an event. The build is made of all events: when the launch and its items have
//! ended, again when something comes afterwards, and from time to time while it runs.

mod logs;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use devmason_domain::{BuildKey, Digest, Project, State, Timestamp};
use devmason_hypermedia::Resource;
use devmason_repository::{EVENTS, ForeignBuild, ForeignKey};
use devmason_wire::reportportal::{
    End, Event, Launch, PROTOCOL, Start, VERSION, derive, launch_of, object, uuid_of,
};
use serde_json::{Value, json};

use super::told::{self, Running, Said};
use super::{Held, begin, key_of, may_continue};
use crate::call::Call;
use crate::error::ApiError;

pub(crate) use logs::post as post_logs;

/// The longest id that a client may bring, in bytes.
const ID: usize = 100;

/// A start that comes again within so many microseconds, without an id of its own, is a retry of a
/// request whose answer was lost.
const RETRIED: i64 = 30_000_000;

/// Items of a launch are numbered by its number and their place in it.
const ITEMS: i64 = EVENTS.next_power_of_two() as i64;

const NO_LAUNCH: ApiError = ApiError::NotFound("launch not found");
const NO_ITEM: ApiError = ApiError::NotFound("item not found");

pub(crate) fn info() -> HttpResponse {
    HttpResponse::Ok().json(json!({"build": {"version": VERSION, "name": "devmason"}}))
}

pub(crate) fn settings(call: &Call<'_>) -> HttpResponse {
    super::count(call, PROTOCOL, None);
    HttpResponse::Ok().json(json!({"subTypes": {}}))
}

fn id(given: Option<String>, otherwise: impl FnOnce() -> Digest) -> Result<String, ApiError> {
    let Some(id) = given else {
        // The same request again, whose answer was lost, is the same launch or item.
        let half: [u8; 16] = otherwise().0[..16].try_into().unwrap_or_default();
        return Ok(uuid::Builder::from_custom_bytes(half).into_uuid().to_string());
    };
    if id.is_empty() || id.len() > ID || id.contains('\0') {
        let problem = format!("must be 1 to {ID} bytes long");
        return Err(ApiError::BadValue { name: "uuid", problem });
    }
    Ok(id)
}

fn key(launch: &str) -> Digest {
    Digest::of(launch.to_lowercase().as_bytes())
}

/// The launch with this id.
async fn launch(call: &Call<'_>, project: Project, launch: &str) -> Result<Running, ApiError> {
    let key: BuildKey = key_of(PROTOCOL, key(launch), 1)?;
    let found = crate::documents::builds::identify(call, &project.slug, &key).await;
    let (project, build) = match found {
        Err(ApiError::NotFound(_)) => return Err(NO_LAUNCH),
        found => found?,
    };
    may_continue(call, &project, &build).await?;
    Ok(Running { project, build })
}

/// The launch with this item, if the request does not say which.
async fn launch_of_item(
    call: &Call<'_>,
    project: Project,
    item: &str,
) -> Result<Running, ApiError> {
    let (of, item) = (project.id, item.to_owned());
    let found = call
        .ask(move |repository| match repository.event_find(of, &item)? {
            Some((foreign, _)) => repository.foreign_held(&foreign),
            None => Ok(None),
        })
        .await?;
    let (project, build) = found.ok_or(NO_ITEM)?;
    may_continue(call, &project, &build).await?;
    Ok(Running { project, build })
}

/// Keeps an event. Returns the build, and when the same request came before.
async fn tell(
    call: &Call<'_>,
    of: &Running,
    event: &Event,
    (digest, item): (Digest, Option<String>),
) -> Result<(ForeignBuild, Option<Timestamp>), ApiError> {
    let said = Said {
        digest,
        item,
        is_bulk: matches!(event, Event::Logs(_)),
        is_last: matches!(event, Event::LaunchEnd(_)),
        at_once: false,
    };
    let (foreign, before, _) = told::tell(call, of, event, said, NO_LAUNCH).await?;
    Ok((foreign, before))
}

/// A digest that no other request has: what is said twice is the same.
fn fresh() -> Digest {
    Digest::of(uuid::Uuid::new_v4().as_bytes())
}

fn is_recent(at: Timestamp) -> bool {
    Timestamp::now().micros() - at.micros() < RETRIED
}

/// What the event is called that starts a launch, and the one that ends an item.
fn starts(launch: &str) -> String {
    format!("launch {launch}")
}

fn ends(item: &str) -> String {
    format!("end of {item}")
}

/// A digest of a request: what it is about, and its body.
fn digest(what: &str, body: &[u8]) -> Digest {
    Digest::of_parts([what.as_bytes(), body])
}

pub(crate) async fn start_launch(call: &Call<'_>, project: &str) -> Result<HttpResponse, ApiError> {
    super::count(call, PROTOCOL, None);
    let project = super::permitted(call, project).await?;
    let body = call.body().await?.clone();
    let said = object(&body)?;
    let request = digest("launch", &body);
    let given = uuid_of(&said);
    let mut uuid = id(given.clone(), || request)?;
    let event = Event::Launch(Launch::read(&said));
    let start = derive(vec![event.clone()], false, Timestamp::now())?;
    let project = project.registered(call).await?;
    let found = super::find(call, &project, PROTOCOL, key(&uuid)).await;
    // The same request again is a retry, unless it comes late or that launch has ended.
    let is_retry = |held: &Held| {
        given.is_some()
            || (is_recent(held.build.received) && held.build.outcome.state() == State::Running)
    };
    let held = match found {
        Ok(Some(held)) if is_retry(&held) => held,
        Ok(None) => begin(call, &project, (PROTOCOL, key(&uuid), 1), &start.part).await?,
        // Another one, perhaps of another user.
        Ok(Some(_)) | Err(ApiError::Refused(_)) if given.is_none() => {
            uuid = uuid::Uuid::new_v4().to_string();
            begin(call, &project, (PROTOCOL, key(&uuid), 1), &start.part).await?
        }
        Ok(Some(held)) => held,
        Err(error) => return Err(error),
    };
    let Held { project, build, .. } = held;
    let running = Running { project, build };
    let (foreign, _) = tell(call, &running, &event, (request, Some(starts(&uuid)))).await?;
    Ok(HttpResponse::Created().json(json!({"id": uuid, "number": foreign.number})))
}

/// Takes what is said of a launch after its start; `is_over` if it ends.
pub(crate) async fn change_launch(
    call: &Call<'_>,
    (project, uuid): (&str, &str),
    is_over: bool,
) -> Result<HttpResponse, ApiError> {
    let project = super::project(call, project).await?;
    let body = call.body().await?.clone();
    let mut said = Launch::read(&object(&body)?);
    let of = launch(call, project, uuid).await?;
    let event = if is_over {
        Event::LaunchEnd(said)
    } else {
        // A start is not what it says.
        said.at = None;
        Event::Launch(said)
    };
    let (foreign, _) = tell(call, &of, &event, (fresh(), None)).await?;
    let link = call.base.href(&Resource::Build(of.project.slug.clone(), of.build.key()));
    Ok(HttpResponse::Ok().json(json!({
        "id": uuid, "number": foreign.number, "link": link,
        "message": format!("launch {uuid} was updated"),
    })))
}

pub(crate) async fn start_item(
    call: &Call<'_>,
    project: &str,
    parent: Option<&str>,
) -> Result<HttpResponse, ApiError> {
    let project = super::project(call, project).await?;
    let body = call.body().await?.clone();
    let said = object(&body)?;
    let of = match launch_of(&said) {
        Some(uuid) => launch(call, project, &uuid).await?,
        None => launch_of_item(call, project, parent.unwrap_or_default()).await?,
    };
    let request = digest(&format!("item {}", parent.unwrap_or_default()), &body);
    let given = uuid_of(&said);
    let mut uuid =
        id(given.clone(), || Digest::of_parts([of.build.id.0.as_bytes().as_slice(), &request.0]))?;
    let start = |uuid: &str| Start::read(&said, uuid.to_owned(), parent.map(str::to_owned));
    let event = Event::Start(start(&uuid)?);
    let (_, before) = tell(call, &of, &event, (request, Some(uuid.clone()))).await?;
    if let (Some(before), None) = (before, &given) {
        // The same request again is a retry, unless it comes late or that item has ended.
        let (project, end) = (of.project.id, ends(&uuid));
        let ended = call.ask(move |repository| repository.event_find(project, &end)).await?;
        if ended.is_some() || !is_recent(before) {
            uuid = uuid::Uuid::new_v4().to_string();
            let event = Event::Start(start(&uuid)?);
            tell(call, &of, &event, (fresh(), Some(uuid.clone()))).await?;
        }
    }
    Ok(HttpResponse::Created().json(json!({"id": uuid})))
}

/// Takes the end of an item, or what is said of it later.
pub(crate) async fn change_item(
    call: &Call<'_>,
    (project, item): (&str, &str),
    is_over: bool,
) -> Result<HttpResponse, ApiError> {
    let project = super::project(call, project).await?;
    let body = call.body().await?.clone();
    let said = object(&body)?;
    let item = if is_over { item.to_owned() } else { item_numbered(call, item).await? };
    let of = match launch_of(&said) {
        Some(uuid) => launch(call, project, &uuid).await?,
        None => launch_of_item(call, project, &item).await?,
    };
    let event = Event::End(End::read(&said, item.clone(), is_over));
    tell(call, &of, &event, (fresh(), is_over.then(|| ends(&item)))).await?;
    let message = format!("item {item} was updated");
    Ok(HttpResponse::Ok().json(json!({"message": message})))
}

/// The item with a number; a text that is no number is an id.
async fn item_numbered(call: &Call<'_>, text: &str) -> Result<String, ApiError> {
    let Ok(number) = text.parse::<i64>() else { return Ok(text.to_owned()) };
    let (of, nth) = (number / ITEMS, u32::try_from(number % ITEMS).unwrap_or(u32::MAX));
    let found = call
        .ask(move |repository| match repository.foreign_numbered(of)? {
            Some(foreign) => repository.event_item(&foreign, nth),
            None => Ok(None),
        })
        .await?;
    found.ok_or(NO_ITEM)
}

pub(crate) async fn read_item(
    call: &Call<'_>,
    project: &str,
    item: &str,
) -> Result<HttpResponse, ApiError> {
    let project = super::project(call, project).await?;
    let (of, uuid) = (project.id, item.to_owned());
    let found = call.ask(move |repository| repository.event_find(of, &uuid)).await?;
    let (foreign, nth) = found.ok_or(NO_ITEM)?;
    let number = foreign.number * ITEMS + i64::from(nth);
    Ok(HttpResponse::Ok().json(json!({"id": number, "uuid": item})))
}

fn launch_document(foreign: &ForeignBuild, uuid: &str) -> Value {
    json!({"id": foreign.number, "uuid": uuid, "number": foreign.number, "mode": "DEFAULT"})
}

async fn numbered(
    call: &Call<'_>,
    project: &Project,
    uuid: &str,
) -> Result<Option<ForeignBuild>, ApiError> {
    let key = ForeignKey { project: project.id, protocol: PROTOCOL, key: key(uuid) };
    Ok(call.ask(move |repository| repository.foreign_runs(&key, 1)).await?.pop())
}

pub(crate) async fn read_launch(
    call: &Call<'_>,
    project: &str,
    uuid: &str,
) -> Result<HttpResponse, ApiError> {
    let project = super::project(call, project).await?;
    let foreign = numbered(call, &project, uuid).await?.ok_or(NO_LAUNCH)?;
    Ok(HttpResponse::Ok().json(launch_document(&foreign, uuid)))
}

/// The launches with the ids in `filter.in.uuid`.
pub(crate) async fn list_launches(
    call: &Call<'_>,
    project: &str,
) -> Result<HttpResponse, ApiError> {
    let project = super::project(call, project).await?;
    let mut content = Vec::new();
    for uuid in call.params.first("filter.in.uuid").unwrap_or_default().split(',').take(100) {
        if let Some(foreign) = numbered(call, &project, uuid).await? {
            content.push(launch_document(&foreign, uuid));
        }
    }
    let (number, pages) = (content.len(), usize::from(!content.is_empty()));
    Ok(HttpResponse::Ok().json(json!({
        "content": content,
        "page": {"number": 1, "size": number.max(1), "totalElements": number, "totalPages": pages},
    })))
}

/// Merges nothing, so that the client goes on.
pub(crate) async fn merge_launches(
    call: &Call<'_>,
    project: &str,
) -> Result<HttpResponse, ApiError> {
    let project = super::project(call, project).await?;
    let said = object(call.body().await?)?;
    let first = said["launches"].as_array().and_then(|all| all.first());
    let number = first.and_then(Value::as_i64).ok_or(NO_LAUNCH)?;
    let found = call
        .ask(move |repository| {
            let found = repository.foreign_numbered(number)?;
            let is_ours =
                |found: &ForeignBuild| found.project == project.id && found.protocol == PROTOCOL;
            let Some(foreign) = found.filter(is_ours) else { return Ok(None) };
            let start = repository.event_item(&foreign, 0)?;
            Ok(start.map(|start| (foreign, start)))
        })
        .await?;
    let (foreign, start) = found.ok_or(NO_LAUNCH)?;
    let uuid = start.trim_start_matches(starts("").as_str());
    Ok(HttpResponse::build(StatusCode::OK).json(json!({
        "id": foreign.number, "uuid": uuid, "number": foreign.number,
        "message": "nothing is merged here: each launch is a build of its own",
    })))
}
