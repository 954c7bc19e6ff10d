//! Recognizes JSON documents by their members, wherever they begin.

use std::collections::HashSet;

use crate::seen::foreign;
use crate::{Format, Seen};

/// How many bytes of a file are examined.
pub(crate) const WINDOW: usize = 8192;

/// How many bytes of JSON are examined if that is not enough.
pub(crate) const WIDE: usize = 1 << 20;

/// How many beginnings of JSON are examined behind the first.
pub(crate) const LINES_BEHIND: usize = 100;

/// The lines on which a JSON document may begin. The output of the command may precede it.
fn beginnings(text: &str) -> impl Iterator<Item = usize> {
    let mut at = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let begin = at;
        at += line.len();
        let rest = line.trim_start();
        let behind = rest.get(1..).unwrap_or_default().trim_start();
        let is_one = match rest.as_bytes().first() {
            Some(b'{') => behind.is_empty() || behind.starts_with(['"', '}']),
            // A time or a word in brackets belongs to a log.
            Some(b'[') => behind.is_empty() || behind.starts_with(['{', ']']),
            _ => false,
        };
        is_one.then_some(begin)
    })
}

/// Where the report begins in a text: the first recognized document, otherwise the first document.
pub(crate) fn begins(text: &str) -> usize {
    let known = |at: usize, window| is_json(text.get(at..).unwrap_or_default(), window);
    let mut looked_at = beginnings(text).take(LINES_BEHIND);
    let Some(first) = looked_at.next() else { return 0 };
    // It is usually the first; its distinguishing member may be far behind.
    let is_first = known(first, WINDOW) || known(first, WIDE);
    let found = if is_first { None } else { looked_at.find(|at| known(*at, WINDOW)) };
    found.unwrap_or(first)
}

/// Whether the text begins with a report.
fn is_json(text: &str, window: usize) -> bool {
    let window = text.get(..text.floor_char_boundary(window)).unwrap_or_default();
    matches!(of_json(window), Seen::Format(_))
}

/// Looks for further reports after a document, with a limit on the bytes examined in vain.
pub(crate) struct Look {
    left: usize,
}

impl Look {
    pub(crate) fn new() -> Self {
        Self { left: 16 * WIDE }
    }

    /// Whether the limit is reached.
    pub(crate) fn is_over(&self) -> bool {
        self.left == 0
    }

    /// Whether the text begins with a report.
    pub(crate) fn is_one(&mut self, text: &str) -> bool {
        for window in [WINDOW, WIDE] {
            if self.left == 0 || is_json(text, window) {
                return self.left > 0;
            }
            let seen = text.get(..text.floor_char_boundary(window)).unwrap_or_default();
            let (_, read) = members(seen);
            self.left = self.left.saturating_sub(read.max(1));
            if read < seen.len() || seen.len() == text.len() {
                // The whole document was examined.
                return false;
            }
        }
        false
    }

    /// Where the next report begins, after the start of the text.
    pub(crate) fn next(&mut self, text: &str) -> Option<usize> {
        let mut found = beginnings(text).filter(|at| *at > 0);
        found.find(|at| self.is_one(text.get(*at..).unwrap_or_default()))
    }
}

pub(crate) fn of_json_behind(text: &str) -> Seen {
    let first = of_json(text);
    // A document that continues after its first line is examined at once.
    let line = text.lines().next().unwrap_or_default().trim_end();
    let is_open = text.starts_with(['{', '[']) && line.ends_with(['{', '[', ',', ':', '"']);
    if first != Seen::Nothing || is_open {
        return first;
    }
    let behind = beginnings(text).filter(|at| *at > 0).take(LINES_BEHIND);
    let mut seen = behind.map(|at| of_json(text.get(at..).unwrap_or_default()));
    seen.find(|seen| matches!(seen, Seen::Format(_))).unwrap_or(first)
}

/// The names of the outer members at the start of a document, each with its depth, one or two; and
/// how far it was parsed: to its end, if that is included.
fn members(text: &str) -> (HashSet<(usize, &str)>, usize) {
    let (mut found, mut depth, mut lists, mut at) = (HashSet::new(), 0usize, 0usize, 0);
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b'[' => lists += 1,
            b']' => lists = lists.saturating_sub(1),
            b'"' => {
                let start = at + 1;
                at = start;
                while let Some(byte) = bytes.get(at).filter(|byte| **byte != b'"') {
                    at += if *byte == b'\\' { 2 } else { 1 };
                }
                let behind = text.get(at + 1..).filter(|_| depth <= 2).unwrap_or_default();
                if behind.trim_start().starts_with(':') {
                    found.insert((depth, text.get(start..at).unwrap_or_default()));
                }
            }
            _ => {}
        }
        if matches!(byte, b'}' | b']') && depth + lists == 0 {
            break;
        }
        at += 1;
    }
    (found, at)
}

pub(crate) fn of_json(text: &str) -> Seen {
    if !text.trim_start().starts_with(['{', '[']) {
        return Seen::Nothing;
    }
    let (found, _) = members(text);
    let has = |depth: usize, name: &str| found.contains(&(depth, name));
    let top = |names: &[&str]| names.iter().all(|name| has(1, name));
    let inner = |names: &[&str]| names.iter().all(|name| has(2, name));
    let any = |depth: usize, names: &[&str]| names.iter().any(|name| has(depth, name));
    let is_list = text.trim_start().starts_with('[');
    // Members may be sorted, which puts the tool's name far behind.
    if top(&["reportFormat"]) && text.contains("\"CTRF\"") {
        return Seen::Format(Format::Ctrf);
    }
    if top(&["runs"]) && any(1, &["$schema", "version"]) && any(2, &["tool", "results"]) {
        return foreign("a SARIF file, which contains findings, not tests");
    }
    let format = if top(&["numTotalTests"]) && any(1, &["testResults", "numTotalTestSuites"]) {
        if any(2, &["testResults"]) && !any(2, &["assertionResults"]) {
            return foreign("the data passed to Jest reporters: run Jest with --json");
        }
        Format::Jest
    } else if top(&["stats"])
        && (any(2, &["passPercent", "testsRegistered"]) || inner(&["uuid", "beforeHooks"]))
    {
        Format::Mochawesome
    } else if top(&["stats"]) && inner(&["suites", "passes", "pending", "failures"]) {
        Format::Mocha
    } else if top(&["config"])
        && any(1, &["suites", "errors", "stats"])
        && inner(&["rootDir"])
        && any(2, &["forbidOnly", "fullyParallel"])
    {
        Format::Playwright
    } else if is_list
        && (top(&["keyword", "name"]) || top(&["uri", "elements"]))
        && any(1, &["elements", "uri", "location"])
        && (any(2, &["keyword", "steps", "type"])
            || top(&["uri", "keyword"])
            || top(&["location", "status"]))
    {
        Format::Cucumber
    } else if top(&["examples"]) && any(2, &["full_description", "example_count", "file_path"])
        || top(&["version", "summary_line"]) && any(1, &["messages", "examples"])
    {
        Format::Rspec
    } else if top(&["uuid"])
        && any(1, &["historyId", "fullName", "testCaseId", "statusDetails", "stage"])
        || top(&["uuid"]) && any(1, &["befores", "afters"])
        || top(&["uuid", "name", "status"]) && any(1, &["start", "labels"])
        || top(&["attachments", "errors"])
            && found
                .iter()
                .all(|(depth, name)| *depth > 1 || ["attachments", "errors"].contains(name))
            && any(2, &["trace", "timestamp"])
    {
        Format::Allure
    } else if top(&["exitcode"])
        && any(1, &["root", "created"])
        && any(1, &["collectors", "environment", "summary", "tests"])
    {
        Format::Pytest
    } else if top(&["testsuites", "tests"]) && any(1, &["disabled", "failures"]) {
        Format::Gtest
    } else if top(&["results"]) && inner(&["test_fqn"]) {
        Format::Ltp
    } else if top(&["results"]) && inner(&["tests"]) && any(2, &["tool", "summary"]) && !is_list {
        Format::Ctrf
    } else if top(&["filePath", "errorCount"]) {
        return foreign("ESLint JSON, which contains findings, not tests");
    } else if any(2, &["statementMap", "fnMap"]) || top(&["meta", "files", "totals"]) {
        return foreign("a coverage report");
    } else if top(&["generator", "suite"]) {
        return foreign("Robot Framework JSON: report output.xml instead");
    } else if top(&["collection", "run"]) {
        return foreign("Newman JSON: run Newman with -r junit");
    } else {
        return Seen::Nothing;
    };
    Seen::Format(format)
}
