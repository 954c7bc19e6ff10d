//! Other representations of build lists: a badge with the status of the latest build, and a feed of
//! recent builds.

use actix_web::HttpResponse;
use devmason_domain::{Build, Slug, Tag, Timestamp};
use devmason_hypermedia::{BuildsOf, Resource};
use devmason_pages::{Entry, Standing};
use devmason_repository::Scope;

use super::lists::{self, ListOf};
use crate::call::Call;
use crate::error::ApiError;

/// Number of recent builds among which the latest finished one is searched; the others are running.
const LOOKED_AT: u64 = 20;

/// Number of builds in a feed.
const ENTRIES: u64 = 25;

/// The builds of a list, their common name, and an ETag that changes when they do.
async fn scope(call: &Call<'_>, of: &BuildsOf) -> Result<(Scope, String, String), ApiError> {
    let of = ListOf::find(call, of).await?;
    let name = match &of {
        ListOf::Project(project) => project.name.to_string(),
        ListOf::Tagged(project, tags) => {
            let words: Vec<&str> = tags.iter().map(Tag::as_str).collect();
            format!("{} {}", project.name, words.join(" "))
        }
        ListOf::User(account) => account.username.to_string(),
    };
    let (scope, builds) = (of.scope(), of.scope());
    let tally = call.ask(move |repository| repository.build_tally(&builds)).await?;
    let etag = call.etag(&[&of.version(), &tally.changes]);
    Ok((scope, name, etag))
}

/// The newest builds of a list, each with its project's slug.
async fn newest(call: &Call<'_>, scope: Scope, limit: u64) -> Result<Vec<(Build, Slug)>, ApiError> {
    call.ask(move |repository| {
        let builds = lists::newest(repository, scope, limit)?;
        let ids: Vec<_> = builds.iter().map(|build| build.project).collect();
        let projects = repository.projects_by_id(&ids)?;
        let slug = |build: &Build| {
            let project = projects.iter().find(|project| project.id == build.project)?;
            Some(project.slug.clone())
        };
        Ok(builds.into_iter().filter_map(|build| slug(&build).map(|slug| (build, slug))).collect())
    })
    .await
}

pub(crate) async fn badge(call: &Call<'_>, of: BuildsOf) -> Result<HttpResponse, ApiError> {
    let (scope, label, etag) = scope(call, &of).await?;
    if call.is_known(&etag) {
        return Ok(call.unchanged(&etag));
    }
    let builds = newest(call, scope, LOOKED_AT).await?;
    let standing = Standing::latest(builds.iter().map(|(build, _)| build));
    let svg = devmason_pages::badge(&label, standing);
    let svg = svg.map_err(|error| ApiError::Unwritable(error.to_string()))?;
    Ok(call.other(&etag, "image/svg+xml", svg))
}

pub(crate) async fn feed(call: &Call<'_>, of: BuildsOf) -> Result<HttpResponse, ApiError> {
    let (scope, title, etag) = scope(call, &of).await?;
    if call.is_known(&etag) {
        return Ok(call.unchanged(&etag));
    }
    let builds = newest(call, scope, ENTRIES).await?;
    let entries: Vec<Entry> =
        builds.iter().filter_map(|(build, slug)| entry(call, build, slug)).collect();
    let (this, list) = (call.base.href(call.resource), call.base.href(&of.list()));
    let atom = devmason_pages::feed(&title, &this, &list, &entries);
    let atom = atom.map_err(|error| ApiError::Unwritable(error.to_string()))?;
    Ok(call.other(&etag, "application/atom+xml", atom))
}

fn entry(call: &Call<'_>, build: &Build, slug: &Slug) -> Option<Entry> {
    let key = build.key();
    let href = call.base.href(&Resource::Build(slug.clone(), key.clone()));
    let tests = &build.tests;
    let bad = tests.failed + tests.error;
    let tests = match tests.total {
        0 => String::new(),
        total => format!(", {bad} of {total} tests failed"),
    };
    let summary = format!(
        "started {}, {} of {} steps failed{tests}",
        build.started.to_rfc2822(),
        build.failed_steps,
        build.steps
    );
    Some(Entry {
        href,
        title: format!("{}: {slug} {key}", Standing::of(build).as_str()),
        updated: Timestamp::to_rfc3339_utc(build.updated_at),
        author: build.sender.username().map_or_else(|| "anonymous".to_owned(), ToString::to_string),
        tags: build.tags.iter().map(ToString::to_string).collect(),
        summary,
    })
}
