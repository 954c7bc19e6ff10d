//! Requests to be sent: queued in the spool, and sent by a separate thread while the build goes on.

mod memory;
mod requests;
mod sender;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use devmason_client::{About, BegunStep, Entry, Flushed, Retry, Session};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Problem;
use crate::settings::Settings;
use memory::Shared;
pub(crate) use requests::{build, end, end_step, file, open_step, piece, step};
pub(crate) use sender::Outcome;
use sender::Sender;

/// How often free room is checked for.
const ROOM_INTERVAL: Duration = Duration::from_millis(100);

/// A report in progress.
pub(crate) struct Outbox {
    session: Option<Session>,
    /// Whether the session accepts no more: later requests must not overtake those in memory.
    is_past_spool: bool,
    /// Held while a part of it is only in memory, as it is lost if this process dies.
    in_memory: Option<BegunStep>,
    /// Locked while this process continues the session.
    _alive: Option<std::fs::File>,
    shared: Arc<Shared>,
    /// How long to wait for the server: for room while nothing is sent, and at the end.
    wait: Duration,
    deadline: watch::Sender<Option<Instant>>,
    thread: Option<JoinHandle<Outcome>>,
}

impl Outbox {
    /// Begins a report, in the spool if possible: of a single request, or of a build whose steps follow
    /// from this process.
    pub(crate) fn begin(
        settings: &Settings,
        about: About,
        is_incremental: bool,
        wait: Duration,
    ) -> Result<Self, Problem> {
        let begun = settings.spool().and_then(|spool| {
            let begun = spool.begin(about).and_then(|session| {
                let alive = if is_incremental {
                    session.keep_open()?;
                    Some(session.keep_alive()?)
                } else {
                    None
                };
                Ok((session, alive))
            });
            begun.map_err(|error| error.to_string())
        });
        match begun {
            Ok((session, alive)) => Self::start(settings, Some(session), alive, wait),
            Err(problem) => {
                warn_of_spool(&problem);
                Self::start(settings, None, None, wait)
            }
        }
    }

    /// Resumes a report that another process began.
    pub(crate) fn resume(
        settings: &Settings,
        session: Session,
        wait: Duration,
    ) -> Result<Self, Problem> {
        Self::start(settings, Some(session), None, wait)
    }

    fn start(
        settings: &Settings,
        session: Option<Session>,
        alive: Option<std::fs::File>,
        wait: Duration,
    ) -> Result<Self, Problem> {
        // The thread retries by itself.
        let client = settings.client()?.with_retry(Retry::NONE);
        let (deadline, watched) = watch::channel(None);
        let shared = Arc::<Shared>::default();
        let spool = settings.spool().ok();
        let sender = Sender {
            project: if settings.create { settings.project().ok() } else { None },
            client,
            own: session.as_ref().and_then(|own| spool.as_ref()?.session(&own.name()).ok()),
            spool,
            shared: shared.clone(),
            deadline: watched,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Problem::failed(error.to_string()))?;
        let thread = std::thread::Builder::new()
            .name("sender".to_owned())
            .spawn(move || {
                let outcome = runtime.block_on(sender.run());
                // A pending DNS lookup delays no one.
                runtime.shutdown_background();
                outcome
            })
            .map_err(|error| Problem::failed(error.to_string()))?;
        Ok(Self {
            session,
            is_past_spool: false,
            in_memory: None,
            _alive: alive,
            shared,
            wait,
            deadline,
            thread: Some(thread),
        })
    }

    /// Queues a request after the earlier ones: in the spool, otherwise in memory. If both are full, it
    /// waits as long as the server keeps accepting requests.
    pub(crate) fn push(&mut self, entry: Entry) {
        if !self.keep(&entry) {
            self.wait_for(|| {
                let memory = self.shared.memory();
                memory.is_refused || memory.has_room(&entry)
            });
            let mut memory = self.shared.memory();
            if memory.is_refused || !memory.has_room(&entry) {
                memory.lost += 1;
                if let Some(session) = &self.session {
                    session.mark_incomplete();
                }
            } else {
                memory.bytes += entry.body.len();
                memory.entries.push_back(entry);
            }
        }
        self.shared.more.notify_one();
    }

    /// Whether the spool has stored a request.
    fn keep(&mut self, entry: &Entry) -> bool {
        let Some(session) = self.session.as_ref().filter(|_| !self.is_past_spool) else {
            return false;
        };
        let mut pushed = Ok(());
        self.wait_for(|| {
            pushed = session.push(entry);
            let is_full = |error: &io::Error| error.kind() == io::ErrorKind::QuotaExceeded;
            // If this report has nothing queued, others fill the spool.
            !pushed.as_ref().is_err_and(is_full) || session.waiting() == 0
        });
        let Err(error) = pushed else { return true };
        if session.is_over() {
            self.shared.memory().is_refused = true;
        } else {
            warn_of_spool(&error.to_string());
        }
        self.is_past_spool = true;
        self.in_memory = self.begin_step();
        false
    }

    /// Waits until it is done, or until the server has accepted nothing for the maximum waiting time.
    fn wait_for(&self, mut is_done: impl FnMut() -> bool) {
        let (mut last, mut since) = (usize::MAX, Instant::now());
        while !is_done() {
            let now = self.waiting();
            if now < last {
                (last, since) = (now, Instant::now());
            }
            let mut memory = self.shared.memory();
            // After waiting in vain, do not wait for every further request until something is sent.
            memory.gave_up = memory.gave_up.filter(|at| now >= *at);
            if memory.gave_up.is_some() || since.elapsed() >= self.wait {
                memory.gave_up = memory.gave_up.or(Some(now));
                return;
            }
            drop(memory);
            self.shared.more.notify_one();
            std::thread::sleep(ROOM_INTERVAL);
        }
    }

    /// The number of requests that wait to be sent.
    pub(crate) fn waiting(&self) -> usize {
        let spooled = self.session.as_ref().map_or(0, |session| session.waiting() as usize);
        spooled + self.shared.memory().entries.len()
    }

    /// Marks a step as begun, with its end to follow.
    pub(crate) fn begin_step(&self) -> Option<BegunStep> {
        // If it cannot be written and the client is killed, the build lacks this step.
        self.session.as_ref()?.begin_step().ok()
    }

    /// Marks the step as ended.
    pub(crate) fn end_step(&self, begun: Option<BegunStep>) {
        if let (Some(session), Some(begun)) = (&self.session, begun) {
            session.end_step(begun);
        }
    }

    /// Ends the report; waits until the rest is sent.
    pub(crate) fn finish(mut self) -> Outcome {
        self.deadline.send_replace(Some(Instant::now() + self.wait));
        let joined = self.thread.take().map(JoinHandle::join);
        // By now, anything finally lost has been marked.
        let in_memory = self.in_memory.take();
        self.end_step(in_memory);
        match joined {
            Some(Ok(outcome)) => outcome,
            _ => {
                Outcome { flushed: Flushed::default(), stopped: None, lost: 1, others: Vec::new() }
            }
        }
    }
}

fn warn_of_spool(problem: &str) {
    crate::say(&format!("cannot queue reports on disk, only in memory: {problem}"));
}
