//! The insight of a build.

mod differences;
pub(super) mod findings;
pub(super) mod read;
pub(super) mod wanted;

use actix_web::HttpResponse;
use devmason_domain::insight::{Asked, is_mass_failure};
use devmason_domain::{Build, BuildKey, Outcome, Project, Slug};
use devmason_hypermedia::ListLinks;
use devmason_hypermedia::document::InsightDocument;
use devmason_repository::{Repository, Scope};
use serde::Serialize;

pub(super) use self::differences::rounded;
use self::read::{Read, Variant};
use self::wanted::{PER_PAGE, Wanted};
use super::builds::{borrowed, find, state};
use crate::call::Call;
use crate::error::ApiError;
use crate::insight::{Insight, Patience, Refused, SeenBeyond, Subject, seen_beyond, stamp};
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

/// What the insight of builds depends on, the newest of them first, with a baseline of another project; and
/// what other projects have of their failures.
pub(crate) async fn tally(
    call: &Call<'_>,
    project: &Project,
    builds: &[Build],
    asked: Option<&Asked>,
) -> Result<(String, SeenBeyond), ApiError> {
    let (project, builds, asked) = (project.clone(), builds.to_vec(), asked.cloned());
    call.ask(move |repository| {
        let beyond = seen_beyond(repository, &project, &builds)?;
        let own = format!("{} {}", stamp(repository, project.id)?, beyond.stamp());
        let Some(Asked::Build(Some(slug), _)) = asked else { return Ok((own, beyond)) };
        let Some(other) = repository.project_find(&slug)? else { return Ok((own, beyond)) };
        let changes = repository.build_tally(&Scope::Project(other.id))?.changes;
        Ok((format!("{own} {changes}"), beyond))
    })
    .await
}

/// The links of the requested page of failures.
pub(super) fn links(call: &Call<'_>, wanted: &Wanted, matching: usize) -> ListLinks {
    let end = wanted.from.saturating_add(wanted.per_page);
    let position = |from: usize| Some(Position::From(from as u64));
    ListLinks {
        this: call.params.choice(),
        first: call.params.of_page(1, None),
        next: (end < matching).then(|| call.params.of_page(1, position(end))),
        ..ListLinks::default()
    }
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
    let builds = std::slice::from_ref(&build);
    let (changes, beyond) = tally(call, &project, builds, wanted.asked.as_ref()).await?;
    let state = state(&project, &build);
    let [id, version, rules, credited] = borrowed(&state);
    let choice = call.params.choice();
    let etag = call.etag(&[id, version, rules, credited, &changes, &choice]);
    if let Some(answer) = call.ready(&etag) {
        return Ok(Found::Ready(answer));
    }
    let (document, list) = document(call, &project, &build, (wanted, beyond)).await?;
    Ok(Found::New(InsightPage { etag, project, build, document, list }))
}

/// The insight that a build's page begins with.
pub(crate) async fn for_page(
    call: &Call<'_>,
    project: &Project,
    build: &Build,
    (most, beyond): (u64, SeenBeyond),
) -> Result<InsightDocument, ApiError> {
    let wanted = Wanted::of(&Params::default(), most)?;
    document(call, project, build, (wanted, beyond)).await.map(|(document, _)| document)
}

async fn document(
    call: &Call<'_>,
    project: &Project,
    build: &Build,
    (wanted, beyond): (Wanted, SeenBeyond),
) -> Result<(InsightDocument, ListLinks), ApiError> {
    let hold = call.body.hold.clone();
    let (of, about, asked) = (project.clone(), build.clone(), wanted.clone());
    let read = move |repository: &dyn Repository| -> Answer<Result<Read, Refused>> {
        let subject = Subject::of_build(&of, &about);
        let insight = match Insight::read(
            repository,
            subject,
            asked.asked.as_ref(),
            (&hold, &mut Patience::default()),
        )? {
            Ok(insight) => insight,
            Err(refused) => return Ok(Err(refused)),
        };
        let is_mass_failure = is_mass_failure(&about.tests);
        let variant = Variant { name: None, insight, is_mass_failure };
        Read::of(repository, (&of, beyond), vec![variant], &asked).map(Ok)
    };
    let read = call
        .ask(read)
        .await?
        .map_err(|problem| ApiError::BadValue { name: "baseline", problem })?;
    let list = links(call, &wanted, read.matching);
    let document = written(call, project, build, (&read, &wanted), &list);
    Ok((document, list))
}

fn written(
    call: &Call<'_>,
    project: &Project,
    build: &Build,
    (read, wanted): (&Read, &Wanted),
    list: &ListLinks,
) -> InsightDocument {
    let variant = build.track.as_ref().map(|track| track.variant.as_str());
    let insight = read.variants.first().map(|variant| &variant.insight);
    let found = insight.and_then(|insight| insight.baseline.found.as_ref().ok());
    let linked = found.map(|found| (&found.project, &found.build.key));
    InsightDocument {
        build: build.key().to_string(),
        state: build.outcome.state().as_str(),
        success: match build.outcome {
            Outcome::Running => None,
            Outcome::Finished { success, .. } => Some(success),
        },
        revision: build.revision.clone(),
        track: build.track.as_ref().map(Into::into),
        baseline: insight
            .map(|insight| findings::baseline(insight, variant, wanted))
            .unwrap_or_default(),
        findings: read.findings(call.view(), project, wanted, (0, false)),
        links: call.view().insight_links(project, build, linked, list),
    }
}

pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<HttpResponse, ApiError> {
    match page(call, slug, key, PER_PAGE.1).await? {
        Found::Ready(answer) => Ok(answer),
        Found::New(InsightPage { etag, document, .. }) => {
            narrowed(call, &etag, &document, &InsightDocument::MEMBERS)
        }
    }
}

/// A document with the members that `fields` names, or all.
pub(super) fn narrowed(
    call: &Call<'_>,
    etag: &str,
    document: &impl Serialize,
    known: &[&'static str],
) -> Result<HttpResponse, ApiError> {
    if call.params.first("fields").is_none() {
        return call.ok(etag, document);
    }
    let words = call.params.words("fields")?;
    if let Some(word) = words.iter().find(|word| !known.contains(word)) {
        return Err(ApiError::BadValue {
            name: "fields",
            problem: format!("'{word}' is not one of {}", known.join(", ")),
        });
    }
    let mut members =
        serde_json::to_value(document).map_err(|error| ApiError::Unwritable(error.to_string()))?;
    if let Some(members) = members.as_object_mut() {
        members.retain(|name, _| name == "links" || words.contains(&name.as_str()));
    }
    call.ok(etag, &members)
}
