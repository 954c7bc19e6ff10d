//! Reading the cases of a build, and the history of a test.

use std::collections::{HashMap, HashSet};

use devmason_domain::{BuildId, ProjectId, TestDetails, TestFailure, TestResult, TestStatus};
use devmason_strips::{FailureKey, Packed, unpack, unpack_details};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use super::super::sql::Expr;
use super::names::{self, names};
use super::{Conn, Db, FULL_NAME, Fault, Id, Outcome, ROWS, Sql, TextKey, key, rows, tuned};
use crate::store::clock;
use crate::store::columns::plain;
use crate::store::packed::text;
use crate::store::schema::{build, strip, test, test_failure};
use crate::{PlacedTest, TestHistory, TestQuery, TestRun};

/// Number of builds after which the search for runs of a test is cut short, and the size of the
/// strips unpacked for it.
const BUILDS: usize = 1_000;
const BYTES: usize = 32 << 20;

/// Number of strips that one statement reads.
const STRIPS: i64 = 32;

/// The failures with these keys.
pub(in super::super) fn failures(
    conn: &mut Conn,
    project: ProjectId,
    keys: impl IntoIterator<Item = FailureKey>,
) -> Outcome<HashMap<FailureKey, TestFailure>> {
    let keys: HashSet<FailureKey> = keys.into_iter().collect();
    let keys: Vec<FailureKey> = keys.into_iter().collect();
    let mut found = HashMap::with_capacity(keys.len());
    for keys in keys.chunks(ROWS) {
        let these = test_failure::key.eq_any(keys.iter().map(<[u8; 16]>::as_slice));
        let rows: Vec<(Vec<u8>, Vec<u8>, i16)> = test_failure::table
            .filter(test_failure::project_id.eq(project.0).and(these))
            .select((test_failure::key, test_failure::body, test_failure::packed))
            .load(conn)?;
        for (key, body, packed) in rows {
            let failure = serde_json::from_str(&text(body, packed != 0)?)
                .map_err(|error| Fault::Corrupt(format!("a failure: {error}")))?;
            if let Ok(key) = key.try_into() {
                found.insert(key, failure);
            }
        }
    }
    Ok(found)
}

/// A case that was picked from a strip.
struct Picked {
    position: u32,
    case: Packed,
    details: TestDetails,
}

/// The place of a strip's case in the build.
pub(in super::super) fn position(first: i32, at: usize) -> u32 {
    first.unsigned_abs().saturating_add(u32::try_from(at).unwrap_or(u32::MAX))
}

/// Picks cases of a strip, without their details.
fn pick(
    (first, body): (i32, &[u8]),
    is_wanted: impl Fn(u32, &Packed) -> bool,
    limit: usize,
) -> Outcome<Vec<Picked>> {
    let body = unpack(body)?;
    let cases = body.cases().enumerate().map(|(at, case)| (position(first, at), case));
    let picked = cases.filter(|(position, case)| is_wanted(*position, case)).take(limit);
    let picked =
        picked.map(|(position, case)| Picked { position, case, details: TestDetails::NONE });
    Ok(picked.collect())
}

/// Adds the details of cases that were picked from a strip. Between two statements a reparse may have
/// replaced the strip: then what does not belong to the same test is left out.
fn detail(
    conn: &mut Conn,
    (project, build, nth): (ProjectId, Id, i32),
    picked: &mut [&mut Picked],
) -> Outcome<()> {
    if picked.iter().all(|picked| picked.case.details.is_none()) {
        return Ok(());
    }
    let stored: Option<(i32, Vec<u8>, Option<Vec<u8>>)> = strip::table
        .find((project.0, build, nth))
        .select((strip::first, strip::body, strip::details))
        .first(conn)
        .optional()?;
    let Some((first, body, Some(details))) = stored else { return Ok(()) };
    let (body, mut details) = (unpack(&body)?, unpack_details(&details)?);
    let now: HashMap<u32, Packed> =
        body.cases().enumerate().map(|(at, case)| (position(first, at), case)).collect();
    for picked in picked {
        let same = now.get(&picked.position).filter(|case| case.test == picked.case.test);
        let Some(at) = same.and_then(|case| case.details) else { continue };
        let of_it = details.get_mut(at as usize);
        let of_it = of_it.ok_or_else(|| Fault::Corrupt("details are missing".into()))?;
        picked.details = std::mem::take(of_it);
    }
    Ok(())
}

/// Completes picked cases with their names and, unless they are brief, their failures.
fn placed(
    picked: Vec<Picked>,
    names: &HashMap<i64, (String, String)>,
    failures: &HashMap<FailureKey, TestFailure>,
) -> Outcome<Vec<PlacedTest>> {
    let mut suites: HashMap<&str, std::sync::Arc<str>> = HashMap::new();
    picked
        .into_iter()
        .map(|Picked { position, case, details }| {
            let (suite, name) = names
                .get(&case.test)
                .ok_or_else(|| Fault::Corrupt("a test's name is missing".into()))?;
            let result = TestResult {
                suite: suites.entry(suite).or_insert_with(|| suite.as_str().into()).clone(),
                name: name.clone(),
                status: case.status,
                micros: case.micros,
                failure: case.failure.and_then(|key| failures.get(&key).cloned()),
                details: details.into(),
            };
            Ok(PlacedTest { position, result })
        })
        .collect()
}

/// The same, with names and failures from the database.
fn complete(
    conn: &mut Conn,
    project: ProjectId,
    picked: Vec<Picked>,
    is_brief: bool,
) -> Outcome<Vec<PlacedTest>> {
    let names = names(conn, project, picked.iter().map(|picked| picked.case.test))?;
    let keys = picked.iter().filter(|_| !is_brief).filter_map(|picked| picked.case.failure);
    let failures = failures(conn, project, keys)?;
    placed(picked, &names, &failures)
}

/// An unwanted column.
pub(super) fn nothing() -> diesel::dsl::AsExprOf<Option<Vec<u8>>, Nullable<Binary>> {
    None::<Vec<u8>>.into_sql::<Nullable<Binary>>()
}

pub(super) fn list(conn: &mut Conn, query: &TestQuery) -> Outcome<Vec<PlacedTest>> {
    let (project, build) = (query.project, Id(query.build.0));
    let is_wanted = |position: u32, case: &Packed| {
        position >= query.from
            && query.places.as_ref().is_none_or(|places| places.binary_search(&position).is_ok())
            && (query.statuses.is_empty() || query.statuses.contains(&case.status))
    };
    let only_bad = !query.statuses.is_empty() && query.statuses.iter().all(|is| is.is_bad());
    let by_name = query.suite.is_some() || query.text.is_some();
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let (mut found, mut next, mut reached) = (Vec::new(), 0, query.from);
    while found.len() < limit {
        clock::check()?;
        let from = match &query.places {
            None => query.from,
            // Strips without any of them are not read.
            Some(places) => match places.iter().find(|place| **place >= reached) {
                Some(place) => *place,
                None => break,
            },
        };
        let mut strips = strip::table
            .filter(strip::project_id.eq(project.0))
            .filter(strip::build_id.eq(build))
            .filter(strip::nth.ge(next))
            .filter((strip::first + strip::cases).gt(i32::try_from(from).unwrap_or(i32::MAX)))
            .order(strip::nth)
            .limit(1)
            .select((strip::nth, strip::first, strip::cases, strip::body))
            .into_boxed::<Db>();
        if only_bad {
            strips = strips.filter(strip::bad.gt(0));
        }
        let row: Option<(i32, i32, i32, Vec<u8>)> = strips.first(conn).optional()?;
        let Some((nth, first, cases, body)) = row else { break };
        (next, reached) = (nth.saturating_add(1), first.saturating_add(cases).unsigned_abs());
        let left = limit - found.len();
        let mut picked = pick((first, &body), is_wanted, if by_name { usize::MAX } else { left })?;
        if by_name {
            let tests = named(conn, query, picked.iter().map(|picked| picked.case.test))?;
            picked.retain(|picked| tests.contains(&picked.case.test));
            picked.truncate(left);
        }
        if !query.is_brief {
            let mut all: Vec<&mut Picked> = picked.iter_mut().collect();
            detail(conn, (project, build, nth), &mut all)?;
        }
        found.extend(complete(conn, project, picked, query.is_brief)?);
    }
    Ok(found)
}

/// Those of some tests that a query allows by their names.
fn named(
    conn: &mut Conn,
    query: &TestQuery,
    tests: impl Iterator<Item = i64>,
) -> Outcome<HashSet<i64>> {
    let tests: HashSet<i64> = tests.collect();
    let tests: Vec<i64> = tests.into_iter().collect();
    let mut allowed = HashSet::new();
    for some in tests.chunks(ROWS) {
        clock::check()?;
        let mut tests = test::table
            .filter(test::project_id.eq(query.project.0))
            .filter(test::id.eq_any(some.iter().copied()))
            .select(test::id)
            .into_boxed::<Db>();
        if let Some(suite) = &query.suite {
            tests = tests.filter(test::suite.eq(plain(suite)));
        }
        if let Some(wanted) = &query.text {
            let escaped =
                plain(wanted).replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            let contains = Sql::new(tuned::ILIKE[0])
                .text(FULL_NAME)
                .text(tuned::BY_BYTES)
                .text(tuned::ILIKE[1])
                .bind::<Text, _>(format!("%{escaped}%"));
            tests = tests.filter(super::super::filter::Fragment(contains));
        }
        allowed.extend(tests.load::<i64>(conn)?);
    }
    Ok(allowed)
}

/// The numbers of those tests that a project has, by full name.
pub(in super::super) fn numbers(
    conn: &mut Conn,
    project: ProjectId,
    full_names: &[String],
) -> Outcome<HashMap<String, i64>> {
    let mut found = HashMap::new();
    for some in full_names.chunks(ROWS) {
        let keys: Vec<TextKey> = some.iter().map(|name| key(&plain(name))).collect();
        let numbers = names::look_up(conn, project, &keys)?;
        let named = keys.iter().zip(some);
        found.extend(named.filter_map(|(key, name)| Some((name.clone(), *numbers.get(key)?))));
    }
    Ok(found)
}

/// The statuses of some tests in a build; of a test that ran more than once, the first.
pub(super) fn places(
    conn: &mut Conn,
    project: ProjectId,
    build: BuildId,
    full_names: &[String],
) -> Outcome<HashMap<String, (u32, TestStatus)>> {
    let numbers = numbers(conn, project, full_names)?;
    let sought: HashMap<i64, &String> =
        numbers.iter().map(|(name, number)| (*number, name)).collect();
    let strips: Vec<(i32, i32, i64, i64)> = strip::table
        .filter(strip::project_id.eq(project.0).and(strip::build_id.eq(Id(build.0))))
        .order(strip::nth)
        .select((strip::nth, strip::first, strip::low, strip::high))
        .load(conn)?;
    let mut found: HashMap<String, (u32, TestStatus)> = HashMap::new();
    for (nth, first, low, high) in strips {
        clock::check()?;
        if !sought.keys().any(|test| (low..=high).contains(test)) {
            continue;
        }
        let this = strip::table.find((project.0, Id(build.0), nth)).select(strip::body);
        // Deleted in the meantime, if there is none.
        let Some(body): Option<Vec<u8>> = this.first(conn).optional()? else { break };
        for (at, case) in unpack(&body)?.cases().enumerate() {
            let Some(name) = sought.get(&case.test) else { continue };
            let is_first_bad =
                |known: &(u32, TestStatus)| case.status.is_bad() && !known.1.is_bad();
            if found.get(*name).is_none_or(is_first_bad) {
                found.insert((*name).clone(), (position(first, at), case.status));
            }
        }
    }
    Ok(found)
}

/// A strip in which a test may be: its build, its place, the position of its first case, its body.
type Candidate = (Id, i32, i32, Option<Vec<u8>>);

pub(super) fn history(
    conn: &mut Conn,
    project: ProjectId,
    full_name: &str,
    from: Option<(BuildId, u32)>,
    limit: u64,
    is_brief: bool,
) -> Outcome<Option<TestHistory>> {
    let Some((id, suite, name)) = names::find(conn, project, full_name)? else { return Ok(None) };
    let (build, position) = from.unwrap_or((BuildId::FIRST, u32::MAX));
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut runs, mut stopped): (Vec<(Id, i32, Picked)>, _) = (Vec::new(), None);
    let (mut builds, mut bytes, mut begins) = (HashSet::new(), 0, 0);
    let mut last: (Id, i32) = (Id(build.0), i32::MAX);
    'search: loop {
        clock::check()?;
        let left = i64::try_from(limit.saturating_sub(runs.len())).unwrap_or(STRIPS);
        let many = STRIPS.min(left.saturating_add(1));
        let candidates = candidates(conn, project, id, last, many)?;
        let is_last = (candidates.len() as i64) < many;
        for (of, nth, first, body) in candidates {
            last = (of, nth);
            let is_new = builds.insert(of);
            if is_new && runs.len() >= limit {
                break 'search;
            }
            if is_new && (builds.len() > BUILDS || bytes > BYTES) {
                stopped = Some(BuildId(of.0));
                break 'search;
            }
            // A build's strips come from the last to the first, so each goes before those of its build.
            if is_new {
                begins = runs.len();
            }
            let Some(body) = body else { continue };
            bytes += body.len();
            let is_here =
                |at: u32, case: &Packed| case.test == id && (of != Id(build.0) || at >= position);
            let picked = pick((first, &body), is_here, limit - begins)?;
            runs.splice(begins..begins, picked.into_iter().map(|picked| (of, nth, picked)));
            runs.truncate(limit);
        }
        if is_last {
            break;
        }
    }
    if !is_brief {
        for of_strip in runs.chunk_by_mut(|one, other| (one.0, one.1) == (other.0, other.1)) {
            let (build, nth) =
                of_strip.first().map_or((Id(uuid::Uuid::nil()), 0), |run| (run.0, run.1));
            let mut all: Vec<&mut Picked> =
                of_strip.iter_mut().map(|(.., picked)| picked).collect();
            detail(conn, (project, build, nth), &mut all)?;
        }
    }
    let keys = runs.iter().filter(|_| !is_brief).filter_map(|(.., picked)| picked.case.failure);
    let failures = failures(conn, project, keys)?;
    let of = builds_of(conn, project, runs.iter().map(|(id, ..)| *id))?;
    let names = HashMap::from([(id, (suite, name))]);
    let (ids, picked): (Vec<Id>, Vec<Picked>) =
        runs.into_iter().map(|(id, _, picked)| (id, picked)).unzip();
    let tests = placed(picked, &names, &failures)?;
    let runs = ids.into_iter().zip(tests);
    let runs = runs.filter_map(|(id, test)| Some(TestRun { build: of.get(&id)?.clone(), test }));
    Ok(Some(TestHistory { runs: runs.collect(), stopped }))
}

/// The strips before one, from the last build to the first. Only those that may have the test come
/// with their bodies.
fn candidates(
    conn: &mut Conn,
    project: ProjectId,
    test: i64,
    (build, nth): (Id, i32),
    many: i64,
) -> Outcome<Vec<Candidate>> {
    let body = Sql::<Nullable<Binary>>::new(
        "case when strip.low <= ? and strip.high >= ? then strip.body end",
    );
    let body = Expr(body.bind::<BigInt, _>(test).bind::<BigInt, _>(test));
    Ok(strip::table
        .filter(strip::project_id.eq(project.0).and(strip::build_id.le(build)))
        .filter(strip::build_id.lt(build).or(strip::nth.lt(nth)))
        .order((strip::build_id.desc(), strip::nth.desc()))
        .limit(many)
        .select((strip::build_id, strip::nth, strip::first, body))
        .load(conn)?)
}

/// The builds with these ids that still exist.
pub(in super::super) fn builds_of(
    conn: &mut Conn,
    project: ProjectId,
    ids: impl Iterator<Item = Id>,
) -> Outcome<HashMap<Id, devmason_domain::Build>> {
    let ids: HashSet<Id> = ids.collect();
    let found: Vec<rows::Joined> = rows::builds!()
        .filter(build::project_id.eq(project.0).and(build::id.eq_any(ids)))
        .load(conn)?;
    let found = found.into_iter().map(rows::domain);
    found.map(|build| build.map(|build| (Id(build.id.0), build))).collect()
}
