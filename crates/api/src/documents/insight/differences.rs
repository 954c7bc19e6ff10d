//! Clusters of failures, and what differs between two builds.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use devmason_domain::insight::{Failure, Item};
use devmason_domain::{Build, BuildId, Signature};
use devmason_hypermedia::document::{ChangedComponents, ChangedDocument};

/// Maximum number of tests that a cluster names, and of members that differ.
const NAMED: usize = 20;

/// Members of a client record that differ in every build.
const INCIDENTAL: [&str; 6] = ["commit", "host", "base_commit", "build_number", "build_url", "url"];

/// Failures with the same signature.
pub(super) struct Cluster {
    pub(super) signature: Arc<Signature>,
    /// Number of failures.
    pub(super) items: u64,
    /// The first of the tests, each with the place of its variant.
    pub(super) tests: Vec<(usize, i64)>,
    /// The oldest build in which one of them failed with it.
    pub(super) first_seen: (usize, BuildId),
}

/// To three digits: more would claim more than a window of a hundred builds can tell.
pub(in crate::documents) fn rounded(share: f64) -> f64 {
    (share * 1000.0).round() / 1000.0
}

/// Failures by signature, the largest cluster first.
pub(super) fn clusters<'a>(
    failures: impl Iterator<Item = (usize, &'a Failure<Arc<Signature>>)>,
) -> Vec<Cluster> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut clusters: Vec<Cluster> = Vec::new();
    for (variant, failure) in failures {
        let Some(signature) = &failure.signature else { continue };
        let place = *places.entry(&signature.id).or_insert_with(|| {
            clusters.push(Cluster {
                signature: signature.clone(),
                items: 0,
                tests: Vec::new(),
                first_seen: (variant, failure.first_seen),
            });
            clusters.len() - 1
        });
        let Some(cluster) = clusters.get_mut(place) else { continue };
        cluster.items += 1;
        if failure.first_seen < cluster.first_seen.1 {
            cluster.first_seen = (variant, failure.first_seen);
        }
        if let Item::Test(test) = failure.item
            && cluster.tests.len() < NAMED
        {
            cluster.tests.push((variant, test));
        }
    }
    clusters.sort_by_key(|cluster| Reverse(cluster.items));
    clusters
}

/// What differs from the last good build to the first bad one.
pub(super) fn changed(good: &Build, bad: &Build) -> ChangedDocument {
    let differ =
        |one: Option<String>, other: Option<String>| (one != other).then_some([one, other]);
    let host = |build: &Build| build.client.host_key();
    let only = |one: &Build, other: &Build| {
        let only = one.components.iter().filter(|id| !other.components.contains(id));
        only.map(ToString::to_string).collect()
    };
    let members = |build: &Build| -> BTreeMap<String, String> {
        let members = build.client.0.members().unwrap_or_default().into_iter();
        let members = members.filter(|(name, _)| !INCIDENTAL.contains(&name.as_str()));
        members
            .filter_map(|(name, _)| {
                let value: String = build.client.0.member_text(&name)?.chars().take(200).collect();
                Some((name, value))
            })
            .collect()
    };
    let (before, after) = (members(good), members(bad));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let pairs = names.into_iter().filter_map(|name| {
        let pair = differ(before.get(name).cloned(), after.get(name).cloned())?;
        Some((name.clone(), pair))
    });
    ChangedDocument {
        commit: differ(good.revision.clone(), bad.revision.clone()),
        components: ChangedComponents { added: only(bad, good), removed: only(good, bad) },
        host: differ(host(good), host(bad)),
        client: pairs.take(NAMED).collect(),
    }
}
