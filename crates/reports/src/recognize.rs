//! What a file is, by what only one format has: the name of a root element or one `ok` line is not enough.

use std::borrow::Cow;

use crate::{Format, input, tap, xml};

/// How much of a file is looked at, in bytes.
const WINDOW: usize = 8192;

/// What the first of a file shows that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A format that is parsed.
    Format(Format),
    /// Something else: what it is called.
    Foreign(Cow<'static, str>),
    /// Nothing known.
    Nothing,
}

/// How much of a name that a file gives is shown, in characters.
const SHOWN: usize = 60;

const fn foreign(what: &'static str) -> Seen {
    Seen::Foreign(Cow::Borrowed(what))
}

impl Seen {
    /// Looks at a file, or at the first of it.
    pub fn of(file: &[u8]) -> Self {
        let window = file.get(..WINDOW).unwrap_or(file);
        if window.starts_with(&[0x1f, 0x8b]) {
            return foreign("a gzip file: send it with Content-Encoding: gzip, or unpacked");
        }
        if window.starts_with(b"PK\x03\x04") {
            return foreign("a ZIP archive: send a tar archive, or the files in it");
        }
        let text = input::start(window);
        let text = text.trim_start();
        if text.starts_with('<') {
            return of_xml(text);
        }
        if let Some(format) = of_lines(text) {
            return Self::Format(format);
        }
        if text.contains("] KTAP version ") || text.contains("] TAP version ") {
            return foreign("a kernel's log around TAP: cut the times off its lines");
        }
        if text.starts_with('{') || text.starts_with('[') {
            return of_json(text);
        }
        if tap::looks_like(text) {
            return Self::Format(Format::Tap);
        }
        let is_go = |line: &str| {
            let mut parts = line.split('\t');
            let word = parts.next().unwrap_or_default().trim_end();
            matches!(word, "ok" | "FAIL" | "?")
                && parts.next().is_some_and(|part| part.contains('/'))
        };
        if text.lines().any(|line| line.starts_with("--- FAIL: ") || is_go(line)) {
            return foreign("the text of go test: run it with -json");
        }
        Self::Nothing
    }

    /// What it is, in words.
    pub fn words(&self) -> String {
        match self {
            Self::Format(format) => format!("this is a report ({})", format.as_str()),
            Self::Foreign(what) => format!("this is {what}"),
            Self::Nothing => "this is no report of a known format".to_owned(),
        }
    }

    /// Why it is refused, with the formats that are not.
    pub fn refusal(&self) -> String {
        let formats: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
        format!("{}; formats that are parsed: {}", self.words(), formats.join(", "))
    }
}

/// The names of the elements in a text, and of the root the whole tag.
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
        "testsuites" | "testsuite" => seen(within.is_empty() || any(&junit), Format::Junit),
        "testcase" => seen(has(&["name", "classname"]), Format::Junit),
        "TestRun" if any(&["FailedTests", "SuccessfulTests"]) => foreign("CppUnit's XML"),
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
        "test-suite" if root.contains("allure") => foreign("a file of Allure 1"),
        "test-suite" => {
            let is_so = has(&["type", "result", "executed", "success"]);
            seen(is_so, Format::Nunit)
        }
        "Site" if any(&["Testing"]) => Seen::Format(Format::Ctest),
        "Site" => foreign("a file of CTest's, but not its Test.xml"),
        "robot" => foreign("Robot Framework's output.xml: send what --xunit writes"),
        "testng-results" => foreign("TestNG's own XML: send the JUnit files beside it"),
        "failsafe-summary" => foreign("Failsafe's summary: send its TEST-*.xml"),
        "Catch2TestRun" | "Catch" => foreign("Catch2's own XML: run it with -r junit"),
        "TestLog" | "TestResult" => foreign("Boost.Test's own XML: run it with --log_format=JUNIT"),
        "TestCase" => foreign("QtTest's own XML: run it with -o file,junitxml"),
        "coverage" | "report" | "CoverageSession" => foreign("a coverage report"),
        "checkstyle" | "pmd" | "BugCollection" | "FindBugsCollection" => foreign("a lint report"),
        "html" => foreign("a web page"),
        name => {
            let name: String = name.chars().take(SHOWN).collect();
            Seen::Foreign(format!("XML with the root <{name}>, which no known format has").into())
        }
    }
}

/// Formats with a line of JSON for each event: other lines may stand before them, as of the command that runs it all.
fn of_lines(text: &str) -> Option<Format> {
    for line in text.lines().filter(|line| line.trim_start().starts_with('{')) {
        let Ok(serde_json::Value::Object(event)) = serde_json::from_str(line) else { continue };
        let has = |name: &str| event.contains_key(name);
        let word = |name: &str| event.get(name).and_then(|value| value.as_str());
        if has("Action") && (has("Package") || has("ImportPath")) {
            return Some(Format::Go);
        }
        let kinds = ["suite", "test", "bench", "report"];
        let is_kind = word("type").is_some_and(|kind| kinds.contains(&kind));
        if is_kind && (has("event") || word("type") == Some("report")) {
            return Some(Format::Libtest);
        }
    }
    None
}

fn of_json(text: &str) -> Seen {
    let has = |name: &str| text.contains(&format!("\"{name}\""));
    let all = |names: &[&str]| names.iter().all(|name| has(name));
    // Members may be sorted, so that the tool's name stands far behind.
    if text.contains("\"CTRF\"") && has("reportFormat") {
        return Seen::Format(Format::Ctrf);
    }
    // Of what others write, some have members of the same names.
    const KNOWN: &[(&[&str], &str)] = &[
        (&["$schema", "runs"], "a SARIF file, which has findings and no tests"),
        (&["version", "runs", "driver"], "a SARIF file, which has findings and no tests"),
        (
            &["testResults", "success"],
            "Jest's or Vitest's JSON: send what jest-junit or --reporter=junit writes",
        ),
        (
            &["numTotalTestSuites"],
            "Jest's or Vitest's JSON: send what jest-junit or --reporter=junit writes",
        ),
        (
            &["stats", "results", "uuid"],
            "mochawesome's JSON: send what mocha-junit-reporter writes",
        ),
        (&["stats", "tests", "failures"], "Mocha's JSON: send what mocha-junit-reporter writes"),
        (&["config", "suites"], "Playwright's JSON: send what --reporter=junit writes"),
        (&["elements", "keyword", "steps"], "Cucumber's JSON: send what --format junit writes"),
        (&["meta", "protocolVersion"], "Cucumber's messages: send what --format junit writes"),
        (&["gherkinDocument"], "Cucumber's messages: send what --format junit writes"),
        (&["examples", "summary"], "RSpec's JSON: send what rspec_junit_formatter writes"),
        (&["historyId", "status"], "a file of Allure's: send the JUnit files beside it"),
        (&["exitcode", "nodeid"], "pytest-json-report's JSON: send what --junitxml writes"),
        (&["exitcode", "collectors"], "pytest-json-report's JSON: send what --junitxml writes"),
        (&["testsuites", "testsuite"], "GoogleTest's JSON: run it with --gtest_output=xml"),
        (
            &["runnerVersion", "protocolVersion"],
            "Dart's events: send what junitreport makes of them",
        ),
        (&["starttime", "result", "stdout"], "Meson's testlog.json: send testlog.junit.xml"),
        (&["test_fqn"], "LTP's JSON, which no reader is there for"),
        (&["buildToolVersion", "started"], "Bazel's build events: send the test.xml files"),
        (&["filePath", "errorCount"], "ESLint's JSON, which has findings and no tests"),
        (&["statementMap", "fnMap"], "a coverage report"),
    ];
    if let Some((_, what)) = KNOWN.iter().find(|(names, _)| all(names)) {
        return foreign(what);
    }
    if all(&["results", "tests"]) && (has("tool") || has("summary")) {
        return Seen::Format(Format::Ctrf);
    }
    Seen::Nothing
}
