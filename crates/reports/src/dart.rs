//! The events of `dart test --reporter json` and of `flutter test --machine`, as JSON lines.
//!
//! The protocol is defined by the package `test`, in its `doc/json_reporter.md`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::input::Input;
use crate::json::{self, Handler, Object};
use crate::model::{because, unknown, within};
use crate::number;
use crate::{Case, Cause, Failure, Note, NoteKind, ReadError, Reason, Sink, Status, Suite};

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut dart = Dart::default();
    if json::lines(input, sink, &mut dart)? == 0 {
        return Err(ReadError::new(None, "no events found"));
    }
    dart.end(sink)
}

#[derive(Default)]
struct Dart {
    /// The file of each suite, and its platform if not the default.
    suites: BTreeMap<u64, (String, Option<String>)>,
    groups: BTreeMap<u64, String>,
    running: BTreeMap<u64, Running>,
    last: Arc<[String]>,
    bad: u64,
    /// Whether a run is in progress.
    is_open: bool,
    micros: Option<u64>,
}

#[derive(Default)]
struct Running {
    name: String,
    suite: u64,
    group: Option<u64>,
    began: f64,
    line: Option<u32>,
    skip: Option<String>,
    is_error: bool,
    failure: Option<Failure>,
    printed: String,
    report_line: u64,
}

/// The path below the folder of all tests: the location of a checkout is not part of the name.
fn short(path: &str) -> String {
    let path = path.replace('\\', "/");
    let at =
        ["/test/", "/integration_test/"].into_iter().filter_map(|folder| path.rfind(folder)).max();
    let short = at
        .and_then(|at| path.get(at + 1..))
        .filter(|_| path.starts_with('/') || path.contains(":/"));
    short.unwrap_or(&path).to_owned()
}

impl Dart {
    fn start(&mut self, event: &Object<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
        sink.room(self.running.len())?;
        let running = Running {
            name: event.get("test.name").unwrap_or_default().to_owned(),
            suite: event.count("test.suiteID").unwrap_or(0),
            group: event.last_count("test.groupIDs"),
            began: event.number("time").unwrap_or(0.0),
            line: event
                .count("test.root_line")
                .or(event.count("test.line"))
                .and_then(|line| line.try_into().ok()),
            skip: event.owned("test.metadata.skipReason"),
            report_line: event.line,
            ..Running::default()
        };
        self.is_open = true;
        match self.running.insert(event.count("test.id").unwrap_or(0), running) {
            Some(before) => self.unended(before, sink),
            None => Ok(()),
        }
    }

    fn unended(&mut self, mut running: Running, sink: &mut dyn Sink) -> Result<(), ReadError> {
        running.failure.get_or_insert_with(|| because("did not finish"));
        self.emit(running, Status::Error, None, sink)
    }

    /// Ends a run. Another one with the same ids may follow.
    fn end_run(&mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        for (_, running) in std::mem::take(&mut self.running) {
            self.unended(running, sink)?;
        }
        if std::mem::take(&mut self.is_open) {
            sink.against(Reason::new(Cause::Cut, None, "the run did not finish"));
        }
        self.suites.clear();
        self.groups.clear();
        self.bad = 0;
        Ok(())
    }

    fn done_all(&mut self, event: &Object<'_>, sink: &mut dyn Sink) {
        self.micros = event.number("time").and_then(number::of_millis);
        self.is_open = false;
        let line = Some(event.line);
        match event.is("success") {
            Some(true) => {}
            Some(false) if self.bad > 0 || !self.running.is_empty() => {}
            Some(false) => {
                sink.against(Reason::new(Cause::Verdict, line, "the run is marked success: false"));
            }
            None => {
                let text = "the runner exited before all tests had finished";
                sink.against(Reason::new(Cause::Aborted, line, text));
            }
        }
    }

    fn error(&mut self, event: &Object<'_>, sink: &mut dyn Sink) {
        let error = event.get("error").unwrap_or_default();
        let Some(running) = event.count("testID").and_then(|id| self.running.get_mut(&id)) else {
            let first = error.lines().next().unwrap_or_default();
            let text = format!("error after the test had finished: {first}");
            sink.against(Reason::new(Cause::Verdict, Some(event.line), text));
            return;
        };
        running.is_error |= event.is("isFailure") == Some(false);
        let stack = event.get("stackTrace").unwrap_or_default().trim_end();
        let text = format!("{error}\n{stack}");
        match &mut running.failure {
            Some(failure) => {
                let before = failure.text.get_or_insert_default();
                before.push_str("\n\n");
                before.push_str(text.trim());
            }
            None => {
                let message = error.lines().find(|line| !line.trim().is_empty());
                running.failure = Some(Failure {
                    kind: None,
                    message: message.map(str::to_owned),
                    text: Some(text.trim().to_owned()),
                });
            }
        }
    }

    fn done(&mut self, event: &Object<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let Some(running) = event.count("testID").and_then(|id| self.running.remove(&id)) else {
            return Ok(());
        };
        let line = Some(running.report_line);
        let status = match event.get("result").unwrap_or_default() {
            // Loading a file and global setup are reported only if they fail.
            "success" if event.is("hidden") == Some(true) => return Ok(()),
            "success" if event.is("skipped") == Some(true) => Status::Skipped,
            "success" if running.failure.is_some() => Status::Flaky,
            "success" => Status::Passed,
            "failure" => Status::Failed,
            "error" => Status::Error,
            other => unknown(other, &running.name, line, sink),
        };
        let took = event.number("time").and_then(|end| number::of_millis(end - running.began));
        self.emit(running, status, took, sink)
    }

    fn emit(
        &mut self,
        running: Running,
        status: Status,
        micros: Option<u64>,
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let none = (String::new(), None);
        let (file, platform) = self.suites.get(&running.suite).unwrap_or(&none);
        let group = running.group.and_then(|id| self.groups.get(&id)).map_or("", String::as_str);
        let own = running.name.strip_prefix(group).map_or(running.name.as_str(), str::trim_start);
        // Loading tests are named by file location.
        let name = if running.name.starts_with("loading ") { "the file itself" } else { own };
        let names = [platform.as_deref().unwrap_or_default(), file, group];
        let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
        let failure = match status {
            Status::Skipped => running.skip.map(because),
            _ => running.failure,
        };
        self.bad += u64::from(status.is_bad());
        let case = Case {
            suites: within(&names, &mut self.last, Some(running.report_line), sink),
            name: name.to_owned(),
            status: Some(status),
            micros,
            failure,
            stdout: running.printed,
            retries: u32::from(status == Status::Flaky),
            file: Some(file.clone()).filter(|file| !file.is_empty()),
            line: running.line,
            report_line: Some(running.report_line),
            ..Case::default()
        };
        sink.case(case)
    }

    fn end(mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        self.end_run(sink)?;
        sink.suite(Suite { micros: self.micros, ..Suite::default() })
    }
}

impl Handler for Dart {
    const OBJECTS: &'static [&'static str] = &[];
    const MEMBERS: &'static [&'static str] = &[
        "type",
        "time",
        "suite.id",
        "suite.path",
        "suite.platform",
        "group.id",
        "group.name",
        "test.id",
        "test.name",
        "test.suiteID",
        "test.groupIDs",
        "test.line",
        "test.root_line",
        "test.metadata.skipReason",
        "testID",
        "result",
        "hidden",
        "skipped",
        "error",
        "stackTrace",
        "isFailure",
        "message",
        "success",
    ];

    fn end(
        &mut self,
        event: &Object<'_>,
        _: &mut [Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        sink.room(self.suites.len().max(self.groups.len()))?;
        match event.get("type").unwrap_or_default() {
            "suite" => {
                self.is_open = true;
                let platform = event.owned("suite.platform").filter(|platform| platform != "vm");
                let path = short(event.get("suite.path").unwrap_or_default());
                self.suites.insert(event.count("suite.id").unwrap_or(0), (path, platform));
            }
            "group" => {
                let name = event.get("group.name").unwrap_or_default().to_owned();
                self.groups.insert(event.count("group.id").unwrap_or(0), name);
            }
            "testStart" => self.start(event, sink)?,
            "print" => {
                let id = event.count("testID").unwrap_or(0);
                if let Some(running) = self.running.get_mut(&id) {
                    let text = event.get("message").unwrap_or_default();
                    if running.printed.len() + text.len() < json::MAX_TEXT {
                        running.printed.push_str(text);
                        running.printed.push('\n');
                    }
                }
            }
            "error" => self.error(event, sink),
            "testDone" => self.done(event, sink)?,
            "done" => self.done_all(event, sink),
            "start" => {
                self.end_run(sink)?;
                self.is_open = true;
            }
            // Flutter reports on its process in between.
            "allSuites" | "debug" | "" => {}
            other => {
                let text = format!("unknown event '{other}' ignored");
                sink.note(Note { line: Some(event.line), kind: NoteKind::Dropped, text });
            }
        }
        Ok(())
    }
}
