//! GoogleTest's JSON (`--gtest_output=json`).

use std::sync::Arc;

use crate::input::Input;
use crate::json::{self, Handler, Object};
use crate::number;
use crate::{Case, Cause, Claim, Failure, ReadError, Reason, Sink, Status, Suite};

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    json::walk(&input.rest()?, sink, &mut Gtest::default())
}

#[derive(Default)]
struct Gtest {
    failures: Vec<String>,
    skipped: Vec<String>,
    bad: u64,
}

/// Parses `0.001s`.
fn seconds(text: Option<&str>) -> Option<u64> {
    number::seconds(text?).map(|(micros, _)| micros)
}

/// Undoes GoogleTest's escaping, which turns each byte of UTF-8 into a character.
fn unescaped(text: String) -> String {
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or(text)
}

impl Gtest {
    fn test(
        &mut self,
        test: &Object<'_>,
        suite: Option<&Object<'_>>,
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let failures = std::mem::take(&mut self.failures);
        let skipped = std::mem::take(&mut self.skipped);
        let is_run = test.get("status") != Some("NOTRUN");
        let status = match test.get("result").unwrap_or_default() {
            _ if !failures.is_empty() => Status::Failed,
            "SKIPPED" | "SUPPRESSED" => Status::Skipped,
            _ if !is_run || !skipped.is_empty() => Status::Skipped,
            "INCOMPLETE" => Status::Error,
            _ => Status::Passed,
        };
        let texts = if failures.is_empty() { skipped } else { failures };
        let first = texts.first().map(|text| text.lines().nth(1).unwrap_or(text).to_owned());
        let text = texts.join("\n\n");
        self.bad += u64::from(status.is_bad());
        let class = test.owned("classname").or_else(|| suite?.owned("name"));
        let case = Case {
            class,
            // A failure in the setup of a suite or of the program has no name.
            name: test.owned("name").map_or_else(|| "the suite itself".to_owned(), unescaped),
            status: Some(status),
            micros: seconds(test.get("time")),
            started: test.get("timestamp").and_then(|date| date.parse().ok()),
            failure: first.map(|message| Failure {
                kind: None,
                message: Some(message),
                text: Some(text),
            }),
            properties: test.properties(&["value_param", "type_param"]),
            file: test.owned("file"),
            line: test.count("line").and_then(|line| line.try_into().ok()),
            report_line: Some(test.line),
            ..Case::default()
        };
        sink.case(case)
    }
}

impl Handler for Gtest {
    const OBJECTS: &'static [&'static str] = &["testsuites", "testsuite", "failures", "skipped"];
    const MEMBERS: &'static [&'static str] = &[
        "name",
        "tests",
        "failures",
        "errors",
        "timestamp",
        "time",
        "status",
        "result",
        "classname",
        "value_param",
        "type_param",
        "file",
        "line",
        "failure",
        "message",
    ];

    fn end(
        &mut self,
        object: &Object<'_>,
        open: &mut [Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        match object.key {
            "failures" => {
                sink.room(self.failures.len())?;
                self.failures
                    .extend(object.owned("failure").map(unescaped).or(Some("failed".to_owned())));
            }
            "skipped" => {
                sink.room(self.skipped.len())?;
                self.skipped.extend(object.owned("message").map(unescaped).or(Some(String::new())));
            }
            "testsuite" => self.test(object, open.last(), sink)?,
            "testsuites" => {
                // A failure in a suite's setup belongs to the suite.
                let texts = std::mem::take(&mut self.failures);
                if let Some(first) = texts.first() {
                    self.bad += 1;
                    let message = first.lines().nth(1).unwrap_or(first).to_owned();
                    let text = Some(texts.join("\n\n"));
                    sink.case(Case {
                        class: object.owned("name"),
                        name: "the suite itself".to_owned(),
                        status: Some(Status::Error),
                        failure: Some(Failure { kind: None, message: Some(message), text }),
                        report_line: Some(object.line),
                        ..Case::default()
                    })?;
                }
            }
            _ => {
                let said =
                    object.count("failures").unwrap_or(0) + object.count("errors").unwrap_or(0);
                if said > self.bad {
                    let text =
                        format!("the report says failures: {said}, but contains {}", self.bad);
                    sink.against(Reason::new(Cause::Claim, None, text));
                }
                sink.suite(Suite {
                    path: Arc::default(),
                    started: object.get("timestamp").and_then(|date| date.parse().ok()),
                    micros: seconds(object.get("time")),
                    claim: Claim {
                        tests: object.count("tests"),
                        failures: object.count("failures"),
                        ..Claim::default()
                    },
                    ..Suite::default()
                })?;
            }
        }
        Ok(())
    }
}
