//! Known issues.

use devmason_domain::{Issue, IssueDetails, IssueState, PageRequest, ProjectId, Timestamp};
use uuid::Uuid;

use crate::{Actor, Claim, Claimed, Listed, Listing, Result, Updated};

/// An issue to create.
#[derive(Debug, Clone)]
pub struct NewIssue {
    /// Its id.
    pub id: Uuid,
    /// Its project.
    pub project: ProjectId,
    /// What is said of it.
    pub details: IssueDetails,
    /// Its creator.
    pub creator: Actor,
    /// The request's `Idempotency-Key`.
    pub claim: Option<Claim>,
}

/// The outcome of creating an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filed {
    /// It was created.
    New(Box<Issue>),
    /// The project has [`devmason_domain::OPEN_ISSUES`] open ones.
    TooMany,
    /// The project no longer exists.
    NoProject,
    /// The new user's name was taken in the meantime.
    UsernameTaken,
    /// The request was made before.
    Claimed(Claimed),
}

/// The outcome of changing an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refiled {
    /// It was changed.
    Done(Box<Issue>),
    /// It would be open, and the project has [`devmason_domain::OPEN_ISSUES`] open ones.
    TooMany,
    /// Another change was made first.
    Stale,
    /// It no longer exists.
    Gone,
}

/// An issue and the project that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedIssue {
    /// The project.
    pub project: ProjectId,
    /// The issue.
    pub issue: Issue,
}

/// Known issues.
pub trait Issues {
    /// Creates an issue.
    fn issue_create(&self, new: &NewIssue) -> Result<Filed>;
    /// An issue of a project.
    fn issue_find(&self, project: ProjectId, id: Uuid) -> Result<Option<Issue>>;
    /// A page of a project's issues, the newest first; only those in one state, if given.
    fn issue_list(
        &self,
        project: ProjectId,
        state: Option<IssueState>,
        page: PageRequest,
    ) -> Result<Vec<Issue>>;
    /// Number of a project's issues in a state, or in any.
    fn issue_count(&self, project: ProjectId, state: Option<IssueState>) -> Result<u64>;
    /// The issues that failures are compared with: all open ones, and the thousand that were closed
    /// last.
    fn issues_to_compare(&self, project: ProjectId) -> Result<Vec<Issue>>;
    /// Number of a project's issues that are in force at this time. Between two changes it falls whenever
    /// an issue expires.
    fn issues_in_force(&self, project: ProjectId, now: Timestamp) -> Result<u64>;
    /// Changes an issue.
    fn issue_update(
        &self,
        project: ProjectId,
        id: Uuid,
        details: &IssueDetails,
        seen: i64,
    ) -> Result<Refiled>;
    /// Deletes an issue.
    fn issue_delete(&self, project: ProjectId, id: Uuid, seen: Option<i64>) -> Result<Updated<()>>;
    /// Issues of all projects, oldest first.
    fn issue_query(&self, listing: &Listing) -> Result<Listed<PlacedIssue>>;
}
