//! The pages: the contents and template of each.

#[cfg(test)]
mod bounds;
mod build;
mod builds;
mod cases;
mod comparison;
mod findings;
mod forms;
mod grid;
mod home;
mod insight;
mod issues;
mod log;
mod names;
mod others;
mod project;
mod receipt;
mod reference;
mod revision;
mod search;
mod signature;
mod step;
mod tracks;

use std::collections::HashMap;

use askama::Template;
use devmason_domain::{Build, JsonObject, Project, Step, Tag, TestResult, TestStatus};
use serde_json::value::RawValue;

use crate::Standing;
use crate::site::{Site, When, duration, micros_of};
use crate::text::{cut, grouped};

pub use build::{BuildPage, BuildParts};
pub use builds::{BuildFilter, Builds};
pub use cases::{CasePage, History, Run, Shelf, TestRow, Tests};
pub use comparison::ComparisonPage;
pub(crate) use forms::Kind;
pub use forms::{Form, RefusedForm, SIGN_IN};
pub use grid::{GridOrder, TestLine};
pub(crate) use grid::{letter_classes, letters_label};
pub use home::{Failing, Head, Heads, ProjectRow, Projects, SQUARES};
use insight::insight_html;
pub use insight::{InsightPage, Shown};
pub use issues::{IssueFields, IssueLine, IssuePage, IssuesPage};
pub use log::{LogPage, LogPart, LogSearchPage, Searched, Window};
pub(crate) use names::line_of;
pub use others::{
    ComponentBuilds, ComponentRow, Components, DocumentPage, ProblemPage, SignIn, Tags, User, Users,
};
pub use project::{MainlineTrack, ProjectPage, ProjectParts};
pub use receipt::ReceiptPage;
pub use reference::Reference;
pub use revision::RevisionPage;
pub use search::{AdministrationPage, SearchPage};
pub use signature::SignaturePage;
pub use step::{Lines, Output, Room, log_step_html, step_html};
pub use tracks::{GridPage, GridPlaces, TrackPage, TrackTestsPage, TracksPage};

/// A page's metadata, for browsers and for sites that show links to it.
pub(crate) trait Page {
    fn title(&self) -> String;
    fn summary(&self) -> String {
        "Builds and test results".to_owned()
    }
    fn standing(&self) -> Standing {
        Standing::Nothing
    }
}

/// Renders a page, or a part of one, as HTML.
///
/// # Errors
/// Never for what fits in memory; the template engine reports through `fmt`.
pub fn rendered(page: &impl Template) -> Result<String, std::fmt::Error> {
    page.render().map_err(|_| std::fmt::Error)
}

/// Links to other parts of a list, and a text about its length.
#[derive(Debug, Clone, Default)]
pub struct Pager {
    /// The first part.
    pub first: Option<String>,
    /// The previous part.
    pub previous: Option<String>,
    /// The next part.
    pub next: Option<String>,
    /// The last part.
    pub last: Option<String>,
    /// The length of the list, in words.
    pub text: String,
}

/// Maximum number of a build's tags shown in a list.
const TAGS: usize = 4;

/// A build in a list, with its project.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its project.
    pub project: &'a Project,
    /// The build.
    pub build: &'a Build,
}

impl Row<'_> {
    fn standing(&self) -> Standing {
        Standing::of(self.build)
    }
    fn started(&self) -> When {
        When(self.build.started)
    }
    fn took(&self) -> String {
        micros_of(self.build).map(duration).unwrap_or_default()
    }
    fn name(&self) -> String {
        names::build_name(self.build)
    }
    /// Its branch, with the list of its builds.
    fn branch(&self, site: &Site<'_>) -> Option<(String, &str)> {
        let branch = Some(names::branch(self.build)).filter(|branch| !branch.is_empty())?;
        Some((site.builds_of_branch(&self.project.slug, branch), branch))
    }
    /// Its commit: in the project's repository, or else what the server knows of it.
    fn commit(&self, site: &Site<'_>) -> Option<(String, &str)> {
        let revision = self.build.revision.as_deref()?;
        let code = self.project.repository.as_ref().and_then(|code| code.commit(revision));
        let href = code.unwrap_or_else(|| site.revision(&self.project.slug, revision));
        Some((href, names::short_commit(revision)))
    }
    fn marks(&self) -> Vec<Mark> {
        marks(self.build)
    }
    /// Its first tags, but not one that says its branch again.
    fn tags(&self) -> impl Iterator<Item = &Tag> {
        let branch = names::branch(self.build);
        self.build.tags.iter().filter(move |tag| tag.as_str() != branch).take(TAGS)
    }
    fn more_tags(&self) -> usize {
        let branch = names::branch(self.build);
        let others = self.build.tags.iter().filter(|tag| tag.as_str() != branch);
        others.count().saturating_sub(TAGS)
    }
    fn host(&self) -> String {
        self.build.client.0.member_text("host").unwrap_or_default()
    }
}

/// `12 passed, 1 failed`: the nonzero counts of a build's tests.
fn counts(build: &Build) -> String {
    let tests = &build.tests;
    let counts = [
        (tests.failed, "failed"),
        (tests.error, "broken"),
        (tests.flaky, "flaky"),
        (tests.skipped, "skipped"),
        (tests.passed, "passed"),
    ];
    let told = counts.iter().filter(|(count, _)| *count > 0);
    told.map(|(count, word)| format!("{} {word}", grouped(count))).collect::<Vec<_>>().join(", ")
}

/// A count of test cases with its sign.
struct Mark {
    class: &'static str,
    count: String,
    word: &'static str,
    title: String,
}

/// The nonzero counts of a build's tests, each with its sign.
fn marks(build: &Build) -> Vec<Mark> {
    let tests = &build.tests;
    let counts = [
        (tests.failed + tests.error, "failure", "failed"),
        (tests.flaky, "flaky", "flaky"),
        (tests.skipped, "skipped", "skipped"),
        (tests.passed, "success", "passed"),
    ];
    let told = counts.into_iter().filter(|(count, ..)| *count > 0);
    told.map(|(count, class, word)| Mark {
        class,
        count: grouped(count),
        word,
        title: format!("{} {word}", grouped(count)),
    })
    .collect()
}

/// How many of the finished builds succeeded, in words; empty if none is finished.
fn pass_rate(builds: &[Build]) -> String {
    let finished = builds.iter().map(Standing::of).filter(|state| *state != Standing::Running);
    let (passed, all) = finished.fold((0, 0), |(passed, all), state| {
        (passed + usize::from(state == Standing::Success), all + 1)
    });
    let rate = (passed * 100_usize).checked_div(all);
    rate.map(|rate| format!("{rate}% of {all}")).unwrap_or_default()
}

fn of_step(step: &Step) -> Standing {
    step.end().map_or(Standing::Running, |(success, _)| of_success(success))
}

fn of_success(success: bool) -> Standing {
    if success { Standing::Success } else { Standing::Failure }
}

/// Maximum number of a build's steps used in grids and comparisons.
const STEPS_LOOKED_AT: usize = 1000;

/// The steps of a build by name, each with its position and whether it succeeded. If several have
/// the same name, the failed one is used. Parts of an output that was sent while being written
/// aren't steps of their own.
fn by_name(steps: &[Step]) -> HashMap<&str, (usize, bool)> {
    let mut found: HashMap<&str, (usize, bool)> = HashMap::new();
    for (nth, step) in
        steps.iter().enumerate().take(STEPS_LOOKED_AT).filter(|(_, step)| !is_part(step))
    {
        let known = found.entry(step.name.as_str()).or_insert((nth, step.success));
        if known.1 && !step.success {
            *known = (nth, false);
        }
    }
    found
}

fn is_part(step: &Step) -> bool {
    step.name.as_str().ends_with(')')
        && step.name.as_str().contains(" (part ")
        && step.extras.as_str().contains("\"part\"")
}

/// The message of a failed test, cut because a page may show many.
fn message(test: &TestResult) -> String {
    const LONGEST: usize = 4000;
    let Some(failure) = &test.failure else { return String::new() };
    let parts = [&failure.kind, &failure.message, &failure.text];
    let mut parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    // Most texts start with the message.
    if let [.., message, text] = parts.as_slice()
        && text.contains(message)
    {
        parts.remove(parts.len() - 2);
    }
    let mut message = parts.join(": ");
    if message.len() > LONGEST {
        message.truncate(message.floor_char_boundary(LONGEST));
        message.push('\u{2026}');
    }
    message
}

/// A member of an object that a client sent, as text.
#[derive(Clone)]
struct Member {
    name: String,
    value: String,
    /// Its target, if it is a link that is allowed on a page.
    href: Option<String>,
}

/// Maximum number of members shown on a page, maximum length of each in characters, and maximum
/// length of a link in bytes.
const MEMBERS: usize = 50;
const VALUE: usize = 300;
const LINK: usize = 2 << 10;

/// The first members of an object that a client sent.
fn members(object: &JsonObject) -> Vec<Member> {
    let member = |(name, value): (String, Box<RawValue>)| {
        let text = serde_json::from_str::<String>(value.get());
        let is_link = |text: &&String| {
            text.len() <= LINK && (text.starts_with("https://") || text.starts_with("http://"))
        };
        let href = text.as_ref().ok().filter(is_link).cloned();
        let value = text.as_deref().unwrap_or(value.get());
        Member { name, value: cut(value, VALUE).into_owned(), href }
    };
    object.members().unwrap_or_default().into_iter().take(MEMBERS).map(member).collect()
}

fn word_of(status: TestStatus) -> (&'static str, &'static str) {
    match status {
        TestStatus::Passed => ("success", "\u{2713}"),
        TestStatus::Failed => ("failure", "\u{2717}"),
        TestStatus::Error => ("failure", "!"),
        TestStatus::Flaky => ("flaky", "~"),
        TestStatus::Skipped => ("skipped", "\u{2013}"),
    }
}
