//! What is to be sent: kept in the spool, sent by a thread of its own while the build goes on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use devmason_client::{About, Client, Entry, Error, Flushed, Report, Retry, Session, Spool, Step};
use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::Problem;
use crate::settings::Settings;

/// How many bytes are kept in memory where the spool can't take them.
const MEMORY: usize = 64 << 20;

/// How often it is tried in vain once nothing more comes.
const LAST_TRIES: u32 = 3;

/// The pauses between tries, from the first to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

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

/// Its end.
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

/// What came of sending.
pub(crate) struct Outcome {
    /// What was sent, refused and left.
    pub(crate) flushed: Flushed,
    /// Why it was not sent, if it was not.
    pub(crate) stopped: Option<Error>,
    /// How many requests nothing could keep.
    pub(crate) lost: u32,
    /// What is wrong with reports that were kept before.
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
    /// The server refused the build: what belongs to it would go into the one that has its id.
    is_refused: bool,
}

/// A report on its way.
pub(crate) struct Outbox {
    session: Option<Session>,
    /// Locked while this process goes on with the session.
    _alive: Option<std::fs::File>,
    memory: Arc<Mutex<Memory>>,
    more: Arc<Notify>,
    deadline: watch::Sender<Option<Instant>>,
    thread: Option<JoinHandle<Outcome>>,
}

impl Outbox {
    /// Begins a report, in the spool if that can take it: of one request, or of a build whose steps are still to
    /// come from this process.
    pub(crate) fn begin(
        settings: &Settings,
        about: About,
        is_incremental: bool,
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
            Ok((session, alive)) => Self::start(settings, Some(session), alive),
            Err(problem) => {
                warn_of_spool(&problem);
                Self::start(settings, None, None)
            }
        }
    }

    /// Goes on with a report that another process began.
    pub(crate) fn resume(settings: &Settings, session: Session) -> Result<Self, Problem> {
        Self::start(settings, Some(session), None)
    }

    fn start(
        settings: &Settings,
        session: Option<Session>,
        alive: Option<std::fs::File>,
    ) -> Result<Self, Problem> {
        // The thread tries again by itself.
        let client = settings.client()?.with_retry(Retry::NONE);
        let (deadline, watched) = watch::channel(None);
        let memory = Arc::<Mutex<Memory>>::default();
        let more = Arc::new(Notify::new());
        let spool = settings.spool().ok();
        let sender = Sender {
            project: if settings.create { settings.project().ok() } else { None },
            client,
            own: session.as_ref().and_then(|own| spool.as_ref()?.session(&own.name()).ok()),
            spool,
            memory: memory.clone(),
            more: more.clone(),
            deadline: watched,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Problem::failed(error.to_string()))?;
        let thread = std::thread::Builder::new()
            .name("sender".to_owned())
            .spawn(move || runtime.block_on(sender.run()))
            .map_err(|error| Problem::failed(error.to_string()))?;
        Ok(Self { session, _alive: alive, memory, more, deadline, thread: Some(thread) })
    }

    /// Takes a request, to be sent behind those before.
    pub(crate) fn push(&mut self, entry: Entry) {
        let kept = self.session.as_ref().map(|session| session.push(&entry));
        if let Some(Ok(())) = kept {
            self.more.notify_one();
            return;
        }
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(error)) = kept {
            if self.session.as_ref().is_some_and(Session::is_over) {
                memory.is_refused = true;
            } else {
                warn_of_spool(&error.to_string());
            }
            // What comes behind must not overtake it.
            self.session = None;
        }
        if memory.is_refused || memory.bytes + entry.body.len() > MEMORY {
            memory.lost += 1;
        } else {
            memory.bytes += entry.body.len();
            memory.entries.push_back(entry);
        }
        drop(memory);
        self.more.notify_one();
    }

    /// Nothing more comes; waits so long for what is left to be sent.
    pub(crate) fn finish(mut self, wait: Duration) -> Outcome {
        self.deadline.send_replace(Some(Instant::now() + wait));
        let joined = self.thread.take().map(JoinHandle::join);
        match joined {
            Some(Ok(outcome)) => outcome,
            _ => {
                Outcome { flushed: Flushed::default(), stopped: None, lost: 1, others: Vec::new() }
            }
        }
    }
}

fn warn_of_spool(problem: &str) {
    crate::say(&format!("reports cannot be kept on disk, only in memory: {problem}"));
}

/// The thread that sends.
struct Sender {
    client: Client,
    /// The project to register if it is not there.
    project: Option<devmason_domain::Slug>,
    own: Option<Session>,
    spool: Option<Spool>,
    memory: Arc<Mutex<Memory>>,
    more: Arc<Notify>,
    deadline: watch::Receiver<Option<Instant>>,
}

impl Sender {
    async fn run(self) -> Outcome {
        let mut flushed = Flushed::default();
        let mut pause = PAUSES.0;
        let mut failures = 0;
        let stopped = loop {
            let is_last = self.deadline.borrow().is_some();
            let mut deadline = self.deadline.clone();
            let result = tokio::select! {
                result = self.flush(&mut flushed) => result,
                () = passed(&mut deadline) => break Some(self.too_slow()),
            };
            let failed = match result {
                Ok(()) if is_last && self.left() == 0 => break None,
                Ok(()) => {
                    (pause, failures) = (PAUSES.0, 0);
                    false
                }
                Err(error) => {
                    failures += u32::from(is_last);
                    if is_last && (!error.is_temporary() || failures >= LAST_TRIES) {
                        break Some(error);
                    }
                    true
                }
            };
            let mut said = self.deadline.clone();
            let is_waiting = failed || self.left() > 0;
            tokio::select! {
                () = self.more.notified(), if !failed => {}
                // The last try is made at once.
                _ = said.wait_for(Option::is_some), if !is_last => pause = PAUSES.0,
                () = tokio::time::sleep(pause), if is_waiting || is_last => {
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        };
        // What was left before goes with what is sent now.
        let mut others = Flushed::default();
        if let (None, Some(spool)) = (&stopped, &self.spool) {
            let mut deadline = self.deadline.clone();
            tokio::select! {
                _ = spool.flush(&self.client, &mut others) => {}
                () = passed(&mut deadline) => {}
            }
        }
        flushed.left = self.left();
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let unsent = u32::try_from(memory.entries.len()).unwrap_or(u32::MAX);
        Outcome { flushed, stopped, lost: memory.lost + unsent, others: others.refused }
    }

    fn left(&self) -> u32 {
        self.own.as_ref().map_or(0, Session::waiting)
    }

    fn too_slow(&self) -> Error {
        Error::Unreachable {
            server: self.client.server().to_owned(),
            problem: "it took too long".to_owned(),
        }
    }

    async fn flush(&self, flushed: &mut Flushed) -> Result<(), Error> {
        match self.flush_once(flushed).await {
            Err(Error::Refused { status: 404, .. }) if self.project.is_some() => {
                if let Some(project) = &self.project {
                    self.client.put_project(project, project.as_str()).await?;
                }
                self.flush_once(flushed).await
            }
            result => result,
        }
    }

    async fn flush_once(&self, flushed: &mut Flushed) -> Result<(), Error> {
        if let Some(own) = &self.own {
            own.flush(&self.client, flushed).await?;
            if own.waiting() > 0 {
                // Another process is sending it, or something came meanwhile.
                return Ok(());
            }
        }
        loop {
            let first = {
                let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
                memory.entries.front().cloned()
            };
            let Some(entry) = first else { return Ok(()) };
            let (bytes, is_build) = (entry.body.len(), entry.method == "PUT");
            let mut is_refused = false;
            match entry.send(&self.client).await {
                Ok(_) => flushed.sent += 1,
                Err(error) if error.is_temporary() || error.is_of_access() => return Err(error),
                Err(error) => {
                    is_refused = is_build;
                    flushed.refused.push(error.to_string());
                }
            }
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.entries.pop_front();
            memory.bytes = memory.bytes.saturating_sub(bytes);
            if is_refused {
                memory.is_refused = true;
                memory.lost += u32::try_from(memory.entries.len()).unwrap_or(u32::MAX);
                memory.entries.clear();
                memory.bytes = 0;
            }
        }
    }
}

/// Returns once the deadline is said and has passed.
async fn passed(deadline: &mut watch::Receiver<Option<Instant>>) {
    loop {
        let said = *deadline.borrow_and_update();
        match said {
            Some(at) => return tokio::time::sleep_until(at).await,
            // Where nobody can say one any more, the process ends.
            None if deadline.changed().await.is_err() => return,
            None => {}
        }
    }
}
