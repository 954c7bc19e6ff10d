//! CTest's Test.xml.

use std::io::Read;
use std::sync::Arc;

use base64::Engine;

use crate::input::Input;
use crate::model::nested;
use crate::number;
use crate::xml::{Element, Handler, walk};
use crate::{Case, Failure, Note, NoteKind, ReadError, Sink, Status, Suite};

/// The maximum size of a test's output, in bytes.
const MAX_OUTPUT: usize = 8 << 20;

/// The maximum total size of decompressed outputs, in bytes: a small file may expand to gigabytes.
const MAX_UNPACKED: usize = 64 << 20;

#[derive(Default)]
struct Ctest {
    suite: Suite,
    case: Option<Case>,
    /// Whether the test was not run, as its status says.
    is_unrun: bool,
    measurement: Option<String>,
    unpacked: usize,
}

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    walk(input, sink, &mut Ctest::default())
}

impl Handler for Ctest {
    fn start(
        &mut self,
        element: &mut Element,
        _: &[Element],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        match element.name.as_str() {
            "Site" => {
                self.suite.host = element.first(&["Hostname", "Name"]).map(str::to_owned);
                let name = element.get("BuildName").unwrap_or_default();
                self.suite.path = nested(&Arc::default(), name, Some(element.line), sink);
                for name in ["BuildStamp", "Generator", "CompilerName", "OSName", "OSPlatform"] {
                    self.suite
                        .properties
                        .extend(element.owned(name).map(|value| (name.to_owned(), value)));
                }
            }
            // Within <TestList>, tests are only listed.
            "Test" if element.get("Status").is_some() => {
                self.is_unrun = element.get("Status") == Some("notrun");
                let status = match element.get("Status").unwrap_or_default() {
                    "passed" => Status::Passed,
                    "failed" => Status::Failed,
                    // The test should have run but could not; the completion status tells if it was skipped on purpose.
                    "notrun" => Status::Error,
                    // Spack's.
                    "skipped" => Status::Skipped,
                    other => {
                        let text = format!("unknown status '{other}', counted as an error");
                        sink.note(Note { line: Some(element.line), kind: NoteKind::Guessed, text });
                        Status::Error
                    }
                };
                self.case = Some(Case {
                    suites: self.suite.path.clone(),
                    status: Some(status),
                    report_line: Some(element.line),
                    ..Case::default()
                });
            }
            "NamedMeasurement" => self.measurement = element.owned("name"),
            "Measurement" => self.measurement = Some("output".to_owned()),
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
        let within = open.last().map_or("", |open| open.name.as_str());
        match (element.name.as_str(), &mut self.case) {
            ("Site", _) => sink.suite(std::mem::take(&mut self.suite))?,
            // A passed test's exit status is irrelevant, as with WILL_FAIL.
            ("Test", Some(case)) if case.status == Some(Status::Passed) => {
                case.failure = None;
                self.case.take().map_or(Ok(()), |case| sink.case(case))?;
            }
            ("Test", _) => self.case.take().map_or(Ok(()), |case| sink.case(case))?,
            ("Name", Some(case)) if within == "Test" => {
                case.name = element.trimmed().unwrap_or_default();
            }
            ("FullCommandLine" | "Path", Some(case)) if within == "Test" => {
                case.properties.extend(element.trimmed().map(|text| (element.name.clone(), text)));
            }
            ("Value", Some(case)) => {
                let measurement = (self.measurement.as_deref(), self.is_unrun);
                value(element, measurement, case, &mut self.unpacked, sink)
            }
            ("Label", Some(case)) => {
                case.properties.extend(element.trimmed().map(|text| ("Label".to_owned(), text)));
            }
            ("StartDateTime" | "StartTestTime", None) => {
                let at = element.trimmed().and_then(|text| match text.parse::<i64>() {
                    Ok(seconds) => {
                        devmason_domain::Timestamp::from_parts(seconds.checked_mul(1_000_000)?, 0)
                    }
                    Err(_) => text.parse().ok(),
                });
                self.suite.started = self.suite.started.or(at);
            }
            _ => {}
        }
        Ok(())
    }
}

fn value(
    element: &Element,
    (measurement, is_unrun): (Option<&str>, bool),
    case: &mut Case,
    unpacked: &mut usize,
    sink: &mut dyn Sink,
) {
    let text = element.trimmed().unwrap_or_default();
    match measurement {
        Some("output") => {
            let room = MAX_OUTPUT.saturating_sub(case.stdout.len());
            let Some((output, is_cut)) = output(element, room, unpacked) else {
                let text = "output skipped: unknown compression";
                sink.note(Note {
                    line: Some(element.line),
                    kind: NoteKind::Dropped,
                    text: text.to_owned(),
                });
                return;
            };
            case.stdout += &output;
            if is_cut {
                let text = "output truncated: too long".to_owned();
                sink.note(Note { line: Some(element.line), kind: NoteKind::Cut, text });
            }
        }
        Some("Execution Time") => case.micros = number::seconds(&text).map(|(micros, _)| micros),
        Some("Exit Code") => {
            // The test was ended from outside; none of its own checks failed.
            if matches!(
                text.as_str(),
                "Timeout"
                    | "SEGFAULT"
                    | "Exception"
                    | "Interrupt"
                    | "ILLEGAL"
                    | "NUMERICAL"
                    | "OTHER_FAULT"
            ) && case.status == Some(Status::Failed)
            {
                case.status = Some(Status::Error);
            }
            case.failure.get_or_insert_with(Failure::default).kind = Some(text);
        }
        Some("Fail Reason") => {
            case.failure.get_or_insert_with(Failure::default).message = Some(text);
        }
        Some("Completion Status") if case.status != Some(Status::Passed) => {
            // What is not in capitals is from Spack, which calls a package `Completed` whose tests it skipped.
            let is_skipped = matches!(text.as_str(), "Disabled" | "No tests to run")
                || (is_unrun && text == "Completed")
                || ["SKIP", "Skipped "].iter().any(|start| text.starts_with(start));
            if is_skipped {
                case.status = Some(Status::Skipped);
            }
            case.failure.get_or_insert_with(Failure::default).message.get_or_insert(text);
        }
        Some(name) => case.properties.push((name.to_owned(), text)),
        None => {}
    }
}

/// An output, decompressed if necessary and limited to the remaining room; and whether it was
/// truncated.
fn output(element: &Element, room: usize, unpacked: &mut usize) -> Option<(String, bool)> {
    let (text, is_cut) =
        if element.get("encoding").is_none() && element.get("compression").is_none() {
            (element.text.clone(), false)
        } else {
            let packed: String = element.text.chars().filter(|c| !c.is_whitespace()).collect();
            let bytes = base64::engine::general_purpose::STANDARD.decode(packed).ok()?;
            let room = room.min(MAX_UNPACKED.saturating_sub(*unpacked));
            let mut text = Vec::new();
            // What CTest calls gzip is a zlib stream.
            let decoder = flate2::read::ZlibDecoder::new(bytes.as_slice());
            decoder.take(room as u64 + 1).read_to_end(&mut text).ok()?;
            *unpacked += text.len();
            let is_cut = text.len() > room;
            text.truncate(room);
            (String::from_utf8_lossy(&text).into_owned(), is_cut)
        };
    if text.len() <= room {
        return Some((text, is_cut));
    }
    let end = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    Some((text.get(..end).unwrap_or_default().to_owned(), true))
}
