//! Cucumber's JSON in all languages, behave's JSON, and Cucumber messages.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use devmason_domain::Timestamp;

use crate::input::Input;
use crate::json::{self, Handler, Object};
use crate::model::within;
use crate::number;
use crate::{Case, Cause, Failure, Note, NoteKind, ReadError, Reason, Sink, Status, Suite};

/// The outcome of a scenario, from its steps.
#[derive(Default)]
struct Outcome {
    status: Option<Status>,
    failure: Option<Failure>,
    micros: Option<u64>,
    steps: u64,
    skipped: u64,
}

impl Outcome {
    /// Adds the outcome of a step or hook. An undefined, ambiguous or pending step fails the scenario,
    /// as in Cucumber's strict mode.
    fn step(&mut self, status: &str, said: Option<&str>, name: &str, micros: Option<u64>) {
        self.steps += 1;
        self.micros = self.micros.map_or(micros, |sum| Some(sum + micros.unwrap_or(0)));
        let lower = status.to_ascii_lowercase();
        let status = match lower.as_str() {
            "passed" => Status::Passed,
            "failed" => Status::Failed,
            "undefined" | "ambiguous" | "pending" | "error" | "hook_error" | "cleanup_error" => {
                Status::Error
            }
            "skipped" | "untested" | "" => {
                self.skipped += 1;
                Status::Skipped
            }
            _ => Status::Error,
        };
        if self.status.is_none_or(|known| known < status) {
            self.status = Some(status);
            let what = if name.is_empty() { lower } else { format!("{lower}: {name}") };
            let first = said.and_then(|said| said.lines().find(|line| !line.trim().is_empty()));
            self.failure = match status {
                Status::Failed | Status::Error => Some(Failure {
                    kind: Some(what.clone()),
                    message: Some(first.map_or(what, |first| first.trim().to_owned())),
                    text: said.map(str::to_owned),
                }),
                _ => said
                    .map(|said| Failure { message: Some(said.to_owned()), ..Failure::default() }),
            };
        }
    }

    fn status(&self) -> Status {
        match self.status {
            Some(status) if status.is_bad() => status,
            // A scenario that skips itself does so within its steps.
            _ if self.steps == 0 || self.skipped > 0 => Status::Skipped,
            status => status.unwrap_or(Status::Skipped),
        }
    }
}

/// How often a name has occurred: the rows of an outline share one name.
#[derive(Default)]
struct Nth(HashMap<String, u32>);

impl Nth {
    fn name(&mut self, name: &str) -> String {
        let nth = self.0.entry(name.to_owned()).or_insert(0);
        *nth += 1;
        if *nth == 1 { name.to_owned() } else { format!("{name} [{nth}]") }
    }
}

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    json::walk(&input.rest()?, sink, &mut Cucumber::default())
}

#[derive(Default)]
struct Cucumber {
    /// The scenarios of the current feature, whose name may come after them.
    held: Vec<Case>,
    outcome: Outcome,
    /// The steps of a background count for the next scenario.
    background: Option<Outcome>,
    attached: u32,
}

impl Cucumber {
    fn step(&mut self, step: &Object<'_>, open: &[Object<'_>]) {
        let keyword = step.get("keyword").unwrap_or(step.key).trim();
        let name = step.get("name").unwrap_or_default();
        let name = format!("{keyword} {name}");
        let status = step.get("result.status").unwrap_or_default();
        // behave reports seconds, all others nanoseconds.
        let is_behave = open.last().is_some_and(|element| element.get("location").is_some());
        let micros = step
            .number("result.duration")
            .and_then(|duration| number::micros(if is_behave { duration } else { duration / 1e9 }));
        let said = step.lines("result.error_message");
        self.outcome.step(status, said.as_deref(), name.trim(), micros);
    }

    fn element(&mut self, element: &Object<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let mut outcome = std::mem::take(&mut self.outcome);
        let attached = std::mem::take(&mut self.attached);
        if element.get("type") == Some("background") {
            // behave lists the background once, as written, without results.
            let is_run = outcome.skipped < outcome.steps || element.get("location").is_none();
            self.background = Some(outcome).filter(|_| is_run);
            return Ok(());
        }
        if let Some(background) = self.background.take() {
            if background.status > outcome.status {
                outcome.failure = background.failure;
            }
            outcome.status = outcome.status.max(background.status);
            outcome.steps += background.steps;
            outcome.micros = outcome.micros.or(Some(0)).zip(background.micros).map(|(a, b)| a + b);
        }
        let line = element.count("line").or_else(|| {
            let (_, line) = element.get("location")?.rsplit_once(':')?;
            line.parse().ok()
        });
        let mut status = outcome.status();
        // behave reports the scenario's own status: the steps of a scenario that was not run don't show it.
        match element.get("status") {
            Some("failed") if !status.is_bad() => status = Status::Failed,
            Some("error" | "hook_error" | "cleanup_error") => status = Status::Error,
            _ => {}
        }
        let mut properties: Vec<(String, String)> = Vec::new();
        let tags = element.all("tags").chain(element.all("tags.name"));
        properties.extend(tags.map(|tag| ("tag".to_owned(), tag.to_owned())));
        if attached > 0 {
            properties.push(("attachments".to_owned(), attached.to_string()));
        }
        sink.room(self.held.len())?;
        self.held.push(Case {
            name: element.get("name").unwrap_or_default().to_owned(),
            status: Some(status),
            micros: outcome.micros,
            started: element.get("start_timestamp").and_then(|date| date.parse().ok()),
            failure: outcome.failure,
            properties,
            line: line.and_then(|line| line.try_into().ok()),
            report_line: Some(element.line),
            ..Case::default()
        });
        Ok(())
    }

    fn feature(&mut self, feature: &Object<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let mut cases = std::mem::take(&mut self.held);
        let file = feature.get("uri").or_else(|| {
            feature
                .get("location")
                .map(|place| place.rsplit_once(':').map_or(place, |(file, _)| file))
        });
        let file = file.map(|file| file.strip_prefix("file:").unwrap_or(file));
        // Two features may have the same name.
        let name = file.or(feature.get("name")).unwrap_or_default();
        let suites = within(&[name], &mut Arc::default(), Some(feature.line), sink);
        let says_bad = matches!(feature.get("status"), Some("failed" | "error" | "hook_error"));
        if says_bad && !cases.iter().any(|case| case.outcome().is_bad()) {
            cases.push(Case {
                name: "the feature itself".to_owned(),
                status: Some(Status::Error),
                report_line: Some(feature.line),
                ..Case::default()
            });
        }
        let mut nth = Nth::default();
        for case in cases {
            sink.case(Case {
                suites: suites.clone(),
                name: nth.name(&case.name),
                file: file.map(str::to_owned),
                ..case
            })?;
        }
        sink.suite(Suite { path: suites, ..Suite::default() })
    }
}

impl Handler for Cucumber {
    const OBJECTS: &'static [&'static str] =
        &["elements", "steps", "before", "after", "embeddings"];
    const MEMBERS: &'static [&'static str] = &[
        "uri",
        "name",
        "keyword",
        "type",
        "line",
        "location",
        "status",
        "tags",
        "tags.name",
        "start_timestamp",
        "result.status",
        "result.duration",
        "result.error_message",
    ];

    fn end(
        &mut self,
        object: &Object<'_>,
        open: &mut [Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        match object.key {
            "steps" | "before" | "after" => self.step(object, open),
            "embeddings" => self.attached = self.attached.saturating_add(1),
            "elements" => self.element(object, sink)?,
            _ => self.feature(object, sink)?,
        }
        Ok(())
    }

    fn cut(
        &mut self,
        object: &Object<'_>,
        _: &mut [Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        match object.key {
            "" => self.feature(object, sink),
            "elements" => {
                self.outcome = Outcome::default();
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

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
