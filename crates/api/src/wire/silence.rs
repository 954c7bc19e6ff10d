//! Builds of which nothing is heard: their clients never say that they end, or were killed.

use devmason_domain::{Closing, State, Timestamp};
use devmason_repository::{ForeignBuild, Later, Repository, Result};

use super::{SILENT, make};
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
    let mut ended = 0;
    for foreign in &overdue {
        match end_one(repository, foreign, now, most_cases) {
            Ok(()) => ended += 1,
            // One build must not keep the others from ending.
            Err(error) => tracing::warn!(error = %error.chain(), "a silent build was not ended"),
        }
    }
    Ok(ended == AT_ONCE)
}

fn end_one(
    repository: &dyn Repository,
    foreign: &ForeignBuild,
    now: Timestamp,
    most_cases: usize,
) -> Result<()> {
    if foreign.events > 0 && !make::make(repository, foreign, true, most_cases)? {
        return Ok(());
    }
    let Some((project, build)) = repository.foreign_held(foreign)? else { return Ok(()) };
    let is_running = build.outcome.state() == State::Running;
    if is_running || foreign.events > 0 {
        let later = Later {
            members: vec![(SILENT.to_owned(), Some("silence".to_owned()))],
            tags: Vec::new(),
            variant_by: project.tracking.variant_by,
        };
        repository.build_tell(build.project, build.id, &later, now)?;
    }
    if is_running {
        repository.build_close(build.project, build.id, Closing::default(), now)?;
    }
    repository.foreign_heard(foreign.number, None)
}
