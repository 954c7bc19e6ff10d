//! Conditions and orders of cases, as SQL would evaluate them: a comparison with null is neither true
//! nor false, nulls sort last, and text compares by its bytes.

use std::borrow::Cow;
use std::cmp::Ordering;

use devmason_domain::full_test_name;
use devmason_domain::query::{Comparison, Filter, Key, SortKey, Value};
use devmason_strips::Packed;

use super::Id;
use crate::store::like;

/// A value of a case's field; `None` is null.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub(super) enum Field<'a> {
    Text(Cow<'a, str>),
    Number(f64),
    Uuid(uuid::Uuid),
}

impl Field<'_> {
    pub(super) fn into_owned(self) -> Field<'static> {
        match self {
            Self::Text(text) => Field::Text(text.into_owned().into()),
            Self::Number(number) => Field::Number(number),
            Self::Uuid(id) => Field::Uuid(id),
        }
    }
}

/// A case, as conditions see it.
pub(super) struct Case<'a> {
    pub(super) project: &'a str,
    pub(super) build: Id,
    pub(super) position: u32,
    pub(super) name: Option<&'a (String, String)>,
    pub(super) case: Packed,
}

impl<'a> Case<'a> {
    /// A field's value. Every field of the domain's table has one; a test checks each.
    pub(super) fn field(&self, name: &str) -> Option<Field<'a>> {
        let text = |text: &'a str| Some(Field::Text(text.into()));
        let (suite, own) = self.name.map_or(("", ""), |(suite, own)| (suite, own));
        match name {
            "id" => Some(Field::Text(format!("{}:{}", self.build.0, self.position).into())),
            "build_id" => Some(Field::Uuid(self.build.0)),
            "project" => text(self.project),
            "position" => Some(Field::Number(self.position.into())),
            "full_name" => Some(Field::Text(full_test_name(suite, own).into())),
            "suite" => text(suite),
            "name" => text(own),
            "status" => text(self.case.status.as_str()),
            "duration" => self.case.micros.map(|micros| Field::Number(micros as f64 / 1e6)),
            _ => None,
        }
    }

    /// Whether a filter accepts the case; `None` is SQL's null.
    pub(super) fn is(&self, filter: &Filter) -> Option<bool> {
        match filter {
            Filter::All(filters) => self.joined(filters, true),
            Filter::Any(filters) => self.joined(filters, false),
            Filter::Not(filter) => self.is(filter).map(|is| !is),
            Filter::Null(key) => Some(self.field(key.field).is_none()),
            // No field of a case is a set.
            Filter::Has(..) => None,
            Filter::Compare(key, comparison, value) => self.compare(key, *comparison, value),
        }
    }

    /// Whether all are true, or any is.
    fn joined(&self, filters: &[Filter], all: bool) -> Option<bool> {
        let mut known = Some(all);
        for filter in filters {
            match self.is(filter) {
                Some(is) if is != all => return Some(is),
                Some(_) => {}
                None => known = None,
            }
        }
        known
    }

    fn compare(&self, key: &Key, comparison: Comparison, value: &Value) -> Option<bool> {
        let field = self.field(key.field)?;
        let value = match value {
            // A project's name is looked up regardless of case.
            Value::Text(text) if key.field == "project" => {
                Field::Text(text.to_ascii_lowercase().into())
            }
            Value::Text(text) => Field::Text(text.into()),
            Value::Number(number) => Field::Number(*number as f64),
            Value::Uuid(id) => Field::Uuid(*id),
            Value::Boolean(_) | Value::Datetime(_) => return None,
        };
        let order = field.partial_cmp(&value)?;
        Some(match comparison {
            Comparison::Equal => order == Ordering::Equal,
            Comparison::NotEqual => order != Ordering::Equal,
            Comparison::Less => order == Ordering::Less,
            Comparison::LessOrEqual => order != Ordering::Greater,
            Comparison::Greater => order == Ordering::Greater,
            Comparison::GreaterOrEqual => order != Ordering::Less,
            Comparison::Like | Comparison::LikeIgnoringCase => {
                let (Field::Text(text), Field::Text(pattern)) = (&field, &value) else {
                    return None;
                };
                match comparison {
                    Comparison::Like => like::like(text, pattern),
                    _ => like::ilike(text, pattern),
                }
            }
        })
    }
}

/// The values of a case's sort keys.
pub(super) type Values = [Option<Field<'static>>];

/// The order of two cases by the values of their sort keys; nulls last in either direction.
pub(super) fn by_keys(keys: &[SortKey], one: &Values, other: &Values) -> Ordering {
    for ((key, one), other) in keys.iter().zip(one).zip(other) {
        let order = match (one, other) {
            (Some(one), Some(other)) => {
                let order = one.partial_cmp(other).unwrap_or(Ordering::Equal);
                if key.descending { order.reverse() } else { order }
            }
            (one, other) => one.is_none().cmp(&other.is_none()),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}
