//! Requests to be sent: queued in the spool, and sent by a separate thread while the build goes on.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use devmason_client::{
    About, BegunStep, Client, Entry, Error, Flushed, Report, Retry, Session, Spool, Step,
    end_of_incomplete,
};
use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::Problem;
use crate::settings::Settings;

/// The maximum size in bytes of requests held in memory if the spool cannot store them.
const MEMORY: usize = 64 << 20;

/// How often free room is checked for.
const ROOM_INTERVAL: Duration = Duration::from_millis(100);

/// The pauses between attempts, from the first to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// The build's document as a request.
pub(crate) fn build(path: &str, report: &Report) -> Result<Entry, Problem> {
    entry("PUT", path.to_owned(), report)
}

/// A step of it.
pub(crate) fn step(build: &str, step: &Step) -> Result<Entry, Problem> {
    let key = Some(uuid::Uuid::new_v4().to_string());
    Ok(Entry { key, ..entry("POST", progress(build), step)? })
}

/// A report file as a step of it.
pub(crate) fn file(build: &str, query: &str, body: Vec<u8>) -> Entry {
    Entry {
        method: "POST".to_owned(),
        target: format!("{}{query}", progress(build)),
        key: Some(uuid::Uuid::new_v4().to_string()),
        media_type: "application/octet-stream".to_owned(),
        body,
    }
}

/// The end of the build as a request.
pub(crate) fn end(build: &str, success: Option<bool>) -> Result<Entry, Problem> {
    entry("DELETE", progress(build), &json!({ "success": success }))
}

fn progress(build: &str) -> String {
    format!("{build}/progress")
}

fn entry(method: &str, target: String, document: &impl serde::Serialize) -> Result<Entry, Problem> {
    let body = serde_json::to_vec(document).map_err(|error| Problem::failed(error.to_string()))?;
    let media_type = "application/json".to_owned();
    Ok(Entry { method: method.to_owned(), target, key: None, media_type, body })
}

/// The outcome of sending.
pub(crate) struct Outcome {
    /// What was sent, refused and left.
    pub(crate) flushed: Flushed,
    /// Why it was not sent, if it was not.
    pub(crate) stopped: Option<Error>,
    /// The number of requests that could not be queued.
    pub(crate) lost: u32,
    /// Errors of reports queued earlier.
    pub(crate) others: Vec<String>,
}

impl Outcome {
    /// Whether the server has all of it.
    pub(crate) fn is_sent(&self) -> bool {
        self.lost == 0 && self.flushed.left == 0 && self.flushed.refused.is_empty()
    }
}

#[derive(Default)]
struct Memory {
    entries: VecDeque<Entry>,
    bytes: usize,
    lost: u32,
    /// A part of it was refused.
    is_incomplete: bool,
    /// The server refused the build: its parts must not be added to the other build with the same id.
    is_refused: bool,
    /// Set if waiting for room was in vain, to the number of requests then left.
    gave_up: Option<usize>,
}

impl Memory {
    /// Marks the build as refused: nothing more of it can be sent.
    fn refuse(&mut self) {
        self.is_refused = true;
        self.lost += u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.clear();
        self.bytes = 0;
    }

    /// Whether there is room for a request. The end of a build is always accepted, and so is a request
    /// when there is no other: it is in memory anyway.
    fn has_room(&self, entry: &Entry) -> bool {
        self.entries.is_empty()
            || entry.method == "DELETE"
            || self.bytes + entry.body.len() <= MEMORY
    }
}

/// State shared by the sending and the reporting thread.
#[derive(Default)]
struct Shared {
    memory: Mutex<Memory>,
    /// Notifies about new requests.
    more: Notify,
}

impl Shared {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
        let left = || {
            let spooled = self.session.as_ref().map_or(0, |session| session.waiting() as usize);
            spooled + self.shared.memory().entries.len()
        };
        let (mut last, mut since) = (usize::MAX, Instant::now());
        while !is_done() {
            let now = left();
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

/// The sending thread.
struct Sender {
    client: Client,
    /// The project to register if it is missing.
    project: Option<devmason_domain::Slug>,
    own: Option<Session>,
    spool: Option<Spool>,
    shared: Arc<Shared>,
    deadline: watch::Receiver<Option<Instant>>,
}

impl Sender {
    async fn run(self) -> Outcome {
        let mut flushed = Flushed::default();
        let mut pause = PAUSES.0;
        let mut is_told = false;
        let stopped = loop {
            let is_last = self.deadline.borrow().is_some();
            let mut deadline = self.deadline.clone();
            let result = tokio::select! {
                result = self.flush(&mut flushed) => result,
                () = passed(&mut deadline) => break Some(self.too_slow()),
            };
            let error = match result {
                Ok(()) if is_last && self.left() == 0 => break None,
                Ok(()) => {
                    pause = PAUSES.0;
                    None
                }
                Err(error) if is_last && !error.is_temporary() => break Some(error),
                Err(error) => Some(error),
            };
            // A wrong name or password should be reported before a long command ends.
            if let Some(error) = error.as_ref().filter(|error| !is_told && error.is_of_access()) {
                is_told = true;
                crate::say(&format!("not reported yet: {error}"));
            }
            let mut said = self.deadline.clone();
            let (failed, is_waiting) = (error.is_some(), error.is_some() || self.left() > 0);
            tokio::select! {
                () = self.shared.more.notified(), if !failed => {}
                // The final attempts begin at once.
                _ = said.wait_for(Option::is_some), if !is_last => pause = PAUSES.0,
                () = tokio::time::sleep(pause), if is_waiting || is_last => {
                    pause = (pause * 2).min(PAUSES.1);
                }
                () = passed(&mut deadline) => break error.or_else(|| Some(self.too_slow())),
            }
        };
        // Earlier reports are sent together with this one.
        let mut others = Flushed::default();
        if let (None, Some(spool)) = (&stopped, &self.spool) {
            let mut deadline = self.deadline.clone();
            tokio::select! {
                _ = spool.flush(&self.client, self.own.as_ref(), &mut others) => {}
                () = passed(&mut deadline) => {}
            }
        }
        flushed.left = self.left();
        let memory = self.shared.memory();
        if let Some(own) = &self.own
            && (!memory.entries.is_empty() || memory.is_incomplete)
            && !own.is_over()
        {
            // This process ends, and its memory is lost.
            own.mark_incomplete();
        }
        let unsent = u32::try_from(memory.entries.len()).unwrap_or(u32::MAX);
        Outcome { flushed, stopped, lost: memory.lost + unsent, others: others.refused }
    }

    fn left(&self) -> u32 {
        self.own.as_ref().map_or(0, Session::waiting)
    }

    fn too_slow(&self) -> Error {
        Error::Unreachable {
            server: self.client.server().to_owned(),
            problem: "timed out".to_owned(),
        }
    }

    async fn flush(&self, flushed: &mut Flushed) -> Result<(), Error> {
        match self.flush_once(flushed).await {
            Err(Error::Refused { status: 404, .. }) if self.project.is_some() => {
                if let Some(project) = &self.project {
                    self.client.create_project(project, project.as_str()).await?;
                }
                self.flush_once(flushed).await
            }
            result => result,
        }
    }

    async fn flush_once(&self, flushed: &mut Flushed) -> Result<(), Error> {
        if let Some(own) = &self.own {
            match own.flush(&self.client, flushed).await {
                Err(error) if !error.is_temporary() && !error.is_of_access() => {
                    self.shared.memory().refuse();
                    return Ok(());
                }
                result => result?,
            }
            if own.waiting() > 0 {
                // Another process is sending it, or something was added in the meantime.
                return Ok(());
            }
        }
        loop {
            let (mut entry, is_incomplete) = {
                let memory = self.shared.memory();
                let Some(first) = memory.entries.front().cloned() else { return Ok(()) };
                let own = self.own.as_ref().is_some_and(Session::is_incomplete);
                (first, own || memory.is_incomplete || memory.lost > 0)
            };
            let (bytes, is_build) = (entry.body.len(), entry.method == "PUT");
            if is_incomplete && entry.method == "DELETE" {
                entry.body = end_of_incomplete(entry.body);
            }
            let mut refused = None;
            match entry.send(&self.client).await {
                Ok(_) => flushed.sent += 1,
                Err(error) if error.is_temporary() || error.is_of_access() => return Err(error),
                Err(error) => refused = Some(error.to_string()),
            }
            let mut memory = self.shared.memory();
            memory.entries.pop_front();
            memory.bytes = memory.bytes.saturating_sub(bytes);
            let Some(problem) = refused else { continue };
            flushed.refused.push(problem);
            memory.is_incomplete = true;
            if is_build {
                memory.refuse();
            }
        }
    }
}

/// Returns once the deadline is set and has passed.
async fn passed(deadline: &mut watch::Receiver<Option<Instant>>) {
    loop {
        let said = *deadline.borrow_and_update();
        match said {
            Some(at) => return tokio::time::sleep_until(at).await,
            // If it can no longer be set, the process is ending.
            None if deadline.changed().await.is_err() => return,
            None => {}
        }
    }
}
