//! Lists over all projects, selected and sorted by their reader.

use devmason_domain::query::Selection;
use devmason_domain::{Account, Build, BuildId, Project, ProjectId, Slug, Step, Tag, Timestamp};
use uuid::Uuid;

use crate::{PlacedTest, Result};

/// A part of a list that is sorted and cut as its reader says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// What must hold, and the order; without one, the oldest first.
    pub selection: Selection,
    /// How many to leave out.
    pub offset: u64,
    /// How many at most.
    pub limit: u64,
}

/// A part of a list, and how many the whole of it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The part.
    pub items: Vec<T>,
    /// The whole.
    pub count: u64,
}

/// A step, and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedStep {
    /// The project of its build.
    pub project: ProjectId,
    /// Its build.
    pub build: BuildId,
    /// The version of its build, which changes when the step does.
    pub version: i64,
    /// Its place among the build's steps, from 0.
    pub position: u32,
    /// The step.
    pub step: Step,
}

/// A test case of some build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTest {
    /// The project of its build.
    pub project: ProjectId,
    /// Its build.
    pub build: BuildId,
    /// When that was received.
    pub received: Timestamp,
    /// When that last changed.
    pub updated_at: Timestamp,
    /// Its version.
    pub version: i64,
    /// The case, and its place among its build's.
    pub test: PlacedTest,
}

/// A tag of a project, and how many of its builds have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedTag {
    /// The project's name in URIs.
    pub project: Slug,
    /// The tag.
    pub tag: Tag,
    /// How many builds have it.
    pub builds: u64,
    /// When a build first had it.
    pub created_at: Timestamp,
    /// When a build last came or went that has it.
    pub updated_at: Timestamp,
}

/// Every kind of object, selected and sorted as a reader asks, over all projects.
///
/// Only what is asked for by an indexed field is found without reading what else there is.
pub trait Queries {
    /// Projects, the oldest first.
    fn project_query(&self, listing: &Listing) -> Result<Listed<Project>>;
    /// Users, the oldest first.
    fn user_query(&self, listing: &Listing) -> Result<Listed<Account>>;
    /// Builds, the oldest first; those that tested a component where one is given.
    fn build_query(&self, of_component: Option<Uuid>, listing: &Listing) -> Result<Listed<Build>>;
    /// Steps without their outputs, by project, those of the build that started first before the others.
    fn step_query(&self, listing: &Listing) -> Result<Listed<PlacedStep>>;
    /// Test cases without their failures and outputs, in the order of steps.
    fn test_query(&self, listing: &Listing) -> Result<Listed<FoundTest>>;
    /// Tags, in order of project and name.
    fn tag_query(&self, listing: &Listing) -> Result<Listed<UsedTag>>;
}
