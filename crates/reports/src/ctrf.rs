//! The Common Test Report Format: one JSON document, held in memory as a whole.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::input::Input;
use crate::json::paired;
use crate::model::nested;
use crate::number;
use crate::{Case, Cause, Claim, Failure, Note, NoteKind, ReadError, Reason, Sink, Status, Suite};

/// The part of a document that was parsed.
#[derive(Default)]
struct Results {
    is_there: bool,
    tool: Option<Tool>,
    summary: Option<Summary>,
    tests: Vec<Test>,
    environment: Option<BTreeMap<String, Box<RawValue>>>,
}

/// Parses an object into the existing results, so that everything before a break is kept.
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

/// Parses a list item by item. Items before a break are kept, and the list is never in memory as a
/// whole.
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

/// A text, or a list of lines.
fn lines(texts: Option<Texts>) -> String {
    let texts = texts.unwrap_or_default();
    let lines = || texts.many.iter().flat_map(|line| [line, "\n"]).collect();
    texts.one.unwrap_or_else(lines)
}

/// A text or a list of texts. Other values are skipped without being built: they would take many
/// times the memory.
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
    let text = input.rest()?;
    let (text, replaced) = paired(&text);
    if replaced > 0 {
        let text = format!("{replaced} invalid escapes were replaced by U+FFFD");
        sink.note(Note { line: None, kind: NoteKind::Odd, text });
    }
    let mut results = Results::default();
    let mut json = serde_json::Deserializer::from_str(&text);
    let parsed = Members(&mut results, true).deserialize(&mut json).and_then(|()| json.end());
    let parsed = parsed.map_err(|error| {
        ReadError::new(Some(error.line() as u64), format!("invalid CTRF: {error}"))
    });
    if !results.is_there {
        parsed?;
        return Err(ReadError::new(None, "invalid CTRF: no results"));
    }
    let (mut failed, mut skipped, mut errors) = (0, 0, 0);
    let tests = results.tests.len() as u64;
    // Most tests have the same suites as the previous one.
    let mut suites: Arc<[String]> = Arc::default();
    for test in results.tests {
        let status = match test.status.as_str() {
            "passed" if test.flaky == Some(true) => Status::Flaky,
            "passed" => Status::Passed,
            "failed" => Status::Failed,
            "skipped" | "pending" => Status::Skipped,
            "other" if test.raw_status.as_deref() == Some("todo") => Status::Skipped,
            other => {
                let text = format!("status '{other}' of '{}' counted as an error", test.name);
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
            started: test.start.and_then(number::date),
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
                let text =
                    format!("the summary says {what}: {said}, but the report contains {there}");
                if what == "failed" && said > there + errors {
                    sink.against(Reason::new(Cause::Claim, None, text));
                } else {
                    sink.note(Note { line: None, kind: NoteKind::Odd, text });
                }
            }
        }
        let start = summary.start.and_then(number::date);
        let stop = summary.stop.and_then(number::date);
        suite.started = start;
        suite.micros = match (start, stop) {
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
