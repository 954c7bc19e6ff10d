//! Steps sent by clients, and pieces of their logs.

use std::borrow::Cow;

use devmason_domain::{
    Digest, Invalid, JsonObject, LogEntry, LogStream, State, Step, StepLog, StepName, TestResult,
    Timestamp, in_order, limits,
};
use schemars::JsonSchema;
use serde::de::{Error as _, MapAccess};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::bounded::Bounded;
use super::fingerprint::Fingerprint;
use super::incoming_cases::{IncomingTest, ReadTest};
use super::read::{DocumentError, Open, open};
use super::shape::{self, BODY, Text};

/// A step of a build. Other members are stored with it.
#[derive(Default, JsonSchema)]
#[schemars(rename = "NewStep")]
#[schemars(extend("maxProperties" = limits::MEMBERS, "additionalProperties" = true))]
pub struct IncomingStep {
    #[schemars(required, with = "Text<{ limits::NAME }>")]
    name: Option<StepName>,
    /// Required unless the step is running.
    success: Option<bool>,
    /// `running` opens a step whose end follows.
    #[schemars(with = "Option<shape::StepState>")]
    state: Option<State>,
    #[schemars(with = "Option<shape::Date>")]
    started: Option<Timestamp>,
    #[schemars(with = "Option<shape::Date>")]
    finished: Option<Timestamp>,
    #[schemars(with = "Option<Text<BODY>>")]
    output: Option<String>,
    #[schemars(with = "Option<Text<BODY>>")]
    errout: Option<String>,
    #[schemars(with = "Option<Bounded<IncomingTest, { limits::CASES }>>")]
    tests: Vec<TestResult>,
    #[schemars(skip)]
    bad_cases: u32,
    #[schemars(skip)]
    has_cases: bool,
    #[schemars(skip)]
    extras: Vec<(String, Box<RawValue>)>,
}

impl Open for IncomingStep {
    const EXPECTING: &'static str = "an object, a build step";
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        match name {
            "name" => self.name = map.next_value()?,
            "success" => self.success = map.next_value()?,
            "state" => {
                let raw: Box<RawValue> = map.next_value()?;
                match raw.get() {
                    "\"running\"" => self.state = Some(State::Running),
                    "\"finished\"" => self.state = Some(State::Finished),
                    // Before steps had a state, this was any member.
                    _ => self.extras.push((name.to_owned(), raw)),
                }
            }
            "started" => self.started = map.next_value()?,
            "finished" => self.finished = map.next_value()?,
            "output" => self.output = map.next_value()?,
            "errout" => self.errout = map.next_value()?,
            "tests" => {
                let tests: Bounded<ReadTest, { limits::CASES }> =
                    map.next_value::<Option<_>>()?.unwrap_or_default();
                self.tests = tests.0.into_iter().map(|test| test.0).collect();
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
    fn keep(&mut self, name: String, value: Box<RawValue>) {
        self.extras.push((name, value));
    }
}

impl<'de> Deserialize<'de> for IncomingStep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        open(deserializer)
    }
}

/// Number of cases that failed or broke.
fn bad_cases(tests: &[TestResult]) -> u32 {
    let bad = tests.iter().filter(|test| test.status.is_bad()).count();
    u32::try_from(bad).unwrap_or(u32::MAX)
}

impl IncomingStep {
    /// Removes and returns its test cases, in order.
    pub fn take_tests(&mut self) -> Vec<TestResult> {
        let tests = std::mem::take(&mut self.tests);
        self.bad_cases = bad_cases(&tests);
        self.has_cases = !tests.is_empty();
        tests
    }

    /// A fingerprint of the document's contents, to recognize a repeated PUT.
    pub fn digest(&self) -> Digest {
        let mut hash = Fingerprint::default();
        self.hash(&mut hash);
        hash.digest()
    }

    /// Adds the step to a fingerprint.
    pub(super) fn hash(&self, hash: &mut Fingerprint) {
        hash.text(self.name.as_ref().map_or("", StepName::as_str)).flag(self.success);
        hash.time(self.started).time(self.finished);
        hash.text(self.output.as_deref().unwrap_or_default())
            .text(self.errout.as_deref().unwrap_or_default());
        hash.members(&self.extras);
        for test in &self.tests {
            hash.test(test);
        }
    }

    fn has_output(&self) -> Option<&'static str> {
        let is_given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        match (is_given(&self.output), is_given(&self.errout)) {
            (true, _) => Some("output"),
            (false, true) => Some("errout"),
            (false, false) => None,
        }
    }

    fn take_extras(&mut self) -> Result<JsonObject, DocumentError> {
        let bytes: usize = self.extras.iter().map(|(name, raw)| name.len() + raw.get().len()).sum();
        if bytes > limits::EXTRAS {
            let problem = format!("the additional members exceed {} bytes", limits::EXTRAS);
            return Err(DocumentError::new("", problem));
        }
        JsonObject::from_members(&std::mem::take(&mut self.extras))
            .map_err(|Invalid(problem)| DocumentError::new("", problem))
    }

    /// Converts the document, received at this time, to a step that has ended.
    ///
    /// # Errors
    /// `name` or `success` is missing, or the step is running.
    pub fn into_step(self, received: Timestamp) -> Result<Step, DocumentError> {
        match self.state {
            Some(State::Running) => Err(DocumentError::new(
                "state",
                "only a step that is added to a running build can be running",
            )),
            Some(State::Finished) | None => self.into_added_step(received),
        }
    }

    /// Converts the document, received at this time, to a step of a running build, which may be running
    /// itself.
    ///
    /// # Errors
    /// `name` is missing. `success` is missing, unless the step is running; a running one has no output
    /// and no test cases.
    pub fn into_added_step(mut self, received: Timestamp) -> Result<Step, DocumentError> {
        let required = |field| DocumentError::new(field, "required");
        let is_running = self.state == Some(State::Running);
        if is_running {
            let has_cases = self.has_cases || !self.tests.is_empty();
            let field = if has_cases { Some("tests") } else { self.has_output() };
            if let Some(field) = field {
                let problem = "a running step has none yet: append to its log, and end it with its test cases";
                return Err(DocumentError::new(field, problem));
            }
            if self.success.is_some() || self.finished.is_some() {
                let field = if self.success.is_some() { "success" } else { "finished" };
                return Err(DocumentError::new(field, "a running step has none yet"));
            }
        }
        let started = self.started.unwrap_or(received);
        let (success, finished) = match is_running {
            true => (Some(true), started),
            false => (self.success, self.finished.unwrap_or(received)),
        };
        Ok(Step {
            extras: self.take_extras()?,
            name: self.name.ok_or_else(|| required("name"))?,
            success: success.ok_or_else(|| required("success"))?,
            started,
            finished,
            output: self.output.unwrap_or_default(),
            errout: self.errout.unwrap_or_default(),
            bad_cases: Some(self.bad_cases.max(bad_cases(&self.tests))),
            log: if is_running { StepLog::Open } else { StepLog::Absent },
        })
    }

    /// Converts the document, received at this time, to the end of this step. Its test cases have been
    /// taken.
    ///
    /// # Errors
    /// `success` is missing, a member belongs elsewhere, or the step has another name or start.
    pub fn into_end(mut self, of: &Step, received: Timestamp) -> Result<StepEnding, DocumentError> {
        if self.name.as_ref().is_some_and(|name| *name != of.name) {
            return Err(DocumentError::new("name", "the step has another name"));
        }
        if self.started.is_some_and(|started| started.micros() != of.started.micros()) {
            return Err(DocumentError::new("started", "the step started at another time"));
        }
        if let Some(field) = self.has_output() {
            return Err(DocumentError::new(field, "append it to the log of the step"));
        }
        if self.state == Some(State::Running) {
            return Err(DocumentError::new("state", "this document ends the step"));
        }
        let extras = (!self.extras.is_empty()).then(|| self.take_extras()).transpose()?;
        Ok(StepEnding {
            success: self.success.ok_or_else(|| DocumentError::new("success", "required"))?,
            finished: self.finished.unwrap_or(received),
            extras,
            bad_cases: self.bad_cases,
        })
    }
}

/// How a running step ends.
#[derive(Debug)]
pub struct StepEnding {
    /// Whether it succeeded.
    pub success: bool,
    /// When it ended.
    pub finished: Timestamp,
    /// Additional members, instead of those that it was opened with; `None` if they stay.
    pub extras: Option<JsonObject>,
    /// How many of its test cases failed or broke.
    pub bad_cases: u32,
}

/// A stream by its name.
struct StreamName(LogStream);

impl<'de> Deserialize<'de> for StreamName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        let stream = LogStream::parse(&name).map(Self);
        stream.ok_or_else(|| D::Error::custom("must be \"out\" or \"err\""))
    }
}

/// What was written to a log: milliseconds since the start of the step, stream, text.
#[derive(Deserialize, JsonSchema)]
#[serde(expecting = "an array of milliseconds, \"out\" or \"err\", and a text")]
#[schemars(rename = "LogEntry")]
struct IncomingEntry(
    u64,
    #[schemars(with = "shape::StreamName")] StreamName,
    #[schemars(with = "Text<BODY>")] String,
);

/// A piece of a log.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(rename = "LogPiece")]
pub struct IncomingLog(
    #[schemars(with = "Bounded<IncomingEntry, { limits::LOG_ENTRIES }>")]
    Bounded<IncomingEntry, { limits::LOG_ENTRIES }>,
);

impl IncomingLog {
    /// What was written, merged by time.
    pub fn into_entries(self) -> Vec<LogEntry> {
        let entries = self.0.0.into_iter();
        let mut entries: Vec<LogEntry> = entries
            .map(|IncomingEntry(millis, StreamName(stream), text)| LogEntry {
                millis,
                stream,
                text,
            })
            .collect();
        in_order(&mut entries);
        entries
    }
}
