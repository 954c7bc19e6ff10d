//! Results of the Linux Test Project: the JSON of kirk and runltp-ng, and the text of runltp.

use std::sync::Arc;

use crate::input::Input;
use crate::json::{self, Handler, Object};
use crate::model::unknown;
use crate::number;
use crate::{Case, Cause, Failure, ReadError, Reason, Sink, Status, Suite};

/// The header of runltp's results.
const HEADER: [&str; 4] = ["Testcase", "Result", "Exit", "Value"];

/// Whether a text contains runltp's results.
pub(crate) fn looks_like(text: &str) -> bool {
    text.lines().any(|line| line.split_whitespace().take(4).eq(HEADER))
}

/// The status for a word of either tool.
fn status(word: &str, name: &str, line: u64, sink: &mut dyn Sink) -> Status {
    match word.to_ascii_lowercase().as_str() {
        "pass" => Status::Passed,
        "fail" => Status::Failed,
        "brok" | "warn" => Status::Error,
        "conf" | "skip" => Status::Skipped,
        other => unknown(other, name, Some(line), sink),
    }
}

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let text = input.rest()?;
    if looks_like(&text) {
        return read_text(&text, sink);
    }
    json::walk(&text, sink, &mut Ltp::default())
}

#[derive(Default)]
struct Ltp {
    bad: u64,
}

impl Handler for Ltp {
    const OBJECTS: &'static [&'static str] = &["results"];
    const MEMBERS: &'static [&'static str] = &[
        "test_fqn",
        "status",
        "test.log",
        "test.retval",
        "test.duration",
        "test.result",
        "stats.runtime",
        "stats.failed",
        "stats.broken",
    ];

    fn end(
        &mut self,
        object: &Object<'_>,
        _: &mut [Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        if object.key.is_empty() {
            let said = object.count("stats.failed").unwrap_or(0)
                + object.count("stats.broken").unwrap_or(0);
            if said > 0 && self.bad == 0 {
                let text =
                    format!("stats counts {said} failed or broken tests, but there are none");
                sink.against(Reason::new(Cause::Claim, None, text));
            }
            return sink.suite(Suite {
                path: Arc::default(),
                micros: object.number("stats.runtime").and_then(number::micros),
                ..Suite::default()
            });
        }
        let name = object.get("test_fqn").unwrap_or_default();
        let word = object.get("status").or(object.get("test.result")).unwrap_or_default();
        let status = status(word, name, object.line, sink);
        self.bad += u64::from(status.is_bad());
        let log = object.owned("test.log").unwrap_or_default();
        let marks = ["TFAIL", "TBROK", "TWARN", "TCONF"];
        let said = log.lines().find(|line| marks.iter().any(|mark| line.contains(mark)));
        let failure = (status != Status::Passed).then(|| {
            let code = object.shown("test.retval").unwrap_or_default();
            let message =
                said.map_or_else(|| format!("exit code {code}"), |line| line.trim().to_owned());
            Failure { kind: Some(word.to_owned()), message: Some(message), text: None }
        });
        let case = Case {
            name: name.to_owned(),
            status: Some(status),
            micros: object.number("test.duration").and_then(number::micros),
            failure,
            stdout: log,
            report_line: Some(object.line),
            ..Case::default()
        };
        sink.case(case)
    }
}

/// Parses the results after the header, and the totals after them.
fn read_text(text: &str, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let (mut is_list, mut failed, mut has_totals) = (false, 0u64, false);
    for (line, number) in text.lines().zip(1u64..) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.iter().take(4).eq(&HEADER) {
            is_list = true;
            continue;
        }
        if let Some(count) = line.trim().strip_prefix("Total Failures:") {
            has_totals = true;
            let said: u64 = count.trim().parse().unwrap_or(0);
            if said > failed {
                let text = format!("the report says Total Failures: {said}, but contains {failed}");
                sink.against(Reason::new(Cause::Claim, Some(number), text));
            }
        }
        let [name, word, code] = words.as_slice() else { continue };
        if !is_list || !matches!(*word, "PASS" | "FAIL" | "CONF" | "BROK" | "WARN" | "SKIP") {
            continue;
        }
        let status = status(word, name, number, sink);
        failed += u64::from(status.is_bad());
        let failure = (status != Status::Passed).then(|| Failure {
            kind: Some((*word).to_owned()),
            message: Some(format!("exit code {code}")),
            text: None,
        });
        let case = Case {
            name: (*name).to_owned(),
            status: Some(status),
            failure,
            report_line: Some(number),
            ..Case::default()
        };
        sink.case(case)?;
    }
    if !has_totals {
        sink.against(Reason::new(Cause::Cut, None, "the totals at the end are missing"));
    }
    sink.suite(Suite::default())
}
