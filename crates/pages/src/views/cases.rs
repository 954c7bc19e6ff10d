//! The test cases of a build, and the history of one.

use std::borrow::Cow;

use askama::Template;
use devmason_domain::{
    Build, BuildKey, Project, Signature, TestResult, TestStatus, full_test_name,
};
use devmason_hypermedia::Resource;
use devmason_hypermedia::document::{SegmentDocument, TestBehaviour};

use super::findings::mark;
use super::grid::Cell;
use super::names::build_name;
use super::{Page, Pager, Room, counts, line_of, message, word_of};
use crate::Standing;
use crate::output::{Part, lines};
use crate::site::{Site, When, duration};
use crate::text::cut;
use crate::trace::Trace;

/// The result of a test: a word and its CSS class.
struct Came {
    class: &'static str,
    word: &'static str,
}

/// A test case in a list.
pub struct TestRow {
    standing: Came,
    suite: String,
    /// Its name without the suite.
    name: String,
    /// Its own page.
    href: String,
    took: String,
    message: String,
    short: String,
    output: String,
    /// Whether some of its output doesn't fit.
    is_hidden: bool,
}

impl TestRow {
    /// A test case of a build at this position, with as much of its output as fits.
    pub fn new(
        site: &Site<'_>,
        (project, build): (&Project, &Build),
        (test, position): (&TestResult, u32),
        room: &mut Room,
    ) -> Self {
        let message = message(test);
        let first = message.lines().next().unwrap_or_default();
        let mut short = cut(first, 120).into_owned();
        if short.trim().is_empty() {
            "Output".clone_into(&mut short);
        }
        let (mut output, mut is_hidden) = (String::new(), false);
        for (text, letter) in [(&test.details.stdout, "L"), (&test.details.stderr, "E")] {
            is_hidden |= !room.is_left() && !text.is_empty();
            let part = Part::tail(text, if room.is_left() { 200 } else { 0 }, 16 << 10);
            let html = lines(part, &format!("test-{position}-{letter}"));
            room.take(html.len());
            output += &html;
        }
        Self {
            standing: Came { class: word_of(test.status).0, word: test.status.as_str() },
            href: site.case(&project.slug, &build.key(), position),
            suite: test.suite.to_string(),
            name: test.name.clone(),
            took: test.micros.map(duration).unwrap_or_default(),
            short,
            message,
            output,
            is_hidden,
        }
    }
}

/// A part of a list of test cases, to choose.
pub(super) struct Tab {
    name: &'static str,
    count: Option<u64>,
    href: String,
    is_chosen: bool,
}

/// Which test cases of a build a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// All of them.
    All,
    /// The failed and the broken ones.
    Failed,
    /// The flaky ones.
    Flaky,
    /// The skipped ones.
    Skipped,
    /// Those that passed.
    Passed,
    /// The slowest ones.
    Slowest,
    /// What other conditions say.
    Other,
}

impl Shelf {
    /// Each with its name and the query that selects it.
    const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::Failed, "Failed", "?status=failed,error"),
        (Self::Flaky, "Flaky", "?status=flaky"),
        (Self::Skipped, "Skipped", "?status=skipped"),
        (Self::Passed, "Passed", "?status=passed"),
        (Self::All, "All", "?status=passed,failed,error,flaky,skipped"),
        (Self::Slowest, "Slowest", "?sort=duration"),
    ];

    fn count(self, build: &Build) -> Option<u64> {
        let tests = &build.tests;
        match self {
            Self::All => Some(tests.total),
            Self::Failed => Some(tests.failed + tests.error),
            Self::Flaky => Some(tests.flaky),
            Self::Skipped => Some(tests.skipped),
            Self::Passed => Some(tests.passed),
            Self::Slowest | Self::Other => None,
        }
    }
}

/// The test cases of a build.
#[derive(Template)]
#[template(path = "tests.html")]
pub struct Tests<'a> {
    /// The page's frame.
    pub site: Site<'a>,
    /// The project.
    pub project: &'a Project,
    /// The build.
    pub build: &'a Build,
    /// The cases.
    pub tests: Vec<TestRow>,
    /// Which cases they are.
    pub shelf: Shelf,
    /// The statuses shown.
    pub status: &'a str,
    /// The text that the names shown must contain.
    pub text: &'a str,
    /// Links to the other parts of the list.
    pub pager: Pager,
}

impl Tests<'_> {
    fn tabs(&self) -> Vec<Tab> {
        let list = self.site.of_build(&self.project.slug, self.build, "tests");
        let tab = |(shelf, name, query): (Shelf, &'static str, &str)| Tab {
            name,
            count: shelf.count(self.build),
            href: format!("{list}{query}"),
            is_chosen: shelf == self.shelf,
        };
        Shelf::ALL.map(tab).into()
    }

    /// The cases by suite, in order; the slowest ones stay in order.
    fn suites(&self) -> Vec<(&str, Vec<&TestRow>)> {
        let mut suites: Vec<(&str, Vec<&TestRow>)> = Vec::new();
        for test in &self.tests {
            match suites.last_mut() {
                Some((suite, rows)) if *suite == test.suite => rows.push(test),
                _ => suites.push((&test.suite, vec![test])),
            }
        }
        if self.shelf == Shelf::Slowest {
            return suites;
        }
        // Parallel runs of suites are mixed.
        let mut merged: Vec<(&str, Vec<&TestRow>)> = Vec::new();
        for (suite, rows) in suites {
            match merged.iter_mut().find(|(known, _)| *known == suite) {
                Some((_, known)) => known.extend(rows),
                None => merged.push((suite, rows)),
            }
        }
        merged
    }
}

impl Page for Tests<'_> {
    fn title(&self) -> String {
        format!("Tests of {} {}", self.project.name, self.build.key())
    }
    fn summary(&self) -> String {
        counts(self.build)
    }
    fn standing(&self) -> Standing {
        Standing::of(self.build)
    }
}

/// The result of a test in a build.
#[derive(Template)]
#[template(path = "case.html")]
pub struct CasePage<'a> {
    site: Site<'a>,
    project: &'a Project,
    build: &'a Build,
    test: &'a TestResult,
    standing: Came,
    full_name: String,
    history: String,
    took: String,
    message: String,
    text: String,
    is_cut: bool,
    file: Option<(Option<String>, String)>,
    outputs: Vec<(&'static str, String)>,
    /// Its newest runs.
    strip: Vec<Cell>,
    signature: Option<String>,
    mark: Option<String>,
}

/// Maximum length of a failure's text and of each output on a page, in bytes, and of the lines of an
/// output.
const TEXT: usize = 64 << 10;
const LINES: usize = 1_000;

/// Maximum number of properties on a page.
const PROPERTIES: usize = 100;

impl<'a> CasePage<'a> {
    /// The page of a test case: of a build, with its newest runs, the newest first.
    pub fn new(
        site: Site<'a>,
        (project, build): (&'a Project, &'a Build),
        (test, position): (&'a TestResult, u32),
        runs: &[(BuildKey, u32, TestStatus)],
        may_triage: bool,
    ) -> Self {
        let full_name = full_test_name(&test.suite, &test.name);
        let trace = Trace {
            code: project.repository.as_ref(),
            revision: build.revision.as_deref(),
            suite: &test.suite,
        };
        let failure = test.failure.as_ref();
        let text = failure.and_then(|failure| failure.text.as_deref()).unwrap_or_default();
        let shown = text.get(..text.floor_char_boundary(TEXT)).unwrap_or_default();
        let said = failure.map(|failure| [failure.kind.as_deref(), failure.message.as_deref()]);
        let said: Vec<&str> = said.into_iter().flatten().flatten().collect();
        let signature = failure.and_then(Signature::of).filter(|_| test.status.is_bad());
        let key = build.key();
        let cell = |(of, at, status): &(BuildKey, u32, TestStatus)| {
            let (class, mark) = word_of(*status);
            let is_here = *of == key && *at == position;
            let here = if is_here { " (this one)" } else { "" };
            let title = format!("{of}: {}{here}", status.as_str());
            let href = site.case(&project.slug, of, *at);
            Cell { class, mark, title, href, is_here }
        };
        let details = &test.details;
        let output = |(name, text, letter): (&'static str, &str, &str)| {
            let html = lines(Part::tail(text, LINES, TEXT), &format!("test-{position}-{letter}"));
            (!text.is_empty()).then_some((name, html))
        };
        let outputs = [("Output", &*details.stdout, "L"), ("Error output", &*details.stderr, "E")];
        let file = details.file.as_deref().map(|file| {
            let line = details.line.map(u64::from);
            let place = (file, line.unwrap_or(1));
            let shown = line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"));
            let href = line_of(project.repository.as_ref(), build.revision.as_deref(), place);
            (href, cut(&shown, 300).into_owned())
        });
        let marked = |signature: &Signature| {
            let fields = [
                ("title", signature.title.as_str()),
                ("test", full_name.as_str()),
                ("signature", signature.id.as_str()),
            ];
            mark(&site, project, &fields)
        };
        Self {
            standing: Came { class: word_of(test.status).0, word: test.status.as_str() },
            history: site.test(&project.slug, &full_name),
            took: test.micros.map(duration).unwrap_or_default(),
            message: cut(&said.join(": "), 4_000).into_owned(),
            text: trace.html(shown),
            is_cut: shown.len() < text.len(),
            file,
            outputs: outputs.into_iter().filter_map(output).collect(),
            strip: runs.iter().map(cell).collect(),
            mark: signature.as_ref().filter(|_| may_triage).map(marked),
            signature: signature.and_then(|signature| {
                let of = Resource::Signature(project.slug.clone(), signature.id.parse().ok()?);
                Some(site.to(&of))
            }),
            full_name,
            site,
            project,
            build,
            test,
        }
    }

    fn properties(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let all = self.test.details.properties.iter().take(PROPERTIES);
        all.map(|(name, value)| (name.as_str(), cut(value, 1_000)))
    }
}

impl Page for CasePage<'_> {
    fn title(&self) -> String {
        self.full_name.clone()
    }
    fn summary(&self) -> String {
        format!("{} in {}. {}", self.standing.word, self.build.key(), self.message)
    }
    fn standing(&self) -> Standing {
        match self.standing.class {
            "failure" => Standing::Failure,
            "success" | "flaky" => Standing::Success,
            _ => Standing::Nothing,
        }
    }
}

/// A run of a test.
pub struct Run<'a> {
    /// The build.
    pub build: &'a Build,
    /// Its URL.
    pub href: String,
    /// The outcome.
    pub test: TestRow,
}

impl Run<'_> {
    fn started(&self) -> When {
        When(self.build.started)
    }
    fn name(&self) -> String {
        build_name(self.build)
    }
}

/// The history of a test.
#[derive(Template)]
#[template(path = "history.html")]
pub struct History<'a> {
    /// The page's frame.
    pub site: Site<'a>,
    /// The project.
    pub project: &'a Project,
    /// The test's full name.
    pub name: &'a str,
    /// Its runs, newest first.
    pub runs: Vec<Run<'a>>,
    /// How it behaves.
    pub behaviour: TestBehaviour,
    /// Links to the other parts of the list.
    pub pager: Pager,
}

impl History<'_> {
    /// The segments as parts of a bar of a thousand units: their class, where each begins, its width.
    fn bars(&self, segments: &[SegmentDocument]) -> Vec<(&'static str, usize, usize)> {
        let all: usize = segments.iter().map(|of| of.runs).sum();
        let mut from = 0;
        let bar = |of: &SegmentDocument| {
            let class = match of.bad {
                0 => "success",
                bad if bad == of.runs => "failure",
                _ => "running",
            };
            let width = of.runs * 1000 / all.max(1);
            let at = from;
            from += width;
            (class, at, width)
        };
        segments.iter().map(bar).collect()
    }
}

impl Page for History<'_> {
    fn title(&self) -> String {
        self.name.to_owned()
    }
    fn standing(&self) -> Standing {
        match self.runs.first().map(|run| run.test.standing.class) {
            Some("failure") => Standing::Failure,
            Some("success" | "flaky") => Standing::Success,
            _ => Standing::Nothing,
        }
    }
}
