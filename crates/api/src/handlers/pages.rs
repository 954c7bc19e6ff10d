//! HTML pages: the data of the documents' handlers, plus what only pages show.

use std::collections::{HashMap, HashSet};

use actix_web::HttpResponse;
use devmason_domain::query::{BUILDS, Filter, Selection, parse_query};
use devmason_domain::{
    Account, Build, ClientRecord, Component, ComponentType, Outcome, Project, ProjectId, State,
    Step, TagSet, TestResult, TestStatus, full_test_name,
};
use devmason_hypermedia::{BuildsOf, ListLinks, Method, Resource, Subject};
use devmason_pages::{
    BuildFilter, BuildPage, BuildParts, Builds, Compared, ComponentBuilds, ComponentRow,
    Components, History, Pager, ProjectPage, ProjectRow, Projects, Room, Row, Run, TestLine,
    TestRow, Tests, User, Users,
};
use devmason_repository::{
    BuildQuery, Listing, Named, PlacedTest, Repository, Scope, Start, TestQuery, TestRun,
};

use crate::budget::Hold;
use crate::call::Call;
use crate::error::ApiError;
use crate::params::holding;

/// Number of builds in a project's strip, in the list of all projects.
const STRIP: u64 = 30;

/// Maximum number of projects read to find failing ones.
const LOOKED_AT: u64 = 1000;

/// Maximum number of search results shown.
const FOUND_SHOWN: usize = 300;

/// Maximum number of test cases, runs or builds on an HTML page, whatever `per_page` or `limit`
/// says; a JSON document may have more.
pub(super) const LONGEST: u64 = 100;

/// Maximum size of the HTML for the outputs of a page's test cases, in bytes.
const OUTPUTS: usize = 1 << 20;

/// Number of builds in a project's plots, and in its grids.
const PLOTTED: u64 = 100;
const GRID: usize = 30;

/// Number of tests in a grid.
const GRID_TESTS: usize = 30;

/// Number of failed tests named on a build's page, and number compared.
const FAILED_SHOWN: usize = 20;
const FAILED_COMPARED: u64 = 500;

/// Maximum number of previously failing tests to check.
const MENDED: usize = 50;

/// Maximum size of outputs that are read at once for a build's page, in bytes. Longer ones are read
/// one by one, up to this many steps.
const READ_AT_ONCE: u64 = 1 << 20;
const READ_ONE_BY_ONE: usize = 40;

/// Minimum size of a long output, in bytes.
const LONG: usize = 256 << 10;

type Answer<T> = devmason_repository::Result<T>;

/// The newest builds of a list, for callers that don't need a whole page.
pub(super) fn newest(repository: &dyn Repository, scope: Scope, limit: u64) -> Answer<Vec<Build>> {
    let query =
        BuildQuery { scope, selection: Selection::default(), start: Start::Offset(0), limit };
    Ok(repository.build_list(&query)?.builds)
}

/// The links of a range of a list.
pub(crate) fn pager(call: &Call<'_>, list: &ListLinks, text: String) -> Pager {
    let path = call.base.location(call.resource);
    let to = |query: &String| format!("{path}{query}");
    Pager {
        first: list.previous.as_ref().map(|_| to(&list.first)),
        previous: list.previous.as_ref().map(to),
        next: list.next.as_ref().map(to),
        last: list.last.as_ref().filter(|_| list.next.is_some()).map(to),
        text,
    }
}

/// All projects, each with the results of its builds.
pub(crate) async fn projects(
    call: &Call<'_>,
    projects: Vec<Project>,
    list: &ListLinks,
) -> Result<HttpResponse, ApiError> {
    let search = call.params.first("q").unwrap_or_default().trim();
    let red_first = call.params.first("order") == Some("red");
    let wanted = search.to_owned();
    let mut rows = call
        .ask(move |repository| {
            let projects = match wanted.as_str() {
                "" if !red_first => projects,
                _ => found(repository, &wanted)?,
            };
            let row = |project: Project| {
                let mut builds = newest(repository, Scope::Project(project.id), STRIP)?;
                // A square shows none of this, and there may be thousands of squares.
                for build in &mut builds {
                    build.client = ClientRecord::default();
                    build.tags = TagSet::default();
                    build.components.clear();
                }
                Ok(ProjectRow { project, builds })
            };
            projects.into_iter().map(row).collect::<Answer<Vec<_>>>()
        })
        .await?;
    if red_first {
        rows.sort_by_key(|row| row.standing() != devmason_pages::Standing::Failure);
    }
    let is_whole = !search.is_empty() || red_first;
    let text = match rows.len() {
        found @ ..=FOUND_SHOWN => format!("{found} projects"),
        found => format!("first {FOUND_SHOWN} of {found} projects"),
    };
    rows.truncate(FOUND_SHOWN);
    let pager = if is_whole {
        Pager { text, ..Pager::default() }
    } else {
        pager(call, list, String::new())
    };
    let may_register = call.view().methods(Subject::Project(None)).contains(&Method::Put);
    call.shown(&Projects { site: call.site(), rows, search, red_first, may_register, pager })
}

/// The projects with this text in their display name or slug.
fn found(repository: &dyn Repository, text: &str) -> Answer<Vec<Project>> {
    let filter = if text.is_empty() {
        Filter::default()
    } else {
        let query = format!("or({},{})", holding("id", text), holding("name", text));
        // The query is well-formed, but may be longer than any name.
        match parse_query(&devmason_domain::query::PROJECTS, &query) {
            Ok(filter) => filter,
            Err(_) => return Ok(Vec::new()),
        }
    };
    let selection = Selection { filter, sort: Vec::new() };
    let mut projects =
        repository.project_query(&Listing { selection, offset: 0, limit: LOOKED_AT })?.items;
    projects.sort_by_key(|project| project.slug.key());
    Ok(projects)
}

/// A project with the results of its recent builds.
pub(crate) async fn project(call: &Call<'_>, project: &Project) -> Result<HttpResponse, ApiError> {
    let id = project.id;
    let tally = call.ask(move |repository| repository.build_tally(&Scope::Project(id))).await?;
    let etag = call.etag(&[&id.0, &project.version, &tally.changes, &tally.members]);
    if let Some(answer) = call.ready(&etag) {
        return Ok(answer);
    }
    let (builds, steps, tests) = call
        .ask(move |repository| {
            let builds = newest(repository, Scope::Project(id), PLOTTED)?;
            let shown = builds.get(..GRID.min(builds.len())).unwrap_or_default();
            let steps = repository.step_outline(shown)?;
            let tests = failing(repository, shown)?;
            Ok((builds, steps, tests))
        })
        .await?;
    let may_change = call.view().methods(Subject::Project(Some(project))).contains(&Method::Put);
    call.paged(&etag, &ProjectPage::new(call.site(), project, &builds, &steps, &tests, may_change))
}

fn failed_query(build: &Build, limit: u64) -> TestQuery {
    let statuses = vec![TestStatus::Failed, TestStatus::Error];
    TestQuery { statuses, limit, ..TestQuery::all(build.project, build.id) }
}

fn name_of(test: &TestResult) -> String {
    full_test_name(&test.suite, &test.name)
}

/// The tests that failed in any of these builds, most frequent first, with all their results.
fn failing(repository: &dyn Repository, builds: &[Build]) -> Answer<Vec<TestLine>> {
    let mut failures: HashMap<String, usize> = HashMap::new();
    for build in builds.iter().filter(|build| build.tests.failed + build.tests.error > 0) {
        let query = TestQuery { is_brief: true, ..failed_query(build, GRID_TESTS as u64) };
        for test in repository.test_list(&query)? {
            *failures.entry(name_of(&test.result)).or_default() += 1;
        }
    }
    let mut names: Vec<(String, usize)> = failures.into_iter().collect();
    names.sort_by(|(one, often), (other, seldom)| seldom.cmp(often).then_with(|| one.cmp(other)));
    names.truncate(GRID_TESTS);
    let Some(project) = builds.first().map(|build| build.project) else { return Ok(Vec::new()) };
    let line = |(name, _): (String, usize)| {
        let runs = repository.test_history(project, &name, None, GRID as u64, true)?;
        let runs = runs.unwrap_or_default();
        let runs = runs.into_iter().map(|run| (run.build.id, run.test.result.status)).collect();
        Ok(TestLine { name, runs })
    };
    names.into_iter().map(line).collect()
}

/// The title of a list of builds, and which list it is.
pub(crate) struct Listed<'a> {
    pub(crate) heading: String,
    pub(crate) of: BuildsOf,
    pub(crate) project: Option<&'a Project>,
}

/// A list of builds.
pub(crate) fn builds(
    call: &Call<'_>,
    etag: &str,
    listed: Listed<'_>,
    rows: Vec<Row<'_>>,
    list: &ListLinks,
    text: String,
) -> Result<HttpResponse, ApiError> {
    let field = |name| call.params.first(name).unwrap_or_default();
    let filter = BuildFilter {
        state: field("state"),
        tag: field("tag"),
        host: field("host"),
        text: field("text"),
    };
    let Listed { heading, of, project } = listed;
    let action = call.base.location(call.resource);
    let pager = pager(call, list, text);
    call.paged(
        etag,
        &Builds { site: call.site(), heading, action, of, project, rows, filter, pager },
    )
}

/// What a build's page shows in addition to the build.
struct Around {
    steps: Vec<Step>,
    is_read: Vec<bool>,
    failed: Vec<TestResult>,
    compared: Vec<Compared>,
    previous: Option<Build>,
    next: Option<Build>,
    components: Vec<(String, String)>,
}

/// Whether a build has a test with this name, and it passed.
fn passed_in(repository: &dyn Repository, build: &Build, name: &str) -> Answer<bool> {
    let from = Some((build.id, 0));
    let runs = repository.test_history(build.project, name, from, 1, true)?.unwrap_or_default();
    Ok(runs.iter().any(|run| {
        let status = run.test.result.status;
        run.build.id == build.id && matches!(status, TestStatus::Passed | TestStatus::Flaky)
    }))
}

/// The steps of a build, and for each whether its outputs were read. Long outputs are read one step
/// at a time, failed steps first, while there is room.
fn shown_steps(repository: &dyn Repository, build: &Build) -> Answer<(Vec<Step>, Vec<bool>)> {
    let of = std::slice::from_ref(build);
    if build.output_bytes <= READ_AT_ONCE {
        let steps = repository.step_list(of)?.pop().flatten().unwrap_or_default();
        let is_read = vec![true; steps.len()];
        return Ok((steps, is_read));
    }
    let mut steps = repository.step_outline(of)?.pop().unwrap_or_default();
    let mut is_read = vec![false; steps.len()];
    let mut order: Vec<usize> = (0..steps.len()).collect();
    order.sort_by_key(|nth| steps.get(*nth).is_none_or(|step| step.success));
    let mut bytes = 0;
    for nth in order.into_iter().take(READ_ONE_BY_ONE) {
        let Some(step) = repository.step_one(build, u32::try_from(nth).unwrap_or(u32::MAX))? else {
            continue;
        };
        // A few long outputs are enough, because only the end of each is shown.
        let lengths = [&step.output, &step.errout].map(|text| text.len().min(LONG) as u64);
        bytes += lengths.iter().sum::<u64>();
        if let (Some(place), Some(mark)) = (steps.get_mut(nth), is_read.get_mut(nth)) {
            (*place, *mark) = (step, true);
        }
        if bytes >= READ_AT_ONCE {
            break;
        }
    }
    Ok((steps, is_read))
}

fn around(repository: &dyn Repository, build: &Build, hold: &Hold) -> Answer<Around> {
    let one = |start, filter| {
        let selection = Selection { filter, sort: Vec::new() };
        let query = BuildQuery { scope: Scope::Project(build.project), selection, start, limit: 1 };
        repository.build_list(&query).map(|part| part.builds.into_iter().next())
    };
    let previous = one(Start::Behind(build.id), Filter::default())?;
    let next = one(Start::Before(build.id), Filter::default())?;
    let is_green = |build: &Build| matches!(build.outcome, Outcome::Finished { success: true, .. });
    let green = match &previous {
        Some(previous) if is_green(previous) => None,
        None => None,
        Some(_) => {
            let filter = parse_query(&BUILDS, "eq(success,true)").unwrap_or_default();
            // Don't search a project that never passed back to its beginning.
            one(Start::Behind(build.id), filter).unwrap_or_default()
        }
    };
    let failed = |build: &Build, limit| -> Answer<Vec<TestResult>> {
        if build.tests.failed + build.tests.error == 0 {
            return Ok(Vec::new());
        }
        let found = super::tests::read(repository, failed_query(build, limit), hold)?;
        Ok(found.into_iter().map(|test| test.result).collect())
    };
    let failures = failed(build, FAILED_COMPARED)?;
    let names: Vec<String> = failures.iter().map(name_of).collect();
    let mut compared = Vec::new();
    for (title, other) in
        [("the previous build", previous.clone()), ("the last successful build", green)]
    {
        let Some(other) = other else { continue };
        let steps =
            repository.step_outline(std::slice::from_ref(&other))?.pop().unwrap_or_default();
        let before: Vec<String> = failed(&other, FAILED_COMPARED)?.iter().map(name_of).collect();
        let is_whole = (before.len() as u64) < FAILED_COMPARED;
        let known: HashSet<&String> = before.iter().collect();
        // If the list was cut, it is unknown whether a missing test failed before.
        let broken = names.iter().filter(|name| is_whole && !known.contains(name));
        let broken = broken.cloned().collect();
        let now: HashSet<&String> = names.iter().collect();
        let mut mended = Vec::new();
        for name in before.iter().filter(|name| !now.contains(name)).take(MENDED) {
            if passed_in(repository, build, name)? {
                mended.push(name.clone());
            }
        }
        compared.push(Compared { title, build: other, steps, broken, mended });
    }
    let mut components = Vec::new();
    for id in &build.components {
        let found = repository.component_find(&Named::Id(*id))?.pop();
        let name = found.map_or_else(|| id.to_string(), |component| component.name.to_string());
        components.push((id.to_string(), name));
    }
    let (steps, is_read) = shown_steps(repository, build)?;
    Ok(Around { failed: failures, compared, previous, next, components, steps, is_read })
}

/// A build.
pub(crate) async fn build(
    call: &Call<'_>,
    etag: &str,
    project: &Project,
    build: Build,
) -> Result<HttpResponse, ApiError> {
    let hold = call.body.hold.clone();
    let (around, build) =
        call.ask(move |repository| Ok((around(repository, &build, &hold)?, build))).await?;
    let is_running = build.outcome.state() == State::Running;
    let events = build.key().parse().ok().filter(|_| is_running).map(|key| {
        let events = Resource::Events(project.slug.clone(), key);
        format!("{}?from={}", call.base.location(&events), build.steps)
    });
    let page = BuildPage::new(
        call.site(),
        BuildParts {
            project,
            build: &build,
            steps: &around.steps,
            is_read: &around.is_read,
            failed: &around.failed,
            shown: FAILED_SHOWN,
            compared: &around.compared,
            previous: around.previous.as_ref(),
            next: around.next.as_ref(),
            components: around.components,
            events,
            may_delete: call
                .view()
                .methods(Subject::Build(project, Some(&build)))
                .contains(&Method::Delete),
        },
    );
    let page = page.map_err(|error| ApiError::Unwritable(error.to_string()))?;
    if build.components.is_empty() { call.paged(etag, &page) } else { call.shown(&page) }
}

/// The tests of a build.
pub(crate) fn tests(
    call: &Call<'_>,
    etag: &str,
    (project, build): (&Project, &Build),
    tests: &[PlacedTest],
    list: &ListLinks,
) -> Result<HttpResponse, ApiError> {
    let site = call.site();
    let mut room = Room::new(OUTPUTS);
    let rows = tests
        .iter()
        .map(|test| TestRow::new(&site, project, &test.result, test.position, &mut room))
        .collect();
    let field = |name| call.params.first(name).unwrap_or_default();
    let (status, text) = (field("status"), field("text"));
    let pager = pager(call, list, format!("{} tests in this build", build.tests.total));
    call.paged(etag, &Tests { site, project, build, tests: rows, status, text, pager })
}

/// The history of a test.
pub(crate) fn history(
    call: &Call<'_>,
    etag: &str,
    project: &Project,
    name: &str,
    runs: &[TestRun],
    list: &ListLinks,
) -> Result<HttpResponse, ApiError> {
    let site = call.site();
    let run = |run: &'_ TestRun| {
        let key = run.build.key().parse().ok();
        let href = key
            .map_or_else(String::new, |key| site.to(&Resource::Build(project.slug.clone(), key)));
        // It shows no outputs.
        let mut room = Room::new(0);
        (href, TestRow::new(&site, project, &run.test.result, run.test.position, &mut room))
    };
    let runs = runs
        .iter()
        .map(|of| {
            let (href, test) = run(of);
            Run { build: &of.build, href, test }
        })
        .collect();
    let pager = pager(call, list, String::new());
    call.paged(etag, &History { site, project, name, runs, pager })
}

/// All users.
pub(crate) fn users(
    call: &Call<'_>,
    etag: &str,
    users: &[Account],
    list: &ListLinks,
) -> Result<HttpResponse, ApiError> {
    call.paged(etag, &Users { site: call.site(), users, pager: pager(call, list, String::new()) })
}

/// A user with their recent builds.
pub(crate) async fn user(call: &Call<'_>, account: &Account) -> Result<HttpResponse, ApiError> {
    let id = account.id;
    let (builds, projects) = call
        .ask(move |repository| {
            let builds = newest(repository, Scope::Sender(id), 25)?;
            let ids: Vec<_> = builds.iter().map(|build| build.project).collect();
            let projects = repository.projects_by_id(&ids)?;
            Ok((builds, projects))
        })
        .await?;
    let row = |build| {
        Some(Row { build, project: projects.iter().find(|project| project.id == build.project)? })
    };
    let rows = builds.iter().filter_map(row).collect();
    let username = &account.username;
    let may_change = call.view().methods(Subject::User(username, true)).contains(&Method::Put);
    call.shown(&User { site: call.site(), username, rows, may_change })
}

/// The components under test.
pub(crate) fn components(
    call: &Call<'_>,
    components: &[Component],
    types: &[ComponentType],
    list: &ListLinks,
) -> Result<HttpResponse, ApiError> {
    let row = |component: &'_ Component| {
        let of = types.iter().find(|of| of.id == component.component_type);
        of.map_or("", |of| of.name.as_str())
    };
    let rows = components
        .iter()
        .map(|component| ComponentRow { component, component_type: row(component) })
        .collect();
    call.shown(&Components { site: call.site(), rows, pager: pager(call, list, String::new()) })
}

/// The builds that tested a component.
pub(crate) fn builds_of_component(
    call: &Call<'_>,
    component: &Component,
    builds: &[Build],
    projects: &HashMap<ProjectId, Project>,
    list: &ListLinks,
) -> Result<HttpResponse, ApiError> {
    let row = |build| Some(Row { build, project: projects.get(&build.project)? });
    let rows = builds.iter().filter_map(row).collect();
    call.shown(&ComponentBuilds {
        site: call.site(),
        component,
        rows,
        pager: pager(call, list, String::new()),
    })
}
