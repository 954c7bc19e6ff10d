//! A build, and what changed since others.

use askama::Template;
use devmason_domain::{Build, Project, Step, TestResult, full_test_name};

use super::step::{Room, step_html, unread_step_html};
use super::{Member, Page, by_name, counts, members, message, of_success};
use crate::Standing;
use crate::site::{Site, When, duration, micros_of};

/// A build that another one is compared with.
#[derive(Debug)]
pub struct Compared {
    /// What is said of it.
    pub title: &'static str,
    /// The build.
    pub build: Build,
    /// Its steps; outputs are not needed.
    pub steps: Vec<Step>,
    /// The whole names of tests that failed in the build that is looked at, and not in this one.
    pub broken: Vec<String>,
    /// Those that failed in this one, and passed in the build that is looked at.
    pub mended: Vec<String>,
}

struct Change {
    title: String,
    lines: Vec<ChangeLine>,
    /// How many there are beyond those.
    more: usize,
}

struct ChangeLine {
    standing: Standing,
    text: String,
    was: &'static str,
    href: Option<String>,
}

/// How many changes are listed.
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
            Some((_, true)) => "was a success",
            Some((_, false)) => "was a failure",
            None => "is new",
        };
        let href = Some(format!("{}#step-{nth}", site.build(&project.slug, build)));
        lines.push((
            *nth,
            ChangeLine { standing: of_success(*success), text: (*name).to_owned(), was, href },
        ));
    }
    // Of a build that runs nobody knows what is still to come.
    if Standing::of(build) != Standing::Running {
        for (name, (nth, _)) in before.iter().filter(|(name, _)| !now.contains_key(*name)) {
            let (text, was) = ((*name).to_owned(), "is not there any more");
            lines.push((*nth, ChangeLine { standing: Standing::Nothing, text, was, href: None }));
        }
    }
    let tests = [
        (&from.broken, Standing::Failure, "did not fail"),
        (&from.mended, Standing::Success, "failed"),
    ];
    for (names, standing, was) in tests {
        lines.extend(names.iter().map(|name| {
            let href = Some(site.test(&project.slug, name));
            (usize::MAX, ChangeLine { standing, text: name.clone(), was, href })
        }));
    }
    // What broke comes before what was mended.
    lines.sort_by_key(|(nth, line)| (line.standing != Standing::Failure, *nth));
    let more = lines.len().saturating_sub(CHANGES);
    let lines = lines.into_iter().take(CHANGES).map(|(_, line)| line).collect();
    Change {
        title: format!("What changed since {}, {}", from.title, from.build.key()),
        lines,
        more,
    }
}

struct FailedTest {
    name: String,
    href: String,
    message: String,
}

/// What a build's page is made of.
#[derive(Debug)]
pub struct BuildParts<'a> {
    /// Its project.
    pub project: &'a Project,
    /// The build.
    pub build: &'a Build,
    /// Its steps, with the outputs of those that were read.
    pub steps: &'a [Step],
    /// Of each, whether its outputs were read.
    pub is_read: &'a [bool],
    /// Those of its tests that failed or broke.
    pub failed: &'a [TestResult],
    /// How many of them are shown.
    pub shown: usize,
    /// The builds that it is compared with.
    pub compared: &'a [Compared],
    /// The build before.
    pub previous: Option<&'a Build>,
    /// The build behind.
    pub next: Option<&'a Build>,
    /// The components that it tested, by their ids and names.
    pub components: Vec<(String, String)>,
    /// Where its events are, if it runs and they can be had.
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

/// How much HTML all outputs of a build's page come to at first, in bytes: from the end of each.
const SHOWN: usize = 1 << 20;

/// How much HTML its steps come to, in bytes: those behind are not shown.
const STEPS_BYTES: usize = 4 << 20;

/// How many steps a build's page shows.
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
        // What failed has room before what did not, and is shown of very many.
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
        (Standing::Running, Some(step)) => format!("Runs, and failed in {}", step.name),
        (Standing::Running, None) => format!("Runs: {} steps so far", steps.len()),
        (Standing::Success, _) => format!("Succeeded in {} steps", steps.len()),
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
