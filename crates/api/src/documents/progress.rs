//! Incremental reporting: a build has a progress resource while it runs.

use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use devmason_domain::{Build, BuildKey, Project, Slug, State, Timestamp, limits};
use devmason_hypermedia::Resource;
use devmason_hypermedia::document::{IncomingClosing, IncomingStep};
use devmason_repository::{Appended, Closed, NewStep, TestReport};

use super::builds::{borrowed, find, identify, replayed, state};
use crate::call::Call;
use crate::error::ApiError;
use crate::respond::{leading, no_content};
use crate::upload;

pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<HttpResponse, ApiError> {
    let (project, build) = find(call, slug, key).await?;
    if build.outcome.state() == State::Finished {
        return Err(ApiError::NotInProgress);
    }
    let etag = call.etag(&borrowed(&state(&project, &build)));
    Ok(if call.is_known(&etag) { call.unchanged(&etag) } else { call.empty(&etag) })
}

/// A build that this client may continue if it is still running.
pub(super) async fn running(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<(Project, Build), ApiError> {
    let (project, build) = if call.has_preconditions() {
        find(call, slug, key).await?
    } else {
        identify(call, slug, key).await?
    };
    may_continue(call, &project, &build)?;
    Ok((project, build))
}

/// Fails if this client may not continue a build, or knows an older one.
pub(super) fn may_continue(
    call: &Call<'_>,
    project: &Project,
    build: &Build,
) -> Result<(), ApiError> {
    call.app.settings.policy.continue_build(call.viewer(), project, build)?;
    call.seen(build.version, &borrowed(&state(project, build))).map(drop)
}

pub(crate) async fn post(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<HttpResponse, ApiError> {
    let (project, build) = running(call, slug, key).await?;
    let of_build = Resource::Build(project.slug.clone(), key.clone()).path();
    let place = format!("steps of {} {}", project.id.0, build.id);
    let mut claim = call.claim(&place, StatusCode::NO_CONTENT, of_build.clone()).await?;
    // A retry of the last step is answered even if the build has since been closed.
    if claim.is_none() && build.outcome.state() == State::Finished {
        return Err(ApiError::NotInProgress);
    }
    let (step, mut test_report) = match upload::read(call).await? {
        Some(upload) => {
            let step = upload.step(call.params)?;
            (step, upload.test_report(call, true))
        }
        None => {
            let began = Instant::now();
            let mut incoming = call.document::<IncomingStep>().await?;
            let tests = incoming.take_tests();
            upload::not_too_many(call, tests.len())?;
            let step = incoming.into_added_step(Timestamp::now())?;
            let document = Some(upload::document_receipt(call, began, 1, &tests));
            (step, TestReport { tests: tests.into(), document, ..TestReport::default() })
        }
    };
    upload::pack(call, project.id, &mut test_report).await?;
    let of_steps = format!("{of_build}/steps/");
    if let Some(claim) = claim.as_mut().filter(|_| step.is_running()) {
        // The store adds the position, which is not known before.
        claim.outcome = format!("{} {of_steps}", StatusCode::CREATED.as_u16());
    }
    let new = NewStep { project: project.id, build: build.id, step, test_report, claim };
    let bytes = call.received().len() + new.test_report.kept_bytes();
    let appended = call.app.recorder.append(new, bytes, call.body.hold.clone());
    match call.app.store.patiently(appended).await?? {
        Appended::Done => {
            call.app.metrics.steps.inc();
            Ok(no_content(Some(call.base.under(&of_build))))
        }
        Appended::Opened(position) => {
            call.app.metrics.steps.inc();
            let path = format!("{of_steps}{position}");
            Ok(leading(StatusCode::CREATED, call.base.under(&path)))
        }
        Appended::Finished => Err(ApiError::NotInProgress),
        Appended::Full => Err(ApiError::TooMuch {
            problem: format!(
                "a build is limited to {} steps and {} bytes of output",
                limits::BUILD_STEPS,
                limits::OUTPUTS
            ),
        }),
        Appended::Unclear => Err(ApiError::Overloaded),
        Appended::Gone => Err(ApiError::NotFound("build not found")),
        Appended::Claimed(claimed) => replayed(call, claimed),
    }
}

pub(crate) async fn delete(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<HttpResponse, ApiError> {
    let (project, build) = running(call, slug, key).await?;
    if build.outcome.state() == State::Finished {
        return Err(ApiError::NotInProgress);
    }
    let closing = call.optional_document::<IncomingClosing>().await?.into();
    let now = Timestamp::now();
    match call
        .ask(move |repository| repository.build_close(build.project, build.id, closing, now))
        .await?
    {
        Closed::Done => {
            call.app.logs.abandoned(&call.app.store, build.project, build.id);
            Ok(no_content(Some(call.base.location(&Resource::Build(project.slug, key.clone())))))
        }
        Closed::Finished => Err(ApiError::NotInProgress),
        Closed::Gone => Err(ApiError::NotFound("build not found")),
    }
}
