//! The frame of every page, and the targets of its links.

use devmason_domain::{Build, BuildKey, Component, Outcome, Slug, Tag, Timestamp, Username};
use devmason_hypermedia::{Base, BuildPair, BuildsOf, Resource, TagSegment};

use crate::Standing;
use crate::assets::{SCRIPT, STYLE};

/// The frame of every page: its viewer and its location.
#[derive(Debug, Clone)]
pub struct Site<'a> {
    /// The server's address.
    pub base: &'a Base,
    /// The signed-in user, if any.
    pub user: Option<&'a str>,
    /// The token that proves that a form comes from a page of this session. Without it there are no
    /// forms.
    pub token: Option<String>,
    /// Whether the viewer is an administrator.
    pub is_administrator: bool,
    /// This page's path and query.
    pub here: String,
    /// The URL of this page as JSON, if there is one.
    pub json: Option<String>,
    /// The version of the server.
    pub version: &'a str,
}

/// Maximum length of a test's full name, in bytes: the suite, `::` and its own name.
const LONGEST_TEST: usize = (8 << 10) + 2;

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

impl Site<'_> {
    /// The path of a resource.
    pub fn to(&self, resource: &Resource) -> String {
        self.base.location(resource)
    }

    /// The server's address, as clients are told it.
    pub(crate) fn server(&self) -> String {
        self.base.href(&Resource::ProjectList).trim_end_matches('/').to_owned()
    }

    /// This page's URL.
    pub(crate) fn url(&self) -> String {
        let rest = self.here.strip_prefix(self.base.prefix()).unwrap_or(&self.here);
        format!("{}{rest}", self.server())
    }
    pub(crate) fn search(&self) -> String {
        self.to(&Resource::Search)
    }
    pub(crate) fn administration(&self) -> String {
        self.to(&Resource::Administration)
    }
    /// The main pages of a project.
    pub(crate) fn project_tabs(&self, project: &Slug) -> [(&'static str, String); 5] {
        [
            ("Overview", self.project(project)),
            ("Builds", self.builds(project)),
            ("Tracks", self.tracks(project)),
            ("Known issues", self.issues(project)),
            ("Tags", self.tags(project)),
        ]
    }
    /// The builds of a branch of a project.
    pub(crate) fn builds_of_branch(&self, project: &Slug, branch: &str) -> String {
        format!("{}?branch={}", self.builds(project), encoded(branch))
    }
    pub(crate) fn revision(&self, project: &Slug, revision: &str) -> String {
        self.to(&Resource::Revision(project.clone(), revision.to_owned()))
    }
    /// The page of a test case.
    pub(crate) fn case(&self, project: &Slug, build: &BuildKey, position: u32) -> String {
        self.to(&Resource::TestCase(project.clone(), build.clone(), position))
    }
    /// The comparison of two builds, if their ids can be told apart in a path.
    pub(crate) fn comparison(
        &self,
        project: &Slug,
        one: BuildKey,
        other: BuildKey,
    ) -> Option<String> {
        let pair = BuildPair::new(one, other)?;
        Some(self.to(&Resource::Comparison(project.clone(), pair)))
    }
    pub(crate) fn style(&self) -> String {
        self.to(&Resource::Asset(STYLE.name()))
    }
    pub(crate) fn script(&self) -> String {
        self.to(&Resource::Asset(SCRIPT.name()))
    }
    pub(crate) fn icon(&self, standing: Standing) -> String {
        self.to(&Resource::Asset(crate::assets::icon_name(standing)))
    }
    pub(crate) fn home(&self) -> String {
        self.to(&Resource::ProjectList)
    }
    pub(crate) fn users(&self) -> String {
        self.to(&Resource::UserList)
    }
    pub(crate) fn components(&self) -> String {
        self.to(&Resource::ComponentObjects)
    }
    pub(crate) fn docs(&self) -> String {
        self.to(&Resource::Docs)
    }
    pub(crate) fn openapi(&self) -> String {
        self.to(&Resource::OpenApi)
    }
    pub(crate) fn session(&self) -> String {
        self.to(&Resource::Session)
    }
    pub(crate) fn sign_in(&self) -> String {
        format!("{}?next={}", self.session(), encoded(&self.here))
    }
    pub(crate) fn user_page(&self, user: &str) -> String {
        match user.parse::<Username>() {
            Ok(user) => self.to(&Resource::User(user)),
            Err(_) => self.users(),
        }
    }
    pub(crate) fn builds_of_user(&self, user: &Username) -> String {
        self.to(&Resource::UserBuilds(user.clone()))
    }
    pub(crate) fn project(&self, project: &Slug) -> String {
        self.to(&Resource::Project(project.clone()))
    }
    pub(crate) fn builds(&self, project: &Slug) -> String {
        self.to(&Resource::BuildList(project.clone()))
    }
    pub(crate) fn tags(&self, project: &Slug) -> String {
        self.to(&Resource::TagList(project.clone()))
    }
    pub(crate) fn tracks(&self, project: &Slug) -> String {
        self.to(&Resource::TrackList(project.clone()))
    }
    pub(crate) fn issues(&self, project: &Slug) -> String {
        self.to(&Resource::IssueList(project.clone()))
    }
    pub(crate) fn feed(&self, of: &BuildsOf) -> String {
        self.to(&of.feed())
    }
    pub(crate) fn badge(&self, of: &BuildsOf) -> String {
        self.to(&of.badge())
    }
    pub(crate) fn tag(&self, project: &Slug, tag: &Tag) -> String {
        self.to(&Resource::Tagged(project.clone(), TagSegment::of([tag])))
    }
    pub(crate) fn test(&self, project: &Slug, name: &str) -> String {
        // A name stored before names were limited is too long for a link.
        if name.len() > LONGEST_TEST {
            return self.project(project);
        }
        self.to(&Resource::TestHistory(project.clone(), name.to_owned()))
    }
    pub(crate) fn build(&self, project: &Slug, build: &Build) -> String {
        self.to(&Resource::Build(project.clone(), build.key()))
    }
    /// The path of a part of a build, such as its `tests`.
    pub(crate) fn of_build(&self, project: &Slug, build: &Build, part: &str) -> String {
        format!("{}/{part}", self.build(project, build))
    }
    pub(crate) fn output(
        &self,
        project: &Slug,
        build: &Build,
        step: usize,
        stream: &str,
    ) -> String {
        self.of_build(project, build, &format!("steps/{step}/{stream}"))
    }
    pub(crate) fn component(&self, component: &Component) -> String {
        self.to(&Resource::ComponentObject(component.id.to_string()))
    }
    pub(crate) fn component_builds(&self, id: &str) -> String {
        self.to(&Resource::BuildsOfComponent(id.to_owned()))
    }
}

/// The duration of a build in microseconds, if it is finished.
pub(crate) fn micros_of(build: &Build) -> Option<u64> {
    match build.outcome {
        Outcome::Running => None,
        Outcome::Finished { finished, .. } => {
            Some(u64::try_from(finished.micros() - build.started.micros()).unwrap_or(0))
        }
    }
}

/// `1 h 2 min`, `3 min 4 s`, `5.6 s`, `7 ms`.
pub(crate) fn duration(micros: u64) -> String {
    let seconds = micros / 1_000_000;
    match seconds {
        0 => format!("{} ms", micros / 1000),
        1..60 => format!("{}.{} s", seconds, micros % 1_000_000 / 100_000),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// An instant, in human- and machine-readable form.
pub(crate) struct When(pub(crate) Timestamp);

impl When {
    pub(crate) fn machine(&self) -> String {
        self.0.to_rfc3339_utc()
    }
    /// As the client wrote it.
    pub(crate) fn human(&self) -> String {
        self.0.to_rfc2822()
    }
}

/// `12.3 MB`.
pub(crate) fn bytes(count: usize) -> String {
    match count {
        0..1000 => format!("{count} bytes"),
        1000..1_000_000 => format!("{} kB", count / 1000),
        _ => format!("{}.{} MB", count / 1_000_000, count % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_in_the_units_that_fit() {
        let told = [0, 7_900, 5_670_000, 184_000_000, 3_720_000_000].map(duration);
        assert_eq!(told, ["0 ms", "7 ms", "5.6 s", "3 min 4 s", "1 h 2 min"]);
        assert_eq!([12, 34_567, 12_345_678].map(bytes), ["12 bytes", "34 kB", "12.3 MB"]);
    }
}
