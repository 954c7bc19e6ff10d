//! Two builds of a project, compared.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;

use actix_web::HttpResponse;
use devmason_domain::insight::Case;
use devmason_domain::{Build, Outcome, Project, Slug, Step, TestStatus};
use devmason_hypermedia::BuildPair;
use devmason_hypermedia::document::{
    ComparedBuild, ComparedCase, ComparedComponent, ComparedComponents, ComparedCounts,
    ComparedDuration, ComparedMember, ComparedRun, ComparedStep, ComparedTest, ComparisonDocument,
};
use devmason_repository::{Named, Repository, Result as Answer};
use uuid::Uuid;

use super::builds;
use crate::budget::Lane;
use crate::call::Call;
use crate::error::ApiError;
use crate::respond::Found;

/// Maximum number of tests, of slower tests, of steps of a build and of members that are told.
const TESTS: usize = 1_000;
const SLOWER: usize = 100;
const STEPS: usize = 1_000;
const MEMBERS: usize = 100;

/// Maximum length of a member's value, in characters.
const VALUE: usize = 1_000;

/// A test is slower if it took this many times as long, and this much longer, in seconds.
const TIMES: f32 = 2.0;
const LONGER: f32 = 0.1;

/// Maximum number of test cases of both builds that are compared.
const CASES: u64 = 10_000_000;

/// Memory for a case while it is compared, in bytes.
const CASE: usize = 96;

/// What a page and a document of a comparison need.
pub(crate) struct Compared {
    pub(crate) etag: String,
    pub(crate) project: Project,
    pub(crate) document: ComparisonDocument,
}

/// Compares two builds.
pub(crate) async fn compared(
    call: &Call<'_>,
    slug: &Slug,
    pair: &BuildPair,
) -> Result<Found<Compared>, ApiError> {
    let (project, one) = builds::find(call, slug, pair.one()).await?;
    let (_, other) = builds::find(call, slug, pair.other()).await?;
    let states = [&one, &other].map(|build| builds::state(&project, build));
    let names = names(call, [&one, &other]).await?;
    let named: Vec<&str> = names.values().map(String::as_str).collect();
    // Components are renamed independently.
    let named = named.join("\n");
    let mut state: Vec<&dyn Display> = states.iter().flat_map(builds::borrowed).collect();
    state.push(&named);
    let etag = call.etag(&state);
    if let Some(answer) = call.ready(&etag) {
        return Ok(Found::Ready(answer));
    }
    let cases = one.tests.total + other.tests.total;
    if cases > CASES {
        let problem = format!("the builds have {cases} test cases; at most {CASES} are compared");
        return Err(ApiError::BadValue { name: "pair", problem });
    }
    let bytes = usize::try_from(cases).unwrap_or(usize::MAX).saturating_mul(CASE);
    let turn = call.body.turn(call.app, bytes).await?;
    call.body.hold.draw_up_to(Lane::Work, bytes).await?;
    let hold = call.body.hold.clone();
    let (tests, steps, one, other) = call
        .ask(move |repository| {
            // Held until the work is done, whether the client still waits or not.
            let _held = (turn, hold);
            let tests = tests(repository, [&one, &other])?;
            let outline = |of: &Build| {
                let steps = repository.step_outline(std::slice::from_ref(of))?.pop();
                Answer::Ok(steps.unwrap_or_default())
            };
            let steps = [outline(&one)?, outline(&other)?];
            Ok((tests, steps, one, other))
        })
        .await?;
    let (counts, tests, slower) = tests;
    let document = ComparisonDocument {
        one: build(&one),
        other: build(&other),
        counts,
        tests,
        slower,
        steps: paired(&steps),
        components: components([&one, &other], &names),
        client: client([&one, &other]),
        links: call.view().comparison_links(&project, [&one, &other]),
    };
    Ok(Found::New(Compared { etag, project, document }))
}

/// The names of the components of two builds.
async fn names(
    call: &Call<'_>,
    [one, other]: [&Build; 2],
) -> Result<BTreeMap<Uuid, String>, ApiError> {
    let ids: Vec<Uuid> = one.components.iter().chain(&other.components).copied().collect();
    call.ask(move |repository| {
        let mut names = BTreeMap::new();
        for id in &ids {
            let found = repository.component_find(&Named::Id(*id))?.pop();
            names.extend(found.map(|component| (*id, component.name.to_string())));
        }
        Ok(names)
    })
    .await
}

pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    pair: &BuildPair,
) -> Result<HttpResponse, ApiError> {
    match compared(call, slug, pair).await? {
        Found::Ready(answer) => Ok(answer),
        Found::New(of) => call.ok(&of.etag, &of.document),
    }
}

fn seconds(micros: i64) -> f64 {
    micros.max(0) as f64 / 1e6
}

fn build(of: &Build) -> ComparedBuild {
    let (success, duration) = match of.outcome {
        Outcome::Running => (None, None),
        Outcome::Finished { success, finished } => {
            (Some(success), Some(seconds(finished.micros() - of.started.micros())))
        }
    };
    ComparedBuild {
        id: of.key().to_string(),
        started: of.started.to_rfc2822(),
        success,
        duration,
        revision: of.revision.clone(),
        tests: of.tests.total,
    }
}

/// The worst case of each test.
fn worst(cases: Vec<Case>) -> HashMap<i64, Case> {
    let rank = |status: TestStatus| match status {
        TestStatus::Error => 4,
        TestStatus::Failed => 3,
        TestStatus::Flaky => 2,
        TestStatus::Passed => 1,
        TestStatus::Skipped => 0,
    };
    let mut found: HashMap<i64, Case> = HashMap::with_capacity(cases.len());
    for case in cases {
        match found.get_mut(&case.test) {
            Some(known) if rank(known.status) >= rank(case.status) => {}
            Some(known) => *known = case,
            None => drop(found.insert(case.test, case)),
        }
    }
    found
}

/// How a test's results differ: the word, and its place in the list. `None` if they don't.
fn change(one: Option<TestStatus>, other: Option<TestStatus>) -> Option<(u8, &'static str)> {
    let is_bad = |status: Option<TestStatus>| status.is_some_and(TestStatus::is_bad);
    match (one, other) {
        _ if is_bad(other) && !is_bad(one) => Some((0, "broken")),
        _ if is_bad(other) => Some((1, "failing")),
        (Some(_), Some(_)) if is_bad(one) => Some((2, "fixed")),
        (Some(_), None) => Some((3, "removed")),
        (None, Some(_)) => Some((5, "added")),
        (one, other) if one != other => Some((4, "changed")),
        _ => None,
    }
}

type Tests = (ComparedCounts, Vec<ComparedTest>, Vec<ComparedDuration>);

fn tests(repository: &dyn Repository, [one, other]: [&Build; 2]) -> Answer<Tests> {
    // One after the other: a build may be compared with itself.
    let cases = |of: &Build| {
        let cases = repository.case_list(of.project, &[of.id])?.pop();
        Answer::Ok(worst(cases.unwrap_or_default()))
    };
    let (first, second) = (cases(one)?, cases(other)?);
    let mut all: Vec<i64> = first.keys().chain(second.keys()).copied().collect();
    all.sort_unstable();
    all.dedup();
    let mut counts = ComparedCounts::default();
    let (mut changed, mut slower) = (Vec::new(), Vec::new());
    for test in all {
        let (before, after) = (first.get(&test), second.get(&test));
        if let (Some(before), Some(after)) = (before, after)
            && let (Some(took), Some(takes)) = (before.took, after.took)
            && takes >= took * TIMES
            && takes - took >= LONGER
        {
            slower.push((test, took, takes));
        }
        let status = |case: Option<&Case>| case.map(|case| case.status);
        let Some((place, word)) = change(status(before), status(after)) else { continue };
        *match word {
            "broken" => &mut counts.broken,
            "failing" => &mut counts.failing,
            "fixed" => &mut counts.fixed,
            "removed" => &mut counts.removed,
            "added" => &mut counts.added,
            _ => &mut counts.changed,
        } += 1;
        changed.push((place, test, word));
    }
    changed.sort_unstable();
    changed.truncate(TESTS);
    slower.sort_by(|one, other| (other.2 - other.1).total_cmp(&(one.2 - one.1)));
    slower.truncate(SLOWER);
    let named = changed.iter().map(|of| of.1).chain(slower.iter().map(|of| of.0));
    let names = repository.test_names(one.project, &named.collect::<Vec<_>>())?;
    let case = |of: Option<&Case>| {
        of.map(|of| ComparedCase { position: of.position, status: of.status.as_str() })
    };
    let tests = changed.iter().filter_map(|(_, test, word)| {
        Some(ComparedTest {
            full_name: names.get(test)?.clone(),
            change: word,
            one: case(first.get(test)),
            other: case(second.get(test)),
        })
    });
    let slower = slower.iter().filter_map(|(test, took, takes)| {
        let full_name = names.get(test)?.clone();
        Some(ComparedDuration { full_name, one: f64::from(*took), other: f64::from(*takes) })
    });
    Ok((counts, tests.collect(), slower.collect()))
}

/// The steps of both builds by name, in the order of the other build; those of the first alone come last.
/// Steps of the same name are paired in order.
fn paired([one, other]: &[Vec<Step>; 2]) -> Vec<ComparedStep> {
    let run = |(position, step): (usize, &Step)| {
        let end = step.end();
        ComparedRun {
            position,
            success: end.map(|(success, _)| success),
            duration: end.map(|(_, at)| seconds(at.micros() - step.started.micros())),
        }
    };
    let mut left: HashMap<&str, Vec<(usize, &Step)>> = HashMap::new();
    for (at, step) in one.iter().enumerate().take(STEPS) {
        left.entry(step.name.as_str()).or_default().push((at, step));
    }
    left.values_mut().for_each(|steps| steps.reverse());
    let mut steps: Vec<ComparedStep> = Vec::new();
    for (at, step) in other.iter().enumerate().take(STEPS) {
        let before = left.get_mut(step.name.as_str()).and_then(Vec::pop);
        let name = step.name.to_string();
        steps.push(ComparedStep { name, one: before.map(run), other: Some(run((at, step))) });
    }
    let mut rest: Vec<(usize, &Step)> = left.into_values().flatten().collect();
    rest.sort_unstable_by_key(|(at, _)| *at);
    steps.extend(rest.into_iter().map(|(at, step)| ComparedStep {
        name: step.name.to_string(),
        one: Some(run((at, step))),
        other: None,
    }));
    steps
}

fn components([one, other]: [&Build; 2], names: &BTreeMap<Uuid, String>) -> ComparedComponents {
    let those = |of: &Build, is_wanted: &dyn Fn(&Uuid) -> bool| {
        let wanted = of.components.iter().filter(|id| is_wanted(id));
        let named = wanted.map(|id| ComparedComponent {
            id: id.to_string(),
            name: names.get(id).cloned().unwrap_or_else(|| id.to_string()),
        });
        named.collect()
    };
    ComparedComponents {
        one: those(one, &|id| !other.components.contains(id)),
        other: those(other, &|id| !one.components.contains(id)),
        both: those(one, &|id| other.components.contains(id)),
    }
}

/// The members of the client records that differ, by name.
fn client(builds: [&Build; 2]) -> Vec<ComparedMember> {
    let mut members: BTreeMap<String, [Option<String>; 2]> = BTreeMap::new();
    for (side, build) in builds.iter().enumerate() {
        // A stored record is valid JSON; one that isn't says nothing.
        for (name, value) in build.client.0.members().unwrap_or_default() {
            let text = serde_json::from_str::<String>(value.get());
            let text = text.unwrap_or_else(|_| value.get().to_owned());
            if let Some(place) = members.entry(name).or_default().get_mut(side) {
                *place = Some(text);
            }
        }
    }
    let cut = |text: String| text.chars().take(VALUE).collect();
    let differing = members.into_iter().filter(|(_, [one, other])| one != other).take(MEMBERS);
    differing
        .map(|(name, [one, other])| ComparedMember {
            name: cut(name),
            one: one.map(cut),
            other: other.map(cut),
        })
        .collect()
}
