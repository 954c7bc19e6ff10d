//! Names that resources consist of: methods, tags in a path, collections, lists of builds.

use std::fmt;

use devmason_domain::{Slug, Tag, Username};

use crate::Resource;

/// A method of a resource. Every resource with `GET` also answers `HEAD`, and every resource answers `OPTIONS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Read.
    Get,
    /// Add.
    Post,
    /// Create or replace.
    Put,
    /// Delete.
    Delete,
}

impl Method {
    /// The method's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A path segment that names one or more tags.
///
/// `;` and `,` always separate tags. Without either, only the project's tags determine whether
/// `a-b` is one tag or two, so the segment keeps its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TagSegment(String);

impl TagSegment {
    /// From a decoded path segment.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The segment that names these tags.
    pub fn of<'a>(tags: impl IntoIterator<Item = &'a Tag>) -> Self {
        let tags: Vec<&str> = tags.into_iter().map(Tag::as_str).collect();
        match tags.as_slice() {
            // Clients would remove a dot segment from the path, so it gets an empty second tag.
            [dot @ ("." | "..")] => Self(format!("{dot};")),
            _ => Self(tags.join(";")),
        }
    }

    /// The text between the slashes, decoded.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The words separated by `;` and `,`; `None` if the segment contains neither.
    pub fn separated(&self) -> Option<Vec<&str>> {
        let words = self.0.split([';', ',']).filter(|word| !word.trim().is_empty());
        self.0.contains([';', ',']).then(|| words.collect())
    }
}

/// A kind of object in the query API, under `/api/v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Collection {
    /// Component types.
    ComponentTypes,
    /// Components.
    Components,
    /// Projects.
    Projects,
    /// Builds of all projects.
    Builds,
    /// Steps of all builds.
    Steps,
    /// Test cases of all builds.
    Tests,
    /// Tags of all projects.
    Tags,
    /// Users.
    Users,
    /// Known issues of all projects.
    Issues,
    /// Tracks of all projects.
    Tracks,
}

impl Collection {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::ComponentTypes,
        Self::Components,
        Self::Projects,
        Self::Builds,
        Self::Steps,
        Self::Tests,
        Self::Tags,
        Self::Users,
        Self::Issues,
        Self::Tracks,
    ];

    /// Its name in URIs and documents.
    pub fn plural(self) -> &'static str {
        match self {
            Self::ComponentTypes => "componenttypes",
            Self::Components => "components",
            Self::Projects => "projects",
            Self::Builds => "builds",
            Self::Steps => "steps",
            Self::Tests => "tests",
            Self::Tags => "tags",
            Self::Users => "users",
            Self::Issues => "issues",
            Self::Tracks => "tracks",
        }
    }

    /// The singular name in documents.
    pub fn singular(self) -> &'static str {
        let plural = self.plural();
        plural.strip_suffix('s').unwrap_or(plural)
    }

    /// Whether clients create, change and delete its objects here.
    pub fn is_written(self) -> bool {
        matches!(self, Self::ComponentTypes | Self::Components)
    }

    /// The list of all its objects.
    pub fn list(self) -> Resource {
        match self {
            Self::ComponentTypes => Resource::ComponentTypeObjects,
            Self::Components => Resource::ComponentObjects,
            Self::Projects => Resource::ProjectObjects,
            Self::Builds => Resource::BuildObjects,
            Self::Steps => Resource::StepObjects,
            Self::Tests => Resource::TestObjects,
            Self::Tags => Resource::TagObjects,
            Self::Users => Resource::UserObjects,
            Self::Issues => Resource::IssueObjects,
            Self::Tracks => Resource::TrackObjects,
        }
    }

    /// The object with this id.
    pub fn object(self, id: String) -> Resource {
        match self {
            Self::ComponentTypes => Resource::ComponentTypeObject(id),
            Self::Components => Resource::ComponentObject(id),
            Self::Projects => Resource::ProjectObject(id),
            Self::Builds => Resource::BuildObject(id),
            Self::Steps => Resource::StepObject(id),
            Self::Tests => Resource::TestObject(id),
            Self::Tags => Resource::TagObject(id),
            Self::Users => Resource::UserObject(id),
            Self::Issues => Resource::IssueObject(id),
            Self::Tracks => Resource::TrackObject(id),
        }
    }
}

/// A list of builds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BuildsOf {
    /// A project's.
    Project(Slug),
    /// The builds of a project that have certain tags.
    Tagged(Slug, TagSegment),
    /// A user's.
    User(Username),
}

impl From<Slug> for BuildsOf {
    fn from(project: Slug) -> Self {
        Self::Project(project)
    }
}

impl From<Username> for BuildsOf {
    fn from(user: Username) -> Self {
        Self::User(user)
    }
}

impl BuildsOf {
    /// The list as a resource.
    pub fn list(&self) -> Resource {
        match self.clone() {
            Self::Project(project) => Resource::BuildList(project),
            Self::Tagged(project, tags) => Resource::Tagged(project, tags),
            Self::User(user) => Resource::UserBuilds(user),
        }
    }

    /// The badge of its latest build.
    pub fn badge(&self) -> Resource {
        match self.clone() {
            Self::Project(project) => Resource::ProjectBadge(project),
            Self::Tagged(project, tags) => Resource::TaggedBadge(project, tags),
            Self::User(user) => Resource::UserBadge(user),
        }
    }

    /// The feed of its recent builds.
    pub fn feed(&self) -> Resource {
        match self.clone() {
            Self::Project(project) => Resource::ProjectFeed(project),
            Self::Tagged(project, tags) => Resource::TaggedFeed(project, tags),
            Self::User(user) => Resource::UserFeed(user),
        }
    }
}

/// One of a step's two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Errout,
}

impl Stream {
    /// Its name in URIs and documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Errout => "errout",
        }
    }
}
