//! Allure results: concatenated JSON documents, one per test and one per set of fixtures.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::input::Input;
use crate::json::{self, Handler, Object};
use crate::model::{unknown, within};
use crate::number;
use crate::{Case, Failure, ReadError, Sink, Status, Suite};

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut allure = Allure::default();
    let read = json::walk(&input.rest()?, sink, &mut allure);
    allure.end(sink)?;
    read
}

#[derive(Default)]
struct Allure {
    tests: Vec<Test>,
    /// The suites of the previous test.
    last: Arc<[String]>,
    fixtures: Vec<Fixture>,
    labels: Vec<(String, String)>,
    parameters: Vec<(String, String)>,
    attachments: u32,
    /// The failed fixtures of the current container.
    failed: Vec<Case>,
    /// Failures outside of any test.
    global: Vec<Case>,
}

/// One run of a test.
struct Test {
    /// The key shared by all runs of the test: its history id, otherwise its name.
    history: String,
    uuid: String,
    stop: f64,
    parameters: String,
    case: Case,
}

/// A failed fixture and the tests it belongs to.
struct Fixture {
    children: Arc<[String]>,
    case: Case,
}

fn status(object: &Object<'_>, sink: &mut dyn Sink) -> Status {
    let name = object.get("name").unwrap_or_default();
    match object.get("status").unwrap_or("unknown") {
        "passed" => Status::Passed,
        "failed" => Status::Failed,
        "broken" => Status::Error,
        "skipped" => Status::Skipped,
        other => unknown(other, name, Some(object.line), sink),
    }
}

/// Whether a document is a test result: those of fixtures lack these members. A test that did not
/// end has no status.
fn is_test(object: &Object<'_>) -> bool {
    let own = ["status", "historyId", "fullName", "testCaseId", "stage"];
    own.into_iter().any(|name| object.get(name).is_some())
}

fn took(object: &Object<'_>) -> Option<u64> {
    number::of_millis(object.number("stop")? - object.number("start")?)
}

fn failure(object: &Object<'_>) -> Option<Failure> {
    let message = object.owned("statusDetails.message");
    let text = object.owned("statusDetails.trace");
    let has_any = message.is_some() || text.is_some();
    has_any.then_some(Failure { kind: None, message, text })
}

impl Allure {
    fn test(&mut self, test: &Object<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let labels = std::mem::take(&mut self.labels);
        let parameters = std::mem::take(&mut self.parameters);
        let attachments = std::mem::take(&mut self.attachments);
        self.failed.clear();
        let label = |name: &str| {
            let mut found =
                labels.iter().filter(|(known, value)| known == name && !value.is_empty());
            found.next().map(|(_, value)| value.as_str())
        };
        let suites: Vec<&str> =
            ["parentSuite", "suite", "subSuite"].into_iter().filter_map(label).collect();
        let name = test.get("name").unwrap_or_default();
        let full = test.get("fullName").unwrap_or_default();
        let class = label("testClass").or_else(|| label("package"));
        let class = if suites.is_empty() { class.map(str::to_owned) } else { None };
        let status = status(test, sink);
        let uuid = test.get("uuid").unwrap_or_default().to_owned();
        let shown: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut properties: Vec<(String, String)> = labels
            .iter()
            .filter(|(name, _)| {
                matches!(name.as_str(), "tag" | "severity" | "owner" | "epic" | "feature" | "story")
            })
            .cloned()
            .collect();
        properties.extend(parameters);
        if attachments > 0 {
            properties.push(("attachments".to_owned(), attachments.to_string()));
        }
        let mut history = test.get("historyId").unwrap_or_default().to_owned();
        if history.is_empty() {
            history = format!("{full}\0{name}\0{}", shown.join(", "));
        }
        let case = Case {
            suites: within(&suites, &mut self.last, Some(test.line), sink),
            class,
            name: name.to_owned(),
            status: Some(status),
            micros: took(test),
            started: test.number("start").and_then(number::date),
            failure: failure(test),
            properties,
            report_line: Some(test.line),
            ..Case::default()
        };
        sink.room(self.tests.len())?;
        let stop = test.number("stop").or(test.number("start")).unwrap_or(0.0);
        self.tests.push(Test { history, uuid, stop, parameters: shown.join(", "), case });
        Ok(())
    }

    fn fixture(&mut self, object: &Object<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let status = status(object, sink);
        if !status.is_bad() {
            return Ok(());
        }
        sink.room(self.failed.len())?;
        self.failed.push(Case {
            name: format!("{} (fixture)", object.get("name").unwrap_or_default()),
            status: Some(Status::Error),
            micros: took(object),
            failure: failure(object),
            report_line: Some(object.line),
            ..Case::default()
        });
        Ok(())
    }

    fn end(self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        // The superseded attempts, and the final ones.
        let mut before = HashSet::new();
        let mut last = HashSet::new();
        // The runs of each test, ordered by end time: the last one decides the result.
        let mut order: Vec<String> = Vec::new();
        let mut runs: HashMap<String, Vec<Test>> = HashMap::new();
        for test in self.tests {
            let known = runs.entry(test.history.clone()).or_default();
            if known.is_empty() {
                order.push(test.history.clone());
            }
            known.push(test);
        }
        let mut tests: Vec<Test> = Vec::new();
        for history in order {
            let mut tries = runs.remove(&history).unwrap_or_default();
            tries.sort_by(|one, other| one.stop.total_cmp(&other.stop));
            let Some(mut test) = tries.pop() else { continue };
            test.case.retries = u32::try_from(tries.len()).unwrap_or(u32::MAX);
            let first_bad = tries.iter_mut().find(|one| one.case.outcome().is_bad());
            if let (Some(first), Status::Passed) = (first_bad, test.case.outcome()) {
                test.case.status = Some(Status::Flaky);
                test.case.failure = first.case.failure.take();
            }
            before.extend(tries.into_iter().map(|one| one.uuid));
            last.insert(test.uuid.clone());
            tests.push(test);
        }
        // Tests that differ only in their parameters get the parameters appended to their names.
        let key = |test: &Test| (test.case.group(), test.case.name.clone());
        let mut names: HashMap<(String, String), u32> = HashMap::new();
        for test in &tests {
            *names.entry(key(test)).or_insert(0) += 1;
        }
        let mut bad = HashSet::new();
        for mut test in tests {
            if test.case.outcome().is_bad() {
                bad.insert(std::mem::take(&mut test.uuid));
            }
            let is_shared = names.get(&key(&test)).is_some_and(|count| *count > 1);
            if is_shared && !test.parameters.is_empty() {
                test.case.name = format!("{} [{}]", test.case.name, test.parameters);
            }
            sink.case(test.case)?;
        }
        let mut is_any_bad = !bad.is_empty();
        // A failed fixture usually shows as failures of its tests. One that applies only to superseded
        // attempts does not count.
        for fixture in self.fixtures {
            let mut children = fixture.children.iter();
            let is_told = children.clone().any(|uuid| bad.contains(uuid));
            let is_past = children.clone().any(|uuid| before.contains(uuid))
                && !children.any(|uuid| last.contains(uuid));
            if !is_told && !is_past {
                is_any_bad = true;
                sink.case(fixture.case)?;
            }
        }
        // A global failure usually shows as a failed test or fixture.
        if !is_any_bad {
            self.global.into_iter().try_for_each(|case| sink.case(case))?;
        }
        sink.suite(Suite::default())
    }
}

impl Handler for Allure {
    const HAS_MANY: bool = true;
    const OBJECTS: &'static [&'static str] =
        &["labels", "parameters", "attachments", "befores", "afters", "errors"];
    const MEMBERS: &'static [&'static str] = &[
        "uuid",
        "historyId",
        "fullName",
        "name",
        "status",
        "statusDetails.message",
        "statusDetails.trace",
        "start",
        "stop",
        "value",
        "children",
        "message",
        "trace",
        "testCaseId",
        "stage",
    ];

    fn end(
        &mut self,
        object: &Object<'_>,
        open: &mut [Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let pair = || {
            let name = object.get("name").unwrap_or_default().to_owned();
            (name, object.shown("value").unwrap_or_default())
        };
        sink.room(self.labels.len() + self.parameters.len())?;
        match object.key {
            "labels" => self.labels.push(pair()),
            "parameters" if open.len() == 1 => self.parameters.push(pair()),
            "attachments" => self.attachments = self.attachments.saturating_add(1),
            "befores" | "afters" => self.fixture(object, sink)?,
            "errors" => {
                let message = object.owned("message");
                let text = object.owned("trace");
                sink.room(self.global.len())?;
                self.global.push(Case {
                    name: "the run itself".to_owned(),
                    status: Some(Status::Error),
                    failure: Some(Failure { kind: None, message, text }),
                    ..Case::default()
                });
            }
            "" if is_test(object) => self.test(object, sink)?,
            "" => {
                let children: Arc<[String]> = object.all("children").map(str::to_owned).collect();
                for case in std::mem::take(&mut self.failed) {
                    sink.room(self.fixtures.len())?;
                    self.fixtures.push(Fixture { children: children.clone(), case });
                }
                (self.labels, self.parameters, self.attachments) = Default::default();
            }
            _ => {}
        }
        Ok(())
    }
}
