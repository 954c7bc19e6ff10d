//! Connection pools, and the handling of dead connections.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use diesel::Connection;
use diesel::r2d2::{self, ManageConnection, PooledConnection};

use super::{Conn, Outcome, Role, connect, tuned};
use crate::store::clock;
use crate::store::fault::Fault;
use crate::{Error, Result};

/// Incremented when a connection turns out to be dead: all older connections in the store's pools
/// are then suspect and dropped.
pub(in super::super) type Epoch = Arc<Epochs>;

/// Counts the epochs of a store.
#[derive(Default)]
pub(in super::super) struct Epochs {
    count: AtomicU64,
    /// Identifies the database server of the last new connection; 0 before the first.
    server: AtomicI64,
}

impl Epochs {
    fn now(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    fn next(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes which server a new connection has. After a failover that no connection noticed, because
    /// none was open, another one answers.
    fn meet(&self, server: i64) {
        let last = self.server.swap(server, Ordering::AcqRel);
        if last != 0 && last != server {
            self.next();
        }
    }
}

/// A connection and when it was opened.
pub(in super::super) struct Link {
    conn: Conn,
    epoch: u64,
    broken: bool,
}

/// A lasting problem of the whole database.
#[derive(Default)]
pub(in super::super) struct Trouble {
    is_full: AtomicBool,
    /// When the database last returned corrupt data, and its message.
    corrupt: Mutex<Option<(Instant, String)>>,
}

/// How long a database is considered corrupt after it returned corrupt data.
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

    /// Whether the last write found no free space.
    pub(in super::super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Acquire)
    }

    /// Notes that there is free space again.
    pub(super) fn has_space(&self) {
        self.is_full.store(false, Ordering::Release);
    }

    /// Fails if corruption was found recently.
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

/// Opens connections. Dead ones are found when used. A `SELECT 1` before each use cost a fifth of
/// the throughput in measurements.
pub(in super::super) struct Manager {
    url: String,
    epoch: Epoch,
    role: Role,
}

impl ManageConnection for Manager {
    type Connection = Link;
    type Error = Error;

    fn connect(&self) -> Result<Link> {
        let epoch = self.epoch.now();
        let mut conn = connect(&self.url, self.role)?;
        let server = tuned::server(&mut conn).map_err(|error| Fault::from(error).into_error())?;
        self.epoch.meet(server);
        Ok(Link { conn, epoch, broken: false })
    }

    fn is_valid(&self, _: &mut Link) -> Result<()> {
        Ok(())
    }

    fn has_broken(&self, link: &mut Link) -> bool {
        link.broken || link.epoch < self.epoch.now() || std::thread::panicking()
    }
}

/// Idle time after which a connection is closed, to release its memory.
const IDLE: Duration = Duration::from_secs(60);

/// A pool of connections.
#[derive(Clone)]
pub(in super::super) struct Pool {
    pool: r2d2::Pool<Manager>,
    epoch: Epoch,
    trouble: Arc<Trouble>,
    role: Role,
}

impl Pool {
    /// Creates a pool that opens connections on demand.
    pub(in super::super) fn new(
        url: &str,
        role: Role,
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

    /// A number that rises when connections turn out to be dead.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.now()
    }

    fn get(&self) -> Result<PooledConnection<Manager>> {
        loop {
            let mut link = self.pool.get().map_err(|error| {
                // The pool's error does not tell exhaustion from a failure to connect.
                let state = self.pool.state();
                let cause = error.to_string().into();
                if state.connections >= self.pool.max_size() {
                    Error::Busy(cause)
                } else {
                    Error::Unavailable(cause)
                }
            })?;
            if link.epoch < self.epoch.now() {
                link.broken = true;
                continue;
            }
            return Ok(link);
        }
    }

    /// Runs a query. If its connection turns out to be dead, marks all older connections as suspect.
    fn run<T>(
        &self,
        link: &mut PooledConnection<Manager>,
        query: &dyn Fn(&mut Conn) -> Outcome<T>,
    ) -> Result<T> {
        clock::start(match self.role {
            Role::Reader { timeout } => Some(timeout),
            Role::Writer | Role::Pulse => None,
        });
        query(&mut link.conn).map_err(|fault| {
            let is_row = matches!(fault, Fault::Corrupt(_));
            let error = match (fault.into_error(), self.role) {
                // Writes read little, so the time was spent waiting for others.
                (Error::TooLong(cause), Role::Writer) => Error::Busy(cause),
                (error, _) => error,
            };
            if !is_row {
                self.trouble.note(&error);
            }
            // Whether a connection may write is fixed when it is opened, so a new one is needed.
            let is_read_only = matches!(error, Error::ReadOnly(_));
            if is_row || (!is_read_only && tuned::ping(&mut link.conn).is_ok()) {
                return error;
            }
            link.broken = true;
            // A write check on a read-only connection says nothing about the others.
            // Who comes second need not do it again.
            let is_first = link.epoch == self.epoch.now();
            if is_first && (!is_read_only || matches!(self.role, Role::Writer)) {
                self.epoch.next();
            }
            match error {
                Error::Backend(cause) => Error::Unavailable(cause),
                error => error,
            }
        })
    }

    /// Runs a read-only query; retries once if its connection was dead.
    pub(in super::super) fn read<T>(&self, query: impl Fn(&mut Conn) -> Outcome<T>) -> Result<T> {
        let first = self.run(&mut self.get()?, &query);
        match first {
            Err(Error::Unavailable(_)) => self.run(&mut self.get()?, &query),
            result => result,
        }
    }

    /// Runs a query that must not be retried.
    pub(in super::super) fn once<T>(&self, query: impl Fn(&mut Conn) -> Outcome<T>) -> Result<T> {
        self.run(&mut self.get()?, &query)
    }
}

/// Opens a connection outside of any pool.
pub(in super::super) fn establish(url: &str) -> Result<Conn> {
    Conn::establish(url).map_err(|error| Error::Unavailable(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_server_begins_an_epoch() {
        let epochs = Epochs::default();
        for (server, epoch) in [(7, 0), (7, 0), (8, 1), (8, 1), (7, 2)] {
            epochs.meet(server);
            assert_eq!(epochs.now(), epoch);
        }
    }

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
