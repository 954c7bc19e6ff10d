//! The insight of a build: its failures, compared with a baseline.

mod failure;

use devmason_domain::Track;
use schemars::JsonSchema;
use serde::Serialize;

pub use self::failure::*;
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
