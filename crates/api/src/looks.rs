//! Looks at how often the store changed, each shared by all requests that wait for one.
//!
//! A request takes only what was asked for after it arrived. So it sees whatever any server had answered by then, at the cost
//! of one round trip to the database, or of none where many wait: while one look is on its way, all that arrive
//! wait for the next. Where the store can tell at once, nobody waits.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use actix_web::rt::task::spawn_blocking;
use devmason_repository::{Changes, Error};
use tokio::sync::Notify;

use crate::app::App;
use crate::error::ApiError;

/// What the store said, or why it could not.
type Answer = Result<Changes, Arc<Error>>;

#[derive(Default)]
struct State {
    /// The last answer, and when it was asked for.
    last: Option<(Instant, Answer)>,
    is_looking: bool,
}

/// Looks at how often the store changed.
#[derive(Default)]
pub(crate) struct Looks {
    state: Mutex<State>,
    ended: Notify,
}

/// A look on its way. When it is dropped it is over, even if it never began.
struct Look(Arc<Looks>);

impl Drop for Look {
    fn drop(&mut self) {
        self.0.lock().is_looking = false;
        self.0.ended.notify_waiters();
    }
}

impl Looks {
    /// The state is whole between any two statements.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the store changed, asked for no earlier than this.
    pub(crate) async fn since(
        self: &Arc<Self>,
        app: &App,
        arrived: Instant,
    ) -> Result<Changes, ApiError> {
        if let Some(changes) = app.repository.changes_at_once() {
            return Ok(changes);
        }
        loop {
            // Told of every end from here on.
            let ended = self.ended.notified();
            {
                let mut state = self.lock();
                if let Some((asked, answer)) = &state.last
                    && *asked >= arrived
                {
                    return answer.clone().map_err(ApiError::Store);
                }
                if !state.is_looking {
                    state.is_looking = true;
                    self.begin(app);
                }
            }
            ended.await;
        }
    }

    /// Begins a look that goes on whoever goes away.
    fn begin(self: &Arc<Self>, app: &App) {
        let (look, repository) = (Look(self.clone()), app.repository.clone());
        // Its end is told by what it holds, not by this handle.
        drop(spawn_blocking(move || {
            let asked = Instant::now();
            let answer = std::panic::catch_unwind(AssertUnwindSafe(|| repository.changes()))
                .unwrap_or_else(|_| Err(Error::Backend("the look panicked".into())));
            look.0.lock().last = Some((asked, answer.map_err(Arc::new)));
        }));
    }
}
