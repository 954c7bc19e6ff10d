//! A grid of names and builds, with the result for each pair.

use devmason_domain::{Build, BuildId, Project, Step, TestStatus, Timestamp};

use super::names::{build_name, short_commit};
use super::{by_name, of_success, word_of};
use crate::Standing;
use crate::site::Site;

/// A grid of names and builds, with the result for each pair.
#[derive(Debug, Clone, Default)]
pub(super) struct Grid {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<GridRow>,
}

/// A build at the head of a column.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) cell: Cell,
    pub(super) name: String,
    pub(super) commit: String,
    pub(super) day: String,
}

#[derive(Debug, Clone)]
pub(super) struct GridRow {
    pub(super) name: String,
    pub(super) href: Option<String>,
    pub(super) cells: Vec<Option<Cell>>,
}

#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) class: &'static str,
    pub(super) mark: &'static str,
    pub(super) title: String,
    pub(super) href: String,
    /// Whether it is what the page is about.
    pub(super) is_here: bool,
}

/// A sign that works without colour.
pub(super) fn mark(standing: Standing) -> &'static str {
    match standing {
        Standing::Success => "\u{2713}",
        Standing::Failure => "\u{2717}",
        Standing::Running => "\u{2026}",
        Standing::Nothing => "\u{2013}",
    }
}

/// The results in a row of letters, in words.
pub(crate) fn letters_label(recent: &str) -> String {
    let bad = recent.chars().filter(|letter| ['F', 'E'].contains(letter)).count();
    format!("Last {} runs: {bad} failed", recent.chars().count())
}

/// The classes of a row of results, the newest first.
pub(crate) fn letter_classes(recent: &str) -> Vec<&'static str> {
    let class = |letter| TestStatus::from_letter(letter).map_or("nothing", |of| word_of(of).0);
    recent.chars().map(class).collect()
}

/// Maximum number of rows in a grid.
const GRID_ROWS: usize = 60;

/// The results of one test in several builds.
#[derive(Debug, Clone)]
pub struct TestLine {
    /// Its full name.
    pub name: String,
    /// Its position and its result in each build that had it, the newest first.
    pub runs: Vec<(BuildId, u32, TestStatus)>,
}

/// What the rows of a grid of tests are sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GridOrder {
    /// The most failures first.
    #[default]
    Failures,
    /// The most changes between good and bad first.
    Flips,
    /// Those that fail longest first.
    Age,
}

impl GridOrder {
    pub(super) const ALL: [(Self, &'static str); 3] =
        [(Self::Failures, "failures"), (Self::Flips, "flips"), (Self::Age, "age")];

    /// The order of this name.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| *name == word).map(|(order, _)| *order)
    }

    /// The rank of a test, of its results with the newest first: the greatest comes first.
    fn rank(self, runs: &[(BuildId, u32, TestStatus)]) -> usize {
        let bad = runs.iter().map(|(.., status)| status.is_bad());
        match self {
            Self::Failures => bad.filter(|is_bad| *is_bad).count(),
            Self::Flips => bad.clone().zip(bad.skip(1)).filter(|(one, other)| one != other).count(),
            Self::Age => bad.take_while(|is_bad| *is_bad).count(),
        }
    }
}

/// `27 Nov`.
pub(super) fn short_day(at: Timestamp) -> String {
    let words = at.to_rfc2822();
    // `Fri, 27 Nov 2026 16:31:26 +0000`
    let day: Vec<&str> = words.split_whitespace().skip(1).take(2).collect();
    day.join(" ")
}

impl Grid {
    fn of(site: &Site<'_>, project: &Project, builds: &[Build]) -> Self {
        let column = |build: &Build| Column {
            cell: Cell {
                class: Standing::of(build).class(),
                mark: mark(Standing::of(build)),
                title: format!("{}: {}", build.key(), Standing::of(build).as_str()),
                href: site.build(&project.slug, build),
                is_here: false,
            },
            name: build_name(build),
            commit: build.revision.as_deref().map(short_commit).unwrap_or_default().to_owned(),
            day: short_day(build.started),
        };
        Self { columns: builds.iter().map(column).collect(), rows: Vec::new() }
    }

    /// The grid of steps: builds newest first, steps in the order of the newest build that has each.
    pub(super) fn of_steps(
        site: &Site<'_>,
        project: &Project,
        builds: &[Build],
        steps: &[Vec<Step>],
    ) -> Self {
        let mut grid = Self::of(site, project, builds);
        let steps: Vec<_> = steps.iter().map(|steps| by_name(steps)).collect();
        let mut names: Vec<&str> = Vec::new();
        for of in &steps {
            let mut fresh: Vec<(usize, &str)> =
                of.iter().map(|(name, (nth, _))| (*nth, *name)).collect();
            fresh.sort_unstable();
            for (_, name) in fresh {
                if names.len() < GRID_ROWS && !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        for name in names {
            let cells = builds.iter().zip(&steps).map(|(build, steps)| {
                let (nth, success) = steps.get(name)?;
                let state = of_success(*success);
                Some(Cell {
                    class: state.class(),
                    mark: mark(state),
                    // The row has the name: a thousand cells that repeat it are a long page.
                    title: format!("{}: {}", build.key(), state.as_str()),
                    href: format!("{}#step-{nth}", site.build(&project.slug, build)),
                    is_here: false,
                })
            });
            grid.rows.push(GridRow { name: name.to_owned(), href: None, cells: cells.collect() });
        }
        grid
    }

    /// The grid of tests: builds newest first.
    pub(super) fn of_tests(
        site: &Site<'_>,
        project: &Project,
        builds: &[Build],
        (tests, order): (&[TestLine], GridOrder),
    ) -> Self {
        let mut grid = Self::of(site, project, builds);
        let mut tests: Vec<&TestLine> = tests.iter().collect();
        tests.sort_by_key(|line| std::cmp::Reverse(order.rank(&line.runs)));
        for TestLine { name, runs } in tests {
            let href = site.test(&project.slug, name);
            let cells = builds.iter().map(|build| {
                let (_, position, status) = runs.iter().find(|(id, ..)| *id == build.id)?;
                let (class, mark) = word_of(*status);
                let title = format!("{}: {}", build.key(), status.as_str());
                let href = site.case(&project.slug, &build.key(), *position);
                Some(Cell { class, mark, title, href, is_here: false })
            });
            grid.rows.push(GridRow {
                name: name.clone(),
                href: Some(href.clone()),
                cells: cells.collect(),
            });
        }
        grid
    }
}
