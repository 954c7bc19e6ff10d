//! The outcome of a scenario, and its name among others.

use std::collections::HashMap;

use crate::{Failure, Status};

/// The outcome of a scenario, from its steps.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) status: Option<Status>,
    pub(super) failure: Option<Failure>,
    pub(super) micros: Option<u64>,
    pub(super) steps: u64,
    pub(super) skipped: u64,
}

impl Outcome {
    /// Adds the outcome of a step or hook. An undefined, ambiguous or pending step fails the scenario,
    /// as in Cucumber's strict mode.
    pub(super) fn step(
        &mut self,
        status: &str,
        said: Option<&str>,
        name: &str,
        micros: Option<u64>,
    ) {
        self.steps += 1;
        self.micros = self.micros.map_or(micros, |sum| Some(sum + micros.unwrap_or(0)));
        let lower = status.to_ascii_lowercase();
        let status = match lower.as_str() {
            "passed" => Status::Passed,
            "failed" => Status::Failed,
            "undefined" | "ambiguous" | "pending" | "error" | "hook_error" | "cleanup_error" => {
                Status::Error
            }
            "skipped" | "untested" | "" => {
                self.skipped += 1;
                Status::Skipped
            }
            _ => Status::Error,
        };
        if self.status.is_none_or(|known| known < status) {
            self.status = Some(status);
            let what = if name.is_empty() { lower } else { format!("{lower}: {name}") };
            let first = said.and_then(|said| said.lines().find(|line| !line.trim().is_empty()));
            self.failure = match status {
                Status::Failed | Status::Error => Some(Failure {
                    kind: Some(what.clone()),
                    message: Some(first.map_or(what, |first| first.trim().to_owned())),
                    text: said.map(str::to_owned),
                }),
                _ => said
                    .map(|said| Failure { message: Some(said.to_owned()), ..Failure::default() }),
            };
        }
    }

    pub(super) fn status(&self) -> Status {
        match self.status {
            Some(status) if status.is_bad() => status,
            // A scenario that skips itself does so within its steps.
            _ if self.steps == 0 || self.skipped > 0 => Status::Skipped,
            status => status.unwrap_or(Status::Skipped),
        }
    }
}

/// How often a name has occurred: the rows of an outline share one name.
#[derive(Default)]
pub(super) struct Nth(HashMap<String, u32>);

impl Nth {
    pub(super) fn name(&mut self, name: &str) -> String {
        let nth = self.0.entry(name.to_owned()).or_insert(0);
        *nth += 1;
        if *nth == 1 { name.to_owned() } else { format!("{name} [{nth}]") }
    }
}
