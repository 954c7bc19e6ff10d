//! The pages of projects.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use actix_web::HttpResponse;
use devmason_domain::query::{Filter, Selection, parse_query};
use devmason_domain::{
    Build, ClientRecord, JsonObject, Project, Slug, TagSet, TestStatus, Timestamp, TrackKey,
    Username, full_test_name,
};
use devmason_hypermedia::document::TrackPulse;
use devmason_hypermedia::{ListLinks, Method, Subject};
use devmason_pages::{
    GridOrder, Head, Heads, MainlineTrack, Pager, ProjectPage, ProjectParts, ProjectRow, Projects,
    STRIP, Standing, TestLine, counted,
};
use devmason_repository::{Listing, Repository, TestQuery};
use serde_json::{Map, Value};

use super::{Answer, may_triage, pager};
use crate::call::Call;
use crate::documents::projects::requested;
use crate::documents::search::of_project;
use crate::documents::tracks;
use crate::documents::tracks::mainline::{self, Mainline, ending};
use crate::error::ApiError;
use crate::insight::{BranchFilter, GAPS, newest_of, stamp};
use crate::params::quoted;

/// Maximum number of projects read to find failing ones.
const LOOKED_AT: u64 = 1000;

/// Maximum number of search results shown.
const FOUND_SHOWN: usize = 300;

/// Number of a user's projects that are looked at for those that need attention.
const OWNED: u64 = 100;

/// Number of builds in a project's plots, and in its grids.
const PLOTTED: u64 = 100;

const GRID: usize = 30;

/// Number of tests in a grid.
const GRID_TESTS: usize = 30;

/// What the list of projects is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    State,
    Name,
    Failing,
    Last,
}

const ORDERS: [(Order, &str); 4] = [
    (Order::State, "state"),
    (Order::Name, "name"),
    (Order::Failing, "failing"),
    (Order::Last, "last"),
];

/// The order that a request names, and whether it is reversed. `order=red` is that of the state.
fn order(call: &Call<'_>) -> Result<(Order, bool), ApiError> {
    let usual = if call.params.first("order") == Some("red") { "state" } else { "name" };
    let word = call.params.first("sort").filter(|word| !word.is_empty()).unwrap_or(usual);
    let (is_reversed, plain) = word.strip_prefix('-').map_or((false, word), |plain| (true, plain));
    let found = ORDERS.iter().find(|(_, name)| *name == plain);
    found.map(|(order, _)| (*order, is_reversed)).ok_or_else(|| ApiError::BadValue {
        name: "sort",
        problem: format!("'{word}' is not one of state, name, failing, last, each also with '-'"),
    })
}

fn sort(rows: &mut [ProjectRow], (order, is_reversed): (Order, bool)) {
    match order {
        // What fails, and what is overdue, comes first.
        Order::State => rows.sort_by_key(|row| match row.standing() {
            Standing::Failure => 0,
            _ if row.needs_attention() => 1,
            Standing::Running => 2,
            Standing::Success => 3,
            Standing::Nothing => 4,
        }),
        Order::Name => {}
        Order::Failing => rows.sort_by_key(|row| Reverse(row.failing_tests())),
        Order::Last => rows.sort_by_key(|row| Reverse(row.last_micros())),
    }
    if is_reversed {
        rows.reverse();
    }
}

/// The heads that sort the list.
fn heads(call: &Call<'_>, (order, is_reversed): (Order, bool)) -> Heads {
    let path = call.base.location(call.resource);
    let head = |of: Order| {
        let word = ORDERS.iter().find(|(order, _)| *order == of).map_or("", |(_, word)| word);
        let sign = if order == of && !is_reversed { "-" } else { "" };
        // Failing tests and last reports begin with the greatest.
        let sorted = match (order == of, is_reversed ^ matches!(of, Order::Failing | Order::Last)) {
            (false, _) => "",
            (true, false) => "ascending",
            (true, true) => "descending",
        };
        Head { href: format!("{path}{}", call.params.of_sort(format!("{sign}{word}"))), sorted }
    };
    Heads {
        state: head(Order::State),
        name: head(Order::Name),
        failing: head(Order::Failing),
        last: head(Order::Last),
    }
}

/// A project with the newest builds of its mainline.
fn row(repository: &dyn Repository, project: Project) -> Answer<ProjectRow> {
    let shown = BranchFilter::default().shown(repository, &project)?;
    let mut builds = newest_of(repository, &project, shown.as_ref(), STRIP)?;
    // A line shows little of them, and there may be thousands.
    for build in &mut builds {
        let number = build.client.0.member_text("build_number").filter(|text| text.len() <= 20);
        let number = number.map(|text| ("build_number".to_owned(), Value::String(text)));
        let member: Map<String, Value> = number.into_iter().collect();
        build.client = ClientRecord(JsonObject::from_stored(Value::Object(member).to_string()));
        build.tags = TagSet::default();
        build.components.clear();
    }
    let is_overdue = shown.is_some() && is_overdue(repository, &project, &builds)?;
    Ok(ProjectRow { project, builds, is_overdue })
}

/// Whether a track of a mainline is overdue, by its newest builds.
fn is_overdue(repository: &dyn Repository, project: &Project, builds: &[Build]) -> Answer<bool> {
    let mut starts: HashMap<TrackKey, Vec<Timestamp>> = HashMap::new();
    for build in builds {
        if let Some(track) = &build.track {
            starts.entry(track.key()).or_default().push(build.started);
        }
    }
    let keys: Vec<TrackKey> = starts.keys().copied().collect();
    let tracks = repository.tracks_by_key(project.id, &keys)?;
    let now = Timestamp::now();
    Ok(tracks.iter().any(|known| {
        let of = starts.get(&known.track.key()).map(Vec::as_slice).unwrap_or_default();
        known.expected.is_overdue(of.get(..GAPS.min(of.len())).unwrap_or_default(), now)
    }))
}

/// All projects, each with the results of its builds.
pub(crate) async fn list(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let (page, pages, _) = requested(call).await?;
    let list = ListLinks::numbered(&|page| call.params.of_page(page, None), pages);
    let search = call.params.first("q").unwrap_or_default().trim();
    let order = order(call)?;
    let is_grouped = call.params.first("group") == Some("prefix");
    let wanted = search.to_owned();
    let is_part = search.is_empty() && order == (Order::Name, false) && !is_grouped;
    let viewer = call.viewer().username().cloned();
    let (mut rows, mine) = call
        .ask(move |repository| {
            let projects =
                if is_part { repository.project_list(page)? } else { found(repository, &wanted)? };
            let own = match viewer.filter(|_| wanted.is_empty()) {
                Some(username) => owned(repository, &username)?,
                None => Vec::new(),
            };
            let rows = |projects: Vec<Project>| {
                projects.into_iter().map(|of| row(repository, of)).collect::<Answer<Vec<_>>>()
            };
            let mut mine = rows(own)?;
            mine.retain(ProjectRow::needs_attention);
            Ok((rows(projects)?, mine))
        })
        .await?;
    sort(&mut rows, order);
    let text = match rows.len() {
        found @ ..=FOUND_SHOWN => counted(found, "project"),
        found => format!("first {FOUND_SHOWN} of {}", counted(found, "project")),
    };
    rows.truncate(FOUND_SHOWN);
    let pager = match is_part {
        true => pager(call, &list, String::new()),
        false => Pager { text, ..Pager::default() },
    };
    let may_register = call.view().methods(Subject::Project(None)).contains(&Method::Put);
    call.shown(&Projects {
        site: call.site(),
        mine,
        groups: if is_grouped { grouped(rows) } else { vec![(String::new(), rows)] },
        search,
        red_first: order.0 == Order::State,
        is_grouped,
        heads: heads(call, order),
        may_register,
        pager,
    })
}

/// The projects that a user owns.
fn owned(repository: &dyn Repository, username: &Username) -> Answer<Vec<Project>> {
    let query = format!("eq(owner,{})", quoted(&username.key()));
    // The query is well-formed.
    let filter = parse_query(&devmason_domain::query::PROJECTS, &query).unwrap_or_default();
    let selection = Selection { filter, sort: Vec::new() };
    Ok(repository.project_query(&Listing { selection, offset: 0, limit: OWNED })?.items)
}

/// The projects in groups by the first word of their name in URIs, where several have it. The others come
/// last.
fn grouped(rows: Vec<ProjectRow>) -> Vec<(String, Vec<ProjectRow>)> {
    let prefix = |row: &ProjectRow| {
        let slug = row.project.slug.key();
        slug.split(['-', '_']).next().unwrap_or_default().to_owned()
    };
    let mut groups: BTreeMap<String, Vec<ProjectRow>> = BTreeMap::new();
    for row in rows {
        groups.entry(prefix(&row)).or_default().push(row);
    }
    let (groups, lone): (Vec<_>, Vec<_>) = groups.into_iter().partition(|(_, rows)| rows.len() > 1);
    let others: Vec<ProjectRow> = lone.into_iter().flat_map(|(_, rows)| rows).collect();
    let others = (!others.is_empty()).then(|| ("Others".to_owned(), others));
    groups.into_iter().chain(others).collect()
}

/// The projects with this text in their display name or slug.
fn found(repository: &dyn Repository, text: &str) -> Answer<Vec<Project>> {
    let filter = if text.is_empty() {
        Filter::default()
    } else {
        let query = of_project(text);
        // The query is well-formed, but may be longer than any name.
        match parse_query(&devmason_domain::query::PROJECTS, &query) {
            Ok(filter) => filter,
            Err(_) => return Ok(Vec::new()),
        }
    };
    let selection = Selection { filter, sort: Vec::new() };
    let mut projects =
        repository.project_query(&Listing { selection, offset: 0, limit: LOOKED_AT })?.items;
    let order = |project: &Project| (project.name.to_string(), project.slug.to_string());
    projects.sort_by_cached_key(order);
    Ok(projects)
}

/// A project with the results of its recent builds.
pub(crate) async fn get(call: &Call<'_>, slug: &Slug) -> Result<HttpResponse, ApiError> {
    let given = |name| call.params.first(name).unwrap_or_default();
    let order = match given("grid") {
        "" => GridOrder::default(),
        word => GridOrder::of(word).ok_or_else(|| ApiError::BadValue {
            name: "grid",
            problem: format!("'{word}' is not one of failures, flips, age"),
        })?,
    };
    let project = call.project(slug).await?;
    let (filter, of) = (BranchFilter::of(call.params), project.clone());
    let (stamp, branch, mainline, ending) = call
        .ask(move |repository| {
            let branch = filter.shown(repository, &of)?;
            let mainline = Mainline::read(repository, &of, branch.as_ref())?;
            Ok((stamp(repository, of.id)?, branch, mainline, ending(repository, &of)?))
        })
        .await?;
    // What is overdue and what ends soon changes with time alone.
    let ends: Vec<String> = ending.iter().map(|issue| issue.id.to_string()).collect();
    let (overdue, ends, choice) = (mainline.overdue(), ends.join(" "), call.params.choice());
    let etag = call.etag(&[&project.id.0, &project.version, &stamp, &overdue, &ends, &choice]);
    if let Some(answer) = call.ready(&etag) {
        return Ok(answer);
    }
    let state = mainline::state(call, &project, &mainline).await?;
    let of = project.clone();
    let (branch, builds, steps, tests) = call
        .ask(move |repository| {
            let builds = newest_of(repository, &of, branch.as_ref(), PLOTTED)?;
            let shown = builds.get(..GRID.min(builds.len())).unwrap_or_default();
            let steps = repository.step_outline(shown)?;
            let tests = failing(repository, shown)?;
            Ok((branch, builds, steps, tests))
        })
        .await?;
    let pulses: Vec<TrackPulse> = mainline.pulses.iter().map(tracks::pulse).collect();
    let tracks = mainline.pulses.iter().zip(&pulses).zip(state.counts);
    let tracks = tracks.map(|((of, pulse), counts)| MainlineTrack {
        pulse,
        counts,
        builds: of.begun.iter().map(|build| (&build.key, build.success)).collect(),
    });
    let may_change = call.view().methods(Subject::Project(Some(&project))).contains(&Method::Put);
    let shown = ProjectParts {
        project: &project,
        branch: branch.as_ref().map_or("", |shown| shown.branch.as_str()),
        variant: given("variant"),
        asked_branch: given("branch"),
        branches: &mainline.branches,
        variants: &mainline.variants,
        order,
        is_usual: given("branch").is_empty() && given("variant").is_empty(),
        builds: &builds,
        steps: &steps,
        tests: &tests,
        tracks: tracks.collect(),
        more_tracks: mainline.more,
        findings: &state.findings,
        ending: &ending,
        may_change,
        may_triage: may_triage(call, &project),
    };
    let page = ProjectPage::new(call.site(), shown);
    let page = page.map_err(|error| ApiError::Unwritable(error.to_string()))?;
    if state.is_certain { call.paged(&etag, &page) } else { call.shown(&page) }
}

/// The tests that failed in any of these builds, most frequent first, with their results in each.
fn failing(repository: &dyn Repository, builds: &[Build]) -> Answer<Vec<TestLine>> {
    let mut failures: HashMap<String, usize> = HashMap::new();
    for build in builds.iter().filter(|build| build.tests.failed + build.tests.error > 0) {
        let query = TestQuery {
            is_brief: true,
            statuses: vec![TestStatus::Failed, TestStatus::Error],
            limit: GRID_TESTS as u64,
            ..TestQuery::all(build.project, build.id)
        };
        for test in repository.test_list(&query)? {
            let name = full_test_name(&test.result.suite, &test.result.name);
            *failures.entry(name).or_default() += 1;
        }
    }
    let mut names: Vec<(String, usize)> = failures.into_iter().collect();
    names.sort_by(|(one, often), (other, seldom)| seldom.cmp(often).then_with(|| one.cmp(other)));
    names.truncate(GRID_TESTS);
    let empty = |(name, _)| TestLine { name, runs: Vec::new() };
    let mut lines: Vec<TestLine> = names.into_iter().map(empty).collect();
    let names: Vec<String> = lines.iter().map(|line| line.name.clone()).collect();
    for build in builds.iter().filter(|build| !names.is_empty() && !build.tests.is_empty()) {
        let places = repository.test_places(build.project, build.id, &names)?;
        for line in &mut lines {
            let place = places.get(&line.name);
            line.runs.extend(place.map(|(position, status)| (build.id, *position, *status)));
        }
    }
    Ok(lines)
}
