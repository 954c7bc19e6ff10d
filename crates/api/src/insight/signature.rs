//! Where failures with a signature were seen.

use std::collections::{BTreeMap, HashMap};

use devmason_domain::insight::{Case, FailureKey, Item};
use devmason_domain::{Project, Signature, SignatureId, SignatureKey, TestFailure};
use devmason_repository::{Among, Repository, Result as Answer, Tracked};

use super::known::{Known, Patience, Relevant};
use super::windows::{CASES, draw};
use crate::budget::Hold;

/// Number of texts that are read at once: they may be long.
const TEXTS: usize = 50;

/// Number of builds in a page of the project's, and maximum number of those that are looked at.
const PAGE: u64 = 100;
const BUILDS: usize = 1_000;

/// Maximum number of cases and of different failures that are looked at, and of failures that are counted.
const MOST: u64 = 2 << 20;
const FAILURES: usize = 20_000;
const COUNTED: usize = 200;

/// A failure.
pub(crate) struct Sighting {
    pub(crate) build: Tracked,
    pub(crate) case: Case,
}

/// Where failures with a signature were seen.
pub(crate) struct Seen {
    pub(crate) signature: Signature,
    /// The newest first; at least one.
    pub(crate) sightings: Vec<Sighting>,
    /// Whether these are all of the project.
    pub(crate) is_whole: bool,
    /// The text of the newest.
    pub(crate) example: TestFailure,
    /// The names of the tests.
    pub(crate) names: HashMap<i64, String>,
    /// The issues that explain some of them.
    pub(crate) known: Vec<Relevant>,
}

/// A search through the project's newest failures.
struct Search<'a> {
    repository: &'a dyn Repository,
    project: &'a Project,
    id: &'a SignatureId,
    hold: &'a Hold,
    /// Memory for cases that was drawn, in bytes.
    drawn: u64,
    cases: u64,
    /// The texts that were looked at, and whether each has the signature.
    texts: HashMap<FailureKey, bool>,
    signature: Option<Signature>,
    found: Vec<Sighting>,
}

impl Search<'_> {
    fn is_over(&self) -> bool {
        self.found.len() > COUNTED || self.texts.len() > FAILURES || self.cases > MOST
    }

    /// Looks at builds; returns whether it looked at all of them.
    fn look_at(&mut self, builds: &[Tracked]) -> Answer<bool> {
        let mut left = builds;
        while !left.is_empty() {
            if self.is_over() {
                return Ok(false);
            }
            let mut cases = 0;
            let fits = |build: &&Tracked| {
                cases += build.tests.total;
                cases <= CASES
            };
            let count = left.iter().take_while(fits).count().max(1);
            let (some, rest) = left.split_at(count.min(left.len()));
            left = rest;
            let total: u64 = some.iter().map(|build| build.tests.total).sum();
            let bytes = total * size_of::<Case>() as u64;
            draw(self.hold, bytes.saturating_sub(self.drawn))?;
            self.drawn = self.drawn.max(bytes);
            self.cases += total;
            let ids: Vec<_> = some.iter().map(|build| build.id).collect();
            let mut cases = self.repository.case_list(self.project.id, &ids)?;
            for of_build in &mut cases {
                of_build.retain(|case| case.status.is_bad() && case.failure.is_some());
            }
            self.compare(cases.iter().flatten())?;
            for (build, cases) in some.iter().zip(cases) {
                let has =
                    |case: &Case| case.failure.and_then(|key| self.texts.get(&key)) == Some(&true);
                let sightings = cases
                    .into_iter()
                    .filter(has)
                    .map(|case| Sighting { build: build.clone(), case })
                    .take((COUNTED + 1).saturating_sub(self.found.len()))
                    .collect::<Vec<_>>();
                self.found.extend(sightings);
            }
        }
        Ok(true)
    }

    /// Looks at the texts of failures that are not known yet.
    fn compare<'c>(&mut self, cases: impl Iterator<Item = &'c Case>) -> Answer<()> {
        let mut new: Vec<FailureKey> = cases.filter_map(|case| case.failure).collect();
        new.sort_unstable();
        new.dedup();
        new.retain(|key| !self.texts.contains_key(key));
        new.truncate((FAILURES + 1).saturating_sub(self.texts.len()));
        for some in new.chunks(TEXTS) {
            for (key, failure) in self.repository.failure_list(self.project.id, some)? {
                let signature = Signature::of(&failure).filter(|of| of.id == self.id.as_str());
                self.texts.insert(key, signature.is_some());
                self.signature = self.signature.take().or(signature);
            }
        }
        Ok(())
    }
}

impl Seen {
    /// Seeks a signature among the newest failures of a project; `None` if none of them has it.
    pub(crate) fn read(
        repository: &dyn Repository,
        project: &Project,
        id: &SignatureId,
        hold: &Hold,
    ) -> Answer<Option<Self>> {
        let mut search = Search {
            repository,
            project,
            id,
            hold,
            drawn: 0,
            cases: 0,
            texts: HashMap::new(),
            signature: None,
            found: Vec::new(),
        };
        // While builds of an older version are being prepared, any may have it.
        let is_ready = repository.sightings_are_complete(project.id)?;
        let among =
            if is_ready { Among::Sighted(SignatureKey::of(id.as_str())) } else { Among::All };
        let (mut before, mut looked_at, mut is_whole) = (None, 0, false);
        while looked_at < BUILDS {
            let mut builds = repository.tracked_list(project.id, &among, before, PAGE)?;
            let is_last = (builds.len() as u64) < PAGE;
            before = builds.last().map(|build| build.id).or(before);
            looked_at += builds.len();
            builds.retain(|build| build.tests.failed + build.tests.error > 0);
            if !search.look_at(&builds)? || search.is_over() {
                break;
            }
            if is_last {
                is_whole = true;
                break;
            }
        }
        let Search { signature: Some(signature), found: mut sightings, .. } = search else {
            return Ok(None);
        };
        is_whole =
            is_whole && sightings.len() <= COUNTED && repository.tracks_are_complete(project.id)?;
        sightings.truncate(COUNTED);
        Self::about(repository, project, (signature, is_whole), sightings)
    }

    /// Adds names, the text of the newest failure, and the issues.
    fn about(
        repository: &dyn Repository,
        project: &Project,
        (signature, is_whole): (Signature, bool),
        sightings: Vec<Sighting>,
    ) -> Answer<Option<Self>> {
        let Some(first) = sightings.first() else { return Ok(None) };
        let Some(newest) = first.case.failure else { return Ok(None) };
        // The newest failure of each test.
        let mut of_test: BTreeMap<i64, &Sighting> = BTreeMap::new();
        for seen in sightings.iter().rev() {
            of_test.insert(seen.case.test, seen);
        }
        let tests: Vec<i64> = of_test.keys().copied().collect();
        let names = repository.test_names(project.id, &tests)?;
        let mut keys: Vec<FailureKey> =
            of_test.values().filter_map(|seen| seen.case.failure).chain([newest]).collect();
        keys.sort_unstable();
        keys.dedup();
        let (mut issues, mut patience) =
            (Known::read(repository, project.id)?, Patience::default());
        let mut example = None;
        for some in keys.chunks(TEXTS) {
            for (key, failure) in repository.failure_list(project.id, some)? {
                issues.hear((key, &failure), Some(&signature), &mut patience);
                if key == newest {
                    example = Some(failure);
                }
            }
        }
        let Some(example) = example else { return Ok(None) };
        let failures = of_test.iter().map(|(test, seen)| (Item::Test(*test), seen.case.failure));
        let of = |item: &Item| {
            let seen = match item {
                Item::Test(test) => of_test.get(test).copied(),
                Item::Step(_) | Item::Build => None,
            };
            let build = &seen.unwrap_or(first).build;
            (&build.track, build.started)
        };
        issues.explain(repository, project.id, failures, of, &mut patience)?;
        let is_whole = is_whole && patience.is_left();
        let known = issues.into_those_of(tests.into_iter().map(Item::Test));
        Ok(Some(Self { signature, is_whole, example, names, known, sightings }))
    }
}
