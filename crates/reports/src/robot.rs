//! Robot Framework's `output.xml`, versions 3 to 7.

use std::sync::Arc;

use crate::attribute::time;
use crate::input::Input;
use crate::model::nested;
use crate::number;
use crate::xml::{Element, Handler, walk};
use crate::{Case, Cause, Claim, Failure, Note, NoteKind, ReadError, Reason, Sink, Status, Suite};

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    walk(input, sink, &mut Robot::default())
}

#[derive(Default)]
struct Robot {
    suites: Vec<Open>,
    case: Option<Case>,
    /// The log messages of the test's keywords.
    logged: String,
    bad: u64,
    /// The number of failures that do not count.
    uncounted: u64,
}

struct Open {
    suite: Suite,
    /// The number of failed or broken cases when it began.
    bad_before: u64,
}

/// Start and duration: `start` and `elapsed`, or `starttime` and `endtime` before version 7.
fn times(
    element: &Element,
    sink: &mut dyn Sink,
) -> (Option<devmason_domain::Timestamp>, Option<u64>) {
    if element.get("start").is_some() {
        let elapsed = element.get("elapsed").and_then(number::seconds);
        return (time(element, "start", sink), elapsed.map(|(micros, _)| micros));
    }
    // `20261126 00:01:59.215`
    let at = |name: &str| {
        let (day, clock) = element.get(name)?.split_once(' ')?;
        let (year, month, day) = (day.get(..4)?, day.get(4..6)?, day.get(6..)?);
        format!("{year}-{month}-{day}T{clock}").parse::<devmason_domain::Timestamp>().ok()
    };
    let (start, end) = (at("starttime"), at("endtime"));
    let took =
        start.zip(end).and_then(|(start, end)| (end.micros() - start.micros()).try_into().ok());
    (start, took)
}

fn status(word: &str) -> Option<Status> {
    Some(match word {
        "PASS" => Status::Passed,
        "FAIL" => Status::Failed,
        "SKIP" | "NOT RUN" | "NOT_RUN" => Status::Skipped,
        _ => return None,
    })
}

impl Robot {
    fn end_test(&mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let Some(mut case) = self.case.take() else { return Ok(()) };
        case.stdout = std::mem::take(&mut self.logged);
        if case.status.is_none() {
            case.status = Some(Status::Error);
            let text = format!("'{}' has no status, counted as an error", case.name);
            sink.note(Note { line: case.report_line, kind: NoteKind::Guessed, text });
        }
        self.bad += u64::from(case.outcome().is_bad());
        sink.case(case)
    }

    fn end_suite(
        &mut self,
        mut open: Open,
        status: Option<(Status, Option<String>)>,
        line: u64,
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        // A suite's teardown fails after its tests, whose own status is unchanged.
        let (status, why) = status.unwrap_or((Status::Passed, None));
        let is_own = why.as_deref().is_some_and(|why| why.contains("teardown failed"));
        if status == Status::Failed && (is_own || self.bad == open.bad_before) {
            self.bad += 1;
            let name = open.suite.path.last().map_or("", String::as_str);
            sink.case(Case {
                name: format!("the suite itself ({name})"),
                suites: open.suite.path.clone(),
                status: Some(Status::Error),
                failure: Some(Failure { message: why, ..Failure::default() }),
                report_line: Some(line),
                ..Case::default()
            })?;
        }
        open.suite.properties.clear();
        sink.suite(open.suite)
    }
}

impl Handler for Robot {
    fn start(
        &mut self,
        element: &mut Element,
        open: &[Element],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let outer = open.last().map_or("", |outer| outer.name.as_str());
        match element.name.as_str() {
            "suite" if matches!(outer, "robot" | "suite") => {
                let path = self.suites.last().map(|open| open.suite.path.clone());
                let name = element.get("name").unwrap_or_default();
                let path = nested(&path.unwrap_or_default(), name, Some(element.line), sink);
                let suite = Suite { path, ..Suite::default() };
                self.suites.push(Open { suite, bad_before: self.bad });
            }
            "test" => {
                self.case = Some(Case {
                    suites: self
                        .suites
                        .last()
                        .map(|open| open.suite.path.clone())
                        .unwrap_or_default(),
                    name: element.get("name").unwrap_or_default().to_owned(),
                    line: element.get("line").and_then(|line| line.parse().ok()),
                    report_line: Some(element.line),
                    ..Case::default()
                });
            }
            _ => {}
        }
        Ok(())
    }

    fn end(
        &mut self,
        element: &mut Element,
        open: &mut [Element],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let outer = open.last().map_or("", |outer| outer.name.as_str());
        match (element.name.as_str(), outer) {
            ("test", _) => self.end_test(sink)?,
            ("status", "test") => {
                let (started, micros) = times(element, sink);
                if let Some(case) = &mut self.case {
                    case.status = element.get("status").and_then(status);
                    (case.started, case.micros) = (started, micros);
                    case.failure = element.trimmed().map(|text| Failure {
                        kind: None,
                        message: text.lines().next().map(str::to_owned),
                        text: Some(text.clone()),
                    });
                    if case.outcome() == Status::Passed {
                        case.failure = None;
                    }
                    // Before version 4, a test could be non-critical: then its failure does not count.
                    if case.outcome().is_bad() && element.get("critical") == Some("no") {
                        self.uncounted += 1;
                        case.status = Some(Status::Skipped);
                    }
                }
            }
            ("status", "suite") => {
                let (started, micros) = times(element, sink);
                if let Some(open) = self.suites.last_mut() {
                    (open.suite.started, open.suite.micros) = (started, micros);
                    // Keeps the status here until the suite ends.
                    let why = element.trimmed().unwrap_or_default();
                    let status = element.get("status").unwrap_or_default().to_owned();
                    open.suite.properties = vec![(status, why)];
                }
            }
            ("tag", "test" | "tags") => {
                if let (Some(case), Some(tag)) = (&mut self.case, element.trimmed()) {
                    case.properties.push(("tag".to_owned(), tag));
                }
            }
            ("msg", _) if self.case.is_some() => {
                let level = element.get("level").unwrap_or_default();
                if matches!(level, "INFO" | "WARN" | "ERROR" | "FAIL")
                    && self.logged.len() + element.text.len() < crate::json::MAX_TEXT
                {
                    self.logged.push_str(element.text.trim_end());
                    self.logged.push('\n');
                }
            }
            ("suite", "robot" | "suite") => {
                if let Some(mut open) = self.suites.pop() {
                    let said = open.suite.properties.pop();
                    let said = said.and_then(|(word, why)| {
                        Some((status(&word)?, Some(why).filter(|why| !why.is_empty())))
                    });
                    self.end_suite(open, said, element.line, sink)?;
                }
            }
            // Import errors are reported here, and fail no test by themselves.
            ("msg", "errors") => {
                let text = element.trimmed().unwrap_or_default();
                sink.note(Note { line: Some(element.line), kind: NoteKind::Odd, text });
            }
            ("stat", "total") if element.text.trim() == "All Tests" => {
                let failed = element.get("fail").and_then(|count| count.parse::<u64>().ok());
                if let Some(failed) =
                    failed.filter(|failed| *failed > self.uncounted && self.bad == 0)
                {
                    let text = format!("the statistics say fail=\"{failed}\", but there are none");
                    sink.against(Reason::new(Cause::Claim, Some(element.line), text));
                }
                sink.suite(Suite {
                    path: Arc::default(),
                    claim: Claim { failures: failed, ..Claim::default() },
                    ..Suite::default()
                })?;
            }
            _ => {}
        }
        Ok(())
    }
}
