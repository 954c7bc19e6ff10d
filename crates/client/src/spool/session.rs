//! The queue of one build: its requests, in order.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use devmason_domain::Digest;

use super::{
    ALIVE, About, CLOSED, Entry, Flushed, IDLE, INCOMPLETE, KEY_LIFETIME, OWNER, REFUSED, age,
    is_unlocked, read_entry, size, waiting_size, write_whole,
};
use crate::client::Client;
use crate::error::Error;
use crate::owner::Owner;
use crate::private;

/// A report in progress.
#[derive(Debug)]
pub struct Session {
    pub(super) dir: PathBuf,
    pub(super) limit: u64,
    pub(super) root: PathBuf,
    pub(super) about: About,
}

impl Session {
    /// The subject of the session.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Its name, by which another process can resume it.
    pub fn name(&self) -> String {
        self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The queued requests, in order.
    pub(super) fn entries(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "entry"))
            .collect();
        paths.sort();
        paths
    }

    /// The number of queued requests.
    pub fn waiting(&self) -> u32 {
        u32::try_from(self.entries().len()).unwrap_or(u32::MAX)
    }

    /// The size of queued requests in bytes.
    pub fn bytes(&self) -> u64 {
        size(&self.dir)
    }

    /// Drops it with everything still queued.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn discard(self) -> io::Result<()> {
        fs::remove_dir_all(&self.dir)
    }

    /// Whether nothing more can be added: the server refused the build, or has all of an ended one.
    pub fn is_over(&self) -> bool {
        !self.dir.exists()
    }

    /// Whether a request sent earlier ended the build.
    pub fn is_ended(&self) -> bool {
        self.dir.join("ended").exists()
    }

    /// A lock held by one process at a time, until it is dropped.
    pub(super) fn lock(&self, name: &str) -> io::Result<File> {
        let file = private::touch(&self.dir.join(name))?;
        file.lock()?;
        Ok(file)
    }

    /// Appends a request.
    ///
    /// # Errors
    /// The spool or the disk is full, or it cannot be written.
    pub fn push(&self, entry: &Entry) -> io::Result<()> {
        if !entry.is_of(&self.about) {
            let problem =
                format!("{} {} does not belong to this build", entry.method, entry.target);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let header = serde_json::to_vec(entry)?;
        let length = (header.len() + entry.body.len()) as u64;
        // The end of a build is short, and without it the build would run forever.
        let is_end = entry.method == "DELETE";
        if !is_end && waiting_size(&self.root).saturating_add(length) > self.limit {
            let problem =
                format!("the queue in {} is full; see --spool-bytes", self.root.display());
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, problem));
        }
        // Gives each of two processes that add requests at once its own number.
        let _lock = self.lock("number.lock")?;
        let numbered = self.dir.join("last");
        let last: u64 = match private::read(&numbered) {
            Ok(text) => String::from_utf8_lossy(&text).trim().parse().unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        let path = self.dir.join(format!("{:012}.entry", last + 1));
        write_whole(&numbered, &[(last + 1).to_string().as_bytes()])?;
        write_whole(&path, &[&header, b"\n", &entry.body])?;
        if is_end {
            // No one needs to end it any more.
            let _ = private::touch(&self.dir.join(CLOSED));
        }
        Ok(())
    }

    /// Sends the queued requests in order, up to the first temporary error. A request refused
    /// permanently is put aside; if it is the build itself, so are all others.
    ///
    /// # Errors
    /// Why it stopped: a temporary error, or the build was refused.
    pub async fn flush(&self, client: &Client, flushed: &mut Flushed) -> Result<(), Error> {
        let lock = private::touch(&self.dir.join("send.lock"));
        // If another process is currently sending it, that is enough.
        let Some(_lock) = lock.ok().filter(|lock| lock.try_lock().is_ok()) else { return Ok(()) };
        let mut paths = VecDeque::from(self.entries());
        while let Some(path) = paths.pop_front() {
            let mut entry = match read_entry(&path) {
                Ok(entry) if entry.is_of(&self.about) => entry,
                Ok(_) => {
                    self.put_aside(&path, "it does not belong to this build", flushed);
                    continue;
                }
                Err(problem) => {
                    self.put_aside(&path, &problem.to_string(), flushed);
                    continue;
                }
            };
            let is_end = entry.method == "DELETE";
            let is_build = entry.method == "PUT" && entry.of_step(&self.about).is_none();
            let tried = path.with_extension("tried");
            let is_old = age(&tried).is_some_and(|age| age > KEY_LIFETIME);
            if is_old && entry.key.is_some() && self.is_there(client, &entry).await? {
                self.forget(&path);
                continue;
            }
            // Records the first attempt: if the server accepted the request, it remembers its key from then on.
            if !tried.exists() {
                let _ = private::touch(&tried);
            }
            if is_build && self.about.create {
                self.register(client).await?;
            }
            if is_end && self.is_incomplete() {
                entry.body = end_of_incomplete(entry.body);
            }
            // Pieces of one log that wait go in few requests.
            let mut joined = Vec::new();
            while let Some(next) = paths.front() {
                match read_entry(next) {
                    Ok(next) if next.is_of(&self.about) && entry.is_followed_by(&next) => {
                        entry.join(&next);
                        joined.extend(paths.pop_front());
                    }
                    _ => break,
                }
            }
            let opens = entry.opens.clone();
            let entry = match self.addressed(entry) {
                Ok(entry) => entry,
                Err(problem) => {
                    for path in std::iter::once(&path).chain(&joined) {
                        self.put_aside(path, problem, flushed);
                    }
                    continue;
                }
            };
            match entry.send(client).await {
                Ok(answer) => {
                    if let Some(name) = opens {
                        self.opened(&name, answer.location.as_deref());
                    }
                    joined.iter().for_each(|path| self.forget(path));
                    flushed.sent += 1;
                    // Before the last request is removed, so that an ended session is cleaned up.
                    if is_end || (is_build && !self.is_open()) {
                        let _ = private::touch(&self.dir.join("ended"));
                    }
                    self.forget(&path);
                }
                Err(error) if error.is_temporary() => return Err(error),
                // A deleted build will not come back; access to a project may be granted.
                Err(error)
                    if error.is_of_access()
                        && (is_build || !self.is_gone(client, &error).await?) =>
                {
                    return Err(error);
                }
                Err(error) if is_build => {
                    flushed.refused.push(format!("{}: {error}", self.about.build));
                    self.put_all_aside(&error.to_string());
                    return Err(error);
                }
                Err(error) => {
                    for path in std::iter::once(&path).chain(&joined) {
                        self.put_aside(path, &error.to_string(), flushed);
                    }
                }
            }
        }
        if self.is_ended() && self.entries().is_empty() {
            let _ = fs::remove_dir_all(&self.dir);
        }
        Ok(())
    }

    /// A request with the number of the step that it concerns.
    ///
    /// # Errors
    /// The step was not opened.
    pub fn addressed(&self, entry: Entry) -> Result<Entry, &'static str> {
        let Some((name, _)) = entry.of_step(&self.about) else { return Ok(entry) };
        let name = name.to_owned();
        match self.number_of(&name) {
            Some(number) => Ok(entry.with_step(&name, number)),
            None => Err("its step was not opened"),
        }
    }

    fn number_of(&self, name: &str) -> Option<u32> {
        let text = private::read(&self.dir.join(format!("{name}.opened"))).ok()?;
        String::from_utf8(text).ok()?.trim().parse().ok()
    }

    /// Records the number of the step that the server opened.
    fn opened(&self, name: &str, location: Option<&str>) {
        let number = number_in(location);
        // If it cannot be written, what follows is put aside, and the build is no success.
        if let Some(number) = number {
            let _ = write_whole(
                &self.dir.join(format!("{name}.opened")),
                &[number.to_string().as_bytes()],
            );
        }
    }

    /// Whether more may come, as recorded at the beginning of the session.
    pub(super) fn is_open(&self) -> bool {
        self.dir.join("open").exists()
    }

    /// Records that more may follow, until the end is queued.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_open(&self) -> io::Result<()> {
        private::touch(&self.dir.join("open")).map(drop)
    }

    /// Marks a part of it as lost, so that the build is not shown as a success without it.
    pub fn mark_incomplete(&self) {
        // If the disk accepts nothing, the end cannot be queued either, and the build stays open.
        let _ = private::touch(&self.dir.join(INCOMPLETE));
    }

    /// Whether a part of it was lost or refused, or a process died during a step.
    pub fn is_incomplete(&self) -> bool {
        self.dir.join(INCOMPLETE).exists() || self.has_dead_step()
    }

    pub(super) fn has_dead_step(&self) -> bool {
        self.steps_begun().iter().any(|path| is_unlocked(path))
    }

    /// Records the owner that must be alive for more to come: the caller of the processes that each add
    /// a part.
    pub fn goes_on_with(&self, owner: &Owner) {
        // If it cannot be written, the build is ended after the idle time.
        if let Ok(text) = serde_json::to_vec(owner) {
            let _ = write_whole(&self.dir.join(OWNER), &[&text]);
        }
    }

    pub(super) fn owner(&self) -> Option<Owner> {
        serde_json::from_slice(&private::read(&self.dir.join(OWNER)).ok()?).ok()
    }

    /// The files that processes keep locked during a step.
    pub(super) fn steps_begun(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return Vec::new() };
        let paths = entries.flatten().map(|entry| entry.path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "step")).collect()
    }

    /// Records that this process has begun a step. If it dies, the build is not ended as if nothing had
    /// happened. The result must be passed to [`Self::end_step`].
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin_step(&self) -> io::Result<BegunStep> {
        let name = format!("{}.step", uuid::Uuid::new_v4());
        let lock = self.locked_from_the_first(&name)?;
        Ok(BegunStep { path: self.dir.join(name), _lock: lock })
    }

    /// The step has ended, successfully or not.
    pub fn end_step(&self, begun: BegunStep) {
        let _ = fs::remove_file(&begun.path);
    }

    /// Registers the project if it is missing.
    pub(super) async fn register(&self, client: &Client) -> Result<(), Error> {
        let Ok(slug) = self.about.project.parse() else { return Ok(()) };
        match client.project(&slug).await {
            Err(Error::Refused { status: 404, .. }) => {
                client.create_project(&slug, &self.about.project).await.map(drop)
            }
            // Any other problem will show with the build itself.
            _ => Ok(()),
        }
    }

    /// Removes a request from the queue.
    pub(super) fn forget(&self, path: &Path) {
        let _ = fs::remove_file(path);
        let _ = fs::remove_file(path.with_extension("tried"));
    }

    /// Whether the build was deleted: its project is accessible to this user, but the build does not
    /// exist.
    pub(super) async fn is_gone(&self, client: &Client, error: &Error) -> Result<bool, Error> {
        if error.status() != Some(404) {
            return Ok(false);
        }
        match client.get(&format!("/{}", self.about.project)).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_of_access() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Records that this process continues the session while the returned file is open: if it dies,
    /// another one ends the build as failed.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_alive(&self) -> io::Result<File> {
        self.locked_from_the_first(ALIVE)
    }

    /// Creates a file that is locked before it becomes visible: if it is unlocked, its process is dead.
    pub(super) fn locked_from_the_first(&self, name: &str) -> io::Result<File> {
        let fresh = format!("{name}.{}", uuid::Uuid::new_v4());
        let locked = self.lock(&fresh)?;
        fs::rename(self.dir.join(fresh), self.dir.join(name))?;
        Ok(locked)
    }

    /// Whether no living process would add more.
    pub(super) fn is_dead(&self) -> bool {
        let steps = self.steps_begun();
        if steps.iter().any(|path| !is_unlocked(path)) {
            return false;
        }
        let is_idle = self.waiting() == 0 && age(&self.dir).is_some_and(|age| age > IDLE);
        is_unlocked(&self.dir.join(ALIVE))
            || !steps.is_empty()
            || self.owner().is_some_and(|owner| owner.is_dead())
            || (is_idle && self.is_open())
    }

    pub(super) fn end_for_the_dead(&self) {
        let is_begun = self.dir.join("last").exists();
        let is_closed = self.dir.join(CLOSED).exists() || self.is_ended();
        if is_begun && !is_closed && self.is_dead() {
            let end = Entry {
                opens: None,
                piece: None,
                method: "DELETE".to_owned(),
                target: format!("{}/progress", self.about.build),
                key: None,
                media_type: "application/json".to_owned(),
                body: br#"{"success":false}"#.to_vec(),
            };
            // If it cannot be written, the next process tries again.
            let _ = self.push(&end);
        }
    }

    /// Whether the server has a step whose key it may have forgotten: a build's receipts contain the
    /// digests of all uploads. Only this session adds to its build.
    pub(super) async fn is_there(&self, client: &Client, entry: &Entry) -> Result<bool, Error> {
        let digest = Digest::of(&entry.body).to_string();
        match client.get(&format!("{}/receipt", self.about.build)).await {
            Ok(receipt) => {
                let mut uploads = receipt.list("uploads").into_iter();
                Ok(uploads
                    .any(|upload| upload.text("digest").strip_prefix("sha256:") == Some(&digest)))
            }
            Err(Error::Refused { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn put_aside(&self, path: &Path, problem: &str, flushed: &mut Flushed) {
        flushed.refused.push(format!("{}: {problem}", self.about.build));
        let refused = self.root.join(REFUSED);
        let to = refused.join(self.name());
        let _ = private::dir(&refused).and_then(|()| private::dir(&to)).and_then(|()| {
            let name = path.file_name().unwrap_or_default();
            write_whole(&to.join(name).with_extension("reason"), &[problem.as_bytes()])?;
            fs::rename(path, to.join(name))
        });
        // Moved or not: it would only be refused again.
        self.forget(path);
        self.mark_incomplete();
        self.drop_oldest_refused();
    }

    pub(super) fn put_all_aside(&self, problem: &str) {
        let to = self.root.join(REFUSED);
        let _ = write_whole(&self.dir.join("reason"), &[problem.as_bytes()]);
        let moved = private::dir(&to).and_then(|()| fs::rename(&self.dir, to.join(self.name())));
        if moved.is_err() {
            let _ = fs::remove_dir_all(&self.dir);
        }
        self.drop_oldest_refused();
    }

    /// Keeps refused requests for inspection, as far as there is room.
    pub(super) fn drop_oldest_refused(&self) {
        let refused = self.root.join(REFUSED);
        // Through a link, another user's files would be dropped.
        let own = private::own_dir(&refused).and_then(|()| fs::read_dir(&refused));
        let Ok(entries) = own else { return };
        // Their names begin with the time.
        let mut sessions: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        sessions.sort();
        let own = self.name();
        for session in sessions.iter().filter(|path| !path.ends_with(&own)) {
            if size(&refused) <= self.limit {
                break;
            }
            let _ = fs::remove_dir_all(session);
        }
    }

    /// Removes a session that never got as far as its first request.
    pub(super) fn forget_if_never_begun(&self) {
        let is_begun = self.dir.join("last").exists();
        if !is_begun && age(&self.dir).is_some_and(|age| age > IDLE) {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// The end of a build with a missing part: it did not succeed, whatever its steps say, unless the
/// reporting process gave a result explicitly.
pub fn end_of_incomplete(body: Vec<u8>) -> Vec<u8> {
    match serde_json::from_slice::<serde_json::Value>(&body) {
        Ok(end) if end.get("success").is_some_and(|said| !said.is_null()) => body,
        _ => br#"{"success":false}"#.to_vec(),
    }
}

/// A step that a process has begun and not yet ended.
#[derive(Debug)]
pub struct BegunStep {
    pub(super) path: PathBuf,
    pub(super) _lock: File,
}

/// The number of the step at the end of a location.
pub fn number_in(location: Option<&str>) -> Option<u32> {
    location?.rsplit_once("/steps/")?.1.parse().ok()
}
