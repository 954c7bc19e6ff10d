//! TRX: the test results of Visual Studio and `dotnet test`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::attribute::time;
use crate::input::Input;
use crate::model::nested;
use crate::number;
use crate::xml::{Element, Handler, walk};
use crate::{Case, Cause, Failure, Note, NoteKind, ReadError, Reason, Sink, Status, Suite};

/// Results refer to test definitions that follow, so all are held until the file ends.
#[derive(Default)]
struct Trx {
    suite: Suite,
    cases: Vec<(Option<String>, Case)>,
    /// Open results: rows of a data-driven test are nested in it.
    open: Vec<Open>,
    classes: HashMap<String, String>,
    /// Other properties from the test definitions.
    properties: HashMap<String, Vec<(String, String)>>,
    test: Option<String>,
    /// The run's outcome with its line, and the run's own messages.
    outcome: Option<(String, u64)>,
    infos: Vec<Case>,
    info: Option<Case>,
    key: Option<String>,
    failed: u64,
}

/// An open result.
struct Open {
    test: Option<String>,
    case: Case,
    /// If it has inner results: whether one of them failed or broke.
    rows: Option<bool>,
}

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut trx = Trx::default();
    // Everything before a break is kept.
    let walked = walk(input, sink, &mut trx);
    let bad = trx.cases.iter().filter(|(_, case)| case.outcome().is_bad()).count() as u64;
    let infos = trx.infos.iter().filter(|case| case.outcome().is_bad()).count() as u64;
    if let Some((outcome, line)) = trx.outcome.filter(|_| bad + infos == 0) {
        let text = format!("the run has the outcome {outcome}");
        sink.against(Reason::new(Cause::Verdict, Some(line), text));
    }
    if trx.failed > bad {
        let text = format!("the run counts {} failures, but contains {bad}", trx.failed);
        sink.against(Reason::new(Cause::Claim, None, text));
    }
    for info in trx.infos {
        sink.case(info)?;
    }
    for (id, mut case) in trx.cases {
        if let Some(properties) = id.as_ref().and_then(|id| trx.properties.get(id)) {
            case.properties.extend(properties.iter().cloned());
        }
        case.class = id.and_then(|id| trx.classes.get(&id).cloned());
        if let Some(class) = &case.class
            && let Some(name) =
                case.name.strip_prefix(class.as_str()).and_then(|rest| rest.strip_prefix('.'))
        {
            case.name = name.to_owned();
        }
        sink.case(case)?;
    }
    sink.suite(trx.suite)?;
    walked
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
                // `user@HOST date time` differs on every run.
                let name = element.get("name").unwrap_or_default();
                let is_dated = name.bytes().filter(|byte| *byte == b':').count() >= 2;
                let name = if is_dated { "" } else { name };
                self.suite.path = nested(&Arc::default(), name, Some(element.line), sink);
            }
            "Times" => self.suite.started = time(element, "start", sink),
            "UnitTest" => self.test = element.owned("id"),
            "TestMethod" => {
                if let (Some(test), Some(class)) = (&self.test, element.owned("className")) {
                    // The assembly's name may follow after a comma.
                    let class = class.split(',').next().unwrap_or_default().to_owned();
                    self.classes.insert(test.clone(), class);
                }
            }
            "ResultSummary" => {
                let outcome = element.get("outcome").unwrap_or_default();
                let good = ["Completed", "Passed", "Warning", "Inconclusive", "NotExecuted", ""];
                if !good.contains(&outcome) {
                    self.outcome = Some((outcome.to_owned(), element.line));
                }
            }
            "Counters" => {
                let count = |name| element.get(name).and_then(|text| text.parse::<u64>().ok());
                let all = ["failed", "error", "timeout", "aborted"].map(count);
                self.failed = all.into_iter().flatten().sum();
            }
            "RunInfo" => {
                let is_bad =
                    !matches!(element.get("outcome"), Some("Warning" | "Passed" | "Completed"));
                self.info = Some(Case {
                    name: "the run itself".to_owned(),
                    status: Some(if is_bad { Status::Error } else { Status::Passed }),
                    report_line: Some(element.line),
                    ..Case::default()
                });
            }
            "TestCategoryItem" | "Owner" | "WorkItem" => {
                let value = element.get(&element.name).or_else(|| element.get("TestCategory"));
                let value = value.or_else(|| element.get("name")).unwrap_or_default().to_owned();
                let name = element.name.trim_end_matches("Item").to_owned();
                if let Some(test) = &self.test {
                    self.properties.entry(test.clone()).or_default().push((name, value));
                }
            }
            "ResultFile" => {
                if let (Some(open), Some(path)) = (self.open.last_mut(), element.owned("path")) {
                    open.case.properties.push(("ResultFile".to_owned(), path));
                }
            }
            // UnitTestResult, and those of other test types.
            name if name.ends_with("TestResult") => {
                let outcome = element.get("outcome").unwrap_or_default();
                let status = match outcome {
                    "Passed" | "PassedButRunAborted" | "Completed" | "Warning" => Status::Passed,
                    "Failed" => Status::Failed,
                    "Error" | "Timeout" | "Aborted" | "Disconnected" => Status::Error,
                    "NotExecuted" | "NotRunnable" | "Inconclusive" | "Pending" => Status::Skipped,
                    other => {
                        let text = format!("unknown outcome '{other}', counted as an error");
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
            (name, _) if name.ends_with("TestResult") => {
                let Some(Open { test, case, rows }) = self.open.pop() else { return Ok(()) };
                let is_bad = case.outcome().is_bad();
                if let Some(outer) = self.open.last_mut() {
                    outer.rows = Some(outer.rows.unwrap_or(false) || is_bad || rows == Some(true));
                }
                // A result around rows only summarizes them, unless it failed and none of them did.
                if rows.is_none_or(|any_bad| is_bad && !any_bad) {
                    sink.room(self.cases.len())?;
                    self.cases.push((test, case));
                }
            }
            ("RunInfo", _) => {
                // A warning is not a failure; it becomes a note.
                match self.info.take() {
                    Some(info) if info.outcome().is_bad() => self.infos.push(info),
                    Some(info) => {
                        let text = info.failure.and_then(|said| said.message).unwrap_or_default();
                        sink.note(Note { line: Some(element.line), kind: NoteKind::Odd, text });
                    }
                    None => {}
                }
            }
            ("Text", _) if self.info.is_some() => {
                if let Some(info) = &mut self.info {
                    info.failure.get_or_insert_with(Failure::default).message = element.trimmed();
                }
            }
            ("UnitTest", _) => self.test = None,
            ("Key", _) => self.key = element.trimmed(),
            ("Value", None) => {
                if let (Some(test), Some(key), Some(value)) =
                    (&self.test, self.key.take(), element.trimmed())
                {
                    self.properties.entry(test.clone()).or_default().push((key, value));
                }
            }
            ("DebugTrace", Some(case)) => {
                case.properties
                    .extend(element.trimmed().map(|text| ("DebugTrace".to_owned(), text)));
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
