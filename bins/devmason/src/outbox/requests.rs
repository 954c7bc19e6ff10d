//! The parts of a report as requests.

use devmason_client::{Entry, Report, Step};
use serde_json::{Value, json};

use crate::Problem;

/// The build's document as a request.
pub(crate) fn build(path: &str, report: &Report) -> Result<Entry, Problem> {
    entry("PUT", path.to_owned(), report)
}

/// A step of it.
pub(crate) fn step(build: &str, step: &Step) -> Result<Entry, Problem> {
    let key = Some(uuid::Uuid::new_v4().to_string());
    Ok(Entry { key, ..entry("POST", progress(build), step)? })
}

/// A step of it that runs, under a name that later requests use.
pub(crate) fn open_step(build: &str, step: &str, document: &Value) -> Result<Entry, Problem> {
    let key = Some(uuid::Uuid::new_v4().to_string());
    Ok(Entry { key, opens: Some(step.to_owned()), ..entry("POST", progress(build), document)? })
}

/// What a running step has written, behind so many bytes: milliseconds, stream and text.
pub(crate) fn piece(
    build: &str,
    step: &str,
    offset: u64,
    entries: &[(u64, &str, String)],
) -> Result<Entry, Problem> {
    let length = entries.iter().map(|(_, _, text)| text.len() as u64).sum();
    let entry = entry("POST", format!("{build}/steps/{step}/log"), &entries)?;
    Ok(Entry { piece: Some((offset, length)), ..entry })
}

/// The end of a running step.
pub(crate) fn end_step(build: &str, step: &str, document: &Value) -> Result<Entry, Problem> {
    entry("PUT", format!("{build}/steps/{step}"), document)
}

/// A report file as a step of it.
pub(crate) fn file(build: &str, query: &str, body: Vec<u8>) -> Entry {
    Entry {
        method: "POST".to_owned(),
        target: format!("{}{query}", progress(build)),
        key: Some(uuid::Uuid::new_v4().to_string()),
        media_type: "application/octet-stream".to_owned(),
        opens: None,
        piece: None,
        body,
    }
}

/// The end of the build as a request.
pub(crate) fn end(build: &str, success: Option<bool>) -> Result<Entry, Problem> {
    entry("DELETE", progress(build), &json!({ "success": success }))
}

fn progress(build: &str) -> String {
    format!("{build}/progress")
}

fn entry(method: &str, target: String, document: &impl serde::Serialize) -> Result<Entry, Problem> {
    let body = serde_json::to_vec(document).map_err(|error| Problem::failed(error.to_string()))?;
    let media_type = "application/json".to_owned();
    let (opens, piece) = (None, None);
    Ok(Entry { method: method.to_owned(), target, key: None, media_type, opens, piece, body })
}
