//! Cucumber messages: one JSON line each.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use devmason_domain::Timestamp;

use super::outcome::{Nth, Outcome};
use crate::input::Input;
use crate::json::{self, Handler, Object};
use crate::model::within;
use crate::number;
use crate::{Case, Cause, Failure, Note, NoteKind, ReadError, Reason, Sink, Status, Suite};

pub(crate) fn read_messages(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut messages = Messages::default();
    if json::lines(input, sink, &mut messages)? == 0 {
        return Err(ReadError::new(None, "no messages found"));
    }
    messages.end(sink)
}

/// The state of the messages so far. Identifiers are those of the messages.
#[derive(Default)]
struct Messages {
    pickles: HashMap<String, Pickle>,
    /// The pickle of each test case, and its steps and hooks.
    tests: HashMap<String, String>,
    steps: HashMap<String, Arc<str>>,
    nth: HashMap<String, Nth>,
    /// The test cases in progress, by the id of the attempt.
    running: BTreeMap<String, Running>,
    /// Why earlier attempts failed, by test case.
    failed: HashMap<String, Option<Failure>>,
    /// The step texts of pickles, which many test cases may share.
    step_texts: HashMap<String, Arc<str>>,
    last: Arc<[String]>,
    bad: u64,
    /// Whether a run is in progress, and whether one has ended.
    is_open: bool,
    has_ended: bool,
    began: Option<Timestamp>,
    problems: u64,
}

struct Pickle {
    name: String,
    uri: String,
    tags: Vec<String>,
}

struct Running {
    test: String,
    attempt: u64,
    began: Option<Timestamp>,
    outcome: Outcome,
    /// Whether a step announces a retry of the scenario, as before version 16 of the messages.
    is_retried: bool,
    line: u64,
}

/// Converts `{"seconds": 1, "nanos": 2}` to seconds.
fn at(object: &Object<'_>, seconds: &str, nanos: &str) -> Option<f64> {
    Some(object.number(seconds)? + object.number(nanos).unwrap_or(0.0) / 1e9)
}

fn timestamp(object: &Object<'_>) -> Option<Timestamp> {
    at(object, "timestamp.seconds", "timestamp.nanos")
        .and_then(|seconds| number::date(seconds * 1e3))
}

impl Messages {
    fn finish(
        &mut self,
        running: Running,
        finished: Option<Timestamp>,
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let pickle = self.tests.get(&running.test).and_then(|id| self.pickles.get(id));
        let before = self.failed.remove(&running.test).flatten();
        let mut status = running.outcome.status();
        if status == Status::Passed && (running.attempt > 0 || before.is_some()) {
            status = Status::Flaky;
        }
        self.bad += u64::from(status.is_bad());
        let uri = pickle.map_or("", |pickle| pickle.uri.as_str());
        let took = running.began.zip(finished).map(|(from, to)| to.micros() - from.micros());
        let failure = if status == Status::Flaky { before } else { running.outcome.failure };
        let tags = pickle.map(|pickle| pickle.tags.as_slice()).unwrap_or_default();
        let suites = within(&[uri], &mut self.last, Some(running.line), sink);
        sink.case(Case {
            suites,
            name: pickle.map_or_else(String::new, |pickle| pickle.name.clone()),
            status: Some(status),
            micros: took.and_then(|took| took.try_into().ok()).or(running.outcome.micros),
            started: running.began,
            failure,
            properties: tags.iter().map(|tag| ("tag".to_owned(), tag.clone())).collect(),
            retries: u32::try_from(running.attempt).unwrap_or(u32::MAX),
            file: Some(uri.to_owned()).filter(|uri| !uri.is_empty()),
            report_line: Some(running.line),
            ..Case::default()
        })
    }

    /// A failure outside of the scenarios.
    fn outside(
        &mut self,
        name: &str,
        text: Option<&str>,
        line: u64,
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        self.bad += 1;
        let text = text.unwrap_or_default();
        let message = text.lines().next().map(str::to_owned);
        sink.case(Case {
            name: name.to_owned(),
            status: Some(Status::Error),
            failure: Some(Failure { kind: None, message, text: Some(text.to_owned()) }),
            report_line: Some(line),
            ..Case::default()
        })
    }

    /// Ends what is still in progress when another run begins or the file ends.
    fn end_run(&mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        for (_, mut running) in std::mem::take(&mut self.running) {
            running.outcome.step("error", Some("did not finish"), "", None);
            self.finish(running, None, sink)?;
        }
        if std::mem::take(&mut self.is_open) {
            self.has_ended = true;
            sink.against(Reason::new(Cause::Cut, None, "the run did not finish"));
        }
        (self.bad, self.problems) = (0, 0);
        Ok(())
    }

    /// Applies the run's own verdict. In protobuf JSON, false values are omitted.
    fn judge(&mut self, event: &Object<'_>, sink: &mut dyn Sink) {
        (self.is_open, self.has_ended) = (false, true);
        let line = Some(event.line);
        match event.is("success") {
            Some(true) if self.bad > 0 && self.problems == 0 => {
                let text = "the run is marked success: true, but scenarios failed".to_owned();
                sink.note(Note { line, kind: NoteKind::Odd, text });
            }
            Some(true) => {}
            _ if self.bad > 0 || !self.running.is_empty() => {}
            _ => {
                sink.against(Reason::new(Cause::Verdict, line, "the run is marked success: false"))
            }
        }
    }

    fn end(mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        self.end_run(sink)?;
        if !self.has_ended {
            sink.against(Reason::new(Cause::Cut, None, "the run did not finish"));
        }
        sink.suite(Suite { started: self.began, ..Suite::default() })
    }
}

impl Handler for Messages {
    const OBJECTS: &'static [&'static str] = &[
        "pickle",
        "testCase",
        "steps",
        "testSteps",
        "testCaseStarted",
        "testStepFinished",
        "testCaseFinished",
        "testRunStarted",
        "testRunFinished",
        "testRunHookFinished",
        "parseError",
    ];
    const MEMBERS: &'static [&'static str] = &[
        "uri",
        "id",
        "name",
        "tags.name",
        "text",
        "pickleId",
        "pickleStepId",
        "testCaseId",
        "attempt",
        "timestamp.seconds",
        "timestamp.nanos",
        "testCaseStartedId",
        "testStepId",
        "testStepResult.status",
        "testStepResult.message",
        "testStepResult.duration.seconds",
        "testStepResult.duration.nanos",
        "willBeRetried",
        "testStepResult.willBeRetried",
        "success",
        "message",
        "exception.message",
        "result.status",
        "result.message",
        "source.uri",
    ];

    fn end(
        &mut self,
        object: &Object<'_>,
        open: &mut [Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let text = |name: &str| object.get(name).unwrap_or_default().to_owned();
        sink.room(self.pickles.len().max(self.running.len()))?;
        match object.key {
            "pickle" => {
                let uri = text("uri");
                let name = self.nth.entry(uri.clone()).or_default().name(&text("name"));
                let tags = object.all("tags.name").map(str::to_owned).collect();
                self.pickles.insert(text("id"), Pickle { name, uri, tags });
            }
            "steps" if open.last().is_some_and(|outer| outer.key == "pickle") => {
                self.step_texts.insert(text("id"), text("text").into());
            }
            "testSteps" => {
                let name = self.step_texts.get(object.get("pickleStepId").unwrap_or_default());
                self.steps.insert(text("id"), name.cloned().unwrap_or_else(|| "hook".into()));
            }
            "testCase" => {
                self.tests.insert(text("id"), text("pickleId"));
            }
            "testRunStarted" => {
                self.end_run(sink)?;
                self.is_open = true;
                self.began = self.began.or(timestamp(object));
            }
            "testCaseStarted" => {
                let running = Running {
                    test: text("testCaseId"),
                    attempt: object.count("attempt").unwrap_or(0),
                    began: timestamp(object),
                    outcome: Outcome::default(),
                    is_retried: false,
                    line: object.line,
                };
                self.running.insert(text("id"), running);
            }
            "testStepFinished" => {
                let step = self.steps.get(object.get("testStepId").unwrap_or_default());
                if let Some(running) = self.running.get_mut(&text("testCaseStartedId")) {
                    let took = at(
                        object,
                        "testStepResult.duration.seconds",
                        "testStepResult.duration.nanos",
                    );
                    running.is_retried |= object.is("testStepResult.willBeRetried") == Some(true);
                    running.outcome.step(
                        object.get("testStepResult.status").unwrap_or_default(),
                        object.get("testStepResult.message"),
                        step.map_or("", AsRef::as_ref),
                        took.and_then(number::micros),
                    );
                }
            }
            "testCaseFinished" => {
                let Some(running) = self.running.remove(&text("testCaseStartedId")) else {
                    return Ok(());
                };
                if running.is_retried || object.is("willBeRetried") == Some(true) {
                    self.failed.entry(running.test).or_insert(running.outcome.failure);
                } else {
                    self.finish(running, timestamp(object), sink)?;
                }
            }
            "testRunFinished" => {
                if let Some(message) = object.get("message").or(object.get("exception.message")) {
                    self.outside("the run itself", Some(message), object.line, sink)?;
                }
                self.judge(object, sink);
            }
            "testRunHookFinished" if object.get("result.status") == Some("FAILED") => {
                self.outside("a hook of the run", object.get("result.message"), object.line, sink)?;
            }
            "parseError" => {
                self.problems += 1;
                let name = object.get("source.uri").unwrap_or("a feature").to_owned();
                let name = format!("{name} cannot be parsed");
                self.outside(&name, object.get("message"), object.line, sink)?;
            }
            _ => {}
        }
        Ok(())
    }
}
