//! Builds of which nothing is heard: their clients never say that they end, or were killed.

use devmason_domain::{Build, ClientRecord, Closing, State, Timestamp};
use devmason_repository::{ForeignBuild, Repository, Result};

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
pub fn end_silent_builds(repository: &dyn Repository, now: Timestamp) -> Result<bool> {
    let overdue = repository.foreign_overdue(now, AT_ONCE)?;
    for foreign in &overdue {
        end_one(repository, foreign, now)?;
    }
    Ok(overdue.len() as u32 == AT_ONCE)
}

fn end_one(repository: &dyn Repository, foreign: &ForeignBuild, now: Timestamp) -> Result<()> {
    let held = repository.foreign_held(foreign)?;
    let is_running = |build: &Build| build.outcome.state() == State::Running;
    if let Some((project, build)) = held.filter(|(_, build)| is_running(build)) {
        let mut members = build.client.0.members().unwrap_or_default();
        members.retain(|(name, _)| name != SILENT);
        if let Ok(silence) = serde_json::value::to_raw_value("silence") {
            members.push((SILENT.to_owned(), silence));
        }
        let client: ClientRecord = record_of(&members);
        // Something was heard of it just now.
        if !repository.build_amend(&build, &client, &project.tracking.variant_by, now)? {
            return Ok(());
        }
        repository.build_close(build.project, build.id, Closing::default(), now)?;
    }
    repository.foreign_heard(foreign.number, None)
}
