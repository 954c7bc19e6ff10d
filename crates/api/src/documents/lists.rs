//! Lists of builds: by project, by tags, by user.

mod of;
mod paging;
mod tags;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use devmason_domain::query::Selection;
use devmason_hypermedia::Resource;
use devmason_hypermedia::document::{BuildDocument, BuildListDocument, ListPage, Results};
use devmason_repository::{BuildQuery, Start};

use crate::call::Call;
use crate::error::ApiError;
use crate::respond::{Found, leading};
pub(crate) use of::ListOf;
pub(crate) use paging::{BuildsPage, page};
pub(super) use paging::{PAGE_BYTES, drawn};
pub(crate) use tags::{known_tags, tagged, tags};

/// Maximum number of searches for the latest build with several tags. Each one continues where the
/// last was given up; together they take about 0.2 s.
const LATEST_SEARCHES: usize = 20;

/// The usual size of a build in a list without its outputs, in bytes.
const BUILD_BYTES: usize = 2 << 10;

const NO_BUILD: ApiError = ApiError::NotFound("no builds yet");

/// A page of a list of builds.
pub(crate) async fn list(call: &Call<'_>, of: ListOf) -> Result<HttpResponse, ApiError> {
    let fields = call.params.fields()?;
    let BuildsPage { etag, page, pages, list } = match page(call, &of, fields).await? {
        Found::Ready(answer) => return Ok(answer),
        Found::New(page) => page,
    };
    let builds = page
        .builds
        .iter()
        .filter_map(|(build, steps)| {
            let results = steps.as_ref().map_or(Results::LeftOut, paging::Steps::results);
            let project = page.projects.get(&build.project)?;
            let links = if fields.has("links") {
                call.view().build_links(project, build)
            } else {
                Vec::new()
            };
            Some(BuildDocument { build, results, links, fields })
        })
        .collect();
    let outputs = if fields.has("results") {
        page.builds.iter().map(|(build, _)| build.output_bytes).sum()
    } else {
        0
    };
    let about = usize::try_from(outputs).unwrap_or(0) + page.builds.len() * BUILD_BYTES;
    let page = ListPage::new(pages, page.count.exact, of.links(call, &list));
    call.ok_about(&etag, &BuildListDocument { tags: of.tags(), builds, page }, about)
}

/// Redirects to the latest build of a list.
pub(crate) async fn latest(call: &Call<'_>, of: ListOf) -> Result<HttpResponse, ApiError> {
    let scope = of.scope();
    let mut query =
        BuildQuery { scope, selection: Selection::default(), start: Start::Offset(0), limit: 1 };
    let found = call
        .ask(move |repository| {
            for _ in 0..LATEST_SEARCHES {
                let mut part = repository.build_list(&query)?;
                match (part.builds.pop(), part.stopped) {
                    (Some(build), _) => {
                        let project = repository.projects_by_id(&[build.project])?.pop();
                        return Ok(project.map(|project| (project.slug, build.key())));
                    }
                    (None, Some(position)) => query.start = Start::Behind(position),
                    (None, None) => return Ok(None),
                }
            }
            Err(devmason_repository::Error::TooLong("few builds have all these tags".into()))
        })
        .await?;
    let (slug, key) = found.ok_or(NO_BUILD)?;
    Ok(leading(StatusCode::FOUND, call.base.location(&Resource::Build(slug, key))))
}
