//! Known issues: which failures they explain.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use devmason_domain::insight::{FailureKey, Item, unexplained};
use devmason_domain::{Issue, Matcher, ProjectId, Signature, TestFailure, Timestamp, Track, said};
use devmason_repository::{Among, Error, Repository, Result as Answer, Tracked};
use uuid::Uuid;

use super::TEXTS;

/// Maximum length of a message that patterns are compared with, in characters.
const MESSAGE: usize = 2_000;

/// How long comparing failures with patterns may take: only patterns and texts that are made for it take
/// longer than a moment.
const PATIENCE: Duration = Duration::from_secs(5);

/// Number of the project's newest finished builds in which issues are sought, and of their failures.
const BUILDS: u64 = 100;
const FAILURES: usize = 20_000;

/// An issue that matters to a build.
pub(crate) struct Relevant {
    pub(crate) issue: Issue,
    /// Whether it was closed before the build started.
    pub(crate) has_returned: bool,
    matcher: Matcher,
}

impl Relevant {
    pub(crate) fn mutes(&self) -> bool {
        self.issue.details.mute && !self.has_returned
    }
}

/// Ends comparisons that take too long.
struct Deadline(Instant);

impl Deadline {
    fn new() -> Self {
        Self(Instant::now() + PATIENCE)
    }

    fn check(&self) -> Answer<()> {
        let is_over = Instant::now() > self.0;
        let cause = || "comparing failures with the patterns of issues took too long".into();
        if is_over { Err(Error::TooLong(cause())) } else { Ok(()) }
    }
}

/// The issues that matter to a build, and the failures that they explain.
pub(crate) struct Known {
    pub(crate) issues: Vec<Relevant>,
    deadline: Deadline,
    /// The places of the issues that fit each text.
    by_text: HashMap<FailureKey, Vec<usize>>,
    /// The places of the issues that explain each failure.
    by_item: HashMap<Item, Vec<usize>>,
}

impl Known {
    /// No issues.
    pub(super) fn nothing() -> Self {
        Self {
            issues: Vec::new(),
            deadline: Deadline::new(),
            by_text: HashMap::new(),
            by_item: HashMap::new(),
        }
    }

    /// The issues in force, and those that were closed before the build started.
    pub(super) fn read(
        repository: &dyn Repository,
        project: ProjectId,
        (track, started): (&Track, Timestamp),
    ) -> Answer<Self> {
        let now = Timestamp::now();
        let mut known = Self::nothing();
        for issue in repository.issues_to_compare(project)? {
            let closed = issue.details.closed_at;
            let has_returned = closed.is_some_and(|at| at.micros() < started.micros());
            let matcher = issue.details.fitting.matcher();
            if (has_returned || issue.details.is_in_force(now)) && matcher.fits_track(track) {
                known.issues.push(Relevant { issue, has_returned, matcher });
            }
        }
        Ok(known)
    }

    /// Takes the text of failures.
    pub(super) fn hear(
        &mut self,
        key: FailureKey,
        failure: &TestFailure,
        signature: Option<&Signature>,
    ) -> Answer<()> {
        if self.issues.is_empty() {
            return Ok(());
        }
        let message = message(failure);
        let id = signature.map(|signature| signature.id.as_str());
        let mut fit = Vec::new();
        for (place, Relevant { matcher, .. }) in self.issues.iter().enumerate() {
            self.deadline.check()?;
            if matcher.fits_signature(id) && matcher.fits_message(Some(message)) {
                fit.push(place);
            }
        }
        self.by_text.insert(key, fit);
        Ok(())
    }

    /// Finds the issues that explain these failures, whose texts were taken.
    pub(super) fn explain(
        &mut self,
        repository: &dyn Repository,
        project: ProjectId,
        failures: impl Iterator<Item = (Item, Option<FailureKey>)>,
    ) -> Answer<()> {
        if self.issues.is_empty() {
            return Ok(());
        }
        let failures: Vec<(Item, Option<FailureKey>)> = failures.collect();
        let wants_names = self.issues.iter().any(|of| of.matcher.wants_names());
        let without_text: Vec<usize> = (0..self.issues.len())
            .filter(|place| {
                self.issues.get(*place).is_some_and(|Relevant { matcher, .. }| {
                    matcher.fits_signature(None) && matcher.fits_message(None)
                })
            })
            .collect();
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
                let mut explained = Vec::new();
                for place in fit {
                    self.deadline.check()?;
                    let of = self.issues.get(*place);
                    if of.is_some_and(|of| of.matcher.fits_name(name)) {
                        explained.push(*place);
                    }
                }
                if !explained.is_empty() {
                    self.by_item.insert(item.clone(), explained);
                }
            }
        }
        Ok(())
    }

    /// The issues that explain a failure.
    pub(crate) fn of(&self, item: &Item) -> impl Iterator<Item = &Relevant> {
        let places = self.by_item.get(item).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|place| self.issues.get(*place))
    }

    /// Whether an issue mutes a failure.
    pub(crate) fn mutes(&self, item: &Item) -> bool {
        self.of(item).any(Relevant::mutes)
    }

    /// When the last issue that explained a failure was closed.
    pub(super) fn closed(&self, item: &Item) -> Option<Timestamp> {
        self.of(item).filter_map(|of| of.issue.details.closed_at).max()
    }
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
    let (mut left, deadline) = (FAILURES, Deadline::new());
    let mut sought: Vec<(Uuid, Matcher)> =
        issues.iter().map(|issue| (issue.id, issue.details.fitting.matcher())).collect();
    if sought.is_empty() {
        return Ok(seen);
    }
    let builds = repository.tracked_list(project, &Among::All, None, BUILDS)?;
    let is_bad = |build: &Tracked| !build.success || build.tests.failed + build.tests.error > 0;
    for build in builds.into_iter().filter(is_bad) {
        let failures = failures(repository, project, &build)?;
        for (id, matcher) in &sought {
            if !matcher.fits_track(&build.track) {
                continue;
            }
            for Failed { name, message, signature } in failures.iter().take(left) {
                deadline.check()?;
                if matcher.fits_signature(signature.as_deref())
                    && matcher.fits_name(Some(name))
                    && matcher.fits_message(message.as_deref())
                {
                    seen.insert(*id, build.clone());
                    break;
                }
            }
        }
        sought.retain(|(id, _)| !seen.contains_key(id));
        left = left.saturating_sub(failures.len());
        if sought.is_empty() || left == 0 {
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

/// The failed tests and steps of a build.
fn failures(
    repository: &dyn Repository,
    project: ProjectId,
    build: &Tracked,
) -> Answer<Vec<Failed>> {
    let mut found = Vec::new();
    let cases = repository.case_list(project, &[build.id])?.pop().unwrap_or_default();
    let bad: Vec<_> =
        cases.into_iter().filter(|case| case.status.is_bad()).take(FAILURES).collect();
    for some in bad.chunks(TEXTS) {
        let tests: Vec<i64> = some.iter().map(|case| case.test).collect();
        let names = repository.test_names(project, &tests)?;
        let mut keys: Vec<FailureKey> = some.iter().filter_map(|case| case.failure).collect();
        keys.sort_unstable();
        keys.dedup();
        let texts: HashMap<_, _> = repository
            .failure_list(project, &keys)?
            .into_iter()
            .map(|(key, failure)| {
                let signature = Signature::of(&failure).map(|signature| signature.id);
                (key, (message(&failure).to_owned(), signature))
            })
            .collect();
        for case in some {
            let text = case.failure.and_then(|key| texts.get(&key));
            let message = text.map(|(message, _)| message.clone());
            let signature = text.and_then(|(_, signature)| signature.clone());
            let name = names.get(&case.test).cloned().unwrap_or_default();
            found.push(Failed { name, message, signature });
        }
    }
    let steps = repository.step_runs(project, &[build.id])?.pop().unwrap_or_default();
    let failed = unexplained(&steps).into_iter().filter(|step| !step.success);
    found.extend(failed.map(|step| Failed {
        name: step.name.clone(),
        message: None,
        signature: None,
    }));
    Ok(found)
}
