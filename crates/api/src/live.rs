//! Running builds that are being watched. However many clients watch a build, the store is queried
//! for it once at a time; new steps are rendered once and sent to all.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use devmason_domain::{Build, BuildId, Project, ProjectId, State, StepLog};
use devmason_hypermedia::Base;
use devmason_pages::{Room, Site};
use tokio::sync::watch;

use crate::documents::logs::{self, Wanted, window};
use crate::documents::steps::place;
use crate::error::ApiError;
use crate::store::Store;

/// How often a watched build is checked.
const INTERVAL: Duration = Duration::from_secs(1);

/// Maximum number of recent steps kept for clients that reconnect, and their maximum size in bytes.
/// At least one is kept.
const KEPT: u32 = 100;
const KEPT_BYTES: usize = 256 << 10;

/// Minimum number of existing steps kept when the first client starts watching.
const BEFORE: u32 = 20;

/// Maximum size of a step's outputs shown, in bytes.
const OUTPUT: usize = 64 << 10;

/// How much is shown of a log.
const TAIL: logs::Room = logs::Room { lines: 1000, bytes: OUTPUT as u64 };

/// The parts of a build that can be shown.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// The position of the first kept step.
    first: u32,
    /// The steps, as HTML.
    steps: VecDeque<Arc<str>>,
    /// Whether the build is over.
    pub(crate) is_over: bool,
}

impl Seen {
    /// The step at this position, if it exists yet; `None` if it is no longer kept.
    pub(crate) fn step(&self, nth: u32) -> Option<Option<Arc<str>>> {
        let at = nth.checked_sub(self.first)?;
        Some(self.steps.get(at as usize).cloned())
    }
}

type Watched = HashMap<(ProjectId, BuildId), watch::Receiver<Seen>>;

/// The builds being watched.
pub(crate) struct Live {
    watched: Arc<Mutex<Watched>>,
    closing: watch::Sender<bool>,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self { watched: Arc::default(), closing: watch::Sender::new(false) }
    }

    /// Ends all watching because the server stops.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Notifies when the server stops.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// Watches a build, starting from step `from` unless it is already being watched.
    pub(crate) fn watch(
        &self,
        store: &Arc<Store>,
        base: Base,
        project: Project,
        build: Build,
        from: u32,
    ) -> watch::Receiver<Seen> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (build.project, build.id);
        if let Some(seen) = watched.get(&place).filter(|seen| seen.has_changed().is_ok()) {
            return seen.clone();
        }
        // Start a few steps before the first watcher: others may have opened the page slightly earlier.
        let newest = |count: u32| build.steps.saturating_sub(count);
        let first = from.min(newest(BEFORE)).max(newest(KEPT));
        let (sender, seen) = watch::channel(Seen { first, ..Seen::default() });
        watched.insert(place, seen.clone());
        let (store, all) = (store.clone(), self.watched.clone());
        actix_web::rt::spawn(async move {
            follow(&store, &base, &project, build, &sender).await;
            all.lock().unwrap_or_else(PoisonError::into_inner).remove(&place);
        });
        seen
    }
}

/// Follows a build until it is over or nobody watches; the map itself holds one receiver.
async fn follow(
    store: &Store,
    base: &Base,
    project: &Project,
    mut build: Build,
    seen: &watch::Sender<Seen>,
) {
    let key = build.key();
    let mut next = seen.borrow().first;
    let mut version = None;
    loop {
        if version != Some(build.version) {
            version = Some(build.version);
            match pieces(store, base, project, &build, next).await {
                Ok(pieces) => {
                    next += u32::try_from(pieces.len()).unwrap_or(0);
                    let is_over = build.outcome.state() == State::Finished;
                    seen.send_modify(|seen| {
                        seen.steps.extend(pieces);
                        seen.is_over = is_over;
                        while seen.steps.len() > KEPT as usize
                            || (seen.steps.len() > 1
                                && seen.steps.iter().map(|step| step.len()).sum::<usize>()
                                    > KEPT_BYTES)
                        {
                            seen.steps.pop_front();
                            seen.first += 1;
                        }
                    });
                    if is_over {
                        return;
                    }
                }
                // The next check tries again.
                Err(_) => version = None,
            }
        }
        tokio::time::sleep(INTERVAL).await;
        if seen.receiver_count() <= 1 {
            return;
        }
        let (id, sought) = (project.id, key.clone());
        match store.run(move |repository| repository.build_find(id, &sought)).await {
            Ok(Some(found)) => build = found,
            Ok(None) => {
                seen.send_modify(|seen| seen.is_over = true);
                return;
            }
            Err(_) => {}
        }
    }
}

/// The steps of a build from this one on, as HTML, read and rendered one at a time off the workers
/// that serve connections.
async fn pieces(
    store: &Store,
    base: &Base,
    project: &Project,
    build: &Build,
    from: u32,
) -> Result<Vec<Arc<str>>, ApiError> {
    let (base, project, build) = (base.clone(), project.clone(), build.clone());
    let pieces = store.run(move |repository| {
        let site = Site {
            base: &base,
            user: None,
            is_administrator: false,
            token: None,
            here: String::new(),
            json: None,
            version: "",
        };
        let mut pieces: Vec<Arc<str>> = Vec::new();
        for nth in from..build.steps {
            // A missing step, and those after it, come later.
            let Some(step) = repository.step_head(&build, nth)? else { break };
            let (mut room, at) = (Room::new(OUTPUT), (nth as usize, &step));
            let html = if step.log == StepLog::Absent {
                devmason_pages::step_html(&site, &project, &build, at, false, &mut room)
            } else {
                let place = place(&build, nth);
                let shown = window(repository, place, &step, None, Wanted::Tail, TAIL)?;
                let (log, is_open) = ((&shown, None), step.is_running());
                devmason_pages::log_step_html(&site, &project, &build, at, is_open, log, &mut room)
            };
            pieces.push(html.unwrap_or_default().into());
        }
        Ok(pieces)
    });
    pieces.await
}
