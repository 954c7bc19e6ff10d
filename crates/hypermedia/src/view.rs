//! What a viewer sees: links with the methods that the viewer may use.

mod insight;

use devmason_domain::{
    AccountId, Build, BuildKey, Pages, Policy, Project, State, Tag, Username, Viewer,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::document::shape;
use crate::{Base, BuildPair, BuildsOf, Method, Resource, TagSegment};

/// A link, as in the "Build server REST API".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Link {
    /// The relation of the target to this resource.
    pub rel: &'static str,
    /// The full URL of the target.
    #[schemars(with = "shape::Href")]
    pub href: String,
    /// The methods that this client may use on the target.
    #[serde(serialize_with = "names")]
    #[schemars(with = "shape::Methods")]
    pub allowed_methods: Vec<Method>,
}

fn names<S: serde::Serializer>(methods: &[Method], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(methods.iter().map(|method| method.as_str()))
}

/// The subject of a permission check: a resource, with the state that the decision depends on.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// A read-only resource.
    ReadOnly,
    /// A project; `None` if it doesn't exist.
    Project(Option<&'a Project>),
    /// A project's builds.
    Builds(&'a Project),
    /// A build; `None` if it doesn't exist.
    Build(&'a Project, Option<&'a Build>),
    /// A build's progress.
    Progress(&'a Project, &'a Build),
    /// A step of a build, and whether it is running.
    Step(&'a Project, &'a Build, bool),
    /// The log of a step, and whether it may grow.
    StepLog(&'a Project, &'a Build, bool),
    /// Reparsing a build's uploads.
    Reparse(&'a Project, &'a Build),
    /// A track of a project.
    Track(&'a Project),
    /// A project's known issues.
    Issues(&'a Project),
    /// A known issue of a project.
    Issue(&'a Project),
    /// A user, and whether the user exists.
    User(&'a Username, bool),
    /// The components or the component types.
    Components,
    /// A component or component type, with its creator.
    Component(Option<AccountId>),
}

/// Documents and links as seen by one viewer.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The server's address.
    pub base: &'a Base,
    /// The access policy.
    pub policy: &'a Policy,
    /// The viewer.
    pub viewer: &'a Viewer,
}

/// The links of a list page; `None` for those that don't apply.
#[derive(Debug, Clone, Default)]
pub struct ListLinks {
    /// The query of this page.
    pub this: String,
    /// The query of the first page.
    pub first: String,
    /// The query of the last page.
    pub last: Option<String>,
    /// The query of the next page.
    pub next: Option<String>,
    /// The query of the previous page.
    pub previous: Option<String>,
}

impl View<'_> {
    /// The methods that the viewer may use on a subject.
    pub fn methods(&self, subject: Subject<'_>) -> Vec<Method> {
        let (policy, viewer) = (self.policy, self.viewer);
        let mut methods = Vec::with_capacity(4);
        let mut allow = |method, allowed: bool| {
            if allowed {
                methods.push(method);
            }
        };
        let exists = !matches!(
            subject,
            Subject::Project(None)
                | Subject::Build(_, None)
                | Subject::User(_, false)
                | Subject::Reparse(..)
        );
        allow(Method::Get, exists && policy.read(viewer).is_ok());
        match subject {
            Subject::ReadOnly => {}
            Subject::Project(Some(project)) => {
                let change = policy.change_project(viewer, project).is_ok();
                allow(Method::Put, change);
                allow(Method::Delete, change);
            }
            Subject::Project(None) => allow(Method::Put, policy.register_project(viewer).is_ok()),
            Subject::Builds(project) => allow(Method::Post, policy.report(viewer, project).is_ok()),
            Subject::Build(project, build) => {
                // If the build exists, a PUT of the same document is a retry and succeeds.
                allow(Method::Put, policy.report(viewer, project).is_ok());
                let delete =
                    build.is_some_and(|build| policy.delete_build(viewer, project, build).is_ok());
                allow(Method::Delete, delete);
            }
            Subject::Progress(project, build) => {
                let running = build.outcome.state() == State::Running;
                let open = running && policy.continue_build(viewer, project, build).is_ok();
                allow(Method::Post, open);
                allow(Method::Delete, open);
            }
            Subject::Step(project, build, is_running) => {
                allow(
                    Method::Put,
                    is_running && policy.continue_build(viewer, project, build).is_ok(),
                );
            }
            Subject::StepLog(project, build, is_running) => {
                allow(
                    Method::Post,
                    is_running && policy.continue_build(viewer, project, build).is_ok(),
                );
            }
            Subject::Reparse(project, build) => {
                allow(Method::Post, policy.delete_build(viewer, project, build).is_ok());
            }
            Subject::Track(project) => {
                allow(Method::Put, policy.change_project(viewer, project).is_ok());
            }
            Subject::Issues(project) => {
                allow(Method::Post, policy.create_issue(viewer, project).is_ok());
            }
            Subject::Issue(project) => {
                let change = policy.change_issue(viewer, project).is_ok();
                allow(Method::Put, change);
                allow(Method::Delete, change);
            }
            Subject::Components => allow(Method::Post, policy.create_component(viewer).is_ok()),
            Subject::Component(creator) => {
                let change = policy.change_component(viewer, creator).is_ok();
                allow(Method::Put, change);
                allow(Method::Delete, change);
            }
            Subject::User(username, there) => {
                allow(Method::Put, policy.put_user(viewer, username).is_ok());
                allow(Method::Delete, there && policy.delete_user(viewer, username).is_ok());
            }
        }
        methods
    }

    fn link(&self, rel: &'static str, resource: &Resource, subject: Subject<'_>) -> Link {
        Link { rel, href: self.base.href(resource), allowed_methods: self.methods(subject) }
    }

    /// The links of the server.
    pub fn root_links(&self) -> Vec<Link> {
        vec![
            self.link("users", &Resource::UserList, Subject::ReadOnly),
            self.link("componenttypes", &Resource::ComponentTypeObjects, Subject::Components),
            self.link("components", &Resource::ComponentObjects, Subject::Components),
            self.link("search", &Resource::Search, Subject::ReadOnly),
            self.link("service-desc", &Resource::OpenApi, Subject::ReadOnly),
        ]
    }

    /// The links of a project.
    pub fn project_links(&self, project: &Project) -> Vec<Link> {
        let slug = || project.slug.clone();
        let mut links = vec![
            self.link("self", &Resource::Project(slug()), Subject::Project(Some(project))),
            self.link("build-list", &Resource::BuildList(slug()), Subject::Builds(project)),
            self.link("latest-build", &Resource::LatestBuild(slug()), Subject::ReadOnly),
            self.link("tag-list", &Resource::TagList(slug()), Subject::ReadOnly),
            self.link("tracks", &Resource::TrackList(slug()), Subject::ReadOnly),
            self.link("issues", &Resource::IssueList(slug()), Subject::Issues(project)),
        ];
        let builds = BuildsOf::Project(slug());
        links.push(self.link("badge", &builds.badge(), Subject::ReadOnly));
        links.push(self.link("feed", &builds.feed(), Subject::ReadOnly));
        links.extend(project.owner.as_ref().map(|(_, owner)| self.user_link("owner", owner)));
        links
    }

    fn project_link(&self, project: &Project) -> Link {
        self.link(
            "project",
            &Resource::Project(project.slug.clone()),
            Subject::Project(Some(project)),
        )
    }

    fn user_link(&self, rel: &'static str, username: &Username) -> Link {
        self.link(rel, &Resource::User(username.clone()), Subject::User(username, true))
    }

    fn tag_link(&self, project: &Project, tags: &[Tag]) -> Link {
        let resource = Resource::Tagged(project.slug.clone(), TagSegment::of(tags));
        self.link("tag", &resource, Subject::ReadOnly)
    }

    /// The links of a build.
    pub fn build_links(&self, project: &Project, build: &Build) -> Vec<Link> {
        let mut links = Vec::with_capacity(4 + build.tags.as_slice().len());
        let (slug, key) = (|| project.slug.clone(), || build.key());
        let this = Resource::Build(slug(), key());
        links.push(self.link("self", &this, Subject::Build(project, Some(build))));
        if build.outcome.state() == State::Running {
            let progress = Resource::Progress(slug(), key());
            links.push(self.link("progress", &progress, Subject::Progress(project, build)));
        }
        if !build.tests.is_empty() {
            let tests = Resource::TestList(slug(), key());
            links.push(self.link("tests", &tests, Subject::ReadOnly));
        }
        links.push(self.link("insight", &Resource::Insight(slug(), key()), Subject::ReadOnly));
        links.extend(build.revision.as_ref().map(|revision| {
            let of = Resource::Revision(slug(), revision.clone());
            self.link("revision", &of, Subject::ReadOnly)
        }));
        let track = build.track.as_ref().map(devmason_domain::Track::key);
        links.extend(track.map(|key| self.track_link("track", project, key)));
        links.push(self.link("receipt", &Resource::Receipt(slug(), key()), Subject::ReadOnly));
        links.push(self.project_link(project));
        links.extend(build.sender.username().map(|username| self.user_link("user", username)));
        links.extend(build.components.iter().map(|id| {
            let builds = Resource::BuildsOfComponent(id.to_string());
            self.link("builds-of-component", &builds, Subject::ReadOnly)
        }));
        links
            .extend(build.tags.iter().map(|tag| self.tag_link(project, std::slice::from_ref(tag))));
        links
    }

    /// The links of a resource that belongs to a build: those of its list, and the build.
    pub fn part_links(
        &self,
        project: &Project,
        build: &Build,
        this: &Resource,
        list: &ListLinks,
    ) -> Vec<Link> {
        let mut links = self.page_links(this, Subject::ReadOnly, list);
        links.push(self.run_link(project, build));
        links
    }

    /// The links of a build's insight: with its baseline, in whichever project that is.
    pub fn insight_links(
        &self,
        project: &Project,
        build: &Build,
        baseline: Option<(&Project, &BuildKey)>,
        list: &ListLinks,
    ) -> Vec<Link> {
        let this = Resource::Insight(project.slug.clone(), build.key());
        let mut links = self.part_links(project, build, &this, list);
        links.extend(build.revision.as_ref().map(|revision| {
            let of = Resource::Revision(project.slug.clone(), revision.clone());
            self.link("revision", &of, Subject::ReadOnly)
        }));
        let track = build.track.as_ref().map(devmason_domain::Track::key);
        links.extend(track.map(|key| self.track_link("track", project, key)));
        links.extend(baseline.map(|(project, key)| {
            let of = Resource::Build(project.slug.clone(), key.clone());
            self.link("baseline", &of, Subject::ReadOnly)
        }));
        links
    }

    /// The links of the insight of a commit.
    pub fn revision_links(&self, project: &Project, revision: &str, list: &ListLinks) -> Vec<Link> {
        let this = Resource::Revision(project.slug.clone(), revision.to_owned());
        let mut links = self.page_links(&this, Subject::ReadOnly, list);
        links.push(self.project_link(project));
        links
    }

    /// The links of a step.
    pub fn step_links(
        &self,
        project: &Project,
        build: &Build,
        nth: u32,
        is_running: bool,
    ) -> Vec<Link> {
        let (slug, key) = (|| project.slug.clone(), || build.key());
        let step = Subject::Step(project, build, is_running);
        let log = Subject::StepLog(project, build, is_running);
        vec![
            self.link("self", &Resource::Step(slug(), key(), nth), step),
            self.link("log", &Resource::StepLog(slug(), key(), nth), log),
            self.link("output", &Resource::StepOutput(slug(), key(), nth), Subject::ReadOnly),
            self.link("errout", &Resource::StepErrout(slug(), key(), nth), Subject::ReadOnly),
            self.run_link(project, build),
        ]
    }

    /// The links of a build's receipt, including one to reparse its uploads.
    pub fn receipt_links(&self, project: &Project, build: &Build) -> Vec<Link> {
        let this = Resource::Receipt(project.slug.clone(), build.key());
        let mut links = self.part_links(project, build, &this, &ListLinks::default());
        let reparse = Resource::Reparse(project.slug.clone(), build.key());
        links.push(self.link("reparse", &reparse, Subject::Reparse(project, build)));
        links
    }

    /// The links of a test's history.
    pub fn history_links(&self, project: &Project, name: &str, list: &ListLinks) -> Vec<Link> {
        let this = Resource::TestHistory(project.slug.clone(), name.to_owned());
        let mut links = self.page_links(&this, Subject::ReadOnly, list);
        links.push(self.project_link(project));
        links
    }

    /// The link from a test case to its history.
    pub fn history_link(&self, project: &Project, name: &str) -> Link {
        let history = Resource::TestHistory(project.slug.clone(), name.to_owned());
        self.link("history", &history, Subject::ReadOnly)
    }

    /// The links of a project that is told of in another document: its own.
    pub fn project_self(&self, project: &Project) -> Vec<Link> {
        let this = Resource::Project(project.slug.clone());
        vec![self.link("self", &this, Subject::Project(Some(project)))]
    }

    /// The links of a search with this query.
    pub fn search_links(&self, query: &str) -> Vec<Link> {
        let mut link = self.link("self", &Resource::Search, Subject::ReadOnly);
        link.href += query;
        vec![link]
    }

    /// The link to a test case.
    pub fn case_link(&self, project: &Project, build: BuildKey, position: u32) -> Link {
        let of = Resource::TestCase(project.slug.clone(), build, position);
        self.link("case", &of, Subject::ReadOnly)
    }

    /// The links of a test case: its own, and those to its build and its history.
    pub fn case_links(
        &self,
        project: &Project,
        build: &Build,
        (position, name): (u32, &str),
    ) -> Vec<Link> {
        let this = Resource::TestCase(project.slug.clone(), build.key(), position);
        let tests = Resource::TestList(project.slug.clone(), build.key());
        vec![
            self.link("self", &this, Subject::ReadOnly),
            self.run_link(project, build),
            self.link("tests", &tests, Subject::ReadOnly),
            self.history_link(project, name),
        ]
    }

    /// The links of a comparison of two builds.
    pub fn comparison_links(&self, project: &Project, [one, other]: [&Build; 2]) -> Vec<Link> {
        let of = |rel, one: &Build, other: &Build| {
            let pair = BuildPair::new(one.key(), other.key())?;
            let of = Resource::Comparison(project.slug.clone(), pair);
            Some(self.link(rel, &of, Subject::ReadOnly))
        };
        let mut links: Vec<Link> = of("self", one, other).into_iter().collect();
        links.extend([self.run_link(project, one), self.run_link(project, other)]);
        links.extend(of("swapped", other, one));
        links.push(self.project_link(project));
        links
    }

    /// The link from a test's run to its build.
    pub fn run_link(&self, project: &Project, build: &Build) -> Link {
        let of = Resource::Build(project.slug.clone(), build.key());
        self.link("build", &of, Subject::Build(project, Some(build)))
    }

    /// The links of a project's tag list.
    pub fn tag_list_links(&self, project: &Project, tags: &[Tag]) -> Vec<Link> {
        let this = Resource::TagList(project.slug.clone());
        let mut links =
            vec![self.link("self", &this, Subject::ReadOnly), self.project_link(project)];
        links.extend(tags.iter().map(|tag| self.tag_link(project, std::slice::from_ref(tag))));
        links
    }

    /// The links of a user.
    pub fn user_links(&self, username: &Username) -> Vec<Link> {
        vec![
            self.user_link("self", username),
            self.link("builds", &Resource::UserBuilds(username.clone()), Subject::ReadOnly),
        ]
    }

    /// The links of a page of a project's builds.
    pub fn build_list_links(&self, project: &Project, list: &ListLinks) -> Vec<Link> {
        let slug = || project.slug.clone();
        let mut links =
            self.page_links(&Resource::BuildList(slug()), Subject::Builds(project), list);
        links.push(self.project_link(project));
        links.push(self.link("latest-build", &Resource::LatestBuild(slug()), Subject::ReadOnly));
        links.push(self.feed_link(BuildsOf::Project(slug())));
        links
    }

    fn feed_link(&self, of: BuildsOf) -> Link {
        self.link("feed", &of.feed(), Subject::ReadOnly)
    }

    /// The links of a page of builds with certain tags.
    pub fn tagged_links(&self, project: &Project, tags: &[Tag], list: &ListLinks) -> Vec<Link> {
        let segment = || TagSegment::of(tags);
        let this = Resource::Tagged(project.slug.clone(), segment());
        let mut links = self.page_links(&this, Subject::ReadOnly, list);
        links.push(self.project_link(project));
        links.push(self.link(
            "latest-build",
            &Resource::LatestTagged(project.slug.clone(), segment()),
            Subject::ReadOnly,
        ));
        let builds = BuildsOf::Tagged(project.slug.clone(), segment());
        links.push(self.link("badge", &builds.badge(), Subject::ReadOnly));
        links.push(self.feed_link(builds));
        links.extend(tags.iter().map(|tag| self.tag_link(project, std::slice::from_ref(tag))));
        links
    }

    /// The links of a page of a user's builds.
    pub fn user_builds_links(&self, username: &Username, list: &ListLinks) -> Vec<Link> {
        let mut links =
            self.page_links(&Resource::UserBuilds(username.clone()), Subject::ReadOnly, list);
        links.push(self.user_link("user", username));
        links.push(self.link(
            "latest-build",
            &Resource::LatestByUser(username.clone()),
            Subject::ReadOnly,
        ));
        links.push(self.feed_link(BuildsOf::User(username.clone())));
        links
    }

    /// The links of a page of any list: always `self` and `first`, others if they apply.
    pub fn page_links(
        &self,
        resource: &Resource,
        subject: Subject<'_>,
        list: &ListLinks,
    ) -> Vec<Link> {
        let mut link = self.link("self", resource, subject);
        let page = |rel, query: &String| {
            let mut link = link.clone();
            link.rel = rel;
            link.href += query;
            link
        };
        let mut links = vec![page("first", &list.first)];
        links.extend(list.previous.as_ref().map(|query| page("previous", query)));
        links.extend(list.next.as_ref().map(|query| page("next", query)));
        links.extend(list.last.as_ref().map(|query| page("last", query)));
        link.href += &list.this;
        links.insert(0, link);
        links
    }
}

impl ListLinks {
    /// The links of a list with page numbers. `query` yields the query of a page.
    pub fn numbered(query: &dyn Fn(u64) -> String, pages: Pages) -> Self {
        Self {
            this: query(pages.page),
            first: query(1),
            last: Some(query(pages.num_pages)),
            next: (pages.page < pages.num_pages).then(|| query(pages.page + 1)),
            previous: (pages.page > 1).then(|| query(pages.page - 1)),
        }
    }
}
