//! Documents sent to clients.

use std::str::FromStr;

use devmason_domain::{
    Account, Build, JsonObject, LogEntry, Outcome, Project, State, Step, StepLog, Tag, Tracking,
};
use schemars::JsonSchema;
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::cases::{SummaryDocument, summary};
use super::insight::TrackDocument;
use super::shape;
use crate::Link;

/// The requested members of a build document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Fields(u16);

impl Fields {
    const NAMES: [&'static str; 13] = [
        "id",
        "state",
        "success",
        "started",
        "finished",
        "tags",
        "client",
        "components",
        "track",
        "revision",
        "tests",
        "results",
        "links",
    ];

    /// All of them.
    pub const ALL: Self = Self((1 << Self::NAMES.len()) - 1);

    /// Whether a member is requested.
    pub fn has(self, name: &str) -> bool {
        Self::NAMES
            .iter()
            .position(|known| *known == name)
            .is_some_and(|at| self.0 & (1 << at) != 0)
    }

    fn without(self, names: &[&str]) -> Self {
        let bit = |name: &&str| Self::NAMES.iter().position(|known| known == name);
        Self(names.iter().filter_map(bit).fold(self.0, |fields, at| fields & !(1 << at)))
    }

    /// The names of all members.
    pub fn names() -> &'static [&'static str] {
        &Self::NAMES
    }
}

impl FromStr for Fields {
    /// The unknown member name.
    type Err = String;

    /// Parses `success,started,links`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut fields = Self(0);
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let at = Self::NAMES
                .iter()
                .position(|known| *known == name)
                .ok_or_else(|| name.to_owned())?;
            fields.0 |= 1 << at;
        }
        Ok(fields)
    }
}

/// The members of a build document; with `fields`, only the requested ones.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Build")]
pub(super) struct BuildMembers<'a> {
    /// Its id in URIs, chosen by the client or assigned by the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "shape::BuildState")]
    state: Option<&'static str>,
    /// Null while the build is running.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<bool>")]
    success: Option<Option<bool>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "shape::Date")]
    started: Option<String>,
    /// Null while the build is running.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<shape::Date>")]
    finished: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<shape::Tag>")]
    tags: Option<&'a [Tag]>,
    /// The client record, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "shape::Object")]
    client: Option<&'a RawValue>,
    /// The ids of the components under test.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Uuid>")]
    components: Option<&'a [Uuid]>,
    /// Its track: the builds of the same variant on the same branch. Null while a build that an older
    /// server stored is being prepared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<TrackDocument>")]
    track: Option<Option<TrackDocument>>,
    /// The commit, if the client record has a valid one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    revision: Option<Option<&'a str>>,
    /// The test cases by status; null if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<SummaryDocument>")]
    tests: Option<Option<SummaryDocument<'a>>>,
    /// The steps. In a list, null if the steps of this build are longer than a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<StepMembers>>")]
    results: Option<&'a Results<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Link>")]
    links: Option<&'a [Link]>,
}

/// A build.
#[derive(Debug)]
pub struct BuildDocument<'a> {
    /// The stored build.
    pub build: &'a Build,
    /// Its steps, if requested.
    pub results: Results<'a>,
    /// Its links, if requested.
    pub links: Vec<Link>,
    /// The requested members.
    pub fields: Fields,
}

impl Serialize for BuildDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let build = self.build;
        let (success, finished) = match build.outcome {
            Outcome::Running => (None, None),
            Outcome::Finished { success, finished } => (Some(success), Some(finished)),
        };
        let has = |name| self.fields.has(name);
        BuildMembers {
            id: has("id").then(|| build.key().to_string()),
            state: has("state").then(|| build.outcome.state().as_str()),
            success: has("success").then_some(success),
            started: has("started").then(|| build.started.to_rfc2822()),
            finished: has("finished").then(|| finished.map(|at| at.to_rfc2822())),
            tags: has("tags").then(|| build.tags.as_slice()),
            client: has("client").then(|| raw::<S>(&build.client.0)).transpose()?,
            components: has("components").then_some(&build.components),
            track: has("track").then(|| build.track.as_ref().map(TrackDocument::from)),
            revision: has("revision").then_some(build.revision.as_deref()),
            tests: has("tests").then(|| summary(&build.tests)),
            results: has("results").then_some(&self.results),
            links: has("links").then_some(&self.links),
        }
        .serialize(serializer)
    }
}

/// The steps of a build, for its document.
#[derive(Debug)]
pub enum Results<'a> {
    /// Steps to serialize.
    Steps(&'a [Step]),
    /// Already serialized steps.
    Written(&'a RawValue),
    /// Too large for this document, which contains `null` instead.
    LeftOut,
}

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Steps(steps) => serializer.collect_seq(steps.iter().map(StepMembers::from)),
            Self::Written(written) => written.serialize(serializer),
            Self::LeftOut => serializer.serialize_none(),
        }
    }
}

/// Serializes steps of a build in advance.
///
/// # Errors
/// If their stored data isn't JSON.
pub fn written_steps(steps: &[Step]) -> serde_json::Result<Box<RawValue>> {
    serde_json::value::to_raw_value(&Results::Steps(steps))
}

/// Serializes one step as it appears in a build document.
///
/// # Errors
/// As [`written_steps`].
pub fn written_step(step: &Step) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&StepMembers::from(step))
}

/// A build document split into two parts, between which its steps go, separated by commas.
///
/// # Errors
/// As [`written_steps`].
pub fn around_steps(mut document: BuildDocument<'_>) -> serde_json::Result<[Vec<u8>; 2]> {
    let behind = if document.fields.has("links") {
        let links = serde_json::to_string(&document.links)?;
        format!("],\"links\":{links}}}")
    } else {
        "]}".to_owned()
    };
    document.fields = document.fields.without(&["results", "links"]);
    let mut before = serde_json::to_vec(&document)?;
    before.pop();
    if before.len() > 1 {
        before.push(b',');
    }
    before.extend_from_slice(b"\"results\":[");
    Ok([before, behind.into_bytes()])
}

/// An object exactly as the client sent it.
fn raw<S: Serializer>(object: &JsonObject) -> Result<&RawValue, S::Error> {
    let text = if object.as_str().is_empty() { "{}" } else { object.as_str() };
    serde_json::from_str(text).map_err(S::Error::custom)
}

/// A step, including additional members from the client.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Step")]
pub(super) struct StepMembers<'a> {
    name: &'a str,
    /// Whether a step with a log runs; absent for one that was sent when it had ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "shape::StepState")]
    state: Option<&'static str>,
    /// Null while the step is running.
    success: Option<bool>,
    #[schemars(with = "shape::Date")]
    started: String,
    /// Null while the step is running.
    #[schemars(with = "Option<shape::Date>")]
    finished: Option<String>,
    output: &'a str,
    errout: &'a str,
    #[serde(flatten)]
    #[schemars(with = "shape::Object")]
    extras: Extras<'a>,
}

impl<'a> From<&'a Step> for StepMembers<'a> {
    fn from(step: &'a Step) -> Self {
        let end = step.end();
        Self {
            name: step.name.as_str(),
            state: match step.log {
                StepLog::Absent => None,
                StepLog::Open => Some(State::Running.as_str()),
                StepLog::Closed => Some(State::Finished.as_str()),
            },
            success: end.map(|(success, _)| success),
            started: step.started.to_rfc2822(),
            finished: end.map(|(_, at)| at.to_rfc2822()),
            output: &step.output,
            errout: &step.errout,
            extras: Extras(&step.extras),
        }
    }
}

/// A step by itself. What it links to tells where its log is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StepDocument")]
pub struct StepDocument<'a> {
    #[serde(flatten)]
    step: StepMembers<'a>,
    links: Vec<Link>,
}

impl<'a> StepDocument<'a> {
    /// A step with its links.
    pub fn new(step: &'a Step, links: Vec<Link>) -> Self {
        Self { step: step.into(), links }
    }
}

/// Entries of a log as JSON: arrays of milliseconds, stream and text, with commas between.
///
/// # Errors
/// None that an entry could cause.
pub fn written_entries(entries: &[LogEntry]) -> serde_json::Result<String> {
    let entries = entries.iter().map(|entry| (entry.millis, entry.stream.as_str(), &entry.text));
    let mut text = serde_json::to_string(&entries.collect::<Vec<_>>())?;
    text.pop();
    text.remove(0);
    Ok(text)
}

/// Additional members from the client, each as sent.
struct Extras<'a>(&'a JsonObject);

impl Serialize for Extras<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0.members().map_err(S::Error::custom)? {
            map.serialize_entry(&name, &value)?;
        }
        map.end()
    }
}

/// A project.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Project")]
pub struct ProjectDocument<'a> {
    name: &'a str,
    owner: Option<&'a str>,
    #[schemars(with = "shape::Who")]
    reporting: &'static str,
    #[serde(flatten)]
    tracking: TrackingMembers<'a>,
    /// Where its source code can be read.
    #[schemars(with = "Option<shape::CodeAddress>")]
    repository: Option<String>,
    /// What it is grouped by, with others.
    tags: Vec<&'a str>,
    links: Vec<Link>,
}

/// How the builds of a project are compared.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TrackingMembers<'a> {
    /// The branch that others are compared with; null for the first of `main`, `master`, `trunk` that
    /// has a finished build.
    #[schemars(with = "Option<shape::Branch>")]
    mainline: Option<&'a str>,
    /// What the variant of a build consists of.
    variant_by: Vec<String>,
    /// The limits of the gate that differ from the usual ones.
    gate: String,
    /// Who writes its issues: the owner and administrators, or any user.
    #[schemars(with = "shape::Triagers")]
    triage: &'static str,
}

impl<'a> From<&'a Tracking> for TrackingMembers<'a> {
    fn from(of: &'a Tracking) -> Self {
        Self {
            mainline: of.mainline.as_deref(),
            variant_by: of.variant_by.iter().map(ToString::to_string).collect(),
            gate: of.gate.to_string(),
            triage: of.triage.as_str(),
        }
    }
}

impl<'a> ProjectDocument<'a> {
    /// A project with its links.
    pub fn new(project: &'a Project, links: Vec<Link>) -> Self {
        Self {
            name: project.name.as_str(),
            owner: project.owner.as_ref().map(|(_, username)| username.as_str()),
            reporting: project.reporting.as_str(),
            tracking: (&project.tracking).into(),
            repository: project.repository.as_ref().map(ToString::to_string),
            tags: project.tags.iter().map(Tag::as_str).collect(),
            links,
        }
    }
}

/// A user.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "User")]
pub struct UserDocument<'a> {
    username: &'a str,
    links: Vec<Link>,
}

impl<'a> UserDocument<'a> {
    /// A user with its links.
    pub fn new(account: &'a Account, links: Vec<Link>) -> Self {
        Self { username: account.username.as_str(), links }
    }
}

/// The tags of a project.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TagList")]
pub struct TagListDocument<'a> {
    /// The tags in byte order.
    #[schemars(with = "Vec<shape::Tag>")]
    pub tags: &'a [Tag],
    /// The links.
    pub links: Vec<Link>,
}

/// A browser session.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Session")]
pub struct SessionDocument<'a> {
    /// The signed-in user; null for anyone else.
    pub username: Option<&'a str>,
}

/// The state of the server.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Status")]
pub struct StatusDocument<'a> {
    /// `ok`.
    pub status: &'static str,
    /// The version of the server, and the commit it was built from.
    pub version: &'a str,
}

/// An error.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub struct ErrorDocument<'a> {
    /// What happened and how to fix it.
    pub message: &'a str,
    /// Details; for example, `field` names the invalid member of the body.
    #[schemars(with = "shape::Object")]
    pub payload: serde_json::Value,
    /// The status code of the response.
    pub status_code: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_of_a_build_can_be_asked_for() {
        let schema = schemars::schema_for!(BuildMembers<'_>);
        let members = schema.get("properties").and_then(|members| members.as_object());
        let mut names: Vec<_> = members.into_iter().flat_map(|members| members.keys()).collect();
        let mut known = Fields::NAMES.to_vec();
        names.sort();
        known.sort();
        assert_eq!(names, known);
    }
}
