//! A project: what fails now.

use askama::Template;
use devmason_domain::{Build, BuildKey, Issue, Project, Reporting, Step};
use devmason_hypermedia::document::{Findings, InsightCounts, TrackPulse};
use devmason_hypermedia::{BuildsOf, Resource};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::findings::failures_html;
use super::forms::{self, Field};
use super::grid::{Cell, Grid, GridOrder, TestLine, mark};
use super::issues::day;
use super::names::build_name;
use super::{Page, Row, of_success, pass_rate, tracks};
use crate::Standing;
use crate::plot;
use crate::site::Site;

/// A project.
#[derive(Template)]
#[template(path = "project.html")]
pub struct ProjectPage<'a> {
    site: Site<'a>,
    project: &'a Project,
    branch: &'a str,
    variant: &'a str,
    /// The branches and variants to choose from.
    branches: &'a [String],
    variants: &'a [String],
    standing: Standing,
    builds: &'a [Build],
    of: BuildsOf,
    rows: Vec<Row<'a>>,
    steps: Grid,
    tests: Grid,
    /// What sorts the grid of tests: the name, the link, and whether it is chosen.
    orders: Vec<(&'static str, String, bool)>,
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
    settings: Vec<Field>,
    is_usual: bool,
    is_whole: bool,
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
    /// The newest first.
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
            is_here: false,
        };
        Self {
            href: tracks::href(site, project, of.pulse, ""),
            pulse: of.pulse,
            standing: standing(of.pulse.success),
            latest: of.pulse.latest.as_deref().and_then(|key| Some((to(&key.parse().ok()?), key))),
            counts: of.counts,
            strip: of.builds.iter().take(SQUARES).map(cell).collect(),
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
    /// The branch that the request names; empty if it names none.
    pub asked_branch: &'a str,
    /// The branches with builds, those with the newest builds first.
    pub branches: &'a [String],
    /// The variants of the branch.
    pub variants: &'a [String],
    /// What the grid of tests is sorted by.
    pub order: GridOrder,
    /// Its builds, the newest first.
    pub builds: &'a [Build],
    /// The steps of the first of them.
    pub steps: &'a [Vec<Step>],
    /// Its recently failing tests, with their results in these builds.
    pub tests: &'a [TestLine],
    /// The tracks that are shown: those that fail or are overdue first, then those with the newest builds.
    pub tracks: Vec<MainlineTrack<'a>>,
    /// The number of its tracks that are left out.
    pub more_tracks: usize,
    /// What fails in the newest builds of these tracks.
    pub findings: &'a Findings,
    /// The issues that end soon.
    pub ending: &'a [Issue],
    /// Whether the builds are those that stand for the project, because the request names no others.
    pub is_usual: bool,
    /// Whether builds of all branches are shown, as there is no mainline.
    pub is_whole: bool,
    /// Whether the viewer may change the project.
    pub may_change: bool,
    /// Whether the viewer may write issues.
    pub may_triage: bool,
}

impl<'a> ProjectPage<'a> {
    /// Who may post builds.
    fn reporters(&self) -> &'static str {
        forms::reporters(self.project.reporting)
    }

    fn has_variant(&self) -> bool {
        self.variants.iter().any(|variant| variant == self.variant)
    }

    /// The name of the newest build.
    fn latest(&self) -> Option<(&Build, String)> {
        self.builds.first().map(|build| (build, build_name(build)))
    }

    /// Number of its tracks that fail.
    fn failing_tracks(&self) -> usize {
        self.tracks.iter().filter(|track| track.standing == Standing::Failure).count()
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
        let tracks: Vec<_> = parts.tracks.into_iter().map(track).collect();
        // A track that fails is not made good by another that succeeds.
        let fails = tracks.iter().any(|track| track.standing == Standing::Failure);
        let here = |order: &str| {
            let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
            let (branch, variant) = (encoded(parts.asked_branch), encoded(variant));
            format!("?grid={order}&branch={branch}&variant={variant}#tests")
        };
        let orders = GridOrder::ALL.map(|(of, name)| (name, here(name), of == parts.order));
        Ok(Self {
            standing: if fails { Standing::Failure } else { Standing::latest(builds.iter()) },
            tracks,
            orders: orders.into(),
            branches: parts.branches,
            variants: parts.variants,
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
            settings: if parts.may_change { forms::settings(project) } else { Vec::new() },
            is_usual: parts.is_usual,
            is_whole: parts.is_whole,
            of: BuildsOf::Project(project.slug.clone()),
            rows: builds.iter().take(NEWEST).map(|build| Row { project, build }).collect(),
            steps: Grid::of_steps(&site, project, shown, steps),
            tests: Grid::of_tests(&site, project, shown, (tests, parts.order)),
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
        format!("{}: {}", self.standing.as_str(), self.pass_rate)
    }
    fn standing(&self) -> Standing {
        self.standing
    }
}
