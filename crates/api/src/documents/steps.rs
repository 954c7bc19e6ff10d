//! Steps by themselves.

use std::time::Instant;

use actix_web::HttpResponse;
use devmason_domain::{Build, BuildKey, Project, Slug, Step, Timestamp};
use devmason_hypermedia::document::{IncomingStep, StepDocument};
use devmason_repository::{Ended, StepEnd, StepPlace, TestReport};

use super::builds::{self, borrowed, state};
use super::progress::may_continue;
use crate::call::Call;
use crate::error::ApiError;
use crate::upload;

const NO_STEP: ApiError = ApiError::NotFound("step not found in this build");

/// The step at this position of a build, without the outputs that its log has.
pub(crate) async fn find(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
    nth: u32,
) -> Result<(Project, Build, Step), ApiError> {
    let (project, build) = builds::find(call, slug, key).await?;
    let of = build.clone();
    let step = call.ask(move |repository| repository.step_head(&of, nth)).await?.ok_or(NO_STEP)?;
    Ok((project, build, step))
}

/// The place of a step in the store.
pub(crate) fn place(build: &Build, step: u32) -> StepPlace {
    StepPlace { project: build.project, build: build.id, step }
}

pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
    nth: u32,
) -> Result<HttpResponse, ApiError> {
    let (project, build) = builds::find(call, slug, key).await?;
    let state = state(&project, &build);
    let [id, version, rules, credited] = borrowed(&state);
    let etag = call.etag(&[id, version, rules, credited]);
    if let Some(answer) = call.ready(&etag) {
        return Ok(answer);
    }
    let most = usize::try_from(build.output_bytes).unwrap_or(usize::MAX);
    call.room_for_answer(most.min(call.app.settings.max_body_bytes)).await?;
    let of = build.clone();
    let step = call.ask(move |repository| repository.step_one(&of, nth)).await?.ok_or(NO_STEP)?;
    let links = call.view().step_links(&project, &build, nth, step.is_running());
    call.ok(&etag, &StepDocument::new(&step, links))
}

/// Ends a running step.
pub(crate) async fn put(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
    nth: u32,
) -> Result<HttpResponse, ApiError> {
    // Not what was known of the build a moment ago, which may lack the step.
    let (project, build) = builds::find(call, slug, key).await?;
    may_continue(call, &project, &build)?;
    let began = Instant::now();
    let mut incoming = call.document::<IncomingStep>().await?;
    let digest = incoming.digest();
    let tests = incoming.take_tests();
    upload::not_too_many(call, tests.len())?;
    let of = build.clone();
    let step = call.ask(move |repository| repository.step_head(&of, nth)).await?.ok_or(NO_STEP)?;
    let ending = incoming.into_end(&step, Timestamp::now())?;
    let document = Some(upload::document_receipt(call, began, 1, &tests));
    let mut test_report = TestReport { tests: tests.into(), document, ..TestReport::default() };
    upload::pack(call, project.id, &mut test_report).await?;
    let place = place(&build, nth);
    let end = StepEnd {
        place,
        success: ending.success,
        finished: ending.finished,
        extras: ending.extras,
        test_report,
        bad_cases: ending.bad_cases,
        digest,
    };
    match call.ask(move |repository| repository.step_end(&end)).await? {
        Ended::Done => {
            call.app.logs.ended(&call.app.store, place);
        }
        Ended::Known => {}
        Ended::Differs => {
            return Err(ApiError::Conflict("the step has already ended in another way"));
        }
        Ended::Gone => return Err(NO_STEP),
    }
    get(&Call { arrived: Instant::now(), ..*call }, slug, key, nth).await
}
