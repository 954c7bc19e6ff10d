//! The language of `where` and `sort`: one table of fields, one small tree.

use crate::{Invalid, Timestamp};

/// What a field holds, and so how its value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text; case counts, except in the names of projects and users.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Number,
    /// A date of RFC 3339 or RFC 2822.
    Datetime,
    /// A list of text; asking for a value means "has".
    Set,
}

/// A field of a build that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildField {
    /// The id in URIs.
    Id,
    /// The project's name in URIs.
    Project,
    /// Whether it succeeded; null while it runs.
    Success,
    /// `running` or `finished`.
    State,
    /// When it started.
    Started,
    /// When it ended; null while it runs.
    Finished,
    /// When the server received it.
    CreatedAt,
    /// The user it is credited to.
    User,
    /// Its tags.
    Tags,
    /// How many steps it has.
    Steps,
    /// How many of them failed.
    FailedSteps,
    /// A member of the client record.
    Client(String),
}

impl BuildField {
    /// The table of fields: name, kind, field. `client.` stands before any member's name.
    const TABLE: [(&'static str, Kind, Self); 11] = [
        ("id", Kind::Text, Self::Id),
        ("project", Kind::Text, Self::Project),
        ("success", Kind::Boolean, Self::Success),
        ("state", Kind::Text, Self::State),
        ("started", Kind::Datetime, Self::Started),
        ("finished", Kind::Datetime, Self::Finished),
        ("created_at", Kind::Datetime, Self::CreatedAt),
        ("user", Kind::Text, Self::User),
        ("tags", Kind::Set, Self::Tags),
        ("steps", Kind::Number, Self::Steps),
        ("failed_steps", Kind::Number, Self::FailedSteps),
    ];

    fn parse(name: &str) -> Option<(Self, Kind)> {
        if let Some(member) = name.strip_prefix("client.") {
            return Some((Self::Client(member.to_owned()), Kind::Text));
        }
        let row = Self::TABLE.iter().find(|(known, ..)| *known == name)?;
        Some((row.2.clone(), row.1))
    }

    fn sortable(&self) -> bool {
        !matches!(self, Self::Tags | Self::Client(_) | Self::User | Self::Project)
    }

    /// The names that `where` knows.
    pub fn where_keys() -> Vec<&'static str> {
        Self::TABLE.iter().map(|row| row.0).chain(["client.<member>"]).collect()
    }

    /// The names that `sort` knows.
    pub fn sort_keys() -> Vec<&'static str> {
        Self::TABLE.iter().filter(|row| row.2.sortable()).map(|row| row.0).collect()
    }
}

/// A value to compare with, of the field's kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing there.
    Null,
    /// Of a text field or a set.
    Text(String),
    /// Of a boolean field.
    Boolean(bool),
    /// Of a number field.
    Number(i64),
    /// Of a datetime field.
    Datetime(Timestamp),
}

/// A field that must have a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Which field.
    pub field: BuildField,
    /// Which value.
    pub value: Value,
}

/// A field to sort by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    /// Which field.
    pub field: BuildField,
    /// From the greatest to the least.
    pub descending: bool,
}

/// A list's selection and order; without either it is the whole list, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    /// The order; empty means newest first.
    pub sort: Vec<SortKey>,
}

impl Selection {
    /// Whether this is the whole list, newest first.
    pub fn is_everything(&self) -> bool {
        self.conditions.is_empty() && self.sort.is_empty()
    }
}

/// Why a query was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A field that is not there, with those that are.
    #[error("Invalid {parameter} key: '{key}'")]
    UnknownKey {
        /// `where` or `sort`.
        parameter: &'static str,
        /// What was asked for.
        key: String,
        /// What can be.
        valid: Vec<&'static str>,
    },
    /// Anything else.
    #[error("{parameter}: {problem}")]
    Malformed {
        /// `where` or `sort`.
        parameter: &'static str,
        /// What is wrong.
        problem: String,
    },
}

/// How many conditions or sort keys one request may have.
const MAX_TERMS: usize = 20;

fn malformed(parameter: &'static str, problem: impl Into<String>) -> QueryError {
    QueryError::Malformed { parameter, problem: problem.into() }
}

/// Reads `where=f1:v1,f2:v2`; a pair that holds a comma stands in CSV quotes, `"f:a,b"`.
///
/// # Errors
/// An unknown field, a pair without a colon, a value that is not of the field's kind.
pub fn parse_where(text: &str) -> Result<Vec<Condition>, QueryError> {
    let pairs = csv(text).map_err(|problem| malformed("where", problem))?;
    if pairs.len() > MAX_TERMS {
        return Err(malformed("where", format!("at most {MAX_TERMS} conditions")));
    }
    pairs.iter().map(|pair| condition(pair)).collect()
}

fn condition(pair: &str) -> Result<Condition, QueryError> {
    let Some((name, text)) = pair.split_once(':') else {
        return Err(malformed("where", format!("'{pair}' is not 'field:value'")));
    };
    let (field, kind) = BuildField::parse(name).ok_or_else(|| QueryError::UnknownKey {
        parameter: "where",
        key: name.to_owned(),
        valid: BuildField::where_keys(),
    })?;
    if pair.contains('\0') {
        return Err(malformed("where", format!("{name}: no value holds NUL")));
    }
    let wrong = |what: &str| malformed("where", format!("{name}: '{text}' is not {what}"));
    let value = match kind {
        _ if text.is_empty() => Value::Null,
        Kind::Text | Kind::Set => Value::Text(text.to_owned()),
        Kind::Boolean => {
            Value::Boolean(text.to_ascii_lowercase().parse().map_err(|_| wrong("true or false"))?)
        }
        Kind::Number => Value::Number(text.parse().map_err(|_| wrong("a whole number"))?),
        Kind::Datetime => Value::Datetime(
            text.parse()
                .map_err(|error: Invalid| malformed("where", format!("{name}: {error}")))?,
        ),
    };
    Ok(Condition { field, value })
}

/// Reads `sort=f1,-f2`.
///
/// # Errors
/// A field that is not there, or cannot be sorted by.
pub fn parse_sort(text: &str) -> Result<Vec<SortKey>, QueryError> {
    let keys: Vec<&str> = text.split(',').filter(|key| !key.is_empty()).collect();
    if keys.len() > MAX_TERMS {
        return Err(malformed("sort", format!("at most {MAX_TERMS} keys")));
    }
    let parse = |key: &&str| {
        let name = key.strip_prefix('-').unwrap_or(key);
        let field = BuildField::parse(name).map(|(field, _)| field).filter(BuildField::sortable);
        field.map(|field| SortKey { field, descending: name.len() < key.len() }).ok_or_else(|| {
            QueryError::UnknownKey {
                parameter: "sort",
                key: name.to_owned(),
                valid: BuildField::sort_keys(),
            }
        })
    };
    keys.iter().map(parse).collect()
}

/// Splits at commas, except in double quotes; a quote inside quotes is doubled (RFC 4180).
fn csv(text: &str) -> Result<Vec<String>, &'static str> {
    let mut fields = Vec::new();
    let mut chars = text.chars().peekable();
    while chars.peek().is_some() {
        let mut field = String::new();
        if chars.next_if_eq(&'"').is_some() {
            loop {
                match chars.next() {
                    Some('"') if chars.next_if_eq(&'"').is_some() => field.push('"'),
                    Some('"') => break,
                    Some(c) => field.push(c),
                    None => return Err("a quote is not closed"),
                }
            }
            if !matches!(chars.next(), None | Some(',')) {
                return Err("text after a closing quote");
            }
        } else {
            for c in chars.by_ref().take_while(|c| *c != ',') {
                field.push(c);
            }
        }
        if !field.is_empty() {
            fields.push(field);
        }
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_condition_is_typed_by_its_field() {
        let parsed = parse_where("success:false,client.host:ci-7,finished:,steps:5").unwrap();
        assert_eq!(
            parsed,
            [
                Condition { field: BuildField::Success, value: Value::Boolean(false) },
                Condition {
                    field: BuildField::Client("host".into()),
                    value: Value::Text("ci-7".into())
                },
                Condition { field: BuildField::Finished, value: Value::Null },
                Condition { field: BuildField::Steps, value: Value::Number(5) },
            ]
        );
    }

    #[test]
    fn a_value_may_hold_colons_and_in_quotes_commas() {
        let parsed =
            parse_where("\"client.note:a,b: \"\"c\"\"\",started:2026-01-01T00:00:00Z").unwrap();
        assert_eq!(parsed[0].value, Value::Text("a,b: \"c\"".into()));
        assert_eq!(parsed[1].value, Value::Datetime("2026-01-01T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_valid_ones() {
        let error = parse_sort("-x").unwrap_err();
        assert_eq!(error.to_string(), "Invalid sort key: 'x'");
        assert!(
            matches!(error, QueryError::UnknownKey { valid, .. } if valid.contains(&"started"))
        );
        assert!(parse_where("x:1").is_err());
        assert!(parse_sort("tags").is_err());
    }

    #[test]
    fn values_of_the_wrong_kind_are_refused() {
        for text in
            ["success:maybe", "steps:many", "started:soon", "success", "\"success:true", "id:a\0"]
        {
            assert!(parse_where(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = (parse_where(&text), parse_sort(&text));
        }
    }
}
