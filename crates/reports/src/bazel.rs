//! Bazel's build events as JSON lines (`--build_event_json_file`). Only events about tests and
//! targets are parsed.
//!
//! The members are those of `build_event_stream.proto`.

use std::collections::BTreeMap;

use crate::input::Input;
use crate::json::{self, Handler, Object};
use crate::model::because;
use crate::number;
use crate::{Case, Cause, Failure, ReadError, Reason, Sink, Status, Suite};

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut bazel = Bazel::default();
    if json::lines(input, sink, &mut bazel)? == 0 {
        return Err(ReadError::new(None, "no events found"));
    }
    bazel.end(sink)
}

/// A test target, its configuration, the run and the shard.
type Key = (String, String, u64, u64);

#[derive(Default)]
struct Bazel {
    /// The attempts of each, in order.
    attempts: BTreeMap<Key, Vec<Attempt>>,
    /// Names of configurations, such as `k8-fastbuild`.
    configurations: BTreeMap<String, String>,
    /// The targets' status according to the summary.
    summaries: BTreeMap<String, (Status, u64)>,
    /// Targets that could not be built, and why.
    broken: BTreeMap<String, (String, u64)>,
    /// The name of the exit code, once the build has finished.
    finished: Option<String>,
    aborted: Option<String>,
    has_begun: bool,
}

struct Attempt {
    number: u64,
    case: Case,
}

fn status(word: &str) -> Status {
    match word {
        "PASSED" => Status::Passed,
        "FLAKY" => Status::Flaky,
        "FAILED" => Status::Failed,
        // TIMEOUT, INCOMPLETE, REMOTE_FAILURE, FAILED_TO_BUILD, TOOL_HALTED_BEFORE_TESTING, NO_STATUS.
        _ => Status::Error,
    }
}

impl Bazel {
    fn result(&mut self, label: &str, event: &Object<'_>) {
        let number = |name: &str| event.count(name).filter(|number| *number > 0).unwrap_or(1);
        let word = event.get("testResult.status").unwrap_or("NO_STATUS");
        let status = status(word);
        let millis = event.get("testResult.testAttemptDurationMillis");
        let seconds = event.get("testResult.testAttemptDuration");
        let micros = millis
            .and_then(|millis| number::of_millis(millis.parse().ok()?))
            .or_else(|| number::seconds(seconds?).map(|(micros, _)| micros));
        let started = event.get("testResult.testAttemptStart").and_then(|date| date.parse().ok());
        let started = started.or_else(|| {
            let millis = event.get("testResult.testAttemptStartMillisEpoch")?;
            number::date(millis.parse().ok()?)
        });
        let details = event.owned("testResult.statusDetails");
        let failure = status.is_bad().then(|| Failure {
            kind: Some(word.to_owned()),
            message: Some(details.unwrap_or_else(|| word.to_owned())),
            text: None,
        });
        let is_cached = event.is("testResult.cachedLocally") == Some(true)
            || event.is("testResult.executionInfo.cachedRemotely") == Some(true);
        let case = Case {
            status: Some(status),
            micros,
            started,
            failure,
            properties: is_cached
                .then(|| ("cached".to_owned(), "true".to_owned()))
                .into_iter()
                .collect(),
            report_line: Some(event.line),
            ..Case::default()
        };
        let configuration = event.get("id.testResult.configuration.id").unwrap_or_default();
        let (run, shard) = (number("id.testResult.run"), number("id.testResult.shard"));
        let key = (label.to_owned(), configuration.to_owned(), run, shard);
        let number = number("id.testResult.attempt");
        self.attempts.entry(key).or_default().push(Attempt { number, case });
    }

    fn end(mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let mut bad = 0;
        let mut parts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        // Each target's only configuration, or `None` if it has several.
        let mut built: BTreeMap<String, Option<String>> = BTreeMap::new();
        for (label, configuration, run, shard) in self.attempts.keys() {
            let most = parts.entry(label.clone()).or_insert((1, 1));
            *most = (most.0.max(*run), most.1.max(*shard));
            let one = built.entry(label.clone()).or_insert_with(|| Some(configuration.clone()));
            *one = one.take().filter(|one| one == configuration);
        }
        for ((label, configuration, run, shard), mut attempts) in self.attempts {
            self.broken.remove(&label);
            self.summaries.remove(&label);
            attempts.sort_by_key(|attempt| attempt.number);
            let retries = attempts.len().saturating_sub(1);
            let Some(Attempt { mut case, .. }) = attempts.pop() else { continue };
            if retries > 0 && case.outcome() == Status::Passed {
                case.status = Some(Status::Flaky);
                case.failure = attempts.into_iter().find_map(|attempt| attempt.case.failure);
            }
            case.retries = u32::try_from(retries).unwrap_or(u32::MAX);
            let (runs, shards) = parts.get(&label).copied().unwrap_or((1, 1));
            let is_alone = built.get(&label).is_some_and(Option::is_some);
            case.name = label;
            if !is_alone {
                let called = self.configurations.get(&configuration).unwrap_or(&configuration);
                case.name += &format!(" ({called})");
            }
            if runs > 1 {
                case.name += &format!(" (run {run})");
            }
            if shards > 1 {
                case.name += &format!(" (shard {shard})");
            }
            bad += u64::from(case.outcome().is_bad());
            sink.case(case)?;
        }
        for (label, (status, line)) in self.summaries {
            let why = self.broken.remove(&label).map(|(why, _)| because(why));
            bad += u64::from(status.is_bad());
            sink.case(Case {
                name: label,
                status: Some(status),
                failure: why,
                report_line: Some(line),
                ..Case::default()
            })?;
        }
        for (label, (why, line)) in self.broken {
            bad += 1;
            sink.case(Case {
                name: label,
                status: Some(Status::Error),
                failure: Some(because(why)),
                report_line: Some(line),
                ..Case::default()
            })?;
        }
        if let Some(why) = self.aborted {
            sink.against(Reason::new(
                Cause::Aborted,
                None,
                format!("the build was aborted: {why}"),
            ));
        }
        let against = match self.finished.as_deref() {
            None => Some((Cause::Cut, "the build did not finish".to_owned())),
            Some("SUCCESS") => None,
            Some("NO_TESTS_FOUND") => Some((Cause::NothingRun, "no tests were found".to_owned())),
            Some(name @ "INTERRUPTED") => {
                Some((Cause::Aborted, format!("Bazel exited with {name}")))
            }
            Some("TESTS_FAILED") if bad > 0 => None,
            Some(name) => Some((Cause::Verdict, format!("Bazel exited with {name}"))),
        };
        if let Some((cause, text)) = against {
            sink.against(Reason::new(cause, None, text));
        }
        sink.suite(Suite::default())
    }
}

impl Handler for Bazel {
    const OBJECTS: &'static [&'static str] = &[];
    const MEMBERS: &'static [&'static str] = &[
        "id.testResult.label",
        "id.testResult.configuration.id",
        "id.configuration.id",
        "configuration.mnemonic",
        "id.testResult.run",
        "id.testResult.shard",
        "id.testResult.attempt",
        "testResult.status",
        "testResult.statusDetails",
        "testResult.testAttemptDurationMillis",
        "testResult.testAttemptDuration",
        "testResult.testAttemptStart",
        "testResult.testAttemptStartMillisEpoch",
        "testResult.cachedLocally",
        "testResult.executionInfo.cachedRemotely",
        "id.testSummary.label",
        "testSummary.overallStatus",
        "id.targetCompleted.label",
        "id.targetConfigured.label",
        "id.configuredLabel.label",
        "completed.success",
        "completed.failureDetail.message",
        "aborted.reason",
        "aborted.description",
        "finished.exitCode.name",
        "finished.overallSuccess",
        "started.uuid",
        "started.buildToolVersion",
    ];

    fn end(
        &mut self,
        event: &Object<'_>,
        _: &mut [Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        sink.room(self.attempts.len().max(self.broken.len()))?;
        if event.get("started.uuid").or(event.get("started.buildToolVersion")).is_some() {
            // The events of another invocation were appended.
            let before = std::mem::take(self);
            if before.has_begun {
                before.end(sink)?;
            }
        }
        self.has_begun = true;
        let target =
            ["id.targetCompleted.label", "id.targetConfigured.label", "id.configuredLabel.label"];
        let target = target.into_iter().find_map(|name| event.get(name));
        if let Some(reason) = event.get("aborted.reason") {
            let why = event.get("aborted.description").unwrap_or_default();
            let why = if why.is_empty() { reason.to_owned() } else { format!("{reason}: {why}") };
            match (reason, target) {
                // The target was not requested, or depends on another one that broke.
                ("SKIPPED" | "NO_ANALYZE" | "NO_BUILD", _) => {}
                (_, Some(label)) => {
                    self.broken.entry(label.to_owned()).or_insert((why, event.line));
                }
                ("LOADING_FAILURE" | "ANALYSIS_FAILURE" | "INCOMPLETE", None) => {}
                (_, None) => self.aborted = Some(why),
            }
        } else if let Some(id) = event.get("id.configuration.id") {
            let called = event.get("configuration.mnemonic").unwrap_or(id);
            sink.room(self.configurations.len())?;
            self.configurations.insert(id.to_owned(), called.to_owned());
        } else if let Some(label) = event.get("id.testResult.label") {
            self.result(label, event);
        } else if let Some(label) = event.get("id.testSummary.label") {
            let status = status(event.get("testSummary.overallStatus").unwrap_or("NO_STATUS"));
            self.summaries.insert(label.to_owned(), (status, event.line));
        } else if let Some(label) = event.get("id.targetCompleted.label") {
            // As in all protobuf JSON, false members are omitted.
            if event.is("completed.success") != Some(true) {
                let why = event.get("completed.failureDetail.message").unwrap_or("not built");
                self.broken.entry(label.to_owned()).or_insert((why.to_owned(), event.line));
            }
        } else if let Some(name) = event.get("finished.exitCode.name") {
            self.finished = Some(name.to_owned());
        } else if event.is("finished.overallSuccess") == Some(true) {
            self.finished = Some("SUCCESS".to_owned());
        }
        Ok(())
    }
}
