//! Tracks of a project: their health, their tests, and their results as a grid.

use std::cmp::Reverse;
use std::collections::HashMap;

use actix_web::HttpResponse;
use devmason_domain::insight::{Class, TestHealth, wilson};
use devmason_domain::{Fitting, Pattern, Project, Slug, TestStatus, TrackKey};
use devmason_hypermedia::document::{
    GridBuild, GridTest, IncomingTrack, ListedTrack, TrackCounts, TrackGridDocument,
    TrackHealthDocument, TrackListDocument, TrackMembers, TrackPulse, TrackTestDocument,
    TrackTestListDocument, TrackWindow,
};
use devmason_hypermedia::{ListLinks, Resource, Subject as Linked};
use devmason_repository::{KnownTrack, Repository, Tracked, Updated};

use super::insight::findings::known;
use super::insight::rounded;
use crate::call::Call;
use crate::error::ApiError;
use crate::insight::{Insight, Pulse, Tests, class, classes, mainline_of, newest_insight, stamp};
use crate::params::Position;

type Answer<T> = devmason_repository::Result<T>;

/// Maximum number of tracks of a list, and of builds in a window and in a grid.
const TRACKS: u64 = 200;
const WINDOW: u64 = 100;
const GRID: u64 = 30;

/// Default and maximum number of tests on a page.
const PER_PAGE: (u64, u64) = (100, 1_000);

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
        success: of.begun.iter().find_map(|build| build.success),
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

/// The active tracks that the parameters select.
pub(crate) async fn selected(
    call: &Call<'_>,
    slug: &Slug,
) -> Result<(Project, Vec<Pulse>), ApiError> {
    let project = call.project(slug).await?;
    let pattern = |name| call.params.first(name).map(|text| Pattern::from_stored(text.to_owned()));
    let (branch, variant) = (pattern("branch"), pattern("variant"));
    let wanted = Fitting { branch, variant, ..Fitting::default() }.matcher();
    let of = project.clone();
    let pulses = call
        .ask(move |repository| {
            let mainline = mainline_of(repository, &of)?;
            let fits = |known: &KnownTrack| wanted.fits_track(&known.track);
            let tracks = repository.track_active(of.id, TRACKS)?.into_iter().filter(fits);
            tracks
                .map(|known| Pulse::read(repository, &of, known, mainline.as_deref()))
                .collect::<Answer<Vec<_>>>()
        })
        .await?;
    Ok((project, pulses))
}

pub(crate) async fn list(call: &Call<'_>, slug: &Slug) -> Result<HttpResponse, ApiError> {
    let (project, pulses) = selected(call, slug).await?;
    let view = call.view();
    let tracks: Vec<ListedTrack> = pulses
        .iter()
        .map(|of| ListedTrack {
            pulse: pulse(of),
            links: view.track_links(&project, of.known.track.key()),
        })
        .collect();
    let this = ListLinks { this: call.params.choice(), ..ListLinks::default() };
    let links = view.track_list_links(&project, &this);
    call.listed(&TrackListDocument { count: tracks.len(), tracks, links })
}

/// A track with its health.
pub(crate) struct Health {
    pub(crate) pulse: Pulse,
    pub(crate) tests: Tests,
    pub(crate) healths: Vec<(i64, TestHealth)>,
    pub(crate) insight: Option<Insight>,
}

impl Health {
    pub(crate) fn class(
        &self,
        classes: &HashMap<i64, Class>,
        (test, health): &(i64, TestHealth),
    ) -> &'static str {
        class(health, classes.get(test).copied())
    }
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
        let pulse = Pulse::read(repository, &of, known, mainline.as_deref())?;
        let tests = Tests::read(repository, &of, key, WINDOW, &hold)?;
        let insight = newest_insight(repository, &of, &tests, &hold)?;
        Ok(Health { healths: tests.healths(), pulse, tests, insight })
    })
    .await
}

/// The ETag of what is told of a track: it changes with the builds, the issues, and when it is overdue.
pub(crate) async fn etag(
    call: &Call<'_>,
    project: &Project,
    known: &KnownTrack,
) -> Result<String, ApiError> {
    let (of, about) = (project.clone(), known.clone());
    let (stamp, is_overdue) = call
        .ask(move |repository| {
            let mainline = mainline_of(repository, &of)?;
            let pulse = Pulse::read(repository, &of, about, mainline.as_deref())?;
            Ok((stamp(repository, of.id)?, pulse.is_overdue()))
        })
        .await?;
    let choice = call.params.choice();
    Ok(call.etag(&[&project.id.0, &project.version, &known.version, &stamp, &is_overdue, &choice]))
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
    let classes = classes(health.insight.as_ref());
    let mut counts = TrackCounts { tests: health.healths.len(), ..TrackCounts::default() };
    for of in &health.healths {
        match health.class(&classes, of) {
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
    let (project, known) = find(call, slug, key).await?;
    let etag = etag(call, &project, &known).await?;
    if let Some(answer) = call.ready(&etag) {
        return Ok(answer);
    }
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

/// What a request wants to see of a track's tests.
struct Wanted {
    only: Vec<String>,
    text: String,
    sort: String,
    from: usize,
    per_page: usize,
}

impl Wanted {
    fn of(call: &Call<'_>, only: &[&str], sort: &[&str]) -> Result<Self, ApiError> {
        let params = call.params;
        let words = |name: &'static str, known: &[&str]| -> Result<Vec<String>, ApiError> {
            let words = params.all(name).flat_map(|words| words.split(','));
            let words: Vec<String> =
                words.filter(|word| !word.is_empty()).map(str::to_owned).collect();
            match words.iter().find(|word| !known.contains(&word.as_str())) {
                Some(word) => {
                    let problem = format!("'{word}' is not one of {}", known.join(", "));
                    Err(ApiError::BadValue { name, problem })
                }
                None => Ok(words),
            }
        };
        let from = match params.position()? {
            None => 0,
            Some(Position::From(from)) => usize::try_from(from).unwrap_or(usize::MAX),
            Some(_) => {
                let problem = "not supported for this list; use 'from'".to_owned();
                return Err(ApiError::BadValue { name: "after", problem });
            }
        };
        let per_page = params.number("per_page", PER_PAGE.0, PER_PAGE.1)?;
        Ok(Self {
            only: words("only", only)?,
            text: params.wanted_text()?.unwrap_or_default().to_ascii_lowercase(),
            sort: words("sort", sort)?.into_iter().next().unwrap_or_default(),
            from,
            per_page: usize::try_from(per_page).unwrap_or(usize::MAX),
        })
    }

    fn fits(&self, name: &str) -> bool {
        self.text.is_empty() || name.to_ascii_lowercase().contains(&self.text)
    }

    fn links(&self, call: &Call<'_>, count: usize) -> ListLinks {
        let end = self.from.saturating_add(self.per_page);
        let next = (end < count).then_some(Some(Position::From(end as u64)));
        ListLinks {
            this: call.params.choice(),
            first: call.params.of_page(1, None),
            next: next.map(|position| call.params.of_page(1, position)),
            ..ListLinks::default()
        }
    }
}

/// The full names of tests, some at a time.
async fn names(
    call: &Call<'_>,
    project: &Project,
    tests: Vec<i64>,
) -> Result<HashMap<i64, String>, ApiError> {
    const AT_ONCE: usize = 5_000;
    let of = project.id;
    call.ask(move |repository| {
        let mut names = HashMap::with_capacity(tests.len());
        for some in tests.chunks(AT_ONCE) {
            names.extend(repository.test_names(of, some)?);
        }
        Ok(names)
    })
    .await
}

pub(crate) async fn tests(
    call: &Call<'_>,
    slug: &Slug,
    key: &TrackKey,
) -> Result<HttpResponse, ApiError> {
    let (project, track) = find(call, slug, key).await?;
    let etag = etag(call, &project, &track).await?;
    if let Some(answer) = call.ready(&etag) {
        return Ok(answer);
    }
    let (document, _) = tests_of(call, &project, track, PER_PAGE.1).await?;
    call.ok(&etag, &document)
}

/// The requested page of a track's tests, with at most so many.
pub(crate) async fn tests_of(
    call: &Call<'_>,
    project: &Project,
    track: KnownTrack,
    most: u64,
) -> Result<(TrackTestListDocument, ListLinks), ApiError> {
    let mut wanted = Wanted::of(
        call,
        &["flaky", "failing", "slower", "skipped"],
        &["flakes", "bad", "duration", "name"],
    )?;
    wanted.per_page = wanted.per_page.min(usize::try_from(most).unwrap_or(usize::MAX));
    let key = track.track.key();
    let health = health(call, project, track).await?;
    let numbers: Vec<i64> = health.healths.iter().map(|(test, _)| *test).collect();
    let names = names(call, project, numbers).await?;
    let classes = classes(health.insight.as_ref());
    let is_wanted = |class: &str| {
        let is_failing = matches!(class, "new" | "unknown" | "failing");
        let word = if is_failing { "failing" } else { class };
        wanted.only.is_empty() || wanted.only.iter().any(|only| only == word)
    };
    let mut selected: Vec<(&str, &'static str, &(i64, TestHealth))> = health
        .healths
        .iter()
        .filter_map(|of| Some((names.get(&of.0)?.as_str(), health.class(&classes, of), of)))
        .filter(|(name, class, _)| is_wanted(class) && wanted.fits(name))
        .collect();
    selected.sort_unstable_by_key(|(name, ..)| *name);
    let millis = |of: &TestHealth| of.times.map_or(0, |[p50, _]| (p50 * 1000.0) as u64);
    match wanted.sort.as_str() {
        "flakes" => selected.sort_by_key(|(_, _, of)| Reverse(of.1.evidence.flakes())),
        "bad" => selected.sort_by_key(|(_, _, of)| Reverse(of.1.bad)),
        "duration" => selected.sort_by_key(|(_, _, of)| Reverse(millis(&of.1))),
        _ => {}
    }
    let count = selected.len();
    let page = selected.into_iter().skip(wanted.from).take(wanted.per_page);
    let view = call.view();
    let key_of = |build| {
        let builds = &health.tests.builds;
        builds.iter().find(|of| of.id == build).map(|of| of.key.to_string())
    };
    let document = |(name, class, (test, of)): (&str, &'static str, &(i64, TestHealth))| {
        let item = devmason_domain::insight::Item::Test(*test);
        let issues = health.insight.iter().flat_map(|insight| insight.known.of(&item));
        let seconds = |time: f32| rounded(f64::from(time));
        TrackTestDocument {
            full_name: name.to_owned(),
            class,
            runs: of.runs,
            bad: of.bad,
            skipped: of.skipped,
            flakes: of.evidence.flakes(),
            rate: rounded(of.evidence.rate()),
            interval: wilson(of.evidence.flakes(), of.evidence.runs).map(rounded),
            since: of.since.and_then(|(build, _)| key_of(build)),
            last_bad: of.last_bad.and_then(key_of),
            p50: of.times.map(|[p50, _]| seconds(p50)),
            p95: of.times.map(|[_, p95]| seconds(p95)),
            known: issues.map(known).collect(),
            links: vec![view.history_link(project, name)],
        }
    };
    let tests = page.map(document).collect();
    let this = Resource::TrackTests(project.slug.clone(), key);
    let list = wanted.links(call, count);
    let links = view.page_links(&this, Linked::ReadOnly, &list);
    Ok((TrackTestListDocument { tests, count, links }, list))
}

/// The letter of a cell.
fn letter(status: Option<TestStatus>) -> char {
    match status {
        None => '.',
        Some(TestStatus::Passed) => 'P',
        Some(TestStatus::Flaky) => 'L',
        Some(TestStatus::Skipped) => 'S',
        Some(TestStatus::Failed) => 'F',
        Some(TestStatus::Error) => 'E',
    }
}

/// The grid of a track's newest builds, with at most so many tests.
pub(crate) async fn grid_of(
    call: &Call<'_>,
    project: &Project,
    known: &KnownTrack,
    most: u64,
) -> Result<(TrackGridDocument, ListLinks), ApiError> {
    let wanted = Wanted::of(call, &["bad", "all"], &[])?;
    let builds = call.params.number("builds", GRID, WINDOW)?;
    let (of, hold, key) = (project.clone(), call.body.hold.clone(), known.track.key());
    let read = call.ask(move |repository| Tests::read(repository, &of, key, builds, &hold)).await?;
    let shown = read.builds.len() - read.first;
    let is_all = wanted.only.iter().any(|only| only == "all");
    let cells = |test: i64| -> Vec<char> {
        read.history.statuses(test, shown).into_iter().map(letter).collect()
    };
    let is_bad = |cell: &&char| matches!(cell, 'F' | 'E');
    let mut lines: Vec<(i64, usize, String)> = read
        .history
        .tests()
        .map(|test| (test, cells(test)))
        .filter(|(_, cells)| is_all || cells.iter().any(|cell| "FEL".contains(*cell)))
        .map(|(test, cells)| (test, cells.iter().filter(is_bad).count(), cells.iter().collect()))
        .collect();
    let names = names(call, project, lines.iter().map(|line| line.0).collect()).await?;
    lines.retain(|(test, ..)| names.get(test).is_some_and(|name| wanted.fits(name)));
    lines.sort_by_key(|(test, bad, _)| (Reverse(*bad), names.get(test)));
    let count = lines.len();
    let per_page = wanted.per_page.min(usize::try_from(most).unwrap_or(usize::MAX));
    let page = lines.into_iter().skip(wanted.from).take(per_page);
    let tests = page.filter_map(|(test, _, cells)| {
        Some(GridTest { full_name: names.get(&test)?.clone(), cells })
    });
    let build = |build: &Tracked| GridBuild {
        id: build.key.to_string(),
        started: build.started.to_rfc2822(),
        success: build.success,
        revision: build.revision.clone(),
    };
    let this = Resource::TrackGrid(project.slug.clone(), key);
    let list = Wanted { per_page, ..wanted }.links(call, count);
    let document = TrackGridDocument {
        builds: read.builds.get(read.first..).unwrap_or_default().iter().map(build).collect(),
        tests: tests.collect(),
        count,
        links: call.view().page_links(&this, Linked::ReadOnly, &list),
    };
    Ok((document, list))
}

pub(crate) async fn grid(
    call: &Call<'_>,
    slug: &Slug,
    key: &TrackKey,
) -> Result<HttpResponse, ApiError> {
    let (project, known) = find(call, slug, key).await?;
    let etag = etag(call, &project, &known).await?;
    if let Some(answer) = call.ready(&etag) {
        return Ok(answer);
    }
    let (grid, _) = grid_of(call, &project, &known, PER_PAGE.1).await?;
    call.ok(&etag, &grid)
}
