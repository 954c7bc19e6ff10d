//! What the collectors of Buildkite Test Engine send: batches of the test cases of a run.

use std::collections::BTreeMap;

use devmason_domain::{
    Details, Digest, Receipt, TestDetails, TestFailure, TestResult, TestStatus, Timestamp, limits,
};
use devmason_reports::{Format, Read, build};
use serde_json::Value;

use crate::json::lenient;
use crate::part::Draft;
use crate::{Field, Part, WireError, tag};

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

/// Reads a batch in JSON.
///
/// # Errors
/// It is no such document, or `run_env.key` is missing.
pub fn read(body: &[u8], received: Timestamp) -> Result<Batch, WireError> {
    let document: Value = lenient(body)?;
    let object = |name: &str| match document.get(name) {
        Some(Value::Object(members)) => members.clone().into_iter().collect(),
        _ => BTreeMap::new(),
    };
    if document.get("format").is_some_and(|format| !format.is_null() && *format != "json") {
        return Err(WireError::bad("format", "must be 'json' in a JSON document"));
    }
    let mut part = Part::new(None, PROTOCOL, body);
    let run_env = object("run_env");
    let key = run(&run_env, object("tags"), &mut part)?;
    let data = document.get("data").and_then(Value::as_array);
    let data = data.ok_or_else(|| WireError::bad("data", "must be a list of test cases"))?;
    let mut spans = 0;
    let mut tests = Vec::with_capacity(data.len());
    for test in data {
        let children = test.get("history").and_then(|history| history.get("children"));
        spans += children.and_then(Value::as_array).map_or(0, Vec::len);
        tests.push(result(test, &mut part.receipt));
    }
    if spans > 0 {
        part.dropped(format!("{spans} spans within test cases have no place here"));
    }
    let name = text(run_env.get("test_runner")).unwrap_or_else(|| "tests".to_owned());
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
        } else if field.name == "data" && data.is_some() {
            return Err(WireError::bad("data", "came twice: send a request for each file"));
        } else if field.name == "data" {
            data = Some(field);
        }
    }
    // The same file from another job of the run is another batch.
    let said =
        Digest::of_parts(fields.iter().flat_map(|field| [field.name.as_bytes(), field.value]));
    let said = Some(format!("sha256:{said}"));
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
            batch.part.receipt.digest = said;
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
    part.receipt.digest = said;
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
    let is_key = |value: &&Value| value.is_string() || value.is_number();
    let key = text(run_env.get("key").filter(is_key));
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

/// A test case. One odd value must not cost the whole batch.
fn result(test: &Value, receipt: &mut Receipt) -> TestResult {
    let of = |name: &str| text(test.get(name));
    let status = match of("result").as_deref() {
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
    let expanded = test.get("failure_expanded").and_then(Value::as_array);
    for one in expanded.into_iter().flatten() {
        for member in ["expanded", "backtrace"] {
            match one.get(member) {
                Some(Value::Array(all)) => {
                    lines.extend(all.iter().filter_map(|one| text(Some(one))))
                }
                other => lines.extend(text(other)),
            }
        }
    }
    let reason = of("failure_reason");
    let failure = (status.is_bad() || reason.is_some()).then(|| TestFailure {
        kind: None,
        message: reason,
        text: (!lines.is_empty()).then(|| lines.join("\n")),
    });
    let location = of("location");
    let place = location.as_deref().and_then(|place| place.rsplit_once(':'));
    let line = place.and_then(|(_, line)| line.parse().ok());
    let file = place.filter(|_| line.is_some()).map(|(file, _)| file.to_owned());
    let mut details = TestDetails::NONE;
    details.file = file.or(of("file_name"));
    details.line = line;
    let seconds = test.get("history").and_then(|history| text(history.get("duration")));
    let seconds = seconds.and_then(|seconds| seconds.parse::<f64>().ok());
    let seconds = seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    let named = |name: &str| {
        let mut name = of(name).unwrap_or_default();
        limits::cut(&mut name, limits::NAME);
        name
    };
    let details: Details = details.into();
    TestResult {
        suite: named("scope").into(),
        name: named("name"),
        status,
        micros: seconds.map(|seconds| (seconds * 1e6) as u64),
        failure,
        details,
    }
}

#[cfg(test)]
mod tests;
