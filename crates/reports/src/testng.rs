//! TestNG's `testng-results.xml`, and Failsafe's summary: a verdict without tests.

use std::collections::HashMap;
use std::sync::Arc;

use devmason_domain::Timestamp;

use crate::attribute::time;
use crate::input::Input;
use crate::model::{nested, unknown};
use crate::number;
use crate::xml::{Element, Handler, walk};
use crate::{Case, Cause, Claim, Failure, Note, NoteKind, ReadError, Reason, Sink, Status, Suite};

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut testng = Testng::default();
    let read = walk(input, sink, &mut testng);
    // Completed methods of a truncated class are kept.
    testng.end_class(sink)?;
    read
}

#[derive(Default)]
struct Testng {
    path: Arc<[String]>,
    class: String,
    case: Option<Case>,
    /// Whether the method is setup or teardown, and whether TestNG marks it as retried.
    is_frame: bool,
    is_retried: bool,
    parameters: Vec<String>,
    /// The methods of the class; retries are merged.
    held: Vec<Held>,
    suite: Suite,
    bad: u64,
    claim: Claim,
}

struct Held {
    case: Case,
    parameters: String,
    is_retried: bool,
}

impl Testng {
    fn end_method(&mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let parameters = std::mem::take(&mut self.parameters).join(", ");
        let Some(mut case) = self.case.take() else { return Ok(()) };
        if self.is_frame {
            // A setup method becomes a case only if it fails.
            if case.outcome() != Status::Failed {
                return Ok(());
            }
            case.status = Some(Status::Error);
        }
        sink.room(self.held.len())?;
        self.held.push(Held { case, parameters, is_retried: self.is_retried });
        Ok(())
    }

    fn end_class(&mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let is_try = |held: &Held| held.is_retried || is_failed_skip(&held.case);
        let (tried, done): (Vec<Held>, Vec<Held>) =
            std::mem::take(&mut self.held).into_iter().partition(is_try);
        let key = |held: &Held| (held.case.name.clone(), held.parameters.clone());
        let mut tries: HashMap<(String, String), Vec<Held>> = HashMap::new();
        let mut order = Vec::new();
        for held in tried {
            let key = key(&held);
            let own = tries.entry(key.clone()).or_default();
            if own.is_empty() {
                order.push(key);
            }
            own.push(held);
        }
        let mut cases = Vec::new();
        for held in done {
            let own = tries.remove(&key(&held)).unwrap_or_default();
            let Held { mut case, parameters, .. } = held;
            case.retries = u32::try_from(own.len()).unwrap_or(u32::MAX);
            if let (Status::Passed, Some(first)) = (case.outcome(), own.into_iter().next()) {
                case.status = Some(Status::Flaky);
                case.failure = first.case.failure;
            }
            cases.push((case, parameters));
        }
        // Attempts without a final result were skipped.
        let left = order.iter().filter_map(|key| tries.remove(key)).flatten().collect::<Vec<_>>();
        cases.extend(left.into_iter().map(|held| (held.case, held.parameters)));
        for (mut case, parameters) in cases {
            if !parameters.is_empty() {
                case.name = format!("{}({parameters})", case.name);
            }
            self.bad += u64::from(case.outcome().is_bad());
            sink.case(case)?;
        }
        Ok(())
    }
}

/// Removes the address from an object's text, as it differs on every run:
/// `java.lang.Object@8b87145`.
fn without_address(value: String) -> String {
    let address = value.rsplit_once('@').filter(|(name, address)| {
        !name.is_empty()
            && !address.is_empty()
            && name.chars().all(|c| c.is_alphanumeric() || "._$[];".contains(c))
            && address.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    address.map(|(name, _)| name.to_owned()).unwrap_or(value)
}

/// Whether a skipped case has a failed assertion: that is how TestNG writes an attempt before a
/// retry.
fn is_failed_skip(case: &Case) -> bool {
    let kind = case.failure.as_ref().and_then(|failure| failure.kind.as_deref());
    case.outcome() == Status::Skipped
        && kind
            .is_some_and(|kind| !kind.ends_with("SkipException") && kind != "java.lang.Throwable")
}

impl Handler for Testng {
    fn start(
        &mut self,
        element: &mut Element,
        open: &[Element],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let number = |name: &str| element.get(name).and_then(|text| text.parse::<u64>().ok());
        match element.name.as_str() {
            "testng-results" => {
                self.claim = Claim {
                    tests: number("total"),
                    failures: number("failed"),
                    errors: None,
                    skipped: number("skipped"),
                };
            }
            "suite" if open.len() == 1 => {
                let name = element.get("name").unwrap_or_default();
                self.path = nested(&Arc::default(), name, Some(element.line), sink);
                self.suite = Suite {
                    path: self.path.clone(),
                    started: time(element, "started-at", sink),
                    micros: number("duration-ms").and_then(|millis| millis.checked_mul(1000)),
                    ..Suite::default()
                };
            }
            "test" => {
                let name = element.get("name").unwrap_or_default();
                self.path = nested(&self.suite.path, name, Some(element.line), sink);
            }
            "class" => self.class = element.get("name").unwrap_or_default().to_owned(),
            "test-method" => {
                self.is_frame = element.get("is-config") == Some("true");
                self.is_retried = element.get("retried") == Some("true");
                let own = element.get("name").unwrap_or_default();
                // Instances created by a factory share the methods of one class and have their own names.
                let instance = element.owned("test-instance-name").map(without_address);
                let name = match instance.filter(|instance| *instance != self.class) {
                    Some(instance) => format!("{own} [{instance}]"),
                    None => own.to_owned(),
                };
                let status = match element.get("status").unwrap_or_default() {
                    "PASS" => Status::Passed,
                    "FAIL" => Status::Failed,
                    // The failures are within the allowed percentage.
                    "SKIP" | "SUCCESS_PERCENTAGE_FAILURE" => Status::Skipped,
                    other => unknown(other, &name, Some(element.line), sink),
                };
                self.case = Some(Case {
                    suites: self.path.clone(),
                    class: Some(self.class.clone()),
                    name,
                    status: Some(status),
                    micros: number("duration-ms").and_then(|millis| millis.checked_mul(1000)),
                    started: element.get("started-at").and_then(|at| at.parse::<Timestamp>().ok()),
                    report_line: Some(element.line),
                    ..Case::default()
                });
            }
            "exception" => {
                if let Some(case) = &mut self.case {
                    case.failure =
                        Some(Failure { kind: element.owned("class"), ..Failure::default() });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(
        &mut self,
        element: &mut Element,
        _: &mut [Element],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        match (element.name.as_str(), &mut self.case) {
            ("message", Some(case)) => {
                case.failure.get_or_insert_default().message = element.trimmed()
            }
            ("full-stacktrace", Some(case)) => {
                case.failure.get_or_insert_default().text = element.trimmed();
            }
            ("line", Some(case)) => {
                if let Some(line) = element.trimmed() {
                    case.stdout.push_str(&line);
                    case.stdout.push('\n');
                }
            }
            ("value", Some(_)) => {
                let is_null = element.get("is-null") == Some("true");
                let value = if is_null { None } else { element.trimmed().map(without_address) };
                sink.room(self.parameters.len())?;
                self.parameters
                    .push(value.unwrap_or_else(|| if is_null { "null" } else { "" }.to_owned()));
            }
            ("test-method", _) => self.end_method(sink)?,
            ("class", _) => self.end_class(sink)?,
            ("suite", _) => sink.suite(std::mem::take(&mut self.suite))?,
            ("testng-results", _) => {
                if let Some(said) = self.claim.failures.filter(|said| *said > self.bad) {
                    let text =
                        format!("the report says failed=\"{said}\", but contains {}", self.bad);
                    sink.against(Reason::new(Cause::Claim, Some(element.line), text));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

pub(crate) fn read_failsafe(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    walk(input, sink, &mut Failsafe::default())
}

/// `failsafe-summary.xml`: the totals of its `TEST-*.xml` files.
#[derive(Default)]
struct Failsafe {
    bad: u64,
    is_told: bool,
}

impl Handler for Failsafe {
    fn start(&mut self, _: &mut Element, _: &[Element], _: &mut dyn Sink) -> Result<(), ReadError> {
        Ok(())
    }

    fn end(
        &mut self,
        element: &mut Element,
        open: &mut [Element],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let count = number::seconds(&element.text).map_or(0, |(micros, _)| micros / 1_000_000);
        let line = Some(element.line);
        match element.name.as_str() {
            name @ ("errors" | "failures") if count > 0 => {
                self.bad += count;
                self.is_told = true;
                let text = format!("Failsafe reports {name}: {count}");
                sink.against(Reason::new(Cause::Claim, line, text));
            }
            "completed" => {
                let text = format!(
                    "Failsafe reports {count} completed tests; report its TEST-*.xml files to see them"
                );
                sink.note(Note { line, kind: NoteKind::Odd, text });
            }
            "failureMessage" => {
                if let Some(text) = element.trimmed() {
                    self.is_told = true;
                    sink.against(Reason::new(Cause::Verdict, line, text));
                }
            }
            "failsafe-summary" if open.is_empty() => {
                if element.get("timeout") == Some("true") {
                    self.is_told = true;
                    sink.against(Reason::new(Cause::Aborted, line, "the run timed out"));
                }
                // 254 means that there were no tests, which fails only if configured so.
                let result =
                    element.get("result").filter(|result| !matches!(*result, "0" | "254" | "null"));
                if let Some(result) = result.filter(|_| !self.is_told) {
                    let text = format!("Failsafe reports result=\"{result}\"");
                    sink.against(Reason::new(Cause::Verdict, line, text));
                }
                sink.suite(Suite::default())?;
            }
            _ => {}
        }
        Ok(())
    }
}
