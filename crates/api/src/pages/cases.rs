//! The pages of test cases and of their histories.

use actix_web::HttpResponse;
use devmason_domain::{BuildKey, Slug};
use devmason_hypermedia::{ListLinks, Resource};
use devmason_pages::{History, Room, Run, TestRow, Tests, counted};
use devmason_repository::TestRun;

use super::{LONGEST, pager};
use crate::call::Call;
use crate::documents::cases::{self, HistoryPage, TestPage};
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
    let TestPage { etag, project, build, tests, is_first, next } =
        match cases::page(call, slug, key, LONGEST).await? {
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
        .map(|test| TestRow::new(&site, project, &test.result, test.position, &mut room))
        .collect();
    let field = |name| call.params.first(name).unwrap_or_default();
    let (status, text) = (field("status"), field("text"));
    let pager = pager(call, &list, format!("{} in this build", counted(build.tests.total, "test")));
    call.paged(&etag, &Tests { site, project, build, tests: rows, status, text, pager })
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
        (href, TestRow::new(&site, project, &run.test.result, run.test.position, &mut room))
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
