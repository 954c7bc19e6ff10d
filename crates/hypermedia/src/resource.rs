//! How the map of URIs works: each row yields the parser, path, methods and operations of a
//! resource.

mod segment;

use std::borrow::Cow;

use devmason_domain::{BuildKey, Slug, TrackKey, Username};
use percent_encoding::percent_decode_str;
use uuid::Uuid;

pub use self::segment::{AgentVersion, BuildPair};
pub(crate) use self::segment::{Segment, append};
use crate::{Collection, Resource, TagSegment};

/// Reserved first segments, which no project may have as its name.
pub const RESERVED: [&str; 15] = [
    "search",
    "admin",
    "users",
    "api",
    "builds",
    "static",
    "healthz",
    "readyz",
    "metrics",
    "docs",
    "xmlrpc",
    "upload",
    "openapi.json",
    "favicon.ico",
    "robots.txt",
];

/// Why a path doesn't match a resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No resource has this path.
    #[error("not found")]
    NotFound,
    /// A name in the path is malformed; reported separately so that a client that sends a PUT learns
    /// about it.
    #[error("{0}")]
    Malformed(String),
}

/// What a resource belongs to. This determines whether it exists and what a client may do with it.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// Always exists, for anyone.
    Open,
    /// Always exists, for anyone who may read.
    Server,
    /// Always exists, for clients of other systems.
    Foreign,
    /// A browser session.
    Session,
    /// Always exists, for administrators.
    Administration,
    /// A project.
    Project(&'a Slug),
    /// The builds of a project.
    Builds(&'a Slug),
    /// A track of a project.
    Track(&'a Slug, &'a TrackKey),
    /// The known issues of a project.
    Issues(&'a Slug),
    /// A known issue of a project.
    Issue(&'a Slug, &'a Uuid),
    /// Any other resource of a project.
    InProject(&'a Slug),
    /// Any resource of the builds with certain tags.
    Tagged(&'a Slug, &'a TagSegment),
    /// A build.
    Build(&'a Slug, &'a BuildKey),
    /// The progress of a build.
    Progress(&'a Slug, &'a BuildKey),
    /// A step of a build.
    Step(&'a Slug, &'a BuildKey, &'a u32),
    /// The log of a step.
    StepLog(&'a Slug, &'a BuildKey, &'a u32),
    /// Reparses a build's uploads.
    Reparse(&'a Slug, &'a BuildKey),
    /// Any other resource of a build.
    InBuild(&'a Slug, &'a BuildKey),
    /// A user.
    User(&'a Username),
    /// Any other resource of a user.
    InUser(&'a Username),
    /// The components or the component types.
    Components,
    /// An object of the query API.
    Object(Collection, &'a str),
    /// A list that belongs to an object of the query API.
    InObject(Collection, &'a str),
}

fn is_reserved(segment: &str) -> bool {
    RESERVED.iter().any(|own| own.eq_ignore_ascii_case(segment))
}

impl Resource {
    /// Finds the resource at a path within the server. A trailing slash is ignored.
    ///
    /// # Errors
    /// If there is none.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let path = path.strip_suffix('/').unwrap_or(path);
        let decoded: Vec<Cow<'_, str>> = path
            .split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8())
            .collect::<Result<_, _>>()
            .map_err(|_| PathError::Malformed("the path is not UTF-8".to_owned()))?;
        let mut segments: Vec<&str> = decoded.iter().map(AsRef::as_ref).collect();
        // A test's name may contain slashes, which some clients don't encode.
        let name = segments.get(2..).unwrap_or_default().join("/");
        if let [project, "tests", _, ..] = segments[..]
            && !is_reserved(project)
        {
            segments = vec![project, "tests", &name];
        }
        if let [project, "builds", pair] = segments[..]
            && BuildPair::read(pair).is_ok()
        {
            segments = vec![project, "builds", pair, "..."];
        }
        Self::find(&segments)
    }
}

/// The pattern of one segment.
macro_rules! pattern {
    // Tells rows apart whose paths have the same form; it is not written.
    ("...") => {
        ""
    };
    (pair) => {
        "/{one}...{other}"
    };
    ($text:literal) => {
        concat!("/", $text)
    };
    ($name:ident) => {
        concat!("/{", stringify!($name), "}")
    };
}
pub(crate) use pattern;

/// Appends one segment of a row to a path.
macro_rules! append_segment {
    ($path:ident, "...") => {};
    ($path:ident, $text:literal) => {
        $path.push_str(concat!("/", $text))
    };
    ($path:ident, $name:ident) => {
        $crate::resource::append($path, $name)
    };
}
pub(crate) use append_segment;

/// Defines the map by rows: `Name(field: Type) = [segments] in Place(field) { Method Operation {
/// description } }`.
///
/// A segment is a literal or the name of a field. If two rows match a path, the first one wins.
macro_rules! resources {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident $fields:tt = $segments:tt in $place:ident $of:tt {
            $($method:ident $operation:ident $description:tt)+
        }
    )+) => {
        $crate::resource::places! {
            $($(#[doc = $doc])+ $name $fields $segments $place $of [$($method $description)+])+
        }
        $crate::resource::operations! { $($($method $operation $name $fields)+)+ }
    };
}
pub(crate) use resources;

/// The enum of resources and its methods, generated from the rows.
macro_rules! places {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident ($($($field:ident: $type:ty),+)?) [$($segment:tt)/+]
        $place:ident ($($($of:expr),+)?) [$($method:ident { $($description:tt)+ })+]
    )+) => {
        /// A resource in the map of URIs.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Resource {
            $($(#[doc = $doc])+ $name $(($($type),+))?,)+
        }

        /// The rows of the map.
        pub const ROWS: &[$crate::operation::Row] = &[
            $($crate::operation::Row {
                pattern: concat!($($crate::resource::pattern!($segment)),+),
                methods: &[$($crate::Method::$method),+],
                operations: &[$($crate::operation::Description { $($description)+ }),+],
            },)+
        ];

        impl Resource {
            /// The resource at these decoded path segments.
            pub(crate) fn find(segments: &[&str]) -> Result<Self, $crate::PathError> {
                match segments {
                    $([$($segment),+] => {
                        Ok(Self::$name $(($(<$type as $crate::resource::Segment>::read($field)?),+))?)
                    })+
                    _ => Err($crate::PathError::NotFound),
                }
            }

            /// Its path within the server.
            pub fn path(&self) -> String {
                let mut path = String::new();
                self.append_path(&mut path);
                path
            }

            /// Appends its path within the server.
            pub(crate) fn append_path(&self, path: &mut String) {
                match self {
                    $(Self::$name $(($($field),+))? => {
                        $($crate::resource::append_segment!(path, $segment);)+
                    })+
                }
            }

            /// The pattern of its path, as used in `/openapi.json` and the metrics.
            pub fn pattern(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => concat!($($crate::resource::pattern!($segment)),+),)+
                }
            }

            /// All its methods, whoever asks.
            pub fn methods(&self) -> &'static [$crate::Method] {
                match self {
                    $(Self::$name { .. } => &[$($crate::Method::$method),+],)+
                }
            }

            /// What it belongs to.
            pub fn place(&self) -> $crate::Place<'_> {
                #[allow(unused_variables, reason = "not every name in a path matters here")]
                match self {
                    $(Self::$name $(($($field),+))? => $crate::Place::$place $(($($of),+))?,)+
                }
            }
        }
    };
}
pub(crate) use places;

/// The enum of operations, each with the names in its resource's path.
macro_rules! operations {
    ($($method:ident $operation:ident $name:ident ($($($field:ident: $type:ty),+)?))+) => {
        /// An operation with the names in its resource's path.
        #[derive(Debug, Clone, Copy)]
        pub enum Operation<'a> {
            $(
                #[doc = concat!("`", stringify!($method), "` of [`Resource::", stringify!($name), "`].")]
                $operation $(($(&'a $type),+))?,
            )+
        }

        impl Resource {
            /// The operation of this method.
            pub fn operation(&self, method: $crate::Method) -> Option<Operation<'_>> {
                match (self, method) {
                    $((Self::$name $(($($field),+))?, $crate::Method::$method) => {
                        Some(Operation::$operation $(($($field),+))?)
                    })+
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use operations;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::map::ROWS;
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
        for path in
            ["/api", "/builds", "/static", "/Docs", "/docs/builds/1/receipt", "/api/builds/1"]
        {
            assert!(matches!(Resource::parse(path), Err(PathError::Malformed(_))), "{path}");
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

    #[test]
    fn a_user_may_be_called_tests() {
        let user = "tests".parse().unwrap();
        assert_eq!(Resource::parse("/users/tests/builds/latest"), Ok(Resource::LatestByUser(user)));
    }

    #[test]
    fn a_step_has_one_number() {
        for (step, found) in [
            ("0", true),
            ("10", true),
            ("+0", false),
            ("00", false),
            ("-1", false),
            ("4294967296", false),
            ("", false),
        ] {
            let resource = Resource::parse(&format!("/p/builds/1/steps/{step}/output"));
            assert_eq!(resource.is_ok(), found, "{step}");
        }
    }

    #[test]
    fn every_row_has_its_own_pattern() {
        let mut patterns: Vec<&str> = ROWS.iter().map(|row| row.pattern).collect();
        patterns.sort_unstable();
        patterns.dedup();
        assert_eq!(patterns.len(), ROWS.len());
        assert!(ROWS.iter().all(|row| row.methods.len() == row.operations.len()));
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
            let tags = TagSegment::new(&tags);
            if let Some(pair) = BuildPair::new(key.clone(), "1.x".parse().unwrap()) {
                let of = Resource::Comparison(slug.clone(), pair);
                prop_assert_eq!(Resource::parse(&of.path()).unwrap(), of);
            }
            // Two builds are compared there.
            prop_assume!(BuildPair::read(key.as_str()).is_err());
            for resource in [
                Resource::Project(slug.clone()), Resource::BuildList(slug.clone()), Resource::LatestBuild(slug.clone()),
                Resource::Build(slug.clone(), key.clone()), Resource::Progress(slug.clone(), key.clone()), Resource::TestList(slug.clone(), key.clone()), Resource::Receipt(slug.clone(), key.clone()), Resource::StepErrout(slug.clone(), key.clone(), 7), Resource::Events(slug.clone(), key.clone()), Resource::Step(slug.clone(), key.clone(), 3), Resource::StepLog(slug.clone(), key.clone(), 3), Resource::LogSearch(slug.clone(), key.clone()), Resource::Session, Resource::Asset("x.css".to_owned()), Resource::Reparse(slug.clone(), key.clone()),
                Resource::TestCase(slug.clone(), key.clone(), 3),
                Resource::TestHistory(slug.clone(), tags.as_str().to_owned()), Resource::TagList(slug.clone()),
                Resource::Tagged(slug.clone(), tags.clone()), Resource::LatestTagged(slug.clone(), tags.clone()),
                Resource::ProjectBadge(slug.clone()), Resource::TaggedFeed(slug, tags.clone()), Resource::User(user.clone()),
                Resource::UserBuilds(user.clone()), Resource::UserFeed(user.clone()), Resource::UserBadge(user.clone()),
                Resource::LatestByUser(user), Resource::UserList, Resource::ProjectList,
                Resource::StepObjects, Resource::TagObject(tags.as_str().to_owned()),
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
