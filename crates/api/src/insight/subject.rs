//! What is asked about: a build, or the builds of a commit and variant as one.

use std::collections::HashMap;

use devmason_domain::insight::{Comparison, Item, Looked, Merged, Part, is_bad_itself};
use devmason_domain::{Build, BuildKey, Origin, Outcome, Project, State, Timestamp};
use devmason_repository::{Beyond, Repository, Result as Answer, Tracked};

use super::baseline::Found;

/// What is asked about.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) project: &'a Project,
    /// The build, or the newest of them.
    pub(crate) build: &'a Build,
    /// All of them, the oldest first, if the question is about a commit.
    pub(crate) of_commit: Option<&'a [Build]>,
}

/// The builds of a commit and variant as one.
#[derive(Default)]
pub(crate) struct Together {
    /// The build that each failure is from.
    pub(crate) builds: HashMap<Item, BuildKey>,
    /// Its place among the builds, and the number of cases and steps of those before it.
    pub(super) places: HashMap<Item, (usize, u32)>,
    /// The builds of which nothing counts any more.
    pub(crate) superseded: Vec<BuildKey>,
    /// The tests that pass after a failure in an earlier build.
    pub(crate) reran: Vec<i64>,
}

/// How long before a build's start its failures count in other projects, in microseconds: 14 days.
const BEYOND: i64 = 14 * 86_400 * 1_000_000;

impl<'a> Subject<'a> {
    /// Which failures in other projects count.
    pub(crate) fn beyond(&self) -> Beyond {
        let since = self.build.started.micros().saturating_sub(BEYOND);
        Beyond {
            project: self.project.id,
            since: Timestamp::from_parts(since, 0),
            is_credited: self.build.track.as_ref().is_some_and(|track| track.is_credited),
        }
    }

    pub(crate) fn of_build(project: &'a Project, build: &'a Build) -> Self {
        Self { project, build, of_commit: None }
    }

    pub(super) fn builds(&self) -> &'a [Build] {
        self.of_commit.unwrap_or(std::slice::from_ref(self.build))
    }

    /// The build that a failure is from.
    pub(super) fn build_of(&self, together: &Together, item: &Item) -> &'a Build {
        let place = together.places.get(item).map(|(place, _)| *place);
        place.and_then(|place| self.builds().get(place)).unwrap_or(self.build)
    }

    /// Whether a build is part of what is asked about, and so no evidence.
    pub(super) fn is_own(&self, build: &Tracked) -> bool {
        let is_of_commit = self.of_commit.is_some() && build.revision == self.build.revision;
        build.id == self.build.id || is_of_commit
    }

    /// Number of its test cases.
    pub(super) fn cases(&self) -> u64 {
        self.builds().iter().map(|build| build.tests.total).sum()
    }

    pub(super) fn is_running(&self) -> bool {
        self.builds().iter().any(|build| build.outcome.state() == State::Running)
    }

    /// Whether only a part of the tests ran.
    pub(super) fn is_partial(&self) -> bool {
        self.builds().iter().all(|build| Origin::from(&build.client).is_partial)
    }

    /// A comparison that no other build was pushed to yet.
    pub(super) fn begun(
        &self,
        repository: &dyn Repository,
        baseline: Option<&Found>,
    ) -> Answer<(Comparison, Together)> {
        let mut parts = Vec::new();
        for build in self.builds() {
            parts.push(part(repository, build)?);
        }
        let is_same = |found: &Found| {
            found.project.id == self.project.id
                && self.build.track.as_ref() == Some(&found.build.track)
        };
        let looked = Looked {
            build: self.build.id,
            started: self.build.started,
            host: self.build.client.host_key().map(Into::into),
            is_running: self.is_running(),
            is_partial: self.is_partial(),
            is_bad_itself: false,
            has_baseline: baseline.is_some(),
            is_same_project: baseline.is_some_and(|found| found.project.id == self.project.id),
            is_same_track: baseline.is_some_and(is_same),
        };
        if let (None, [part]) = (self.of_commit, parts.as_slice()) {
            let looked = Looked { is_bad_itself: part.is_bad_itself, ..looked };
            let comparison = Comparison::new(looked, &part.cases, &part.steps);
            return Ok((comparison, Together::default()));
        }
        // Positions of different builds must not be equal, or their order would be that of arrival.
        let (mut offsets, mut offset) = (Vec::with_capacity(parts.len()), 0u32);
        for part in &mut parts {
            offsets.push(offset);
            part.cases
                .iter_mut()
                .for_each(|case| case.position = case.position.saturating_add(offset));
            part.steps
                .iter_mut()
                .for_each(|step| step.position = step.position.saturating_add(offset));
            let count = part.cases.len().max(part.steps.len());
            offset = offset.saturating_add(u32::try_from(count).unwrap_or(u32::MAX / 2));
        }
        let merged = Merged::of(&parts);
        let looked = Looked { is_bad_itself: merged.is_bad_itself, ..looked };
        let mut comparison = Comparison::new(looked, &merged.cases, &merged.steps);
        comparison.rerun(&merged.reran);
        let hosts = merged.places.iter().map(|(item, place)| {
            let host = self.builds().get(*place).and_then(|build| build.client.host_key());
            (item.clone(), host.map(Into::into))
        });
        comparison.on_hosts(hosts.collect());
        let key = |place: usize| self.builds().get(place).map(Build::key);
        let places = || merged.places.iter().map(|(item, place)| (item.clone(), *place));
        let offset = |place: usize| offsets.get(place).copied().unwrap_or(0);
        let together = Together {
            builds: places().filter_map(|(item, place)| Some((item, key(place)?))).collect(),
            places: places().map(|(item, place)| (item, (place, offset(place)))).collect(),
            superseded: merged.superseded.into_iter().filter_map(key).collect(),
            reran: merged.reran,
        };
        Ok((comparison, together))
    }
}

fn part(repository: &dyn Repository, build: &Build) -> Answer<Part> {
    let (success, finished) = match build.outcome {
        Outcome::Running => (true, None),
        Outcome::Finished { success, finished } => (success, Some(finished)),
    };
    let of_it = [build.id];
    let cases = match build.tests.is_empty() {
        true => Vec::new(),
        false => repository.case_list(build.project, &of_it)?.pop().unwrap_or_default(),
    };
    let steps = match build.steps {
        0 => Vec::new(),
        _ => repository.step_runs(build.project, &of_it)?.pop().unwrap_or_default(),
    };
    // Of very many steps, the first are read. Whatever failed behind them must not go unseen.
    let failed = steps.iter().filter(|step| !step.success).count();
    let failed = u32::try_from(failed).unwrap_or(u32::MAX);
    Ok(Part {
        started: build.started,
        finished,
        success,
        is_bad_itself: is_bad_itself(success, build.failed_steps, &build.tests)
            || (!success && build.failed_steps > failed),
        cases,
        steps,
    })
}
