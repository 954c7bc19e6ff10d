//! The page of a project.

use std::collections::HashMap;

use actix_web::HttpResponse;
use devmason_domain::{Build, Slug, TestStatus, full_test_name};
use devmason_hypermedia::document::TrackPulse;
use devmason_hypermedia::{Method, Subject};
use devmason_pages::{GridOrder, MainlineTrack, ProjectPage, ProjectParts, TestLine};
use devmason_repository::{Repository, TestQuery};

use super::{Answer, may_triage};
use crate::call::Call;
use crate::documents::tracks;
use crate::documents::tracks::mainline::{self, Mainline, ending};
use crate::error::ApiError;
use crate::insight::{BranchFilter, newest_of, stamp};

/// Number of builds in a project's plots, and in its grids.
const PLOTTED: u64 = 100;

const GRID: usize = 30;

/// Number of tests in a grid.
const GRID_TESTS: usize = 30;

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
            let mut mainline = Mainline::read(repository, &of, branch.as_ref(), mainline::TRACKS)?;
            mainline.cut();
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
        is_whole: branch.is_none(),
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
