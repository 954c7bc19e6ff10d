//! The parts of a report as requests.

use devmason_client::{Entry, Report, Step};
use serde_json::json;

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

/// A report file as a step of it.
pub(crate) fn file(build: &str, query: &str, body: Vec<u8>) -> Entry {
    Entry {
        method: "POST".to_owned(),
        target: format!("{}{query}", progress(build)),
        key: Some(uuid::Uuid::new_v4().to_string()),
        media_type: "application/octet-stream".to_owned(),
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
    Ok(Entry { method: method.to_owned(), target, key: None, media_type, body })
}
