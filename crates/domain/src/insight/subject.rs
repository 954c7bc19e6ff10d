//! An item, and what is known of its past.

use super::items::{Case, FailureKey, Side, StepRun, WINDOW};
use super::slower::{LEAST, LOOKED_AT, Slow, Times, slower};
use crate::TestStatus;

/// A run of an item in a build of a window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Past {
    /// The build's place among those of its side.
    pub(super) run: usize,
    pub(super) status: TestStatus,
    pub(super) failure: Option<FailureKey>,
}

/// An item, and what is known of its past.
#[derive(Debug, Clone, Default)]
pub(super) struct Subject {
    /// Whether the build has it, explained steps included.
    pub(super) is_here: bool,
    /// Its run in the build.
    pub(super) now: Option<Case>,
    /// Whether it failed in an earlier build of the commit.
    pub(super) has_rerun: bool,
    /// Its newest run in the baseline's window.
    pub(super) before: Option<Past>,
    /// Its place in the newest build of the baseline's window that ran tests, if it ran there; for a
    /// step, in the baseline.
    pub(super) reference: Option<u32>,
    /// Whether any build of the baseline's window has it.
    pub(super) is_known: bool,
    pub(super) baseline: Vec<Past>,
    pub(super) own: Vec<Past>,
    /// What its passing runs took, if it may have become slower.
    pub(super) times: Times,
    /// Its runs in other tracks, by the place of the track.
    pub(super) elsewhere: Vec<(usize, Past)>,
}

/// Of several cases of one name, the worst counts.
pub(super) fn severity(status: TestStatus) -> u8 {
    match status {
        TestStatus::Skipped => 0,
        TestStatus::Passed => 1,
        TestStatus::Flaky => 2,
        TestStatus::Failed => 3,
        TestStatus::Error => 4,
    }
}

impl Subject {
    pub(super) fn is_bad(&self) -> bool {
        self.now.is_some_and(|now| now.status.is_bad())
    }

    /// Whether it ran in the build.
    pub(super) fn is_here_and_ran(&self) -> bool {
        self.now.is_some_and(|now| now.status != TestStatus::Skipped)
    }

    /// Whether its whole past is needed.
    pub(super) fn is_of_interest(&self) -> bool {
        let was_bad = || self.before.is_some_and(|before| before.status.is_bad());
        self.now.is_some_and(|now| match now.status {
            TestStatus::Failed | TestStatus::Error | TestStatus::Flaky => true,
            TestStatus::Passed => self.has_rerun || was_bad(),
            TestStatus::Skipped => false,
        })
    }

    /// The text of its failure: of the one before, if it passes.
    pub(super) fn text(&self) -> Option<FailureKey> {
        let now = self.now.and_then(|now| now.failure);
        now.or_else(|| self.before.and_then(|before| before.failure))
    }

    pub(super) fn past(&self, side: Side) -> &[Past] {
        match side {
            Side::Baseline => &self.baseline,
            Side::Own => &self.own,
        }
    }

    fn remember(&mut self, side: Side, past: Past) {
        let all = match side {
            Side::Baseline => &mut self.baseline,
            Side::Own => &mut self.own,
        };
        match all.last_mut().filter(|last| last.run == past.run) {
            Some(last) if severity(past.status) > severity(last.status) => *last = past,
            Some(_) => {}
            None => all.push(past),
        }
    }

    /// Whether it passes and took long enough to have become slower.
    pub(super) fn may_be_slower(&self) -> bool {
        let is_long = |now: Case| now.status == TestStatus::Passed && now.took > Some(LEAST);
        self.now.is_some_and(is_long)
    }

    /// How much slower it became.
    pub(super) fn slower(&self) -> Option<Slow> {
        if !self.may_be_slower() {
            return None;
        }
        let now = self.now.and_then(|now| now.took);
        slower(&now.into_iter().chain(self.times.seconds().iter().copied()).collect::<Vec<_>>())
    }

    /// Takes what a run of its own track took, of one that counts.
    pub(super) fn take_time(&mut self, run: usize, case: &Case) {
        if self.times.seconds().len() <= LOOKED_AT && self.may_be_slower() {
            self.times.take(run, case.status, case.took);
        }
    }

    /// Takes a run of another track, if it matters here.
    pub(super) fn take_elsewhere(&mut self, track: usize, past: Past) {
        let matters = self.has_rerun
            || self.now.is_some_and(|now| now.status.is_bad() || now.status == TestStatus::Flaky);
        if past.status == TestStatus::Skipped || !matters {
            return;
        }
        match self.elsewhere.last_mut().filter(|(of, last)| (*of, last.run) == (track, past.run)) {
            Some((_, last)) if severity(past.status) > severity(last.status) => *last = past,
            Some(_) => {}
            None => self.elsewhere.push((track, past)),
        }
    }

    /// Takes a run of a window; `counts` unless the build is passed over.
    pub(super) fn take(&mut self, side: Side, past: Past, counts: bool) {
        let is_in_window = side == Side::Baseline && past.run <= WINDOW;
        self.is_known |= is_in_window;
        if past.status == TestStatus::Skipped || !counts {
            return;
        }
        if is_in_window {
            match &mut self.before {
                Some(before) if before.run == past.run => {
                    if severity(past.status) > severity(before.status) {
                        *before = past;
                    }
                }
                Some(_) => {}
                before @ None => *before = Some(past),
            }
        }
        if self.is_of_interest() {
            self.remember(side, past);
        }
    }
}

/// Of several cases of one name, the worst counts.
pub(super) fn worst(known: &mut Option<Case>, case: Case) {
    match known {
        Some(known) if severity(known.status) >= severity(case.status) => {}
        _ => *known = Some(case),
    }
}

/// A step as a case.
pub(super) fn as_case(step: &StepRun) -> Case {
    let status = if step.success { TestStatus::Passed } else { TestStatus::Failed };
    Case { position: step.position, test: 0, status, failure: None, took: None }
}
