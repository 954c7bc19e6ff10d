//! A signature: where equal failures were seen.

use std::borrow::Cow;

use askama::Template;
use devmason_domain::{BuildKey, Project, SignatureId};
use devmason_hypermedia::Resource;
use devmason_hypermedia::document::{PlaceDocument, SignatureDocument, SignatureTest};

use super::Page;
use super::findings::{KnownLine, LIST_BYTES, fitting, known, mark, size};
use crate::site::Site;
use crate::text::{cut, short};

/// Maximum length of a failure's text, in characters, and size of the list of tests, in bytes.
const TEXT: usize = 10_000;
const TESTS_BYTES: usize = 100_000;

/// A signature.
#[derive(Template)]
#[template(path = "signature.html")]
pub struct SignaturePage<'a> {
    site: Site<'a>,
    project: &'a Project,
    of: &'a SignatureDocument,
    first: Option<(String, &'a str)>,
    last: Option<(String, &'a str)>,
    text: Cow<'a, str>,
    tests: Vec<&'a SignatureTest>,
    known: Vec<KnownLine<'a>>,
    mark: Option<String>,
    /// Other projects, each with the page of the signature there.
    projects: Vec<(String, &'a str)>,
}

impl<'a> SignaturePage<'a> {
    /// The page of a signature, with a link to the form of a new issue for those who may write them.
    pub fn new(
        site: Site<'a>,
        project: &'a Project,
        of: &'a SignatureDocument,
        may_triage: bool,
    ) -> Self {
        let place = |of: &'a PlaceDocument| {
            let key: BuildKey = of.build.parse().ok()?;
            Some((site.to(&Resource::Build(project.slug.clone(), key)), of.build.as_str()))
        };
        let failure = &of.example.failure;
        let text = failure.text.as_deref().or(failure.message.as_deref()).unwrap_or_default();
        let fields = [("title", of.title.as_str()), ("signature", of.id.as_str())];
        Self {
            first: place(&of.first_seen),
            last: place(&of.last_seen),
            text: cut(text, TEXT),
            tests: fitting(&of.tests, TESTS_BYTES, |test| 2 * size(&test.full_name)).collect(),
            known: known(&site, project, &of.known),
            mark: may_triage.then(|| mark(&site, project, &fields)),
            projects: of
                .projects
                .iter()
                .filter_map(|other| {
                    let signature = of.id.parse::<SignatureId>().ok()?;
                    let there = Resource::Signature(other.project.parse().ok()?, signature);
                    Some((site.to(&there), other.project.as_str()))
                })
                .collect(),
            site,
            project,
            of,
        }
    }

    /// Branches, variants and hosts, with the numbers of failures.
    fn places(&self) -> [(&'static str, Vec<(&str, usize)>); 3] {
        let branches = self.of.branches.iter().map(|of| (of.branch.as_str(), of.items)).collect();
        let variants = self.of.variants.iter().map(|of| (of.variant.as_str(), of.items)).collect();
        let hosts = self.of.hosts.iter().map(|of| (of.host.as_str(), of.items)).collect();
        let places = [("Branches", branches), ("Variants", variants), ("Hosts", hosts)];
        places.map(|(title, all): (_, Vec<(&str, usize)>)| {
            (title, fitting(&all, LIST_BYTES, |(name, _)| 2 * size(name)).copied().collect())
        })
    }

    /// Number of tests that are not shown.
    fn more(&self) -> usize {
        self.of.tests.len() - self.tests.len()
    }
}

impl Page for SignaturePage<'_> {
    fn title(&self) -> String {
        short(&self.of.title).into_owned()
    }
}
