//! Known issues.

use askama::Template;
use devmason_domain::{Fitting, Issue, Project, Timestamp};
use devmason_hypermedia::Resource;

use super::forms::{Field, Form};
use super::{Page, Pager};
use crate::site::{Site, When};

/// An issue, and the build that it was last seen in.
#[derive(Debug)]
pub struct IssueLine<'a> {
    /// The issue.
    pub issue: &'a Issue,
    /// Whether it is open and has not expired.
    pub is_in_force: bool,
    /// The id of the build.
    pub last_seen: Option<&'a devmason_domain::BuildKey>,
}

/// An issue in a list.
struct IssueRow<'a> {
    href: String,
    title: &'a str,
    state: String,
    is_in_force: bool,
    /// What it fits, each with a word for it.
    fits: Vec<(&'static str, &'a str)>,
    /// The build that it was last seen in.
    last: Option<(String, &'a str)>,
}

/// `2026-12-24`.
pub(super) fn day(at: Timestamp) -> String {
    at.to_rfc3339_utc().chars().take(10).collect()
}

impl<'a> IssueRow<'a> {
    fn new(site: &Site<'_>, project: &Project, of: &IssueLine<'a>) -> Self {
        let details = &of.issue.details;
        let mutes = if details.mute { "mutes" } else { "open" };
        let state = match (details.closed_at, details.expires) {
            (Some(at), _) => format!("closed on {}", day(at)),
            (None, Some(end)) if of.is_in_force => format!("{mutes} until {}", day(end)),
            (None, Some(end)) => format!("ended on {}", day(end)),
            (None, None) => mutes.to_owned(),
        };
        let link = |key: &'a devmason_domain::BuildKey| {
            let build = Resource::Build(project.slug.clone(), key.clone());
            (site.to(&build), key.as_str())
        };
        Self {
            href: site.to(&Resource::Issue(project.slug.clone(), of.issue.id)),
            title: details.title.as_str(),
            state,
            is_in_force: of.is_in_force,
            fits: fits(&details.fitting),
            last: of.last_seen.map(link),
        }
    }
}

fn fits(of: &Fitting) -> Vec<(&'static str, &str)> {
    let all = [
        ("Test or step", of.test.as_ref().map(|text| text.as_str())),
        ("Message", of.message.as_ref().map(|text| text.as_str())),
        ("Signature", of.signature.as_ref().map(|text| text.as_str())),
        ("Branch", of.branch.as_ref().map(|text| text.as_str())),
        ("Variant", of.variant.as_ref().map(|text| text.as_str())),
    ];
    all.into_iter().filter_map(|(what, text)| Some((what, text?))).collect()
}

/// What a form begins with.
#[derive(Debug, Default)]
pub struct IssueFields {
    /// The title.
    pub title: String,
    /// The pattern of tests and steps.
    pub test: String,
    /// The pattern of messages.
    pub message: String,
    /// The signature.
    pub signature: String,
    /// The pattern of branches.
    pub branch: String,
    /// The pattern of variants.
    pub variant: String,
    /// The address in a tracker.
    pub url: String,
    /// The note.
    pub note: String,
    /// The day on which it ends.
    pub expires: String,
}

impl IssueFields {
    fn form(&self) -> Vec<Field> {
        let value = |name: &str| match name {
            "title" => &self.title,
            "match.test" => &self.test,
            "match.message" => &self.message,
            "match.signature" => &self.signature,
            "match.branch" => &self.branch,
            "match.variant" => &self.variant,
            "url" => &self.url,
            "note" => &self.note,
            _ => &self.expires,
        };
        Form::Issue.filled(|name| value(name).clone())
    }
}

impl From<&Issue> for IssueFields {
    fn from(of: &Issue) -> Self {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let (details, fitting) = (&of.details, &of.details.fitting);
        Self {
            title: details.title.to_string(),
            test: text(fitting.test.as_ref().map(|text| text.as_str())),
            message: text(fitting.message.as_ref().map(|text| text.as_str())),
            signature: text(fitting.signature.as_ref().map(|text| text.as_str())),
            branch: text(fitting.branch.as_ref().map(|text| text.as_str())),
            variant: text(fitting.variant.as_ref().map(|text| text.as_str())),
            url: text(details.url.as_ref().map(|text| text.as_str())),
            note: text(details.note.as_ref().map(|text| text.as_str())),
            expires: details.expires.map(day).unwrap_or_default(),
        }
    }
}

/// The known issues of a project.
#[derive(Template)]
#[template(path = "issues.html")]
pub struct IssuesPage<'a> {
    site: Site<'a>,
    project: &'a Project,
    rows: Vec<IssueRow<'a>>,
    /// The state that the list is about; empty for all.
    shown: &'static str,
    here: String,
    may_write: bool,
    prefilled: IssueFields,
    pager: Pager,
}

impl<'a> IssuesPage<'a> {
    /// The page of a project's issues in a state, or in any, with a form for a new one.
    pub fn new(
        site: Site<'a>,
        project: &'a Project,
        (issues, shown): (&[IssueLine<'a>], &'static str),
        (may_write, prefilled): (bool, IssueFields),
        pager: Pager,
    ) -> Self {
        let rows = issues.iter().map(|of| IssueRow::new(&site, project, of)).collect();
        let here = site.to(&Resource::IssueList(project.slug.clone()));
        Self { site, project, rows, shown, here, may_write, prefilled, pager }
    }
}

impl Page for IssuesPage<'_> {
    fn title(&self) -> String {
        format!("Known issues of {}", self.project.name)
    }
}

/// A known issue.
#[derive(Template)]
#[template(path = "issue.html")]
pub struct IssuePage<'a> {
    site: Site<'a>,
    project: &'a Project,
    row: IssueRow<'a>,
    issues: String,
    here: String,
    url: Option<&'a str>,
    note: Option<&'a str>,
    creator: Option<&'a str>,
    created: When,
    is_open: bool,
    mutes: bool,
    may_write: bool,
    prefilled: IssueFields,
}

impl<'a> IssuePage<'a> {
    /// The page of an issue.
    pub fn new(site: Site<'a>, project: &'a Project, of: &IssueLine<'a>, may_write: bool) -> Self {
        let details = &of.issue.details;
        Self {
            row: IssueRow::new(&site, project, of),
            issues: site.to(&Resource::IssueList(project.slug.clone())),
            here: site.to(&Resource::Issue(project.slug.clone(), of.issue.id)),
            url: details.url.as_ref().map(|text| text.as_str()),
            note: details.note.as_ref().map(|text| text.as_str()),
            creator: of.issue.creator.as_ref().map(|(_, username)| username.as_str()),
            created: When(of.issue.created_at),
            is_open: details.closed_at.is_none(),
            mutes: details.mute,
            may_write,
            prefilled: of.issue.into(),
            site,
            project,
        }
    }
}

impl Page for IssuePage<'_> {
    fn title(&self) -> String {
        format!("{} {}", self.project.name, self.row.title)
    }
    fn summary(&self) -> String {
        self.row.state.clone()
    }
}
