//! Connections, kept ready, and what happens when one turns out to be dead.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use diesel::Connection;
use diesel::r2d2::{self, ManageConnection, PooledConnection};

use super::{Conn, Outcome, tuned};
use crate::store::fault::Fault;
use crate::{Error, Result};

/// Rises when a connection was found dead: all that are older, in any pool of the store, are suspected
/// and dropped.
pub(in super::super) type Epoch = Arc<AtomicU64>;

/// A connection, and when it was made.
pub(in super::super) struct Link {
    conn: Conn,
    epoch: u64,
    broken: bool,
}

/// What went wrong with the whole of the database, and would go wrong again.
#[derive(Default)]
pub(in super::super) struct Trouble {
    is_full: AtomicBool,
    /// When it last gave back what cannot be read, and how it said so.
    corrupt: Mutex<Option<(Instant, String)>>,
}

/// For how long a database that gave back what cannot be read is held to be corrupt.
const CORRUPT: Duration = Duration::from_secs(60);

impl Trouble {
    pub(in super::super) fn note(&self, error: &Error) {
        match error {
            Error::Full(_) => self.is_full.store(true, Ordering::Release),
            Error::Corrupt(cause) => {
                *self.corrupt.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some((Instant::now(), cause.to_string()));
            }
            _ => {}
        }
    }

    /// Whether it had no space left when it last wrote.
    pub(in super::super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Acquire)
    }

    /// It has space again.
    pub(super) fn has_space(&self) {
        self.is_full.store(false, Ordering::Release);
    }

    /// That it is corrupt, where that showed not long ago.
    pub(super) fn corrupt(&self) -> Result<()> {
        let corrupt = self.corrupt.lock().unwrap_or_else(PoisonError::into_inner);
        match &*corrupt {
            Some((at, cause)) if at.elapsed() < CORRUPT => {
                Err(Error::Corrupt(cause.clone().into()))
            }
            _ => Ok(()),
        }
    }
}

/// Makes connections. Dead ones are found by use, not by a `SELECT 1` before each use, which was
/// measured to cost a fifth of the throughput.
pub(in super::super) struct Manager {
    url: String,
    epoch: Epoch,
    role: tuned::Role,
}

impl ManageConnection for Manager {
    type Connection = Link;
    type Error = Error;

    fn connect(&self) -> Result<Link> {
        let epoch = self.epoch.load(Ordering::Acquire);
        let conn = tuned::connect(&self.url, self.role)?;
        Ok(Link { conn, epoch, broken: false })
    }

    fn is_valid(&self, _: &mut Link) -> Result<()> {
        Ok(())
    }

    fn has_broken(&self, link: &mut Link) -> bool {
        link.broken || link.epoch < self.epoch.load(Ordering::Acquire) || std::thread::panicking()
    }
}

/// After so long without use a connection is closed, and what it keeps in memory is given back.
const IDLE: Duration = Duration::from_secs(60);

/// A pool of connections.
#[derive(Clone)]
pub(in super::super) struct Pool {
    pool: r2d2::Pool<Manager>,
    epoch: Epoch,
    trouble: Arc<Trouble>,
    role: tuned::Role,
}

impl Pool {
    /// A pool that opens connections as they are needed.
    pub(in super::super) fn new(
        url: &str,
        role: tuned::Role,
        size: u32,
        wait: Duration,
        (epoch, trouble): (&Epoch, &Arc<Trouble>),
    ) -> Self {
        let (epoch, trouble) = (epoch.clone(), trouble.clone());
        let manager = Manager { url: url.to_owned(), epoch: epoch.clone(), role };
        let pool = r2d2::Pool::builder()
            .max_size(size.max(1))
            .min_idle(Some(0))
            .idle_timeout(Some(IDLE))
            .connection_timeout(wait)
            .test_on_check_out(false)
            .build_unchecked(manager);
        Self { pool, epoch, trouble, role }
    }

    /// Rises when connections turn out to be dead.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    fn get(&self) -> Result<PooledConnection<Manager>> {
        loop {
            let mut link = self.pool.get().map_err(|error| {
                // The pool's error says either that nobody gave a connection back, or why none could be made.
                let state = self.pool.state();
                let cause = error.to_string().into();
                if state.connections >= self.pool.max_size() {
                    Error::Busy(cause)
                } else {
                    Error::Unavailable(cause)
                }
            })?;
            if link.epoch < self.epoch.load(Ordering::Acquire) {
                link.broken = true;
                continue;
            }
            return Ok(link);
        }
    }

    /// Runs a query; where it fails because its connection is dead, says so and drops all such.
    fn run<T>(
        &self,
        link: &mut PooledConnection<Manager>,
        query: &dyn Fn(&mut Conn) -> Outcome<T>,
    ) -> Result<T> {
        tuned::start_clock(self.role);
        query(&mut link.conn).map_err(|fault| {
            let is_row = matches!(fault, Fault::Corrupt(_));
            let error = match (fault.into_error(), self.role) {
                // What writes reads little: it waited for others.
                (Error::TooLong(cause), tuned::Role::Writer) => Error::Busy(cause),
                (error, _) => error,
            };
            if !is_row {
                self.trouble.note(&error);
            }
            // Whether a connection may write is settled when it is made, so after that another is.
            let is_read_only = matches!(error, Error::ReadOnly(_));
            if is_row || (!is_read_only && tuned::ping(&mut link.conn).is_ok()) {
                return error;
            }
            link.broken = true;
            // Whoever only asks whether it takes writes tells nothing of the others.
            if !is_read_only || matches!(self.role, tuned::Role::Writer) {
                self.epoch.fetch_add(1, Ordering::AcqRel);
            }
            match error {
                Error::Backend(cause) => Error::Unavailable(cause),
                error => error,
            }
        })
    }

    /// Runs a query that changes nothing; once more where its connection was dead.
    pub(in super::super) fn read<T>(&self, query: impl Fn(&mut Conn) -> Outcome<T>) -> Result<T> {
        let first = self.run(&mut self.get()?, &query);
        match first {
            Err(Error::Unavailable(_)) => self.run(&mut self.get()?, &query),
            result => result,
        }
    }

    /// Runs a query that is not to be repeated.
    pub(in super::super) fn once<T>(&self, query: impl Fn(&mut Conn) -> Outcome<T>) -> Result<T> {
        self.run(&mut self.get()?, &query)
    }
}

/// Establishes a connection, outside of any pool.
pub(in super::super) fn establish(url: &str) -> Result<Conn> {
    Conn::establish(url).map_err(|error| Error::Unavailable(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_full_until_it_has_space_and_corrupt_for_a_time() {
        let trouble = Trouble::default();
        trouble.note(&Error::Busy("it is busy".into()));
        assert!(!trouble.is_full() && trouble.corrupt().is_ok());
        trouble.note(&Error::Full("no space".into()));
        trouble.note(&Error::Corrupt("malformed".into()));
        assert!(trouble.is_full());
        assert!(
            matches!(trouble.corrupt(), Err(Error::Corrupt(cause)) if cause.to_string() == "malformed")
        );
        trouble.has_space();
        assert!(!trouble.is_full());
    }
}
