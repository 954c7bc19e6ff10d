//! Playwright's JSON (`--reporter=json`).

use std::sync::Arc;

use crate::input::Input;
use crate::json::{self, Handler, Object};
use crate::model::{because, thrown, unknown, within};
use crate::number;
use crate::{Case, Cause, Claim, Failure, ReadError, Reason, Sink, Status, Suite};

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    json::walk(&input.rest()?, sink, &mut Playwright::default())
}

#[derive(Default)]
struct Playwright {
    /// The tests of the current spec, one per project, without the spec's own data.
    held: Vec<Case>,
    /// The results of the current test, each with its failure.
    tries: Vec<Try>,
    errors: Vec<Failure>,
    attachments: Vec<(String, String)>,
    last: Arc<[String]>,
    bad: u64,
}

struct Try {
    status: String,
    micros: Option<u64>,
    failure: Option<Failure>,
    stdout: String,
    stderr: String,
    started: Option<devmason_domain::Timestamp>,
}

impl Playwright {
    fn result(&mut self, result: &Object<'_>) {
        let mut errors = std::mem::take(&mut self.errors).into_iter();
        let mut failure = errors.next();
        if let Some(failure) = &mut failure {
            // With soft assertions, a test continues and may fail for several reasons.
            for error in errors {
                let text = failure.text.get_or_insert_default();
                text.push_str("\n\n");
                text.push_str(&error.text.unwrap_or_default());
            }
        }
        let texts = |name: &str| result.all(name).collect::<String>();
        self.tries.push(Try {
            status: result.get("status").unwrap_or_default().to_owned(),
            micros: result.number("duration").and_then(number::of_millis),
            failure,
            stdout: texts("stdout.text"),
            stderr: texts("stderr.text"),
            started: result.get("startTime").and_then(|date| date.parse().ok()),
        });
    }

    fn test(&mut self, test: &Object<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let tries = std::mem::take(&mut self.tries);
        let retries = tries.len().saturating_sub(1);
        let is_interrupted = tries.iter().any(|one| one.status == "interrupted");
        let first = tries.iter().find_map(|one| one.failure.clone());
        let (started, never_ran) = (tries.iter().find_map(|one| one.started), tries.is_empty());
        let last = tries.into_iter().next_back();
        let line = Some(test.line);
        let (status, failure) = match (test.get("status").unwrap_or_default(), &last) {
            _ if is_interrupted => {
                let text = "the run was interrupted";
                sink.against(Reason::new(Cause::Aborted, line, text));
                (Status::Error, Some(first.unwrap_or_else(|| because("interrupted"))))
            }
            // A test that failed as expected is fine.
            ("expected", _) => (Status::Passed, first),
            ("flaky", _) => (Status::Flaky, first),
            ("skipped", _) if never_ran => (Status::Skipped, Some(because("did not run"))),
            ("skipped", _) => (Status::Skipped, test.lines("annotations.description").map(because)),
            ("unexpected", Some(last)) if last.status == "passed" => {
                (Status::Failed, Some(because("expected to fail, but passed")))
            }
            ("unexpected", last) => {
                let mut failure = last.as_ref().and_then(|last| last.failure.clone());
                if last.as_ref().is_some_and(|last| last.status == "timedOut") {
                    failure.get_or_insert_default().kind = Some("timedOut".to_owned());
                }
                (Status::Failed, failure)
            }
            (other, _) => (unknown(other, "a test", line, sink), first),
        };
        self.bad += u64::from(status.is_bad());
        let mut properties = std::mem::take(&mut self.attachments);
        properties.extend(test.properties(&["projectName"]));
        let (micros, stdout, stderr) =
            last.map(|last| (last.micros, last.stdout, last.stderr)).unwrap_or_default();
        sink.room(self.held.len())?;
        self.held.push(Case {
            class: test.owned("projectName"),
            status: Some(status),
            micros,
            started,
            failure,
            stdout,
            stderr,
            properties,
            retries: u32::try_from(retries).unwrap_or(u32::MAX),
            report_line: line,
            ..Case::default()
        });
        Ok(())
    }

    fn spec(
        &mut self,
        spec: &Object<'_>,
        open: &[Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        for mut case in std::mem::take(&mut self.held) {
            let project = case.class.take();
            let project = project.as_deref().into_iter();
            let titles = open.iter().filter_map(|suite| suite.get("title"));
            let names: Vec<&str> = project.chain(titles).collect();
            case.suites = within(&names, &mut self.last, case.report_line, sink);
            case.name = spec.get("title").unwrap_or_default().to_owned();
            case.file = spec.owned("file");
            case.line = spec.count("line").and_then(|line| line.try_into().ok());
            case.properties.extend(spec.all("tags").map(|tag| ("tag".to_owned(), tag.to_owned())));
            sink.case(case)?;
        }
        Ok(())
    }

    /// A failure outside of the tests: a file that cannot be loaded, or global setup.
    fn outside(&mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        for failure in std::mem::take(&mut self.errors) {
            self.bad += 1;
            let message = failure.message.as_deref().unwrap_or_default();
            let cause = if message.starts_with("Testing stopped early") {
                Some(Cause::Aborted)
            } else if message == "No tests found" {
                Some(Cause::NothingRun)
            } else {
                None
            };
            match cause {
                Some(cause) => sink.against(Reason::new(cause, None, message)),
                None => sink.case(Case {
                    name: "the run itself".to_owned(),
                    status: Some(Status::Error),
                    failure: Some(failure),
                    ..Case::default()
                })?,
            }
        }
        Ok(())
    }
}

impl Handler for Playwright {
    const OBJECTS: &'static [&'static str] =
        &["suites", "specs", "tests", "results", "errors", "attachments"];
    const MEMBERS: &'static [&'static str] = &[
        "title",
        "file",
        "line",
        "tags",
        "projectName",
        "status",
        "annotations.description",
        "duration",
        "startTime",
        "stdout.text",
        "stderr.text",
        "message",
        "stack",
        "value",
        "name",
        "contentType",
        "path",
        "stats.startTime",
        "stats.duration",
        "stats.unexpected",
        "stats.flaky",
        "config.failOnFlakyTests",
    ];

    fn end(
        &mut self,
        object: &Object<'_>,
        open: &mut [Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        match object.key {
            "errors" => {
                let mut failure =
                    thrown(object.get("stack").or(object.get("message")).unwrap_or_default());
                if failure.message.is_none() {
                    failure.message = object.owned("value");
                }
                sink.room(self.errors.len())?;
                self.errors.push(failure);
            }
            "attachments" => {
                let name = object.get("name").unwrap_or_default();
                let said = object.get("path").or(object.get("contentType")).unwrap_or_default();
                sink.room(self.attachments.len())?;
                self.attachments.push((format!("attachment {name}"), said.to_owned()));
            }
            "results" => {
                sink.room(self.tries.len())?;
                self.result(object);
            }
            "tests" => self.test(object, sink)?,
            "specs" => self.spec(object, open, sink)?,
            "suites" => {}
            _ => {
                self.outside(sink)?;
                let unexpected = object.count("stats.unexpected");
                if let Some(said) = unexpected.filter(|said| *said > self.bad) {
                    let text = format!(
                        "stats says unexpected: {said}, but the report contains {}",
                        self.bad
                    );
                    sink.against(Reason::new(Cause::Claim, None, text));
                }
                let flaky = object.count("stats.flaky").unwrap_or(0);
                if flaky > 0 && object.is("config.failOnFlakyTests") == Some(true) {
                    let text =
                        format!("{flaky} flaky tests, which failOnFlakyTests treats as a failure");
                    sink.against(Reason::new(Cause::Verdict, None, text));
                }
                sink.suite(Suite {
                    started: object.get("stats.startTime").and_then(|date| date.parse().ok()),
                    micros: object.number("stats.duration").and_then(number::of_millis),
                    claim: Claim { failures: unexpected, ..Claim::default() },
                    ..Suite::default()
                })?;
            }
        }
        Ok(())
    }

    fn cut(
        &mut self,
        object: &Object<'_>,
        open: &mut [Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        if object.key == "specs" { self.spec(object, open, sink) } else { Ok(()) }
    }
}
