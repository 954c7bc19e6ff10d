//! The logs of steps.

use std::time::Duration;

use devmason_domain::{
    BuildId, Digest, JsonObject, LogEntry, LogStream, Position, ProjectId, StepLog, Timestamp,
};

use crate::{Result, TestReport};

/// A step of a build, by its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepPlace {
    /// The build's project.
    pub project: ProjectId,
    /// The build.
    pub build: BuildId,
    /// The step's position in the build, from 0.
    pub step: u32,
}

/// A piece of a log to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPiece {
    /// The step.
    pub place: StepPlace,
    /// The bytes of the log before it.
    pub offset: u64,
    /// What was written, in order.
    pub entries: Vec<LogEntry>,
    /// The maximum size of the log in bytes. Of a longer one, the middle is dropped.
    pub most: u64,
}

/// The outcome of appending to a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logged {
    /// It was appended; the log has now so many bytes.
    Done(u64),
    /// It was there before.
    Known(u64),
    /// The log has so many bytes, which is not the offset of the piece.
    Elsewhere(u64),
    /// There is something else at that place.
    Differs,
    /// The step has ended, so its log is complete.
    Closed,
    /// The build has no such step.
    Gone,
}

/// The state of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogState {
    /// Whether it may grow.
    pub log: StepLog,
    /// Its end.
    pub end: Position,
}

/// A stored piece of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPiece {
    /// What comes before it.
    pub start: Position,
    /// Its end.
    pub end: Position,
    /// What was written, in order.
    pub entries: Vec<LogEntry>,
}

/// A place in a log to read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    /// Where so many bytes of the stream, or of both, come before.
    Byte(Option<LogStream>, u64),
    /// Where so many line breaks of the stream, or of both, come before.
    Line(Option<LogStream>, u64),
}

/// How a running step ends.
#[derive(Debug, Clone)]
pub struct StepEnd {
    /// The step.
    pub place: StepPlace,
    /// Whether it succeeded.
    pub success: bool,
    /// When it ended, by the client's clock.
    pub finished: Timestamp,
    /// Additional members from the client, instead of those that it was opened with.
    pub extras: Option<JsonObject>,
    /// Its test cases.
    pub test_report: TestReport,
    /// How many of its cases are bad.
    pub bad_cases: u32,
    /// The fingerprint of the document.
    pub digest: Digest,
}

/// The outcome of ending a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It has ended now.
    Done,
    /// The same document ended it before.
    Known,
    /// It ended in another way before.
    Differs,
    /// The build has no such step.
    Gone,
}

/// Tells which logs have grown, on whichever server that was.
pub trait LogListener: Send {
    /// Waits up to this long for news. `None` stands for a loss: any log may have grown.
    ///
    /// # Errors
    /// The database is unreachable; a new listener is needed.
    fn news(&mut self, wait: Duration) -> Result<Vec<Option<StepPlace>>>;
}

/// The logs of steps.
pub trait Logs {
    /// Appends pieces atomically, in the order given; each has its own outcome.
    fn log_append_many(&self, pieces: &[NewPiece]) -> Result<Vec<Logged>>;
    /// The state of a step's log; `None` without such a step.
    fn log_state(&self, place: StepPlace) -> Result<Option<LogState>>;
    /// The part of a log's middle that was dropped: from here to there.
    fn log_gap(&self, place: StepPlace) -> Result<Option<(Position, Position)>>;
    /// The pieces of a log from the one that contains this place on, as many as are worth reading at
    /// once; none if the log ends before it.
    fn log_read(&self, place: StepPlace, from: Seek) -> Result<Vec<LogPiece>>;
    /// The bytes in the logs of all running steps of a build.
    fn log_growing(&self, project: ProjectId, build: BuildId) -> Result<u64>;
    /// Ends a running step.
    fn step_end(&self, end: &StepEnd) -> Result<Ended>;
    /// Joins the small pieces of a closed log, in the order they have.
    fn log_compact(&self, place: StepPlace) -> Result<()>;
    /// The steps of a build that ended with it.
    fn log_abandoned(&self, project: ProjectId, build: BuildId) -> Result<Vec<StepPlace>>;
    /// Listens to what other servers append; `None` where only this process writes, or where there is
    /// no way but to look.
    fn log_listen(&self) -> Result<Option<Box<dyn LogListener>>>;
}
