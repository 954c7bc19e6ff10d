//! Reading the builds that a build is compared with.

use std::collections::HashMap;

use devmason_domain::insight::{
    Case, Comparison, Run, SOUGHT, Side, WINDOW, is_bad_itself, is_mass_failure,
};
use devmason_domain::{BuildId, BuildKey, ProjectId, Timestamp, Track, TrackKey};
use devmason_repository::{Among, Repository, Result as Answer, Tracked};

use super::baseline::Found;
use super::subject::Subject;
use crate::budget::{Hold, Lane};

/// Number of builds in a page of a track.
const PAGE: u64 = 100;

/// Number of builds, and of test cases, that are read at once.
const BUILDS: usize = 25;
pub(super) const CASES: u64 = 100_000;

/// Maximum number of test cases in a track's builds: at four bytes each, their strips take 32 MiB.
pub(super) const MOST: u64 = 8 << 20;

/// Memory for a run of a test that is kept, in bytes.
const RUN: usize = 48;

/// Number of builds whose steps are read at once.
const STEPS: usize = 10;

/// The numbers of another project's tests in this one. Those that this one lacks get negative numbers.
#[derive(Default)]
pub(super) struct Numbers {
    known: HashMap<i64, i64>,
    /// The names of those with negative numbers.
    pub(super) lacking: HashMap<i64, String>,
}

impl Numbers {
    fn translate(
        &mut self,
        repository: &dyn Repository,
        [from, to]: [ProjectId; 2],
        cases: &mut [Case],
    ) -> Answer<()> {
        let mut new: Vec<i64> = cases.iter().map(|case| case.test).collect();
        new.sort_unstable();
        new.dedup();
        new.retain(|test| !self.known.contains_key(test));
        let names = repository.test_names(from, &new)?;
        let texts: Vec<String> = names.values().cloned().collect();
        let numbers = repository.test_numbers(to, &texts)?;
        for (test, name) in names {
            let number = numbers.get(&name).copied().unwrap_or_else(|| {
                let next = -1 - i64::try_from(self.lacking.len()).unwrap_or(i64::MAX - 1);
                self.lacking.insert(next, name.clone());
                next
            });
            self.known.insert(test, number);
        }
        for case in cases {
            case.test = self.known.get(&case.test).copied().unwrap_or(i64::MIN);
        }
        Ok(())
    }
}

/// A build's id in URIs, and when it started.
pub(super) type Place = (BuildKey, Timestamp);

/// The builds of a track that are compared, the newest first, and the sides that they are pushed to.
struct Series {
    project: ProjectId,
    track: TrackKey,
    builds: Vec<Tracked>,
    /// The last build that was listed: those that belong to what is asked about are left out.
    listed: Option<BuildId>,
    /// Whether the track begins with the last of them.
    is_whole: bool,
    /// The first build of each side.
    sides: Vec<(Side, usize)>,
    pushed: usize,
    steps: usize,
    cases: u64,
}

impl Series {
    /// Whether the cases of its builds were too many.
    fn is_cut(&self) -> bool {
        self.cases > MOST
    }

    /// The number of builds in the windows of its sides.
    fn window(&self) -> usize {
        let end =
            |(side, from): &(Side, usize)| from + WINDOW + usize::from(*side == Side::Baseline);
        self.sides.iter().map(end).max().unwrap_or(0)
    }

    /// The sides that a build belongs to, with its place in them.
    fn places(&self, nth: usize) -> impl Iterator<Item = (Side, usize)> {
        self.sides.iter().filter_map(move |(side, from)| Some((*side, nth.checked_sub(*from)?)))
    }
}

/// A comparison that is being filled.
pub(super) struct Windows<'a> {
    repository: &'a dyn Repository,
    subject: Subject<'a>,
    hold: &'a Hold,
    /// The number of runs in memory for which room was drawn.
    drawn: usize,
    pub(super) comparison: Comparison,
    pub(super) numbers: Numbers,
    pub(super) places: HashMap<BuildId, Place>,
    baseline: Option<Series>,
    own: Option<Series>,
}

impl<'a> Windows<'a> {
    /// Reads what a comparison needs.
    pub(super) fn read(
        repository: &'a dyn Repository,
        (subject, track): (Subject<'a>, &Track),
        comparison: Comparison,
        baseline: Option<&Found>,
        hold: &'a Hold,
    ) -> Answer<Self> {
        let mut windows = Self {
            repository,
            subject,
            hold,
            drawn: 0,
            comparison,
            numbers: Numbers::default(),
            places: HashMap::new(),
            baseline: None,
            own: None,
        };
        let build = subject.build;
        for build in subject.builds() {
            windows.places.insert(build.id, (build.key(), build.started));
        }
        let series = |project, track, (builds, listed), sides| Series {
            project,
            track,
            builds,
            listed: Some(listed),
            is_whole: false,
            sides,
            pushed: 0,
            steps: 0,
            cases: 0,
        };
        let (none, sides) = ((Vec::new(), build.id), vec![(Side::Own, 0)]);
        let mut own = series(build.project, track.key(), none, sides);
        windows.fill(&mut own)?;
        if let Some(Found { project, build: found }) = baseline {
            let nth = own.builds.iter().position(|build| build.id == found.id);
            match nth.filter(|_| project.id == build.project) {
                // Builds of one track are read once.
                Some(nth) => own.sides.insert(0, (Side::Baseline, nth)),
                None => {
                    let builds = (vec![found.clone()], found.id);
                    let sides = vec![(Side::Baseline, 0)];
                    let mut of_baseline = series(project.id, found.track.key(), builds, sides);
                    windows.push_all(&mut of_baseline)?;
                    windows.baseline = Some(of_baseline);
                }
            }
        }
        windows.push_all(&mut own)?;
        windows.own = Some(own);
        Ok(windows)
    }

    /// Whether the builds of a side that were read reach back to the first of its track.
    pub(super) fn is_whole(&self, side: Side) -> bool {
        let series = match side {
            Side::Baseline => self.baseline.as_ref().or(self.own.as_ref()),
            Side::Own => self.own.as_ref(),
        };
        series.is_some_and(|series| series.is_whole && series.pushed >= series.builds.len())
    }

    /// Number of builds in the baseline's window before the baseline, and whether it was cut.
    pub(super) fn window(&self) -> (usize, bool) {
        let Some(series) = self.baseline.as_ref().or(self.own.as_ref()) else { return (0, false) };
        let from = series.sides.iter().find(|(side, _)| *side == Side::Baseline);
        let builds = from.map_or(0, |(_, from)| series.pushed.saturating_sub(from + 1));
        let is_cut = |series: &Option<Series>| series.as_ref().is_some_and(Series::is_cut);
        (builds.min(WINDOW), is_cut(&self.baseline) || is_cut(&self.own))
    }

    /// Number of cases that were read.
    pub(super) fn cases(&self) -> u64 {
        [&self.baseline, &self.own].into_iter().flatten().map(|series| series.cases).sum()
    }

    /// Reads a page more of a track.
    fn fill(&mut self, series: &mut Series) -> Answer<()> {
        let among = Among::Track(series.track);
        let more = self.repository.tracked_list(series.project, &among, series.listed, PAGE)?;
        series.listed = more.last().map(|build| build.id).or(series.listed);
        series.is_whole = (more.len() as u64) < PAGE;
        series.builds.extend(more.into_iter().filter(|build| !self.subject.is_own(build)));
        Ok(())
    }

    fn fill_up_to(&mut self, series: &mut Series, builds: usize) -> Answer<()> {
        while series.builds.len() < builds && !series.is_whole {
            self.fill(series)?;
        }
        Ok(())
    }

    fn push_all(&mut self, series: &mut Series) -> Answer<()> {
        let window = series.window();
        self.fill_up_to(series, window)?;
        self.push(series, window)?;
        while self.wants_more(series) && series.pushed < SOUGHT && !series.is_cut() {
            let pushed = series.pushed;
            let next = (pushed + BUILDS).min(SOUGHT);
            self.fill_up_to(series, next)?;
            self.push(series, next)?;
            if series.pushed == pushed {
                break;
            }
        }
        while self.wants_more_steps(series) && series.steps < SOUGHT && !series.is_cut() {
            let steps = series.steps;
            let next = (steps + STEPS).min(SOUGHT);
            self.fill_up_to(series, next)?;
            self.push(series, next)?;
            self.push_steps(series, next)?;
            if series.steps == steps {
                break;
            }
        }
        Ok(())
    }

    fn wants_more(&self, series: &Series) -> bool {
        series.sides.iter().any(|(side, _)| self.comparison.wants_more(*side))
    }

    fn wants_more_steps(&self, series: &Series) -> bool {
        series.sides.iter().any(|(side, from)| {
            self.comparison.wants_more_steps(*side, series.steps.saturating_sub(*from))
        })
    }

    /// Pushes the cases of builds that were listed, up to this many builds.
    fn push(&mut self, series: &mut Series, up_to: usize) -> Answer<()> {
        let end = up_to.min(series.builds.len());
        while series.pushed < end && !series.is_cut() {
            let left = series.builds.get(series.pushed..end).unwrap_or_default();
            let mut cases = 0;
            let fits = |build: &&Tracked| {
                cases += build.tests.total;
                cases <= CASES
            };
            let count = left.iter().take(BUILDS).take_while(fits).count().max(1);
            let some: Vec<Tracked> = left.iter().take(count).cloned().collect();
            let with_cases = some.iter().filter(|build| !build.tests.is_empty());
            let ids: Vec<BuildId> = with_cases.map(|build| build.id).collect();
            let found = match ids.is_empty() {
                true => Vec::new(),
                false => self.repository.case_list(series.project, &ids)?,
            };
            let mut found: HashMap<BuildId, Vec<Case>> = ids.into_iter().zip(found).collect();
            for build in some {
                let mut cases = found.remove(&build.id).unwrap_or_default();
                series.cases += cases.len() as u64;
                if series.project != self.subject.project.id {
                    let projects = [series.project, self.subject.project.id];
                    self.numbers.translate(self.repository, projects, &mut cases)?;
                }
                self.places.insert(build.id, (build.key.clone(), build.started));
                for (side, _) in series.places(series.pushed) {
                    self.comparison.push(side, run(&build), &cases);
                }
                series.pushed += 1;
            }
            let runs = self.comparison.runs_in_memory();
            draw(self.hold, (runs.saturating_sub(self.drawn) * RUN) as u64)?;
            self.drawn = runs;
        }
        Ok(())
    }

    /// Pushes the steps of builds whose cases were pushed, up to this many builds.
    fn push_steps(&mut self, series: &mut Series, up_to: usize) -> Answer<()> {
        let end = up_to.min(series.pushed);
        let some = series.builds.get(series.steps..end).unwrap_or_default();
        let ids: Vec<BuildId> = some.iter().map(|build| build.id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        for steps in self.repository.step_runs(series.project, &ids)? {
            for (side, nth) in series.places(series.steps) {
                self.comparison.push_steps(side, nth, &steps);
            }
            series.steps += 1;
        }
        Ok(())
    }
}

pub(super) fn run(build: &Tracked) -> Run {
    Run {
        build: build.id,
        started: build.started,
        revision: build.revision.as_deref().map(Into::into),
        host: build.host.as_deref().map(Into::into),
        is_mass_failure: is_mass_failure(&build.tests),
        is_bad_itself: is_bad_itself(build.success, build.failed_steps, &build.tests),
    }
}

/// Draws memory for a comparison.
pub(super) fn draw(hold: &Hold, bytes: u64) -> Answer<()> {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    hold.draw_blocking(Lane::Work, bytes)
        .map_err(|_| devmason_repository::Error::Busy("no memory is free".into()))
}
