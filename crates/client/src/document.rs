//! The documents that clients send and receive.

use devmason_domain::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

fn rfc3339<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(Timestamp::to_rfc3339_utc).serialize(serializer)
}

fn is_empty<T>(list: &[T]) -> bool {
    list.is_empty()
}

/// A build to report: complete, or without `success` the start of an incremental one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Whether it succeeded; required unless it is incremental.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
    /// Whether steps follow later.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub incremental: bool,
    /// Start time; by default when the server receives it.
    #[serde(serialize_with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// End time; likewise.
    #[serde(serialize_with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// Its tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The client record: `host`, `arch`, `user` and any other members, stored unchanged.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub client: Map<String, Value>,
    /// Its steps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<Step>,
    /// The components under test: ids, or objects with `type` and `name`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Value>,
}

/// A step of a build.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Whether it succeeded.
    pub success: bool,
    /// Start time; by default when the server receives it.
    #[serde(serialize_with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// End time; likewise.
    #[serde(serialize_with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// Standard output, stored exactly.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// Standard error, stored exactly.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub errout: String,
    /// Its test cases.
    #[serde(skip_serializing_if = "is_empty")]
    pub tests: Vec<TestCase>,
    /// Any other members, stored unchanged.
    #[serde(flatten)]
    pub extras: Map<String, Value>,
}

/// A test case of a step.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TestCase {
    /// Its group: a class, a module, suites.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub suite: String,
    /// Its own name.
    pub name: String,
    /// `passed`, `flaky`, `skipped`, `failed` or `error`.
    pub status: String,
    /// Duration in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Why it failed, broke or was skipped: an object with `type`, `message`, `text`.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub failure: Value,
    /// Any other members.
    #[serde(flatten)]
    pub extras: Map<String, Value>,
}

/// A link in a document.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Link {
    /// The relation.
    pub rel: String,
    /// The target: a full URL.
    pub href: String,
    /// The methods this client may use there.
    pub allowed_methods: Vec<String>,
}

/// A document from the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Document(pub Value);

impl Document {
    /// The document's own links.
    pub fn links(&self) -> Vec<Link> {
        let links = self.0.get("links").cloned().unwrap_or_default();
        serde_json::from_value(links).unwrap_or_default()
    }

    /// The target of the first link with that `rel`.
    pub fn link(&self, rel: &str) -> Option<String> {
        self.links().into_iter().find(|link| link.rel == rel).map(|link| link.href)
    }

    /// A text member; empty if absent.
    pub fn text(&self, member: &str) -> &str {
        self.0.get(member).and_then(Value::as_str).unwrap_or_default()
    }

    /// The objects in a list member.
    pub fn list(&self, member: &str) -> Vec<Self> {
        let items = self.0.get(member).and_then(Value::as_array);
        items.into_iter().flatten().cloned().map(Self).collect()
    }
}
