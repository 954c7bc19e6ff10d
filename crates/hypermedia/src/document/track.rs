//! Tracks: their health, their tests, and their results as a grid.

use devmason_domain::{Expected, Track};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;
use serde::de::IgnoredAny;

use super::cases::TestStats;
use super::insight::KnownDocument;
use super::shape;
use crate::Link;

/// A track of a project.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct TrackMembers {
    /// Its key.
    pub key: String,
    /// The branch; empty without one.
    pub branch: String,
    /// What is tested.
    pub variant: String,
    /// Whether its builds were sent with credentials.
    pub credited: bool,
    /// Whether it is of the project's mainline.
    pub mainline: bool,
}

/// When a track had builds, and when the next one is expected.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TrackPulse {
    /// The track.
    pub track: TrackMembers,
    /// When its builds are expected: `learned`, `never`, or a time such as `26h`.
    pub expected: String,
    /// The median gap between the starts of its last ten builds, in seconds; null under five builds.
    pub every: Option<f64>,
    /// Whether it is of the mainline and has been silent for too long.
    pub overdue: bool,
    /// Its newest build.
    pub latest: Option<String>,
    /// Whether its newest finished build succeeded.
    pub success: Option<bool>,
}

/// A track in a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ListedTrack {
    /// When it had builds.
    #[serde(flatten)]
    pub pulse: TrackPulse,
    /// The links.
    pub links: Vec<Link>,
}

/// The active tracks of a project: those that have one of its newest 2000 builds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TrackList")]
pub struct TrackListDocument {
    /// The tracks of this page, those with the newest builds first.
    pub tracks: Vec<ListedTrack>,
    /// The number of all tracks that the request selects.
    pub count: usize,
    /// The links.
    pub links: Vec<Link>,
}

/// A track in the query API.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TrackObject")]
pub struct TrackObject<'a> {
    id: String,
    key: String,
    project: &'a str,
    branch: &'a str,
    variant: &'a str,
    credited: bool,
    expected: String,
    etag: String,
}

impl<'a> TrackObject<'a> {
    /// A track of a project with its ETag.
    pub fn new(of: &'a Track, expected: Expected, project: &'a str, etag: String) -> Self {
        let key = of.key().to_string();
        Self {
            id: format!("{project}/{key}"),
            key,
            project,
            branch: &of.branch,
            variant: &of.variant,
            credited: of.is_credited,
            expected: expected.to_string(),
            etag,
        }
    }
}

/// The builds that a track's health is told from.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct TrackWindow {
    /// Number of finished builds, at most 100.
    pub builds: usize,
    /// When the oldest of them started.
    #[schemars(with = "Option<shape::Date>")]
    pub from: Option<String>,
    /// How many of them succeeded.
    pub succeeded: usize,
    /// The median of what they took, in seconds.
    pub median_duration: Option<f64>,
}

/// Numbers of tests of a track's newest finished build that has any.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct TrackCounts {
    /// All of them.
    pub tests: usize,
    /// Those that fail and are not flaky.
    pub failing: usize,
    /// Those that are flaky.
    pub flaky: usize,
    /// Those that became slower.
    pub slower: usize,
    /// Those that were skipped.
    pub skipped: usize,
}

/// A track with its health.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TrackHealth")]
pub struct TrackHealthDocument {
    /// When it had builds.
    #[serde(flatten)]
    pub pulse: TrackPulse,
    /// Its newest build that succeeded, in the window.
    pub last_green: Option<String>,
    /// The builds that were looked at.
    pub window: TrackWindow,
    /// Numbers of tests.
    pub counts: TrackCounts,
    /// The links.
    pub links: Vec<Link>,
}

/// What to change of a track. The members of the server's own document are ignored; any other unknown
/// member is refused.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TrackChange")]
pub struct IncomingTrack {
    /// When its builds are expected: `learned`, `never`, or a time such as `90m`, `26h`, `7d`.
    #[schemars(with = "shape::Expected")]
    pub expected: Expected,
    #[serde(default, rename = "track")]
    #[schemars(with = "serde_json::Value")]
    _track: IgnoredAny,
    #[serde(default, rename = "every")]
    #[schemars(with = "serde_json::Value")]
    _every: IgnoredAny,
    #[serde(default, rename = "overdue")]
    #[schemars(with = "serde_json::Value")]
    _overdue: IgnoredAny,
    #[serde(default, rename = "latest")]
    #[schemars(with = "serde_json::Value")]
    _latest: IgnoredAny,
    #[serde(default, rename = "success")]
    #[schemars(with = "serde_json::Value")]
    _success: IgnoredAny,
    #[serde(default, rename = "last_green")]
    #[schemars(with = "serde_json::Value")]
    _last_green: IgnoredAny,
    #[serde(default, rename = "window")]
    #[schemars(with = "serde_json::Value")]
    _window: IgnoredAny,
    #[serde(default, rename = "counts")]
    #[schemars(with = "serde_json::Value")]
    _counts: IgnoredAny,
    #[serde(default, rename = "links")]
    #[schemars(with = "serde_json::Value")]
    _links: IgnoredAny,
}

/// A test of a track, over its newest builds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TrackTest")]
pub struct TrackTestDocument {
    /// Its full name.
    pub full_name: String,
    /// Its class: of a failure as in the insight of the newest build; otherwise `flaky`, `slower`,
    /// `skipped` or `passed`.
    pub class: &'static str,
    /// Numbers of its runs.
    #[serde(flatten)]
    pub stats: TestStats,
    /// The first build of those in which it fails without a break.
    pub since: Option<String>,
    /// The newest build in which it failed.
    pub last_bad: Option<String>,
    /// The issues that explain its failure in the newest build.
    pub known: Vec<KnownDocument>,
    /// The links.
    pub links: Vec<Link>,
}

/// A page of the tests of a track.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TrackTestList")]
pub struct TrackTestListDocument {
    /// The tests.
    pub tests: Vec<TrackTestDocument>,
    /// Number of tests that the request selects.
    pub count: usize,
    /// The links.
    pub links: Vec<Link>,
}

/// A build in a grid.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct GridBuild {
    /// Its id.
    pub id: String,
    /// When it started.
    #[schemars(with = "shape::Date")]
    pub started: String,
    /// Whether it succeeded.
    pub success: bool,
    /// Its commit.
    pub revision: Option<String>,
}

/// A test in a grid.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct GridTest {
    /// Its full name.
    pub full_name: String,
    /// A letter for each build: P passed, L flaky, S skipped, F failed, E error, `.` not there.
    pub cells: String,
}

/// The results of tests in the newest builds of a track.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TrackGrid")]
pub struct TrackGridDocument {
    /// The builds, the newest first.
    pub builds: Vec<GridBuild>,
    /// The tests, those that failed most often first.
    pub tests: Vec<GridTest>,
    /// Number of tests that the request selects.
    pub count: usize,
    /// The links.
    pub links: Vec<Link>,
}
