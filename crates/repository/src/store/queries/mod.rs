//! Queries in ordinary Diesel. `super` names the backend: `Conn`, `Db`, and `tuned` for what
//! differs.

mod builds;
mod cases;
mod claims;
mod components;
mod counts;
mod filter;
mod foreign;
mod issues;
mod lists;
mod logs;
mod narrow;
mod objects;
mod pool;
mod projects;
mod record;
mod rows;
mod search;
mod sessions;
mod sightings;
mod sql;
mod steps;
mod tags;
mod tracks;
mod transfer;
mod upkeep;
mod uploads;
mod users;

use std::sync::Arc;

use diesel::expression::SqlLiteral;
use diesel::sql_types::BigInt;

use super::{Conn, Db, Glance, Role, connect, tuned};
use crate::Result;
use crate::store::fault::Outcome;

pub(super) use cases::{FailureRow, NameRow, Names, convert};
#[allow(unused_imports, reason = "PostgreSQL asks in the statement that stores")]
pub(super) use components::are_there;
#[allow(unused_imports, reason = "only SQLite counts row by row")]
pub(super) use counts::bump;
pub(super) use lists::Met;
#[allow(unused_imports, reason = "PostgreSQL binds the columns of several steps")]
pub(super) use logs::number as log_number;
pub(super) use pool::{Epoch, Pool, Trouble, establish};
pub(super) use record::{Insert, host_key, joined_components, joined_tags};
pub(super) use sql::Sql;
#[allow(unused_imports, reason = "PostgreSQL binds the columns of several steps")]
pub(super) use steps::bad_cases;
#[allow(unused_imports, reason = "only SQLite stores step by step")]
pub(super) use steps::insert_step;
pub(super) use steps::output_bytes;
#[allow(unused_imports, reason = "PostgreSQL does it in the statement that stores")]
pub(super) use tracks::remember;

/// The next version or change count of a row: the current time in microseconds, or the last value
/// plus one if that is greater. So no value repeats, not even in a store restored from an older
/// backup.
fn next(column: &str) -> SqlLiteral<BigInt> {
    diesel::dsl::sql(&tuned::next(column))
}

/// The store: connections for reading and for writing.
pub(super) struct Store {
    /// Where the database is, for connections outside of the pools.
    #[allow(dead_code, reason = "only PostgreSQL has a connection outside of them")]
    pub(super) url: String,
    pub(super) readers: Pool,
    pub(super) writers: Pool,
    /// One connection for the liveness check, independent of the other pools.
    pub(super) pulse: Pool,
    /// One connection for the readiness check and maintenance.
    pub(super) care: Pool,
    pub(super) trouble: Arc<Trouble>,
    /// Cached numbers of tests' names.
    pub(super) names: Names,
    /// Must be dropped last: closing its files releases all locks of this process on them.
    pub(super) glance: Glance,
}

impl Store {
    fn read<T>(&self, query: impl Fn(&mut Conn) -> Outcome<T>) -> Result<T> {
        self.readers.read(query)
    }

    /// Runs without a transaction where the backend needs only one statement, which is atomic by itself
    /// and saves two round trips.
    fn write_at_once<T>(&self, query: impl Fn(&mut Conn) -> Outcome<T>) -> Result<T> {
        if tuned::ONE_STATEMENT { self.writers.once(query) } else { self.write(query) }
    }

    /// Runs one transaction. It is never retried: if the COMMIT was lost, its outcome is unknown.
    fn write<T>(&self, query: impl Fn(&mut Conn) -> Outcome<T>) -> Result<T> {
        self.glance.is_there()?;
        self.writers.once(|conn| tuned::write(conn, |conn| query(conn)))
    }
}
