//! The port: what a store can do, in the words of the domain.

use devmason_domain::query::Selection;
use devmason_domain::{
    Account, AccountId, Build, BuildId, BuildKey, Closing, Component, ComponentDetails,
    ComponentName, ComponentType, Digest, PageRequest, PasswordHash, Project, ProjectId,
    ProjectName, Report, Reporting, Slug, Step, Tag, TestResult, TestStatus, Timestamp, Username,
};

use uuid::Uuid;

use crate::Result;

/// Everything a store can do.
pub trait Repository:
    Projects + Builds + Tests + Tags + Users + Components + Queries + Transfer + Upkeep + Send + Sync
{
}
impl<T> Repository for T where
    T: Projects
        + Builds
        + Tests
        + Tags
        + Users
        + Components
        + Queries
        + Transfer
        + Upkeep
        + Send
        + Sync
{
}

/// A user who is to be made by the request that it comes with, if that succeeds.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The name.
    pub username: Username,
    /// The password's hash.
    pub password_hash: PasswordHash,
}

/// On whose behalf something is stored.
#[derive(Debug, Clone)]
pub enum Actor {
    /// Nobody's: no credentials came with it.
    Nobody,
    /// A user's.
    Account(AccountId),
    /// Somebody's who becomes a user with it.
    Newcomer(NewAccount),
}

/// The answer to keep for a request with an `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `Location`, without the server's path prefix.
    pub location: String,
}

/// An `Idempotency-Key`, to be claimed in the transaction of the request that carries it.
#[derive(Debug, Clone)]
pub struct Claim {
    /// A hash of the user, the resource and the key.
    pub scope: Digest,
    /// A hash of the body.
    pub body: Digest,
    /// What to answer if this is the first such request.
    pub answer: Answer,
}

/// What a claim found that was made before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The same request came before: this was its answer.
    Replayed(Answer),
    /// Another body came with this key before.
    KeyReused,
}

/// A change that names the version it saw, or takes any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Updated<T> {
    /// It was made.
    Done(T),
    /// Somebody else made one before.
    Stale,
    /// There is nothing any more to change.
    Gone,
}

/// A collection's size and how often it changed. Both are kept, not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many members it has.
    pub members: u64,
    /// Differs whenever the collection, or a member of it, does.
    pub changes: u64,
}

/// A project to register.
#[derive(Debug, Clone)]
pub struct NewProject {
    /// Its name in URIs.
    pub slug: Slug,
    /// Its name for people.
    pub name: ProjectName,
    /// Who may post builds.
    pub reporting: Reporting,
    /// Whose it will be.
    pub owner: Actor,
}

/// What came of registering a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// It is there now.
    New(Project),
    /// One of that slug was there.
    Exists,
    /// The user who was to own it is gone.
    NoOwner,
    /// Somebody else took the newcomer's name meanwhile.
    UsernameTaken,
}

/// Projects.
pub trait Projects {
    /// The project of that name.
    fn project_find(&self, slug: &Slug) -> Result<Option<Project>>;
    /// Projects by their numbers, those that are still there.
    fn projects_by_id(&self, ids: &[ProjectId]) -> Result<Vec<Project>>;
    /// A page of all projects, in order of name.
    fn project_list(&self, page: PageRequest) -> Result<Vec<Project>>;
    /// How many projects there are.
    fn project_tally(&self) -> Result<Tally>;
    /// Registers a project.
    fn project_register(&self, new: &NewProject) -> Result<Registered>;
    /// Changes a project's name and, where given, who may post builds.
    fn project_update(
        &self,
        id: ProjectId,
        name: &ProjectName,
        reporting: Option<Reporting>,
        seen: Option<i64>,
    ) -> Result<Updated<Project>>;
    /// Deletes a project. It is gone at once; its builds are removed by [`Upkeep::purge`].
    fn project_delete(&self, id: ProjectId, seen: Option<i64>) -> Result<Updated<()>>;
}

/// The body of a request that brought report files, kept for a time so that it can be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawUpload {
    /// When it was received.
    pub received: Timestamp,
    /// Its media type, as the client sent it.
    pub content_type: String,
    /// The query of the request, as the client sent it.
    pub query: String,
    /// Whether all its files are one step, not one each.
    pub one_step: bool,
    /// The body, decompressed.
    pub body: Vec<u8>,
}

/// What a build, or a step, brings of test cases.
#[derive(Debug, Clone, Default)]
pub struct TestReport {
    /// What the cases came to, in order.
    pub tests: Vec<TestResult>,
    /// What each file of the upload was read as: JSON text; none where it was a document of the API.
    pub receipts: Vec<String>,
    /// What the document of the API was read as: JSON text.
    pub document: Option<String>,
    /// The upload itself, where it is to be kept.
    pub upload: Option<RawUpload>,
}

impl TestReport {
    /// How long the upload is that is to be kept, in bytes.
    pub fn kept_bytes(&self) -> usize {
        self.upload.as_ref().map_or(0, |upload| upload.body.len())
    }

    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty() && self.receipts.is_empty() && self.upload.is_none()
    }
}

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

/// A part of a build's test cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestQuery {
    /// The build's project.
    pub project: ProjectId,
    /// The build.
    pub build: BuildId,
    /// Only cases of these; of all where there is none.
    pub statuses: Vec<TestStatus>,
    /// Only cases of this suite.
    pub suite: Option<String>,
    /// Only cases with this in their whole name.
    pub text: Option<String>,
    /// From this place on.
    pub from: u32,
    /// How many at most.
    pub limit: u64,
    /// Without failures, outputs and whatever else is long.
    pub is_brief: bool,
}

impl TestQuery {
    /// All cases of a build.
    pub fn all(project: ProjectId, build: BuildId) -> Self {
        Self {
            project,
            build,
            statuses: Vec::new(),
            suite: None,
            text: None,
            from: 0,
            limit: u64::MAX,
            is_brief: false,
        }
    }
}

/// A test case, and its place among its build's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedTest {
    /// Its place, from 0.
    pub position: u32,
    /// The case.
    pub result: TestResult,
}

/// What came of a test in one build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestRun {
    /// The build.
    pub build: Build,
    /// What came of it there.
    pub test: PlacedTest,
}

/// Some of a build's steps, cases or receipts, one behind the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Piece {
    /// The place of the first of them, from 0.
    pub first: u32,
    /// How many they are.
    pub count: u32,
}

/// An upload that is kept, without its body, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptUpload {
    /// Its place among its build's uploads.
    pub nth: u32,
    /// When it was received.
    pub received: Timestamp,
    /// Its media type, as the client sent it.
    pub content_type: String,
    /// The query of the request, as the client sent it.
    pub query: String,
    /// Whether all its files are one step, not one each.
    pub one_step: bool,
    /// The build's steps that it is.
    pub steps: Piece,
    /// The build's cases that it brought.
    pub tests: Piece,
    /// The receipts of its files.
    pub receipts: Piece,
    /// How long it is as it is stored.
    pub bytes: u64,
}

/// What came of reading a build's uploads again: the whole of what the build has then.
#[derive(Debug, Clone)]
pub struct Reread {
    /// All its steps.
    pub steps: Vec<Step>,
    /// All its cases and receipts.
    pub report: TestReport,
    /// The uploads that were read again, with what came of each.
    pub uploads: Vec<KeptUpload>,
    /// Whether a build that is finished succeeded; it stays as it is where nothing is said.
    pub success: Option<bool>,
    /// The present.
    pub now: Timestamp,
}

/// How long uploads are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// For so long after they were received, in microseconds.
    pub micros: i64,
    /// As long as all of them together have no more bytes than this; the oldest go first.
    pub bytes: u64,
}

/// What a build's uploads were read as: JSON texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipts {
    /// The documents of the API: that of the build, then those of its steps, in order.
    pub documents: Vec<String>,
    /// The files, in order.
    pub files: Vec<String>,
}

impl Receipts {
    /// All of them, the documents first.
    pub fn all(self) -> Vec<String> {
        self.documents.into_iter().chain(self.files).collect()
    }
}

/// Test cases.
pub trait Tests {
    /// A part of a build's cases, in order.
    fn test_list(&self, query: &TestQuery) -> Result<Vec<PlacedTest>>;
    /// What came of the test of that whole name in a project's builds, in list order, from a case of a build
    /// on where one is given, which need not be there; `None` where the project never had it. Without failures and
    /// outputs where it `is_brief`.
    fn test_history(
        &self,
        project: ProjectId,
        full_name: &str,
        from: Option<(BuildId, u32)>,
        limit: u64,
        is_brief: bool,
    ) -> Result<Option<Vec<TestRun>>>;
    /// What a build's uploads were read as: the first of its documents, and the first of its files, so many each. Unless
    /// all are wanted (`u32::MAX`), no more files behind the first 8 MiB.
    fn receipt_list(&self, project: ProjectId, build: BuildId, most: u32) -> Result<Receipts>;
    /// The uploads of a build that are kept, in order.
    fn upload_list(&self, project: ProjectId, build: BuildId) -> Result<Vec<KeptUpload>>;
    /// The body of an upload that is kept.
    fn upload_body(&self, project: ProjectId, build: BuildId, nth: u32) -> Result<Option<Vec<u8>>>;
    /// Replaces what a build's uploads were read as, if it is still as it was when it was read.
    fn build_reread(&self, build: &Build, new: &Reread) -> Result<Updated<()>>;
}

/// Tags.
pub trait Tags {
    /// The tags that builds of the project have, in byte order; the first 10 000.
    fn tag_list(&self, project: ProjectId) -> Result<Vec<Tag>>;
    /// Those of these tags that builds of the project have.
    fn tag_known(&self, project: ProjectId, tags: &[Tag]) -> Result<Vec<Tag>>;
}

/// Users.
pub trait Users {
    /// The user of that name.
    fn user_find(&self, username: &Username) -> Result<Option<Account>>;
    /// A page of all users, in order of name.
    fn user_list(&self, page: PageRequest) -> Result<Vec<Account>>;
    /// How many users there are.
    fn user_tally(&self) -> Result<Tally>;
    /// Makes a user; `None` where the name is taken.
    fn user_create(&self, new: &NewAccount) -> Result<Option<Account>>;
    /// Changes a password, and ends the user's sessions.
    fn user_set_password(
        &self,
        id: AccountId,
        hash: &PasswordHash,
        seen: Option<i64>,
    ) -> Result<Updated<Account>>;
    /// Begins a session of a user's, known by the hash of its secret; of more than twenty those that end first go.
    fn session_create(&self, hash: Digest, of: AccountId, expires: Timestamp) -> Result<()>;
    /// Whose session that is, where it has not expired by `now`.
    fn session_find(&self, hash: Digest, now: Timestamp) -> Result<Option<Account>>;
    /// Ends a session.
    fn session_delete(&self, hash: Digest) -> Result<()>;
    /// Deletes a user: its projects belong to nobody then, and its builds are credited to nobody.
    fn user_delete(&self, id: AccountId, seen: Option<i64>) -> Result<Updated<()>>;
}

/// How a component or a component type is addressed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Named {
    /// By its id.
    Id(Uuid),
    /// By its name, which several components of different types may have.
    Name(String),
}

/// A component as a build names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sought {
    /// By its id.
    Id(Uuid),
    /// By its type, and its name.
    OfType(Named, String),
}

/// A part of a list that is sorted and cut as its reader says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// What must hold, and the order; without one, the oldest first.
    pub selection: Selection,
    /// How many to leave out.
    pub offset: u64,
    /// How many at most.
    pub limit: u64,
}

/// A part of a list, and how many the whole of it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The part.
    pub items: Vec<T>,
    /// The whole.
    pub count: u64,
}

/// A component type to be created.
#[derive(Debug, Clone)]
pub struct NewComponentType {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: ComponentName,
    /// Who creates it.
    pub creator: Actor,
    /// The request's `Idempotency-Key`.
    pub claim: Option<Claim>,
}

/// A component to be created.
#[derive(Debug, Clone)]
pub struct NewComponent {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: ComponentName,
    /// Its type.
    pub component_type: Named,
    /// What is said of it.
    pub details: ComponentDetails,
    /// Who creates it.
    pub creator: Actor,
    /// The request's `Idempotency-Key`.
    pub claim: Option<Claim>,
}

/// What came of creating something with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created<T> {
    /// It is there now.
    New(T),
    /// Another has the name.
    NameTaken,
    /// There is no such component type.
    NoType,
    /// Somebody else took the newcomer's name meanwhile.
    UsernameTaken,
    /// The request was made before.
    Claimed(Claimed),
}

/// What came of changing something with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed<T> {
    /// It is changed.
    Done(T),
    /// Another has the name.
    NameTaken,
    /// There is no such component type.
    NoType,
    /// Somebody else changed it before.
    Stale,
    /// It is not there any more.
    Gone,
}

/// What came of deleting something that others may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It is gone.
    Done,
    /// Others need it.
    InUse,
    /// Somebody changed it before.
    Stale,
    /// It was gone before.
    Gone,
}

/// Components and their types.
pub trait Components {
    /// Creates a component type.
    fn component_type_create(&self, new: &NewComponentType) -> Result<Created<ComponentType>>;
    /// The component type of that id or name.
    fn component_type_find(&self, named: &Named) -> Result<Option<ComponentType>>;
    /// Component types by their ids, those that are there.
    fn component_types_by_id(&self, ids: &[Uuid]) -> Result<Vec<ComponentType>>;
    /// A part of the list of component types.
    fn component_type_list(&self, listing: &Listing) -> Result<Listed<ComponentType>>;
    /// Renames a component type.
    fn component_type_update(
        &self,
        id: Uuid,
        name: &ComponentName,
        seen: Option<i64>,
    ) -> Result<Changed<ComponentType>>;
    /// Deletes a component type; with its components where `cascade` says so.
    fn component_type_delete(&self, id: Uuid, cascade: bool, seen: Option<i64>) -> Result<Removed>;
    /// Creates a component.
    fn component_create(&self, new: &NewComponent) -> Result<Created<Component>>;
    /// The ids of the components that are sought, in their order; `None` for one that is not there.
    fn component_resolve(&self, sought: &[Sought]) -> Result<Vec<Option<Uuid>>>;
    /// The components of that id or name.
    fn component_find(&self, named: &Named) -> Result<Vec<Component>>;
    /// A part of the list of components, of one type where one is given.
    fn component_list(&self, of_type: Option<Uuid>, listing: &Listing)
    -> Result<Listed<Component>>;
    /// Changes a component; what is not said stays.
    fn component_update(
        &self,
        id: Uuid,
        name: Option<&ComponentName>,
        component_type: Option<&Named>,
        details: &ComponentDetails,
        seen: Option<i64>,
    ) -> Result<Changed<Component>>;
    /// Deletes a component; where builds name it, only if `cascade` says so, and they stay without it.
    fn component_delete(&self, id: Uuid, cascade: bool, seen: Option<i64>) -> Result<Removed>;
}

/// A step, and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedStep {
    /// The project of its build.
    pub project: ProjectId,
    /// Its build.
    pub build: BuildId,
    /// The version of its build, which changes when the step does.
    pub version: i64,
    /// Its place among the build's steps, from 0.
    pub position: u32,
    /// The step.
    pub step: Step,
}

/// A test case of some build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTest {
    /// The project of its build.
    pub project: ProjectId,
    /// Its build.
    pub build: BuildId,
    /// When that was received.
    pub received: Timestamp,
    /// When that last changed.
    pub updated_at: Timestamp,
    /// Its version.
    pub version: i64,
    /// The case, and its place among its build's.
    pub test: PlacedTest,
}

/// A tag of a project, and how many of its builds have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedTag {
    /// The project's name in URIs.
    pub project: Slug,
    /// The tag.
    pub tag: Tag,
    /// How many builds have it.
    pub builds: u64,
    /// When a build first had it.
    pub created_at: Timestamp,
    /// When a build last came or went that has it.
    pub updated_at: Timestamp,
}

/// Every kind of object, selected and sorted as a reader asks, over all projects.
///
/// Only what is asked for by an indexed field is found without reading what else there is.
pub trait Queries {
    /// Projects, the oldest first.
    fn project_query(&self, listing: &Listing) -> Result<Listed<Project>>;
    /// Users, the oldest first.
    fn user_query(&self, listing: &Listing) -> Result<Listed<Account>>;
    /// Builds, the oldest first; those that tested a component where one is given.
    fn build_query(&self, of_component: Option<Uuid>, listing: &Listing) -> Result<Listed<Build>>;
    /// Steps without their outputs, by project, those of the build that started first before the others.
    fn step_query(&self, listing: &Listing) -> Result<Listed<PlacedStep>>;
    /// Test cases without their failures and outputs, in the order of steps.
    fn test_query(&self, listing: &Listing) -> Result<Listed<FoundTest>>;
    /// Tags, in order of project and name.
    fn tag_query(&self, listing: &Listing) -> Result<Listed<UsedTag>>;
}

/// Something that was moved here from another store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// A user.
    Account(AccountId),
    /// A project.
    Project(ProjectId),
    /// A component type.
    ComponentType(Uuid),
    /// A component.
    Component(Uuid),
    /// A build, of which only the last change is set: it was created when it was received.
    Build(ProjectId, BuildId),
    /// A tag of a project.
    Tag(ProjectId, Tag),
}

/// What moving a store into another one needs beside the rest.
pub trait Transfer {
    /// Says when things were created and last changed where they come from, in one transaction.
    fn times_set(&self, of: &[(Moved, Timestamp, Timestamp)]) -> Result<()>;
}

/// How often a store changed. What was read before counts no more when either part differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// Rises with each change, and never was the same before.
    pub count: u64,
    /// The database server: one that takes over may lack the last transactions of the other.
    pub server: i64,
}

/// What keeps a store in order.
pub trait Upkeep {
    /// Whether the database answers: asked by a connection of its own, whatever the others wait for.
    fn ping(&self) -> Result<()>;
    /// Whether it answers and takes writes, and gives back what was stored.
    fn ready(&self) -> Result<()>;
    /// Cuts off a write-ahead log that has become long. Where somebody is in the way, it is left for the next time.
    fn tidy(&self) -> Result<()>;
    /// How long the write-ahead log is, in bytes, where the store has one of its own.
    fn log_bytes(&self) -> Option<u64>;
    /// What differs whenever a project, a user, or a build that is finished is changed or removed, from the transaction on
    /// that does it: what was read after this was asked for holds while it stays.
    fn changes(&self) -> Result<Changes>;
    /// The same, where it can be told without waiting.
    fn changes_at_once(&self) -> Option<Changes>;
    /// When a build last came or went, in any project that is there.
    fn latest(&self) -> Result<Option<Timestamp>>;
    /// Removes a piece of what was deleted or has expired by `now`; true while there may be more.
    fn purge(&self, now: Timestamp, uploads: Retention) -> Result<bool>;
}

/// How long an `Idempotency-Key` is kept, in microseconds: 24 hours.
pub const CLAIM_LIFETIME_MICROS: i64 = 24 * 3600 * 1_000_000;
