//! Whether a report is a success: the rule, in one place.
//!
//! A report is a success only if everything that it says supports it. Readers hand over what they find, cases and
//! [`Reason`]s; none of them decides. It is no success if
//!
//! - a case failed or broke. A suite, class, assembly, run or file that carries a failure of its own becomes such a case,
//!   named after what failed;
//! - its totals claim more failures or errors than its cases show;
//! - a plan is missing, exceeded or not met, or a test lies outside of it;
//! - a file or a stream ends before its end;
//! - a runner says that it aborted, timed out, crashed or was interrupted;
//! - the format's own verdict is negative;
//! - nothing was run where the tool itself calls that a failure.
//!
//! Failures that were expected never count against it. A report without cases, or with skipped ones alone, is a success
//! with a note, unless its tool says otherwise.

use devmason_domain::TestStatus;

/// What kind of thing speaks against a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Totals that claim more failures than there are.
    Claim,
    /// A plan that is missing, exceeded or not met.
    Plan,
    /// A file or a stream that ends before its end.
    Cut,
    /// A run that was aborted, timed out, crashed or was interrupted.
    Aborted,
    /// The format's own verdict.
    Verdict,
    /// Nothing was run.
    NothingRun,
}

/// What speaks against a report though it is no case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What kind of thing.
    pub cause: Cause,
    /// The line in the report, from 1; `None` for the report as a whole.
    pub line: Option<u64>,
    /// What it is, in words.
    pub text: String,
}

impl Reason {
    pub(crate) fn new(cause: Cause, line: Option<u64>, text: impl Into<String>) -> Self {
        Self { cause, line, text: text.into() }
    }
}

/// How many reasons are kept.
const REASONS: usize = 20;

/// What speaks against a report so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whether a case failed or broke.
    is_bad: bool,
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
        if self.reasons.len() >= REASONS {
            self.more += 1;
        } else if !self.reasons.contains(&reason.text) {
            self.reasons.push(reason.text.clone());
        }
    }

    /// Whether everything supports a success.
    pub fn is_success(&self) -> bool {
        !self.is_bad && self.reasons.is_empty()
    }

    /// What speaks against it beside its cases, a line each; `None` where that is nothing.
    pub fn reasons(&self) -> Option<String> {
        let mut lines = self.reasons.clone();
        if self.more > 0 {
            lines.push(format!("and {} more", self.more));
        }
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}
