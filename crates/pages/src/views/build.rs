//! A build, and its changes from other builds.

use askama::Template;
use devmason_domain::{Build, Project, Step, TestResult, full_test_name};

use super::step::{Room, step_html, unread_step_html};
use super::{Member, Page, by_name, counts, members, message, of_success};
use crate::Standing;
use crate::site::{Site, When, duration, micros_of};

/// A build that the shown build is compared with.
#[derive(Debug)]
pub struct Compared {
    /// Its description.
    pub title: &'static str,
    /// The build.
    pub build: Build,
    /// Its steps; outputs are not needed.
    pub steps: Vec<Step>,
    /// The full names of tests that failed in the shown build, but not in this one.
    pub broken: Vec<String>,
    /// The full names of tests that failed in this one and passed in the shown build.
    pub mended: Vec<String>,
}

struct Change {
    title: String,
    lines: Vec<ChangeLine>,
    /// Number of changes not listed.
    more: usize,
}

struct ChangeLine {
    standing: Standing,
    text: String,
    was: &'static str,
    href: Option<String>,
}

/// Maximum number of listed changes.
const CHANGES: usize = 50;

fn change(
    site: &Site<'_>,
    project: &Project,
    (build, steps): (&Build, &[Step]),
    from: &Compared,
) -> Change {
    let (now, before) = (by_name(steps), by_name(&from.steps));
    let mut lines: Vec<(usize, ChangeLine)> = Vec::new();
    for (name, (nth, success)) in &now {
        let was = match before.get(name) {
            Some((_, known)) if known == success => continue,
            Some((_, true)) => "passed before",
            Some((_, false)) => "failed before",
            None => "new",
        };
        let href = Some(format!("{}#step-{nth}", site.build(&project.slug, build)));
        lines.push((
            *nth,
            ChangeLine { standing: of_success(*success), text: (*name).to_owned(), was, href },
        ));
    }
    // A running build may still get more steps.
    if Standing::of(build) != Standing::Running {
        for (name, (nth, _)) in before.iter().filter(|(name, _)| !now.contains_key(*name)) {
            let (text, was) = ((*name).to_owned(), "removed");
            lines.push((*nth, ChangeLine { standing: Standing::Nothing, text, was, href: None }));
        }
    }
    let tests = [
        (&from.broken, Standing::Failure, "newly failing"),
        (&from.mended, Standing::Success, "failed before"),
    ];
    for (names, standing, was) in tests {
        lines.extend(names.iter().map(|name| {
            let href = Some(site.test(&project.slug, name));
            (usize::MAX, ChangeLine { standing, text: name.clone(), was, href })
        }));
    }
    // New failures come before fixes.
    lines.sort_by_key(|(nth, line)| (line.standing != Standing::Failure, *nth));
    let more = lines.len().saturating_sub(CHANGES);
    let lines = lines.into_iter().take(CHANGES).map(|(_, line)| line).collect();
    Change { title: format!("Changes since {} ({})", from.title, from.build.key()), lines, more }
}

struct FailedTest {
    name: String,
    href: String,
    message: String,
}

/// The contents of a build's page.
#[derive(Debug)]
pub struct BuildParts<'a> {
    /// Its project.
    pub project: &'a Project,
    /// The build.
    pub build: &'a Build,
    /// Its steps, with the outputs of those that were read.
    pub steps: &'a [Step],
    /// For each step, whether its outputs were read.
    pub is_read: &'a [bool],
    /// Its failed and broken tests.
    pub failed: &'a [TestResult],
    /// Maximum number of them to show.
    pub shown: usize,
    /// The builds it is compared with.
    pub compared: &'a [Compared],
    /// The previous build.
    pub previous: Option<&'a Build>,
    /// The next build.
    pub next: Option<&'a Build>,
    /// The ids and names of the components under test.
    pub components: Vec<(String, String)>,
    /// The URL of its events, if it is running and they are available.
    pub events: Option<String>,
    /// Whether the viewer may delete it.
    pub may_delete: bool,
}

/// A build.
#[derive(Template)]
#[template(path = "build.html")]
pub struct BuildPage<'a> {
    site: Site<'a>,
    project: &'a Project,
    build: &'a Build,
    verdict: String,
    first_failed: Option<usize>,
    started: When,
    received: When,
    took: String,
    tests: String,
    previous: Option<String>,
    next: Option<String>,
    changes: Vec<Change>,
    failed_tests: Vec<FailedTest>,
    more_tests: u64,
    steps: Vec<String>,
    more_steps: usize,
    client: Vec<Member>,
    components: Vec<(String, String)>,
    events: Option<String>,
    may_delete: bool,
}

/// Maximum size of the HTML for all outputs shown at first on a build's page, in bytes. The end of
/// each output is shown.
const SHOWN: usize = 1 << 20;

/// Maximum size of the HTML for its steps, in bytes; later steps are not shown.
const STEPS_BYTES: usize = 4 << 20;

/// Maximum number of steps on a build's page.
const STEPS_SHOWN: usize = 300;

impl<'a> BuildPage<'a> {
    /// The page of a build.
    ///
    /// # Errors
    /// As [`super::rendered`].
    pub fn new(site: Site<'a>, parts: BuildParts<'a>) -> Result<Self, std::fmt::Error> {
        let BuildParts { project, build, steps, .. } = parts;
        let first_failed = steps.iter().position(|step| !step.success);
        let mut room = Room::new(SHOWN);
        // Failed steps get room before others, and take precedence if there are too many steps.
        let mut order: Vec<usize> = (0..steps.len()).collect();
        order.sort_by_key(|nth| steps.get(*nth).is_none_or(|step| step.success));
        order.truncate(STEPS_SHOWN);
        let (mut shown, mut bytes) = (Vec::with_capacity(order.len()), 0);
        for nth in order {
            let Some(step) = steps.get(nth) else { continue };
            let html = if parts.is_read.get(nth) == Some(&true) {
                let is_open = first_failed == Some(nth);
                step_html(&site, project, build, (nth, step), is_open, &mut room)?
            } else {
                unread_step_html(&site, project, build, (nth, step))?
            };
            bytes += html.len();
            shown.push((nth, html));
            if bytes > STEPS_BYTES {
                break;
            }
        }
        shown.sort_unstable_by_key(|(nth, _)| *nth);
        let shown: Vec<String> = shown.into_iter().map(|(_, html)| html).collect();
        let more_steps = (build.steps as usize).max(steps.len()) - shown.len();
        let failures = build.tests.failed + build.tests.error;
        Ok(Self {
            verdict: verdict(build, steps),
            first_failed,
            started: When(build.started),
            received: When(build.received),
            took: micros_of(build).map(duration).unwrap_or_default(),
            tests: counts(build),
            previous: parts.previous.map(|build| site.build(&project.slug, build)),
            next: parts.next.map(|build| site.build(&project.slug, build)),
            changes: parts
                .compared
                .iter()
                .map(|from| change(&site, project, (build, steps), from))
                .collect(),
            failed_tests: parts
                .failed
                .iter()
                .take(parts.shown)
                .map(|test| {
                    let name = full_test_name(&test.suite, &test.name);
                    FailedTest {
                        href: site.test(&project.slug, &name),
                        name,
                        message: message(test),
                    }
                })
                .collect(),
            more_tests: failures.saturating_sub(parts.failed.len().min(parts.shown) as u64),
            steps: shown,
            more_steps,
            client: members(&build.client.0),
            components: parts.components,
            events: parts.events,
            may_delete: parts.may_delete,
            site,
            project,
            build,
        })
    }
}

fn verdict(build: &Build, steps: &[Step]) -> String {
    match (Standing::of(build), steps.iter().find(|step| !step.success)) {
        (Standing::Running, Some(step)) => format!("Running, failed in {}", step.name),
        (Standing::Running, None) => format!("Running, {} steps so far", steps.len()),
        (Standing::Success, _) => format!("Succeeded, {} steps", steps.len()),
        (_, Some(step)) => format!("Failed in {}", step.name),
        (_, None) => "Failed".to_owned(),
    }
}

impl Page for BuildPage<'_> {
    fn title(&self) -> String {
        format!("{} {}", self.project.name, self.build.key())
    }
    fn summary(&self) -> String {
        format!("{}. {}", self.verdict, self.tests)
    }
    fn standing(&self) -> Standing {
        Standing::of(self.build)
    }
}
