//! Logs that are being followed. However many clients follow a log, the store is asked for what is
//! new once, when somebody tells that there is something new: this server's own appends, or, on
//! PostgreSQL, other servers.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use devmason_domain::{BuildId, LogEntry, Position, ProjectId, StepLog};
use devmason_repository::{LogPiece, Seek, StepPlace};
use tokio::sync::{Notify, watch};

use crate::error::ApiError;
use crate::store::Store;

/// How often a followed log is looked at, if other processes cannot tell that it has grown.
const LOOK: Duration = Duration::from_secs(1);

/// The same, if they can: for what is lost while a connection breaks.
const RARELY: Duration = Duration::from_secs(15);

/// Minimum time between two looks at a log that grows all the time.
const PAUSE: Duration = Duration::from_millis(100);

/// How long to wait for news of other servers before looking whether to stop.
const NEWS: Duration = Duration::from_millis(500);

/// Maximum size of the texts kept for followers that come later, or are slow.
const KEPT: usize = 1 << 20;

/// What was appended to a log, as one event for its followers.
#[derive(Debug, Clone)]
pub(crate) struct Grown {
    /// The log's end before it, in bytes.
    pub(crate) start: Position,
    /// The log's end after it.
    pub(crate) end: Position,
    /// What was written.
    pub(crate) entries: Arc<[LogEntry]>,
}

impl Grown {
    fn len(&self) -> usize {
        self.entries.iter().map(|entry| entry.text.len() + 32).sum()
    }
}

/// The end of a log, as its followers see it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Followed {
    /// The newest events.
    events: VecDeque<Grown>,
    /// Up to where they reach.
    pub(crate) end: u64,
    /// Whether the log is complete.
    pub(crate) is_over: bool,
}

impl Followed {
    /// The event that continues at this many bytes; `None` if it is no longer kept.
    pub(crate) fn behind(&self, bytes: u64) -> Option<&Grown> {
        let at = self.events.partition_point(|event| event.start.bytes < bytes);
        self.events.get(at).filter(|event| event.start.bytes == bytes)
    }
}

struct Log {
    seen: watch::Receiver<Followed>,
    wake: Arc<Notify>,
}

/// The logs that are being followed.
#[derive(Default)]
pub(crate) struct Logs {
    followed: Arc<Mutex<HashMap<StepPlace, Log>>>,
    /// Whether a thread listens to other servers.
    listens: Arc<AtomicBool>,
    is_told: Arc<AtomicBool>,
    closing: Arc<AtomicBool>,
}

fn lock(of: &Mutex<HashMap<StepPlace, Log>>) -> MutexGuard<'_, HashMap<StepPlace, Log>> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Logs {
    /// Stops listening because the server stops.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// A log has grown.
    pub(crate) fn grown(&self, place: StepPlace) {
        if let Some(log) = lock(&self.followed).get(&place) {
            log.wake.notify_one();
        }
    }

    /// A step has ended: its log is complete.
    pub(crate) fn ended(&self, store: &Arc<Store>, place: StepPlace) {
        self.grown(place);
        compact(store.clone(), vec![place]);
    }

    /// A build has ended, and with it the steps that ran.
    pub(crate) fn abandoned(&self, store: &Arc<Store>, project: ProjectId, build: BuildId) {
        for (place, log) in lock(&self.followed).iter() {
            if (place.project, place.build) == (project, build) {
                log.wake.notify_one();
            }
        }
        let store = store.clone();
        actix_web::rt::spawn(async move {
            let found = store.run(move |repository| repository.log_abandoned(project, build)).await;
            match found {
                Ok(places) => compact(store, places),
                Err(error) => tracing::warn!(error = %error.log(), "logs were not compacted"),
            }
        });
    }

    /// Follows a log, which had so many bytes a moment ago.
    pub(crate) fn follow(
        &self,
        store: &Arc<Store>,
        place: StepPlace,
        end: u64,
    ) -> watch::Receiver<Followed> {
        self.listen(store);
        let mut followed = lock(&self.followed);
        if let Some(log) = followed.get(&place).filter(|log| log.seen.has_changed().is_ok()) {
            // It may not know yet what this follower knows.
            log.wake.notify_one();
            return log.seen.clone();
        }
        let (sender, seen) = watch::channel(Followed { end, ..Followed::default() });
        let wake = Arc::new(Notify::new());
        followed.insert(place, Log { seen: seen.clone(), wake: wake.clone() });
        let (store, all, is_told) = (store.clone(), self.followed.clone(), self.is_told.clone());
        actix_web::rt::spawn(async move {
            follow(&store, place, &sender, &wake, &is_told).await;
            lock(&all).remove(&place);
        });
        seen
    }

    /// Starts to listen to other servers, the first time that a log is followed.
    fn listen(&self, store: &Arc<Store>) {
        if self.listens.swap(true, Ordering::AcqRel) {
            return;
        }
        let repository = store.repository().clone();
        let (followed, is_told, closing) =
            (self.followed.clone(), self.is_told.clone(), self.closing.clone());
        std::thread::spawn(move || {
            let stops = || closing.load(Ordering::Acquire);
            while !stops() {
                match repository.log_listen() {
                    Ok(None) => return,
                    Ok(Some(mut listener)) => {
                        is_told.store(true, Ordering::Release);
                        while !stops() {
                            match listener.news(NEWS) {
                                Ok(news) => {
                                    news.into_iter().for_each(|place| tell(&followed, place))
                                }
                                Err(error) => {
                                    tracing::warn!(%error, "the connection for news of logs broke");
                                    break;
                                }
                            }
                        }
                        is_told.store(false, Ordering::Release);
                    }
                    Err(error) => tracing::warn!(%error, "cannot listen to news of logs"),
                }
                std::thread::sleep(LOOK);
            }
        });
    }
}

fn tell(followed: &Mutex<HashMap<StepPlace, Log>>, place: Option<StepPlace>) {
    let followed = lock(followed);
    match place {
        Some(place) => followed.get(&place).into_iter().for_each(|log| log.wake.notify_one()),
        None => followed.values().for_each(|log| log.wake.notify_one()),
    }
}

/// Joins the small pieces of logs in the background. Logs that are not joined are as complete, only
/// larger.
fn compact(store: Arc<Store>, places: Vec<StepPlace>) {
    actix_web::rt::spawn(async move {
        for place in places {
            if let Err(error) = store.run(move |repository| repository.log_compact(place)).await {
                tracing::warn!(error = %error.log(), "a log was not compacted");
            }
        }
    });
}

/// Follows a log until it is complete or nobody follows; the map itself holds one receiver.
async fn follow(
    store: &Store,
    place: StepPlace,
    seen: &watch::Sender<Followed>,
    wake: &Notify,
    is_told: &AtomicBool,
) {
    loop {
        let end = seen.borrow().end;
        match news(store, place, end).await {
            Ok((pieces, log)) => {
                let is_over = pieces.is_empty() && log != Some(StepLog::Open);
                if is_over || !pieces.is_empty() {
                    seen.send_modify(|seen| grow(seen, pieces, is_over));
                }
                if is_over {
                    return;
                }
                if seen.borrow().end > end {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            }
            // The next look tries again.
            Err(error) => tracing::warn!(error = %error.log(), "a followed log was not read"),
        }
        let wait = if is_told.load(Ordering::Acquire) { RARELY } else { LOOK };
        // Whoever tells is not missed between two looks: a notification is kept.
        let _ = tokio::time::timeout(wait, wake.notified()).await;
        if seen.receiver_count() <= 1 {
            return;
        }
    }
}

/// What a log has behind this many bytes, and its state.
pub(crate) async fn news(
    store: &Store,
    place: StepPlace,
    end: u64,
) -> Result<(Vec<LogPiece>, Option<StepLog>), ApiError> {
    let read = store.run(move |repository| {
        // First the state: what is appended in between is found by the next look.
        let log = repository.log_state(place)?.map(|state| state.log);
        Ok((repository.log_read(place, Seek::Byte(None, end))?, log))
    });
    read.await
}

/// The events that pieces become for somebody who has this many bytes of the log.
pub(crate) fn events(pieces: Vec<LogPiece>, had: u64) -> impl Iterator<Item = Grown> {
    pieces.into_iter().filter_map(move |piece| {
        let (mut at, mut start) = (piece.start, None);
        let mut entries = Vec::new();
        for mut entry in piece.entries {
            let before = at;
            at += &entry;
            if at.bytes <= had {
                continue;
            }
            if start.is_none() {
                // A client may have a part of an entry, but never a part of a character.
                let mut here = before;
                let cut = usize::try_from(had.saturating_sub(before.bytes)).unwrap_or(0);
                let rest = entry.text.split_off(entry.text.floor_char_boundary(cut));
                here += &entry;
                entry.text = rest;
                start = Some(here);
            }
            entries.push(entry);
        }
        let entries = entries.into();
        start.map(|start| Grown { start, end: piece.end, entries })
    })
}

fn grow(seen: &mut Followed, pieces: Vec<LogPiece>, is_over: bool) {
    for event in events(pieces, seen.end) {
        seen.end = event.end.bytes;
        seen.events.push_back(event);
    }
    seen.is_over = is_over;
    let mut kept: usize = seen.events.iter().map(Grown::len).sum();
    while kept > KEPT && seen.events.len() > 1 {
        kept -= seen.events.pop_front().map_or(0, |event| event.len());
    }
}
