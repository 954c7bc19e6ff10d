//! xUnit.net's XML, versions 2 and 3.

use std::sync::Arc;

use crate::attribute::duration;
use crate::input::Input;
use crate::model::nested;
use crate::xml::{Element, Handler, walk};
use crate::{Case, Cause, Failure, Note, NoteKind, ReadError, Reason, Sink, Status, Suite};

#[derive(Default)]
struct Xunit {
    suite: Suite,
    /// The path of the collection.
    collection: Arc<[String]>,
    case: Option<Case>,
    /// The number of failed cases in the assembly, and of errors outside of them.
    failed: u64,
    errors: u64,
}

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    walk(input, sink, &mut Xunit::default())
}

impl Handler for Xunit {
    fn start(
        &mut self,
        element: &mut Element,
        _: &[Element],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        match element.name.as_str() {
            "assembly" => {
                let started = match (element.get("run-date"), element.get("run-time")) {
                    (Some(date), Some(time)) => format!("{date}T{time}").parse().ok(),
                    _ => element.get("start-rtf").and_then(|at| at.parse().ok()),
                };
                let name = element.get("name").unwrap_or_default();
                // A Windows or Unix path; its last part names the assembly.
                let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
                self.suite = Suite {
                    path: nested(&Arc::default(), name, Some(element.line), sink),
                    started,
                    micros: duration(element, "time", sink),
                    ..Suite::default()
                };
                self.collection = self.suite.path.clone();
                self.suite.properties.extend(
                    element.owned("environment").map(|value| ("environment".to_owned(), value)),
                );
            }
            "collection" => {
                let name = element.get("name").unwrap_or_default();
                self.collection = nested(&self.suite.path, name, Some(element.line), sink);
            }
            "test" => {
                let class = element.owned("type");
                let name = element.get("name").unwrap_or_default();
                let own = class
                    .as_deref()
                    .and_then(|class| name.strip_prefix(class)?.strip_prefix('.'))
                    .unwrap_or(name)
                    .to_owned();
                let status = match element.get("result").unwrap_or_default() {
                    "Pass" => Status::Passed,
                    "Fail" => Status::Failed,
                    // jest-xunit has no other word for skipped.
                    "Skip" | "NotRun" | "undefined" => Status::Skipped,
                    other => {
                        let text = format!("unknown result '{other}', counted as an error");
                        sink.note(Note { line: Some(element.line), kind: NoteKind::Guessed, text });
                        Status::Error
                    }
                };
                self.case = Some(Case {
                    suites: self.collection.clone(),
                    class,
                    name: own,
                    status: Some(status),
                    micros: duration(element, "time", sink),
                    file: element.owned("source-file"),
                    line: element.get("source-line").and_then(|line| line.parse().ok()),
                    report_line: Some(element.line),
                    ..Case::default()
                });
            }
            // A failure outside of any test, for example of a fixture: a case, named after it.
            "error" => {
                let kind = element.get("type").unwrap_or("error outside of the tests");
                let name = match element.get("name").filter(|name| !name.is_empty()) {
                    Some(name) => format!("{name} ({kind})"),
                    None => kind.to_owned(),
                };
                self.case = Some(Case {
                    suites: self.suite.path.clone(),
                    name,
                    status: Some(Status::Error),
                    report_line: Some(element.line),
                    ..Case::default()
                });
            }
            "failure" => {
                if let Some(case) = &mut self.case {
                    case.failure.get_or_insert_with(Failure::default).kind =
                        element.owned("exception-type");
                }
            }
            "trait" => {
                if let (Some(case), Some(name)) = (&mut self.case, element.owned("name")) {
                    case.properties
                        .push((name, element.get("value").unwrap_or_default().to_owned()));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(
        &mut self,
        element: &mut Element,
        _: &mut [Element],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        match (element.name.as_str(), &mut self.case) {
            ("assembly", _) => {
                for (total, found) in [("failed", &mut self.failed), ("errors", &mut self.errors)] {
                    let claimed = element.get(total).and_then(|text| text.parse::<u64>().ok());
                    let found = std::mem::take(found);
                    if let Some(claimed) = claimed.filter(|claimed| *claimed > found) {
                        let text = format!(
                            "the assembly says {total}=\"{claimed}\", but contains {found}"
                        );
                        sink.against(Reason::new(Cause::Claim, Some(element.line), text));
                    }
                }
                sink.suite(std::mem::take(&mut self.suite))?;
            }
            ("error", _) => {
                self.errors += 1;
                self.case.take().map_or(Ok(()), |case| sink.case(case))?;
            }
            ("test", _) => {
                if let Some(case) = self.case.take() {
                    self.failed += u64::from(case.outcome().is_bad());
                    sink.case(case)?;
                }
            }
            ("output", Some(case)) => case.stdout += &element.text,
            ("reason", Some(case)) => {
                case.failure.get_or_insert_with(Failure::default).message = element.trimmed();
            }
            ("message", Some(case)) => {
                case.failure.get_or_insert_with(Failure::default).message = element.trimmed();
            }
            ("stack-trace", Some(case)) => {
                case.failure.get_or_insert_with(Failure::default).text = element.trimmed();
            }
            _ => {}
        }
        Ok(())
    }
}
