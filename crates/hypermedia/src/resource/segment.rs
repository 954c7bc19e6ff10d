//! The variable segments of paths.

use std::borrow::Cow;

use devmason_domain::{BuildKey, Invalid, SignatureId, Slug, TrackKey, Username};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::{PathError, is_reserved};
use crate::TagSegment;

/// Characters that are not encoded in a path (RFC 3986, unreserved).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A variable segment of a path.
pub(crate) trait Segment: Sized {
    /// Parses the decoded text of a segment.
    fn read(text: &str) -> Result<Self, PathError>;
    /// Its unencoded text.
    fn text(&self) -> Cow<'_, str>;
}

impl Segment for Slug {
    fn read(text: &str) -> Result<Self, PathError> {
        if is_reserved(text) {
            return Err(PathError::Malformed(format!("the server reserves the name '{text}'")));
        }
        text.parse().map_err(malformed)
    }
    fn text(&self) -> Cow<'_, str> {
        self.as_str().into()
    }
}

impl Segment for BuildKey {
    fn read(text: &str) -> Result<Self, PathError> {
        text.parse().map_err(malformed)
    }
    fn text(&self) -> Cow<'_, str> {
        self.as_str().into()
    }
}

impl Segment for Username {
    fn read(text: &str) -> Result<Self, PathError> {
        text.parse().map_err(malformed)
    }
    fn text(&self) -> Cow<'_, str> {
        self.as_str().into()
    }
}

impl Segment for TagSegment {
    fn read(text: &str) -> Result<Self, PathError> {
        Ok(Self::new(text))
    }
    fn text(&self) -> Cow<'_, str> {
        self.as_str().into()
    }
}

impl Segment for String {
    fn read(text: &str) -> Result<Self, PathError> {
        Ok(text.to_owned())
    }
    fn text(&self) -> Cow<'_, str> {
        self.into()
    }
}

/// A UUID has a single spelling: small letters, with hyphens.
impl Segment for Uuid {
    fn read(text: &str) -> Result<Self, PathError> {
        let id = Self::try_parse(text).ok().filter(|id| id.to_string() == text);
        id.ok_or(PathError::NotFound)
    }
    fn text(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

/// A track's key has 16 hexadecimal digits, in small letters.
impl Segment for TrackKey {
    fn read(text: &str) -> Result<Self, PathError> {
        text.parse().map_err(|_| PathError::NotFound)
    }
    fn text(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

/// A signature's id has 32 hexadecimal digits, in small letters.
impl Segment for SignatureId {
    fn read(text: &str) -> Result<Self, PathError> {
        text.parse().map_err(|_| PathError::NotFound)
    }
    fn text(&self) -> Cow<'_, str> {
        self.as_str().into()
    }
}

/// A number has a single spelling: no sign, no leading zeros.
impl Segment for u32 {
    fn read(text: &str) -> Result<Self, PathError> {
        let number = text.parse().ok().filter(|number: &Self| number.to_string() == text);
        number.ok_or(PathError::NotFound)
    }
    fn text(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

/// A version of the API that agents of ReportPortal use; here both are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgentVersion {
    /// Of old agents, and of those that answer one request at a time.
    V1,
    /// Of the others.
    V2,
}

impl Segment for AgentVersion {
    fn read(text: &str) -> Result<Self, PathError> {
        match text {
            "v1" => Ok(Self::V1),
            "v2" => Ok(Self::V2),
            _ => Err(PathError::NotFound),
        }
    }
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
        .into()
    }
}

/// Two builds: `{one}...{other}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BuildPair {
    one: BuildKey,
    other: BuildKey,
}

impl BuildPair {
    /// A pair of builds; `None` if their ids have dots where nobody could tell which one they belong to.
    pub fn new(one: BuildKey, other: BuildKey) -> Option<Self> {
        let is_clear = |key: &BuildKey| {
            let key = key.as_str();
            !key.starts_with('.') && !key.ends_with('.') && !key.contains("...")
        };
        (is_clear(&one) && is_clear(&other)).then_some(Self { one, other })
    }

    /// The build that is looked at first.
    pub fn one(&self) -> &BuildKey {
        &self.one
    }

    /// The build that is compared with it.
    pub fn other(&self) -> &BuildKey {
        &self.other
    }
}

impl Segment for BuildPair {
    fn read(text: &str) -> Result<Self, PathError> {
        let (one, other) = text.split_once("...").ok_or(PathError::NotFound)?;
        let [one, other] = [one, other].map(|key| key.parse().map_err(malformed));
        Self::new(one?, other?).ok_or(PathError::NotFound)
    }
    fn text(&self) -> Cow<'_, str> {
        format!("{}...{}", self.one, self.other).into()
    }
}

fn malformed(invalid: Invalid) -> PathError {
    PathError::Malformed(invalid.0)
}

/// Appends a segment to a path.
pub(crate) fn append(path: &mut String, segment: &impl Segment) {
    path.push('/');
    path.extend(utf8_percent_encode(&segment.text(), ENCODED));
}
