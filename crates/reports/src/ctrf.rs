//! The Common Test Report Format: one JSON document, held in memory as a whole.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;
use std::marker::PhantomData;
use std::sync::Arc;

use devmason_domain::Timestamp;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::input::Input;
use crate::model::nested;
use crate::number;
use crate::{Case, Cause, Claim, Failure, Note, NoteKind, ReadError, Reason, Sink, Status, Suite};

/// What is read of a document, as far as it could be read.
#[derive(Default)]
struct Results {
    is_there: bool,
    tool: Option<Tool>,
    summary: Option<Summary>,
    tests: Vec<Test>,
    environment: Option<BTreeMap<String, Box<RawValue>>>,
}

/// Reads an object whose members are of this kind into what is there so far: what came before a break stays.
struct Members<'a>(&'a mut Results, bool);

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(results, is_document) = self;
        while let Some(name) = map.next_key::<String>()? {
            match (is_document, name.as_str()) {
                (true, "results") => {
                    results.is_there = true;
                    map.next_value_seed(Members(results, false))?;
                }
                (false, "tests") => map.next_value_seed(each(|test| results.tests.push(test)))?,
                (false, "tool") => results.tool = map.next_value()?,
                (false, "summary") => results.summary = map.next_value()?,
                (false, "environment") => results.environment = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Takes the members of a list one by one: those before a break stay, and the list is never held beside them.
struct Each<T, F>(F, PhantomData<T>);

fn each<T, F: FnMut(T)>(take: F) -> Each<T, F> {
    Each(take, PhantomData)
}

impl<'de, T: Deserialize<'de>, F: FnMut(T)> DeserializeSeed<'de> for Each<T, F> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Each<T, F> {
    type Value = ();
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list")
    }
    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(one) = list.next_element()? {
            (self.0)(one);
        }
        Ok(())
    }
}

/// JSON in which each escape of half a surrogate pair, which is no character, is that of U+FFFD; and how many they were.
fn paired(json: &str) -> (Cow<'_, str>, u64) {
    let unit = |at: usize| {
        let digits = json.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (mut fixed, mut copied, mut count, mut from) = (String::new(), 0, 0, 0);
    while let Some(at) = json.get(from..).and_then(|rest| rest.find('\\')).map(|at| from + at) {
        let is_pair = matches!(unit(at), Some(0xd800..=0xdbff))
            && matches!(unit(at + 6), Some(0xdc00..=0xdfff));
        match unit(at) {
            _ if is_pair => from = at + 12,
            Some(0xd800..=0xdfff) => {
                fixed += json.get(copied..at).unwrap_or_default();
                fixed += "\\ufffd";
                (copied, from, count) = (at + 6, at + 6, count + 1);
            }
            // The character behind a backslash, whatever it is.
            _ => {
                from = at
                    + 1
                    + json
                        .get(at + 1..)
                        .and_then(|rest| rest.chars().next())
                        .map_or(1, char::len_utf8)
            }
        }
    }
    if count == 0 {
        return (Cow::Borrowed(json), 0);
    }
    fixed += json.get(copied..).unwrap_or_default();
    (Cow::Owned(fixed), count)
}

#[derive(Deserialize)]
struct Tool {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Summary {
    tests: Option<u64>,
    failed: Option<u64>,
    skipped: Option<u64>,
    start: Option<f64>,
    stop: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    name: String,
    status: String,
    duration: Option<f64>,
    start: Option<f64>,
    suite: Option<Texts>,
    message: Option<String>,
    trace: Option<String>,
    raw_status: Option<String>,
    file_path: Option<String>,
    line: Option<u32>,
    retries: Option<u32>,
    flaky: Option<bool>,
    stdout: Option<Texts>,
    stderr: Option<Texts>,
    tags: Option<Texts>,
}

fn at(millis: Option<f64>) -> Option<Timestamp> {
    let micros = number::micros(millis? / 1e3).filter(|micros| *micros > 0)?;
    // Some tools write seconds.
    let micros = if micros < 100_000_000_000_000 { micros.checked_mul(1000)? } else { micros };
    Timestamp::from_parts(i64::try_from(micros).ok()?, 0)
}

/// Text, or lines of it.
fn lines(texts: Option<Texts>) -> String {
    let texts = texts.unwrap_or_default();
    let lines = || texts.many.iter().flat_map(|line| [line, "\n"]).collect();
    texts.one.unwrap_or_else(lines)
}

/// Text, or a list of texts. What else is there is passed over, and never built: it would become many times as long.
#[derive(Default)]
struct Texts {
    one: Option<String>,
    many: Vec<String>,
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let whole = <&RawValue>::deserialize(deserializer)?.get();
        if whole.starts_with('"') {
            let one = serde_json::from_str(whole).map_err(D::Error::custom)?;
            return Ok(Self { one: Some(one), many: Vec::new() });
        }
        let mut many = Vec::new();
        if whole.starts_with('[') {
            let mut list = serde_json::Deserializer::from_str(whole);
            let texts = each(|one: &RawValue| {
                if one.get().starts_with('"') {
                    many.extend(serde_json::from_str::<String>(one.get()));
                }
            });
            texts.deserialize(&mut list).map_err(D::Error::custom)?;
        }
        Ok(Self { one: None, many })
    }
}

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut text = String::new();
    let text = match input.whole() {
        Some(text) => text,
        None => {
            input
                .read_to_string(&mut text)
                .map_err(|error| ReadError::new(None, error.to_string()))?;
            &text
        }
    };
    let (text, replaced) = paired(text);
    if replaced > 0 {
        let text = format!("{replaced} escapes are no characters and were replaced by U+FFFD");
        sink.note(Note { line: None, kind: NoteKind::Odd, text });
    }
    let mut results = Results::default();
    let mut json = serde_json::Deserializer::from_str(&text);
    let parsed = Members(&mut results, true).deserialize(&mut json).and_then(|()| json.end());
    let parsed = parsed.map_err(|error| {
        ReadError::new(Some(error.line() as u64), format!("this is no CTRF: {error}"))
    });
    if !results.is_there {
        parsed?;
        return Err(ReadError::new(None, "this is no CTRF: it has no results"));
    }
    let (mut failed, mut skipped, mut errors) = (0, 0, 0);
    let tests = results.tests.len() as u64;
    // Most tests are in the suites of the one before.
    let mut suites: Arc<[String]> = Arc::default();
    for test in results.tests {
        let status = match test.status.as_str() {
            "passed" if test.flaky == Some(true) => Status::Flaky,
            "passed" => Status::Passed,
            "failed" => Status::Failed,
            "skipped" | "pending" => Status::Skipped,
            "other" if test.raw_status.as_deref() == Some("todo") => Status::Skipped,
            other => {
                let text = format!("the status '{other}' of '{}' counts as an error", test.name);
                sink.note(Note { line: None, kind: NoteKind::Guessed, text });
                Status::Error
            }
        };
        failed += u64::from(status == Status::Failed);
        skipped += u64::from(status == Status::Skipped);
        errors += u64::from(status == Status::Error);
        let within: Vec<&str> = match &test.suite {
            Some(Texts { one: Some(suite), .. }) => suite.split(" > ").collect(),
            Some(Texts { many, .. }) => many.iter().map(String::as_str).collect(),
            None => Vec::new(),
        };
        if !within.iter().eq(suites.iter()) {
            suites = Arc::default();
            for name in within {
                suites = nested(&suites, name, None, sink);
            }
        }
        let mut properties = Vec::new();
        properties.extend(test.raw_status.map(|status| ("rawStatus".to_owned(), status)));
        let tags = test.tags.map(|tags| tags.many).unwrap_or_default();
        properties.extend(tags.into_iter().map(|tag| ("tag".to_owned(), tag)));
        let has_reason = test.message.is_some() || test.trace.is_some();
        sink.case(Case {
            suites: suites.clone(),
            name: test.name,
            status: Some(status),
            micros: test.duration.and_then(|ms| number::micros(ms / 1e3)),
            started: at(test.start),
            failure: has_reason.then_some(Failure {
                kind: None,
                message: test.message,
                text: test.trace,
            }),
            stdout: lines(test.stdout),
            stderr: lines(test.stderr),
            properties,
            retries: test.retries.unwrap_or(0),
            file: test.file_path,
            line: test.line,
            ..Case::default()
        })?;
    }
    let tool = results.tool.and_then(|tool| tool.name);
    let path = tool.map(|tool| nested(&Arc::default(), &tool, None, sink)).unwrap_or_default();
    let mut suite = Suite { path, ..Suite::default() };
    if let Some(summary) = results.summary {
        for (what, said, there) in [
            ("tests", summary.tests, tests),
            ("failed", summary.failed, failed),
            ("skipped", summary.skipped, skipped),
        ] {
            if let Some(said) = said.filter(|said| *said != there && what != "skipped") {
                let text = format!("the summary says {what}: {said}; there are {there}");
                if what == "failed" && said > there + errors {
                    sink.against(Reason::new(Cause::Claim, None, text));
                } else {
                    sink.note(Note { line: None, kind: NoteKind::Odd, text });
                }
            }
        }
        suite.started = at(summary.start);
        suite.micros = match (at(summary.start), at(summary.stop)) {
            (Some(start), Some(stop)) => u64::try_from(stop.micros() - start.micros()).ok(),
            _ => None,
        };
        suite.claim = Claim {
            tests: summary.tests,
            failures: summary.failed,
            errors: None,
            skipped: summary.skipped,
        };
    }
    for (name, value) in results.environment.into_iter().flatten() {
        let text = serde_json::from_str(value.get()).unwrap_or_else(|_| value.get().to_owned());
        suite.properties.push((name, text));
    }
    sink.suite(suite)?;
    parsed
}
