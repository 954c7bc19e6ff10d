//! The pages themselves: what each is made of, and its template.

use std::collections::HashMap;

use askama::Template;
use devmason_domain::{
    Account, Build, Component, JsonObject, Project, Step, Tag, TestResult, TestStatus, Timestamp,
    Username, full_test_name,
};
use devmason_hypermedia::BuildsOf;
use serde_json::value::RawValue;

use crate::output::{Part, lines};
use crate::site::{Site, When, bytes, duration, micros_of, standing};
use crate::{Standing, plot};

/// What a page says of itself, to browsers and to those that show links to it.
trait Page {
    fn title(&self) -> String;
    fn summary(&self) -> String {
        "Builds and test runs".to_owned()
    }
    fn standing(&self) -> Standing {
        Standing::Nothing
    }
}

/// A page, or a part of one, as HTML.
///
/// # Errors
/// Never for what fits in memory; the template engine reports through `fmt`.
pub fn rendered(page: &impl Template) -> Result<String, std::fmt::Error> {
    page.render().map_err(|_| std::fmt::Error)
}

/// Links to other parts of a list, and a word on how long it is.
#[derive(Debug, Clone, Default)]
pub struct Pager {
    /// The first part.
    pub first: Option<String>,
    /// The part before.
    pub previous: Option<String>,
    /// The part behind.
    pub next: Option<String>,
    /// The last part.
    pub last: Option<String>,
    /// How long the list is.
    pub text: String,
}

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
        standing(self.build)
    }
    fn started(&self) -> When {
        When(self.build.started)
    }
    fn took(&self) -> String {
        micros_of(self.build).map(duration).unwrap_or_default()
    }
    fn tests(&self) -> String {
        counts(self.build)
    }
    fn host(&self) -> String {
        self.build.client.0.member_text("host").unwrap_or_default()
    }
}

/// `12 passed, 1 failed`: what of a build's tests is not nothing.
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
    told.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

/// How many of the builds that are finished succeeded, in words; empty where none is.
fn pass_rate(builds: &[Build]) -> String {
    let finished = builds.iter().map(standing).filter(|state| *state != Standing::Running);
    let (passed, all) = finished.fold((0, 0), |(passed, all), state| {
        (passed + usize::from(state == Standing::Success), all + 1)
    });
    let rate = (passed * 100_usize).checked_div(all);
    rate.map(|rate| format!("{rate} % of {all}")).unwrap_or_default()
}

/// How the latest build that is finished stands; else that one runs.
fn latest(builds: &[Build]) -> Standing {
    let mut all = builds.iter().map(standing);
    let first = all.clone().next().unwrap_or(Standing::Nothing);
    all.find(|state| *state != Standing::Running).unwrap_or(first)
}

/// What a strip of builds shows, in words.
pub(crate) fn strip_label(builds: &[Build]) -> String {
    let count = |state| builds.iter().filter(|build| standing(build) == state).count();
    let (failed, running) = (count(Standing::Failure), count(Standing::Running));
    format!("Of the last {} builds {failed} failed, {running} run", builds.len())
}

/// A project in the list of all.
#[derive(Debug)]
pub struct ProjectRow {
    /// The project.
    pub project: Project,
    /// Its newest builds, the newest first.
    pub builds: Vec<Build>,
}

impl ProjectRow {
    /// How it stands.
    pub fn standing(&self) -> Standing {
        latest(&self.builds)
    }
    fn pass_rate(&self) -> String {
        pass_rate(&self.builds)
    }
    fn last(&self) -> Option<When> {
        self.builds.first().map(|build| When(build.updated_at))
    }
}

/// All projects.
#[derive(Template)]
#[template(path = "projects.html")]
pub struct Projects<'a> {
    /// What is around the page.
    pub site: Site<'a>,
    /// The projects.
    pub rows: Vec<ProjectRow>,
    /// What is searched for.
    pub search: &'a str,
    /// Whether those that are red come first.
    pub red_first: bool,
    /// Whether the viewer may register one.
    pub may_register: bool,
    /// The other parts of the list.
    pub pager: Pager,
}

impl Page for Projects<'_> {
    fn title(&self) -> String {
        "Projects".to_owned()
    }
    fn summary(&self) -> String {
        let red = self.rows.iter().filter(|row| row.standing() == Standing::Failure).count();
        format!("{} projects, {red} of them red", self.rows.len())
    }
    fn standing(&self) -> Standing {
        let any = |state| self.rows.iter().any(|row| row.standing() == state);
        let first = [Standing::Failure, Standing::Running, Standing::Success]
            .into_iter()
            .find(|state| any(*state));
        first.unwrap_or(Standing::Nothing)
    }
}

/// Names against builds: what came of each in each.
#[derive(Debug, Clone, Default)]
struct Grid {
    columns: Vec<Cell>,
    rows: Vec<GridRow>,
}

#[derive(Debug, Clone)]
struct GridRow {
    name: String,
    href: Option<String>,
    cells: Vec<Option<Cell>>,
}

#[derive(Debug, Clone)]
struct Cell {
    class: &'static str,
    mark: &'static str,
    title: String,
    href: String,
}

/// A sign that says it without colour.
fn mark(standing: Standing) -> &'static str {
    match standing {
        Standing::Success => "\u{2713}",
        Standing::Failure => "\u{2717}",
        Standing::Running => "\u{2026}",
        Standing::Nothing => "\u{2013}",
    }
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

/// How many steps of a build are looked at for grids and comparisons.
const STEPS_LOOKED_AT: usize = 1000;

/// How many rows a grid has.
const GRID_ROWS: usize = 60;

/// What came of one test in some builds.
#[derive(Debug, Clone)]
pub struct TestLine {
    /// Its whole name.
    pub name: String,
    /// In each of the builds that had it.
    pub runs: Vec<(devmason_domain::BuildId, TestStatus)>,
}

impl Grid {
    fn of(site: &Site<'_>, project: &Project, builds: &[Build]) -> Self {
        let column = |build: &Build| Cell {
            class: standing(build).class(),
            mark: mark(standing(build)),
            title: format!("{}: {}", build.key(), standing(build).as_str()),
            href: site.build(&project.slug, build),
        };
        Self { columns: builds.iter().map(column).collect(), rows: Vec::new() }
    }

    /// The steps of builds, the newest first; those that failed most come first.
    fn of_steps(site: &Site<'_>, project: &Project, builds: &[Build], steps: &[Vec<Step>]) -> Self {
        let mut grid = Self::of(site, project, builds);
        let steps: Vec<_> = steps.iter().map(|steps| by_name(steps)).collect();
        let mut names: Vec<(usize, &str)> = Vec::new();
        for of in &steps {
            let mut fresh: Vec<(usize, &str)> =
                of.iter().map(|(name, (nth, _))| (*nth, *name)).collect();
            fresh.sort_unstable();
            for (nth, name) in fresh {
                if names.len() < GRID_ROWS && !names.iter().any(|(_, known)| *known == name) {
                    names.push((nth, name));
                }
            }
        }
        for (_, name) in names {
            let cells = builds.iter().zip(&steps).map(|(build, steps)| {
                let (nth, success) = steps.get(name)?;
                let state = of_success(*success);
                Some(Cell {
                    class: state.class(),
                    mark: mark(state),
                    title: format!("{name} in {}: {}", build.key(), state.as_str()),
                    href: format!("{}#step-{nth}", site.build(&project.slug, build)),
                })
            });
            grid.rows.push(GridRow { name: name.to_owned(), href: None, cells: cells.collect() });
        }
        grid
    }

    /// What came of tests in builds, the newest first.
    fn of_tests(site: &Site<'_>, project: &Project, builds: &[Build], tests: &[TestLine]) -> Self {
        let mut grid = Self::of(site, project, builds);
        for TestLine { name, runs } in tests {
            let href = site.test(&project.slug, name);
            let cells = builds.iter().map(|build| {
                let (_, status) = runs.iter().find(|(id, _)| *id == build.id)?;
                let (class, mark) = word_of(*status);
                let title = format!("{name} in {}: {}", build.key(), status.as_str());
                Some(Cell { class, mark, title, href: href.clone() })
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

fn of_success(success: bool) -> Standing {
    if success { Standing::Success } else { Standing::Failure }
}

/// The steps of a build by name, each with its place and whether it succeeded: of several of a name the one that
/// failed. The parts of an output that was sent while it was written are no steps of their own.
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

/// A project.
#[derive(Template)]
#[template(path = "project.html")]
pub struct ProjectPage<'a> {
    site: Site<'a>,
    project: &'a Project,
    builds: &'a [Build],
    of: BuildsOf,
    rows: Vec<Row<'a>>,
    steps: Grid,
    tests: Grid,
    durations: String,
    rates: String,
    pass_rate: String,
    may_change: bool,
}

/// How many builds a project's page lists.
const NEWEST: usize = 10;

impl<'a> ProjectPage<'a> {
    /// The page of a project with its newest builds, the newest first, and what came of steps and tests in the first
    /// of them.
    pub fn new(
        site: Site<'a>,
        project: &'a Project,
        builds: &'a [Build],
        steps: &[Vec<Step>],
        tests: &[TestLine],
        may_change: bool,
    ) -> Self {
        let shown = builds.get(..steps.len()).unwrap_or(builds);
        Self {
            of: BuildsOf::Project(project.slug.clone()),
            rows: builds.iter().take(NEWEST).map(|build| Row { project, build }).collect(),
            steps: Grid::of_steps(&site, project, shown, steps),
            tests: Grid::of_tests(&site, project, shown, tests),
            durations: plot::durations(&site, &project.slug, builds),
            rates: plot::pass_rate(builds),
            pass_rate: match pass_rate(builds) {
                rate if rate.is_empty() => rate,
                rate => format!("{rate} builds passed"),
            },
            site,
            project,
            builds,
            may_change,
        }
    }
}

impl Page for ProjectPage<'_> {
    fn title(&self) -> String {
        self.project.name.to_string()
    }
    fn summary(&self) -> String {
        format!("{}: {}", latest(self.builds).as_str(), self.pass_rate)
    }
    fn standing(&self) -> Standing {
        latest(self.builds)
    }
}

/// What a list of builds is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct BuildFilter<'a> {
    /// `success`, `failure` or `running`.
    pub state: &'a str,
    /// A tag.
    pub tag: &'a str,
    /// A host.
    pub host: &'a str,
    /// What is in the id.
    pub text: &'a str,
}

impl BuildFilter<'_> {
    /// Whether anything is left out.
    pub fn is_set(&self) -> bool {
        [self.state, self.tag, self.host, self.text].iter().any(|word| !word.is_empty())
    }
}

/// A list of builds.
#[derive(Template)]
#[template(path = "builds.html")]
pub struct Builds<'a> {
    /// What is around the page.
    pub site: Site<'a>,
    /// What it is called.
    pub heading: String,
    /// Where the list is.
    pub action: String,
    /// Which list it is.
    pub of: BuildsOf,
    /// The project that all of them are of.
    pub project: Option<&'a Project>,
    /// The builds.
    pub rows: Vec<Row<'a>>,
    /// What the list is narrowed to.
    pub filter: BuildFilter<'a>,
    /// The other parts of the list.
    pub pager: Pager,
}

impl Builds<'_> {
    const STATES: [(&'static str, &'static str); 4] =
        [("", "any"), ("success", "success"), ("failure", "failure"), ("running", "running")];
}

impl Page for Builds<'_> {
    fn title(&self) -> String {
        self.heading.clone()
    }
    fn summary(&self) -> String {
        let failed = self.rows.iter().filter(|row| row.standing() == Standing::Failure).count();
        format!("{} builds here, {failed} of them failed", self.rows.len())
    }
    fn standing(&self) -> Standing {
        let mut all = self.rows.iter().map(Row::standing);
        all.find(|state| *state != Standing::Running).unwrap_or(Standing::Nothing)
    }
}

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
    if standing(build) != Standing::Running {
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
    standing: Standing,
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
    /// Its steps, without their outputs.
    pub steps: &'a [Step],
    /// Those of them whose outputs were read, with their places.
    pub read: &'a [(usize, Step)],
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
    client: Vec<(String, (String, bool))>,
    components: Vec<(String, String)>,
    events: Option<String>,
    may_delete: bool,
}

/// How much of all outputs a build's page shows at once, in bytes: from the end of each.
const SHOWN: usize = 512 << 10;

/// How many steps a build's page shows.
const STEPS_SHOWN: usize = 300;

/// How much of the outputs of a step that failed is shown, whatever came before it.
const LEAST: usize = 4 << 10;

/// How much of one output is shown at once.
const TAIL: (usize, usize) = (1000, 128 << 10);

impl<'a> BuildPage<'a> {
    /// The page of a build.
    ///
    /// # Errors
    /// As [`rendered`].
    pub fn new(site: Site<'a>, parts: BuildParts<'a>) -> Result<Self, std::fmt::Error> {
        let BuildParts { project, build, steps, .. } = parts;
        let names: Vec<String> =
            parts.failed.iter().map(|test| full_test_name(&test.suite, &test.name)).collect();
        let first_failed = steps.iter().position(|step| !step.success);
        let mut room = Room::new(SHOWN);
        // What failed has room before what did not, and is shown of very many.
        let mut order: Vec<usize> = (0..steps.len()).collect();
        order.sort_by_key(|nth| steps.get(*nth).is_none_or(|step| step.success));
        order.truncate(STEPS_SHOWN);
        let read: HashMap<usize, &Step> =
            parts.read.iter().map(|(nth, step)| (*nth, step)).collect();
        let mut shown = Vec::with_capacity(order.len());
        for nth in order {
            let is_open = first_failed == Some(nth);
            let html = match (read.get(&nth), steps.get(nth)) {
                (Some(step), _) => {
                    step_html(&site, project, build, (nth, step), is_open, &mut room)?
                }
                (None, Some(step)) => unread_step_html(&site, project, build, (nth, step))?,
                (None, None) => continue,
            };
            shown.push((nth, html));
        }
        shown.sort_unstable_by_key(|(nth, _)| *nth);
        let shown: Vec<String> = shown.into_iter().map(|(_, html)| html).collect();
        let more_steps = steps.len() - shown.len();
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
                .zip(&names)
                .take(parts.shown)
                .map(|(test, name)| FailedTest {
                    standing: Standing::Failure,
                    name: name.clone(),
                    href: site.test(&project.slug, name),
                    message: message(test),
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

/// How much room is left for outputs.
#[derive(Debug)]
pub struct Room(usize);

impl Room {
    /// So many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(bytes)
    }

    fn take(&mut self, bytes: usize) {
        self.0 = self.0.saturating_sub(bytes);
    }
}

fn verdict(build: &Build, steps: &[Step]) -> String {
    match (standing(build), steps.iter().find(|step| !step.success)) {
        (Standing::Running, Some(step)) => format!("Runs, and failed in {}", step.name),
        (Standing::Running, None) => format!("Runs: {} steps so far", steps.len()),
        (Standing::Success, _) => format!("Succeeded in {} steps", steps.len()),
        (_, Some(step)) => format!("Failed in {}", step.name),
        (_, None) => "Failed".to_owned(),
    }
}

/// A message of a test that failed, cut to what a page can show of many.
fn message(test: &TestResult) -> String {
    const LONGEST: usize = 4000;
    let Some(failure) = &test.failure else { return String::new() };
    let parts = [&failure.kind, &failure.message, &failure.text];
    let mut parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    // Most texts begin with the message.
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

/// The members of an object that a client sent: each as text, and whether it is a link that a page may follow.
fn members(object: &JsonObject) -> Vec<(String, (String, bool))> {
    let text = |value: &RawValue| match serde_json::from_str::<String>(value.get()) {
        Ok(text) => {
            let is_link = text.starts_with("https://") || text.starts_with("http://");
            (text, is_link)
        }
        Err(_) => (value.get().to_owned(), false),
    };
    let members = object.members().unwrap_or_default();
    members.into_iter().map(|(name, value)| (name, text(&value))).collect()
}

/// An output of a step, as far as it is shown.
struct Stream {
    name: &'static str,
    /// How long the whole of it is.
    whole: String,
    /// The same, and how much of it is shown.
    about: String,
    raw: String,
    more: Option<String>,
    id: String,
    lines: String,
}

/// A step of a build's page.
#[derive(Template)]
#[template(path = "step.html")]
struct StepPart<'a> {
    step: &'a Step,
    nth: usize,
    standing: Standing,
    is_open: bool,
    took: String,
    bar: (u64, u64),
    started: When,
    extras: Vec<(String, String)>,
    streams: Vec<Stream>,
}

/// The two outputs of a step, with their names in URIs and for people.
const STREAMS: [(&str, &str, &str); 2] =
    [("output", "Output", "L"), ("errout", "Error output", "E")];

/// A step of a build as HTML, as far as there is room.
///
/// # Errors
/// As [`rendered`].
pub fn step_html(
    site: &Site<'_>,
    project: &Project,
    build: &Build,
    (nth, step): (usize, &Step),
    is_open: bool,
    room: &mut Room,
) -> Result<String, std::fmt::Error> {
    let mut streams = Vec::new();
    for ((path, name, letter), text) in STREAMS.into_iter().zip([&step.output, &step.errout]) {
        if text.is_empty() {
            continue;
        }
        let left = if step.success { room.0 } else { room.0.max(LEAST) };
        let part = Part::tail(text, if left == 0 { 0 } else { TAIL.0 }, TAIL.1.min(left));
        room.take(part.shown());
        let raw = site.output(&project.slug, build, nth, path);
        let more = (part.first > 1).then(|| format!("{raw}?format=html&to={}", part.first - 1));
        let whole = format!("{} lines, {}", part.of, bytes(text.len()));
        let about = if part.first > 1 {
            let shown = (part.of + 1).saturating_sub(part.first);
            format!("{whole}; the last {shown} are shown")
        } else {
            whole.clone()
        };
        streams.push(Stream {
            name,
            whole,
            about,
            raw: format!("{raw}?format=raw"),
            more,
            id: format!("step-{nth}-{path}"),
            lines: lines(part, &format!("step-{nth}-{letter}")),
        });
    }
    rendered(&StepPart::new(build, (nth, step), is_open, streams))
}

/// A step whose outputs were not read: only where they are.
fn unread_step_html(
    site: &Site<'_>,
    project: &Project,
    build: &Build,
    (nth, step): (usize, &Step),
) -> Result<String, std::fmt::Error> {
    let streams = STREAMS.map(|(path, name, _)| {
        let raw = site.output(&project.slug, build, nth, path);
        let more = Some(format!("{raw}?format=html&to={}", u32::MAX));
        let about = "not shown here".to_owned();
        let id = format!("step-{nth}-{path}");
        Stream {
            name,
            whole: "shown".to_owned(),
            about,
            raw: format!("{raw}?format=raw"),
            more,
            id,
            lines: String::new(),
        }
    });
    rendered(&StepPart::new(build, (nth, step), false, streams.into()))
}

impl<'a> StepPart<'a> {
    fn new(
        build: &Build,
        (nth, step): (usize, &'a Step),
        is_open: bool,
        streams: Vec<Stream>,
    ) -> Self {
        let micros = step.finished.micros().saturating_sub(step.started.micros());
        Self {
            step,
            nth,
            standing: of_success(step.success),
            is_open,
            took: duration(u64::try_from(micros).unwrap_or(0)),
            bar: bar(build, step),
            started: When(step.started),
            extras: members(&step.extras)
                .into_iter()
                .map(|(name, (text, _))| (name, text))
                .collect(),
            streams,
        }
    }
}

/// Where in its build's time a step was, in thousandths: from where on, and how long.
fn bar(build: &Build, step: &Step) -> (u64, u64) {
    let from = build.started.micros();
    let until = micros_of(build)
        .map_or_else(|| Timestamp::now().micros(), |micros| from + micros.cast_signed());
    let all = until.max(step.finished.micros()).saturating_sub(from).max(1);
    let thousandths = |micros: i64| {
        u64::try_from(i128::from(micros.max(0)) * 1000 / i128::from(all)).unwrap_or(0).min(1000)
    };
    let start = thousandths(step.started.micros().saturating_sub(from)).min(995);
    let length = thousandths(step.finished.micros().saturating_sub(step.started.micros()));
    (start, length.clamp(5, 1000 - start))
}

impl Page for BuildPage<'_> {
    fn title(&self) -> String {
        format!("{} {}", self.project.name, self.build.key())
    }
    fn summary(&self) -> String {
        format!("{}. {}", self.verdict, self.tests)
    }
    fn standing(&self) -> Standing {
        standing(self.build)
    }
}

/// A page of an output of a step.
#[derive(Template)]
#[template(path = "output.html")]
pub struct Output<'a> {
    site: Site<'a>,
    project: &'a Project,
    build: &'a Build,
    nth: usize,
    step: &'a Step,
    name: &'static str,
    about: String,
    raw: String,
    previous: Option<String>,
    next: Option<String>,
    lines: String,
}

/// How much of an output a page of it has: lines, bytes.
const PAGE: (usize, usize) = (5000, 1 << 20);

/// Which lines of an output are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// From that one on.
    From(usize),
    /// Up to that one.
    To(usize),
}

impl<'a> Output<'a> {
    /// A page of the standard output of a step, or of its error output.
    pub fn new(
        site: Site<'a>,
        project: &'a Project,
        build: &'a Build,
        (nth, step): (usize, &'a Step),
        is_errout: bool,
        wanted: Lines,
    ) -> Self {
        let [out, err] = STREAMS;
        let ((path, name, letter), text) =
            if is_errout { (err, &step.errout) } else { (out, &step.output) };
        let part = match wanted {
            Lines::From(first) => Part::from_line(text, first.max(1), PAGE.0, PAGE.1),
            Lines::To(last) => {
                let upto = Part::from_line(text, 1, last.max(1), usize::MAX);
                Part { of: Part::tail(text, 0, 0).of, ..Part::tail(upto.text, PAGE.0, PAGE.1) }
            }
        };
        let raw = site.output(&project.slug, build, nth, path);
        Self {
            about: match part.last {
                0 => format!("no such lines; there are {}", part.of),
                last => format!("lines {} to {last} of {}", part.first, part.of),
            },
            previous: (part.first > 1).then(|| format!("{raw}?format=html&to={}", part.first - 1)),
            next: (part.last > 0 && part.last < part.of)
                .then(|| format!("{raw}?format=html&from={}", part.last + 1)),
            raw: format!("{raw}?format=raw"),
            lines: lines(part, &format!("step-{nth}-{letter}")),
            site,
            project,
            build,
            nth,
            step,
            name,
        }
    }
}

impl Page for Output<'_> {
    fn title(&self) -> String {
        format!("{} of {}", self.name, self.step.name)
    }
    fn standing(&self) -> Standing {
        of_success(self.step.success)
    }
}

/// What came of a test, in a word and with its class.
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
}

impl TestRow {
    /// A test case of a project, with that place among those of its build.
    pub fn new(site: &Site<'_>, project: &Project, test: &TestResult, position: u32) -> Self {
        let name = full_test_name(&test.suite, &test.name);
        let message = message(test);
        let first = message.lines().next().unwrap_or_default();
        let mut short: String = first.chars().take(120).collect();
        if short.trim().is_empty() {
            "Output".clone_into(&mut short);
        }
        let mut output = String::new();
        for (text, letter) in [(&test.details.stdout, "L"), (&test.details.stderr, "E")] {
            output += &lines(Part::tail(text, 200, 16 << 10), &format!("test-{position}-{letter}"));
        }
        Self {
            standing: Came { class: word_of(test.status).0, word: test.status.as_str() },
            href: site.test(&project.slug, &name),
            name,
            took: test.micros.map(duration).unwrap_or_default(),
            short,
            message,
            output,
        }
    }
}

/// The test cases of a build.
#[derive(Template)]
#[template(path = "tests.html")]
pub struct Tests<'a> {
    /// What is around the page.
    pub site: Site<'a>,
    /// The project.
    pub project: &'a Project,
    /// The build.
    pub build: &'a Build,
    /// The cases.
    pub tests: Vec<TestRow>,
    /// Which statuses are shown.
    pub status: &'a str,
    /// What is in the names of those that are shown.
    pub text: &'a str,
    /// The other parts of the list.
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
        standing(self.build)
    }
}

/// A run of a test.
pub struct Run<'a> {
    /// The build.
    pub build: &'a Build,
    /// Where that is.
    pub href: String,
    /// What came of it.
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
    /// What is around the page.
    pub site: Site<'a>,
    /// The project.
    pub project: &'a Project,
    /// The test's whole name.
    pub name: &'a str,
    /// Its runs, the newest first.
    pub runs: Vec<Run<'a>>,
    /// The other parts of the list.
    pub pager: Pager,
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

/// The tags of a project.
#[derive(Template)]
#[template(path = "tags.html")]
pub struct Tags<'a> {
    /// What is around the page.
    pub site: Site<'a>,
    /// The project.
    pub project: &'a Project,
    /// Its tags.
    pub tags: &'a [Tag],
}

impl Page for Tags<'_> {
    fn title(&self) -> String {
        format!("Tags of {}", self.project.name)
    }
}

/// All users.
#[derive(Template)]
#[template(path = "users.html")]
pub struct Users<'a> {
    /// What is around the page.
    pub site: Site<'a>,
    /// The users.
    pub users: &'a [Account],
    /// The other parts of the list.
    pub pager: Pager,
}

impl Page for Users<'_> {
    fn title(&self) -> String {
        "Users".to_owned()
    }
}

/// A user.
#[derive(Template)]
#[template(path = "user.html")]
pub struct User<'a> {
    /// What is around the page.
    pub site: Site<'a>,
    /// The user's name.
    pub username: &'a Username,
    /// The user's newest builds.
    pub rows: Vec<Row<'a>>,
    /// Whether the viewer may change the password.
    pub may_change: bool,
}

impl Page for User<'_> {
    fn title(&self) -> String {
        self.username.to_string()
    }
}

/// The form to sign in with.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub struct SignIn<'a> {
    /// What is around the page.
    pub site: Site<'a>,
    /// Where to go then.
    pub next: &'a str,
    /// Who tried.
    pub username: &'a str,
    /// Why it failed.
    pub problem: &'a str,
}

impl Page for SignIn<'_> {
    fn title(&self) -> String {
        "Sign in".to_owned()
    }
}

/// A component in a list, with its type's name.
pub struct ComponentRow<'a> {
    /// The component.
    pub component: &'a Component,
    /// Its type's name.
    pub component_type: &'a str,
}

impl ComponentRow<'_> {
    fn title(&self) -> &str {
        self.component.details.title.as_ref().map_or("", |title| title.as_str())
    }
}

/// The components under test.
#[derive(Template)]
#[template(path = "components.html")]
pub struct Components<'a> {
    /// What is around the page.
    pub site: Site<'a>,
    /// The components.
    pub rows: Vec<ComponentRow<'a>>,
    /// The other parts of the list.
    pub pager: Pager,
}

impl Page for Components<'_> {
    fn title(&self) -> String {
        "Components".to_owned()
    }
}

/// The builds that tested a component.
#[derive(Template)]
#[template(path = "component_builds.html")]
pub struct ComponentBuilds<'a> {
    /// What is around the page.
    pub site: Site<'a>,
    /// The component.
    pub component: &'a Component,
    /// The builds.
    pub rows: Vec<Row<'a>>,
    /// The other parts of the list.
    pub pager: Pager,
}

impl Page for ComponentBuilds<'_> {
    fn title(&self) -> String {
        format!("Builds with {}", self.component.name)
    }
}

/// Why something was not done.
#[derive(Template)]
#[template(path = "problem.html")]
pub struct ProblemPage<'a> {
    /// What is around the page.
    pub site: Site<'a>,
    /// The HTTP status.
    pub status: u16,
    /// What the status is called.
    pub reason: &'a str,
    /// What is wrong.
    pub message: &'a str,
}

impl Page for ProblemPage<'_> {
    fn title(&self) -> String {
        format!("{} {}", self.status, self.reason)
    }
    fn summary(&self) -> String {
        self.message.to_owned()
    }
}

/// A document that has no page of its own.
#[derive(Template)]
#[template(path = "document.html")]
pub struct DocumentPage<'a> {
    site: Site<'a>,
    title: &'a str,
    body: String,
}

impl<'a> DocumentPage<'a> {
    /// Shows a JSON document: its text, laid out, every URL in it a link.
    pub fn new(site: Site<'a>, title: &'a str, json: &str) -> Self {
        Self { site, title, body: crate::json::to_html(json) }
    }
}

impl Page for DocumentPage<'_> {
    fn title(&self) -> String {
        self.title.to_owned()
    }
}
