//! The pages of test cases and of their histories.

use actix_web::HttpResponse;
use devmason_domain::{BuildKey, Slug, full_test_name};
use devmason_hypermedia::{ListLinks, Resource};
use devmason_pages::{CasePage, History, Room, Run, Shelf, TestRow, Tests, counted};
use devmason_repository::TestRun;

use super::{LONGEST, may_triage, pager};
use crate::call::Call;
use crate::documents::cases::{self, HistoryPage, OneCase, TestPage, Unasked};
use crate::error::ApiError;
use crate::respond::Found;

/// Maximum size of the HTML for the outputs of a page's test cases, in bytes.
const OUTPUTS: usize = 1 << 20;

/// The tests of a build.
pub(crate) async fn list(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<HttpResponse, ApiError> {
    let TestPage { etag, project, build, tests, is_first, is_of_failures, next } =
        match cases::page(call, slug, key, (LONGEST, Unasked::Failures)).await? {
            Found::Ready(answer) => return Ok(answer),
            Found::New(page) => page,
        };
    let (project, build) = (&project, &build);
    let first = call.params.of_page(1, None);
    let previous = (!is_first).then(|| first.clone());
    let list = ListLinks { first, previous, next, ..ListLinks::default() };
    let site = call.site();
    let mut room = Room::new(OUTPUTS);
    let rows = tests
        .iter()
        .map(|test| TestRow::new(&site, (project, build), (&test.result, test.position), &mut room))
        .collect();
    let field = |name| call.params.first(name).unwrap_or_default();
    let text = field("text");
    let status = if is_of_failures { "failed,error" } else { field("status") };
    let shelf = match (status, call.params.first("sort"), text) {
        (_, Some("duration"), "") => Shelf::Slowest,
        ("failed,error", _, "") => Shelf::Failed,
        ("flaky", _, "") => Shelf::Flaky,
        ("skipped", _, "") => Shelf::Skipped,
        ("passed", _, "") => Shelf::Passed,
        ("" | "passed,failed,error,flaky,skipped", _, "") => Shelf::All,
        _ => Shelf::Other,
    };
    let pager = pager(call, &list, format!("{} in this build", counted(build.tests.total, "test")));
    call.paged(&etag, &Tests { site, project, build, tests: rows, shelf, status, text, pager })
}

/// Number of a test's newest runs on the page of a result.
const RUNS: u64 = 20;

/// A test case of a build.
pub(crate) async fn one(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
    position: u32,
) -> Result<HttpResponse, ApiError> {
    let OneCase { project, build, test, .. } = match cases::case(call, slug, key, position).await? {
        Found::Ready(answer) => return Ok(answer),
        Found::New(found) => found,
    };
    let name = full_test_name(&test.result.suite, &test.result.name);
    let of = project.id;
    let history = call
        .ask(move |repository| repository.test_history(of, &name, None, RUNS, true))
        .await?
        .unwrap_or_default();
    let runs: Vec<_> = history
        .runs
        .iter()
        .map(|run| (run.build.key(), run.test.position, run.test.result.status))
        .collect();
    let may_triage = may_triage(call, &project);
    let of = (&project, &build);
    // Its newest runs change independently.
    let page = CasePage::new(call.site(), of, (&test.result, position), &runs, may_triage);
    call.shown(&page)
}

/// The history of a test.
pub(crate) async fn history(
    call: &Call<'_>,
    slug: &Slug,
    name: &str,
) -> Result<HttpResponse, ApiError> {
    let HistoryPage { etag, project, track, runs, is_first, list } =
        match cases::history_page(call, slug, name, LONGEST).await? {
            Found::Ready(answer) => return Ok(answer),
            Found::New(page) => page,
        };
    let behaviour = cases::behaviour(call, &project, track, name).await?;
    let project = &project;
    let previous = (!is_first).then(|| list.first.clone());
    let list = ListLinks { previous, ..list };
    let site = call.site();
    let run = |run: &'_ TestRun| {
        let href = site.to(&Resource::Build(project.slug.clone(), run.build.key()));
        // It shows no outputs.
        let mut room = Room::new(0);
        let test = (&run.test.result, run.test.position);
        (href, TestRow::new(&site, (project, &run.build), test, &mut room))
    };
    let runs = runs
        .iter()
        .map(|of| {
            let (href, test) = run(of);
            Run { build: &of.build, href, test }
        })
        .collect();
    let pager = pager(call, &list, String::new());
    call.paged(&etag, &History { site, project, name, runs, behaviour, pager })
}
