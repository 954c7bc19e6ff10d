//! What a request says of a build.

use std::fmt::Display;

use devmason_domain::{
    Counts, Digest, JsonObject, Receipt, Step, StepLog, Tag, TestResult, TestSummary, Timestamp,
    limits,
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::WireError;

/// What a request says of a build.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Part {
    /// Members of the build's client record.
    pub client: Vec<(String, String)>,
    /// Tags of the build.
    pub tags: Vec<Tag>,
    /// What it becomes; `None` if nothing of it has a place.
    pub step: Option<Step>,
    /// The test cases of the step.
    pub tests: Vec<TestResult>,
    /// What the sender is told about it.
    pub receipt: Receipt,
}

impl Part {
    /// A part of which nothing was read yet.
    pub fn new(file: Option<&str>, format: &str, body: &[u8]) -> Self {
        let mut file = file.map(str::to_owned);
        if let Some(name) = &mut file {
            limits::cut(name, limits::NAME);
        }
        let receipt = Receipt {
            file,
            format: Some(format.to_owned()),
            recognized: Receipt::AS_SAID.to_owned(),
            bytes: Some(body.len() as u64),
            digest: Some(digest(body)),
            ..Receipt::default()
        };
        Self { receipt, ..Self::default() }
    }

    /// A part that is made of several requests, or of none.
    pub fn unread(format: &str) -> Self {
        let receipt = Receipt {
            format: Some(format.to_owned()),
            recognized: Receipt::AS_SAID.to_owned(),
            ..Receipt::default()
        };
        Self { receipt, ..Self::default() }
    }

    /// Notes something that has no place here.
    pub fn dropped(&mut self, what: impl Into<String>) {
        self.receipt.note("dropped", what);
    }

    /// Sets the step, and counts its cases in the receipt.
    pub(crate) fn with_step(&mut self, step: Step, tests: Vec<TestResult>) {
        self.receipt.steps = Some(1);
        if !tests.is_empty() {
            let mut summary = TestSummary::default();
            summary.add(&tests);
            self.receipt.tests = Some(Counts::from(&summary));
        }
        self.step = Some(step);
        self.tests = tests;
    }
}

/// A digest as receipts give it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", Digest::of(bytes))
}

/// A step under construction.
pub(crate) struct Draft<'a> {
    pub(crate) name: &'a str,
    pub(crate) success: bool,
    pub(crate) started: Timestamp,
    pub(crate) finished: Timestamp,
    pub(crate) output: String,
    pub(crate) errout: String,
    pub(crate) extras: Vec<(String, Box<RawValue>)>,
}

impl Draft<'_> {
    pub(crate) fn step(self, tests: &[TestResult]) -> Result<Step, WireError> {
        let mut name = self.name.replace('\0', "\u{fffd}");
        limits::cut(&mut name, limits::NAME);
        let bad_cases = tests.iter().filter(|test| test.status.is_bad()).count();
        let invalid = |error: devmason_domain::Invalid| WireError::bad("step", error.0);
        Ok(Step {
            name: name.parse().map_err(invalid)?,
            success: self.success,
            started: self.started,
            finished: self.finished.max(self.started),
            output: self.output,
            errout: self.errout,
            extras: JsonObject::from_members(&self.extras).map_err(invalid)?,
            bad_cases: Some(u32::try_from(bad_cases).unwrap_or(u32::MAX)),
            log: StepLog::Absent,
        })
    }
}

/// A member of a step.
pub(crate) fn member(name: &str, value: &impl Serialize) -> Option<(String, Box<RawValue>)> {
    Some((name.to_owned(), serde_json::value::to_raw_value(value).ok()?))
}

/// A tag with this text. What a tag must not have becomes `_`, which the receipt says.
pub fn tag(text: &str, receipt: &mut Receipt) -> Option<Tag> {
    let trimmed = text.trim();
    let fits = |c: char| if c == ',' || c == ';' || c.is_control() { '_' } else { c };
    let fitted: String = trimmed.chars().take(limits::TAG_CHARS).map(fits).collect();
    let parsed = fitted.parse().or_else(|_| format!("{fitted}_").parse()).ok()?;
    if fitted != trimmed {
        receipt.note("cut", format!("the tag '{fitted}' was '{trimmed}'"));
    }
    Some(parsed)
}

/// The time at this many seconds since 1970; `otherwise` if there is none.
pub(crate) fn at(seconds: Option<impl Display>, otherwise: Timestamp) -> Timestamp {
    let parsed = seconds.and_then(|seconds| seconds.to_string().trim().parse::<f64>().ok());
    let micros = parsed.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
    micros.and_then(|seconds| Timestamp::from_parts((seconds * 1e6) as i64, 0)).unwrap_or(otherwise)
}
