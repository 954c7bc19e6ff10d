//! Builds that clients of other systems report, under keys of those systems.

use devmason_domain::{Build, BuildId, Digest, Project, ProjectId, Tag, Timestamp, VariantPart};

use uuid::Uuid;

use crate::{Named, Result};

/// What a client of another system calls a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The build's project.
    pub project: ProjectId,
    /// The protocol that the client speaks.
    pub protocol: &'static str,
    /// The digest of its name for the build.
    pub key: Digest,
}

/// A build that a client of another system reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignBuild {
    /// Its number, unique in the store and never used again.
    pub number: i64,
    /// Its project.
    pub project: ProjectId,
    /// The protocol that its client speaks.
    pub protocol: String,
    /// The build.
    pub build: BuildId,
    /// Which run under its key it is, from 1.
    pub nth: u32,
    /// When it ends unless something is heard of it; `None` if it has ended as its client said.
    pub ends: Option<Timestamp>,
    /// The number of events that were kept of it; 0 if it is not made of events.
    pub events: u32,
}

/// What a client said of a build that can only be made of all that is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The build's project.
    pub project: ProjectId,
    /// The build.
    pub build: BuildId,
    /// The digest of the request: the same request again is the same event.
    pub digest: Digest,
    /// The item that it starts, by which it can be found.
    pub item: Option<String>,
    /// When it was received.
    pub received: Timestamp,
    /// Opaque to the store.
    pub body: Vec<u8>,
    /// Whether it counts against [`EVENT_BYTES`]: without it, the build would only lack texts.
    pub is_bulk: bool,
    /// Whether the client says that the build ends.
    pub is_last: bool,
    /// When the build ends unless something is heard of it.
    pub ends: Timestamp,
}

/// The outcome of keeping an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It is kept, or was already: the build, which has this event as its nth.
    Kept {
        /// The build.
        foreign: ForeignBuild,
        /// The number of events of the build.
        events: u32,
        /// Whether the client has said that the build ends.
        is_over: bool,
        /// When the same request came before, if it did.
        before: Option<Timestamp>,
    },
    /// The build does not exist.
    Gone,
    /// The build has as many events as it may have.
    Full,
}

/// A build with events of which it has not been made yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmade {
    /// The build.
    pub foreign: ForeignBuild,
    /// The number of its events.
    pub events: u32,
    /// Of how many of them it was made.
    pub made_of: u32,
    /// Whether the client has said that it ends.
    pub is_over: bool,
}

/// The most events of a build.
pub const EVENTS: u32 = 2_000_000;

/// The most bytes of the events of a build, of those that count.
pub const EVENT_BYTES: u64 = 64 << 20;

/// What is said of a build after it was begun.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Later {
    /// Members of its client record: those that it lacks are added, those without a value removed.
    pub members: Vec<(String, Option<String>)>,
    /// Tags that it may lack. Beyond [`devmason_domain::limits::TAGS`], they are left out.
    pub tags: Vec<Tag>,
    /// What a variant consists of in its project.
    pub variant_by: Vec<VariantPart>,
}

/// A kind of what clients of another system register there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForeignKind {
    /// The protocol that the clients speak.
    pub protocol: &'static str,
    /// What they call it.
    pub kind: &'static str,
}

/// What a client of another system registers there and the model has no place for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewForeignObject {
    /// Its kind.
    pub of: ForeignKind,
    /// Its name, unique for its kind.
    pub name: String,
    /// What the client says of it, as JSON; opaque to the store.
    pub body: String,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// The same, stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignObject {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What the client said of it, as JSON.
    pub body: String,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// Builds that clients of other systems report.
pub trait Foreign {
    /// The builds under a key, newest run first, and at most this many.
    fn foreign_runs(&self, key: &ForeignKey, limit: u32) -> Result<Vec<ForeignBuild>>;
    /// The build with a number.
    fn foreign_numbered(&self, number: i64) -> Result<Option<ForeignBuild>>;
    /// Its project and the build itself; `None` if it was deleted.
    fn foreign_held(&self, foreign: &ForeignBuild) -> Result<Option<(Project, Build)>>;
    /// Puts a build under a key as its nth run; if another one is there already, returns that.
    fn foreign_add(
        &self,
        key: &ForeignKey,
        nth: u32,
        build: BuildId,
        ends: Timestamp,
    ) -> Result<ForeignBuild>;
    /// Sets when the build with this number ends unless something is heard of it.
    fn foreign_heard(&self, number: i64, ends: Option<Timestamp>) -> Result<()>;
    /// Builds whose time has come, longest ago first, and at most this many.
    fn foreign_overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<ForeignBuild>>;
    /// Whether a build has a part that is known by this digest, see [`crate::TestReport::part`].
    fn part_exists(&self, project: ProjectId, build: BuildId, part: &str) -> Result<bool>;
    /// Adds the receipt of a part of which nothing else is stored, unless the build has one with this digest.
    fn receipt_add(
        &self,
        project: ProjectId,
        build: BuildId,
        receipt: &str,
        part: Option<&str>,
    ) -> Result<()>;
    /// Keeps a batch of events atomically, in the order given.
    fn event_append_many(&self, events: &[NewEvent]) -> Result<Vec<Told>>;
    /// All events of a build that are still kept, in order, and whether some are no longer kept.
    fn event_list(&self, project: ProjectId, build: BuildId) -> Result<(Vec<Vec<u8>>, bool)>;
    /// The size of a build's events in bytes, as they were sent.
    fn event_bytes(&self, project: ProjectId, build: BuildId) -> Result<u64>;
    /// The build whose event starts this item, and which event that is.
    fn event_find(&self, project: ProjectId, item: &str) -> Result<Option<(ForeignBuild, u32)>>;
    /// The item that the nth event of a build starts.
    fn event_item(&self, foreign: &ForeignBuild, nth: u32) -> Result<Option<String>>;
    /// Builds with events of which they have not been made yet, and at most this many.
    fn foreign_unmade(&self, limit: u32) -> Result<Vec<Unmade>>;
    /// Notes of how many events a build was made, and when it ends unless something is heard of it.
    fn foreign_made(&self, number: i64, of: u32, ends: Option<Timestamp>) -> Result<()>;
    /// Stores an object, unless there is one of its kind and name. Returns the one that is there, and
    /// whether it is new.
    fn foreign_object_add(&self, new: &NewForeignObject) -> Result<(ForeignObject, bool)>;
    /// The object of a kind with this id or name.
    fn foreign_object_find(&self, of: ForeignKind, named: &Named) -> Result<Option<ForeignObject>>;
    /// The objects of a kind in the order of their names, and at most this many.
    fn foreign_object_list(&self, of: ForeignKind, limit: u32) -> Result<Vec<ForeignObject>>;
    /// Opens a finished build again. Returns whether it exists.
    fn build_reopen(&self, project: ProjectId, id: BuildId, now: Timestamp) -> Result<bool>;
    /// Adds to a build what is said of it later, and changes what follows from that. Returns whether
    /// anything changed.
    fn build_tell(
        &self,
        project: ProjectId,
        id: BuildId,
        later: &Later,
        now: Timestamp,
    ) -> Result<bool>;
}
