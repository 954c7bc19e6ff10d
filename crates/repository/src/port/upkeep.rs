//! What keeps a store in order, and moves it into another one.

use devmason_domain::{AccountId, BuildId, ProjectId, Tag, Timestamp};
use uuid::Uuid;

use crate::{Result, Retention};

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
