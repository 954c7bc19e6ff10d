//! The insight of a build: a page, and what a build's own page begins with.

use std::borrow::Cow;

use askama::Template;
use devmason_domain::{Build, BuildKey, Project, Slug};
use devmason_hypermedia::Resource;
use devmason_hypermedia::document::{BaselineDocument, FoundBaseline, InsightDocument};
use percent_encoding::NON_ALPHANUMERIC;

use super::findings::{TEXT, Verdict, findings_html};
use super::{Page, Pager};
use crate::Standing;
use crate::site::Site;
use crate::text::cut;

/// The insight of a build, as a part of a page.
#[derive(Template)]
#[template(path = "insight_panel.html")]
struct Panel<'a> {
    verdict: Verdict<'a>,
    compared: Option<Compared<'a>>,
    reason: Option<&'a str>,
    /// Where the form that chooses another baseline is sent to.
    here: String,
    asked: &'a str,
    /// The variant, if no baseline was found for what failed.
    splintered: Option<Cow<'a, str>>,
    /// Everything that differs from the baseline, if it is of the same project.
    all: Option<String>,
    findings: String,
}

/// The build that another is compared with: its path, its id and its branch.
pub(super) type Compared<'a> = (String, &'a str, &'a str);

pub(super) fn compared<'a>(site: &Site<'_>, of: &'a BaselineDocument) -> Option<Compared<'a>> {
    let (found, build) = (of.found.as_ref()?, of.build.as_deref()?);
    let key: BuildKey = build.parse().ok()?;
    let of = Resource::Build(found.project.parse().ok()?, key);
    Some((site.base.location(&of), build, found.branch.as_str()))
}

/// The comparison of a build with its baseline, if that is of the same project.
fn all(site: &Site<'_>, project: &Project, build: &Build, of: &BaselineDocument) -> Option<String> {
    of.found.as_ref().filter(|found| found.project == project.slug.as_str())?;
    site.comparison(&project.slug, of.build.as_deref()?.parse().ok()?, build.key())
}

/// The query that keeps the baseline and the gate that were asked for.
pub(super) fn kept(asked: Option<&str>, gate: Option<&str>) -> String {
    let encoded = |asked| percent_encoding::utf8_percent_encode(asked, NON_ALPHANUMERIC);
    let pairs = [("baseline", asked), ("gate", gate)].into_iter();
    pairs.filter_map(|(name, value)| Some(format!("&{name}={}", encoded(value?)))).collect()
}

/// What a page of an insight depends on besides the insight.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shown<'a> {
    /// Whether the viewer may say which failures are known.
    pub may_triage: bool,
    /// The limits of the gate that the request names.
    pub gate: Option<&'a str>,
}

/// The insight of a build, as a part of a page.
///
/// # Errors
/// As [`super::rendered`].
pub(super) fn insight_html(
    site: &Site<'_>,
    project: &Project,
    build: &Build,
    of: &InsightDocument,
    shown: Shown<'_>,
) -> Result<String, std::fmt::Error> {
    let project_of = |found: &FoundBaseline| found.project.parse().ok();
    let of_baseline: Slug =
        of.baseline.found.as_ref().and_then(project_of).unwrap_or_else(|| project.slug.clone());
    let has_none = of.baseline.found.is_none() && of.findings.counts.unknown > 0;
    let track = of.track.as_ref().filter(|track| has_none && !track.variant.is_empty());
    let panel = Panel {
        // What is counted is counted against this baseline.
        verdict: Verdict::new(&of.findings, &kept(of.baseline.asked.as_deref(), shown.gate)),
        compared: compared(site, &of.baseline),
        reason: of.baseline.reason.as_deref(),
        here: site.of_build(&project.slug, build, "insight"),
        asked: of.baseline.asked.as_deref().unwrap_or_default(),
        all: all(site, project, build, &of.baseline),
        splintered: track.map(|track| cut(&track.variant, TEXT)),
        findings: findings_html(
            site,
            (project, &of_baseline, Some(&build.key())),
            &of.findings,
            shown.may_triage,
        )?,
    };
    panel.render().map_err(|_| std::fmt::Error)
}

/// The insight of a build.
#[derive(Template)]
#[template(path = "insight.html")]
pub struct InsightPage<'a> {
    site: Site<'a>,
    project: &'a Project,
    build: &'a Build,
    panel: String,
    summary: String,
    pager: Pager,
}

impl<'a> InsightPage<'a> {
    /// The page of a build's insight.
    ///
    /// # Errors
    /// As [`super::rendered`].
    pub fn new(
        site: Site<'a>,
        project: &'a Project,
        build: &'a Build,
        (of, shown): (&InsightDocument, Shown<'_>),
        pager: Pager,
    ) -> Result<Self, std::fmt::Error> {
        let panel = insight_html(&site, project, build, of, shown)?;
        let reasons: Vec<&str> =
            of.findings.gate.reasons.iter().map(|reason| reason.text.as_str()).collect();
        let summary = format!("{}. {}", of.findings.gate.verdict, reasons.join("; "));
        Ok(Self { site, project, build, panel, summary, pager })
    }
}

impl Page for InsightPage<'_> {
    fn title(&self) -> String {
        format!("{} {}: failures", self.project.name, self.build.key())
    }
    fn summary(&self) -> String {
        self.summary.clone()
    }
    fn standing(&self) -> Standing {
        Standing::of(self.build)
    }
}
