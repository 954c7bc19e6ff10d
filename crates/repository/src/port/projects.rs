//! Projects.

use devmason_domain::{PageRequest, Project, ProjectId, ProjectName, Reporting, Slug};

use crate::{Actor, Result, Tally, Updated};

/// A project to register.
#[derive(Debug, Clone)]
pub struct NewProject {
    /// Its name in URIs.
    pub slug: Slug,
    /// Its name for people.
    pub name: ProjectName,
    /// Who may post builds.
    pub reporting: Reporting,
    /// Whose it will be.
    pub owner: Actor,
}

/// What came of registering a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// It is there now.
    New(Project),
    /// One of that slug was there.
    Exists,
    /// The user who was to own it is gone.
    NoOwner,
    /// Somebody else took the newcomer's name meanwhile.
    UsernameTaken,
}

/// Projects.
pub trait Projects {
    /// The project of that name.
    fn project_find(&self, slug: &Slug) -> Result<Option<Project>>;
    /// Projects by their numbers, those that are still there.
    fn projects_by_id(&self, ids: &[ProjectId]) -> Result<Vec<Project>>;
    /// A page of all projects, in order of name.
    fn project_list(&self, page: PageRequest) -> Result<Vec<Project>>;
    /// How many projects there are.
    fn project_tally(&self) -> Result<Tally>;
    /// Registers a project.
    fn project_register(&self, new: &NewProject) -> Result<Registered>;
    /// Changes a project's name and, where given, who may post builds.
    fn project_update(
        &self,
        id: ProjectId,
        name: &ProjectName,
        reporting: Option<Reporting>,
        seen: Option<i64>,
    ) -> Result<Updated<Project>>;
    /// Deletes a project. It is gone at once; its builds are removed by [`Upkeep::purge`].
    fn project_delete(&self, id: ProjectId, seen: Option<i64>) -> Result<Updated<()>>;
}
