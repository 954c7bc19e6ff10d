//! Projects, builds, tests and failures that have a text in them.

use std::collections::{HashMap, HashSet};

use actix_web::HttpResponse;
use devmason_domain::query::{BUILDS, Filter, PROJECTS, Selection, parse_query, parse_sort};
use devmason_domain::{
    Build, BuildId, Outcome, Project, ProjectId, Signature, TestStatus, full_test_name, limits,
};
use devmason_hypermedia::document::{
    FoundBuild, FoundFailure, FoundName, FoundProject, SearchDocument,
};
use devmason_repository::{Error, Listing, Repository, Result as Answer, TestQuery};

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

fn find(repository: &dyn Repository, text: &str, only: Option<&str>) -> Answer<Found> {
    let filter = only.and_then(|slug| {
        let slug = format!("eq(id,{})", quoted(&slug.to_ascii_lowercase()));
        parse_query(&PROJECTS, &slug).ok()
    });
    let selection = Selection { filter: filter.unwrap_or_default(), sort: Vec::new() };
    let listing = Listing { selection, offset: 0, limit: PROJECTS_SEARCHED };
    let listed = repository.project_query(&listing)?;
    let mut found = Found { is_whole: listed.count <= PROJECTS_SEARCHED, ..Found::default() };
    let all = listed.items;
    let ids: Vec<ProjectId> = all.iter().map(|project| project.id).collect();
    let small = text.to_ascii_lowercase();
    let has = |name: &str| name.to_ascii_lowercase().contains(&small);
    let named =
        all.iter().filter(|project| has(project.name.as_str()) || has(project.slug.as_str()));
    found.named = named.take(PROJECTS_FOUND).cloned().collect();
    found.builds = builds(repository, &ids, text)?;
    let tests = repository.tests_like(&ids, text, TESTS_FOUND);
    found.tests = in_time(tests, &mut found.is_whole)?;
    found.projects = all.into_iter().map(|project| (project.id, project)).collect();
    let failures = failures(repository, &found.projects, text, only.is_some());
    found.failures = in_time(failures, &mut found.is_whole)?;
    Ok(found)
}

/// The builds whose id or commit begins with the text.
fn builds(
    repository: &dyn Repository,
    projects: &[ProjectId],
    text: &str,
) -> Answer<Vec<(ProjectId, Build)>> {
    let mut ids: Vec<(ProjectId, BuildId)> =
        repository.builds_like(projects, text.trim_start_matches('#'), 5)?;
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
        for revision in repository.revisions_like(*project, text)? {
            let of = repository.revision_builds(*project, &revision, 5)?;
            found.extend(of.into_iter().map(|build| (*project, build)));
        }
    }
    found.truncate(BUILDS_FOUND);
    Ok(found)
}

/// Failures of the newest failed builds that have the text, one of each signature.
fn failures(
    repository: &dyn Repository,
    projects: &HashMap<ProjectId, Project>,
    text: &str,
    is_of_one: bool,
) -> Answer<Vec<(ProjectId, Failure)>> {
    let mut query = "eq(success,false)".to_owned();
    if let Some(project) = projects.values().next().filter(|_| is_of_one) {
        query = format!("and({query},eq(project,{}))", quoted(&project.slug.key()));
    }
    // Both are well-formed.
    let filter = parse_query(&BUILDS, &query).unwrap_or_else(|_| Filter::default());
    let sort = parse_sort(&BUILDS, "-started").unwrap_or_default();
    let selection = Selection { filter, sort };
    let listing = Listing { selection, offset: 0, limit: FAILED_BUILDS };
    let small = text.to_ascii_lowercase();
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    for build in repository.build_query(None, &listing)?.items {
        if build.tests.failed + build.tests.error == 0 {
            continue;
        }
        let query = TestQuery {
            statuses: vec![TestStatus::Failed, TestStatus::Error],
            limit: FAILURES_OF_BUILD,
            ..TestQuery::all(build.project, build.id)
        };
        for test in repository.test_list(&query)? {
            let Some(failure) = &test.result.failure else { continue };
            let texts = [&failure.message, &failure.text, &failure.kind];
            let lines = texts.into_iter().flatten().flat_map(|text| text.lines());
            let mut lines = lines.take(limits::PATTERN);
            let Some(line) = lines.find(|line| line.to_ascii_lowercase().contains(&small)) else {
                continue;
            };
            let signature = Signature::of(failure).map(|signature| signature.id);
            let is_new = seen.insert((build.project, signature.clone()));
            if signature.is_some() && !is_new {
                continue;
            }
            found.push((
                build.project,
                Failure {
                    position: test.position,
                    full_name: full_test_name(&test.result.suite, &test.result.name),
                    line: line.trim().chars().take(LINE).collect(),
                    signature,
                    build: build.clone(),
                },
            ));
            if found.len() >= FAILURES_FOUND {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// What has this text in it.
pub(crate) async fn found(call: &Call<'_>, text: String) -> Result<SearchDocument, ApiError> {
    let only = call.params.first("project").filter(|slug| !slug.is_empty()).map(str::to_owned);
    // A search takes as long as any other request that reads much.
    let _turn = call.body.turn(call.app, usize::MAX).await?;
    let q = text.clone();
    let found = call.ask(move |repository| find(repository, &text, only.as_deref())).await?;
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
        links: view.search_links(),
    })
}

/// The condition that a project has this text in its name or id.
pub(crate) fn of_project(text: &str) -> String {
    format!("or({},{})", holding("id", text), holding("name", text))
}

pub(crate) async fn get(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let text = wanted(call)?.ok_or_else(|| ApiError::BadValue {
        name: "q",
        problem: "is required: the text to look for".to_owned(),
    })?;
    call.listed(&found(call, text).await?)
}
