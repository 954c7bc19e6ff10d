//! The Common Test Report Format: one JSON document, held in memory as a whole.

use std::sync::Arc;

use devmason_domain::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::input::Input;
use crate::model::nested;
use crate::number;
use crate::{Case, Claim, Failure, Note, NoteKind, ReadError, Sink, Status, Suite};

#[derive(Deserialize)]
struct Document {
    results: Results,
}

#[derive(Deserialize)]
struct Results {
    tool: Option<Tool>,
    summary: Option<Summary>,
    tests: Vec<Test>,
    environment: Option<serde_json::Map<String, Value>>,
}

#[derive(Deserialize)]
struct Tool {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Summary {
    tests: Option<u64>,
    failed: Option<u64>,
    skipped: Option<u64>,
    start: Option<f64>,
    stop: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    name: String,
    status: String,
    duration: Option<f64>,
    start: Option<f64>,
    suite: Option<Value>,
    message: Option<String>,
    trace: Option<String>,
    raw_status: Option<String>,
    file_path: Option<String>,
    line: Option<u32>,
    retries: Option<u32>,
    flaky: Option<bool>,
    stdout: Option<Value>,
    stderr: Option<Value>,
    tags: Option<Value>,
}

fn at(millis: Option<f64>) -> Option<Timestamp> {
    let micros = number::micros(millis? / 1e3).filter(|micros| *micros > 0)?;
    // Some tools write seconds.
    let micros = if micros < 100_000_000_000_000 { micros.checked_mul(1000)? } else { micros };
    Timestamp::from_parts(i64::try_from(micros).ok()?, 0)
}

/// Text, or lines of it.
fn lines(value: Option<Value>) -> String {
    match value {
        Some(Value::String(text)) => text,
        Some(Value::Array(lines)) => {
            lines.iter().filter_map(Value::as_str).map(|line| format!("{line}\n")).collect()
        }
        _ => String::new(),
    }
}

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let document: Document = serde_json::from_reader(&mut *input).map_err(|error| {
        ReadError::new(Some(error.line() as u64), format!("this is no CTRF: {error}"))
    })?;
    let results = document.results;
    let (mut failed, mut skipped) = (0, 0);
    let tests = results.tests.len() as u64;
    // Most tests are in the suites of the one before.
    let mut suites: Arc<[String]> = Arc::default();
    for test in results.tests {
        let status = match test.status.as_str() {
            "passed" if test.flaky == Some(true) => Status::Flaky,
            "passed" => Status::Passed,
            "failed" => Status::Failed,
            "skipped" | "pending" => Status::Skipped,
            "other" if test.raw_status.as_deref() == Some("todo") => Status::Skipped,
            other => {
                let text = format!("the status '{other}' of '{}' counts as an error", test.name);
                sink.note(Note { line: None, kind: NoteKind::Guessed, text });
                Status::Error
            }
        };
        failed += u64::from(status == Status::Failed);
        skipped += u64::from(status == Status::Skipped);
        let within: Vec<&str> = match &test.suite {
            Some(Value::String(suite)) => suite.split(" > ").collect(),
            Some(Value::Array(suites)) => suites.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !within.iter().eq(suites.iter()) {
            suites = Arc::default();
            for name in within {
                suites = nested(&suites, name, None, sink);
            }
        }
        let mut properties = Vec::new();
        properties.extend(test.raw_status.map(|status| ("rawStatus".to_owned(), status)));
        if let Some(Value::Array(tags)) = test.tags {
            properties.extend(
                tags.iter().filter_map(Value::as_str).map(|tag| ("tag".to_owned(), tag.to_owned())),
            );
        }
        let has_reason = test.message.is_some() || test.trace.is_some();
        sink.case(Case {
            suites: suites.clone(),
            name: test.name,
            status: Some(status),
            micros: test.duration.and_then(|ms| number::micros(ms / 1e3)),
            started: at(test.start),
            failure: has_reason.then_some(Failure {
                kind: None,
                message: test.message,
                text: test.trace,
            }),
            stdout: lines(test.stdout),
            stderr: lines(test.stderr),
            properties,
            retries: test.retries.unwrap_or(0),
            file: test.file_path,
            line: test.line,
            ..Case::default()
        })?;
    }
    let tool = results.tool.and_then(|tool| tool.name);
    let path = tool.map(|tool| nested(&Arc::default(), &tool, None, sink)).unwrap_or_default();
    let mut suite = Suite { path, ..Suite::default() };
    if let Some(summary) = results.summary {
        for (what, said, there) in [
            ("tests", summary.tests, tests),
            ("failed", summary.failed, failed),
            ("skipped", summary.skipped, skipped),
        ] {
            if let Some(said) = said.filter(|said| *said != there && what != "skipped") {
                let text = format!("the summary says {what}: {said}; there are {there}");
                sink.note(Note { line: None, kind: NoteKind::Odd, text });
            }
        }
        suite.started = at(summary.start);
        suite.micros = match (at(summary.start), at(summary.stop)) {
            (Some(start), Some(stop)) => u64::try_from(stop.micros() - start.micros()).ok(),
            _ => None,
        };
        suite.claim = Claim {
            tests: summary.tests,
            failures: summary.failed,
            errors: None,
            skipped: summary.skipped,
        };
    }
    for (name, value) in results.environment.into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        suite.properties.push((name, text));
    }
    sink.suite(suite)
}
