//! What an insight found, as a document.

use std::collections::BTreeMap;
use std::sync::Arc;

use devmason_domain::gate::{Limit, Rule, Verdict, written_rules};
use devmason_domain::insight::{
    Class, Failure, Flaky, Item, Placed, Slow, is_mass_failure, wilson,
};
use devmason_domain::{BuildId, BuildKey, Project, Signature, SignatureKey, Timestamp};
use devmason_hypermedia::document::{
    BadIn, BaselineDocument, BeforeDocument, ClusterDocument, ElsewhereDocument, EvidenceDocument,
    FailureDocument, Findings, FixedDocument, FlakyDocument, FoundBaseline, GateDocument,
    InsightCounts, ItemDocument, KnownDocument, PlaceDocument, ReasonDocument, SinceDocument,
    SlowerDocument, WindowDocument,
};
use devmason_hypermedia::{Link, View};
use uuid::Uuid;

use super::differences::{Cluster, changed, rounded};
use super::read::{LISTED, Read, Variant, failures, other_project};
use super::wanted::Wanted;
use crate::insight::{Insight, Relevant, kind};

/// Maximum number of issues that a cluster names.
const KNOWN: usize = 10;

/// Maximum number of other tracks that a failure names.
const BAD_IN: usize = 10;

/// Maximum number of variants that a reason of the gate tells about.
const REASONS: usize = 5;

/// The numbers of a variant.
pub(in crate::documents) fn counts(insight: &Insight) -> InsightCounts {
    let compared = &insight.compared;
    InsightCounts {
        tests: compared.tests,
        new: compared.count(Class::New),
        failing: compared.count(Class::Failing),
        flaky: compared.count(Class::Flaky),
        unknown: compared.count(Class::Unknown),
        muted: insight.muted(),
        new_flaky: compared.new_flaky.len() as u64,
        fixed: compared.fixed.len() as u64,
        missing: insight.may_miss.then_some(compared.missing.len() as u64),
        skipped: compared.skipped.len() as u64,
        added: compared.added.len() as u64,
        slower: compared.slower.len() as u64,
    }
}

/// What a variant is compared with.
pub(in crate::documents) fn baseline(
    insight: &Insight,
    variant: Option<&str>,
    wanted: &Wanted,
) -> BaselineDocument {
    let found = insight.baseline.found.as_ref();
    BaselineDocument {
        asked: wanted.asked.as_ref().map(ToString::to_string),
        used: insight.baseline.used.as_ref().map(ToString::to_string),
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

impl Read {
    /// What was found in all variants. `missing` is the number of variants that are not there, and
    /// `is_cut` tells that some builds were left out.
    pub(in crate::documents) fn findings(
        &self,
        view: View<'_>,
        project: &Project,
        wanted: &Wanted,
        (missing, is_cut): (u64, bool),
    ) -> Findings {
        let insights = || self.variants.iter().map(|variant| &variant.insight);
        let total = insights().map(counts).reduce(|mut total, counts| {
            total.add(&counts);
            total
        });
        let may_miss = insights().all(|insight| insight.may_miss);
        let window = insights().map(|insight| insight.window).max().unwrap_or(0);
        let of = match self.variants.as_slice() {
            [only] => only.insight.baseline.found.as_ref().ok(),
            _ => None,
        };
        Findings {
            counts: total.unwrap_or_default(),
            mass_failure: self.variants.iter().any(|variant| variant.is_mass_failure),
            gate: self.gate(&wanted.gate.limits(&project.tracking.gate), (missing, is_cut)),
            failures: self
                .shown
                .iter()
                .map(|(place, failure)| self.failure(view, project, (*place, failure)))
                .collect(),
            clusters: self.clusters.iter().take(LISTED).map(|of| self.cluster(of)).collect(),
            new_flaky: self.items(|insight| &insight.compared.new_flaky),
            fixed: self.fixed(),
            missing: may_miss.then(|| self.items(|insight| &insight.compared.missing)),
            skipped: self.items(|insight| &insight.compared.skipped),
            added: self.items(|insight| &insight.compared.added),
            slower: self.slower(),
            window: WindowDocument {
                builds: window as u64,
                of: of.map(|found| found.build.track.key().to_string()),
                complete: !is_cut && insights().all(|insight| insight.is_complete),
            },
        }
    }

    /// Each variant is judged by itself, and the numbers of those that exceed a rule add up.
    fn gate(&self, limits: &[(Rule, Limit)], (missing, is_cut): (u64, bool)) -> GateDocument {
        let mut verdict = Verdict::Pass;
        let mut reasons: Vec<ReasonDocument> = Vec::new();
        for Variant { name, insight, .. } in &self.variants {
            let (of_it, exceeded) = insight.verdict(limits);
            verdict = match (verdict, of_it) {
                (Verdict::Fail, _) | (_, Verdict::Fail) => Verdict::Fail,
                (Verdict::Undecided, _) | (_, Verdict::Undecided) => Verdict::Undecided,
                (Verdict::Pass, Verdict::Pass) => Verdict::Pass,
            };
            for (rule, limit, count) in exceeded {
                let text = match name {
                    Some(name) if self.variants.len() > 1 => {
                        let name = if name.is_empty() { "no variant" } else { name };
                        format!("{name}: {}", insight.reason(rule, count))
                    }
                    _ => insight.reason(rule, count),
                };
                add(&mut reasons, (rule, limit, count), text);
            }
        }
        let of_variants = limits.iter().find(|(rule, _)| *rule == Rule::Variants);
        if let Some((rule, limit)) = of_variants.filter(|(_, limit)| limit.is_exceeded(missing, 0))
        {
            verdict = Verdict::Fail;
            let text = match missing {
                1 => "1 variant has no build of this commit".to_owned(),
                _ => format!("{missing} variants have no build of this commit"),
            };
            add(&mut reasons, (*rule, *limit, missing), text);
        }
        // What was left out may have failed.
        if is_cut && verdict == Verdict::Pass {
            verdict = Verdict::Undecided;
        }
        let place = |reason: &ReasonDocument| {
            Rule::ALL.iter().position(|rule| rule.as_str() == reason.rule)
        };
        reasons.sort_by_key(place);
        GateDocument { rules: written_rules(limits), verdict: verdict.as_str(), reasons }
    }

    fn name(&self, place: usize, item: &Item) -> Option<String> {
        match item {
            Item::Test(test) => self.names.get(place)?.get(test).cloned(),
            Item::Step(name) => Some(name.clone()),
            Item::Build => None,
        }
    }

    fn variant(&self, place: usize) -> Option<String> {
        self.variants.get(place)?.name.clone()
    }

    fn item(&self, place: usize, item: &Item) -> ItemDocument {
        ItemDocument {
            kind: kind(item),
            name: self.name(place, item).unwrap_or_default(),
            variant: self.variant(place),
        }
    }

    /// The first items of a list, of all variants.
    fn items<'a>(&'a self, list: impl Fn(&'a Insight) -> &'a Vec<Placed>) -> Vec<ItemDocument> {
        let variants = self.variants.iter().enumerate();
        let all = variants.flat_map(|(place, variant)| {
            list(&variant.insight).iter().take(LISTED).map(move |placed| (place, placed))
        });
        all.take(LISTED).map(|(place, placed)| self.item(place, &placed.item)).collect()
    }

    /// The first tests that passed in a later build after a failure.
    pub(in crate::documents) fn reran(&self) -> Vec<ItemDocument> {
        let variants = self.variants.iter().enumerate();
        let all = variants.flat_map(|(place, variant)| {
            let tests = variant.insight.together.reran.iter().take(LISTED);
            tests.map(move |test| (place, Item::Test(*test)))
        });
        all.take(LISTED).map(|(place, item)| self.item(place, &item)).collect()
    }

    fn slower(&self) -> Vec<SlowerDocument> {
        let variants = self.variants.iter().enumerate();
        let all = variants.flat_map(|(place, variant)| {
            variant.insight.compared.slower.iter().take(LISTED).map(move |slow| (place, slow))
        });
        let document = |(place, (placed, slow)): (usize, &(Placed, Slow))| SlowerDocument {
            name: self.name(place, &placed.item).unwrap_or_default(),
            variant: self.variant(place),
            median: rounded(slow.median.into()),
            limit: rounded(slow.limit.into()),
            duration: rounded(slow.took.into()),
        };
        all.take(LISTED).map(document).collect()
    }

    fn fixed(&self) -> Vec<FixedDocument> {
        let variants = self.variants.iter().enumerate();
        let all = variants.flat_map(|(place, variant)| {
            let fixed = variant.insight.compared.fixed.iter().take(LISTED);
            fixed.map(move |placed| (place, placed))
        });
        let document = |(place, placed): (usize, &Placed)| FixedDocument {
            kind: kind(&placed.item),
            name: self.name(place, &placed.item).unwrap_or_default(),
            variant: self.variant(place),
            since: placed.since.map(|build| self.place(place, build).build),
        };
        all.take(LISTED).map(document).collect()
    }

    /// A build that was looked at.
    fn place(&self, place: usize, build: BuildId) -> PlaceDocument {
        let of = |(key, started): &(BuildKey, Timestamp)| PlaceDocument {
            build: key.to_string(),
            started: started.to_rfc2822(),
        };
        let unknown = || PlaceDocument { build: build.to_string(), started: String::new() };
        let places = self.variants.get(place).map(|variant| &variant.insight.places);
        places.and_then(|places| places.get(&build)).map_or_else(unknown, of)
    }

    fn failure(
        &self,
        view: View<'_>,
        project: &Project,
        (place, failure): (usize, &Failure<Arc<Signature>>),
    ) -> FailureDocument {
        let name = self.name(place, &failure.item);
        let since = self.place(place, failure.since.build);
        let mut links: Vec<Link> = match (&failure.item, &name) {
            (Item::Test(_), Some(name)) => vec![view.history_link(project, name)],
            _ => Vec::new(),
        };
        let insight = self.variants.get(place).map(|variant| &variant.insight);
        // Signatures are sought in finished builds.
        let signature = failure.signature.as_ref();
        let signature = signature.filter(|_| insight.is_some_and(|insight| !insight.is_running));
        links.extend(signature.and_then(|signature| view.signature_link(project, &signature.id)));
        let build = insight.and_then(|insight| insight.together.builds.get(&failure.item));
        FailureDocument {
            kind: kind(&failure.item),
            name,
            variant: self.variant(place),
            build: build.map(ToString::to_string),
            position: failure.position,
            status: failure.status.as_str(),
            class: failure.class.as_str(),
            first_run: failure.first_run,
            before: failure.before.map(|(build, status)| BeforeDocument {
                build: self.place(place, build).build,
                status: status.as_str(),
            }),
            since: SinceDocument {
                build: since.build,
                started: since.started,
                builds: failure.since.builds as u64,
                at_least: failure.since.at_least,
            },
            last_good: failure.last_good.map(|build| self.place(place, build)),
            changed: failure.last_good.and_then(|good| {
                let bad = self.builds.get(&failure.since.build)?;
                Some(changed(self.builds.get(&good)?, bad))
            }),
            recent: failure.recent.iter().map(|status| status.letter()).collect(),
            flaky: failure.flaky.as_ref().map(|flaky| self.flaky(place, flaky)),
            elsewhere: insight.map(|of| self.elsewhere(of, failure)).unwrap_or_default(),
            signature: failure.signature.as_ref().map(|signature| signature.id.clone()),
            message: failure.text.and_then(|key| self.messages.get(&key).cloned()),
            known: insight
                .map(|of| of.known.of(&failure.item).map(known).collect())
                .unwrap_or_default(),
            muted: insight.is_some_and(|of| of.known.mutes(&failure.item)),
            host_suspect: failure.host_suspect.as_ref().map(ToString::to_string),
            links,
        }
    }

    fn elsewhere(&self, insight: &Insight, failure: &Failure<Arc<Signature>>) -> ElsewhereDocument {
        let of = &failure.elsewhere;
        let key = failure.signature.as_ref().map(|of| SignatureKey::of(&of.id));
        let shared = key.map_or(&[][..], |key| self.beyond.get(key));
        let bad_in = |track: &usize| {
            let other = insight.others.get(*track)?;
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
            projects: shared.iter().map(other_project).collect(),
        }
    }

    fn flaky(&self, place: usize, flaky: &Flaky) -> FlakyDocument {
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
            last: flaky.last.map(|build| self.place(place, build).build),
        }
    }

    /// The issues that explain failures with a signature.
    fn known_of(&self, signature: &Signature) -> Vec<KnownDocument> {
        let mut issues: BTreeMap<Uuid, &Relevant> = BTreeMap::new();
        for (place, failure) in failures(&self.variants) {
            if failure.signature.as_deref() == Some(signature)
                && let Some(variant) = self.variants.get(place)
            {
                issues.extend(variant.insight.known.of(&failure.item).map(|of| (of.issue.id, of)));
            }
        }
        issues.into_values().take(KNOWN).map(known).collect()
    }

    fn cluster(&self, of: &Cluster) -> ClusterDocument {
        let name = |(place, test): &(usize, i64)| self.names.get(*place)?.get(test).cloned();
        let (place, first_seen) = of.first_seen;
        ClusterDocument {
            signature: of.signature.id.clone(),
            title: of.signature.title.clone(),
            items: of.items,
            tests: of.tests.iter().filter_map(name).collect(),
            first_seen: self.place(place, first_seen),
            known: self.known_of(&of.signature),
        }
    }
}

/// Adds what a variant says of a rule to what others say.
fn add(reasons: &mut Vec<ReasonDocument>, (rule, limit, count): (Rule, Limit, u64), text: String) {
    match reasons.iter_mut().find(|reason| reason.rule == rule.as_str()) {
        Some(reason) => {
            reason.count += count;
            if reason.text.matches("; ").count() + 1 < REASONS {
                reason.text += &format!("; {text}");
            }
        }
        None => {
            let limit = limit.to_string();
            reasons.push(ReasonDocument { rule: rule.as_str(), limit, count, text });
        }
    }
}

pub(in crate::documents) fn known(of: &Relevant) -> KnownDocument {
    let details = &of.issue.details;
    KnownDocument {
        issue: of.issue.id,
        title: details.title.to_string(),
        url: details.url.as_ref().map(ToString::to_string),
        mute: details.mute,
        expires: details.expires.map(Timestamp::to_rfc2822),
        returned: of.has_returned(),
    }
}
