//! What every format is read into.

use std::sync::Arc;

use devmason_domain::{TestFailure as Failure, TestStatus as Status, Timestamp};

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

    /// Puts a suite around those that it lies in.
    pub(crate) fn lies_in(&mut self, suite: &str) {
        self.suites = [suite.to_owned()].into_iter().chain(self.suites.iter().cloned()).collect();
    }

    /// What it belongs to, by the best that the report says: its class, else its suites.
    pub fn group(&self) -> String {
        match &self.class {
            Some(class) => class.clone(),
            None => self
                .suites
                .iter()
                .filter(|name| !name.is_empty())
                .cloned()
                .collect::<Vec<_>>()
                .join(" / "),
        }
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
        Self { line, problem: problem.into() }
    }
}

/// Takes what is read, as it is read.
pub trait Sink {
    /// A suite has ended.
    fn suite(&mut self, suite: Suite);
    /// A case has ended.
    fn case(&mut self, case: Case);
    /// Something is to be told.
    fn note(&mut self, note: Note);
}
