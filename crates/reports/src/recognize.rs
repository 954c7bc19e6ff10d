//! Recognizes a file by unique features of its format: the name of a root element or a single `ok`
//! line is not enough.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::seen::foreign;
use crate::shape::{LINES_BEHIND, WIDE, WINDOW, of_json, of_json_behind};
use crate::{Format, Seen, gotext, input, ltp, subunit, tap, xml};

impl Format {
    /// Recognizes a format by unique features in the first bytes of a file; a few thousand suffice.
    pub fn recognize(start: &[u8]) -> Option<Self> {
        match Seen::of(start) {
            Seen::Format(format) => Some(format),
            Seen::Foreign(_) | Seen::Nothing => None,
        }
    }
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
}

/// How many characters of a name from the file are shown.
const SHOWN: usize = 60;

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
        "testsuite" if any(&["node_order"]) => {
            foreign("a TestLink file, which contains plans, not results")
        }
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
