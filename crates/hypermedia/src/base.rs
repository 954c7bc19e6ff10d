//! The server's address as seen by clients.

use crate::Resource;

/// The origin and path prefix that every link starts with: `https://ci.example.org` and `/pony`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Base {
    origin: String,
    prefix: String,
}

/// The length of most paths, in bytes.
const PATH: usize = 96;

impl Base {
    /// A server at this origin (scheme and authority, without a path).
    pub fn new(origin: impl Into<String>, prefix: &str) -> Self {
        Self { origin: origin.into(), prefix: prefix.trim_end_matches('/').to_owned() }
    }

    /// Parses a public URL such as `https://ci.example.org/pony_server`; `None` if it isn't one.
    pub fn from_public_url(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        if !matches!(scheme, "http" | "https") || url.contains(['?', '#', ' ', '"', '<', '>']) {
            return None;
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        (!authority.is_empty()).then(|| Self::new(format!("{scheme}://{authority}"), path))
    }

    /// The path prefix of all resources: empty or `/prefix`.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Scheme, host and port, such as `https://ci.example.org`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The part of a request path below the prefix. A proxy may or may not have removed the prefix.
    pub fn strip<'a>(&self, path: &'a str) -> &'a str {
        match path.strip_prefix(&self.prefix) {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            _ => path,
        }
    }

    /// A resource's path including the prefix, as in `Location`.
    pub fn location(&self, resource: &Resource) -> String {
        self.under(&resource.path())
    }

    /// Adds the prefix to a path within the server.
    pub fn under(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// A resource's full URL.
    pub fn href(&self, resource: &Resource) -> String {
        // A page of builds has hundreds.
        let mut href = String::with_capacity(self.origin.len() + self.prefix.len() + PATH);
        href.push_str(&self.origin);
        href.push_str(&self.prefix);
        resource.append_path(&mut href);
        href
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_prefix_is_in_every_href_and_may_be_in_a_request() {
        let base = Base::from_public_url("https://ci.example.org/pony_server/").unwrap();
        assert_eq!(base.href(&Resource::ProjectList), "https://ci.example.org/pony_server/");
        assert_eq!(base.location(&Resource::UserList), "/pony_server/users");
        for (path, within) in [
            ("/pony_server/a/builds", "/a/builds"),
            ("/pony_server", "/"),
            ("/pony_server/", "/"),
            ("/a/builds", "/a/builds"),
            ("/pony_servers", "/pony_servers"),
        ] {
            assert_eq!(base.strip(path), within);
        }
        assert_eq!(Base::from_public_url("ftp://x"), None);
        assert_eq!(Base::from_public_url("https:///x"), None);
    }
}
