//! Test cases of builds, and the history of one test.

mod behaviour;

use std::collections::HashMap;

use actix_web::HttpResponse;
use devmason_domain::insight::Case;
use devmason_domain::{
    Build, BuildId, BuildKey, Project, ProjectId, Signature, Slug, State, TestResult, TestStatus,
    Track, TrackKey, full_test_name,
};
use devmason_hypermedia::document::{HistoryDocument, RunDocument, TestDocument, TestListDocument};
use devmason_hypermedia::{Link, ListLinks, Resource, View};
use devmason_repository::{KnownTrack, PlacedTest, Repository, TestQuery, TestRun};

use self::behaviour::track;
pub(crate) use self::behaviour::{behaviour, stats};
use super::builds::{borrowed, find, state};
use super::lists::{PAGE_BYTES, drawn};
use crate::budget::Hold;
use crate::call::Call;
use crate::error::ApiError;
use crate::insight::stamp;
use crate::params::Position;
use crate::respond::Found;

/// Default and maximum number of test cases or runs per page.
const PER_PAGE: (u64, u64) = (100, 1000);

/// The page length, at most `most`.
fn per_page(call: &Call<'_>, most: u64) -> Result<u64, ApiError> {
    Ok(call.params.number("per_page", PER_PAGE.0, PER_PAGE.1)?.min(most))
}

/// A page of a build's test cases.
pub(crate) struct TestPage {
    pub(crate) etag: String,
    pub(crate) project: Project,
    pub(crate) build: Build,
    pub(crate) tests: Vec<PlacedTest>,
    pub(crate) is_first: bool,
    /// Whether only failures are on it, though the request does not say so.
    pub(crate) is_of_failures: bool,
    /// The query of the next page.
    pub(crate) next: Option<String>,
}

/// What a request that names no condition gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unasked {
    /// All cases.
    All,
    /// The failures, if there are any.
    Failures,
}

/// The requested page of a build's test cases, with at most `most` of them.
pub(crate) async fn page(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
    (most, unasked): (u64, Unasked),
) -> Result<Found<TestPage>, ApiError> {
    let limit = per_page(call, most)?;
    let from = match call.params.position()? {
        None => 0,
        Some(Position::From(from)) => u32::try_from(from).unwrap_or(u32::MAX),
        Some(_) => {
            let problem = "not supported for this list; use 'from'".to_owned();
            return Err(ApiError::BadValue { name: "after", problem });
        }
    };
    let statuses = call.params.words("status")?;
    let mut statuses = statuses.into_iter().map(status).collect::<Result<Vec<_>, _>>()?;
    let is_slowest = by_duration(call)?;
    let (project, build) = find(call, slug, key).await?;
    let state = state(&project, &build);
    let [id, version, rules, credited] = borrowed(&state);
    let etag = call.etag(&[id, version, rules, credited, &call.params.choice()]);
    if let Some(answer) = call.ready(&etag) {
        return Ok(Found::Ready(answer));
    }
    let is_asked = |name| call.params.first(name).is_some_and(|value| !value.is_empty());
    let is_of_failures = unasked == Unasked::Failures
        && !["status", "text", "suite", "sort"].into_iter().any(is_asked)
        && build.tests.failed + build.tests.error > 0;
    if is_of_failures {
        statuses = vec![TestStatus::Failed, TestStatus::Error];
    }
    if is_slowest {
        let hold = call.body.hold.clone();
        let of = build.clone();
        let read =
            move |repository: &dyn Repository| slowest(repository, &of, &statuses, limit, &hold);
        let tests = call.ask(read).await?;
        let page =
            TestPage { etag, project, build, tests, is_first: true, is_of_failures, next: None };
        return Ok(Found::New(page));
    }
    let query = TestQuery {
        project: project.id,
        build: build.id,
        statuses,
        suite: call.params.first("suite").map(str::to_owned),
        text: call.params.wanted_text()?,
        places: None,
        from,
        limit: limit + 1,
        is_brief: false,
    };
    let hold = call.body.hold.clone();
    let mut tests = call.ask(move |repository| read(repository, query, &hold)).await?;
    let next = cut(&mut tests, limit, |test| &test.result)
        .map(|next| call.params.of_page(1, Some(Position::From(next.position.into()))));
    let is_first = from == 0;
    Ok(Found::New(TestPage { etag, project, build, tests, is_first, is_of_failures, next }))
}

/// Whether the slowest cases are asked for. Those are the first of all that have the statuses.
fn by_duration(call: &Call<'_>) -> Result<bool, ApiError> {
    let bad = |name, problem: String| Err(ApiError::BadValue { name, problem });
    match call.params.first("sort").filter(|word| !word.is_empty()) {
        None => Ok(false),
        Some("duration") => {
            let others = ["suite", "text", "from"];
            let given = |name: &&str| call.params.first(name).is_some_and(|text| !text.is_empty());
            match others.into_iter().find(given) {
                None => Ok(true),
                Some(other) => bad("sort", format!("not supported with '{other}'")),
            }
        }
        Some(other) => bad("sort", format!("'{other}' is not 'duration'")),
    }
}

/// Memory for a case that is sorted, in bytes.
const SORTED: u64 = 64;

/// The slowest cases of a build, the slowest first.
fn slowest(
    repository: &dyn Repository,
    build: &Build,
    statuses: &[TestStatus],
    limit: u64,
    hold: &Hold,
) -> devmason_repository::Result<Vec<PlacedTest>> {
    drawn(hold, build.tests.total.saturating_mul(SORTED))?;
    let mut cases = repository.case_list(build.project, &[build.id])?.pop().unwrap_or_default();
    cases.retain(|case| statuses.is_empty() || statuses.contains(&case.status));
    let took = |case: &Case| case.took.unwrap_or(-1.0);
    cases.sort_by(|one, other| {
        took(other).total_cmp(&took(one)).then_with(|| one.position.cmp(&other.position))
    });
    cases.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let order: HashMap<u32, usize> =
        cases.iter().enumerate().map(|(nth, case)| (case.position, nth)).collect();
    let mut places: Vec<u32> = order.keys().copied().collect();
    places.sort_unstable();
    let query = TestQuery {
        places: Some(places),
        limit: cases.len() as u64,
        ..TestQuery::all(build.project, build.id)
    };
    let mut found = read(repository, query, hold)?;
    found.sort_by_key(|test| order.get(&test.position).copied());
    Ok(found)
}

pub(crate) async fn list(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<HttpResponse, ApiError> {
    let TestPage { etag, project, build, tests, next, .. } =
        match page(call, slug, key, (PER_PAGE.1, Unasked::All)).await? {
            Found::Ready(answer) => return Ok(answer),
            Found::New(page) => page,
        };
    let view = call.view();
    let this = Resource::TestList(slug.clone(), key.clone());
    let first = call.params.of_page(1, None);
    let list = ListLinks { this: call.params.choice(), first, next, ..ListLinks::default() };
    let links = view.part_links(&project, &build, &this, &list);
    let tests = tests
        .iter()
        .map(|PlacedTest { position, result }| {
            let name = full_test_name(&result.suite, &result.name);
            let mut links = vec![view.history_link(&project, &name)];
            links.extend(signature_link(&view, &project, (&build, result)));
            TestDocument::new(*position, result, links)
        })
        .collect();
    call.ok(&etag, &TestListDocument { tests, count: build.tests.total, links })
}

/// A test case, with its project, its build and the ETag of its representation.
pub(crate) struct OneCase {
    pub(crate) etag: String,
    pub(crate) project: Project,
    pub(crate) build: Build,
    pub(crate) test: PlacedTest,
}

/// The test case at a position of a build.
pub(crate) async fn case(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
    position: u32,
) -> Result<Found<OneCase>, ApiError> {
    let (project, build) = find(call, slug, key).await?;
    let state = state(&project, &build);
    let [id, version, rules, credited] = borrowed(&state);
    let etag = call.etag(&[id, version, rules, credited]);
    if let Some(answer) = call.ready(&etag) {
        return Ok(Found::Ready(answer));
    }
    let query = TestQuery { from: position, limit: 1, ..TestQuery::all(project.id, build.id) };
    let hold = call.body.hold.clone();
    let found = call.ask(move |repository| read(repository, query, &hold)).await?.pop();
    let test = found.filter(|test| test.position == position);
    let test = test.ok_or(ApiError::NotFound("test case not found in this build"))?;
    Ok(Found::New(OneCase { etag, project, build, test }))
}

pub(crate) async fn one(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
    position: u32,
) -> Result<HttpResponse, ApiError> {
    let OneCase { etag, project, build, test } = match case(call, slug, key, position).await? {
        Found::Ready(answer) => return Ok(answer),
        Found::New(found) => found,
    };
    let view = call.view();
    let name = full_test_name(&test.result.suite, &test.result.name);
    let mut links = view.case_links(&project, &build, (position, &name));
    links.extend(signature_link(&view, &project, (&build, &test.result)));
    let document = RunDocument {
        build: build.key().to_string(),
        started: build.started.to_rfc2822(),
        test: TestDocument::new(position, &test.result, links),
    };
    call.ok(&etag, &document)
}

/// Number of test cases to read first, because their texts may be long.
const FEW: u64 = 8;

/// The test cases of a page, read a few at a time until no more fit.
pub(crate) fn read(
    repository: &dyn Repository,
    query: TestQuery,
    hold: &Hold,
) -> devmason_repository::Result<Vec<PlacedTest>> {
    let (mut all, mut from, mut few) = (Vec::new(), query.from, FEW);
    let mut bytes = 0;
    while bytes <= PAGE_BYTES && (all.len() as u64) < query.limit {
        let limit = few.min(query.limit - all.len() as u64);
        let part = repository.test_list(&TestQuery { from, limit, ..query.clone() })?;
        let is_last = (part.len() as u64) < limit;
        let read = part.iter().map(|test| text_bytes(&test.result)).sum::<u64>();
        drawn(hold, read)?;
        bytes += read;
        from = part.last().map_or(from, |test| test.position.saturating_add(1));
        all.extend(part);
        if is_last {
            break;
        }
        few = few.saturating_mul(2);
    }
    Ok(all)
}

/// A build, and the position of a case in it.
type Place = (BuildId, u32);

/// Number of runs that are read at once to find those of a track, and among which they are sought.
const FOR_TRACK: u64 = 256;
const LOOKED_AT: u64 = 2_000;

/// The runs of a test's history, read the same way; only those of a track, if given. Where more may
/// follow, the place of the next.
fn read_history(
    repository: &dyn Repository,
    project: ProjectId,
    (name, mut from): (&str, Option<Place>),
    (limit, track): (u64, Option<TrackKey>),
    hold: &Hold,
) -> devmason_repository::Result<Option<(Vec<TestRun>, Option<Place>)>> {
    let (mut all, mut next, mut few) = (Vec::new(), None, FEW);
    let (mut bytes, mut looked_at) = (0, 0);
    let is_of_track = |build: &Build| {
        let key = build.track.as_ref().map(Track::key);
        track.is_none_or(|track| key == Some(track))
    };
    while (all.len() as u64) < limit {
        // Most runs may be of other tracks.
        let part_limit = match track {
            None => few.min(limit - all.len() as u64),
            Some(_) => few.min(FOR_TRACK),
        };
        let Some(part) = repository.test_history(project, name, from, part_limit, false)? else {
            return Ok(None);
        };
        let is_last = (part.runs.len() as u64) < part_limit;
        let read = part.runs.iter().map(|run| text_bytes(&run.test.result)).sum::<u64>();
        drawn(hold, read)?;
        bytes += read;
        if let Some(last) = part.runs.last() {
            from = Some((last.build.id, last.test.position.saturating_add(1)));
        }
        looked_at += part.runs.len() as u64;
        all.extend(part.runs.into_iter().filter(|run| is_of_track(&run.build)));
        if is_last {
            next = part.stopped.map(|build| (build, 0));
            break;
        }
        if bytes > PAGE_BYTES || (track.is_some() && looked_at >= LOOKED_AT) {
            next = from;
            break;
        }
        few = few.saturating_mul(2);
    }
    Ok(Some((all, next)))
}

/// Cuts a page at the limit, or where no more cases fit, but not before the first; returns the case
/// that starts the next page.
fn cut<T>(page: &mut Vec<T>, limit: u64, result: impl Fn(&T) -> &TestResult) -> Option<T> {
    let mut bytes = 0;
    let fits = |case: &&T| {
        bytes += text_bytes(result(case));
        bytes <= PAGE_BYTES
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let count = page.iter().take(limit).take_while(fits).count().max(1);
    page.truncate(count.saturating_add(1));
    if page.len() > count { page.pop() } else { None }
}

/// Total size of a case's texts, in bytes, without names.
fn text_bytes(result: &TestResult) -> u64 {
    let failure = result.failure.iter().flat_map(|failure| [&failure.message, &failure.text]);
    let failure: usize = failure.flatten().map(String::len).sum();
    let details = &result.details;
    let properties = details.properties.iter().map(|(name, value)| name.len() + value.len());
    (failure + details.stdout.len() + details.stderr.len() + properties.sum::<usize>()) as u64
}

/// The link from a failure to its signature. Signatures are sought in finished builds.
fn signature_link(
    view: &View<'_>,
    project: &Project,
    (build, of): (&Build, &TestResult),
) -> Option<Link> {
    let is_told = of.status.is_bad() && build.outcome.state() == State::Finished;
    let failure = of.failure.as_ref().filter(|_| is_told)?;
    view.signature_link(project, &Signature::of(failure)?.id)
}

fn status(word: &str) -> Result<TestStatus, ApiError> {
    TestStatus::from_word(word).ok_or_else(|| {
        let words: Vec<&str> = TestStatus::ALL.iter().map(|status| status.as_str()).collect();
        let problem = format!("'{word}' is not one of {}", words.join(", "));
        ApiError::BadValue { name: "status", problem }
    })
}

/// A page of the history of a test.
pub(crate) struct HistoryPage {
    pub(crate) etag: String,
    pub(crate) project: Project,
    /// The track that the request is about.
    pub(crate) track: Option<KnownTrack>,
    pub(crate) runs: Vec<TestRun>,
    pub(crate) is_first: bool,
    pub(crate) list: ListLinks,
}

/// The requested page of a test's history, with at most `most` runs.
pub(crate) async fn history_page(
    call: &Call<'_>,
    slug: &Slug,
    name: &str,
    most: u64,
) -> Result<Found<HistoryPage>, ApiError> {
    let limit = per_page(call, most)?;
    let from = call.params.place()?;
    let project = call.project(slug).await?;
    let id = project.id;
    let track = track(call, &project).await?;
    let key = track.as_ref().map(|known| known.track.key());
    // What is said of a track depends on closed issues.
    let stamp = call.ask(move |repository| stamp(repository, id)).await?;
    let etag = call.etag(&[&id.0, &project.version, &stamp, &call.params.choice()]);
    if let Some(answer) = call.ready(&etag) {
        return Ok(Found::Ready(answer));
    }
    let (full_name, hold) = (name.to_owned(), call.body.hold.clone());
    let (mut runs, stopped) = call
        .ask(move |repository| {
            read_history(repository, id, (&full_name, from), (limit + 1, key), &hold)
        })
        .await?
        .ok_or(ApiError::NotFound("test not found in this project"))?;
    let next = cut(&mut runs, limit, |run| &run.test.result)
        .map(|next| (next.build.id, next.test.position))
        .or(stopped)
        .map(|(build, position)| call.params.of_place(build, position));
    let list = ListLinks {
        this: call.params.choice(),
        first: call.params.of_page(1, None),
        next,
        ..ListLinks::default()
    };
    let is_first = from.is_none();
    Ok(Found::New(HistoryPage { etag, project, track, runs, is_first, list }))
}

pub(crate) async fn history(
    call: &Call<'_>,
    slug: &Slug,
    name: &str,
) -> Result<HttpResponse, ApiError> {
    let HistoryPage { etag, project, track, runs, list, .. } =
        match history_page(call, slug, name, PER_PAGE.1).await? {
            Found::Ready(answer) => return Ok(answer),
            Found::New(page) => page,
        };
    let behaviour = behaviour(call, &project, track, name).await?;
    let view = call.view();
    let links = view.history_links(&project, name, &list);
    let runs = runs
        .iter()
        .map(|TestRun { build, test }| {
            let mut links = vec![view.run_link(&project, build)];
            links.extend(signature_link(&view, &project, (build, &test.result)));
            RunDocument {
                build: build.key().to_string(),
                started: build.started.to_rfc2822(),
                test: TestDocument::new(test.position, &test.result, links),
            }
        })
        .collect();
    call.ok(&etag, &HistoryDocument { full_name: name, runs, behaviour, links })
}
