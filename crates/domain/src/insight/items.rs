//! Builds as a comparison sees them, and what can fail in them.

use std::sync::Arc;

use crate::{BuildId, TestStatus, TestSummary, Timestamp};

/// Identifies the text of a failure, which many cases may share.
pub type FailureKey = [u8; 16];

/// Maximum number of builds in a window.
pub const WINDOW: usize = 100;

/// Maximum number of builds in which the beginning of a failure is sought.
pub const SOUGHT: usize = 1_000;

/// Least number of tests that ran in a mass failure.
const MASS: u64 = 20;

/// Whether at least half of a build's tests failed, and at least twenty ran.
pub fn is_mass_failure(tests: &TestSummary) -> bool {
    let (ran, bad) = (tests.total - tests.skipped.min(tests.total), tests.failed + tests.error);
    ran >= MASS && bad * 2 >= ran
}

/// Whether a build failed, and neither a test nor a step says why.
pub fn is_bad_itself(success: bool, failed_steps: u32, tests: &TestSummary) -> bool {
    !success && failed_steps == 0 && tests.failed + tests.error == 0
}

/// A finished build of a window.
#[derive(Debug, Clone)]
pub struct Run {
    /// The build.
    pub build: BuildId,
    /// When it started.
    pub started: Timestamp,
    /// Its commit.
    pub revision: Option<Arc<str>>,
    /// Its host.
    pub host: Option<Arc<str>>,
    /// See [`is_mass_failure`].
    pub is_mass_failure: bool,
    /// See [`is_bad_itself`].
    pub is_bad_itself: bool,
}

/// A test case of a build.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Case {
    /// Its position in the build.
    pub position: u32,
    /// The number of its test.
    pub test: i64,
    /// Its status.
    pub status: TestStatus,
    /// Its failure.
    pub failure: Option<FailureKey>,
    /// What it took, in seconds.
    pub took: Option<f32>,
}

/// A step of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRun {
    /// Its position in the build.
    pub position: u32,
    /// Its name.
    pub name: String,
    /// Whether it succeeded.
    pub success: bool,
    /// Number of its bad test cases; `None` if unknown, as for a report that was cut off.
    pub bad_cases: Option<u32>,
    /// Whether it holds a report of the step before it.
    pub is_report: bool,
}

/// The steps that count: a failed step that brought a bad case, itself or by the reports directly
/// behind it, is explained by that case.
pub fn unexplained(steps: &[StepRun]) -> Vec<&StepRun> {
    let explains = |step: &StepRun| step.bad_cases.is_some_and(|bad| bad > 0);
    let is_explained = |at: usize, step: &StepRun| {
        let reports = steps.get(at + 1..).unwrap_or_default();
        let mut reports = reports.iter().take_while(|step| step.is_report).peekable();
        let brought_none = step.bad_cases.is_none_or(|bad| bad == 0) && !step.is_report;
        explains(step) || (brought_none && reports.any(explains))
    };
    let numbered = steps.iter().enumerate();
    let kept = numbered.filter(|(at, step)| step.success || !is_explained(*at, step));
    kept.map(|(_, step)| step).collect()
}

/// What can fail in a build.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Item {
    /// The test with this number.
    Test(i64),
    /// The steps of this name.
    Step(String),
    /// The build itself, if nothing in it says why it failed.
    Build,
}

/// The class of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// It does not fail in the baseline.
    New,
    /// There is no baseline.
    Unknown,
    /// It fails in the baseline, too.
    Failing,
    /// The test is known to be flaky, and fails as it did then.
    Flaky,
}

impl Class {
    /// All of them, in the order in which failures are listed.
    pub const ALL: [Self; 4] = [Self::New, Self::Unknown, Self::Failing, Self::Flaky];

    /// The name of this variant.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Unknown => "unknown",
            Self::Failing => "failing",
            Self::Flaky => "flaky",
        }
    }
}

/// The windows of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The baseline and the builds before it in its track.
    Baseline,
    /// The builds before the build in its own track.
    Own,
}
