//! Streaks: how long something has failed without a break.

use super::items::Run;
use super::subject::Past;
use crate::BuildId;

/// Since when something fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// The oldest build of the streak.
    pub build: BuildId,
    /// Number of builds in it.
    pub builds: usize,
    /// Whether it may have begun earlier, in builds that were not looked at.
    pub at_least: bool,
}

/// The bad runs of an item from the newest backwards, until one that is not.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Streak {
    /// Number of bad runs.
    pub(super) bad: usize,
    /// The build of the oldest of them.
    oldest: Option<usize>,
    /// The build of the good run before them.
    pub(super) last_good: Option<usize>,
}

impl Streak {
    pub(super) fn of(past: &[Past]) -> Self {
        let mut streak = Self::default();
        for past in past {
            if !past.status.is_bad() {
                streak.last_good = Some(past.run);
                break;
            }
            streak.bad += 1;
            streak.oldest = Some(past.run);
        }
        streak
    }

    /// The streak with the bad run of the build that is looked at.
    pub(super) fn with_now(self) -> Self {
        Self { bad: self.bad + 1, ..self }
    }

    /// The oldest build of the streak; `None` if only the build that is looked at is in it.
    pub(super) fn since(self, runs: &[Run]) -> Option<&Run> {
        runs.get(self.oldest?)
    }
}
