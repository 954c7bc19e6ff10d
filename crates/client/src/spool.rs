//! Queues reports on disk until the server has them.
//!
//! A report is a session: a build with an id chosen by the client, and requests to be sent in
//! order. Each request is a file, written atomically, and removed when the server has it. However
//! the client ends, the next one resumes. Sent twice, every request is stored once: the build is
//! PUT under its own id, a step has an `Idempotency-Key`, and a second end has no effect.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use devmason_domain::{BuildKey, Digest, Slug};
use devmason_hypermedia::Resource;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::client::{Answer, Body, Client, Content, Outgoing};
use crate::error::Error;
use crate::owner::Owner;
use crate::private;

/// A session idle for this long is ended as failed, whoever began it.
const IDLE: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long the server remembers an `Idempotency-Key`, less one hour.
const KEY_LIFETIME: Duration = Duration::from_secs(23 * 3600);

/// The name of the file that a process keeps locked while it continues a session.
const ALIVE: &str = "alive.lock";

/// The name of the file that identifies the process that must be alive for more to come.
const OWNER: &str = "owner.json";

/// The name of the file that marks the end as queued.
const CLOSED: &str = "closed";

/// The name of the directory for refused requests.
const REFUSED: &str = "refused";

/// The name of the file that marks a session as having lost a part.
const INCOMPLETE: &str = "incomplete";

/// A private directory of queued reports.
#[derive(Debug, Clone)]
pub struct Spool {
    dir: PathBuf,
    limit: u64,
}

/// The subject of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The server's URL.
    pub server: String,
    /// The project.
    pub project: String,
    /// The build's path within the server.
    pub build: String,
    /// The user who reports it; anonymous if absent.
    #[serde(default)]
    pub user: Option<String>,
    /// Whether to register the project if it is missing.
    #[serde(default)]
    pub create: bool,
}

/// A request of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `PUT` of the build, `POST` of a step, or `DELETE` of the progress.
    pub method: String,
    /// Its path within the server, with its query.
    pub target: String,
    /// Its `Idempotency-Key`, if needed.
    pub key: Option<String>,
    /// The media type of its body.
    pub media_type: String,
    /// Its body.
    #[serde(skip)]
    pub body: Vec<u8>,
}

impl About {
    /// Whether it is a valid build of the project: the file may have been written by another program.
    fn is_sound(&self) -> bool {
        match (self.project.parse::<Slug>(), self.id().parse::<BuildKey>()) {
            (Ok(project), Ok(key)) => Resource::Build(project, key).path() == self.build,
            _ => false,
        }
    }
}

impl About {
    /// The build's URL.
    pub fn url(&self) -> String {
        format!("{}{}", self.server, self.build)
    }

    /// The build's id.
    pub fn id(&self) -> &str {
        self.build.rsplit('/').next().unwrap_or_default()
    }
}

impl Entry {
    /// Whether it is a valid request for this build: its document or report files, a step, or its end.
    /// Nothing else is sent with the user's password, whoever wrote it.
    fn is_of(&self, about: &About) -> bool {
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (self.target.as_str(), None),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%=&".contains(&byte);
        let is_plain = query.is_none_or(|query| query.bytes().all(plain));
        let is_json = self.media_type == "application/json";
        let is_file =
            matches!(self.media_type.as_str(), "application/octet-stream" | "application/x-tar");
        let is_progress = path.strip_suffix("/progress") == Some(&about.build);
        match (self.method.as_str(), &self.key) {
            ("PUT", None) => {
                path == about.build && is_plain && (is_file || is_json && query.is_none())
            }
            ("POST", Some(key)) => {
                let is_key = (1..=255).contains(&key.len())
                    && key.bytes().all(|byte| matches!(byte, b' '..=b'~'));
                is_progress && is_plain && is_key && (is_file || is_json)
            }
            ("DELETE", None) => is_progress && is_json && query.is_none(),
            _ => false,
        }
    }

    fn outgoing(self) -> Outgoing {
        let method = Method::from_bytes(self.method.as_bytes()).unwrap_or(Method::GET);
        let content = Content { media_type: self.media_type, body: Body::Bytes(self.body) };
        let new = Outgoing::new(method, self.target);
        Outgoing { key: self.key, content: Some(content), ..new }
    }

    /// Sends it; a response that a devmason server would not give counts as no response.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn send(self, client: &Client) -> Result<Answer, Error> {
        let is_end = self.method == "DELETE";
        match client.send(&self.outgoing()).await {
            Ok(answer) if answer.location.is_some() => Ok(answer),
            Ok(answer) => {
                Err(Error::Garbage(format!("status {} without a Location header", answer.status)))
            }
            // It was ended by an attempt whose response was lost.
            Err(Error::Refused { status: 410, .. }) if is_end => {
                Ok(Answer { status: 204, location: None, body: Vec::new() })
            }
            Err(error) => Err(error),
        }
    }
}

/// A report in progress.
#[derive(Debug)]
pub struct Session {
    dir: PathBuf,
    limit: u64,
    root: PathBuf,
    about: About,
}

/// The outcome of sending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flushed {
    /// The number of requests sent.
    pub sent: u32,
    /// Messages about requests that were refused permanently and put aside.
    pub refused: Vec<String>,
    /// The number of requests still queued.
    pub left: u32,
}

impl Flushed {
    /// Adds another outcome.
    pub fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.refused.extend(other.refused);
        self.left += other.left;
    }
}

/// Writes a file atomically.
fn write_whole(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    private::whole(path, |file| parts.iter().try_for_each(|part| file.write_all(part)))
}

/// The total size in bytes of queued requests.
fn waiting_size(root: &Path) -> u64 {
    size_without(root, Some(REFUSED))
}

/// The total size in bytes of a directory's files.
fn size(dir: &Path) -> u64 {
    size_without(dir, None)
}

fn size_without(dir: &Path, left_out: Option<&str>) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .filter(|entry| left_out.is_none_or(|name| entry.file_name() != name))
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

impl Spool {
    /// Opens the spool in that directory, created if missing. `limit` applies to queued bytes, and
    /// separately to refused requests, of which the newest are kept.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn open(dir: &Path, limit: u64) -> io::Result<Self> {
        private::dir(dir)?;
        Ok(Self { dir: dir.to_owned(), limit })
    }

    /// Its location.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Begins a session.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(&self, about: About) -> io::Result<Session> {
        let dir = self.dir.join(devmason_domain::fresh_uuid().to_string());
        private::dir(&dir)?;
        let session = Session { dir, limit: self.limit, root: self.dir.clone(), about };
        let text = serde_json::to_vec(&session.about)?;
        if let Err(error) = write_whole(&session.dir.join("about.json"), &[&text]) {
            let _ = fs::remove_dir_all(&session.dir);
            return Err(error);
        }
        Ok(session)
    }

    /// The session with that name.
    ///
    /// # Errors
    /// It does not exist, or cannot be read.
    pub fn session(&self, name: &str) -> io::Result<Session> {
        let name = uuid::Uuid::try_parse(name)
            .map_err(|_| io::Error::new(io::ErrorKind::NotFound, "invalid session name"))?;
        let dir = self.dir.join(name.to_string());
        private::own_dir(&dir)?;
        let about: About = serde_json::from_slice(&private::read(&dir.join("about.json"))?)?;
        if !about.is_sound() {
            let problem = "not from a build queued by this command";
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        Ok(Session { dir, limit: self.limit, root: self.dir.clone(), about })
    }

    /// The session of a build with that id: the newest for that server and project, otherwise of
    /// another one. Builds of several projects may have the same id.
    pub fn session_of(&self, server: &str, project: Option<&str>, id: &str) -> Option<Session> {
        let mut sessions = self.sessions();
        sessions.retain(|session| session.about.id() == id);
        sessions.sort_by_key(|Session { about, .. }| {
            (about.server == server, project == Some(about.project.as_str()))
        });
        sessions.pop()
    }

    /// All sessions, oldest first.
    pub fn sessions(&self) -> Vec<Session> {
        self.names().iter().filter_map(|name| self.session(name).ok()).collect()
    }

    fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// Sends the sessions of a client's server and user, oldest first, until one gets no response or is
    /// told to retry later. A problem with a single session does not block the others. Builds of dead
    /// processes are ended as failed; the one that this process itself continues, if any, is not.
    ///
    /// # Errors
    /// The first temporary error.
    pub async fn flush(
        &self,
        client: &Client,
        own: Option<&Session>,
        flushed: &mut Flushed,
    ) -> Result<(), Error> {
        let mut first = Ok(());
        let mut goes_on = true;
        for name in self.names() {
            let session = match self.session(&name) {
                Ok(session) => session,
                // Another user can access it, or it was tampered with.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidData
                    ) =>
                {
                    flushed.refused.push(format!("{}: {error}", self.dir.join(name).display()));
                    continue;
                }
                // It is not a session, or is gone by now.
                Err(_) => continue,
            };
            // A report is sent only with the credentials of the user who reported it.
            let about = &session.about;
            if about.server != client.server() || about.user.as_deref() != client.user() {
                continue;
            }
            if goes_on {
                if own.is_none_or(|own| own.dir != session.dir) {
                    session.end_for_the_dead();
                }
                match session.flush(client, flushed).await {
                    // The build was refused, which has been reported.
                    Err(error) if !error.is_temporary() && !error.is_of_access() => {}
                    // This user may have access to another project.
                    Err(error) if error.is_of_access() => {
                        flushed.refused.push(format!("{}: {error}", session.about.build));
                    }
                    Err(error) => {
                        goes_on = !error.is_of_server();
                        first = first.and(Err(error));
                    }
                    Ok(()) => {}
                }
                session.forget_if_never_begun();
            }
            flushed.left += session.waiting();
        }
        first
    }
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
    fn entries(&self) -> Vec<PathBuf> {
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
    fn lock(&self, name: &str) -> io::Result<File> {
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
        for path in self.entries() {
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
            let is_build = entry.method == "PUT";
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
            match entry.send(client).await {
                Ok(_) => {
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
                Err(error) => self.put_aside(&path, &error.to_string(), flushed),
            }
        }
        if self.is_ended() && self.entries().is_empty() {
            let _ = fs::remove_dir_all(&self.dir);
        }
        Ok(())
    }

    /// Whether more may come, as recorded at the beginning of the session.
    fn is_open(&self) -> bool {
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

    fn has_dead_step(&self) -> bool {
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

    fn owner(&self) -> Option<Owner> {
        serde_json::from_slice(&private::read(&self.dir.join(OWNER)).ok()?).ok()
    }

    /// The files that processes keep locked during a step.
    fn steps_begun(&self) -> Vec<PathBuf> {
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
    async fn register(&self, client: &Client) -> Result<(), Error> {
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
    fn forget(&self, path: &Path) {
        let _ = fs::remove_file(path);
        let _ = fs::remove_file(path.with_extension("tried"));
    }

    /// Whether the build was deleted: its project is accessible to this user, but the build does not
    /// exist.
    async fn is_gone(&self, client: &Client, error: &Error) -> Result<bool, Error> {
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
    fn locked_from_the_first(&self, name: &str) -> io::Result<File> {
        let fresh = format!("{name}.{}", uuid::Uuid::new_v4());
        let locked = self.lock(&fresh)?;
        fs::rename(self.dir.join(fresh), self.dir.join(name))?;
        Ok(locked)
    }

    /// Whether no living process would add more.
    fn is_dead(&self) -> bool {
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

    fn end_for_the_dead(&self) {
        let is_begun = self.dir.join("last").exists();
        let is_closed = self.dir.join(CLOSED).exists() || self.is_ended();
        if is_begun && !is_closed && self.is_dead() {
            let end = Entry {
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
    async fn is_there(&self, client: &Client, entry: &Entry) -> Result<bool, Error> {
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

    fn put_aside(&self, path: &Path, problem: &str, flushed: &mut Flushed) {
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

    fn put_all_aside(&self, problem: &str) {
        let to = self.root.join(REFUSED);
        let _ = write_whole(&self.dir.join("reason"), &[problem.as_bytes()]);
        let moved = private::dir(&to).and_then(|()| fs::rename(&self.dir, to.join(self.name())));
        if moved.is_err() {
            let _ = fs::remove_dir_all(&self.dir);
        }
        self.drop_oldest_refused();
    }

    /// Keeps refused requests for inspection, as far as there is room.
    fn drop_oldest_refused(&self) {
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
    fn forget_if_never_begun(&self) {
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
    path: PathBuf,
    _lock: File,
}

/// Whether the process that kept a file locked is gone.
fn is_unlocked(path: &Path) -> bool {
    private::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

fn age(path: &Path) -> Option<Duration> {
    SystemTime::now().duration_since(fs::metadata(path).ok()?.modified().ok()?).ok()
}

fn read_entry(path: &Path) -> io::Result<Entry> {
    let mut reader = BufReader::new(private::open(path)?);
    let mut header = Vec::new();
    reader.read_until(b'\n', &mut header)?;
    let mut entry: Entry = serde_json::from_slice(&header)?;
    reader.read_to_end(&mut entry.body)?;
    Ok(entry)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn about() -> About {
        About {
            server: "http://127.0.0.1:9".to_owned(),
            project: "p".to_owned(),
            build: "/p/builds/1".to_owned(),
            create: false,
            user: None,
        }
    }

    fn entry(body: &str) -> Entry {
        Entry {
            method: "POST".to_owned(),
            target: "/p/builds/1/progress".to_owned(),
            key: Some("k".to_owned()),
            media_type: "application/json".to_owned(),
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn what_is_pushed_is_there_in_order_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(&dir.path().join("a/b"), 10_000).unwrap();
        let session = spool.begin(about()).unwrap();
        for body in ["one\ntwo", "", "three"] {
            session.push(&entry(body)).unwrap();
        }
        let again = spool.session(&session.name()).unwrap();
        assert_eq!(again.about(), &about());
        let read: Vec<_> = again.entries().iter().map(|path| read_entry(path).unwrap()).collect();
        assert_eq!(read, [entry("one\ntwo"), entry(""), entry("three")]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(spool.dir()), mode(&again.entries()[0])), (0o700, 0o600));
        assert_eq!(spool.sessions().len(), 1);
    }

    #[test]
    fn a_full_spool_takes_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), 1_000).unwrap();
        let session = spool.begin(about()).unwrap();
        session.push(&entry(&"x".repeat(400))).unwrap();
        let error = session.push(&entry(&"x".repeat(400))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
        assert_eq!(session.waiting(), 1);
    }

    #[test]
    fn names_lead_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), 1_000).unwrap();
        assert!(spool.session("../../etc").is_err());
        assert!(spool.session("0").is_err());
    }

    #[test]
    fn what_was_refused_takes_no_room_from_what_waits_and_has_a_bound_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), 1_000).unwrap();
        for _ in 0..5 {
            let session = spool.begin(about()).unwrap();
            session.push(&entry(&"x".repeat(400))).unwrap();
            session.put_all_aside("it is bad");
        }
        assert!(size(&dir.path().join(REFUSED)) <= 1_000);
        assert_eq!(fs::read_dir(dir.path().join(REFUSED)).unwrap().count(), 1);
    }

    #[test]
    fn a_process_is_not_taken_for_dead_before_it_has_begun() {
        let dir = tempfile::tempdir().unwrap();
        let session = Spool::open(dir.path(), 1_000).unwrap().begin(about()).unwrap();
        let alive = session.keep_alive().unwrap();
        session.end_for_the_dead();
        drop(alive);
        session.end_for_the_dead();
        assert_eq!(session.waiting(), 0);
        let alive = session.keep_alive().unwrap();
        session.push(&entry("x")).unwrap();
        session.end_for_the_dead();
        assert_eq!(session.waiting(), 1);
        drop(alive);
        // However full the spool is.
        let full = Session { limit: 0, ..session };
        full.end_for_the_dead();
        full.end_for_the_dead();
        assert_eq!(full.waiting(), 2);
    }

    #[test]
    fn a_build_that_a_part_is_missing_of_did_not_succeed_unless_somebody_says_so() {
        let end =
            |body: &str| String::from_utf8(end_of_incomplete(body.as_bytes().to_vec())).unwrap();
        assert_eq!(end(r#"{"success":null}"#), r#"{"success":false}"#);
        assert_eq!(end(r#"{"success":true}"#), r#"{"success":true}"#);
    }

    #[test]
    fn many_processes_add_to_one_session_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), 1 << 20).unwrap();
        let name = spool.begin(about()).unwrap().name();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let session = spool.session(&name).unwrap();
                    (0..10).for_each(|_| session.push(&entry("x")).unwrap());
                });
            }
        });
        assert_eq!(spool.session(&name).unwrap().waiting(), 80);
    }

    #[test]
    fn an_entry_names_only_what_is_queued_for_its_build() {
        let dir = tempfile::tempdir().unwrap();
        let session = Spool::open(dir.path(), 1 << 20).unwrap().begin(about()).unwrap();
        let of = |method: &str, target: &str, key: Option<&str>, media_type: &str| Entry {
            method: method.to_owned(),
            target: target.to_owned(),
            key: key.map(str::to_owned),
            media_type: media_type.to_owned(),
            body: b"{}".to_vec(),
        };
        let json = "application/json";
        for good in [
            of("PUT", "/p/builds/1", None, json),
            of(
                "PUT",
                "/p/builds/1?tag=a%2Db&client.ci=github&name=x%2Exml",
                None,
                "application/x-tar",
            ),
            of("POST", "/p/builds/1/progress", Some("k"), json),
            of("POST", "/p/builds/1/progress?name=x", Some("k"), "application/octet-stream"),
            of("DELETE", "/p/builds/1/progress", None, json),
        ] {
            session.push(&good).unwrap();
        }
        for bad in [
            of("DELETE", "/p", None, json),
            of("DELETE", "/p/builds/1", None, json),
            of("DELETE", "/p/builds/2/progress", None, json),
            of("DELETE", "http://127.0.0.1:9/p", None, json),
            of("PUT", "/p/builds/1/../../q", None, json),
            of("PUT", "/p/builds/1?a/b", None, "application/x-tar"),
            of("POST", "/p/builds/1/progress", Some("a\nb"), json),
            of("PATCH", "/p/builds/1", None, json),
        ] {
            let error = session.push(&bad).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{bad:?}");
        }
        let elsewhere = About { build: "/q/builds/1".to_owned(), ..about() };
        assert!(about().is_sound() && !elsewhere.is_sound());
    }

    #[test]
    fn a_spool_is_its_owners_alone_and_leads_nowhere_else() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("spool");
        let spool = Spool::open(&root, 1 << 20).unwrap();
        let session = spool.begin(about()).unwrap();
        session.push(&entry("x")).unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        for name in ["number.lock", "send.lock", "last", "open", "ended", INCOMPLETE] {
            let _ = fs::remove_file(session.dir.join(name));
            symlink(&victim, session.dir.join(name)).unwrap();
        }
        assert!(session.push(&entry("y")).is_err() && session.keep_open().is_err());
        session.mark_incomplete();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        let link = dir.path().join("link");
        symlink(&root, &link).unwrap();
        assert!(Spool::open(&link, 1).is_err());
        let mode = |mode| fs::set_permissions(&root, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o777);
        assert!(Spool::open(&root, 1).is_err());
        mode(0o755);
        assert!(Spool::open(&root, 1).is_ok());
        assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
        let path = &session.entries()[0];
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read_entry(path).is_err());
    }
}
