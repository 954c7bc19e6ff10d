//! Projects: what builds are about.

use std::str::FromStr;

use crate::{AccountId, Invalid, ProjectName, Slug, Timestamp, Username};

/// A project's number in the store. Never used again, not even after the project is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectId(pub i64);

/// Who may post builds to a project.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reporting {
    /// Anyone, with or without credentials.
    #[default]
    Anyone,
    /// Any user.
    Authenticated,
    /// The project's owner and administrators.
    Owner,
}

impl Reporting {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Anyone, Self::Authenticated, Self::Owner];

    /// The word for it, in JSON and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Authenticated => "authenticated",
            Self::Owner => "owner",
        }
    }
}

impl FromStr for Reporting {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        [Self::Anyone, Self::Authenticated, Self::Owner]
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| Invalid::new("must be 'anyone', 'authenticated' or 'owner'"))
    }
}

impl<'de> serde::Deserialize<'de> for Reporting {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The number in the store.
    pub id: ProjectId,
    /// The name in URIs, as first written.
    pub slug: Slug,
    /// The name for people.
    pub name: ProjectName,
    /// Who registered it, unless that was nobody or the user is gone.
    pub owner: Option<(AccountId, Username)>,
    /// Who may post builds.
    pub reporting: Reporting,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Goes up with each change.
    pub version: i64,
}
