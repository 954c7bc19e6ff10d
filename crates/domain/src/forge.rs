//! Where a project's source code can be read: the addresses of commits, branches, changes and files.
//!
//! Nothing is fetched from there. The address only becomes links.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::Invalid;

/// Maximum length of an address, in bytes.
const BYTES: usize = 2_000;

/// What stays as it is in a path: the characters of branches and files that no server takes for others.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Which software serves a repository: its addresses differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forge {
    /// GitHub, also an enterprise's own.
    GitHub,
    /// GitLab.
    GitLab,
    /// Gitea and Forgejo.
    Gitea,
    /// Bitbucket Cloud.
    Bitbucket,
}

impl Forge {
    const ALL: [(Self, &'static str); 4] = [
        (Self::GitHub, "github"),
        (Self::GitLab, "gitlab"),
        (Self::Gitea, "gitea"),
        (Self::Bitbucket, "bitbucket"),
    ];

    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(of, _)| *of == self).map_or("", |(_, name)| name)
    }

    /// What the name of a host tells. One that tells nothing is most likely GitHub or compatible with it.
    fn of_host(host: &str) -> Self {
        let host = host.to_ascii_lowercase();
        let has = |names: &[&str]| names.iter().any(|name| host.contains(name));
        match () {
            () if has(&["gitlab"]) => Self::GitLab,
            () if has(&["bitbucket"]) => Self::Bitbucket,
            () if has(&["gitea", "forgejo", "codeberg"]) => Self::Gitea,
            () => Self::GitHub,
        }
    }
}

/// The address of a repository: `https://HOST/PATH`, or `http`. Where the host's name does not tell which
/// software serves it, `github+`, `gitlab+`, `gitea+` or `bitbucket+` stands before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeAddress {
    forge: Forge,
    /// Whether the forge was named.
    is_named: bool,
    /// Without a slash at its end.
    url: String,
}

impl CodeAddress {
    /// The address for people.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The page of something with this name; `None` if the name would lead elsewhere: clients take dots
    /// between slashes out of a path.
    fn at(&self, place: &str, name: &str) -> Option<String> {
        let is_plain = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
        is_plain.then(|| format!("{}/{place}/{}", self.url, utf8_percent_encode(name, PATH)))
    }

    /// The page of a commit. As with all pages, `None` for a name that would lead elsewhere.
    pub fn commit(&self, revision: &str) -> Option<String> {
        let place = match self.forge {
            Forge::GitHub | Forge::Gitea => "commit",
            Forge::GitLab => "-/commit",
            Forge::Bitbucket => "commits",
        };
        self.at(place, revision)
    }

    /// The page of a branch.
    pub fn branch(&self, branch: &str) -> Option<String> {
        let place = match self.forge {
            Forge::GitHub => "tree",
            Forge::GitLab => "-/tree",
            Forge::Gitea => "src/branch",
            Forge::Bitbucket => "branch",
        };
        self.at(place, branch)
    }

    /// The page of a pull request or merge request.
    pub fn change(&self, number: u64) -> Option<String> {
        let place = match self.forge {
            Forge::GitHub => "pull",
            Forge::GitLab => "-/merge_requests",
            Forge::Gitea => "pulls",
            Forge::Bitbucket => "pull-requests",
        };
        self.at(place, &number.to_string())
    }

    /// A line of a file at a commit; the path is relative to the repository.
    pub fn line(&self, revision: &str, path: &str, line: u64) -> Option<String> {
        let (place, anchor) = match self.forge {
            Forge::GitHub => ("blob", "L"),
            Forge::GitLab => ("-/blob", "L"),
            Forge::Gitea => ("src/commit", "L"),
            Forge::Bitbucket => ("src", "lines-"),
        };
        Some(format!("{}#{anchor}{line}", self.at(place, &format!("{revision}/{path}"))?))
    }
}

impl fmt::Display for CodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_named {
            write!(f, "{}+", self.forge.as_str())?;
        }
        f.write_str(&self.url)
    }
}

/// A host's name or address, with or without a port.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rfind(']').map(|end| text.split_at(end + 1)) {
        Some((address, "")) => (address, None),
        Some((address, rest)) => (address, rest.strip_prefix(':').or(Some(""))),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_name = || {
        host.starts_with(|c: char| c.is_ascii_alphanumeric())
            && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
    };
    address.map_or_else(is_name, |address| address.parse::<Ipv6Addr>().is_ok())
        && port.is_none_or(is_port)
}

impl FromStr for CodeAddress {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = || {
            Invalid::new(
                "must be the address of a repository: https://HOST/PATH, if need be with 'github+', 'gitlab+', 'gitea+' or 'bitbucket+' before it",
            )
        };
        let named = Forge::ALL
            .iter()
            .find_map(|(forge, name)| Some((*forge, text.strip_prefix(name)?.strip_prefix('+')?)));
        let url = named.map_or(text, |(_, url)| url);
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let (host, path) = rest.and_then(|rest| rest.split_once('/')).ok_or_else(bad)?;
        let mut path = path.trim_end_matches('/');
        while let Some(rest) = path.strip_suffix(".git") {
            path = rest.trim_end_matches('/');
        }
        let mut path = path.trim_end_matches('/');
        while let Some(rest) = path.strip_suffix(".git") {
            path = rest.trim_end_matches('/');
        }
        // It becomes a link with more behind it: no query, no fragment, nothing to encode.
        let is_path = |c: char| c.is_ascii_graphic() && !"?#\"'<>\\^`{|}@%".contains(c);
        let has_parts = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        let is_valid = is_host(host) && has_parts && path.chars().all(is_path);
        if !is_valid || text.len() > BYTES {
            return Err(bad());
        }
        let scheme = if url.starts_with("https") { "https" } else { "http" };
        Ok(Self {
            forge: named.map_or_else(|| Forge::of_host(host), |(forge, _)| forge),
            is_named: named.is_some(),
            url: format!("{scheme}://{host}/{path}"),
        })
    }
}

impl<'de> serde::Deserialize<'de> for CodeAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn links(address: &str) -> [String; 4] {
        let of: CodeAddress = address.parse().unwrap();
        [
            of.commit("abc1234"),
            of.branch("fix/a b#1"),
            of.change(7),
            of.line("abc1234", "src/a b.rs", 3),
        ]
        .map(|link| link.unwrap().replace(of.url(), ""))
    }

    #[test]
    fn each_forge_has_its_own_addresses() {
        let branch = "fix/a%20b%231";
        let file = "abc1234/src/a%20b.rs";
        assert_eq!(
            links("https://github.com/acme/pony.git"),
            [
                "/commit/abc1234".to_owned(),
                format!("/tree/{branch}"),
                "/pull/7".into(),
                format!("/blob/{file}#L3")
            ]
        );
        assert_eq!(
            links("https://gitlab.example.org/a/b/c/"),
            [
                "/-/commit/abc1234".to_owned(),
                format!("/-/tree/{branch}"),
                "/-/merge_requests/7".into(),
                format!("/-/blob/{file}#L3")
            ]
        );
        assert_eq!(
            links("gitea+http://git.example.org:3000/acme/pony"),
            [
                "/commit/abc1234".to_owned(),
                format!("/src/branch/{branch}"),
                "/pulls/7".into(),
                format!("/src/commit/{file}#L3")
            ]
        );
        assert_eq!(
            links("https://bitbucket.org/acme/pony"),
            [
                "/commits/abc1234".to_owned(),
                format!("/branch/{branch}"),
                "/pull-requests/7".into(),
                format!("/src/{file}#lines-3")
            ]
        );
    }

    #[test]
    fn no_name_leads_out_of_the_repository() {
        let of: CodeAddress = "https://[::1]:8080/acme/pony".parse().unwrap();
        for name in ["../../evil/phish", "a/../../b", "//evil.org/x", ".", "..", ""] {
            assert_eq!((of.branch(name), of.line("abc1234", name, 1)), (None, None), "{name}");
        }
        assert!(of.branch("a..b/.c").is_some());
    }

    #[test]
    fn an_address_is_kept_as_people_see_it() {
        for (given, kept) in [
            ("https://github.com/acme/pony.git", "https://github.com/acme/pony"),
            ("gitlab+https://code.example.org/a/b/", "gitlab+https://code.example.org/a/b"),
            ("https://codeberg.org/a/b", "https://codeberg.org/a/b"),
            ("https://codeberg.org/a/b.git/.git/", "https://codeberg.org/a/b"),
        ] {
            assert_eq!(given.parse::<CodeAddress>().unwrap().to_string(), kept);
            // It is read as it was written.
            assert_eq!(kept.parse::<CodeAddress>().unwrap().to_string(), kept);
        }
    }

    #[test]
    fn only_addresses_of_the_web_become_links() {
        for bad in [
            "",
            "javascript:alert(1)",
            "ssh://git@github.com/a/b",
            "git@github.com:a/b.git",
            "https://github.com",
            "https://github.com/",
            "https://user:secret@github.com/a/b",
            "https://github.com/a/b?x",
            "https://github.com/a/b#x",
            "https://github.com/a b",
            "https://github.com/a\"b",
            "https:///a/b",
            "svn+https://github.com/a/b",
            "https://[/a",
            "https://[]]/a",
            "https://[::1]x/a",
            "https://a:b:c/d",
            "https://a:99999/d",
            "https://a:/d",
            "https://h/a/..",
            "https://h/%2e%2e/x",
            "https://h/a//b",
            "https://h/..git",
            "https://github.com/.git",
            "https://github.com//",
            "gitlab+ftp://x/y",
            &format!("https://github.com/{}", "a".repeat(2_000)),
        ] {
            assert!(bad.parse::<CodeAddress>().is_err(), "{bad}");
        }
    }
}
