//! The JSON of pytest-json-report.

use crate::input::Input;
use crate::json::{self, Handler, Object};
use crate::model::{because, unknown};
use crate::number;
use crate::{Case, Cause, Failure, ReadError, Reason, Sink, Status, Suite};

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    json::walk(&input.rest()?, sink, &mut Pytest::default())
}

#[derive(Default)]
struct Pytest {
    /// The stages of the current test: setup, call, teardown.
    stages: Vec<Stage>,
    cases: u64,
    bad: u64,
}

struct Stage {
    name: &'static str,
    outcome: String,
    micros: Option<u64>,
    message: Option<String>,
    text: Option<String>,
    stdout: String,
    stderr: String,
}

/// Splits `tests/test_a.py::TestX::test_y[1]` as pytest's own JUnit XML does: `tests.test_a.TestX`
/// and `test_y[1]`.
fn named(nodeid: &str) -> (Option<String>, String) {
    let (path, parameters) = match nodeid.find('[') {
        Some(at) => nodeid.split_at(at),
        None => (nodeid, ""),
    };
    let mut parts: Vec<&str> = path.split("::").collect();
    let name = parts.pop().unwrap_or_default();
    let module =
        parts.first().map(|file| file.strip_suffix(".py").unwrap_or(file).replace('/', "."));
    let class = module.map(|module| {
        let classes = parts.iter().skip(1).map(|class| format!(".{class}"));
        std::iter::once(module).chain(classes).collect()
    });
    (class, format!("{name}{parameters}"))
}

impl Pytest {
    fn stage(&mut self, stage: &Object<'_>) {
        let logged = stage.lines("log.msg");
        let written = stage.owned("stderr").unwrap_or_default();
        self.stages.push(Stage {
            name: stage.key,
            outcome: stage.get("outcome").unwrap_or_default().to_owned(),
            micros: stage.number("duration").and_then(number::micros),
            message: stage.owned("crash.message"),
            text: stage.owned("longrepr"),
            stdout: stage.owned("stdout").unwrap_or_default(),
            stderr: logged.map_or(written.clone(), |logged| format!("{written}{logged}\n")),
        });
    }

    fn test(&mut self, test: &Object<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let nodeid = test.get("nodeid").unwrap_or_default();
        let (class, name) = named(nodeid);
        let line = Some(test.line);
        let stages = std::mem::take(&mut self.stages);
        let never_ran = !stages.is_empty() && stages.iter().all(|stage| stage.name == "setup");
        let status = match test.get("outcome").unwrap_or_default() {
            // pytest ended during the test.
            "passed" if never_ran => Status::Error,
            "passed" | "xpassed" => Status::Passed,
            "rerun" if stages.iter().all(|stage| stage.outcome == "passed") => Status::Flaky,
            "failed" | "rerun" => Status::Failed,
            "skipped" | "xfailed" => Status::Skipped,
            "error" => Status::Error,
            other => unknown(other, &name, line, sink),
        };
        let mut failure: Option<Failure> = None;
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let mut micros = None;
        for stage in stages {
            micros = micros.map_or(stage.micros, |sum: u64| Some(sum + stage.micros.unwrap_or(0)));
            stdout += &stage.stdout;
            stderr += &stage.stderr;
            let Some(text) = stage.text else { continue };
            let last = text.lines().next_back().unwrap_or_default();
            // A skipped test has ('file', line, 'Skipped: why').
            let why = text.strip_suffix("')").and_then(|text| text.split_once(", 'Skipped: "));
            let message = stage.message.unwrap_or(why.map_or(last, |(_, why)| why).to_owned());
            match &mut failure {
                None => {
                    let message = Some(message);
                    failure = Some(Failure { kind: None, message, text: Some(text) });
                }
                Some(failure) => {
                    let before = failure.text.get_or_insert_default();
                    *before += &format!("\n\n{}:\n{text}", stage.name);
                }
            }
        }
        if never_ran && failure.is_none() && status == Status::Error {
            failure = Some(because("did not finish"));
        }
        self.cases += 1;
        self.bad += u64::from(status.is_bad());
        let case = Case {
            class,
            name,
            status: Some(status),
            micros,
            failure: failure.filter(|_| status != Status::Passed),
            stdout,
            stderr,
            retries: u32::from(test.get("outcome") == Some("rerun")),
            file: nodeid.split("::").next().map(str::to_owned),
            line: test.count("lineno").and_then(|line| u32::try_from(line + 1).ok()),
            report_line: line,
            ..Case::default()
        };
        sink.case(case)
    }

    /// A file that cannot be collected becomes a case.
    fn collector(&mut self, object: &Object<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
        if object.get("outcome") != Some("failed") {
            return Ok(());
        }
        let (class, _) = named(&format!("{}::", object.get("nodeid").unwrap_or_default()));
        let text = object.owned("longrepr");
        let message = text.as_deref().and_then(|text| text.lines().next_back()).map(str::to_owned);
        self.cases += 1;
        self.bad += 1;
        sink.case(Case {
            class,
            name: "the file itself".to_owned(),
            status: Some(Status::Error),
            failure: Some(Failure { kind: None, message, text }),
            report_line: Some(object.line),
            ..Case::default()
        })
    }

    fn judge(&self, document: &Object<'_>, sink: &mut dyn Sink) {
        let count = |name: &str| document.count(name).unwrap_or(0);
        let said = count("summary.failed") + count("summary.error");
        if said > self.bad {
            let text = format!(
                "the summary counts {said} failed or broken tests, but the report contains {}",
                self.bad
            );
            sink.against(Reason::new(Cause::Claim, None, text));
        }
        // pytest's reference explains the exit codes, under "Exit codes".
        let code = document.number("exitcode").unwrap_or(0.0) as i64;
        let (cause, what) = match code {
            0 => return,
            1 if self.bad > 0 => return,
            2 => (Cause::Aborted, "interrupted"),
            3 => (Cause::Aborted, "internal error"),
            4 => (Cause::Verdict, "usage error"),
            5 => (Cause::NothingRun, "no tests were collected"),
            _ => (Cause::Verdict, "failed"),
        };
        sink.against(Reason::new(cause, None, format!("pytest exited with {code}: {what}")));
    }
}

impl Handler for Pytest {
    const OBJECTS: &'static [&'static str] = &["tests", "collectors", "setup", "call", "teardown"];
    const MEMBERS: &'static [&'static str] = &[
        "created",
        "duration",
        "exitcode",
        "summary.failed",
        "summary.error",
        "nodeid",
        "outcome",
        "lineno",
        "crash.message",
        "longrepr",
        "stdout",
        "stderr",
        "log.msg",
    ];

    fn end(
        &mut self,
        object: &Object<'_>,
        open: &mut [Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        match object.key {
            "tests" => self.test(object, sink),
            "collectors" => self.collector(object, sink),
            "" => {
                self.judge(object, sink);
                sink.suite(Suite {
                    started: object
                        .number("created")
                        .and_then(|seconds| number::date(seconds * 1e3)),
                    micros: object.number("duration").and_then(number::micros),
                    ..Suite::default()
                })
            }
            _ if open.last().is_some_and(|outer| outer.key == "tests") => {
                sink.room(self.stages.len())?;
                self.stage(object);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
