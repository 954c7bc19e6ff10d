//! The language of `where`, `sort` and `query`: a table of fields for each resource, one small tree.
//!
//! `where` is the Distributed CI control server's (`field:value,field:value`), `query` its query
//! language as it has it today (`and(eq(success,false),ge(started,2026-01-01T00:00:00Z))`). Both
//! become a [`Filter`]; a store compiles that with every value bound.

mod parse;
mod table;

pub use parse::{parse_query, parse_sort, parse_where};
pub use table::{
    BUILDS, COMPONENT_TYPES, COMPONENTS, Field, Kind, PROJECTS, STEPS, TAGS, TESTS, Table, USERS,
};

use uuid::Uuid;

use crate::Timestamp;

/// A field that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The field's name in its table; for a member of an open object, the object's.
    pub field: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Which member of an open object, such as `host` of `client`.
    pub member: Option<String>,
}

/// A value to compare with, of the field's kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of a text field or a set.
    Text(String),
    /// Of a boolean field.
    Boolean(bool),
    /// Of a number field.
    Number(i64),
    /// Of a UUID field.
    Uuid(Uuid),
    /// Of a datetime field.
    Datetime(Timestamp),
}

/// How a field is compared with a value. Nothing compares with null, as in SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `eq`
    Equal,
    /// `ne`
    NotEqual,
    /// `lt`; text is ordered by its bytes.
    Less,
    /// `le`
    LessOrEqual,
    /// `gt`
    Greater,
    /// `ge`
    GreaterOrEqual,
    /// `like`: `%` is any text, `_` any character, `\` takes the next one as it is.
    Like,
    /// `ilike`: the same, the case of ASCII letters aside.
    LikeIgnoringCase,
}

/// What must hold of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All of these; nothing at all holds always.
    All(Vec<Filter>),
    /// One of these at least.
    Any(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// The field compares so.
    Compare(Key, Comparison, Value),
    /// The field is null.
    Null(Key),
    /// The set has the value.
    Has(Key, String),
}

/// The filter that everything passes.
impl Default for Filter {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl Filter {
    /// Whether everything passes.
    pub fn is_everything(&self) -> bool {
        matches!(self, Self::All(filters) if filters.is_empty())
    }

    /// The value that this field must have in whatever passes, where the filter says so outright.
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

    /// Whether anything is asked of this field.
    pub fn mentions(&self, field: &str) -> bool {
        match self {
            Self::All(filters) | Self::Any(filters) => {
                filters.iter().any(|filter| filter.mentions(field))
            }
            Self::Not(filter) => filter.mentions(field),
            Self::Compare(key, ..) | Self::Null(key) | Self::Has(key, _) => key.field == field,
        }
    }

    /// What passes both.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if other.is_everything() => one,
            (one, other) if one.is_everything() => other,
            (one, other) => Self::All(vec![one, other]),
        }
    }
}

/// A field to sort by; nulls come last either way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    /// Which field.
    pub key: Key,
    /// From the greatest to the least.
    pub descending: bool,
}

/// A list's selection and order; without either it is the whole list in its own order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// What must hold.
    pub filter: Filter,
    /// The order; empty means the list's own.
    pub sort: Vec<SortKey>,
}

impl Selection {
    /// Whether this is the whole list in its own order.
    pub fn is_everything(&self) -> bool {
        self.filter.is_everything() && self.sort.is_empty()
    }
}

/// Why a query was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A field that is not there, with those that are.
    #[error("Invalid {parameter} key: '{key}'")]
    UnknownKey {
        /// `where`, `sort` or `query`.
        parameter: &'static str,
        /// What was asked for.
        key: String,
        /// What can be.
        valid: Vec<String>,
    },
    /// Anything else.
    #[error("{parameter}: {problem}")]
    Malformed {
        /// `where`, `sort` or `query`.
        parameter: &'static str,
        /// What is wrong.
        problem: String,
    },
}
