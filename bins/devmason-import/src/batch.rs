//! Stores builds in batches.

use anyhow::{Context, Result};
use devmason_domain::Timestamp;
use devmason_repository::{Cases, Moved, NewBuild, Recorded, Repository};

use crate::Counts;

/// Builds per transaction: a commit costs more than a build.
const BUILDS: usize = 100;

/// Or this many bytes of outputs.
const BYTES: usize = 8 << 20;

/// Builds that are not yet stored.
pub(crate) struct Batch<'a> {
    repository: &'a dyn Repository,
    builds: Vec<NewBuild>,
    /// When each was last changed, if not when it was received.
    changed: Vec<Option<Timestamp>>,
    bytes: usize,
    pub(crate) counts: Counts,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(repository: &'a dyn Repository) -> Self {
        Self {
            repository,
            builds: Vec::new(),
            changed: Vec::new(),
            bytes: 0,
            counts: Counts::default(),
        }
    }

    /// Adds a build, and stores the batch if it is full.
    pub(crate) fn push(&mut self, build: NewBuild) -> Result<()> {
        self.push_changed(build, None)
    }

    /// The same for a build with a time of last change.
    pub(crate) fn push_changed(
        &mut self,
        build: NewBuild,
        changed: Option<Timestamp>,
    ) -> Result<()> {
        let outputs = build.report.steps.iter().map(|step| step.output.len() + step.errout.len());
        self.bytes += outputs.sum::<usize>();
        if let Cases::Given(tests) = &build.test_report.tests {
            self.bytes += tests.bytes();
        }
        self.builds.push(build);
        self.changed.push(changed);
        if self.builds.len() >= BUILDS || self.bytes >= BYTES { self.store() } else { Ok(()) }
    }

    /// Stores the batch.
    pub(crate) fn store(&mut self) -> Result<()> {
        let builds = std::mem::take(&mut self.builds);
        let changed = std::mem::take(&mut self.changed);
        self.bytes = 0;
        if builds.is_empty() {
            return Ok(());
        }
        let outcomes = self.repository.build_record_many(&builds)?;
        let mut times = Vec::new();
        for ((build, changed), outcome) in builds.iter().zip(changed).zip(outcomes) {
            match outcome {
                Recorded::New => {
                    self.counts.new += 1;
                    // A build that already existed may have been changed here since.
                    times.extend(changed.map(|at| {
                        (Moved::Build(build.project, build.id), build.report.received, at)
                    }));
                }
                Recorded::Known => self.counts.known += 1,
                // Its id or key exists: it was imported before.
                Recorded::Clash | Recorded::Differs if self.is_there(build)? => {
                    self.counts.known += 1
                }
                other => {
                    let id = build
                        .key
                        .as_ref()
                        .map_or_else(|| build.id.to_string(), ToString::to_string);
                    crate::say(&format!("build {id} skipped: {}", why(&other)));
                    self.counts.bad += 1;
                }
            }
        }
        if !times.is_empty() {
            self.repository.times_set(&times)?;
        }
        Ok(())
    }

    fn is_there(&self, build: &NewBuild) -> Result<bool> {
        let key = match &build.key {
            Some(key) => key.clone(),
            None => build.id.to_string().parse().context("id")?,
        };
        let there = self.repository.build_find(build.project, &key)?;
        Ok(there.is_some_and(|there| there.id == build.id))
    }
}

fn why(outcome: &Recorded) -> &'static str {
    match outcome {
        Recorded::Differs => "another build already has this id",
        Recorded::NoProject => "its project was deleted",
        _ => "the store rejected it",
    }
}
