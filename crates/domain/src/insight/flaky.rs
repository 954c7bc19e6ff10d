//! What makes a test flaky.

use std::collections::{HashMap, HashSet};

use super::items::{FailureKey, Run};
use super::subject::Past;
use crate::{BuildId, TestStatus, Timestamp};

/// Evidence is at most this old when the build starts, in microseconds: 30 days.
const AGE: i64 = 30 * 24 * 3600 * 1_000_000;

/// Evidence in a window that a test is flaky.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Number of runs in the window.
    pub runs: u64,
    /// Runs that passed only when repeated within their build.
    pub retry: u64,
    /// Commits on which it both failed and did not fail, in the builds of one track.
    pub same_revision: u64,
    /// Failures of one or two runs with a pass right before and right after.
    pub flip: u64,
    /// The place of the newest build with evidence.
    pub(super) last: Option<usize>,
    /// The texts of these failures.
    pub(super) keys: Vec<FailureKey>,
}

impl Evidence {
    /// Number of pieces of evidence.
    pub fn flakes(&self) -> u64 {
        self.retry + self.same_revision + self.flip
    }

    /// Whether the evidence suffices: one flip alone may have been a bug, and its fix.
    pub fn is_flaky(&self) -> bool {
        self.retry + self.same_revision >= 1 || self.flip >= 2
    }

    /// The share of flakes among all runs, from 0 to 1.
    pub fn rate(&self) -> f64 {
        (self.flakes() as f64 / self.runs.max(1) as f64).min(1.0)
    }

    fn add(&mut self, past: &Past) {
        self.keys.extend(past.failure);
        self.last = Some(self.last.map_or(past.run, |last| last.min(past.run)));
    }
}

/// The flakiness of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaky {
    /// What says so.
    pub evidence: Evidence,
    /// Whether it fails now as it did then.
    pub same_signature: bool,
    /// Whether only the build's own window says so, not the baseline's: that excuses nothing.
    pub only_here: bool,
    /// Whether other branches of the variant say so, not the baseline's window.
    pub elsewhere: bool,
    /// The newest build with evidence; `None` if that is elsewhere.
    pub last: Option<BuildId>,
}

/// The time from which evidence counts for a build that started then: 30 days before it, and behind the
/// closing of an issue that explained the failures before.
pub(super) fn oldest(started: Timestamp, closed: Option<Timestamp>) -> i64 {
    let closed = closed.map_or(i64::MIN, |at| at.micros().saturating_add(1));
    started.micros().saturating_sub(AGE).max(closed)
}

/// The evidence in the first `window` runs of a side, in builds that started at `oldest` or later.
pub(super) fn evidence(past: &[Past], runs: &[Run], window: usize, oldest: i64) -> Evidence {
    let past: Vec<(&Past, &Run)> = past
        .iter()
        .take_while(|past| past.run < window)
        .filter_map(|past| Some((past, runs.get(past.run)?)))
        .filter(|(_, run)| !run.is_mass_failure)
        .collect();
    let is_recent = |run: &Run| run.started.micros() >= oldest;
    let mut found = Evidence { runs: past.len() as u64, ..Evidence::default() };
    let mut counted: HashSet<usize> = HashSet::new();
    for (of_test, run) in &past {
        if of_test.status == TestStatus::Flaky && is_recent(run) {
            found.retry += 1;
            found.add(of_test);
            counted.insert(of_test.run);
        }
    }
    let mut revisions: HashMap<&str, (Vec<&Past>, bool)> = HashMap::new();
    for (of_test, run) in &past {
        let Some(revision) = &run.revision else { continue };
        let (bad, has_good) = revisions.entry(revision).or_default();
        if !of_test.status.is_bad() {
            *has_good = true;
        } else if is_recent(run) {
            bad.push(of_test);
        }
    }
    for (bad, has_good) in revisions.values() {
        if *has_good && !bad.is_empty() {
            found.same_revision += 1;
            bad.iter().for_each(|past| found.add(past));
            counted.extend(bad.iter().map(|past| past.run));
        }
    }
    // Chunks of runs that are all bad or all good, newest first.
    let chunks: Vec<&[(&Past, &Run)]> =
        past.chunk_by(|one, other| one.0.status.is_bad() == other.0.status.is_bad()).collect();
    for (nth, chunk) in chunks.iter().enumerate() {
        let is_between = nth > 0 && nth + 1 < chunks.len();
        let is_bad = chunk.first().is_some_and(|(past, _)| past.status.is_bad());
        let is_new = chunk.iter().all(|(past, run)| !counted.contains(&past.run) && is_recent(run));
        if is_bad && is_between && chunk.len() <= 2 && is_new {
            found.flip += 1;
            chunk.iter().for_each(|(past, _)| found.add(past));
        }
    }
    found
}

/// The interval in which the true share lies with a probability of 95 %, of so many hits in so many
/// trials: Wilson, E. B. (1927), "Probable inference, the law of succession, and statistical
/// inference", without continuity correction.
pub fn wilson(hits: u64, trials: u64) -> [f64; 2] {
    const Z: f64 = 1.959_963_984_540_054;
    if trials == 0 {
        return [0.0, 1.0];
    }
    let n = trials as f64;
    let share = (hits as f64 / n).min(1.0);
    let middle = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let by = 1.0 + Z * Z / n;
    [((middle - half) / by).max(0.0), ((middle + half) / by).min(1.0)]
}
