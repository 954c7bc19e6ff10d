//! Field tables, used to parse, validate, document and compile queries.

use super::{Key, QueryError};

/// The type of a field's values, which decides how they are parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text; case-sensitive, except for names of projects and users.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Number,
    /// A UUID.
    Uuid,
    /// A date as in RFC 3339 or RFC 2822.
    Datetime,
    /// A list of texts; a comparison with a value means "contains".
    Set,
}

/// A field of a resource that queries can use.
#[derive(Debug)]
pub struct Field {
    /// Its name in queries.
    pub name: &'static str,
    /// The type of its values.
    pub kind: Kind,
    /// Whether a list can be sorted by it.
    pub sortable: bool,
}

/// The fields of a resource.
#[derive(Debug)]
pub struct Table {
    /// The named fields.
    pub fields: &'static [Field],
    /// A JSON object defined by clients whose members are fields too, such as `client.host`.
    pub open: Option<&'static str>,
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, sortable: !matches!(kind, Kind::Set) }
}

/// Builds.
pub const BUILDS: Table = Table {
    fields: &[
        field("id", Kind::Uuid),
        field("key", Kind::Text),
        field("project", Kind::Text),
        field("state", Kind::Text),
        field("success", Kind::Boolean),
        field("started", Kind::Datetime),
        field("finished", Kind::Datetime),
        field("created_at", Kind::Datetime),
        field("updated_at", Kind::Datetime),
        field("user", Kind::Text),
        field("tags", Kind::Set),
        field("components", Kind::Set),
        field("steps", Kind::Number),
        field("failed_steps", Kind::Number),
        field("revision", Kind::Text),
        field("track", Kind::Text),
    ],
    open: Some("client"),
};

/// Steps.
pub const STEPS: Table = Table {
    fields: &[
        field("id", Kind::Text),
        field("build_id", Kind::Uuid),
        field("project", Kind::Text),
        field("position", Kind::Number),
        field("name", Kind::Text),
        field("success", Kind::Boolean),
        field("started", Kind::Datetime),
        field("finished", Kind::Datetime),
    ],
    open: None,
};

/// Test cases.
pub const TESTS: Table = Table {
    fields: &[
        field("id", Kind::Text),
        field("build_id", Kind::Uuid),
        field("project", Kind::Text),
        field("position", Kind::Number),
        field("full_name", Kind::Text),
        field("suite", Kind::Text),
        field("name", Kind::Text),
        field("status", Kind::Text),
        field("duration", Kind::Number),
    ],
    open: None,
};

/// Projects.
pub const PROJECTS: Table = Table {
    fields: &[
        field("id", Kind::Text),
        field("name", Kind::Text),
        field("owner", Kind::Text),
        field("reporting", Kind::Text),
        field("created_at", Kind::Datetime),
        field("updated_at", Kind::Datetime),
    ],
    open: None,
};

/// Tags.
pub const TAGS: Table = Table {
    fields: &[
        field("name", Kind::Text),
        field("project", Kind::Text),
        field("builds", Kind::Number),
        field("created_at", Kind::Datetime),
        field("updated_at", Kind::Datetime),
    ],
    open: None,
};

/// Known issues.
pub const ISSUES: Table = Table {
    fields: &[
        field("id", Kind::Uuid),
        field("project", Kind::Text),
        field("title", Kind::Text),
        field("state", Kind::Text),
        field("mute", Kind::Boolean),
        field("expires", Kind::Datetime),
        field("test", Kind::Text),
        field("message", Kind::Text),
        field("signature", Kind::Text),
        field("branch", Kind::Text),
        field("variant", Kind::Text),
        field("created_at", Kind::Datetime),
        field("updated_at", Kind::Datetime),
    ],
    open: None,
};

/// Tracks.
pub const TRACKS: Table = Table {
    fields: &[
        field("key", Kind::Text),
        field("project", Kind::Text),
        field("branch", Kind::Text),
        field("variant", Kind::Text),
        field("credited", Kind::Boolean),
        field("expected", Kind::Text),
    ],
    open: None,
};

/// Users.
pub const USERS: Table = Table {
    fields: &[
        field("username", Kind::Text),
        field("created_at", Kind::Datetime),
        field("updated_at", Kind::Datetime),
    ],
    open: None,
};

/// Component types.
pub const COMPONENT_TYPES: Table = Table {
    fields: &[
        field("id", Kind::Uuid),
        field("name", Kind::Text),
        field("created_at", Kind::Datetime),
        field("updated_at", Kind::Datetime),
    ],
    open: None,
};

/// Components.
pub const COMPONENTS: Table = Table {
    fields: &[
        field("id", Kind::Uuid),
        field("name", Kind::Text),
        field("componenttype", Kind::Uuid),
        field("componenttype_id", Kind::Uuid),
        field("title", Kind::Text),
        field("message", Kind::Text),
        field("url", Kind::Text),
        field("canonical_project_name", Kind::Text),
        field("sha", Kind::Text),
        field("ref", Kind::Text),
        field("git", Kind::Text),
        field("created_at", Kind::Datetime),
        field("updated_at", Kind::Datetime),
    ],
    open: Some("data"),
};

impl Table {
    /// Looks up a field by name.
    ///
    /// # Errors
    /// The field is unknown; the error lists the known ones.
    pub(super) fn key(&self, parameter: &'static str, name: &str) -> Result<Key, QueryError> {
        if let Some(open) = self.open
            && let Some(member) = name.strip_prefix(open).and_then(|rest| rest.strip_prefix('.'))
        {
            return Ok(Key { field: open, kind: Kind::Text, member: Some(member.to_owned()) });
        }
        let field = self
            .fields
            .iter()
            .find(|field| field.name == name && (parameter != "sort" || field.sortable));
        field.map(|field| Key { field: field.name, kind: field.kind, member: None }).ok_or_else(
            || QueryError::UnknownKey {
                parameter,
                key: name.to_owned(),
                valid: self.names(parameter == "sort"),
            },
        )
    }

    /// The field names that a query, or a sort order, accepts.
    pub fn names(&self, to_sort_by: bool) -> Vec<String> {
        let fields = self.fields.iter().filter(|field| !to_sort_by || field.sortable);
        let open = self.open.map(|open| format!("{open}.<member>"));
        fields.map(|field| field.name.to_owned()).chain(open).collect()
    }
}
