//! A whole report, held in memory, and what its cases add up to.

use devmason_domain::{TestSummary, Timestamp};

use crate::parse::read_slice;
use crate::{Case, Format, Note, ReadError, Reason, Seen, Sink, Suite, Verdict};

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
        read_slice(format, bytes, &mut read)?;
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
