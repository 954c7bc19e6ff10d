//! The page of a build.

use std::collections::HashMap;

use actix_web::HttpResponse;
use devmason_domain::query::Selection;
use devmason_domain::{Build, BuildKey, Slug, State, Step, StepLog};
use devmason_hypermedia::{Method, Resource, Subject};
use devmason_pages::{BuildPage, BuildParts, Window};
use devmason_repository::{BuildQuery, Named, Repository, Scope, Start};

use super::{Answer, may_triage};
use crate::call::Call;
use crate::documents::log_search::first_error;
use crate::documents::logs::{Room, Wanted, window};
use crate::documents::steps::place;
use crate::documents::{builds, insight};
use crate::error::ApiError;

/// Maximum number of failures listed on a build's page.
const FAILURES: u64 = 20;

/// Maximum size of outputs that are read at once for a build's page, in bytes. Longer ones are read
/// one by one, up to this many steps.
const READ_AT_ONCE: u64 = 1 << 20;

const READ_ONE_BY_ONE: usize = 40;

/// Minimum size of a long output, in bytes.
const LONG: usize = 256 << 10;

/// What a build's page shows in addition to the build.
struct Around {
    steps: Vec<Step>,
    is_read: Vec<bool>,
    logs: HashMap<usize, (Window, Option<u64>)>,
    previous: Option<Build>,
    next: Option<Build>,
    components: Vec<(String, String)>,
}

/// The steps of a build, and for each whether its outputs were read. Long outputs are read one step
/// at a time, failed steps first, while there is room.
fn shown_steps(repository: &dyn Repository, build: &Build) -> Answer<(Vec<Step>, Vec<bool>)> {
    let of = std::slice::from_ref(build);
    if build.output_bytes <= READ_AT_ONCE {
        let steps = repository.step_list(of)?.pop().flatten().unwrap_or_default();
        let is_read = vec![true; steps.len()];
        return Ok((steps, is_read));
    }
    let mut steps = repository.step_outline(of)?.pop().unwrap_or_default();
    let mut is_read = vec![false; steps.len()];
    let mut order: Vec<usize> = (0..steps.len()).collect();
    order.sort_by_key(|nth| steps.get(*nth).is_none_or(|step| step.success));
    let mut bytes = 0;
    for nth in order.into_iter().take(READ_ONE_BY_ONE) {
        if steps.get(nth).is_some_and(|step| step.log != StepLog::Absent) {
            continue;
        }
        let Some(step) = repository.step_one(build, u32::try_from(nth).unwrap_or(u32::MAX))? else {
            continue;
        };
        // A few long outputs are enough, because only the end of each is shown.
        let lengths = [&step.output, &step.errout].map(|text| text.len().min(LONG) as u64);
        bytes += lengths.iter().sum::<u64>();
        if let (Some(place), Some(mark)) = (steps.get_mut(nth), is_read.get_mut(nth)) {
            (*place, *mark) = (step, true);
        }
        if bytes >= READ_AT_ONCE {
            break;
        }
    }
    Ok((steps, is_read))
}

/// How much is shown of a log at first.
const TAIL: Room = Room { lines: 1000, bytes: 128 << 10 };

/// The ends of the logs of steps, those of failed and running steps first.
fn logs(
    repository: &dyn Repository,
    build: &Build,
    steps: &[Step],
) -> Answer<HashMap<usize, (Window, Option<u64>)>> {
    let mut order: Vec<usize> = (0..steps.len()).collect();
    order.retain(|nth| steps.get(*nth).is_some_and(|step| step.log != StepLog::Absent));
    let is_good = |step: &Step| step.success && !step.is_running();
    order.sort_by_key(|nth| steps.get(*nth).is_none_or(is_good));
    let mut logs = HashMap::new();
    for nth in order.into_iter().take(READ_ONE_BY_ONE) {
        let Some(step) = steps.get(nth) else { continue };
        let number = u32::try_from(nth).unwrap_or(u32::MAX);
        let place = place(build, number);
        let window = window(repository, place, step, None, Wanted::Tail, TAIL)?;
        let error = match step.success || logs.len() >= ERRORS {
            true => None,
            false => first_error(repository, build, number)?,
        };
        logs.insert(nth, (window, error));
    }
    Ok(logs)
}

/// In how many logs the first error is sought for a build's page.
const ERRORS: usize = 3;

/// The neighbour of a build in its project's list.
fn neighbour(repository: &dyn Repository, of: &Build, start: Start) -> Answer<Option<Build>> {
    let scope = Scope::Project(of.project);
    let query = BuildQuery { scope, selection: Selection::default(), start, limit: 1 };
    repository.build_list(&query).map(|part| part.builds.into_iter().next())
}

fn around(repository: &dyn Repository, build: &Build) -> Answer<Around> {
    let previous = neighbour(repository, build, Start::Behind(build.id))?;
    let next = neighbour(repository, build, Start::Before(build.id))?;
    let mut components = Vec::new();
    for id in &build.components {
        let found = repository.component_find(&Named::Id(*id))?.pop();
        let name = found.map_or_else(|| id.to_string(), |component| component.name.to_string());
        components.push((id.to_string(), name));
    }
    let (steps, is_read) = shown_steps(repository, build)?;
    let logs = logs(repository, build, &steps)?;
    Ok(Around { previous, next, components, steps, is_read, logs })
}

/// A build.
pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<HttpResponse, ApiError> {
    let (project, build) = builds::find(call, slug, key).await?;
    let (stamp, beyond) =
        insight::tally(call, &project, std::slice::from_ref(&build), None).await?;
    let state = builds::state(&project, &build);
    let [id, version, rules, credited] = builds::borrowed(&state);
    // The page links to neighbouring builds, which change with the list.
    let etag = call.etag(&[id, version, rules, credited, &stamp]);
    // It names its components, which change independently.
    let is_certain = build.components.is_empty();
    if let Some(answer) = call.ready(&etag).filter(|_| is_certain) {
        return Ok(answer);
    }
    let insight = insight::for_page(call, &project, &build, (FAILURES, beyond)).await?;
    let (around, build) =
        call.ask(move |repository| Ok((around(repository, &build)?, build))).await?;
    let is_running = build.outcome.state() == State::Running;
    let events = is_running.then(|| {
        let events = Resource::Events(project.slug.clone(), build.key());
        format!("{}?from={}", call.base.location(&events), build.steps)
    });
    let page = BuildPage::new(
        call.site(),
        BuildParts {
            project: &project,
            build: &build,
            steps: &around.steps,
            is_read: &around.is_read,
            logs: &around.logs,
            insight: &insight,
            previous: around.previous.as_ref(),
            next: around.next.as_ref(),
            components: around.components,
            events,
            may_delete: call
                .view()
                .methods(Subject::Build(&project, Some(&build)))
                .contains(&Method::Delete),
            may_triage: may_triage(call, &project),
        },
    );
    let page = page.map_err(|error| ApiError::Unwritable(error.to_string()))?;
    if is_certain { call.paged(&etag, &page) } else { call.shown(&page) }
}
