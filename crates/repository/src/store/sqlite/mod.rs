//! SQLite: one writer, several readers, write-ahead log.

mod glance;
mod like;
#[path = "../queries/mod.rs"]
mod queries;
mod tuned;

use std::sync::Arc;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use crate::store::fault::Fault;
use crate::store::{READERS_WAIT, WRITERS_WAIT, migrate};
use crate::{Error, Options, Repository, Result};

type Conn = diesel::sqlite::SqliteConnection;
type Db = diesel::sqlite::Sqlite;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

pub(crate) fn open(path: &str, options: &Options) -> Result<Arc<dyn Repository>> {
    if path.is_empty() || path.starts_with(":memory:") {
        // Every connection to :memory: has a database of its own.
        return Err(Error::Url("sqlite: needs the path of a file".to_owned()));
    }
    keep_private(path);
    let mut conn = tuned::connect(path, tuned::Role::Writer)?;
    conn.immediate_transaction::<_, Fault, _>(|conn| migrate(conn, MIGRATIONS)).map_err(
        |fault| match fault.into_error() {
            Error::Corrupt(cause) => Error::Backend(cause),
            error => error,
        },
    )?;
    // With what was beside it, and where a link led to.
    keep_private(path);
    let epoch = queries::Epoch::default();
    let reader = tuned::Role::Reader { timeout: options.query_timeout };
    Ok(Arc::new(queries::Store {
        glance: glance::Glance::open(path, reader)?,
        readers: queries::Pool::new(path, reader, options.pool_size, READERS_WAIT, &epoch),
        writers: queries::Pool::new(
            path,
            tuned::Role::Writer,
            tuned::WRITERS as u32,
            WRITERS_WAIT,
            &epoch,
        ),
    }))
}

/// Keeps the database from others: there are passwords' hashes in it. SQLite gives what it makes beside it the same
/// mode. Where it cannot be done, SQLite says why, or it is somebody else's.
fn keep_private(path: &str) {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    // A URI names a file, too, percent-encoded.
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
