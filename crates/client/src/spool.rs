//! Queues reports on disk until the server has them.
//!
//! A report is a session: a build with an id chosen by the client, and requests to be sent in
//! order. Each request is a file, written atomically, and removed when the server has it. However
//! the client ends, the next one resumes. Sent twice, every request is stored once: the build is
//! PUT under its own id, a step has an `Idempotency-Key`, and a second end has no effect.

mod session;

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use devmason_domain::{BuildKey, Slug};
use devmason_hypermedia::Resource;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::{Answer, Body, Client, Content, Outgoing};
use crate::error::Error;
use crate::private;

pub use session::{BegunStep, Session, end_of_incomplete, number_in};

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

/// The maximum size in bytes of a piece of a log that is joined from several.
const JOINED: u64 = 1 << 20;

/// The same for its body, where each character may be escaped.
const JOINED_BODY: usize = 4 << 20;

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

/// A request of a session. The number of a step that it concerns is not known before the step is
/// opened; until then the path has the step's name, a UUID.
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
    /// The name by which later requests know the step that this one opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens: Option<String>,
    /// Of a piece of a log: the bytes before it, and its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub piece: Option<(u64, u64)>,
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
        let of_step = self.of_step(about);
        if self.opens.as_ref().is_some_and(|name| !is_name(name)) {
            return false;
        }
        match (self.method.as_str(), &self.key) {
            ("PUT", None) if of_step.is_some_and(|(_, is_log)| !is_log) => is_json,
            ("POST", None) if of_step.is_some_and(|(_, is_log)| is_log) => {
                is_json && self.piece.is_some()
            }
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

    /// The name of the step that it concerns, and whether it concerns the step's log.
    fn of_step<'a>(&'a self, about: &About) -> Option<(&'a str, bool)> {
        let rest = self.target.strip_prefix(&about.build)?.strip_prefix("/steps/")?;
        let (name, is_log) = match rest.strip_suffix("/log") {
            Some(name) => (name, true),
            None => (rest, false),
        };
        is_name(name).then_some((name, is_log))
    }

    /// Whether another piece follows this one in the same log, so that one request can send both.
    fn is_followed_by(&self, other: &Self) -> bool {
        let (Some((start, length)), Some((next, more))) = (self.piece, other.piece) else {
            return false;
        };
        self.target == other.target
            && start + length == next
            && length + more <= JOINED
            && self.body.len() + other.body.len() <= JOINED_BODY
    }

    /// Adds the piece that follows. Both bodies are arrays.
    fn join(&mut self, other: &Self) {
        let inner = |body: &[u8]| {
            let body = body.trim_ascii();
            body.strip_prefix(b"[").and_then(|body| body.strip_suffix(b"]")).map(<[u8]>::to_vec)
        };
        let (Some(one), Some(two)) = (inner(&self.body), inner(&other.body)) else { return };
        let parts: Vec<Vec<u8>> =
            [one, two].into_iter().filter(|part| !part.trim_ascii().is_empty()).collect();
        self.body = [b"[".as_slice(), &parts.join(&b','), b"]"].concat();
        self.piece = match (self.piece, other.piece) {
            (Some((start, length)), Some((_, more))) => Some((start, length + more)),
            (piece, _) => piece,
        };
    }

    /// The same request, to the step that has this number.
    fn with_step(mut self, name: &str, number: u32) -> Self {
        self.target = self.target.replacen(name, &number.to_string(), 1);
        self
    }

    fn outgoing(self) -> Outgoing {
        let method = Method::from_bytes(self.method.as_bytes()).unwrap_or(Method::GET);
        let content = Content { media_type: self.media_type, body: Body::Bytes(self.body) };
        let new = Outgoing::new(method, self.target);
        let offset = self.piece.map(|(offset, _)| offset);
        Outgoing { key: self.key, offset, content: Some(content), ..new }
    }

    /// Sends it; a response that a devmason server would not give counts as no response.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn send(self, client: &Client) -> Result<Answer, Error> {
        let is_end = self.method == "DELETE";
        let is_piece = self.piece.is_some();
        let is_step = self.method == "PUT" && self.target.contains("/steps/");
        let again = self.clone();
        match client.send(&self.outgoing()).await {
            Ok(answer) if answer.location.is_some() => Ok(answer),
            Ok(answer) if is_piece && answer.status == 204 => Ok(answer),
            Ok(answer) if is_step && answer.document().is_ok() => Ok(answer),
            // An earlier piece was lost: this one follows what there is.
            Err(Error::Refused { status: 409, payload, .. })
                if again
                    .piece
                    .zip(payload.get("upload_offset").and_then(Value::as_u64))
                    .is_some_and(|((offset, _), end)| end < offset) =>
            {
                let end = payload.get("upload_offset").and_then(Value::as_u64).unwrap_or(0);
                let piece = again.piece.map(|(_, length)| (end, length));
                client.send(&Self { piece, ..again }.outgoing()).await
            }
            Ok(answer) => {
                Err(Error::Garbage(format!("status {} without a Location header", answer.status)))
            }
            // It was ended by an attempt whose response was lost.
            Err(Error::Refused { status: 410, .. }) if is_end => {
                Ok(Answer { status: 204, location: None, etag: None, body: Vec::new() })
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a text is the name of a step.
fn is_name(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok_and(|id| id.to_string() == text)
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
mod behaviour;
