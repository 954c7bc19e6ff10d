//! Test cases of builds: single tests and their outcomes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The status of a test case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TestStatus {
    /// Passed at the first attempt.
    Passed,
    /// Passed after a failed attempt in the same run.
    Flaky,
    /// Not run, or reported as not counting.
    Skipped,
    /// An assertion failed.
    Failed,
    /// Broke before it could check anything.
    Error,
}

impl TestStatus {
    /// All statuses; a store numbers them in this order.
    pub const ALL: [Self; 5] =
        [Self::Passed, Self::Flaky, Self::Skipped, Self::Failed, Self::Error];

    /// The name of this variant.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Flaky => "flaky",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Error => "error",
        }
    }

    /// Its letter in a row of results: P, L (flaky), S, F, E.
    pub fn letter(self) -> char {
        match self {
            Self::Passed => 'P',
            Self::Flaky => 'L',
            Self::Skipped => 'S',
            Self::Failed => 'F',
            Self::Error => 'E',
        }
    }

    /// The status with this letter.
    pub fn from_letter(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.letter() == letter)
    }

    /// The status with this name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether such a case makes its build fail.
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Failed | Self::Error)
    }
}

/// Why a case failed, broke or was skipped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestFailure {
    /// The kind, such as an exception's class.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The message, about one line long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The full text, such as a stack trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Further details of a case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TestDetails {
    /// Standard output.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stdout: String,
    /// Standard error.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stderr: String,
    /// Further properties, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<(String, String)>,
    /// Number of runs after the first.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// The source file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in the source file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

impl TestDetails {
    /// No details.
    pub const NONE: Self = Self {
        stdout: String::new(),
        stderr: String::new(),
        properties: Vec::new(),
        retries: 0,
        file: None,
        line: None,
    };

    /// Whether there are none.
    pub fn is_none(&self) -> bool {
        self.stdout.is_empty()
            && self.stderr.is_empty()
            && self.properties.is_empty()
            && self.retries == 0
            && self.file.is_none()
            && self.line.is_none()
    }
}

/// The details of a case. Empty details take hardly any memory: most of a million cases have none.
#[derive(Clone, Default)]
pub struct Details(Option<Box<TestDetails>>);

impl std::ops::Deref for Details {
    type Target = TestDetails;
    fn deref(&self) -> &TestDetails {
        static NONE: TestDetails = TestDetails::NONE;
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl std::ops::DerefMut for Details {
    fn deref_mut(&mut self) -> &mut TestDetails {
        self.0.get_or_insert_default()
    }
}

impl From<TestDetails> for Details {
    fn from(details: TestDetails) -> Self {
        Self((!details.is_none()).then(|| Box::new(details)))
    }
}

impl From<Details> for TestDetails {
    fn from(details: Details) -> Self {
        details.0.map_or(Self::NONE, |details| *details)
    }
}

impl PartialEq for Details {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Details {}

impl std::fmt::Debug for Details {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A test case of a build and its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResult {
    /// What it belongs to: a class, a module, suites; empty if the report names none.
    pub suite: Arc<str>,
    /// Its own name.
    pub name: String,
    /// The outcome.
    pub status: TestStatus,
    /// The duration, in microseconds.
    pub micros: Option<u64>,
    /// Why it failed, broke or was skipped.
    pub failure: Option<TestFailure>,
    /// Further details.
    pub details: Details,
}

/// The full name of a case, which identifies it within a project: `suite::name`.
pub fn full_test_name(suite: &str, name: &str) -> String {
    if suite.is_empty() { name.to_owned() } else { format!("{suite}::{name}") }
}

/// Number of slowest cases in a summary.
const SLOWEST: usize = 5;

/// A summary of a build's test cases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestSummary {
    /// Number of cases.
    pub total: u64,
    /// Cases that passed at the first attempt.
    pub passed: u64,
    /// Cases that passed after a failed attempt.
    pub flaky: u64,
    /// Skipped cases.
    pub skipped: u64,
    /// Failed cases.
    pub failed: u64,
    /// Broken cases.
    pub error: u64,
    /// Total duration, in microseconds.
    pub micros: u64,
    /// The full names of the slowest cases, with their durations in microseconds.
    pub slowest: Vec<(String, u64)>,
}

impl TestSummary {
    /// Counts a case.
    pub fn count(&mut self, status: TestStatus) {
        self.total += 1;
        *match status {
            TestStatus::Passed => &mut self.passed,
            TestStatus::Flaky => &mut self.flaky,
            TestStatus::Skipped => &mut self.skipped,
            TestStatus::Failed => &mut self.failed,
            TestStatus::Error => &mut self.error,
        } += 1;
    }

    /// Adds cases to the summary.
    pub fn add(&mut self, results: &[TestResult]) {
        for result in results {
            self.count(result.status);
            let Some(micros) = result.micros else { continue };
            self.micros = self.micros.saturating_add(micros);
            if self.is_among_slowest(micros) {
                self.note_slow(full_test_name(&result.suite, &result.name), micros);
            }
        }
    }

    /// Adds the summary of the cases that follow.
    pub fn merge(&mut self, next: &Self) {
        self.total += next.total;
        self.passed += next.passed;
        self.flaky += next.flaky;
        self.skipped += next.skipped;
        self.failed += next.failed;
        self.error += next.error;
        self.micros = self.micros.saturating_add(next.micros);
        for (name, micros) in &next.slowest {
            if self.is_among_slowest(*micros) {
                self.note_slow(name.clone(), *micros);
            }
        }
    }

    fn is_among_slowest(&self, micros: u64) -> bool {
        self.slowest.len() < SLOWEST || self.slowest.last().is_some_and(|last| last.1 < micros)
    }

    fn note_slow(&mut self, name: String, micros: u64) {
        let at = self.slowest.partition_point(|(_, slow)| *slow >= micros);
        self.slowest.insert(at, (name, micros));
        self.slowest.truncate(SLOWEST);
    }

    /// Whether there are no cases.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_and_names_the_slowest() {
        let result = |n: u64, status| TestResult {
            suite: "s".into(),
            name: format!("t{n}"),
            status,
            micros: Some(n * 7 % 10),
            failure: None,
            details: Details::default(),
        };
        let mut summary = TestSummary::default();
        let all: Vec<_> = (0..10)
            .zip(TestStatus::ALL.into_iter().cycle())
            .map(|(n, status)| result(n, status))
            .collect();
        summary.add(&all[..4]);
        summary.add(&all[4..]);
        assert_eq!((summary.total, summary.failed, summary.flaky, summary.micros), (10, 2, 2, 45));
        let slowest: Vec<_> =
            summary.slowest.iter().map(|(name, micros)| (name.as_str(), *micros)).collect();
        assert_eq!(slowest, [("s::t7", 9), ("s::t4", 8), ("s::t1", 7), ("s::t8", 6), ("s::t5", 5)]);
        for at in 0..all.len() {
            let (mut first, mut second) = (TestSummary::default(), TestSummary::default());
            first.add(&all[..at]);
            second.add(&all[at..]);
            first.merge(&second);
            assert_eq!(first, summary);
        }
    }
}
