//! The thread that sends what is queued.

use std::sync::Arc;
use std::time::Duration;

use devmason_client::{
    Client, Entry, Error, Flushed, Session, Spool, end_of_incomplete, number_in,
};
use tokio::sync::watch;
use tokio::time::Instant;

use super::memory::Shared;

/// The pauses between attempts, from the first to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

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

/// The sending thread.
pub(super) struct Sender {
    pub(super) client: Client,
    /// The project to register if it is missing.
    pub(super) project: Option<devmason_domain::Slug>,
    pub(super) own: Option<Session>,
    pub(super) spool: Option<Spool>,
    pub(super) shared: Arc<Shared>,
    pub(super) deadline: watch::Receiver<Option<Instant>>,
}

impl Sender {
    pub(super) async fn run(self) -> Outcome {
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

    /// A request in memory, with the number of the step that it concerns. That step may have been opened
    /// from the spool.
    fn addressed(&self, mut entry: Entry) -> Result<Entry, &'static str> {
        let opened = self.shared.memory().opened.clone();
        for (name, number) in opened {
            if entry.target.contains(&name) {
                entry.target = entry.target.replacen(&name, &number.to_string(), 1);
                return Ok(entry);
            }
        }
        self.own.as_ref().map_or(Ok(entry.clone()), |own| own.addressed(entry))
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
            let (bytes, opens) = (entry.body.len(), entry.opens.clone());
            let is_build = entry.method == "PUT" && !entry.target.contains("/steps/");
            if is_incomplete && entry.method == "DELETE" {
                entry.body = end_of_incomplete(entry.body);
            }
            let mut refused = None;
            let sent = match self.addressed(entry) {
                Ok(entry) => entry.send(&self.client).await,
                Err(problem) => Err(Error::Invalid(problem.to_owned())),
            };
            match sent {
                Ok(answer) => {
                    if let (Some(name), Some(number)) =
                        (opens, number_in(answer.location.as_deref()))
                    {
                        self.shared.memory().opened.insert(name, number);
                    }
                    flushed.sent += 1;
                }
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
