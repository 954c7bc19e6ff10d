//! Validated names: slugs, build keys, usernames, tags.

use crate::limits;

/// Why a value was refused, worded for the sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

impl Invalid {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// A text newtype validated by `FromStr`, which JSON and URIs go through.
macro_rules! text_value {
    ($(#[$doc:meta])* $name:ident, $parse:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text, as it was first written.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// A text read back from a store. It isn't validated again: a value stored before a rule was added
            /// remains valid.
            pub fn from_stored(text: String) -> Self {
                Self(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                let parse: fn(&str) -> Result<String, Invalid> = $parse;
                parse(text).map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}
pub(crate) use text_value;

fn ascii_name(what: &str, text: &str, punctuation: &str, max: usize) -> Result<String, Invalid> {
    let fits = |c: char| c.is_ascii_alphanumeric() || punctuation.contains(c);
    if text.is_empty() || text.len() > max || !text.chars().all(fits) {
        return Err(Invalid::new(format!(
            "{what} must have 1 to {max} characters from A-Z, a-z, 0-9 and {punctuation}"
        )));
    }
    Ok(text.to_owned())
}

text_value! {
    /// A project's name in URIs: `[A-Za-z0-9_-]{1,100}`, stored as first written.
    ///
    /// Slugs that differ only in case name the same project; [`Slug::key`] is the form to compare.
    Slug, |text| ascii_name("a project's name in URLs", text, "_-", 100)
}

impl Slug {
    /// The form in which slugs are compared.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

text_value! {
    /// A build's id in URIs: `[A-Za-z0-9._~-]{1,100}`, but not `latest`, `.` or `..`.
    BuildKey, |text| match text {
        "latest" | "." | ".." => Err(Invalid::new(format!("a build's id may not be '{text}'"))),
        _ => ascii_name("a build's id", text, "._~-", 100),
    }
}

text_value! {
    /// A user's name: `[A-Za-z0-9_.@+-]{1,150}`, stored as first written.
    ///
    /// Names that differ only in case belong to the same user; [`Username::key`] is the form to
    /// compare.
    Username, |text| match text {
        // Clients remove such a path segment before they send a request (RFC 3986, 5.2.4).
        "." | ".." => Err(Invalid::new(format!("a username may not be '{text}'"))),
        _ => ascii_name("a username", text, "_.@+-", 150),
    }
}

impl Username {
    /// The form in which usernames are compared.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

text_value! {
    /// A project's display name: 1 to 200 characters, no control characters.
    ProjectName, |text| {
        if text.trim().is_empty() || text.chars().count() > 200 || text.chars().any(char::is_control) {
            return Err(Invalid::new("a project's name must have 1 to 200 characters and no control characters"));
        }
        Ok(text.to_owned())
    }
}

text_value! {
    /// A label on builds, within one project: 1 to 100 characters of Unicode text, trimmed. It contains
    /// no control characters and no `;` or `,` (they separate tags in URIs), and isn't `latest`.
    Tag, |text| {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > limits::TAG_CHARS {
            return Err(Invalid::new("a tag must have 1 to 100 characters"));
        }
        if text.contains([';', ',']) || text.chars().any(char::is_control) {
            return Err(Invalid::new("a tag may not contain ';', ',' or control characters"));
        }
        if text == "latest" {
            return Err(Invalid::new("a tag may not be 'latest'"));
        }
        Ok(text.to_owned())
    }
}

/// The tags of a build or a project: unique, at most [`TagSet::MAX`], in byte order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagSet(Vec<Tag>);

impl TagSet {
    /// Maximum number of different tags.
    pub const MAX: usize = limits::TAGS;

    /// Sorts the tags and drops duplicates; more than [`TagSet::MAX`] are refused.
    pub fn new(mut tags: Vec<Tag>) -> Result<Self, Invalid> {
        tags.sort_unstable();
        tags.dedup();
        if tags.len() > Self::MAX {
            return Err(Invalid::new(format!("at most {} tags are allowed", Self::MAX)));
        }
        Ok(Self(tags))
    }

    /// The tags in byte order.
    pub fn iter(&self) -> std::slice::Iter<'_, Tag> {
        self.0.iter()
    }

    /// The tags in byte order.
    pub fn as_slice(&self) -> &[Tag] {
        &self.0
    }
}

/// For sets known to be within the limit, such as those read back from a store.
impl FromIterator<Tag> for TagSet {
    fn from_iter<I: IntoIterator<Item = Tag>>(tags: I) -> Self {
        let mut tags: Vec<Tag> = tags.into_iter().collect();
        tags.sort_unstable();
        tags.dedup();
        Self(tags)
    }
}

/// Splits a segment such as `python-3.11-linux` into known tags joined with `-`, trying the longest
/// first.
///
/// Returns `None` if the segment doesn't consist of known tags only.
pub fn split_dashed(segment: &str, known: &dyn Fn(&str) -> bool) -> Option<Vec<Tag>> {
    let mut ends: Vec<usize> = segment.match_indices('-').map(|(at, _)| at).collect();
    ends.push(segment.len());
    // `dead[i]` records that no split works from part i on; without it, backtracking is exponential.
    let mut dead = vec![false; ends.len() + 1];
    fn from(
        part: usize,
        segment: &str,
        ends: &[usize],
        dead: &mut [bool],
        known: &dyn Fn(&str) -> bool,
    ) -> Option<Vec<Tag>> {
        if part == ends.len() {
            return Some(Vec::new());
        }
        if dead[part] {
            return None;
        }
        let start = if part == 0 { 0 } else { ends[part - 1] + 1 };
        for last in (part..ends.len()).rev() {
            let candidate = &segment[start..ends[last]];
            if let Ok(tag) = candidate.parse::<Tag>()
                && known(tag.as_str())
                && let Some(mut rest) = from(last + 1, segment, ends, dead, known)
            {
                rest.insert(0, tag);
                return Some(rest);
            }
        }
        dead[part] = true;
        None
    }
    from(0, segment, &ends, &mut dead, known)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_slug_keeps_its_case_and_compares_without_it() {
        let slug: Slug = "Pony-Build_2".parse().unwrap();
        assert_eq!(slug.as_str(), "Pony-Build_2");
        assert_eq!(slug.key(), "pony-build_2");
    }

    #[test]
    fn malformed_names_are_refused() {
        for text in ["", "a b", "a/b", "ü", "a.b", &"x".repeat(101)] {
            assert!(text.parse::<Slug>().is_err(), "{text}");
        }
        for text in ["", "latest", ".", "..", "a b", "a/b", &"x".repeat(101)] {
            assert!(text.parse::<BuildKey>().is_err(), "{text}");
        }
        for text in ["", "a b", "a:b", "..", &"x".repeat(151)] {
            assert!(text.parse::<Username>().is_err(), "{text}");
        }
        for text in ["", "  ", "a;b", "a,b", "a\nb", "latest", " latest ", &"x".repeat(101)] {
            assert!(text.parse::<Tag>().is_err(), "{text}");
        }
    }

    #[test]
    fn tags_are_trimmed_deduplicated_and_sorted_by_bytes() {
        let tags = [" b ", "a", "B", "b", "ü"].map(|t| t.parse::<Tag>().unwrap());
        let set = TagSet::new(tags.to_vec()).unwrap();
        let names: Vec<_> = set.iter().map(Tag::as_str).collect();
        assert_eq!(names, ["B", "a", "b", "ü"]);
    }

    #[test]
    fn a_build_has_at_most_a_hundred_different_tags() {
        let tags =
            |n: usize| (0..n).map(|i| format!("t{i}").parse().unwrap()).collect::<Vec<Tag>>();
        assert!(TagSet::new([tags(100), tags(100)].concat()).is_ok());
        assert!(TagSet::new(tags(101)).is_err());
    }

    #[test]
    fn dashes_separate_known_tags_the_longest_first() {
        let split = |segment: &str, known: &[&str]| {
            split_dashed(segment, &|t| known.contains(&t))
                .map(|tags| tags.iter().map(|t| t.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(
            split("python-3.11-linux", &["python", "python-3.11", "3.11", "linux"]).unwrap(),
            ["python-3.11", "linux"]
        );
        // The longest first tag leads nowhere here, so the shorter one is used.
        assert_eq!(split("a-b-c", &["a", "a-b", "b-c"]).unwrap(), ["a", "b-c"]);
        assert_eq!(split("a-x", &["a"]), None);
        let many = vec!["a"; 60].join("-") + "-x";
        assert_eq!(split(&many, &["a", "a-a", "a-a-a"]), None);
    }
}
