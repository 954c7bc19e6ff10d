//! Reading the cases of a build, and the history of a test.

use std::collections::{HashMap, HashSet};

use devmason_domain::{BuildId, ProjectId, TestDetails, TestFailure, TestResult};
use devmason_strips::{FailureKey, Packed, unpack, unpack_details};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use super::names::{self, names};
use super::{Conn, Db, FULL_NAME, Fault, Id, Outcome, ROWS, Sql, key, rows, tuned};
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
fn failures(
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
pub(super) fn position(first: i32, at: usize) -> u32 {
    first.unsigned_abs().saturating_add(u32::try_from(at).unwrap_or(u32::MAX))
}

/// Picks cases of a strip by their position.
fn pick(
    (first, body, details): (i32, &[u8], Option<&[u8]>),
    is_wanted: impl Fn(u32, &Packed) -> bool,
    limit: usize,
) -> Outcome<Vec<Picked>> {
    let body = unpack(body)?;
    let cases = body.cases().enumerate().map(|(at, case)| (position(first, at), case));
    let picked = cases.filter(|(position, case)| is_wanted(*position, case)).take(limit);
    let mut picked: Vec<Picked> = picked
        .map(|(position, case)| Picked { position, case, details: TestDetails::NONE })
        .collect();
    let has_any = picked.iter().any(|picked| picked.case.details.is_some());
    if let Some(stored) = details.filter(|_| has_any) {
        let mut all = unpack_details(stored)?;
        for picked in &mut picked {
            let Some(at) = picked.case.details else { continue };
            let of_it = all.get_mut(at as usize);
            let of_it = of_it.ok_or_else(|| Fault::Corrupt("details are missing".into()))?;
            picked.details = std::mem::take(of_it);
        }
    }
    Ok(picked)
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

/// The place of a strip in its build, the position of its first case, its body and its details.
type Row = (i32, i32, Vec<u8>, Option<Vec<u8>>);

pub(super) fn list(conn: &mut Conn, query: &TestQuery) -> Outcome<Vec<PlacedTest>> {
    let named = named(conn, query)?;
    let is_wanted = |position: u32, case: &Packed| {
        position >= query.from
            && (query.statuses.is_empty() || query.statuses.contains(&case.status))
            && named.as_ref().is_none_or(|tests| tests.contains(&case.test))
    };
    let only_bad = !query.statuses.is_empty() && query.statuses.iter().all(|is| is.is_bad());
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let (mut found, mut next) = (Vec::new(), 0);
    while found.len() < limit {
        clock::check()?;
        let mut strips = strip::table
            .filter(strip::project_id.eq(query.project.0))
            .filter(strip::build_id.eq(Id(query.build.0)))
            .filter(strip::nth.ge(next))
            .filter((strip::first + strip::cases).gt(i32::try_from(query.from).unwrap_or(i32::MAX)))
            .order(strip::nth)
            .limit(1)
            .into_boxed::<Db>();
        if only_bad {
            strips = strips.filter(strip::bad.gt(0));
        }
        let row: Option<Row> = if query.is_brief {
            strips.select((strip::nth, strip::first, strip::body, nothing())).first(conn)
        } else {
            strips.select((strip::nth, strip::first, strip::body, strip::details)).first(conn)
        }
        .optional()?;
        let Some((nth, first, body, details)) = row else { break };
        let picked = pick((first, &body, details.as_deref()), is_wanted, limit - found.len())?;
        found.extend(complete(conn, query.project, picked, query.is_brief)?);
        next = nth.saturating_add(1);
    }
    Ok(found)
}

/// The tests that a query allows by their names, if it does: among those in the build, or whose
/// numbers are between.
fn named(conn: &mut Conn, query: &TestQuery) -> Outcome<Option<HashSet<i64>>> {
    if query.suite.is_none() && query.text.is_none() && query.full_names.is_empty() {
        return Ok(None);
    }
    let (low, high): (Option<i64>, Option<i64>) = strip::table
        .filter(strip::project_id.eq(query.project.0))
        .filter(strip::build_id.eq(Id(query.build.0)))
        .select((diesel::dsl::min(strip::low), diesel::dsl::max(strip::high)))
        .first(conn)?;
    let (Some(low), Some(high)) = (low, high) else { return Ok(Some(HashSet::new())) };
    let mut tests = test::table
        .filter(test::project_id.eq(query.project.0).and(test::id.between(low, high)))
        .select(test::id)
        .into_boxed::<Db>();
    if !query.full_names.is_empty() {
        let keys: Vec<_> = query.full_names.iter().map(|name| key(&plain(name))).collect();
        tests = tests.filter(test::key.eq_any(keys.into_iter().map(Vec::from)));
    }
    if let Some(suite) = &query.suite {
        tests = tests.filter(test::suite.eq(plain(suite)));
    }
    if let Some(wanted) = &query.text {
        let escaped = plain(wanted).replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let contains = Sql::new(tuned::ILIKE[0])
            .text(FULL_NAME)
            .text(tuned::BY_BYTES)
            .text(tuned::ILIKE[1])
            .bind::<Text, _>(format!("%{escaped}%"));
        tests = tests.filter(super::super::filter::Fragment(contains));
    }
    Ok(Some(tests.load(conn)?.into_iter().collect()))
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
    let (mut builds, mut bytes) = (HashSet::new(), 0);
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
            let Some(body) = body else { continue };
            bytes += body.len();
            let is_here =
                |at: u32, case: &Packed| case.test == id && (of != Id(build.0) || at >= position);
            let picked = pick((first, &body, None), is_here, usize::MAX)?;
            // A build's strips come from the last to the first.
            let of_build = runs.iter().rev().take_while(|(other, ..)| *other == of).count();
            let at = runs.len() - of_build;
            runs.splice(at..at, picked.into_iter().map(|picked| (of, nth, picked)));
        }
        if is_last {
            break;
        }
    }
    if runs.len() > limit {
        runs.truncate(limit);
        stopped = None;
    }
    if !is_brief {
        detail(conn, project, &mut runs)?;
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
    let body = sql::<Nullable<Binary>>("case when strip.low <= ")
        .bind::<BigInt, _>(test)
        .sql(" and strip.high >= ")
        .bind::<BigInt, _>(test)
        .sql(" then strip.body end");
    Ok(strip::table
        .filter(strip::project_id.eq(project.0).and(strip::build_id.le(build)))
        .filter(strip::build_id.lt(build).or(strip::nth.lt(nth)))
        .order((strip::build_id.desc(), strip::nth.desc()))
        .limit(many)
        .select((strip::build_id, strip::nth, strip::first, body))
        .load(conn)?)
}

/// Adds the details of picked cases that have any.
fn detail(conn: &mut Conn, project: ProjectId, runs: &mut [(Id, i32, Picked)]) -> Outcome<()> {
    for (build, nth, picked) in runs {
        let Some(at) = picked.case.details else { continue };
        let stored: Option<Option<Vec<u8>>> = strip::table
            .find((project.0, *build, *nth))
            .select(strip::details)
            .first(conn)
            .optional()?;
        // Deleted in the meantime, if there are none.
        let Some(stored) = stored.flatten() else { continue };
        let of_it = unpack_details(&stored)?.into_iter().nth(at as usize);
        picked.details = of_it.ok_or_else(|| Fault::Corrupt("details are missing".into()))?;
    }
    Ok(())
}

fn builds_of(
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
