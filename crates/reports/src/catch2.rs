//! Catch2's own XML (`-r xml`), versions 2 and 3.

use std::sync::Arc;

use crate::attribute::duration;
use crate::input::Input;
use crate::model::nested;
use crate::xml::{Element, Handler, walk};
use crate::{Case, Cause, Failure, ReadError, Reason, Sink, Status, Suite};

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut catch = Catch::default();
    let read = walk(input, sink, &mut catch);
    // The process ended within the case.
    catch.end_case(sink)?;
    read
}

#[derive(Default)]
struct Catch {
    path: Arc<[String]>,
    case: Option<Case>,
    /// The failures of the current case, formatted.
    failures: Vec<String>,
    /// An expression in the source, and its expansion.
    original: Option<String>,
    expanded: Option<String>,
    exception: Option<String>,
    /// Why a part of the case was skipped, if one was.
    skipped: Option<String>,
    /// Whether the process died in the case.
    is_fatal: bool,
    bad: u64,
    /// The number of cases not skipped.
    run: u64,
}

impl Catch {
    fn expression(&mut self, element: &Element) {
        let (original, expanded) = (self.original.take(), self.expanded.take());
        let exception = self.exception.take();
        if element.get("success") == Some("true") {
            return;
        }
        let kind = element.get("type").unwrap_or_default();
        let written = format!("{kind}( {} )", original.unwrap_or_default());
        let mut shown = match exception {
            Some(exception) => format!("{exception}\n  thrown in: {written}"),
            None => written,
        };
        if let Some(expanded) = expanded {
            shown += &format!("\n  expanded to: {expanded}");
        }
        let place = [element.get("filename"), element.get("line")];
        if let [Some(file), Some(line)] = place {
            shown += &format!("\n  at {file}:{line}");
        }
        self.failures.push(shown);
    }

    fn end_case(&mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let failures = std::mem::take(&mut self.failures);
        let skipped = self.skipped.take();
        let is_fatal = std::mem::take(&mut self.is_fatal);
        let Some(mut case) = self.case.take() else { return Ok(()) };
        let says_passed = case.status == Some(Status::Passed);
        let status = match () {
            () if is_fatal => Status::Error,
            () if case.status == Some(Status::Failed) => Status::Failed,
            // An allowed failure, as with [!mayfail], does not count.
            () if says_passed && !failures.is_empty() => Status::Skipped,
            () if says_passed && skipped.is_some() => Status::Skipped,
            () if says_passed => Status::Passed,
            // The process ended within the case.
            () => Status::Error,
        };
        let message = failures.first().and_then(|first| first.lines().next()).map(str::to_owned);
        let text = failures.join("\n\n");
        case.failure = match status {
            Status::Passed | Status::Flaky => None,
            _ => Some(Failure {
                kind: None,
                message: message.or(skipped),
                text: Some(text).filter(|text| !text.is_empty()),
            }),
        };
        case.status = Some(status);
        self.bad += u64::from(status.is_bad());
        self.run += u64::from(status != Status::Skipped || !failures.is_empty());
        sink.case(case)
    }
}

impl Handler for Catch {
    fn start(
        &mut self,
        element: &mut Element,
        open: &[Element],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        match element.name.as_str() {
            "Catch2TestRun" | "Catch" if open.is_empty() => {
                let name = element.get("name").unwrap_or_default();
                // The program's path; the folder is not part of its name.
                let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
                self.path = nested(&Arc::default(), name, Some(element.line), sink);
                (self.bad, self.run) = (0, 0);
            }
            "TestCase" => {
                let mut properties = Vec::new();
                let tags = element.get("tags").unwrap_or_default();
                let tags = tags.split(['[', ']']).filter(|tag| !tag.is_empty());
                properties.extend(tags.map(|tag| ("tag".to_owned(), tag.to_owned())));
                self.case = Some(Case {
                    suites: self.path.clone(),
                    name: element.get("name").unwrap_or_default().trim().to_owned(),
                    file: element.owned("filename"),
                    line: element.get("line").and_then(|line| line.parse().ok()),
                    properties,
                    report_line: Some(element.line),
                    ..Case::default()
                });
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
        let outer = open.last().map_or("", |outer| outer.name.as_str());
        match element.name.as_str() {
            "Original" => self.original = element.trimmed(),
            "Expanded" => self.expanded = element.trimmed(),
            "Exception" | "FatalErrorCondition" => {
                self.is_fatal |= element.name == "FatalErrorCondition";
                let text = element.trimmed();
                if outer == "Expression" {
                    self.exception = text;
                } else {
                    self.failures.push(text.unwrap_or_else(|| "threw an exception".to_owned()));
                }
            }
            "Failure" => self.failures.push(element.trimmed().unwrap_or("failed".to_owned())),
            "Skip" => self.skipped = Some(element.trimmed().unwrap_or_default()),
            "Expression" => {
                sink.room(self.failures.len())?;
                self.expression(element);
            }
            "StdOut" | "StdErr" => {
                if let Some(case) = &mut self.case {
                    let text = element.text.trim_matches('\n').to_owned();
                    if element.name == "StdOut" { case.stdout = text } else { case.stderr = text }
                }
            }
            "OverallResult" => {
                let micros = duration(element, "durationInSeconds", sink);
                if let Some(case) = &mut self.case {
                    case.micros = micros;
                    let is_passed = element.get("success") == Some("true");
                    case.status = Some(if is_passed { Status::Passed } else { Status::Failed });
                    if element.get("skips").is_some_and(|skips| skips != "0") {
                        self.skipped.get_or_insert_default();
                    }
                }
            }
            "TestCase" => self.end_case(sink)?,
            "OverallResultsCases" if open.len() == 1 => {
                let failed = element.get("failures").and_then(|count| count.parse::<u64>().ok());
                if let Some(failed) = failed.filter(|failed| *failed > self.bad) {
                    let text =
                        format!("the report says failures=\"{failed}\", but contains {}", self.bad);
                    sink.against(Reason::new(Cause::Claim, Some(element.line), text));
                }
            }
            "Catch2TestRun" | "Catch" if open.is_empty() => {
                // Version 3 exits with an error if all cases were skipped or there were none.
                if element.name == "Catch2TestRun" && self.run == 0 {
                    let text = "no tests were run, which Catch2 treats as a failure";
                    sink.against(Reason::new(Cause::NothingRun, Some(element.line), text));
                }
                sink.suite(Suite { path: self.path.clone(), ..Suite::default() })?;
            }
            _ => {}
        }
        Ok(())
    }
}
