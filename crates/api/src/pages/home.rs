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

/// Maximum number of lines in all groups with a name: a project with several tags has several. Each project
/// has one.
const LINES: usize = 500;

/// Number of a user's projects that are looked at for those that need attention.
const OWNED: u64 = 100;

/// Number of tracks that are looked at for all projects, and of each at least and at most.
const TRACKS: usize = 2_000;
const TRACKS_OF_EACH: (usize, usize) = (5, 100);

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

/// How the list of projects is grouped.
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

    /// The heading of the projects that are in no group.
    fn others(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Prefix => "Others",
            Self::Tag => "Without a tag",
        }
    }
}

fn sort(rows: &mut [Arc<ProjectRow>], (order, is_reversed): (Order, bool)) {
    match order {
        // What fails, and what is overdue, comes first.
        Order::State => rows.sort_by_key(|row| match row.standing() {
            Standing::Failure => 0,
            _ if row.needs_attention() => 1,
            Standing::Running => 2,
            Standing::Success => 3,
            Standing::Nothing => 4,
        }),
        // They come by name.
        Order::Name => return,
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

/// A project with the state of its mainline, by so many tracks at most.
fn row(repository: &dyn Repository, project: Project, tracks: usize) -> Answer<ProjectRow> {
    let shown = BranchFilter::default().shown(repository, &project)?;
    let builds = newest_of(repository, &project, shown.as_ref(), SQUARES)?;
    let builds = builds.into_iter().map(brief).collect();
    let mainline = Mainline::read(repository, &project, shown.as_ref(), tracks)?;
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
/// longest. One that has failed for more builds than are counted comes before those that have not.
fn failing(
    repository: &dyn Repository,
    project: &Project,
    pulses: &[Pulse],
) -> Answer<Option<Failing>> {
    let (mut longest, mut tests): (Option<(bool, BuildId, usize)>, u64) = (None, 0);
    for pulse in pulses.iter().filter(|pulse| pulse.success == Some(false)) {
        let among = Among::Track(pulse.known.track.key());
        let builds = repository.tracked_list(project.id, &among, None, COUNTED)?;
        let failed = builds.iter().take_while(|build| !build.success);
        let (Some(since), count) = (failed.clone().last(), failed.count()) else { continue };
        let newest = builds.first().map(|build| &build.tests);
        tests = tests.max(newest.map_or(0, |tests| tests.failed + tests.error));
        let is_exact = count < builds.len() || (builds.len() as u64) < COUNTED;
        let this = (is_exact, since.id, count);
        longest = Some(longest.map_or(this, |longest| longest.min(this)));
    }
    let Some((is_exact, since, builds)) = longest else { return Ok(None) };
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
    let (count, mut rows, mine) = call
        .ask(move |repository| {
            let mut projects =
                if is_part { repository.project_list(page)? } else { found(repository, &wanted)? };
            let count = projects.len();
            if order.0 == Order::Name {
                if order.1 {
                    projects.reverse();
                }
                projects.truncate(FOUND_SHOWN);
            }
            let own = match viewer.filter(|_| wanted.is_empty()) {
                Some(username) => owned(repository, &username)?,
                None => Vec::new(),
            };
            let (least, most) = TRACKS_OF_EACH;
            let tracks = (TRACKS / projects.len().max(1)).clamp(least, most);
            let rows = projects.into_iter().map(|of| row(repository, of, tracks).map(Arc::new));
            let rows: Vec<Arc<ProjectRow>> = rows.collect::<Answer<_>>()?;
            let mine = own.into_iter().map(|own| {
                let known = rows.iter().find(|row| row.project.id == own.id).cloned();
                known.map_or_else(|| row(repository, own, tracks).map(Arc::new), Ok)
            });
            let mut mine: Vec<Arc<ProjectRow>> = mine.collect::<Answer<_>>()?;
            mine.retain(|row| row.needs_attention());
            Ok((count, rows, mine))
        })
        .await?;
    sort(&mut rows, order);
    let text = match count {
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
/// is in several groups, as far as there are lines for them.
fn grouped(rows: Vec<Arc<ProjectRow>>, by: Grouping) -> Vec<(String, Vec<Arc<ProjectRow>>)> {
    if by == Grouping::None {
        return vec![(String::new(), rows)];
    }
    let mut names: Vec<Vec<String>> = rows.iter().map(|row| by.groups_of(&row.project)).collect();
    if by == Grouping::Prefix {
        // A first word that no other project has makes no group.
        let all: Vec<String> = names.iter().flatten().cloned().collect();
        let is_shared = |name: &String| all.iter().filter(|other| *other == name).count() > 1;
        names.iter_mut().for_each(|names| names.retain(is_shared));
    }
    // The first tag of each project, then the second of each.
    let most = names.iter().map(Vec::len).max().unwrap_or_default();
    let nth = |nth: usize| {
        let of = names.iter().enumerate();
        of.filter_map(move |(at, names)| Some((names.get(nth)?, at)))
    };
    let mut groups: BTreeMap<&String, Vec<usize>> = BTreeMap::new();
    for (name, at) in (0..most).flat_map(nth).take(LINES) {
        groups.entry(name).or_default().push(at);
    }
    let of = |mut group: Vec<usize>| {
        group.sort_unstable();
        group.into_iter().filter_map(|at| rows.get(at).cloned()).collect::<Vec<_>>()
    };
    let others = (0..rows.len()).filter(|at| names.get(*at).is_none_or(Vec::is_empty)).collect();
    let others = (by.others().to_owned(), of(others));
    let groups = groups.into_iter().map(|(name, group)| (name.clone(), of(group)));
    groups.chain((!others.1.is_empty()).then_some(others)).collect()
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
