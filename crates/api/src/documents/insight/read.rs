//! The document of an insight, with the texts of the requested page.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use devmason_domain::gate::{Limit, Rule, written_rules};
use devmason_domain::insight::{
    Class, Elsewhere, Failure, FailureKey, Flaky, Item, Placed, is_mass_failure, wilson,
};
use devmason_domain::{Build, BuildId, BuildKey, Origin, Outcome, Project, Signature, Timestamp};
use devmason_hypermedia::document::{
    BadIn, BaselineDocument, BeforeDocument, ClusterDocument, ElsewhereDocument, EvidenceDocument,
    FailureDocument, FixedDocument, FlakyDocument, FoundBaseline, GateDocument, InsightCounts,
    InsightDocument, ItemDocument, KnownDocument, PlaceDocument, ReasonDocument, SinceDocument,
    WindowDocument,
};
use devmason_hypermedia::{Link, ListLinks, View};
use devmason_repository::Repository;

use super::differences::{Cluster, changed, clusters, rounded};
use super::wanted::Wanted;
use crate::insight::{Insight, Relevant, kind, messages};

type Answer<T> = devmason_repository::Result<T>;

/// Maximum length of lists other than failures.
const LISTED: usize = 100;

/// Maximum number of failures for which what changed is told: their builds' client records are long.
const CHANGED: usize = 100;

/// Maximum number of issues that a failure or a cluster names.
const KNOWN: usize = 10;

/// Maximum number of other tracks that a failure names.
const BAD_IN: usize = 10;

/// An insight with the texts of the requested page.
pub(super) struct Read {
    insight: Insight,
    /// The failures of the page.
    shown: Vec<Failure<Arc<Signature>>>,
    /// Number of failures that the request selects.
    pub(super) matching: usize,
    /// The clusters, the largest first, each with its first tests.
    clusters: Vec<Cluster>,
    names: HashMap<i64, String>,
    messages: HashMap<FailureKey, String>,
    /// The builds where a shown failure began, and those before.
    builds: HashMap<BuildId, Build>,
}

impl Read {
    pub(super) fn of(
        repository: &dyn Repository,
        project: &Project,
        insight: Insight,
        wanted: &Wanted,
    ) -> Answer<Self> {
        let clusters = clusters(&insight.compared.failures);
        let sizes: HashMap<&str, u64> =
            clusters.iter().map(|of| (of.signature.id.as_str(), of.items)).collect();
        let size = |failure: &Failure<Arc<Signature>>| {
            failure
                .signature
                .as_ref()
                .and_then(|of| sizes.get(of.id.as_str()))
                .copied()
                .unwrap_or(1)
        };
        let is_selected = |failure: &&Failure<Arc<Signature>>| {
            (wanted.classes.is_empty() || wanted.classes.contains(&failure.class))
                && (wanted.kinds.is_empty() || wanted.kinds.contains(&kind(&failure.item)))
        };
        let mut selected: Vec<&Failure<Arc<Signature>>> =
            insight.compared.failures.iter().filter(is_selected).collect();
        // Failures of one class and cluster stay in the order of their places.
        let is_muted = |failure: &Failure<_>| insight.known.mutes(&failure.item);
        selected.sort_by_key(|failure| (is_muted(failure), failure.class, Reverse(size(failure))));
        let matching = selected.len();
        let shown: Vec<Failure<Arc<Signature>>> =
            selected.into_iter().skip(wanted.from).take(wanted.per_page).cloned().collect();

        let of_item = |item: &Item| match item {
            Item::Test(test) => Some(*test),
            Item::Step(_) | Item::Build => None,
        };
        let compared = &insight.compared;
        let lists = [
            &compared.fixed,
            &compared.missing,
            &compared.skipped,
            &compared.added,
            &compared.new_flaky,
        ];
        let listed = lists.iter().flat_map(|list| list.iter().take(LISTED));
        let mut tests: Vec<i64> = listed.filter_map(|placed| of_item(&placed.item)).collect();
        tests.extend(shown.iter().filter_map(|failure| of_item(&failure.item)));
        tests
            .extend(clusters.iter().take(LISTED).flat_map(|cluster| cluster.tests.iter().copied()));
        tests.sort_unstable();
        tests.dedup();
        let names = insight.names(repository, project, tests.into_iter())?;
        let mut keys: Vec<_> = shown.iter().filter_map(|failure| failure.text).collect();
        keys.sort_unstable();
        keys.dedup();
        let messages = messages(repository, project, &keys)?;
        let began = shown
            .iter()
            .take(CHANGED)
            .filter_map(|failure| failure.last_good.map(|good| [good, failure.since.build]));
        let mut ids: Vec<BuildId> = began.flatten().collect();
        ids.sort_unstable();
        ids.dedup();
        let mut builds = HashMap::new();
        // The builds of the baseline's track may be another project's.
        let other = insight.baseline.found.as_ref().ok().map(|found| found.project.id);
        for of in [Some(project.id), other.filter(|id| *id != project.id)].into_iter().flatten() {
            let found = repository.builds_by_id(of, &ids)?;
            builds.extend(found.into_iter().map(|build| (build.id, build)));
        }
        Ok(Self { shown, matching, clusters, names, messages, builds, insight })
    }

    pub(super) fn document(
        &self,
        view: View<'_>,
        project: &Project,
        build: &Build,
        wanted: &Wanted,
        list: &ListLinks,
    ) -> InsightDocument {
        let (insight, compared) = (&self.insight, &self.insight.compared);
        let limits = wanted.gate.limits(&project.tracking.gate);
        let found = insight.baseline.found.as_ref().ok();
        let linked = found.map(|found| (&found.project, &found.build.key));
        let counts = InsightCounts {
            tests: compared.tests,
            new: compared.count(Class::New),
            failing: compared.count(Class::Failing),
            flaky: compared.count(Class::Flaky),
            unknown: compared.count(Class::Unknown),
            muted: insight.muted(),
            new_flaky: compared.new_flaky.len() as u64,
            fixed: compared.fixed.len() as u64,
            missing: self.may_miss(build).then_some(compared.missing.len() as u64),
            skipped: compared.skipped.len() as u64,
            added: compared.added.len() as u64,
        };
        InsightDocument {
            build: build.key().to_string(),
            state: build.outcome.state().as_str(),
            success: match build.outcome {
                Outcome::Running => None,
                Outcome::Finished { success, .. } => Some(success),
            },
            revision: build.revision.clone(),
            track: build.track.as_ref().map(Into::into),
            baseline: self.baseline(build, wanted),
            counts,
            mass_failure: is_mass_failure(&build.tests),
            gate: self.gate(build, &limits),
            failures: self
                .shown
                .iter()
                .map(|failure| self.failure(view, project, failure))
                .collect(),
            clusters: self.clusters.iter().take(LISTED).map(|of| self.cluster(of)).collect(),
            new_flaky: self.items(&compared.new_flaky),
            fixed: compared.fixed.iter().take(LISTED).map(|placed| self.fixed(placed)).collect(),
            missing: self.may_miss(build).then(|| self.items(&compared.missing)),
            skipped: self.items(&compared.skipped),
            added: self.items(&compared.added),
            window: WindowDocument {
                builds: insight.window as u64,
                of: found.map(|found| found.build.track.key().to_string()),
                complete: insight.is_complete,
            },
            links: view.insight_links(project, build, linked, list),
        }
    }

    /// Whether a test that is not in the build is missing there.
    fn may_miss(&self, build: &Build) -> bool {
        let is_partial = Origin::from(&build.client).is_partial;
        matches!(build.outcome, Outcome::Finished { .. }) && !is_partial
    }

    fn baseline(&self, build: &Build, wanted: &Wanted) -> BaselineDocument {
        let baseline = &self.insight.baseline;
        let found = baseline.found.as_ref();
        let variant = build.track.as_ref().map(|track| track.variant.as_str());
        BaselineDocument {
            asked: wanted.asked.as_ref().map(ToString::to_string),
            used: baseline.used.as_ref().map(ToString::to_string),
            build: found.ok().map(|found| found.build.key.to_string()),
            reason: found.err().cloned(),
            found: found.ok().map(|found| FoundBaseline {
                project: found.project.slug.to_string(),
                track: found.build.track.key().to_string(),
                branch: found.build.track.branch.clone(),
                started: found.build.started.to_rfc2822(),
                same_variant: variant == Some(found.build.track.variant.as_str()),
                mass_failure: is_mass_failure(&found.build.tests),
            }),
        }
    }

    fn gate(&self, build: &Build, limits: &[(Rule, Limit)]) -> GateDocument {
        let (verdict, exceeded) = self.insight.verdict(build, limits);
        let reason = |(rule, limit, count): (Rule, Limit, u64)| ReasonDocument {
            rule: rule.as_str(),
            limit: limit.to_string(),
            count,
            text: self.insight.reason(rule, count),
        };
        GateDocument {
            rules: written_rules(limits),
            verdict: verdict.as_str(),
            reasons: exceeded.into_iter().map(reason).collect(),
        }
    }

    fn name(&self, item: &Item) -> Option<String> {
        match item {
            Item::Test(test) => self.names.get(test).cloned(),
            Item::Step(name) => Some(name.clone()),
            Item::Build => None,
        }
    }

    fn items(&self, placed: &[Placed]) -> Vec<ItemDocument> {
        let item = |placed: &Placed| {
            let name = self.name(&placed.item).unwrap_or_default();
            ItemDocument { kind: kind(&placed.item), name }
        };
        placed.iter().take(LISTED).map(item).collect()
    }

    fn fixed(&self, placed: &Placed) -> FixedDocument {
        FixedDocument {
            kind: kind(&placed.item),
            name: self.name(&placed.item).unwrap_or_default(),
            since: placed.since.map(|build| self.place(build).build),
        }
    }

    /// A build that was looked at.
    fn place(&self, build: BuildId) -> PlaceDocument {
        let of = |(key, started): &(BuildKey, Timestamp)| PlaceDocument {
            build: key.to_string(),
            started: started.to_rfc2822(),
        };
        let unknown = || PlaceDocument { build: build.to_string(), started: String::new() };
        self.insight.places.get(&build).map_or_else(unknown, of)
    }

    fn failure(
        &self,
        view: View<'_>,
        project: &Project,
        failure: &Failure<Arc<Signature>>,
    ) -> FailureDocument {
        let name = self.name(&failure.item);
        let since = self.place(failure.since.build);
        let links: Vec<Link> = match (&failure.item, &name) {
            (Item::Test(_), Some(name)) => vec![view.history_link(project, name)],
            _ => Vec::new(),
        };
        FailureDocument {
            kind: kind(&failure.item),
            name,
            position: failure.position,
            status: failure.status.as_str(),
            class: failure.class.as_str(),
            first_run: failure.first_run,
            before: failure.before.map(|(build, status)| BeforeDocument {
                build: self.place(build).build,
                status: status.as_str(),
            }),
            since: SinceDocument {
                build: since.build,
                started: since.started,
                builds: failure.since.builds as u64,
                at_least: failure.since.at_least,
            },
            last_good: failure.last_good.map(|build| self.place(build)),
            changed: failure.last_good.and_then(|good| {
                let bad = self.builds.get(&failure.since.build)?;
                Some(changed(self.builds.get(&good)?, bad))
            }),
            flaky: failure.flaky.as_ref().map(|flaky| self.flaky(flaky)),
            elsewhere: self.elsewhere(&failure.elsewhere),
            signature: failure.signature.as_ref().map(|signature| signature.id.clone()),
            message: failure.text.and_then(|key| self.messages.get(&key).cloned()),
            known: self.insight.known.of(&failure.item).take(KNOWN).map(known).collect(),
            muted: self.insight.known.mutes(&failure.item),
            host_suspect: failure.host_suspect.as_ref().map(ToString::to_string),
            links,
        }
    }

    fn flaky(&self, flaky: &Flaky) -> FlakyDocument {
        let evidence = &flaky.evidence;
        FlakyDocument {
            flakes: evidence.flakes(),
            runs: evidence.runs,
            rate: rounded(evidence.rate()),
            interval: wilson(evidence.flakes(), evidence.runs).map(rounded),
            evidence: EvidenceDocument {
                retry: evidence.retry,
                same_revision: evidence.same_revision,
                flip: evidence.flip,
            },
            same_signature: flaky.same_signature,
            only_here: flaky.only_here,
            elsewhere: flaky.elsewhere,
            last: flaky.last.map(|build| self.place(build).build),
        }
    }

    fn elsewhere(&self, of: &Elsewhere) -> ElsewhereDocument {
        let bad_in = |track: &usize| {
            let other = self.insight.others.get(*track)?;
            Some(BadIn {
                track: other.track.key().to_string(),
                branch: other.track.branch.clone(),
                variant: other.track.variant.clone(),
                build: other.build.to_string(),
            })
        };
        ElsewhereDocument {
            tracks: of.tracks as u64,
            ran: of.ran as u64,
            bad: of.bad as u64,
            same_signature: of.same_signature as u64,
            bad_in: of.bad_in.iter().take(BAD_IN).filter_map(bad_in).collect(),
        }
    }

    /// The issues that explain failures with a signature.
    fn known_of(&self, signature: &Signature) -> Vec<KnownDocument> {
        let mut issues: Vec<&Relevant> = Vec::new();
        for failure in &self.insight.compared.failures {
            if failure.signature.as_deref() == Some(signature) {
                issues.extend(self.insight.known.of(&failure.item));
            }
        }
        issues.sort_by_key(|of| of.issue.id);
        issues.dedup_by_key(|of| of.issue.id);
        issues.into_iter().take(KNOWN).map(known).collect()
    }

    fn cluster(&self, of: &Cluster) -> ClusterDocument {
        ClusterDocument {
            signature: of.signature.id.clone(),
            title: of.signature.title.clone(),
            items: of.items,
            tests: of.tests.iter().filter_map(|test| self.names.get(test).cloned()).collect(),
            first_seen: self.place(of.first_seen),
            known: self.known_of(&of.signature),
        }
    }
}

fn known(of: &Relevant) -> KnownDocument {
    let details = &of.issue.details;
    KnownDocument {
        issue: of.issue.id,
        title: details.title.to_string(),
        url: details.url.as_ref().map(ToString::to_string),
        mute: details.mute,
        expires: details.expires.map(Timestamp::to_rfc2822),
        returned: of.has_returned,
    }
}
