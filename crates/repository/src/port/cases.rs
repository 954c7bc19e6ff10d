//! Test cases.

use std::collections::HashMap;

use devmason_domain::{
    Build, BuildId, ProjectId, SignatureKey, TestResult, TestStatus, TestSummary,
};
use devmason_strips::{FailureKey, Strip};

pub use devmason_strips::WaitingCases;

use crate::Result;

/// The test cases of a report, in order.
#[derive(Debug, Clone)]
pub enum Cases {
    /// As they were reported. The store packs them first.
    Given(WaitingCases),
    /// Packed by [`Tests::test_pack`] for the report's project.
    Packed(PackedCases),
}

impl Default for Cases {
    fn default() -> Self {
        Self::Given(WaitingCases::default())
    }
}

impl From<Vec<TestResult>> for Cases {
    fn from(tests: Vec<TestResult>) -> Self {
        Self::Given(tests.into())
    }
}

impl From<WaitingCases> for Cases {
    fn from(tests: WaitingCases) -> Self {
        Self::Given(tests)
    }
}

impl Cases {
    /// Number of cases.
    pub fn len(&self) -> u64 {
        match self {
            Self::Given(tests) => tests.len() as u64,
            Self::Packed(packed) => packed.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Cases in the form in which they are stored.
#[derive(Debug, Clone, Default)]
#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    expect(dead_code, reason = "the adapters read the fields")
)]
pub struct PackedCases {
    pub(crate) summary: TestSummary,
    pub(crate) strips: Vec<Strip>,
    /// The signatures of the failed and broken cases.
    pub(crate) signatures: Vec<SignatureKey>,
    /// The failures of these cases that may not be stored yet.
    pub(crate) failures: Vec<PackedFailure>,
    /// The store's epoch when it was asked for the names' numbers: a server that took over after a
    /// failover may lack the last names, or give their numbers to others.
    pub(crate) epoch: u64,
}

impl PackedCases {
    /// Number of cases.
    pub fn len(&self) -> u64 {
        self.summary.total
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.strips.is_empty()
    }
}

/// A failure in the form in which it is stored.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    expect(dead_code, reason = "the adapters read the fields")
)]
pub(crate) struct PackedFailure {
    pub(crate) key: FailureKey,
    pub(crate) body: Vec<u8>,
    pub(crate) is_packed: bool,
}

/// A part of a build's test cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestQuery {
    /// The build's project.
    pub project: ProjectId,
    /// The build.
    pub build: BuildId,
    /// Only cases with one of these statuses; all cases if empty.
    pub statuses: Vec<TestStatus>,
    /// Only cases of this suite.
    pub suite: Option<String>,
    /// Only cases whose full name contains this text.
    pub text: Option<String>,
    /// Only the cases at these positions, which are sorted.
    pub places: Option<Vec<u32>>,
    /// The position of the first case.
    pub from: u32,
    /// The maximum number of items.
    pub limit: u64,
    /// Omit failures, outputs and other long values.
    pub is_brief: bool,
}

impl TestQuery {
    /// All cases of a build.
    pub fn all(project: ProjectId, build: BuildId) -> Self {
        Self {
            project,
            build,
            statuses: Vec::new(),
            suite: None,
            text: None,
            places: None,
            from: 0,
            limit: u64::MAX,
            is_brief: false,
        }
    }
}

/// A test case and its position in the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedTest {
    /// Its position, from 0.
    pub position: u32,
    /// The case.
    pub result: TestResult,
}

/// The result of a test in one build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestRun {
    /// The build.
    pub build: Build,
    /// Its result there.
    pub test: PlacedTest,
}

/// A part of a test's history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestHistory {
    /// The results, in list order.
    pub runs: Vec<TestRun>,
    /// Set if the search was cut short because few builds ran the test: the build to continue from.
    /// It need not exist.
    pub stopped: Option<BuildId>,
}

/// Test cases.
pub trait Tests {
    /// Packs cases for storage. This stores the names that the project lacks, and many failures at
    /// once; builds and steps do it for cases that are not packed yet, and whatever is stored with
    /// them waits for it.
    fn test_pack(&self, project: ProjectId, tests: &WaitingCases) -> Result<PackedCases>;
    /// A part of a build's cases, in order.
    fn test_list(&self, query: &TestQuery) -> Result<Vec<PlacedTest>>;
    /// The positions and statuses of the tests with these full names in a build; of a test that ran more
    /// than once, the first that failed, or else the first.
    fn test_places(
        &self,
        project: ProjectId,
        build: BuildId,
        full_names: &[String],
    ) -> Result<HashMap<String, (u32, TestStatus)>>;
    /// The results of the test with that full name in a project's builds, in list order. With a build,
    /// the list starts at that build's position; the build need not exist. `None` if the project never
    /// had the test. Failures and outputs are omitted if `is_brief`.
    fn test_history(
        &self,
        project: ProjectId,
        full_name: &str,
        from: Option<(BuildId, u32)>,
        limit: u64,
        is_brief: bool,
    ) -> Result<Option<TestHistory>>;
}
