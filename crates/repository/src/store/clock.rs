//! The time limit of a query, where the database does not enforce it: in the functions that SQLite
//! calls for each row, and while strips of test cases are searched.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::store::fault::{Fault, Outcome};

thread_local! {
    /// The deadline of this thread's query. A connection runs on one thread at a time.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Starts the clock of a query, with its time limit if it has one.
pub(super) fn start(limit: Option<Duration>) {
    DEADLINE.set(limit.and_then(|limit| Instant::now().checked_add(limit)));
}

/// Whether the query has exceeded its time limit.
pub(super) fn is_over() -> bool {
    DEADLINE.get().is_some_and(|deadline| Instant::now() >= deadline)
}

/// Fails once the query has exceeded its time limit.
pub(super) fn check() -> Outcome<()> {
    if is_over() { Err(Fault::TooLong) } else { Ok(()) }
}
