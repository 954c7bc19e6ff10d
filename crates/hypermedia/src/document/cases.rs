//! Test cases, their history, and receipts.

use devmason_domain::{TestFailure, TestResult, TestStatus, TestSummary, full_test_name};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::insight::TrackDocument;
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
    /// How it behaves.
    #[serde(flatten)]
    pub behaviour: TestBehaviour,
    /// The links.
    pub links: Vec<Link>,
}

/// How a test behaves in a track, or in which tracks it runs.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct TestBehaviour {
    /// With `track`: numbers of its runs in the track's newest 500 finished builds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<TestStats>,
    /// With `track`: its runs, divided where its behaviour changed, the oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<Vec<SegmentDocument>>,
    /// Without `track`: the active tracks whose newest finished build has it, at most 50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracks: Option<Vec<TestTrack>>,
}

/// Numbers of a test's runs in a track.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct TestStats {
    /// Runs that were not skipped, without mass failures.
    pub runs: u64,
    /// Those of them that failed.
    pub bad: u64,
    /// Runs that were skipped.
    pub skipped: u64,
    /// Pieces of evidence that it is flaky, at most 30 days older than the newest build.
    pub flakes: u64,
    /// `flakes` divided by `runs`.
    pub rate: f64,
    /// The interval that holds the true rate with a probability of 95 % (Wilson).
    pub interval: [f64; 2],
    /// The median of what its passing runs took, in seconds.
    pub p50: Option<f64>,
    /// What 95 % of its passing runs took at most, in seconds.
    pub p95: Option<f64>,
}

/// Runs of a test in which it behaved alike.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct SegmentDocument {
    /// The build of the first of them.
    pub from: String,
    /// The build of the last of them.
    pub to: String,
    /// Their number.
    pub runs: usize,
    /// How many of them failed.
    pub bad: usize,
}

/// A track in which a test runs.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct TestTrack {
    /// The track.
    pub track: TrackDocument,
    /// Its newest finished build.
    pub build: String,
    /// The status there.
    #[schemars(with = "shape::Status")]
    pub status: &'static str,
    /// What came of it in the track's newest 20 builds that ran tests, the newest first, without those that
    /// lack it: P passed, L flaky, S skipped, F failed, E error.
    pub recent: String,
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
