//! What is in each kind of file.

use std::fmt::Write;

use base64::Engine;
use devmason_domain::{Details, TestDetails, TestFailure, TestResult, TestStatus};
use serde_json::value::RawValue;

use super::read::{Said, is_within};
use crate::Part;
use crate::part::{digest, member};
use crate::xml::Element;

fn last(around: &[Element]) -> &str {
    around.last().map_or("", |element| element.name.as_str())
}

/// What changed in the sources.
#[derive(Default)]
pub(super) struct Update {
    output: String,
    file: [String; 4],
}

impl Update {
    pub(super) fn take(&mut self, element: &Element, around: &[Element]) {
        const NAMES: [&str; 4] = ["Name", "FullName", "Author", "Log"];
        let is_file = |name: &str| matches!(name, "Updated" | "Modified" | "Conflicting");
        if is_file(last(around)) {
            if let Some(at) = NAMES.iter().position(|name| *name == element.name) {
                self.file[at] = element.text.trim().to_owned();
            }
        } else if is_file(&element.name) {
            let [name, full, author, log] = std::mem::take(&mut self.file);
            let name = if full.is_empty() { name } else { full };
            // Writing to a text cannot fail.
            let _ = writeln!(self.output, "{} {name} {author}", element.name);
            for line in log.lines() {
                let _ = writeln!(self.output, "    {line}");
            }
        }
    }

    /// Success, output and errors.
    pub(super) fn end(self, said: &Said) -> (bool, String, String) {
        let failure = said.text("UpdateReturnStatus").map(str::trim).unwrap_or_default();
        let errout = if failure.is_empty() { String::new() } else { format!("{failure}\n") };
        (failure.is_empty(), self.output, errout)
    }
}

/// A compiler's message.
#[derive(Default)]
struct Message {
    file: String,
    line: String,
    before: String,
    text: String,
    behind: String,
    command: Vec<String>,
    exit: String,
}

/// What a compilation said: there is no log of all of it.
#[derive(Default)]
pub(super) struct Compilation {
    message: Message,
    output: String,
    errout: String,
    errors: u64,
    warnings: u64,
}

impl Compilation {
    pub(super) fn take(&mut self, element: &Element, around: &[Element]) {
        let message = &mut self.message;
        let text = || element.text.clone();
        match (element.name.as_str(), last(around)) {
            ("Error" | "Warning", "Build") => self.end_message(element.name == "Error", ""),
            ("Failure", "Build") => {
                let exit = std::mem::take(&mut message.exit);
                self.end_message(element.get("type") != Some("Warning"), &exit);
            }
            ("SourceFile", _) => message.file = text(),
            ("SourceLineNumber", _) => message.line = text(),
            ("PreContext", _) => message.before = text(),
            ("Text", "Error" | "Warning") => message.text = text(),
            ("PostContext", _) => message.behind = text(),
            ("Argument", _) => message.command.push(text()),
            ("StdOut" | "StdErr", _) => message.text += &element.text,
            ("ExitCondition", _) => message.exit = text(),
            _ => {}
        }
    }

    fn end_message(&mut self, is_error: bool, exit: &str) {
        let Message { file, line, before, text, behind, command, .. } =
            std::mem::take(&mut self.message);
        let (into, count, word) = if is_error {
            (&mut self.errout, &mut self.errors, "error")
        } else {
            (&mut self.output, &mut self.warnings, "warning")
        };
        *count += 1;
        let place = match (file.trim(), line.trim()) {
            ("", _) => String::new(),
            (file, "" | "0") => format!(" {file}"),
            (file, line) => format!(" {file}:{line}"),
        };
        let _ = writeln!(into, "{word}:{place}");
        if !command.is_empty() {
            let _ = writeln!(into, "{}", command.join(" "));
        }
        for text in [before, text, behind] {
            let text = text.trim_end();
            if !text.is_empty() {
                let _ = writeln!(into, "{text}");
            }
        }
        if !exit.trim().is_empty() {
            let _ = writeln!(into, "exit condition: {}", exit.trim());
        }
        into.push('\n');
    }

    /// Success, warnings, errors, and how many there are of each.
    pub(super) fn end(self) -> (bool, String, String, Vec<(String, Box<RawValue>)>) {
        let counts = [("errors", self.errors), ("warnings", self.warnings)];
        let counts = counts.into_iter().filter_map(|(name, count)| member(name, &count)).collect();
        (self.errors == 0, self.output, self.errout, counts)
    }
}

/// How much of each file the tests ran.
#[derive(Default)]
pub(super) struct Coverage {
    table: String,
    percent: String,
}

impl Coverage {
    pub(super) fn take(&mut self, element: &Element, around: &[Element]) {
        match (element.name.as_str(), last(around)) {
            ("PercentCoverage", "File") => self.percent = element.text.trim().to_owned(),
            ("File", _) => {
                let name = element.get("FullPath").or(element.get("Name")).unwrap_or_default();
                let percent = std::mem::take(&mut self.percent);
                let _ = writeln!(self.table, "{percent:>7} % {name}");
            }
            _ => {}
        }
    }

    /// A line for each file.
    pub(super) fn end(self) -> String {
        self.table
    }
}

/// What a memory checker found in each test.
#[derive(Default)]
pub(super) struct Analysis {
    pub(super) checker: Option<String>,
    name: String,
    command: String,
    defects: Vec<String>,
    log: String,
    tests: Vec<TestResult>,
}

impl Analysis {
    pub(super) fn take(&mut self, element: &Element, around: &[Element]) {
        match (element.name.as_str(), last(around)) {
            ("DynamicAnalysis", _) => {
                self.checker = element.get("Checker").map(str::to_owned);
            }
            ("Name", "Test") => self.name = element.text.trim().to_owned(),
            ("FullCommandLine", "Test") => self.command = element.text.trim().to_owned(),
            ("Defect", _) => {
                let kind = element.get("type").unwrap_or("defect");
                self.defects.push(format!("{kind}: {}", element.text.trim()));
            }
            ("Log", _) => self.log = element.text.clone(),
            ("Test", _) if !is_within(around, "TestList") => self.end_test(element),
            _ => {}
        }
    }

    fn end_test(&mut self, element: &Element) {
        let defects = std::mem::take(&mut self.defects);
        let status = match element.get("Status") {
            _ if !defects.is_empty() => TestStatus::Failed,
            Some("passed") => TestStatus::Passed,
            Some("failed") => TestStatus::Failed,
            _ => TestStatus::Error,
        };
        let failure = status.is_bad().then(|| TestFailure {
            kind: None,
            message: Some(defects.join(", ")).filter(|text| !text.is_empty()),
            text: None,
        });
        let mut details = TestDetails::NONE;
        details.stdout = std::mem::take(&mut self.log);
        let command = std::mem::take(&mut self.command);
        if !command.is_empty() {
            details.properties.push(("FullCommandLine".to_owned(), command));
        }
        let details: Details = details.into();
        self.tests.push(TestResult {
            suite: "memcheck".into(),
            name: std::mem::take(&mut self.name),
            status,
            micros: None,
            failure,
            details,
        });
    }

    /// The test cases.
    pub(super) fn end(&mut self) -> Vec<TestResult> {
        std::mem::take(&mut self.tests)
    }
}

/// Texts.
#[derive(Default)]
pub(super) struct Notes {
    output: String,
    text: String,
}

impl Notes {
    pub(super) fn take(&mut self, element: &Element, around: &[Element]) {
        match (element.name.as_str(), last(around)) {
            ("Text", "Note") => self.text = element.text.clone(),
            ("Note", _) => {
                let name = element.get("Name").unwrap_or_default();
                let text = std::mem::take(&mut self.text);
                let _ = writeln!(self.output, "{name}:\n{}\n", text.trim_end());
            }
            _ => {}
        }
    }

    /// All texts, each below its name.
    pub(super) fn end(self) -> String {
        self.output
    }
}

/// Files that have no place here.
#[derive(Default)]
pub(super) struct Uploaded {
    content: Option<Vec<u8>>,
    files: Vec<String>,
}

impl Uploaded {
    pub(super) fn take(&mut self, element: &Element, around: &[Element]) {
        match (element.name.as_str(), last(around)) {
            ("Content", "File") => {
                let text: String = element.text.split_whitespace().collect();
                let bytes = match element.get("encoding") {
                    Some("base64") => base64::engine::general_purpose::STANDARD.decode(text).ok(),
                    _ => Some(element.text.clone().into_bytes()),
                };
                self.content = bytes;
            }
            ("File", _) => {
                let name = element.get("filename").unwrap_or_default();
                let content = self.content.take().unwrap_or_default();
                let (bytes, digest) = (content.len(), digest(&content));
                self.files
                    .push(format!("the file '{name}', {bytes} bytes, {digest}, has no place here"));
            }
            _ => {}
        }
    }

    /// Notes each file as dropped.
    pub(super) fn end(self, part: &mut Part) {
        self.files.into_iter().for_each(|file| part.dropped(file));
    }
}
