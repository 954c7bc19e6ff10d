//! The Diesel adapters. Nothing of Diesel leaves this module.
//!
//! `queries` is ordinary Diesel, compiled once for each backend over its native types; what differs
//! between them has the same name in `postgres::tuned` and `sqlite::tuned`.

use std::time::Duration;

use diesel::backend::Backend;
use diesel::migration::MigrationSource;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};

use fault::Fault;

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

/// How long a writer does: in SQLite it waits for the one writer, which may be storing a long report. With what it waits for
/// somebody's lock then, that is 15 seconds at most.
const WRITERS_WAIT: Duration = Duration::from_secs(10);

/// How long whoever asks how the database is waits for others who do.
const PULSE_WAIT: Duration = Duration::from_secs(1);

/// Brings the schema up to date, unless a newer server has done more to it: this one would misread what that stores.
fn migrate<DB: Backend>(
    conn: &mut impl MigrationHarness<DB>,
    migrations: EmbeddedMigrations,
) -> Result<(), Fault>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    let failed =
        |error| Fault::Corrupt(format!("the schema cannot be brought up to date: {error}"));
    let known = MigrationSource::<DB>::migrations(&migrations).map_err(failed)?;
    let done = conn.applied_migrations().map_err(failed)?;
    let is_known = |version: &_| known.iter().any(|own| own.name().version() == *version);
    if let Some(version) = done.iter().find(|version| !is_known(version)) {
        return Err(Fault::Corrupt(format!(
            "the schema is newer than this server, with the migration {version}: start the server that made it, or a newer one"
        )));
    }
    conn.run_pending_migrations(migrations).map_err(failed)?;
    Ok(())
}
