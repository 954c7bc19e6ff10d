//! Queries to the store whose answers are shared by all requests waiting for them.
//!
//! A request accepts only an answer that was queried after the request arrived. It therefore sees
//! everything that any server had answered by then. This costs one round trip to the database, or
//! none if many requests wait: while a query is running, all new requests wait for the next one.
//! Each kind of query has its own thread, so that requests don't wait for unrelated queries.

use std::panic::AssertUnwindSafe;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use devmason_repository::{Error, Repository, Result};
use tokio::sync::Notify;

/// The store's answer or error.
type Answer<T> = std::result::Result<T, Arc<Error>>;

struct State<T> {
    /// The latest answer, and when its query started.
    last: Option<(Instant, Answer<T>)>,
    is_asking: bool,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    ended: Notify,
}

impl<T> Shared<T> {
    /// The state is consistent between any two statements.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A query whose answers are shared. Its thread ends when this is dropped.
pub(crate) struct Looks<T> {
    shared: Arc<Shared<T>>,
    ask: Sender<()>,
}

impl<T: Clone + Send + 'static> Looks<T> {
    pub(crate) fn new(
        repository: Arc<dyn Repository>,
        question: fn(&dyn Repository) -> Result<T>,
    ) -> Self {
        let state = Mutex::new(State { last: None, is_asking: false });
        let shared = Arc::new(Shared { state, ended: Notify::new() });
        let (ask, asked) = channel();
        let own = shared.clone();
        std::thread::spawn(move || {
            for () in asked {
                let began = Instant::now();
                let answer = std::panic::catch_unwind(AssertUnwindSafe(|| question(&*repository)))
                    .unwrap_or_else(|_| Err(Error::Backend("the query panicked".into())));
                {
                    let mut state = own.lock();
                    state.last = Some((began, answer.map_err(Arc::new)));
                    state.is_asking = false;
                }
                own.ended.notify_waiters();
            }
        });
        Self { shared, ask }
    }

    /// The answer to a query that started at or after this time.
    pub(crate) async fn since(&self, arrived: Instant) -> Answer<T> {
        loop {
            // Subscribe before checking, so that no completion is missed.
            let ended = self.shared.ended.notified();
            {
                let mut state = self.shared.lock();
                if let Some((asked, answer)) = &state.last
                    && *asked >= arrived
                {
                    return answer.clone();
                }
                if !state.is_asking {
                    // The thread lives as long as `self`.
                    state.is_asking = self.ask.send(()).is_ok();
                }
            }
            ended.await;
        }
    }
}
