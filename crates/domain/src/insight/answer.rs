//! What a comparison found.

use std::sync::Arc;

use super::elsewhere::Elsewhere;
use super::flaky::Flaky;
use super::items::{Class, FailureKey, Item, is_mass_failure};
use super::slower::Slow;
use super::streak::Since;
use crate::{BuildId, TestStatus, TestSummary};

/// A failure of a build.
#[derive(Debug, Clone)]
pub struct Failure<S> {
    /// What failed.
    pub item: Item,
    /// Its class.
    pub class: Class,
    /// The position of the test case or step.
    pub position: u32,
    /// Its status.
    pub status: TestStatus,
    /// Its text.
    pub text: Option<FailureKey>,
    /// Its signature.
    pub signature: Option<S>,
    /// Whether no build of the baseline's window has the item.
    pub first_run: bool,
    /// Its newest run in the baseline's window.
    pub before: Option<(BuildId, TestStatus)>,
    /// Since when it fails: in the baseline's track if it fails there, otherwise in the build's own.
    pub since: Since,
    /// The good run before that.
    pub last_good: Option<BuildId>,
    /// The oldest build that was looked at in which it failed with the same signature.
    pub first_seen: BuildId,
    /// What is known of its flakiness; `None` if it is not flaky.
    pub flaky: Option<Flaky>,
    /// What came of it in other tracks.
    pub elsewhere: Elsewhere,
    /// What came of it in the newest builds of its own track that ran it, this one first.
    pub recent: Box<[TestStatus]>,
    /// The host that all its failures have in common, if others do not have them.
    pub host_suspect: Option<Arc<str>>,
}

/// An item and its place: in the build, or, if it is missing there, in the baseline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The item.
    pub item: Item,
    /// The position of the test case or step.
    pub position: u32,
    /// Since when it had failed, if it was fixed.
    pub since: Option<BuildId>,
}

/// What a comparison found.
#[derive(Debug, Clone)]
pub struct Answer<S> {
    /// The failures, in the order of their places: tests, then steps, then the build.
    pub failures: Vec<Failure<S>>,
    /// What passes, and failed before without being flaky.
    pub fixed: Vec<Placed>,
    /// What ran before and is not in the build; empty if the build still runs or is partial.
    pub missing: Vec<Placed>,
    /// Tests that ran before and were skipped.
    pub skipped: Vec<Placed>,
    /// What no build of the baseline's window has.
    pub added: Vec<Placed>,
    /// Tests that passed after a failure in the same build, and were not known to be flaky.
    pub new_flaky: Vec<Placed>,
    /// Tests that became slower in the build's own track.
    pub slower: Vec<(Placed, Slow)>,
    /// Number of tests of the build.
    pub tests: u64,
    /// Number of them that were not skipped.
    pub ran: u64,
    /// Number of tests that ran in the newest build of the baseline's window that ran any.
    pub ran_before: u64,
}

fn rank(item: &Item) -> u8 {
    match item {
        Item::Test(_) => 0,
        Item::Step(_) => 1,
        Item::Build => 2,
    }
}

impl<S> Answer<S> {
    pub(super) fn sort(&mut self) {
        self.failures.sort_unstable_by_key(|failure| (rank(&failure.item), failure.position));
        for list in [
            &mut self.fixed,
            &mut self.missing,
            &mut self.skipped,
            &mut self.added,
            &mut self.new_flaky,
        ] {
            list.sort_unstable_by_key(|placed| (rank(&placed.item), placed.position));
        }
        self.slower.sort_unstable_by_key(|(placed, _)| placed.position);
    }

    /// Number of failures of a class.
    pub fn count(&self, class: Class) -> u64 {
        self.failures.iter().filter(|failure| failure.class == class).count() as u64
    }

    /// Whether at least half of the tests failed, and at least twenty ran.
    pub fn is_mass_failure(&self) -> bool {
        let is_test = |failure: &&Failure<S>| matches!(failure.item, Item::Test(_));
        let failed = self.failures.iter().filter(is_test).count() as u64;
        is_mass_failure(&TestSummary { total: self.ran, failed, ..TestSummary::default() })
    }

    /// Number of missing tests.
    pub fn missing_tests(&self) -> u64 {
        self.missing.iter().filter(|placed| matches!(placed.item, Item::Test(_))).count() as u64
    }
}
