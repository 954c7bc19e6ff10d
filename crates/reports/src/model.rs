//! What every format is read into.

use std::sync::Arc;

use crate::verdict::Reason;
use devmason_domain::{TestFailure as Failure, TestStatus as Status, Timestamp, limits};

/// A single test and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Case {
    /// The suites that it lies in, from the outermost. Those of one suite share it.
    pub suites: Arc<[String]>,
    /// The class, module, package or file that it belongs to, where the report says.
    pub class: Option<String>,
    /// Its own name.
    pub name: String,
    /// What came of it; `None` only while it is read.
    pub status: Option<Status>,
    /// How long it took, in microseconds.
    pub micros: Option<u64>,
    /// When it started.
    pub started: Option<Timestamp>,
    /// Why it failed, broke or was skipped; of a flaky one, why it failed before.
    pub failure: Option<Failure>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// What else is said of it, in order.
    pub properties: Vec<(String, String)>,
    /// How many times it was run beyond the first.
    pub retries: u32,
    /// The file that it is in.
    pub file: Option<String>,
    /// Its line there.
    pub line: Option<u32>,
    /// Where in the report it stands.
    pub report_line: Option<u64>,
}

impl Case {
    /// What came of it. One that says nothing passed.
    pub fn outcome(&self) -> Status {
        self.status.unwrap_or(Status::Passed)
    }

    /// What it belongs to, by the best that the report says: its class, else its suites.
    pub fn group(&self) -> String {
        match &self.class {
            Some(class) => class.clone(),
            None => joined(&self.suites),
        }
    }

    /// About how many bytes it takes.
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

/// What a pair of texts takes beside the texts, in bytes.
const PAIR: usize = 2 * size_of::<String>() + 32;

/// The names of suites in each other, as one.
pub(crate) fn joined(suites: &[String]) -> String {
    let named: Vec<&str> =
        suites.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
    named.join(" / ")
}

/// How deep suites may lie in each other: those further in count as the last.
const MAX_SUITES: usize = 64;

/// The path of a suite in others. Names are cut, so that no path is longer than a name may be: each case that lies in
/// the suite has it.
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
        let text = format!("the suite '{}…' has a name that is too long", start(&name));
        sink.note(Note { line, kind: NoteKind::Cut, text });
    }
    if is_deep {
        return outer.clone();
    }
    outer.iter().cloned().chain([name]).collect()
}

/// The path of suites in each other: the one that was made last, where it is that.
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

/// A word for what came of a case that is not known counts as an error.
pub(crate) fn unknown(word: &str, name: &str, line: Option<u64>, sink: &mut dyn Sink) -> Status {
    let text =
        format!("the status '{word}' of '{}' is not known; it counts as an error", start(name));
    sink.note(Note { line, kind: NoteKind::Guessed, text });
    Status::Error
}

/// What an exception says, as it is written with its stack: `Error: what` and the rest.
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

/// A failure with a message alone.
pub(crate) fn because(message: impl Into<String>) -> Failure {
    Failure { message: Some(message.into()), ..Failure::default() }
}

/// Names of files, as short as they can be told apart by: where a file lies on one machine is no part of its name.
#[derive(Default)]
pub(crate) struct Files {
    short: std::collections::HashMap<String, String>,
}

impl Files {
    pub(crate) fn of(paths: impl IntoIterator<Item = String>) -> Self {
        let mut paths: Vec<(String, String)> =
            paths.into_iter().map(|path| (path.replace('\\', "/"), path)).collect();
        // Beside those with which a path shares the most of its end.
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

/// Puts a suite around those that cases lie in. Cases that lay in one suite lie in one suite again.
pub(crate) fn put_in(cases: &mut [Case], suite: &str, sink: &mut dyn Sink) {
    // The path that was put in last, and what it became.
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

/// The first of a text, to name it by.
pub(crate) fn start(text: &str) -> &str {
    text.get(..text.floor_char_boundary(40)).unwrap_or_default()
}

impl Suite {
    /// About how many bytes it takes.
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

/// How many a report says there are, which need not be true.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Claim {
    /// Cases.
    pub tests: Option<u64>,
    /// Those that failed.
    pub failures: Option<u64>,
    /// Those that broke.
    pub errors: Option<u64>,
    /// Those that were skipped.
    pub skipped: Option<u64>,
}

/// A suite, when it ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suite {
    /// Its name and before it those of the suites that it lies in, from the outermost.
    pub path: Arc<[String]>,
    /// When it started.
    pub started: Option<Timestamp>,
    /// How long it took, in microseconds, as the report says.
    pub micros: Option<u64>,
    /// The host that it ran on.
    pub host: Option<String>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// What else is said of it, in order.
    pub properties: Vec<(String, String)>,
    /// How many cases the report says it has.
    pub claim: Claim,
}

/// What kind of thing a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoteKind {
    /// Something was left out.
    Dropped,
    /// Something is there twice.
    Doubled,
    /// Something could be meant so or otherwise.
    Guessed,
    /// Something was too long and is kept in part.
    Cut,
    /// Something is not as it should be.
    Odd,
    /// Something speaks against the report as a success.
    Verdict,
}

impl NoteKind {
    /// The word for it.
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

/// Something that the sender should know of how a report was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The line in the report, from 1; `None` for the report as a whole.
    pub line: Option<u64>,
    /// What kind of thing.
    pub kind: NoteKind,
    /// What it is, in words.
    pub text: String,
}

/// Why a report was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ReadError {
    /// The line, from 1; `None` for the report as a whole.
    pub line: Option<u64>,
    /// What is wrong.
    pub problem: String,
    /// What kind of thing is wrong.
    pub fault: Fault,
}

/// What kind of thing is wrong with a report that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not what it should be.
    Broken,
    /// It has more than one may have.
    TooMuch,
    /// There is no room for it just now.
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

    /// The report has more than one may have.
    pub fn too_much(problem: impl Into<String>) -> Self {
        Self { line: None, problem: problem.into(), fault: Fault::TooMuch }
    }

    /// There is no room for the report just now.
    pub fn no_room() -> Self {
        let problem = "there is no room for it just now".to_owned();
        Self { line: None, problem, fault: Fault::NoRoom }
    }
}

impl From<&Reason> for Note {
    fn from(reason: &Reason) -> Self {
        Self { line: reason.line, kind: NoteKind::Verdict, text: reason.text.clone() }
    }
}

/// Takes what is read, as it is read.
pub trait Sink {
    /// A suite has ended.
    ///
    /// # Errors
    /// Where the sink takes no more: parsing ends with it.
    fn suite(&mut self, suite: Suite) -> Result<(), ReadError>;
    /// A case has ended.
    ///
    /// # Errors
    /// As [`Self::suite`].
    fn case(&mut self, case: Case) -> Result<(), ReadError>;
    /// Something is to be told.
    fn note(&mut self, note: Note);
    /// Something beside the cases speaks against the report.
    fn against(&mut self, reason: Reason);
    /// Whether so many cases may come beside those that have: a reader that holds cases back asks.
    ///
    /// # Errors
    /// As [`Self::suite`].
    fn room(&self, _held: usize) -> Result<(), ReadError> {
        Ok(())
    }
}

/// Takes nothing: for what is read twice.
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
