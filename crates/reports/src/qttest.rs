//! QtTest's XML (`-o file,xml`), and the same without a root element (`lightxml`).

use std::sync::Arc;

use crate::input::Input;
use crate::model::nested;
use crate::number;
use crate::xml::{Element, Handler, walk};
use crate::{Case, Cause, Failure, ReadError, Reason, Sink, Status, Suite};

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut qttest = Qttest::default();
    let read = walk(input, sink, &mut qttest);
    qttest.end_function(sink)?;
    if read.is_ok() {
        qttest.end_program(sink);
    }
    read
}

#[derive(Default)]
struct Qttest {
    path: Arc<[String]>,
    function: String,
    /// The data rows of the function and their results.
    rows: Vec<Case>,
    tag: String,
    said: Option<String>,
    /// An expected failure in the current row; the row's end follows.
    expected: Option<(String, String)>,
    /// Output before the row ended.
    written: String,
    has_begun: bool,
    is_cleaned_up: bool,
}

impl Qttest {
    /// `cleanupTestCase` always runs last, whichever tests were selected.
    fn end_program(&self, sink: &mut dyn Sink) {
        if !self.is_cleaned_up {
            let text = "the final cleanupTestCase did not run";
            sink.against(Reason::new(Cause::Cut, None, text));
        }
    }

    fn row(
        &mut self,
        element: &Element,
        status: Status,
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let tag = std::mem::take(&mut self.tag);
        let said = self.said.take();
        let expected = self.expected.take().filter(|(of, _)| *of == tag).map(|(_, said)| said);
        let name = if tag.is_empty() {
            self.function.clone()
        } else {
            format!("{}({tag})", self.function)
        };
        // If these functions fail, no rows run: they are not tests.
        let is_frame = matches!(self.function.as_str(), "initTestCase" | "cleanupTestCase");
        let status = if is_frame && status == Status::Failed { Status::Error } else { status };
        let failure = said.or(expected).filter(|_| status != Status::Passed).map(|said| Failure {
            kind: element.owned("type"),
            message: said.lines().next().map(str::to_owned),
            text: Some(said),
        });
        sink.room(self.rows.len())?;
        self.rows.push(Case {
            suites: self.path.clone(),
            name,
            status: Some(status),
            failure,
            stdout: std::mem::take(&mut self.written),
            file: element.owned("file"),
            line: element.get("line").and_then(|line| line.parse().ok()).filter(|line| *line > 0),
            report_line: Some(element.line),
            ..Case::default()
        });
        Ok(())
    }

    fn end_function(&mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let function = std::mem::take(&mut self.function);
        for case in std::mem::take(&mut self.rows) {
            let is_frame = matches!(function.as_str(), "initTestCase" | "cleanupTestCase");
            if is_frame && case.outcome() == Status::Passed {
                continue;
            }
            sink.case(case)?;
        }
        Ok(())
    }
}

impl Handler for Qttest {
    fn start(
        &mut self,
        element: &mut Element,
        _: &[Element],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        match element.name.as_str() {
            "TestCase" => {
                let name = element.get("name").unwrap_or_default();
                self.path = nested(&Arc::default(), name, Some(element.line), sink);
            }
            "TestFunction" => {
                self.function = element.get("name").unwrap_or_default().to_owned();
                if self.function == "initTestCase" {
                    // It runs first, so another program's output may precede it.
                    if self.has_begun {
                        self.end_program(sink);
                    }
                    self.is_cleaned_up = false;
                }
                self.has_begun = true;
                self.is_cleaned_up |= self.function == "cleanupTestCase";
                self.expected = None;
            }
            "Incident" | "Message" => {
                self.tag.clear();
                self.said = None;
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
            "DataTag" => self.tag = element.trimmed().unwrap_or_default(),
            "Description" => self.said = element.trimmed(),
            "Incident" | "Message" => match element.get("type").unwrap_or_default() {
                "pass" | "bpass" => self.row(element, Status::Passed, sink)?,
                "fail" | "xpass" => self.row(element, Status::Failed, sink)?,
                // Blacklisted tests, known to be unreliable, do not count.
                "bfail" | "bxpass" | "bxfail" | "skip" => {
                    self.row(element, Status::Skipped, sink)?
                }
                "xfail" => {
                    let said = self.said.take().unwrap_or_default();
                    self.expected = Some((std::mem::take(&mut self.tag), said));
                }
                _ => {
                    if let Some(said) = self.said.take() {
                        self.written.push_str(&said);
                        self.written.push('\n');
                    }
                }
            },
            "Duration" if open.last().is_some_and(|outer| outer.name == "TestFunction") => {
                let millis = element.get("msecs").and_then(|millis| millis.parse::<f64>().ok());
                // The duration is the function's; rows have none.
                if let [case] = self.rows.as_mut_slice() {
                    case.micros = millis.and_then(number::of_millis);
                }
            }
            "TestFunction" => {
                if let Some((tag, said)) = self.expected.take() {
                    (self.tag, self.said) = (tag, Some(said));
                    self.row(element, Status::Skipped, sink)?;
                }
                self.end_function(sink)?;
            }
            "TestCase" => {
                sink.suite(Suite { path: self.path.clone(), ..Suite::default() })?;
            }
            _ => {}
        }
        Ok(())
    }
}
