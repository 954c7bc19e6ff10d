//! Components and their types, as clients send them.

use devmason_domain::{ComponentDetails, ComponentName, PlainText, limits};
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::raw::Kept;
use super::read::DocumentError;
use super::shape::{Text, Title};

/// A descriptive text of a component.
type Detail = Text<{ limits::COMPONENT_TEXT }>;

/// A component type to create or rename.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "NewComponentType")]
pub struct IncomingComponentType {
    /// Its name.
    #[schemars(with = "Title")]
    pub name: ComponentName,
}

/// A component to create or change. Absent members are left unset.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ComponentChange")]
pub struct IncomingComponent {
    /// Its name.
    #[schemars(with = "Option<Title>")]
    pub name: Option<ComponentName>,
    /// The id or name of its type.
    #[schemars(with = "Option<Detail>")]
    componenttype: Option<PlainText>,
    /// An alias of `componenttype`.
    #[schemars(with = "Option<Detail>")]
    componenttype_id: Option<PlainText>,
    #[schemars(with = "Option<Detail>")]
    title: Option<PlainText>,
    #[schemars(with = "Option<Detail>")]
    message: Option<PlainText>,
    #[schemars(with = "Option<Detail>")]
    url: Option<PlainText>,
    #[schemars(with = "Option<Detail>")]
    canonical_project_name: Option<PlainText>,
    #[schemars(with = "Option<Detail>")]
    sha: Option<PlainText>,
    #[serde(rename = "ref")]
    #[schemars(with = "Option<Detail>")]
    reference: Option<PlainText>,
    #[schemars(with = "Option<Detail>")]
    git: Option<PlainText>,
    /// Any JSON of at most 64 KiB.
    #[schemars(with = "serde_json::Value")]
    data: Option<Data>,
}

/// A component's `data`: any JSON, up to a size limit.
struct Data(Box<RawValue>);

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Kept(raw) = Kept::deserialize(deserializer)?;
        if raw.get().len() > limits::COMPONENT_DATA {
            let problem = format!("longer than {} bytes", limits::COMPONENT_DATA);
            return Err(D::Error::custom(problem));
        }
        Ok(Self(raw))
    }
}

impl IncomingComponent {
    /// The id or name of its type, from either member.
    pub fn component_type(&self) -> Option<&str> {
        self.componenttype.as_ref().or(self.componenttype_id.as_ref()).map(PlainText::as_str)
    }

    /// The error for a missing member that a new component requires.
    pub fn missing(field: &str) -> DocumentError {
        DocumentError::new(field, "required")
    }

    /// Its description.
    pub fn details(self) -> ComponentDetails {
        ComponentDetails {
            title: self.title,
            message: self.message,
            url: self.url,
            canonical_project_name: self.canonical_project_name,
            sha: self.sha,
            reference: self.reference,
            git: self.git,
            data: self.data.map(|data| data.0.get().to_owned()),
        }
    }
}
