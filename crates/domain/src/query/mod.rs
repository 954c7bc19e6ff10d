//! The query language of `where`, `sort` and `query`: a table of fields per resource, and a small
//! expression tree.
//!
//! `where` has the syntax of the Distributed CI control server (`field:value,field:value`); `query`
//! has that of its current query language
//! (`and(eq(success,false),ge(started,2026-01-01T00:00:00Z))`). Both become a [`Filter`], which a
//! store compiles with every value bound.

mod parse;
mod table;

pub use parse::{parse_query, parse_sort, parse_where};
pub use table::{
    BUILDS, COMPONENT_TYPES, COMPONENTS, Field, ISSUES, Kind, PROJECTS, STEPS, TAGS, TESTS, TRACKS,
    Table, USERS,
};

use uuid::Uuid;

use crate::Timestamp;

/// A field named in a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The field's name in its table; for a member of an open object, the object's name.
    pub field: &'static str,
    /// The type of its values.
    pub kind: Kind,
    /// The member of an open object, such as `host` of `client`.
    pub member: Option<String>,
}

/// A value to compare with, of the field's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// For a text field or a set.
    Text(String),
    /// For a boolean field.
    Boolean(bool),
    /// For a number field.
    Number(i64),
    /// For a UUID field.
    Uuid(Uuid),
    /// For a datetime field.
    Datetime(Timestamp),
}

/// How a field is compared with a value. As in SQL, a comparison with null is never true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `eq`
    Equal,
    /// `ne`
    NotEqual,
    /// `lt`; text is compared by bytes.
    Less,
    /// `le`
    LessOrEqual,
    /// `gt`
    Greater,
    /// `ge`
    GreaterOrEqual,
    /// `like`: `%` matches any text, `_` any character, and `\` escapes the next character.
    Like,
    /// `ilike`: like `like`, but ignores the case of ASCII letters.
    LikeIgnoringCase,
}

/// A condition on a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All of these; an empty list is always true.
    All(Vec<Filter>),
    /// At least one of these.
    Any(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// The comparison is true.
    Compare(Key, Comparison, Value),
    /// The field is null.
    Null(Key),
    /// The set contains the value.
    Has(Key, String),
}

/// The filter that accepts everything.
impl Default for Filter {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl Filter {
    /// Whether this is the filter that accepts everything.
    pub fn is_everything(&self) -> bool {
        matches!(self, Self::All(filters) if filters.is_empty())
    }

    /// The value that this field has in every accepted row, if the filter states it directly.
    pub fn required(&self, field: &str) -> Option<&Value> {
        match self {
            Self::Compare(key, Comparison::Equal, value)
                if key.field == field && key.member.is_none() =>
            {
                Some(value)
            }
            Self::All(filters) => filters.iter().find_map(|filter| filter.required(field)),
            _ => None,
        }
    }

    /// Whether the filter has a condition on this field.
    pub fn mentions(&self, field: &str) -> bool {
        match self {
            Self::All(filters) | Self::Any(filters) => {
                filters.iter().any(|filter| filter.mentions(field))
            }
            Self::Not(filter) => filter.mentions(field),
            Self::Compare(key, ..) | Self::Null(key) | Self::Has(key, _) => key.field == field,
        }
    }

    /// A filter that accepts what both filters accept.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if other.is_everything() => one,
            (one, other) if one.is_everything() => other,
            (one, other) => Self::All(vec![one, other]),
        }
    }
}

/// A field to sort by; nulls come last in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    /// The field.
    pub key: Key,
    /// Sort from greatest to least.
    pub descending: bool,
}

/// A list's filter and order. The default selects the whole list in its own order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The filter.
    pub filter: Filter,
    /// The order; empty for the list's own order.
    pub sort: Vec<SortKey>,
}

impl Selection {
    /// Whether this selects the whole list in its own order.
    pub fn is_everything(&self) -> bool {
        self.filter.is_everything() && self.sort.is_empty()
    }
}

/// Why a query was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// An unknown field, with the known ones.
    #[error("Invalid {parameter} key: '{key}'")]
    UnknownKey {
        /// `where`, `sort` or `query`.
        parameter: &'static str,
        /// The requested name.
        key: String,
        /// The valid names.
        valid: Vec<String>,
    },
    /// Anything else.
    #[error("{parameter}: {problem}")]
    Malformed {
        /// `where`, `sort` or `query`.
        parameter: &'static str,
        /// The problem.
        problem: String,
    },
}
