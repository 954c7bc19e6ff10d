//! Lists of builds: by project, by tags, by user.

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use devmason_domain::query::Selection;
use devmason_domain::{
    Account, Build, BuildId, PageRequest, Pages, Project, ProjectId, Slug, Tag, Username,
    split_dashed,
};
use devmason_hypermedia::document::{
    BuildDocument, BuildListDocument, ListPage, Results, TagListDocument, written_steps,
};
use devmason_hypermedia::{BuildsOf, Fields, Link, ListLinks, Resource, TagSegment};
use devmason_repository::{BuildQuery, Count, Repository, Scope, Start};
use serde_json::value::RawValue;

use crate::budget::{Hold, Lane, SMALL};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Position;
use crate::respond::{Found, leading};

/// Default number of builds per page.
const PER_PAGE: u64 = 25;

/// Maximum size of outputs on a page, in bytes. Longer pages are cut there and continue at `next`.
/// A client that wants long pages requests `fields` without `results`.
pub(super) const PAGE_BYTES: u64 = 32 << 20;

/// Maximum number of words joined with `-` that are looked up as tags.
const DASHED: usize = 24;

/// Maximum number of searches for the latest build with several tags. Each one continues where the
/// last was given up; together they take about 0.2 s.
const LATEST_SEARCHES: usize = 20;

const NO_TAG: ApiError = ApiError::NotFound("tag not found in this project");
const NO_PAGE: ApiError = ApiError::NotFound("page not found");
const NO_BUILD: ApiError = ApiError::NotFound("no builds yet");

/// A list of builds, by owner.
pub(crate) enum ListOf {
    Project(Project),
    Tagged(Project, Vec<Tag>),
    User(Account),
}

impl ListOf {
    /// The builds of a project.
    pub(crate) async fn project(call: &Call<'_>, slug: &Slug) -> Result<Self, ApiError> {
        Ok(Self::Project(call.project(slug).await?))
    }

    /// The builds of a project that have some tags.
    pub(crate) async fn tagged(
        call: &Call<'_>,
        slug: &Slug,
        segment: &TagSegment,
    ) -> Result<Self, ApiError> {
        let (project, tags) = tagged(call, slug, segment).await?;
        Ok(Self::Tagged(project, tags))
    }

    /// The builds that a user sent.
    pub(crate) async fn user(call: &Call<'_>, username: &Username) -> Result<Self, ApiError> {
        Ok(Self::User(call.user(username).await?))
    }

    /// The list with this name.
    pub(crate) async fn find(call: &Call<'_>, of: &BuildsOf) -> Result<Self, ApiError> {
        match of {
            BuildsOf::Project(slug) => Self::project(call, slug).await,
            BuildsOf::Tagged(slug, segment) => Self::tagged(call, slug, segment).await,
            BuildsOf::User(username) => Self::user(call, username).await,
        }
    }

    pub(crate) fn scope(&self) -> Scope {
        match self {
            Self::Project(project) => Scope::Project(project.id),
            Self::Tagged(project, tags) => Scope::Tagged(project.id, tags.clone()),
            Self::User(account) => Scope::Sender(account.id),
        }
    }

    /// The version of its owner.
    pub(crate) fn version(&self) -> i64 {
        match self {
            Self::Project(project) | Self::Tagged(project, _) => project.version,
            Self::User(account) => account.version,
        }
    }

    /// The project that all its builds belong to.
    pub(crate) fn of_project(&self) -> Option<&Project> {
        match self {
            Self::Project(project) | Self::Tagged(project, _) => Some(project),
            Self::User(_) => None,
        }
    }

    /// The tags that all its builds have.
    pub(crate) fn tags(&self) -> Option<&[Tag]> {
        match self {
            Self::Tagged(_, tags) => Some(tags),
            Self::Project(_) | Self::User(_) => None,
        }
    }

    fn links(&self, call: &Call<'_>, list: &ListLinks) -> Vec<Link> {
        match self {
            Self::Project(project) => call.view().build_list_links(project, list),
            Self::Tagged(project, tags) => call.view().tagged_links(project, tags, list),
            Self::User(account) => call.view().user_builds_links(&account.username, list),
        }
    }
}

/// A page of a list of builds.
pub(crate) async fn list(call: &Call<'_>, of: ListOf) -> Result<HttpResponse, ApiError> {
    let fields = call.params.fields()?;
    let BuildsPage { etag, page, pages, list } = match page(call, &of, fields).await? {
        Found::Ready(answer) => return Ok(answer),
        Found::New(page) => page,
    };
    let builds = page
        .builds
        .iter()
        .filter_map(|(build, steps)| {
            let results = steps.as_deref().map_or(Results::LeftOut, Results::Written);
            let project = page.projects.get(&build.project)?;
            let links = if fields.has("links") {
                call.view().build_links(project, build)
            } else {
                Vec::new()
            };
            Some(BuildDocument { build, results, links, fields })
        })
        .collect();
    let page = ListPage::new(pages, page.count.exact, of.links(call, &list));
    call.ok(&etag, &BuildListDocument { tags: of.tags(), builds, page })
}

/// Redirects to the latest build of a list.
pub(crate) async fn latest(call: &Call<'_>, of: ListOf) -> Result<HttpResponse, ApiError> {
    let scope = of.scope();
    let mut query =
        BuildQuery { scope, selection: Selection::default(), start: Start::Offset(0), limit: 1 };
    let found = call
        .ask(move |repository| {
            for _ in 0..LATEST_SEARCHES {
                let mut part = repository.build_list(&query)?;
                match (part.builds.pop(), part.stopped) {
                    (Some(build), _) => {
                        let project = repository.projects_by_id(&[build.project])?.pop();
                        return Ok(project.map(|project| (project.slug, build.key())));
                    }
                    (None, Some(position)) => query.start = Start::Behind(position),
                    (None, None) => return Ok(None),
                }
            }
            Err(devmason_repository::Error::TooLong("few builds have all these tags".into()))
        })
        .await?;
    let (slug, key) = found.ok_or(NO_BUILD)?;
    Ok(leading(StatusCode::FOUND, call.base.location(&Resource::Build(slug, key))))
}

/// The tags of a project's builds, with the ETag of the list.
pub(crate) async fn known_tags(
    call: &Call<'_>,
    slug: &Slug,
) -> Result<Found<(String, Project, Vec<Tag>)>, ApiError> {
    let project = call.project(slug).await?;
    let (id, version) = (project.id, project.version);
    let tally = call.ask(move |repository| repository.build_tally(&Scope::Project(id))).await?;
    let etag = call.etag(&[&id.0, &version, &tally.changes]);
    if let Some(answer) = call.ready(&etag) {
        return Ok(Found::Ready(answer));
    }
    let tags = call.ask(move |repository| repository.tag_list(id)).await?;
    Ok(Found::New((etag, project, tags)))
}

pub(crate) async fn tags(call: &Call<'_>, slug: &Slug) -> Result<HttpResponse, ApiError> {
    let (etag, project, tags) = match known_tags(call, slug).await? {
        Found::Ready(answer) => return Ok(answer),
        Found::New(known) => known,
    };
    let links = call.view().tag_list_links(&project, &tags);
    call.ok(&etag, &TagListDocument { tags: &tags, links })
}

/// The project and those of its tags that a segment names; fails if any tag is unknown.
pub(crate) async fn tagged(
    call: &Call<'_>,
    slug: &Slug,
    segment: &TagSegment,
) -> Result<(Project, Vec<Tag>), ApiError> {
    let project = call.project(slug).await?;
    let whole = segment.as_str().trim();
    // Only valid tags are looked up.
    let asked: Vec<Tag> = match segment.separated() {
        Some(words) => {
            words.iter().map(|word| word.parse()).collect::<Result<_, _>>().map_err(|_| NO_TAG)?
        }
        None => dashed(whole),
    };
    let (id, words) = (project.id, asked.clone());
    let known = call.ask(move |repository| repository.tag_known(id, &words)).await?;
    let mut tags = match segment.separated() {
        Some(_) if known.len() == asked.len() => known,
        Some(_) => return Err(NO_TAG),
        None => split_dashed(whole, &|word| known.iter().any(|tag| tag.as_str() == word))
            .ok_or(NO_TAG)?,
    };
    tags.sort_unstable();
    tags.dedup();
    if tags.is_empty() { Err(NO_TAG) } else { Ok((project, tags)) }
}

/// All possible tags in a segment: each run of words joined with `-`; if there are too many words,
/// only the whole segment.
fn dashed(segment: &str) -> Vec<Tag> {
    let words: Vec<&str> = segment.split('-').collect();
    if words.len() > DASHED {
        return segment.parse().into_iter().collect();
    }
    let runs = (0..words.len()).flat_map(|start| (start..words.len()).map(move |end| (start, end)));
    runs.filter_map(|(start, end)| words[start..=end].join("-").parse().ok()).collect()
}

/// A build with its steps, if they are requested and not too long. They are serialized here, off
/// the workers that serve connections.
type WithSteps = (Build, Option<Box<RawValue>>);

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
pub(super) fn drawn(hold: &Hold, bytes: u64) -> devmason_repository::Result<()> {
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
        let written = written_steps(&steps?).map_err(|error| {
            devmason_repository::Error::Corrupt(format!("a step: {error}").into())
        });
        Some(written.map(|written| (build, Some(written))))
    });
    with_steps.collect()
}

/// The newest builds of a list, for callers that don't need a whole page.
pub(crate) fn newest(
    repository: &dyn Repository,
    scope: Scope,
    limit: u64,
) -> devmason_repository::Result<Vec<Build>> {
    let query =
        BuildQuery { scope, selection: Selection::default(), start: Start::Offset(0), limit };
    Ok(repository.build_list(&query)?.builds)
}
