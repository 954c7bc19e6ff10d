//! The pages of projects.

use std::collections::HashMap;

use actix_web::HttpResponse;
use devmason_domain::query::{Filter, Selection, parse_query};
use devmason_domain::{Build, ClientRecord, Project, Slug, TagSet, TestStatus, full_test_name};
use devmason_hypermedia::document::TrackPulse;
use devmason_hypermedia::{ListLinks, Method, Subject};
use devmason_pages::{
    MainlineTrack, Pager, ProjectPage, ProjectParts, ProjectRow, Projects, STRIP, TestLine, counted,
};
use devmason_repository::{Listing, Repository, TestQuery};

use super::{Answer, may_triage, pager};
use crate::call::Call;
use crate::documents::projects::requested;
use crate::documents::tracks;
use crate::documents::tracks::mainline::{self, Mainline, ending};
use crate::error::ApiError;
use crate::insight::{BranchFilter, newest_of, stamp};
use crate::params::holding;

/// Maximum number of projects read to find failing ones.
const LOOKED_AT: u64 = 1000;

/// Maximum number of search results shown.
const FOUND_SHOWN: usize = 300;

/// Number of builds in a project's plots, and in its grids.
const PLOTTED: u64 = 100;

const GRID: usize = 30;

/// Number of tests in a grid.
const GRID_TESTS: usize = 30;

/// All projects, each with the results of its builds.
pub(crate) async fn list(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let (page, pages, _) = requested(call).await?;
    let list = ListLinks::numbered(&|page| call.params.of_page(page, None), pages);
    let search = call.params.first("q").unwrap_or_default().trim();
    let red_first = call.params.first("order") == Some("red");
    let wanted = search.to_owned();
    let mut rows = call
        .ask(move |repository| {
            let projects = match wanted.as_str() {
                "" if !red_first => repository.project_list(page)?,
                _ => found(repository, &wanted)?,
            };
            let row = |project: Project| {
                let shown = BranchFilter::default().shown(repository, &project)?;
                let mut builds = newest_of(repository, &project, shown.as_ref(), STRIP)?;
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
        found @ ..=FOUND_SHOWN => counted(found, "project"),
        found => format!("first {FOUND_SHOWN} of {}", counted(found, "project")),
    };
    rows.truncate(FOUND_SHOWN);
    let pager = if is_whole {
        Pager { text, ..Pager::default() }
    } else {
        pager(call, &list, String::new())
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
pub(crate) async fn get(call: &Call<'_>, slug: &Slug) -> Result<HttpResponse, ApiError> {
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
        variant: call.params.first("variant").unwrap_or_default(),
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
        let statuses = repository.test_statuses(build.project, build.id, &names)?;
        for line in &mut lines {
            line.runs.extend(statuses.get(&line.name).map(|status| (build.id, *status)));
        }
    }
    Ok(lines)
}
