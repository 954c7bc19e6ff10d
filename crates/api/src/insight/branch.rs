//! The builds that stand for a project: those of a branch, or of the mainline.

use devmason_domain::query::Selection;
use devmason_domain::{Build, Project, Track};
use devmason_repository::{BuildQuery, OfBranch, Repository, Result as Answer, Scope, Start};

use super::baseline::mainline;
use crate::params::Params;

/// Which builds of a project a badge, a feed or a page is about, as the request says.
#[derive(Debug, Clone, Default)]
pub(crate) struct BranchFilter {
    branch: Option<String>,
    variant: Option<String>,
}

/// The branch whose builds stand for a project.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) branch: String,
    variant: Option<String>,
    is_credited: Option<bool>,
    /// Whether nobody asked for this branch: it is the project's mainline.
    pub(crate) is_mainline: bool,
}

impl Shown {
    /// The branch, and whether its builds are sent with credentials, if that counts.
    pub(crate) fn branch(&self) -> (String, Option<bool>) {
        (self.branch.clone(), self.is_credited)
    }

    /// Whether a track is one of those that are shown.
    pub(crate) fn has(&self, track: &Track) -> bool {
        track.branch == self.branch
            && self.variant.as_ref().is_none_or(|variant| *variant == track.variant)
            && self.is_credited.is_none_or(|is_credited| is_credited == track.is_credited)
    }
}

impl BranchFilter {
    /// The parameters `branch` and `variant`; empty ones, as forms send them, are ignored.
    pub(crate) fn of(params: &Params) -> Self {
        let given = |name| params.first(name).filter(|text| !text.is_empty()).map(str::to_owned);
        Self { branch: given("branch"), variant: given("variant") }
    }

    /// The branch that was asked for, or else the mainline, if there is one. If builds of the mainline
    /// were sent with credentials, others don't count: anybody could send them.
    pub(crate) fn shown(
        &self,
        repository: &dyn Repository,
        project: &Project,
    ) -> Answer<Option<Shown>> {
        let variant = self.variant.clone();
        if let Some(branch) = self.branch.clone() {
            let is_mainline = false;
            return Ok(Some(Shown { branch, variant, is_credited: None, is_mainline }));
        }
        let mainline = mainline(repository, project, &[true, false])?;
        let shown =
            |(branch, is_credited)| Shown { branch, variant, is_credited, is_mainline: true };
        Ok(mainline.map(shown))
    }
}

/// The newest builds of a branch; of the whole project where there is no mainline.
pub(crate) fn newest_of(
    repository: &dyn Repository,
    project: &Project,
    shown: Option<&Shown>,
    limit: u64,
) -> Answer<Vec<Build>> {
    let Some(Shown { branch, variant, is_credited, .. }) = shown else {
        return newest(repository, Scope::Project(project.id), limit);
    };
    let variant = variant.as_deref();
    let of = OfBranch { branch, variant, is_credited: *is_credited };
    repository.branch_newest(project.id, &of, limit)
}

/// The newest builds of a list, for callers that don't need a whole page.
pub(crate) fn newest(repository: &dyn Repository, scope: Scope, limit: u64) -> Answer<Vec<Build>> {
    let query =
        BuildQuery { scope, selection: Selection::default(), start: Start::Offset(0), limit };
    Ok(repository.build_list(&query)?.builds)
}
