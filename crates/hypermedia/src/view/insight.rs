//! The links of what explains builds: tracks, signatures and known issues.

use devmason_domain::{Issue, Project, SignatureId, TrackKey};

use super::{Link, ListLinks, Subject, View};
use crate::Resource;

impl View<'_> {
    pub(super) fn track_link(&self, rel: &'static str, project: &Project, track: TrackKey) -> Link {
        let of = Resource::Track(project.slug.clone(), track);
        self.link(rel, &of, Subject::Track(project))
    }

    /// The links of the list of a project's tracks.
    pub fn track_list_links(&self, project: &Project, list: &ListLinks) -> Vec<Link> {
        let this = Resource::TrackList(project.slug.clone());
        let mut links = self.page_links(&this, Subject::ReadOnly, list);
        links.push(self.project_link(project));
        links
    }

    /// The links of a track.
    pub fn track_links(&self, project: &Project, track: TrackKey) -> Vec<Link> {
        let slug = || project.slug.clone();
        vec![
            self.track_link("self", project, track),
            self.link("tests", &Resource::TrackTests(slug(), track), Subject::ReadOnly),
            self.link("grid", &Resource::TrackGrid(slug(), track), Subject::ReadOnly),
            self.link("tracks", &Resource::TrackList(slug()), Subject::ReadOnly),
            self.project_link(project),
        ]
    }

    /// The links of a page of a project's known issues.
    pub fn issue_list_links(&self, project: &Project, list: &ListLinks) -> Vec<Link> {
        let this = Resource::IssueList(project.slug.clone());
        let mut links = self.page_links(&this, Subject::Issues(project), list);
        links.push(self.project_link(project));
        links
    }

    /// The links of a known issue.
    pub fn issue_links(&self, project: &Project, issue: &Issue) -> Vec<Link> {
        let slug = || project.slug.clone();
        let mut links = vec![
            self.link("self", &Resource::Issue(slug(), issue.id), Subject::Issue(project)),
            self.link("issues", &Resource::IssueList(slug()), Subject::Issues(project)),
            self.project_link(project),
        ];
        let creator = issue.creator.as_ref();
        links.extend(creator.map(|(_, username)| self.user_link("creator", username)));
        links
    }

    /// The link from a failure to its signature.
    pub fn signature_link(&self, project: &Project, signature: &str) -> Option<Link> {
        let id: SignatureId = signature.parse().ok()?;
        let of = Resource::Signature(project.slug.clone(), id);
        Some(self.link("signature", &of, Subject::ReadOnly))
    }

    /// The links of a signature.
    pub fn signature_links(&self, project: &Project, id: &SignatureId) -> Vec<Link> {
        let slug = || project.slug.clone();
        vec![
            self.link("self", &Resource::Signature(slug(), id.clone()), Subject::ReadOnly),
            self.link("issues", &Resource::IssueList(slug()), Subject::Issues(project)),
            self.project_link(project),
        ]
    }
}
