//! The tests of a track, as a list and as a grid.

use std::cmp::Reverse;
use std::collections::HashMap;

use actix_web::HttpResponse;
use devmason_domain::insight::{History, Item, Since, TestHealth};
use devmason_domain::{BuildId, Project, Slug, TestStatus, TrackKey};
use devmason_hypermedia::document::{
    GridBuild, GridTest, TrackGridDocument, TrackTestDocument, TrackTestListDocument,
};
use devmason_hypermedia::{ListLinks, Resource, Subject as Linked};
use devmason_repository::{KnownTrack, Tracked};

use super::super::cases::stats;
use super::super::insight::findings::known;
use super::{WINDOW, health, requested};
use crate::call::Call;
use crate::error::ApiError;
use crate::insight::{Classes, Tests};
use crate::params::Position;
use crate::respond::Found;

/// Default number of builds in a grid.
const GRID: u64 = 30;

/// Default and maximum number of tests, or of tracks, on a page.
pub(super) const PER_PAGE: (u64, u64) = (100, 1_000);

/// What a request wants to see of a track's tests, or of tracks.
pub(super) struct Wanted {
    only: Vec<String>,
    text: String,
    sort: String,
    pub(super) from: usize,
    pub(super) per_page: usize,
}

impl Wanted {
    fn of(call: &Call<'_>, only: &[&str], sort: &[&str]) -> Result<Self, ApiError> {
        let params = call.params;
        let words = |name: &'static str, known: &[&str]| -> Result<Vec<String>, ApiError> {
            let words: Vec<String> = params.words(name)?.into_iter().map(str::to_owned).collect();
            match words.iter().find(|word| !known.contains(&word.as_str())) {
                Some(word) => {
                    let problem = match known {
                        [] => "not supported for this list".to_owned(),
                        _ => format!("'{word}' is not one of {}", known.join(", ")),
                    };
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

    /// A page of a list that is always in one order, with at most so many.
    pub(super) fn page(call: &Call<'_>, most: u64) -> Result<Self, ApiError> {
        let wanted = Self::of(call, &[], &[])?;
        if !wanted.text.is_empty() {
            let problem = "not supported for this list".to_owned();
            return Err(ApiError::BadValue { name: "text", problem });
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Ok(Self { per_page: wanted.per_page.min(most), ..wanted })
    }

    fn fits(&self, name: &str) -> bool {
        self.text.is_empty() || name.to_ascii_lowercase().contains(&self.text)
    }

    pub(super) fn links(&self, call: &Call<'_>, count: usize) -> ListLinks {
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
    let (etag, project, track) = match requested(call, slug, key).await? {
        Found::Ready(answer) => return Ok(answer),
        Found::New(found) => found,
    };
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
    let classes = Classes::new(health.insight.as_ref());
    let is_wanted = |class: &str| {
        let is_failing = matches!(class, "new" | "unknown" | "failing");
        let word = if is_failing { "failing" } else { class };
        wanted.only.is_empty() || wanted.only.iter().any(|only| only == word)
    };
    let mut selected: Vec<(&str, &'static str, &(i64, TestHealth))> = health
        .healths
        .iter()
        .filter_map(|of| Some((names.get(&of.0)?.as_str(), classes.of(of.0, &of.1), of)))
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
    let places = health.insight.as_ref().map(|insight| &insight.places);
    let since = |since: Since| places?.get(&since.build).map(|(key, _)| key.to_string());
    let document = |(name, class, (test, of)): (&str, &'static str, &(i64, TestHealth))| {
        let item = Item::Test(*test);
        let issues = health.insight.iter().flat_map(|insight| insight.known.of(&item));
        TrackTestDocument {
            full_name: name.to_owned(),
            class,
            stats: stats(of),
            since: classes.since(*test).and_then(since),
            last_bad: of.last_bad.and_then(key_of),
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

/// The grid of a track's newest builds, with at most so many tests.
pub(crate) async fn grid_of(
    call: &Call<'_>,
    project: &Project,
    known: &KnownTrack,
    most: u64,
) -> Result<Grid, ApiError> {
    let wanted = Wanted::of(call, &["bad", "all"], &[])?;
    let builds = call.params.number("builds", GRID, WINDOW)?;
    let (of, hold, key) = (project.clone(), call.body.hold.clone(), known.track.key());
    let read = call
        .ask(move |repository| {
            Tests::read(repository, &of, (key, builds), History::default(), &hold)
        })
        .await?;
    let is_all = wanted.only.iter().any(|only| only == "all");
    let cells = |test: i64| -> Vec<char> {
        let of_newest = std::iter::repeat_n(None, read.first);
        let statuses = read.history.statuses(test, read.builds.len() - read.first);
        of_newest.chain(statuses).map(|status| status.map_or('.', TestStatus::letter)).collect()
    };
    let is_bad = |cell: &&char| matches!(cell, 'F' | 'E');
    let mut lines: Vec<(i64, usize, String)> = read
        .history
        .tests()
        .map(|test| (test, cells(test)))
        .filter(|(_, cells)| is_all || cells.iter().any(|cell| is_bad(&cell)))
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
        builds: read.builds.iter().map(build).collect(),
        tests: tests.collect(),
        count,
        links: call.view().page_links(&this, Linked::ReadOnly, &list),
    };
    let builds = read.builds.iter().map(|build| build.id).collect();
    Ok(Grid { document, builds, list })
}

/// A grid, with the ids of its builds.
pub(crate) struct Grid {
    pub(crate) document: TrackGridDocument,
    pub(crate) builds: Vec<BuildId>,
    pub(crate) list: ListLinks,
}

pub(crate) async fn grid(
    call: &Call<'_>,
    slug: &Slug,
    key: &TrackKey,
) -> Result<HttpResponse, ApiError> {
    let (etag, project, known) = match requested(call, slug, key).await? {
        Found::Ready(answer) => return Ok(answer),
        Found::New(found) => found,
    };
    let grid = grid_of(call, &project, &known, PER_PAGE.1).await?;
    call.ok(&etag, &grid.document)
}
