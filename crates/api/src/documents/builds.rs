//! Builds.

use std::fmt::Display;
use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use devmason_domain::{
    Build, BuildId, BuildKey, Digest, Outcome, Project, Report, Slug, Step, Timestamp,
};
use devmason_hypermedia::document::{
    BuildDocument, ComponentRef, IncomingBuild, Results, around_steps, written_step,
};
use devmason_hypermedia::{Fields, Resource};
use devmason_repository::{Claimed, Error, Named, NewBuild, Recorded, Sought, TestReport, Updated};
use futures_util::StreamExt;
use futures_util::future::ready;
use futures_util::stream::{once, try_unfold};
use uuid::Uuid;

use crate::budget::Lane;
use crate::call::Call;
use crate::error::ApiError;
use crate::respond::{leading, no_content};
use crate::upload::{self, Upload};

/// Minimum size of a build's outputs, in bytes, for reading and writing them step by step.
const STREAMED_FROM: u64 = 1 << 20;

const NO_BUILD: ApiError = ApiError::NotFound("build not found");

/// The build at this path and its project; fails if either doesn't exist.
pub(crate) async fn find(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<(Project, Build), ApiError> {
    let (project, build, _) = look(call, slug, key, Wanted::Build).await?;
    Ok((project, build))
}

/// Like `find`, for callers that need only the build's identity and sender; other data of a running
/// build may be outdated.
pub(crate) async fn identify(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<(Project, Build), ApiError> {
    let (project, build, _) = look(call, slug, key, Wanted::Identity).await?;
    Ok((project, build))
}

/// How much of a build to read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Its identity and its sender.
    Identity,
    /// Everything except its steps.
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
    let even_running = wanted == Wanted::Identity;
    let (kept, changes) =
        call.app.cache.build(&call.app.store, call.arrived, project.id, key, even_running).await?;
    if let Some(build) = kept {
        return Ok((project, build, None));
    }
    let (id, sought) = (project.id, key.clone());
    let (build, steps) = call
        .ask(move |repository| {
            let Some(build) = repository.build_find(id, &sought)? else { return Ok(None) };
            let of_it = std::slice::from_ref(&build);
            let steps = match wanted {
                Wanted::Steps if build.output_bytes <= STREAMED_FROM => {
                    repository.step_list(of_it)?.pop().flatten()
                }
                Wanted::Steps | Wanted::Build | Wanted::Identity => None,
            };
            Ok(Some((build, steps)))
        })
        .await?
        .ok_or(NO_BUILD)?;
    call.app.cache.keep_build(key, &build, changes);
    Ok((project, build, steps))
}

/// The inputs of a build's representation: the build, what it and its running steps have written, its
/// project's version, and whether its user exists.
pub(crate) fn state(project: &Project, build: &Build) -> [Box<dyn Display>; 4] {
    let credited = build.sender.username().is_some();
    let version = format!("{} {}", build.version, build.output_bytes);
    [Box::new(build.id), Box::new(version), Box::new(project.version), Box::new(credited)]
}

pub(crate) fn borrowed(state: &[Box<dyn Display>; 4]) -> [&dyn Display; 4] {
    state.each_ref().map(|part| &**part)
}

pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<HttpResponse, ApiError> {
    let fields = call.params.fields()?;
    let wanted = fields.has("results");
    let at_once = if wanted && !call.has_preconditions() { Wanted::Steps } else { Wanted::Build };
    let (project, build, steps) = look(call, slug, key, at_once).await?;
    let state = state(&project, &build);
    let [id, version, rules, credited] = borrowed(&state);
    let etag = if fields == Fields::ALL {
        call.etag(&[id, version, rules, credited])
    } else {
        call.etag(&[id, version, rules, credited, &call.params.choice()])
    };
    if let Some(answer) = call.ready(&etag) {
        return Ok(answer);
    }
    let links = call.view().build_links(&project, &build);
    if wanted && build.output_bytes > STREAMED_FROM {
        let document = BuildDocument { build: &build, results: Results::LeftOut, links, fields };
        return streamed(call, &etag, document).await;
    }
    let steps = match steps {
        Some(steps) => steps,
        None if !wanted => Vec::new(),
        None => {
            let of = build.clone();
            let steps = call.ask(move |repository| repository.step_list(&[of])).await?.pop();
            steps.flatten().ok_or(NO_BUILD)?
        }
    };
    let results = Results::Steps(&steps);
    call.ok(&etag, &BuildDocument { build: &build, results, links, fields })
}

/// The document of a build with long outputs. Steps are read and written one at a time, so that
/// only one is in memory.
async fn streamed(
    call: &Call<'_>,
    etag: &str,
    document: BuildDocument<'_>,
) -> Result<HttpResponse, ApiError> {
    let build = document.build.clone();
    let [before, behind] =
        around_steps(document).map_err(|error| ApiError::Unwritable(error.to_string()))?;
    let (app, hold) = (call.app.clone(), call.body.hold.clone());
    let bytes = build.output_bytes;
    // A step is no larger than all outputs together, and no larger than a body.
    let most = usize::try_from(bytes).unwrap_or(usize::MAX);
    call.room_for_answer(most.min(call.app.settings.max_body_bytes)).await?;
    let steps = try_unfold((0u32, Some(behind)), move |(nth, mut behind)| {
        let (app, hold, build) = (app.clone(), hold.clone(), build.clone());
        async move {
            if nth >= build.steps {
                return Ok::<_, ApiError>(behind.take().map(|behind| (behind.into(), (nth, None))));
            }
            let step = app.store.run(move |repository| {
                let step = repository.step_one(&build, nth)?;
                let written = step.as_ref().map(written_step).transpose();
                written.map_err(|error| Error::Corrupt(format!("a step: {error}").into()))
            });
            // The build was deleted meanwhile: the response breaks off visibly.
            let mut step = step.await?.ok_or(NO_BUILD)?;
            hold.draw_up_to(Lane::Answer, step.len()).await?;
            if nth > 0 {
                step.insert(0, b',');
            }
            Ok(Some((step.into(), (nth + 1, behind))))
        }
    });
    let steps = once(ready(Ok(Bytes::from(before)))).chain(steps);
    Ok(call.streamed(etag, bytes, steps))
}

/// The resource for a build that was just stored; for an incremental one, its progress.
fn destination(project: &Project, key: BuildKey, outcome: Outcome) -> Resource {
    match outcome {
        Outcome::Running => Resource::Progress(project.slug.clone(), key),
        Outcome::Finished { .. } => Resource::Build(project.slug.clone(), key),
    }
}

pub(crate) async fn post(call: &Call<'_>, slug: &Slug) -> Result<HttpResponse, ApiError> {
    let project = call.project(slug).await?;
    call.app.settings.policy.report(call.viewer(), &project)?;
    let Reported { report, components, test_report } = reported(call, |_| None).await?;
    let id = BuildId::assign(report.started, report.received);
    let path = destination(&project, id.into(), report.outcome).path();
    let claim = call
        .claim(&format!("builds of {}", project.id.0), StatusCode::CREATED, path.clone())
        .await?;
    let new = NewBuild {
        project: project.id,
        id,
        key: None,
        sender: call.caller.actor()?,
        report,
        variant_by: project.tracking.variant_by.clone(),
        components,
        test_report,
        claim,
    };
    record(call, new, &path).await
}

/// The contents of a request that reports a build: an API document or a report file.
struct Reported {
    report: Report,
    components: Vec<Uuid>,
    test_report: TestReport,
}

async fn reported(
    call: &Call<'_>,
    digest: impl FnOnce(Option<&IncomingBuild>) -> Option<Digest>,
) -> Result<Reported, ApiError> {
    if let Some(upload) = upload::read(call).await? {
        let named = upload::components(call.params)?.into_iter().enumerate().collect();
        let components = components(call, named).await?;
        let report = upload.report(call.params, digest(None))?;
        let test_report = upload.test_report(call, false);
        return Ok(Reported { report, components, test_report });
    }
    let began = Instant::now();
    let mut incoming: IncomingBuild = call.document().await?;
    let named = incoming.components();
    let digest = digest(Some(&incoming));
    let tests = incoming.take_tests();
    upload::not_too_many(call, tests.len())?;
    let report = incoming.into_report(Timestamp::now(), digest)?;
    let document = Some(upload::document_receipt(call, began, report.steps.len(), &tests));
    let test_report = TestReport { tests: tests.into(), document, ..TestReport::default() };
    let components = components(call, named).await?;
    Ok(Reported { report, components, test_report })
}

/// The ids of the components that a build says it tested, without duplicates; fails if any doesn't
/// exist.
async fn components(
    call: &Call<'_>,
    named_so: Vec<(usize, ComponentRef)>,
) -> Result<Vec<Uuid>, ApiError> {
    if named_so.is_empty() {
        return Ok(Vec::new());
    }
    let (places, sought): (Vec<usize>, Vec<Sought>) =
        named_so.into_iter().map(|(at, reference)| (at, sought(reference))).unzip();
    let found = call.ask(move |repository| repository.component_resolve(&sought)).await?;
    let mut ids = Vec::with_capacity(found.len());
    for (at, component) in places.into_iter().zip(found) {
        ids.push(component.ok_or_else(|| IncomingBuild::unknown_component(at))?);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

fn sought(reference: ComponentRef) -> Sought {
    match reference {
        ComponentRef::Id(id) => Sought::Id(id),
        ComponentRef::Name { component_type, name } => {
            Sought::OfType(Named::from(component_type.as_str()), name.as_str().to_owned())
        }
    }
}

/// Stores a build and responds with its location.
async fn record(call: &Call<'_>, mut new: NewBuild, path: &str) -> Result<HttpResponse, ApiError> {
    upload::pack(call, new.project, &mut new.test_report).await?;
    let bytes = call.received().len() + new.test_report.kept_bytes();
    let recorded = call.app.recorder.record(new, bytes, call.body.hold.clone());
    match call.app.store.patiently(recorded).await?? {
        Recorded::New => {
            call.app.metrics.builds.inc();
            Ok(leading(StatusCode::CREATED, call.base.under(path)))
        }
        Recorded::Known => Ok(leading(StatusCode::OK, call.base.under(path))),
        Recorded::Differs => Err(ApiError::Conflict(
            "a different build already has this id; builds cannot be updated",
        )),
        Recorded::Claimed(claimed) => replayed(call, claimed),
        Recorded::NoProject => Err(ApiError::NotFound("project not found")),
        // When retried, a component removed meanwhile is reported as not found.
        Recorded::UsernameTaken | Recorded::NoComponent => Err(ApiError::Raced),
        // Two servers assigned the same id, which is too rare to keep the report for a retry here.
        Recorded::Clash => Err(ApiError::Overloaded),
    }
}

/// The response that the request got the first time.
pub(crate) fn replayed(call: &Call<'_>, claimed: Claimed) -> Result<HttpResponse, ApiError> {
    let (status, location) = crate::call::replayed(claimed)?;
    Ok(leading(status, call.base.under(&location)))
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
        variant_by: project.tracking.variant_by.clone(),
        components,
        test_report,
        claim: None,
    };
    record(call, new, &path).await
}

/// Checks the preconditions of a PUT against the existing build, if it has any.
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
