//! Projects.

use devmason_domain::gate::Gate;
use devmason_domain::{
    CodeAddress, PageRequest, Project, ProjectId, ProjectName, Reporting, Slug, TagSet, Tracking,
    Triage, VariantPart,
};

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
    /// How its builds are compared.
    pub tracking: Tracking,
    /// Where its source code can be read.
    pub repository: Option<CodeAddress>,
    /// What it is grouped by, with others.
    pub tags: TagSet,
    /// Its owner.
    pub owner: Actor,
}

/// What to change of a project; what is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct ProjectChange {
    /// Its name for people.
    pub name: Option<ProjectName>,
    /// Who may post builds.
    pub reporting: Option<Reporting>,
    /// The branch that others are compared with, or none.
    pub mainline: Option<Option<String>>,
    /// What a variant consists of.
    pub variant_by: Option<Vec<VariantPart>>,
    /// The limits of its gate.
    pub gate: Option<Gate>,
    /// Who may write its issues.
    pub triage: Option<Triage>,
    /// Where its source code can be read, or nowhere.
    pub repository: Option<Option<CodeAddress>>,
    /// What it is grouped by, with others.
    pub tags: Option<TagSet>,
}

/// The outcome of registering a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// It was created.
    New(Box<Project>),
    /// A project with that slug already exists.
    Exists,
    /// The user who was to own it no longer exists.
    NoOwner,
    /// The new user's name was taken in the meantime.
    UsernameTaken,
}

/// Projects.
pub trait Projects {
    /// The project of that name.
    fn project_find(&self, slug: &Slug) -> Result<Option<Project>>;
    /// The projects with these ids that still exist.
    fn projects_by_id(&self, ids: &[ProjectId]) -> Result<Vec<Project>>;
    /// A page of all projects, ordered by name.
    fn project_list(&self, page: PageRequest) -> Result<Vec<Project>>;
    /// The number of projects, and their change count.
    fn project_tally(&self) -> Result<Tally>;
    /// Registers a project.
    fn project_register(&self, new: &NewProject) -> Result<Registered>;
    /// Changes a project.
    fn project_update(
        &self,
        id: ProjectId,
        change: &ProjectChange,
        seen: Option<i64>,
    ) -> Result<Updated<Project>>;
    /// Deletes a project. It disappears at once; its builds are removed by [`crate::Upkeep::purge`].
    fn project_delete(&self, id: ProjectId, seen: Option<i64>) -> Result<Updated<()>>;
}
