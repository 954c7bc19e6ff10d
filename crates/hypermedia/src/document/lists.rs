//! Pages of lists in the resource API.

use devmason_domain::{Pages, Tag};
use schemars::JsonSchema;
use serde::Serialize;

use super::outgoing::{BuildDocument, BuildMembers, ProjectDocument, UserDocument};
use super::shape;
use crate::Link;

/// Position of a page in its list, part of every page.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListPage {
    /// The number of items in the whole list.
    count: u64,
    /// False if there may be more items than `count`; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    count_is_exact: Option<bool>,
    /// The number of pages.
    num_pages: u64,
    /// The number of this page, from 1.
    page: u64,
    /// Whether there are several pages.
    paginated: bool,
    /// The length of a page.
    per_page: u64,
    links: Vec<Link>,
}

impl ListPage {
    /// A page of a list, whose count is either exact or a lower bound.
    pub fn new(pages: Pages, is_exact: bool, links: Vec<Link>) -> Self {
        Self {
            count: pages.count,
            count_is_exact: (!is_exact).then_some(false),
            num_pages: pages.num_pages,
            page: pages.page,
            paginated: pages.paginated(),
            per_page: pages.per_page,
            links,
        }
    }
}

/// A page of builds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BuildList")]
pub struct BuildListDocument<'a> {
    /// The tags that all of them have, if the list is about tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<shape::Tag>")]
    pub tags: Option<&'a [Tag]>,
    /// The builds.
    #[schemars(with = "Vec<BuildMembers>")]
    pub builds: Vec<BuildDocument<'a>>,
    /// Position of the page in its list.
    #[serde(flatten)]
    pub page: ListPage,
}

/// A page of projects.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ProjectList")]
pub struct ProjectListDocument<'a> {
    /// The projects.
    pub projects: Vec<ProjectDocument<'a>>,
    /// Position of the page in its list.
    #[serde(flatten)]
    pub page: ListPage,
}

/// A page of users.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UserList")]
pub struct UserListDocument<'a> {
    /// The users.
    pub users: Vec<UserDocument<'a>>,
    /// Position of the page in its list.
    #[serde(flatten)]
    pub page: ListPage,
}
