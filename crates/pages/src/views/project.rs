//! All projects, one of them, and lists of builds.

use std::collections::HashMap;

use askama::Template;
use devmason_domain::{
    Build, BuildKey, Issue, Project, Reporting, Step, TestStatus, Track, Triage,
};
use devmason_hypermedia::document::{Findings, InsightCounts, TrackPulse};
use devmason_hypermedia::{BuildsOf, Resource};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::findings::failures_html;
use super::grid::{Cell, Grid, TestLine, mark};
use super::issues::day;
use super::{Page, Pager, Row, of_success, pass_rate, tracks, word_of};
use crate::Standing;
use crate::plot;
use crate::site::{Site, When};
use crate::text::counted;

/// The contents of a strip of builds, in words.
pub(crate) fn strip_label(builds: &[Build]) -> String {
    let count = |state| builds.iter().filter(|build| Standing::of(build) == state).count();
    let (failed, running) = (count(Standing::Failure), count(Standing::Running));
    format!("Last {} builds: {failed} failed, {running} running", builds.len())
}

/// The results in a row of letters, in words.
pub(crate) fn letters_label(recent: &str) -> String {
    let bad = recent.chars().filter(|letter| ['F', 'E'].contains(letter)).count();
    format!("Last {} runs: {bad} failed", recent.chars().count())
}

/// The classes of a row of results, the oldest first.
pub(crate) fn letter_classes(recent: &str) -> Vec<&'static str> {
    let class = |letter| TestStatus::from_letter(letter).map_or("nothing", |of| word_of(of).0);
    recent.chars().rev().map(class).collect()
}

/// Number of builds in a project's strip, in the list of all projects.
pub const STRIP: u64 = 30;

/// A project in the list of all projects.
#[derive(Debug)]
pub struct ProjectRow {
    /// The project.
    pub project: Project,
    /// Its recent builds, newest first.
    pub builds: Vec<Build>,
}

/// Since when a track fails.
struct Failing<'a> {
    /// The first build of those that fail.
    since: &'a Build,
    /// Their number, of those that are looked at.
    builds: usize,
    /// Whether a good build came before them, or none at all.
    is_over: bool,
}

impl Failing<'_> {
    fn told(&self) -> String {
        let at_least = if self.is_over { "" } else { "at least " };
        format!("{at_least}{}", counted(self.builds, "build"))
    }
    fn when(&self) -> When {
        When(self.since.started)
    }
}

impl ProjectRow {
    /// Its status.
    pub fn standing(&self) -> Standing {
        Standing::latest(self.builds.iter())
    }
    fn pass_rate(&self) -> String {
        pass_rate(&self.builds)
    }
    /// Since when its mainline fails: of the tracks whose newest build failed, the one that fails longest.
    fn failing(&self) -> Option<Failing<'_>> {
        let mut tracks: HashMap<&Track, Failing<'_>> = HashMap::new();
        for build in &self.builds {
            let (Some(track), standing) = (&build.track, Standing::of(build)) else { continue };
            let streak =
                tracks.entry(track).or_insert(Failing { since: build, builds: 0, is_over: false });
            match standing {
                Standing::Failure if !streak.is_over => {
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

    fn last(&self) -> Option<When> {
        self.builds.first().map(|build| When(build.updated_at))
    }
}

/// All projects.
#[derive(Template)]
#[template(path = "projects.html")]
pub struct Projects<'a> {
    /// The page's frame.
    pub site: Site<'a>,
    /// The projects.
    pub rows: Vec<ProjectRow>,
    /// The search text.
    pub search: &'a str,
    /// Whether failing projects come first.
    pub red_first: bool,
    /// Whether the viewer may register a project.
    pub may_register: bool,
    /// Links to the other parts of the list.
    pub pager: Pager,
}

impl Page for Projects<'_> {
    fn title(&self) -> String {
        "Projects".to_owned()
    }
    fn summary(&self) -> String {
        let red = self.rows.iter().filter(|row| row.standing() == Standing::Failure).count();
        format!("{}, {red} failing", counted(self.rows.len(), "project"))
    }
    fn standing(&self) -> Standing {
        let any = |state| self.rows.iter().any(|row| row.standing() == state);
        let first = [Standing::Failure, Standing::Running, Standing::Success]
            .into_iter()
            .find(|state| any(*state));
        first.unwrap_or(Standing::Nothing)
    }
}

/// A project.
#[derive(Template)]
#[template(path = "project.html")]
pub struct ProjectPage<'a> {
    site: Site<'a>,
    project: &'a Project,
    branch: &'a str,
    variant: &'a str,
    builds: &'a [Build],
    of: BuildsOf,
    rows: Vec<Row<'a>>,
    steps: Grid,
    tests: Grid,
    durations: String,
    rates: String,
    pass_rate: String,
    tracks: Vec<TrackLine<'a>>,
    more_tracks: usize,
    /// The list of the branch's tracks.
    tracks_href: String,
    /// What fails in them.
    findings: String,
    /// The issues that end soon.
    ending: Vec<Ending<'a>>,
    may_change: bool,
    /// What a variant consists of, one part a line.
    variant_by: String,
}

/// A track of the mainline, with what its newest finished build says.
#[derive(Debug)]
pub struct MainlineTrack<'a> {
    /// When it had builds.
    pub pulse: &'a TrackPulse,
    /// The numbers of its newest finished build.
    pub counts: Option<InsightCounts>,
    /// Its newest builds, each with its outcome.
    pub builds: Vec<(&'a BuildKey, Option<bool>)>,
}

/// Number of builds in the strip of a track: each is a link, and large enough for a finger.
const SQUARES: usize = 12;

/// A track of the mainline in a table.
struct TrackLine<'a> {
    href: String,
    pulse: &'a TrackPulse,
    standing: Standing,
    latest: Option<(String, &'a str)>,
    counts: Option<InsightCounts>,
    /// The oldest first.
    strip: Vec<Cell>,
}

impl<'a> TrackLine<'a> {
    fn new(site: &Site<'_>, project: &Project, of: MainlineTrack<'a>) -> Self {
        let to = |key: &BuildKey| site.to(&Resource::Build(project.slug.clone(), key.clone()));
        let standing = |success: Option<bool>| success.map_or(Standing::Running, of_success);
        let cell = |(key, success): &(&BuildKey, Option<bool>)| Cell {
            class: standing(*success).class(),
            mark: mark(standing(*success)),
            title: format!("{key}: {}", standing(*success).as_str()),
            href: to(key),
        };
        Self {
            href: tracks::href(site, project, of.pulse, ""),
            pulse: of.pulse,
            standing: standing(of.pulse.success),
            latest: of.pulse.latest.as_deref().and_then(|key| Some((to(&key.parse().ok()?), key))),
            counts: of.counts,
            strip: of.builds.iter().take(SQUARES).rev().map(cell).collect(),
        }
    }
}

/// An issue that ends soon.
struct Ending<'a> {
    href: String,
    title: &'a str,
    day: String,
}

/// Number of builds listed on a project's page.
const NEWEST: usize = 10;

/// The contents of a project's page.
#[derive(Debug)]
pub struct ProjectParts<'a> {
    /// The project.
    pub project: &'a Project,
    /// The branch whose builds are shown; empty for builds of any or no branch.
    pub branch: &'a str,
    /// The variant that the builds are limited to; empty for all.
    pub variant: &'a str,
    /// Its builds, the newest first.
    pub builds: &'a [Build],
    /// The steps of the first of them.
    pub steps: &'a [Vec<Step>],
    /// Its recently failing tests, with their results in these builds.
    pub tests: &'a [TestLine],
    /// The tracks of the branch, those with the newest builds first.
    pub tracks: Vec<MainlineTrack<'a>>,
    /// The number of its tracks that are left out.
    pub more_tracks: usize,
    /// What fails in the newest builds of these tracks.
    pub findings: &'a Findings,
    /// The issues that end soon.
    pub ending: &'a [Issue],
    /// Whether the viewer may change the project.
    pub may_change: bool,
    /// Whether the viewer may write issues.
    pub may_triage: bool,
}

impl<'a> ProjectPage<'a> {
    const REPORTING: [(Reporting, &'static str); 3] = [
        (Reporting::Anyone, "anyone"),
        (Reporting::Authenticated, "users"),
        (Reporting::Owner, "the owner and administrators"),
    ];
    const TRIAGE: [(Triage, &'static str); 2] =
        [(Triage::Owner, "the owner and administrators"), (Triage::Authenticated, "users")];

    /// Who may post builds.
    fn reporters(&self) -> &'static str {
        let of_it = Self::REPORTING.iter().find(|(who, _)| *who == self.project.reporting);
        of_it.map_or("", |(_, text)| text)
    }

    /// The badge as other pages show it, for copying.
    fn badges(&self) -> [(&'static str, String); 3] {
        let image = self.site.base.href(&self.of.badge());
        let page = self.site.base.href(&Resource::Project(self.project.slug.clone()));
        let slug = &self.project.slug;
        [
            ("Markdown", format!("[![{slug}]({image})]({page})")),
            ("HTML", format!("<a href=\"{page}\"><img src=\"{image}\" alt=\"{slug}\"></a>")),
            ("URL", image),
        ]
    }

    /// The page of a project.
    ///
    /// # Errors
    /// As [`super::rendered`].
    pub fn new(site: Site<'a>, parts: ProjectParts<'a>) -> Result<Self, std::fmt::Error> {
        let ProjectParts { project, branch, variant, builds, steps, tests, .. } = parts;
        let shown = builds.get(..steps.len()).unwrap_or(builds);
        let is_told = !parts.findings.failures.is_empty() || !parts.findings.window.complete;
        let findings = if is_told {
            failures_html(&site, project, parts.findings, parts.may_triage)?
        } else {
            String::new()
        };
        let track = |of| TrackLine::new(&site, project, of);
        Ok(Self {
            tracks: parts.tracks.into_iter().map(track).collect(),
            more_tracks: parts.more_tracks,
            tracks_href: format!(
                "{}?branch={}",
                site.tracks(&project.slug),
                utf8_percent_encode(branch, NON_ALPHANUMERIC)
            ),
            findings,
            ending: parts
                .ending
                .iter()
                .map(|issue| Ending {
                    href: site.to(&Resource::Issue(project.slug.clone(), issue.id)),
                    title: issue.details.title.as_str(),
                    day: issue.details.expires.map(day).unwrap_or_default(),
                })
                .collect(),
            may_change: parts.may_change,
            variant_by: project
                .tracking
                .variant_by
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n"),
            of: BuildsOf::Project(project.slug.clone()),
            rows: builds.iter().take(NEWEST).map(|build| Row { project, build }).collect(),
            steps: Grid::of_steps(&site, project, shown, steps),
            tests: Grid::of_tests(&site, project, shown, tests),
            durations: plot::durations(&site, &project.slug, builds),
            rates: plot::pass_rate(builds),
            pass_rate: match pass_rate(builds) {
                rate if rate.is_empty() => rate,
                rate => format!("{rate} builds passed"),
            },
            site,
            project,
            branch,
            variant,
            builds,
        })
    }
}

impl Page for ProjectPage<'_> {
    fn title(&self) -> String {
        self.project.name.to_string()
    }
    fn summary(&self) -> String {
        format!("{}: {}", Standing::latest(self.builds.iter()).as_str(), self.pass_rate)
    }
    fn standing(&self) -> Standing {
        Standing::latest(self.builds.iter())
    }
}

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
        let all = [("track", self.track), ("branch", self.branch)];
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
