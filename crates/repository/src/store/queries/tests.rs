//! Test cases of builds: each name and each failure of a project once, and what came of them in builds.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use devmason_domain::{
    BuildId, ProjectId, TestDetails, TestFailure, TestResult, TestStatus, TestSummary,
    full_test_name,
};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use sha2::{Digest, Sha256};

use super::builds::{self, Row, domain};
use super::{Conn, Db, Outcome, Sql, tuned};
use crate::store::columns::Id;
use crate::store::fault::Fault;
use crate::store::packed::{pack, text};
use crate::store::schema::{account, build, receipt, sql, test, test_failure, test_result};
use crate::{PlacedTest, TestQuery, TestRun};

/// How many cases are stored by one statement, where a store has one.
const PIECE: usize = 1_000;

/// The first half of a hash, by which texts of any length are found.
pub(in super::super) type TextKey = [u8; 16];

fn key(text: &str) -> TextKey {
    let mut key = [0; 16];
    let hash = Sha256::digest(text);
    key.iter_mut().zip(hash.iter()).for_each(|(to, from)| *to = *from);
    key
}

/// Databases have no text with NUL.
fn plain(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A case as it is stored.
pub(in super::super) struct ResultRow {
    pub(in super::super) project: ProjectId,
    pub(in super::super) build: BuildId,
    pub(in super::super) position: i32,
    pub(in super::super) test: TextKey,
    pub(in super::super) status: i16,
    pub(in super::super) micros: Option<i64>,
    pub(in super::super) failure: Option<TextKey>,
    pub(in super::super) details: Option<Vec<u8>>,
    pub(in super::super) packed: i16,
}

/// A text that many cases may have: what it is found by, itself, and whether it is compressed.
pub(in super::super) struct FailureRow {
    pub(in super::super) project: ProjectId,
    pub(in super::super) key: TextKey,
    pub(in super::super) body: Vec<u8>,
    pub(in super::super) packed: i16,
}

/// A test's name: what it is found by, its suite and its own name.
pub(in super::super) struct NameRow {
    pub(in super::super) project: ProjectId,
    pub(in super::super) key: TextKey,
    pub(in super::super) suite: String,
    pub(in super::super) name: String,
}

fn json(value: &impl serde::Serialize) -> Outcome<String> {
    serde_json::to_string(value).map_err(|error| Fault::Corrupt(error.to_string()))
}

/// What a build that was just stored, or a step that was just added to one, brings of cases and receipts.
pub(super) struct Part<'a> {
    pub(super) project: ProjectId,
    pub(super) build: BuildId,
    pub(super) tests: &'a [TestResult],
    pub(super) receipts: &'a [String],
}

/// Stores cases behind those that each build has; the builds' rows are held. Names and failures of all parts
/// go in first, in the order of their keys, so that two writers with the same ones don't wait for each other.
pub(super) fn add(conn: &mut Conn, parts: &[Part<'_>]) -> Outcome<()> {
    let (mut names, mut failures, mut rows) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for part in parts.iter().filter(|part| !part.tests.is_empty()) {
        let project = part.project;
        let this = || build::table.find((project.0, Id(part.build.0)));
        let known: String = this().select(build::tests).first(conn)?;
        let mut summary = summary(&known)?;
        for (position, result) in (summary.total..).zip(part.tests) {
            let (suite, name) = (plain(&result.suite), plain(&result.name));
            let test = key(&full_test_name(&suite, &name));
            names.entry((project, test)).or_insert(NameRow { project, key: test, suite, name });
            let failure = match &result.failure {
                Some(failure) => {
                    let body = json(failure)?;
                    let key = key(&body);
                    failures.entry((project, key)).or_insert_with(|| {
                        let packed = pack(&body);
                        let is_packed = matches!(packed, Cow::Owned(_)).into();
                        FailureRow { project, key, packed: is_packed, body: packed.into_owned() }
                    });
                    Some(key)
                }
                None => None,
            };
            let details = if result.details == TestDetails::default() {
                None
            } else {
                Some(json(&result.details)?)
            };
            let details = details.as_deref().map(pack);
            rows.push(ResultRow {
                project,
                build: part.build,
                position: i32::try_from(position).unwrap_or(i32::MAX),
                test,
                status: number(result.status),
                micros: result.micros.map(|micros| i64::try_from(micros).unwrap_or(i64::MAX)),
                failure,
                packed: matches!(details, Some(Cow::Owned(_))).into(),
                details: details.map(Cow::into_owned),
            });
        }
        summary.add(part.tests);
        diesel::update(this()).set(build::tests.eq(json(&summary)?)).execute(conn)?;
    }
    let names: Vec<NameRow> = names.into_values().collect();
    names.chunks(PIECE).try_for_each(|piece| tuned::insert_test_names(conn, piece))?;
    let failures: Vec<FailureRow> = failures.into_values().collect();
    failures.chunks(PIECE).try_for_each(|piece| tuned::insert_test_failures(conn, piece))?;
    rows.chunks(PIECE).try_for_each(|piece| tuned::insert_test_results(conn, piece))?;
    parts.iter().try_for_each(|part| add_receipts(conn, part))
}

fn add_receipts(conn: &mut Conn, part: &Part<'_>) -> Outcome<()> {
    if part.receipts.is_empty() {
        return Ok(());
    }
    let known: i64 = receipt::table
        .filter(receipt::project_id.eq(part.project.0).and(receipt::build_id.eq(Id(part.build.0))))
        .count()
        .get_result(conn)?;
    for (nth, document) in (known..).zip(part.receipts) {
        diesel::insert_into(receipt::table)
            .values((
                receipt::project_id.eq(part.project.0),
                receipt::build_id.eq(Id(part.build.0)),
                receipt::nth.eq(i32::try_from(nth).unwrap_or(i32::MAX)),
                receipt::document.eq(plain(document)),
            ))
            .execute(conn)?;
    }
    Ok(())
}

fn number(status: TestStatus) -> i16 {
    TestStatus::ALL.iter().position(|known| *known == status).unwrap_or(0) as i16
}

/// What a build's row says of its cases.
pub(super) fn summary(stored: &str) -> Outcome<TestSummary> {
    if stored.is_empty() {
        return Ok(TestSummary::default());
    }
    serde_json::from_str(stored)
        .map_err(|error| Fault::Corrupt(format!("a summary of tests: {error}")))
}

/// A case with its name and the key of its failure.
#[derive(Queryable)]
struct CaseRow {
    position: i32,
    suite: String,
    name: String,
    status: i16,
    micros: Option<i64>,
    failure_key: Option<Vec<u8>>,
    details: Option<Vec<u8>>,
    packed: i16,
}

/// The failures of some rows, each read once.
fn failures(
    conn: &mut Conn,
    project: ProjectId,
    keys: Vec<Vec<u8>>,
) -> Outcome<HashMap<Vec<u8>, TestFailure>> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(Vec<u8>, Vec<u8>, i16)> = test_failure::table
        .filter(test_failure::project_id.eq(project.0).and(test_failure::key.eq_any(keys)))
        .select((test_failure::key, test_failure::body, test_failure::packed))
        .load(conn)?;
    rows.into_iter()
        .map(|(key, body, packed)| {
            let failure = serde_json::from_str(&text(body, packed != 0)?)
                .map_err(|error| Fault::Corrupt(format!("a failure: {error}")))?;
            Ok((key, failure))
        })
        .collect()
}

fn placed(row: CaseRow, failures: &HashMap<Vec<u8>, TestFailure>) -> Outcome<PlacedTest> {
    let status = usize::try_from(row.status).ok().and_then(|at| TestStatus::ALL.get(at));
    let details = match row.details {
        Some(details) => serde_json::from_str(&text(details, row.packed != 0)?)
            .map_err(|error| Fault::Corrupt(format!("a test's details: {error}")))?,
        None => TestDetails::default(),
    };
    Ok(PlacedTest {
        position: row.position.unsigned_abs(),
        result: TestResult {
            suite: row.suite,
            name: row.name,
            status: *status.ok_or_else(|| Fault::Corrupt("a test's status is none".into()))?,
            micros: row.micros.map(i64::unsigned_abs),
            failure: row.failure_key.and_then(|key| failures.get(&key).cloned()),
            details,
        },
    })
}

pub(super) fn list(conn: &mut Conn, query: &TestQuery) -> Outcome<Vec<PlacedTest>> {
    let mut rows = test_result::table
        .inner_join(test::table)
        .into_boxed::<Db>()
        .filter(test_result::project_id.eq(query.project.0))
        .filter(test_result::build_id.eq(Id(query.build.0)))
        .filter(test_result::position.ge(i32::try_from(query.from).unwrap_or(i32::MAX)));
    if !query.statuses.is_empty() {
        let statuses: Vec<i16> = query.statuses.iter().copied().map(number).collect();
        rows = rows.filter(test_result::status.eq_any(statuses));
    }
    if let Some(suite) = &query.suite {
        rows = rows.filter(test::suite.eq(plain(suite)));
    }
    if let Some(wanted) = &query.text {
        let escaped = plain(wanted).replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let contains = Sql::new("lower(case when test.suite = '' then test.name else test.suite || '::' || test.name end")
            .text(tuned::BY_BYTES)
            .text(") like lower(?")
            .bind::<Text, _>(format!("%{escaped}%"))
            .text(tuned::BY_BYTES)
            .text(") escape '\\'");
        rows = rows.filter(super::filter::Fragment(contains));
    }
    let rows: Vec<CaseRow> = rows
        .order(test_result::position)
        .limit(i64::try_from(query.limit).unwrap_or(i64::MAX))
        .select((
            test_result::position,
            test::suite,
            test::name,
            test_result::status,
            test_result::micros,
            test_result::failure_key,
            test_result::details,
            test_result::packed,
        ))
        .load(conn)?;
    let keys = rows.iter().filter_map(|row| row.failure_key.clone()).collect();
    let failures = failures(conn, query.project, keys)?;
    rows.into_iter().map(|row| placed(row, &failures)).collect()
}

pub(super) fn history(
    conn: &mut Conn,
    project: ProjectId,
    full_name: &str,
    from: Option<(BuildId, u32)>,
    limit: u64,
) -> Outcome<Option<Vec<TestRun>>> {
    let known: Option<(i64, String, String)> = test::table
        .filter(test::project_id.eq(project.0).and(test::key.eq(key(&plain(full_name)).as_slice())))
        .select((test::id, test::suite, test::name))
        .first(conn)
        .optional()?;
    let Some((id, suite, name)) = known else { return Ok(None) };
    let (build, position) = from.unwrap_or((BuildId::FIRST, u32::MAX));
    let position = i32::try_from(position).unwrap_or(i32::MAX);
    let rows: Vec<(Id, CaseRow)> = test_result::table
        .filter(test_result::project_id.eq(project.0).and(test_result::test_id.eq(id)))
        .filter(test_result::build_id.le(Id(build.0)))
        .filter(test_result::build_id.lt(Id(build.0)).or(test_result::position.ge(position)))
        .order((test_result::build_id.desc(), test_result::position))
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select((
            test_result::build_id,
            (
                test_result::position,
                suite.into_sql::<Text>(),
                name.into_sql::<Text>(),
                test_result::status,
                test_result::micros,
                test_result::failure_key,
                test_result::details,
                test_result::packed,
            ),
        ))
        .load(conn)?;
    let keys = rows.iter().filter_map(|(_, row)| row.failure_key.clone()).collect();
    let failures = failures(conn, project, keys)?;
    let ids: Vec<Id> = rows.iter().map(|(id, _)| *id).collect();
    let found: Vec<builds::Joined> = builds::builds!()
        .filter(build::project_id.eq(project.0).and(build::id.eq_any(ids)))
        .load(conn)?;
    let mut of: HashMap<Id, devmason_domain::Build> = HashMap::new();
    for row in found {
        let build = domain(row)?;
        of.insert(Id(build.id.0), build);
    }
    let runs = rows.into_iter().filter_map(|(id, row)| {
        let build = of.get(&id)?.clone();
        Some(placed(row, &failures).map(|test| TestRun { build, test }))
    });
    runs.collect::<Outcome<_>>().map(Some)
}

pub(super) fn receipts(conn: &mut Conn, project: ProjectId, id: BuildId) -> Outcome<Vec<String>> {
    Ok(receipt::table
        .filter(receipt::project_id.eq(project.0).and(receipt::build_id.eq(Id(id.0))))
        .order(receipt::nth)
        .select(receipt::document)
        .load(conn)?)
}

/// Removes the cases and receipts of a build.
pub(super) fn forget(conn: &mut Conn, project: ProjectId, id: BuildId) -> Outcome<()> {
    for statement in [
        "delete from test_result where project_id = ? and build_id = ?",
        "delete from receipt where project_id = ? and build_id = ?",
    ] {
        Sql::<()>::new(statement)
            .bind::<BigInt, _>(project.0)
            .bind::<sql::Uuid, _>(Id(id.0))
            .execute(conn)?;
    }
    Ok(())
}
