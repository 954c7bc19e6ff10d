//! The Diesel adapters. No Diesel type leaves this module.
//!
//! `queries` is ordinary Diesel, compiled once per backend for its native types. What differs
//! between the backends has the same name in `postgres::tuned` and `sqlite::tuned`.

use std::time::Duration;

use diesel::backend::Backend;
use diesel::migration::MigrationSource;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};

use fault::Fault;

mod clock;
mod columns;
mod fault;
mod like;
mod packed;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
mod schema;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

/// How long a reader waits for a connection before the client is asked to retry.
const READERS_WAIT: Duration = Duration::from_secs(3);

/// The same for a writer: SQLite has one, which may be storing a long report. Together with the
/// wait for a lock this is 15 seconds at most.
const WRITERS_WAIT: Duration = Duration::from_secs(10);

/// How long a health check waits for other health checks.
const PULSE_WAIT: Duration = Duration::from_secs(1);

/// Migrates the schema, but refuses one that a newer server has migrated further: this version
/// would misinterpret its data.
fn migrate<DB: Backend>(
    conn: &mut impl MigrationHarness<DB>,
    migrations: EmbeddedMigrations,
) -> Result<(), Fault>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    let failed = |error| Fault::Corrupt(format!("cannot migrate the schema: {error}"));
    let known = MigrationSource::<DB>::migrations(&migrations).map_err(failed)?;
    let done = conn.applied_migrations().map_err(failed)?;
    let is_known = |version: &_| known.iter().any(|own| own.name().version() == *version);
    if let Some(version) = done.iter().find(|version| !is_known(version)) {
        return Err(Fault::Corrupt(format!(
            "the schema has migration {version}, which this server does not know; start the server version that created it, or a newer one"
        )));
    }
    conn.run_pending_migrations(migrations).map_err(failed)?;
    Ok(())
}
