//! What is said of a single failure.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::answer::Failure;
use super::super::elsewhere::{elsewhere, evidence_elsewhere};
use super::super::flaky::{Flaky, oldest};
use super::super::items::{Case, Class, FailureKey, Item, Side, WINDOW};
use super::super::streak::{Since, Streak};
use super::super::subject::{Past, Subject};
use super::Comparison;
use crate::{BuildId, Timestamp};

/// Length of a streak of failures that nobody calls flaky.
const BROKEN: usize = 3;

/// Number of runs of a failure that are told one by one.
pub const RECENT_RUNS: usize = 20;

impl Comparison {
    /// What is known of the flakiness of an item; `None` if it is not flaky.
    pub(super) fn flaky<S: PartialEq>(
        &self,
        subject: &Subject,
        now: Case,
        signatures: &HashMap<FailureKey, S>,
        closed: Option<Timestamp>,
    ) -> Option<Flaky> {
        let same = is_same(now, signatures);
        let of = |side: Side, only_here| {
            let evidence = self.evidence(subject, side, closed);
            let last = evidence.last.and_then(|run| self.runs(side).get(run));
            let last = last.map(|run| run.build);
            let same_signature = evidence.keys.iter().any(&same);
            let flaky = Flaky { last, same_signature, only_here, elsewhere: false, evidence };
            flaky.evidence.is_flaky().then_some(flaky)
        };
        let elsewhere = || {
            let evidence =
                evidence_elsewhere(subject, &self.others, oldest(self.looked.started, closed));
            let same_signature = evidence.keys.iter().any(&same);
            let is_flaky = evidence.is_flaky();
            is_flaky.then_some(Flaky {
                last: None,
                same_signature,
                only_here: false,
                elsewhere: true,
                evidence,
            })
        };
        of(Side::Baseline, false)
            .filter(|_| self.looked.has_baseline)
            .or_else(elsewhere)
            .or_else(|| of(Side::Own, true))
    }

    pub(super) fn failure<S: PartialEq + Clone>(
        &self,
        item: Item,
        subject: &Subject,
        now: Case,
        flaky: Option<Flaky>,
        signatures: &HashMap<FailureKey, S>,
        is_whole: &impl Fn(Side) -> bool,
    ) -> Failure<S> {
        let own = Streak::of(&subject.own).with_now();
        let mut baseline = Streak::of(&subject.baseline);
        if self.looked.is_same_track {
            baseline = baseline.with_now();
        }
        let was_bad = subject.before.is_some_and(|before| before.status.is_bad());
        let is_broken = own.bad >= BROKEN || baseline.bad >= BROKEN;
        let excuses = |flaky: &Flaky| flaky.same_signature && !flaky.only_here;
        let class = if !self.looked.has_baseline {
            Class::Unknown
        } else if was_bad && is_broken {
            Class::Failing
        } else if matches!(item, Item::Test(_)) && !is_broken && flaky.as_ref().is_some_and(excuses)
        {
            Class::Flaky
        } else if was_bad {
            Class::Failing
        } else {
            Class::New
        };
        let (streak, side) = match class {
            Class::Failing => (baseline, Side::Baseline),
            Class::New | Class::Unknown | Class::Flaky => (own, Side::Own),
        };
        let runs = self.runs(side);
        let began = streak.since(runs);
        let since = match began {
            Some(run) => Since {
                build: run.build,
                builds: streak.bad,
                at_least: streak.last_good.is_none() && !is_whole(side),
            },
            None => Since { build: self.looked.build, builds: streak.bad.max(1), at_least: false },
        };
        let before = subject
            .before
            .and_then(|before| self.baseline.get(before.run).map(|run| (run.build, before.status)));
        Failure {
            class,
            position: now.position,
            status: now.status,
            text: now.failure,
            signature: now.failure.and_then(|key| signatures.get(&key).cloned()),
            first_run: self.looked.has_baseline && !subject.is_known,
            before,
            since,
            last_good: streak.last_good.and_then(|run| runs.get(run)).map(|run| run.build),
            first_seen: self.first_seen(subject, is_same(now, signatures)),
            flaky,
            elsewhere: elsewhere(subject, &self.others, is_same(now, signatures)),
            recent: std::iter::once(now.status)
                .chain(subject.own.iter().map(|past| past.status))
                .take(RECENT_RUNS)
                .collect(),
            host_suspect: self.host_suspect(&item, subject),
            item,
        }
    }

    /// The oldest build in which an item failed with the signature that it has now.
    fn first_seen(&self, subject: &Subject, is_same: impl Fn(&FailureKey) -> bool) -> BuildId {
        // The baseline's track may be another project's.
        let sides = [(Side::Own, true), (Side::Baseline, self.looked.is_same_project)];
        let sides = sides.into_iter().filter(|(_, counts)| *counts).map(|(side, _)| side);
        let seen = sides.flat_map(|side| {
            let same = |past: &&Past| past.failure.as_ref().is_some_and(&is_same);
            let oldest = subject.past(side).iter().rev().find(same);
            oldest.and_then(|past| self.runs(side).get(past.run)).map(|run| run.build)
        });
        seen.chain([self.looked.build]).min().unwrap_or(self.looked.build)
    }

    /// The host on which all bad runs of an item in its own track were, at least three, if it has no
    /// good run there and at least three on other hosts.
    fn host_suspect(&self, item: &Item, subject: &Subject) -> Option<Arc<str>> {
        let host = match &self.hosts {
            Some(hosts) => hosts.get(item)?.as_ref()?,
            None => self.looked.host.as_ref()?,
        };
        let past = subject.own.iter().take_while(|past| past.run < WINDOW);
        let (mut bad, mut good_elsewhere) = (1, 0);
        for past in past {
            let of_run = self.own.get(past.run)?.host.as_ref();
            match (past.status.is_bad(), of_run == Some(host)) {
                (true, true) => bad += 1,
                (true, false) | (false, true) => return None,
                (false, false) => good_elsewhere += u32::from(of_run.is_some()),
            }
        }
        (bad >= 3 && good_elsewhere >= 3).then(|| host.clone())
    }
}

/// Whether a text has the signature of a case's failure.
fn is_same<S: PartialEq>(
    case: Case,
    signatures: &HashMap<FailureKey, S>,
) -> impl Fn(&FailureKey) -> bool {
    let signature = case.failure.and_then(|key| signatures.get(&key));
    move |key| signature.is_some_and(|is| signatures.get(key) == Some(is))
}
