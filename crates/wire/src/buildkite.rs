//! What the collectors of Buildkite Test Engine send: batches of the test cases of a run.

use std::collections::BTreeMap;

use devmason_domain::{
    Details, Receipt, TestDetails, TestFailure, TestResult, TestStatus, Timestamp,
};
use devmason_reports::{Format, Read, build};
use serde::Deserialize;
use serde_json::Value;

use crate::part::Draft;
use crate::{Part, WireError, tag};

/// The name of the protocol.
pub const PROTOCOL: &str = "buildkite";

/// A batch that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Identifies the run: all batches of it have the same, from any machine.
    pub key: String,
    /// What it becomes.
    pub part: Part,
}

/// A field of a form.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its name as a file, if it is one.
    pub file: Option<&'a str>,
    /// Its value.
    pub value: &'a [u8],
}

#[derive(Deserialize)]
struct Document {
    format: Option<String>,
    run_env: BTreeMap<String, Value>,
    #[serde(default)]
    tags: Option<BTreeMap<String, Value>>,
    data: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    scope: Option<String>,
    name: Option<String>,
    location: Option<String>,
    file_name: Option<String>,
    result: Option<String>,
    failure_reason: Option<String>,
    #[serde(default)]
    failure_expanded: Option<Vec<Expanded>>,
    history: Option<History>,
}

#[derive(Deserialize)]
struct Expanded {
    #[serde(default)]
    expanded: Option<Vec<String>>,
    #[serde(default)]
    backtrace: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct History {
    duration: Option<f64>,
    #[serde(default)]
    children: Option<Vec<serde::de::IgnoredAny>>,
}

/// Reads a batch in JSON.
///
/// # Errors
/// It is no such document, or `run_env.key` is missing.
pub fn read(body: &[u8], received: Timestamp) -> Result<Batch, WireError> {
    let document: Document =
        serde_json::from_slice(body).map_err(|error| WireError::bad("body", error.to_string()))?;
    if document.format.as_deref().is_some_and(|format| format != "json") {
        return Err(WireError::bad("format", "must be 'json' in a JSON document"));
    }
    let mut part = Part::new(None, PROTOCOL, body);
    let key = run(&document.run_env, document.tags.unwrap_or_default(), &mut part)?;
    let mut spans = 0;
    let mut tests = Vec::with_capacity(document.data.len());
    for test in document.data {
        spans += test.history.as_ref().map_or(0, |h| h.children.as_ref().map_or(0, Vec::len));
        tests.push(result(test, &mut part.receipt));
    }
    if spans > 0 {
        part.dropped(format!("{spans} spans within test cases have no place here"));
    }
    let name = text(document.run_env.get("test_runner")).unwrap_or_else(|| "tests".to_owned());
    let draft = Draft {
        name: &name,
        success: tests.iter().all(|test| !test.status.is_bad()),
        started: received,
        finished: received,
        output: String::new(),
        errout: String::new(),
        extras: Vec::new(),
    };
    part.with_step(draft.step(&tests)?, tests);
    Ok(Batch { key, part })
}

/// Reads a batch as a form: a report file in `data`.
///
/// # Errors
/// `data` or `run_env[key]` is missing, or the file is in a format that is not read.
pub fn read_form(fields: &[Field<'_>], received: Timestamp) -> Result<Batch, WireError> {
    let mut run_env = BTreeMap::new();
    let mut tags = BTreeMap::new();
    let (mut format, mut data) = (None, None);
    for field in fields {
        let value = || Value::String(String::from_utf8_lossy(field.value).into_owned());
        let inner = |of: &str| field.name.strip_prefix(of)?.strip_prefix('[')?.strip_suffix(']');
        if let Some(name) = inner("run_env") {
            run_env.insert(name.to_owned(), value());
        } else if let Some(name) = inner("tags") {
            tags.insert(name.to_owned(), value());
        } else if field.name == "format" {
            format = Some(String::from_utf8_lossy(field.value).into_owned());
        } else if field.name == "data" {
            data = Some(field);
        }
    }
    let data = data.ok_or_else(|| WireError::bad("data", "is missing"))?;
    match format.as_deref() {
        Some("junit") => {}
        Some("json") => {
            let whole = serde_json::from_slice::<Value>(data.value)
                .map_err(|error| WireError::bad("data", error.to_string()))?;
            let tests = serde_json::json!({"run_env": run_env, "tags": tags, "data": whole});
            let mut batch = read(tests.to_string().as_bytes(), received)?;
            let of_file = Part::new(data.file, PROTOCOL, data.value).receipt;
            batch.part.receipt.file = of_file.file;
            batch.part.receipt.bytes = of_file.bytes;
            batch.part.receipt.digest = of_file.digest;
            return Ok(batch);
        }
        other => {
            let other = other.unwrap_or_default();
            return Err(WireError::UnknownFormat(format!(
                "format: '{other}' is not read here; use junit or json"
            )));
        }
    }
    let mut part = Part::new(data.file, PROTOCOL, data.value);
    let key = run(&run_env, tags, &mut part)?;
    let mut read = Read::from_bytes(data.value, Some(Format::Junit))
        .map_err(|error| WireError::bad("data", error.to_string()))?;
    build::receive(&mut part.receipt, &read, std::time::Duration::ZERO);
    part.receipt.seconds = None;
    let invalid = |error: devmason_domain::Invalid| WireError::bad("data", error.0);
    let step = read.step(None, None, received).map_err(invalid)?;
    part.with_step(step, read.take_results());
    Ok(Batch { key, part })
}

fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
    .filter(|text| !text.is_empty())
}

/// What is said of the run; returns its key.
fn run(
    run_env: &BTreeMap<String, Value>,
    tags: BTreeMap<String, Value>,
    part: &mut Part,
) -> Result<String, WireError> {
    let key = text(run_env.get("key"));
    let key = key.ok_or_else(|| WireError::bad("run_env.key", "is missing: it names the run"))?;
    for (name, value) in run_env {
        let Some(value) = text(Some(value)) else { continue };
        // The names that the rest of this server knows.
        let name = match name.as_str() {
            "key" => continue,
            "CI" => "ci",
            "commit_sha" => "commit",
            "number" => "build_number",
            "url" => "job_url",
            other => other,
        };
        part.client.push((name.to_owned(), value));
    }
    for (name, value) in tags {
        let value = text(Some(&value)).unwrap_or_default();
        let tag = tag(&format!("{name}:{value}"), &mut part.receipt);
        part.tags.extend(tag);
    }
    Ok(key)
}

fn result(test: Test, receipt: &mut Receipt) -> TestResult {
    let status = match test.result.as_deref() {
        Some("passed") => TestStatus::Passed,
        Some("failed") => TestStatus::Failed,
        Some("skipped" | "pending" | "todo") => TestStatus::Skipped,
        other => {
            let other = other.unwrap_or_default();
            let text = format!("the result '{other}' was counted as an error");
            receipt.note("guessed", text);
            TestStatus::Error
        }
    };
    let mut lines = Vec::new();
    for expanded in test.failure_expanded.into_iter().flatten() {
        lines.extend(expanded.expanded.into_iter().flatten());
        lines.extend(expanded.backtrace.into_iter().flatten());
    }
    let failure = (status.is_bad() || test.failure_reason.is_some()).then(|| TestFailure {
        kind: None,
        message: test.failure_reason,
        text: (!lines.is_empty()).then(|| lines.join("\n")),
    });
    let place = test.location.as_deref().and_then(|place| place.rsplit_once(':'));
    let line = place.and_then(|(_, line)| line.parse().ok());
    let file = place.filter(|_| line.is_some()).map(|(file, _)| file.to_owned());
    let mut details = TestDetails::NONE;
    details.file = file.or(test.file_name);
    details.line = line;
    let micros = test.history.and_then(|history| history.duration);
    let micros = micros.filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    let details: Details = details.into();
    TestResult {
        suite: test.scope.unwrap_or_default().into(),
        name: test.name.unwrap_or_default(),
        status,
        micros: micros.map(|seconds| (seconds * 1e6) as u64),
        failure,
        details,
    }
}

#[cfg(test)]
mod tests;
