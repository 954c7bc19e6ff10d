//! The page of all projects: whether anything is red.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::HttpResponse;
use devmason_domain::query::{Filter, Selection, parse_query};
use devmason_domain::{Build, BuildId, ClientRecord, JsonObject, Project, TagSet, Username};
use devmason_hypermedia::{ListLinks, Method, Subject};
use devmason_pages::{
    Failing, Head, Heads, Pager, ProjectRow, Projects, SQUARES, Standing, counted,
};
use devmason_repository::{Among, Listing, Repository};
use serde_json::{Map, Value};

use super::{Answer, pager};
use crate::call::Call;
use crate::documents::projects::requested;
use crate::documents::search::of_project;
use crate::documents::tracks::mainline::Mainline;
use crate::error::ApiError;
use crate::insight::{BranchFilter, Pulse, newest_of};
use crate::params::quoted;

/// Maximum number of projects read to find failing ones.
const LOOKED_AT: u64 = 1000;

/// Maximum number of search results shown.
const FOUND_SHOWN: usize = 300;

/// Maximum number of lines in all groups: a project with several tags has several.
const LINES: usize = 500;

/// Number of a user's projects that are looked at for those that need attention.
const OWNED: u64 = 100;

/// Maximum number of failing tracks of a project whose builds are counted.
const FAILING: usize = 20;

/// Maximum number of builds of a track that are counted.
const COUNTED: u64 = 100;

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

/// What the list of projects is in groups by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grouping {
    None,
    /// The first word of the name in URIs.
    Prefix,
    Tag,
}

impl Grouping {
    fn of(call: &Call<'_>) -> Result<Self, ApiError> {
        match call.params.first("group").unwrap_or_default() {
            "" => Ok(Self::None),
            "prefix" => Ok(Self::Prefix),
            "tag" => Ok(Self::Tag),
            word => Err(ApiError::BadValue {
                name: "group",
                problem: format!("'{word}' is not one of prefix, tag"),
            }),
        }
    }

    /// The names of the groups that a project would be in.
    fn groups_of(self, project: &Project) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Prefix => {
                project.slug.key().split(['-', '_']).take(1).map(str::to_owned).collect()
            }
            Self::Tag => project.tags.iter().map(ToString::to_string).collect(),
        }
    }
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

/// A project with the state of its mainline.
fn row(repository: &dyn Repository, project: Project) -> Answer<ProjectRow> {
    let shown = BranchFilter::default().shown(repository, &project)?;
    let builds = newest_of(repository, &project, shown.as_ref(), SQUARES)?;
    let builds = builds.into_iter().map(brief).collect();
    let mainline = Mainline::read(repository, &project, shown.as_ref())?;
    let failing = failing(repository, &project, &mainline.pulses)?;
    let is_overdue = mainline.pulses.iter().any(Pulse::is_overdue);
    Ok(ProjectRow { project, builds, failing, is_overdue, has_tracks: !mainline.pulses.is_empty() })
}

/// A build as far as a line shows it: there may be thousands of lines.
fn brief(mut build: Build) -> Build {
    let number = build.client.0.member_text("build_number").filter(|text| text.len() <= 20);
    let number = number.map(|text| ("build_number".to_owned(), Value::String(text)));
    let member: Map<String, Value> = number.into_iter().collect();
    build.client = ClientRecord(JsonObject::from_stored(Value::Object(member).to_string()));
    build.tags = TagSet::default();
    build.components.clear();
    build
}

/// Since when a mainline fails: of the tracks whose newest finished build failed, the one that has failed
/// longest.
fn failing(
    repository: &dyn Repository,
    project: &Project,
    pulses: &[Pulse],
) -> Answer<Option<Failing>> {
    let (mut longest, mut tests): (Option<(BuildId, usize, bool)>, u64) = (None, 0);
    for pulse in pulses.iter().filter(|pulse| pulse.is_failing()).take(FAILING) {
        let among = Among::Track(pulse.known.track.key());
        let builds = repository.tracked_list(project.id, &among, None, COUNTED)?;
        let failed = builds.iter().take_while(|build| !build.success);
        let (Some(since), count) = (failed.clone().last(), failed.count()) else { continue };
        let newest = builds.first().map(|build| &build.tests);
        tests = tests.max(newest.map_or(0, |tests| tests.failed + tests.error));
        let is_exact = count < builds.len() || (builds.len() as u64) < COUNTED;
        if longest.is_none_or(|(oldest, ..)| since.id < oldest) {
            longest = Some((since.id, count, is_exact));
        }
    }
    let Some((since, builds, is_exact)) = longest else { return Ok(None) };
    let since = repository.builds_by_id(project.id, &[since])?.pop();
    Ok(since.map(|since| Failing { since: brief(since), builds, is_exact, tests }))
}

/// All projects, each with the results of its builds.
pub(crate) async fn list(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let (page, pages, _) = requested(call).await?;
    let list = ListLinks::numbered(&|page| call.params.of_page(page, None), pages);
    let search = call.params.first("q").unwrap_or_default().trim();
    let order = order(call)?;
    let grouping = Grouping::of(call)?;
    let wanted = search.to_owned();
    let is_part = search.is_empty() && order == (Order::Name, false) && grouping == Grouping::None;
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
        groups: grouped(rows, grouping),
        search,
        red_first: order.0 == Order::State,
        group: call.params.first("group").unwrap_or_default(),
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

/// The projects in groups, each by name; those that belong to none come last. A project with several tags
/// is in several groups.
fn grouped(rows: Vec<ProjectRow>, by: Grouping) -> Vec<(String, Vec<Arc<ProjectRow>>)> {
    let rows: Vec<Arc<ProjectRow>> = rows.into_iter().map(Arc::new).collect();
    if by == Grouping::None {
        return vec![(String::new(), rows)];
    }
    let mut groups: BTreeMap<String, Vec<Arc<ProjectRow>>> = BTreeMap::new();
    for row in &rows {
        for name in by.groups_of(&row.project) {
            groups.entry(name).or_default().push(row.clone());
        }
    }
    // A first word that no other project has makes no group.
    groups.retain(|_, rows| by == Grouping::Tag || rows.len() > 1);
    let is_in_one = |row: &Arc<ProjectRow>| {
        by.groups_of(&row.project).iter().any(|name| groups.contains_key(name))
    };
    let others: Vec<_> = rows.into_iter().filter(|row| !is_in_one(row)).collect();
    let others = (!others.is_empty()).then(|| ("Others".to_owned(), others));
    let mut groups: Vec<_> = groups.into_iter().chain(others).collect();
    let mut left = LINES;
    for (_, rows) in &mut groups {
        rows.truncate(left);
        left -= rows.len();
    }
    groups.retain(|(_, rows)| !rows.is_empty());
    groups
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
