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

use devmason_domain::limits;
pub use devmason_domain::{TestFailure as Failure, TestStatus as Status};
use devmason_domain::{TestSummary, Timestamp};
pub use model::{Case, Claim, Fault, Note, NoteKind, ReadError, Sink, Suite};

use input::Input;
use model::start;

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

    /// Whether its reader holds all of a file, or most of it, in a form of its own until the end.
    pub fn is_held(self) -> bool {
        matches!(self, Self::Go | Self::Libtest | Self::Ctrf | Self::Trx)
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
    let sink = &mut Fitted(sink);
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

/// A sink behind which no name is longer than a name may be: what is, is cut, and a note says so.
struct Fitted<'a>(&'a mut dyn Sink);

impl Fitted<'_> {
    fn cut(&mut self, line: Option<u64>, what: &str, text: &mut String) {
        if limits::cut(text, limits::NAME) {
            let text = format!("{what} '{}…' is longer than {} bytes", start(text), limits::NAME);
            self.0.note(Note { line, kind: NoteKind::Cut, text });
        }
    }
}

impl Sink for Fitted<'_> {
    fn suite(&mut self, suite: Suite) -> Result<(), ReadError> {
        self.0.suite(suite)
    }

    fn case(&mut self, mut case: Case) -> Result<(), ReadError> {
        let line = case.report_line;
        self.cut(line, "the name", &mut case.name);
        for (what, text) in [("the class", &mut case.class), ("the file", &mut case.file)] {
            if let Some(text) = text {
                self.cut(line, what, text);
            }
        }
        if case.properties.len() > limits::PROPERTIES {
            let text =
                format!("'{}' has more than {} properties", start(&case.name), limits::PROPERTIES);
            self.0.note(Note { line, kind: NoteKind::Cut, text });
            case.properties.truncate(limits::PROPERTIES);
        }
        self.0.case(case)
    }

    fn note(&mut self, note: Note) {
        self.0.note(note);
    }

    fn room(&self, held: usize) -> Result<(), ReadError> {
        self.0.room(held)
    }
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
    /// What its cases come to.
    pub tally: Tally,
}

/// What the cases of a report come to, told without them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many came out how.
    pub summary: TestSummary,
    /// When the first of them started.
    pub started: Option<Timestamp>,
    /// How long they took together, in microseconds.
    pub micros: u64,
}

impl Tally {
    /// Adds a case.
    pub fn add(&mut self, case: &Case) {
        self.summary.count(case.outcome());
        self.micros = self.micros.saturating_add(case.micros.unwrap_or(0));
        self.started = match (self.started, case.started) {
            (Some(known), Some(started)) => Some(known.min(started)),
            (known, started) => known.or(started),
        };
    }
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
        let mut read = Self::of(format);
        crate::read_slice(format, bytes, &mut read)?;
        Ok(read)
    }

    /// A report of that format, of which nothing was parsed yet.
    pub fn of(format: Format) -> Self {
        Self {
            format,
            suites: Vec::new(),
            cases: Vec::new(),
            notes: Vec::new(),
            notes_total: 0,
            tally: Tally::default(),
        }
    }
}

impl Sink for Read {
    fn suite(&mut self, suite: Suite) -> Result<(), ReadError> {
        self.suites.push(suite);
        Ok(())
    }
    fn case(&mut self, case: Case) -> Result<(), ReadError> {
        self.tally.add(&case);
        self.cases.push(case);
        Ok(())
    }
    fn note(&mut self, note: Note) {
        self.notes_total += 1;
        if self.notes.len() < Self::NOTES {
            self.notes.push(note);
        }
    }
}
