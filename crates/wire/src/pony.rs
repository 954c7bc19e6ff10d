//! pony-build's client of 2010: XML-RPC, a whole build in one call.

mod rpc;

use devmason_domain::{Timestamp, limits};
use serde_json::{Map, Value as Json};

use crate::part::{Draft, member};
use crate::{Part, WireError, tag};

pub use rpc::{Value, fault, response};

/// The name of the protocol.
pub const PROTOCOL: &str = "pony-build";

/// A call.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Call {
    /// May the client build?
    Check(Client),
    /// A build.
    Add(Results),
    /// A method that is not known here.
    Unknown(String),
}

/// What the client says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Client {
    /// The project.
    pub package: String,
    /// The machine.
    pub host: String,
    /// Its architecture.
    pub arch: String,
    /// Tags.
    pub tags: Vec<String>,
}

/// A build.
#[derive(Debug, Clone, PartialEq)]
pub struct Results {
    /// What the client says of itself.
    pub client: Client,
    /// Whether the build succeeded, as the client says.
    pub success: bool,
    /// When it was received.
    pub finished: Timestamp,
    /// Its steps, each a part of its own; the first one has what is said of the build.
    pub parts: Vec<Part>,
    /// What is said of the build.
    pub part: Part,
}

fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Text(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        Value::Double(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Nil | Value::Array(_) | Value::Struct(_) => None,
    }
}

fn seconds(value: Option<&Value>) -> f64 {
    let seconds = text(value).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    if seconds.is_finite() { seconds.clamp(0.0, 1e9) } else { 0.0 }
}

fn client(info: &Value) -> Result<Client, WireError> {
    let member = |name: &str| text(info.get(name)).unwrap_or_default();
    let package = member("package");
    if package.trim().is_empty() {
        return Err(WireError::bad("package", "is missing: it names the project"));
    }
    let tags = match info.get("tags") {
        Some(Value::Array(tags)) => tags.iter().filter_map(|tag| text(Some(tag))).collect(),
        _ => Vec::new(),
    };
    Ok(Client { package, host: member("host"), arch: member("arch"), tags })
}

/// Reads a call. The client escapes no control characters and declares no encoding: what is no UTF-8
/// becomes U+FFFD, which the receipt says.
///
/// # Errors
/// It is no call, or its arguments are not those of the method.
pub fn read(body: &[u8], received: Timestamp) -> Result<Call, WireError> {
    let lenient = String::from_utf8_lossy(body);
    let (method, arguments) = rpc::call(&lenient)?;
    let argument = |nth: usize, name: &'static str| {
        arguments.get(nth).ok_or_else(|| WireError::bad(name, "is missing"))
    };
    match method.as_str() {
        "check_should_build" => Ok(Call::Check(client(argument(0, "client_info")?)?)),
        "add_results" => {
            let info = argument(0, "client_info")?;
            let Value::Array(results) = argument(1, "results")? else {
                return Err(WireError::bad("results", "is no list"));
            };
            let mut build = build(info, results, (body, received))?;
            if matches!(lenient, std::borrow::Cow::Owned(_)) {
                let text = "bytes that are no UTF-8 were replaced by U+FFFD";
                build.part.receipt.note("odd", text);
            }
            Ok(Call::Add(build))
        }
        _ => Ok(Call::Unknown(method)),
    }
}

fn build(
    info: &Value,
    results: &[Value],
    (body, received): (&[u8], Timestamp),
) -> Result<Results, WireError> {
    let client = client(info)?;
    let mut part = Part::new(None, PROTOCOL, body);
    for word in &client.tags {
        let tag = tag(word, &mut part.receipt);
        part.tags.extend(tag);
    }
    if let Value::Struct(members) = info {
        for (name, value) in members {
            if !matches!(name.as_str(), "package" | "success" | "tags") {
                part.client.extend(text(Some(value)).map(|value| (name.clone(), value)));
            }
        }
    }
    let micros = |seconds: f64| (seconds * 1e6) as i64;
    let steps: f64 = results.iter().map(|result| seconds(result.get("duration"))).sum();
    let whole = seconds(info.get("duration")).max(steps);
    let back = |seconds: f64| {
        Timestamp::from_parts(received.micros().saturating_sub(micros(seconds)), 0)
            .unwrap_or(received)
    };
    let mut left = whole;
    let mut parts = Vec::with_capacity(results.len());
    for (nth, result) in results.iter().enumerate() {
        if nth >= limits::STEPS {
            let text = format!("{} results beyond {}", results.len(), limits::STEPS);
            part.dropped(text);
            break;
        }
        let kind = text(result.get("type")).unwrap_or_default();
        let name = text(result.get("name")).filter(|name| !name.trim().is_empty());
        let name = name.unwrap_or_else(|| if kind.is_empty() { "step".to_owned() } else { kind });
        let began = left;
        left = (left - seconds(result.get("duration"))).max(0.0);
        let draft = Draft {
            name: &name,
            success: seconds(result.get("status")) == 0.0 && !is_negative(result.get("status")),
            started: back(began),
            finished: back(left),
            output: text(result.get("output").or(result.get("out"))).unwrap_or_default(),
            errout: text(result.get("errout")).unwrap_or_default(),
            extras: extras(result),
        };
        parts.push(Part { step: Some(draft.step(&[])?), ..Part::default() });
    }
    part.receipt.steps = Some(parts.len() as u64);
    let success = match info.get("success") {
        Some(Value::Bool(success)) => *success,
        other => seconds(other) > 0.0,
    };
    Ok(Results { client, success, finished: received, parts, part })
}

fn is_negative(value: Option<&Value>) -> bool {
    text(value).is_some_and(|text| text.starts_with('-'))
}

fn extras(result: &Value) -> Vec<(String, Box<serde_json::value::RawValue>)> {
    let Value::Struct(members) = result else { return Vec::new() };
    let own = |name: &str| {
        matches!(
            name,
            "name"
                | "output"
                | "out"
                | "errout"
                | "success"
                | "started"
                | "finished"
                | "tests"
                | "state"
        )
    };
    let others = members.iter().filter(|(name, _)| !own(name));
    others.filter_map(|(name, value)| member(name, &json(value))).collect()
}

fn json(value: &Value) -> Json {
    match value {
        Value::Nil => Json::Null,
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Int(number) => (*number).into(),
        Value::Double(number) => {
            serde_json::Number::from_f64(*number).map_or(Json::Null, Json::Number)
        }
        Value::Text(text) => Json::String(text.clone()),
        Value::Array(values) => values.iter().map(json).collect(),
        Value::Struct(members) => {
            let each = members.iter().map(|(name, value)| (name.clone(), json(value)));
            Json::Object(each.collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests;
