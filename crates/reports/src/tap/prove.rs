//! The output of `prove`, which runs many files.

use std::sync::Arc;

use super::Tap;
use super::line::{header, untimed};
use crate::model::nested;
use crate::{Case, Cause, Failure, ReadError, Reason, Sink, Status};

impl Tap {
    /// Handles prove's own lines; returns whether the line is one.
    pub(super) fn of_prove(
        &mut self,
        line: &str,
        number: u64,
        sink: &mut dyn Sink,
    ) -> Result<bool, ReadError> {
        if let Some((file, outcome)) = header(line) {
            if self.has_begun() {
                self.end_stream(sink)?;
            }
            self.is_proves = true;
            self.file = Some(nested(&Arc::default(), file, Some(number), sink));
            if !outcome.is_empty() {
                self.end_file(outcome, number, sink)?;
            }
            return Ok(true);
        }
        if !self.is_proves {
            return Ok(false);
        }
        let line = untimed(line);
        match line {
            "Result: FAIL" => {
                let text = "prove reports that the run failed";
                sink.against(Reason::new(Cause::Verdict, Some(number), text));
            }
            "Result: NOTESTS" => {
                let text = "prove reports that no tests were run";
                sink.against(Reason::new(Cause::NothingRun, Some(number), text));
            }
            "All tests successful." | "Test Summary Report" | "Result: PASS" => {}
            _ if line.starts_with("Files=") => {}
            _ if self.is_summary => {}
            _ if self.file.is_some() => return self.end_file(line, number, sink),
            _ => return Ok(false),
        }
        self.is_summary = true;
        if self.has_begun() {
            self.end_stream(sink)?;
        }
        Ok(true)
    }

    /// Handles prove's result of a test file at its end.
    pub(super) fn end_file(
        &mut self,
        outcome: &str,
        number: u64,
        sink: &mut dyn Sink,
    ) -> Result<bool, ReadError> {
        let has_tests = self.levels.first().is_some_and(|level| level.seen > 0);
        let case = |status, message: &str| Case {
            name: "the test file itself".to_owned(),
            status: Some(status),
            failure: (!message.is_empty())
                .then(|| Failure { message: Some(message.to_owned()), ..Failure::default() }),
            report_line: Some(number),
            ..Case::default()
        };
        let case = match outcome {
            "ok" if has_tests => None,
            "ok" => Some(case(Status::Passed, "")),
            _ if outcome.starts_with("skipped:") => Some(case(Status::Skipped, outcome)),
            // Test::More exits with the number of failed tests (its documentation, "Exit codes"), which report
            // themselves.
            _ if self.is_sum(outcome) => None,
            _ if outcome.starts_with("Dubious") => Some(case(Status::Error, outcome)),
            _ if outcome.starts_with("Failed ") && outcome.ends_with("subtests") => {
                sink.against(Reason::new(
                    Cause::Verdict,
                    Some(number),
                    format!("prove reports: {outcome}"),
                ));
                None
            }
            _ => return Ok(false),
        };
        self.flush()?;
        self.bad += u64::from(case.as_ref().is_some_and(|case| case.outcome().is_bad()));
        let is_broken = case.as_ref().is_some_and(|case| case.outcome() == Status::Error);
        if let (Some(case), Some(level)) = (case, self.levels.first_mut()) {
            level.cases.push(case);
        }
        if outcome == "ok" || outcome.starts_with("skipped:") {
            // Without -v, no plan is printed.
            if !has_tests && let Some(level) = self.levels.first_mut() {
                level.planned.get_or_insert(0);
            }
            self.end_stream(sink)?;
        } else if is_broken && let Some(level) = self.levels.first_mut() {
            // The reason for the missing plan is already reported.
            self.bailed |= level.planned.is_none();
        }
        Ok(true)
    }

    /// Whether prove's "dubious" result only means that the exit code was the number of failed tests.
    pub(super) fn is_sum(&self, outcome: &str) -> bool {
        let code = outcome.strip_prefix("Dubious, test returned ");
        let code = code.and_then(|code| code.split(' ').next()?.parse::<u64>().ok());
        self.levels.first().is_some_and(|level| {
            level.planned == Some(level.seen) && level.failed > 0 && code == Some(level.failed)
        })
    }

    /// Adds an error that belongs to no test.
    pub(super) fn own(&mut self, name: &str, failure: Option<Failure>, line: u64) {
        self.bad += 1;
        let case = Case {
            name: name.to_owned(),
            status: Some(Status::Error),
            failure,
            report_line: Some(line),
            ..Case::default()
        };
        if let Some(level) = self.levels.first_mut() {
            level.cases.push(case);
        }
    }
}
