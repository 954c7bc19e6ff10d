#![doc = include_str!("../README.md")]

mod allure;
mod bazel;
mod boost;
pub mod build;
mod catch2;
mod check;
mod cppunit;
mod ctest;
mod ctrf;
mod cucumber;
mod dart;
pub mod files;
mod go;
mod gotext;
mod gtest;
mod input;
mod jest;
mod json;
mod junit;
mod libtest;
mod ltp;
mod meson;
mod mocha;
mod model;
mod number;
mod nunit;
mod playwright;
mod pytest;
mod qttest;
mod recognize;
mod robot;
mod rspec;
mod seen;
mod shape;
mod subunit;
mod tap;
mod testng;
mod trx;
mod verdict;
mod xml;
mod xunit;

use std::io::BufRead;

use anstream::adapter::strip_str;
use devmason_domain::limits;
pub use devmason_domain::{TestFailure as Failure, TestStatus as Status};
use devmason_domain::{TestSummary, Timestamp};
pub use model::{Case, Claim, Fault, Note, NoteKind, ReadError, Sink, Suite};
pub use seen::Seen;
pub use verdict::{Cause, Reason, Verdict};

use input::Input;
use junit::Doubled;
use model::start;

/// A report format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// JUnit XML, from any tool.
    Junit,
    /// TAP 13 or 14, or KTAP.
    Tap,
    /// `go test -json`: one JSON line per event.
    Go,
    /// The text output of `go test`, with or without `-v`.
    GoText,
    /// The JSON of libtest or nextest: one line per event.
    Libtest,
    /// Common Test Report Format.
    Ctrf,
    /// TRX, Visual Studio's test results.
    Trx,
    /// xUnit.net's XML, version 2 or 3.
    Xunit,
    /// NUnit's XML, version 2 or 3.
    Nunit,
    /// CTest's Test.xml.
    Ctest,
    /// Jest's and Vitest's JSON.
    Jest,
    /// The JSON of Mocha's built-in reporter.
    Mocha,
    /// mochawesome's JSON.
    Mochawesome,
    /// Playwright's JSON.
    Playwright,
    /// Cucumber's JSON in all languages, and behave's.
    Cucumber,
    /// Cucumber messages: one JSON line each.
    CucumberMessages,
    /// Allure results: concatenated JSON documents, one per test.
    Allure,
    /// Robot Framework's output.xml.
    Robot,
    /// RSpec's JSON.
    Rspec,
    /// The JSON of pytest-json-report.
    Pytest,
    /// Subunit, version 2.
    Subunit,
    /// The events of `dart test` and `flutter test`: one JSON line each.
    Dart,
    /// Meson's testlog.json: one JSON line per test.
    Meson,
    /// GoogleTest's JSON.
    Gtest,
    /// Catch2's own XML.
    Catch2,
    /// Boost.Test's XML: log or report.
    Boost,
    /// CppUnit's XML.
    Cppunit,
    /// The XML of Check.
    Check,
    /// QtTest's XML.
    Qttest,
    /// TestNG's results.
    Testng,
    /// Failsafe's summary: a verdict without tests.
    Failsafe,
    /// Bazel's build events: one JSON line each.
    Bazel,
    /// Results of the Linux Test Project, as JSON or as text.
    Ltp,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 33] = [
        Self::Junit,
        Self::Tap,
        Self::Go,
        Self::GoText,
        Self::Libtest,
        Self::Ctrf,
        Self::Trx,
        Self::Xunit,
        Self::Nunit,
        Self::Ctest,
        Self::Jest,
        Self::Mocha,
        Self::Mochawesome,
        Self::Playwright,
        Self::Cucumber,
        Self::CucumberMessages,
        Self::Allure,
        Self::Robot,
        Self::Rspec,
        Self::Pytest,
        Self::Subunit,
        Self::Dart,
        Self::Meson,
        Self::Gtest,
        Self::Catch2,
        Self::Boost,
        Self::Cppunit,
        Self::Check,
        Self::Qttest,
        Self::Testng,
        Self::Failsafe,
        Self::Bazel,
        Self::Ltp,
    ];

    /// Its identifier.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Junit => "junit",
            Self::Tap => "tap",
            Self::Go => "go",
            Self::GoText => "go-text",
            Self::Libtest => "libtest",
            Self::Ctrf => "ctrf",
            Self::Trx => "trx",
            Self::Xunit => "xunit",
            Self::Nunit => "nunit",
            Self::Ctest => "ctest",
            Self::Jest => "jest",
            Self::Mocha => "mocha",
            Self::Mochawesome => "mochawesome",
            Self::Playwright => "playwright",
            Self::Cucumber => "cucumber",
            Self::CucumberMessages => "cucumber-messages",
            Self::Allure => "allure",
            Self::Robot => "robot",
            Self::Rspec => "rspec",
            Self::Pytest => "pytest",
            Self::Subunit => "subunit",
            Self::Dart => "dart",
            Self::Meson => "meson",
            Self::Gtest => "gtest",
            Self::Catch2 => "catch2",
            Self::Boost => "boost",
            Self::Cppunit => "cppunit",
            Self::Check => "check",
            Self::Qttest => "qttest",
            Self::Testng => "testng",
            Self::Failsafe => "failsafe",
            Self::Bazel => "bazel",
            Self::Ltp => "ltp",
        }
    }

    /// All identifiers, for messages.
    pub fn words() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }

    /// The format with that identifier.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == word)
    }

    /// Whether its parser holds all or most of a file in memory until the end.
    pub fn is_held(self) -> bool {
        matches!(
            self,
            Self::Go
                | Self::GoText
                | Self::Libtest
                | Self::Ctrf
                | Self::Trx
                | Self::CucumberMessages
                | Self::Allure
                | Self::Subunit
                | Self::Dart
                | Self::Bazel
                | Self::Boost
                | Self::Testng
                | Self::Cucumber
                | Self::Jest
        )
    }

    /// Whether it is JSON: a document, or one line per event.
    pub fn is_json(self) -> bool {
        matches!(
            self,
            Self::Ctrf
                | Self::Jest
                | Self::Mocha
                | Self::Mochawesome
                | Self::Playwright
                | Self::Cucumber
                | Self::Allure
                | Self::Rspec
                | Self::Pytest
                | Self::Gtest
                | Self::Ltp
                | Self::Go
                | Self::Libtest
                | Self::CucumberMessages
                | Self::Dart
                | Self::Meson
                | Self::Bazel
        )
    }

    /// Recognizes a format by unique features in the first bytes of a file; a few thousand suffice.
    pub fn recognize(start: &[u8]) -> Option<Self> {
        match Seen::of(start) {
            Seen::Format(format) => Some(format),
            Seen::Foreign(_) | Seen::Nothing => None,
        }
    }
}

/// Parses a report of that format to its end.
///
/// # Errors
/// The input is malformed, with the line; everything the sink received before is then void.
pub fn read(format: Format, input: &mut dyn BufRead, sink: &mut dyn Sink) -> Result<(), ReadError> {
    of_input(format, &mut Input::new(input)?, sink)
}

/// The same for a report in memory, which is faster.
///
/// # Errors
/// As [`read`].
pub fn read_slice(format: Format, bytes: &[u8], sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut rest = bytes;
    of_input(format, &mut Input::of_slice(&mut rest, bytes)?, sink)
}

fn of_input(format: Format, input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    // These parsers handle duplicate names themselves.
    let knows = matches!(format, Format::Junit | Format::Rspec | Format::Check);
    let doubled = (!knows).then(Doubled::default);
    let mut fitted = Fitted { sink, cases: 0, doubled };
    let sink = &mut fitted;
    let read = match format {
        Format::Junit => junit::read(input, sink),
        Format::Tap => tap::read(input, sink),
        Format::Go => go::read(input, sink),
        Format::GoText => gotext::read(input, sink),
        Format::Libtest => libtest::read(input, sink),
        Format::Ctrf => ctrf::read(input, sink),
        Format::Trx => trx::read(input, sink),
        Format::Xunit => xunit::read(input, sink),
        Format::Nunit => nunit::read(input, sink),
        Format::Ctest => ctest::read(input, sink),
        Format::Jest => jest::read(input, sink),
        Format::Mocha => mocha::read(input, sink),
        Format::Mochawesome => mocha::read_mochawesome(input, sink),
        Format::Playwright => playwright::read(input, sink),
        Format::Cucumber => cucumber::read(input, sink),
        Format::CucumberMessages => cucumber::read_messages(input, sink),
        Format::Allure => allure::read(input, sink),
        Format::Robot => robot::read(input, sink),
        Format::Rspec => rspec::read(input, sink),
        Format::Pytest => pytest::read(input, sink),
        Format::Subunit => subunit::read(input, sink),
        Format::Dart => dart::read(input, sink),
        Format::Meson => meson::read(input, sink),
        Format::Gtest => gtest::read(input, sink),
        Format::Catch2 => catch2::read(input, sink),
        Format::Boost => boost::read(input, sink),
        Format::Cppunit => cppunit::read(input, sink),
        Format::Check => check::read(input, sink),
        Format::Qttest => qttest::read(input, sink),
        Format::Testng => testng::read(input, sink),
        Format::Failsafe => testng::read_failsafe(input, sink),
        Format::Bazel => bazel::read(input, sink),
        Format::Ltp => ltp::read(input, sink),
    };
    match read {
        // The cases before the break are kept, and the truncation is reported.
        Err(error) if error.fault == Fault::Broken && fitted.cases > 0 => {
            let text = format!("the file is truncated: {error}");
            fitted.against(Reason::new(Cause::Cut, error.line, text));
        }
        read => read?,
    }
    if fitted.cases == 0 {
        let text = "no test cases found".to_owned();
        fitted.note(Note { line: None, kind: NoteKind::Odd, text });
    }
    let sink = &mut fitted;
    if input.replaced() > 0 {
        let text = format!("{} invalid byte sequences were replaced by U+FFFD", input.replaced());
        sink.note(Note { line: None, kind: NoteKind::Odd, text });
    }
    Ok(())
}

/// A sink that enforces limits: truncates long names with a note and drops placeholder dates.
struct Fitted<'a> {
    sink: &'a mut dyn Sink,
    cases: u64,
    /// The names so far, unless the parser tracks them itself.
    doubled: Option<Doubled>,
}

/// Earlier dates are placeholders that tools write for unknown ones: the year 2000.
const FIRST_DATE: i64 = 946_684_800_000_000;

fn is_date(date: &Timestamp) -> bool {
    date.micros() >= FIRST_DATE
}

/// The maximum length of a note in bytes: it may quote the report.
const NOTE: usize = 512;

/// The name of a case without a name.
const UNNAMED: &str = "(unnamed)";

impl Fitted<'_> {
    fn cut(&mut self, line: Option<u64>, what: &str, text: &mut String) {
        if limits::cut(text, limits::NAME) {
            let text = format!("{what} '{}…' is longer than {} bytes", start(text), limits::NAME);
            self.sink.note(Note { line, kind: NoteKind::Cut, text });
        }
    }
}

impl Sink for Fitted<'_> {
    fn suite(&mut self, mut suite: Suite) -> Result<(), ReadError> {
        suite.started = suite.started.filter(is_date);
        self.sink.suite(suite)
    }

    fn case(&mut self, mut case: Case) -> Result<(), ReadError> {
        let line = case.report_line;
        self.cases += 1;
        case.started = case.started.filter(is_date);
        if case.name.is_empty() {
            // The name is how the test is found again.
            case.name = UNNAMED.to_owned();
        }
        if let Some(message) = case.failure.as_mut().and_then(|why| why.message.as_mut())
            && message.contains('\u{1b}')
        {
            // Colours are for terminals; the failure's text keeps them.
            *message = strip_str(message).to_string();
        }
        if let Some(doubled) = &mut self.doubled {
            doubled.check(&mut case, self.sink);
        }
        self.cut(line, "the name", &mut case.name);
        for (what, text) in [("the class", &mut case.class), ("the file", &mut case.file)] {
            if let Some(text) = text {
                self.cut(line, what, text);
            }
        }
        if case.properties.len() > limits::PROPERTIES {
            let text =
                format!("'{}' has more than {} properties", start(&case.name), limits::PROPERTIES);
            self.sink.note(Note { line, kind: NoteKind::Cut, text });
            case.properties.truncate(limits::PROPERTIES);
        }
        self.sink.case(case)
    }

    fn note(&mut self, mut note: Note) {
        if limits::cut(&mut note.text, NOTE) {
            note.text.push('…');
        }
        self.sink.note(note);
    }

    fn room(&self, held: usize) -> Result<(), ReadError> {
        self.sink.room(held)
    }

    fn against(&mut self, mut reason: Reason) {
        if limits::cut(&mut reason.text, NOTE) {
            reason.text.push('…');
        }
        self.sink.against(reason);
    }
}

/// A whole report, held in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Its format.
    pub format: Format,
    /// Its suites, in the order in which they end.
    pub suites: Vec<Suite>,
    /// Its cases, in order.
    pub cases: Vec<Case>,
    /// Notes about dropped, duplicate, guessed, truncated or odd contents: the first of them.
    pub notes: Vec<Note>,
    /// The total number of notes.
    pub notes_total: u64,
    /// A summary of its cases.
    pub tally: Tally,
}

/// A summary of a report's cases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// The number of cases by status.
    pub summary: TestSummary,
    /// When the first of them started.
    pub started: Option<Timestamp>,
    /// Their total duration in microseconds.
    pub micros: u64,
    /// Whether the report is a success.
    pub verdict: Verdict,
}

impl Tally {
    /// Adds a case.
    pub fn add(&mut self, case: &Case) {
        self.verdict.case(case.outcome());
        self.summary.count(case.outcome());
        self.micros = self.micros.saturating_add(case.micros.unwrap_or(0));
        self.started = match (self.started, case.started) {
            (Some(known), Some(started)) => Some(known.min(started)),
            (known, started) => known.or(started),
        };
    }
}

impl Read {
    /// The maximum number of notes kept.
    pub const NOTES: usize = 1_000;

    /// Parses a report as the given format, otherwise as the format it is recognized as.
    ///
    /// # Errors
    /// It is not a report in a known format, or it is malformed.
    pub fn from_bytes(bytes: &[u8], format: Option<Format>) -> Result<Self, ReadError> {
        let format = match format {
            Some(format) => format,
            None => match Seen::of(bytes) {
                Seen::Format(format) => format,
                seen => return Err(ReadError::new(None, seen.refusal())),
            },
        };
        let mut read = Self::of(format);
        crate::read_slice(format, bytes, &mut read)?;
        Ok(read)
    }

    /// An empty report of that format.
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
    fn against(&mut self, reason: Reason) {
        self.tally.verdict.against(&reason);
        self.note(Note::from(&reason));
    }
    fn note(&mut self, note: Note) {
        self.notes_total += 1;
        if self.notes.len() < Self::NOTES {
            self.notes.push(note);
        }
    }
}
