//! The items of a launch as a tree, whatever order they came in.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use devmason_domain::{TestStatus, limits};

use super::{End, Entry, Event, Launch, Start};

/// An item, and what was said of it.
#[derive(Default)]
pub(super) struct Item {
    pub(super) start: Start,
    pub(super) end: Option<End>,
    pub(super) logs: Vec<Entry>,
    pub(super) children: Vec<usize>,
    pub(super) parent: Option<usize>,
}

impl Item {
    pub(super) fn is_hook(&self) -> bool {
        self.start.kind.starts_with("BEFORE_") || self.start.kind.starts_with("AFTER_")
    }

    /// What its end says; `None` while it runs.
    pub(super) fn said(&self) -> Option<Said> {
        Some(match self.end.as_ref()?.status.as_deref() {
            None | Some("") => Said::Nothing,
            Some("passed" | "info" | "warn") => Said::Status(TestStatus::Passed),
            Some("failed") => Said::Status(TestStatus::Failed),
            Some("skipped") => Said::Status(TestStatus::Skipped),
            Some("stopped" | "interrupted" | "cancelled") => Said::Status(TestStatus::Error),
            Some(_) => Said::Unknown,
        })
    }

    pub(super) fn is_retry(&self) -> bool {
        self.start.is_retry || self.end.as_ref().is_some_and(|end| end.is_retry)
    }

    pub(super) fn retry_of(&self) -> Option<&str> {
        let later = self.end.as_ref().and_then(|end| end.retry_of.as_deref());
        self.start.retry_of.as_deref().or(later)
    }
}

/// What the end of an item says of its status.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Nothing,
    Status(TestStatus),
    Unknown,
}

/// All items of a launch, in the order of their starts.
pub(super) struct Tree {
    pub(super) items: Vec<Item>,
    pub(super) by_id: HashMap<String, usize>,
    pub(super) launch: Launch,
    pub(super) launch_logs: Vec<Entry>,
    pub(super) launch_end: Option<Launch>,
    /// The number of ends of items that never started, and of starts of items that had started.
    pub(super) lost: (usize, usize),
    /// The suite of what is within each item that has children.
    pub(super) suites: HashMap<usize, Arc<str>>,
}

impl Tree {
    pub(super) fn of(events: Vec<Event>) -> Self {
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
    pub(super) fn name_suites(&mut self) {
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
    pub(super) fn status(&self, at: usize) -> Option<TestStatus> {
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
    pub(super) fn said_within(&self, at: usize) -> Option<TestStatus> {
        match self.items[at].said()? {
            Said::Status(status) if status.is_bad() => Some(status),
            Said::Unknown => Some(TestStatus::Error),
            Said::Status(_) | Said::Nothing => None,
        }
    }

    pub(super) fn has_tests_within(&self, at: usize) -> bool {
        let counts = |child: &Item| !child.start.is_nested && !child.is_hook();
        self.items[at].children.iter().any(|child| counts(&self.items[*child]))
    }

    /// Whether an item is a test, and not something around tests or within one.
    pub(super) fn is_test(&self, at: usize) -> bool {
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

    pub(super) fn is_within_nested(&self, at: usize) -> bool {
        self.around(at).any(|around| self.items[around].start.is_nested)
    }

    /// The items around one, the innermost first.
    pub(super) fn around(&self, at: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.items[at].parent, |at| self.items[*at].parent)
    }

    pub(super) fn suite(&self, at: usize) -> Arc<str> {
        let around = self.items[at].parent.and_then(|parent| self.suites.get(&parent));
        around.cloned().unwrap_or_default()
    }

    /// All logs of an item and of the steps within it, in order of time.
    pub(super) fn logs(&self, at: usize) -> Vec<Line<'_>> {
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
pub(super) struct Line<'t> {
    pub(super) at: Option<i64>,
    pub(super) level: &'t str,
    pub(super) message: Cow<'t, str>,
    pub(super) file: Option<&'t str>,
}

impl<'t> Line<'t> {
    pub(super) fn of(entry: &'t Entry) -> Self {
        let (message, file) = (entry.message.as_str().into(), entry.file.as_deref());
        Self { at: entry.at, level: &entry.level, message, file }
    }

    pub(super) fn write(&self, into: &mut String) {
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
