//! Tracks: which builds of a project continue each other.
//!
//! Builds of the same variant (what is tested) on the same branch form a track. Builds that were sent
//! without credentials have tracks of their own, so that they never count for those that were.

use std::fmt;
use std::str::FromStr;

use wildmatch::WildMatch;

use crate::{ClientRecord, Digest, Invalid, Report, TagSet};

/// Lengths in characters.
const BRANCH: usize = 250;
const VALUE: usize = 200;
const REVISION: std::ops::RangeInclusive<usize> = 7..=64;

/// Where a build comes from, as its client record says. A member that is no text or has no valid
/// length counts as absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The branch: 1 to 250 characters.
    pub branch: Option<String>,
    /// The commit: 7 to 64 ASCII letters and digits.
    pub revision: Option<String>,
    /// The branch that the change is to be merged into.
    pub target_branch: Option<String>,
    /// The commit that the change starts from, of the same form as `revision`.
    pub base_commit: Option<String>,
    /// The variant, instead of the one that the project's rules give.
    pub variant: Option<String>,
    /// Whether the build ran only a part of its tests.
    pub is_partial: bool,
}

/// Whether a text is a commit: 7 to 64 ASCII letters and digits.
pub fn is_revision(text: &str) -> bool {
    REVISION.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether a text is a branch: 1 to 250 characters, without NUL.
pub fn is_branch(text: &str) -> bool {
    is_short(text, BRANCH)
}

fn is_short(text: &str, most: usize) -> bool {
    !text.is_empty() && !text.contains('\0') && text.chars().nth(most).is_none()
}

impl From<&ClientRecord> for Origin {
    fn from(client: &ClientRecord) -> Self {
        let mut origin = Self::default();
        // A stored record is valid JSON; one that isn't says nothing.
        for (name, value) in client.0.members().unwrap_or_default() {
            if name == "partial" {
                origin.is_partial = matches!(value.get(), "true" | "\"true\"");
                continue;
            }
            let (slot, is_valid): (&mut Option<String>, fn(&str) -> bool) = match name.as_str() {
                "branch" => (&mut origin.branch, is_branch),
                "target_branch" => (&mut origin.target_branch, is_branch),
                "commit" => (&mut origin.revision, is_revision),
                "base_commit" => (&mut origin.base_commit, is_revision),
                "variant" => (&mut origin.variant, |text| is_short(text, VALUE)),
                _ => continue,
            };
            *slot = serde_json::from_str(value.get()).ok().filter(|text: &String| is_valid(text));
        }
        origin
    }
}

/// A part of the rule that gives a build's variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VariantPart {
    /// All its tags.
    Tags,
    /// Its tags that fit a pattern with `*` and `?`.
    TagsLike(String),
    /// A member of its client record.
    Client(String),
}

impl VariantPart {
    /// Maximum number of parts of a rule.
    pub const MOST: usize = 10;

    /// Maximum length of a part, in bytes: `client.` and a member of 200 characters.
    pub const BYTES: usize = 7 + 4 * VALUE;

    /// The parts unless a project says otherwise.
    pub fn usual() -> Vec<Self> {
        vec![Self::Tags, Self::Client("job".to_owned()), Self::Client("arch".to_owned())]
    }
}

impl FromStr for VariantPart {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_short = |text: &str, most| is_short(text, most) && !text.contains(char::is_control);
        let part = match text.split_at_checked(7).unwrap_or((text, "")) {
            ("client.", member) if is_short(member, VALUE) => Self::Client(member.to_owned()),
            _ if text == "tags" => Self::Tags,
            _ => match text.strip_prefix("tags:") {
                Some(glob) if is_short(glob, VALUE) => Self::TagsLike(glob.to_owned()),
                _ => {
                    let problem = "must be 'tags', 'tags:PATTERN' or 'client.MEMBER'";
                    return Err(Invalid::new(problem));
                }
            },
        };
        Ok(part)
    }
}

impl<'de> serde::Deserialize<'de> for VariantPart {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for VariantPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tags => f.write_str("tags"),
            Self::TagsLike(glob) => write!(f, "tags:{glob}"),
            Self::Client(member) => write!(f, "client.{member}"),
        }
    }
}

/// A track's key in URIs and in the store: the first 64 bits of a hash of what it consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TrackKey(pub i64);

impl fmt::Display for TrackKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for TrackKey {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let key = u64::from_str_radix(text, 16).ok().map(|key| Self(key.cast_signed()));
        let is_same = |key: &Self| key.to_string() == text;
        key.filter(is_same).ok_or_else(|| Invalid::new("a track's key has 16 hexadecimal digits"))
    }
}

/// A track.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Track {
    /// What is tested.
    pub variant: String,
    /// The branch; empty without one.
    pub branch: String,
    /// Whether its builds were sent with credentials.
    pub is_credited: bool,
}

/// What a build's track is made from.
#[derive(Debug, Clone, Copy)]
pub struct TrackParts<'a> {
    /// Its client record.
    pub client: &'a ClientRecord,
    /// Its tags.
    pub tags: &'a TagSet,
    /// Its id in URIs.
    pub key: &'a str,
    /// Whether it was sent with credentials.
    pub is_credited: bool,
}

impl Track {
    /// The track of a build, by the rules of its project.
    pub fn of(build: TrackParts<'_>, origin: &Origin, rules: &[VariantPart]) -> Self {
        let variant =
            origin.variant.clone().unwrap_or_else(|| variant(build, origin, rules).join(";"));
        let branch = origin.branch.clone().unwrap_or_default();
        Self { variant, branch, is_credited: build.is_credited }
    }

    /// Its key.
    pub fn key(&self) -> TrackKey {
        let credited = if self.is_credited { "1" } else { "0" };
        let digest = Digest::of_parts([self.variant.as_str(), self.branch.as_str(), credited]);
        let mut first = [0; 8];
        first.iter_mut().zip(digest.0).for_each(|(to, from)| *to = from);
        TrackKey(i64::from_be_bytes(first))
    }

    /// The track of a build that is being stored.
    pub fn of_report(
        report: &Report,
        key: &str,
        is_credited: bool,
        rules: &[VariantPart],
    ) -> (Self, Origin) {
        let origin = Origin::from(&report.client);
        let parts = TrackParts { client: &report.client, tags: &report.tags, key, is_credited };
        (Self::of(parts, &origin, rules), origin)
    }

    /// The same variant on another branch.
    pub fn on_branch(&self, branch: &str) -> Self {
        Self { branch: branch.to_owned(), ..self.clone() }
    }

    /// Its variant without a tag.
    pub fn variant_without(&self, tag: &str) -> String {
        let tag = encoded(tag);
        let parts = self.variant.split(';').filter(|part| *part != tag);
        parts.collect::<Vec<_>>().join(";")
    }
}

/// The parts of a build's variant. Tags that only say which build it is are left out.
fn variant(build: TrackParts<'_>, origin: &Origin, rules: &[VariantPart]) -> Vec<String> {
    let number = build.client.0.member_text("build_number");
    let says_which = |tag: &str| {
        Some(tag) == origin.branch.as_deref()
            || Some(tag) == number.as_deref()
            || tag == build.key
            || origin.revision.as_ref().is_some_and(|revision| {
                tag == revision || (tag.len() >= *REVISION.start() && revision.starts_with(tag))
            })
    };
    let mut tags: Vec<&str> = build.tags.iter().map(|tag| tag.as_str()).collect();
    tags.retain(|tag| !says_which(tag));
    tags.sort_unstable();
    let mut parts = Vec::new();
    for rule in rules {
        match rule {
            VariantPart::Tags => parts.extend(tags.iter().map(|tag| encoded(tag))),
            VariantPart::TagsLike(glob) => {
                let glob = WildMatch::new(glob);
                let fit = tags.iter().filter(|tag| glob.matches(tag));
                parts.extend(fit.map(|tag| encoded(tag)));
            }
            VariantPart::Client(member) => {
                let value = build.client.0.member_string(member);
                if let Some(value) = value.filter(|value| is_short(value, VALUE)) {
                    parts.push(format!("client.{member}={}", encoded(&value)));
                }
            }
        }
    }
    parts
}

/// A tag or a value, so that no other gives the same variant.
fn encoded(value: &str) -> String {
    value.replace('%', "%25").replace(';', "%3B").replace('=', "%3D")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::JsonObject;

    fn client(json: &str) -> ClientRecord {
        ClientRecord(JsonObject::from_stored(json.to_owned()))
    }

    fn track(json: &str, tags: &[&str], rules: &[&str]) -> Track {
        let client = client(json);
        let tags = tags.iter().map(|tag| tag.parse()).collect::<Result<TagSet, _>>().unwrap();
        let rules: Vec<VariantPart> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let build = TrackParts { client: &client, tags: &tags, key: "b-1", is_credited: true };
        Track::of(build, &Origin::from(&client), &rules)
    }

    #[test]
    fn members_of_another_form_count_as_absent() {
        let says = |json: &str| Origin::from(&client(json));
        let all = says(r#"{"branch":"a b","commit":"abcdef1","partial":"true","job":"x"}"#);
        assert_eq!(all.branch.as_deref(), Some("a b"));
        assert_eq!(all.revision.as_deref(), Some("abcdef1"));
        assert!(all.is_partial);
        assert_eq!(says(r#"{"branch":7,"commit":"short","partial":1}"#), Origin::default());
        assert_eq!(says(r#"{"branch":"","commit":"not-hex-"}"#), Origin::default());
        let long = format!(r#"{{"branch":"{}"}}"#, "ü".repeat(250));
        assert_eq!(says(&long).branch.map(|branch| branch.chars().count()), Some(250));
        let longer = format!(r#"{{"branch":"{}"}}"#, "ü".repeat(251));
        assert_eq!(says(&longer).branch, None);
    }

    #[test]
    fn tags_that_only_say_which_build_it_is_split_no_track() {
        let json = r#"{"branch":"main","commit":"0123456789abcdef","build_number":42}"#;
        let tags = ["main", "0123456789abcdef", "0123456", "42", "b-1", "linux", "arm"];
        assert_eq!(track(json, &tags, &["tags"]).variant, "arm;linux");
        assert_eq!(track(json, &["012345"], &["tags"]).variant, "012345");
    }

    #[test]
    fn the_project_says_what_a_variant_consists_of_unless_the_client_does() {
        let json = r#"{"job":"a=b;c%","arch":"x86"}"#;
        let usual: Vec<String> = VariantPart::usual().iter().map(ToString::to_string).collect();
        let usual: Vec<&str> = usual.iter().map(String::as_str).collect();
        assert_eq!(
            track(json, &["t"], &usual).variant,
            "t;client.job=a%3Db%3Bc%25;client.arch=x86"
        );
        assert_eq!(track(json, &["os-a", "t"], &["tags:os-*"]).variant, "os-a");
        assert_eq!(track(json, &["t"], &[]).variant, "");
        assert_eq!(track(r#"{"job":5,"arch":true}"#, &["t"], &usual).variant, "t");
        assert_ne!(
            track("{}", &["client.job=unit"], &usual),
            track(r#"{"job":"unit"}"#, &[], &usual)
        );
        assert_eq!(track(r#"{"variant":"v"}"#, &["t"], &usual).variant, "v");
        for bad in ["", "tag", "tags:", "tags:a\nb", "client.", "client", "Tags"] {
            assert!(bad.parse::<VariantPart>().is_err(), "{bad}");
        }
    }

    #[test]
    fn builds_with_and_without_credentials_are_in_different_tracks() {
        let one = track("{}", &[], &[]);
        let other = Track { is_credited: false, ..one.clone() };
        assert_ne!(one.key(), other.key());
        assert_ne!(one.key(), one.on_branch("main").key());
        assert_eq!(one.key().to_string().len(), 16);
    }
}
