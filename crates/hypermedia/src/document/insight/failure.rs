//! A failure of an insight.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::super::shape;
use crate::Link;

/// A failure of a build.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "InsightFailure")]
pub struct FailureDocument {
    /// What failed: a test, a step, or the build itself.
    #[schemars(with = "shape::ItemKind")]
    pub kind: &'static str,
    /// The full name of the test, or the name of the step; null for the build.
    pub name: Option<String>,
    /// The variant; only in the insight of a commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The build that had it; only in the insight of a commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// The position of the test case or step in the build.
    pub position: u32,
    /// Its status.
    #[schemars(with = "shape::Status")]
    pub status: &'static str,
    /// `new`, `unknown`, `failing` or `flaky`.
    #[schemars(with = "shape::FailureClass")]
    pub class: &'static str,
    /// Whether no build of the window has it.
    pub first_run: bool,
    /// Its last run in the baseline's window.
    pub before: Option<BeforeDocument>,
    /// Since when it fails.
    pub since: SinceDocument,
    /// The last good run before that.
    pub last_good: Option<PlaceDocument>,
    /// What differs between the last good build and the first bad one; null without a last good one.
    pub changed: Option<ChangedDocument>,
    /// What came of it in the newest builds of its own track that ran it, at most 20, this one first: P
    /// passed, L flaky, F failed, E error.
    pub recent: String,
    /// What is known of its flakiness; null if it is not flaky.
    pub flaky: Option<FlakyDocument>,
    /// What came of it in the newest finished build of other tracks, which doesn't decide about the
    /// gate.
    pub elsewhere: ElsewhereDocument,
    /// The signature of its text.
    pub signature: Option<String>,
    /// Its message, or the first line of its text; at most 300 characters.
    pub message: Option<String>,
    /// The issues that explain it, or explained it before they were closed.
    pub known: Vec<KnownDocument>,
    /// Whether one of them mutes it: then gates pass over it.
    pub muted: bool,
    /// The host on which alone it fails.
    pub host_suspect: Option<String>,
    /// The links.
    pub links: Vec<Link>,
}

/// An issue that explains a failure.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "KnownIssue")]
pub struct KnownDocument {
    /// Its id.
    pub issue: Uuid,
    /// Its title.
    pub title: String,
    /// Its address in a tracker.
    pub url: Option<String>,
    /// Whether gates pass over what it explains.
    pub mute: bool,
    /// When it ends by itself.
    #[schemars(with = "Option<shape::Date>")]
    pub expires: Option<String>,
    /// Whether it was closed before the build started: the failure is back.
    pub returned: bool,
}

/// A run of an item.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct BeforeDocument {
    /// The build.
    pub build: String,
    /// The status there.
    #[schemars(with = "shape::Status")]
    pub status: &'static str,
}

/// The builds in which something fails without a break.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct SinceDocument {
    /// The oldest of them.
    pub build: String,
    /// When it started.
    #[schemars(with = "shape::Date")]
    pub started: String,
    /// Number of these builds.
    pub builds: u64,
    /// Whether it may have begun earlier, in builds that were not looked at.
    pub at_least: bool,
}

/// A build and its start.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct PlaceDocument {
    /// The build.
    pub build: String,
    /// When it started.
    #[schemars(with = "shape::Date")]
    pub started: String,
}

/// What differs between two builds. A pair is the value in the last good one and in the first bad one.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ChangedDocument {
    /// The commits, if they differ.
    pub commit: Option<[Option<String>; 2]>,
    /// The components under test.
    pub components: ChangedComponents,
    /// The hosts, if they differ.
    pub host: Option<[Option<String>; 2]>,
    /// Other members of the client record that differ; at most 20.
    pub client: BTreeMap<String, [Option<String>; 2]>,
}

/// The ids of components under test that only one of two builds has.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ChangedComponents {
    /// Only the first bad one.
    pub added: Vec<String>,
    /// Only the last good one.
    pub removed: Vec<String>,
}

/// The flakiness of a test.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Flakiness")]
pub struct FlakyDocument {
    /// Pieces of evidence.
    pub flakes: u64,
    /// Runs in the window.
    pub runs: u64,
    /// `flakes` divided by `runs`.
    pub rate: f64,
    /// The interval that holds the true rate with a probability of 95 % (Wilson).
    pub interval: [f64; 2],
    /// The evidence by kind.
    pub evidence: EvidenceDocument,
    /// Whether it fails now as it did then.
    pub same_signature: bool,
    /// Whether only the 100 builds before this one in its own track say so: that excuses nothing.
    pub only_here: bool,
    /// Whether other branches of the variant say so, and not the baseline's window.
    pub elsewhere: bool,
    /// The newest build with evidence; null if that is elsewhere.
    pub last: Option<String>,
}

/// What came of an item in other tracks.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "Elsewhere")]
pub struct ElsewhereDocument {
    /// Number of other tracks that were looked at: at most 50, which have one of the project's newest
    /// 2000 builds.
    pub tracks: u64,
    /// In how many of them it ran.
    pub ran: u64,
    /// In how many it failed.
    pub bad: u64,
    /// In how many it failed with the same signature.
    pub same_signature: u64,
    /// The first ten in which it failed.
    #[serde(rename = "in")]
    pub bad_in: Vec<BadIn>,
    /// Other projects where a failure with the same signature was seen since 14 days before the build
    /// started; at most ten.
    pub projects: Vec<OtherProject>,
}

/// The newest finished build of another project where failures with a signature were seen.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "OtherProject")]
pub struct OtherProject {
    /// The project's name in URIs.
    pub project: String,
    /// The build.
    pub build: String,
    /// When it started.
    #[schemars(with = "shape::Date")]
    pub started: String,
}

/// A track in which something failed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct BadIn {
    /// The key of the track.
    pub track: String,
    /// The branch; empty without one.
    pub branch: String,
    /// The variant.
    pub variant: String,
    /// The build.
    pub build: String,
}

/// Evidence that a test is flaky.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct EvidenceDocument {
    /// It passed when repeated within a build.
    pub retry: u64,
    /// It both failed and did not fail on one commit.
    pub same_revision: u64,
    /// It failed once or twice between passes.
    pub flip: u64,
}
