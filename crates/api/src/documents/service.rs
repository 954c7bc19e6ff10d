//! The server itself: permitted methods, health, metrics, API description.

use super::{builds, issues, lists, steps, tracks};
use crate::call::Call;
use crate::error::ApiError;
use crate::metrics::Metrics;
use crate::objects;
use actix_web::HttpResponse;
use actix_web::http::header;
use devmason_domain::Username;
use devmason_hypermedia::document::{SessionDocument, StatusDocument};
use devmason_hypermedia::{Method, Place, Resource, Subject};
use devmason_pages::{Asset, Doc};

/// The methods that this client may use on the resource.
pub(crate) async fn methods(call: &Call<'_>) -> Result<Vec<Method>, ApiError> {
    let view = call.view();
    let is_there = match call.resource {
        Resource::Asset(file) => Asset::find(file).is_some(),
        Resource::DocsPage(document) => Doc::find(document).is_some(),
        Resource::DocsSubpage(section, document) => {
            let path = format!("{section}/{document}");
            Doc::find(&path).is_some() || Doc::image(&path).is_some()
        }
        _ => true,
    };
    if !is_there {
        return Err(ApiError::NotFound("page not found"));
    }
    Ok(match call.resource.place() {
        Place::Open => vec![Method::Get],
        Place::Session => vec![Method::Get, Method::Post],
        Place::Administration => match call.app.settings.policy.administer(call.viewer()) {
            Ok(()) => view.methods(Subject::ReadOnly),
            Err(_) => Vec::new(),
        },
        Place::Foreign => call.resource.methods().to_vec(),
        Place::Server => view.methods(Subject::ReadOnly),
        Place::Project(slug) => {
            view.methods(Subject::Project(call.find_project(slug).await?.as_ref()))
        }
        Place::Builds(slug) => view.methods(Subject::Builds(&call.project(slug).await?)),
        Place::Track(slug, key) => {
            let (project, _) = tracks::find(call, slug, key).await?;
            match call.resource {
                Resource::Track(..) => view.methods(Subject::Track(&project)),
                _ => view.methods(Subject::ReadOnly),
            }
        }
        Place::Issues(slug) => view.methods(Subject::Issues(&call.project(slug).await?)),
        Place::Issue(slug, id) => {
            let (project, _) = issues::find(call, slug, id).await?;
            view.methods(Subject::Issue(&project))
        }
        Place::InProject(slug) => {
            call.project(slug).await?;
            view.methods(Subject::ReadOnly)
        }
        Place::Tagged(slug, segment) => {
            lists::tagged(call, slug, segment).await?;
            view.methods(Subject::ReadOnly)
        }
        Place::Build(slug, key) => {
            let project = call.project(slug).await?;
            match builds::find(call, slug, key).await {
                Ok((_, build)) => view.methods(Subject::Build(&project, Some(&build))),
                Err(ApiError::NotFound(_)) => view.methods(Subject::Build(&project, None)),
                Err(error) => return Err(error),
            }
        }
        Place::Progress(slug, key) => {
            let (project, build) = builds::find(call, slug, key).await?;
            view.methods(Subject::Progress(&project, &build))
        }
        Place::Step(slug, key, nth) => {
            let (project, build, step) = steps::find(call, slug, key, *nth).await?;
            view.methods(Subject::Step(&project, &build, step.is_running()))
        }
        Place::StepLog(slug, key, nth) => {
            let (project, build, step) = steps::find(call, slug, key, *nth).await?;
            view.methods(Subject::StepLog(&project, &build, step.is_running()))
        }
        Place::Reparse(slug, key) => {
            let (project, build) = builds::find(call, slug, key).await?;
            view.methods(Subject::Reparse(&project, &build))
        }
        Place::InBuild(slug, key) => {
            builds::find(call, slug, key).await?;
            view.methods(Subject::ReadOnly)
        }
        Place::User(username) => match call.user(username).await {
            Ok(_) => view.methods(Subject::User(username, true)),
            Err(ApiError::NotFound(_)) => view.methods(Subject::User(username, false)),
            Err(error) => return Err(error),
        },
        Place::InUser(username) => {
            call.user(username).await?;
            view.methods(Subject::ReadOnly)
        }
        Place::Components => view.methods(Subject::Components),
        Place::Object(collection, id) => {
            let creator = objects::creator(call, collection, id).await?;
            if collection.is_written() {
                view.methods(Subject::Component(creator))
            } else {
                view.methods(Subject::ReadOnly)
            }
        }
        Place::InObject(collection, id) => {
            objects::creator(call, collection, id).await?;
            view.methods(Subject::ReadOnly)
        }
    })
}

pub(crate) fn health(call: &Call<'_>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(StatusDocument { status: "ok", version: &call.app.settings.version })
}

pub(crate) async fn ready(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    match call.ask(|repository| repository.ready()).await {
        Ok(()) => Ok(health(call)),
        Err(ApiError::Store(error)) => Err(ApiError::NotReady(error)),
        Err(error) => Err(error),
    }
}

pub(crate) fn metrics(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let app = call.app;
    app.metrics.memory.set(i64::try_from(app.budget.drawn()).unwrap_or(i64::MAX));
    if let Some(bytes) = app.store.log_bytes() {
        app.metrics.log.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
    app.metrics.connections.set(i64::try_from(app.connections.count()).unwrap_or(i64::MAX));
    let text = app.metrics.encode().map_err(|error| ApiError::Unwritable(error.to_string()))?;
    Ok(HttpResponse::Ok()
        .content_type(Metrics::CONTENT_TYPE)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(text))
}

pub(crate) fn openapi(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let etag = call.etag(&[]);
    if let Some(answer) = call.ready(&etag) {
        return Ok(answer);
    }
    let server = call.base.href(&Resource::ProjectList);
    call.ok(
        &etag,
        &crate::openapi::document(&call.app.settings.version, server.trim_end_matches('/')),
    )
}

/// The signed-in user.
pub(crate) fn session(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let username = call.viewer().username().map(Username::as_str);
    call.listed(&SessionDocument { username })
}

/// A file that pages load. Its contents never change under the same name.
pub(crate) fn asset(file: &str) -> Result<HttpResponse, ApiError> {
    let asset = Asset::find(file).ok_or(ApiError::NotFound("file not found"))?;
    Ok(HttpResponse::Ok()
        .content_type(asset.media_type)
        .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(asset.text))
}

/// What search engines may read (RFC 9309): the pages, but not each way to sort and filter them.
const ROBOTS: &str = "User-agent: *\nDisallow: /api/\nDisallow: /*?\n";

/// How long a browser may keep what has no hash in its name.
const A_DAY: &str = "public, max-age=86400";

pub(crate) fn robots() -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.content_type("text/plain; charset=utf-8").insert_header((header::CACHE_CONTROL, A_DAY));
    answer.body(ROBOTS)
}

pub(crate) fn favicon() -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.content_type(Asset::ICON.media_type).insert_header((header::CACHE_CONTROL, A_DAY));
    answer.body(Asset::ICON.text)
}
