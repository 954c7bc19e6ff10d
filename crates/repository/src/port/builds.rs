//! Builds and their steps.

use devmason_domain::query::Selection;
use devmason_domain::{
    AccountId, Build, BuildId, BuildKey, Closing, ProjectId, Report, Step, Tag, Timestamp,
    VariantPart,
};
use uuid::Uuid;

use crate::{Actor, Claim, Claimed, Result, Tally, TestReport, Updated};

/// A build to store.
#[derive(Debug, Clone)]
pub struct NewBuild {
    /// Its project.
    pub project: ProjectId,
    /// The id assigned by the server.
    pub id: BuildId,
    /// The id chosen by the client, if any.
    pub key: Option<BuildKey>,
    /// Its sender.
    pub sender: Actor,
    /// The report.
    pub report: Report,
    /// What a variant consists of in its project.
    pub variant_by: Vec<VariantPart>,
    /// The components under test. Each is listed once and exists.
    pub components: Vec<Uuid>,
    /// Its test cases.
    pub test_report: TestReport,
    /// The request's `Idempotency-Key`.
    pub claim: Option<Claim>,
}

/// The outcome of storing a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It was stored.
    New,
    /// The same document is already stored under its key.
    Known,
    /// A different document is already stored under its key.
    Differs,
    /// The project does not exist.
    NoProject,
    /// One of the components no longer exists.
    NoComponent,
    /// The new user's name was taken in the meantime.
    UsernameTaken,
    /// Another process assigned the same id; assign a new one.
    Clash,
    /// The request was made before.
    Claimed(Claimed),
}

/// A step to add to a running build.
#[derive(Debug, Clone)]
pub struct NewStep {
    /// The build's project.
    pub project: ProjectId,
    /// The build.
    pub build: BuildId,
    /// The step.
    pub step: Step,
    /// Its test cases.
    pub test_report: TestReport,
    /// The request's `Idempotency-Key`.
    pub claim: Option<Claim>,
}

/// The outcome of adding a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It was added as the build's last step.
    Done,
    /// It was added as a running step, at this position. What its claim says ends with that position.
    Opened(u32),
    /// The build is already finished.
    Finished,
    /// The build would exceed the limit on steps or on output.
    Full,
    /// The build does not exist.
    Gone,
    /// The step was not added, and the store failed before the reason was known; retry.
    Unclear,
    /// The request was made before.
    Claimed(Claimed),
}

/// The outcome of closing an incremental build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It is now finished.
    Done,
    /// It was already finished.
    Finished,
    /// The build does not exist.
    Gone,
}

/// The builds that a list covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The builds of a project.
    Project(ProjectId),
    /// The builds of a project with all of these tags (at least one).
    Tagged(ProjectId, Vec<Tag>),
    /// The builds reported by a user.
    Sender(AccountId),
}

impl Scope {
    /// Whether the member count of the scope's [`Tally`] equals the number of builds in a selection, so
    /// that none need to be counted.
    pub fn keeps_count_of(&self, selection: &Selection) -> bool {
        selection.filter.is_everything() && !matches!(self, Self::Tagged(_, tags) if tags.len() > 1)
    }
}

/// The part of a list to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Skip this many builds from the start.
    Offset(u64),
    /// Start this many builds before the end and read up to the end, still in list order: for the last
    /// pages of a long list.
    FromEnd(u64),
    /// Start at the first build after this one.
    Behind(BuildId),
    /// The last builds before this one, still in list order.
    Before(BuildId),
}

/// A part of a list of builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildQuery {
    /// The scope of the list.
    pub scope: Scope,
    /// Filter and sort order.
    pub selection: Selection,
    /// Where to start. A list with a custom sort order supports only offsets.
    pub start: Start,
    /// The maximum number of items.
    pub limit: u64,
}

/// A part of a list of builds, as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildPart {
    /// The builds.
    pub builds: Vec<Build>,
    /// Set if the search was cut short because the tags rarely occur together: the position to continue
    /// from with [`Start::Behind`] or [`Start::Before`]. No build with this id need exist.
    pub stopped: Option<BuildId>,
}

/// The number of builds in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The number of builds, or a lower bound.
    pub builds: u64,
    /// Whether the number is exact.
    pub exact: bool,
}

/// How much of a log, in bytes, becomes the outputs of a step: as much as a step could have that is sent
/// with its outputs.
pub const WHOLE_LOG: u64 = 32 << 20;

/// Builds and their steps.
pub trait Builds {
    /// The number of concurrent writers this store benefits from.
    fn writers(&self) -> usize;
    /// Stores a batch of builds atomically; each has its own outcome.
    fn build_record_many(&self, builds: &[NewBuild]) -> Result<Vec<Recorded>>;
    /// Adds a batch of steps to running builds atomically, in the order given.
    fn step_append_many(&self, steps: &[NewStep]) -> Result<Vec<Appended>>;
    /// Closes an incremental build, and with it the steps that are running: as failed, unless `closing`
    /// says that the build succeeded. Values missing in `closing` are derived from the steps; without
    /// steps, the build succeeded and finished at `now`.
    fn build_close(
        &self,
        project: ProjectId,
        id: BuildId,
        closing: Closing,
        now: Timestamp,
    ) -> Result<Closed>;
    /// The build with that key, whether chosen by a client or assigned by the server.
    fn build_find(&self, project: ProjectId, key: &BuildKey) -> Result<Option<Build>>;
    /// A part of a list of builds.
    fn build_list(&self, query: &BuildQuery) -> Result<BuildPart>;
    /// The number of builds in a selection. Counting stops where a full count would take long.
    fn build_count(&self, scope: &Scope, selection: &Selection) -> Result<Count>;
    /// The number of builds of a project or user, and their change count. For tagged builds, the change
    /// count is the project's.
    fn build_tally(&self, scope: &Scope) -> Result<Tally>;
    /// The steps of each of these builds, up to the count recorded in the build; `None` if the build
    /// has been deleted since it was read.
    fn step_list(&self, builds: &[Build]) -> Result<Vec<Option<Vec<Step>>>>;
    /// The step at this position of a build. If its log is longer than [`WHOLE_LOG`], its outputs end
    /// before, and say so.
    fn step_one(&self, build: &Build, nth: u32) -> Result<Option<Step>>;
    /// The same, without the outputs that its log has.
    fn step_head(&self, build: &Build, nth: u32) -> Result<Option<Step>>;
    /// The first thousand steps of each of these builds, without their outputs. Deleted builds have
    /// none.
    fn step_outline(&self, builds: &[Build]) -> Result<Vec<Vec<Step>>>;
    /// Deletes a build.
    fn build_delete(
        &self,
        project: ProjectId,
        id: BuildId,
        seen: Option<i64>,
    ) -> Result<Updated<()>>;
}
