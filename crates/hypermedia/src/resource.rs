//! The map of URIs: every resource once, with its pattern, its path and its methods.

use std::fmt;

use devmason_domain::{BuildKey, Slug, Tag, Username};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The methods that links speak of. `HEAD` comes with `GET`, `OPTIONS` with any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Read.
    Get,
    /// Add to.
    Post,
    /// Make or replace.
    Put,
    /// Remove.
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

/// The segment of a path that names one or several tags.
///
/// `;` and `,` always separate. Without either, only the project's tags tell whether `a-b` is one tag
/// or two, so the segment is kept as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TagSegment(String);

impl TagSegment {
    /// The segment that names these tags.
    pub fn of<'a>(tags: impl IntoIterator<Item = &'a Tag>) -> Self {
        let tags: Vec<&str> = tags.into_iter().map(Tag::as_str).collect();
        match tags.as_slice() {
            // A dot segment would be resolved away by clients, so it gets an empty second tag.
            [dot @ ("." | "..")] => Self(format!("{dot};")),
            _ => Self(tags.join(";")),
        }
    }

    /// The text between the slashes, decoded.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The words that `;` and `,` separate, or `None` where neither is there.
    pub fn separated(&self) -> Option<Vec<&str>> {
        let words = self.0.split([';', ',']).filter(|word| !word.trim().is_empty());
        self.0.contains([';', ',']).then(|| words.collect())
    }
}

/// A kind of object that the query face lists, under `/api/v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Collection {
    /// Kinds of things under test.
    ComponentTypes,
    /// Things under test.
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
}

impl Collection {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ComponentTypes,
        Self::Components,
        Self::Projects,
        Self::Builds,
        Self::Steps,
        Self::Tests,
        Self::Tags,
        Self::Users,
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
        }
    }

    /// The name of one of it, in documents.
    pub fn singular(self) -> &'static str {
        let plural = self.plural();
        plural.strip_suffix('s').unwrap_or(plural)
    }

    /// Whether clients create, change and delete its objects here.
    pub fn is_written(self) -> bool {
        matches!(self, Self::ComponentTypes | Self::Components)
    }

    fn parse(plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|collection| collection.plural() == plural)
    }
}

/// A list of builds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BuildsOf {
    /// A project's.
    Project(Slug),
    /// Those of a project that have some tags.
    Tagged(Slug, TagSegment),
    /// A user's.
    User(Username),
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
}

/// One of the two outputs of a step.
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

/// A resource, and so a place in the map of URIs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `/`
    ProjectList,
    /// `/{project}`
    Project(Slug),
    /// `/{project}/builds`
    BuildList(Slug),
    /// `/{project}/builds/latest`
    LatestBuild(Slug),
    /// `/{project}/builds/{build}`
    Build(Slug, BuildKey),
    /// `/{project}/builds/{build}/progress`
    Progress(Slug, BuildKey),
    /// `/{project}/builds/{build}/tests`
    TestList(Slug, BuildKey),
    /// `/{project}/builds/{build}/steps/{step}/output` and `…/errout`: what a step wrote, as it is; steps are counted from 0
    StepOutput(Slug, BuildKey, u32, Stream),
    /// `/{project}/builds/{build}/events`: what comes to a build while it runs
    Events(Slug, BuildKey),
    /// `/{project}/builds/{build}/receipt`
    Receipt(Slug, BuildKey),
    /// `/{project}/builds/{build}/receipt/reparse`
    Reparse(Slug, BuildKey),
    /// `/{project}/tests/{test}`, the whole name of a test, slashes and all
    TestHistory(Slug, String),
    /// `/{project}/tags`
    TagList(Slug),
    /// `/{project}/tags/{tags}`
    Tagged(Slug, TagSegment),
    /// `/{project}/tags/{tags}/latest`
    LatestTagged(Slug, TagSegment),
    /// `/users`
    UserList,
    /// `/users/{username}`
    User(Username),
    /// `/users/{username}/builds`
    UserBuilds(Username),
    /// `/users/{username}/builds/latest`
    LatestByUser(Username),
    /// `…/badge.svg`: how a list's latest build stands, as a picture
    Badge(BuildsOf),
    /// `…/builds.atom`: the latest builds of a list, as a feed
    Feed(BuildsOf),
    /// `/api/v1/session`: who is signed in with a browser
    Session,
    /// `/static/{file}`: what pages load
    Asset(String),
    /// `/api/v1/{collection}`
    List(Collection),
    /// `/api/v1/{collection}/{id}`, where components and their types are found by name, too
    Object(Collection, String),
    /// `/api/v1/componenttypes/{id}/components`
    ComponentsOfType(String),
    /// `/api/v1/components/{id}/builds`
    BuildsOfComponent(String),
    /// `/healthz`
    Health,
    /// `/readyz`
    Ready,
    /// `/metrics`
    Metrics,
    /// `/openapi.json`
    OpenApi,
}

/// First segments that are the server's own, so that no project may have them as its name.
pub const RESERVED: [&str; 11] = [
    "users",
    "api",
    "builds",
    "static",
    "healthz",
    "readyz",
    "metrics",
    "docs",
    "openapi.json",
    "favicon.ico",
    "robots.txt",
];

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// There is no such place.
    #[error("there is nothing here")]
    NotFound,
    /// There would be, if a name in it were well formed: a client that PUTs there should know.
    #[error("{0}")]
    Malformed(String),
}

/// What stays as it is in a path (RFC 3986, unreserved).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Resource {
    /// Finds the resource at a path within the server. A trailing slash makes no difference.
    ///
    /// # Errors
    /// Where there is none.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let path = path.strip_suffix('/').unwrap_or(path);
        let segments: Vec<String> = path
            .split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8().map(String::from))
            .collect::<Result<_, _>>()
            .map_err(|_| PathError::Malformed("the path is not UTF-8".to_owned()))?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let tags = |segment: &str| TagSegment(segment.to_owned());
        match segments.as_slice() {
            [""] => Ok(Self::ProjectList),
            ["healthz"] => Ok(Self::Health),
            ["readyz"] => Ok(Self::Ready),
            ["metrics"] => Ok(Self::Metrics),
            ["openapi.json"] => Ok(Self::OpenApi),
            ["api", "v1", "session"] => Ok(Self::Session),
            ["static", file] if file.contains('.') => Ok(Self::Asset((*file).to_owned())),
            ["api", "v1", plural] => {
                Collection::parse(plural).map(Self::List).ok_or(PathError::NotFound)
            }
            ["api", "v1", "componenttypes", id, "components"] => {
                Ok(Self::ComponentsOfType((*id).to_owned()))
            }
            ["api", "v1", "components", id, "builds"] => {
                Ok(Self::BuildsOfComponent((*id).to_owned()))
            }
            ["api", "v1", plural, id] => {
                let object = |collection| Self::Object(collection, (*id).to_owned());
                Collection::parse(plural).map(object).ok_or(PathError::NotFound)
            }
            ["users"] => Ok(Self::UserList),
            ["users", user] => Ok(Self::User(name(user)?)),
            ["users", user, "builds"] => Ok(Self::UserBuilds(name(user)?)),
            ["users", user, "badge.svg"] => Ok(Self::Badge(BuildsOf::User(name(user)?))),
            ["users", user, "builds.atom"] => Ok(Self::Feed(BuildsOf::User(name(user)?))),
            ["users", user, "builds", "latest"] => Ok(Self::LatestByUser(name(user)?)),
            [own] if is_reserved(own) => {
                Err(PathError::Malformed(format!("'{own}' is the server's own name")))
            }
            [own, ..] if is_reserved(own) => Err(PathError::NotFound),
            [project] => Ok(Self::Project(name(project)?)),
            [project, "builds"] => Ok(Self::BuildList(name(project)?)),
            [project, "builds", "latest"] => Ok(Self::LatestBuild(name(project)?)),
            [project, "builds", build] => Ok(Self::Build(name(project)?, name(build)?)),
            [project, "builds", build, "progress"] => {
                Ok(Self::Progress(name(project)?, name(build)?))
            }
            [project, "builds", build, "tests"] => Ok(Self::TestList(name(project)?, name(build)?)),
            [project, "builds", build, "events"] => Ok(Self::Events(name(project)?, name(build)?)),
            [project, "builds", build, "steps", nth, stream @ ("output" | "errout")] => {
                let stream = if *stream == "output" { Stream::Output } else { Stream::Errout };
                let nth = nth.parse().map_err(|_| PathError::NotFound)?;
                Ok(Self::StepOutput(name(project)?, name(build)?, nth, stream))
            }
            [project, "builds", build, "receipt"] => {
                Ok(Self::Receipt(name(project)?, name(build)?))
            }
            [project, "builds", build, "receipt", "reparse"] => {
                Ok(Self::Reparse(name(project)?, name(build)?))
            }
            // A client that leaves slashes as they are means the same.
            [project, "tests", test @ ..] if !test.is_empty() => {
                Ok(Self::TestHistory(name(project)?, test.join("/")))
            }
            [project, "badge.svg"] => Ok(Self::Badge(BuildsOf::Project(name(project)?))),
            [project, "builds.atom"] => Ok(Self::Feed(BuildsOf::Project(name(project)?))),
            [project, "tags", segment, "badge.svg"] => {
                Ok(Self::Badge(BuildsOf::Tagged(name(project)?, tags(segment))))
            }
            [project, "tags", segment, "builds.atom"] => {
                Ok(Self::Feed(BuildsOf::Tagged(name(project)?, tags(segment))))
            }
            [project, "tags"] => Ok(Self::TagList(name(project)?)),
            [project, "tags", segment] => Ok(Self::Tagged(name(project)?, tags(segment))),
            [project, "tags", segment, "latest"] => {
                Ok(Self::LatestTagged(name(project)?, tags(segment)))
            }
            _ => Err(PathError::NotFound),
        }
    }

    /// The path within the server.
    pub fn path(&self) -> String {
        let encode = |segment: &str| utf8_percent_encode(segment, ENCODED).to_string();
        let base = |of: &BuildsOf| match of {
            BuildsOf::Project(project) => format!("/{project}"),
            BuildsOf::Tagged(project, tags) => {
                format!("/{project}/tags/{}", encode(tags.as_str()))
            }
            BuildsOf::User(user) => format!("/users/{}", encode(user.as_str())),
        };
        match self {
            Self::ProjectList => "/".to_owned(),
            Self::Project(project) => format!("/{project}"),
            Self::BuildList(project) => format!("/{project}/builds"),
            Self::LatestBuild(project) => format!("/{project}/builds/latest"),
            Self::Build(project, build) => format!("/{project}/builds/{build}"),
            Self::Progress(project, build) => format!("/{project}/builds/{build}/progress"),
            Self::TestList(project, build) => format!("/{project}/builds/{build}/tests"),
            Self::StepOutput(project, build, nth, stream) => {
                format!("/{project}/builds/{build}/steps/{nth}/{}", stream.as_str())
            }
            Self::Events(project, build) => format!("/{project}/builds/{build}/events"),
            Self::Receipt(project, build) => format!("/{project}/builds/{build}/receipt"),
            Self::Reparse(project, build) => format!("/{project}/builds/{build}/receipt/reparse"),
            Self::TestHistory(project, test) => format!("/{project}/tests/{}", encode(test)),
            Self::TagList(project) => format!("/{project}/tags"),
            Self::Tagged(project, tags) => format!("/{project}/tags/{}", encode(tags.as_str())),
            Self::LatestTagged(project, tags) => {
                format!("/{project}/tags/{}/latest", encode(tags.as_str()))
            }
            Self::UserList => "/users".to_owned(),
            Self::User(user) => format!("/users/{}", encode(user.as_str())),
            Self::UserBuilds(user) => format!("/users/{}/builds", encode(user.as_str())),
            Self::LatestByUser(user) => format!("/users/{}/builds/latest", encode(user.as_str())),
            Self::Badge(of) => format!("{}/badge.svg", base(of)),
            Self::Feed(of) => format!("{}/builds.atom", base(of)),
            Self::Session => "/api/v1/session".to_owned(),
            Self::Asset(file) => format!("/static/{}", encode(file)),
            Self::List(collection) => format!("/api/v1/{}", collection.plural()),
            Self::Object(collection, id) => {
                format!("/api/v1/{}/{}", collection.plural(), encode(id))
            }
            Self::ComponentsOfType(id) => {
                format!("/api/v1/componenttypes/{}/components", encode(id))
            }
            Self::BuildsOfComponent(id) => format!("/api/v1/components/{}/builds", encode(id)),
            Self::Health => "/healthz".to_owned(),
            Self::Ready => "/readyz".to_owned(),
            Self::Metrics => "/metrics".to_owned(),
            Self::OpenApi => "/openapi.json".to_owned(),
        }
    }

    /// The pattern that the path follows, as the API's description and the metrics name it.
    pub fn pattern(&self) -> &'static str {
        match self {
            Self::ProjectList => "/",
            Self::Project(_) => "/{project}",
            Self::BuildList(_) => "/{project}/builds",
            Self::LatestBuild(_) => "/{project}/builds/latest",
            Self::Build(..) => "/{project}/builds/{build}",
            Self::Progress(..) => "/{project}/builds/{build}/progress",
            Self::TestList(..) => "/{project}/builds/{build}/tests",
            Self::StepOutput(_, _, _, Stream::Output) => {
                "/{project}/builds/{build}/steps/{step}/output"
            }
            Self::StepOutput(_, _, _, Stream::Errout) => {
                "/{project}/builds/{build}/steps/{step}/errout"
            }
            Self::Events(..) => "/{project}/builds/{build}/events",
            Self::Receipt(..) => "/{project}/builds/{build}/receipt",
            Self::Reparse(..) => "/{project}/builds/{build}/receipt/reparse",
            Self::TestHistory(..) => "/{project}/tests/{test}",
            Self::TagList(_) => "/{project}/tags",
            Self::Tagged(..) => "/{project}/tags/{tags}",
            Self::LatestTagged(..) => "/{project}/tags/{tags}/latest",
            Self::UserList => "/users",
            Self::User(_) => "/users/{username}",
            Self::UserBuilds(_) => "/users/{username}/builds",
            Self::LatestByUser(_) => "/users/{username}/builds/latest",
            Self::Badge(BuildsOf::Project(_)) => "/{project}/badge.svg",
            Self::Badge(BuildsOf::Tagged(..)) => "/{project}/tags/{tags}/badge.svg",
            Self::Badge(BuildsOf::User(_)) => "/users/{username}/badge.svg",
            Self::Feed(BuildsOf::Project(_)) => "/{project}/builds.atom",
            Self::Feed(BuildsOf::Tagged(..)) => "/{project}/tags/{tags}/builds.atom",
            Self::Feed(BuildsOf::User(_)) => "/users/{username}/builds.atom",
            Self::Session => "/api/v1/session",
            Self::Asset(_) => "/static/{file}",
            Self::List(Collection::ComponentTypes) => "/api/v1/componenttypes",
            Self::List(Collection::Components) => "/api/v1/components",
            Self::List(Collection::Projects) => "/api/v1/projects",
            Self::List(Collection::Builds) => "/api/v1/builds",
            Self::List(Collection::Steps) => "/api/v1/steps",
            Self::List(Collection::Tests) => "/api/v1/tests",
            Self::List(Collection::Tags) => "/api/v1/tags",
            Self::List(Collection::Users) => "/api/v1/users",
            Self::Object(Collection::ComponentTypes, _) => "/api/v1/componenttypes/{id}",
            Self::Object(Collection::Components, _) => "/api/v1/components/{id}",
            Self::Object(Collection::Projects, _) => "/api/v1/projects/{id}",
            Self::Object(Collection::Builds, _) => "/api/v1/builds/{id}",
            Self::Object(Collection::Steps, _) => "/api/v1/steps/{id}",
            Self::Object(Collection::Tests, _) => "/api/v1/tests/{id}",
            Self::Object(Collection::Tags, _) => "/api/v1/tags/{id}",
            Self::Object(Collection::Users, _) => "/api/v1/users/{id}",
            Self::ComponentsOfType(_) => "/api/v1/componenttypes/{id}/components",
            Self::BuildsOfComponent(_) => "/api/v1/components/{id}/builds",
            Self::Health => "/healthz",
            Self::Ready => "/readyz",
            Self::Metrics => "/metrics",
            Self::OpenApi => "/openapi.json",
        }
    }

    /// The methods that the resource has for anybody at all.
    pub fn methods(&self) -> &'static [Method] {
        use Method::{Delete, Get, Post, Put};
        match self {
            Self::Project(_) | Self::Build(..) | Self::User(_) => &[Get, Put, Delete],
            Self::Object(collection, _) if collection.is_written() => &[Get, Put, Delete],
            Self::List(collection) if collection.is_written() => &[Get, Post],
            Self::BuildList(_) => &[Get, Post],
            Self::Progress(..) => &[Get, Post, Delete],
            Self::Session => &[Get, Post],
            Self::Reparse(..) => &[Post],
            Self::ProjectList
            | Self::LatestBuild(_)
            | Self::TestList(..)
            | Self::StepOutput(..)
            | Self::Events(..)
            | Self::Receipt(..)
            | Self::TestHistory(..)
            | Self::TagList(_)
            | Self::Tagged(..)
            | Self::LatestTagged(..)
            | Self::UserList
            | Self::UserBuilds(_)
            | Self::LatestByUser(_)
            | Self::Badge(_)
            | Self::Feed(_)
            | Self::Asset(_)
            | Self::List(_)
            | Self::Object(..)
            | Self::ComponentsOfType(_)
            | Self::BuildsOfComponent(_)
            | Self::Health
            | Self::Ready
            | Self::Metrics
            | Self::OpenApi => &[Get],
        }
    }
}

fn is_reserved(segment: &str) -> bool {
    RESERVED.iter().any(|own| own.eq_ignore_ascii_case(segment))
}

fn name<T: std::str::FromStr<Err = devmason_domain::Invalid>>(
    segment: &str,
) -> Result<T, PathError> {
    segment.parse().map_err(|invalid: devmason_domain::Invalid| PathError::Malformed(invalid.0))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_trailing_slash_makes_no_difference() {
        assert_eq!(
            Resource::parse("/pony/builds/").unwrap(),
            Resource::parse("/pony/builds").unwrap()
        );
        assert_eq!(Resource::parse("").unwrap(), Resource::ProjectList);
        assert_eq!(Resource::parse("/pony//builds"), Err(PathError::NotFound));
    }

    #[test]
    fn the_servers_own_names_are_no_projects() {
        for own in ["api", "builds", "static", "docs", "Docs"] {
            assert!(
                matches!(Resource::parse(&format!("/{own}")), Err(PathError::Malformed(_))),
                "{own}"
            );
            assert_eq!(Resource::parse(&format!("/{own}/builds")), Err(PathError::NotFound));
        }
        assert_eq!(Resource::parse("/users").unwrap(), Resource::UserList);
    }

    #[test]
    fn malformed_names_are_told_from_missing_places() {
        assert!(matches!(Resource::parse("/p.q"), Err(PathError::Malformed(_))));
        assert!(matches!(Resource::parse("/p/builds/a%20b"), Err(PathError::Malformed(_))));
        assert_eq!(Resource::parse("/p/nothing"), Err(PathError::NotFound));
    }

    #[test]
    fn tags_are_separated_by_semicolon_and_comma() {
        let segment = |path: &str| match Resource::parse(path).unwrap() {
            Resource::Tagged(_, tags) => tags,
            _ => unreachable!(),
        };
        assert_eq!(segment("/p/tags/a;b,c").separated().unwrap(), ["a", "b", "c"]);
        assert_eq!(segment("/p/tags/a-b").separated(), None);
        assert_eq!(segment("/p/tags/a%2Fb").as_str(), "a/b");
        let dot = TagSegment::of([&"..".parse().unwrap()]);
        assert_eq!(dot.separated().unwrap(), [".."]);
    }

    proptest! {
        #[test]
        fn a_path_leads_back_to_its_resource(
            slug in "[A-Za-z0-9_-]{1,20}", key in "[A-Za-z0-9._~-]{1,20}", user in "[A-Za-z0-9_.@+-]{1,20}", tags in "\\PC{1,30}"
        ) {
            prop_assume!(!is_reserved(&slug));
            let (Ok(slug), Ok(key), Ok(user)) = (slug.parse::<Slug>(), key.parse::<BuildKey>(), user.parse::<Username>()) else {
                return Ok(());
            };
            let tags = TagSegment(tags);
            for resource in [
                Resource::Project(slug.clone()), Resource::BuildList(slug.clone()), Resource::LatestBuild(slug.clone()),
                Resource::Build(slug.clone(), key.clone()), Resource::Progress(slug.clone(), key.clone()), Resource::TestList(slug.clone(), key.clone()), Resource::Receipt(slug.clone(), key.clone()), Resource::StepOutput(slug.clone(), key.clone(), 7, Stream::Errout), Resource::Events(slug.clone(), key.clone()), Resource::Session, Resource::Asset("x.css".to_owned()), Resource::Reparse(slug.clone(), key),
                Resource::TestHistory(slug.clone(), tags.as_str().to_owned()), Resource::TagList(slug.clone()),
                Resource::Tagged(slug.clone(), tags.clone()), Resource::LatestTagged(slug.clone(), tags.clone()),
                Resource::Badge(BuildsOf::Project(slug.clone())), Resource::Feed(BuildsOf::Tagged(slug, tags.clone())), Resource::User(user.clone()),
                Resource::UserBuilds(user.clone()), Resource::Feed(BuildsOf::User(user.clone())), Resource::Badge(BuildsOf::User(user.clone())),
                Resource::LatestByUser(user), Resource::UserList, Resource::ProjectList,
                Resource::List(Collection::Steps), Resource::Object(Collection::Tags, tags.as_str().to_owned()),
                Resource::ComponentsOfType(tags.as_str().to_owned()), Resource::Health, Resource::Ready, Resource::Metrics, Resource::OpenApi,
            ] {
                prop_assert_eq!(Resource::parse(&resource.path()).unwrap(), resource);
            }
        }

        #[test]
        fn no_path_makes_it_panic(path in "\\PC{0,60}") {
            let _ = Resource::parse(&path);
        }
    }
}
