//! The pages of lists of builds and of tags.

use actix_web::HttpResponse;
use devmason_domain::{BuildKey, Invalid, Project, Slug, Tag};
use devmason_hypermedia::{BuildPair, BuildsOf, Fields, Resource, TagSegment};
use devmason_pages::{BuildFilter, Builds, Row, Tags, counted, grouped};

use super::pager;
use crate::call::Call;
use crate::documents::lists::{self, BuildsPage, ListOf};
use crate::error::ApiError;
use crate::form::leading_to;
use crate::respond::Found;

/// A list of builds.
pub(crate) async fn builds(call: &Call<'_>, of: ListOf) -> Result<HttpResponse, ApiError> {
    if let (Some(project), Some(_)) = (of.of_project(), call.params.first("compare")) {
        return compare(call, project).await;
    }
    // It shows no outputs, whatever members are asked for.
    call.params.fields()?;
    let BuildsPage { etag, page, pages, list } =
        match lists::page(call, &of, Fields::default()).await? {
            Found::Ready(answer) => return Ok(answer),
            Found::New(page) => page,
        };
    let rows = page
        .builds
        .iter()
        .filter_map(|(build, _)| Some(Row { project: page.projects.get(&build.project)?, build }))
        .collect();
    let about = if page.count.exact { "" } else { "at least " };
    let text = format!(
        "page {} of {about}{}, {about}{}",
        grouped(pages.page),
        grouped(pages.num_pages),
        counted(pages.count, "build")
    );
    let field = |name| call.params.first(name).unwrap_or_default();
    let filter = BuildFilter {
        state: field("state"),
        tag: field("tag"),
        host: field("host"),
        text: field("text"),
        track: field("track"),
        branch: field("branch"),
    };
    let view = Builds {
        site: call.site(),
        heading: heading(&of),
        action: call.base.location(call.resource),
        of: name(&of),
        project: of.of_project(),
        rows,
        filter,
        pager: pager(call, &list, text),
    };
    match of {
        // Its links depend on the projects of its builds.
        ListOf::User(_) => call.shown(&view),
        ListOf::Project(_) | ListOf::Tagged(..) => call.paged(&etag, &view),
    }
}

/// Leads to the comparison of the two builds that were chosen in the list, the older one first.
async fn compare(call: &Call<'_>, project: &Project) -> Result<HttpResponse, ApiError> {
    let bad = |problem: &str| ApiError::BadValue { name: "compare", problem: problem.to_owned() };
    let chosen: Vec<&str> = call.params.all("compare").collect();
    let &[one, other] = chosen.as_slice() else {
        return Err(bad(&format!("choose two builds; {} chosen", counted(chosen.len(), "build"))));
    };
    let key = |text: &str| text.parse::<BuildKey>().map_err(|error: Invalid| bad(&error.0));
    let (of, keys) = (project.id, [key(one)?, key(other)?]);
    let found = call.ask(move |repository| {
        let build = |key: &BuildKey| repository.build_find(of, key);
        Ok([build(&keys[0])?, build(&keys[1])?])
    });
    let [Some(one), Some(other)] = found.await? else {
        return Err(ApiError::NotFound("build not found"));
    };
    if one.id == other.id {
        return Err(bad("choose two different builds"));
    }
    let (older, newer) = if one.id < other.id { (one, other) } else { (other, one) };
    let pair = BuildPair::new(older.key(), newer.key())
        .ok_or_else(|| bad("builds with such ids cannot be compared"))?;
    let comparison = Resource::Comparison(project.slug.clone(), pair);
    Ok(leading_to(&call.base.location(&comparison)))
}

fn heading(of: &ListOf) -> String {
    match of {
        ListOf::Project(project) => format!("Builds of {}", project.name),
        ListOf::Tagged(project, tags) => {
            let words: Vec<&str> = tags.iter().map(Tag::as_str).collect();
            format!("Builds of {} with {}", project.name, words.join(", "))
        }
        ListOf::User(account) => format!("Builds of {}", account.username),
    }
}

fn name(of: &ListOf) -> BuildsOf {
    match of {
        ListOf::Project(project) => BuildsOf::Project(project.slug.clone()),
        ListOf::Tagged(project, tags) => {
            BuildsOf::Tagged(project.slug.clone(), TagSegment::of(tags))
        }
        ListOf::User(account) => BuildsOf::User(account.username.clone()),
    }
}

/// The tags of a project.
pub(crate) async fn tags(call: &Call<'_>, slug: &Slug) -> Result<HttpResponse, ApiError> {
    let (etag, project, tags) = match lists::known_tags(call, slug).await? {
        Found::Ready(answer) => return Ok(answer),
        Found::New(known) => known,
    };
    let search = call.params.first("q").unwrap_or_default().trim();
    call.paged(&etag, &Tags { site: call.site(), project: &project, tags: &tags, search })
}
