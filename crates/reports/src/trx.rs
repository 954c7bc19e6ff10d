//! TRX: the test results of Visual Studio and `dotnet test`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::input::Input;
use crate::junit::time;
use crate::model::nested;
use crate::number;
use crate::xml::{Element, Handler, walk};
use crate::{Case, Failure, Note, NoteKind, ReadError, Sink, Status, Suite};

/// Results name tests that the file defines behind them, so all are held until it ends.
#[derive(Default)]
struct Trx {
    suite: Suite,
    cases: Vec<(Option<String>, Case)>,
    /// Those that have not ended: rows of a table lie in the test that goes over them.
    open: Vec<Open>,
    classes: HashMap<String, String>,
    test: Option<String>,
}

/// A result that has not ended.
struct Open {
    test: Option<String>,
    case: Case,
    /// Whether there are others in it, and whether one of them is bad.
    rows: Option<bool>,
}

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut trx = Trx::default();
    walk(input, sink, &mut trx)?;
    for (id, mut case) in trx.cases {
        case.class = id.and_then(|id| trx.classes.get(&id).cloned());
        if let Some(class) = &case.class
            && let Some(name) =
                case.name.strip_prefix(class.as_str()).and_then(|rest| rest.strip_prefix('.'))
        {
            case.name = name.to_owned();
        }
        sink.case(case)?;
    }
    sink.suite(trx.suite)
}

impl Handler for Trx {
    fn start(
        &mut self,
        element: &mut Element,
        _: &[Element],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        match element.name.as_str() {
            "TestRun" => {
                let name = element.get("name").unwrap_or_default();
                self.suite.path = nested(&Arc::default(), name, Some(element.line), sink);
            }
            "Times" => self.suite.started = time(element, "start", sink),
            "UnitTest" => self.test = element.owned("id"),
            "TestMethod" => {
                if let (Some(test), Some(class)) = (&self.test, element.owned("className")) {
                    // An assembly's name may follow behind a comma.
                    let class = class.split(',').next().unwrap_or_default().to_owned();
                    self.classes.insert(test.clone(), class);
                }
            }
            "UnitTestResult" => {
                let outcome = element.get("outcome").unwrap_or_default();
                let status = match outcome {
                    "Passed" | "PassedButRunAborted" | "Completed" | "Warning" => Status::Passed,
                    "Failed" => Status::Failed,
                    "Error" | "Timeout" | "Aborted" | "Disconnected" => Status::Error,
                    "NotExecuted" | "NotRunnable" | "Inconclusive" | "Pending" => Status::Skipped,
                    other => {
                        let text =
                            format!("the outcome '{other}' is not known; it counts as an error");
                        sink.note(Note { line: Some(element.line), kind: NoteKind::Guessed, text });
                        Status::Error
                    }
                };
                self.suite.host = self.suite.host.take().or_else(|| element.owned("computerName"));
                let case = Case {
                    name: element.get("testName").unwrap_or_default().to_owned(),
                    status: Some(status),
                    micros: element.get("duration").and_then(number::clock),
                    started: time(element, "startTime", sink),
                    report_line: Some(element.line),
                    ..Case::default()
                };
                self.open.push(Open { test: element.owned("testId"), case, rows: None });
            }
            _ => {}
        }
        Ok(())
    }

    fn end(
        &mut self,
        element: &mut Element,
        _: &mut [Element],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let case = self.open.last_mut().map(|open| &mut open.case);
        match (element.name.as_str(), case) {
            ("UnitTestResult", _) => {
                let Some(Open { test, case, rows }) = self.open.pop() else { return Ok(()) };
                let is_bad = case.outcome().is_bad();
                if let Some(outer) = self.open.last_mut() {
                    outer.rows = Some(outer.rows.unwrap_or(false) || is_bad || rows == Some(true));
                }
                // One around rows only sums them up, unless it failed and none of them did.
                if rows.is_none_or(|any_bad| is_bad && !any_bad) {
                    sink.room(self.cases.len())?;
                    self.cases.push((test, case));
                }
            }
            ("StdOut", Some(case)) => case.stdout += &element.text,
            ("StdErr", Some(case)) => case.stderr += &element.text,
            ("Message", Some(case)) => {
                case.failure.get_or_insert_with(Failure::default).message = element.trimmed();
            }
            ("StackTrace", Some(case)) => {
                case.failure.get_or_insert_with(Failure::default).text = element.trimmed();
            }
            _ => {}
        }
        Ok(())
    }
}
