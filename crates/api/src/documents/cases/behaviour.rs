//! How a test behaves in a track, and in which tracks it runs.

use devmason_domain::insight::{DIVIDED, OTHERS, TestHealth, segments, wilson};
use devmason_domain::{BuildId, Project, TrackKey};
use devmason_hypermedia::document::{SegmentDocument, TestBehaviour, TestStats, TestTrack};
use devmason_repository::{KnownTrack, Repository};

use super::super::insight::rounded;
use crate::call::Call;
use crate::error::ApiError;
use crate::insight::{Patience, recent_of_test, runs_of_test, settle};

/// The track that a request for a test's history names.
pub(super) async fn track(
    call: &Call<'_>,
    project: &Project,
) -> Result<Option<KnownTrack>, ApiError> {
    let Some(text) = call.params.first("track") else { return Ok(None) };
    let bad = |problem: &str| ApiError::BadValue { name: "track", problem: problem.to_owned() };
    let key: TrackKey = text.parse().map_err(|error: devmason_domain::Invalid| bad(&error.0))?;
    let of = project.id;
    let found = call.ask(move |repository| repository.track_find(of, key)).await?;
    found.map(Some).ok_or_else(|| bad("no such track"))
}

/// Numbers of a test's runs in a track.
pub(crate) fn stats(of: &TestHealth) -> TestStats {
    let [p50, p95] = of.times.map_or([None, None], |times| times.map(Some));
    let seconds = |time: Option<f32>| time.map(|time| rounded(f64::from(time)));
    let evidence = &of.evidence;
    TestStats {
        runs: of.runs,
        bad: of.bad,
        skipped: of.skipped,
        flakes: evidence.flakes(),
        rate: rounded(evidence.rate()),
        interval: wilson(evidence.flakes(), evidence.runs).map(rounded),
        p50: seconds(p50),
        p95: seconds(p95),
    }
}

/// How a test behaves in a track; without one, in which tracks it runs.
pub(crate) async fn behaviour(
    call: &Call<'_>,
    project: &Project,
    track: Option<KnownTrack>,
    name: &str,
) -> Result<TestBehaviour, ApiError> {
    let (of, name) = (project.clone(), name.to_owned());
    call.ask(move |repository| {
        let numbers = repository.test_numbers(of.id, std::slice::from_ref(&name))?;
        let Some(test) = numbers.get(&name).copied() else { return Ok(TestBehaviour::default()) };
        let Some(KnownTrack { track, .. }) = track else {
            let tracks = tracks_of_test(repository, &of, test)?;
            return Ok(TestBehaviour { tracks: Some(tracks), ..TestBehaviour::default() });
        };
        let (builds, history) = runs_of_test(repository, &of, &track, (test, DIVIDED as u64))?;
        let key = |build: BuildId| {
            let found = builds.iter().find(|of| of.id == build);
            found.map_or_else(|| build.to_string(), |of| of.key.to_string())
        };
        let outcomes = history.outcomes(test);
        let bad: Vec<bool> = outcomes.iter().map(|(.., bad)| *bad).collect();
        let at =
            |place: usize| outcomes.get(place).map(|(build, ..)| key(*build)).unwrap_or_default();
        let segments = segments(&bad).into_iter().map(|segment| SegmentDocument {
            from: at(segment.from),
            to: at(segment.from + segment.runs - 1),
            runs: segment.runs,
            bad: segment.bad,
        });
        let mut healths: Vec<_> =
            history.health(test, None).map(|health| (test, health)).into_iter().collect();
        if let Some(newest) = builds.first() {
            settle(repository, (&of, newest), &history, &mut healths, &mut Patience::default())?;
        }
        let stats = healths.pop().map(|(_, health)| stats(&health));
        Ok(TestBehaviour { stats, segments: Some(segments.collect()), tracks: None })
    })
    .await
}

/// What came of a test in each active track that has it in its newest finished build that ran tests.
fn tracks_of_test(
    repository: &dyn Repository,
    project: &Project,
    test: i64,
) -> devmason_repository::Result<Vec<TestTrack>> {
    let mut found = Vec::new();
    for KnownTrack { track, .. } in repository.track_active(project.id, OTHERS as u64)? {
        let Some((build, recent)) = recent_of_test(repository, project, &track, test)? else {
            continue;
        };
        found.push(TestTrack {
            track: (&track).into(),
            build: build.key.to_string(),
            status: recent.first().map_or("", |status| status.as_str()),
            recent: recent.iter().map(|status| status.letter()).collect(),
        });
    }
    Ok(found)
}
