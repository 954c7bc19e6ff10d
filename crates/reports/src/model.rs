//! The model that all formats are parsed into.

use std::sync::Arc;

use crate::verdict::Reason;
use devmason_domain::{TestFailure as Failure, TestStatus as Status, Timestamp, limits};

/// A single test and its result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Case {
    /// The enclosing suites, outermost first. Cases of one suite share this.
    pub suites: Arc<[String]>,
    /// Its class, module, package or file, if the report has one.
    pub class: Option<String>,
    /// Its own name.
    pub name: String,
    /// Its status; `None` only during parsing.
    pub status: Option<Status>,
    /// Its duration in microseconds.
    pub micros: Option<u64>,
    /// When it started.
    pub started: Option<Timestamp>,
    /// Why it failed, broke or was skipped; for a flaky test, why it failed before.
    pub failure: Option<Failure>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Other properties, in order.
    pub properties: Vec<(String, String)>,
    /// The number of runs beyond the first.
    pub retries: u32,
    /// Its source file.
    pub file: Option<String>,
    /// Its line in that file.
    pub line: Option<u32>,
    /// Its line in the report.
    pub report_line: Option<u64>,
}

impl Case {
    /// Its status; passed if the report gives none.
    pub fn outcome(&self) -> Status {
        self.status.unwrap_or(Status::Passed)
    }

    /// Its group: its class, otherwise its suites.
    pub fn group(&self) -> String {
        match &self.class {
            Some(class) => class.clone(),
            None => joined(&self.suites),
        }
    }

    /// Its approximate size in memory, in bytes.
    pub fn bytes(&self) -> usize {
        let of = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let failure = self.failure.as_ref();
        let failure = failure.map_or(0, |why| of(&why.kind) + of(&why.message) + of(&why.text));
        let properties = self.properties.iter();
        size_of::<Self>()
            + of(&self.class)
            + self.name.len()
            + failure
            + self.stdout.len()
            + self.stderr.len()
            + of(&self.file)
            + properties.map(|(name, value)| name.len() + value.len() + PAIR).sum::<usize>()
    }
}

/// The size of a pair of texts beyond the texts themselves, in bytes.
const PAIR: usize = 2 * size_of::<String>() + 32;

/// Joins the names of nested suites.
pub(crate) fn joined(suites: &[String]) -> String {
    let named: Vec<&str> =
        suites.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
    named.join(" / ")
}

/// The maximum nesting depth of suites; deeper ones count as part of the last.
const MAX_SUITES: usize = 64;

/// The path of a nested suite. Names are truncated so that no path is longer than a name may be, as
/// each case in the suite has it.
pub(crate) fn nested(
    outer: &Arc<[String]>,
    name: &str,
    line: Option<u64>,
    sink: &mut dyn Sink,
) -> Arc<[String]> {
    let mut name = name.to_owned();
    let taken: usize = outer.iter().map(|name| name.len() + " / ".len()).sum();
    let is_cut = limits::cut(&mut name, limits::NAME.saturating_sub(taken));
    let is_deep = outer.len() >= MAX_SUITES;
    if is_cut || is_deep {
        let text = format!("the name of the suite '{}…' is too long", start(&name));
        sink.note(Note { line, kind: NoteKind::Cut, text });
    }
    if is_deep {
        return outer.clone();
    }
    outer.iter().cloned().chain([name]).collect()
}

/// The path of nested suites; reuses the previous path if it is equal.
pub(crate) fn within(
    names: &[&str],
    last: &mut Arc<[String]>,
    line: Option<u64>,
    sink: &mut dyn Sink,
) -> Arc<[String]> {
    if !names.iter().eq(last.iter()) {
        *last = Arc::default();
        for name in names {
            *last = nested(last, name, line, sink);
        }
    }
    last.clone()
}

/// An unknown status counts as an error.
pub(crate) fn unknown(word: &str, name: &str, line: Option<u64>, sink: &mut dyn Sink) -> Status {
    let text = format!("unknown status '{word}' of '{}', counted as an error", start(name));
    sink.note(Note { line, kind: NoteKind::Guessed, text });
    Status::Error
}

/// Splits an exception's text with stack trace: `Error: what` and the rest.
pub(crate) fn thrown(text: &str) -> Failure {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    // Node adds a code: `AssertionError [ERR_ASSERTION]: what`.
    let kind = first.split_once(": ").filter(|(kind, _)| {
        let word = kind.split(' ').next().unwrap_or_default();
        word.ends_with("Error") && word.chars().all(|c| c.is_alphanumeric() || "._$".contains(c))
    });
    let (kind, message) = kind.map_or((None, first), |(kind, message)| (Some(kind), message));
    let owned = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Failure { kind: kind.map(str::to_owned), message: owned(message), text: owned(text.trim_end()) }
}

/// A failure with only a message.
pub(crate) fn because(message: impl Into<String>) -> Failure {
    Failure { message: Some(message.into()), ..Failure::default() }
}

/// File names, shortened as far as they stay unique: the location on one machine is not part of a
/// name.
#[derive(Default)]
pub(crate) struct Files {
    short: std::collections::HashMap<String, String>,
}

impl Files {
    pub(crate) fn of(paths: impl IntoIterator<Item = String>) -> Self {
        let mut paths: Vec<(String, String)> =
            paths.into_iter().map(|path| (path.replace('\\', "/"), path)).collect();
        // Sorts paths with long common endings next to each other.
        paths.sort_by(|(one, _), (other, _)| one.rsplit('/').cmp(other.rsplit('/')));
        paths.dedup();
        let shared = |one: Option<&(String, String)>, other: &str| {
            one.map_or(0, |(one, _)| {
                one.rsplit('/')
                    .zip(other.rsplit('/'))
                    .take_while(|(one, other)| one == other)
                    .count()
            })
        };
        let short = paths.iter().enumerate().map(|(nth, (path, written))| {
            let before = nth.checked_sub(1).and_then(|before| paths.get(before));
            let parts = 1 + shared(before, path).max(shared(paths.get(nth + 1), path));
            let end = path.rmatch_indices('/').nth(parts - 1);
            let short = end.map_or(path.as_str(), |(at, _)| path.get(at + 1..).unwrap_or_default());
            (written.clone(), short.to_owned())
        });
        Self { short: short.collect() }
    }

    pub(crate) fn name<'a>(&'a self, path: &'a str) -> &'a str {
        self.short.get(path).map_or(path, String::as_str)
    }
}

/// Wraps cases in another suite. Cases that shared their suites share them afterwards.
pub(crate) fn put_in(cases: &mut [Case], suite: &str, sink: &mut dyn Sink) {
    // The last path and its replacement.
    let mut last: Option<[Arc<[String]>; 2]> = None;
    for case in cases {
        let whole = match &last {
            Some([before, whole]) if Arc::ptr_eq(before, &case.suites) => whole.clone(),
            _ => {
                let mut whole = nested(&Arc::default(), suite, case.report_line, sink);
                for inner in case.suites.iter() {
                    whole = nested(&whole, inner, case.report_line, sink);
                }
                last = Some([case.suites.clone(), whole.clone()]);
                whole
            }
        };
        case.suites = whole;
    }
}

/// The start of a text, for quoting it.
pub(crate) fn start(text: &str) -> &str {
    text.get(..text.floor_char_boundary(40)).unwrap_or_default()
}

impl Suite {
    /// Its approximate size in memory, in bytes.
    pub fn bytes(&self) -> usize {
        let path: usize = self.path.iter().map(|name| name.len() + size_of::<String>()).sum();
        let properties = self.properties.iter();
        size_of::<Self>()
            + path
            + self.stdout.len()
            + self.stderr.len()
            + properties.map(|(name, value)| name.len() + value.len() + PAIR).sum::<usize>()
    }
}

/// The counts that a report claims, which need not be true.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Claim {
    /// Number of cases.
    pub tests: Option<u64>,
    /// Number of failed cases.
    pub failures: Option<u64>,
    /// Number of broken cases.
    pub errors: Option<u64>,
    /// Number of skipped cases.
    pub skipped: Option<u64>,
}

/// A completed suite.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suite {
    /// The names of the enclosing suites, outermost first, and its own.
    pub path: Arc<[String]>,
    /// When it started.
    pub started: Option<Timestamp>,
    /// Its duration in microseconds, as reported.
    pub micros: Option<u64>,
    /// The host it ran on.
    pub host: Option<String>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Other properties, in order.
    pub properties: Vec<(String, String)>,
    /// The counts that the report claims.
    pub claim: Claim,
}

/// The kind of a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoteKind {
    /// Something was dropped.
    Dropped,
    /// Something is duplicated.
    Doubled,
    /// Something is ambiguous and was guessed.
    Guessed,
    /// Something was too long and was truncated.
    Cut,
    /// Something is unusual or invalid.
    Odd,
    /// A reason why the report is not a success.
    Verdict,
}

impl NoteKind {
    /// Its identifier.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Doubled => "doubled",
            Self::Guessed => "guessed",
            Self::Cut => "cut",
            Self::Odd => "odd",
            Self::Verdict => "verdict",
        }
    }
}

/// A remark for the sender about how a report was parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The line in the report, from 1; `None` for the report as a whole.
    pub line: Option<u64>,
    /// Its kind.
    pub kind: NoteKind,
    /// A description.
    pub text: String,
}

/// Why a report was rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ReadError {
    /// The line, from 1; `None` for the report as a whole.
    pub line: Option<u64>,
    /// The problem.
    pub problem: String,
    /// The kind of error.
    pub fault: Fault,
}

/// The kind of error in a rejected report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is malformed.
    Broken,
    /// It exceeds a limit.
    TooMuch,
    /// There is currently no room for it.
    NoRoom,
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}

impl ReadError {
    pub(crate) fn new(line: Option<u64>, problem: impl Into<String>) -> Self {
        Self { line, problem: problem.into(), fault: Fault::Broken }
    }

    /// An error for a report that exceeds a limit.
    pub fn too_much(problem: impl Into<String>) -> Self {
        Self { line: None, problem: problem.into(), fault: Fault::TooMuch }
    }

    /// An error for lack of room.
    pub fn no_room() -> Self {
        let problem = "not enough memory at the moment".to_owned();
        Self { line: None, problem, fault: Fault::NoRoom }
    }
}

impl From<&Reason> for Note {
    fn from(reason: &Reason) -> Self {
        Self { line: reason.line, kind: NoteKind::Verdict, text: reason.text.clone() }
    }
}

/// Receives the contents of a report during parsing.
pub trait Sink {
    /// A suite has ended.
    ///
    /// # Errors
    /// The sink accepts no more: this ends parsing.
    fn suite(&mut self, suite: Suite) -> Result<(), ReadError>;
    /// A case has ended.
    ///
    /// # Errors
    /// As [`Self::suite`].
    fn case(&mut self, case: Case) -> Result<(), ReadError>;
    /// A remark about the report.
    fn note(&mut self, note: Note);
    /// A reason other than a case why the report is not a success.
    fn against(&mut self, reason: Reason);
    /// Asks whether there is room for this many further cases, on behalf of a parser that holds cases
    /// back.
    ///
    /// # Errors
    /// As [`Self::suite`].
    fn room(&self, _held: usize) -> Result<(), ReadError> {
        Ok(())
    }
}

/// Discards everything: for the first of two passes.
pub(crate) struct Silent;

impl Sink for Silent {
    fn suite(&mut self, _: Suite) -> Result<(), ReadError> {
        Ok(())
    }
    fn case(&mut self, _: Case) -> Result<(), ReadError> {
        Ok(())
    }
    fn note(&mut self, _: Note) {}
    fn against(&mut self, _: Reason) {}
}
