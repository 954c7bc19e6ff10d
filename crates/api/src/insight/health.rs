//! The health of a track.

use std::collections::{HashMap, HashSet};

use devmason_domain::insight::{
    Asked, CELL, Class, FailureKey, History, Item, LINE, RECENT_RUNS, Since, TestHealth, WINDOW,
};
use devmason_domain::{Build, Project, TestStatus, Timestamp, Track, TrackKey, every};
use devmason_repository::{Among, Begun, KnownTrack, Repository, Result as Answer, Tracked};

use super::baseline::mainline;
use super::windows::{CASES, MOST, draw, run};
use super::{Insight, Known, Patience, Subject};
use crate::budget::Hold;

/// Number of the newest builds whose gaps say when the next one is expected.
const GAPS: usize = 11;

/// Number of the newest builds that a pulse consists of.
const BEGUN: u64 = 20;

/// When a track had builds.
pub(crate) struct Pulse {
    pub(crate) known: KnownTrack,
    pub(crate) is_mainline: bool,
    pub(crate) begun: Vec<Begun>,
    /// Whether its newest finished build succeeded.
    pub(crate) success: Option<bool>,
}

impl Pulse {
    /// The pulse of a track; `mainline` is the project's, see [`mainline_of`].
    pub(crate) fn read(
        repository: &dyn Repository,
        project: &Project,
        known: KnownTrack,
        mainline: Option<&(String, Option<bool>)>,
    ) -> Answer<Self> {
        let begun = repository.track_begun(project.id, known.track.key(), BEGUN)?;
        let is_mainline = mainline.is_some_and(|(branch, is_credited)| {
            *branch == known.track.branch
                && is_credited.is_none_or(|of| of == known.track.is_credited)
        });
        let success = match begun.iter().find_map(|build| build.success) {
            None if begun.len() as u64 == BEGUN => {
                let among = Among::Track(known.track.key());
                let newest = repository.tracked_list(project.id, &among, None, 1)?;
                newest.first().map(|build| build.success)
            }
            success => success,
        };
        Ok(Self { known, is_mainline, begun, success })
    }

    fn starts(&self) -> Vec<Timestamp> {
        self.begun.iter().take(GAPS).map(|build| build.started).collect()
    }

    /// The usual gap between starts, in seconds.
    pub(crate) fn every(&self) -> Option<f64> {
        every(&self.starts()).map(|micros| micros as f64 / 1e6)
    }

    pub(crate) fn is_overdue(&self) -> bool {
        self.is_mainline && self.known.expected.is_overdue(&self.starts(), Timestamp::now())
    }
}

/// The project's mainline, of builds with credentials if it has any, and whether it has.
pub(crate) fn mainline_of(
    repository: &dyn Repository,
    project: &Project,
) -> Answer<Option<(String, Option<bool>)>> {
    mainline(repository, project, &[true, false])
}

/// The tests of a track over its newest builds.
pub(crate) struct Tests {
    /// The newest finished builds, the newest first.
    pub(crate) builds: Vec<Tracked>,
    /// The place of the newest build that has test cases.
    pub(crate) first: usize,
    pub(crate) history: History,
}

impl Tests {
    /// The newest builds of a track, at most so many, read into an empty history.
    pub(crate) fn read(
        repository: &dyn Repository,
        project: &Project,
        (key, builds): (TrackKey, u64),
        mut history: History,
        hold: &Hold,
    ) -> Answer<Self> {
        let builds = repository.tracked_list(project.id, &Among::Track(key), None, builds)?;
        let first = builds.iter().position(|build| !build.tests.is_empty());
        let first = first.unwrap_or(builds.len());
        let (mut cases, mut drawn) = (0, 0);
        let mut left = builds.get(first..).unwrap_or_default();
        // All at once, before anything is read: who has to wait has done no work in vain.
        let total = left.iter().map(|build| build.tests.total).sum::<u64>();
        draw(hold, total.min(MOST + CASES) * CELL as u64)?;
        while !left.is_empty() && cases <= MOST {
            let mut at_once = 0;
            let fits = |build: &&Tracked| {
                at_once += build.tests.total;
                at_once <= CASES
            };
            let count = left.iter().take_while(fits).count().max(1);
            let (some, rest) = left.split_at(count.min(left.len()));
            let ids: Vec<_> = some.iter().map(|build| build.id).collect();
            for (build, of_build) in some.iter().zip(repository.case_list(project.id, &ids)?) {
                cases += of_build.len() as u64;
                history.push(run(build), &of_build);
            }
            // Most builds have the same tests.
            draw(hold, ((history.len() - drawn) * LINE) as u64)?;
            drawn = history.len();
            left = rest;
        }
        Ok(Self { builds, first, history })
    }

    /// The tests of the newest build that has any, with what is known of each.
    pub(crate) fn healths(
        &self,
        repository: &dyn Repository,
        project: &Project,
        patience: &mut Patience,
    ) -> Answer<Vec<(i64, TestHealth)>> {
        let tests = self.history.tests();
        let healths = tests.filter_map(|test| Some((test, self.history.health(test, None)?)));
        let mut healths: Vec<_> = healths.filter(|(_, health)| health.is_here).collect();
        if let Some(newest) = self.builds.get(self.first) {
            let of = (project, newest);
            settle(repository, of, &self.history, &mut healths, patience)?;
        }
        Ok(healths)
    }
}

/// Leaves out evidence of flakiness from before an issue was closed that explained a test's failures.
pub(crate) fn settle(
    repository: &dyn Repository,
    (project, newest): (&Project, &Tracked),
    history: &History,
    healths: &mut [(i64, TestHealth)],
    patience: &mut Patience,
) -> Answer<()> {
    let flaky = healths.iter().filter(|(_, health)| health.evidence.flakes() > 0);
    let failures: Vec<(i64, Option<FailureKey>)> =
        flaky.map(|(test, health)| (*test, health.failure)).collect();
    let known = Known::closed_ones(repository, project.id, &failures, newest, patience)?;
    for (test, health) in healths {
        if let Some(closed) = known.closed(&Item::Test(*test)) {
            *health = history.health(*test, Some(closed)).unwrap_or_else(|| health.clone());
        }
    }
    Ok(())
}

/// What the insight of a track's newest build says of its tests.
#[derive(Default)]
pub(crate) struct Classes {
    failures: HashMap<i64, (Class, Since)>,
    slower: HashSet<i64>,
}

impl Classes {
    pub(crate) fn new(insight: Option<&Insight>) -> Self {
        let mut classes = Self::default();
        let Some(Insight { compared, .. }) = insight else { return classes };
        for failure in &compared.failures {
            if let Item::Test(test) = failure.item {
                classes.failures.insert(test, (failure.class, failure.since));
            }
        }
        for (slow, _) in &compared.slower {
            if let Item::Test(test) = slow.item {
                classes.slower.insert(test);
            }
        }
        classes
    }

    /// The class of a test, as text.
    pub(crate) fn of(&self, test: i64, health: &TestHealth) -> &'static str {
        match self.failures.get(&test) {
            Some((class, _)) => class.as_str(),
            None if health.status.is_bad() => Class::Unknown.as_str(),
            None if health.status == TestStatus::Skipped => "skipped",
            None if health.evidence.is_flaky() => "flaky",
            None if self.slower.contains(&test) => "slower",
            None => "passed",
        }
    }

    /// Since when a test fails.
    pub(crate) fn since(&self, test: i64) -> Option<Since> {
        self.failures.get(&test).map(|(_, since)| *since)
    }
}

/// The classes of what fails in the newest build that has tests, compared with the one before it.
pub(crate) fn newest_insight(
    repository: &dyn Repository,
    project: &Project,
    tests: &Tests,
    (hold, patience): (&Hold, &mut Patience),
) -> Answer<Option<Insight>> {
    let Some(newest) = tests.builds.get(tests.first) else { return Ok(None) };
    let found: Option<Build> = repository.builds_by_id(project.id, &[newest.id])?.pop();
    let Some(build) = found else { return Ok(None) };
    let subject = Subject::of_build(project, &build);
    Ok(Insight::read(repository, subject, Some(&Asked::Previous), (hold, patience))?.ok())
}

/// What came of a test in the newest finished builds of a track that ran tests, the newest first, if the
/// first of these has it. A build that broke before its tests says nothing of them.
pub(crate) fn recent_of_test(
    repository: &dyn Repository,
    project: &Project,
    track: &Track,
    test: i64,
) -> Answer<Option<(Tracked, Vec<TestStatus>)>> {
    let among = Among::Track(track.key());
    let mut builds = repository.tracked_list(project.id, &among, None, WINDOW as u64)?;
    builds.retain(|build| !build.tests.is_empty());
    builds.truncate(RECENT_RUNS);
    let ids: Vec<_> = builds.iter().map(|build| build.id).collect();
    let mut history = History::default();
    for (build, cases) in builds.iter().zip(repository.cases_of_test(project.id, &ids, test)?) {
        history.push(run(build), &cases);
    }
    let recent = history.statuses(test, builds.len());
    let is_here = recent.first().is_some_and(Option::is_some);
    let newest = builds.into_iter().next().filter(|_| is_here);
    Ok(newest.map(|newest| (newest, recent.into_iter().flatten().collect())))
}

/// The runs of a test in a track, at most so many, from the newest build that ran tests.
pub(crate) fn runs_of_test(
    repository: &dyn Repository,
    project: &Project,
    track: &Track,
    (test, limit): (i64, u64),
) -> Answer<(Vec<Tracked>, History)> {
    let among = Among::Track(track.key());
    let mut builds = repository.tracked_list(project.id, &among, None, limit)?;
    let first = builds.iter().position(|build| !build.tests.is_empty());
    builds.drain(..first.unwrap_or(builds.len()));
    let mut history = History::default();
    for some in builds.chunks(WINDOW) {
        let ids: Vec<_> = some.iter().map(|build| build.id).collect();
        let cases = repository.cases_of_test(project.id, &ids, test)?;
        for (build, cases) in some.iter().zip(cases) {
            history.push(run(build), &cases);
        }
    }
    Ok((builds, history))
}
