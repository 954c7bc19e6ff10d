//! A page of a list of builds: reading it, and what comes before and after it.

use std::collections::HashMap;

use devmason_domain::query::Selection;
use devmason_domain::{Build, BuildId, PageRequest, Pages, Project, ProjectId, Step};
use devmason_hypermedia::document::{Results, written_steps};
use devmason_hypermedia::{Fields, ListLinks};
use devmason_repository::{BuildQuery, Count, Repository, Scope, Start};
use serde_json::value::RawValue;

use super::of::ListOf;
use crate::budget::{Hold, Lane, SMALL};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Position;
use crate::respond::Found;

/// Default number of builds per page.
const PER_PAGE: u64 = 25;

/// Maximum size of outputs on a page, in bytes. Longer pages are cut there and continue at `next`.
/// A client that wants long pages requests `fields` without `results`.
pub(in crate::documents) const PAGE_BYTES: u64 = 32 << 20;

const NO_PAGE: ApiError = ApiError::NotFound("page not found");

/// Maximum size of outputs on a page, in bytes, that is serialized with the page. That saves a copy, but
/// keeps a worker from its other connections meanwhile.
const SERIALIZED_AT_ONCE: u64 = 512 << 10;

/// The steps of a build.
pub(crate) enum Steps {
    /// As they were read.
    Read(Vec<Step>),
    /// Already serialized, off the workers that serve connections.
    Written(Box<RawValue>),
}

impl Steps {
    pub(super) fn results(&self) -> Results<'_> {
        match self {
            Self::Read(steps) => Results::Steps(steps),
            Self::Written(written) => Results::Written(written),
        }
    }
}

/// A build with its steps, if they are requested and not too long.
type WithSteps = (Build, Option<Steps>);

/// The data from the store for a page of builds.
pub(crate) struct Page {
    pub(crate) builds: Vec<WithSteps>,
    pub(crate) projects: HashMap<ProjectId, Project>,
    pub(crate) count: Count,
    /// Whether there are, or may be, more builds in the direction of reading.
    more: bool,
    /// Where the search for more builds was given up.
    stopped: Option<BuildId>,
}

/// A page of a list of builds, with its page numbers and links.
pub(crate) struct BuildsPage {
    pub(crate) etag: String,
    pub(crate) page: Page,
    pub(crate) pages: Pages,
    pub(crate) list: ListLinks,
}

/// The requested page of a list of builds; steps are read if `fields` has them.
pub(crate) async fn page(
    call: &Call<'_>,
    of: &ListOf,
    fields: Fields,
) -> Result<Found<BuildsPage>, ApiError> {
    let request = call.params.page(PER_PAGE)?;
    let (scope, version) = (of.scope(), of.version());
    let (selection, mut position) = (call.params.selection_of_builds()?, call.params.position()?);
    // A list with a custom order has no positions, so its pages are numbered.
    let positioned = selection.sort.is_empty();
    position = position.filter(|position| positioned != matches!(position, Position::From(_)));
    let offset = match position {
        Some(Position::From(offset)) => offset,
        _ => request.offset(),
    };

    let asked = scope.clone();
    let tally = call.ask(move |repository| repository.build_tally(&asked)).await?;
    // A project or user created again under an old name is a different one.
    let place = match &scope {
        Scope::Project(id) | Scope::Tagged(id, _) => id.0,
        Scope::Sender(id) => id.0,
    };
    let etag =
        call.etag(&[&place, &version, &tally.changes, &tally.members, &call.params.choice()]);
    if let Some(answer) = call.ready(&etag) {
        return Ok(Found::Ready(answer));
    }
    let known = of.of_project().cloned();
    let hold = call.body.hold.clone();
    let page = call
        .ask(move |repository| {
            let count = if scope.keeps_count_of(&selection) {
                Count { builds: tally.members, exact: true }
            } else {
                repository.build_count(&scope, &selection)?
            };
            let (builds, more, stopped) =
                read(repository, scope, selection, (count, request), position, fields, &hold)?;
            let projects = match known {
                Some(project) => vec![project],
                None => {
                    let mut ids: Vec<_> = builds.iter().map(|(build, _)| build.project).collect();
                    ids.sort_unstable();
                    ids.dedup();
                    repository.projects_by_id(&ids)?
                }
            };
            let projects = projects.into_iter().map(|project| (project.id, project)).collect();
            Ok(Page { builds, projects, count, more, stopped })
        })
        .await?;

    let backwards = matches!(position, Some(Position::Before(_)));
    let (mut first_seen, mut last_seen) = (
        page.builds.first().map(|(build, _)| build.id),
        page.builds.last().map(|(build, _)| build.id),
    );
    // A page that was cut continues where its search was given up.
    let end = if backwards { &mut first_seen } else { &mut last_seen };
    *end = page.stopped.or(*end);
    if let (None, Some(Position::After(id))) = (first_seen, position) {
        first_seen = Some(BuildId(uuid::Uuid::from_u128(id.0.as_u128().saturating_sub(1))));
    }
    let has_next = if backwards { true } else { page.more };
    let has_previous = if backwards { page.more } else { request.page > 1 || position.is_some() };
    let known = offset + page.builds.len() as u64 + u64::from(page.more);
    let builds_count =
        if page.count.exact { page.count.builds } else { page.count.builds.max(known) };
    let mut pages = request.of(builds_count);
    if !pages.exists() {
        if position.is_none() {
            return Err(NO_PAGE);
        }
        // A link's page number may be outdated, because builds have been deleted since.
        pages.page = pages.num_pages;
    }
    let to = |page: u64, position| call.params.of_page(page, position);
    // Where the list continues: after the last build or, in a custom order, at an offset.
    let on = if positioned {
        last_seen.map(Position::After)
    } else {
        Some(Position::From(offset + page.builds.len() as u64))
    };
    let back = first_seen.map(Position::Before).filter(|_| positioned);
    let list = ListLinks {
        this: to(request.page, position),
        first: to(1, None),
        last: page.count.exact.then(|| to(pages.num_pages, None)),
        next: has_next.then(|| to(request.page + 1, on)),
        previous: has_previous.then(|| match request.page.saturating_sub(1) {
            0 | 1 => to(1, None),
            page => to(page, back),
        }),
    };
    Ok(Found::New(BuildsPage { etag, page, pages, list }))
}

/// The builds whose outputs fit on a page, at least one, counted from the start or, when reading
/// backwards, from the end.
fn fitting(builds: &[Build], from_end: bool) -> std::ops::Range<usize> {
    let mut bytes = 0;
    let mut fits = |build: &&Build| {
        bytes += build.output_bytes;
        bytes <= PAGE_BYTES
    };
    let count = if from_end {
        builds.iter().rev().take_while(&mut fits).count()
    } else {
        builds.iter().take_while(&mut fits).count()
    };
    let count = count.max(1).min(builds.len());
    if from_end { builds.len() - count..builds.len() } else { 0..count }
}

/// The builds of a page with their steps, and whether there are more in the direction of reading.
fn read(
    repository: &dyn Repository,
    scope: Scope,
    selection: Selection,
    (count, request): (Count, PageRequest),
    position: Option<Position>,
    fields: Fields,
    hold: &Hold,
) -> devmason_repository::Result<(Vec<WithSteps>, bool, Option<BuildId>)> {
    let positioned = selection.sort.is_empty();
    let offset = request.offset();
    let from_end = count.builds.saturating_sub(offset);
    // One more than fits on the page, to see whether there are more.
    let mut limit = request.per_page + 1;
    let start = match position {
        Some(Position::After(id)) => Start::Behind(id),
        Some(Position::Before(id)) => Start::Before(id),
        Some(Position::From(offset)) => Start::Offset(offset),
        None if count.exact && positioned && offset > count.builds / 2 && from_end > 0 => {
            // The end is nearer, so the last pages of a long list cost as little as the first.
            limit = limit.min(from_end);
            Start::FromEnd(from_end - limit)
        }
        None => Start::Offset(offset),
    };
    let query = BuildQuery { scope, selection, start, limit };
    let part = repository.build_list(&query)?;
    let (mut builds, mut stopped) = (part.builds, part.stopped);
    let mut more = builds.len() as u64 > request.per_page;
    if more {
        stopped = None;
        match position {
            Some(Position::Before(_)) => drop(builds.remove(0)),
            _ => drop(builds.pop()),
        }
    }
    let builds: Vec<WithSteps> = if fields.has("results") {
        let fit = fitting(&builds, matches!(position, Some(Position::Before(_))));
        if fit.len() < builds.len() {
            (more, stopped) = (true, None);
        }
        builds = builds.drain(fit).collect();
        with_steps(repository, builds, hold)?
    } else {
        builds.into_iter().map(|build| (build, None)).collect()
    };
    Ok((builds, more || stopped.is_some(), stopped))
}

/// Draws memory for a response of this size before its data is read.
pub(in crate::documents) fn drawn(hold: &Hold, bytes: u64) -> devmason_repository::Result<()> {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    if bytes <= SMALL {
        return Ok(());
    }
    hold.draw_blocking(Lane::Answer, bytes)
        .map_err(|_| devmason_repository::Error::Busy("no memory is free".into()))
}

/// Loads the steps of builds, except those of a build whose steps alone exceed a page. A build
/// deleted meanwhile is left out.
fn with_steps(
    repository: &dyn Repository,
    builds: Vec<Build>,
    hold: &Hold,
) -> devmason_repository::Result<Vec<WithSteps>> {
    if builds.iter().any(|build| build.output_bytes > PAGE_BYTES) {
        return Ok(builds.into_iter().map(|build| (build, None)).collect());
    }
    let bytes: u64 = builds.iter().map(|build| build.output_bytes).sum();
    drawn(hold, bytes)?;
    let steps = repository.step_list(&builds)?;
    let with_steps = builds.into_iter().zip(steps).filter_map(|(build, steps)| {
        let steps = steps?;
        if bytes <= SERIALIZED_AT_ONCE {
            return Some(Ok((build, Some(Steps::Read(steps)))));
        }
        let written = written_steps(&steps).map_err(|error| {
            devmason_repository::Error::Corrupt(format!("a step: {error}").into())
        });
        Some(written.map(|written| (build, Some(Steps::Written(written)))))
    });
    with_steps.collect()
}
