//! The port: what a store can do, in the words of the domain.

mod builds;
mod cases;
mod claims;
mod components;
mod projects;
mod queries;
mod sessions;
mod tags;
mod upkeep;
mod uploads;
mod users;

pub use builds::*;
pub use cases::*;
pub use claims::*;
pub use components::*;
pub use projects::*;
pub use queries::*;
pub use sessions::*;
pub use tags::*;
pub use upkeep::*;
pub use uploads::*;
pub use users::*;

/// Everything a store can do.
pub trait Repository:
    Projects
    + Builds
    + Tests
    + Uploads
    + Tags
    + Users
    + Sessions
    + Components
    + Queries
    + Transfer
    + Upkeep
    + Send
    + Sync
{
}
impl<T> Repository for T where
    T: Projects
        + Builds
        + Tests
        + Uploads
        + Tags
        + Users
        + Sessions
        + Components
        + Queries
        + Transfer
        + Upkeep
        + Send
        + Sync
{
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
