//! Questions to the store whose answers are shared by all requests that wait for one.
//!
//! A request takes only an answer that was asked for after the request arrived. So it sees whatever any server had answered
//! by then, at the cost of one round trip to the database, or of none where many wait: while one question is on its way, all
//! that arrive wait for the next. A thread of its own asks, so that nobody waits for those who wait for something else.

use std::panic::AssertUnwindSafe;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use devmason_repository::{Error, Repository, Result};
use tokio::sync::Notify;

/// What the store said, or why it could not.
type Answer<T> = std::result::Result<T, Arc<Error>>;

struct State<T> {
    /// The last answer, and when it was asked for.
    last: Option<(Instant, Answer<T>)>,
    is_asking: bool,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    ended: Notify,
}

impl<T> Shared<T> {
    /// The state is whole between any two statements.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question whose answers are shared. Its thread ends with it.
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
                    .unwrap_or_else(|_| Err(Error::Backend("the question panicked".into())));
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

    /// The answer, asked for no earlier than this.
    pub(crate) async fn since(&self, arrived: Instant) -> Answer<T> {
        loop {
            // Told of every end from here on.
            let ended = self.shared.ended.notified();
            {
                let mut state = self.shared.lock();
                if let Some((asked, answer)) = &state.last
                    && *asked >= arrived
                {
                    return answer.clone();
                }
                if !state.is_asking {
                    // The thread is there as long as this is.
                    state.is_asking = self.ask.send(()).is_ok();
                }
            }
            ended.await;
        }
    }
}
