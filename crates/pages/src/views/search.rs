//! A search, and the state of the server.

use askama::Template;
use devmason_hypermedia::document::{AdministrationDocument, HeldProject, SearchDocument};
use devmason_hypermedia::{Link, Resource};

use super::Page;
use crate::site::{Site, bytes};
use crate::text::counted;

/// What has a text in it.
#[derive(Template)]
#[template(path = "search.html")]
pub struct SearchPage<'a> {
    /// The page's frame.
    pub site: Site<'a>,
    /// The text as it was typed.
    pub typed: &'a str,
    /// What was found, if anything was sought.
    pub results: Option<SearchDocument>,
    /// Why nothing was sought.
    pub problem: String,
}

impl SearchPage<'_> {
    /// The target of the link with this relation.
    fn link<'l>(links: &'l [Link], rel: &str) -> &'l str {
        links.iter().find(|link| link.rel == rel).map_or("", |link| link.href.as_str())
    }
    fn is_empty(of: &SearchDocument) -> bool {
        of.projects.is_empty()
            && of.builds.is_empty()
            && of.tests.is_empty()
            && of.failures.is_empty()
    }
    fn state(success: Option<bool>) -> crate::Standing {
        success.map_or(crate::Standing::Running, super::of_success)
    }
}

impl Page for SearchPage<'_> {
    fn title(&self) -> String {
        "Search".to_owned()
    }
}

/// What the server holds and does.
#[derive(Template)]
#[template(path = "administration.html")]
pub struct AdministrationPage<'a> {
    /// The page's frame.
    pub site: Site<'a>,
    /// The state.
    pub of: AdministrationDocument,
}

impl AdministrationPage<'_> {
    /// The first projects: each has a form.
    const SHOWN: usize = 200;

    fn facts(&self) -> Vec<(&'static str, String)> {
        let of = &self.of;
        let size = |count: u64| bytes(usize::try_from(count).unwrap_or(usize::MAX));
        let all = [
            ("Version", Some(of.version.clone())),
            ("Database", Some(of.database.to_owned())),
            ("Size of the database", of.database_bytes.map(size)),
            ("Write-ahead log", of.log_bytes.map(size)),
            ("Memory of requests", Some(size(of.memory_bytes))),
            ("Connections", Some(crate::text::grouped(of.connections))),
            ("Reports that wait to be stored", Some(crate::text::grouped(of.queue))),
            ("Users", Some(crate::text::grouped(of.users))),
            ("Projects", Some(crate::text::grouped(of.count))),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    fn href(&self, of: &HeldProject) -> String {
        of.id
            .parse()
            .map_or_else(|_| self.site.home(), |slug| self.site.to(&Resource::Project(slug)))
    }

    /// Number of projects that are not shown.
    fn more(&self) -> u64 {
        self.of.count.saturating_sub(Self::SHOWN as u64)
    }

    /// What a deletion removes.
    fn plan(of: &HeldProject) -> String {
        match of.builds {
            Some(builds) => format!("{}, {}", counted(builds, "build"), Self::size(of)),
            None => "all builds".to_owned(),
        }
    }

    fn builds(of: &HeldProject) -> String {
        of.builds.map(crate::text::grouped).unwrap_or_default()
    }

    fn size(of: &HeldProject) -> String {
        let size = of.output_bytes.map(|count| bytes(usize::try_from(count).unwrap_or(usize::MAX)));
        size.unwrap_or_default()
    }
}

impl Page for AdministrationPage<'_> {
    fn title(&self) -> String {
        "Administration".to_owned()
    }
}
