//! The XML of Check, a unit test framework for C (`srunner_set_xml`).

use std::sync::Arc;

use crate::doubled::Doubled;
use crate::input::Input;
use crate::model::{nested, unknown};
use crate::number;
use crate::xml::{Element, Handler, walk};
use crate::{Case, Failure, ReadError, Sink, Status, Suite};

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    walk(input, sink, &mut Check::default())
}

#[derive(Default)]
struct Check {
    title: String,
    case: Case,
    /// Check's test case, which contains tests, and the iteration of a loop test.
    within: String,
    iteration: String,
    doubled: Doubled,
}

impl Handler for Check {
    fn start(
        &mut self,
        element: &mut Element,
        _: &[Element],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        if element.name == "test" {
            let status = match element.get("result").unwrap_or_default() {
                "success" => Status::Passed,
                "failure" => Status::Failed,
                "error" => Status::Error,
                other => unknown(other, "a test", Some(element.line), sink),
            };
            self.case =
                Case { status: Some(status), report_line: Some(element.line), ..Case::default() };
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
        let text = || element.trimmed().unwrap_or_default();
        match (element.name.as_str(), outer) {
            ("title", "suite") => self.title = text(),
            ("id", "test") => self.case.name = text(),
            ("description", "test") => self.within = text(),
            ("iteration", "test") => self.iteration = text(),
            ("duration", "test") => {
                // A failed test has -1.
                self.case.micros = number::seconds(&element.text).map(|(micros, _)| micros);
            }
            ("fn", "test") => {
                let place = text();
                let (file, line) = place.rsplit_once(':').unwrap_or((&place, ""));
                self.case.file = Some(file.to_owned());
                self.case.line = line.parse().ok();
            }
            ("message", "test") if self.case.outcome() != Status::Passed => {
                let message = text();
                self.case.failure = Some(Failure { message: Some(message), ..Failure::default() });
            }
            ("test", _) => {
                let line = Some(element.line);
                let mut case = std::mem::take(&mut self.case);
                case.suites = nested(&Arc::default(), &self.title, line, sink);
                case.suites = nested(&case.suites, &self.within, line, sink);
                self.doubled.tell_apart(&mut case, &self.iteration, sink);
                sink.case(case)?;
            }
            ("suite", _) => {
                let path = nested(&Arc::default(), &self.title, Some(element.line), sink);
                sink.suite(Suite { path, ..Suite::default() })?;
            }
            _ => {}
        }
        Ok(())
    }
}
