//! What an insight found, as a part of a page.

use std::borrow::Cow;

use askama::Template;
use devmason_domain::{BuildKey, Project, Slug};
use devmason_hypermedia::Resource;
use devmason_hypermedia::document::{
    ElsewhereDocument, FailureDocument, Findings, FlakyDocument, ItemDocument, KnownDocument,
    SinceDocument,
};
use percent_encoding::NON_ALPHANUMERIC;

use super::issues::day;
use crate::Standing;
use crate::site::Site;
use crate::text::{counted, cut, grouped};

/// Maximum length of a message or a name, in characters, and number of items of a list on a page.
pub(super) const TEXT: usize = 300;
const LISTED: usize = 20;

/// Maximum number of issues that a failure names, and the size of the longest.
const KNOWN: usize = 3;
const KNOWN_BYTES: usize = 2_000;

/// The size of the strip of a failure's runs, in bytes.
const STRIP: usize = 1_000;

/// Maximum size of the failures on a page, and of each other list, in bytes.
const FAILURES_BYTES: usize = 300_000;
pub(super) const LIST_BYTES: usize = 30_000;

/// The size of a name in HTML: as a text, and as a link of which each byte may be encoded.
pub(super) fn size(name: &str) -> usize {
    6 * TEXT.min(name.len()) + 4 * name.len()
}

/// As many names as fit, but at least one.
pub(super) fn fitting<T>(
    all: &[T],
    most: usize,
    size: impl Fn(&T) -> usize,
) -> impl Iterator<Item = &T> {
    let mut bytes = 0;
    all.iter()
        .take(LONGEST_LIST)
        .enumerate()
        .take_while(move |(nth, item)| {
            bytes += size(item);
            *nth == 0 || bytes <= most
        })
        .map(|(_, item)| item)
}

/// No list of a page is longer.
const LONGEST_LIST: usize = 100;

/// A failure, ready to be shown.
struct FailureLine<'a> {
    /// The variant and the build, if they may be several.
    variant: Option<&'a str>,
    at: Option<(String, &'a str)>,
    class: &'static str,
    standing: Standing,
    name: Cow<'a, str>,
    /// What came of it in its build.
    href: Option<String>,
    /// What came of it in other builds.
    history: Option<String>,
    since: Option<(String, &'a str)>,
    /// How long it fails, in words.
    age: String,
    /// What came of its newest runs.
    recent: &'a str,
    /// How often the test was flaky.
    flaky: String,
    host: Option<&'a str>,
    /// In how many other tracks it fails.
    elsewhere: String,
    message: String,
    /// The issues that explain it.
    known: Vec<KnownLine<'a>>,
    /// Where a form says that it is known, for those who may.
    mark: Option<String>,
}

/// An issue that explains failures.
pub(super) struct KnownLine<'a> {
    pub(super) href: String,
    pub(super) title: &'a str,
    pub(super) effect: String,
}

/// Failures with the same text.
struct Group<'a> {
    /// The page of the signature.
    href: Option<&'a str>,
    title: &'a str,
    items: u64,
    known: Vec<KnownLine<'a>>,
    mark: Option<String>,
    /// The message of the first of them.
    message: String,
    /// Those of them that are listed on this page.
    failures: Vec<FailureLine<'a>>,
}

/// A list of items with a title.
struct Items<'a> {
    title: String,
    names: Vec<(Option<String>, Cow<'a, str>)>,
    /// Number of items that are not shown.
    more: u64,
}

/// A count, with the query that shows what it counts.
pub(super) struct Count {
    pub(super) text: String,
    pub(super) query: Option<String>,
}

/// The verdict of an insight, with the numbers that it is about.
pub(super) struct Verdict<'a> {
    pub(super) standing: Standing,
    pub(super) text: &'static str,
    pub(super) reasons: Vec<&'a str>,
    pub(super) counts: Vec<Count>,
}

impl<'a> Verdict<'a> {
    /// The verdict; `more` is added to the queries of the numbers.
    pub(super) fn new(of: &'a Findings, more: &str) -> Self {
        let counts = &of.counts;
        let classes = [
            (counts.new, "new"),
            (counts.unknown, "unknown"),
            (counts.failing, "failing"),
            (counts.flaky, "flaky"),
        ];
        let told = classes.into_iter().filter(|(count, _)| *count > 0);
        let counted = told.map(|(count, class)| Count {
            text: format!("{} {class}", grouped(count)),
            query: Some(format!("?class={class}{more}")),
        });
        let changes = [
            (counts.muted, "muted"),
            (counts.fixed, "fixed"),
            (counts.missing.unwrap_or(0), "missing"),
            (counts.skipped, "skipped"),
            (counts.added, "added"),
            (counts.new_flaky, "newly flaky"),
            (counts.slower, "slower"),
        ];
        let changed = changes.into_iter().filter(|(count, _)| *count > 0);
        let changed = changed
            .map(|(count, word)| Count { text: format!("{} {word}", grouped(count)), query: None });
        let (text, standing) = match of.gate.verdict {
            "pass" => ("Gate passed", Standing::Success),
            "fail" => ("Gate failed", Standing::Failure),
            _ => ("Gate undecided", Standing::Running),
        };
        Self {
            standing,
            text,
            reasons: of.gate.reasons.iter().map(|reason| reason.text.as_str()).collect(),
            counts: counted.chain(changed).collect(),
        }
    }
}

/// What an insight found, as a part of a page.
#[derive(Template)]
#[template(path = "findings.html")]
struct FindingsPart<'a> {
    groups: Vec<Group<'a>>,
    /// Those that no group has.
    failures: Vec<FailureLine<'a>>,
    /// Number of failures of this page that are not shown, because their names are very long.
    more_failures: usize,
    lists: Vec<Items<'a>>,
    is_mass_failure: bool,
    is_complete: bool,
}

/// What an insight found, as a part of a page: of a project, the project in which what fails in the
/// baseline's track began, and the build that it is about, if it is one.
///
/// # Errors
/// As [`super::rendered`].
pub(super) fn findings_html(
    site: &Site<'_>,
    of_build: (&Project, &Slug, Option<&BuildKey>),
    of: &Findings,
    may_triage: bool,
) -> Result<String, std::fmt::Error> {
    let lists = lists(site, of_build.0, of);
    part(site, of_build, of, may_triage, lists)
}

/// What fails, as a part of a page.
///
/// # Errors
/// As [`super::rendered`].
pub(super) fn failures_html(
    site: &Site<'_>,
    project: &Project,
    of: &Findings,
    may_triage: bool,
) -> Result<String, std::fmt::Error> {
    part(site, (project, &project.slug, None), of, may_triage, Vec::new())
}

/// What differs from the baseline, besides failures.
fn lists<'a>(site: &Site<'_>, project: &Project, of: &'a Findings) -> Vec<Items<'a>> {
    let counts = &of.counts;
    let test = |kind: &str, name: &str| (kind == "test").then(|| site.test(&project.slug, name));
    let items = |title: &str, all: Vec<(&str, &'_ str)>, count: u64| {
        let shown = fitting(&all, LIST_BYTES, |(_, name)| size(name)).take(LISTED);
        let names: Vec<_> = shown
            .map(|(kind, name)| (test(kind, name), Cow::Owned(cut(name, TEXT).into_owned())))
            .collect();
        let more = count.saturating_sub(names.len() as u64);
        (!names.is_empty()).then(|| Items {
            title: format!("{} {title}", grouped(count)),
            names,
            more,
        })
    };
    let fixed = of.fixed.iter().map(|item| (item.kind, item.name.as_str())).collect();
    let slower = of.slower.iter().map(|item| ("test", item.name.as_str())).collect();
    let missing = of.missing.as_deref().unwrap_or_default();
    let all = [
        items("fixed", fixed, counts.fixed),
        items("missing", named(missing), counts.missing.unwrap_or(0)),
        items("newly flaky", named(&of.new_flaky), counts.new_flaky),
        items("skipped that ran before", named(&of.skipped), counts.skipped),
        items("added", named(&of.added), counts.added),
        items("slower", slower, counts.slower),
    ];
    all.into_iter().flatten().collect()
}

fn part(
    site: &Site<'_>,
    (project, of_baseline, build): (&Project, &Slug, Option<&BuildKey>),
    of: &Findings,
    may_triage: bool,
    lists: Vec<Items<'_>>,
) -> Result<String, std::fmt::Error> {
    let failure_size = |of: &FailureDocument| {
        let known = of.known.len().min(KNOWN) * KNOWN_BYTES;
        2 * size(of.name.as_deref().unwrap_or_default()) + 12 * TEXT + STRIP + known
    };
    let shown: Vec<&FailureDocument> =
        fitting(&of.failures, FAILURES_BYTES, failure_size).collect();
    let more_failures = of.failures.len() - shown.len();
    let line = |of| line(site, (project, of_baseline, build), of, may_triage);
    let is_of = |failure: &FailureDocument, signature: &str| {
        failure.signature.as_deref() == Some(signature)
    };
    let clusters = of.clusters.iter().filter(|cluster| cluster.items > 1).take(LISTED);
    let all = of.failures.as_slice();
    let groups: Vec<Group<'_>> =
        clusters
            .map(|cluster| {
                let of_it = shown.iter().filter(|failure| is_of(failure, &cluster.signature));
                let mut failures: Vec<_> = of_it.map(|failure| line(failure)).collect();
                // One message is enough for all of them.
                if !cluster.known.is_empty() {
                    failures.iter_mut().for_each(|line| line.known.clear());
                }
                let messages = failures.iter_mut().map(|line| std::mem::take(&mut line.message));
                Group {
                    message: messages.fold(String::new(), |first, next| {
                        if first.is_empty() { next } else { first }
                    }),
                    failures,
                    href: signature_href(all, &cluster.signature),
                    title: &cluster.title,
                    items: cluster.items,
                    known: known(site, project, &cluster.known),
                    mark: may_triage.then(|| {
                        let prefilled =
                            [("title", &*cluster.title), ("signature", &*cluster.signature)];
                        mark(site, project, &prefilled)
                    }),
                }
            })
            .collect();
    let is_grouped = |failure: &FailureDocument| {
        let clusters = of.clusters.iter().filter(|cluster| cluster.items > 1).take(LISTED);
        clusters.into_iter().any(|cluster| is_of(failure, &cluster.signature))
    };
    let lone = shown.iter().filter(|failure| !is_grouped(failure));
    let part = FindingsPart {
        failures: lone.map(|failure| line(failure)).collect(),
        groups,
        more_failures,
        lists,
        is_mass_failure: of.mass_failure,
        is_complete: of.window.complete,
    };
    part.render().map_err(|_| std::fmt::Error)
}

fn named(all: &[ItemDocument]) -> Vec<(&str, &str)> {
    all.iter().map(|item| (item.kind, item.name.as_str())).collect()
}

fn line<'a>(
    site: &Site<'_>,
    (project, of_baseline, build): (&Project, &Slug, Option<&BuildKey>),
    of: &'a FailureDocument,
    may_triage: bool,
) -> FailureLine<'a> {
    // What fails in the baseline's track began in the baseline's project.
    let slug = if of.class == "failing" { of_baseline } else { &project.slug };
    let name = of.name.as_deref().unwrap_or("The build itself");
    let key: Option<BuildKey> = of.since.build.parse().ok();
    let since = key.map(|key| {
        let build = Resource::Build(slug.clone(), key);
        (site.base.location(&build), of.since.build.as_str())
    });
    let at = of.build.as_deref().and_then(|key| {
        let build = Resource::Build(project.slug.clone(), key.parse().ok()?);
        Some((site.base.location(&build), key))
    });
    let own = of.build.as_deref().and_then(|key| key.parse().ok()).or_else(|| build.cloned());
    let is_test = of.kind == "test";
    let history = is_test.then(|| site.test(&project.slug, name));
    let case = own.filter(|_| is_test).map(|key| site.case(&project.slug, &key, of.position));
    FailureLine {
        variant: of.variant.as_deref().filter(|variant| !variant.is_empty()),
        at,
        class: of.class,
        standing: if of.class == "flaky" { Standing::Nothing } else { Standing::Failure },
        name: cut(name, TEXT),
        href: case.or_else(|| history.clone()),
        history,
        // A failure that began in this build says so by its class.
        since: since.filter(|_| of.since.builds > 1),
        age: age(&of.since),
        recent: &of.recent,
        flaky: of.flaky.as_ref().map(flaky).unwrap_or_default(),
        host: of.host_suspect.as_deref(),
        elsewhere: elsewhere(&of.elsewhere),
        message: of.message.as_deref().map(|text| cut(text, TEXT).into_owned()).unwrap_or_default(),
        known: known(site, project, &of.known),
        mark: of.name.as_ref().filter(|_| may_triage).map(|test| {
            let signature = of.signature.as_deref().unwrap_or_default();
            let title = of.message.as_deref().unwrap_or(test);
            mark(site, project, &[("title", title), ("test", test), ("signature", signature)])
        }),
    }
}

/// Where else it fails, in words.
fn elsewhere(of: &ElsewhereDocument) -> String {
    let tracks = (of.ran > 0).then(|| format!("fails in {} of {} other tracks", of.bad, of.ran));
    let projects = match of.projects.as_slice() {
        [] => None,
        [only] => Some(format!("the same failure is in {}", only.project)),
        [first, rest @ ..] => Some(format!(
            "the same failure is in {} and {} other project{}",
            first.project,
            rest.len(),
            if rest.len() == 1 { "" } else { "s" }
        )),
    };
    tracks.into_iter().chain(projects).collect::<Vec<_>>().join("; ")
}

/// The link of a failure on the page to this signature, if there is one.
fn signature_href<'a>(failures: &'a [FailureDocument], signature: &str) -> Option<&'a str> {
    let of = failures.iter().find(|of| of.signature.as_deref() == Some(signature))?;
    let link = of.links.iter().find(|link| link.rel == "signature")?;
    Some(&link.href)
}

pub(super) fn known<'a>(
    site: &Site<'_>,
    project: &Project,
    of: &'a [KnownDocument],
) -> Vec<KnownLine<'a>> {
    let end = |of: &KnownDocument| of.expires.as_ref().and_then(|end| end.parse().ok()).map(day);
    let line = |of: &'a KnownDocument| KnownLine {
        href: site.to(&Resource::Issue(project.slug.clone(), of.issue)),
        title: &of.title,
        effect: match (end(of), of.mute) {
            _ if of.returned => "closed, but it is back".to_owned(),
            (Some(end), true) => format!("muted until {end}"),
            (None, true) => "muted".to_owned(),
            (Some(end), false) => format!("known until {end}"),
            (None, false) => "known".to_owned(),
        },
    };
    of.iter().take(KNOWN).map(line).collect()
}

/// A pattern for a name: browsers change ends of lines, and long names are cut.
fn pattern(name: &str) -> String {
    /// A pattern may have 1000 characters.
    const LONGEST: usize = 1_000;
    let plain = |c: char| if c.is_control() { '?' } else { c };
    if name.chars().nth(LONGEST).is_none() {
        return name.chars().map(plain).collect();
    }
    name.chars().take(LONGEST - 1).map(plain).chain(['*']).collect()
}

/// The form for a new issue with these fields.
pub(super) fn mark(site: &Site<'_>, project: &Project, fields: &[(&str, &str)]) -> String {
    /// A title may have 200 characters.
    const TITLE: usize = 150;
    let mut href = format!("{}?", site.to(&Resource::IssueList(project.slug.clone())));
    for (name, text) in fields.iter().filter(|(_, text)| !text.is_empty()) {
        let plain: String = match *name {
            "title" => {
                let line = text.lines().next().unwrap_or_default().chars();
                line.filter(|c| !c.is_control()).take(TITLE).collect()
            }
            "test" => pattern(text),
            _ => (*text).to_owned(),
        };
        let plain = percent_encoding::utf8_percent_encode(&plain, NON_ALPHANUMERIC);
        href += &format!("{name}={plain}&");
    }
    href.pop();
    href + "#new"
}

/// `3 builds`, `at least 1,000 builds`.
fn age(since: &SinceDocument) -> String {
    let at_least = if since.at_least { "at least " } else { "" };
    format!("{at_least}{}", counted(since.builds, "build"))
}

/// `flaky in 2 of 97 runs`.
fn flaky(of: &FlakyDocument) -> String {
    let here = if of.only_here { " of this branch alone" } else { "" };
    let other = if of.same_signature { "" } else { ", with another message" };
    format!("flaky in {} of {} runs{here}{other}", of.flakes, of.runs)
}
