//! Test cases, their history, and receipts.

use devmason_domain::{TestFailure, TestResult, TestStatus, TestSummary, full_test_name};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::shape;
use crate::Link;

/// A summary of a build's test cases; `None` if it has none.
pub(super) fn summary(of: &TestSummary) -> Option<SummaryDocument<'_>> {
    (!of.is_empty()).then(|| SummaryDocument {
        total: of.total,
        passed: of.passed,
        flaky: of.flaky,
        skipped: of.skipped,
        failed: of.failed,
        error: of.error,
        duration: of.micros as f64 / 1e6,
        slowest: of
            .slowest
            .iter()
            .map(|(name, micros)| Slow { name, duration: *micros as f64 / 1e6 })
            .collect(),
    })
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TestSummary")]
pub(super) struct SummaryDocument<'a> {
    total: u64,
    passed: u64,
    flaky: u64,
    skipped: u64,
    failed: u64,
    error: u64,
    /// Total duration in seconds.
    duration: f64,
    slowest: Vec<Slow<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct Slow<'a> {
    name: &'a str,
    /// Duration in seconds.
    duration: f64,
}

/// A test case of a build.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Test")]
pub struct TestDocument<'a> {
    /// Its position among the build's test cases, from 0.
    position: u32,
    /// `suite::name`, or the name alone.
    full_name: String,
    suite: &'a str,
    name: &'a str,
    #[schemars(with = "shape::Status")]
    status: TestStatus,
    /// Duration in seconds.
    duration: Option<f64>,
    #[serde(flatten)]
    texts: TestTexts<'a>,
    links: Vec<Link>,
}

/// Further details of a test case.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TestTexts<'a> {
    #[schemars(with = "Option<shape::Failure>")]
    failure: Option<&'a TestFailure>,
    stdout: &'a str,
    stderr: &'a str,
    #[serde(serialize_with = "properties")]
    #[schemars(with = "Vec<Property>")]
    properties: &'a [(String, String)],
    retries: u32,
    file: Option<&'a str>,
    line: Option<u32>,
}

impl<'a> TestTexts<'a> {
    pub(super) fn new(of: &'a TestResult) -> Self {
        Self {
            failure: of.failure.as_ref(),
            stdout: &of.details.stdout,
            stderr: &of.details.stderr,
            properties: &of.details.properties,
            retries: of.details.retries,
            file: of.details.file.as_deref(),
            line: of.details.line,
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Property<'a> {
    name: &'a str,
    value: &'a str,
}

fn properties<S: Serializer>(pairs: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(pairs.iter().map(|(name, value)| Property { name, value }))
}

impl<'a> TestDocument<'a> {
    /// A test case with its position in the build.
    pub fn new(position: u32, of: &'a TestResult, links: Vec<Link>) -> Self {
        Self {
            position,
            full_name: full_test_name(&of.suite, &of.name),
            suite: &of.suite,
            name: &of.name,
            status: of.status,
            duration: of.micros.map(|micros| micros as f64 / 1e6),
            texts: TestTexts::new(of),
            links,
        }
    }
}

/// A range of a build's test cases.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TestList")]
pub struct TestListDocument<'a> {
    /// The items in this range.
    pub tests: Vec<TestDocument<'a>>,
    /// Number of test cases in the whole build, regardless of filters.
    pub count: u64,
    /// The links.
    pub links: Vec<Link>,
}

/// The result of a test in one build.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TestRun")]
pub struct RunDocument<'a> {
    /// The build's id in URIs.
    pub build: String,
    /// When the build started.
    pub started: String,
    /// The case.
    #[serde(flatten)]
    pub test: TestDocument<'a>,
}

/// The results of a test in the builds that ran it, newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TestHistory")]
pub struct HistoryDocument<'a> {
    /// The full name of the test.
    pub full_name: &'a str,
    /// A range of its runs.
    pub runs: Vec<RunDocument<'a>>,
    /// The links.
    pub links: Vec<Link>,
}

/// The receipt of a build: how each of its uploads was parsed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Receipt")]
pub struct ReceiptDocument {
    /// One receipt for each report file or document, in order of arrival.
    #[schemars(with = "Vec<devmason_domain::Receipt>")]
    pub uploads: Vec<Box<RawValue>>,
    /// The links.
    pub links: Vec<Link>,
}
