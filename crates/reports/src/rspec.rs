//! RSpec's JSON (`--format json`).

use std::sync::Arc;

use crate::doubled::Doubled;
use crate::input::Input;
use crate::json::{self, Handler, Object};
use crate::model::{because, unknown};
use crate::number;
use crate::{Case, Cause, Claim, Failure, ReadError, Reason, Sink, Status, Suite};

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    json::walk(&input.rest()?, sink, &mut Rspec::default())
}

#[derive(Default)]
struct Rspec {
    doubled: Doubled,
    failed: u64,
}

impl Rspec {
    fn example(&mut self, example: &Object<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let full = example.get("full_description").or(example.get("description"));
        let name = full.unwrap_or_default().trim();
        let line = Some(example.line);
        let said = example.owned("exception.message").map(|message| Failure {
            kind: example.owned("exception.class"),
            text: example.lines("exception.backtrace"),
            message: Some(message.trim().to_owned()),
        });
        let (status, failure) = match example.get("status").unwrap_or_default() {
            "passed" => (Status::Passed, None),
            "failed" => (Status::Failed, said),
            "pending" => (Status::Skipped, example.owned("pending_message").map(because).or(said)),
            other => (unknown(other, name, line, sink), said),
        };
        self.failed += u64::from(status.is_bad());
        let file = example.get("file_path").unwrap_or_default();
        let file = file.strip_prefix("./").unwrap_or(file).to_owned();
        let mut case = Case {
            class: Some(file.clone()).filter(|file| !file.is_empty()),
            name: name.to_owned(),
            status: Some(status),
            micros: example.number("run_time").and_then(number::micros),
            failure,
            line: example.count("line_number").and_then(|line| line.try_into().ok()),
            file: Some(file).filter(|file| !file.is_empty()),
            report_line: line,
            ..Case::default()
        };
        // The position among the examples, as in [1:2], is part of the id.
        let place = example.get("id").and_then(|id| id.rsplit_once('[')).map(|(_, place)| place);
        self.doubled.tell_apart(&mut case, place.unwrap_or_default().trim_end_matches(']'), sink);
        sink.case(case)
    }
}

impl Handler for Rspec {
    const OBJECTS: &'static [&'static str] = &["examples"];
    const MEMBERS: &'static [&'static str] = &[
        "id",
        "description",
        "full_description",
        "status",
        "file_path",
        "line_number",
        "run_time",
        "pending_message",
        "exception.class",
        "exception.message",
        "exception.backtrace",
        "messages",
        "summary.duration",
        "summary.example_count",
        "summary.failure_count",
        "summary.errors_outside_of_examples_count",
    ];

    fn end(
        &mut self,
        object: &Object<'_>,
        _: &mut [Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        if object.key == "examples" {
            return self.example(object, sink);
        }
        let outside = object.count("summary.errors_outside_of_examples_count").unwrap_or(0);
        if outside > 0 {
            let text = object.lines("messages");
            let message = format!("{outside} errors occurred outside examples");
            sink.case(Case {
                name: "outside of the examples".to_owned(),
                status: Some(Status::Error),
                failure: Some(Failure { message: Some(message), text, ..Failure::default() }),
                ..Case::default()
            })?;
        }
        let failures = object.count("summary.failure_count");
        if let Some(said) = failures.filter(|said| *said > self.failed) {
            let text = format!(
                "the summary says failure_count: {said}, but the report contains {}",
                self.failed
            );
            sink.against(Reason::new(Cause::Claim, None, text));
        }
        sink.suite(Suite {
            path: Arc::default(),
            micros: object.number("summary.duration").and_then(number::micros),
            claim: Claim {
                tests: object.count("summary.example_count"),
                failures,
                ..Claim::default()
            },
            ..Suite::default()
        })
    }
}
