//! What came of an item in the other active tracks of the project.

use super::flaky::{Evidence, evidence};
use super::items::{FailureKey, Run};
use super::subject::{Past, Subject};

/// Maximum number of other tracks that are looked at.
pub const OTHERS: usize = 50;

/// Number of the newest finished builds of another track in which evidence of flakiness is sought.
pub const RECENT: usize = 3;

/// Another track, with its newest finished builds, the newest first.
#[derive(Debug, Clone)]
pub(super) struct Other {
    /// Whether it is of the same variant: only then is its evidence comparable.
    pub(super) is_same_variant: bool,
    pub(super) runs: Vec<Run>,
}

/// What came of an item in the newest finished build of each other track.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Elsewhere {
    /// Number of other tracks that were looked at.
    pub tracks: usize,
    /// In how many of them it ran.
    pub ran: usize,
    /// In how many it failed.
    pub bad: usize,
    /// In how many it failed with the same signature.
    pub same_signature: usize,
    /// The places of those in which it failed, in the order in which they were pushed.
    pub bad_in: Vec<usize>,
}

pub(super) fn elsewhere(
    subject: &Subject,
    others: &[Other],
    is_same: impl Fn(&FailureKey) -> bool,
) -> Elsewhere {
    let mut found = Elsewhere { tracks: others.len(), ..Elsewhere::default() };
    for (track, past) in subject.elsewhere.iter().filter(|(_, past)| past.run == 0) {
        found.ran += 1;
        if past.status.is_bad() {
            found.bad += 1;
            found.same_signature += usize::from(past.failure.as_ref().is_some_and(&is_same));
            found.bad_in.push(*track);
        }
    }
    found
}

/// The evidence of flakiness in other tracks of the variant: there, a failure that comes and goes may
/// be the work on that branch, so only repeats count.
pub(super) fn evidence_elsewhere(subject: &Subject, others: &[Other], oldest: i64) -> Evidence {
    let mut all = Evidence::default();
    for (nth, other) in others.iter().enumerate().filter(|(_, other)| other.is_same_variant) {
        let of_it = subject.elsewhere.iter().filter(|(track, _)| *track == nth);
        let past: Vec<Past> = of_it.map(|(_, past)| *past).collect();
        let found = evidence(&past, &other.runs, RECENT, oldest);
        all.runs += found.runs;
        all.retry += found.retry;
        all.same_revision += found.same_revision;
        if found.retry + found.same_revision > 0 {
            all.keys.extend(found.keys);
        }
    }
    all
}
