//! Jobs, their states, numbers and lists.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use devmason_domain::query::{BUILDS, Selection, parse_query, parse_sort};
use devmason_domain::{Digest, Receipt, Timestamp};
use devmason_repository::{Listing, Repository, Sought, Updated};
use devmason_wire::dci::{self, Event, PROTOCOL, State, is_last};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    Known, NO_JOB, Running, add, add_once, conditions, find, known, listed, must_have_seen, one,
    page,
};
use crate::call::Call;
use crate::error::ApiError;
use crate::objects;
use crate::params::quoted;
use crate::respond::no_content;
use crate::wire;

/// The most jobs in a part of their list: each is made of what was said of it.
const LISTED: u64 = 100;

/// What the server itself says of a job, and no client.
const OWN: [&str; 6] = ["id", "etag", "created_at", "updated_at", "remoteci", "topic"];

fn said(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let mut said = dci::object(body)?;
    OWN.iter().for_each(|name| drop(said.remove(*name)));
    if let Some(Value::String(_)) = said.get("status") {
        dci::entered(&said)?;
    }
    if json!(said).to_string().len() > dci::TEXT {
        let problem = format!("what is said of a job has more than {} bytes", dci::TEXT);
        return Err(ApiError::BadValue { name: "body", problem });
    }
    if said.get("tags").is_some_and(|tags| !tags.is_array() && !tags.is_null()) {
        let problem = "must be a list of texts".to_owned();
        return Err(ApiError::BadValue { name: "tags", problem });
    }
    Ok(said)
}

/// Begins a job.
pub(crate) async fn post(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    wire::count(call, PROTOCOL, call.header(super::CLIENT));
    let mut said = said(call.body().await?)?;
    let topic = dci::text(&said, "topic_id")?;
    let project = match wire::permitted(call, &topic).await?.there() {
        Some(project) => project,
        None => return Err(absent("topic_id", &topic)),
    };
    let remoteci = dci::text(&said, "remoteci_id")?;
    let of = super::remotecis::find(call, &remoteci).await?;
    let of = of.ok_or_else(|| absent("remoteci_id", &remoteci))?;
    said.insert("remoteci".to_owned(), json!(of.name));
    said.insert("topic_id".to_owned(), json!(project.slug.as_str()));
    let components = components(call, said.get("components")).await?;
    let event = Event::Job(said, Timestamp::now().into());
    let part = dci::derive(vec![event.clone()], false, Timestamp::now())?.part;
    let key = Digest::of(Uuid::new_v4().as_bytes());
    let held = wire::begin_with(call, &project, (PROTOCOL, key, 1), &part, components).await?;
    let running = Running { project, build: held.build };
    add(call, &running, &event, false).await?;
    let id = running.build.id.to_string();
    Ok(one(StatusCode::CREATED, "job", find(call, &id).await?.document()))
}

fn absent(name: &'static str, value: &str) -> ApiError {
    ApiError::BadValue { name, problem: format!("'{value}' does not exist") }
}

/// The components with these ids; each must exist.
async fn components(call: &Call<'_>, said: Option<&Value>) -> Result<Vec<Uuid>, ApiError> {
    let bad = |problem: String| ApiError::BadValue { name: "components", problem };
    let all = match said {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(all)) => all,
        Some(_) => return Err(bad("must be a list of ids".to_owned())),
    };
    let most = devmason_domain::limits::COMPONENTS;
    if all.len() > most {
        return Err(bad(format!("a job may have at most {most} components")));
    }
    let id = |value: &Value| {
        let text = value.as_str().or_else(|| value.get("id")?.as_str()).unwrap_or_default();
        Uuid::try_parse(text).map_err(|_| bad(format!("{value} is not an id")))
    };
    let ids: Vec<Uuid> = all.iter().map(id).collect::<Result<_, _>>()?;
    let sought: Vec<Sought> = ids.iter().copied().map(Sought::Id).collect();
    let found = call.ask(move |repository| repository.component_resolve(&sought)).await?;
    let lost = ids.iter().zip(&found).find(|(_, found)| found.is_none());
    if let Some((id, _)) = lost {
        return Err(bad(format!("'{id}' does not exist")));
    }
    let mut found: Vec<Uuid> = found.into_iter().flatten().collect();
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

pub(crate) async fn get(call: &Call<'_>, id: &str) -> Result<HttpResponse, ApiError> {
    Ok(one(StatusCode::OK, "job", find(call, id).await?.document()))
}

/// Says something of a job.
pub(crate) async fn put(call: &Call<'_>, id: &str) -> Result<HttpResponse, ApiError> {
    let of = find(call, id).await?;
    wire::may_continue(call, &of.running.project, &of.running.build).await?;
    must_have_seen(call, &of)?;
    let said = said(call.body().await?)?;
    for fixed in ["topic_id", "remoteci_id", "components"] {
        let document = of.document();
        if said.get(fixed).is_some_and(|value| document.get(fixed) != Some(value)) {
            let problem = "cannot be changed: begin another job".to_owned();
            return Err(ApiError::BadValue { name: fixed, problem });
        }
    }
    let status = said.get("status").and_then(Value::as_str).is_some_and(is_last);
    let event = Event::Job(said, Timestamp::now().into());
    // Of two who have seen the same, one is first.
    let digest = Digest::of_parts(["change of", &of.etag()]);
    let changed = add_once(call, &of.running, &event, status, digest).await?;
    changed.ok_or(ApiError::PreconditionFailed)?;
    get(call, id).await
}

/// Deletes a job with its build.
pub(crate) async fn delete(call: &Call<'_>, id: &str) -> Result<HttpResponse, ApiError> {
    let of = find(call, id).await?;
    let Running { project, build } = &of.running;
    call.app.settings.policy.delete_build(call.viewer(), project, build)?;
    must_have_seen(call, &of)?;
    let (of, id) = (project.id, build.id);
    match call.ask(move |repository| repository.build_delete(of, id, None)).await? {
        Updated::Done(()) => Ok(no_content(None)),
        Updated::Stale | Updated::Gone => Err(NO_JOB),
    }
}

/// Lists jobs, newest first.
pub(crate) async fn list(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let mut filter = parse_query(&BUILDS, &format!("like(key,{})", quoted("dci-%")))?;
    for (name, value) in conditions(call)? {
        let value = match name.as_str() {
            "topic_id" => wire::slug_of(&value),
            "remoteci_id" => {
                super::remotecis::find(call, &value).await?.map_or(value, |of| of.name)
            }
            _ => value,
        };
        let value = quoted(&value);
        let condition = match name.as_str() {
            "id" => format!("eq(id,{value})"),
            "name" => format!("eq(client.job,{value})"),
            "status" => format!("eq(client.status,{value})"),
            "topic_id" => format!("eq(project,{value})"),
            "remoteci_id" => format!("eq(client.host,{value})"),
            "tags" => format!("contains(tags,{value})"),
            _ => {
                let problem = format!(
                    "jobs are found by id, name, status, topic_id, remoteci_id and tags, not by '{name}'"
                );
                return Err(ApiError::BadValue { name: "where", problem });
            }
        };
        filter = filter.and(parse_query(&BUILDS, &condition)?);
    }
    let order = call.params.first("sort").filter(|order| !order.is_empty());
    let sort = parse_sort(&BUILDS, order.unwrap_or("-created_at"))?;
    let (limit, offset) = call.params.limit_and_offset()?;
    let limit = limit.min(LISTED);
    let listing = Listing { selection: Selection { filter, sort }, offset, limit };
    let (found, projects) = objects::builds(call, None, listing).await?;
    let mut documents = Vec::new();
    for build in found.items {
        let Some(project) = projects.get(&build.project) else { continue };
        match known(call, project.clone(), build).await {
            Ok(of) => documents.push(of.document()),
            // A build with a key like these, or one of which nothing is kept any more.
            Err(ApiError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(page("jobs", documents, found.count))
}

/// Enters a state.
pub(crate) async fn post_state(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let said = dci::object(call.body().await?)?;
    let of = find(call, &dci::text(&said, "job_id")?).await?;
    wire::may_continue(call, &of.running.project, &of.running.build).await?;
    let entered = dci::entered(&said)?;
    let (is_over, at) = (is_last(&entered.status), Timestamp::now().into());
    let events = add(call, &of.running, &Event::State(entered.clone(), at), is_over).await?;
    let state = State { nth: events.saturating_sub(1) as usize, entered, at };
    let document = of.job.state_document(&of.id(), &state, of.received());
    Ok(one(StatusCode::CREATED, "jobstate", document))
}

pub(crate) async fn get_state(call: &Call<'_>, id: &str) -> Result<HttpResponse, ApiError> {
    const NO_STATE: ApiError = ApiError::NotFound("jobstate not found");
    let (job, nth) = part(id).ok_or(NO_STATE)?;
    let of = find(call, job).await?;
    let found = of.job.states.iter().find(|state| state.nth == nth as usize).ok_or(NO_STATE)?;
    let document = of.job.state_document(&of.id(), found, of.received());
    Ok(one(StatusCode::OK, "jobstate", document))
}

/// The job in the id of one of its states or files, and the number of its event.
pub(super) fn part(id: &str) -> Option<(&str, u32)> {
    let (job, nth) = id.split_once(':')?;
    Some((job, nth.parse().ok()?))
}

pub(crate) async fn list_states(call: &Call<'_>, id: &str) -> Result<HttpResponse, ApiError> {
    let of = find(call, id).await?;
    let states = of.job.states.iter();
    let documents = states.map(|state| of.job.state_document(&of.id(), state, of.received()));
    listed(call, "jobstates", documents.collect())
}

pub(crate) async fn list_files(call: &Call<'_>, id: &str) -> Result<HttpResponse, ApiError> {
    let of = find(call, id).await?;
    let files = of.job.files.iter();
    let documents = files.map(|file| of.job.file_document(&of.id(), file, of.received()));
    listed(call, "files", documents.collect())
}

/// The counts of the tests that a job's files report.
pub(crate) async fn list_results(call: &Call<'_>, id: &str) -> Result<HttpResponse, ApiError> {
    let of = find(call, id).await?;
    let (project, build) = (of.running.project.id, of.running.build.id);
    let read = move |repository: &dyn Repository| repository.receipt_list(project, build, u32::MAX);
    let receipts = call.ask(read).await?.files;
    let results = receipts.iter().filter_map(|text| {
        let receipt = serde_json::from_str::<Receipt>(text).ok()?;
        let counts = receipt.tests?;
        Some(dci::members(json!({
            "name": receipt.file, "total": counts.total, "success": counts.passed,
            "failures": counts.failed, "errors": counts.error, "skips": counts.skipped,
        })))
    });
    listed(call, "results", results.collect())
}

/// Keeps a number of a job under a name.
pub(crate) async fn post_number(call: &Call<'_>, id: &str) -> Result<HttpResponse, ApiError> {
    let (of, key, value) = number(call, id).await?;
    let is_short = value.as_str().is_some_and(|text| text.len() <= dci::TEXT);
    if !value.is_number() && !is_short {
        let problem = format!("must be a number, or a text of at most {} bytes", dci::TEXT);
        return Err(ApiError::BadValue { name: "value", problem });
    }
    let event = Event::Number(key.clone(), value.clone(), Timestamp::now().into());
    add(call, &of.running, &event, false).await?;
    let document = json!({"job_id": of.id(), "key": key, "value": value});
    Ok(one(StatusCode::CREATED, "kv", document))
}

/// Takes it back.
pub(crate) async fn delete_number(call: &Call<'_>, id: &str) -> Result<HttpResponse, ApiError> {
    let (of, key, _) = number(call, id).await?;
    if !of.job.numbers.contains_key(&key) {
        return Err(ApiError::NotFound("the job has no such key"));
    }
    let event = Event::Number(key, Value::Null, Timestamp::now().into());
    add(call, &of.running, &event, false).await?;
    Ok(no_content(None))
}

async fn number(call: &Call<'_>, id: &str) -> Result<(Known, String, Value), ApiError> {
    let of = find(call, id).await?;
    wire::may_continue(call, &of.running.project, &of.running.build).await?;
    let said = dci::object(call.body().await?)?;
    let value = said.get("value").cloned().unwrap_or(Value::Null);
    let key = dci::text(&said, "key")?;
    if key.len() > dci::KEY || key.contains('\0') {
        let problem = format!("must be at most {} bytes long", dci::KEY);
        return Err(ApiError::BadValue { name: "key", problem });
    }
    Ok((of, key, value))
}
