//! JUnit XML and its dialects: Ant, Maven Surefire, pytest, Jest, nextest, PHPUnit and others.

use std::collections::HashSet;
use std::sync::Arc;

use crate::attribute::{duration_in, time};
use crate::doubled::Doubled;
use crate::input::Input;
use crate::model::nested;
use crate::xml::{Element, Handler, walk};
use crate::{Case, Cause, Claim, Failure, Note, NoteKind, ReadError, Reason, Sink, Status, Suite};

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let has_commas =
        input.whole().is_some_and(|text| memchr::memmem::find(text.as_bytes(), b"=\"0,").is_some());
    let mut junit = Junit { has_commas, ..Junit::default() };
    walk(input, sink, &mut junit)?;
    if junit.is_pytests && junit.cases == 0 {
        let text = "pytest collected no tests, which it treats as a failure";
        sink.against(Reason::new(Cause::NothingRun, None, text));
    }
    Ok(())
}

#[derive(Default)]
struct Junit {
    suites: Vec<Open>,
    case: Option<Case>,
    /// Whether the case is a todo, whose failure does not count.
    todo: bool,
    /// Whether a failure of the case was expected, as with Catch2's [!mayfail].
    is_expected: bool,
    /// Whether CTest says that the case was not run.
    not_run: bool,
    /// The case's status according to an attribute.
    said: Option<Status>,
    /// Messages of retries that failed again.
    again: Vec<String>,
    doubled: Doubled,
    dropped: HashSet<String>,
    /// Whether the file uses decimal commas, as shown by a value that begins with `0,`.
    has_commas: bool,
    /// The first host named by a suite.
    host: Option<String>,
    /// Whether pytest wrote it, and the number of cases.
    is_pytests: bool,
    cases: u64,
}

/// An open suite and its counts.
#[derive(Default)]
struct Open {
    suite: Suite,
    line: u64,
    own: Count,
    /// Includes nested suites.
    all: Count,
}

#[derive(Clone, Copy, Default)]
struct Count {
    tests: u64,
    failures: u64,
    errors: u64,
    skipped: u64,
}

impl Count {
    fn add(&mut self, status: Status) {
        self.tests += 1;
        match status {
            Status::Failed => self.failures += 1,
            Status::Error => self.errors += 1,
            Status::Skipped => self.skipped += 1,
            Status::Passed | Status::Flaky => {}
        }
    }
}

fn count(element: &Element, names: &[&str]) -> Option<u64> {
    let text = element.first(names)?;
    let text: String = text.chars().filter(|c| !matches!(c, ',' | '.' | ' ')).collect();
    text.parse().ok()
}

impl Junit {
    fn path(&self) -> Arc<[String]> {
        self.suites.last().map(|open| open.suite.path.clone()).unwrap_or_default()
    }

    fn open_suite(&mut self, element: &Element, sink: &mut dyn Sink) {
        let mut path = self.path();
        // <testsuites> is only a wrapper, unless it has its own name.
        if element.name == "testsuite" || element.get("name").is_some_and(|name| !name.is_empty()) {
            let name = without_date(element.get("name").unwrap_or_default());
            self.is_pytests |= name == "pytest" && element.name == "testsuite";
            path = nested(&path, name, Some(element.line), sink);
        }
        let mut suite = Suite {
            path,
            started: time(element, "timestamp", sink),
            micros: duration_in(element, "time", self.has_commas, sink),
            host: element.owned("hostname"),
            claim: Claim {
                tests: count(element, &["tests"]),
                failures: count(element, &["failures"]),
                errors: count(element, &["errors"]),
                skipped: match (
                    count(element, &["skipped", "skips", "skip"]),
                    count(element, &["disabled"]),
                ) {
                    (Some(skipped), Some(disabled)) => Some(skipped.saturating_add(disabled)),
                    (skipped, _) => skipped,
                },
            },
            ..Suite::default()
        };
        if self.host.is_none() {
            self.host = suite.host.clone();
        }
        for name in ["package", "file", "id"] {
            suite.properties.extend(element.owned(name).map(|value| (name.to_owned(), value)));
        }
        self.suites.push(Open { suite, line: element.line, ..Open::default() });
    }

    fn close_suite(&mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let Some(open) = self.suites.pop() else { return Ok(()) };
        let claim = open.suite.claim;
        let said = [
            ("tests", claim.tests, open.own.tests, open.all.tests),
            ("failures", claim.failures, open.own.failures, open.all.failures),
            ("errors", claim.errors, open.own.errors, open.all.errors),
            ("skipped", claim.skipped, open.own.skipped, open.all.skipped),
        ];
        for (what, said, own, all) in said {
            if let Some(said) = said.filter(|said| *said != own && *said != all) {
                let name = open.suite.path.last().map_or("", String::as_str);
                let text = format!("the suite '{name}' says {what}=\"{said}\", but contains {all}");
                if matches!(what, "failures" | "errors") && said > all {
                    sink.against(Reason::new(Cause::Claim, Some(open.line), text));
                } else {
                    sink.note(Note { line: Some(open.line), kind: NoteKind::Odd, text });
                }
            }
        }
        if let Some(outer) = self.suites.last_mut() {
            outer.all.tests += open.all.tests;
            outer.all.failures += open.all.failures;
            outer.all.errors += open.all.errors;
            outer.all.skipped += open.all.skipped;
        }
        sink.suite(open.suite)
    }

    fn open_case(&mut self, element: &Element, sink: &mut dyn Sink) {
        self.said = None;
        self.is_expected = false;
        self.not_run = false;
        let mut case =
            Case { suites: self.path(), report_line: Some(element.line), ..Case::default() };
        // Iterates over the existing attributes once, instead of looking up each known name: most of a
        // report is cases.
        for (name, value) in element.attributes().filter(|(_, value)| !value.is_empty()) {
            match name {
                "name" => value.clone_into(&mut case.name),
                "classname" => case.class = Some(value.to_owned()),
                "class" => case.class = case.class.or_else(|| Some(value.to_owned())),
                "time" => case.micros = duration_in(element, "time", self.has_commas, sink),
                "timestamp" => case.started = time(element, "timestamp", sink),
                "file" => case.file = Some(value.to_owned()),
                "line" => case.line = value.parse().ok(),
                // How GoogleTest and others report that a case was not run.
                "status" if is_one_of(value, NOT_RUN) => {
                    self.not_run = value == "notrun";
                    case.status = Some(Status::Skipped);
                }
                "result" if is_one_of(value, SUPPRESSED) => case.status = Some(Status::Skipped),
                "status" | "result" if is_one_of(value, FAILED) => self.said = Some(Status::Failed),
                "status" | "result" if is_one_of(value, BROKEN) => self.said = Some(Status::Error),
                // The child elements tell this.
                "status" | "result" | "failure" | "error" | "skipped" => {}
                _ => case.properties.push((name.to_owned(), value.to_owned())),
            }
        }
        // node's reporter gives all tests this class: their suites distinguish them.
        if case.class.as_deref() == Some("test") && !case.suites.is_empty() {
            case.class = None;
        }
        if case.name.is_empty() && case.class.is_none() {
            // pytest writes this for a test that was interrupted.
            "the test that was interrupted".clone_into(&mut case.name);
            case.status = Some(Status::Error);
            let message = "the run ended before the name was known".to_owned();
            case.failure = Some(Failure { message: Some(message), ..Failure::default() });
            let text = "test case without a name: the run was interrupted";
            sink.against(Reason::new(Cause::Aborted, Some(element.line), text));
        } else if case.name.is_empty() {
            let text = "test case without a name".to_owned();
            sink.note(Note { line: Some(element.line), kind: NoteKind::Odd, text });
        }
        self.case = Some(case);
    }

    fn close_case(&mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let Some(mut case) = self.case.take() else { return Ok(()) };
        if std::mem::take(&mut self.todo) {
            case.status = Some(Status::Skipped);
        }
        for text in std::mem::take(&mut self.again) {
            add_text(case.failure.get_or_insert_default(), &text);
        }
        // An attribute counts only if no element gives a status.
        let said = self.said.take().unwrap_or(Status::Passed);
        let status = *case.status.get_or_insert(said);
        if let Some(open) = self.suites.last_mut() {
            open.own.add(status);
            open.all.add(status);
        }
        self.cases += 1;
        // Playwright writes one suite per file and project, with the project as its host.
        let host = self.suites.last().and_then(|open| open.suite.host.as_deref());
        let host = host.filter(|host| self.host.as_deref().is_some_and(|first| first != *host));
        self.doubled.tell_apart(&mut case, host.unwrap_or_default(), sink);
        sink.case(case)
    }

    /// An element outside of any case means that the suite failed: it becomes a case.
    fn judge_suite(
        &mut self,
        element: &Element,
        status: Status,
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let suites = self.path();
        self.case = Some(Case {
            name: format!("the suite itself ({})", suites.last().map_or("", String::as_str)),
            suites,
            report_line: Some(element.line),
            ..Case::default()
        });
        self.judge(element, status);
        self.close_case(sink)
    }

    /// Updates the case's status from an element in it: the worse status counts.
    fn judge(&mut self, element: &Element, status: Status) {
        let Some(case) = self.case.as_mut() else { return };
        let failure = Failure {
            kind: element.owned("type"),
            message: element.owned("message"),
            text: element.trimmed(),
        };
        let is_skipped = case.status == Some(Status::Skipped);
        // An attribute that says that the case was not run counts more than an element.
        let is_expected = self.is_expected || case.failure.is_none();
        let status =
            if is_skipped && is_expected && status.is_bad() { Status::Skipped } else { status };
        let is_reason = case.status.is_none_or(|known| known < status);
        let is_better = is_skipped || case.status == Some(Status::Flaky);
        match (&mut case.failure, is_reason) {
            (None, _) => case.failure = Some(failure),
            (Some(known), true) if is_better => *known = failure,
            (Some(known), _) => {
                for text in [failure.message, failure.text].into_iter().flatten() {
                    add_text(known, &text);
                }
            }
        }
        case.status = Some(case.status.map_or(status, |known| known.max(status)));
    }

    fn retried(&mut self, element: &Element, flaky: bool) {
        if let Some(case) = self.case.as_mut() {
            case.retries += 1;
            if flaky {
                self.judge(element, Status::Flaky);
            } else {
                let texts = [element.owned("message"), element.trimmed()];
                self.again.extend(texts.into_iter().flatten());
            }
        }
    }

    fn drop(&mut self, element: &Element, sink: &mut dyn Sink) {
        if self.dropped.insert(element.name.clone()) {
            let text = format!("unknown element <{}> ignored, here and below", element.name);
            sink.note(Note { line: Some(element.line), kind: NoteKind::Dropped, text });
        }
    }
}

/// The suite's name without the date that unittest-xml-reporting appends.
fn without_date(name: &str) -> &str {
    let dated = name
        .rsplit_once('-')
        .filter(|(_, date)| date.len() == 14 && date.bytes().all(|byte| byte.is_ascii_digit()));
    dated.map_or(name, |(name, _)| name)
}

/// Values of `status` or `result` for a case that was not run.
const NOT_RUN: &[&str] = &["notrun", "disabled", "skipped", "ignored", "pending"];
/// Catch2's tags of tests whose failure does not count, which it names in the reason of a skip.
const EXPECTED: &[&str] = &["!mayfail", "!shouldfail"];
const SUPPRESSED: &[&str] = &["suppressed", "skipped"];
/// Values of either for a failed or broken case.
const FAILED: &[&str] = &["failed", "failure", "fail"];
const BROKEN: &[&str] = &["error", "errored", "broken", "crashed", "timeout"];

/// Whether CTest says by this that a test could not be run, such as `Unable to find executable`.
fn is_broken(message: &str) -> bool {
    !message.is_empty() && !message.starts_with("SKIP_") && message != "Disabled"
}

fn is_one_of(value: &str, words: &[&str]) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(value))
}

/// Appends to a failure's text.
fn add_text(failure: &mut Failure, more: &str) {
    let text = failure.text.get_or_insert_default();
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(more);
}

/// Whether it is an attempt before the last one.
fn is_try(name: &str) -> bool {
    matches!(name, "flakyFailure" | "flakyError" | "rerunFailure" | "rerunError" | "rerun")
}

impl Handler for Junit {
    fn start(
        &mut self,
        element: &mut Element,
        open: &[Element],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        match element.name.as_str() {
            "testsuites" | "testsuite" if self.case.is_none() => self.open_suite(element, sink),
            "testcase" if self.case.is_none() => self.open_case(element, sink),
            "testcase" | "testsuite" | "testsuites" => {
                let problem = format!("unexpected <{}> in a <testcase>", element.name);
                return Err(ReadError::new(Some(element.line), problem));
            }
            _ if open.is_empty() => {
                let problem = format!("<{}> is not a JUnit XML root element", element.name);
                return Err(ReadError::new(Some(element.line), problem));
            }
            _ => {}
        }
        Ok(())
    }

    fn end(
        &mut self,
        element: &mut Element,
        open: &mut [Element],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        match element.name.as_str() {
            "testsuites" | "testsuite" => self.close_suite(sink)?,
            "testcase" => self.close_case(sink)?,
            "failure" if self.case.is_none() => self.judge_suite(element, Status::Failed, sink)?,
            "error" if self.case.is_none() => self.judge_suite(element, Status::Error, sink)?,
            "failure" => self.judge(element, Status::Failed),
            "error" => self.judge(element, Status::Error),
            "skipped" => {
                let message = element.get("message").unwrap_or_default();
                let is_todo = element.get("type") == Some("todo");
                self.todo |= is_todo;
                self.is_expected |= is_todo || EXPECTED.iter().any(|tag| message.contains(tag));
                if self.not_run && is_broken(message) {
                    if let Some(case) = &mut self.case {
                        case.status = None;
                    }
                    self.judge(element, Status::Error);
                } else {
                    self.judge(element, Status::Skipped);
                }
            }
            "flakyFailure" | "flakyError" => self.retried(element, true),
            "rerunFailure" | "rerunError" | "rerun" => self.retried(element, false),
            "stackTrace" if open.last().is_some_and(|open| is_try(&open.name)) => {
                // The text belongs to the attempt.
                if let Some(outer) = open.last_mut() {
                    outer.text += &element.text;
                }
            }
            "system-out" | "system-err" => {
                let text = std::mem::take(&mut element.text);
                let is_out = element.name == "system-out";
                let (out, err) = match (&mut self.case, self.suites.last_mut()) {
                    (Some(case), _) => (&mut case.stdout, &mut case.stderr),
                    (None, Some(open)) => (&mut open.suite.stdout, &mut open.suite.stderr),
                    (None, None) => return Ok(()),
                };
                let to = if is_out { out } else { err };
                to.push_str(&text);
            }
            "property" => {
                let value =
                    element.get("value").map_or_else(|| element.text.clone(), str::to_owned);
                let property = (element.get("name").unwrap_or_default().to_owned(), value);
                match (&mut self.case, self.suites.last_mut()) {
                    (Some(case), _) => case.properties.push(property),
                    (None, Some(open)) => open.suite.properties.push(property),
                    (None, None) => {}
                }
            }
            "properties" => {}
            _ => self.drop(element, sink),
        }
        Ok(())
    }
}
