//! Test cases that clients send within a step.

use devmason_domain::{TestDetails, TestFailure, TestResult, TestStatus, limits};
use serde::de::{Error as _, MapAccess};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::bounded::Bounded;
use super::incoming::{Name, Open, open};

/// How long a case may take at most, in seconds: some thirty thousand years.
const MAX_SECONDS: f64 = 1e12;

/// A test case, with the members that it has in a build's list of tests. What else is said of it becomes one of
/// its properties; what the server says of it is left out.
#[derive(Default)]
pub(super) struct IncomingTest {
    suite: Option<String>,
    name: Option<String>,
    status: Option<TestStatus>,
    micros: Option<u64>,
    failure: Option<TestFailure>,
    details: TestDetails,
}

/// A part of a build's list of tests, as a server gives it.
#[derive(Deserialize)]
pub struct IncomingTestList {
    tests: Vec<IncomingTest>,
}

impl From<IncomingTestList> for Vec<TestResult> {
    fn from(list: IncomingTestList) -> Self {
        list.tests.into_iter().map(TestResult::from).collect()
    }
}

/// Microseconds, said in seconds.
struct Seconds(u64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        if (0.0..MAX_SECONDS).contains(&seconds) {
            Ok(Self((seconds * 1e6).round() as u64))
        } else {
            Err(D::Error::custom("must be a number of seconds, none below zero"))
        }
    }
}

#[derive(Deserialize)]
struct Property {
    name: String,
    value: String,
}

impl Open for IncomingTest {
    const EXPECTING: &'static str = "an object, a test case";
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        match name {
            "suite" => self.suite = map.next_value::<Option<Name>>()?.map(|name| name.0),
            "name" => self.name = map.next_value::<Option<Name>>()?.map(|name| name.0),
            "status" => self.status = map.next_value()?,
            "duration" => {
                self.micros = map.next_value::<Option<Seconds>>()?.map(|Seconds(micros)| micros);
            }
            "failure" => self.failure = map.next_value()?,
            "stdout" => self.details.stdout = map.next_value::<Option<_>>()?.unwrap_or_default(),
            "stderr" => self.details.stderr = map.next_value::<Option<_>>()?.unwrap_or_default(),
            "properties" => {
                let properties: Bounded<Property, { limits::PROPERTIES }> =
                    map.next_value::<Option<_>>()?.unwrap_or_default();
                let pairs =
                    properties.0.into_iter().map(|property| (property.name, property.value));
                self.details.properties.extend(pairs);
            }
            "retries" => self.details.retries = map.next_value::<Option<_>>()?.unwrap_or_default(),
            "file" => self.details.file = map.next_value::<Option<Name>>()?.map(|name| name.0),
            "line" => self.details.line = map.next_value()?,
            "position" | "full_name" | "links" => {
                map.next_value::<serde::de::IgnoredAny>()?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
    fn keep(&mut self, name: String, value: Box<RawValue>) {
        // Only text is parsed: what else it is would become many times as long.
        let text = value.get().starts_with('"').then(|| serde_json::from_str(value.get()).ok());
        let text = text.flatten().unwrap_or_else(|| value.get().to_owned());
        self.details.properties.push((name, text));
    }
}

/// A test case as a build has it. What it came as is not held beside it: there may be a million.
pub(super) struct ReadTest(pub(super) TestResult);

impl<'de> Deserialize<'de> for ReadTest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IncomingTest::deserialize(deserializer).map(|test| Self(test.into()))
    }
}

impl<'de> Deserialize<'de> for IncomingTest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let test: Self = open(deserializer)?;
        for (name, is_there) in [("name", test.name.is_some()), ("status", test.status.is_some())] {
            if !is_there {
                return Err(D::Error::missing_field(name));
            }
        }
        Ok(test)
    }
}

impl From<IncomingTest> for TestResult {
    fn from(test: IncomingTest) -> Self {
        Self {
            suite: test.suite.unwrap_or_default().into(),
            name: test.name.unwrap_or_default(),
            // One without was refused where it was read.
            status: test.status.unwrap_or(TestStatus::Error),
            micros: test.micros,
            failure: test.failure,
            details: test.details.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::{IncomingStep, parse};
    use super::*;

    fn step(tests: &str) -> Result<Vec<TestResult>, String> {
        let json = format!(r#"{{"name":"n","success":true,"tests":{tests}}}"#);
        let mut step = parse::<IncomingStep>(json.as_bytes()).map_err(|error| error.to_string())?;
        Ok(step.take_tests())
    }

    #[test]
    fn a_case_has_what_is_said_of_it() {
        let tests = step(
            r#"[{"suite":"s","name":"a","status":"failed","duration":0.25,"failure":{"type":"E","message":"m","text":"t"},
                 "stdout":"o","stderr":"e","properties":[{"name":"k","value":"v"}],"retries":2,"file":"f.py","line":7,
                 "owner":"me","shards":[1,2],"position":9,"full_name":"x","links":[]},
                {"name":"b","status":"passed","suite":null,"failure":null}]"#,
        )
        .unwrap();
        let failure = TestFailure {
            kind: Some("E".into()),
            message: Some("m".into()),
            text: Some("t".into()),
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            tests[0],
            TestResult {
                suite: "s".into(),
                name: "a".into(),
                status: TestStatus::Failed,
                micros: Some(250_000),
                failure: Some(failure),
                details: TestDetails {
                    stdout: "o".into(),
                    stderr: "e".into(),
                    properties: vec![pair("k", "v"), pair("owner", "me"), pair("shards", "[1,2]")],
                    retries: 2,
                    file: Some("f.py".into()),
                    line: Some(7),
                }
                .into(),
            }
        );
        assert_eq!((&*tests[1].suite, &tests[1].failure), ("", &None));
    }

    #[test]
    fn a_bad_case_is_refused_with_its_place() {
        for (tests, message) in [
            (r#"[{"name":"a","status":"passed"},{"status":"passed"}]"#, "tests[1].name: required"),
            (r#"[{"name":"a"}]"#, "tests[0].status: required"),
            (r#"[{"name":"a","status":"ok"}]"#, "tests[0].status: unknown variant `ok`"),
            (r#"[{"name":"a","status":"passed","duration":-1}]"#, "tests[0].duration: must be"),
            (r#"[{"name":"a","name":"b","status":"passed"}]"#, "tests[0].name: given twice"),
            (r#"7"#, "tests: "),
        ] {
            let refused = step(tests).unwrap_err();
            assert!(refused.starts_with(message), "{tests}: {refused}");
        }
    }
}
