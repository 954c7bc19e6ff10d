//! Projects, builds, tests and failures that have a text in them.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use devmason_domain::query::{BUILDS, Filter, Selection, parse_query, parse_sort};
use devmason_domain::{
    Build, BuildId, Outcome, Project, ProjectId, Signature, Slug, TestStatus, full_test_name,
};
use devmason_hypermedia::document::{
    FoundBuild, FoundFailure, FoundName, FoundProject, SearchDocument,
};
use devmason_repository::{Error, Listing, Repository, Result as Answer, TestQuery};

use super::cases;
use crate::budget::Hold;
use crate::call::Call;
use crate::error::ApiError;
use crate::params::{holding, quoted};

/// Maximum number of projects that are searched: the oldest ones.
const PROJECTS_SEARCHED: u64 = 1_000;

/// Maximum numbers of what is found.
const PROJECTS_FOUND: usize = 20;
const BUILDS_FOUND: usize = 20;
const TESTS_FOUND: u64 = 50;
const FAILURES_FOUND: usize = 20;

/// Number of the newest failed builds whose failures are searched, and of the failures of each.
const FAILED_BUILDS: u64 = 100;
const FAILURES_OF_BUILD: u64 = 50;

/// Maximum number of builds of a project that are found by their id, and of those of a commit.
const OF_PROJECT: u64 = 5;

/// Maximum number of lines of a failure's text that are looked at.
const LINES: usize = 4_096;

/// How long builds and failures are sought. What was found by then is told.
const PATIENCE: Duration = Duration::from_secs(3);

/// The length of a text, in characters, and that of the line of a failure.
const TEXT: std::ops::RangeInclusive<usize> = 2..=200;
const LINE: usize = 300;

/// The text that is sought; `None` if there is none yet.
pub(crate) fn wanted(call: &Call<'_>) -> Result<Option<String>, ApiError> {
    let text = call.params.first("q").unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(None);
    }
    if !TEXT.contains(&text.chars().count()) {
        let problem = format!("must have {} to {} characters", TEXT.start(), TEXT.end());
        return Err(ApiError::BadValue { name: "q", problem });
    }
    Ok(Some(text.to_owned()))
}

/// What the store found.
#[derive(Default)]
struct Found {
    named: Vec<Project>,
    builds: Vec<(ProjectId, Build)>,
    tests: Vec<(ProjectId, String)>,
    failures: Vec<(ProjectId, Failure)>,
    projects: HashMap<ProjectId, Project>,
    is_whole: bool,
}

struct Failure {
    build: Build,
    position: u32,
    full_name: String,
    line: String,
    signature: Option<String>,
}

/// What was found; what took too long is left out.
fn in_time<T: Default>(found: Answer<T>, is_whole: &mut bool) -> Answer<T> {
    match found {
        Err(Error::TooLong(_)) => {
            *is_whole = false;
            Ok(T::default())
        }
        found => found,
    }
}

/// What is looked for, and until when.
struct Sought<'a> {
    text: &'a str,
    /// The text in small letters.
    small: String,
    until: Instant,
}

impl Sought<'_> {
    fn is_in(&self, text: &str) -> bool {
        text.to_ascii_lowercase().contains(&self.small)
    }
    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}

fn find(
    repository: &dyn Repository,
    text: &str,
    only: Option<Project>,
    hold: &Hold,
) -> Answer<Found> {
    let small = text.to_ascii_lowercase();
    let sought = Sought { text, small, until: Instant::now() + PATIENCE };
    let is_of_one = only.is_some();
    let (all, count) = match only {
        Some(project) => (vec![project], 1),
        None => {
            let selection = Selection::default();
            let listing = Listing { selection, offset: 0, limit: PROJECTS_SEARCHED };
            let listed = repository.project_query(&listing)?;
            (listed.items, listed.count)
        }
    };
    let mut found = Found { is_whole: count <= PROJECTS_SEARCHED, ..Found::default() };
    let ids: Vec<ProjectId> = all.iter().map(|project| project.id).collect();
    let is_named = |project: &&Project| {
        sought.is_in(project.name.as_str()) || sought.is_in(project.slug.as_str())
    };
    found.named = all.iter().filter(is_named).take(PROJECTS_FOUND).cloned().collect();
    let only = all.first().filter(|_| is_of_one).map(|project| project.slug.clone());
    found.projects = all.into_iter().map(|project| (project.id, project)).collect();
    let builds = builds(repository, &ids, &sought, &mut found.is_whole);
    found.builds = in_time(builds, &mut found.is_whole)?;
    let tests = repository.tests_like(&ids, text, TESTS_FOUND);
    found.tests = in_time(tests, &mut found.is_whole)?;
    let failures = failures(repository, (only.as_ref(), &sought), hold, &mut found.is_whole);
    found.failures = in_time(failures, &mut found.is_whole)?;
    Ok(found)
}

/// The builds whose id or commit begins with the text, with or without `#` before it.
fn builds(
    repository: &dyn Repository,
    projects: &[ProjectId],
    sought: &Sought<'_>,
    is_whole: &mut bool,
) -> Answer<Vec<(ProjectId, Build)>> {
    let text = sought.text.strip_prefix('#').unwrap_or(sought.text);
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let most = if projects.len() == 1 { BUILDS_FOUND as u64 } else { OF_PROJECT };
    let mut ids: Vec<(ProjectId, BuildId)> = repository.builds_like(projects, text, most)?;
    ids.truncate(BUILDS_FOUND);
    let mut found = Vec::new();
    for (project, id) in ids {
        found.extend(repository.builds_by_id(project, &[id])?.into_iter().map(|of| (project, of)));
    }
    let is_commit = text.len() >= 7 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    for project in projects.iter().filter(|_| is_commit) {
        if found.len() >= BUILDS_FOUND {
            break;
        }
        if sought.is_over() {
            *is_whole = false;
            break;
        }
        for revision in repository.revisions_like(*project, text)? {
            let of = repository.revision_builds(*project, &revision, OF_PROJECT)?;
            found.extend(of.into_iter().map(|build| (*project, build)));
        }
    }
    found.truncate(BUILDS_FOUND);
    Ok(found)
}

/// Failures of the newest failed builds that have the text, one of each signature.
fn failures(
    repository: &dyn Repository,
    (only, sought): (Option<&Slug>, &Sought<'_>),
    hold: &Hold,
    is_whole: &mut bool,
) -> Answer<Vec<(ProjectId, Failure)>> {
    let of_project = only.map(|slug| format!(",eq(project,{})", quoted(&slug.key())));
    let query = format!("and(eq(success,false){})", of_project.unwrap_or_default());
    // Both are well-formed.
    let filter = parse_query(&BUILDS, &query).unwrap_or_else(|_| Filter::default());
    let sort = parse_sort(&BUILDS, "-started").unwrap_or_default();
    let selection = Selection { filter, sort };
    let listing = Listing { selection, offset: 0, limit: FAILED_BUILDS };
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    for build in repository.build_query(None, &listing)?.items {
        if build.tests.failed + build.tests.error == 0 {
            continue;
        }
        if sought.is_over() {
            *is_whole = false;
            break;
        }
        let query = TestQuery {
            statuses: vec![TestStatus::Failed, TestStatus::Error],
            limit: FAILURES_OF_BUILD,
            ..TestQuery::all(build.project, build.id)
        };
        for test in cases::read(repository, query, hold)? {
            let Some(failure) = &test.result.failure else { continue };
            let texts = [&failure.message, &failure.text, &failure.kind];
            let mut lines = texts.into_iter().flatten().flat_map(|text| text.lines()).take(LINES);
            let Some(line) = lines.find(|line| sought.is_in(line)) else { continue };
            let signature = Signature::of(failure).map(|signature| signature.id);
            let is_new = seen.insert((build.project, signature.clone()));
            if signature.is_some() && !is_new {
                continue;
            }
            let failure = Failure {
                position: test.position,
                full_name: full_test_name(&test.result.suite, &test.result.name),
                line: line.trim().chars().take(LINE).collect(),
                signature,
                build: build.clone(),
            };
            found.push((build.project, failure));
            if found.len() >= FAILURES_FOUND {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// What has this text in it.
pub(crate) async fn found(call: &Call<'_>, text: String) -> Result<SearchDocument, ApiError> {
    let only = call.params.first("project").filter(|slug| !slug.is_empty());
    let only = match only.map(str::parse::<Slug>) {
        None => None,
        Some(Ok(slug)) => Some(call.project(&slug).await?),
        Some(Err(_)) => return Err(ApiError::NotFound("project not found")),
    };
    // A search takes as long as any other request that reads much.
    let turn = call.body.turn(call.app, usize::MAX).await?;
    let (q, hold) = (text.clone(), call.body.hold.clone());
    let found = call
        .ask(move |repository| {
            // Held until the work is done, whether the client still waits or not.
            let _turn = turn;
            find(repository, &text, only, &hold)
        })
        .await?;
    let view = call.view();
    let project = |id: &ProjectId| found.projects.get(id);
    let projects = found.named.iter().map(|of| FoundProject {
        id: of.slug.to_string(),
        name: of.name.to_string(),
        links: view.project_self(of),
    });
    let builds = found.builds.iter().filter_map(|(id, build)| {
        let of = project(id)?;
        Some(FoundBuild {
            project: of.slug.to_string(),
            id: build.key().to_string(),
            started: build.started.to_rfc2822(),
            success: match build.outcome {
                Outcome::Running => None,
                Outcome::Finished { success, .. } => Some(success),
            },
            revision: build.revision.clone(),
            links: vec![view.run_link(of, build)],
        })
    });
    let tests = found.tests.iter().filter_map(|(id, name)| {
        let of = project(id)?;
        Some(FoundName {
            project: of.slug.to_string(),
            full_name: name.clone(),
            links: vec![view.history_link(of, name)],
        })
    });
    let failures = found.failures.iter().filter_map(|(id, failure)| {
        let of = project(id)?;
        let key = failure.build.key();
        let mut links = vec![
            view.case_link(of, key.clone(), failure.position),
            view.run_link(of, &failure.build),
        ];
        let signature = failure.signature.as_deref();
        links.extend(signature.and_then(|signature| view.signature_link(of, signature)));
        Some(FoundFailure {
            project: of.slug.to_string(),
            build: key.to_string(),
            position: failure.position,
            full_name: failure.full_name.clone(),
            line: failure.line.clone(),
            links,
        })
    });
    Ok(SearchDocument {
        q,
        projects: projects.collect(),
        builds: builds.collect(),
        tests: tests.collect(),
        failures: failures.collect(),
        complete: found.is_whole,
        links: view.search_links(&call.params.choice()),
    })
}

/// The condition that a project has this text in its name or id.
pub(crate) fn of_project(text: &str) -> String {
    format!("or({},{})", holding("id", text), holding("name", text))
}

pub(crate) async fn get(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let Some(text) = wanted(call)? else {
        let links = call.view().search_links(&call.params.choice());
        return call.listed(&SearchDocument { complete: true, links, ..SearchDocument::default() });
    };
    call.listed(&found(call, text).await?)
}
