//! Other representations of build lists: a badge with the status of the latest build, and a feed of
//! recent builds.

use actix_web::HttpResponse;
use devmason_domain::{Build, Slug, Tag, Timestamp};
use devmason_hypermedia::{BuildsOf, Resource};
use devmason_pages::{Entry, Standing};

use super::lists::ListOf;
use crate::call::Call;
use crate::error::ApiError;
use crate::insight::{self, BranchFilter};

/// Number of recent builds among which the latest finished one is searched; the others are running.
const LOOKED_AT: u64 = 20;

/// Number of builds in a feed.
const ENTRIES: u64 = 25;

/// The builds of a list, or of a branch of a project.
struct Source {
    of: ListOf,
    filter: BranchFilter,
    /// Their common name.
    name: String,
    /// Changes when they do.
    etag: String,
}

async fn source(call: &Call<'_>, of: &BuildsOf) -> Result<Source, ApiError> {
    let of = ListOf::find(call, of).await?;
    let name = match &of {
        ListOf::Project(project) => project.name.to_string(),
        ListOf::Tagged(project, tags) => {
            let words: Vec<&str> = tags.iter().map(Tag::as_str).collect();
            format!("{} {}", project.name, words.join(" "))
        }
        ListOf::User(account) => account.username.to_string(),
    };
    let builds = of.scope();
    let tally = call.ask(move |repository| repository.build_tally(&builds)).await?;
    let etag = call.etag(&[&of.version(), &tally.changes, &call.params.choice()]);
    Ok(Source { of, filter: BranchFilter::of(call.params), name, etag })
}

/// The newest builds, each with its project's slug.
async fn newest(
    call: &Call<'_>,
    (of, filter): (ListOf, BranchFilter),
    limit: u64,
) -> Result<Vec<(Build, Slug)>, ApiError> {
    call.ask(move |repository| {
        let builds = match &of {
            ListOf::Project(project) => {
                let shown = filter.shown(repository, project)?;
                insight::newest_of(repository, project, shown.as_ref(), limit)?
            }
            ListOf::Tagged(..) | ListOf::User(_) => insight::newest(repository, of.scope(), limit)?,
        };
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
    let Source { of, filter, name, etag } = source(call, &of).await?;
    if call.is_known(&etag) {
        return Ok(call.unchanged(&etag));
    }
    let builds = newest(call, (of, filter), LOOKED_AT).await?;
    let standing = Standing::latest(builds.iter().map(|(build, _)| build));
    let svg = devmason_pages::badge(&name, standing);
    let svg = svg.map_err(|error| ApiError::Unwritable(error.to_string()))?;
    Ok(call.other(&etag, "image/svg+xml", svg))
}

pub(crate) async fn feed(call: &Call<'_>, of: BuildsOf) -> Result<HttpResponse, ApiError> {
    let list = call.base.href(&of.list());
    let Source { of, filter, name, etag } = source(call, &of).await?;
    if call.is_known(&etag) {
        return Ok(call.unchanged(&etag));
    }
    let builds = newest(call, (of, filter), ENTRIES).await?;
    let entries: Vec<Entry> =
        builds.iter().filter_map(|(build, slug)| entry(call, build, slug)).collect();
    let this = format!("{}{}", call.base.href(call.resource), call.params.choice());
    let atom = devmason_pages::feed(&name, &this, &list, &entries);
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
