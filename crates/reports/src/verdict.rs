//! The rule that decides whether a report is a success.
//!
//! A report is a success only if everything in it supports that. Parsers emit cases and
//! [`Reason`]s, and never decide themselves. A report is not a success if
//!
//! - a case failed or broke. A suite, class, assembly, run or file with its own failure becomes
//!   such a case, named after what failed;
//! - its totals claim more failures or errors than its cases show;
//! - a plan is missing, exceeded or not met, or a test is outside of it;
//! - a file or a stream is truncated;
//! - a runner reports that it aborted, timed out, crashed or was interrupted;
//! - the format's own verdict is negative;
//! - nothing was run, and the tool itself treats that as a failure.
//!
//! Expected failures never count against it. A report with no cases, or only skipped ones, is a
//! success with a note, unless its tool says otherwise.

use devmason_domain::TestStatus;

/// The kind of a reason why a report is not a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The totals claim more failures than there are.
    Claim,
    /// A plan is missing, exceeded or not met.
    Plan,
    /// A file or a stream is truncated.
    Cut,
    /// A run was aborted, timed out, crashed or was interrupted.
    Aborted,
    /// The format's own verdict is negative.
    Verdict,
    /// Nothing was run.
    NothingRun,
}

/// A reason other than a case why a report is not a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Its kind.
    pub cause: Cause,
    /// The line in the report, from 1; `None` for the report as a whole.
    pub line: Option<u64>,
    /// A description.
    pub text: String,
}

impl Reason {
    pub(crate) fn new(cause: Cause, line: Option<u64>, text: impl Into<String>) -> Self {
        Self { cause, line, text: text.into() }
    }
}

/// The maximum number of reasons kept.
const REASONS: usize = 20;

/// The verdict on a report so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whether a case failed or broke.
    is_bad: bool,
    /// Whether the report was cut off.
    is_cut: bool,
    reasons: Vec<String>,
    more: u64,
}

impl Verdict {
    /// Takes a case into account.
    pub fn case(&mut self, status: TestStatus) {
        self.is_bad |= status.is_bad();
    }

    /// Takes a reason into account.
    pub fn against(&mut self, reason: &Reason) {
        self.is_cut |= reason.cause == Cause::Cut;
        if self.reasons.len() >= REASONS {
            self.more += 1;
        } else if !self.reasons.contains(&reason.text) {
            self.reasons.push(reason.text.clone());
        }
    }

    /// Whether the report was cut off.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether the report is a success.
    pub fn is_success(&self) -> bool {
        !self.is_bad && self.reasons.is_empty()
    }

    /// The reasons other than cases, one per line; `None` if there are none.
    pub fn reasons(&self) -> Option<String> {
        let mut lines = self.reasons.clone();
        if self.more > 0 {
            lines.push(format!("and {} more", self.more));
        }
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}
