//! Builds and their steps.

use devmason_domain::query::Selection;
use devmason_domain::{
    AccountId, Build, BuildId, BuildKey, Closing, ProjectId, Report, Step, Tag, Timestamp,
};
use uuid::Uuid;

use crate::{Actor, Claim, Claimed, Result, Tally, TestReport, Updated};

/// A build to store.
#[derive(Debug, Clone)]
pub struct NewBuild {
    /// The project it is about.
    pub project: ProjectId,
    /// The server's id for it.
    pub id: BuildId,
    /// The id that the client chose, if it did.
    pub key: Option<BuildKey>,
    /// Who sent it.
    pub sender: Actor,
    /// What was reported.
    pub report: Report,
    /// The components that it tested, each once, all of which are there.
    pub components: Vec<Uuid>,
    /// What it brings of test cases.
    pub test_report: TestReport,
    /// The request's `Idempotency-Key`.
    pub claim: Option<Claim>,
}

/// What came of storing a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It is stored.
    New,
    /// The same document was stored under its key before.
    Known,
    /// Another document was stored under its key before.
    Differs,
    /// The project is not there.
    NoProject,
    /// One of the components is not there any more.
    NoComponent,
    /// Somebody else took the newcomer's name meanwhile.
    UsernameTaken,
    /// Another process assigned the same id; assign another.
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
    /// What it brings of test cases.
    pub test_report: TestReport,
    /// The request's `Idempotency-Key`.
    pub claim: Option<Claim>,
}

/// What came of adding a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is the build's last step now.
    Done,
    /// The build is finished.
    Finished,
    /// The build would have more steps, or more outputs, than a build may have.
    Full,
    /// The build is not there.
    Gone,
    /// It was not added, and the store failed before it could tell why; try again.
    Unclear,
    /// The request was made before.
    Claimed(Claimed),
}

/// What came of closing an incremental build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It is finished now.
    Done,
    /// It was finished before.
    Finished,
    /// The build is not there.
    Gone,
}

/// Which builds a list is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// A project's.
    Project(ProjectId),
    /// Those of a project that have all of these tags (at least one).
    Tagged(ProjectId, Vec<Tag>),
    /// Those that a user sent.
    Sender(AccountId),
}

impl Scope {
    /// Whether the members of the scope's [`Tally`] are how many builds a selection of it has, so that
    /// none need to be counted.
    pub fn keeps_count_of(&self, selection: &Selection) -> bool {
        selection.filter.is_everything() && !matches!(self, Self::Tagged(_, tags) if tags.len() > 1)
    }
}

/// Which part of a list to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// From so many builds after the first.
    Offset(u64),
    /// So many builds before the last, up to it, still in list order: the far pages of a long list.
    FromEnd(u64),
    /// From the first build behind this one.
    Behind(BuildId),
    /// The last builds before this one, still in list order.
    Before(BuildId),
}

/// A part of a list of builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildQuery {
    /// Which builds.
    pub scope: Scope,
    /// What must hold of them, and their order.
    pub selection: Selection,
    /// Where to start. With a sort order of its own, a list has no positions but offsets.
    pub start: Start,
    /// How many at most.
    pub limit: u64,
}

/// A part of a list of builds, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildPart {
    /// The builds.
    pub builds: Vec<Build>,
    /// Where the search for more was given up, because tags that hardly meet made it long: a position to
    /// go on from, [`Start::Behind`] or [`Start::Before`], that no build there need have.
    pub stopped: Option<BuildId>,
}

/// How many builds a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// So many, or at least so many.
    pub builds: u64,
    /// Whether that is all of them.
    pub exact: bool,
}

/// Builds and their steps.
pub trait Builds {
    /// How many writers at once this store gains from.
    fn writers(&self) -> usize;
    /// Stores builds, all at once or none, each with an outcome of its own.
    fn build_record_many(&self, builds: &[NewBuild]) -> Result<Vec<Recorded>>;
    /// Adds steps to running builds, in the order given, all at once or none.
    fn step_append_many(&self, steps: &[NewStep]) -> Result<Vec<Appended>>;
    /// Closes an incremental build. What `closing` leaves open follows from the steps; without any,
    /// the build succeeded and ended at `now`.
    fn build_close(
        &self,
        project: ProjectId,
        id: BuildId,
        closing: Closing,
        now: Timestamp,
    ) -> Result<Closed>;
    /// The build of that key, which a client chose or the server assigned.
    fn build_find(&self, project: ProjectId, key: &BuildKey) -> Result<Option<Build>>;
    /// A part of a list of builds.
    fn build_list(&self, query: &BuildQuery) -> Result<BuildPart>;
    /// How many builds a selection has. Where counting them all would take long, it stops.
    fn build_count(&self, scope: &Scope, selection: &Selection) -> Result<Count>;
    /// How many builds a project has, or a user sent, and how often they changed. Those with tags
    /// have their project's changes.
    fn build_tally(&self, scope: &Scope) -> Result<Tally>;
    /// The steps of each of these builds, as many as the build says it has; `None` where the build
    /// was deleted since it was read.
    fn step_list(&self, builds: &[Build]) -> Result<Vec<Option<Vec<Step>>>>;
    /// The step of a build at that place.
    fn step_one(&self, build: &Build, nth: u32) -> Result<Option<Step>>;
    /// The first thousand steps of each of these builds, those that are there, without their outputs.
    fn step_outline(&self, builds: &[Build]) -> Result<Vec<Vec<Step>>>;
    /// Deletes a build.
    fn build_delete(
        &self,
        project: ProjectId,
        id: BuildId,
        seen: Option<i64>,
    ) -> Result<Updated<()>>;
}
