//! The JSON of Mocha's built-in reporter, and mochawesome's.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use crate::input::Input;
use crate::json::{self, Handler, Object};
use crate::model::{Files, Silent, thrown, unknown, within};
use crate::number;
use crate::{Case, Cause, Claim, Failure, ReadError, Reason, Sink, Status, Suite};

/// A failure, in the form common to both.
fn failure(test: &Object<'_>) -> Option<Failure> {
    let stack = test.get("err.stack").or(test.get("err.estack"));
    let mut failure = stack.map(thrown).unwrap_or_default();
    if let Some(message) = test.owned("err.message") {
        let own =
            failure.kind.as_ref().and_then(|kind| message.strip_prefix(kind)?.strip_prefix(": "));
        failure.message = Some(own.map(str::to_owned).unwrap_or(message));
    }
    failure.text = failure.text.or_else(|| test.owned("err.message"));
    (failure != Failure::default()).then_some(failure)
}

/// The run as a suite, with the totals in `stats`.
fn run(document: &Object<'_>) -> Suite {
    Suite {
        started: document.get("stats.start").and_then(|date| date.parse().ok()),
        micros: document.number("stats.duration").and_then(number::of_millis),
        claim: Claim {
            tests: document.count("stats.tests"),
            failures: document.count("stats.failures"),
            ..Claim::default()
        },
        ..Suite::default()
    }
}

fn judge(document: &Object<'_>, bad: u64, sink: &mut dyn Sink) {
    // mochawesome counts failed hooks separately.
    let said = ["stats.failures", "stats.other"];
    let said = said.into_iter().filter_map(|name| document.count(name)).sum::<u64>();
    if said > bad {
        let text = format!("stats says failures: {said}, but the report contains {bad}");
        sink.against(Reason::new(Cause::Claim, None, text));
    }
}

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let text = input.rest()?;
    let mut listed = Listed::default();
    let _ = json::walk(&text, &mut Silent, &mut listed);
    let files = Files::of(std::mem::take(&mut listed.files));
    json::walk(&text, sink, &mut Mocha { files, listed, ..Mocha::default() })
}

/// Where each test is listed: under `tests`, and again by status. Failed hooks are only under
/// `failures`. Members may be in any order.
#[derive(Default)]
struct Listed {
    files: HashSet<String>,
    hasher: RandomState,
    tests: HashSet<u64>,
    passes: HashSet<u64>,
    pending: HashSet<u64>,
    failures: HashSet<u64>,
}

impl Listed {
    /// A test's identity.
    fn key(&self, test: &Object<'_>) -> u64 {
        let title = test.get("fullTitle").or(test.get("title"));
        self.hasher.hash_one((title, test.get("file")))
    }
}

impl Handler for Listed {
    const OBJECTS: &'static [&'static str] = &["tests", "passes", "pending", "failures"];
    const MEMBERS: &'static [&'static str] = &["title", "fullTitle", "file"];

    fn end(
        &mut self,
        object: &Object<'_>,
        _: &mut [Object<'_>],
        _: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        if let Some(file) = object.get("file").filter(|file| !self.files.contains(*file)) {
            self.files.insert(file.to_owned());
        }
        let key = self.key(object);
        match object.key {
            "tests" => self.tests.insert(key),
            "passes" => self.passes.insert(key),
            "pending" => self.pending.insert(key),
            "failures" => self.failures.insert(key),
            _ => false,
        };
        Ok(())
    }
}

#[derive(Default)]
struct Mocha {
    files: Files,
    listed: Listed,
    last: Arc<[String]>,
    bad: u64,
}

impl Mocha {
    /// The status of a test. Tests with the same name are distinguished by their members: only passed
    /// tests have a speed, and only since Mocha 8.
    fn status(&self, test: &Object<'_>, key: u64) -> Status {
        let was_run = test.get("speed").is_some() || test.number("duration").is_some();
        let passed = self.listed.passes.contains(&key);
        let pending = self.listed.pending.contains(&key);
        let is_skipped = if passed { pending && !was_run } else { pending || !was_run };
        if !passed && self.listed.failures.contains(&key) {
            Status::Failed
        } else if is_skipped {
            Status::Skipped
        } else if test.count("currentRetry").unwrap_or(0) > 0 {
            Status::Flaky
        } else {
            Status::Passed
        }
    }

    fn test(&mut self, test: &Object<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let title = test.get("title").unwrap_or_default();
        let full = test.get("fullTitle").unwrap_or(title);
        let path = test.get("file").unwrap_or_default();
        let failure = failure(test);
        let is_hook = test.key == "failures";
        let key = self.listed.key(test);
        if is_hook && self.listed.tests.contains(&key) {
            return Ok(());
        }
        let retries = test.count("currentRetry").unwrap_or(0);
        let status = match &failure {
            _ if is_hook => Status::Error,
            Some(_) => Status::Failed,
            None => self.status(test, key),
        };
        self.bad += u64::from(status.is_bad());
        let file = self.files.name(path).to_owned();
        let describes = full.strip_suffix(title).unwrap_or_default().trim_end();
        let names = [file.as_str(), describes];
        let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
        let case = Case {
            suites: within(&names, &mut self.last, Some(test.line), sink),
            name: title.to_owned(),
            status: Some(status),
            micros: test.number("duration").and_then(number::of_millis),
            failure,
            retries: u32::try_from(retries).unwrap_or(u32::MAX),
            file: Some(file).filter(|file| !file.is_empty()),
            report_line: Some(test.line),
            ..Case::default()
        };
        sink.case(case)
    }
}

impl Handler for Mocha {
    const OBJECTS: &'static [&'static str] = &["tests", "failures"];
    const MEMBERS: &'static [&'static str] = &[
        "stats.start",
        "stats.duration",
        "stats.tests",
        "stats.failures",
        "title",
        "fullTitle",
        "file",
        "duration",
        "currentRetry",
        "speed",
        "err.message",
        "err.stack",
    ];

    fn end(
        &mut self,
        object: &Object<'_>,
        _: &mut [Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        if object.key.is_empty() {
            judge(object, self.bad, sink);
            return sink.suite(run(object));
        }
        self.test(object, sink)
    }
}

pub(crate) fn read_mochawesome(
    input: &mut Input<'_>,
    sink: &mut dyn Sink,
) -> Result<(), ReadError> {
    let text = input.rest()?;
    json::walk(&text, sink, &mut Mochawesome::default())
}

#[derive(Default)]
struct Mochawesome {
    last: Arc<[String]>,
    bad: u64,
}

impl Mochawesome {
    fn test(
        &mut self,
        test: &Object<'_>,
        open: &[Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let title = test.get("title").unwrap_or_default();
        let is_hook = matches!(test.key, "beforeHooks" | "afterHooks");
        let failure = failure(test);
        let status = match test.get("state") {
            _ if is_hook && test.is("fail") != Some(true) && failure.is_none() => return Ok(()),
            _ if is_hook => Status::Error,
            Some("passed") => Status::Passed,
            Some("failed") => Status::Failed,
            Some("pending" | "skipped") => Status::Skipped,
            // It was not run, for example after a failed hook.
            None if failure.is_none() => Status::Skipped,
            None => Status::Failed,
            Some(other) => unknown(other, title, Some(test.line), sink),
        };
        self.bad += u64::from(status.is_bad());
        let file = open.iter().rev().find_map(|suite| suite.owned("file"));
        let file = file.map(|file| file.trim_start_matches(['/', '\\']).to_owned());
        let titles = open.iter().filter_map(|suite| suite.get("title"));
        let names = file.as_deref().into_iter().chain(titles).filter(|name| !name.is_empty());
        let names: Vec<&str> = names.collect();
        let case = Case {
            suites: within(&names, &mut self.last, Some(test.line), sink),
            name: title.to_owned(),
            status: Some(status),
            micros: test.number("duration").and_then(number::of_millis),
            failure,
            file,
            report_line: Some(test.line),
            properties: test.properties(&["context"]),
            ..Case::default()
        };
        sink.case(case)
    }
}

impl Handler for Mochawesome {
    const OBJECTS: &'static [&'static str] =
        &["results", "suites", "tests", "beforeHooks", "afterHooks"];
    const MEMBERS: &'static [&'static str] = &[
        "stats.start",
        "stats.duration",
        "stats.tests",
        "stats.failures",
        "stats.other",
        "title",
        "file",
        "state",
        "duration",
        "err.message",
        "err.estack",
        "fail",
        "context",
    ];

    fn end(
        &mut self,
        object: &Object<'_>,
        open: &mut [Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        match object.key {
            "" => {
                judge(object, self.bad, sink);
                sink.suite(run(object))
            }
            "results" | "suites" => Ok(()),
            _ => self.test(object, open, sink),
        }
    }
}
