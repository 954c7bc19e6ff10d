//! The health of a track.

use std::collections::HashMap;

use devmason_domain::insight::{Asked, CELL, Class, History, Item, TestHealth, WINDOW};
use devmason_domain::{Build, Project, TestStatus, Timestamp, Track, TrackKey, every};
use devmason_repository::{Among, Begun, KnownTrack, Repository, Result as Answer, Tracked};

use super::baseline::mainline;
use super::windows::{CASES, MOST, draw, run};
use super::{Insight, Patience, Subject};
use crate::budget::Hold;

/// Number of the newest builds whose gaps say when the next one is expected.
const GAPS: u64 = 11;

/// When a track had builds.
pub(crate) struct Pulse {
    pub(crate) known: KnownTrack,
    pub(crate) is_mainline: bool,
    pub(crate) begun: Vec<Begun>,
}

impl Pulse {
    /// The pulse of a track; `mainline` is the project's.
    pub(crate) fn read(
        repository: &dyn Repository,
        project: &Project,
        known: KnownTrack,
        mainline: Option<&str>,
    ) -> Answer<Self> {
        let begun = repository.track_begun(project.id, known.track.key(), GAPS)?;
        let is_mainline = mainline == Some(known.track.branch.as_str());
        Ok(Self { known, is_mainline, begun })
    }

    fn starts(&self) -> Vec<Timestamp> {
        self.begun.iter().map(|build| build.started).collect()
    }

    /// The usual gap between starts, in seconds.
    pub(crate) fn every(&self) -> Option<f64> {
        every(&self.starts()).map(|micros| micros as f64 / 1e6)
    }

    pub(crate) fn is_overdue(&self) -> bool {
        self.is_mainline && self.known.expected.is_overdue(&self.starts(), Timestamp::now())
    }
}

/// The project's mainline, of builds with credentials if it has any.
pub(crate) fn mainline_of(
    repository: &dyn Repository,
    project: &Project,
) -> Answer<Option<String>> {
    Ok(mainline(repository, project, &[true, false])?.map(|(branch, _)| branch))
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
    pub(crate) fn read(
        repository: &dyn Repository,
        project: &Project,
        key: TrackKey,
        builds: u64,
        hold: &Hold,
    ) -> Answer<Self> {
        let builds = repository.tracked_list(project.id, &Among::Track(key), None, builds)?;
        let first = builds.iter().position(|build| !build.tests.is_empty());
        let first = first.unwrap_or(builds.len());
        let (mut history, mut cases, mut drawn) = (History::default(), 0, 0);
        let mut left = builds.get(first..).unwrap_or_default();
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
            let cells = history.cells();
            draw(hold, ((cells - drawn) * CELL) as u64)?;
            drawn = cells;
            left = rest;
        }
        Ok(Self { builds, first, history })
    }

    /// The tests of the newest build that has any, with what is known of each.
    pub(crate) fn healths(&self) -> Vec<(i64, TestHealth)> {
        let tests = self.history.tests();
        let healths = tests.filter_map(|test| Some((test, self.history.health(test)?)));
        healths.filter(|(_, health)| health.is_here).collect()
    }
}

/// The class of a test in a track, as text.
pub(crate) fn class(health: &TestHealth, failure: Option<Class>) -> &'static str {
    match failure {
        Some(class) => class.as_str(),
        None if health.status == TestStatus::Skipped => "skipped",
        None if health.evidence.is_flaky() => "flaky",
        None if health.slower.is_some() => "slower",
        None => "passed",
    }
}

/// The classes of what fails in the newest build that has tests, compared with the one before it.
pub(crate) fn newest_insight(
    repository: &dyn Repository,
    project: &Project,
    tests: &Tests,
    hold: &Hold,
) -> Answer<Option<Insight>> {
    let Some(newest) = tests.builds.get(tests.first) else { return Ok(None) };
    let found: Option<Build> = repository.builds_by_id(project.id, &[newest.id])?.pop();
    let Some(build) = found else { return Ok(None) };
    let subject = Subject::of_build(project, &build);
    Ok(Insight::read(
        repository,
        subject,
        Some(&Asked::Previous),
        (hold, &mut Patience::default()),
    )?
    .ok())
}

/// The classes of failed tests, by number.
pub(crate) fn classes(insight: Option<&Insight>) -> HashMap<i64, Class> {
    let failures = insight.into_iter().flat_map(|insight| &insight.compared.failures);
    let of_test = failures.filter_map(|failure| match failure.item {
        Item::Test(test) => Some((test, failure.class)),
        Item::Step(_) | Item::Build => None,
    });
    of_test.collect()
}

/// The runs of a test in a track, at most so many.
pub(crate) fn runs_of_test(
    repository: &dyn Repository,
    project: &Project,
    track: &Track,
    (test, limit): (i64, u64),
) -> Answer<(Vec<Tracked>, History)> {
    let among = Among::Track(track.key());
    let builds = repository.tracked_list(project.id, &among, None, limit)?;
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
