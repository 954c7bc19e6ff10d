//! The build of a launch's events.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use devmason_domain::{
    Details, Receipt, TestDetails, TestFailure, TestResult, TestStatus, Timestamp, limits,
};

use super::{Attribute, End, Entry, Event, Launch, PROTOCOL, Start};
use crate::part::Draft;
use crate::{Part, WireError, tag};

/// The most files that the receipt names.
const FILES: u64 = 100;

/// The build of a launch.
#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    /// The step, its cases, the receipt, and what is said of the build.
    pub part: Part,
    /// Whether the launch and all its items have ended.
    pub is_complete: bool,
    /// When it ended.
    pub finished: Timestamp,
    /// Whether all went well.
    pub success: bool,
}

#[derive(Default)]
struct Item {
    start: Start,
    end: Option<End>,
    logs: Vec<Entry>,
    children: Vec<usize>,
    parent: Option<usize>,
}

impl Item {
    fn is_hook(&self) -> bool {
        self.start.kind.starts_with("BEFORE_") || self.start.kind.starts_with("AFTER_")
    }

    /// What its end says; `None` while it runs.
    fn said(&self) -> Option<Said> {
        Some(match self.end.as_ref()?.status.as_deref() {
            None | Some("") => Said::Nothing,
            Some("passed" | "info" | "warn") => Said::Status(TestStatus::Passed),
            Some("failed") => Said::Status(TestStatus::Failed),
            Some("skipped") => Said::Status(TestStatus::Skipped),
            Some("stopped" | "interrupted" | "cancelled") => Said::Status(TestStatus::Error),
            Some(_) => Said::Unknown,
        })
    }

    fn is_retry(&self) -> bool {
        self.start.is_retry || self.end.as_ref().is_some_and(|end| end.is_retry)
    }

    fn retry_of(&self) -> Option<&str> {
        let later = self.end.as_ref().and_then(|end| end.retry_of.as_deref());
        self.start.retry_of.as_deref().or(later)
    }
}

/// What the end of an item says of its status.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Status(TestStatus),
    Unknown,
}

/// All items of a launch, in the order of their starts.
struct Tree {
    items: Vec<Item>,
    by_id: HashMap<String, usize>,
    launch: Launch,
    launch_logs: Vec<Entry>,
    launch_end: Option<Launch>,
    /// The number of ends of items that never started, and of starts of items that had started.
    lost: (usize, usize),
    /// The suite of what is within each item that has children.
    suites: HashMap<usize, Arc<str>>,
}

impl Tree {
    fn of(events: Vec<Event>) -> Self {
        let mut tree = Self {
            items: Vec::new(),
            by_id: HashMap::new(),
            launch: Launch::default(),
            launch_logs: Vec::new(),
            launch_end: None,
            lost: (0, 0),
            suites: HashMap::new(),
        };
        // Nothing is in order but the starts: what is said of an item may come before.
        let (mut ends, mut logs) = (Vec::new(), Vec::new());
        for event in events {
            match event {
                Event::Launch(launch) => merge(&mut tree.launch, launch),
                Event::LaunchEnd(launch) => {
                    tree.launch_end.get_or_insert_default();
                    tree.launch_end.iter_mut().for_each(|end| merge(end, launch.clone()));
                }
                Event::Start(start) => {
                    if tree.by_id.contains_key(&start.item) {
                        tree.lost.1 += 1;
                    } else {
                        tree.by_id.insert(start.item.clone(), tree.items.len());
                        tree.items.push(Item { start, ..Item::default() });
                    }
                }
                Event::End(end) => ends.push(end),
                Event::Logs(entries) => logs.extend(entries),
            }
        }
        for end in ends {
            let Some(item) = tree.by_id.get(&end.item).and_then(|at| tree.items.get_mut(*at))
            else {
                tree.lost.0 += usize::from(end.is_over);
                continue;
            };
            match &mut item.end {
                _ if !end.is_over => {
                    item.start.description = end.description.or(item.start.description.take());
                    item.start.attributes.extend(end.attributes);
                    if let (Some(known), Some(status)) = (&mut item.end, end.status) {
                        known.status = Some(status);
                    }
                }
                known => *known = Some(end),
            }
        }
        for entry in logs {
            let item = entry.item.as_ref().and_then(|item| tree.by_id.get(item));
            match item.and_then(|at| tree.items.get_mut(*at)) {
                Some(item) => item.logs.push(entry),
                None => tree.launch_logs.push(entry),
            }
        }
        for at in 0..tree.items.len() {
            let parent = tree.items[at].start.parent.as_ref();
            let parent = parent.and_then(|parent| tree.by_id.get(parent)).copied();
            // Parents may start after their children, but an item is not within itself.
            if let Some(parent) = parent
                && parent != at
                && !tree.around(parent).any(|around| around == at)
            {
                tree.items[at].parent = Some(parent);
                tree.items[parent].children.push(at);
            }
        }
        tree.name_suites();
        tree
    }

    /// Names what is within each item that has children, the outermost first.
    fn name_suites(&mut self) {
        let outermost = (0..self.items.len()).filter(|at| self.items[*at].parent.is_none());
        let mut left: Vec<(usize, Arc<str>)> = outermost.map(|at| (at, "".into())).collect();
        while let Some((at, within)) = left.pop() {
            let item = &self.items[at];
            if item.children.is_empty() {
                continue;
            }
            let mut suite = within.to_string();
            if !suite.is_empty() && suite.len() < limits::NAME {
                suite += " / ";
            }
            if suite.len() < limits::NAME {
                suite += &item.start.name;
            }
            limits::cut(&mut suite, limits::NAME);
            let suite: Arc<str> = if *suite == *within { within } else { suite.into() };
            left.extend(item.children.iter().map(|child| (*child, suite.clone())));
            self.suites.insert(at, suite);
        }
    }

    /// The status of an item that has ended. Without one of its own, it is that of its steps.
    fn status(&self, at: usize) -> Option<TestStatus> {
        Some(match self.items[at].said()? {
            Said::Status(status) => status,
            Said::Unknown => TestStatus::Error,
            Said::Nothing => {
                let steps =
                    self.items[at].children.iter().filter_map(|child| self.said_within(*child));
                steps.max_by_key(|status| severity(*status)).unwrap_or(TestStatus::Passed)
            }
        })
    }

    /// What a step within a test says; one level is enough, as agents give their steps a status.
    fn said_within(&self, at: usize) -> Option<TestStatus> {
        match self.items[at].said()? {
            Said::Status(status) if status.is_bad() => Some(status),
            Said::Unknown => Some(TestStatus::Error),
            Said::Status(_) | Said::Nothing => None,
        }
    }

    fn has_tests_within(&self, at: usize) -> bool {
        let counts = |child: &Item| !child.start.is_nested && !child.is_hook();
        self.items[at].children.iter().any(|child| counts(&self.items[*child]))
    }

    /// Whether an item is a test, and not something around tests or within one.
    fn is_test(&self, at: usize) -> bool {
        let item = &self.items[at];
        if item.start.is_nested || self.is_within_nested(at) {
            return false;
        }
        if item.is_hook() {
            // Nothing else would say why the tests behind it did not run.
            return self.status(at).is_some_and(TestStatus::is_bad);
        }
        !matches!(item.start.kind.as_str(), "SUITE" | "STORY") && !self.has_tests_within(at)
    }

    fn is_within_nested(&self, at: usize) -> bool {
        self.around(at).any(|around| self.items[around].start.is_nested)
    }

    /// The items around one, the innermost first.
    fn around(&self, at: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.items[at].parent, |at| self.items[*at].parent)
    }

    fn suite(&self, at: usize) -> Arc<str> {
        let around = self.items[at].parent.and_then(|parent| self.suites.get(&parent));
        around.cloned().unwrap_or_default()
    }

    /// All logs of an item and of the steps within it, in order of time.
    fn logs(&self, at: usize) -> Vec<Line<'_>> {
        let mut all: Vec<Line<'_>> = self.items[at].logs.iter().map(Line::of).collect();
        let mut left: Vec<usize> = self.items[at].children.clone();
        while let Some(child) = left.pop() {
            let item = &self.items[child];
            let status = item.end.as_ref().and_then(|end| end.status.as_deref());
            let head = format!("{} [{}]", item.start.name, status.unwrap_or("running"));
            all.push(Line { at: item.start.at, level: "", message: head.into(), file: None });
            all.extend(item.logs.iter().map(Line::of));
            left.extend(&item.children);
        }
        all.sort_by_key(|line| line.at);
        all
    }
}

/// A line of a test's output.
struct Line<'t> {
    at: Option<i64>,
    level: &'t str,
    message: Cow<'t, str>,
    file: Option<&'t str>,
}

impl<'t> Line<'t> {
    fn of(entry: &'t Entry) -> Self {
        let (message, file) = (entry.message.as_str().into(), entry.file.as_deref());
        Self { at: entry.at, level: &entry.level, message, file }
    }

    fn write(&self, into: &mut String) {
        into.push_str(self.message.trim_end());
        if let Some(file) = self.file {
            into.push_str(" [");
            into.push_str(file);
            into.push(']');
        }
        into.push('\n');
    }
}

/// How bad a status is.
fn severity(status: TestStatus) -> u8 {
    match status {
        TestStatus::Passed => 0,
        TestStatus::Skipped => 1,
        TestStatus::Flaky => 2,
        TestStatus::Failed => 3,
        TestStatus::Error => 4,
    }
}

/// What is said later adds to what was said before.
fn merge(known: &mut Launch, new: Launch) {
    known.name = new.name.or(known.name.take());
    known.at = new.at.or(known.at);
    known.status = new.status.or(known.status.take());
    known.description = new.description.or(known.description.take());
    known.mode = new.mode.or(known.mode.take());
    known.rerun_of = new.rerun_of.or(known.rerun_of.take());
    for attribute in new.attributes {
        if !known.attributes.contains(&attribute) {
            known.attributes.push(attribute);
        }
    }
}

/// Makes the build of a launch. If `is_final`, nothing follows: what still runs was interrupted.
///
/// # Errors
/// The name of the launch is not valid for a step.
pub fn derive(
    events: Vec<Event>,
    is_final: bool,
    received: Timestamp,
) -> Result<Derived, WireError> {
    let tree = Tree::of(events);
    let mut part = Part::new(None, PROTOCOL, &[]);
    part.receipt = Receipt {
        format: part.receipt.format,
        recognized: part.receipt.recognized,
        ..Receipt::default()
    };
    let name = tree.launch.name.clone().unwrap_or_else(|| "launch".to_owned());
    let mut attributes = tree.launch.attributes.clone();
    attributes.extend(tree.launch_end.iter().flat_map(|end| end.attributes.clone()));
    say(&mut part, &tree, &name, &attributes);

    let time = |micros: Option<i64>| micros.and_then(|micros| Timestamp::from_parts(micros, 0));
    let started = time(tree.launch.at).unwrap_or(received);
    let ends = tree.items.iter().filter_map(|item| item.end.as_ref()?.at);
    let ends = ends.chain(tree.launch_end.as_ref().and_then(|end| end.at));
    let finished = time(ends.max()).unwrap_or(started).max(started);
    let runs = tree.items.iter().filter(|item| item.end.is_none()).count();
    let is_complete = tree.launch_end.is_some() && runs == 0;
    if is_final && runs > 0 {
        let text = format!("{runs} items never ended: the tests among them count as broken");
        part.receipt.note("verdict", text);
    }
    let tests = cases(&tree, is_final);
    note_odd(&mut part.receipt, &tree);
    files(&mut part.receipt, &tree);
    let status = tree.launch_end.as_ref().and_then(|end| end.status.as_deref());
    let is_good = |status: &str| matches!(status, "passed" | "skipped" | "info" | "warn" | "");
    let ended_badly = status.is_some_and(|status| !is_good(status));
    // A suite may fail without any test that did: what prepares its tests may be broken.
    let has_bad_test = tests.iter().any(|test| test.status.is_bad());
    let is_around = |at: &usize| !tree.items[*at].start.is_nested && !tree.is_test(*at);
    let mut around_tests = (0..tree.items.len()).filter(is_around);
    let broken = around_tests.find(|at| !has_bad_test && tree.said_within(*at).is_some());
    if let Some(at) = broken {
        let name = &tree.items[at].start.name;
        part.receipt.note("verdict", format!("'{name}' failed, and none of its tests did"));
    }
    let is_broken = is_final && !is_complete;
    let success = !ended_badly && !is_broken && broken.is_none() && !has_bad_test;
    let draft = Draft {
        name: if name.trim().is_empty() { "launch" } else { &name },
        success,
        started,
        finished,
        output: around(&tree),
        errout: String::new(),
        extras: Vec::new(),
    };
    part.with_step(draft.step(&tests)?, tests);
    Ok(Derived { part, is_complete, finished, success })
}

/// Notes statuses that are not known, and what is said of items that are not there.
fn note_odd(receipt: &mut Receipt, tree: &Tree) {
    let unknown = tree.items.iter().filter(|item| item.said() == Some(Said::Unknown)).count();
    if unknown > 0 {
        receipt.note("guessed", format!("{unknown} unknown statuses were counted as errors"));
    }
    let (ends, starts) = tree.lost;
    if ends > 0 {
        receipt.note("dropped", format!("{ends} ends of items that never started"));
    }
    if starts > 0 {
        receipt.note("doubled", format!("{starts} items started again under the same id"));
    }
}

/// What is said of the launch itself.
fn say(part: &mut Part, tree: &Tree, name: &str, attributes: &[Attribute]) {
    let mut client: BTreeMap<String, String> = BTreeMap::new();
    client.insert("launch".to_owned(), name.to_owned());
    client.insert("job".to_owned(), name.to_owned());
    let end = tree.launch_end.as_ref();
    let description = end.and_then(|end| end.description.clone());
    let said = [
        ("description", description.or(tree.launch.description.clone())),
        ("mode", tree.launch.mode.clone()),
        ("rerun_of", tree.launch.rerun_of.clone()),
    ];
    for (name, value) in said {
        client.extend(value.filter(|text| !text.is_empty()).map(|text| (name.to_owned(), text)));
    }
    for attribute in attributes {
        match &attribute.key {
            Some(key) if attribute.system => {
                let name = if key == "machine" { "arch" } else { key.as_str() };
                client.insert(name.to_owned(), attribute.value.clone());
            }
            key => {
                let text = match key {
                    Some(key) => format!("{key}:{}", attribute.value),
                    None => attribute.value.clone(),
                };
                let tag = tag(&text, &mut part.receipt);
                part.tags.extend(tag);
            }
        }
    }
    part.tags.sort_unstable();
    part.tags.dedup();
    if part.tags.len() > limits::TAGS {
        let text = format!("{} attributes beyond {} tags", part.tags.len(), limits::TAGS);
        part.dropped(text);
        part.tags.truncate(limits::TAGS);
    }
    if let Some(of) = &tree.launch.rerun_of {
        part.receipt.note("odd", format!("this runs launch {of} again, and is a build of its own"));
    }
    part.client = client.into_iter().collect();
}

/// The attempts of one test: the places of its items, in order.
type Attempts = Vec<usize>;

fn cases(tree: &Tree, is_final: bool) -> Vec<TestResult> {
    let mut groups: Vec<Attempts> = Vec::new();
    let mut of_item: HashMap<usize, usize> = HashMap::new();
    let mut of_name: HashMap<(Option<usize>, &str), usize> = HashMap::new();
    let mut of_identity: HashMap<(Option<usize>, &str), usize> = HashMap::new();
    for (at, item) in tree.items.iter().enumerate() {
        if !tree.is_test(at) || (item.end.is_none() && !is_final) {
            continue;
        }
        let named = (item.parent, item.start.name.as_str());
        let identity = item.start.identity.as_deref().map(|identity| (item.parent, identity));
        let before = item
            .retry_of()
            .and_then(|of| of_item.get(tree.by_id.get(of)?))
            .or_else(|| of_name.get(&named))
            .or_else(|| identity.and_then(|identity| of_identity.get(&identity)))
            .copied();
        let was_retried =
            |group: usize| groups[group].last().is_some_and(|last| tree.items[*last].is_retry());
        let group = match before {
            Some(group) if item.is_retry() || item.retry_of().is_some() || was_retried(group) => {
                groups[group].push(at);
                group
            }
            _ => {
                groups.push(vec![at]);
                groups.len() - 1
            }
        };
        of_item.insert(at, group);
        of_name.insert(named, group);
        of_identity.extend(identity.map(|identity| (identity, group)));
    }
    groups.iter().map(|attempts| case(tree, attempts)).collect()
}

fn case(tree: &Tree, attempts: &[usize]) -> TestResult {
    let each: Vec<_> = attempts.iter().map(|at| (*at, outcome(tree, *at))).collect();
    let first_bad = each.iter().find(|(_, (status, _))| status.is_bad());
    let (last, (status, _)) = each.last().cloned().unwrap_or((0, (TestStatus::Error, None)));
    let is_flaky = status == TestStatus::Passed && first_bad.is_some();
    let status = if is_flaky { TestStatus::Flaky } else { status };
    let failure = match status {
        TestStatus::Passed => None,
        TestStatus::Skipped => each.last().and_then(|(_, (_, failure))| failure.clone()),
        _ => first_bad.and_then(|(_, (_, failure))| failure.clone()),
    };
    let item = &tree.items[last];
    let mut details = TestDetails::NONE;
    details.retries = u32::try_from(attempts.len().saturating_sub(1)).unwrap_or(u32::MAX);
    for (at, _) in &each {
        tree.logs(*at).iter().for_each(|line| line.write(&mut details.stdout));
    }
    details.properties = properties(item);
    if let Some((file, number)) = item.start.code_ref.as_deref().and_then(|at| at.rsplit_once(':'))
        && let Ok(number) = number.parse()
    {
        details.file = Some(file.to_owned());
        details.line = Some(number);
    }
    let ended = item.end.as_ref().and_then(|end| end.at);
    let micros = ended.zip(item.start.at).map(|(end, start)| end.saturating_sub(start));
    let details: Details = details.into();
    TestResult {
        suite: tree.suite(last),
        name: item.start.name.clone(),
        status,
        micros: micros.and_then(|micros| u64::try_from(micros).ok()),
        failure,
        details,
    }
}

/// The status of one attempt, and why it failed or was skipped.
fn outcome(tree: &Tree, at: usize) -> (TestStatus, Option<TestFailure>) {
    let item = &tree.items[at];
    let Some(status) = tree.status(at) else {
        let message = Some("interrupted before it ended".to_owned());
        return (TestStatus::Error, Some(TestFailure { message, ..TestFailure::default() }));
    };
    // A hook that failed is no test that failed.
    let status =
        if item.is_hook() && status == TestStatus::Failed { TestStatus::Error } else { status };
    if status == TestStatus::Passed {
        return (status, None);
    }
    let logs = tree.logs(at);
    let why: Vec<&str> = logs
        .iter()
        .filter(|line| status.is_bad() && matches!(line.level, "ERROR" | "FATAL"))
        .map(|line| line.message.trim_end())
        .filter(|message| !message.is_empty())
        .collect();
    let end = item.end.as_ref();
    let description =
        end.and_then(|end| end.description.clone()).or(item.start.description.clone());
    let text = if why.is_empty() { description.unwrap_or_default() } else { why.join("\n") };
    if text.trim().is_empty() {
        return (status, status.is_bad().then(TestFailure::default));
    }
    // pytest marks the lines that say why.
    let marked = text.lines().find_map(|line| line.strip_prefix("E  ")).map(str::trim);
    let first = || text.trim().lines().next().unwrap_or_default();
    let mut message = marked.filter(|line| !line.is_empty()).unwrap_or_else(first).to_owned();
    limits::cut(&mut message, 8 << 10);
    let kind = None;
    (status, Some(TestFailure { kind, message: Some(message), text: Some(text) }))
}

fn properties(item: &Item) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: Option<&String>| {
        all.extend(
            value.filter(|value| !value.is_empty()).map(|value| (name.to_owned(), value.clone())),
        );
    };
    add("codeRef", item.start.code_ref.as_ref());
    add("testCaseId", item.start.identity.as_ref());
    add("issue", item.end.as_ref().and_then(|end| end.issue.as_ref()));
    let later = item.end.iter().flat_map(|end| &end.attributes);
    for attribute in item.start.attributes.iter().chain(later) {
        add(attribute.key.as_deref().unwrap_or("attribute"), Some(&attribute.value));
    }
    for (key, value) in &item.start.parameters {
        add(key, Some(value));
    }
    all.truncate(limits::PROPERTIES);
    all
}

fn line(entry: &Entry) -> String {
    let mut text = String::new();
    Line::of(entry).write(&mut text);
    text
}

/// The logs of the launch and of suites.
fn around(tree: &Tree) -> String {
    let mut all: Vec<(Option<i64>, String)> =
        tree.launch_logs.iter().map(|entry| (entry.at, line(entry))).collect();
    for (at, item) in tree.items.iter().enumerate() {
        let is_around = !tree.is_test(at)
            && !item.start.is_nested
            && !tree.around(at).any(|around| tree.is_test(around));
        if is_around {
            let of = |entry: &Entry| (entry.at, format!("{}: {}", item.start.name, line(entry)));
            all.extend(item.logs.iter().map(of));
        }
    }
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, line)| line).collect()
}

/// Names the files, which have no place here.
fn files(receipt: &mut Receipt, tree: &Tree) {
    let logs = tree.items.iter().flat_map(|item| &item.logs).chain(&tree.launch_logs);
    for (nth, file) in (0..).zip(logs.filter_map(|entry| entry.file.as_ref())) {
        if nth < FILES {
            receipt.note("dropped", format!("{file} has no place here"));
        } else {
            receipt.notes_total += 1;
        }
    }
}
