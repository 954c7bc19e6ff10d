//! The state of a project's mainline: its tracks, and what fails in their newest builds.

use devmason_domain::insight::{Asked, is_mass_failure};
use devmason_domain::{Build, Issue, IssueState, Project, Timestamp, Track};
use devmason_hypermedia::document::{Findings, InsightCounts};
use devmason_repository::{Among, Error, Repository};

use super::{ACTIVE, Answer};
use crate::call::Call;
use crate::documents::insight::findings::counts;
use crate::documents::insight::read::{Read, Variant};
use crate::documents::insight::wanted::Wanted;
use crate::error::ApiError;
use crate::insight::{Insight, Patience, Pulse, SeenBeyond, Shown, Subject};
use crate::params::Params;

/// Maximum number of tracks that a project's page looks at.
pub(crate) const TRACKS: usize = 100;

/// Maximum number of tracks, of failures and of issues that are shown.
const SHOWN: usize = 20;
const FAILURES: u64 = 20;
const ISSUES: usize = 20;

/// Maximum number of test cases that are compared, of all tracks. The last one may exceed it.
const CASES: u64 = 10_000_000;

/// How long before its end an issue is told, in microseconds: 7 days.
const ENDING: i64 = 7 * 86_400 * 1_000_000;

/// Maximum number of branches and of variants to choose from.
const CHOICES: usize = 100;

/// The first of these texts, each once, without empty ones.
fn distinct<'a>(all: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for text in all.filter(|text| !text.is_empty()) {
        if found.len() < CHOICES && !found.contains(text) {
            found.push(text.clone());
        }
    }
    found
}

/// The tracks of a branch and its newest builds, as far as an ETag needs.
#[derive(Default)]
pub(crate) struct Mainline {
    /// Those that fail or are overdue first, then those with the newest builds.
    pub(crate) pulses: Vec<Pulse>,
    /// The number of tracks that are not among them.
    pub(crate) more: usize,
    /// The branches of the project's active tracks, and the variants of this one, those with the newest
    /// builds first.
    pub(crate) branches: Vec<String>,
    pub(crate) variants: Vec<String>,
}

impl Mainline {
    /// The active tracks of the branch that stands for a project, or of the whole project where there is no
    /// mainline; at most so many, those with the newest builds.
    pub(crate) fn read(
        repository: &dyn Repository,
        project: &Project,
        shown: Option<&Shown>,
        most: usize,
    ) -> Answer<Self> {
        let is_shown = |track: &Track| shown.is_none_or(|shown| shown.has(track));
        let mut tracks = repository.track_active(project.id, ACTIVE)?;
        let branches = distinct(tracks.iter().map(|known| &known.track.branch));
        let is_of_branch = |track: &Track| shown.is_none_or(|shown| shown.branch == track.branch);
        let of_branch = tracks.iter().filter(|known| is_of_branch(&known.track));
        let variants = distinct(of_branch.map(|known| &known.track.variant));
        tracks.retain(|known| is_shown(&known.track));
        let more = tracks.len().saturating_sub(most);
        tracks.truncate(most);
        let mainline = match shown {
            Some(shown) if shown.is_mainline => Some(shown.branch()),
            _ => super::mainline_of(repository, project)?,
        };
        let pulses = tracks
            .into_iter()
            .map(|known| Pulse::read(repository, project, known, mainline.as_ref()));
        let mut pulses = pulses.collect::<Answer<Vec<_>>>()?;
        pulses.sort_by_key(|pulse| pulse.success != Some(false) && !pulse.is_overdue());
        Ok(Self { pulses, more, branches, variants })
    }

    /// Leaves out the tracks that a page does not show.
    pub(crate) fn cut(&mut self) {
        self.more += self.pulses.len().saturating_sub(SHOWN);
        self.pulses.truncate(SHOWN);
    }

    /// Which tracks are overdue now, as a part of an ETag.
    pub(crate) fn overdue(&self) -> String {
        self.pulses.iter().map(|pulse| if pulse.is_overdue() { '1' } else { '0' }).collect()
    }
}

/// What the newest finished builds of some tracks say.
pub(crate) struct State {
    /// The numbers of each track; `None` where it has no finished build, or there is too much to compare.
    pub(crate) counts: Vec<Option<InsightCounts>>,
    /// What fails.
    pub(crate) findings: Findings,
    /// Whether asking again would tell the same: memory may have been short.
    pub(crate) is_certain: bool,
}

/// Compares the newest finished build of each track with the one before it.
pub(crate) async fn state(
    call: &Call<'_>,
    project: &Project,
    mainline: &Mainline,
) -> Result<State, ApiError> {
    let wanted = Wanted::of(&Params::default(), FAILURES)?;
    let tracks: Vec<_> = mainline.pulses.iter().map(|pulse| pulse.known.track.clone()).collect();
    let (app, client) = (call.app.clone(), call.client);
    let (of, asked) = (project.clone(), wanted.clone());
    let read = move |repository: &dyn Repository| {
        let (mut variants, mut counted) = (Vec::new(), Vec::new());
        let (mut is_cut, mut is_certain) = (false, true);
        let (mut patience, mut left) = (Patience::default(), CASES);
        for track in tracks {
            let newest = newest(repository, &of, &Among::Track(track.key()))?;
            is_cut |= newest.is_some() && left == 0;
            let Some(build) = newest.filter(|_| left > 0) else {
                counted.push(None);
                continue;
            };
            // What comparing a track takes is given back before the next one.
            let hold = app.budget.hold(client);
            let subject = Subject::of_build(&of, &build);
            let with = (&hold, &mut patience);
            let insight = match Insight::read(repository, subject, Some(&Asked::Previous), with) {
                Ok(Ok(insight)) => insight,
                // The page has more to tell.
                Ok(Err(_)) | Err(Error::Busy(_)) => {
                    (is_cut, is_certain) = (true, false);
                    counted.push(None);
                    continue;
                }
                Err(error) => return Err(error),
            };
            left = left.saturating_sub(insight.cases + build.tests.total);
            counted.push(Some(counts(&insight)));
            let is_mass_failure = is_mass_failure(&build.tests);
            variants.push(Variant { name: Some(track.variant), insight, is_mass_failure });
        }
        let read = Read::of(repository, (&of, SeenBeyond::default()), variants, &asked)?;
        Ok((counted, read, is_cut, is_certain))
    };
    let (counts, read, is_cut, is_certain) = call.ask(read).await?;
    let findings = read.findings(call.view(), project, &wanted, (0, is_cut));
    Ok(State { counts, findings, is_certain })
}

fn newest(repository: &dyn Repository, project: &Project, among: &Among) -> Answer<Option<Build>> {
    let newest = repository.tracked_list(project.id, among, None, 1)?;
    let ids: Vec<_> = newest.iter().map(|build| build.id).collect();
    Ok(repository.builds_by_id(project.id, &ids)?.pop())
}

/// The open issues that end within a week.
pub(crate) fn ending(repository: &dyn Repository, project: &Project) -> Answer<Vec<Issue>> {
    let now = Timestamp::now();
    let ends_soon = |issue: &Issue| {
        let left = issue.details.expires.map(|end| end.micros() - now.micros());
        issue.details.state() == IssueState::Open
            && left.is_some_and(|left| (1..=ENDING).contains(&left))
    };
    let mut issues = repository.issues_to_compare(project.id)?;
    issues.retain(ends_soon);
    issues.sort_by_key(|issue| issue.details.expires.map(Timestamp::micros));
    issues.truncate(ISSUES);
    Ok(issues)
}
