//! An insight with the texts of the requested page.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use devmason_domain::insight::{Failure, FailureKey, Item, Placed};
use devmason_domain::{Build, BuildId, Project, Signature};
use devmason_hypermedia::document::OtherProject;
use devmason_repository::{Repository, Shared};

use super::differences::{Cluster, clusters};
use super::wanted::Wanted;
use crate::insight::{Insight, SeenBeyond, kind, messages};

type Answer<T> = devmason_repository::Result<T>;

/// Maximum length of lists other than failures.
pub(in crate::documents) const LISTED: usize = 100;

/// Maximum number of failures for which what changed is told: their builds' client records are long.
const CHANGED: usize = 100;

/// A failure with the place of its variant.
type Of<T> = (usize, T);

/// A variant of what is asked about: of a build its only one, of a commit each.
pub(in crate::documents) struct Variant {
    /// Its name, if there may be several.
    pub(in crate::documents) name: Option<String>,
    pub(in crate::documents) insight: Insight,
    /// Whether at least half of its newest build's tests failed.
    pub(in crate::documents) is_mass_failure: bool,
}

/// The insight of some variants with the texts of the requested page.
pub(in crate::documents) struct Read {
    pub(in crate::documents) variants: Vec<Variant>,
    /// The failures of the page.
    pub(in crate::documents) shown: Vec<Of<Failure<Arc<Signature>>>>,
    /// Number of failures that the request selects.
    pub(in crate::documents) matching: usize,
    /// The clusters, the largest first, each with its first tests.
    pub(super) clusters: Vec<Cluster>,
    /// The names of tests, for each variant.
    pub(in crate::documents) names: Vec<HashMap<i64, String>>,
    pub(in crate::documents) messages: HashMap<FailureKey, String>,
    /// The builds where a shown failure began, and those before.
    pub(in crate::documents) builds: HashMap<BuildId, Build>,
    /// What other projects have of the failures.
    pub(super) beyond: SeenBeyond,
}

fn test(item: &Item) -> Option<i64> {
    match item {
        Item::Test(test) => Some(*test),
        Item::Step(_) | Item::Build => None,
    }
}

/// All failures, each with the place of its variant.
pub(in crate::documents) fn failures(
    variants: &[Variant],
) -> impl Iterator<Item = Of<&Failure<Arc<Signature>>>> {
    variants.iter().enumerate().flat_map(|(place, variant)| {
        variant.insight.compared.failures.iter().map(move |failure| (place, failure))
    })
}

impl Read {
    pub(in crate::documents) fn of(
        repository: &dyn Repository,
        (project, beyond): (&Project, SeenBeyond),
        variants: Vec<Variant>,
        wanted: &Wanted,
    ) -> Answer<Self> {
        let clusters = clusters(failures(&variants));
        let (shown, matching) = selected(&variants, &clusters, wanted);
        let mut names = Vec::with_capacity(variants.len());
        for (place, variant) in variants.iter().enumerate() {
            let mut tests: Vec<i64> = listed(&variant.insight);
            let of_it = shown.iter().filter(|(of, _)| *of == place);
            tests.extend(of_it.filter_map(|(_, failure)| test(&failure.item)));
            let clustered = clusters.iter().take(LISTED).flat_map(|cluster| &cluster.tests);
            tests.extend(clustered.filter(|(of, _)| *of == place).map(|(_, test)| *test));
            tests.sort_unstable();
            tests.dedup();
            names.push(variant.insight.names(repository, project, tests.into_iter())?);
        }
        let mut keys: Vec<_> = shown.iter().filter_map(|(_, failure)| failure.text).collect();
        keys.sort_unstable();
        keys.dedup();
        let messages = messages(repository, project, &keys)?;
        let builds = changed_builds(repository, project, &variants, &shown)?;
        Ok(Self { shown, matching, clusters, names, messages, builds, beyond, variants })
    }
}

/// Where a failure was seen in another project.
pub(in crate::documents) fn other_project(of: &Shared) -> OtherProject {
    OtherProject {
        project: of.project.to_string(),
        build: of.build.to_string(),
        started: of.started.to_rfc2822(),
    }
}

/// The failures of the page, and how many the request selects.
fn selected(
    variants: &[Variant],
    clusters: &[Cluster],
    wanted: &Wanted,
) -> (Vec<Of<Failure<Arc<Signature>>>>, usize) {
    let sizes: HashMap<&str, u64> =
        clusters.iter().map(|of| (of.signature.id.as_str(), of.items)).collect();
    let size = |failure: &Failure<Arc<Signature>>| {
        let signature = failure.signature.as_ref();
        signature.and_then(|of| sizes.get(of.id.as_str())).copied().unwrap_or(1)
    };
    let mut selected: Vec<Of<&Failure<Arc<Signature>>>> = failures(variants)
        .filter(|(_, failure)| {
            (wanted.classes.is_empty() || wanted.classes.contains(&failure.class))
                && (wanted.kinds.is_empty() || wanted.kinds.contains(&kind(&failure.item)))
        })
        .collect();
    let is_muted = |(place, failure): &Of<&Failure<_>>| {
        variants.get(*place).is_some_and(|variant| variant.insight.known.mutes(&failure.item))
    };
    // Failures of one class and cluster stay in the order of their places.
    selected.sort_by_key(|of| (is_muted(of), of.1.class, Reverse(size(of.1))));
    let matching = selected.len();
    let page = selected.into_iter().skip(wanted.from).take(wanted.per_page);
    (page.map(|(place, failure)| (place, failure.clone())).collect(), matching)
}

/// The tests in the first part of each list.
fn listed(insight: &Insight) -> Vec<i64> {
    let compared = &insight.compared;
    let lists = [
        &compared.fixed,
        &compared.missing,
        &compared.skipped,
        &compared.added,
        &compared.new_flaky,
    ];
    let placed = lists.iter().flat_map(|list| list.iter().take(LISTED));
    let mut tests: Vec<i64> = placed.filter_map(|placed: &Placed| test(&placed.item)).collect();
    tests.extend(insight.together.reran.iter().take(LISTED));
    let slower = compared.slower.iter().take(LISTED);
    tests.extend(slower.filter_map(|(placed, _)| test(&placed.item)));
    tests
}

/// The builds where a shown failure began, and the good ones before.
fn changed_builds(
    repository: &dyn Repository,
    project: &Project,
    variants: &[Variant],
    shown: &[Of<Failure<Arc<Signature>>>],
) -> Answer<HashMap<BuildId, Build>> {
    let began = shown
        .iter()
        .take(CHANGED)
        .filter_map(|(_, failure)| failure.last_good.map(|good| [good, failure.since.build]));
    let mut ids: Vec<BuildId> = began.flatten().collect();
    ids.sort_unstable();
    ids.dedup();
    // The builds of a baseline's track may be another project's.
    let baselines = variants.iter().filter_map(|of| of.insight.baseline.found.as_ref().ok());
    let mut projects = vec![project.id];
    projects.extend(baselines.map(|found| found.project.id));
    projects.sort_unstable();
    projects.dedup();
    let mut builds = HashMap::new();
    for of in projects {
        let found = repository.builds_by_id(of, &ids)?;
        builds.extend(found.into_iter().map(|build| (build.id, build)));
    }
    Ok(builds)
}
