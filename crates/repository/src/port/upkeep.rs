//! Maintenance of a store, and migration into another one.

use devmason_domain::{AccountId, BuildId, ProjectId, Tag, Timestamp};
use uuid::Uuid;

use crate::{Result, Retention};

/// An object migrated from another store.
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
    /// A known issue of a project.
    Issue(ProjectId, Uuid),
    /// A build. Only its last change is set: a build's creation time is when it was received.
    Build(ProjectId, BuildId),
    /// A tag of a project.
    Tag(ProjectId, Tag),
}

/// Operations needed only when migrating a store into another.
pub trait Transfer {
    /// Sets the original creation and change times, in one transaction.
    fn times_set(&self, of: &[(Moved, Timestamp, Timestamp)]) -> Result<()>;
}

/// A store's change count. Cached data is stale as soon as either part differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// Rises with each change and never repeats a value.
    pub count: u64,
    /// Identifies the database server: after a failover, the new server may lack the last transactions
    /// of the old one.
    pub server: i64,
}

/// What a store holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The size of the database, in bytes.
    pub bytes: u64,
    /// The existing projects, in no particular order.
    pub projects: Vec<ProjectSize>,
}

/// What a project holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectSize {
    /// The project.
    pub project: ProjectId,
    /// Number of its builds.
    pub builds: u64,
    /// The total length of their outputs, in bytes, as they were sent.
    pub output_bytes: u64,
}

/// Maintenance of a store.
pub trait Upkeep {
    /// Whether the database answers. Uses a dedicated connection, independent of the pools.
    fn ping(&self) -> Result<()>;
    /// Whether the database answers, accepts writes and returns what was stored.
    fn ready(&self) -> Result<()>;
    /// Truncates a write-ahead log that has grown long. If a reader is in the way, the next run does
    /// it.
    fn tidy(&self) -> Result<()>;
    /// The length of the write-ahead log in bytes, if the store has its own.
    fn log_bytes(&self) -> Option<u64>;
    /// A value that differs once a project, a user or a finished build has changed or been removed, as
    /// of that transaction. Data read after this call is current while the value stays the same.
    fn changes(&self) -> Result<Changes>;
    /// The same, if available without waiting.
    fn changes_at_once(&self) -> Option<Changes>;
    /// The name of the database system.
    fn system(&self) -> &'static str;
    /// The size of the database in bytes, and what each existing project takes.
    fn sizes(&self) -> Result<Sizes>;
    /// When a build was last added or removed, in any existing project.
    fn latest(&self) -> Result<Option<Timestamp>>;
    /// Removes one batch of deleted or, by `now`, expired data; true while there may be more.
    fn purge(&self, now: Timestamp, uploads: Retention) -> Result<bool>;
}
