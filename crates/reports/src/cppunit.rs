//! CppUnit's XML, as written by its XmlOutputter.

use std::sync::Arc;

use crate::input::Input;
use crate::xml::{Element, Handler, walk};
use crate::{Case, Cause, Claim, Failure, ReadError, Reason, Sink, Status, Suite};

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    walk(input, sink, &mut Cppunit::default())
}

#[derive(Default)]
struct Cppunit {
    case: Case,
    cases: u64,
    bad: u64,
    claim: Claim,
}

impl Handler for Cppunit {
    fn start(
        &mut self,
        element: &mut Element,
        _: &[Element],
        _: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        if matches!(element.name.as_str(), "FailedTest" | "Test") {
            let is_failed = element.name == "FailedTest";
            self.case = Case {
                status: Some(if is_failed { Status::Failed } else { Status::Passed }),
                failure: is_failed.then(Failure::default),
                report_line: Some(element.line),
                ..Case::default()
            };
        }
        Ok(())
    }

    fn end(
        &mut self,
        element: &mut Element,
        open: &mut [Element],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let number = || element.text.trim().parse::<u64>().ok();
        let outer = open.last().map_or("", |outer| outer.name.as_str());
        match (element.name.as_str(), outer) {
            ("Name", _) => {
                let name = element.trimmed().unwrap_or_default();
                match name.rsplit_once("::") {
                    Some((class, name)) => {
                        self.case.class = Some(class.to_owned());
                        self.case.name = name.to_owned();
                    }
                    None => self.case.name = name,
                }
            }
            ("FailureType", _) => {
                let kind = element.trimmed();
                if kind.as_deref() == Some("Error") {
                    self.case.status = Some(Status::Error);
                }
                self.case.failure.get_or_insert_default().kind = kind;
            }
            ("Message", _) => {
                let text = element.trimmed();
                let failure = self.case.failure.get_or_insert_default();
                failure.message =
                    text.as_deref().and_then(|text| text.lines().next()).map(str::to_owned);
                failure.text = text;
            }
            ("File", _) => self.case.file = element.trimmed(),
            ("Line", _) => self.case.line = element.text.trim().parse().ok(),
            ("FailedTest" | "Test", _) => {
                let case = std::mem::take(&mut self.case);
                self.cases += 1;
                self.bad += u64::from(case.outcome().is_bad());
                sink.case(case)?;
            }
            ("Tests", "Statistics") => self.claim.tests = number(),
            ("FailuresTotal", "Statistics") => self.claim.failures = number(),
            ("TestRun", _) => {
                if let Some(said) = self.claim.failures.filter(|said| *said > self.bad) {
                    let text = format!(
                        "the statistics say FailuresTotal: {said}, but the report contains {}",
                        self.bad
                    );
                    sink.against(Reason::new(Cause::Claim, Some(element.line), text));
                }
                if let Some(said) = self.claim.tests.filter(|said| *said > self.cases) {
                    let text = format!(
                        "the statistics say Tests: {said}, but the report contains {}",
                        self.cases
                    );
                    sink.against(Reason::new(Cause::Claim, Some(element.line), text));
                }
                sink.suite(Suite { path: Arc::default(), claim: self.claim, ..Suite::default() })?;
            }
            _ => {}
        }
        Ok(())
    }
}
