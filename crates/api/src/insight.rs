//! The insight of a build: its failures, compared with a baseline.

mod baseline;
mod branch;
mod health;
mod known;
mod others;
mod signature;
mod subject;
mod windows;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use devmason_domain::gate::{Limit, Rule, Verdict};
use devmason_domain::insight::{Answer as Compared, Asked, Class, Failure, FailureKey, Item, Side};
use devmason_domain::{
    Build, BuildId, Digest, Project, ProjectId, Signature, SignatureKey, TestFailure, Timestamp,
    said,
};
use devmason_repository::{Beyond, Repository, Result as Answer, Scope, Shared};

use baseline::Search;
pub(crate) use baseline::{Baseline, Found, Refused};
pub(crate) use branch::{BranchFilter, Shown, newest, newest_of};
pub(crate) use health::{
    Classes, Pulse, Tests, mainline_of, newest_insight, recent_of_test, runs_of_test, settle,
};
pub(crate) use known::{Known, Patience, Relevant, last_seen};
pub(crate) use others::Other;
pub(crate) use signature::Seen;
pub(crate) use subject::{Subject, Together};
use windows::{Place, Windows, draw};

use crate::budget::Hold;

/// Memory for a test that is compared, and for a case of those that are read at once, in bytes.
const TEST: u64 = 400;
const CASES: u64 = 8 << 20;

/// Maximum number of different texts that get a signature: it takes some 20 µs.
const SIGNATURES: usize = 200_000;

/// Number of failures whose texts are read at once.
const TEXTS: usize = 500;

/// Number of signatures of builds that are sought in other projects.
const STAMPED: usize = 100;

/// Maximum length of a failure's message, in characters.
const MESSAGE: usize = 300;

/// What is said of a build, or of the builds of a commit and variant.
pub(crate) struct Insight {
    /// Whether it still runs.
    pub(crate) is_running: bool,
    /// Whether a test that it lacks is missing.
    pub(crate) may_miss: bool,
    pub(crate) baseline: Baseline,
    pub(crate) compared: Compared<Arc<Signature>>,
    pub(crate) together: Together,
    /// The ids of the builds that were looked at.
    pub(crate) places: HashMap<BuildId, Place>,
    /// The other tracks that were looked at.
    pub(crate) others: Vec<Other>,
    /// The issues that explain its failures.
    pub(crate) known: Known,
    /// Number of builds before the baseline that were looked at.
    pub(crate) window: usize,
    /// Number of cases of other builds that were looked at.
    pub(crate) cases: u64,
    /// Whether all builds have their tracks, and none were left out for their size.
    pub(crate) is_complete: bool,
    /// Names of tests that only the baseline's project has.
    lacking: HashMap<i64, String>,
}

impl Insight {
    /// The insight of a build or a commit, or why the baseline that was asked for cannot be used.
    pub(crate) fn read(
        repository: &dyn Repository,
        subject: Subject<'_>,
        asked: Option<&Asked>,
        (hold, patience): (&Hold, &mut Patience),
    ) -> Answer<Result<Self, Refused>> {
        let Subject { project, build, .. } = subject;
        draw(hold, subject.cases() * TEST + CASES)?;
        let Some(track) = &build.track else {
            return Self::unprepared(repository, subject).map(Ok);
        };
        let is_of_commit = subject.of_commit.is_some();
        let search = Search { repository, project, build, track, is_of_commit };
        let baseline = match search.baseline(asked)? {
            Ok(baseline) => baseline,
            Err(refused) => return Ok(Err(refused)),
        };
        let found = baseline.found.as_ref().ok();
        draw(hold, found.map_or(0, |found| found.build.tests.total) * TEST)?;
        let (comparison, together) = subject.begun(repository, found)?;
        let mut windows = Windows::read(repository, (subject, track), comparison, found, hold)?;
        let others = others::read(repository, (subject, track), &mut windows.comparison)?;
        let mut keys = windows.comparison.failure_keys();
        keys.truncate(SIGNATURES);
        let other = found.map(|found| found.project.id).filter(|id| *id != project.id);
        let mut issues = Known::read(repository, project.id)?;
        let mut signatures = HashMap::with_capacity(keys.len());
        let mut known: HashMap<Signature, Arc<Signature>> = HashMap::new();
        for of in [Some(project.id), other].into_iter().flatten() {
            for some in keys.chunks(TEXTS) {
                for (key, failure) in repository.failure_list(of, some)? {
                    let signature = Signature::of(&failure);
                    issues.hear((key, &failure), signature.as_ref(), patience);
                    if let Some(signature) = signature {
                        let shared = known
                            .entry(signature)
                            .or_insert_with_key(|signature| Arc::new(signature.clone()));
                        signatures.insert(key, shared.clone());
                    }
                }
            }
        }
        let failures = windows.comparison.of_interest();
        let of = |item: &Item| {
            let build = subject.build_of(&together, item);
            (build.track.as_ref().unwrap_or(track), build.started)
        };
        issues.explain(repository, project.id, failures, of, patience)?;
        let mut compared = windows.comparison.answer(
            &signatures,
            |side: Side| windows.is_whole(side),
            |item| issues.closed(item),
        );
        for failure in &mut compared.failures {
            // What began in what is asked about began in the build that the failure is from.
            let own = subject.build_of(&together, &failure.item).id;
            for began in [&mut failure.since.build, &mut failure.first_seen] {
                if *began == build.id {
                    *began = own;
                }
            }
            let offset = together.places.get(&failure.item).map_or(0, |(_, offset)| *offset);
            failure.position = failure.position.saturating_sub(offset);
        }
        let (window, is_cut) = windows.window();
        let mut is_complete =
            !is_cut && patience.is_left() && repository.tracks_are_complete(project.id)?;
        if let Some(other) = other {
            is_complete = is_complete && repository.tracks_are_complete(other)?;
        }
        Ok(Ok(Self {
            is_running: subject.is_running(),
            may_miss: !subject.is_running() && !subject.is_partial(),
            baseline,
            compared,
            together,
            cases: windows.cases(),
            places: windows.places,
            others,
            known: issues,
            window,
            is_complete,
            lacking: windows.numbers.lacking,
        }))
    }

    /// The insight of a build that has no track yet.
    fn unprepared(repository: &dyn Repository, subject: Subject<'_>) -> Answer<Self> {
        let build = subject.build;
        let reason = "the build is still being prepared after the server's update".to_owned();
        let (comparison, together) = subject.begun(repository, None)?;
        Ok(Self {
            is_running: subject.is_running(),
            may_miss: !subject.is_running() && !subject.is_partial(),
            baseline: Baseline { used: None, found: Err(reason) },
            together,
            compared: comparison.answer(&HashMap::new(), |_| true, |_| None),
            places: HashMap::from([(build.id, (build.key(), build.started))]),
            others: Vec::new(),
            known: Known::default(),
            window: 0,
            cases: 0,
            is_complete: false,
            lacking: HashMap::new(),
        })
    }

    /// The full names of tests.
    pub(crate) fn names(
        &self,
        repository: &dyn Repository,
        project: &Project,
        tests: impl Iterator<Item = i64>,
    ) -> Answer<HashMap<i64, String>> {
        let (own, lacking): (Vec<i64>, Vec<i64>) = tests.partition(|test| *test >= 0);
        let mut names = repository.test_names(project.id, &own)?;
        let named = |test: i64| Some((test, self.lacking.get(&test)?.clone()));
        names.extend(lacking.into_iter().filter_map(named));
        Ok(names)
    }

    /// Number of failures that an issue mutes.
    pub(crate) fn muted(&self) -> u64 {
        let muted = self.compared.failures.iter().filter(|failure| self.known.mutes(&failure.item));
        muted.count() as u64
    }

    fn unmuted(&self, class: Class) -> u64 {
        let counts =
            |failure: &&Failure<_>| failure.class == class && !self.known.mutes(&failure.item);
        self.compared.failures.iter().filter(counts).count() as u64
    }

    /// The number that a rule counts.
    pub(crate) fn count(&self, rule: Rule) -> u64 {
        match rule {
            Rule::New => self.unmuted(Class::New),
            Rule::Unknown => self.unmuted(Class::Unknown),
            Rule::Failing => self.unmuted(Class::Failing),
            Rule::Flaky => self.unmuted(Class::Flaky),
            Rule::Missing => self.compared.missing_tests(),
            Rule::NewFlaky => self.compared.new_flaky.len() as u64,
            Rule::Skipped => self.compared.skipped.len() as u64,
            Rule::Slower => self.compared.slower.len() as u64,
            // A build says nothing about other variants.
            Rule::Variants => 0,
        }
    }

    /// What a gate with these limits says, and the rules that are exceeded.
    pub(crate) fn verdict(&self, limits: &[(Rule, Limit)]) -> (Verdict, Vec<(Rule, Limit, u64)>) {
        let ran = self.compared.ran_before;
        let exceeded: Vec<(Rule, Limit, u64)> = limits
            .iter()
            .map(|(rule, limit)| (*rule, *limit, self.count(*rule)))
            .filter(|(_, limit, count)| limit.is_exceeded(*count, ran))
            .collect();
        let verdict = match (exceeded.is_empty(), self.is_running) {
            (false, _) => Verdict::Fail,
            (true, true) => Verdict::Undecided,
            (true, false) => Verdict::Pass,
        };
        (verdict, exceeded)
    }

    /// Why a rule is exceeded, in words.
    pub(crate) fn reason(&self, rule: Rule, count: u64) -> String {
        let than = match &self.baseline.found {
            Ok(Found { build, .. }) if build.track.branch.is_empty() => build.key.to_string(),
            Ok(Found { build, .. }) => format!("{} of {}", build.key, build.track.branch),
            Err(reason) => format!("any baseline: {reason}"),
        };
        let many = |one: &str, many: &str| match count {
            1 => format!("1 {one}"),
            _ => format!("{count} {many}"),
        };
        match rule {
            Rule::New => many("failure is new", "failures are new") + &format!(" since {than}"),
            Rule::Unknown => many("failure", "failures") + &format!(" without {than}"),
            Rule::Missing => {
                many("test", "tests")
                    + &format!(" that ran before are missing, compared with {than}")
            }
            Rule::Failing => many("failure was", "failures were") + &format!(" there in {than}"),
            Rule::Flaky => many("flaky test fails", "flaky tests fail"),
            Rule::NewFlaky => many("test became flaky", "tests became flaky"),
            Rule::Skipped => {
                many("test was", "tests were") + &format!(" skipped that ran in {than}")
            }
            Rule::Slower => many("test became slower", "tests became slower"),
            Rule::Variants => many("variant is missing", "variants are missing"),
        }
    }
}

/// What the insights of a project's builds depend on: changes of its builds and issues, and which issues
/// are in force now.
pub(crate) fn stamp(repository: &dyn Repository, project: ProjectId) -> Answer<String> {
    let changes = repository.build_tally(&Scope::Project(project))?.changes;
    let in_force = repository.issues_in_force(project, Timestamp::now())?;
    Ok(format!("{changes} {in_force}"))
}

/// What other projects have of some signatures.
#[derive(Default)]
pub(crate) struct SeenBeyond(HashMap<SignatureKey, Vec<Shared>>);

impl SeenBeyond {
    /// Of these signatures.
    pub(crate) fn of(
        repository: &dyn Repository,
        signatures: Vec<SignatureKey>,
        of: Beyond,
    ) -> Answer<Self> {
        let seen = repository.seen_beyond(&signatures, of)?;
        Ok(Self(signatures.into_iter().zip(seen).filter(|(_, seen)| !seen.is_empty()).collect()))
    }

    /// Of a signature.
    pub(crate) fn get(&self, signature: SignatureKey) -> &[Shared] {
        self.0.get(&signature).map_or(&[], Vec::as_slice)
    }

    /// A part of an ETag.
    pub(crate) fn stamp(&self) -> String {
        let mut all: Vec<String> = self
            .0
            .iter()
            .flat_map(|(SignatureKey(key), seen)| seen.iter().map(move |of| (key, of)))
            .map(|(key, of)| format!("{key} {} {} {}", of.project, of.build, of.started.micros()))
            .collect();
        all.sort_unstable();
        Digest::of_parts(&all).short()
    }
}

/// What other projects have of the failures of builds, the newest first, of which the first hundred
/// signatures count.
pub(crate) fn seen_beyond(
    repository: &dyn Repository,
    project: &Project,
    builds: &[Build],
) -> Answer<SeenBeyond> {
    let Some(newest) = builds.first() else { return Ok(SeenBeyond::default()) };
    let of = Subject::of_build(project, newest).beyond();
    let mut signatures = BTreeSet::new();
    for build in builds.iter().filter(|build| build.tests.failed + build.tests.error > 0) {
        if signatures.len() < STAMPED {
            let found = repository.build_signatures(of.project, build.id, STAMPED as u64)?;
            signatures.extend(found);
        }
    }
    SeenBeyond::of(repository, signatures.into_iter().take(STAMPED).collect(), of)
}

/// What a failure says, in one short text.
pub(crate) fn message(failure: &TestFailure) -> String {
    let text = said(failure).trim();
    let end = text.char_indices().nth(MESSAGE).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or_default().to_owned()
}

/// The messages of failures.
pub(crate) fn messages(
    repository: &dyn Repository,
    project: &Project,
    keys: &[FailureKey],
) -> Answer<HashMap<FailureKey, String>> {
    let mut messages = HashMap::with_capacity(keys.len());
    for some in keys.chunks(TEXTS) {
        let found = repository.failure_list(project.id, some)?;
        messages.extend(found.into_iter().map(|(key, failure)| (key, message(&failure))));
    }
    Ok(messages)
}

/// The name of an item's kind.
pub(crate) fn kind(item: &Item) -> &'static str {
    match item {
        Item::Test(_) => "test",
        Item::Step(_) => "step",
        Item::Build => "build",
    }
}
