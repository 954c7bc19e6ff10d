//! Finding lines of a build's logs by their text.

mod scan;

use actix_web::HttpResponse;
use devmason_domain::{Build, BuildKey, Project, Slug};
use devmason_hypermedia::document::{LogLine, LogMatch, LogMatchesDocument};
use devmason_hypermedia::{Base, ListLinks, Resource};
use devmason_repository::Repository;

use super::builds::{borrowed, find, state};
use crate::call::Call;
use crate::error::ApiError;

pub(crate) use scan::{Found, Matcher, Search, first_error};

/// Where a line is on the page of its log.
pub(crate) fn href(base: &Base, slug: &Slug, key: &BuildKey, step: u32, line: u64) -> String {
    let log = base.href(&Resource::StepLog(slug.clone(), key.clone(), step));
    let from = line.saturating_sub(20).max(1);
    format!("{log}?format=html&from={from}#step-{step}-L{line}")
}

/// A place to go on: step and line.
fn place(text: &str) -> Option<(u32, u64)> {
    let (step, line) = text.split_once(':')?;
    Some((step.parse().ok()?, line.parse().ok().filter(|line| *line > 0)?))
}

fn bad(name: &'static str, problem: impl Into<String>) -> ApiError {
    ApiError::BadValue { name, problem: problem.into() }
}

/// What a request searches for; `None` if it names no text.
pub(crate) fn search(call: &Call<'_>) -> Result<Option<Search>, ApiError> {
    let given = |name| call.params.first(name).filter(|text| !text.is_empty());
    let matcher = match (given("text"), given("regex")) {
        (None, None) => return Ok(None),
        (Some(text), None) => Matcher::literal(text).map_err(|problem| bad("text", problem))?,
        (None, Some(regex)) => Matcher::regex(regex).map_err(|problem| bad("regex", problem))?,
        (Some(_), Some(_)) => return Err(bad("regex", "use either 'text' or 'regex'")),
    };
    let number = |name| match call.params.first(name) {
        None | Some("") => Ok(None),
        Some(_) => call.params.count(name),
    };
    let step = number("step")?.map(|step| u32::try_from(step).unwrap_or(u32::MAX));
    let context = number("context")?.unwrap_or(2);
    if context > 20 {
        return Err(bad("context", "must be at most 20"));
    }
    let from = given("from").map(|text| {
        place(text)
            .ok_or_else(|| bad("from", "not a place in the logs; take it from a 'next' link"))
    });
    let from = from.transpose()?.unwrap_or((step.unwrap_or(0), 1));
    let most = call.params.number("per_page", 100, 1000)? as usize;
    Ok(Some(Search { matcher, step, context, from, most }))
}

pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<HttpResponse, ApiError> {
    let (project, build) = find(call, slug, key).await?;
    let search =
        search(call)?.ok_or_else(|| bad("text", "required: the text to find, or 'regex'"))?;
    let state = state(&project, &build);
    let [id, version, rules, credited] = borrowed(&state);
    let etag = call.etag(&[id, version, rules, credited, &call.params.choice()]);
    if let Some(answer) = call.ready(&etag) {
        return Ok(answer);
    }
    let document = run(call, &project, &build, search).await?;
    call.ok(&etag, &document)
}

/// Searches the logs of a build.
pub(crate) async fn run(
    call: &Call<'_>,
    project: &Project,
    build: &Build,
    search: Search,
) -> Result<LogMatchesDocument, ApiError> {
    let of = build.clone();
    let found = call.ask(move |repository: &dyn Repository| search.run(repository, &of)).await?;
    let this = Resource::LogSearch(project.slug.clone(), build.key());
    let next = found.next.map(|(step, line)| call.params.of_from(format!("{step}:{line}")));
    let list = ListLinks { this: call.params.choice(), next, ..ListLinks::default() };
    let (slug, key) = (&project.slug, build.key());
    let matches = found.lines.into_iter().map(|line| shown(call.base, slug, &key, line));
    Ok(LogMatchesDocument {
        complete: found.next.is_none(),
        matches: matches.collect(),
        links: call.view().part_links(project, build, &this, &list),
    })
}

fn shown(base: &Base, slug: &Slug, key: &BuildKey, found: Found) -> LogMatch {
    let line = |(number, text): (u64, String)| LogLine { number, text };
    LogMatch {
        href: href(base, slug, key, found.step, found.line.0),
        step: found.step,
        name: found.name,
        line: line(found.line),
        before: found.before.into_iter().map(line).collect(),
        after: found.after.into_iter().map(line).collect(),
    }
}
