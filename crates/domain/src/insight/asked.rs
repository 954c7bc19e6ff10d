//! The baseline that a request asks for.

use std::fmt;
use std::str::FromStr;

use crate::{BuildKey, Invalid, Slug, Tag, is_branch, is_revision};

/// Maximum number of commits of a `commit:` baseline.
const COMMITS: usize = 100;

/// A baseline as a request asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// The previous build of the track.
    Previous,
    /// The last green build of the track.
    Green,
    /// The last build of a branch, with the same variant; without a name, of no branch.
    Branch(String),
    /// The last build of the first of these commits that has one with the same variant.
    Commits(Vec<String>),
    /// The last build with a tag.
    Tagged(Tag),
    /// A build, of another project if it is named.
    Build(Option<Slug>, BuildKey),
}

impl FromStr for Asked {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (kind, value) = text.split_once(':').unwrap_or((text, ""));
        match kind {
            "previous" if value.is_empty() && text == kind => Ok(Self::Previous),
            "green" if value.is_empty() && text == kind => Ok(Self::Green),
            // Without a name: builds without a branch.
            "branch" if text != kind && (value.is_empty() || is_branch(value)) => {
                Ok(Self::Branch(value.to_owned()))
            }
            "branch" => Err(Invalid::new("a branch is a text of at most 250 characters")),
            "commit" => {
                let commits: Vec<String> = value.split(',').map(str::to_owned).collect();
                match commits.iter().find(|commit| !is_revision(commit)) {
                    Some(_) => Err(Invalid::new("a commit has 7 to 64 ASCII letters and digits")),
                    None if commits.len() > COMMITS => {
                        Err(Invalid::new(format!("more than {COMMITS} commits")))
                    }
                    None => Ok(Self::Commits(commits)),
                }
            }
            "tag" => value.parse().map(Self::Tagged),
            "build" => {
                let (project, key) = match value.split_once('/') {
                    Some((project, key)) => (Some(project.parse()?), key),
                    None => (None, value),
                };
                Ok(Self::Build(project, key.parse()?))
            }
            _ => Err(Invalid::new(
                "must be 'previous', 'green', 'branch:NAME', 'commit:SHA,SHA', 'tag:TAG' or 'build:ID'",
            )),
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Previous => f.write_str("previous"),
            Self::Green => f.write_str("green"),
            Self::Branch(name) => write!(f, "branch:{name}"),
            Self::Commits(commits) => write!(f, "commit:{}", commits.join(",")),
            Self::Tagged(tag) => write!(f, "tag:{tag}"),
            Self::Build(None, key) => write!(f, "build:{key}"),
            Self::Build(Some(project), key) => write!(f, "build:{project}/{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_baseline_is_written_as_it_is_read() {
        for text in [
            "previous",
            "green",
            "branch:feature/x:y",
            "branch:",
            "commit:abcdef1,1234567",
            "tag:nightly",
            "build:b-1",
            "build:other/b-1",
        ] {
            assert_eq!(text.parse::<Asked>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_baseline_is_refused() {
        let many = format!("commit:{}", vec!["abcdef1"; 101].join(","));
        for text in [
            "",
            "last",
            "previous:",
            "green:x",
            "branch",
            "commit:",
            "commit:abc",
            "commit:abcdef1,",
            "tag:",
            "build:",
            "build:a/b/c",
            "build:/b",
            &many,
        ] {
            assert!(text.parse::<Asked>().is_err(), "{text}");
        }
    }
}
