//! The insight of a build: its failures, compared with a baseline.

use std::collections::BTreeMap;

use devmason_domain::Track;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::shape;
use crate::Link;

/// The insight of a build.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Insight")]
pub struct InsightDocument {
    /// The build's id in URIs.
    pub build: String,
    /// Whether it runs.
    #[schemars(with = "shape::BuildState")]
    pub state: &'static str,
    /// Whether it succeeded; null while it runs.
    pub success: Option<bool>,
    /// Its commit.
    pub revision: Option<String>,
    /// Its track; null while a build that an older server stored is being prepared.
    pub track: Option<TrackDocument>,
    /// What it is compared with.
    pub baseline: BaselineDocument,
    /// What was found.
    #[serde(flatten)]
    pub findings: Findings,
    /// The links.
    pub links: Vec<Link>,
}

impl InsightDocument {
    /// The names of its members, which `fields` selects.
    pub const MEMBERS: [&'static str; 18] = [
        "build",
        "state",
        "success",
        "revision",
        "track",
        "baseline",
        "counts",
        "mass_failure",
        "gate",
        "failures",
        "clusters",
        "new_flaky",
        "fixed",
        "missing",
        "skipped",
        "added",
        "slower",
        "window",
    ];
}

/// What an insight found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Findings {
    /// Numbers of tests and failures, whatever part of them is listed.
    pub counts: InsightCounts,
    /// Whether at least half of its tests failed, and at least twenty ran.
    pub mass_failure: bool,
    /// The verdict.
    pub gate: GateDocument,
    /// A range of its failures.
    pub failures: Vec<FailureDocument>,
    /// Failures with the same text but for numbers, addresses and the like, the most frequent first; at
    /// most 100.
    pub clusters: Vec<ClusterDocument>,
    /// Tests that passed after a failure in this build and were not known to be flaky; at most 100.
    pub new_flaky: Vec<ItemDocument>,
    /// What passes, and failed before without being flaky; at most 100.
    pub fixed: Vec<FixedDocument>,
    /// What ran before and is not in this build; at most 100. Null if the build runs or is partial.
    pub missing: Option<Vec<ItemDocument>>,
    /// Tests that ran before and were skipped; at most 100.
    pub skipped: Vec<ItemDocument>,
    /// What no build of the window has; at most 100.
    pub added: Vec<ItemDocument>,
    /// Tests that became slower in their own track; at most 100.
    pub slower: Vec<SlowerDocument>,
    /// The builds that were looked at.
    pub window: WindowDocument,
}

/// A track: builds of the same variant on the same branch.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Track")]
pub struct TrackDocument {
    /// Its key.
    pub key: String,
    /// The branch; empty without one.
    pub branch: String,
    /// What is tested.
    pub variant: String,
    /// Whether its builds were sent with credentials.
    pub credited: bool,
}

impl From<&Track> for TrackDocument {
    fn from(of: &Track) -> Self {
        Self {
            key: of.key().to_string(),
            branch: of.branch.clone(),
            variant: of.variant.clone(),
            credited: of.is_credited,
        }
    }
}

/// What a build is compared with.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "Baseline")]
pub struct BaselineDocument {
    /// The parameter `baseline` of the request.
    pub asked: Option<String>,
    /// What was looked for.
    pub used: Option<String>,
    /// The id of the build that was found.
    pub build: Option<String>,
    /// Why none was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// More about the build that was found.
    #[serde(flatten)]
    pub found: Option<FoundBaseline>,
}

/// A baseline that was found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FoundBaseline {
    /// Its project.
    pub project: String,
    /// The key of its track.
    pub track: String,
    /// Its branch; empty without one.
    pub branch: String,
    /// When it started.
    #[schemars(with = "shape::Date")]
    pub started: String,
    /// Whether it is of the same variant.
    pub same_variant: bool,
    /// Whether at least half of its tests failed.
    pub mass_failure: bool,
}

/// Numbers of tests, failures and changes.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct InsightCounts {
    /// Tests of the build, each name once.
    pub tests: u64,
    /// Failures that the baseline does not have.
    pub new: u64,
    /// Failures that the baseline has, too.
    pub failing: u64,
    /// Failures of tests that are known to be flaky.
    pub flaky: u64,
    /// Failures without a baseline.
    pub unknown: u64,
    /// Failures that an issue mutes, which the classes count, too.
    pub muted: u64,
    /// Tests that became flaky.
    pub new_flaky: u64,
    /// Tests and steps that were fixed.
    pub fixed: u64,
    /// Tests and steps that are missing; null if the build runs or is partial.
    pub missing: Option<u64>,
    /// Tests that ran before and were skipped.
    pub skipped: u64,
    /// Tests and steps that are new.
    pub added: u64,
    /// Tests that became slower.
    pub slower: u64,
}

impl InsightCounts {
    /// Adds the numbers of another variant. What is missing is known if it is known of both.
    pub fn add(&mut self, other: &Self) {
        self.tests += other.tests;
        self.new += other.new;
        self.failing += other.failing;
        self.flaky += other.flaky;
        self.unknown += other.unknown;
        self.muted += other.muted;
        self.new_flaky += other.new_flaky;
        self.fixed += other.fixed;
        self.missing = self.missing.zip(other.missing).map(|(one, other)| one + other);
        self.skipped += other.skipped;
        self.added += other.added;
        self.slower += other.slower;
    }
}

/// The verdict on a build.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Gate")]
pub struct GateDocument {
    /// The rules, as `RULE:LIMIT,...`, without those that allow anything.
    pub rules: String,
    /// The verdict.
    #[schemars(with = "shape::Verdict")]
    pub verdict: &'static str,
    /// The rules that are exceeded.
    pub reasons: Vec<ReasonDocument>,
}

/// A rule that is exceeded.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "GateReason")]
pub struct ReasonDocument {
    /// The rule.
    pub rule: &'static str,
    /// Its limit.
    pub limit: String,
    /// The number that exceeds it.
    pub count: u64,
    /// The reason in words.
    pub text: String,
}

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

/// Failures with the same signature.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Cluster")]
pub struct ClusterDocument {
    /// The signature's id.
    pub signature: String,
    /// The failures' type and text, with `#` for what differs.
    pub title: String,
    /// Number of failures.
    pub items: u64,
    /// The full names of the first 20 tests.
    pub tests: Vec<String>,
    /// The oldest build that was looked at in which one of these failed with this signature.
    pub first_seen: PlaceDocument,
    /// The issues that explain some of these, or explained them before they were closed.
    pub known: Vec<KnownDocument>,
}

/// A test or a step.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "InsightItem")]
pub struct ItemDocument {
    /// A test or a step.
    #[schemars(with = "shape::ItemKind")]
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The variant; only in the insight of a commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// A test or a step that passes again.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "FixedItem")]
pub struct FixedDocument {
    /// A test or a step.
    #[schemars(with = "shape::ItemKind")]
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The variant; only in the insight of a commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The first build of those in which it failed.
    pub since: Option<String>,
}

/// A test that became slower: its last three passing runs are all above the limit. All in seconds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SlowerTest")]
pub struct SlowerDocument {
    /// Its full name.
    pub name: String,
    /// The variant; only in the insight of a commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The median of the 10 to 50 passing runs before.
    pub median: f64,
    /// The limit, which follows from these runs.
    pub limit: f64,
    /// What it took in this build.
    pub duration: f64,
}

/// The builds that were looked at.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct WindowDocument {
    /// Number of builds before the baseline in its track, at most 100.
    pub builds: u64,
    /// The key of that track.
    pub of: Option<String>,
    /// False while builds that an older server stored are being prepared, or where the window was cut
    /// because its builds have too many test cases.
    pub complete: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_but_the_links_can_be_asked_for() {
        let schema = schemars::schema_for!(InsightDocument);
        let members = schema.get("properties").and_then(|members| members.as_object());
        let mut names: Vec<_> = members.into_iter().flat_map(|members| members.keys()).collect();
        names.retain(|name| *name != "links");
        let mut known = InsightDocument::MEMBERS.to_vec();
        names.sort();
        known.sort();
        assert_eq!(names, known);
    }
}
