//! Boost.Test's XML: its log (`--log_format=XML`), its report (`--report_format=XML`), or both
//! concatenated.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::input::Input;
use crate::model::nested;
use crate::xml::{Element, Handler, walk};
use crate::{Case, Cause, Failure, Note, NoteKind, ReadError, Reason, Sink, Status, Suite};

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut boost = Boost::default();
    let read = walk(input, sink, &mut boost);
    if let Some(case) = boost.case.take() {
        // The log is truncated within this case.
        boost.keep(case, sink)?;
    }
    boost.emit(sink)?;
    read
}

#[derive(Default)]
struct Boost {
    suites: Vec<Arc<[String]>>,
    case: Option<Case>,
    /// The cases of the log. A report after it has their results, and counts expected failures.
    held: Vec<Case>,
    /// The index of each case in that list.
    places: HashMap<(Arc<[String]>, String), usize>,
    /// The suites with a failed or broken case.
    bad: HashSet<Arc<[String]>>,
    is_report: bool,
}

impl Boost {
    fn path(&self) -> Arc<[String]> {
        self.suites.last().cloned().unwrap_or_default()
    }

    fn fail(&mut self, element: &Element, is_error: bool) {
        let path = self.path();
        let case = self.case.get_or_insert_with(|| Case {
            // A failure outside of any test, in the setup of the suite.
            name: "the suite itself".to_owned(),
            suites: path,
            report_line: Some(element.line),
            ..Case::default()
        });
        let status = if is_error { Status::Error } else { Status::Failed };
        case.status = Some(case.status.map_or(status, |known| known.max(status)));
        let place = element.get("file").zip(element.get("line")).filter(|(_, line)| *line != "0");
        let place = place.map(|(file, line)| format!("{file}:{line}: ")).unwrap_or_default();
        let said = element.trimmed().unwrap_or_default();
        let text = format!("{place}{said}");
        match &mut case.failure {
            Some(failure) => {
                let before = failure.text.get_or_insert_default();
                before.push('\n');
                before.push_str(&text);
            }
            None => {
                let kind = Some(element.name.clone());
                let message = said.lines().next().map(str::to_owned);
                case.failure = Some(Failure { kind, message, text: Some(text) });
            }
        }
    }

    fn keep(&mut self, case: Case, sink: &mut dyn Sink) -> Result<(), ReadError> {
        sink.room(self.held.len())?;
        if case.outcome().is_bad() {
            self.tell_bad(&case.suites);
        }
        self.places.entry((case.suites.clone(), case.name.clone())).or_insert(self.held.len());
        self.held.push(case);
        Ok(())
    }

    /// Marks a suite and its parents as containing a failed or broken case.
    fn tell_bad(&mut self, path: &Arc<[String]>) {
        let mut path = path.clone();
        while self.bad.insert(path.clone()) {
            let Some((_, outer)) = path.split_last() else { break };
            path = outer.into();
        }
    }

    /// A case according to the report; usually there was no log.
    fn reported(&mut self, element: &Element, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let name = element.get("name").unwrap_or_default();
        let status = match element.get("result").unwrap_or_default() {
            "passed" | "passed_with_warnings" => Status::Passed,
            "failed" => Status::Failed,
            "skipped" => Status::Skipped,
            // A case that threw is reported as aborted.
            _ => Status::Error,
        };
        let path = self.path();
        let known = self.places.get(&(path.clone(), name.to_owned())).copied();
        if status.is_bad() && known.is_some() {
            self.tell_bad(&path);
        }
        if let Some(case) = known.and_then(|at| self.held.get_mut(at)) {
            if status == Status::Passed {
                case.failure = None;
            }
            case.status = Some(status);
            return Ok(());
        }
        let count = |name: &str| element.get(name).unwrap_or("0").to_owned();
        let message = status.is_bad().then(|| Failure {
            kind: element.owned("result"),
            message: Some(format!("{} assertions failed", count("assertions_failed"))),
            text: None,
        });
        let case = Case {
            suites: path,
            name: name.to_owned(),
            status: Some(status),
            failure: message,
            report_line: Some(element.line),
            ..Case::default()
        };
        self.keep(case, sink)
    }

    fn emit(&mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        for case in std::mem::take(&mut self.held) {
            sink.case(case)?;
        }
        Ok(())
    }
}

impl Handler for Boost {
    fn start(
        &mut self,
        element: &mut Element,
        _: &[Element],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        match element.name.as_str() {
            // After a report, the output of another program follows; its suites may have the same names.
            "TestResult" | "TestLog" if std::mem::take(&mut self.is_report) => {
                self.places.clear();
                self.is_report = element.name == "TestResult";
            }
            "TestResult" => self.is_report = true,
            "TestSuite" => {
                if let Some(case) = self.case.take() {
                    self.keep(case, sink)?;
                }
                let name = element.get("name").unwrap_or_default();
                let path = nested(&self.path(), name, Some(element.line), sink);
                self.suites.push(path);
            }
            "TestCase" if self.is_report => self.reported(element, sink)?,
            "TestCase" => {
                let is_skipped = element.get("skipped").is_some_and(|skipped| skipped != "no");
                let why = element.owned("reason");
                self.case = Some(Case {
                    suites: self.path(),
                    name: element.get("name").unwrap_or_default().to_owned(),
                    status: is_skipped.then_some(Status::Skipped),
                    failure: why.map(|why| Failure { message: Some(why), ..Failure::default() }),
                    file: element.owned("file"),
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
        match element.name.as_str() {
            "Error" | "FatalError" => self.fail(element, false),
            "Exception" => self.fail(element, true),
            "Message" | "Warning" => {
                if let (Some(case), Some(text)) = (&mut self.case, element.trimmed()) {
                    case.stdout.push_str(&text);
                    case.stdout.push('\n');
                }
            }
            "TestingTime" => {
                if let Some(case) = &mut self.case {
                    case.micros = element.text.trim().parse().ok();
                }
            }
            "TestCase" if !self.is_report => {
                if let Some(case) = self.case.take() {
                    self.keep(case, sink)?;
                }
            }
            "TestSuite" => {
                if let Some(case) = self.case.take() {
                    self.keep(case, sink)?;
                }
                let path = self.suites.pop().unwrap_or_default();
                let is_bad =
                    matches!(element.get("result"), Some("failed" | "aborted" | "timed out"));
                if self.is_report && is_bad && !self.bad.contains(&path) {
                    let name = path.last().map_or("", String::as_str);
                    let text = format!("the suite '{name}' is marked as failed");
                    sink.against(Reason::new(Cause::Verdict, Some(element.line), text));
                }
                if self.is_report && path.len() == 1 && self.held.is_empty() {
                    let text =
                        "the report has no test cases; use --report_level=detailed".to_owned();
                    sink.note(Note { line: Some(element.line), kind: NoteKind::Odd, text });
                }
                sink.suite(Suite { path, ..Suite::default() })?;
            }
            "TestLog" if open.is_empty() => {
                if let Some(case) = self.case.take() {
                    self.keep(case, sink)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
