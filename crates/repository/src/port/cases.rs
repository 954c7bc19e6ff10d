//! Test cases.

use devmason_domain::{Build, BuildId, ProjectId, TestResult, TestStatus};

use crate::Result;

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

/// Test cases.
pub trait Tests {
    /// A part of a build's cases, in order.
    fn test_list(&self, query: &TestQuery) -> Result<Vec<PlacedTest>>;
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
    ) -> Result<Option<Vec<TestRun>>>;
}
