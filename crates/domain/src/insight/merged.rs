//! Several builds of one commit as one: a rerun repairs, and what ran side by side adds up.

use std::collections::{BTreeMap, HashMap};

use super::items::{Case, Item, StepRun, unexplained};
use super::subject::{as_case, severity};
use crate::{TestStatus, Timestamp};

/// A build of a commit.
#[derive(Debug, Clone)]
pub struct Part {
    /// When it started.
    pub started: Timestamp,
    /// When it ended; `None` while it runs.
    pub finished: Option<Timestamp>,
    /// Its test cases.
    pub cases: Vec<Case>,
    /// Its steps.
    pub steps: Vec<StepRun>,
    /// Whether it succeeded; of no meaning while it runs.
    pub success: bool,
    /// See [`super::is_bad_itself`].
    pub is_bad_itself: bool,
}

/// The builds of a commit as one.
#[derive(Debug, Clone, Default)]
pub struct Merged {
    /// One case for each test.
    pub cases: Vec<Case>,
    /// One step for each name.
    pub steps: Vec<StepRun>,
    /// Whether a build failed, nothing in it says why, and no later one repaired it.
    pub is_bad_itself: bool,
    /// The tests that pass after a failure in an earlier build.
    pub reran: Vec<i64>,
    /// The place of the build that each bad item is from.
    pub places: HashMap<Item, usize>,
    /// The places of builds of which nothing counts, as later ones ran all that they did.
    pub superseded: Vec<usize>,
}

/// What is left of the runs of an item.
struct Left<T> {
    /// The place of the build and the run in it; `None` if it ran in none.
    run: Option<(usize, T)>,
    /// Whether a failure was repaired.
    is_repaired: bool,
}

/// Whether a run in this build says nothing any more, as another build ran the item later.
///
/// `ran` has the places of the builds in which it ran and was not skipped. Of two builds that took no time
/// at the same moment, the one with the later place supersedes the other.
fn is_superseded(parts: &[Part], ran: &[usize], place: usize) -> bool {
    let Some(part) = parts.get(place) else { return false };
    let follows = |later: &Part, earlier: &Part| {
        earlier.finished.is_some_and(|end| later.started.micros() >= end.micros())
    };
    ran.iter().any(|other| {
        let Some(later) = parts.get(*other).filter(|_| *other != place) else { return false };
        follows(later, part) && (!follows(part, later) || *other > place)
    })
}

/// The worst run that no later one supersedes; the first of equals.
fn left<T>(
    parts: &[Part],
    runs: Vec<(usize, T)>,
    counts: &mut [bool],
    status: impl Fn(&T) -> TestStatus,
) -> Left<T> {
    let ran: Vec<usize> = runs
        .iter()
        .filter(|(_, run)| status(run) != TestStatus::Skipped)
        .map(|(place, _)| *place)
        .collect();
    let mut left = Left { run: None, is_repaired: false };
    for (place, run) in runs {
        if is_superseded(parts, &ran, place) {
            left.is_repaired |= status(&run).is_bad();
            continue;
        }
        if let Some(counts) = counts.get_mut(place) {
            *counts = true;
        }
        let is_worse = |(_, known): &(usize, T)| severity(status(&run)) > severity(status(known));
        if left.run.as_ref().is_none_or(is_worse) {
            left.run = Some((place, run));
        }
    }
    left.is_repaired &= left
        .run
        .as_ref()
        .is_some_and(|(_, run)| !status(run).is_bad() && status(run) != TestStatus::Skipped);
    left
}

impl Merged {
    /// The builds of a commit, in the order of lists, as one.
    pub fn of(parts: &[Part]) -> Self {
        let mut merged = Self::default();
        let mut counts = vec![false; parts.len()];
        let mut tests: BTreeMap<i64, Vec<(usize, Case)>> = BTreeMap::new();
        for (place, part) in parts.iter().enumerate() {
            for case in &part.cases {
                let runs = tests.entry(case.test).or_default();
                match runs.last_mut().filter(|(last, _)| *last == place) {
                    Some((_, known)) if severity(case.status) > severity(known.status) => {
                        *known = *case;
                    }
                    Some(_) => {}
                    None => runs.push((place, *case)),
                }
            }
        }
        for (test, runs) in tests {
            let left = left(parts, runs, &mut counts, |case| case.status);
            if left.is_repaired {
                merged.reran.push(test);
            }
            if let Some((place, case)) = left.run {
                merged.cases.push(case);
                if case.status.is_bad() {
                    merged.places.insert(Item::Test(test), place);
                }
            }
        }
        merged.add_steps(parts, &mut counts);
        merged.add_itself(parts, &mut counts);
        merged.superseded =
            (0..parts.len()).filter(|nth| counts.get(*nth) == Some(&false)).collect();
        merged
    }

    fn add_steps(&mut self, parts: &[Part], counts: &mut [bool]) {
        let mut steps: BTreeMap<&str, Vec<(usize, &StepRun)>> = BTreeMap::new();
        let mut names: BTreeMap<&str, &StepRun> = BTreeMap::new();
        for (place, part) in parts.iter().enumerate() {
            for step in &part.steps {
                names.entry(&step.name).or_insert(step);
            }
            for step in unexplained(&part.steps) {
                let runs = steps.entry(&step.name).or_default();
                match runs.last_mut().filter(|(last, _)| *last == place) {
                    Some((_, known)) if known.success && !step.success => *known = step,
                    Some(_) => {}
                    None => runs.push((place, step)),
                }
            }
        }
        for (name, step) in names {
            let runs = steps.remove(name).unwrap_or_default();
            let left = left(parts, runs, counts, |step| as_case(step).status);
            // A step that its cases explain is there, and did not run.
            let (success, bad_cases, position) = match left.run {
                Some((place, step)) => {
                    if !step.success {
                        self.places.insert(Item::Step(name.to_owned()), place);
                    }
                    (step.success, Some(0), step.position)
                }
                None => (false, Some(1), step.position),
            };
            let name = name.to_owned();
            self.steps.push(StepRun { position, name, success, bad_cases, is_report: false });
        }
        self.steps.sort_by_key(|step| step.position);
    }

    fn add_itself(&mut self, parts: &[Part], counts: &mut [bool]) {
        // A build that failed for a reason that it tells neither failed by itself nor repairs that.
        let finished = parts
            .iter()
            .enumerate()
            .filter(|(_, part)| part.finished.is_some() && (part.success || part.is_bad_itself));
        let runs = finished.map(|(place, part)| (place, part.is_bad_itself)).collect();
        let status = |is_bad: &bool| if *is_bad { TestStatus::Failed } else { TestStatus::Passed };
        let mut of_itself = vec![false; parts.len()];
        if let Some((place, true)) = left(parts, runs, &mut of_itself, status).run {
            self.is_bad_itself = true;
            self.places.insert(Item::Build, place);
        }
        for ((part, counts), counts_itself) in parts.iter().zip(counts).zip(of_itself) {
            let is_empty = part.cases.is_empty() && part.steps.is_empty();
            let matters = is_empty || part.is_bad_itself;
            *counts |= part.finished.is_none() || (matters && counts_itself);
        }
    }
}
