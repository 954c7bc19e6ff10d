//! Tracks: which branches and variants report, and how each is doing.

use std::collections::HashMap;

use askama::Template;
use devmason_domain::{Project, TestStatus, Timestamp, TrackKey};
use devmason_hypermedia::Resource;
use devmason_hypermedia::document::{
    TrackGridDocument, TrackHealthDocument, TrackPulse, TrackTestDocument,
};

use super::grid::{Cell, Column, Grid, GridRow, mark, short_day};
use super::names::short_commit;
use super::{Page, Pager, of_success, word_of};
use crate::Standing;
use crate::site::{Site, duration};
use crate::text::short;

/// A track in a list.
struct TrackLine<'a> {
    href: String,
    pulse: &'a TrackPulse,
    standing: Standing,
    latest: Option<(String, &'a str)>,
    every: String,
}

fn seconds(seconds: f64) -> String {
    duration((seconds.max(0.0) * 1e6) as u64)
}

pub(super) fn href(site: &Site<'_>, project: &Project, of: &TrackPulse, part: &str) -> String {
    let Ok(key) = of.track.key.parse() else { return String::new() };
    let track = Resource::Track(project.slug.clone(), key);
    format!("{}{part}", site.to(&track))
}

fn build<'a>(site: &Site<'_>, project: &Project, key: &'a str) -> Option<(String, &'a str)> {
    let of = Resource::Build(project.slug.clone(), key.parse().ok()?);
    Some((site.to(&of), key))
}

impl<'a> TrackLine<'a> {
    fn new(site: &Site<'_>, project: &Project, pulse: &'a TrackPulse) -> Self {
        Self {
            href: href(site, project, pulse, ""),
            standing: pulse.success.map_or(Standing::Running, of_success),
            latest: pulse.latest.as_deref().and_then(|key| build(site, project, key)),
            every: pulse.every.map(seconds).unwrap_or_default(),
            pulse,
        }
    }
}

/// The active tracks of a project.
#[derive(Template)]
#[template(path = "tracks.html")]
pub struct TracksPage<'a> {
    site: Site<'a>,
    project: &'a Project,
    lines: Vec<TrackLine<'a>>,
    branch: &'a str,
    variant: &'a str,
    here: String,
    pager: Pager,
}

impl<'a> TracksPage<'a> {
    /// The page of the tracks that fit these patterns.
    pub fn new(
        site: Site<'a>,
        project: &'a Project,
        pulses: &'a [TrackPulse],
        (branch, variant): (&'a str, &'a str),
        pager: Pager,
    ) -> Self {
        let lines = pulses.iter().map(|pulse| TrackLine::new(&site, project, pulse)).collect();
        let here = site.tracks(&project.slug);
        Self { site, project, lines, branch, variant, here, pager }
    }
}

impl Page for TracksPage<'_> {
    fn title(&self) -> String {
        format!("Tracks of {}", self.project.name)
    }
}

/// The positions of a grid's tests in each of its builds, by full name.
pub type GridPlaces = Vec<HashMap<String, (u32, TestStatus)>>;

fn grid(
    site: &Site<'_>,
    project: &Project,
    (of, places): (&TrackGridDocument, &GridPlaces),
) -> Grid {
    let columns = of.builds.iter().map(|column| {
        let standing = of_success(column.success);
        let (href, key) = build(site, project, &column.id).unwrap_or_default();
        let title = format!("{key}: {}", standing.as_str());
        let started = column.started.parse::<Timestamp>();
        Column {
            cell: Cell {
                class: standing.class(),
                mark: mark(standing),
                title,
                href,
                is_here: false,
            },
            name: column.id.clone(),
            commit: column.revision.as_deref().map(short_commit).unwrap_or_default().to_owned(),
            day: started.map(short_day).unwrap_or_default(),
        }
    });
    let row = |test: &devmason_hypermedia::document::GridTest| {
        let cells = test.cells.chars().zip(&of.builds).zip(places).map(|((letter, column), at)| {
            let status = TestStatus::from_letter(letter)?;
            let (class, mark) = word_of(status);
            // The row has the test's name: a thousand cells that repeat it are a long page.
            let title = format!("{}: {}", column.id, status.as_str());
            let (position, _) = at.get(&test.full_name)?;
            let href = site.case(&project.slug, &column.id.parse().ok()?, *position);
            Some(Cell { class, mark, title, href, is_here: false })
        });
        GridRow {
            name: test.full_name.clone(),
            href: Some(site.test(&project.slug, &test.full_name)),
            cells: cells.collect(),
        }
    };
    Grid { columns: columns.collect(), rows: of.tests.iter().map(row).collect() }
}

/// A track.
#[derive(Template)]
#[template(path = "track.html")]
pub struct TrackPage<'a> {
    site: Site<'a>,
    project: &'a Project,
    of: &'a TrackHealthDocument,
    line: TrackLine<'a>,
    last_green: Option<(String, &'a str)>,
    median: String,
    grid: Grid,
    tests_href: String,
    grid_href: String,
    may_change: bool,
}

impl<'a> TrackPage<'a> {
    /// The page of a track, with the tests that failed or were flaky as a grid.
    pub fn new(
        site: Site<'a>,
        project: &'a Project,
        of: &'a TrackHealthDocument,
        failed: (&TrackGridDocument, &GridPlaces),
        may_change: bool,
    ) -> Self {
        Self {
            line: TrackLine::new(&site, project, &of.pulse),
            last_green: of.last_green.as_deref().and_then(|key| build(&site, project, key)),
            median: of.window.median_duration.map(seconds).unwrap_or_default(),
            grid: grid(&site, project, failed),
            tests_href: href(&site, project, &of.pulse, "/tests"),
            grid_href: href(&site, project, &of.pulse, "/grid"),
            may_change,
            site,
            project,
            of,
        }
    }

    fn name(&self) -> String {
        let track = &self.of.pulse.track;
        let branch = if track.branch.is_empty() { "no branch" } else { &track.branch };
        match track.variant.as_str() {
            "" => branch.to_owned(),
            variant => format!("{branch}, {}", crate::text::variant(variant)),
        }
    }
}

impl Page for TrackPage<'_> {
    fn title(&self) -> String {
        format!("{} {}", self.project.name, short(&self.name()))
    }
    fn standing(&self) -> Standing {
        self.line.standing
    }
}

/// The results of a track's tests by build.
#[derive(Template)]
#[template(path = "grid.html")]
pub struct GridPage<'a> {
    site: Site<'a>,
    project: &'a Project,
    track: String,
    grid: Grid,
    text: &'a str,
    is_all: bool,
    here: String,
    pager: Pager,
}

impl<'a> GridPage<'a> {
    /// The page of a grid.
    pub fn new(
        site: Site<'a>,
        (project, key): (&'a Project, TrackKey),
        of: (&TrackGridDocument, &GridPlaces),
        (text, is_all): (&'a str, bool),
        pager: Pager,
    ) -> Self {
        Self {
            track: site.to(&Resource::Track(project.slug.clone(), key)),
            here: site.to(&Resource::TrackGrid(project.slug.clone(), key)),
            grid: grid(&site, project, of),
            site,
            project,
            text,
            is_all,
            pager,
        }
    }
}

impl Page for GridPage<'_> {
    fn title(&self) -> String {
        format!("Grid of {}", self.project.name)
    }
}

/// The tests of a track.
#[derive(Template)]
#[template(path = "track_tests.html")]
pub struct TrackTestsPage<'a> {
    site: Site<'a>,
    project: &'a Project,
    track: String,
    here: String,
    tests: &'a [TrackTestDocument],
    text: &'a str,
    only: &'a str,
    pager: Pager,
}

impl<'a> TrackTestsPage<'a> {
    /// The page of a track's tests.
    pub fn new(
        site: Site<'a>,
        (project, key): (&'a Project, TrackKey),
        tests: &'a [TrackTestDocument],
        (text, only): (&'a str, &'a str),
        pager: Pager,
    ) -> Self {
        Self {
            track: site.to(&Resource::Track(project.slug.clone(), key)),
            here: site.to(&Resource::TrackTests(project.slug.clone(), key)),
            site,
            project,
            tests,
            text,
            only,
            pager,
        }
    }

    /// The words that select tests, and whether each is chosen.
    fn choices(&self) -> [(&'static str, bool); 4] {
        ["failing", "flaky", "slower", "skipped"].map(|word| (word, word == self.only))
    }

    fn since<'t>(&self, of: &'t TrackTestDocument) -> Option<(String, &'t str)> {
        build(&self.site, self.project, of.since.as_deref()?)
    }

    fn took(of: &TrackTestDocument) -> String {
        of.stats.p50.map(seconds).unwrap_or_default()
    }
}

impl Page for TrackTestsPage<'_> {
    fn title(&self) -> String {
        format!("Tests of a track of {}", self.project.name)
    }
}
