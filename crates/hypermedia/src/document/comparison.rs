//! Two builds, compared.

use schemars::JsonSchema;
use serde::Serialize;

use super::shape;
use crate::Link;

/// What differs between two builds of a project.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Comparison")]
pub struct ComparisonDocument {
    /// The first build.
    pub one: ComparedBuild,
    /// The other build.
    pub other: ComparedBuild,
    /// Numbers of tests whose results differ.
    pub counts: ComparedCounts,
    /// The tests whose results differ, those that fail in the other build first; at most 1000. Of a test
    /// that ran more than once in a build, the worst result counts.
    pub tests: Vec<ComparedTest>,
    /// The tests of both builds that took longer in the other one: at least twice as long and at least
    /// 0.1 s longer; those that lost most first, at most 100.
    pub slower: Vec<ComparedDuration>,
    /// The steps by name, in order, at most 1000 of each build.
    pub steps: Vec<ComparedStep>,
    /// The components under test that only one of the builds had, and those of both.
    pub components: ComparedComponents,
    /// The members of the client records that differ, at most 100.
    pub client: Vec<ComparedMember>,
    /// The links.
    pub links: Vec<Link>,
}

/// A build that is compared.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ComparedBuild {
    /// Its id.
    pub id: String,
    /// When it started.
    #[schemars(with = "shape::Date")]
    pub started: String,
    /// Whether it succeeded; null while it runs.
    pub success: Option<bool>,
    /// Its duration in seconds; null while it runs.
    pub duration: Option<f64>,
    /// Its commit.
    pub revision: Option<String>,
    /// Number of its test cases.
    pub tests: u64,
}

/// Numbers of tests whose results differ.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ComparedCounts {
    /// They fail in the other build, and not in the first, which may lack them.
    pub broken: u64,
    /// They fail in the first build, and pass or are skipped in the other.
    pub fixed: u64,
    /// They fail in both.
    pub failing: u64,
    /// Only the other build has them, and they do not fail.
    pub added: u64,
    /// Only the first build has them.
    pub removed: u64,
    /// Their results differ in another way, such as passed and skipped.
    pub changed: u64,
}

/// A test whose results differ, or that fails in both builds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ComparedTest {
    /// Its full name.
    pub full_name: String,
    /// How it differs: `broken`, `fixed`, `failing`, `added`, `removed` or `changed`.
    pub change: &'static str,
    /// Its result in the first build.
    pub one: Option<ComparedCase>,
    /// Its result in the other build.
    pub other: Option<ComparedCase>,
}

/// The result of a test in one of the builds.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ComparedCase {
    /// Its position in the build.
    pub position: u32,
    /// Its status.
    #[schemars(with = "shape::Status")]
    pub status: &'static str,
}

/// A test that took longer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ComparedDuration {
    /// Its full name.
    pub full_name: String,
    /// What it took in the first build, in seconds.
    pub one: f64,
    /// What it took in the other build, in seconds.
    pub other: f64,
}

/// A step, by its name.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ComparedStep {
    /// Its name.
    pub name: String,
    /// The step of the first build.
    pub one: Option<ComparedRun>,
    /// The step of the other build.
    pub other: Option<ComparedRun>,
}

/// A step of one of the builds.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ComparedRun {
    /// Its position in the build.
    pub position: usize,
    /// Whether it succeeded; null while it runs.
    pub success: Option<bool>,
    /// Its duration in seconds; null while it runs.
    pub duration: Option<f64>,
}

/// A component under test.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ComparedComponent {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// The components of two builds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ComparedComponents {
    /// Those of the first build alone.
    pub one: Vec<ComparedComponent>,
    /// Those of the other build alone.
    pub other: Vec<ComparedComponent>,
    /// Those of both.
    pub both: Vec<ComparedComponent>,
}

/// A member of the client records that differs.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ComparedMember {
    /// Its name.
    pub name: String,
    /// Its value in the first build, as text; null if it has none.
    pub one: Option<String>,
    /// Its value in the other build, as text; null if it has none.
    pub other: Option<String>,
}
