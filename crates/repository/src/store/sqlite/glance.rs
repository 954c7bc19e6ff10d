//! Whether anything was committed since a look, without asking the database.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use diesel::prelude::*;
use diesel::sql_types::Text;

use super::Conn;
use super::queries::Sql;
use super::tuned::{self, Role};
use crate::store::fault::Fault;
use crate::{Changes, Result};

/// The head of the index of the write-ahead log, which each commit changes, in whatever process, before it is over
/// (<https://sqlite.org/walformat.html>, 2.1).
type Head = [u8; 48];

/// Remembers what a look saw, and tells it again while nothing is committed.
///
/// This takes a hundredth of the time of a query, and never waits.
pub(super) struct Glance {
    /// The index, which SQLite maps into memory.
    index: Option<File>,
    /// As long as it is open, SQLite keeps the index.
    _open: Mutex<Conn>,
    seen: Mutex<Option<(Head, Changes)>>,
}

impl Glance {
    pub(super) fn open(path: &str, role: Role) -> Result<Self> {
        let mut conn = tuned::connect(path, role)?;
        tuned::ping(&mut conn).map_err(|error| Fault::from(error).into_error())?;
        // As SQLite calls it, wherever links lead.
        let file: String =
            Sql::<Text>::new("select file from pragma_database_list where name = 'main'")
                .get_result(&mut conn)
                .map_err(|error| Fault::from(error).into_error())?;
        let index = File::open(format!("{file}-shm")).ok();
        Ok(Self { index, _open: Mutex::new(conn), seen: Mutex::default() })
    }

    fn head(&self) -> Option<Head> {
        let mut head = [0; 48];
        self.index.as_ref()?.read_exact_at(&mut head, 0).ok().map(|()| head)
    }

    /// What the last look saw, where nothing was committed since.
    pub(super) fn last(&self) -> Option<Changes> {
        let head = self.head()?;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.filter(|(then, _)| *then == head).map(|(_, changes)| changes)
    }

    /// Looks, and remembers what it saw.
    pub(super) fn look(&self, ask: impl FnOnce() -> Result<Changes>) -> Result<Changes> {
        let before = self.head();
        let changes = ask()?;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            before.map(|head| (head, changes));
        Ok(changes)
    }
}
