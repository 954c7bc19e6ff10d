//! Lists of builds, by owner.

use devmason_domain::{Account, Project, Slug, Tag, Username};
use devmason_hypermedia::{BuildsOf, Link, ListLinks, TagSegment};
use devmason_repository::Scope;

use super::tags::tagged;
use crate::call::Call;
use crate::error::ApiError;

/// A list of builds, by owner.
pub(crate) enum ListOf {
    Project(Project),
    Tagged(Project, Vec<Tag>),
    User(Account),
}

impl ListOf {
    /// The builds of a project.
    pub(crate) async fn project(call: &Call<'_>, slug: &Slug) -> Result<Self, ApiError> {
        Ok(Self::Project(call.project(slug).await?))
    }

    /// The builds of a project that have some tags.
    pub(crate) async fn tagged(
        call: &Call<'_>,
        slug: &Slug,
        segment: &TagSegment,
    ) -> Result<Self, ApiError> {
        let (project, tags) = tagged(call, slug, segment).await?;
        Ok(Self::Tagged(project, tags))
    }

    /// The builds that a user sent.
    pub(crate) async fn user(call: &Call<'_>, username: &Username) -> Result<Self, ApiError> {
        Ok(Self::User(call.user(username).await?))
    }

    /// The list with this name.
    pub(crate) async fn find(call: &Call<'_>, of: &BuildsOf) -> Result<Self, ApiError> {
        match of {
            BuildsOf::Project(slug) => Self::project(call, slug).await,
            BuildsOf::Tagged(slug, segment) => Self::tagged(call, slug, segment).await,
            BuildsOf::User(username) => Self::user(call, username).await,
        }
    }

    pub(crate) fn scope(&self) -> Scope {
        match self {
            Self::Project(project) => Scope::Project(project.id),
            Self::Tagged(project, tags) => Scope::Tagged(project.id, tags.clone()),
            Self::User(account) => Scope::Sender(account.id),
        }
    }

    /// The version of its owner.
    pub(crate) fn version(&self) -> i64 {
        match self {
            Self::Project(project) | Self::Tagged(project, _) => project.version,
            Self::User(account) => account.version,
        }
    }

    /// The project that all its builds belong to.
    pub(crate) fn of_project(&self) -> Option<&Project> {
        match self {
            Self::Project(project) | Self::Tagged(project, _) => Some(project),
            Self::User(_) => None,
        }
    }

    /// The tags that all its builds have.
    pub(crate) fn tags(&self) -> Option<&[Tag]> {
        match self {
            Self::Tagged(_, tags) => Some(tags),
            Self::Project(_) | Self::User(_) => None,
        }
    }

    pub(super) fn links(&self, call: &Call<'_>, list: &ListLinks) -> Vec<Link> {
        match self {
            Self::Project(project) => call.view().build_list_links(project, list),
            Self::Tagged(project, tags) => call.view().tagged_links(project, tags, list),
            Self::User(account) => call.view().user_builds_links(&account.username, list),
        }
    }
}
