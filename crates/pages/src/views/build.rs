//! A build.

use std::collections::HashMap;

use askama::Template;
use devmason_domain::{Build, Project, Step, StepLog};
use devmason_hypermedia::document::InsightDocument;

use super::names::{self, Out};
use super::step::{Room, log_step_html, step_html, unread_log_html, unread_step_html};
use super::{Mark, Member, Page, Row, Shown, Window, counts, insight_html, members};
use crate::Standing;
use crate::site::{Site, When, duration, micros_of};
use crate::text::counted;

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
    /// The ends of the logs of steps, by position, with the lines of their first errors.
    pub logs: &'a HashMap<usize, (Window, Option<u64>)>,
    /// Its failures, compared with a baseline.
    pub insight: &'a InsightDocument,
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
    /// Whether the viewer may say which failures are known.
    pub may_triage: bool,
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
    marks: Vec<Mark>,
    /// Its number.
    name: String,
    branch: Option<(String, &'a str)>,
    commit: Option<(String, &'a str)>,
    code: Vec<Out<'a>>,
    /// What its head says of the client.
    heads: Vec<Member>,
    /// The comparison with the previous build.
    compared: Option<String>,
    previous: Option<String>,
    next: Option<String>,
    insight: String,
    more_failures: u64,
    steps: Vec<String>,
    more_steps: usize,
    client: Vec<Member>,
    components: Vec<(String, String)>,
    events: Option<String>,
    may_delete: bool,
}

/// The members of a client record that the head of a page says.
const HEADS: [&str; 4] = ["job", "job_url", "host", "author"];

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
            let is_open = first_failed == Some(nth) || step.is_running();
            let html = if let Some((window, error)) =
                parts.logs.get(&nth).filter(|_| room.is_left() || is_open)
            {
                let log = (window, *error);
                log_step_html(&site, project, build, (nth, step), is_open, log, &mut room)?
            } else if step.log != StepLog::Absent {
                unread_log_html(&site, project, build, (nth, step))?
            } else if parts.is_read.get(nth) == Some(&true) {
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
        let of = parts.insight;
        let told = &of.findings.counts;
        let failures = told.new + told.unknown + told.failing + told.flaky;
        let row = Row { project, build };
        let client = members(&build.client.0);
        let is_head = |member: &&Member| HEADS.contains(&member.name.as_str());
        let branch = names::branch(build);
        Ok(Self {
            name: row.name(),
            marks: row.marks(),
            branch: (!branch.is_empty())
                .then(|| (site.builds_of_branch(&project.slug, branch), branch)),
            commit: build.revision.as_deref().map(|revision| {
                (site.revision(&project.slug, revision), names::short_commit(revision))
            }),
            code: names::code(project, build),
            heads: client.iter().filter(is_head).cloned().collect(),
            compared: parts
                .previous
                .and_then(|of| site.comparison(&project.slug, of.key(), build.key())),
            verdict: verdict(build, steps),
            first_failed,
            started: When(build.started),
            received: When(build.received),
            took: micros_of(build).map(duration).unwrap_or_default(),
            tests: counts(build),
            previous: parts.previous.map(|build| site.build(&project.slug, build)),
            next: parts.next.map(|build| site.build(&project.slug, build)),
            insight: insight_html(
                &site,
                project,
                build,
                of,
                Shown { may_triage: parts.may_triage, gate: None },
            )?,
            more_failures: failures.saturating_sub(of.findings.failures.len() as u64),
            steps: shown,
            more_steps,
            client,
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
        (Standing::Running, None) => format!("Running, {} so far", counted(steps.len(), "step")),
        (Standing::Success, _) => format!("Succeeded, {}", counted(steps.len(), "step")),
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
