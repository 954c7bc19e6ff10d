//! Builds of which nothing is heard: their clients never say that they end, or were killed.

use devmason_domain::{Build, ClientRecord, Closing, State, Timestamp};
use devmason_repository::{ForeignBuild, Repository, Result};

use super::reportportal::make;
use super::{SILENT, record_of};
use crate::app::App;

/// The most builds that end at once.
const AT_ONCE: u32 = 50;

/// When a build that was heard of at this time ends, unless it is heard of again.
pub(crate) fn end(app: &App, heard: Timestamp) -> Timestamp {
    let micros = i64::from(app.settings.silence_minutes) * 60_000_000;
    Timestamp::from_parts(heard.micros().saturating_add(micros), 0).unwrap_or(heard)
}

/// Ends builds of other systems' clients of which nothing was heard until this time. The server does it
/// every few seconds. Returns whether there may be more.
///
/// # Errors
/// The store fails.
pub fn end_silent_builds(
    repository: &dyn Repository,
    now: Timestamp,
    most_cases: usize,
) -> Result<bool> {
    let overdue = repository.foreign_overdue(now, AT_ONCE)?;
    for foreign in &overdue {
        end_one(repository, foreign, now, most_cases)?;
    }
    Ok(overdue.len() as u32 == AT_ONCE)
}

/// Notes in a build that it ended because nothing was heard of it.
pub(super) fn mark(repository: &dyn Repository, foreign: &ForeignBuild) -> Result<()> {
    let Some((project, build)) = repository.foreign_held(foreign)? else { return Ok(()) };
    let client = with_mark(&build);
    repository.build_amend(&build, &client, &project.tracking.variant_by, Timestamp::now())?;
    Ok(())
}

fn with_mark(build: &Build) -> ClientRecord {
    let mut members = build.client.0.members().unwrap_or_default();
    members.retain(|(name, _)| name != SILENT);
    if let Ok(silence) = serde_json::value::to_raw_value("silence") {
        members.push((SILENT.to_owned(), silence));
    }
    record_of(&members)
}

fn end_one(
    repository: &dyn Repository,
    foreign: &ForeignBuild,
    now: Timestamp,
    most_cases: usize,
) -> Result<()> {
    if foreign.events > 0 {
        return make::end(repository, foreign, most_cases);
    }
    let held = repository.foreign_held(foreign)?;
    let is_running = |build: &Build| build.outcome.state() == State::Running;
    if let Some((project, build)) = held.filter(|(_, build)| is_running(build)) {
        let client = with_mark(&build);
        // Something was heard of it just now.
        if !repository.build_amend(&build, &client, &project.tracking.variant_by, now)? {
            return Ok(());
        }
        repository.build_close(build.project, build.id, Closing::default(), now)?;
    }
    repository.foreign_heard(foreign.number, None)
}
