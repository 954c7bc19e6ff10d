#![doc = include_str!("../README.md")]

pub mod build;
mod ctest;
mod ctrf;
mod go;
mod input;
mod junit;
mod libtest;
mod model;
mod number;
mod nunit;
mod tap;
mod trx;
mod xml;
mod xunit;

use std::io::BufRead;

pub use devmason_domain::{TestFailure as Failure, TestStatus as Status};
pub use model::{Case, Claim, Note, NoteKind, ReadError, Sink, Suite};

use input::Input;

/// What kind of report a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// JUnit XML, whichever tool's.
    Junit,
    /// TAP 13 or 14, or KTAP.
    Tap,
    /// `go test -json`: a line of JSON for each event.
    Go,
    /// libtest's or nextest's JSON: a line for each event.
    Libtest,
    /// Common Test Report Format.
    Ctrf,
    /// Visual Studio's test results.
    Trx,
    /// xUnit.net's XML, version 2 or 3.
    Xunit,
    /// NUnit's XML, version 2 or 3.
    Nunit,
    /// CTest's Test.xml.
    Ctest,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Junit,
        Self::Tap,
        Self::Go,
        Self::Libtest,
        Self::Ctrf,
        Self::Trx,
        Self::Xunit,
        Self::Nunit,
        Self::Ctest,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Junit => "junit",
            Self::Tap => "tap",
            Self::Go => "go",
            Self::Libtest => "libtest",
            Self::Ctrf => "ctrf",
            Self::Trx => "trx",
            Self::Xunit => "xunit",
            Self::Nunit => "nunit",
            Self::Ctest => "ctest",
        }
    }

    /// The format of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == word)
    }

    /// Recognizes a format from the first bytes of a file; a few thousand are enough.
    pub fn recognize(start: &[u8]) -> Option<Self> {
        let text = input::start(start);
        let text = text.trim_start();
        if text.starts_with('<') {
            return of_root(xml::root(text)?);
        }
        if text.starts_with('{') || text.starts_with('[') {
            return of_json(text);
        }
        tap::looks_like(text).then_some(Self::Tap)
    }
}

fn of_root(root: &str) -> Option<Format> {
    Some(match root {
        "testsuites" | "testsuite" | "testcase" => Format::Junit,
        "TestRun" => Format::Trx,
        "assemblies" | "assembly" => Format::Xunit,
        "test-run" | "test-results" | "test-suite" => Format::Nunit,
        "Site" => Format::Ctest,
        _ => return None,
    })
}

fn of_json(text: &str) -> Option<Format> {
    // A line of JSON for each event: the first line is whole.
    let line = text.lines().next().unwrap_or_default();
    if let Ok(serde_json::Value::Object(event)) = serde_json::from_str(line) {
        if event.contains_key("Action") {
            return Some(Format::Go);
        }
        if event.contains_key("type") && event.contains_key("event") {
            return Some(Format::Libtest);
        }
    }
    let has = |name: &str| text.contains(&format!("\"{name}\""));
    // Keys may be sorted, so that the tool's name stands far behind.
    let is_ctrf = has("reportFormat") || (has("results") && (has("tool") || has("tests")));
    is_ctrf.then_some(Format::Ctrf)
}

/// Reads a report of that format to its end.
///
/// # Errors
/// Where the input is not what it should be, with the line; what was handed to the sink before counts for
/// nothing then.
pub fn read(format: Format, input: &mut dyn BufRead, sink: &mut dyn Sink) -> Result<(), ReadError> {
    of_input(format, &mut Input::new(input)?, sink)
}

/// The same of a report that is in memory, which is quicker.
///
/// # Errors
/// As [`read`].
pub fn read_slice(format: Format, bytes: &[u8], sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut rest = bytes;
    of_input(format, &mut Input::of_slice(&mut rest, bytes)?, sink)
}

fn of_input(format: Format, input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    match format {
        Format::Junit => junit::read(input, sink),
        Format::Tap => tap::read(input, sink),
        Format::Go => go::read(input, sink),
        Format::Libtest => libtest::read(input, sink),
        Format::Ctrf => ctrf::read(input, sink),
        Format::Trx => trx::read(input, sink),
        Format::Xunit => xunit::read(input, sink),
        Format::Nunit => nunit::read(input, sink),
        Format::Ctest => ctest::read(input, sink),
    }?;
    if input.replaced() > 0 {
        let text =
            format!("{} byte sequences are no text and were replaced by U+FFFD", input.replaced());
        sink.note(Note { line: None, kind: NoteKind::Odd, text });
    }
    Ok(())
}

/// A whole report, held in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// What it was read as.
    pub format: Format,
    /// Its suites, in the order in which they end.
    pub suites: Vec<Suite>,
    /// Its cases, in order.
    pub cases: Vec<Case>,
    /// What was dropped, doubled, guessed, cut or odd: the first of it.
    pub notes: Vec<Note>,
    /// How many such notes there are in all.
    pub notes_total: u64,
}

impl Read {
    /// How many notes are held.
    pub const NOTES: usize = 1_000;

    /// Reads a report; as the format given, or else as the one that it is recognized as.
    ///
    /// # Errors
    /// Where it is no report of a known format, or a broken one.
    pub fn from_bytes(bytes: &[u8], format: Option<Format>) -> Result<Self, ReadError> {
        let format = match format {
            Some(format) => format,
            None => Format::recognize(bytes.get(..8192).unwrap_or(bytes))
                .ok_or_else(|| ReadError::new(None, "this is no report of a known format"))?,
        };
        let mut read = Self {
            format,
            suites: Vec::new(),
            cases: Vec::new(),
            notes: Vec::new(),
            notes_total: 0,
        };
        crate::read_slice(format, bytes, &mut read)?;
        Ok(read)
    }
}

impl Sink for Read {
    fn suite(&mut self, suite: Suite) {
        self.suites.push(suite);
    }
    fn case(&mut self, case: Case) {
        self.cases.push(case);
    }
    fn note(&mut self, note: Note) {
        self.notes_total += 1;
        if self.notes.len() < Self::NOTES {
            self.notes.push(note);
        }
    }
}
