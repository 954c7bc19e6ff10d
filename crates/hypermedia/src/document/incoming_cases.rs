//! Test cases that clients send within a step.

use devmason_domain::{TestDetails, TestFailure, TestResult, TestStatus, limits};
use schemars::JsonSchema;
use serde::de::{Error as _, MapAccess};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::bounded::Bounded;
use super::fingerprint::canonical;
use super::read::{Name, Open, open};
use super::shape::{self, BODY, Text};

/// Maximum duration of a test case, in seconds: about thirty thousand years.
const MAX_SECONDS: f64 = 1e12;

/// A test case, with the same members as in a build's test list. Unknown members become properties;
/// members that the server adds are ignored.
#[derive(Default, JsonSchema)]
#[schemars(rename = "NewTest")]
#[schemars(extend("maxProperties" = limits::MEMBERS, "additionalProperties" = true))]
pub(super) struct IncomingTest {
    #[schemars(with = "Option<Text<{ limits::NAME }>>")]
    suite: Option<String>,
    #[schemars(required, with = "Text<{ limits::NAME }>")]
    name: Option<String>,
    #[schemars(required, with = "shape::Status")]
    status: Option<TestStatus>,
    #[schemars(with = "Option<shape::Seconds>")]
    duration: Option<Seconds>,
    #[schemars(with = "Option<shape::Failure>")]
    failure: Option<TestFailure>,
    #[schemars(with = "Option<Text<BODY>>")]
    stdout: Option<String>,
    #[schemars(with = "Option<Text<BODY>>")]
    stderr: Option<String>,
    #[schemars(with = "Option<Bounded<Property, { limits::PROPERTIES }>>")]
    properties: Vec<(String, String)>,
    /// Number of retries.
    #[schemars(with = "Option<shape::Number>")]
    /// Members that are no known ones; they become properties.
    #[schemars(skip)]
    others: Vec<(String, String)>,
    retries: Option<u32>,
    #[schemars(with = "Option<Text<{ limits::NAME }>>")]
    file: Option<String>,
    #[schemars(with = "Option<shape::Number>")]
    line: Option<u32>,
}

/// A range of a build's test list, as returned by a server.
#[derive(Deserialize)]
pub struct IncomingTestList {
    tests: Vec<IncomingTest>,
}

impl From<IncomingTestList> for Vec<TestResult> {
    fn from(list: IncomingTestList) -> Self {
        list.tests.into_iter().map(TestResult::from).collect()
    }
}

/// Microseconds, written as seconds in JSON.
struct Seconds(u64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        if (0.0..MAX_SECONDS).contains(&seconds) {
            Ok(Self((seconds * 1e6).round() as u64))
        } else {
            Err(D::Error::custom("must be a non-negative number of seconds"))
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[schemars(inline)]
struct Property {
    #[schemars(with = "Text<BODY>")]
    name: String,
    #[schemars(with = "Text<BODY>")]
    value: String,
}

impl Open for IncomingTest {
    const EXPECTING: &'static str = "an object, a test case";
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        match name {
            "suite" => self.suite = map.next_value::<Option<Name>>()?.map(|name| name.0),
            "name" => self.name = map.next_value::<Option<Name>>()?.map(|name| name.0),
            "status" => self.status = map.next_value()?,
            "duration" => self.duration = map.next_value()?,
            "failure" => self.failure = map.next_value()?,
            "stdout" => self.stdout = map.next_value()?,
            "stderr" => self.stderr = map.next_value()?,
            "properties" => {
                let properties: Bounded<Property, { limits::PROPERTIES }> =
                    map.next_value::<Option<_>>()?.unwrap_or_default();
                let pairs =
                    properties.0.into_iter().map(|property| (property.name, property.value));
                self.properties.extend(pairs);
            }
            "retries" => self.retries = map.next_value()?,
            "file" => self.file = map.next_value::<Option<Name>>()?.map(|name| name.0),
            "line" => self.line = map.next_value()?,
            "position" | "full_name" | "links" => {
                map.next_value::<serde::de::IgnoredAny>()?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
    fn keep(&mut self, name: String, value: Box<RawValue>) {
        // Only strings are parsed: any other value would grow many times as large.
        let text = value.get().starts_with('"').then(|| serde_json::from_str(value.get()).ok());
        let text = text.flatten().unwrap_or_else(|| canonical(value.get()));
        self.others.push((name, text));
    }
}

/// A test case in its final form. Its JSON form isn't held in memory as well: there may be a
/// million cases.
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
    fn from(mut test: IncomingTest) -> Self {
        // The order of members means nothing.
        test.others.sort_unstable();
        test.properties.append(&mut test.others);
        Self {
            suite: test.suite.unwrap_or_default().into(),
            name: test.name.unwrap_or_default(),
            // A missing status was refused during parsing.
            status: test.status.unwrap_or(TestStatus::Error),
            micros: test.duration.map(|Seconds(micros)| micros),
            failure: test.failure,
            details: TestDetails {
                stdout: test.stdout.unwrap_or_default(),
                stderr: test.stderr.unwrap_or_default(),
                properties: test.properties,
                retries: test.retries.unwrap_or_default(),
                file: test.file,
                line: test.line,
            }
            .into(),
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
