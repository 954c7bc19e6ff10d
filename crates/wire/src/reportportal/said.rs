//! Requests as events. Members have several names: agents of different years use different ones.

use devmason_domain::{Timestamp, limits};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Attribute, End, Launch, Start};
use crate::WireError;

/// A log entry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// The item that it is about; the launch if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// When it was written, in microseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// Its level, in capital letters.
    pub level: String,
    /// Its text.
    pub message: String,
    /// The file that comes with it: its name, and then what it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// The longest text of an item or a log entry, in bytes.
const TEXT: usize = 1 << 20;

fn get<'v>(value: &'v Value, names: &[&str]) -> Option<&'v Value> {
    names.iter().find_map(|name| value.get(name).filter(|value| !value.is_null()))
}

fn text(value: &Value, names: &[&str]) -> Option<String> {
    let mut text = match get(value, names)? {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let bytes = text.len();
    limits::cut(&mut text, TEXT);
    if text.len() < bytes {
        text += &format!("\n[cut here: {bytes} bytes]\n");
    }
    Some(text)
}

fn flag(value: &Value, names: &[&str]) -> Option<bool> {
    match get(value, names)? {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => Some(text.eq_ignore_ascii_case("true")),
        Value::Number(number) => Some(number.as_f64() != Some(0.0)),
        _ => None,
    }
}

/// A time, in microseconds: given in milliseconds as a number or as text, or as a date.
fn time(value: &Value, names: &[&str]) -> Option<i64> {
    let text = text(value, names)?;
    match text.trim().parse::<f64>() {
        Ok(millis) if millis.is_finite() => Some((millis * 1e3) as i64),
        _ => text.parse().ok().map(|at: Timestamp| at.micros()),
    }
}

fn attributes(value: &Value) -> Vec<Attribute> {
    let all = get(value, &["attributes", "tags"]).and_then(Value::as_array);
    let each = all.into_iter().flatten().filter_map(|one| match one {
        Value::Object(_) => Some(Attribute {
            key: text(one, &["key"]).filter(|key| !key.is_empty()),
            value: text(one, &["value"])?,
            system: flag(one, &["system"]).unwrap_or(false),
        }),
        Value::String(value) => Some(Attribute { value: value.clone(), ..Attribute::default() }),
        _ => None,
    });
    each.take(limits::PROPERTIES).collect()
}

fn status(value: &Value) -> Option<String> {
    text(value, &["status"]).map(|status| status.trim().to_lowercase())
}

impl Launch {
    /// From the request that starts, changes or ends a launch.
    pub fn read(value: &Value) -> Self {
        Self {
            name: text(value, &["name"]),
            at: time(value, &["startTime", "start_time", "endTime", "end_time"]),
            status: status(value),
            description: text(value, &["description"]),
            mode: text(value, &["mode"]),
            attributes: attributes(value),
            rerun_of: text(value, &["rerunOf", "rerun_of"]),
        }
    }
}

/// The launch that a request names.
pub fn launch_of(value: &Value) -> Option<String> {
    text(value, &["launchUuid", "launch_uuid", "launchId", "launch_id"])
}

/// The id that a client brings.
pub fn uuid_of(value: &Value) -> Option<String> {
    text(value, &["uuid"]).filter(|uuid| !uuid.is_empty())
}

impl Start {
    /// From the request that starts an item.
    ///
    /// # Errors
    /// It has no name.
    pub fn read(value: &Value, item: String, parent: Option<String>) -> Result<Self, WireError> {
        let mut name =
            text(value, &["name"]).ok_or_else(|| WireError::bad("name", "is missing"))?;
        limits::cut(&mut name, limits::NAME);
        let parameters = get(value, &["parameters"]).and_then(Value::as_array);
        let parameters = parameters.into_iter().flatten().filter_map(|one| {
            Some((text(one, &["key"]).unwrap_or_default(), text(one, &["value"])?))
        });
        Ok(Self {
            item,
            parent,
            name,
            kind: text(value, &["type"]).unwrap_or_default().to_uppercase(),
            at: time(value, &["startTime", "start_time"]),
            code_ref: text(value, &["codeRef", "code_ref"]),
            description: text(value, &["description"]),
            attributes: attributes(value),
            parameters: parameters.take(limits::PROPERTIES).collect(),
            is_nested: flag(value, &["hasStats", "has_stats"]) == Some(false),
            is_retry: flag(value, &["retry"]).unwrap_or(false),
            retry_of: text(value, &["retryOf", "retry_of"]),
            identity: text(value, &["testCaseId", "test_case_id", "uniqueId", "unique_id"]),
        })
    }
}

impl End {
    /// From the request that ends an item, or says something of it later.
    pub fn read(value: &Value, item: String, is_over: bool) -> Self {
        let issue = get(value, &["issue"]);
        let issue = issue.map(|issue| {
            let kind = text(issue, &["issueType", "issue_type"]).unwrap_or_default();
            let comment = text(issue, &["comment"]).unwrap_or_default();
            format!("{kind} {comment}").trim().to_owned()
        });
        Self {
            item,
            is_over,
            at: time(value, &["endTime", "end_time"]),
            status: status(value),
            description: text(value, &["description"]),
            attributes: attributes(value),
            is_retry: flag(value, &["retry"]).unwrap_or(false),
            retry_of: text(value, &["retryOf", "retry_of"]),
            issue: issue.filter(|issue| !issue.is_empty()),
        }
    }
}

impl Entry {
    /// From a log entry.
    pub fn read(value: &Value) -> Self {
        let file = get(value, &["file"]).and_then(|file| text(file, &["name"]));
        Self {
            item: text(value, &["itemUuid", "item_uuid", "itemId", "item_id"]),
            at: time(value, &["time", "logTime"]),
            level: text(value, &["level"]).unwrap_or_default().to_uppercase(),
            message: text(value, &["message"]).unwrap_or_default(),
            file,
        }
    }
}
