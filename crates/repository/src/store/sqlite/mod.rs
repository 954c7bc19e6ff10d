//! SQLite: one writer, several readers, write-ahead log.

mod connect;
mod glance;
#[path = "../queries/mod.rs"]
mod queries;
mod tuned;

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::store::fault::Fault;
use crate::store::{PULSE_WAIT, READERS_WAIT, WRITERS_WAIT, migrate};
use crate::{Error, Options, Repository, Result};

use connect::{Role, connect};
use glance::Glance;

type Conn = diesel::sqlite::SqliteConnection;
type Db = diesel::sqlite::Sqlite;

/// How long the first connection is tried for, and the pause between two tries.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(10);

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

pub(crate) fn open(path: &str, options: &Options) -> Result<Arc<dyn Repository>> {
    Ok(Arc::new(store(path, options)?))
}

fn store(path: &str, options: &Options) -> Result<queries::Store> {
    if path.is_empty() || path.starts_with(":memory:") {
        // Every connection to :memory: has its own database.
        return Err(Error::Url("sqlite: requires a file path, as in sqlite:PATH".to_owned()));
    }
    keep_private(path);
    let file = path;
    let path = &existing(file);
    let mut conn = first_writer(path)?;
    conn.immediate_transaction::<_, Fault, _>(|conn| migrate(conn, MIGRATIONS)).map_err(
        |fault| match fault.into_error() {
            Error::Corrupt(cause) => Error::Backend(cause),
            error => error,
        },
    )?;
    queries::convert(&mut conn).map_err(Fault::into_error)?;
    tuned::may_write(&mut conn).map_err(Fault::into_error)?;
    // Includes the files beside it, and the target of a link.
    keep_private(file);
    let (epoch, trouble) = (queries::Epoch::default(), Arc::<queries::Trouble>::default());
    let reader = Role::Reader { timeout: options.query_timeout };
    Ok(queries::Store {
        url: path.to_owned(),
        glance: Glance::open(path, reader)?,
        readers: queries::Pool::new(
            path,
            reader,
            options.pool_size,
            READERS_WAIT,
            (&epoch, &trouble),
        ),
        writers: queries::Pool::new(
            path,
            Role::Writer,
            tuned::WRITERS as u32,
            WRITERS_WAIT,
            (&epoch, &trouble),
        ),
        pulse: queries::Pool::new(path, Role::Pulse, 1, PULSE_WAIT, (&epoch, &trouble)),
        care: queries::Pool::new(path, Role::Pulse, 1, PULSE_WAIT, (&epoch, &trouble)),
        trouble,
        names: queries::Names::default(),
    })
}

/// Opens the first connection of a server.
///
/// Where several servers start on an empty file, each turns its log into a write-ahead log, and
/// SQLite refuses some of them at once, whatever their `busy_timeout`: waiting could be a deadlock.
fn first_writer(path: &str) -> Result<Conn> {
    let end = Instant::now() + FIRST_WAIT;
    loop {
        match connect(path, Role::Writer) {
            Err(Error::Busy(_)) if Instant::now() < end => std::thread::sleep(FIRST_PAUSE),
            result => return result,
        }
    }
}

/// The URI of a file that must exist: a later connection must not create an empty database in place
/// of a removed one.
fn existing(path: &str) -> String {
    /// Characters that would end a path in a URI.
    const ENDS: &AsciiSet = &CONTROLS.add(b'?').add(b'#').add(b'%');
    match path.strip_prefix("file:") {
        Some(_) if path.contains("mode=") => path.to_owned(),
        Some(_) if path.contains('?') => format!("{path}&mode=rw"),
        Some(_) => format!("{path}?mode=rw"),
        None => {
            let root = if path.starts_with('/') { "//" } else { "" };
            format!("file:{root}{}?mode=rw", utf8_percent_encode(path, ENDS))
        }
    }
}

/// Restricts the database to its owner: it contains password hashes. SQLite gives the files it
/// creates beside it the same mode. Errors are ignored: either SQLite reports the problem itself,
/// or the file belongs to another user.
fn keep_private(path: &str) {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    // The path may also be a file URI, percent-encoded.
    let of_uri = path.strip_prefix("file:").map(|uri| {
        let path = uri.split(['?', '#']).next().unwrap_or_default().trim_start_matches("//");
        percent_encoding::percent_decode_str(path).decode_utf8_lossy()
    });
    let path = of_uri.as_deref().unwrap_or(path);
    let _ = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    for beside in ["", "-wal", "-shm", "-journal"] {
        let path = format!("{path}{beside}");
        let Ok(found) = std::fs::metadata(&path) else { continue };
        let mode = found.permissions().mode();
        if found.is_file() && mode & 0o077 != 0 {
            let _ = std::fs::set_permissions(&path, PermissionsExt::from_mode(mode & 0o700));
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use devmason_test_support::Backend;

    use super::*;
    use crate::Upkeep;

    #[test]
    fn a_full_database_is_ready_once_something_can_be_written() {
        let database = Backend::Sqlite.database();
        let store =
            store(database.url.strip_prefix("sqlite:").unwrap(), &Options::default()).unwrap();
        store.trouble.note(&Error::Full("no space".into()));
        assert!(store.trouble.is_full());
        store.ready().unwrap();
        assert!(!store.trouble.is_full());
    }

    #[test]
    fn no_server_is_refused_while_others_open_the_same_empty_file() {
        let directory = tempfile::tempdir().unwrap();
        for file in 0..100 {
            let file = format!("{}/{file}.db", directory.path().display());
            keep_private(&file);
            let (path, together) = (existing(&file), std::sync::Barrier::new(6));
            std::thread::scope(|scope| {
                for _ in 0..6 {
                    scope.spawn(|| {
                        together.wait();
                        first_writer(&path).unwrap();
                    });
                }
            });
        }
    }
}
