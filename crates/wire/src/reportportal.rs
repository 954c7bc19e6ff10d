//! What ReportPortal's agents send: launches, items within items, and logs, in any order.
//!
//! What a launch is can be said only when all of it is there: a log that comes after an item's end may
//! say why it failed. So each request is an [`Event`], and [`derive()`] makes the build of all of them.

mod derive;
mod said;
mod tree;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use derive::derive;
pub use said::{Entry, launch_of, uuid_of};

use crate::WireError;
use crate::json::lenient;

/// The name of the protocol.
pub const PROTOCOL: &str = "reportportal";

/// The version of ReportPortal that agents are told. From 5.13.2 on they send dates instead of numbers.
pub const VERSION: &str = "5.13.3";

/// What a request says of a launch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The launch starts, or something is said of it later.
    Launch(Launch),
    /// An item starts.
    Start(Start),
    /// An item ends, or something is said of it later.
    End(End),
    /// Logs.
    Logs(Vec<Entry>),
    /// The launch ends: there are no further items, apart from those that still run.
    LaunchEnd(Launch),
}

/// What is said of a launch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Launch {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it started, or ended, in microseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// Its status, in small letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// A text about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `DEFAULT` or `DEBUG`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Its attributes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
    /// The launch that this one runs again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerun_of: Option<String>,
}

/// An attribute.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attribute {
    /// Its key, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its value.
    pub value: String,
    /// Whether the agent says it of itself, rather than its user.
    pub system: bool,
}

/// The start of an item.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Start {
    /// The item.
    pub item: String,
    /// The item that it is within.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Its name.
    pub name: String,
    /// Its type, in capital letters.
    pub kind: String,
    /// When it started, in microseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// Where it is in the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_ref: Option<String>,
    /// A text about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its attributes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
    /// Its parameters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<(String, String)>,
    /// Whether it is a step within a test, and no test.
    pub is_nested: bool,
    /// Whether it is another attempt.
    pub is_retry: bool,
    /// The item of which it is another attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<String>,
    /// What identifies the test from launch to launch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

/// The end of an item.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct End {
    /// The item.
    pub item: String,
    /// Whether it ends: else something is only said of it.
    pub is_over: bool,
    /// When it ended, in microseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// Its status, in small letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// A text about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its attributes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
    /// Whether it was another attempt.
    pub is_retry: bool,
    /// The item of which it was another attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<String>,
    /// What somebody said of the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue: Option<String>,
}

/// The document in a body; an empty object if there is none. What is no text, such as half of a character
/// that JavaScript cut in two, becomes U+FFFD: nobody would hear of a refusal.
///
/// # Errors
/// The body is no JSON.
pub fn document(body: &[u8]) -> Result<Value, WireError> {
    if body.trim_ascii().is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    lenient(body)
}

/// The same; it must be an object.
///
/// # Errors
/// The body is no JSON object.
pub fn object(body: &[u8]) -> Result<Value, WireError> {
    match document(body)? {
        object @ Value::Object(_) => Ok(object),
        _ => Err(WireError::bad("body", "must be a JSON object")),
    }
}

#[cfg(test)]
mod tests;
