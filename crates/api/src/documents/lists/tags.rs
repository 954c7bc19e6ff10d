//! The tags of a project's builds, and those that a request names.

use actix_web::HttpResponse;
use devmason_domain::{Project, Slug, Tag, split_dashed};
use devmason_hypermedia::TagSegment;
use devmason_hypermedia::document::TagListDocument;
use devmason_repository::Scope;

use crate::call::Call;
use crate::error::ApiError;
use crate::respond::Found;

/// Maximum number of words joined with `-` that are looked up as tags.
const DASHED: usize = 24;

const NO_TAG: ApiError = ApiError::NotFound("tag not found in this project");

/// The tags of a project's builds, each with its number of builds, and the ETag of the list.
pub(crate) async fn known_tags(
    call: &Call<'_>,
    slug: &Slug,
) -> Result<Found<(String, Project, Vec<(Tag, u64)>)>, ApiError> {
    let project = call.project(slug).await?;
    let (id, version) = (project.id, project.version);
    let tally = call.ask(move |repository| repository.build_tally(&Scope::Project(id))).await?;
    let etag = call.etag(&[&id.0, &version, &tally.changes]);
    if let Some(answer) = call.ready(&etag) {
        return Ok(Found::Ready(answer));
    }
    let tags = call.ask(move |repository| repository.tag_list(id)).await?;
    Ok(Found::New((etag, project, tags)))
}

pub(crate) async fn tags(call: &Call<'_>, slug: &Slug) -> Result<HttpResponse, ApiError> {
    let (etag, project, tags) = match known_tags(call, slug).await? {
        Found::Ready(answer) => return Ok(answer),
        Found::New(known) => known,
    };
    let tags: Vec<Tag> = tags.into_iter().map(|(tag, _)| tag).collect();
    let links = call.view().tag_list_links(&project, &tags);
    call.ok(&etag, &TagListDocument { tags: &tags, links })
}

/// The project and those of its tags that a segment names; fails if any tag is unknown.
pub(crate) async fn tagged(
    call: &Call<'_>,
    slug: &Slug,
    segment: &TagSegment,
) -> Result<(Project, Vec<Tag>), ApiError> {
    let project = call.project(slug).await?;
    let whole = segment.as_str().trim();
    // Only valid tags are looked up.
    let asked: Vec<Tag> = match segment.separated() {
        Some(words) => {
            words.iter().map(|word| word.parse()).collect::<Result<_, _>>().map_err(|_| NO_TAG)?
        }
        None => dashed(whole),
    };
    let (id, words) = (project.id, asked.clone());
    let known = call.ask(move |repository| repository.tag_known(id, &words)).await?;
    let mut tags = match segment.separated() {
        Some(_) if known.len() == asked.len() => known,
        Some(_) => return Err(NO_TAG),
        None => split_dashed(whole, &|word| known.iter().any(|tag| tag.as_str() == word))
            .ok_or(NO_TAG)?,
    };
    tags.sort_unstable();
    tags.dedup();
    if tags.is_empty() { Err(NO_TAG) } else { Ok((project, tags)) }
}

/// All possible tags in a segment: each run of words joined with `-`; if there are too many words,
/// only the whole segment.
fn dashed(segment: &str) -> Vec<Tag> {
    let words: Vec<&str> = segment.split('-').collect();
    if words.len() > DASHED {
        return segment.parse().into_iter().collect();
    }
    let runs = (0..words.len()).flat_map(|start| (start..words.len()).map(move |end| (start, end)));
    runs.filter_map(|(start, end)| words[start..=end].join("-").parse().ok()).collect()
}
