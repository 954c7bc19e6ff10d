//! The Diesel adapters. Nothing of Diesel leaves this module.
//!
//! `queries` is ordinary Diesel, compiled once for each backend over its native types; what differs
//! between them has the same name in `postgres::tuned` and `sqlite::tuned`.

use std::time::Duration;

mod columns;
mod fault;
mod packed;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
mod schema;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

/// How long a reader waits for a connection before it is told to come back.
const READERS_WAIT: Duration = Duration::from_secs(3);

/// How long a writer does: in SQLite it waits for the one writer, which may be storing a long report.
const WRITERS_WAIT: Duration = Duration::from_secs(15);
