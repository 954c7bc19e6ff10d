//! The tests of a track over its newest builds: how often each failed, flaked and was skipped, how
//! long it took, and when its behaviour changed.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::flaky::{Evidence, evidence, oldest};
use super::items::{Case, FailureKey, Run};
use super::slower::Times;
use super::subject::{Past, severity};
use crate::{BuildId, TestStatus, Timestamp};

/// Memory for a run of a test, in bytes.
pub const CELL: usize = 16;

/// Memory for a test, in bytes.
pub const LINE: usize = 256;

/// The runs of a test, the newest first.
#[derive(Debug, Clone, Default)]
struct Line {
    /// The build of each run, and its status.
    runs: Vec<(u16, TestStatus)>,
    /// What the passing runs took, without mass failures.
    times: Times,
    /// The text of the newest failure.
    failure: Option<FailureKey>,
}

/// What is known of a test in a track.
#[derive(Debug, Clone, PartialEq)]
pub struct TestHealth {
    /// Its status in the newest build that has it.
    pub status: TestStatus,
    /// Whether the newest build has it.
    pub is_here: bool,
    /// Number of runs that were not skipped, without mass failures.
    pub runs: u64,
    /// Number of them that failed.
    pub bad: u64,
    /// Number of runs that were skipped.
    pub skipped: u64,
    /// Evidence that it is flaky.
    pub evidence: Evidence,
    /// The newest build in which it failed.
    pub last_bad: Option<BuildId>,
    /// Half of its passing runs took at most this, in seconds, and 95 of a hundred at most that.
    pub times: Option<[f32; 2]>,
    /// The text of its newest failure.
    pub failure: Option<FailureKey>,
}

/// The tests of a track over its newest builds.
#[derive(Debug, Default)]
pub struct History {
    runs: Vec<Run>,
    tests: HashMap<i64, Line, RandomState>,
    /// Whether tests that the first build lacks are left out.
    is_of_newest: bool,
}

impl History {
    /// A history of the tests of the first build that will be pushed.
    pub fn of_newest() -> Self {
        Self { is_of_newest: true, ..Self::default() }
    }

    /// Pushes the next older build.
    pub fn push(&mut self, run: Run, cases: &[Case]) {
        let Ok(nth) = u16::try_from(self.runs.len()) else { return };
        let is_mass_failure = run.is_mass_failure;
        self.runs.push(run);
        for Case { test, status, took, failure, .. } in cases {
            let line = match self.tests.get_mut(test) {
                Some(line) => line,
                None if self.is_of_newest && nth > 0 => continue,
                None => self.tests.entry(*test).or_default(),
            };
            match line.runs.last_mut().filter(|(last, _)| *last == nth) {
                Some((_, known)) if severity(*status) > severity(*known) => *known = *status,
                Some(_) => {}
                None => line.runs.push((nth, *status)),
            }
            line.failure = line.failure.or(*failure);
            if !is_mass_failure {
                line.times.take(usize::from(nth), *status, *took);
            }
        }
    }

    /// Number of tests.
    pub fn len(&self) -> usize {
        self.tests.len()
    }

    /// Whether there are no tests.
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// The builds that were pushed, the newest first.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The numbers of the tests.
    pub fn tests(&self) -> impl Iterator<Item = i64> {
        self.tests.keys().copied()
    }

    /// The statuses of a test in the newest builds, the newest first; `None` where it was not.
    pub fn statuses(&self, test: i64, builds: usize) -> Vec<Option<TestStatus>> {
        let mut found = vec![None; builds.min(self.runs.len())];
        for (nth, status) in self.tests.get(&test).into_iter().flat_map(|line| &line.runs) {
            if let Some(place) = found.get_mut(usize::from(*nth)) {
                *place = Some(*status);
            }
        }
        found
    }

    /// What is known of a test. Evidence counts that is at most 30 days older than the newest build, and
    /// newer than the closing of an issue that explained its failures.
    pub fn health(&self, test: i64, closed: Option<Timestamp>) -> Option<TestHealth> {
        let line = self.tests.get(&test)?;
        let (newest, status) = *line.runs.first()?;
        let of_run = |nth: u16| self.runs.get(usize::from(nth));
        let counted = line.runs.iter().filter(|(nth, status)| {
            let is_mass_failure = of_run(*nth).is_some_and(|run| run.is_mass_failure);
            *status != TestStatus::Skipped && !is_mass_failure
        });
        let past: Vec<Past> = counted
            .map(|(nth, status)| Past { run: usize::from(*nth), status: *status, failure: None })
            .collect();
        let started = self.runs.first().map(|run| run.started)?;
        let is_bad = |past: &&Past| past.status.is_bad();
        let is_bad_run = |(_, status): &&(u16, TestStatus)| status.is_bad();
        let build = |(nth, _): &(u16, TestStatus)| of_run(*nth).map(|run| run.build);
        Some(TestHealth {
            status,
            is_here: newest == 0,
            runs: past.len() as u64,
            bad: past.iter().filter(is_bad).count() as u64,
            skipped: line.runs.iter().filter(|(_, of)| *of == TestStatus::Skipped).count() as u64,
            evidence: evidence(&past, &self.runs, self.runs.len(), oldest(started, closed)),
            last_bad: line.runs.iter().find(is_bad_run).and_then(build),
            times: quantiles(line.times.seconds()),
            failure: line.failure,
        })
    }

    /// The runs of a test that were not skipped, without mass failures: the build of each, its start and
    /// whether it failed, the oldest first.
    pub fn outcomes(&self, test: i64) -> Vec<(BuildId, Timestamp, bool)> {
        let line = self.tests.get(&test);
        let runs = line.into_iter().flat_map(|line| line.runs.iter().rev());
        let outcome = |(nth, status): &(u16, TestStatus)| {
            let run = self.runs.get(usize::from(*nth))?;
            let counts = *status != TestStatus::Skipped && !run.is_mass_failure;
            counts.then_some((run.build, run.started, status.is_bad()))
        };
        runs.filter_map(outcome).collect()
    }
}

/// The median and the 95th percentile, by the nearest rank.
fn quantiles(times: &[f32]) -> Option<[f32; 2]> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let at = |share: f64| {
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied()
    };
    Some([at(0.5)?, at(0.95)?])
}

/// Runs in which a test behaved alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The place of the first run, from 0.
    pub from: usize,
    /// Number of runs.
    pub runs: usize,
    /// Number of them that failed.
    pub bad: usize,
}

/// Maximum number of runs that are divided into segments.
pub const DIVIDED: usize = 500;

/// What a change has to gain: the logarithm of 10⁴.
const CHANGE: f64 = 9.210_340_371_976_184;

/// The runs of a test, the oldest first, divided where its behaviour changed.
///
/// Each segment has its own probability of failure, with a prior Beta(0.05, 0.5): most tests nearly
/// never fail, or always. The division maximizes the sum of ln B(0.05 + k, 0.5 + n − k) − ln B(0.05, 0.5)
/// over segments of n runs with k bad ones, less ln 10⁴ for each change; exactly, by dynamic programming.
pub fn segments(bad: &[bool]) -> Vec<Segment> {
    let bad = bad.get(bad.len().saturating_sub(DIVIDED)..).unwrap_or_default();
    let mut sums = vec![0usize];
    for is_bad in bad {
        sums.push(sums.last().copied().unwrap_or(0) + usize::from(*is_bad));
    }
    let scores = Scores::new(bad.len());
    let count = |from: usize, to: usize| {
        let at = |place: usize| sums.get(place).copied().unwrap_or(0);
        (to - from, at(to) - at(from))
    };
    // For each end, the best score of what is before, and where the last segment begins.
    let mut best: Vec<(f64, usize)> = vec![(0.0, 0)];
    for to in 1..=bad.len() {
        let mut chosen = (f64::NEG_INFINITY, 0);
        for (from, (before, _)) in best.iter().enumerate() {
            let (runs, bad) = count(from, to);
            let change = if from == 0 { 0.0 } else { CHANGE };
            let score = before + scores.of(runs, bad) - change;
            if score > chosen.0 {
                chosen = (score, from);
            }
        }
        best.push(chosen);
    }
    let (mut found, mut to) = (Vec::new(), bad.len());
    while to > 0 {
        let from = best.get(to).map_or(0, |(_, from)| *from);
        let (runs, bad) = count(from, to);
        found.push(Segment { from, runs, bad });
        to = from;
    }
    found.reverse();
    found
}

/// Logarithms of rising factorials, of which the score of a segment consists.
struct Scores {
    bad: Vec<f64>,
    good: Vec<f64>,
    all: Vec<f64>,
}

impl Scores {
    /// B(a + k, b + m) / B(a, b) is (a)ₖ (b)ₘ / (a + b)ₖ₊ₘ, with rising factorials.
    fn new(most: usize) -> Self {
        const PRIOR: [f64; 2] = [0.05, 0.5];
        let rising = |from: f64| {
            let mut logarithms = vec![0.0];
            let mut sum = 0.0;
            for step in 0..most {
                sum += (from + step as f64).ln();
                logarithms.push(sum);
            }
            logarithms
        };
        let [bad, good] = PRIOR;
        Self { bad: rising(bad), good: rising(good), all: rising(bad + good) }
    }

    fn of(&self, runs: usize, bad: usize) -> f64 {
        let at = |logarithms: &[f64], place: usize| logarithms.get(place).copied().unwrap_or(0.0);
        at(&self.bad, bad) + at(&self.good, runs - bad) - at(&self.all, runs)
    }
}
