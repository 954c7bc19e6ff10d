//! Meson's `testlog.json`: one JSON line per test.

use std::sync::Arc;

use crate::input::Input;
use crate::json::{self, Handler, Object};
use crate::model::{unknown, within};
use crate::number;
use crate::{Case, Failure, ReadError, Sink, Status, Suite};

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut meson = Meson::default();
    if json::lines(input, sink, &mut meson)? == 0 {
        return Err(ReadError::new(None, "no tests found"));
    }
    sink.suite(Suite::default())
}

#[derive(Default)]
struct Meson {
    last: Arc<[String]>,
}

impl Handler for Meson {
    const HAS_EVENTS_ALONE: bool = true;
    const OBJECTS: &'static [&'static str] = &[];
    const MEMBERS: &'static [&'static str] =
        &["name", "stdout", "stderr", "result", "starttime", "duration", "returncode"];

    fn end(
        &mut self,
        test: &Object<'_>,
        _: &mut [Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        // `suites - project:name`, or without the suites.
        let full = test.get("name").unwrap_or_default();
        let (suites, rest) = full.split_once(" - ").unwrap_or(("", full));
        let (project, name) = rest.split_once(':').unwrap_or(("", rest));
        let names: Vec<&str> =
            [project, suites].into_iter().filter(|name| !name.is_empty()).collect();
        let word = test.get("result").unwrap_or_default();
        let line = Some(test.line);
        let (status, why) = match word {
            "OK" => (Status::Passed, None),
            "SKIP" => (Status::Skipped, None),
            "IGNORED" => (Status::Skipped, Some("failure ignored".to_owned())),
            // It failed, as expected.
            "EXPECTEDFAIL" => (Status::Skipped, Some("failed as expected".to_owned())),
            "UNEXPECTEDPASS" => (Status::Failed, Some("expected to fail, but passed".to_owned())),
            "FAIL" => {
                let code = test.number("returncode").unwrap_or(0.0);
                let why = if code < 0.0 {
                    format!("terminated by signal {}", -code)
                } else {
                    format!("exit code {code}")
                };
                (Status::Failed, Some(why))
            }
            "TIMEOUT" => (Status::Error, Some("timed out".to_owned())),
            "INTERRUPT" => (Status::Error, Some("interrupted".to_owned())),
            "ERROR" => (Status::Error, Some("error".to_owned())),
            other => (unknown(other, name, line, sink), None),
        };
        let stdout = test.owned("stdout").unwrap_or_default();
        let stderr = test.owned("stderr").unwrap_or_default();
        let case = Case {
            suites: within(&names, &mut self.last, line, sink),
            name: name.to_owned(),
            status: Some(status),
            micros: test.number("duration").and_then(number::micros),
            started: test.number("starttime").and_then(|seconds| number::date(seconds * 1e3)),
            failure: why.map(|why| Failure {
                kind: Some(word.to_owned()),
                message: Some(why),
                text: None,
            }),
            stdout,
            stderr,
            report_line: line,
            ..Case::default()
        };
        sink.case(case)
    }
}
