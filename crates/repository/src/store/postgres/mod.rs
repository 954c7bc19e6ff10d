//! PostgreSQL.

mod connect;
mod glance;
mod ingest;
#[path = "../queries/mod.rs"]
mod queries;
mod tuned;

use std::sync::Arc;

use diesel::Connection;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use crate::store::fault::Fault;
use crate::store::{PULSE_WAIT, READERS_WAIT, WRITERS_WAIT, migrate};
use crate::{Error, Options, Repository, Result};

use connect::{Role, connect};
use glance::Glance;

type Conn = diesel::pg::PgConnection;
type Db = diesel::pg::Pg;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

pub(crate) fn open(url: &str, options: &Options) -> Result<Arc<dyn Repository>> {
    Ok(Arc::new(store(url, options)?))
}

fn store(url: &str, options: &Options) -> Result<queries::Store> {
    let mut conn = connect(url, Role::Writer)?;
    conn.transaction::<_, Fault, _>(|conn| {
        tuned::lock_migration(conn)?;
        migrate(conn, MIGRATIONS)
    })
    .map_err(|fault| match fault.into_error() {
        Error::Corrupt(cause) => Error::Backend(cause),
        error => error,
    })?;
    queries::convert(&mut conn).map_err(Fault::into_error)?;
    // Writers have their own connections, so that slow reads do not delay reports.
    let (epoch, trouble) = (queries::Epoch::default(), Arc::<queries::Trouble>::default());
    Ok(queries::Store {
        url: url.to_owned(),
        glance: Glance,
        readers: queries::Pool::new(
            url,
            Role::Reader { timeout: options.query_timeout },
            options.pool_size,
            READERS_WAIT,
            (&epoch, &trouble),
        ),
        writers: queries::Pool::new(
            url,
            Role::Writer,
            tuned::WRITERS as u32 + 2,
            WRITERS_WAIT,
            (&epoch, &trouble),
        ),
        pulse: queries::Pool::new(url, Role::Pulse, 1, PULSE_WAIT, (&epoch, &trouble)),
        care: queries::Pool::new(url, Role::Pulse, 1, PULSE_WAIT, (&epoch, &trouble)),
        trouble,
        names: queries::Names::default(),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use devmason_test_support::Backend;

    use super::*;
    use crate::Upkeep;

    #[test]
    fn a_full_database_is_ready_once_something_can_be_written() {
        let database = Backend::Postgres.database();
        let store = store(&database.url, &Options::default()).unwrap();
        store.trouble.note(&Error::Full("no space".into()));
        assert!(store.trouble.is_full());
        store.ready().unwrap();
        assert!(!store.trouble.is_full());
    }
}
