//! What squad-client submits: the tests, metrics and log of one run in one environment.

use std::collections::BTreeMap;

use devmason_domain::{Details, TestDetails, TestFailure, TestResult, TestStatus, Timestamp};
use serde_json::Value;

use crate::part::{Draft, digest, member};
use crate::{Field, Part, WireError, tag};

/// The name of the protocol.
pub const PROTOCOL: &str = "squad";

/// Whose run it is, from the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The group of the project.
    pub group: String,
    /// The version that was built.
    pub build: String,
    /// Where it ran.
    pub environment: String,
}

/// Reads a submission.
///
/// # Errors
/// A field is no JSON, or not what it must be.
pub fn read(
    fields: &[Field<'_>],
    place: &Place,
    body: &[u8],
    received: Timestamp,
) -> Result<Part, WireError> {
    let mut part = Part::new(None, PROTOCOL, body);
    let (mut tests, mut output, mut extras) = (Vec::new(), String::new(), Vec::new());
    for field in fields {
        match field.name {
            "tests" => tests = results(&object("tests", field.value)?, &mut part),
            "metrics" => extras.extend(member("metrics", &object("metrics", field.value)?)),
            "metadata" => {
                let members = object("metadata", field.value)?.into_iter();
                part.client.extend(members.filter_map(|(name, value)| Some((name, text(&value)?))));
            }
            "log" => output = String::from_utf8_lossy(field.value).into_owned(),
            other => {
                let name = field.file.unwrap_or(other);
                let (bytes, sum) = (field.value.len(), digest(field.value));
                part.dropped(format!("'{name}', {bytes} bytes, {sum}, has no place here"));
            }
        }
    }
    part.client.extend([
        ("squad_build".to_owned(), place.build.clone()),
        ("squad_group".to_owned(), place.group.clone()),
        ("environment".to_owned(), place.environment.clone()),
    ]);
    part.tags.extend(tag(&place.environment, &mut part.receipt));
    let draft = Draft {
        name: "tests",
        success: !tests.iter().any(|test| test.status.is_bad()),
        started: received,
        finished: received,
        output,
        errout: String::new(),
        extras,
    };
    part.with_step(draft.step(&tests)?, tests);
    Ok(part)
}

fn object(name: &'static str, value: &[u8]) -> Result<BTreeMap<String, Value>, WireError> {
    serde_json::from_slice(value).map_err(|error| WireError::bad(name, error.to_string()))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn results(tests: &BTreeMap<String, Value>, part: &mut Part) -> Vec<TestResult> {
    tests
        .iter()
        .map(|(full, value)| {
            let result = text(value.get("result").unwrap_or(value)).unwrap_or_default();
            let log = value.get("log").and_then(text);
            let status = match result.as_str() {
                "pass" => TestStatus::Passed,
                "fail" => TestStatus::Failed,
                // It failed, as it was known to.
                "skip" | "xfail" => TestStatus::Skipped,
                other => {
                    let text = format!("the result '{other}' of '{full}' was counted as an error");
                    part.receipt.note("guessed", text);
                    TestStatus::Error
                }
            };
            let (suite, name) = full.rsplit_once('/').unwrap_or(("", full));
            let failure = match &log {
                Some(log) if status.is_bad() => Some(TestFailure {
                    kind: None,
                    message: log.lines().next().map(str::to_owned),
                    text: Some(log.clone()),
                }),
                _ if result == "xfail" => Some(TestFailure {
                    message: Some("expected failure".to_owned()),
                    ..TestFailure::default()
                }),
                _ => None,
            };
            let mut details = TestDetails::NONE;
            details.stdout = log.unwrap_or_default();
            let details: Details = details.into();
            let (suite, name) = (suite.into(), name.to_owned());
            TestResult { suite, name, status, micros: None, failure, details }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_submission_is_a_step_with_its_cases() {
        let field = |name, value: &'static str| Field { name, file: None, value: value.as_bytes() };
        let place = Place { group: "acme".into(), build: "v1".into(), environment: "arm".into() };
        let fields = [
            field(
                "tests",
                r#"{"s/a":"pass","s/b":{"result":"fail","log":"boom\nmore"},"c":"skip","d":"xfail","e":"?"}"#,
            ),
            field("metrics", r#"{"m":1.5}"#),
            field("metadata", r#"{"job_id":7}"#),
            field("log", "all of it"),
            field("attachment", "x"),
        ];
        let part = read(&fields, &place, b"", Timestamp::now()).unwrap();
        let step = part.step.unwrap();
        assert_eq!((step.success, step.output.as_str()), (false, "all of it"));
        assert!(step.extras.as_str().contains(r#""metrics":{"m":1.5}"#));
        let of = |name: &str| part.tests.iter().find(|test| test.name == name).unwrap();
        assert_eq!((&*of("b").suite, of("b").status), ("s", TestStatus::Failed));
        assert_eq!(of("b").failure.as_ref().unwrap().message.as_deref(), Some("boom"));
        let statuses = ["a", "c", "d", "e"].map(|name| of(name).status);
        use TestStatus::{Error, Passed, Skipped};
        assert_eq!(statuses, [Passed, Skipped, Skipped, Error]);
        assert!(part.client.contains(&("job_id".to_owned(), "7".to_owned())));
        let kinds: Vec<_> = part.receipt.notes.iter().map(|note| note.kind.as_str()).collect();
        assert_eq!(kinds, ["guessed", "dropped"]);
        assert!(read(&[field("tests", "[")], &place, b"", Timestamp::now()).is_err());
    }
}
