//! The insight of a commit.

use askama::Template;
use devmason_domain::Project;
use devmason_hypermedia::Resource;
use devmason_hypermedia::document::{RevisionBuild, RevisionDocument, VariantDocument};

use super::findings::{Verdict, findings_html};
use super::insight::{Compared, Shown, compared, kept};
use super::{Page, Pager, of_success};
use crate::Standing;
use crate::site::Site;

/// Maximum number of variants, of missing ones and of tests that are listed.
const LISTED: usize = 100;

/// A variant.
struct VariantLine<'a> {
    name: &'a str,
    standing: Standing,
    verdict: &'static str,
    tests: u64,
    new: u64,
    failing: u64,
    flaky: u64,
    compared: Option<Compared<'a>>,
    reason: Option<&'a str>,
}

impl<'a> VariantLine<'a> {
    fn new(site: &Site<'_>, of: &'a VariantDocument) -> Self {
        let standing = match of.verdict {
            "pass" => Standing::Success,
            "fail" => Standing::Failure,
            _ => Standing::Running,
        };
        Self {
            name: &of.variant,
            standing,
            verdict: of.verdict,
            tests: of.counts.tests,
            new: of.counts.new + of.counts.unknown,
            failing: of.counts.failing,
            flaky: of.counts.flaky,
            compared: compared(site, &of.baseline),
            reason: of.baseline.reason.as_deref(),
        }
    }
}

/// The insight of a commit.
#[derive(Template)]
#[template(path = "revision.html")]
pub struct RevisionPage<'a> {
    site: Site<'a>,
    project: &'a Project,
    of: &'a RevisionDocument,
    verdict: Verdict<'a>,
    here: String,
    asked: &'a str,
    variants: Vec<VariantLine<'a>>,
    missing: Vec<&'a str>,
    reran: Vec<(String, &'a str)>,
    reran_count: usize,
    findings: String,
    builds: Vec<(String, Standing, &'a RevisionBuild)>,
    pager: Pager,
}

impl<'a> RevisionPage<'a> {
    /// The page of a commit's insight.
    ///
    /// # Errors
    /// As [`super::rendered`].
    pub fn new(
        site: Site<'a>,
        project: &'a Project,
        (of, shown): (&'a RevisionDocument, Shown<'_>),
        pager: Pager,
    ) -> Result<Self, std::fmt::Error> {
        let asked = of.variants.iter().find_map(|variant| variant.baseline.asked.as_deref());
        let build = |build: &'a RevisionBuild| {
            let of = Resource::Build(project.slug.clone(), build.id.parse().ok()?);
            let standing = build.success.map_or(Standing::Running, of_success);
            Some((site.to(&of), standing, build))
        };
        let reran = of.passed_on_rerun.iter().take(LISTED);
        Ok(Self {
            verdict: Verdict::new(&of.findings, &kept(asked, shown.gate)),
            here: site.to(&Resource::Revision(project.slug.clone(), of.revision.clone())),
            asked: asked.unwrap_or_default(),
            variants: of.variants.iter().map(|of| VariantLine::new(&site, of)).collect(),
            missing: of.missing_variants.iter().take(LISTED).map(String::as_str).collect(),
            reran: reran
                .map(|item| (site.test(&project.slug, &item.name), item.name.as_str()))
                .collect(),
            reran_count: of.passed_on_rerun.len(),
            findings: findings_html(
                &site,
                (project, &project.slug, None),
                &of.findings,
                shown.may_triage,
            )?,
            builds: of.builds.iter().filter_map(build).collect(),
            site,
            project,
            of,
            pager,
        })
    }
}

impl Page for RevisionPage<'_> {
    fn title(&self) -> String {
        format!("{} {}", self.project.name, self.of.revision)
    }
    fn summary(&self) -> String {
        format!("{}. {}", self.verdict.text, self.verdict.reasons.join("; "))
    }
    fn standing(&self) -> Standing {
        self.verdict.standing
    }
}
