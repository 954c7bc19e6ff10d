//! How builds and commits are called on pages, and where their source code is.

use std::borrow::Cow;

use devmason_domain::{Build, CodeAddress, Project};

pub(crate) use crate::text::short_commit;
use crate::text::{cut, is_long_id};

/// Maximum length of a number, in characters.
const NUMBER: usize = 20;

/// The number of a build in its CI system, if its id does not say as much.
pub(crate) fn build_name(build: &Build) -> String {
    let key = build.key();
    if !is_long_id(key.as_str()) {
        return key.to_string();
    }
    let number = build.client.0.member_text("build_number");
    let number = number.filter(|text| !text.is_empty() && text.chars().count() <= NUMBER);
    number.map_or_else(|| key.to_string(), |number| format!("#{number}"))
}

/// The branch of a build, by its track; empty if it has none.
pub(crate) fn branch(build: &Build) -> &str {
    build.track.as_ref().map_or("", |track| track.branch.as_str())
}

/// The number of the pull request or merge request that a build is of: of a member of its client record,
/// or a tag such as `pr-17`.
pub(crate) fn change(build: &Build) -> Option<u64> {
    let members = ["pull_request", "merge_request", "pr", "change"];
    let named = members.iter().find_map(|name| build.client.0.member_text(name)?.parse().ok());
    let prefixes = ["pr-", "pr/", "mr-", "mr/", "PR-"];
    let number =
        |tag: &str| prefixes.iter().find_map(|prefix| tag.strip_prefix(prefix)?.parse().ok());
    named.or_else(|| build.tags.iter().find_map(|tag| number(tag.as_str())))
}

/// A link out of the server, with what it says.
pub(crate) struct Out<'a> {
    pub(crate) what: &'static str,
    pub(crate) href: String,
    pub(crate) text: Cow<'a, str>,
}

/// The pages of a build's commit, branch and change in the project's repository.
pub(crate) fn code<'a>(project: &Project, build: &'a Build) -> Vec<Out<'a>> {
    let Some(code) = &project.repository else { return Vec::new() };
    let out = |what, href: Option<String>, text| Some(Out { what, href: href?, text });
    let commit = build
        .revision
        .as_deref()
        .and_then(|revision| out("Commit", code.commit(revision), short_commit(revision).into()));
    let branch = branch(build);
    let change = change(build)
        .and_then(|number| out("Change", code.change(number), format!("#{number}").into()));
    let branch = out("Branch", code.branch(branch), cut(branch, 60));
    [commit, branch, change].into_iter().flatten().collect()
}

/// Where a path of a trace is, if it is one of the project's own.
pub(crate) fn line_of(
    code: Option<&CodeAddress>,
    revision: Option<&str>,
    (path, line): (&str, u64),
) -> Option<String> {
    let path = path.strip_prefix("./").unwrap_or(path);
    let is_within = !path.contains([':', '\\']);
    code?.line(revision?, path, line).filter(|_| is_within)
}
