//! All projects: whether anything is red.

use std::collections::HashMap;

use askama::Template;
use devmason_domain::{Build, Project, Track};

use super::grid::{Cell, mark};
use super::names::build_name;
use super::{Page, Pager};
use crate::Standing;
use crate::site::{Site, When};
use crate::text::counted;

/// Number of a project's newest builds that its line is made from.
pub const STRIP: u64 = 30;

/// Number of squares in a line.
const SQUARES: usize = 9;

/// A project in the list of all projects.
#[derive(Debug)]
pub struct ProjectRow {
    /// The project.
    pub project: Project,
    /// The newest builds of its mainline, newest first.
    pub builds: Vec<Build>,
    /// Whether one of its mainline's tracks is overdue.
    pub is_overdue: bool,
}

/// Since when a track fails.
struct Failing<'a> {
    /// The first build of those that fail.
    since: &'a Build,
    /// Their number, of those that are looked at.
    builds: usize,
    /// Whether a good build came before them, or none at all.
    is_over: bool,
    /// The failed tests of the newest of them.
    tests: u64,
}

impl Failing<'_> {
    fn name(&self) -> String {
        build_name(self.since)
    }
    fn told(&self) -> String {
        let at_least = if self.is_over { "" } else { "at least " };
        format!("{at_least}{}", counted(self.builds, "build"))
    }
    fn when(&self) -> When {
        When(self.since.started)
    }
}

impl ProjectRow {
    /// The status of its mainline: a failure if the newest finished build of any of its tracks failed.
    pub fn standing(&self) -> Standing {
        if self.failing().is_some() {
            return Standing::Failure;
        }
        match Standing::latest(self.builds.iter()) {
            // Builds that an older server stored have no track yet.
            Standing::Failure if self.builds.iter().any(|build| build.track.is_some()) => {
                Standing::Success
            }
            standing => standing,
        }
    }

    /// Of the tracks whose newest finished build failed, the one that fails longest.
    fn failing(&self) -> Option<Failing<'_>> {
        let mut tracks: HashMap<&Track, Failing<'_>> = HashMap::new();
        for build in &self.builds {
            let (Some(track), standing) = (&build.track, Standing::of(build)) else { continue };
            let streak = tracks.entry(track).or_insert(Failing {
                since: build,
                builds: 0,
                is_over: false,
                tests: build.tests.failed + build.tests.error,
            });
            match standing {
                Standing::Failure if !streak.is_over => {
                    if streak.builds == 0 {
                        streak.tests = build.tests.failed + build.tests.error;
                    }
                    streak.since = build;
                    streak.builds += 1;
                }
                Standing::Success => streak.is_over = true,
                Standing::Failure | Standing::Running | Standing::Nothing => {}
            }
        }
        let is_whole = (self.builds.len() as u64) < STRIP;
        let failing = tracks.into_values().filter(|failing| failing.builds > 0);
        let failing = failing.map(|of| Failing { is_over: of.is_over || is_whole, ..of });
        failing.max_by_key(|failing| (failing.builds, failing.since.id))
    }

    /// Number of failing tests; that of the track that fails longest.
    pub fn failing_tests(&self) -> u64 {
        self.failing().map_or(0, |failing| failing.tests)
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
        self.builds.iter().take(SQUARES).map(cell).collect()
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
    pub mine: Vec<ProjectRow>,
    /// The projects, in groups with their headings; without groups, one with an empty heading.
    pub groups: Vec<(String, Vec<ProjectRow>)>,
    /// The search text.
    pub search: &'a str,
    /// Whether failing projects come first.
    pub red_first: bool,
    /// Whether the projects are in groups.
    pub is_grouped: bool,
    /// What sorts the table.
    pub heads: Heads,
    /// Whether the viewer may register a project.
    pub may_register: bool,
    /// Links to the other parts of the list.
    pub pager: Pager,
}

impl Projects<'_> {
    fn rows(&self) -> impl Iterator<Item = &ProjectRow> {
        self.groups.iter().flat_map(|(_, rows)| rows)
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
