//! NUnit's XML, versions 2 and 3.

use crate::attribute::{duration, time};
use crate::input::Input;
use crate::model::nested;
use crate::xml::{Element, Handler, walk};
use crate::{Case, Cause, Claim, Failure, Note, NoteKind, ReadError, Reason, Sink, Status, Suite};

#[derive(Default)]
struct Nunit {
    suites: Vec<Suite>,
    /// Each suite's own data.
    own: Vec<Own>,
    case: Option<Case>,
    bad: u64,
}

/// A suite's own data.
#[derive(Default)]
struct Own {
    /// If the suite itself failed, and not only a case in it: the name of that failure.
    failed: Option<String>,
    /// The number of failed or broken cases when it began.
    bad_before: u64,
    failure: Failure,
}

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    walk(input, sink, &mut Nunit::default())
}

/// Whether a run or suite reports that it failed or was stopped.
fn is_bad(element: &Element) -> bool {
    matches!(
        element.get("result"),
        Some("Failed" | "Failure" | "Error" | "Cancelled" | "NotRunnable")
    ) || element.get("label") == Some("Cancelled")
}

/// A case's status in version 2 or 3.
fn status(element: &Element, sink: &mut dyn Sink) -> Status {
    // Version 2's console counts these as failures.
    if element.get("result") == Some("NotRunnable") {
        return Status::Error;
    }
    if element.get("executed") == Some("False") {
        return Status::Skipped;
    }
    match element.get("result").unwrap_or_default() {
        "Passed" | "Success" | "Warning" => Status::Passed,
        "Failed" | "Failure" if element.get("label") == Some("Error") => Status::Error,
        "Failed" | "Failure" => Status::Failed,
        "Error" | "Cancelled" => Status::Error,
        "Skipped" | "Ignored" | "Inconclusive" => Status::Skipped,
        "" if element.get("success") == Some("True") => Status::Passed,
        "" if element.get("success") == Some("False") => Status::Failed,
        other => {
            let text = format!("unknown result '{other}', counted as an error");
            sink.note(Note { line: Some(element.line), kind: NoteKind::Guessed, text });
            Status::Error
        }
    }
}

impl Handler for Nunit {
    fn start(
        &mut self,
        element: &mut Element,
        open: &[Element],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let path = || self.suites.last().map(|suite| suite.path.clone()).unwrap_or_default();
        match element.name.as_str() {
            "test-run" | "test-results" | "test-suite" => {
                let mut path = path();
                if element.name == "test-suite" {
                    let name = element.get("name").unwrap_or_default();
                    path = nested(&path, name, Some(element.line), sink);
                }
                let number = |name: &str| element.get(name).and_then(|text| text.parse().ok());
                let suite = Suite {
                    path,
                    started: time(element, "start-time", sink),
                    micros: duration(
                        element,
                        if element.get("duration").is_some() { "duration" } else { "time" },
                        sink,
                    ),
                    claim: Claim {
                        tests: number("total"),
                        failures: number("failed").or_else(|| number("failures")),
                        errors: number("errors"),
                        skipped: number("skipped"),
                    },
                    ..Suite::default()
                };
                self.suites.push(suite);
                let is_bad = is_bad(element);
                let site = element.get("site").unwrap_or("Test");
                let is_child = matches!(site, "Child" | "Parent");
                let label = element.get("label");
                let is_own =
                    element.get("site").is_some() || matches!(label, Some("Invalid" | "Error"));
                let where_ =
                    if element.get("site").is_some() { site } else { label.unwrap_or(site) };
                let name = element.get("name").unwrap_or_default();
                let is_failed = element.name == "test-suite" && is_bad && is_own && !is_child;
                self.own.push(Own {
                    failed: is_failed.then(|| format!("{name}: {where_}")),
                    bad_before: self.bad,
                    ..Own::default()
                });
            }
            "test-case" => {
                let name = element.get("name").unwrap_or_default();
                let full = element.get("fullname").unwrap_or(name);
                let class = element
                    .owned("classname")
                    .or_else(|| full.strip_suffix(name)?.strip_suffix('.').map(str::to_owned))
                    .filter(|class| !class.is_empty());
                let name = class
                    .as_deref()
                    .and_then(|class| name.strip_prefix(class)?.strip_prefix('.'))
                    .unwrap_or(name)
                    .to_owned();
                self.case = Some(Case {
                    suites: path(),
                    class,
                    name,
                    status: Some(status(element, sink)),
                    micros: duration(
                        element,
                        if element.get("duration").is_some() { "duration" } else { "time" },
                        sink,
                    ),
                    started: time(element, "start-time", sink),
                    report_line: Some(element.line),
                    ..Case::default()
                });
            }
            "property" => {
                let property = (
                    element.get("name").unwrap_or_default().to_owned(),
                    element.get("value").unwrap_or_default().to_owned(),
                );
                match (&mut self.case, self.suites.last_mut()) {
                    (Some(case), _) => case.properties.push(property),
                    (None, Some(suite)) => suite.properties.push(property),
                    (None, None) => {}
                }
            }
            "environment" => {
                if let Some(suite) = self.suites.last_mut() {
                    suite.host = element.owned("machine-name");
                }
            }
            _ if open.is_empty() => {
                let problem = format!("<{}> is not an NUnit XML root element", element.name);
                return Err(ReadError::new(Some(element.line), problem));
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
        let within = open.last().map_or("", |open| open.name.as_str());
        match (element.name.as_str(), &mut self.case) {
            ("test-run" | "test-results" | "test-suite", _) => {
                let own = self.own.pop().unwrap_or_default();
                let suite = self.suites.pop().unwrap_or_default();
                let is_failed = is_bad(element);
                // Version 2 does not tell whether the suite itself failed: it did if no case in it failed.
                let is_own =
                    is_failed && self.bad == own.bad_before && own.failure.message.is_some();
                let named = is_own.then(|| suite.path.last().cloned()).flatten();
                if let Some(name) = own.failed.or(named) {
                    self.bad += 1;
                    sink.case(Case {
                        suites: suite.path.clone(),
                        name,
                        status: Some(Status::Error),
                        failure: Some(own.failure),
                        report_line: Some(element.line),
                        ..Case::default()
                    })?;
                }
                if is_failed && self.bad == own.bad_before {
                    let name = suite.path.last().map_or("the run", String::as_str);
                    let text = format!("'{name}' is marked as failed, but contains no failed case");
                    sink.against(Reason::new(Cause::Verdict, Some(element.line), text));
                }
                let claimed = ["failed", "failures", "errors", "invalid"];
                let claimed =
                    claimed.iter().filter_map(|name| element.get(name)?.parse::<u64>().ok());
                if self.suites.is_empty() && claimed.max().unwrap_or(0) > self.bad {
                    let text = "the run counts more failures than it contains".to_owned();
                    sink.against(Reason::new(Cause::Claim, Some(element.line), text));
                }
                sink.suite(suite)?;
            }
            ("test-case", _) => {
                if let Some(case) = self.case.take() {
                    self.bad += u64::from(case.outcome().is_bad());
                    sink.case(case)?;
                }
            }
            ("filePath", Some(case)) => {
                case.properties
                    .extend(element.trimmed().map(|path| ("attachment".to_owned(), path)));
            }
            ("message", Some(case)) if within == "assertion" => {
                let text = element.trimmed();
                case.properties.extend(text.map(|text| ("assertion".to_owned(), text)));
            }
            ("message", None) if matches!(within, "failure" | "reason") => {
                if let Some(own) = self.own.last_mut() {
                    own.failure.message = element.trimmed();
                }
            }
            ("stack-trace", None) if within == "failure" => {
                if let Some(own) = self.own.last_mut() {
                    own.failure.text = element.trimmed();
                }
            }
            ("output", Some(case)) => case.stdout += &element.text,
            ("output", None) => {
                if let Some(suite) = self.suites.last_mut() {
                    suite.stdout += &element.text;
                }
            }
            ("message", Some(case)) if matches!(within, "failure" | "reason") => {
                case.failure.get_or_insert_with(Failure::default).message = element.trimmed();
            }
            ("stack-trace", Some(case)) if within == "failure" => {
                case.failure.get_or_insert_with(Failure::default).text = element.trimmed();
            }
            _ => {}
        }
        Ok(())
    }
}
