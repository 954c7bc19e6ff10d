//! From a report to what a build has of it: a step, its test cases, and a receipt.

use std::sync::Arc;
use std::time::Duration;

use devmason_domain::{Invalid, JsonObject, Step, TestDetails, TestResult, Timestamp, limits};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{Case, Format, Note, NoteKind, Read, ReadError, Seen};

/// Makes cases into what a build has of them. What they belong to is shared by those that come one after the other and
/// belong to the same.
#[derive(Default)]
pub struct Results {
    class: Option<Arc<str>>,
    suites: Option<(Arc<[String]>, Arc<str>)>,
}

impl Results {
    /// What a build has of a case.
    pub fn of(&mut self, case: Case) -> TestResult {
        TestResult {
            suite: self.group(&case),
            status: case.outcome(),
            name: case.name,
            micros: case.micros,
            failure: case.failure,
            details: TestDetails {
                stdout: case.stdout,
                stderr: case.stderr,
                properties: case.properties,
                retries: case.retries,
                file: case.file,
                line: case.line,
            }
            .into(),
        }
    }

    fn group(&mut self, case: &Case) -> Arc<str> {
        if let Some(class) = &case.class {
            return match &self.class {
                Some(known) if **known == **class => known.clone(),
                _ => self.class.insert(Arc::from(class.as_str())).clone(),
            };
        }
        match &self.suites {
            Some((suites, joined)) if Arc::ptr_eq(suites, &case.suites) => joined.clone(),
            _ => {
                let joined: Arc<str> = case.group().into();
                self.suites = Some((case.suites.clone(), joined.clone()));
                joined
            }
        }
    }
}

impl Read {
    /// Its cases, as a build has them; none are left.
    pub fn take_results(&mut self) -> Vec<TestResult> {
        let mut results = Results::default();
        std::mem::take(&mut self.cases).into_iter().map(|case| results.of(case)).collect()
    }

    /// The host that it says it ran on.
    pub fn host(&self) -> Option<&str> {
        self.suites.iter().find_map(|suite| suite.host.as_deref())
    }

    /// When its tests began and ended: when somebody says that they began, or by the best that it says itself,
    /// or when it was received.
    pub fn times(&self, said: Option<Timestamp>, received: Timestamp) -> (Timestamp, Timestamp) {
        let suites = self.suites.iter().filter_map(|suite| suite.started);
        // What lies in the future is a clock that is wrong.
        let own = suites.chain(self.tally.started).filter(|date| *date <= received);
        let Some(started) = said.or(own.min()) else { return (received, received) };
        let of_suites = self.suites.iter().filter_map(|suite| suite.micros).max();
        let micros = i64::try_from(of_suites.unwrap_or(self.tally.micros)).unwrap_or(0);
        let finished = started
            .micros()
            .checked_add(micros)
            .and_then(|micros| Timestamp::from_parts(micros, started.offset_minutes()));
        (started, finished.unwrap_or(started))
    }

    /// The step that it is: called so, else after its outermost suite, else after its format.
    ///
    /// # Errors
    /// It cannot be called so.
    pub fn step(
        &self,
        name: Option<&str>,
        started: Option<Timestamp>,
        received: Timestamp,
    ) -> Result<Step, Invalid> {
        let (started, finished) = self.times(started, received);
        let outermost = self.suites.iter().filter_map(|suite| suite.path.first());
        let named = outermost.map(String::as_str).find(|name| !name.is_empty());
        let mut name = name.or(named).unwrap_or(self.format.as_str()).replace('\0', "\u{fffd}");
        limits::cut(&mut name, limits::NAME);
        let joined = |of: fn(&crate::Suite) -> &str| self.suites.iter().map(of).collect();
        let format = serde_json::value::to_raw_value(self.format.as_str())
            .map_err(|error| Invalid(error.to_string()))?;
        let mut extras = vec![("report".to_owned(), format)];
        if let Some(reasons) = self.tally.verdict.reasons() {
            let reasons = serde_json::value::to_raw_value(&reasons);
            extras
                .push(("failure".to_owned(), reasons.map_err(|error| Invalid(error.to_string()))?));
        }
        Ok(Step {
            name: name.parse()?,
            success: self.tally.verdict.is_success(),
            started,
            finished,
            output: joined(|suite| &suite.stdout),
            errout: joined(|suite| &suite.stderr),
            extras: JsonObject::from_members(&extras)?,
        })
    }
}

/// What is said of a file before it is read: the beginning of its receipt.
///
/// `asked` tells that somebody said which format it is.
pub fn receipt(name: Option<&str>, body: &[u8], format: Option<Format>, asked: bool) -> Value {
    let digest: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "file": name,
        "format": format.map(Format::as_str),
        "recognized": if asked { "as the request says" } else { "from the bytes" },
        "bytes": body.len(),
        "digest": format!("sha256:{digest}"),
    })
}

/// Adds to a receipt what was read, and how long that took.
pub fn receive(receipt: &mut Value, read: &Read, took: Duration) {
    let summary = &read.tally.summary;
    let note =
        |note: &Note| json!({"line": note.line, "kind": note.kind.as_str(), "text": note.text});
    let mut notes: Vec<Value> = read.notes.iter().map(note).collect();
    let properties: usize = read.suites.iter().map(|suite| suite.properties.len()).sum();
    if properties > 0 {
        let text = format!("{properties} properties of suites are not kept");
        notes.push(json!({"line": null, "kind": "dropped", "text": text}));
    }
    receipt["seconds"] = json!(took.as_secs_f64());
    receipt["suites"] = json!(read.suites.len());
    receipt["tests"] = json!({
        "total": summary.total, "passed": summary.passed, "flaky": summary.flaky,
        "skipped": summary.skipped, "failed": summary.failed, "error": summary.error,
    });
    receipt["notes"] = json!(notes);
    receipt["notes_total"] = json!(read.notes_total + u64::from(properties > 0));
}

/// Adds to a receipt that the file is no report, and so left out.
pub fn leave_out(receipt: &mut Value, seen: &Seen) {
    note_alone(receipt, NoteKind::Dropped, &format!("{}; it is left out", seen.words()));
}

/// Adds the one note to a receipt of a file of which nothing was read.
pub fn note_alone(receipt: &mut Value, kind: NoteKind, text: &str) {
    receipt["notes"] = json!([{"line": null, "kind": kind.as_str(), "text": text}]);
    receipt["notes_total"] = json!(1);
}

/// The step of a file of which nothing can be read: it failed, and says why.
///
/// # Errors
/// It cannot be called so.
pub fn failed_step(name: &str, why: &str, received: Timestamp) -> Result<Step, Invalid> {
    let mut name = name.replace('\0', "\u{fffd}");
    limits::cut(&mut name, limits::NAME);
    let why = serde_json::value::to_raw_value(why).map_err(|error| Invalid(error.to_string()))?;
    Ok(Step {
        name: name.parse()?,
        success: false,
        started: received,
        finished: received,
        output: String::new(),
        errout: String::new(),
        extras: JsonObject::from_members(&[("failure".to_owned(), why)])?,
    })
}

/// Adds to a receipt why the file is refused.
pub fn refuse(receipt: &mut Value, error: &ReadError) {
    receipt["line"] = json!(error.line);
    receipt["field"] = json!("body");
}
