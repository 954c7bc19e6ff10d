//! `go test -json`: one line per event.

use std::collections::BTreeMap;
use std::sync::Arc;

use devmason_domain::Timestamp;
use serde::Deserialize;

use crate::input::Input;
use crate::model::nested;
use crate::number;
use crate::{Case, Cause, Failure, Note, NoteKind, ReadError, Reason, Sink, Status, Suite};

/// The maximum size of a test's output, in bytes.
const MAX_OUTPUT: usize = 8 << 20;

/// The name of the case for a package that broke outside of its tests.
pub(crate) const ITSELF: &str = "the package itself";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    time: Option<String>,
    action: String,
    package: Option<String>,
    import_path: Option<String>,
    test: Option<String>,
    elapsed: Option<f64>,
    output: Option<String>,
    failed_build: Option<String>,
}

/// A test in progress.
#[derive(Default)]
pub(crate) struct Running {
    pub(crate) line: u64,
    started: Option<Timestamp>,
    pub(crate) output: String,
    cut: bool,
}

#[derive(Default)]
struct Package {
    /// Whether its start was seen, so that its end is expected.
    begun: bool,
    running: BTreeMap<String, Running>,
    own: Running,
    failed: u64,
    /// Whether it could not be built, or its output says that it failed.
    is_lost: bool,
}

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut packages: BTreeMap<String, Package> = BTreeMap::new();
    let (mut events, mut first) = (0u64, None);
    loop {
        let line = input.line();
        let Some(text) = input.next_line()? else { break };
        if text.trim().is_empty() {
            continue;
        }
        let Ok(event) = serde_json::from_str::<Event>(&text) else {
            // The go command itself writes between the events, for example if a package cannot be built.
            first.get_or_insert(line);
            let whole = packages.entry(String::new()).or_default();
            whole.own.add(&format!("{text}\n"), line, sink);
            // Before Go 1.24, such a line is the only sign of a package that cannot be built.
            let unbuilt = text.strip_prefix("FAIL\t").and_then(|rest| rest.split_once(" ["));
            if let Some((name, reason)) = unbuilt {
                let failure = Failure {
                    message: Some(reason.trim_end_matches(']').to_owned()),
                    text: Some(std::mem::take(&mut whole.own.output)),
                    ..Failure::default()
                };
                sink.case(Case {
                    class: Some(name.to_owned()),
                    name: ITSELF.to_owned(),
                    status: Some(Status::Error),
                    failure: Some(failure),
                    report_line: Some(line),
                    ..Case::default()
                })?;
            }
            continue;
        };
        events += 1;
        let name = event.package.or(event.import_path).unwrap_or_default();
        let package = packages.entry(name.clone()).or_default();
        let at = event.time.as_deref().and_then(|time| time.parse().ok());
        match (event.action.as_str(), event.test) {
            ("output" | "build-output", test) => {
                let running = match test {
                    Some(test) => package.running.entry(test).or_default(),
                    None => {
                        let text = event.output.as_deref().unwrap_or_default();
                        package.is_lost |= text.starts_with("FAIL\t") || text == "FAIL\n";
                        &mut package.own
                    }
                };
                running.add(event.output.as_deref().unwrap_or_default(), line, sink);
            }
            ("run", Some(test)) => {
                if package.running.contains_key(&test) {
                    cut_off(&name, std::mem::take(package), sink)?;
                }
                package.begun = true;
                sink.room(package.running.len())?;
                let running = package.running.entry(test).or_default();
                running.line = line;
                running.started = at;
            }
            ("pass" | "fail" | "skip" | "bench", Some(test)) => {
                let running = package.running.remove(&test).unwrap_or_default();
                let status = match event.action.as_str() {
                    "fail" => Status::Failed,
                    "skip" => Status::Skipped,
                    _ => Status::Passed,
                };
                package.failed += u64::from(status == Status::Failed);
                let case = running.case(&name, test, status, event.elapsed);
                sink.case(case)?;
            }
            ("pass" | "fail" | "skip", None) => {
                // What could not be built is told by the package that needs it.
                let tests = format!("{name} [");
                let is_of_it = |path: &str| {
                    path.starts_with(&tests) || event.failed_build.as_deref() == Some(path)
                };
                for (_, of) in packages.iter_mut().filter(|(path, _)| is_of_it(path)) {
                    of.is_lost = false;
                }
                if let Some(package) = packages.remove(&name) {
                    end(&name, package, Some(event.action.as_str()), event.elapsed, sink)?;
                }
            }
            ("start", None) => {
                if package.begun {
                    cut_off(&name, std::mem::take(package), sink)?;
                }
                package.begun = true;
            }
            // A package that cannot be built; its `fail` event follows.
            ("build-fail", _) => package.is_lost = true,
            ("start" | "pause" | "cont" | "run" | "bench", _) => {}
            (other, _) => {
                let text = format!("unknown action '{other}' ignored");
                sink.note(Note { line: Some(line), kind: NoteKind::Dropped, text });
            }
        }
    }
    if events == 0 {
        let problem = if first.is_some() { "not a go test event" } else { "no events found" };
        return Err(ReadError::new(first, problem));
    }
    for (name, package) in packages {
        if package.begun || package.is_lost {
            cut_off(&name, package, sink)?;
        } else {
            end(&name, package, None, None, sink)?;
        }
    }
    Ok(())
}

/// The report ends before this package does; another run's output may follow.
fn cut_off(name: &str, package: Package, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let text = format!("the file ends before package '{name}' finishes");
    sink.against(Reason::new(Cause::Cut, None, text));
    end(name, package, Some("fail"), None, sink)
}

/// Ends a package, with its action if there is one. Tests still running are broken, unless the
/// package passed: go doesn't report the end of benchmarks. A package that failed without a failed
/// test is broken itself.
fn end(
    name: &str,
    mut package: Package,
    action: Option<&str>,
    elapsed: Option<f64>,
    sink: &mut dyn Sink,
) -> Result<(), ReadError> {
    let failed = action == Some("fail");
    for (test, running) in std::mem::take(&mut package.running) {
        let status = match action {
            Some("pass") => Status::Passed,
            Some("skip") => Status::Skipped,
            _ => Status::Error,
        };
        let line = running.line;
        if status == Status::Error {
            package.failed += 1;
        } else {
            let text = format!("no result for '{test}'; assumed to match its package");
            sink.note(Note { line: Some(line), kind: NoteKind::Guessed, text });
        }
        let mut case = running.case(name, test, status, None);
        if status == Status::Error {
            case.failure.get_or_insert_with(Failure::default).message =
                Some("did not finish".to_owned());
        }
        sink.case(case)?;
    }
    let output = without_frame(&package.own.output);
    if failed && package.failed == 0 {
        let failure = Failure { text: Some(output.clone()), ..Failure::default() };
        sink.case(Case {
            class: Some(name.to_owned()),
            name: ITSELF.to_owned(),
            status: Some(Status::Error),
            failure: Some(failure),
            ..Case::default()
        })?;
    }
    let suite = Suite {
        path: nested(&Arc::default(), name, None, sink),
        micros: elapsed.and_then(number::micros),
        stdout: output,
        ..Suite::default()
    };
    sink.suite(suite)
}

impl Running {
    /// A test that starts on that line.
    pub(crate) fn on(line: u64) -> Self {
        Self { line, ..Self::default() }
    }

    pub(crate) fn add(&mut self, text: &str, line: u64, sink: &mut dyn Sink) {
        if self.output.len() + text.len() <= MAX_OUTPUT {
            self.output += text;
        } else if !self.cut {
            self.cut = true;
            let text = format!("output truncated to {MAX_OUTPUT} bytes");
            sink.note(Note { line: Some(line), kind: NoteKind::Cut, text });
        }
    }

    pub(crate) fn case(
        self,
        package: &str,
        test: String,
        status: Status,
        elapsed: Option<f64>,
    ) -> Case {
        let output = without_frame(&self.output);
        let (stdout, failure) = match status {
            Status::Passed | Status::Flaky => (output, None),
            _ => (String::new(), Some(Failure { text: Some(output), ..Failure::default() })),
        };
        Case {
            class: Some(package.to_owned()),
            name: test,
            status: Some(status),
            micros: elapsed.and_then(number::micros),
            started: self.started,
            failure,
            stdout,
            report_line: Some(self.line),
            ..Case::default()
        }
    }
}

/// Removes the lines with which the go command frames tests.
fn without_frame(output: &str) -> String {
    let frames = ["=== RUN ", "=== PAUSE ", "=== CONT ", "=== NAME "];
    let outcomes = ["--- PASS: ", "--- FAIL: ", "--- SKIP: "];
    let is_frame = |line: &str| {
        frames.iter().any(|frame| line.starts_with(frame))
            || outcomes.iter().any(|outcome| line.trim_start().starts_with(outcome))
    };
    output.split_inclusive('\n').filter(|line| !is_frame(line)).collect()
}
