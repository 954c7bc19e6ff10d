//! Recognizes a file by unique features of its format: the name of a root element or a single `ok`
//! line is not enough.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::value::RawValue;

use crate::{Format, gotext, input, ltp, subunit, tap, xml};

/// How many bytes of a file are examined.
const WINDOW: usize = 8192;

/// How many bytes of JSON are examined if that is not enough.
const WIDE: usize = 1 << 20;

/// What the start of a file is recognized as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A supported format.
    Format(Format),
    /// Another known kind of file, by name.
    Foreign(Cow<'static, str>),
    /// An unknown kind of file.
    Nothing,
}

/// How many characters of a name from the file are shown.
const SHOWN: usize = 60;

const fn foreign(what: &'static str) -> Seen {
    Seen::Foreign(Cow::Borrowed(what))
}

impl Seen {
    /// Examines a file, or its start.
    pub fn of(file: &[u8]) -> Self {
        let window = file.get(..WINDOW).unwrap_or(file);
        if window.starts_with(&[0x1f, 0x8b]) {
            return foreign("a nested gzip file: unpack it first");
        }
        if window.starts_with(b"PK\x03\x04") {
            return foreign("a ZIP archive inside another archive");
        }
        if subunit::looks_like(file, WINDOW) {
            return Self::Format(Format::Subunit);
        }
        let text = input::start(window);
        let text = text.trim_start();
        // A kernel log may begin with <6>.
        let is_xml =
            text.starts_with('<') && !text.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        if is_xml {
            return of_xml(text);
        }
        // A kernel boots before its tests.
        if !text.starts_with('{') && tap::is_in_log(file) {
            return Self::Format(Format::Tap);
        }
        if let Some(format) = of_lines(text).or_else(|| of_lines_behind(file)) {
            return Self::Format(format);
        }
        match of_json_behind(text) {
            Self::Nothing => {}
            seen => return seen,
        }
        // The distinguishing member may come after a long text, or within a long line.
        if text.starts_with(['{', '[']) && file.len() > WINDOW {
            let wide = input::start(file.get(..WIDE).unwrap_or(file));
            match of_lines(&wide).map_or_else(|| of_json(&wide), Self::Format) {
                Self::Nothing => {}
                seen => return seen,
            }
        }
        if is_go_before_tap(text) {
            return Self::Format(Format::GoText);
        }
        if tap::looks_like(text) {
            return Self::Format(Format::Tap);
        }
        let end = input::end(file, WINDOW);
        if gotext::looks_like(text) || gotext::looks_like(&end) {
            return Self::Format(Format::GoText);
        }
        if ltp::looks_like(text) {
            return Self::Format(Format::Ltp);
        }
        if text.starts_with("TN:") || text.starts_with("SF:") {
            return foreign("a coverage report");
        }
        Self::Nothing
    }

    /// A description.
    pub fn words(&self) -> String {
        match self {
            Self::Format(format) => format!("this is a report ({})", format.as_str()),
            Self::Foreign(what) => format!("this is {what}"),
            Self::Nothing => "not a report in a supported format".to_owned(),
        }
    }

    /// Why it is rejected, with the supported formats.
    pub fn refusal(&self) -> String {
        format!("{}; supported formats: {}", self.words(), Format::words())
    }
}

/// The names of the elements in a text, and the complete root tag.
fn elements(text: &str) -> (Vec<&str>, &str) {
    let (mut names, mut root, mut rest) = (Vec::new(), "", text);
    while let Some(at) = rest.find('<') {
        rest = rest.get(at + 1..).unwrap_or_default();
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.find("-->").and_then(|end| comment.get(end + 3..)).unwrap_or_default();
            continue;
        }
        if let Some(data) = rest.strip_prefix("![CDATA[") {
            rest = data.find("]]>").and_then(|end| data.get(end + 3..)).unwrap_or_default();
            continue;
        }
        if rest.starts_with(['?', '!', '/']) {
            continue;
        }
        let name = rest.split(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).next();
        let name = xml::local(name.unwrap_or_default());
        if names.is_empty() {
            root = rest.split('>').next().unwrap_or_default();
        }
        names.push(name);
    }
    (names, root)
}

fn of_xml(text: &str) -> Seen {
    let (names, root) = elements(text);
    let Some((name, within)) = names.split_first() else { return Seen::Nothing };
    let any = |known: &[&str]| within.iter().any(|name| known.contains(name));
    let has = |attributes: &[&str]| {
        attributes.iter().any(|attribute| root.contains(&format!(" {attribute}=")))
    };
    let junit =
        ["testsuite", "testcase", "properties", "system-out", "system-err", "error", "failure"];
    let seen = |is_so: bool, format| if is_so { Seen::Format(format) } else { Seen::Nothing };
    match *name {
        "testsuites" if root.contains("check.sourceforge.net") => Seen::Format(Format::Check),
        "testsuites" | "testsuite" => seen(within.is_empty() || any(&junit), Format::Junit),
        "testcase" => seen(has(&["name", "classname"]), Format::Junit),
        "TestRun" if any(&["FailedTests", "SuccessfulTests"]) => Seen::Format(Format::Cppunit),
        "TestRun" => {
            let own = ["Results", "TestDefinitions", "ResultSummary", "Times", "TestSettings"];
            seen(root.contains("VisualStudio/TeamTest") || any(&own), Format::Trx)
        }
        "assemblies" => seen(any(&["assembly"]) || has(&["timestamp", "start-rtf"]), Format::Xunit),
        "assembly" => {
            let own = ["test-framework", "run-date", "total", "passed"];
            seen(has(&own) || any(&["collection", "class"]), Format::Xunit)
        }
        "test-run" => {
            let is_so = has(&["testcasecount", "result", "total"]) || any(&["test-suite"]);
            seen(is_so, Format::Nunit)
        }
        "test-results" => {
            seen(has(&["total", "failures"]) || any(&["test-suite", "environment"]), Format::Nunit)
        }
        "test-suite" if root.contains("allure") => foreign("an Allure 1 file"),
        "test-suite" => {
            let is_so = has(&["type", "result", "executed", "success"]);
            seen(is_so, Format::Nunit)
        }
        "Site" if any(&["Testing"]) => Seen::Format(Format::Ctest),
        "Site" => foreign("a CTest file other than Test.xml"),
        "robot" => seen(has(&["generator"]) && any(&["suite"]), Format::Robot),
        "testng-results" => Seen::Format(Format::Testng),
        "failsafe-summary" => Seen::Format(Format::Failsafe),
        "Catch2TestRun" | "Catch" => Seen::Format(Format::Catch2),
        "TestLog" | "TestResult" => {
            let is_so = within.is_empty() || any(&["TestSuite", "TestCase", "Exception", "Error"]);
            seen(is_so, Format::Boost)
        }
        // A message may precede the log.
        "Message" if any(&["TestLog"]) => Seen::Format(Format::Boost),
        "TestCase" => seen(any(&["Environment", "TestFunction"]), Format::Qttest),
        "Environment" => seen(any(&["QtVersion"]), Format::Qttest),
        "coverage" | "report" | "CoverageSession" => foreign("a coverage report"),
        "checkstyle" | "pmd" | "BugCollection" | "FindBugsCollection" => foreign("a lint report"),
        "html" => foreign("a web page"),
        name => {
            let name: String = name.chars().take(SHOWN).collect();
            Seen::Foreign(format!("XML with the unknown root element <{name}>").into())
        }
    }
}

/// Recognizes formats with one JSON line per event. Other lines, such as the command's own output,
/// may precede them.
fn of_lines(text: &str) -> Option<Format> {
    let lines = text.lines().filter(|line| line.trim_start().starts_with('{'));
    lines.take(LINES).find_map(of_line)
}

/// How many JSON lines are examined.
const LINES: usize = 1000;

/// Whether a go test starts before any line of TAP, which it may print itself.
fn is_go_before_tap(text: &str) -> bool {
    let is_taps = |line: &str| {
        ["TAP version", "1..", "ok ", "not ok "].iter().any(|start| line.starts_with(start))
    };
    let tap = text.lines().position(|line| is_taps(line.trim_start()));
    gotext::first_line(text).is_some_and(|go| tap.is_none_or(|tap| go < tap))
}

/// How many JSON lines beyond the window are examined.
const LINES_BEHIND: usize = 100;

/// The same for events that begin beyond the window, for example after compiler output.
fn of_lines_behind(file: &[u8]) -> Option<Format> {
    let rest = file.get(WINDOW..)?;
    memchr::memmem::find_iter(rest, b"\n{").take(LINES_BEHIND).find_map(|at| {
        let line = rest.get(at + 1..)?;
        let end = memchr::memchr(b'\n', line.get(..WINDOW).unwrap_or(line))?;
        of_line(std::str::from_utf8(line.get(..end)?).ok()?)
    })
}

fn of_line(line: &str) -> Option<Format> {
    // A line may be a whole document, so the values of its members are not parsed.
    let event: HashMap<String, &RawValue> = serde_json::from_str(line).ok()?;
    let has = |name: &str| event.contains_key(name);
    let all = |names: &[&str]| names.iter().all(|name| has(name));
    if has("Action") && (has("Package") || has("ImportPath")) {
        return Some(Format::Go);
    }
    let kind = event.get("type").and_then(|kind| serde_json::from_str::<String>(kind.get()).ok());
    let is_libtests = match kind.as_deref() {
        Some("suite" | "test" | "bench") => has("event"),
        Some("report") => has("total_time"),
        _ => false,
    };
    if is_libtests {
        return Some(Format::Libtest);
    }
    // An event also names its object; log lines have a type and a time, too.
    let is_darts = match kind.as_deref() {
        Some("suite") => has("suite"),
        Some("group") => has("group"),
        Some("testStart") => has("test"),
        Some("testDone" | "print" | "error") => has("testID"),
        Some("allSuites") => has("count"),
        _ => false,
    };
    if all(&["type", "protocolVersion", "runnerVersion"]) || (is_darts && has("time")) {
        return Some(Format::Dart);
    }
    if all(&["name", "result", "starttime", "duration"]) && (has("command") || has("returncode")) {
        return Some(Format::Meson);
    }
    let within = |name: &str, known: &dyn Fn(&HashMap<String, &RawValue>) -> bool| {
        let object = event.get(name).and_then(|object| serde_json::from_str(object.get()).ok());
        object.is_some_and(|object| known(&object))
    };
    let ids = ["started", "progress", "testResult", "testSummary", "targetCompleted", "pattern"];
    if within("id", &|id| ids.iter().any(|kind| id.contains_key(*kind))) {
        return Some(Format::Bazel);
    }
    let messages = ["gherkinDocument", "pickle", "testRunStarted", "testCaseStarted", "testCase"];
    let is_message = event.len() == 1 && messages.iter().any(|kind| has(kind));
    let is_meta = |meta: &HashMap<String, &RawValue>| {
        meta.contains_key("protocolVersion") && meta.contains_key("implementation")
    };
    (is_message || within("meta", &is_meta)).then_some(Format::CucumberMessages)
}

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

fn of_json_behind(text: &str) -> Seen {
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

fn of_json(text: &str) -> Seen {
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
