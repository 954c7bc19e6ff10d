//! Lists over all projects, with filters and sort orders.

use devmason_domain::query::Selection;
use devmason_domain::{Account, Build, BuildId, Project, ProjectId, Slug, Step, Tag, Timestamp};
use uuid::Uuid;

use crate::{PlacedTest, Result};

/// A part of a list with a filter, a sort order and paging.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Filter and sort order; the default order is oldest first.
    pub selection: Selection,
    /// The number of items to skip.
    pub offset: u64,
    /// The maximum number of items.
    pub limit: u64,
}

/// A part of a list, and the size of the whole list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The items in this part.
    pub items: Vec<T>,
    /// The size of the whole list.
    pub count: u64,
}

/// A step and its location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedStep {
    /// The project of its build.
    pub project: ProjectId,
    /// Its build.
    pub build: BuildId,
    /// The version of its build, which changes with the step.
    pub version: i64,
    /// Its position in the build, from 0.
    pub position: u32,
    /// The step.
    pub step: Step,
}

/// A test case from any build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTest {
    /// The project of its build.
    pub project: ProjectId,
    /// Its build.
    pub build: BuildId,
    /// When the build was received.
    pub received: Timestamp,
    /// When the build last changed.
    pub updated_at: Timestamp,
    /// The build's version.
    pub version: i64,
    /// The case and its position in the build.
    pub test: PlacedTest,
}

/// A tag of a project, and how many of its builds have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedTag {
    /// The project's name in URIs.
    pub project: Slug,
    /// The tag.
    pub tag: Tag,
    /// The number of builds with this tag.
    pub builds: u64,
    /// When a build first had this tag.
    pub created_at: Timestamp,
    /// When a build with this tag was last added or removed.
    pub updated_at: Timestamp,
}

/// Lists of every kind of object over all projects, with filters and sort orders.
///
/// Only filters on indexed fields avoid a full scan.
pub trait Queries {
    /// Projects, oldest first.
    fn project_query(&self, listing: &Listing) -> Result<Listed<Project>>;
    /// Users, oldest first.
    fn user_query(&self, listing: &Listing) -> Result<Listed<Account>>;
    /// Builds, oldest first; optionally only those that tested a component.
    fn build_query(&self, of_component: Option<Uuid>, listing: &Listing) -> Result<Listed<Build>>;
    /// Steps without their outputs, ordered by project, then by the start of their build.
    fn step_query(&self, listing: &Listing) -> Result<Listed<PlacedStep>>;
    /// Test cases without their failures and outputs, in the order of steps.
    fn test_query(&self, listing: &Listing) -> Result<Listed<FoundTest>>;
    /// Tags, ordered by project and name.
    fn tag_query(&self, listing: &Listing) -> Result<Listed<UsedTag>>;
}
