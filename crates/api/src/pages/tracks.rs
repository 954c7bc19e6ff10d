//! The pages of tracks.

use std::collections::HashMap;

use actix_web::HttpResponse;
use devmason_domain::{BuildId, Project, Slug, TrackKey};
use devmason_hypermedia::{Method, Subject};
use devmason_pages::{GridPage, GridPlaces, TrackPage, TrackTestsPage, TracksPage, counted};

use super::{LONGEST, pager};
use crate::call::Call;
use crate::documents::tracks;
use crate::error::ApiError;
use crate::respond::Found;

/// Maximum number of cells of a grid on a page, and of its tests on the page of a track.
const CELLS: u64 = 1_000;
const GRID_TESTS: u64 = 30;

/// The active tracks of a project.
pub(crate) async fn list(call: &Call<'_>, slug: &Slug) -> Result<HttpResponse, ApiError> {
    let of = tracks::selected(call, slug, LONGEST).await?;
    let pulses: Vec<_> = of.pulses.iter().map(tracks::pulse).collect();
    let pager = pager(call, &of.list, counted(of.count, "track"));
    let given = |name| call.params.first(name).unwrap_or_default();
    let patterns = (given("branch"), given("variant"));
    call.shown(&TracksPage::new(call.site(), &of.project, &pulses, patterns, pager))
}

/// A track.
pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    key: &TrackKey,
) -> Result<HttpResponse, ApiError> {
    let (etag, project, known) = match tracks::requested(call, slug, key).await? {
        Found::Ready(answer) => return Ok(answer),
        Found::New(found) => found,
    };
    let grid = tracks::grid_of(call, &project, &known, GRID_TESTS).await?;
    let places = places(call, &project, &grid).await?;
    let health = tracks::health(call, &project, known).await?;
    let document = tracks::document(call, &project, &health);
    let may_change = call.view().methods(Subject::Track(&project)).contains(&Method::Put);
    let grid = (&grid.document, &places);
    call.paged(&etag, &TrackPage::new(call.site(), &project, &document, grid, may_change))
}

/// Where the tests of a grid are in each of its builds.
async fn places(
    call: &Call<'_>,
    project: &Project,
    grid: &tracks::Grid,
) -> Result<GridPlaces, ApiError> {
    let names: Vec<String> =
        grid.document.tests.iter().map(|test| test.full_name.clone()).collect();
    let (of, builds) = (project.id, grid.builds.clone());
    call.ask(move |repository| {
        let places = |build: &BuildId| match names.is_empty() {
            true => Ok(HashMap::new()),
            false => repository.test_places(of, *build, &names),
        };
        builds.iter().map(places).collect()
    })
    .await
}

/// The tests of a track.
pub(crate) async fn tests(
    call: &Call<'_>,
    slug: &Slug,
    key: &TrackKey,
) -> Result<HttpResponse, ApiError> {
    let (etag, project, known) = match tracks::requested(call, slug, key).await? {
        Found::Ready(answer) => return Ok(answer),
        Found::New(found) => found,
    };
    let (document, list) = tracks::tests_of(call, &project, known, LONGEST).await?;
    let pager = pager(call, &list, counted(document.count, "test"));
    let given = |name| call.params.first(name).unwrap_or_default();
    let chosen = (given("text"), given("only"));
    let page = TrackTestsPage::new(call.site(), (&project, *key), &document.tests, chosen, pager);
    call.paged(&etag, &page)
}

/// The grid of a track.
pub(crate) async fn grid(
    call: &Call<'_>,
    slug: &Slug,
    key: &TrackKey,
) -> Result<HttpResponse, ApiError> {
    let (etag, project, known) = match tracks::requested(call, slug, key).await? {
        Found::Ready(answer) => return Ok(answer),
        Found::New(found) => found,
    };
    let builds = call.params.number("builds", 30, LONGEST)?;
    let most = (CELLS / builds).clamp(1, LONGEST);
    let grid = tracks::grid_of(call, &project, &known, most).await?;
    let places = places(call, &project, &grid).await?;
    let pager = pager(call, &grid.list, counted(grid.document.count, "test"));
    let given = |name| call.params.first(name).unwrap_or_default();
    let chosen = (given("text"), given("only") == "all");
    call.paged(
        &etag,
        &GridPage::new(call.site(), (&project, *key), (&grid.document, &places), chosen, pager),
    )
}
