//! Tracks of a project, and their health.

pub(crate) mod mainline;
mod results;

use actix_web::HttpResponse;
use devmason_domain::insight::{History, TestHealth};
use devmason_domain::{Fitting, Pattern, Project, Slug, TrackKey};
use devmason_hypermedia::ListLinks;
use devmason_hypermedia::document::{
    IncomingTrack, ListedTrack, TrackCounts, TrackHealthDocument, TrackListDocument, TrackMembers,
    TrackPulse, TrackWindow,
};
use devmason_repository::{KnownTrack, Repository, Tracked, Updated};

pub(crate) use self::results::{Grid, grid, grid_of, tests, tests_of};
use self::results::{PER_PAGE, Wanted};
use crate::call::Call;
use crate::error::ApiError;
use crate::insight::{
    Classes, Insight, Patience, Pulse, Tests, mainline_of, newest_insight, stamp,
};
use crate::respond::Found;

type Answer<T> = devmason_repository::Result<T>;

/// Maximum number of active tracks, and of builds in a window.
const ACTIVE: u64 = 2_000;
const WINDOW: u64 = 100;

const NO_TRACK: ApiError = ApiError::NotFound("track not found");

pub(crate) fn pulse(of: &Pulse) -> TrackPulse {
    let track = &of.known.track;
    TrackPulse {
        track: TrackMembers {
            key: track.key().to_string(),
            branch: track.branch.clone(),
            variant: track.variant.clone(),
            credited: track.is_credited,
            mainline: of.is_mainline,
        },
        expected: of.known.expected.to_string(),
        every: of.every(),
        overdue: of.is_overdue(),
        latest: of.begun.first().map(|build| build.key.to_string()),
        success: of.success,
    }
}

/// The track at this path and its project; fails if either doesn't exist.
pub(crate) async fn find(
    call: &Call<'_>,
    slug: &Slug,
    key: &TrackKey,
) -> Result<(Project, KnownTrack), ApiError> {
    let project = call.project(slug).await?;
    let (of, key) = (project.id, *key);
    let found = call.ask(move |repository| repository.track_find(of, key)).await?;
    Ok((project, found.ok_or(NO_TRACK)?))
}

/// A page of a project's active tracks.
pub(crate) struct TracksPage {
    pub(crate) project: Project,
    pub(crate) pulses: Vec<Pulse>,
    /// The number of tracks that the request selects.
    pub(crate) count: usize,
    pub(crate) list: ListLinks,
}

/// The requested page of the active tracks, with at most so many.
pub(crate) async fn selected(
    call: &Call<'_>,
    slug: &Slug,
    most: u64,
) -> Result<TracksPage, ApiError> {
    let page = Wanted::page(call, most)?;
    let project = call.project(slug).await?;
    let pattern = |name| call.params.first(name).map(|text| Pattern::from_stored(text.to_owned()));
    let (branch, variant) = (pattern("branch"), pattern("variant"));
    let wanted = Fitting { branch, variant, ..Fitting::default() }.matcher();
    let of = project.clone();
    let (from, per_page) = (page.from, page.per_page);
    let (count, pulses) = call
        .ask(move |repository| {
            let mainline = mainline_of(repository, &of)?;
            let mut tracks = repository.track_active(of.id, ACTIVE)?;
            tracks.retain(|known| wanted.fits_track(&known.track));
            let count = tracks.len();
            let tracks = tracks.into_iter().skip(from).take(per_page);
            let pulses = tracks.map(|known| Pulse::read(repository, &of, known, mainline.as_ref()));
            Ok((count, pulses.collect::<Answer<Vec<_>>>()?))
        })
        .await?;
    let list = page.links(call, count);
    Ok(TracksPage { project, pulses, count, list })
}

pub(crate) async fn list(call: &Call<'_>, slug: &Slug) -> Result<HttpResponse, ApiError> {
    let TracksPage { project, pulses, count, list } = selected(call, slug, PER_PAGE.1).await?;
    let view = call.view();
    let tracks: Vec<ListedTrack> = pulses
        .iter()
        .map(|of| ListedTrack {
            pulse: pulse(of),
            links: view.track_links(&project, of.known.track.key()),
        })
        .collect();
    let links = view.track_list_links(&project, &list);
    call.listed(&TrackListDocument { tracks, count, links })
}

/// A track with its health.
pub(crate) struct Health {
    pub(crate) pulse: Pulse,
    pub(crate) tests: Tests,
    pub(crate) healths: Vec<(i64, TestHealth)>,
    pub(crate) insight: Option<Insight>,
}

/// Reads the health of a track.
pub(crate) async fn health(
    call: &Call<'_>,
    project: &Project,
    known: KnownTrack,
) -> Result<Health, ApiError> {
    let (of, hold) = (project.clone(), call.body.hold.clone());
    call.ask(move |repository: &dyn Repository| {
        let mainline = mainline_of(repository, &of)?;
        let key = known.track.key();
        let pulse = Pulse::read(repository, &of, known, mainline.as_ref())?;
        let tests = Tests::read(repository, &of, (key, WINDOW), History::of_newest(), &hold)?;
        let mut patience = Patience::default();
        let insight = newest_insight(repository, &of, &tests, (&hold, &mut patience))?;
        let healths = tests.healths(repository, &of, &mut patience)?;
        Ok(Health { pulse, tests, healths, insight })
    })
    .await
}

/// The ETag of what is told of a track: it changes with the builds, the issues, and when it is overdue.
async fn etag(call: &Call<'_>, project: &Project, known: &KnownTrack) -> Result<String, ApiError> {
    let (of, about) = (project.clone(), known.clone());
    let (stamp, is_overdue) = call
        .ask(move |repository| {
            let mainline = mainline_of(repository, &of)?;
            let pulse = Pulse::read(repository, &of, about, mainline.as_ref())?;
            Ok((stamp(repository, of.id)?, pulse.is_overdue()))
        })
        .await?;
    let choice = call.params.choice();
    Ok(call.etag(&[&project.id.0, &project.version, &known.version, &stamp, &is_overdue, &choice]))
}

/// The track at this path with its project and its ETag, unless the client has what would be told of it.
pub(crate) async fn requested(
    call: &Call<'_>,
    slug: &Slug,
    key: &TrackKey,
) -> Result<Found<(String, Project, KnownTrack)>, ApiError> {
    let (project, known) = find(call, slug, key).await?;
    let etag = etag(call, &project, &known).await?;
    Ok(match call.ready(&etag) {
        Some(answer) => Found::Ready(answer),
        None => Found::New((etag, project, known)),
    })
}

/// Half of them are at most this.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

/// The document of a track.
pub(crate) fn document(call: &Call<'_>, project: &Project, health: &Health) -> TrackHealthDocument {
    let builds = &health.tests.builds;
    let took =
        |build: &Tracked| (build.finished.micros() - build.started.micros()).max(0) as f64 / 1e6;
    let classes = Classes::new(health.insight.as_ref());
    let mut counts = TrackCounts { tests: health.healths.len(), ..TrackCounts::default() };
    for (test, of) in &health.healths {
        match classes.of(*test, of) {
            "flaky" => counts.flaky += 1,
            "skipped" => counts.skipped += 1,
            "slower" => counts.slower += 1,
            "passed" => {}
            _ => counts.failing += 1,
        }
    }
    TrackHealthDocument {
        pulse: pulse(&health.pulse),
        last_green: builds.iter().find(|build| build.success).map(|build| build.key.to_string()),
        window: TrackWindow {
            builds: builds.len(),
            from: builds.last().map(|build| build.started.to_rfc2822()),
            succeeded: builds.iter().filter(|build| build.success).count(),
            median_duration: median(builds.iter().map(took).collect()),
        },
        counts,
        links: call.view().track_links(project, health.pulse.known.track.key()),
    }
}

pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    key: &TrackKey,
) -> Result<HttpResponse, ApiError> {
    let (etag, project, known) = match requested(call, slug, key).await? {
        Found::Ready(answer) => return Ok(answer),
        Found::New(found) => found,
    };
    let health = health(call, &project, known).await?;
    call.ok(&etag, &document(call, &project, &health))
}

pub(crate) async fn put(
    call: &Call<'_>,
    slug: &Slug,
    key: &TrackKey,
) -> Result<HttpResponse, ApiError> {
    let (project, known) = find(call, slug, key).await?;
    call.app.settings.policy.change_project(call.viewer(), &project)?;
    let incoming: IncomingTrack = call.document().await?;
    call.expects_something()?;
    if call.has_preconditions() {
        call.matches(&etag(call, &project, &known).await?)?;
    }
    let (of, key) = (project.id, *key);
    let seen = call.has_preconditions().then_some(known.version);
    let updated = call
        .ask(move |repository| repository.track_expect(of, key, incoming.expected, seen))
        .await?;
    match updated {
        Updated::Done(known) => {
            let etag = self::etag(call, &project, &known).await?;
            let health = health(call, &project, known).await?;
            call.ok(&etag, &document(call, &project, &health))
        }
        Updated::Stale => Err(ApiError::PreconditionFailed),
        Updated::Gone => Err(NO_TRACK),
    }
}
