//! What clients get.

use std::str::FromStr;

use devmason_domain::{Account, Build, JsonObject, Outcome, Pages, Project, Step, Tag};
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::tests::summary;
use crate::Link;

/// Which members of a build are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Fields(u16);

impl Fields {
    const NAMES: [&'static str; 11] = [
        "id",
        "state",
        "success",
        "started",
        "finished",
        "tags",
        "client",
        "components",
        "tests",
        "results",
        "links",
    ];

    /// All of them.
    pub const ALL: Self = Self((1 << Self::NAMES.len()) - 1);

    /// Whether a member is wanted.
    pub fn has(self, name: &str) -> bool {
        Self::NAMES
            .iter()
            .position(|known| *known == name)
            .is_some_and(|at| self.0 & (1 << at) != 0)
    }

    fn without(self, names: &[&str]) -> Self {
        let bit = |name: &&str| Self::NAMES.iter().position(|known| known == name);
        Self(names.iter().filter_map(bit).fold(self.0, |fields, at| fields & !(1 << at)))
    }

    /// The names of all members.
    pub fn names() -> &'static [&'static str] {
        &Self::NAMES
    }
}

impl FromStr for Fields {
    /// The name that is no member's.
    type Err = String;

    /// Reads `success,started,links`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut fields = Self(0);
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let at = Self::NAMES
                .iter()
                .position(|known| *known == name)
                .ok_or_else(|| name.to_owned())?;
            fields.0 |= 1 << at;
        }
        Ok(fields)
    }
}

/// A build.
#[derive(Debug)]
pub struct BuildDocument<'a> {
    /// What is stored of it.
    pub build: &'a Build,
    /// Its steps, where they are wanted.
    pub results: Results<'a>,
    /// Its links, where they are wanted.
    pub links: Vec<Link>,
    /// What is wanted.
    pub fields: Fields,
}

impl Serialize for BuildDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (build, mut map) = (self.build, serializer.serialize_map(None)?);
        let (success, finished) = match build.outcome {
            Outcome::Running => (None, None),
            Outcome::Finished { success, finished } => (Some(success), Some(finished)),
        };
        for name in Fields::NAMES.into_iter().filter(|name| self.fields.has(name)) {
            match name {
                "id" => map.serialize_entry(name, &build.key())?,
                "state" => map.serialize_entry(name, build.outcome.state().as_str())?,
                "success" => map.serialize_entry(name, &success)?,
                "started" => map.serialize_entry(name, &build.started.to_rfc2822())?,
                "finished" => map.serialize_entry(name, &finished.map(|at| at.to_rfc2822()))?,
                "tags" => map.serialize_entry(name, build.tags.as_slice())?,
                "client" => map.serialize_entry(name, raw::<S>(&build.client.0)?)?,
                "components" => map.serialize_entry(name, &build.components)?,
                "tests" => map.serialize_entry(name, &summary(&build.tests))?,
                "results" => map.serialize_entry(name, &self.results)?,
                _ => map.serialize_entry(name, &self.links)?,
            }
        }
        map.end()
    }
}

/// The steps of a build, as its document has them.
#[derive(Debug)]
pub enum Results<'a> {
    /// These.
    Steps(&'a [Step]),
    /// Those that were written before.
    Written(&'a RawValue),
    /// They are too long for this document: it has `null`.
    LeftOut,
}

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Steps(steps) => serializer.collect_seq(steps.iter().map(StepDocument)),
            Self::Written(written) => written.serialize(serializer),
            Self::LeftOut => serializer.serialize_none(),
        }
    }
}

/// Steps of a build, written beforehand.
///
/// # Errors
/// Where what is stored of them is not JSON.
pub fn written_steps(steps: &[Step]) -> serde_json::Result<Box<RawValue>> {
    serde_json::value::to_raw_value(&Results::Steps(steps))
}

/// A step of a build, as the build's document has it.
///
/// # Errors
/// As [`written_steps`].
pub fn written_step(step: &Step) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&StepDocument(step))
}

/// A build's document in two parts, between which its steps go, separated by commas.
///
/// # Errors
/// As [`written_steps`].
pub fn around_steps(mut document: BuildDocument<'_>) -> serde_json::Result<[Vec<u8>; 2]> {
    let behind = if document.fields.has("links") {
        let links = serde_json::to_string(&document.links)?;
        format!("],\"links\":{links}}}")
    } else {
        "]}".to_owned()
    };
    document.fields = document.fields.without(&["results", "links"]);
    let mut before = serde_json::to_vec(&document)?;
    before.pop();
    if before.len() > 1 {
        before.push(b',');
    }
    before.extend_from_slice(b"\"results\":[");
    Ok([before, behind.into_bytes()])
}

/// An object exactly as the client sent it.
fn raw<S: Serializer>(object: &JsonObject) -> Result<&RawValue, S::Error> {
    let text = if object.as_str().is_empty() { "{}" } else { object.as_str() };
    serde_json::from_str(text).map_err(S::Error::custom)
}

struct StepDocument<'a>(&'a Step);

impl Serialize for StepDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (step, mut map) = (self.0, serializer.serialize_map(None)?);
        map.serialize_entry("name", &step.name)?;
        map.serialize_entry("success", &step.success)?;
        map.serialize_entry("started", &step.started.to_rfc2822())?;
        map.serialize_entry("finished", &step.finished.to_rfc2822())?;
        map.serialize_entry("output", &step.output)?;
        map.serialize_entry("errout", &step.errout)?;
        for (name, value) in step.extras.members().map_err(S::Error::custom)? {
            map.serialize_entry(&name, &value)?;
        }
        map.end()
    }
}

/// A project.
#[derive(Debug, Serialize)]
pub struct ProjectDocument<'a> {
    name: &'a str,
    owner: Option<&'a str>,
    reporting: &'static str,
    links: Vec<Link>,
}

impl<'a> ProjectDocument<'a> {
    /// A project with its links.
    pub fn new(project: &'a Project, links: Vec<Link>) -> Self {
        Self {
            name: project.name.as_str(),
            owner: project.owner.as_ref().map(|(_, username)| username.as_str()),
            reporting: project.reporting.as_str(),
            links,
        }
    }
}

/// A user.
#[derive(Debug, Serialize)]
pub struct UserDocument<'a> {
    username: &'a str,
    links: Vec<Link>,
}

impl<'a> UserDocument<'a> {
    /// A user with its links.
    pub fn new(account: &'a Account, links: Vec<Link>) -> Self {
        Self { username: account.username.as_str(), links }
    }
}

/// The tags of a project.
#[derive(Debug, Serialize)]
pub struct TagListDocument<'a> {
    /// The tags in byte order.
    pub tags: &'a [Tag],
    /// The links.
    pub links: Vec<Link>,
}

/// What every list has around its members.
#[derive(Debug, Serialize)]
pub struct ListMembers<'a, T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a [Tag]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    builds: Option<Vec<T>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    projects: Option<Vec<T>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<Vec<T>>,
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    count_is_exact: Option<bool>,
    num_pages: u64,
    page: u64,
    paginated: bool,
    per_page: u64,
    links: Vec<Link>,
}

impl<'a, T> ListMembers<'a, T> {
    fn empty(pages: Pages, links: Vec<Link>) -> Self {
        Self {
            tags: None,
            builds: None,
            projects: None,
            users: None,
            count: pages.count,
            count_is_exact: None,
            num_pages: pages.num_pages,
            page: pages.page,
            paginated: pages.paginated(),
            per_page: pages.per_page,
            links,
        }
    }

    /// A page of builds; with the tags that they all have, where the list is of those.
    pub fn builds(
        builds: Vec<T>,
        tags: Option<&'a [Tag]>,
        pages: Pages,
        exact: bool,
        links: Vec<Link>,
    ) -> Self {
        let count_is_exact = (!exact).then_some(false);
        Self { builds: Some(builds), tags, count_is_exact, ..Self::empty(pages, links) }
    }

    /// A page of projects.
    pub fn projects(projects: Vec<T>, pages: Pages, links: Vec<Link>) -> Self {
        Self { projects: Some(projects), ..Self::empty(pages, links) }
    }

    /// A page of users.
    pub fn users(users: Vec<T>, pages: Pages, links: Vec<Link>) -> Self {
        Self { users: Some(users), ..Self::empty(pages, links) }
    }
}
