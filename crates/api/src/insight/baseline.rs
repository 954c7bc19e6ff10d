//! The baseline of a build: which build it is compared with.

use devmason_domain::insight::{Asked, is_mass_failure};
use devmason_domain::{
    Build, BuildId, BuildKey, MAINLINES, Origin, Outcome, Project, Slug, Tag, Track,
};
use devmason_repository::{Among, Repository, Result as Answer, Tracked};

/// Number of builds among which the previous one, and the last green one, are sought: the others are mass
/// failures, of the same commit, or red.
const PREVIOUS: u64 = 100;
const GREEN: u64 = 1_000;

/// Number of builds of a commit, or with a tag, among which one is sought.
const SOUGHT: u64 = 100;

/// The baseline that was used.
#[derive(Debug, Clone)]
pub(crate) struct Baseline {
    /// What was looked for.
    pub(crate) used: Option<Asked>,
    /// The build, or why there is none.
    pub(crate) found: Result<Found, String>,
}

/// A baseline that was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) project: Project,
    pub(crate) build: Tracked,
}

/// Why a baseline that was named cannot be used: a message for the client.
pub(crate) type Refused = String;

/// Where a baseline is looked for.
pub(super) struct Search<'a> {
    pub(super) repository: &'a dyn Repository,
    pub(super) project: &'a Project,
    pub(super) build: &'a Build,
    pub(super) track: &'a Track,
    /// Whether all builds of the commit are asked about.
    pub(super) is_of_commit: bool,
}

impl Search<'_> {
    /// The baseline that was asked for, or the usual one.
    pub(super) fn baseline(&self, asked: Option<&Asked>) -> Answer<Result<Baseline, Refused>> {
        let used = match asked {
            Some(asked) => asked.clone(),
            None => self.usual()?,
        };
        if let Asked::Build(project, key) = &used {
            let named = self.named(project.as_ref(), key)?;
            let found = named.map(|found| Baseline { used: Some(used.clone()), found: Ok(found) });
            return Ok(found);
        }
        let found = match self.found(&used)? {
            Some(build) => Ok(Found { project: self.project.clone(), build }),
            None => Err(nothing(&used)),
        };
        Ok(Ok(Baseline { used: Some(used), found }))
    }

    /// The baseline of a request that names none.
    fn usual(&self) -> Answer<Asked> {
        let origin = Origin::from(&self.build.client);
        if let Some(commit) = origin.base_commit {
            let commits = Asked::Commits(vec![commit]);
            if self.found(&commits)?.is_some() {
                return Ok(commits);
            }
        }
        if let Some(branch) = origin.target_branch {
            return Ok(Asked::Branch(branch));
        }
        let mainline = mainline(self.repository, self.project, self.kinds())?;
        Ok(match mainline {
            Some((branch, _)) if branch != self.track.branch && !self.track.branch.is_empty() => {
                Asked::Branch(branch)
            }
            // On the mainline, without a branch, or where nobody knows the mainline.
            _ => Asked::Previous,
        })
    }

    /// Builds with credentials are compared with their like alone. Others are, too, unless there is none.
    fn kinds(&self) -> &'static [bool] {
        if self.track.is_credited { &[true] } else { &[false, true] }
    }

    fn found(&self, asked: &Asked) -> Answer<Option<Tracked>> {
        for is_credited in self.kinds() {
            let track = Track { is_credited: *is_credited, ..self.track.clone() };
            let found = match asked {
                Asked::Previous => self.newest_of(&track, PREVIOUS, |_| true)?,
                Asked::Green => self.newest_of(&track, GREEN, |build| build.success)?,
                Asked::Branch(name) => {
                    self.newest_of(&track.on_branch(name), PREVIOUS, |_| true)?
                }
                Asked::Commits(commits) => self.of_commits(commits, &track)?,
                Asked::Tagged(tag) => self.tagged(tag, &track)?,
                Asked::Build(..) => None,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn is_comparable(&self, build: &Tracked) -> bool {
        let is_own = build.revision.is_some() && build.revision == self.build.revision;
        !is_own && build.id != self.build.id && !is_mass_failure(&build.tests)
    }

    fn list(&self, among: &Among, before: Option<BuildId>, limit: u64) -> Answer<Vec<Tracked>> {
        self.repository.tracked_list(self.project.id, among, before, limit)
    }

    /// The newest build of a track that may be a baseline.
    fn newest_of(
        &self,
        track: &Track,
        limit: u64,
        is_wanted: impl Fn(&Tracked) -> bool,
    ) -> Answer<Option<Tracked>> {
        // The first builds usually have one.
        for limit in [5.min(limit), limit] {
            let builds = self.list(&Among::Track(track.key()), Some(self.build.id), limit)?;
            let is_last = (builds.len() as u64) < limit;
            let mut fit = builds.into_iter().filter(|build| self.is_comparable(build));
            let found = fit.find(|build| is_wanted(build));
            if found.is_some() || is_last {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn of_commits(&self, commits: &[String], track: &Track) -> Answer<Option<Tracked>> {
        for commit in commits {
            let among = Among::Revision {
                revision: commit.clone(),
                variant: track.variant.clone(),
                is_credited: track.is_credited,
            };
            let builds = self.list(&among, None, SOUGHT)?;
            if let Some(found) = builds.into_iter().find(|build| self.is_comparable(build)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn tagged(&self, tag: &Tag, track: &Track) -> Answer<Option<Tracked>> {
        let builds = self.list(&Among::Tagged(tag.clone()), Some(self.build.id), SOUGHT)?;
        let fit: Vec<Tracked> = builds
            .into_iter()
            .filter(|build| self.is_comparable(build))
            .filter(|build| build.track.is_credited == track.is_credited)
            .collect();
        let variant = track.variant_without(tag.as_str());
        let same = |build: &&Tracked| build.track.variant_without(tag.as_str()) == variant;
        Ok(fit.iter().find(same).or(fit.first()).cloned())
    }

    fn named(&self, project: Option<&Slug>, key: &BuildKey) -> Answer<Result<Found, Refused>> {
        let project = match project {
            None => self.project.clone(),
            Some(slug) => match self.repository.project_find(slug)? {
                Some(project) => project,
                None => return Ok(Err(format!("project '{slug}' not found"))),
            },
        };
        let Some(build) = self.repository.build_find(project.id, key)? else {
            return Ok(Err(format!("build '{key}' not found")));
        };
        let is_of_it = self.is_of_commit
            && build.project == self.project.id
            && build.revision == self.build.revision;
        if build.id == self.build.id || is_of_it {
            return Ok(Err("a build cannot be its own baseline".to_owned()));
        }
        let Outcome::Finished { success, finished } = build.outcome else {
            return Ok(Err(format!("build '{key}' is still running")));
        };
        let Some(track) = build.track.clone() else {
            return Ok(Err(format!("build '{key}' is still being prepared; try again later")));
        };
        let build = Tracked {
            key: build.key(),
            id: build.id,
            track,
            started: build.started,
            finished,
            success,
            revision: build.revision.clone(),
            host: build.client.host_key(),
            failed_steps: build.failed_steps,
            tests: build.tests,
        };
        Ok(Ok(Found { project, build }))
    }
}

/// Why a search found nothing.
fn nothing(asked: &Asked) -> String {
    match asked {
        Asked::Previous => "no finished build of this branch and variant came before".to_owned(),
        Asked::Green => "no build of this branch and variant that came before succeeded".to_owned(),
        Asked::Branch(name) if name.is_empty() => {
            "no finished build without a branch with this variant".to_owned()
        }
        Asked::Branch(name) => format!("no finished build of branch '{name}' with this variant"),
        Asked::Commits(commits) => match commits.as_slice() {
            [commit] => format!("no finished build of commit {commit} with this variant"),
            _ => "no finished build of these commits with this variant".to_owned(),
        },
        Asked::Tagged(tag) => format!("no finished build with tag '{tag}' came before"),
        Asked::Build(_, key) => format!("build '{key}' not found"),
    }
}

/// A project's mainline: the branch that it names, or else the first usual one that has a finished
/// build; empty for builds without a branch. The kinds, whether builds were sent with credentials, are
/// tried in turn; the one that has such a build is told.
pub(crate) fn mainline(
    repository: &dyn Repository,
    project: &Project,
    kinds: &[bool],
) -> Answer<Option<(String, Option<bool>)>> {
    if let Some(branch) = &project.tracking.mainline {
        let mut found = None;
        for kind in kinds {
            let has = repository.branch_with_finished(project.id, &[branch], *kind)?;
            found = found.or(has.map(|_| *kind));
        }
        return Ok(Some((branch.clone(), found)));
    }
    for kind in kinds {
        let found = repository.branch_with_finished(project.id, &MAINLINES, *kind)?;
        if let Some(branch) = found {
            return Ok(Some((branch, Some(*kind))));
        }
    }
    Ok(None)
}
