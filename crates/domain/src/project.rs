//! Projects, to which builds belong.

use std::str::FromStr;

use crate::gate::Gate;
use crate::{
    AccountId, CodeAddress, Invalid, ProjectName, Slug, TagSet, Timestamp, Username, VariantPart,
};

/// A project's id in the store. Never reused, even after the project is deleted.
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

    /// The name in JSON and in the store.
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

/// Who may write the issues of a project.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Triage {
    /// The project's owner and administrators.
    #[default]
    Owner,
    /// Any user.
    Authenticated,
}

impl Triage {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Owner, Self::Authenticated];

    /// The name in JSON and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Authenticated => "authenticated",
        }
    }
}

impl FromStr for Triage {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let known = Self::ALL.into_iter().find(|mode| mode.as_str() == text);
        known.ok_or_else(|| Invalid::new("must be 'owner' or 'authenticated'"))
    }
}

impl<'de> serde::Deserialize<'de> for Triage {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How the builds of a project are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracking {
    /// The branch that others are compared with. `None` for the first of [`MAINLINES`] that has a
    /// finished build.
    pub mainline: Option<String>,
    /// What the variant of a build consists of. A change counts for builds from then on.
    pub variant_by: Vec<VariantPart>,
    /// The limits of its gate.
    pub gate: Gate,
    /// Who may write its issues.
    pub triage: Triage,
}

/// The branches that may be a project's mainline if it names none, the likeliest first. The last one
/// stands for builds without a branch.
pub const MAINLINES: [&str; 4] = ["main", "master", "trunk", ""];

impl Default for Tracking {
    fn default() -> Self {
        Self {
            mainline: None,
            variant_by: VariantPart::usual(),
            gate: Gate::default(),
            triage: Triage::default(),
        }
    }
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id in the store.
    pub id: ProjectId,
    /// The name in URIs, as first written.
    pub slug: Slug,
    /// The display name.
    pub name: ProjectName,
    /// The user who registered it; `None` if it was registered anonymously or the user was deleted.
    pub owner: Option<(AccountId, Username)>,
    /// Who may post builds.
    pub reporting: Reporting,
    /// How its builds are compared.
    pub tracking: Tracking,
    /// Where its source code can be read.
    pub repository: Option<CodeAddress>,
    /// What it is grouped by, with others.
    pub tags: TagSet,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Increases with every change.
    pub version: i64,
}
