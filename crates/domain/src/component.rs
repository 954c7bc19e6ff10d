//! Components: the things under test, each of a type.

use uuid::Uuid;

use crate::name::text_value;
use crate::{AccountId, Invalid, Timestamp, limits};

text_value! {
    /// The name of a component or a component type: 1 to 200 characters, no control characters.
    ComponentName, |text| {
        if text.trim().is_empty() || text.chars().count() > 200 || text.chars().any(char::is_control) {
            return Err(Invalid::new("a name must have 1 to 200 characters and no control characters"));
        }
        Ok(text.to_owned())
    }
}

text_value! {
    /// Text of at most [`limits::COMPONENT_TEXT`] bytes, without NUL, which databases refuse.
    PlainText, |text| {
        if text.contains('\0') {
            return Err(Invalid::new("may not contain NUL"));
        }
        if text.len() > limits::COMPONENT_TEXT {
            return Err(Invalid::new(format!("may have at most {} bytes", limits::COMPONENT_TEXT)));
        }
        Ok(text.to_owned())
    }
}

/// A kind of thing under test: a package, an image, a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentType {
    /// Its id.
    pub id: Uuid,
    /// Its name, unique among component types.
    pub name: ComponentName,
    /// The user who created it, if any.
    pub creator: Option<AccountId>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Increases with every change.
    pub version: i64,
}

/// Properties of a component other than its name and type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComponentDetails {
    /// The display title.
    pub title: Option<PlainText>,
    /// A message, such as a commit's.
    pub message: Option<PlainText>,
    /// Its location.
    pub url: Option<PlainText>,
    /// The canonical name: project and version.
    pub canonical_project_name: Option<PlainText>,
    /// A commit's hash.
    pub sha: Option<PlainText>,
    /// A branch or a tag of a repository.
    pub reference: Option<PlainText>,
    /// A repository.
    pub git: Option<PlainText>,
    /// Additional data from clients: JSON text, exactly as sent.
    pub data: Option<String>,
}

/// A thing under test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its id.
    pub id: Uuid,
    /// Its name, unique within its type.
    pub name: ComponentName,
    /// Its type.
    pub component_type: Uuid,
    /// Its description.
    pub details: ComponentDetails,
    /// The user who created it, if any.
    pub creator: Option<AccountId>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Increases with every change.
    pub version: i64,
}
