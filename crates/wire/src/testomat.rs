//! What Testomat.io's reporter sends: a run, batches of its tests, and its end.

use devmason_domain::{TestDetails, TestFailure, TestResult, TestStatus, Timestamp, limits};
use serde_json::{Map, Value};

use crate::json::lenient;
use crate::part::Draft;
use crate::{Part, WireError, tag};

/// The name of the protocol.
pub const PROTOCOL: &str = "testomat";

/// A request that was read, apart from its tests.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// The project, from the key.
    pub project: String,
    /// `user:password`, from the key; `None` for an anonymous sender.
    pub credentials: Option<String>,
    /// The title of the run, if it is shared by several reporters.
    pub shared: Option<String>,
    /// Whether the run ends, and whether that says that it failed.
    pub end: Option<bool>,
    /// What is said of the run.
    pub part: Part,
}

/// Reads a request. The only thing that tells projects apart is the key: `project/user:password`, or
/// `project` alone.
///
/// # Errors
/// It is no JSON object, or has no key.
pub fn read(body: &[u8]) -> Result<Said, WireError> {
    let said: Map<String, Value> = lenient(body)?;
    let key = text(&said, "api_key").ok_or_else(|| WireError::bad("api_key", "is missing"))?;
    let (project, credentials) = match key.split_once('/') {
        Some((project, credentials)) => (project, Some(credentials.to_owned())),
        None if key.contains(':') => {
            let problem = "must be 'project/user:password', as nothing else names the project";
            return Err(WireError::bad("api_key", problem));
        }
        None => (key.as_str(), None),
    };
    let mut part = Part::unread(PROTOCOL);
    for (name, of) in [
        ("job", "title"),
        ("title", "title"),
        ("environment", "env"),
        ("group", "group_title"),
        ("job_url", "ci_build_url"),
        ("description", "description"),
        ("issue", "jira_id"),
        ("kind", "kind"),
    ] {
        part.client.extend(text(&said, of).map(|text| (name.to_owned(), text)));
    }
    for label in text(&said, "label").iter().flat_map(|labels| labels.split(',')) {
        part.tags.extend(tag(label, &mut part.receipt));
    }
    let is_shared = said.get("shared_run").is_some_and(|shared| *shared == true);
    let end = match text(&said, "status_event").as_deref() {
        None => None,
        Some("fail") => Some(true),
        Some(_) => Some(false),
    };
    let shared = text(&said, "title").filter(|_| is_shared);
    Ok(Said { project: project.to_owned(), credentials, shared, end, part })
}

/// Reads tests: a list of them, or one.
///
/// # Errors
/// It is no JSON object, or has no test.
pub fn tests(body: &[u8], received: Timestamp) -> Result<Part, WireError> {
    let said: Map<String, Value> = lenient(body)?;
    let all: Vec<&Map<String, Value>> = match said.get("tests") {
        Some(Value::Array(all)) => {
            let all: Option<Vec<_>> = all.iter().map(Value::as_object).collect();
            all.ok_or_else(|| WireError::bad("tests", "must be a list of tests"))?
        }
        None | Some(Value::Null) if said.contains_key("title") => vec![&said],
        _ => return Err(WireError::bad("tests", "must be a list of tests")),
    };
    let mut part = Part::new(None, PROTOCOL, body);
    // The key is no part of what is said.
    part.receipt.digest = None;
    let mut told = said.clone();
    told.remove("api_key");
    for test in told.get_mut("tests").and_then(Value::as_array_mut).into_iter().flatten() {
        test.as_object_mut().map(|test| test.remove("api_key"));
    }
    part.receipt.digest = Some(crate::part::digest(Value::Object(told).to_string().as_bytes()));
    let mut files = 0;
    let tests: Vec<TestResult> =
        all.iter().map(|test| result(test, &mut part, &mut files)).collect();
    if files > 0 {
        part.dropped(format!("{files} files and artifacts have no place here"));
    }
    let draft = Draft {
        name: "tests",
        success: tests.iter().all(|test| !test.status.is_bad()),
        started: received,
        finished: received,
        output: String::new(),
        errout: String::new(),
        extras: Vec::new(),
    };
    part.with_step(draft.step(&tests)?, tests);
    Ok(part)
}

/// A step that says that the run failed, although no test did.
///
/// # Errors
/// None.
pub fn failed(received: Timestamp) -> Result<Part, WireError> {
    let mut part = Part::new(None, PROTOCOL, b"the run failed");
    let draft = Draft {
        name: "run",
        success: false,
        started: received,
        finished: received,
        output: "The reporter says that the run failed.".to_owned(),
        errout: String::new(),
        extras: Vec::new(),
    };
    part.with_step(draft.step(&[])?, Vec::new());
    Ok(part)
}

/// One odd value must not cost the whole batch.
fn result(test: &Map<String, Value>, part: &mut Part, files: &mut usize) -> TestResult {
    let status = match text(test, "status").as_deref() {
        Some("passed") => TestStatus::Passed,
        Some("failed") => TestStatus::Failed,
        Some("skipped") => TestStatus::Skipped,
        other => {
            let other = other.unwrap_or_default();
            part.receipt.note("guessed", format!("the status '{other}' was counted as an error"));
            TestStatus::Error
        }
    };
    for name in ["files", "artifacts"] {
        *files += test.get(name).and_then(Value::as_array).map_or(0, Vec::len);
    }
    let (message, stack) = (text(test, "message"), text(test, "stack"));
    let has_failure = status.is_bad() || (status == TestStatus::Skipped && message.is_some());
    let mut properties = Vec::new();
    for name in ["test_id", "suite_id", "example", "meta", "links", "tags", "rid"] {
        let value = test.get(name).filter(|value| !is_empty(value));
        let value =
            value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        properties.extend(value.map(|value| (name.to_owned(), value)));
    }
    let mut stdout = String::new();
    if !has_failure {
        stdout.extend(stack.clone());
    }
    steps(test.get("steps"), 0, &mut stdout);
    let mut name = text(test, "title").unwrap_or_else(|| "(no title)".to_owned());
    if let Some(example) = test.get("example").filter(|example| !is_empty(example)) {
        name += &format!(" {example}");
    }
    limits::cut(&mut name, limits::NAME);
    let mut suite = text(test, "suite_title").unwrap_or_default();
    limits::cut(&mut suite, limits::NAME);
    let millis = test.get("run_time").and_then(Value::as_f64);
    let millis = millis.filter(|millis| millis.is_finite() && *millis >= 0.0 && *millis < 1e13);
    TestResult {
        suite: suite.into(),
        name,
        status,
        micros: millis.map(|millis| (millis * 1000.0).round() as u64),
        failure: has_failure.then_some(TestFailure { kind: None, message, text: stack }),
        details: TestDetails { stdout, properties, file: text(test, "file"), ..TestDetails::NONE }
            .into(),
    }
}

/// The deepest steps that are written.
const DEEP: usize = 16;

/// The steps of a test as lines.
fn steps(all: Option<&Value>, depth: usize, out: &mut String) {
    if depth > DEEP {
        return;
    }
    match all {
        Some(Value::String(text)) => out.push_str(text),
        Some(Value::Array(all)) => {
            for step in all.iter().filter_map(Value::as_object) {
                if !out.is_empty() && !out.ends_with('\n') {
                    out.push('\n');
                }
                let title = text(step, "title").unwrap_or_default();
                *out += &format!("{}{title}\n", "  ".repeat(depth));
                steps(step.get("steps"), depth + 1, out);
            }
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn text(said: &Map<String, Value>, name: &str) -> Option<String> {
    let text = match said.get(name)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.trim().is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_key_names_the_project_and_the_user() {
        let key = |key: &str| read(format!("{{\"api_key\":\"{key}\",\"title\":\"t\"}}").as_bytes());
        let said = key("pony/alice:pass/word").unwrap();
        assert_eq!(
            (said.project.as_str(), said.credentials.as_deref()),
            ("pony", Some("alice:pass/word"))
        );
        assert_eq!(key("pony").unwrap().credentials, None);
        assert!(key("alice:secret").is_err() && key("").is_err());
    }

    #[test]
    fn tests_come_in_lists_and_alone() {
        let one = r#"{"api_key":"k","title":"adds","suite_title":"cart","status":"failed","message":"no","stack":"at x","run_time":1.5,"steps":[{"title":"a","steps":[{"title":"b"}]}],"files":["x.png"],"example":{"n":1}}"#;
        let part = tests(one.as_bytes(), Timestamp::now()).unwrap();
        assert_eq!(part.tests.len(), 1);
        let test = &part.tests[0];
        assert_eq!((&*test.suite, test.name.as_str()), ("cart", "adds {\"n\":1}"));
        assert_eq!((test.micros, test.details.stdout.as_str()), (Some(1500), "a\n  b\n"));
        assert_eq!(test.failure.as_ref().unwrap().text.as_deref(), Some("at x"));
        assert_eq!(part.receipt.notes[0].kind, "dropped");
        let many = r#"{"api_key":"k","tests":[{"title":"a","status":"passed","stack":"log"},{"title":"b","status":"odd"}]}"#;
        let part = tests(many.as_bytes(), Timestamp::now()).unwrap();
        assert_eq!(part.tests[0].details.stdout, "log");
        assert_eq!((part.tests.len(), part.tests[1].status), (2, TestStatus::Error));
        // The same with another key is the same.
        let again = tests(many.replace("\"k\"", "\"l\"").as_bytes(), Timestamp::now()).unwrap();
        assert_eq!(again.receipt.digest, part.receipt.digest);
        assert!(tests(b"{}", Timestamp::now()).is_err());
    }
}
