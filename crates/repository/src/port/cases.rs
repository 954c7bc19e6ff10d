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
    /// Only cases of these; of all where there is none.
    pub statuses: Vec<TestStatus>,
    /// Only cases of this suite.
    pub suite: Option<String>,
    /// Only cases with this in their whole name.
    pub text: Option<String>,
    /// From this place on.
    pub from: u32,
    /// How many at most.
    pub limit: u64,
    /// Without failures, outputs and whatever else is long.
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

/// A test case, and its place among its build's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedTest {
    /// Its place, from 0.
    pub position: u32,
    /// The case.
    pub result: TestResult,
}

/// What came of a test in one build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestRun {
    /// The build.
    pub build: Build,
    /// What came of it there.
    pub test: PlacedTest,
}

/// Test cases.
pub trait Tests {
    /// A part of a build's cases, in order.
    fn test_list(&self, query: &TestQuery) -> Result<Vec<PlacedTest>>;
    /// What came of the test of that whole name in a project's builds, in list order, from a case of a build
    /// on where one is given, which need not be there; `None` where the project never had it. Without failures and
    /// outputs where it `is_brief`.
    fn test_history(
        &self,
        project: ProjectId,
        full_name: &str,
        from: Option<(BuildId, u32)>,
        limit: u64,
        is_brief: bool,
    ) -> Result<Option<Vec<TestRun>>>;
}
