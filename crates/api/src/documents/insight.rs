//! The insight of a build.

mod differences;
mod read;
mod wanted;

use actix_web::HttpResponse;
use devmason_domain::insight::Asked;
use devmason_domain::{Build, BuildKey, Project, Slug};
use devmason_hypermedia::ListLinks;
use devmason_hypermedia::document::InsightDocument;
use devmason_repository::{Repository, Scope};

use self::read::Read;
use self::wanted::{PER_PAGE, Wanted};
use super::builds::{borrowed, find, state};
use crate::call::Call;
use crate::error::ApiError;
use crate::insight::{Insight, Refused, stamp};
use crate::params::{Params, Position};
use crate::respond::Found;

type Answer<T> = devmason_repository::Result<T>;

/// A page of a build's insight.
pub(crate) struct InsightPage {
    pub(crate) etag: String,
    pub(crate) project: Project,
    pub(crate) build: Build,
    pub(crate) document: InsightDocument,
    pub(crate) list: ListLinks,
}

/// The requested page of a build's insight, with at most `most` failures.
pub(crate) async fn page(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
    most: u64,
) -> Result<Found<InsightPage>, ApiError> {
    let wanted = Wanted::of(call.params, most)?;
    let (project, build) = find(call, slug, key).await?;
    let tallied = (project.id, wanted.asked.clone());
    let changes = call
        .ask(move |repository| {
            let (id, asked) = tallied;
            let own = stamp(repository, id)?;
            let Some(Asked::Build(Some(slug), _)) = asked else { return Ok((own, 0)) };
            let other = repository.project_find(&slug)?.map(|project| Scope::Project(project.id));
            let tally = other.map(|scope| repository.build_tally(&scope)).transpose()?;
            Ok((own, tally.map_or(0, |tally| tally.changes)))
        })
        .await?;
    let state = state(&project, &build);
    let [id, version, rules, credited] = borrowed(&state);
    let choice = call.params.choice();
    let etag = call.etag(&[id, version, rules, credited, &changes.0, &changes.1, &choice]);
    if let Some(answer) = call.ready(&etag) {
        return Ok(Found::Ready(answer));
    }
    let (document, list) = document(call, &project, &build, wanted).await?;
    Ok(Found::New(InsightPage { etag, project, build, document, list }))
}

/// The insight that a build's page begins with.
pub(crate) async fn for_page(
    call: &Call<'_>,
    project: &Project,
    build: &Build,
    most: u64,
) -> Result<InsightDocument, ApiError> {
    let wanted = Wanted::of(&Params::default(), most)?;
    document(call, project, build, wanted).await.map(|(document, _)| document)
}

async fn document(
    call: &Call<'_>,
    project: &Project,
    build: &Build,
    wanted: Wanted,
) -> Result<(InsightDocument, ListLinks), ApiError> {
    let hold = call.body.hold.clone();
    let (of, about, asked) = (project.clone(), build.clone(), wanted.clone());
    let read = move |repository: &dyn Repository| -> Answer<Result<Read, Refused>> {
        let insight = Insight::read(repository, &of, &about, asked.asked.as_ref(), &hold)?;
        insight
            .map(|insight| Read::of(repository, &of, insight, &asked))
            .map_or_else(|refused| Ok(Err(refused)), |read| read.map(Ok))
    };
    let read = call
        .ask(read)
        .await?
        .map_err(|problem| ApiError::BadValue { name: "baseline", problem })?;
    let end = wanted.from.saturating_add(wanted.per_page);
    let position = |from: usize| Some(Position::From(from as u64));
    let list = ListLinks {
        this: call.params.choice(),
        first: call.params.of_page(1, None),
        next: (end < read.matching).then(|| call.params.of_page(1, position(end))),
        ..ListLinks::default()
    };
    Ok((read.document(call.view(), project, build, &wanted, &list), list))
}

pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<HttpResponse, ApiError> {
    let fields = members(call.params)?;
    let InsightPage { etag, document, .. } = match page(call, slug, key, PER_PAGE.1).await? {
        Found::Ready(answer) => return Ok(answer),
        Found::New(page) => page,
    };
    let Some(fields) = fields else { return call.ok(&etag, &document) };
    let mut members =
        serde_json::to_value(&document).map_err(|error| ApiError::Unwritable(error.to_string()))?;
    if let Some(members) = members.as_object_mut() {
        members.retain(|name, _| name == "links" || fields.contains(&name.as_str()));
    }
    call.ok(&etag, &members)
}

/// The members that `fields` names.
fn members(params: &Params) -> Result<Option<Vec<&'static str>>, ApiError> {
    let Some(text) = params.first("fields") else { return Ok(None) };
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let known = |word: &str| {
        let known = InsightDocument::MEMBERS.into_iter().find(|member| *member == word);
        known.ok_or_else(|| ApiError::BadValue {
            name: "fields",
            problem: format!("'{word}' is not one of {}", InsightDocument::MEMBERS.join(", ")),
        })
    };
    words.map(known).collect::<Result<_, _>>().map(Some)
}
