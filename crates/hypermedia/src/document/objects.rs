//! The objects of the query API: flat, with `id`, `created_at`, `updated_at` and `etag`.

mod tag;

use devmason_domain::{
    Account, Build, BuildId, Component, ComponentType, JsonObject, Outcome, Project, Step, Tag,
    TestResult, TestStatus, Timestamp, full_test_name,
};
use schemars::JsonSchema;
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::cases::TestTexts;
use super::outgoing::TrackingMembers;
use super::shape;
use crate::Collection;

pub use tag::TagObject;

/// A range of a list: `{"components": [...], "_meta": {"count": N}}`.
#[derive(Debug)]
pub struct ObjectList<T> {
    /// The collection listed.
    pub collection: Collection,
    /// The items in this range.
    pub items: Vec<T>,
    /// Number of items in the whole list.
    pub count: u64,
}

impl<T: Serialize> Serialize for ObjectList<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Meta {
            count: u64,
        }
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(self.collection.plural(), &self.items)?;
        map.serialize_entry("_meta", &Meta { count: self.count })?;
        map.end()
    }
}

/// One object under its singular name: `{"component": {...}}`.
#[derive(Debug)]
pub struct OneObject<T> {
    /// The collection it belongs to.
    pub collection: Collection,
    /// The object.
    pub object: T,
}

impl<T: Serialize> Serialize for OneObject<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.collection.singular(), &self.object)?;
        map.end()
    }
}

pub(super) fn utc<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_utc())
}

pub(super) fn maybe_utc<S: Serializer>(
    at: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    at.map(Timestamp::to_rfc3339_utc).serialize(serializer)
}

fn raw<S: Serializer>(json: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let raw: &RawValue = serde_json::from_str(json).map_err(S::Error::custom)?;
    raw.serialize(serializer)
}

fn object<S: Serializer>(object: &&JsonObject, serializer: S) -> Result<S::Ok, S::Error> {
    raw(if object.as_str().is_empty() { "{}" } else { object.as_str() }, serializer)
}

fn maybe_raw<S: Serializer>(json: &Option<&str>, serializer: S) -> Result<S::Ok, S::Error> {
    raw(json.unwrap_or("null"), serializer)
}

/// A component type.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ComponentType")]
pub struct ComponentTypeObject<'a> {
    id: Uuid,
    name: &'a str,
    #[serde(serialize_with = "utc")]
    #[schemars(with = "shape::Utc")]
    created_at: Timestamp,
    #[serde(serialize_with = "utc")]
    #[schemars(with = "shape::Utc")]
    updated_at: Timestamp,
    etag: String,
}

impl<'a> ComponentTypeObject<'a> {
    /// A component type with its ETag.
    pub fn new(of: &'a ComponentType, etag: String) -> Self {
        Self {
            id: of.id,
            name: of.name.as_str(),
            created_at: of.created_at,
            updated_at: of.updated_at,
            etag,
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum TypeOf<'a> {
    Id(Uuid),
    Whole(ComponentTypeObject<'a>),
}

/// A component.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Component")]
pub struct ComponentObject<'a> {
    id: Uuid,
    name: &'a str,
    /// The id of its type, or the type itself with `embed=componenttype`.
    componenttype: TypeOf<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Uuid")]
    componenttype_id: Option<Uuid>,
    title: Option<&'a str>,
    message: Option<&'a str>,
    url: Option<&'a str>,
    canonical_project_name: Option<&'a str>,
    sha: Option<&'a str>,
    #[serde(rename = "ref")]
    reference: Option<&'a str>,
    git: Option<&'a str>,
    #[serde(serialize_with = "maybe_raw")]
    #[schemars(with = "serde_json::Value")]
    data: Option<&'a str>,
    #[serde(serialize_with = "utc")]
    #[schemars(with = "shape::Utc")]
    created_at: Timestamp,
    #[serde(serialize_with = "utc")]
    #[schemars(with = "shape::Utc")]
    updated_at: Timestamp,
    etag: String,
}

impl<'a> ComponentObject<'a> {
    /// A component with its ETag, and with its whole type if that is embedded.
    pub fn new(of: &'a Component, etag: String, embedded: Option<ComponentTypeObject<'a>>) -> Self {
        let details = &of.details;
        Self {
            id: of.id,
            name: of.name.as_str(),
            componenttype_id: embedded.is_none().then_some(of.component_type),
            componenttype: embedded.map_or(TypeOf::Id(of.component_type), TypeOf::Whole),
            title: details.title.as_ref().map(|text| text.as_str()),
            message: details.message.as_ref().map(|text| text.as_str()),
            url: details.url.as_ref().map(|text| text.as_str()),
            canonical_project_name: details
                .canonical_project_name
                .as_ref()
                .map(|text| text.as_str()),
            sha: details.sha.as_ref().map(|text| text.as_str()),
            reference: details.reference.as_ref().map(|text| text.as_str()),
            git: details.git.as_ref().map(|text| text.as_str()),
            data: details.data.as_deref(),
            created_at: of.created_at,
            updated_at: of.updated_at,
            etag,
        }
    }
}

/// A project; its id is its slug.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ProjectObject")]
pub struct ProjectObject<'a> {
    id: &'a str,
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
    #[serde(serialize_with = "utc")]
    #[schemars(with = "shape::Utc")]
    created_at: Timestamp,
    #[serde(serialize_with = "utc")]
    #[schemars(with = "shape::Utc")]
    updated_at: Timestamp,
    etag: String,
}

impl<'a> ProjectObject<'a> {
    /// A project with its ETag.
    pub fn new(of: &'a Project, etag: String) -> Self {
        Self {
            id: of.slug.as_str(),
            name: of.name.as_str(),
            owner: of.owner.as_ref().map(|(_, username)| username.as_str()),
            reporting: of.reporting.as_str(),
            tracking: (&of.tracking).into(),
            repository: of.repository.as_ref().map(ToString::to_string),
            tags: of.tags.iter().map(Tag::as_str).collect(),
            created_at: of.created_at,
            updated_at: of.updated_at,
            etag,
        }
    }
}

/// A user; its id is the username.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UserObject")]
pub struct UserObject<'a> {
    id: &'a str,
    username: &'a str,
    #[serde(serialize_with = "utc")]
    #[schemars(with = "shape::Utc")]
    created_at: Timestamp,
    #[serde(serialize_with = "utc")]
    #[schemars(with = "shape::Utc")]
    updated_at: Timestamp,
    etag: String,
}

impl<'a> UserObject<'a> {
    /// A user with its ETag.
    pub fn new(of: &'a Account, etag: String) -> Self {
        let username = of.username.as_str();
        Self { id: username, username, created_at: of.created_at, updated_at: of.updated_at, etag }
    }
}

/// A build, without its steps; `key` is its id in URIs.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BuildObject")]
pub struct BuildObject<'a> {
    id: Uuid,
    key: String,
    project: &'a str,
    #[schemars(with = "shape::BuildState")]
    state: &'static str,
    success: Option<bool>,
    #[serde(serialize_with = "utc")]
    #[schemars(with = "shape::Utc")]
    started: Timestamp,
    #[serde(serialize_with = "maybe_utc")]
    #[schemars(with = "Option<shape::Utc>")]
    finished: Option<Timestamp>,
    user: Option<&'a str>,
    #[schemars(with = "Vec<shape::Tag>")]
    tags: &'a [devmason_domain::Tag],
    components: &'a [Uuid],
    #[serde(serialize_with = "object")]
    #[schemars(with = "shape::Object")]
    client: &'a JsonObject,
    steps: u32,
    failed_steps: u32,
    revision: Option<&'a str>,
    track: Option<String>,
    #[serde(serialize_with = "utc")]
    #[schemars(with = "shape::Utc")]
    created_at: Timestamp,
    #[serde(serialize_with = "utc")]
    #[schemars(with = "shape::Utc")]
    updated_at: Timestamp,
    etag: String,
}

impl<'a> BuildObject<'a> {
    /// A build of a project, with its ETag.
    pub fn new(of: &'a Build, project: &'a Project, etag: String) -> Self {
        let (success, finished) = match of.outcome {
            Outcome::Running => (None, None),
            Outcome::Finished { success, finished } => (Some(success), Some(finished)),
        };
        Self {
            id: of.id.0,
            key: of.key().to_string(),
            project: project.slug.as_str(),
            state: of.outcome.state().as_str(),
            success,
            started: of.started,
            finished,
            user: of.sender.username().map(|username| username.as_str()),
            tags: of.tags.as_slice(),
            components: &of.components,
            client: &of.client.0,
            steps: of.steps,
            failed_steps: of.failed_steps,
            revision: of.revision.as_deref(),
            track: of.track.as_ref().map(|track| track.key().to_string()),
            created_at: of.received,
            updated_at: of.updated_at,
            etag,
        }
    }
}

/// A step. Both its creation and its last change are when it ended, or else when it started.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "StepObject")]
pub struct StepObject<'a> {
    id: String,
    build_id: Uuid,
    project: &'a str,
    position: u32,
    name: &'a str,
    success: Option<bool>,
    #[serde(serialize_with = "utc")]
    #[schemars(with = "shape::Utc")]
    started: Timestamp,
    #[serde(serialize_with = "maybe_utc")]
    #[schemars(with = "Option<shape::Utc>")]
    finished: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "&str")]
    output: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "&str")]
    errout: Option<&'a str>,
    #[serde(serialize_with = "object")]
    #[schemars(with = "shape::Object")]
    extras: &'a JsonObject,
    #[serde(serialize_with = "utc")]
    #[schemars(with = "shape::Utc")]
    created_at: Timestamp,
    #[serde(serialize_with = "utc")]
    #[schemars(with = "shape::Utc")]
    updated_at: Timestamp,
    etag: String,
}

impl<'a> StepObject<'a> {
    /// The step at a position in a build, with its ETag.
    pub fn new(
        of: &'a Step,
        build: Uuid,
        position: u32,
        project: &'a Project,
        with_outputs: bool,
        etag: String,
    ) -> Self {
        Self {
            id: format!("{build}:{position}"),
            build_id: build,
            project: project.slug.as_str(),
            position,
            name: of.name.as_str(),
            success: of.end().map(|(success, _)| success),
            started: of.started,
            finished: of.end().map(|(_, at)| at),
            output: with_outputs.then_some(of.output.as_str()),
            errout: with_outputs.then_some(of.errout.as_str()),
            extras: &of.extras,
            created_at: of.finished,
            updated_at: of.finished,
            etag,
        }
    }
}

/// A test case; created and updated with its build.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TestObject")]
pub struct TestObject<'a> {
    id: String,
    build_id: Uuid,
    project: &'a str,
    position: u32,
    full_name: String,
    suite: &'a str,
    name: &'a str,
    #[schemars(with = "shape::Status")]
    status: TestStatus,
    duration: Option<f64>,
    #[serde(flatten)]
    #[schemars(with = "Option<TestTexts>")]
    texts: Option<TestTexts<'a>>,
    #[serde(serialize_with = "utc")]
    #[schemars(with = "shape::Utc")]
    created_at: Timestamp,
    #[serde(serialize_with = "utc")]
    #[schemars(with = "shape::Utc")]
    updated_at: Timestamp,
    etag: String,
}

impl<'a> TestObject<'a> {
    /// The test case at a position in a build, with its ETag; `with_texts` adds all its details.
    pub fn new(
        of: &'a TestResult,
        build: BuildId,
        position: u32,
        project: &'a Project,
        (created_at, updated_at): (Timestamp, Timestamp),
        with_texts: bool,
        etag: String,
    ) -> Self {
        Self {
            id: format!("{build}:{position}"),
            build_id: build.0,
            project: project.slug.as_str(),
            position,
            full_name: full_test_name(&of.suite, &of.name),
            suite: &of.suite,
            name: &of.name,
            status: of.status,
            duration: of.micros.map(|micros| micros as f64 / 1e6),
            texts: with_texts.then(|| TestTexts::new(of)),
            created_at,
            updated_at,
            etag,
        }
    }
}
