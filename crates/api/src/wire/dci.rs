//! Jobs of DCI's agents and commands.
//!
//! A topic is a project, and its id the project's; a job is a build, and its id the build's. What is said
//! of a job is kept as events, of which its build is made.

pub(crate) mod components;
pub(crate) mod files;
pub(crate) mod jobs;
pub(crate) mod remotecis;
pub(crate) mod topics;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderName;
use devmason_domain::{Build, Digest, Project, Timestamp};
use devmason_wire::dci::{Event, Job, PROTOCOL};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::told::{Running, Said, tell};
use crate::call::Call;
use crate::error::ApiError;
use crate::objects;

const NO_JOB: ApiError = ApiError::NotFound("job not found");

/// The header in which DCI's clients say their version.
const CLIENT: HeaderName = HeaderName::from_static("client-version");

/// A job, with all that was said of it.
struct Known {
    running: Running,
    job: Job,
}

impl Known {
    fn id(&self) -> String {
        self.running.build.id.to_string()
    }

    fn received(&self) -> Timestamp {
        self.running.build.received
    }

    fn etag(&self) -> String {
        self.job.etag(&self.id())
    }

    /// What its client is told of it.
    fn document(&self) -> Map<String, Value> {
        let mut document = self.job.document(&self.id(), self.received());
        let Running { project, build } = &self.running;
        document.insert("topic_id".to_owned(), json!(project.slug.as_str()));
        document.insert(
            "topic".to_owned(),
            json!({"id": project.slug.as_str(), "name": project.name.as_str()}),
        );
        let remoteci = document.remove("remoteci").unwrap_or(Value::Null);
        let id = document.get("remoteci_id").cloned().unwrap_or(Value::Null);
        document.insert("remoteci".to_owned(), json!({"id": id, "name": remoteci}));
        let components: Vec<_> = build.components.iter().map(|id| json!({"id": id})).collect();
        document.insert("components".to_owned(), json!(components));
        document
    }
}

/// The job of a build, if it is one.
async fn known(call: &Call<'_>, project: Project, build: Build) -> Result<Known, ApiError> {
    if !build.key().as_str().starts_with(PROTOCOL) {
        return Err(NO_JOB);
    }
    let (of, id) = (project.id, build.id);
    let bytes = call.ask(move |repository| repository.event_bytes(of, id)).await?;
    // As bytes and as values.
    call.room_for_answer(usize::try_from(bytes).unwrap_or(usize::MAX).saturating_mul(2)).await?;
    let (bodies, lacks_some) = call.ask(move |repository| repository.event_list(of, id)).await?;
    if bodies.is_empty() || lacks_some {
        return Err(NO_JOB);
    }
    let events = bodies.iter().map(|body| serde_json::from_slice::<Event>(body));
    let events: Vec<Event> = events.collect::<Result<_, _>>().map_err(|_| NO_JOB)?;
    Ok(Known { running: Running { project, build }, job: Job::of(events) })
}

/// The job with this id.
async fn find(call: &Call<'_>, id: &str) -> Result<Known, ApiError> {
    let (build, project) = objects::build(call, id).await?.ok_or(NO_JOB)?;
    known(call, project, build).await
}

/// Keeps an event of a job; the number of its events.
async fn add(call: &Call<'_>, of: &Running, event: &Event, is_last: bool) -> Result<u32, ApiError> {
    let digest = Digest::of(Uuid::new_v4().as_bytes());
    Ok(add_once(call, of, event, is_last, digest).await?.unwrap_or_default())
}

/// The same; `None` if there is one with this digest already.
async fn add_once(
    call: &Call<'_>,
    of: &Running,
    event: &Event,
    is_last: bool,
    digest: Digest,
) -> Result<Option<u32>, ApiError> {
    let said = Said { digest, item: None, is_bulk: true, is_last, at_once: true };
    let (_, before, events) = tell(call, of, event, said, NO_JOB).await?;
    Ok(before.is_none().then_some(events))
}

fn one(status: StatusCode, name: &str, document: impl Into<Value>) -> HttpResponse {
    let mut body = Map::new();
    body.insert(name.to_owned(), document.into());
    HttpResponse::build(status).json(body)
}

/// A part of a list: those that fit the request's `where`, in its order, from its offset on.
fn listed(
    call: &Call<'_>,
    name: &str,
    mut documents: Vec<Map<String, Value>>,
) -> Result<HttpResponse, ApiError> {
    let wanted = conditions(call)?;
    let fits = |document: &Map<String, Value>| {
        wanted.iter().all(|(key, value)| says(document.get(key), value))
    };
    documents.retain(fits);
    if let Some(key) = call.params.first("sort").filter(|key| !key.is_empty()) {
        let (key, descends) = match key.strip_prefix('-') {
            Some(key) => (key, true),
            None => (key, false),
        };
        let text = |document: &Map<String, Value>| document.get(key).map(Value::to_string);
        documents.sort_by_key(text);
        if descends {
            documents.reverse();
        }
    }
    let (limit, offset) = call.params.limit_and_offset()?;
    let count = documents.len() as u64;
    let [offset, limit] =
        [offset, limit].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    let part: Vec<_> = documents.into_iter().skip(offset).take(limit).collect();
    Ok(page(name, part, count))
}

fn page(name: &str, part: Vec<Map<String, Value>>, count: u64) -> HttpResponse {
    let mut body = Map::new();
    body.insert(name.to_owned(), json!(part));
    body.insert("_meta".to_owned(), json!({"count": count}));
    HttpResponse::Ok().json(body)
}

/// Whether a member has a value, or, as a list, contains it.
fn says(member: Option<&Value>, wanted: &str) -> bool {
    match member {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => text == wanted,
        Some(Value::Array(all)) => all.iter().any(|one| says(Some(one), wanted)),
        Some(other) => {
            let written = other.to_string();
            written == wanted
        }
    }
}

/// The conditions of `where`: `name:value`, separated by commas.
fn conditions(call: &Call<'_>) -> Result<Vec<(String, String)>, ApiError> {
    let text = call.params.first("where").unwrap_or_default();
    let one = |text: &str| {
        let (key, value) = text.split_once(':').ok_or_else(|| ApiError::BadValue {
            name: "where",
            problem: format!("'{text}' is not of the form name:value"),
        })?;
        Ok((key.trim().to_owned(), value.to_owned()))
    };
    text.split(',').filter(|text| !text.trim().is_empty()).map(one).collect()
}

/// Fails if a request is about another state of a job than its client has seen.
fn must_have_seen(call: &Call<'_>, known: &Known) -> Result<(), ApiError> {
    call.must_have_seen(0, &known.etag()).map(drop)
}
