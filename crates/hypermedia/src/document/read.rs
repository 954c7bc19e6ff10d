//! Strict parsing of documents from request bodies. Errors carry the path of the invalid member.

use std::fmt;
use std::marker::PhantomData;

use devmason_domain::limits;
use serde::de::{DeserializeOwned, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::raw::{Kept, unfit};

/// Why a document was refused, and the invalid member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentError {
    /// The member's path, such as `results[3].started`; empty for the document as a whole.
    pub field: String,
    /// The problem.
    pub problem: String,
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => f.write_str(&self.problem),
            field => write!(f, "{field}: {}", self.problem),
        }
    }
}

impl std::error::Error for DocumentError {}

impl DocumentError {
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// Parses a document from a request body.
///
/// # Errors
/// Anything other than JSON of the document's shape; the error has the path of the invalid member.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, DocumentError> {
    parse_as(body, ('{', "object"))
}

/// Parses a document that is a list.
///
/// # Errors
/// As [`parse`].
pub fn parse_list<T: DeserializeOwned>(body: &[u8]) -> Result<T, DocumentError> {
    parse_as(body, ('[', "array"))
}

fn parse_as<T: DeserializeOwned>(
    body: &[u8],
    (begin, kind): (char, &str),
) -> Result<T, DocumentError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        DocumentError::new("", format!("the body is not UTF-8 (byte {})", error.valid_up_to()))
    })?;
    // serde would also accept an array, as an object's members in order.
    let is_other = !text.trim_ascii_start().starts_with(begin);
    if is_other && serde_json::from_str::<IgnoredAny>(text).is_ok() {
        return Err(DocumentError::new("", format!("the body is not a JSON {kind}")));
    }
    // Tracking the path makes parsing a third slower, so a document is parsed with it only after it
    // failed.
    match serde_json::from_str(text) {
        Ok(document) => match unfit(text) {
            Some(problem) => Err(DocumentError::new("", format!("the body contains {problem}"))),
            None => Ok(document),
        },
        Err(error) => Err(explain::<T>(text, &error)),
    }
}

fn explain<T: DeserializeOwned>(text: &str, error: &serde_json::Error) -> DocumentError {
    // A string that isn't Unicode is an error in a member, although it stops the parser like a syntax
    // error.
    let is_member = error.is_data()
        || error.to_string().contains("surrogate")
        || error.to_string().contains("hex escape");
    if !is_member {
        return DocumentError::new("", format!("the body is not JSON: {error}"));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let (path, message) = match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Ok(_) => (String::new(), error.to_string()),
        Err(error) => (error.path().to_string(), error.inner().to_string()),
    };
    let path = if path == "." { String::new() } else { path };
    let problem = message.rsplit_once(" at line ").map_or(message.as_str(), |(problem, _)| problem);
    // serde gives the path of the object with the missing or duplicate member; report the member
    // itself.
    for (start, problem_of_member) in
        [("missing field `", "required"), ("duplicate field `", "given twice")]
    {
        if let Some(member) = problem.strip_prefix(start).and_then(|rest| rest.strip_suffix('`')) {
            let dot = if path.is_empty() || path.ends_with(&format!(".{member}")) || path == member
            {
                ""
            } else {
                "."
            };
            let field = if dot.is_empty() && !path.is_empty() {
                path
            } else {
                format!("{path}{dot}{member}")
            };
            return DocumentError::new(field, problem_of_member);
        }
    }
    if let Some((member, _)) =
        problem.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'))
    {
        // The path is that of the member where serde knows it, and that of its object otherwise.
        let field = match path.as_str() {
            "" => member.to_owned(),
            path if path == member || path.ends_with(&format!(".{member}")) => path.to_owned(),
            path => format!("{path}.{member}"),
        };
        return DocumentError::new(field, "unknown member");
    }
    DocumentError::new(path, problem)
}

/// A name of limited length.
pub(super) struct Name(pub(super) String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() > limits::NAME {
            return Err(D::Error::custom(format!("longer than {} bytes", limits::NAME)));
        }
        Ok(Self(text))
    }
}

/// An object with some known members that stores the others as sent.
pub(super) trait Open: Default {
    const EXPECTING: &'static str;
    /// Parses the value of a known member; returns false if the name is unknown.
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error>;
    /// Stores an unknown member.
    fn keep(&mut self, name: String, value: Box<RawValue>);
}

/// Parses an open object; duplicate members, known or unknown, are refused.
pub(super) fn open<'de, T: Open, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Members<T>(PhantomData<T>);
    impl<'de, T: Open> Visitor<'de> for Members<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::EXPECTING)
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
            let mut object = T::default();
            let mut seen: Vec<String> = Vec::with_capacity(8);
            let mut seen_many = std::collections::HashSet::new();
            let mut members = 0;
            while let Some(name) = map.next_key::<String>()? {
                members += 1;
                if members > limits::MEMBERS {
                    let problem = format!("more than {} members", limits::MEMBERS);
                    return Err(A::Error::custom(problem));
                }
                if name.len() > limits::MEMBER_NAME {
                    let problem =
                        format!("a member's name is longer than {} bytes", limits::MEMBER_NAME);
                    return Err(A::Error::custom(problem));
                }
                // Comparing is faster than hashing for a handful of names, but not for a thousand.
                let doubled = if seen.len() < 16 {
                    seen.contains(&name)
                } else {
                    seen.contains(&name) || !seen_many.insert(name.clone())
                };
                if doubled {
                    return Err(A::Error::custom(format!("duplicate field `{name}`")));
                }
                if seen.len() < 16 {
                    seen.push(name.clone());
                }
                if !object.take(&name, &mut map)? {
                    let value = map.next_value::<Kept>()?;
                    object.keep(name, value.0);
                }
            }
            Ok(object)
        }
    }
    deserializer.deserialize_map(Members(PhantomData))
}
