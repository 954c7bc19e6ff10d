//! Known issues: which failures they explain.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use devmason_domain::insight::{Case, FailureKey, Item, unexplained};
use devmason_domain::{Issue, Matcher, ProjectId, Signature, TestFailure, Timestamp, Track, said};
use devmason_repository::{Among, Repository, Result as Answer, Tracked};
use uuid::Uuid;

use super::TEXTS;

/// Maximum length of a message that patterns are compared with, in characters.
const MESSAGE: usize = 2_000;

/// How long failures are compared with patterns: only what is made for it takes longer than a moment.
/// Whatever is left then is explained by no issue, and the insight says that it is not complete.
const PATIENCE: Duration = Duration::from_secs(3);

/// Maximum number of issues that a failure names.
const KNOWN: usize = 10;

/// Number of the project's newest finished builds in which issues are sought, and of their failures.
const BUILDS: u64 = 100;
const FAILURES: usize = 20_000;

/// An issue that may matter: one in force, or a closed one.
pub(crate) struct Relevant {
    pub(crate) issue: Issue,
    matcher: Matcher,
}

impl Relevant {
    /// Whether it was closed: where it is told all the same, the failure came back.
    pub(crate) fn has_returned(&self) -> bool {
        self.issue.details.closed_at.is_some()
    }

    fn mutes(&self) -> bool {
        self.issue.details.mute && !self.has_returned()
    }

    /// Whether it matters to a build of this track that started then.
    fn matters(&self, track: &Track, started: Timestamp) -> bool {
        let closed = self.issue.details.closed_at;
        closed.is_none_or(|at| at.micros() < started.micros()) && self.matcher.fits_track(track)
    }
}

/// How long patterns were compared with failures, for one request.
#[derive(Default)]
pub(crate) struct Patience {
    spent: Duration,
    is_over: bool,
}

impl Patience {
    /// Whether everything was compared.
    pub(super) fn is_left(&self) -> bool {
        !self.is_over
    }

    /// Whether a pattern fits; none does once comparing took too long.
    fn fits(&mut self, compare: impl FnOnce() -> bool) -> bool {
        if self.is_over {
            return false;
        }
        let start = Instant::now();
        let fits = compare();
        self.spent += start.elapsed();
        self.is_over = self.spent > PATIENCE;
        fits
    }
}

/// What the issues say of a failure.
#[derive(Default)]
struct Explained {
    /// The places of the first of them, those that mute before others.
    shown: Vec<u16>,
    is_muted: bool,
    /// When the last of them was closed.
    closed: Option<Timestamp>,
}

/// The issues that matter to a build, and the failures that they explain.
#[derive(Default)]
pub(crate) struct Known {
    /// Those that mute come first.
    issues: Vec<Relevant>,
    /// The places of the issues that fit each text. Most texts share one of a few sets.
    by_text: HashMap<FailureKey, Arc<[u16]>>,
    sets: HashSet<Arc<[u16]>>,
    by_item: HashMap<Item, Explained>,
}

impl Known {
    /// The issues in force, and closed ones.
    pub(super) fn read(repository: &dyn Repository, project: ProjectId) -> Answer<Self> {
        let now = Timestamp::now();
        let mut known = Self::default();
        for issue in repository.issues_to_compare(project)? {
            if issue.details.closed_at.is_some() || issue.details.is_in_force(now) {
                let matcher = issue.details.fitting.matcher();
                known.issues.push(Relevant { issue, matcher });
            }
        }
        known.issues.sort_by_key(|of| !of.mutes());
        Ok(known)
    }

    /// The closed issues, and which of these tests they explain. The failures are of the track of the
    /// newest build, whatever build each is from.
    pub(super) fn closed_ones(
        repository: &dyn Repository,
        project: ProjectId,
        failures: &[(i64, Option<FailureKey>)],
        newest: &Tracked,
        patience: &mut Patience,
    ) -> Answer<Self> {
        let mut known = Self::read(repository, project)?;
        known.issues.retain(Relevant::has_returned);
        if known.issues.is_empty() {
            return Ok(known);
        }
        let keys: Vec<FailureKey> = failures.iter().filter_map(|(_, text)| *text).collect();
        for some in keys.chunks(TEXTS) {
            for (key, failure) in repository.failure_list(project, some)? {
                known.hear((key, &failure), Signature::of(&failure).as_ref(), patience);
            }
        }
        let items = failures.iter().map(|(test, text)| (Item::Test(*test), *text));
        let of = |_: &Item| (&newest.track, newest.started);
        known.explain(repository, project, items, of, patience)?;
        Ok(known)
    }

    /// The places of the issues that fit.
    fn fitting(
        issues: &[Relevant],
        patience: &mut Patience,
        fits: impl Fn(&Matcher) -> bool,
    ) -> Vec<u16> {
        let places = (0..=u16::MAX).zip(issues);
        places
            .filter(|(_, of)| patience.fits(|| fits(&of.matcher)))
            .map(|(place, _)| place)
            .collect()
    }

    /// Takes the text of failures.
    pub(super) fn hear(
        &mut self,
        (key, failure): (FailureKey, &TestFailure),
        signature: Option<&Signature>,
        patience: &mut Patience,
    ) {
        if self.issues.is_empty() {
            return;
        }
        let message = message(failure);
        let id = signature.map(|signature| signature.id.as_str());
        let fit = Self::fitting(&self.issues, patience, |matcher| {
            matcher.fits_signature(id) && matcher.fits_message(Some(message))
        });
        let set = match self.sets.get(fit.as_slice()) {
            Some(known) => known.clone(),
            None => {
                let set: Arc<[u16]> = fit.into();
                self.sets.insert(set.clone());
                set
            }
        };
        self.by_text.insert(key, set);
    }

    /// Finds the issues that explain these failures, whose texts were taken. `of` has the track and the
    /// start of the build that each is from.
    pub(super) fn explain<'a>(
        &mut self,
        repository: &dyn Repository,
        project: ProjectId,
        failures: impl Iterator<Item = (Item, Option<FailureKey>)>,
        of: impl Fn(&Item) -> (&'a Track, Timestamp),
        patience: &mut Patience,
    ) -> Answer<()> {
        if self.issues.is_empty() {
            return Ok(());
        }
        let wants_names = self.issues.iter().any(|of| of.matcher.wants_names());
        let without_text: Arc<[u16]> = Self::fitting(&self.issues, patience, |matcher| {
            matcher.fits_signature(None) && matcher.fits_message(None)
        })
        .into();
        let failures: Vec<(Item, Option<FailureKey>)> = failures.collect();
        for some in failures.chunks(TEXTS) {
            let tests = some.iter().filter_map(|(item, _)| match item {
                Item::Test(test) => Some(*test),
                Item::Step(_) | Item::Build => None,
            });
            let names = match wants_names {
                true => repository.test_names(project, &tests.collect::<Vec<_>>())?,
                false => HashMap::new(),
            };
            for (item, text) in some {
                let name = match item {
                    Item::Test(test) => names.get(test).map(String::as_str),
                    Item::Step(name) => Some(name.as_str()),
                    Item::Build => None,
                };
                let fit = text.and_then(|key| self.by_text.get(&key)).unwrap_or(&without_text);
                let explained = explained(&self.issues, patience, fit, (name, of(item)));
                if !explained.shown.is_empty() {
                    self.by_item.insert(item.clone(), explained);
                }
            }
        }
        Ok(())
    }

    /// The issues that explain a failure, those that mute it first; at most [`KNOWN`].
    pub(crate) fn of(&self, item: &Item) -> impl Iterator<Item = &Relevant> {
        let shown = self.by_item.get(item).map(|explained| explained.shown.as_slice());
        let places = shown.unwrap_or_default().iter();
        places.filter_map(|place| self.issues.get(usize::from(*place)))
    }

    /// The issues that explain any of these failures, at most [`KNOWN`].
    pub(super) fn into_those_of(self, items: impl Iterator<Item = Item>) -> Vec<Relevant> {
        let explained = items.filter_map(|item| self.by_item.get(&item));
        let places: BTreeSet<u16> =
            explained.flat_map(|explained| explained.shown.iter().copied()).collect();
        let issues = (0..=u16::MAX).zip(self.issues);
        let those = issues.filter(|(place, _)| places.contains(place)).map(|(_, issue)| issue);
        those.take(KNOWN).collect()
    }

    /// Whether an issue mutes a failure.
    pub(crate) fn mutes(&self, item: &Item) -> bool {
        self.by_item.get(item).is_some_and(|explained| explained.is_muted)
    }

    /// When the last issue that explained a failure was closed.
    pub(super) fn closed(&self, item: &Item) -> Option<Timestamp> {
        self.by_item.get(item)?.closed
    }
}

/// What the issues say of a failure with this name, of those that fit its text.
fn explained(
    issues: &[Relevant],
    patience: &mut Patience,
    fit: &[u16],
    (name, (track, started)): (Option<&str>, (&Track, Timestamp)),
) -> Explained {
    let mut explained = Explained::default();
    for place in fit {
        let Some(of) = issues.get(usize::from(*place)) else { continue };
        if !patience.fits(|| of.matters(track, started) && of.matcher.fits_name(name)) {
            continue;
        }
        explained.is_muted |= of.mutes();
        explained.closed = explained.closed.max(of.issue.details.closed_at);
        if explained.shown.len() < KNOWN {
            explained.shown.push(*place);
        }
    }
    explained
}

/// What a failure says, as far as patterns are compared with it.
fn message(failure: &TestFailure) -> &str {
    let text = said(failure).trim();
    let end = text.char_indices().nth(MESSAGE).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or_default()
}

/// The newest build, among the project's newest finished ones, in which each issue fits a failure.
pub(crate) fn last_seen(
    repository: &dyn Repository,
    project: ProjectId,
    issues: &[Issue],
) -> Answer<HashMap<Uuid, Tracked>> {
    let mut seen = HashMap::new();
    let mut sought: Vec<(Uuid, Matcher)> =
        issues.iter().map(|issue| (issue.id, issue.details.fitting.matcher())).collect();
    if sought.is_empty() {
        return Ok(seen);
    }
    let (mut left, mut patience) = (FAILURES, Patience::default());
    let builds = repository.tracked_list(project, &Among::All, None, BUILDS)?;
    let is_bad = |build: &Tracked| !build.success || build.tests.failed + build.tests.error > 0;
    for build in builds.into_iter().filter(is_bad) {
        let mut of_build: Vec<&(Uuid, Matcher)> =
            sought.iter().filter(|(_, matcher)| matcher.fits_track(&build.track)).collect();
        let mut look = |failures: &[Failed]| {
            left = left.saturating_sub(failures.len());
            of_build.retain(|(id, matcher)| {
                let found = patience.fits(|| failures.iter().any(|failed| failed.fits(matcher)));
                if found {
                    seen.insert(*id, build.clone());
                }
                !found
            });
            left > 0 && !patience.is_over && !of_build.is_empty()
        };
        look_at(repository, project, &build, &mut look)?;
        sought.retain(|(id, _)| !seen.contains_key(id));
        if sought.is_empty() || left == 0 || patience.is_over {
            break;
        }
    }
    Ok(seen)
}

/// A failed test or step.
struct Failed {
    name: String,
    message: Option<String>,
    signature: Option<String>,
}

impl Failed {
    fn fits(&self, matcher: &Matcher) -> bool {
        matcher.fits_signature(self.signature.as_deref())
            && matcher.fits_name(Some(&self.name))
            && matcher.fits_message(self.message.as_deref())
    }
}

/// Shows the failed tests and steps of a build, some at a time, as long as more are wanted.
fn look_at(
    repository: &dyn Repository,
    project: ProjectId,
    build: &Tracked,
    look: &mut impl FnMut(&[Failed]) -> bool,
) -> Answer<()> {
    let steps = repository.step_runs(project, &[build.id])?.pop().unwrap_or_default();
    let failed = unexplained(&steps).into_iter().filter(|step| !step.success);
    let steps: Vec<Failed> = failed
        .map(|step| Failed { name: step.name.clone(), message: None, signature: None })
        .collect();
    if !look(&steps) || build.tests.is_empty() {
        return Ok(());
    }
    let cases = repository.case_list(project, &[build.id])?.pop().unwrap_or_default();
    let bad: Vec<Case> = cases.into_iter().filter(|case| case.status.is_bad()).collect();
    for some in bad.chunks(TEXTS) {
        let tests: Vec<i64> = some.iter().map(|case| case.test).collect();
        let names = repository.test_names(project, &tests)?;
        let mut keys: Vec<FailureKey> = some.iter().filter_map(|case| case.failure).collect();
        keys.sort_unstable();
        keys.dedup();
        let texts = repository.failure_list(project, &keys)?;
        let failed = some.iter().map(|case| {
            let text = case.failure.and_then(|key| texts.get(&key));
            Failed {
                name: names.get(&case.test).cloned().unwrap_or_default(),
                message: text.map(|failure| message(failure).to_owned()),
                signature: text.and_then(Signature::of).map(|signature| signature.id),
            }
        });
        if !look(&failed.collect::<Vec<_>>()) {
            break;
        }
    }
    Ok(())
}
