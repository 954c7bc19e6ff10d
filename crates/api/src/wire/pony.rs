//! pony-build's client of 2010.

use actix_web::HttpResponse;
use devmason_domain::query::Selection;
use devmason_domain::{Build, Digest, Outcome, Project, State, Timestamp};
use devmason_repository::{BuildQuery, Repository, Scope, Start};
use devmason_wire::pony::{Call as Asked, Client, PROTOCOL, Results, Value, fault, read, response};
use devmason_wire::{Part, WireError};
use uuid::Uuid;

use super::{Held, begin, find, has, may_continue};
use crate::call::Call;
use crate::error::ApiError;
use crate::upload::written;

/// The code of all faults.
const FAULT: i64 = 1;

/// How many of the newest builds are looked at for one like the client's.
const NEWEST: u64 = 100;

/// After this many microseconds a client should build again.
const DAY: i64 = 86_400_000_000;

/// Answers a call. What is wrong with it is a fault with status 200, as XML-RPC has it.
pub(crate) async fn call(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    super::count(call, PROTOCOL, None);
    let received = Timestamp::now();
    let asked = match super::read(call, move |body| Ok(read(body, received))).await? {
        Ok(asked) => asked,
        Err(error) => return Ok(said(fault(FAULT, &error.to_string()))),
    };
    let text = match asked {
        Asked::Check(client) => {
            let (should, why) = check(call, &client).await?;
            response(&Value::Array(vec![Value::Bool(should), Value::Text(why.to_owned())]))
        }
        Asked::Add(results) => {
            let (key, authority) = add(call, results).await?;
            response(&Value::Array(vec![Value::Text(key), Value::Text(authority)]))
        }
        Asked::Unknown(method) => fault(FAULT, &format!("the method '{method}' is not known here")),
    };
    Ok(said(text))
}

fn said(text: String) -> HttpResponse {
    HttpResponse::Ok().content_type("text/xml").body(text)
}

/// Whether the client should build: if there is no such build, or it failed, or it is a day old.
async fn check(call: &Call<'_>, client: &Client) -> Result<(bool, &'static str), ApiError> {
    let Some(project) = super::permitted(call, &client.package).await?.there() else {
        return Ok((true, "there is no such project yet"));
    };
    let (project, client) = (project.id, client.clone());
    let newest = move |repository: &dyn Repository| {
        let query = BuildQuery {
            scope: Scope::Project(project),
            selection: Selection::default(),
            start: Start::Offset(0),
            limit: NEWEST,
        };
        let builds = repository.build_list(&query)?.builds;
        Ok(builds.into_iter().find(|build| is_like(build, &client)))
    };
    Ok(match call.ask(newest).await?.map(|build| (build.outcome, build.received)) {
        None => (true, "there is no build with these tags, host and architecture"),
        Some((Outcome::Finished { success: false, .. }, _)) => (true, "the last such build failed"),
        Some((_, received)) if Timestamp::now().micros() - received.micros() > DAY => {
            (true, "the last such build is more than a day old")
        }
        Some(_) => (false, "such a build was reported within a day"),
    })
}

fn is_like(build: &Build, client: &Client) -> bool {
    let mut tags: Vec<&str> = client.tags.iter().map(String::as_str).collect();
    tags.sort_unstable();
    tags.dedup();
    let text = |name: &str| build.client.0.member_text(name).unwrap_or_default();
    text("host") == client.host
        && text("arch") == client.arch
        && build.tags.iter().map(|tag| tag.as_str()).eq(tags)
}

/// Stores a build; returns its key and what permits uploads to it.
async fn add(call: &Call<'_>, results: Results) -> Result<(String, String), ApiError> {
    let project = super::permitted(call, &results.client.package).await?;
    let project = project.registered(call).await?;
    let digest = results.part.receipt.digest.clone().unwrap_or_default();
    let key = Digest::of(digest.as_bytes());
    // The same call again is the same build.
    let held = match find(call, &project, PROTOCOL, key).await? {
        Some(held) if held.build.outcome.state() == State::Finished => held,
        Some(held) => fill(call, held, results).await?,
        None => {
            let held = begun(call, &project, key, &results).await?;
            fill(call, held, results).await?
        }
    };
    Ok((held.build.key().as_str().to_owned(), authority(&held)))
}

async fn begun(
    call: &Call<'_>,
    project: &Project,
    key: Digest,
    results: &Results,
) -> Result<Held, ApiError> {
    let mut part = results.part.clone();
    // The build begins when its first step does.
    part.step = results.parts.first().and_then(|first| first.step.clone());
    begin(call, project, (PROTOCOL, key, 1), &part).await
}

/// Adds the steps and ends the build.
async fn fill(call: &Call<'_>, held: Held, results: Results) -> Result<Held, ApiError> {
    let (project, build, number) = (held.build.project, held.build.id, held.foreign.number);
    let receipt = written(&results.part.receipt);
    let steps: Vec<_> = results.parts.into_iter().filter_map(|part| part.step).collect();
    let (success, finished) = (results.success, results.finished);
    let foreign = held.foreign.clone();
    let filled = move |repository: &dyn Repository| {
        let Some((_, build)) = repository.foreign_held(&foreign)? else { return Ok(()) };
        let new = devmason_repository::Reread {
            steps,
            report: devmason_repository::TestReport {
                receipts: vec![receipt],
                ..devmason_repository::TestReport::default()
            },
            uploads: Vec::new(),
            success: None,
            now: finished,
        };
        repository.build_reread(&build, &new).map(drop)
    };
    call.ask(filled).await?;
    let closing = devmason_domain::Closing { success: Some(success), finished: Some(finished) };
    call.ask(move |repository| {
        repository.build_close(project, build, closing, Timestamp::now())?;
        repository.foreign_heard(number, None)
    })
    .await?;
    Ok(held)
}

/// What names a build for uploads. It permits nothing that its sender may not do anyway.
fn authority(held: &Held) -> String {
    format!("{}-{}", held.foreign.number, held.foreign.build.0.simple())
}

/// Takes a file for which there is no place: its receipt says so.
pub(crate) async fn upload(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    const UNKNOWN: ApiError = ApiError::NotFound("no build has this auth_key");
    super::count(call, PROTOCOL, None);
    let params = call.params;
    let (number, id) =
        params.first("auth_key").and_then(|key| key.split_once('-')).ok_or(UNKNOWN)?;
    let number: i64 = number.parse().map_err(|_| UNKNOWN)?;
    let id = Uuid::try_parse(id).map_err(|_| UNKNOWN)?;
    let found = call
        .ask(move |repository| match repository.foreign_numbered(number)? {
            Some(foreign) if foreign.build.0 == id && foreign.protocol == PROTOCOL => {
                let held = repository.foreign_held(&foreign)?;
                Ok(held.map(|(project, build)| Held { project, foreign, build }))
            }
            _ => Ok(None),
        })
        .await?;
    let held = found.ok_or(UNKNOWN)?;
    call.app.settings.policy.report(call.viewer(), &held.project)?;
    may_continue(call, &held.project, &held.build).await?;
    let name = params.first("filename").unwrap_or("file").to_owned();
    let about = params.first("description").unwrap_or_default().to_owned();
    let part = super::read(call, move |body| {
        let mut part = Part::new(Some(&name), PROTOCOL, body);
        let bytes = body.len();
        part.dropped(format!("'{name}' ({about}), {bytes} bytes, has no place here"));
        Ok::<_, WireError>(part)
    })
    .await?;
    if !has(call, &held.foreign, &part).await? {
        super::add(call, &held, part, true).await?;
    }
    Ok(HttpResponse::Ok().content_type("text/plain").body("dropped: see the build's receipt\n"))
}
