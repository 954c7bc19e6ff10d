//! Turns a report into its parts in a build: a step, test cases and a receipt.

use std::sync::Arc;
use std::time::Duration;

use devmason_domain::{
    Counts, Digest, Invalid, JsonObject, Receipt, ReceiptNote, Step, StepLog, TestDetails,
    TestResult, Timestamp, limits,
};

use crate::{Case, Format, NoteKind, Read, Seen};

/// Converts parsed cases to test results. Consecutive results of the same group share its name.
#[derive(Default)]
pub struct Results {
    class: Option<Arc<str>>,
    suites: Option<(Arc<[String]>, Arc<str>)>,
}

impl Results {
    /// Converts a case to a test result.
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
    /// Takes the cases out and converts them to test results.
    pub fn take_results(&mut self) -> Vec<TestResult> {
        let mut results = Results::default();
        std::mem::take(&mut self.cases).into_iter().map(|case| results.of(case)).collect()
    }

    /// The host name in the report.
    pub fn host(&self) -> Option<&str> {
        self.suites.iter().find_map(|suite| suite.host.as_deref())
    }

    /// When its tests started and finished: from the given start, otherwise as well as the report
    /// itself shows, otherwise the time of receipt.
    pub fn times(&self, said: Option<Timestamp>, received: Timestamp) -> (Timestamp, Timestamp) {
        let suites = self.suites.iter().filter_map(|suite| suite.started);
        // A time in the future comes from a wrong clock.
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

    /// The report as a step. It is named `name`, otherwise after the outermost suite, otherwise after
    /// the format.
    ///
    /// # Errors
    /// The name is not valid for a step.
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
            // More may have failed in a report that was cut off.
            bad_cases: (!self.tally.verdict.is_cut()).then(|| {
                let summary = &self.tally.summary;
                u32::try_from(summary.failed + summary.error).unwrap_or(u32::MAX)
            }),
            log: StepLog::Absent,
        })
    }
}

/// The initial receipt of a file, before it is parsed.
///
/// `asked` says that the sender named the format.
pub fn receipt(name: Option<&str>, body: &[u8], format: Option<Format>, asked: bool) -> Receipt {
    Receipt {
        file: name.map(str::to_owned),
        format: format.map(|format| format.as_str().to_owned()),
        recognized: if asked { Receipt::AS_SAID } else { Receipt::FROM_BYTES }.to_owned(),
        bytes: Some(body.len() as u64),
        digest: Some(format!("sha256:{}", Digest::of(body))),
        ..Receipt::default()
    }
}

/// Adds to a receipt what was parsed and how long that took.
pub fn receive(receipt: &mut Receipt, read: &Read, took: Duration) {
    receipt.notes.extend(read.notes.iter().map(|note| ReceiptNote {
        line: note.line,
        kind: note.kind.as_str().to_owned(),
        text: note.text.clone(),
    }));
    receipt.notes_total += read.notes_total;
    let properties: usize = read.suites.iter().map(|suite| suite.properties.len()).sum();
    if properties > 0 {
        let text = format!("{properties} suite properties not stored");
        receipt.note(NoteKind::Dropped.as_str(), text);
    }
    receipt.seconds = Some(took.as_secs_f64());
    receipt.suites = Some(read.suites.len() as u64);
    receipt.tests = Some(Counts::from(&read.tally.summary));
}

/// Notes that the file is not a report and was skipped.
pub fn leave_out(receipt: &mut Receipt, seen: &Seen) {
    receipt.note(NoteKind::Dropped.as_str(), format!("{}; skipped", seen.words()));
}

/// The step for a file that cannot be parsed: failed, with the reason.
///
/// # Errors
/// The name is not valid for a step.
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
        bad_cases: None,
        log: StepLog::Absent,
    })
}
