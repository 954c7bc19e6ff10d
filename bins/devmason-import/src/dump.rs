//! The lines of an export: JSON objects, each with its `kind`.
//!
//! Points in time are `[microseconds since 1970, minutes east of UTC]`, exactly as stored.

use anyhow::{Context, Result};
use devmason_domain::{
    BuildId, JsonObject, Outcome, Step, StepLog, StepName, TestDetails, TestFailure, TestResult,
    TestStatus, Timestamp, Tracking, Triage, VariantPart,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// A point in time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct At(i64, i16);

impl From<Timestamp> for At {
    fn from(at: Timestamp) -> Self {
        Self(at.micros(), at.offset_minutes())
    }
}

impl TryFrom<At> for Timestamp {
    type Error = anyhow::Error;
    fn try_from(At(micros, offset): At) -> Result<Self> {
        Self::from_parts(micros, offset)
            .with_context(|| format!("[{micros}, {offset}] is not a valid time"))
    }
}

/// The kind of a line.
#[derive(Deserialize)]
pub(crate) struct Kind {
    pub(crate) kind: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct UserLine {
    pub(crate) kind: String,
    pub(crate) username: String,
    pub(crate) password_hash: String,
    pub(crate) created_at: At,
    pub(crate) updated_at: At,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ProjectLine {
    pub(crate) kind: String,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) owner: Option<String>,
    pub(crate) reporting: String,
    #[serde(flatten)]
    pub(crate) tracking: TrackingLine,
    /// An older dump has none.
    #[serde(default)]
    pub(crate) repository: Option<String>,
    /// An older dump has none.
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    pub(crate) created_at: At,
    pub(crate) updated_at: At,
}

/// How a project's builds are compared. An older dump says nothing of it.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TrackingLine {
    mainline: Option<String>,
    variant_by: Option<Vec<String>>,
    gate: String,
    triage: Option<String>,
}

impl From<&Tracking> for TrackingLine {
    fn from(of: &Tracking) -> Self {
        Self {
            mainline: of.mainline.clone(),
            variant_by: Some(of.variant_by.iter().map(ToString::to_string).collect()),
            gate: of.gate.to_string(),
            triage: Some(of.triage.as_str().to_owned()),
        }
    }
}

impl TryFrom<TrackingLine> for Tracking {
    type Error = anyhow::Error;
    fn try_from(line: TrackingLine) -> Result<Self> {
        let parts = |parts: Vec<String>| parts.iter().map(|part| part.parse()).collect();
        Ok(Self {
            mainline: line.mainline,
            variant_by: line
                .variant_by
                .map_or_else(|| Ok(VariantPart::usual()), parts)
                .context("variant_by")?,
            gate: line.gate.parse().context("gate")?,
            triage: line
                .triage
                .map_or_else(|| Ok(Triage::default()), |text| text.parse())
                .context("triage")?,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct IssueLine {
    pub(crate) kind: String,
    pub(crate) project: String,
    pub(crate) id: Uuid,
    pub(crate) title: String,
    pub(crate) url: Option<String>,
    pub(crate) note: Option<String>,
    pub(crate) test: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) signature: Option<String>,
    pub(crate) branch: Option<String>,
    pub(crate) variant: Option<String>,
    pub(crate) mute: bool,
    pub(crate) expires: Option<At>,
    pub(crate) closed_at: Option<At>,
    pub(crate) creator: Option<String>,
    pub(crate) created_at: At,
    pub(crate) updated_at: At,
}

/// When the builds of a track are expected, if its owner says so.
#[derive(Serialize, Deserialize)]
pub(crate) struct TrackLine {
    pub(crate) kind: String,
    pub(crate) project: String,
    pub(crate) variant: String,
    pub(crate) branch: String,
    pub(crate) credited: bool,
    pub(crate) expected: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct TypeLine {
    pub(crate) kind: String,
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) creator: Option<String>,
    pub(crate) created_at: At,
    pub(crate) updated_at: At,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ComponentLine {
    pub(crate) kind: String,
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) componenttype: Uuid,
    pub(crate) creator: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) canonical_project_name: Option<String>,
    pub(crate) sha: Option<String>,
    #[serde(rename = "ref")]
    pub(crate) reference: Option<String>,
    pub(crate) git: Option<String>,
    /// JSON text, exactly as sent.
    pub(crate) data: Option<String>,
    pub(crate) created_at: At,
    pub(crate) updated_at: At,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct TagLine {
    pub(crate) kind: String,
    pub(crate) project: String,
    pub(crate) tag: String,
    pub(crate) created_at: At,
    pub(crate) updated_at: At,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct BuildLine {
    pub(crate) kind: String,
    pub(crate) project: String,
    pub(crate) id: Uuid,
    pub(crate) key: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) started: At,
    pub(crate) received: At,
    /// Whether it succeeded and when it finished; absent while it runs.
    pub(crate) outcome: Option<(bool, At)>,
    pub(crate) updated_at: At,
    pub(crate) tags: Vec<String>,
    pub(crate) client: Box<RawValue>,
    pub(crate) components: Vec<Uuid>,
    /// The digest of the document sent by PUT.
    pub(crate) digest: Option<Vec<u8>>,
    pub(crate) results: Vec<StepLine>,
    pub(crate) tests: Vec<TestLine>,
    pub(crate) receipts: Vec<String>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct StepLine {
    name: String,
    success: bool,
    started: At,
    finished: At,
    output: String,
    errout: String,
    extras: Box<RawValue>,
    /// Absent in older dumps.
    #[serde(default)]
    bad_cases: Option<u32>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct TestLine {
    suite: String,
    name: String,
    status: TestStatus,
    micros: Option<u64>,
    failure: Option<TestFailure>,
    details: TestDetails,
}

/// A client's own object, unchanged.
pub(crate) fn raw(object: &JsonObject) -> Result<Box<RawValue>> {
    // An empty object is stored as an empty text.
    let text = if object.as_str().is_empty() { "{}" } else { object.as_str() };
    Ok(RawValue::from_string(text.to_owned())?)
}

/// The reverse.
pub(crate) fn object(raw: &RawValue) -> JsonObject {
    if raw.get() == "{}" {
        return JsonObject::default();
    }
    JsonObject::from_stored(raw.get().to_owned())
}

impl StepLine {
    pub(crate) fn new(step: &Step) -> Result<Self> {
        Ok(Self {
            name: step.name.to_string(),
            // A step that runs ends with the dump: nobody can append to its log in another store.
            success: step.success && !step.is_running(),
            started: step.started.into(),
            finished: step.finished.into(),
            output: step.output.clone(),
            errout: step.errout.clone(),
            extras: raw(&step.extras)?,
            bad_cases: step.bad_cases,
        })
    }

    pub(crate) fn step(self) -> Result<Step> {
        Ok(Step {
            name: StepName::from_stored(self.name),
            success: self.success,
            started: self.started.try_into()?,
            finished: self.finished.try_into()?,
            output: self.output,
            errout: self.errout,
            extras: object(&self.extras),
            bad_cases: self.bad_cases,
            log: StepLog::Absent,
        })
    }
}

impl From<TestResult> for TestLine {
    fn from(test: TestResult) -> Self {
        let TestResult { suite, name, status, micros, failure, details } = test;
        Self { suite: suite.to_string(), name, status, micros, failure, details: details.into() }
    }
}

impl From<TestLine> for TestResult {
    fn from(test: TestLine) -> Self {
        let TestLine { suite, name, status, micros, failure, details } = test;
        Self { suite: suite.into(), name, status, micros, failure, details: details.into() }
    }
}

/// A build's outcome from a line.
pub(crate) fn outcome(said: Option<(bool, At)>) -> Result<Outcome> {
    Ok(match said {
        Some((success, finished)) => Outcome::Finished { success, finished: finished.try_into()? },
        None => Outcome::Running,
    })
}

/// A build's id.
pub(crate) fn id(id: Uuid) -> BuildId {
    BuildId(id)
}
