//! Lists of builds.

use askama::Template;
use devmason_domain::Project;
use devmason_hypermedia::BuildsOf;

use super::{Page, Pager, Row};
use crate::Standing;
use crate::site::Site;
use crate::text::counted;

/// The filter of a list of builds.
#[derive(Debug, Clone, Default)]
pub struct BuildFilter<'a> {
    /// `success`, `failure` or `running`.
    pub state: &'a str,
    /// A tag.
    pub tag: &'a str,
    /// A host.
    pub host: &'a str,
    /// Text that the id contains.
    pub text: &'a str,
    /// A track, by its key.
    pub track: &'a str,
    /// A branch.
    pub branch: &'a str,
}

impl<'a> BuildFilter<'a> {
    /// The conditions that the form does not ask for.
    fn unasked(&self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let all = [("track", self.track)];
        all.into_iter().filter(|(_, value)| !value.is_empty())
    }
    /// Whether the filter excludes anything.
    pub fn is_set(&self) -> bool {
        [self.state, self.tag, self.host, self.text, self.track, self.branch]
            .iter()
            .any(|word| !word.is_empty())
    }
}

/// A list of builds.
#[derive(Template)]
#[template(path = "builds.html")]
pub struct Builds<'a> {
    /// The page's frame.
    pub site: Site<'a>,
    /// The heading.
    pub heading: String,
    /// The URL of the list.
    pub action: String,
    /// Which list it is.
    pub of: BuildsOf,
    /// The project that all builds belong to.
    pub project: Option<&'a Project>,
    /// The builds.
    pub rows: Vec<Row<'a>>,
    /// The filter.
    pub filter: BuildFilter<'a>,
    /// Links to the other parts of the list.
    pub pager: Pager,
}

impl Builds<'_> {
    const STATES: [(&'static str, &'static str); 4] =
        [("", "any"), ("success", "success"), ("failure", "failure"), ("running", "running")];

    /// Whether two of the builds can be compared: those of one project can.
    fn may_compare(&self) -> bool {
        self.project.is_some() && self.rows.len() > 1
    }
}

impl Page for Builds<'_> {
    fn title(&self) -> String {
        self.heading.clone()
    }
    fn summary(&self) -> String {
        let failed = self.rows.iter().filter(|row| row.standing() == Standing::Failure).count();
        format!("{} on this page, {failed} failed", counted(self.rows.len(), "build"))
    }
    fn standing(&self) -> Standing {
        let mut all = self.rows.iter().map(Row::standing);
        all.find(|state| *state != Standing::Running).unwrap_or(Standing::Nothing)
    }
}
