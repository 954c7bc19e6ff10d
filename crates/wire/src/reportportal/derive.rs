//! The build of a launch's events.

use std::collections::{BTreeMap, HashMap};

use devmason_domain::{
    Details, Receipt, TestDetails, TestFailure, TestResult, TestStatus, Timestamp, limits,
};

use super::tree::{Item, Line, Said, Tree};
use super::{Attribute, Entry, Event, PROTOCOL};
use crate::part::Draft;
use crate::{Derived, Part, WireError, tag};

/// The most files that the receipt names.
const FILES: u64 = 100;

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
    let mut part = Part::unread(PROTOCOL);
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
    let (more, forgotten) = (Vec::new(), Vec::new());
    Ok(Derived { part, more, forgotten, is_complete, finished, success })
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
