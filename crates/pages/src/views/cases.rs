//! The test cases of a build, and the history of one.

use askama::Template;
use devmason_domain::{Build, Project, TestResult, full_test_name};
use devmason_hypermedia::document::{SegmentDocument, TestBehaviour};

use super::{Page, Pager, Room, counts, message, word_of};
use crate::Standing;
use crate::output::{Part, lines};
use crate::site::{Site, When, duration};
use crate::text::cut;

/// The result of a test: a word and its CSS class.
struct Came {
    class: &'static str,
    word: &'static str,
}

/// A test case in a list.
pub struct TestRow {
    standing: Came,
    name: String,
    href: String,
    took: String,
    message: String,
    short: String,
    output: String,
    /// Whether some of its output doesn't fit.
    is_hidden: bool,
}

impl TestRow {
    /// A test case of a project at this position in its build, with as much of its output as fits.
    pub fn new(
        site: &Site<'_>,
        project: &Project,
        test: &TestResult,
        position: u32,
        room: &mut Room,
    ) -> Self {
        let name = full_test_name(&test.suite, &test.name);
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
            href: site.test(&project.slug, &name),
            name,
            took: test.micros.map(duration).unwrap_or_default(),
            short,
            message,
            output,
            is_hidden,
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
    /// The statuses shown.
    pub status: &'a str,
    /// The text that the names shown must contain.
    pub text: &'a str,
    /// Links to the other parts of the list.
    pub pager: Pager,
}

impl Tests<'_> {
    const STATUSES: [(&'static str, &'static str); 6] = [
        ("", "any"),
        ("failed,error", "failed or broken"),
        ("flaky", "flaky"),
        ("skipped", "skipped"),
        ("passed", "passed"),
        ("error", "broken"),
    ];
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
