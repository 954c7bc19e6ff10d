//! Tracks, and what comparing builds needs.

use std::collections::HashMap;

use devmason_domain::insight::{Case, FailureKey, StepRun};
use devmason_domain::{
    Build, BuildId, BuildKey, Expected, ProjectId, SignatureKey, Slug, Tag, TestFailure,
    TestSummary, Timestamp, Track, TrackKey,
};

use crate::{Listed, Listing, Result, Updated};

/// A finished build, as far as comparing it with others needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    /// The build.
    pub id: BuildId,
    /// Its id in URIs.
    pub key: BuildKey,
    /// Its track.
    pub track: Track,
    /// When it started, by the client's clock.
    pub started: Timestamp,
    /// When it finished, by the client's clock.
    pub finished: Timestamp,
    /// Whether it succeeded.
    pub success: bool,
    /// Its commit.
    pub revision: Option<String>,
    /// The host's name, at most a hundred characters of it.
    pub host: Option<String>,
    /// Number of failed steps.
    pub failed_steps: u32,
    /// A summary of its test cases.
    pub tests: TestSummary,
}

/// A track, and when its builds are expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTrack {
    /// The track.
    pub track: Track,
    /// When its builds are expected.
    pub expected: Expected,
    /// Increases with every change of that.
    pub version: i64,
}

/// A track of any project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedTrack {
    /// The project's name in URIs.
    pub project: Slug,
    /// The track.
    pub known: KnownTrack,
}

/// A build of a track, running ones included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Its id in URIs.
    pub key: BuildKey,
    /// When it started, by the client's clock.
    pub started: Timestamp,
    /// Whether it succeeded; `None` while it runs.
    pub success: Option<bool>,
}

/// A build of a branch, as far as its commit and its variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// The build.
    pub build: BuildId,
    /// Its commit.
    pub revision: Option<String>,
    /// Its variant.
    pub variant: String,
}

/// Which finished builds of a project to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Among {
    /// All of them.
    All,
    /// Those of a track.
    Track(TrackKey),
    /// Those of a commit, of one variant, sent with credentials or without.
    Revision {
        /// The commit.
        revision: String,
        /// The variant.
        variant: String,
        /// Whether they were sent with credentials.
        is_credited: bool,
    },
    /// Those with a tag.
    Tagged(Tag),
    /// Those in which failures with a signature were seen.
    Sighted(SignatureKey),
}

/// The builds of a branch.
#[derive(Debug, Clone, Copy)]
pub struct OfBranch<'a> {
    /// The branch; empty for builds without one.
    pub branch: &'a str,
    /// Only those of this variant.
    pub variant: Option<&'a str>,
    /// Only those sent with credentials, or without.
    pub is_credited: Option<bool>,
}

/// Tracks, and what comparing builds needs.
pub trait Tracks {
    /// Finished builds, the newest first; only those before `before`, if given.
    fn tracked_list(
        &self,
        project: ProjectId,
        among: &Among,
        before: Option<BuildId>,
        limit: u64,
    ) -> Result<Vec<Tracked>>;
    /// The newest builds of a branch, running ones included. Where the project's newest 2000 builds do not
    /// have enough of them, a hundred tracks of the branch are looked at.
    fn branch_newest(
        &self,
        project: ProjectId,
        of: &OfBranch<'_>,
        limit: u64,
    ) -> Result<Vec<Build>>;
    /// The newest builds of a commit, running ones included, the newest first: those sent with
    /// credentials, or all if there are none.
    fn revision_builds(&self, project: ProjectId, revision: &str, limit: u64)
    -> Result<Vec<Build>>;
    /// The first two commits of the project that begin with this text, in byte order.
    fn revisions_like(&self, project: ProjectId, start: &str) -> Result<Vec<String>>;
    /// The newest builds of a branch before a build, the newest first, as with
    /// [`Tracks::branch_newest`].
    fn branch_revisions(
        &self,
        project: ProjectId,
        of: &OfBranch<'_>,
        before: BuildId,
        limit: u64,
    ) -> Result<Vec<Ran>>;
    /// The first of these branches that has a finished build, sent with credentials or without.
    fn branch_with_finished(
        &self,
        project: ProjectId,
        branches: &[&str],
        is_credited: bool,
    ) -> Result<Option<String>>;
    /// The tracks of the project's newest 2000 builds, those with the newest builds first.
    fn track_active(&self, project: ProjectId, limit: u64) -> Result<Vec<KnownTrack>>;
    /// Tracks of all projects that have a build, ordered by project and key.
    fn track_query(&self, listing: &Listing) -> Result<Listed<PlacedTrack>>;
    /// The track with this key.
    fn track_find(&self, project: ProjectId, key: TrackKey) -> Result<Option<KnownTrack>>;
    /// The newest builds of a track, running ones included, the newest first.
    fn track_begun(&self, project: ProjectId, key: TrackKey, limit: u64) -> Result<Vec<Begun>>;
    /// Says when builds of a track are expected.
    fn track_expect(
        &self,
        project: ProjectId,
        key: TrackKey,
        expected: Expected,
        seen: Option<i64>,
    ) -> Result<Updated<KnownTrack>>;
    /// Whether every build of the project has its track: builds that an older version stored get theirs
    /// in the background.
    fn tracks_are_complete(&self, project: ProjectId) -> Result<bool>;
    /// Gives some builds of an older version their tracks; true while there are more.
    fn track_more(&self) -> Result<bool>;
    /// The test cases of each of these builds, in order.
    fn case_list(&self, project: ProjectId, builds: &[BuildId]) -> Result<Vec<Vec<Case>>>;
    /// The cases of one test in each of these builds.
    fn cases_of_test(
        &self,
        project: ProjectId,
        builds: &[BuildId],
        test: i64,
    ) -> Result<Vec<Vec<Case>>>;
    /// The steps of each of these builds, in order, at most a thousand each.
    fn step_runs(&self, project: ProjectId, builds: &[BuildId]) -> Result<Vec<Vec<StepRun>>>;
    /// The full names of tests, by number.
    fn test_names(&self, project: ProjectId, tests: &[i64]) -> Result<HashMap<i64, String>>;
    /// The numbers of those tests that the project has, by full name.
    fn test_numbers(
        &self,
        project: ProjectId,
        full_names: &[String],
    ) -> Result<HashMap<String, i64>>;
    /// The failures with these keys.
    fn failure_list(
        &self,
        project: ProjectId,
        keys: &[FailureKey],
    ) -> Result<HashMap<FailureKey, TestFailure>>;
    /// The builds with these ids that still exist, in no particular order.
    fn builds_by_id(&self, project: ProjectId, builds: &[BuildId]) -> Result<Vec<Build>>;
}
