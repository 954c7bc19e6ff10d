//! What a search found, and the state of the server.

use schemars::JsonSchema;
use serde::Serialize;

use super::shape;
use crate::Link;

/// What has a text in it.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "SearchResults")]
pub struct SearchDocument {
    /// The text.
    pub q: String,
    /// Projects that have it in their name or id; at most 20.
    pub projects: Vec<FoundProject>,
    /// Builds whose id or commit begins with it; at most 20.
    pub builds: Vec<FoundBuild>,
    /// Tests that have it in their full name; at most 50.
    pub tests: Vec<FoundName>,
    /// Failures of the newest failed builds that have it in their text, one of each signature; at most 20.
    pub failures: Vec<FoundFailure>,
    /// Whether the time was enough for all that a search looks at.
    pub complete: bool,
    /// The links.
    pub links: Vec<Link>,
}

/// A project that was found.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct FoundProject {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The links.
    pub links: Vec<Link>,
}

/// A build that was found.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct FoundBuild {
    /// Its project.
    pub project: String,
    /// Its id.
    pub id: String,
    /// When it started.
    #[schemars(with = "shape::Date")]
    pub started: String,
    /// Whether it succeeded; null while it runs.
    pub success: Option<bool>,
    /// Its commit.
    pub revision: Option<String>,
    /// The links.
    pub links: Vec<Link>,
}

/// A test that was found.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct FoundName {
    /// Its project.
    pub project: String,
    /// Its full name.
    pub full_name: String,
    /// The links.
    pub links: Vec<Link>,
}

/// A failure that was found.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct FoundFailure {
    /// Its project.
    pub project: String,
    /// Its build.
    pub build: String,
    /// The position of the test case in the build.
    pub position: u32,
    /// The full name of its test.
    pub full_name: String,
    /// The line that has the text; at most 300 characters.
    pub line: String,
    /// The links.
    pub links: Vec<Link>,
}

/// The state of the server.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Administration")]
pub struct AdministrationDocument {
    /// The server's version.
    pub version: String,
    /// `SQLite` or `PostgreSQL`.
    pub database: &'static str,
    /// The size of the database in bytes; null if it takes too long to tell.
    pub database_bytes: Option<u64>,
    /// The length of the write-ahead log in bytes, if the database has its own.
    pub log_bytes: Option<u64>,
    /// Memory that requests hold, in bytes.
    pub memory_bytes: u64,
    /// Number of open connections.
    pub connections: u64,
    /// Number of reports that wait to be stored.
    pub queue: u64,
    /// Number of users.
    pub users: u64,
    /// The projects, those with the most builds first; at most 1000.
    pub projects: Vec<HeldProject>,
    /// Number of projects.
    pub count: u64,
}

/// What a project holds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct HeldProject {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its owner.
    pub owner: Option<String>,
    /// Number of its builds; null if it takes too long to tell.
    pub builds: Option<u64>,
    /// The total length of their steps and outputs in bytes, before compression; null if it takes too long
    /// to tell.
    pub output_bytes: Option<u64>,
    /// The links.
    pub links: Vec<Link>,
}
