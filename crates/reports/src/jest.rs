//! The JSON of Jest (`--json`) and of Vitest (`--reporter=json`), whose output is a subset.

use std::sync::Arc;

use crate::input::Input;
use crate::json::{self, Handler, Object};
use crate::model::{Files, Silent, thrown, unknown, within};
use crate::number;
use crate::{Case, Cause, Failure, Note, NoteKind, ReadError, Reason, Sink, Status, Suite};

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let text = input.rest()?;
    // The file name follows the tests of the file, so a first pass collects the names.
    let mut names = Names::default();
    let _ = json::walk(&text, &mut Silent, &mut names);
    let files = Files::of(names.0.iter().cloned());
    let mut jest = Jest { files, names: names.0, ..Jest::default() };
    json::walk(&text, sink, &mut jest)
}

/// The file names, in the order of their results.
#[derive(Default)]
struct Names(Vec<String>);

impl Handler for Names {
    const OBJECTS: &'static [&'static str] = &["testResults"];
    const MEMBERS: &'static [&'static str] = &["name"];

    fn end(
        &mut self,
        object: &Object<'_>,
        _: &mut [Object<'_>],
        _: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        if object.key == "testResults" {
            self.0.push(object.get("name").unwrap_or_default().to_owned());
        }
        Ok(())
    }
}

#[derive(Default)]
struct Jest {
    files: Files,
    names: Vec<String>,
    /// The index of the current file.
    nth: usize,
    last: Arc<[String]>,
    /// The number of failed or broken cases in this file, and in total.
    bad_here: u64,
    bad: u64,
    failed: u64,
    cases: u64,
}

impl Jest {
    fn file(&self) -> &str {
        self.files.name(self.names.get(self.nth).map_or("", String::as_str))
    }

    fn emit(&mut self, case: Case, sink: &mut dyn Sink) -> Result<(), ReadError> {
        self.cases += 1;
        self.failed += u64::from(case.outcome() == Status::Failed);
        self.bad += u64::from(case.outcome().is_bad());
        self.bad_here += u64::from(case.outcome().is_bad());
        sink.case(case)
    }

    fn test(&mut self, test: &Object<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let title = test.get("title").unwrap_or_default();
        let line = Some(test.line);
        let runs = test.count("invocations").unwrap_or(1);
        let said = test.lines("failureMessages");
        let status = match test.get("status").unwrap_or_default() {
            // Vitest keeps the failures before a pass.
            "passed" if runs > 1 || said.is_some() => Status::Flaky,
            "passed" => Status::Passed,
            "failed" => Status::Failed,
            "pending" | "skipped" | "todo" | "disabled" => Status::Skipped,
            other => unknown(other, title, line, sink),
        };
        let said = if status == Status::Flaky { test.lines("retryReasons").or(said) } else { said };
        let file = self.file().to_owned();
        let names: Vec<&str> =
            std::iter::once(file.as_str()).chain(test.all("ancestorTitles")).collect();
        let suites = within(&names, &mut self.last, line, sink);
        let case = Case {
            suites,
            name: title.to_owned(),
            status: Some(status),
            micros: test.number("duration").and_then(number::of_millis),
            started: test.number("startAt").and_then(number::date),
            failure: said.map(|text| thrown(&text)),
            retries: u32::try_from(runs.saturating_sub(1)).unwrap_or(u32::MAX),
            line: test.count("location.line").and_then(|line| line.try_into().ok()),
            file: Some(file),
            report_line: line,
            properties: test.properties(&["tags"]),
            ..Case::default()
        };
        self.emit(case, sink)
    }

    fn end_file(&mut self, file: &Object<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let line = Some(file.line);
        let name = self.file().to_owned();
        let suites = within(&[&name], &mut Arc::default(), line, sink);
        if file.get("status") == Some("failed") && self.bad_here == 0 {
            // The file failed to load, or something after its tests failed.
            let text = file.get("message").unwrap_or_default().trim();
            let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let failure = Failure {
                message: lines.find(|line| !line.starts_with('●')).map(str::to_owned),
                text: Some(text.to_owned()).filter(|text| !text.is_empty()),
                ..Failure::default()
            };
            let case = Case {
                suites: suites.clone(),
                name: "the file itself".to_owned(),
                status: Some(Status::Error),
                failure: Some(failure),
                report_line: line,
                ..Case::default()
            };
            self.emit(case, sink)?;
        }
        let (start, end) = (file.number("startTime"), file.number("endTime"));
        let micros = start.zip(end).and_then(|(start, end)| number::of_millis(end - start));
        let started = start.and_then(number::date);
        sink.suite(Suite { path: suites, started, micros, ..Suite::default() })?;
        self.nth += 1;
        self.bad_here = 0;
        Ok(())
    }

    fn judge(&self, document: &Object<'_>, sink: &mut dyn Sink) {
        let count = |name: &str| document.count(name).unwrap_or(0);
        for (name, said, there) in [
            ("numFailedTests", count("numFailedTests"), self.failed),
            ("numRuntimeErrorTestSuites", count("numRuntimeErrorTestSuites"), self.bad),
        ] {
            if said > there {
                let text = format!("the report says {name}: {said}, but contains {there}");
                sink.against(Reason::new(Cause::Claim, None, text));
            }
        }
        if document.is("wasInterrupted") == Some(true) {
            sink.against(Reason::new(Cause::Aborted, None, "the run was interrupted"));
        }
        if document.is("success") == Some(false) && self.bad == 0 {
            let (cause, text) = if self.cases == 0 {
                (Cause::NothingRun, "no tests were found, which counts as a failure")
            } else {
                (Cause::Verdict, "the run is marked success: false")
            };
            sink.against(Reason::new(cause, None, text));
        }
    }
}

impl Handler for Jest {
    const OBJECTS: &'static [&'static str] = &["testResults", "assertionResults"];
    const MEMBERS: &'static [&'static str] = &[
        "success",
        "wasInterrupted",
        "numFailedTests",
        "numRuntimeErrorTestSuites",
        "numTotalTests",
        "startTime",
        "endTime",
        "status",
        "message",
        "name",
        "ancestorTitles",
        "title",
        "duration",
        "failureMessages",
        "invocations",
        "retryReasons",
        "location.line",
        "startAt",
        "tags",
    ];

    fn end(
        &mut self,
        object: &Object<'_>,
        _: &mut [Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        match object.key {
            "assertionResults" => self.test(object, sink),
            "testResults" => self.end_file(object, sink),
            _ => {
                self.judge(object, sink);
                let said = object.count("numTotalTests");
                if let Some(tests) = said.filter(|tests| *tests > self.cases) {
                    let text = format!(
                        "the report says numTotalTests: {tests}, but contains {}",
                        self.cases
                    );
                    sink.note(Note { line: None, kind: NoteKind::Odd, text });
                }
                Ok(())
            }
        }
    }
}
