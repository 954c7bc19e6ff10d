//! What changed between a build and those before it.

use std::collections::{HashMap, HashSet};

use devmason_domain::query::{BUILDS, Filter, Selection, parse_query};
use devmason_domain::{Build, Outcome, TestResult, TestStatus, full_test_name};
use devmason_pages::Compared;
use devmason_repository::{BuildQuery, Repository, Scope, Start, TestQuery};

use crate::budget::Hold;
use crate::documents::cases;

type Answer<T> = devmason_repository::Result<T>;

const FAILED_COMPARED: u64 = 500;

/// Maximum number of previously failing tests to check.
const MENDED: usize = 50;

/// The statuses of tests with these names in a build; of a test that ran more than once, the first.
pub(crate) fn statuses_in(
    repository: &dyn Repository,
    build: &Build,
    full_names: &[String],
) -> Answer<HashMap<String, TestStatus>> {
    if full_names.is_empty() || build.tests.is_empty() {
        return Ok(HashMap::new());
    }
    repository.test_statuses(build.project, build.id, full_names)
}

pub(crate) fn failed_query(build: &Build, limit: u64) -> TestQuery {
    let statuses = vec![TestStatus::Failed, TestStatus::Error];
    TestQuery { statuses, limit, ..TestQuery::all(build.project, build.id) }
}

pub(crate) fn name_of(test: &TestResult) -> String {
    full_test_name(&test.suite, &test.name)
}

/// The failed tests of a build, and what changed since those before it.
pub(crate) struct Comparison {
    pub(crate) failed: Vec<TestResult>,
    /// With the previous build, and with the last successful one if that is another.
    pub(crate) with: Vec<Compared>,
}

/// The first build of a project from here on that a filter selects.
pub(crate) fn one(
    repository: &dyn Repository,
    of: &Build,
    start: Start,
    filter: Filter,
) -> Answer<Option<Build>> {
    let selection = Selection { filter, sort: Vec::new() };
    let query = BuildQuery { scope: Scope::Project(of.project), selection, start, limit: 1 };
    repository.build_list(&query).map(|part| part.builds.into_iter().next())
}

/// Compares a build with the previous one, and with the last successful one.
pub(crate) fn compare(
    repository: &dyn Repository,
    build: &Build,
    previous: Option<&Build>,
    hold: &Hold,
) -> Answer<Comparison> {
    let is_green = |build: &Build| matches!(build.outcome, Outcome::Finished { success: true, .. });
    let green = match previous {
        Some(previous) if is_green(previous) => None,
        None => None,
        Some(_) => {
            let filter = parse_query(&BUILDS, "eq(success,true)").unwrap_or_default();
            // Don't search a project that never passed back to its beginning.
            one(repository, build, Start::Behind(build.id), filter).unwrap_or_default()
        }
    };
    let failed = |build: &Build, limit| -> Answer<Vec<TestResult>> {
        if build.tests.failed + build.tests.error == 0 {
            return Ok(Vec::new());
        }
        let found = cases::read(repository, failed_query(build, limit), hold)?;
        Ok(found.into_iter().map(|test| test.result).collect())
    };
    let failures = failed(build, FAILED_COMPARED)?;
    let names: Vec<String> = failures.iter().map(name_of).collect();
    let mut compared = Vec::new();
    for (title, other) in
        [("the previous build", previous.cloned()), ("the last successful build", green)]
    {
        let Some(other) = other else { continue };
        let steps =
            repository.step_outline(std::slice::from_ref(&other))?.pop().unwrap_or_default();
        let before: Vec<String> = failed(&other, FAILED_COMPARED)?.iter().map(name_of).collect();
        let is_whole = (before.len() as u64) < FAILED_COMPARED;
        let known: HashSet<&String> = before.iter().collect();
        // If the list was cut, it is unknown whether a missing test failed before.
        let broken = names.iter().filter(|name| is_whole && !known.contains(name));
        let broken = broken.cloned().collect();
        let now: HashSet<&String> = names.iter().collect();
        let others = before.iter().filter(|name| !now.contains(name)).take(MENDED);
        let mut mended: Vec<String> = others.cloned().collect();
        let statuses = statuses_in(repository, build, &mended)?;
        mended.retain(|name| {
            matches!(statuses.get(name), Some(TestStatus::Passed | TestStatus::Flaky))
        });
        compared.push(Compared { title, build: other, steps, broken, mended });
    }
    Ok(Comparison { failed: failures, with: compared })
}
