//! The insight of a commit: all builds of it, each variant compared with its own baseline.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use devmason_domain::{Build, Outcome, Project, Slug, State, is_revision};
use devmason_hypermedia::document::{RevisionBuild, RevisionDocument, VariantDocument};
use devmason_hypermedia::{ListLinks, Resource};
use devmason_repository::{OfBranch, Ran, Repository};

use super::insight::findings::{baseline, counts};
use super::insight::read::{Read, Variant};
use super::insight::wanted::{PER_PAGE, Wanted};
use super::insight::{links, narrowed, tally};
use crate::call::Call;
use crate::error::ApiError;
use crate::insight::{Insight, Patience, Refused, Subject, mainline_of};
use crate::respond::{Found, leading};

type Answer<T> = devmason_repository::Result<T>;

/// Maximum number of builds of a commit, and of those that are listed.
const BUILDS: usize = 500;
const LISTED: usize = 100;

/// Number of builds of a branch that are read at once, and how often at most, to find its newest commits;
/// and the number of these commits.
const AT_ONCE: u64 = 500;
const TIMES: usize = 10;
const COMMITS: usize = 10;

/// The fewest commits that tell what is expected, and of how many of ten a variant must be.
const FEWEST: usize = 3;
const USUAL: usize = 8;

const NO_REVISION: ApiError = ApiError::NotFound("no build of this commit");

/// A page of the insight of a commit.
pub(crate) struct RevisionPage {
    pub(crate) etag: String,
    pub(crate) project: Project,
    pub(crate) document: RevisionDocument,
    pub(crate) list: ListLinks,
}

/// What was read of a commit.
struct Told {
    builds: Vec<Build>,
    /// Whether the commit has more builds than these.
    is_cut: bool,
    missing: Vec<String>,
    read: Read,
}

/// The requested page of a commit's insight, with at most `most` failures; or a redirect to the only
/// commit that begins like that.
pub(crate) async fn page(
    call: &Call<'_>,
    slug: &Slug,
    revision: &str,
    most: u64,
) -> Result<Found<RevisionPage>, ApiError> {
    let wanted = Wanted::of(call.params, most)?;
    let project = call.project(slug).await?;
    if !is_revision(revision) {
        return Err(NO_REVISION);
    }
    let (of, sought) = (project.id, revision.to_owned());
    let builds = call
        .ask(move |repository| repository.revision_builds(of, &sought, BUILDS as u64 + 1))
        .await?;
    if builds.is_empty() {
        return redirect(call, &project, revision).await.map(Found::Ready);
    }
    let (changes, beyond) = tally(call, &project, &builds, wanted.asked.as_ref()).await?;
    let choice = call.params.choice();
    let etag = call.etag(&[&project.id.0, &project.version, &changes, &choice]);
    if let Some(answer) = call.ready(&etag) {
        return Ok(Found::Ready(answer));
    }
    let (app, client) = (call.app.clone(), call.client);
    let (about, asked) = (project.clone(), wanted.clone());
    let told = move |repository: &dyn Repository| -> Answer<Result<Told, Refused>> {
        let mut builds = builds;
        let is_cut = builds.len() > BUILDS;
        builds.truncate(BUILDS);
        let (mut variants, mut patience) = (Vec::new(), Patience::default());
        for (name, builds) in by_variant(&builds) {
            let Some(newest) = builds.last() else { continue };
            let subject = Subject { project: &about, build: newest, of_commit: Some(&builds) };
            // What comparing a variant takes is given back before the next one.
            let hold = app.budget.hold(client);
            let with = (&hold, &mut patience);
            let insight = match Insight::read(repository, subject, asked.asked.as_ref(), with)? {
                Ok(insight) => insight,
                Err(refused) => return Ok(Err(refused)),
            };
            let is_mass_failure = insight.compared.is_mass_failure();
            variants.push(Variant { name: Some(name), insight, is_mass_failure });
        }
        let missing = missing(repository, &about, &builds, &variants)?;
        let read = Read::of(repository, (&about, beyond), variants, &asked)?;
        Ok(Ok(Told { builds, is_cut, missing, read }))
    };
    let told = call
        .ask(told)
        .await?
        .map_err(|problem| ApiError::BadValue { name: "baseline", problem })?;
    let list = links(call, &wanted, told.read.matching);
    let document = document(call, &project, revision, (&told, &wanted), &list);
    Ok(Found::New(RevisionPage { etag, project, document, list }))
}

/// A redirect to the only commit of the project that begins like that.
async fn redirect(
    call: &Call<'_>,
    project: &Project,
    start: &str,
) -> Result<HttpResponse, ApiError> {
    let (of, sought) = (project.id, start.to_owned());
    let found = call.ask(move |repository| repository.revisions_like(of, &sought)).await?;
    let [only] = found.as_slice() else { return Err(NO_REVISION) };
    let resource = Resource::Revision(project.slug.clone(), only.clone());
    let location = format!("{}{}", call.base.location(&resource), call.params.choice());
    Ok(leading(StatusCode::FOUND, location))
}

/// The builds of each variant, the oldest first.
fn by_variant(builds: &[Build]) -> BTreeMap<String, Vec<Build>> {
    let mut variants: BTreeMap<String, Vec<Build>> = BTreeMap::new();
    for build in builds.iter().rev() {
        let name = build.track.as_ref().map(|track| track.variant.clone()).unwrap_or_default();
        variants.entry(name).or_default().push(build.clone());
    }
    variants
}

/// The variants that usually report about a commit of the branch that these are compared with, and have
/// no build of this one.
fn missing(
    repository: &dyn Repository,
    project: &Project,
    builds: &[Build],
    variants: &[Variant],
) -> Answer<Vec<String>> {
    let Some(newest) = builds.first() else { return Ok(Vec::new()) };
    let found = variants.iter().filter_map(|variant| variant.insight.baseline.found.as_ref().ok());
    let mut found = found.filter(|found| found.project.id == project.id);
    let (branch, is_credited) = match found.next() {
        Some(found) => (found.build.track.branch.clone(), found.build.track.is_credited),
        // A variant that nothing can be compared with may be a new name for one that is missing.
        None => match mainline_of(repository, project)? {
            Some((branch, _)) => {
                (branch, newest.track.as_ref().is_some_and(|track| track.is_credited))
            }
            None => return Ok(Vec::new()),
        },
    };
    let of = OfBranch { branch: &branch, variant: None, is_credited: Some(is_credited) };
    let mut commits: Vec<(String, BTreeSet<String>)> = Vec::new();
    let (mut before, mut is_whole) = (newest.id, false);
    for _ in 0..TIMES {
        let runs = repository.branch_revisions(project.id, &of, before, AT_ONCE)?;
        is_whole = (runs.len() as u64) < AT_ONCE;
        before = runs.last().map_or(before, |run| run.build);
        for Ran { revision, variant, .. } in runs {
            let Some(revision) = revision.filter(|of| newest.revision.as_ref() != Some(of)) else {
                continue;
            };
            // One more than are needed: the last one may lack builds that were not read.
            let is_full = commits.len() > COMMITS;
            match commits.iter_mut().find(|(known, _)| *known == revision) {
                Some((_, variants)) => {
                    variants.insert(variant);
                }
                None if is_full => {}
                None => commits.push((revision, BTreeSet::from([variant]))),
            }
        }
        if is_whole || commits.len() > COMMITS {
            break;
        }
    }
    if !is_whole && commits.len() <= COMMITS {
        commits.pop();
    }
    commits.truncate(COMMITS);
    if commits.len() < FEWEST {
        return Ok(Vec::new());
    }
    let least = if commits.len() < COMMITS { commits.len() } else { USUAL };
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for variant in commits.iter().flat_map(|(_, variants)| variants) {
        *times.entry(variant).or_default() += 1;
    }
    let is_there =
        |name: &str| variants.iter().any(|variant| variant.name.as_deref() == Some(name));
    let expected = times.into_iter().filter(|(name, times)| *times >= least && !is_there(name));
    Ok(expected.map(|(name, _)| name.to_owned()).collect())
}

fn document(
    call: &Call<'_>,
    project: &Project,
    revision: &str,
    (told, wanted): (&Told, &Wanted),
    list: &ListLinks,
) -> RevisionDocument {
    let read = &told.read;
    let findings = {
        let missing = told.missing.len() as u64;
        read.findings(call.view(), project, wanted, (missing, told.is_cut))
    };
    let limits = wanted.gate.limits(&project.tracking.gate);
    let state = |is_running: bool| {
        if is_running { State::Running.as_str() } else { State::Finished.as_str() }
    };
    let variant = |Variant { name, insight, .. }: &Variant| VariantDocument {
        variant: name.clone().unwrap_or_default(),
        state: state(insight.is_running),
        baseline: baseline(insight, name.as_deref(), wanted),
        verdict: insight.verdict(&limits).0.as_str(),
        counts: counts(insight),
    };
    let is_superseded = |build: &Build| {
        let mut all = read.variants.iter().flat_map(|of| &of.insight.together.superseded);
        all.any(|key| *key == build.key())
    };
    let build = |build: &Build| RevisionBuild {
        id: build.key().to_string(),
        track: build.track.as_ref().map(Into::into),
        state: build.outcome.state().as_str(),
        success: match build.outcome {
            Outcome::Running => None,
            Outcome::Finished { success, .. } => Some(success),
        },
        superseded: is_superseded(build),
    };
    let is_running = read.variants.iter().any(|variant| variant.insight.is_running);
    let is_good = read.variants.iter().all(|of| of.insight.compared.failures.is_empty());
    RevisionDocument {
        revision: revision.to_owned(),
        state: state(is_running),
        success: (!is_running).then_some(is_good),
        builds: told.builds.iter().take(LISTED).map(build).collect(),
        variants: read.variants.iter().map(variant).collect(),
        missing_variants: told.missing.clone(),
        passed_on_rerun: read.reran(),
        findings,
        links: call.view().revision_links(project, revision, list),
    }
}

pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    revision: &str,
) -> Result<HttpResponse, ApiError> {
    match page(call, slug, revision, PER_PAGE.1).await? {
        Found::Ready(answer) => Ok(answer),
        Found::New(RevisionPage { etag, document, .. }) => {
            narrowed(call, &etag, &document, &RevisionDocument::MEMBERS)
        }
    }
}
