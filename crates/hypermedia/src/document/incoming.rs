//! Documents sent by clients, validated once, when they are parsed.

use std::borrow::Cow;

use devmason_domain::gate::Gate;
use devmason_domain::{
    ClientRecord, Closing, CodeAddress, Digest, JsonObject, MAX_PASSWORD_BYTES, Outcome, PlainText,
    ProjectName, Report, Reporting, Tag, TagSet, TestResult, Timestamp, Triage, VariantPart,
    is_branch, limits,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, IgnoredAny, MapAccess};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::bounded::{Bounded, Distinct};
use super::fingerprint::Fingerprint;
use super::incoming_step::IncomingStep;
use super::read::{DocumentError, Name, Open, open};
use super::shape::{self, Text};

/// A build: either complete, or to be reported step by step.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "NewBuild")]
#[schemars(extend("anyOf" = [{"required": ["success"]}, {"required": ["incremental"]}]))]
pub struct IncomingBuild {
    /// Whether the build succeeded; required unless `incremental` is true.
    success: Option<bool>,
    /// Whether the steps follow in later requests.
    incremental: Option<bool>,
    #[schemars(with = "Option<shape::Date>")]
    started: Option<Timestamp>,
    #[schemars(with = "Option<shape::Date>")]
    finished: Option<Timestamp>,
    #[schemars(with = "Option<Distinct<shape::Tag, { limits::TAGS }>>")]
    tags: Option<Distinct<Tag, { limits::TAGS }>>,
    client: Option<IncomingClient>,
    results: Option<Bounded<IncomingStep, { limits::STEPS }>>,
    components: Option<Distinct<ComponentRef, { limits::COMPONENTS }>>,
}

/// How a build refers to a component under test: by id, or by type and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(
    untagged,
    expecting = "a component is named by its id or by {\"type\": ..., \"name\": ...}"
)]
pub enum ComponentRef {
    /// By id.
    Id(Uuid),
    /// By the type's id or name, and the component's name.
    Name {
        /// The type's id or name.
        #[serde(rename = "type")]
        #[schemars(with = "Text<{ limits::COMPONENT_TEXT }>")]
        component_type: PlainText,
        /// The component's name.
        #[schemars(with = "Text<{ limits::COMPONENT_TEXT }>")]
        name: PlainText,
    },
}

impl IncomingBuild {
    /// The components that it says it tested, without duplicates, each with its position in the list.
    pub fn components(&self) -> Vec<(usize, ComponentRef)> {
        self.components.as_ref().map(|components| components.0.clone()).unwrap_or_default()
    }

    fn steps(&self) -> &[IncomingStep] {
        self.results.as_ref().map_or(&[], |steps| &steps.0)
    }

    /// The error for a component that doesn't exist.
    pub fn unknown_component(at: usize) -> DocumentError {
        DocumentError::new(format!("components[{at}]"), "component not found")
    }

    /// Removes and returns the test cases of all steps, in order.
    pub fn take_tests(&mut self) -> Vec<TestResult> {
        let steps = self.results.iter_mut().flat_map(|steps| &mut steps.0);
        steps.flat_map(IncomingStep::take_tests).collect()
    }

    /// Whether more steps follow.
    pub fn is_incremental(&self) -> bool {
        self.incremental == Some(true)
    }

    /// A fingerprint of the document's contents, to recognize a repeated PUT.
    pub fn digest(&self) -> Digest {
        let mut hash = Fingerprint::default();
        hash.flag(self.is_incremental().then_some(true))
            .flag(self.success)
            .time(self.started)
            .time(self.finished);
        let tags = self.tags.iter().flat_map(|tags| &tags.0);
        let mut tags: Vec<&str> = tags.map(|(_, tag)| tag.as_str()).collect();
        tags.sort_unstable();
        hash.number(tags.len());
        for tag in tags {
            hash.text(tag);
        }
        hash.members(self.client.as_ref().map_or(&[], |client| client.members.as_slice()));
        let steps = self.steps();
        hash.number(steps.len());
        for step in steps {
            step.hash(&mut hash);
        }
        let components = self.components.as_ref().map_or(&[][..], |components| &components.0);
        hash.number(components.len());
        for (_, component) in components {
            match component {
                ComponentRef::Id(id) => hash.text(&id.to_string()),
                ComponentRef::Name { component_type, name } => {
                    hash.text(component_type.as_str()).text(name.as_str())
                }
            };
        }
        hash.digest()
    }

    /// Converts the document, received at this time, to a report.
    ///
    /// # Errors
    /// A missing member, or too many tags.
    pub fn into_report(
        self,
        received: Timestamp,
        digest: Option<Digest>,
    ) -> Result<Report, DocumentError> {
        let outcome = match (self.is_incremental(), self.success) {
            (true, _) => Outcome::Running,
            (false, Some(success)) => {
                Outcome::Finished { success, finished: self.finished.unwrap_or(received) }
            }
            (false, None) => return Err(DocumentError::new("success", "required")),
        };
        let tags = self.tags.into_iter().flat_map(|tags| tags.0).map(|(_, tag)| tag).collect();
        let tags = TagSet::new(tags).map_err(|invalid| DocumentError::new("tags", invalid.0))?;
        let steps = self.results.unwrap_or_default().0.into_iter().enumerate();
        let steps = steps
            .map(|(at, step)| {
                step.into_step(received).map_err(|error| DocumentError {
                    field: match error.field.as_str() {
                        "" => format!("results[{at}]"),
                        member => format!("results[{at}].{member}"),
                    },
                    ..error
                })
            })
            .collect::<Result<_, _>>()?;
        let client = self.client.unwrap_or_default().members;
        let client = JsonObject::from_members(&client)
            .map_err(|invalid| DocumentError::new("client", invalid.0))?;
        if client.as_str().len() > limits::CLIENT {
            let problem = format!("longer than {} bytes", limits::CLIENT);
            return Err(DocumentError::new("client", problem));
        }
        Ok(Report {
            started: self.started.unwrap_or(received),
            received,
            outcome,
            tags,
            client: ClientRecord(client),
            steps,
            digest,
        })
    }
}

/// The client record: `host`, `user` and `arch` are strings; clients define all other members.
#[derive(Default)]
struct IncomingClient {
    members: Vec<(String, Box<RawValue>)>,
}

impl JsonSchema for IncomingClient {
    fn schema_name() -> Cow<'static, str> {
        "Client".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = generator.subschema_for::<Option<Text<{ limits::NAME }>>>();
        json_schema!({
            "type": "object", "maxProperties": limits::MEMBERS, "additionalProperties": true,
            "description": format!("The client record: at most {} bytes", limits::CLIENT),
            "properties": {"host": text, "user": text, "arch": text},
        })
    }
}

impl Open for IncomingClient {
    const EXPECTING: &'static str = "an object, the client record";
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        if !matches!(name, "host" | "user" | "arch") {
            return Ok(false);
        }
        if let Some(text) = map.next_value::<Option<Name>>()? {
            let raw = serde_json::value::to_raw_value(&text.0).map_err(A::Error::custom)?;
            self.members.push((name.to_owned(), raw));
        }
        Ok(true)
    }
    fn keep(&mut self, name: String, value: Box<RawValue>) {
        self.members.push((name, value));
    }
}

impl<'de> Deserialize<'de> for IncomingClient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        open(deserializer)
    }
}

/// A branch, or null.
fn branch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    let branch = Option::<String>::deserialize(deserializer)?;
    match &branch {
        Some(name) if !is_branch(name) => {
            Err(serde::de::Error::custom("must have 1 to 250 characters"))
        }
        _ => Ok(Some(branch)),
    }
}

/// A value, or null.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The parts of a variant.
fn parts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<VariantPart>>, D::Error> {
    let parts = Option::<Bounded<VariantPart, { VariantPart::MOST }>>::deserialize(deserializer)?;
    let parts = parts.map(|parts| parts.0);
    let twice = parts
        .iter()
        .flatten()
        .enumerate()
        .find(|(at, part)| parts.iter().flatten().take(*at).any(|known| known == *part));
    match twice {
        Some((_, part)) => Err(serde::de::Error::custom(format!("'{part}' is given twice"))),
        None => Ok(parts),
    }
}

fn tag_set<'de, D: Deserializer<'de>>(tags: D) -> Result<Option<TagSet>, D::Error> {
    let tags = Option::<Distinct<Tag, { limits::TAGS }>>::deserialize(tags)?;
    Ok(tags.map(|tags| tags.0.into_iter().map(|(_, tag)| tag).collect()))
}

/// A project to register or change. The additional members of the server's own documents are
/// ignored. Any other unknown member is refused, because its sender expects it to change a setting.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewProject")]
pub struct IncomingProject {
    /// The display name.
    #[schemars(with = "shape::Title")]
    pub name: ProjectName,
    /// Who may report builds; if absent, the setting doesn't change.
    #[schemars(with = "Option<shape::Who>")]
    pub reporting: Option<Reporting>,
    /// The branch that others are compared with; null for a usual one. If absent, it doesn't change.
    #[serde(default, deserialize_with = "branch")]
    #[schemars(with = "Option<shape::Branch>")]
    pub mainline: Option<Option<String>>,
    /// What the variant of a build consists of: `tags`, `tags:PATTERN`, `client.MEMBER`. If absent, it
    /// doesn't change.
    #[serde(default, deserialize_with = "parts")]
    #[schemars(with = "Option<Bounded<Text<{ VariantPart::BYTES }>, { VariantPart::MOST }>>")]
    pub variant_by: Option<Vec<VariantPart>>,
    /// The limits of the gate: `RULE:LIMIT,...`. If absent, they don't change.
    #[schemars(with = "Option<Text<{ Gate::BYTES }>>")]
    pub gate: Option<Gate>,
    /// Who writes its issues. If absent, that doesn't change.
    #[schemars(with = "Option<shape::Triagers>")]
    pub triage: Option<Triage>,
    /// Where its source code can be read: the address of a repository, for links to commits, branches,
    /// changes and files; null for none. If absent, it doesn't change.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<shape::CodeAddress>")]
    pub repository: Option<Option<CodeAddress>>,
    /// What it is grouped by, with others. If absent, they don't change.
    #[serde(default, deserialize_with = "tag_set")]
    #[schemars(with = "Option<Distinct<shape::Tag, { limits::TAGS }>>")]
    pub tags: Option<TagSet>,
    #[serde(default, rename = "id")]
    #[schemars(with = "serde_json::Value")]
    _id: IgnoredAny,
    #[serde(default, rename = "owner")]
    #[schemars(with = "serde_json::Value")]
    _owner: IgnoredAny,
    #[serde(default, rename = "created_at")]
    #[schemars(with = "serde_json::Value")]
    _created_at: IgnoredAny,
    #[serde(default, rename = "updated_at")]
    #[schemars(with = "serde_json::Value")]
    _updated_at: IgnoredAny,
    #[serde(default, rename = "etag")]
    #[schemars(with = "serde_json::Value")]
    _etag: IgnoredAny,
    #[serde(default, rename = "links")]
    #[schemars(with = "serde_json::Value")]
    _links: IgnoredAny,
}

/// A user to create, or whose password to change.
#[derive(Deserialize, Default, JsonSchema)]
#[schemars(rename = "NewUser")]
pub struct IncomingUser {
    /// The new password.
    #[schemars(with = "Option<Text<MAX_PASSWORD_BYTES>>")]
    pub password: Option<String>,
}

/// How an incremental build ends, if its steps don't tell.
#[derive(Deserialize, Default, JsonSchema)]
#[schemars(rename = "Closing")]
pub struct IncomingClosing {
    /// Whether the build succeeded. By default, it did if all its steps succeeded.
    success: Option<bool>,
    #[schemars(with = "Option<shape::Date>")]
    finished: Option<Timestamp>,
}

impl From<IncomingClosing> for Closing {
    fn from(closing: IncomingClosing) -> Self {
        Self { success: closing.success, finished: closing.finished }
    }
}

#[cfg(test)]
mod behaviour;
