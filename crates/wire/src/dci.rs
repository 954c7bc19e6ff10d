//! What DCI's agents send: jobs, their states, files, and key-value pairs.
//!
//! Each request is an [`Event`] of its job. [`derive()`] makes the build of all of them, and
//! [`Job`] what the agents are told of it.

mod derive;
mod job;

use devmason_domain::{Digest, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use derive::derive;
pub use job::{File, Job, State, members};

use crate::WireError;
use crate::json::lenient;

/// The name of the protocol.
pub const PROTOCOL: &str = "dci";

/// The states that a job may be in: a job starts in the first, and ends in one of the last four.
pub const STATES: [&str; 8] =
    ["new", "pre-run", "running", "post-run", "success", "failure", "error", "killed"];

/// The longest text that is said of a job, and what is said of it at once, in bytes.
pub const TEXT: usize = 64 << 10;

/// The longest key of a number, in bytes.
pub const KEY: usize = 255;

/// The most test cases of a job. Its reports are read again whenever something is said of it.
pub const CASES: usize = 100_000;

/// Whether a job ends in this state.
pub fn is_last(status: &str) -> bool {
    STATES.iter().position(|known| *known == status).is_some_and(|at| at >= 4)
}

/// What a request says of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The job begins, or something is said of it later. A value of null takes back what was said.
    Job(Map<String, Value>, At),
    /// It enters a state.
    State(Entered, At),
    /// A file of the job, or of one of its states.
    File(Sent, At),
    /// A number under a name; null takes it back.
    Number(String, Value, At),
}

/// When a request was received, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct At(pub i64);

impl From<Timestamp> for At {
    fn from(at: Timestamp) -> Self {
        Self(at.micros())
    }
}

impl At {
    fn time(self, otherwise: Timestamp) -> Timestamp {
        Timestamp::from_parts(self.0, 0).unwrap_or(otherwise)
    }
}

/// A state that a job enters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entered {
    /// Which of [`STATES`].
    pub status: String,
    /// What is said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// A file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sent {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub mime: String,
    /// The number of the event with the state that it belongs to, if it belongs to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<usize>,
    /// What it says; `None` if it is no text, which is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of its bytes, in hexadecimal digits.
    pub sha256: String,
}

impl Sent {
    /// A file with these bytes.
    pub fn new(name: &str, mime: &str, state: Option<usize>, body: &[u8]) -> Self {
        let mime = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        // NUL has no place in a text of a database, and a text file has none.
        let text = std::str::from_utf8(body).ok().filter(|text| !text.contains('\0'));
        Self {
            name: name.to_owned(),
            mime,
            state,
            text: text.map(str::to_owned),
            size: body.len() as u64,
            sha256: Digest::of(body).to_string(),
        }
    }

    /// Whether it is a report of tests.
    pub fn is_report(&self) -> bool {
        self.mime == "application/junit"
    }
}

/// The number of test cases in a report, if it can be read.
pub fn count(report: &[u8]) -> usize {
    let mut counted = derive::Bounded::default();
    let _ = devmason_reports::read_slice(devmason_reports::Format::Junit, report, &mut counted);
    counted.cases
}

/// Reads the object in a request.
///
/// # Errors
/// The body is no JSON object.
pub fn object(body: &[u8]) -> Result<Map<String, Value>, WireError> {
    match lenient(body)? {
        Value::Object(members) => Ok(members),
        _ => Err(WireError::bad("body", "must be a JSON object")),
    }
}

/// A text in a request; numbers count as texts.
///
/// # Errors
/// It is missing, empty, or no text.
pub fn text(said: &Map<String, Value>, name: &'static str) -> Result<String, WireError> {
    match said.get(name) {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        None | Some(Value::Null | Value::String(_)) => Err(WireError::bad(name, "is missing")),
        Some(_) => Err(WireError::bad(name, "must be a string")),
    }
}

/// Reads the state that a job enters.
///
/// # Errors
/// There is no such state.
pub fn entered(said: &Map<String, Value>) -> Result<Entered, WireError> {
    let status = text(said, "status")?;
    if !STATES.contains(&status.as_str()) {
        let problem = format!("must be one of: {}", STATES.join(", "));
        return Err(WireError::bad("status", problem));
    }
    let comment = match said.get("comment") {
        None | Some(Value::Null) => None,
        Some(Value::String(comment)) if comment.len() <= TEXT => Some(comment.clone()),
        Some(_) => {
            let problem = format!("must be a text of at most {TEXT} bytes");
            return Err(WireError::bad("comment", problem));
        }
    };
    Ok(Entered { status, comment })
}
