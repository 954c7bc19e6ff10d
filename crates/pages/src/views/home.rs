//! All projects: whether anything is red.

use std::collections::HashSet;
use std::sync::Arc;

use askama::Template;
use devmason_domain::{Build, Project};

use super::grid::{Cell, mark};
use super::names::build_name;
use super::{Page, Pager};
use crate::Standing;
use crate::site::{Site, When};
use crate::text::counted;

/// Number of squares in a project's line.
pub const SQUARES: u64 = 9;

/// A project in the list of all projects.
#[derive(Debug)]
pub struct ProjectRow {
    /// The project.
    pub project: Project,
    /// The newest builds of its mainline, newest first, at most [`SQUARES`].
    pub builds: Vec<Build>,
    /// Since when its mainline fails, if it does.
    pub failing: Option<Failing>,
    /// Whether one of its mainline's tracks is overdue.
    pub is_overdue: bool,
    /// Whether its mainline has tracks: builds that an older server stored may have none yet.
    pub has_tracks: bool,
}

/// Since when a mainline fails.
#[derive(Debug)]
pub struct Failing {
    /// The first of the builds that fail, in the track that has failed longest.
    pub since: Build,
    /// The number of that track's builds that failed since then.
    pub builds: usize,
    /// Whether there are no more of them.
    pub is_exact: bool,
    /// The number of failed tests in the newest finished build of the failing track that has most.
    pub tests: u64,
}

impl Failing {
    fn name(&self) -> String {
        build_name(&self.since)
    }
    fn told(&self) -> String {
        let at_least = if self.is_exact { "" } else { "at least " };
        format!("{at_least}{}", counted(self.builds, "build"))
    }
    fn when(&self) -> When {
        When(self.since.started)
    }
}

impl ProjectRow {
    /// The status of its mainline: a failure if the newest finished build of any of its tracks failed.
    pub fn standing(&self) -> Standing {
        match (&self.failing, Standing::latest(self.builds.iter())) {
            (Some(_), _) => Standing::Failure,
            (None, Standing::Failure) if self.has_tracks => Standing::Success,
            (None, standing) => standing,
        }
    }

    /// Number of failing tests.
    pub fn failing_tests(&self) -> u64 {
        self.failing.as_ref().map_or(0, |failing| failing.tests)
    }

    /// When its newest build was received, in microseconds.
    pub fn last_micros(&self) -> i64 {
        self.builds.first().map_or(i64::MIN, |build| build.updated_at.micros())
    }

    fn last(&self) -> Option<When> {
        self.builds.first().map(|build| When(build.updated_at))
    }

    /// Its newest builds.
    fn strip(&self, site: &Site<'_>) -> Vec<Cell> {
        let cell = |build: &Build| Cell {
            class: Standing::of(build).class(),
            mark: mark(Standing::of(build)),
            title: format!("{}: {}", build_name(build), Standing::of(build).as_str()),
            href: site.build(&self.project.slug, build),
            is_here: false,
        };
        self.builds.iter().map(cell).collect()
    }

    /// Whether somebody should look at it.
    pub fn needs_attention(&self) -> bool {
        self.is_overdue || self.standing() == Standing::Failure
    }
}

/// The heads of the table that sort it, each with its link.
#[derive(Debug, Clone, Default)]
pub struct Heads {
    /// By status.
    pub state: Head,
    /// By name.
    pub name: Head,
    /// By the number of failing tests.
    pub failing: Head,
    /// By the last report.
    pub last: Head,
}

/// A head that sorts a table.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// Where it leads.
    pub href: String,
    /// How the table is sorted by it: `ascending`, `descending` or nothing.
    pub sorted: &'static str,
}

/// All projects.
#[derive(Template)]
#[template(path = "projects.html")]
pub struct Projects<'a> {
    /// The page's frame.
    pub site: Site<'a>,
    /// The viewer's projects that need attention.
    pub mine: Vec<Arc<ProjectRow>>,
    /// The projects, in groups with their headings; without groups, one with an empty heading.
    pub groups: Vec<(String, Vec<Arc<ProjectRow>>)>,
    /// The search text.
    pub search: &'a str,
    /// Whether failing projects come first.
    pub red_first: bool,
    /// What the projects are in groups by: `prefix`, `tag` or nothing.
    pub group: &'a str,
    /// What sorts the table.
    pub heads: Heads,
    /// Whether the viewer may register a project.
    pub may_register: bool,
    /// Links to the other parts of the list.
    pub pager: Pager,
}

impl Projects<'_> {
    const GROUPS: [(&'static str, &'static str); 3] =
        [("", "none"), ("prefix", "by first word"), ("tag", "by tag")];

    /// Each project once.
    fn rows(&self) -> impl Iterator<Item = &Arc<ProjectRow>> {
        let mut known = HashSet::new();
        let all = self.groups.iter().flat_map(|(_, rows)| rows);
        all.filter(move |row| known.insert(row.project.id))
    }
}

impl Page for Projects<'_> {
    fn title(&self) -> String {
        "Projects".to_owned()
    }
    fn summary(&self) -> String {
        let red = self.rows().filter(|row| row.standing() == Standing::Failure).count();
        format!("{}, {red} failing", counted(self.rows().count(), "project"))
    }
    fn standing(&self) -> Standing {
        let any = |state| self.rows().any(|row| row.standing() == state);
        let first = [Standing::Failure, Standing::Running, Standing::Success]
            .into_iter()
            .find(|state| any(*state));
        first.unwrap_or(Standing::Nothing)
    }
}
