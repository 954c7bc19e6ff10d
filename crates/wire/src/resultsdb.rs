//! What clients of ResultsDB (API version 2) send: one result a request, perhaps of groups.

use devmason_domain::{TestDetails, TestFailure, TestResult, TestStatus, Timestamp, limits};
use serde_json::{Map, Value};

use crate::json::lenient;
use crate::part::Draft;
use crate::{Part, WireError};

/// The name of the protocol.
pub const PROTOCOL: &str = "resultsdb";

/// The same result again within [`RETRIES`] of these times is a retry, in microseconds.
const RETRIED: i64 = 20_000_000;
const RETRIES: i64 = 3;

/// A result that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// What the result belongs to: its first group, or else the item that was tested.
    pub key: String,
    /// `user:password`, if the body has it.
    pub credentials: Option<String>,
    /// What it becomes; it has no step if the test has no outcome yet.
    pub part: Part,
    /// The digests under which the same result is known if it came within the last minute.
    pub retried: Vec<String>,
    /// The request without the key.
    pub said: Map<String, Value>,
}

/// Reads a result.
///
/// # Errors
/// It is no JSON object, or `outcome` or `testcase` is missing.
pub fn read(body: &[u8], received: Timestamp) -> Result<Said, WireError> {
    let mut said: Map<String, Value> = lenient(body)?;
    let credentials = said.remove("_auth_token").as_ref().and_then(text);
    let of = |name: &str| said.get(name).and_then(text);
    let outcome = of("outcome").ok_or_else(|| WireError::bad("outcome", "is missing"))?;
    let testcase = match said.get("testcase") {
        Some(Value::Object(testcase)) => testcase.get("name").and_then(text),
        other => other.and_then(text),
    };
    let testcase = testcase.ok_or_else(|| WireError::bad("testcase", "is missing"))?;
    let data = said.get("data").and_then(Value::as_object);
    let of_data = |name: &str| {
        let value = data?.get(name)?;
        text(value).or_else(|| text(value.as_array()?.first()?))
    };
    let group = said.get("groups").and_then(Value::as_array).and_then(|groups| {
        let group = groups.first()?;
        text(group).or_else(|| text(group.get("uuid")?))
    });
    let key = match (&group, of_data("item")) {
        (Some(group), _) => format!("group {group}"),
        (None, Some(item)) => format!("item {} {item}", of_data("type").unwrap_or_default()),
        // So that no build grows without end.
        (None, None) => {
            format!("results of {}", received.to_rfc3339_utc().get(..10).unwrap_or_default())
        }
    };
    let told = Value::Object(said.clone()).to_string();
    let mut part = Part::new(Some(&testcase), PROTOCOL, told.as_bytes());
    // Nothing in a request tells a retry from the next run of the test, but its time.
    let now = received.micros() / RETRIED;
    let digest = |time: i64| crate::part::digest(format!("{time} {told}").as_bytes());
    part.receipt.digest = Some(digest(now));
    let retried = (now - RETRIES..now).map(digest).collect();
    part.client.extend(group.map(|group| ("group".to_owned(), group)));
    for (name, of) in [("job", "item"), ("item", "item"), ("type", "type"), ("arch", "arch")] {
        part.client.extend(of_data(of).map(|text| (name.to_owned(), text)));
    }
    let status = match outcome.to_ascii_uppercase().as_str() {
        "PASSED" | "INFO" => Some(TestStatus::Passed),
        "FAILED" | "NEEDS_INSPECTION" => Some(TestStatus::Failed),
        "RUNNING" | "QUEUED" | "PENDING" => None,
        "ERROR" | "CRASHED" => Some(TestStatus::Error),
        other => {
            let text = format!("the outcome '{other}' was counted as an error");
            part.receipt.note("guessed", text);
            Some(TestStatus::Error)
        }
    };
    let Some(status) = status else {
        part.dropped(format!("'{testcase}' is {outcome}: only outcomes have a place here"));
        return Ok(Said { key, credentials, part, retried, said });
    };
    let mut properties: Vec<(String, String)> = Vec::new();
    for (name, value) in data.into_iter().flatten() {
        let value = text(value).unwrap_or_else(|| value.to_string());
        properties.push((name.clone(), value));
    }
    properties.extend(of("ref_url").map(|url| ("ref_url".to_owned(), url)));
    properties.truncate(limits::PROPERTIES);
    let note = of("note");
    let has_failure = status.is_bad();
    let mut name = testcase.clone();
    limits::cut(&mut name, limits::NAME);
    let test = TestResult {
        suite: "".into(),
        name,
        status,
        micros: None,
        failure: has_failure.then(|| TestFailure {
            kind: (outcome != "FAILED").then(|| outcome.clone()),
            message: note.clone(),
            text: None,
        }),
        details: TestDetails {
            stdout: if has_failure { String::new() } else { note.unwrap_or_default() },
            properties,
            ..TestDetails::NONE
        }
        .into(),
    };
    let draft = Draft {
        name: &testcase,
        success: !status.is_bad(),
        started: received,
        finished: received,
        output: String::new(),
        errout: String::new(),
        extras: Vec::new(),
    };
    let tests = vec![test];
    part.with_step(draft.step(&tests)?, tests);
    Ok(Said { key, credentials, part, retried, said })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn of(body: &str) -> Said {
        read(body.as_bytes(), Timestamp::now()).unwrap()
    }

    #[test]
    fn results_of_a_group_or_an_item_belong_together() {
        let of_group =
            of(r#"{"outcome":"PASSED","testcase":"a.b","groups":["g1"],"data":{"item":"x"}}"#);
        assert_eq!(of_group.key, "group g1");
        let of_item = of(
            r#"{"outcome":"PASSED","testcase":{"name":"a.b"},"data":{"item":["x-1"],"type":"koji_build"}}"#,
        );
        assert_eq!(
            (of_item.key.as_str(), of_item.part.tests[0].name.as_str()),
            ("item koji_build x-1", "a.b")
        );
        assert!(of(r#"{"outcome":"INFO","testcase":"a"}"#).key.starts_with("results of 20"));
    }

    #[test]
    fn the_same_result_within_a_minute_is_a_retry_whenever_the_minute_begins() {
        for begin in 1_795_000_000..1_795_000_060 {
            let at = |second: i64| {
                let at = Timestamp::from_parts((begin + second) * 1_000_000, 0).unwrap();
                read(br#"{"outcome":"PASSED","testcase":"a"}"#, at).unwrap()
            };
            let first = at(0).part.receipt.digest.unwrap();
            let is_retry = |second: i64| {
                let again = at(second);
                again.part.receipt.digest.as_ref() == Some(&first) || again.retried.contains(&first)
            };
            let found = [0, 1, 30, 60, 80].map(is_retry);
            assert_eq!(found, [true, true, true, true, false], "{begin}");
        }
    }

    #[test]
    fn outcomes_are_statuses_and_what_runs_has_none() {
        let status = |outcome: &str| {
            let said =
                of(&format!("{{\"outcome\":\"{outcome}\",\"testcase\":\"a\",\"note\":\"n\"}}"));
            said.part.tests.first().map(|test| test.status)
        };
        assert_eq!(status("NEEDS_INSPECTION"), Some(TestStatus::Failed));
        assert_eq!(
            (status("ERROR"), status("odd")),
            (Some(TestStatus::Error), Some(TestStatus::Error))
        );
        assert_eq!(status("RUNNING"), None);
        assert!(read(b"{\"testcase\":\"a\"}", Timestamp::now()).is_err());
        assert!(read(b"{\"outcome\":\"PASSED\"}", Timestamp::now()).is_err());
    }
}
