//! The builds that stand for a project: those of a branch, or of the mainline.

use devmason_domain::query::Selection;
use devmason_domain::{Build, Project};
use devmason_repository::{BuildQuery, Repository, Scope, Start};

use super::Answer;
use super::baseline::mainline;
use crate::params::Params;

/// Which builds of a project a badge, a feed or a page is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chosen {
    branch: Option<String>,
    variant: Option<String>,
}

impl Chosen {
    /// The parameters `branch` and `variant`; empty ones, as forms send them, are ignored.
    pub(crate) fn of(params: &Params) -> Self {
        let given = |name| params.first(name).filter(|text| !text.is_empty()).map(str::to_owned);
        Self { branch: given("branch"), variant: given("variant") }
    }

    /// The branch: the one that was asked for, or else the mainline, if there is one.
    pub(crate) fn branch(
        &self,
        repository: &dyn Repository,
        project: &Project,
    ) -> Answer<Option<String>> {
        if let Some(branch) = &self.branch {
            return Ok(Some(branch.clone()));
        }
        match mainline(repository, project, true)? {
            Some(branch) => Ok(Some(branch)),
            None => mainline(repository, project, false),
        }
    }

    /// The newest builds; of the whole project where there is no mainline.
    pub(crate) fn newest(
        &self,
        repository: &dyn Repository,
        project: &Project,
        limit: u64,
    ) -> Answer<Vec<Build>> {
        match self.branch(repository, project)? {
            Some(branch) => {
                repository.branch_newest(project.id, &branch, self.variant.as_deref(), limit)
            }
            None => newest(repository, Scope::Project(project.id), limit),
        }
    }
}

/// The newest builds of a list, for callers that don't need a whole page.
pub(crate) fn newest(repository: &dyn Repository, scope: Scope, limit: u64) -> Answer<Vec<Build>> {
    let query =
        BuildQuery { scope, selection: Selection::default(), start: Start::Offset(0), limit };
    Ok(repository.build_list(&query)?.builds)
}
