//! Whether anything was committed since a look, without asking the database.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Mutex, PoisonError};

use diesel::prelude::*;
use diesel::sql_types::Text;

use super::Conn;
use super::queries::Sql;
use super::tuned::{self, Role};
use crate::store::fault::Fault;
use crate::{Changes, Error, Result};

/// The head of the index of the write-ahead log, which each commit changes, in whatever process, before it is over
/// (<https://sqlite.org/walformat.html>, 2.1).
type Head = [u8; 48];

/// Which file that is, if it is there.
fn identity(file: &str) -> Option<(u64, u64)> {
    std::fs::metadata(file).ok().map(|found| (found.dev(), found.ino()))
}

/// Remembers what a look saw, and tells it again while nothing is committed.
///
/// This takes a hundredth of the time of a query, and never waits.
pub(super) struct Glance {
    /// The index, which SQLite maps into memory.
    index: Option<File>,
    /// The files that belong together, and which they were when they were opened.
    files: Vec<(String, Option<(u64, u64)>)>,
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
        let files = ["", "-wal", "-shm"].map(|beside| format!("{file}{beside}"));
        let files = files.into_iter().map(|file| (identity(&file), file));
        let files = files.map(|(identity, file)| (file, identity)).collect();
        Ok(Self { index, files, _open: Mutex::new(conn), seen: Mutex::default() })
    }

    fn head(&self) -> Option<Head> {
        let mut head = [0; 48];
        self.index.as_ref()?.read_exact_at(&mut head, 0).ok().map(|()| head)
    }

    /// Whether the files are there that were opened: what is written to one that was removed is lost.
    pub(super) fn is_there(&self) -> Result<()> {
        let other = |(file, opened): &&(String, Option<(u64, u64)>)| identity(file) != *opened;
        match self.files.iter().find(other) {
            Some((file, _)) => Err(Error::Removed(file.as_str().into())),
            None => Ok(()),
        }
    }

    /// How long the write-ahead log is.
    pub(super) fn log_bytes(&self) -> Option<u64> {
        let (log, _) = self.files.get(1)?;
        std::fs::metadata(log).ok().map(|found| found.len())
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
