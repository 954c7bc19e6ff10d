//! Connections, kept ready, and what happens when one turns out to be dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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

/// A pool of connections.
#[derive(Clone)]
pub(in super::super) struct Pool {
    pool: r2d2::Pool<Manager>,
    epoch: Epoch,
    role: tuned::Role,
}

impl Pool {
    /// A pool that opens connections as they are needed.
    pub(in super::super) fn new(
        url: &str,
        role: tuned::Role,
        size: u32,
        wait: Duration,
        epoch: &Epoch,
    ) -> Self {
        let epoch = epoch.clone();
        let manager = Manager { url: url.to_owned(), epoch: epoch.clone(), role };
        let pool = r2d2::Pool::builder()
            .max_size(size.max(1))
            .min_idle(Some(0))
            .connection_timeout(wait)
            .test_on_check_out(false)
            .build_unchecked(manager);
        Self { pool, epoch, role }
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
            let alive = matches!(fault, Fault::Corrupt(_)) || tuned::ping(&mut link.conn).is_ok();
            let error = fault.into_error();
            if alive {
                return error;
            }
            link.broken = true;
            self.epoch.fetch_add(1, Ordering::AcqRel);
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
