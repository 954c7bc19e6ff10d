//! What a job is, after all that was said of it.

use std::collections::{BTreeMap, BTreeSet};

use devmason_domain::{Digest, Timestamp};
use serde_json::{Map, Value, json};

use super::{At, Entered, Event, Sent};

/// A job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Job {
    /// What was said of it, the last value of each member.
    pub said: Map<String, Value>,
    /// Numbers by their names.
    pub numbers: BTreeMap<String, Value>,
    /// The names whose numbers were taken back.
    pub forgotten: BTreeSet<String>,
    /// The states that it entered, in order.
    pub states: Vec<State>,
    /// Its files, in order.
    pub files: Vec<File>,
    events: usize,
    times: Option<(At, At)>,
}

/// A state that a job entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The number of its event.
    pub nth: usize,
    /// What is said of it.
    pub entered: Entered,
    /// When it was received.
    pub at: At,
}

/// A file of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The number of its event.
    pub nth: usize,
    /// The file.
    pub sent: Sent,
    /// When it was received.
    pub at: At,
}

impl Job {
    /// The job of these events.
    pub fn of(events: Vec<Event>) -> Self {
        let mut job = Self { events: events.len(), ..Self::default() };
        for (nth, event) in events.into_iter().enumerate() {
            let at = match event {
                Event::Job(said, at) => {
                    job.say(said, nth, at);
                    at
                }
                Event::State(entered, at) => {
                    job.states.push(State { nth, entered, at });
                    at
                }
                Event::File(sent, at) => {
                    job.files.push(File { nth, sent, at });
                    at
                }
                Event::Number(key, Value::Null, at) => {
                    job.numbers.remove(&key);
                    job.forgotten.insert(key);
                    at
                }
                Event::Number(key, value, at) => {
                    job.forgotten.remove(&key);
                    job.numbers.insert(key, value);
                    at
                }
            };
            job.times = Some((job.times.map_or(at, |(first, _)| first), at));
        }
        job
    }

    fn say(&mut self, said: Map<String, Value>, nth: usize, at: At) {
        for (name, value) in said {
            // A status that is set is a state like any other.
            if name == "status" {
                if let Value::String(status) = value
                    && status != self.status()
                {
                    let entered = Entered { status, comment: None };
                    self.states.push(State { nth, entered, at });
                }
            } else if value.is_null() {
                self.said.remove(&name);
            } else {
                self.said.insert(name, value);
            }
        }
    }

    /// The state that it is in.
    pub fn status(&self) -> &str {
        self.states.last().map_or("new", |state| &state.entered.status)
    }

    /// A text that was said of it.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.said.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// Its tags.
    pub fn tags(&self) -> Vec<&str> {
        let tags = self.said.get("tags").and_then(Value::as_array);
        tags.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Changes whenever something is said of it.
    pub fn etag(&self, id: &str) -> String {
        Digest::of_parts([id.as_bytes(), &self.events.to_le_bytes()]).short()
    }

    /// What its agents are told of it.
    pub fn document(&self, id: &str, received: Timestamp) -> Map<String, Value> {
        let (first, last) = self.times.unwrap_or((received.into(), received.into()));
        let numbers: Vec<_> = self
            .numbers
            .iter()
            .map(|(key, value)| json!({"job_id": id, "key": key, "value": value}))
            .collect();
        let mut document = Map::new();
        for name in ["comment", "configuration", "name", "previous_job_id", "status_reason", "url"]
        {
            document.insert(name.to_owned(), Value::Null);
        }
        document.extend(self.said.clone());
        document.extend(members(json!({
            "id": id, "etag": self.etag(id), "state": "active", "status": self.status(),
            "created_at": written(first, received), "updated_at": written(last, received),
            "tags": self.tags(), "keys_values": numbers,
            "duration": (last.0 - first.0) / 1_000_000,
        })));
        document
    }

    /// What is told of a state.
    pub fn state_document(
        &self,
        job: &str,
        state: &State,
        received: Timestamp,
    ) -> Map<String, Value> {
        let id = part_id(job, state.nth);
        let of_it = |file: &&File| file.sent.state == Some(state.nth);
        let files: Vec<_> = self
            .files
            .iter()
            .filter(of_it)
            .map(|file| self.file_document(job, file, received))
            .collect();
        members(json!({
            "id": id, "job_id": job, "status": state.entered.status,
            "comment": state.entered.comment, "created_at": written(state.at, received),
            "files": files,
        }))
    }

    /// What is told of a file.
    pub fn file_document(&self, job: &str, file: &File, received: Timestamp) -> Map<String, Value> {
        let sent = &file.sent;
        members(json!({
            "id": part_id(job, file.nth), "job_id": job, "name": sent.name, "mime": sent.mime,
            "jobstate_id": sent.state.map(|nth| part_id(job, nth)), "size": sent.size,
            "sha256": sent.sha256, "state": "active", "created_at": written(file.at, received),
            "etag": sent.sha256.get(..32),
        }))
    }
}

/// The id of a state or file of a job.
fn part_id(job: &str, nth: usize) -> String {
    format!("{job}:{nth}")
}

/// The members of an object.
pub fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// As DCI writes times: in UTC, without a zone.
fn written(at: At, received: Timestamp) -> String {
    let text = at.time(received).to_rfc3339_utc();
    text.trim_end_matches('Z').to_owned()
}
