//! The port: a store's operations, in domain terms.

mod builds;
mod cases;
mod claims;
mod components;
mod foreign;
mod issues;
mod logs;
mod projects;
mod queries;
mod search;
mod sessions;
mod sightings;
mod tags;
mod tracks;
mod upkeep;
mod uploads;
mod users;

pub use builds::*;
pub use cases::*;
pub use claims::*;
pub use components::*;
pub use foreign::*;
pub use issues::*;
pub use logs::*;
pub use projects::*;
pub use queries::*;
pub use search::*;
pub use sessions::*;
pub use sightings::*;
pub use tags::*;
pub use tracks::*;
pub use upkeep::*;
pub use uploads::*;
pub use users::*;

/// All operations of a store.
pub trait Repository:
    Projects
    + Builds
    + Foreign
    + Logs
    + Tests
    + Uploads
    + Tags
    + Tracks
    + Sightings
    + Users
    + Sessions
    + Components
    + Issues
    + Queries
    + Search
    + Transfer
    + Upkeep
    + Send
    + Sync
{
}
impl<T> Repository for T where
    T: Projects
        + Builds
        + Foreign
        + Logs
        + Tests
        + Uploads
        + Tags
        + Tracks
        + Sightings
        + Users
        + Sessions
        + Components
        + Issues
        + Queries
        + Search
        + Transfer
        + Upkeep
        + Send
        + Sync
{
}

/// The outcome of a change that is conditional on a version, or unconditional.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Updated<T> {
    /// The change was made.
    Done(T),
    /// Another change was made first.
    Stale,
    /// The object no longer exists.
    Gone,
}

/// A collection's size and change count. Both are maintained on write, not counted on read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number of members.
    pub members: u64,
    /// Changes whenever the collection or one of its members does.
    pub changes: u64,
}
