//! Reading what came of a build's failures in other tracks.

use devmason_domain::insight::{Comparison, OTHERS, RECENT};
use devmason_domain::{Build, BuildKey, Track};
use devmason_repository::{Among, Repository, Result as Answer, Tracked};

use super::subject::Subject;
use super::windows::run;

/// Maximum number of test cases that are read.
const CASES: u64 = 2 << 20;

/// Another track, and its newest finished build.
#[derive(Debug, Clone)]
pub(crate) struct Other {
    pub(crate) track: Track,
    pub(crate) build: BuildKey,
}

/// Reads the newest finished builds of the other active tracks, if anything failed.
pub(super) fn read(
    repository: &dyn Repository,
    (subject, track): (Subject<'_>, &Track),
    comparison: &mut Comparison,
) -> Answer<Vec<Other>> {
    if !comparison.wants_others() {
        return Ok(Vec::new());
    }
    let build = subject.build;
    let (mut others, mut left) = (Vec::new(), CASES);
    // One more, as the build's own is among them.
    for known in repository.track_active(build.project, OTHERS as u64 + 1)? {
        let other = known.track;
        // What is asked about a build with credentials reads its like alone.
        if other == *track || (track.is_credited && !other.is_credited) || others.len() >= OTHERS {
            continue;
        }
        let is_same_variant = other.variant == track.variant && other.branch != track.branch;
        let limit = if is_same_variant { RECENT as u64 } else { 1 };
        let among = Among::Track(other.key());
        let own = subject.builds().len() as u64;
        let mut builds = repository.tracked_list(build.project, &among, None, limit + own)?;
        builds.retain(|build| !subject.is_own(build));
        builds.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let cases = builds.iter().map(|build| build.tests.total).sum::<u64>();
        let (Some(newest), true) = (builds.first(), cases <= left) else { continue };
        left -= cases;
        comparison.add_other(is_same_variant);
        others.push(Other { track: other, build: newest.key.clone() });
        push(repository, build, &builds, comparison)?;
    }
    Ok(others)
}

fn push(
    repository: &dyn Repository,
    of: &Build,
    builds: &[Tracked],
    comparison: &mut Comparison,
) -> Answer<()> {
    let ids: Vec<_> = builds.iter().map(|build| build.id).collect();
    let cases = repository.case_list(of.project, &ids)?;
    let steps = repository.step_runs(of.project, &ids)?;
    for ((build, cases), steps) in builds.iter().zip(cases).zip(steps) {
        comparison.push_elsewhere(run(build), &cases, &steps);
    }
    Ok(())
}
