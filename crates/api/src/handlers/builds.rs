//! Builds.

use std::fmt::Display;
use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use devmason_domain::{Build, BuildId, BuildKey, Outcome, Project, Report, Slug, Step, Timestamp};
use devmason_hypermedia::document::{BuildDocument, ComponentRef, IncomingBuild};
use devmason_hypermedia::{Fields, Resource};
use devmason_repository::{Answer, Claimed, Named, NewBuild, Recorded, Scope, TestReport, Updated};
use uuid::Uuid;

use super::objects::named;
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Format;
use crate::respond::{leading, no_content};
use crate::upload::{self, Upload};

const NO_BUILD: ApiError = ApiError::NotFound("there is no such build");

/// The build at this place, which must be there, and its project.
pub(crate) async fn find(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<(Project, Build), ApiError> {
    let (project, build, _) = look(call, slug, key, Wanted::Build).await?;
    Ok((project, build))
}

/// The same, where it is enough to know which build it is and who sent it: what else is said of one that
/// runs may have changed since.
pub(crate) async fn identify(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<(Project, Build), ApiError> {
    let (project, build, _) = look(call, slug, key, Wanted::Identity).await?;
    Ok((project, build))
}

/// What is wanted of a build.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Which it is, and who sent it.
    Identity,
    /// All but its steps.
    Build,
    /// Its steps as well, if it has to be read anyway.
    Steps,
}

async fn look(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
    wanted: Wanted,
) -> Result<(Project, Build, Option<Vec<Step>>), ApiError> {
    let project = call.project(slug).await?;
    let (kept, changes) =
        call.app.cache.build(call.app, project.id, key, wanted == Wanted::Identity).await?;
    if let Some(build) = kept {
        return Ok((project, build, None));
    }
    let (id, sought) = (project.id, key.clone());
    let (build, steps) = call
        .ask(move |repository| {
            let Some(build) = repository.build_find(id, &sought)? else { return Ok(None) };
            let of_it = std::slice::from_ref(&build);
            let steps = match wanted {
                Wanted::Steps => repository.step_list(of_it)?.pop().flatten(),
                Wanted::Build | Wanted::Identity => None,
            };
            Ok(Some((build, steps)))
        })
        .await?
        .ok_or(NO_BUILD)?;
    call.app.cache.keep_build(key, &build, changes);
    Ok((project, build, steps))
}

/// What a build's representation is made from: itself, its project's rules, whether its user is there.
pub(crate) fn state(project: &Project, build: &Build) -> [Box<dyn Display>; 4] {
    let credited = build.sender.username().is_some();
    [Box::new(build.id), Box::new(build.version), Box::new(project.version), Box::new(credited)]
}

pub(crate) fn borrowed(state: &[Box<dyn Display>; 4]) -> [&dyn Display; 4] {
    state.each_ref().map(|part| &**part)
}

pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<HttpResponse, ApiError> {
    let is_page = call.format == Format::Html;
    let fields = if is_page { Fields::ALL } else { call.params.fields()? };
    // A page reads of the outputs what it shows.
    let wanted = fields.has("results") && !is_page;
    let at_once = if wanted && !call.has_preconditions() { Wanted::Steps } else { Wanted::Build };
    let (project, build, steps) = look(call, slug, key, at_once).await?;
    let state = state(&project, &build);
    let [id, version, rules, credited] = borrowed(&state);
    let etag = if is_page {
        // It names the builds around it.
        let of = project.id;
        let tally = call.ask(move |repository| repository.build_tally(&Scope::Project(of))).await?;
        call.etag(&[id, version, rules, credited, &tally.changes])
    } else if fields == Fields::ALL {
        call.etag(&[id, version, rules, credited])
    } else {
        call.etag(&[id, version, rules, credited, &call.params.choice()])
    };
    // A page names its components, which change by themselves.
    let is_certain = !is_page || build.components.is_empty();
    if let Some(answer) = call.ready(&etag).filter(|_| is_certain) {
        return Ok(answer);
    }
    if is_page {
        return super::pages::build(call, &etag, &project, build).await;
    }
    let (build, steps) = match steps {
        Some(steps) => (build, steps),
        None if !wanted => (build, Vec::new()),
        None => {
            let (build, steps) = call
                .ask(move |repository| {
                    let steps = repository.step_list(std::slice::from_ref(&build))?.pop();
                    Ok((build, steps))
                })
                .await?;
            (build, steps.flatten().ok_or(NO_BUILD)?)
        }
    };
    let links = call.view().build_links(&project, &build);
    call.ok(&etag, &BuildDocument { build: &build, steps: &steps, links, fields })
}

/// Where a build that was just recorded leads: an incremental one to its progress.
fn destination(project: &Project, key: BuildKey, outcome: Outcome) -> Resource {
    match outcome {
        Outcome::Running => Resource::Progress(project.slug.clone(), key),
        Outcome::Finished { .. } => Resource::Build(project.slug.clone(), key),
    }
}

fn key_of(id: BuildId) -> Result<BuildKey, ApiError> {
    id.to_string().parse().map_err(|_| ApiError::Interrupted)
}

pub(crate) async fn post(call: &Call<'_>, slug: &Slug) -> Result<HttpResponse, ApiError> {
    let project = call.project(slug).await?;
    call.app.settings.policy.report(call.viewer(), &project)?;
    let Reported { report, components, test_report } = reported(call, |_| None).await?;
    let id = BuildId::assign(report.started, report.received);
    let path = destination(&project, key_of(id)?, report.outcome).path();
    let claim = call.claim(&format!("builds of {}", project.id.0), 201, path.clone())?;
    let new = NewBuild {
        project: project.id,
        id,
        key: None,
        sender: call.caller.actor()?,
        report,
        components,
        test_report,
        claim,
    };
    record(call, new, &path).await
}

/// What a request reports: a document of the API, or a report file.
struct Reported {
    report: Report,
    components: Vec<Uuid>,
    test_report: TestReport,
}

async fn reported(
    call: &Call<'_>,
    digest: impl FnOnce(Option<&IncomingBuild>) -> Option<[u8; 32]>,
) -> Result<Reported, ApiError> {
    if let Some(upload) = upload::read(call).await? {
        let components = components(call, upload::components(call.params)?).await?;
        let report = upload.report(call.params, digest(None))?;
        let test_report = upload.test_report(call, false);
        return Ok(Reported { report, components, test_report });
    }
    let began = Instant::now();
    let mut incoming: IncomingBuild = call.document()?;
    let named = incoming.components();
    let digest = digest(Some(&incoming));
    let tests = incoming.take_tests();
    let report = incoming.into_report(Timestamp::now(), digest)?;
    let document = Some(upload::document_receipt(call, began, report.steps.len(), &tests));
    let test_report = TestReport { tests, document, ..TestReport::default() };
    let components = components(call, named).await?;
    Ok(Reported { report, components, test_report })
}

/// The components that a build says it tested, each once; all of them must be there.
async fn components(call: &Call<'_>, named_so: Vec<ComponentRef>) -> Result<Vec<Uuid>, ApiError> {
    if named_so.is_empty() {
        return Ok(Vec::new());
    }
    let found = call
        .ask(move |repository| {
            let find = |reference: &ComponentRef| match reference {
                ComponentRef::Id(id) => Ok(repository.component_find(&Named::Id(*id))?.pop()),
                ComponentRef::Name { component_type, name } => repository
                    .component_find_of_type(&named(component_type.as_str()), name.as_str()),
            };
            named_so.iter().map(find).collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let mut ids = Vec::with_capacity(found.len());
    for (at, component) in found.into_iter().enumerate() {
        ids.push(component.ok_or_else(|| IncomingBuild::unknown_component(at))?.id);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Stores a build, and says where it leads.
async fn record(call: &Call<'_>, new: NewBuild, path: &str) -> Result<HttpResponse, ApiError> {
    let bytes = call.body.len() + new.test_report.kept_bytes();
    match call.app.recorder.record(new, bytes).await? {
        Recorded::New => {
            call.app.metrics.builds.inc();
            Ok(leading(StatusCode::CREATED, call.base.under(path)))
        }
        Recorded::Known => Ok(leading(StatusCode::OK, call.base.under(path))),
        Recorded::Differs => {
            Err(ApiError::Conflict("another build has this id; builds are not updated"))
        }
        Recorded::Claimed(claimed) => replayed(call, claimed),
        Recorded::NoProject => Err(ApiError::NotFound("there is no such project")),
        Recorded::UsernameTaken => Err(ApiError::Raced),
        // Two servers assigned one id: too rare to keep the report for another try of our own.
        Recorded::Clash => Err(ApiError::Overloaded),
    }
}

/// The answer that a request got the first time.
pub(crate) fn replayed(call: &Call<'_>, claimed: Claimed) -> Result<HttpResponse, ApiError> {
    match claimed {
        Claimed::Replayed(Answer { status, location }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::CREATED);
            Ok(leading(status, call.base.under(&location)))
        }
        Claimed::KeyReused => Err(ApiError::KeyReused),
    }
}

pub(crate) async fn put(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<HttpResponse, ApiError> {
    let project = call.project(slug).await?;
    call.app.settings.policy.report(call.viewer(), &project)?;
    preconditions(call, slug, key).await?;
    let digest = |incoming: Option<&IncomingBuild>| {
        Some(incoming.map_or_else(|| Upload::digest(call), IncomingBuild::digest))
    };
    let Reported { report, components, test_report } = reported(call, digest).await?;
    let path = destination(&project, key.clone(), report.outcome).path();
    let new = NewBuild {
        project: project.id,
        id: BuildId::assign(report.started, report.received),
        key: Some(key.clone()),
        sender: call.caller.actor()?,
        report,
        components,
        test_report,
        claim: None,
    };
    record(call, new, &path).await
}

/// Checks what a PUT says of the build that it expects, where it says anything.
async fn preconditions(call: &Call<'_>, slug: &Slug, key: &BuildKey) -> Result<(), ApiError> {
    if !call.has_preconditions() {
        return Ok(());
    }
    match find(call, slug, key).await {
        Ok((project, build)) => {
            call.expects_something()?;
            call.seen(build.version, &borrowed(&state(&project, &build))).map(drop)
        }
        Err(ApiError::NotFound(_)) => call.seen_nothing(),
        Err(error) => Err(error),
    }
}

pub(crate) async fn delete(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<HttpResponse, ApiError> {
    let (project, build) = find(call, slug, key).await?;
    call.app.settings.policy.delete_build(call.viewer(), &project, &build)?;
    let seen = call.seen(build.version, &borrowed(&state(&project, &build)))?;
    match call.ask(move |repository| repository.build_delete(build.project, build.id, seen)).await?
    {
        Updated::Done(()) => Ok(no_content(None)),
        Updated::Stale => Err(ApiError::PreconditionFailed),
        Updated::Gone => Err(NO_BUILD),
    }
}
