//! A build, compared with its baseline.

mod failure;

pub use failure::RECENT_RUNS;

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::answer::{Answer, Placed};
use super::elsewhere::Other;
use super::flaky::{Evidence, evidence, oldest};
use super::items::{Case, FailureKey, Item, Run, Side, StepRun, WINDOW, unexplained};
use super::streak::Streak;
use super::subject::{Past, Subject, as_case, worst};

use crate::{BuildId, TestStatus, Timestamp};

/// The build that is looked at.
#[derive(Debug, Clone)]
pub struct Looked {
    /// The build.
    pub build: BuildId,
    /// When it started.
    pub started: Timestamp,
    /// Its host.
    pub host: Option<Arc<str>>,
    /// Whether it still runs.
    pub is_running: bool,
    /// Whether it ran only a part of its tests.
    pub is_partial: bool,
    /// See [`super::is_bad_itself`].
    pub is_bad_itself: bool,
    /// Whether a baseline was found.
    pub has_baseline: bool,
    /// Whether the baseline is of the same project.
    pub is_same_project: bool,
    /// Whether the baseline is of the same track.
    pub is_same_track: bool,
}

/// The tests of a comparison. A million look-ups decide how long it takes, and nobody chooses numbers
/// of tests, so the hash need not withstand an attack.
type Tests = HashMap<i64, Subject, RandomState>;

/// A build, compared with its baseline. See the [module](super).
#[derive(Debug)]
pub struct Comparison {
    looked: Looked,
    tests: Tests,
    steps: HashMap<String, Subject>,
    itself: Option<Subject>,
    baseline: Vec<Run>,
    own: Vec<Run>,
    others: Vec<Other>,
    /// The place among the baseline's runs of the newest in which a test ran.
    reference: Option<usize>,
    /// The host of each failure, where they may be of several builds.
    hosts: Option<HashMap<Item, Option<Arc<str>>>>,
}

impl Comparison {
    /// A comparison of a build with these cases and steps, in order.
    pub fn new(looked: Looked, cases: &[Case], steps: &[StepRun]) -> Self {
        let mut tests = Tests::with_capacity_and_hasher(cases.len(), RandomState::default());
        for case in cases {
            let subject = tests.entry(case.test).or_default();
            subject.is_here = true;
            worst(&mut subject.now, *case);
        }
        let mut of_steps: HashMap<String, Subject> = HashMap::new();
        for step in steps {
            of_steps.entry(step.name.clone()).or_default().is_here = true;
        }
        for step in unexplained(steps) {
            let subject = of_steps.entry(step.name.clone()).or_default();
            worst(&mut subject.now, as_case(step));
        }
        let itself = looked.is_bad_itself.then(|| Subject {
            now: Some(Case {
                position: 0,
                test: 0,
                status: TestStatus::Failed,
                failure: None,
                took: None,
            }),
            ..Subject::default()
        });
        Self {
            looked,
            tests,
            steps: of_steps,
            itself,
            baseline: Vec::new(),
            own: Vec::new(),
            others: Vec::new(),
            reference: None,
            hosts: None,
        }
    }

    /// Says on which host each failure was, if the builds of a commit are compared as one.
    pub fn on_hosts(&mut self, hosts: HashMap<Item, Option<Arc<str>>>) {
        self.hosts = Some(hosts);
    }

    /// Says which tests of the build pass after a failure in an earlier build of its commit. Before any
    /// build is pushed.
    pub fn rerun(&mut self, tests: &[i64]) {
        for test in tests {
            if let Some(subject) = self.tests.get_mut(test) {
                subject.has_rerun = true;
            }
        }
    }

    fn runs(&self, side: Side) -> &[Run] {
        match side {
            Side::Baseline => &self.baseline,
            Side::Own => &self.own,
        }
    }

    /// Pushes the next older build of a side. The first of the baseline's side is the baseline.
    pub fn push(&mut self, side: Side, run: Run, cases: &[Case]) {
        let nth = self.runs(side).len();
        // The baseline counts even if it is a mass failure: then somebody asked for it by name.
        let is_baseline = side == Side::Baseline && nth == 0;
        let counts = is_baseline || !run.is_mass_failure;
        if let Some(itself) = &mut self.itself {
            let status = if run.is_bad_itself { TestStatus::Failed } else { TestStatus::Passed };
            itself.take(side, Past { run: nth, status, failure: None }, counts);
        }
        let ran = |case: &Case| case.status != TestStatus::Skipped;
        let is_reference = side == Side::Baseline
            && nth <= WINDOW
            && self.reference.is_none()
            && counts
            && cases.iter().any(ran);
        if is_reference {
            self.reference = Some(nth);
            for case in cases.iter().filter(|case| ran(case)) {
                let subject = self.tests.entry(case.test).or_default();
                subject.reference = subject.reference.or(Some(case.position));
            }
        }
        for case @ Case { test, status, failure, .. } in cases {
            if let Some(subject) = self.tests.get_mut(test) {
                let past = Past { run: nth, status: *status, failure: *failure };
                subject.take(side, past, counts);
                if side == Side::Own && counts && nth < WINDOW {
                    subject.take_time(nth, case);
                }
            }
        }
        match side {
            Side::Baseline => self.baseline.push(run),
            Side::Own => self.own.push(run),
        }
    }

    /// Adds the steps of a build that was pushed, by its place among those of its side.
    pub fn push_steps(&mut self, side: Side, nth: usize, steps: &[StepRun]) {
        let Some(run) = self.runs(side).get(nth) else { return };
        let is_baseline = side == Side::Baseline && nth == 0;
        let counts = is_baseline || !run.is_mass_failure;
        for step in steps {
            if is_baseline {
                let subject = self.steps.entry(step.name.clone()).or_default();
                subject.reference = subject.reference.or(Some(step.position));
            }
            if let Some(subject) = self.steps.get_mut(&step.name) {
                subject.is_known |= side == Side::Baseline && nth <= WINDOW;
            }
        }
        for step in unexplained(steps) {
            if let Some(subject) = self.steps.get_mut(&step.name) {
                let case = as_case(step);
                let past = Past { run: nth, status: case.status, failure: None };
                subject.take(side, past, counts);
            }
        }
    }

    /// Whether anything failed, or passed only when repeated, so that other tracks matter.
    pub fn wants_others(&self) -> bool {
        self.subjects().any(|subject| {
            let is_flaky = |now: Case| now.status == TestStatus::Flaky;
            subject.is_bad() || subject.has_rerun || subject.now.is_some_and(is_flaky)
        })
    }

    /// Adds another track; see [`Self::push_elsewhere`].
    pub fn add_other(&mut self, is_same_variant: bool) {
        self.others.push(Other { is_same_variant, runs: Vec::new() });
    }

    /// Pushes the next older of the newest finished builds of the track that was added last.
    pub fn push_elsewhere(&mut self, run: Run, cases: &[Case], steps: &[StepRun]) {
        let Some(track) = self.others.len().checked_sub(1) else { return };
        let Some(other) = self.others.last_mut() else { return };
        let nth = other.runs.len();
        let (counts, is_bad_itself) = (!run.is_mass_failure, run.is_bad_itself);
        other.runs.push(run);
        if !counts {
            return;
        }
        if let Some(itself) = &mut self.itself {
            let status = if is_bad_itself { TestStatus::Failed } else { TestStatus::Passed };
            itself.take_elsewhere(track, Past { run: nth, status, failure: None });
        }
        for case in cases {
            if let Some(subject) = self.tests.get_mut(&case.test) {
                let past = Past { run: nth, status: case.status, failure: case.failure };
                subject.take_elsewhere(track, past);
            }
        }
        for step in unexplained(steps) {
            if let Some(subject) = self.steps.get_mut(&step.name) {
                let status = as_case(step).status;
                subject.take_elsewhere(track, Past { run: nth, status, failure: None });
            }
        }
    }

    /// Number of runs that are kept, which is what takes memory if much fails for long.
    pub fn runs_in_memory(&self) -> usize {
        self.subjects().map(|subject| subject.baseline.len() + subject.own.len()).sum()
    }

    fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.tests.values().chain(self.steps.values()).chain(&self.itself)
    }

    /// Whether a test, or the build itself, began to fail before the builds pushed so far, so that older
    /// builds of the side have to be pushed.
    pub fn wants_more(&self, side: Side) -> bool {
        let mut subjects = self.tests.values().chain(&self.itself);
        subjects.any(|subject| self.is_open(subject, side))
    }

    /// Whether the steps of more builds of the side are needed: of the baseline always; of its window
    /// until the last run of each step is known; of both windows whole for a step that failed; and of
    /// older builds where it began to fail earlier.
    pub fn wants_more_steps(&self, side: Side, pushed: usize) -> bool {
        let is_baseline = side == Side::Baseline && self.looked.has_baseline;
        let needs = |subject: &Subject| {
            let is_unknown = is_baseline && subject.now.is_some() && subject.before.is_none();
            (pushed <= WINDOW && (is_unknown || subject.is_bad())) || self.is_open(subject, side)
        };
        (is_baseline && pushed == 0) || self.steps.values().any(needs)
    }

    fn is_open(&self, subject: &Subject, side: Side) -> bool {
        let streak = Streak::of(subject.past(side));
        subject.is_bad() && streak.bad > 0 && streak.last_good.is_none()
    }

    /// The texts that decide whether failures have the same signature: those of the build's failures,
    /// and of what makes tests flaky.
    pub fn failure_keys(&self) -> Vec<FailureKey> {
        let mut keys: Vec<FailureKey> = Vec::new();
        for subject in self.subjects().filter(|subject| subject.is_of_interest()) {
            keys.extend(subject.text());
            if !subject.is_bad() {
                continue;
            }
            for side in [Side::Baseline, Side::Own] {
                keys.extend(self.evidence(subject, side, None).keys);
            }
            keys.extend(subject.elsewhere.iter().filter_map(|(_, past)| past.failure));
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    fn evidence(&self, subject: &Subject, side: Side, closed: Option<Timestamp>) -> Evidence {
        let window = if side == Side::Baseline { WINDOW + 1 } else { WINDOW };
        let oldest = oldest(self.looked.started, closed);
        evidence(subject.past(side), self.runs(side), window, oldest)
    }

    /// What failed in the build, and what passes after failures, each with the text of the failure.
    pub fn of_interest(&self) -> impl Iterator<Item = (Item, Option<FailureKey>)> {
        let tests = self.tests.iter().map(|(test, subject)| (Item::Test(*test), subject));
        let steps = self.steps.iter().map(|(name, subject)| (Item::Step(name.clone()), subject));
        let itself = self.itself.iter().map(|subject| (Item::Build, subject));
        let all = tests.chain(steps).chain(itself);
        let all = all.filter(|(_, subject)| subject.is_of_interest());
        all.map(|(item, subject)| (item, subject.text()))
    }

    /// The answer. `signatures` has the signature of each failure that has one; `is_whole` says for each
    /// side whether its track begins with the builds that were pushed; `closed` has the time at which an
    /// issue that explained an item's failures was closed: evidence from before it is settled.
    pub fn answer<S: PartialEq + Clone>(
        &self,
        signatures: &HashMap<FailureKey, S>,
        is_whole: impl Fn(Side) -> bool,
        closed: impl Fn(&Item) -> Option<Timestamp>,
    ) -> Answer<S> {
        let mut answer = Answer {
            failures: Vec::new(),
            fixed: Vec::new(),
            missing: Vec::new(),
            skipped: Vec::new(),
            added: Vec::new(),
            new_flaky: Vec::new(),
            slower: Vec::new(),
            tests: self.tests.values().filter(|subject| subject.now.is_some()).count() as u64,
            ran: self.tests.values().filter(|subject| subject.is_here_and_ran()).count() as u64,
            ran_before: 0,
        };
        let tests = self.tests.iter().map(|(test, subject)| (Item::Test(*test), subject));
        let steps = self.steps.iter().map(|(name, subject)| (Item::Step(name.clone()), subject));
        let itself = self.itself.iter().map(|subject| (Item::Build, subject));
        for (item, subject) in tests.chain(steps).chain(itself) {
            let closed = closed(&item);
            self.add(&mut answer, item, subject, signatures, &is_whole, closed);
        }
        answer.sort();
        answer
    }

    fn add<S: PartialEq + Clone>(
        &self,
        answer: &mut Answer<S>,
        item: Item,
        subject: &Subject,
        signatures: &HashMap<FailureKey, S>,
        is_whole: &impl Fn(Side) -> bool,
        closed: Option<Timestamp>,
    ) {
        let is_test = matches!(item, Item::Test(_));
        if is_test && subject.reference.is_some() {
            answer.ran_before += 1;
        }
        let placed = |position| Placed { item: item.clone(), position, since: None };
        let Some(now) = subject.now else {
            let may_miss = !subject.is_here && !self.looked.is_running && !self.looked.is_partial;
            answer.missing.extend(subject.reference.filter(|_| may_miss).map(placed));
            return;
        };
        let has_baseline = self.looked.has_baseline;
        if has_baseline && !subject.is_known && item != Item::Build {
            answer.added.push(placed(now.position));
        }
        if now.status == TestStatus::Skipped {
            answer.skipped.extend(subject.reference.map(|_| placed(now.position)));
            return;
        }
        let found = subject
            .is_of_interest()
            .then(|| self.flaky(subject, now, signatures, closed))
            .flatten();
        let is_flaky = is_test && found.as_ref().is_some_and(|flaky| !flaky.only_here);
        if now.status.is_bad() {
            let failure = self.failure(item, subject, now, found, signatures, is_whole);
            answer.failures.push(failure);
            return;
        }
        answer.slower.extend(subject.slower().map(|slow| (placed(now.position), slow)));
        let came_back = now.status == TestStatus::Flaky || subject.has_rerun;
        if is_test && came_back && !is_flaky && has_baseline {
            answer.new_flaky.push(placed(now.position));
        }
        if subject.before.is_some_and(|before| before.status.is_bad()) && !is_flaky {
            let streak = Streak::of(&subject.baseline);
            let since = streak.since(&self.baseline).map(|run| run.build);
            answer.fixed.push(Placed { since, ..placed(now.position) });
        }
    }
}
