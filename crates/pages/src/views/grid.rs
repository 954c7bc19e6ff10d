//! A grid of names and builds, with the result for each pair.

use devmason_domain::{Build, BuildId, Project, Step, TestStatus};

use super::{by_name, of_success, word_of};
use crate::Standing;
use crate::site::Site;

/// A grid of names and builds, with the result for each pair.
#[derive(Debug, Clone, Default)]
pub(super) struct Grid {
    pub(super) columns: Vec<Cell>,
    pub(super) rows: Vec<GridRow>,
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

/// Maximum number of rows in a grid.
const GRID_ROWS: usize = 60;

/// The results of one test in several builds.
#[derive(Debug, Clone)]
pub struct TestLine {
    /// Its full name.
    pub name: String,
    /// Its result in each build that had it.
    pub runs: Vec<(BuildId, TestStatus)>,
}

impl Grid {
    fn of(site: &Site<'_>, project: &Project, builds: &[Build]) -> Self {
        let column = |build: &Build| Cell {
            class: Standing::of(build).class(),
            mark: mark(Standing::of(build)),
            title: format!("{}: {}", build.key(), Standing::of(build).as_str()),
            href: site.build(&project.slug, build),
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
        tests: &[TestLine],
    ) -> Self {
        let mut grid = Self::of(site, project, builds);
        for TestLine { name, runs } in tests {
            let href = site.test(&project.slug, name);
            let cells = builds.iter().map(|build| {
                let (_, status) = runs.iter().find(|(id, _)| *id == build.id)?;
                let (class, mark) = word_of(*status);
                let title = format!("{}: {}", build.key(), status.as_str());
                let href = site.of_build(&project.slug, build, "tests?status=failed,error");
                Some(Cell { class, mark, title, href })
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
