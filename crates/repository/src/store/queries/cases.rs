//! Test cases of builds. Each name and each failure is stored once per project, and each result per
//! build.

mod stored;

use std::collections::HashMap;

use devmason_domain::query::Value;
use devmason_domain::{BuildId, ProjectId, TestDetails, TestFailure, TestResult, TestStatus};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};

use super::filter::{Columns, bounds};
use super::narrow::place;
use super::rows::domain;
use super::{Conn, Db, Sql, Store, rows, tuned};
use crate::store::columns::{At, Id, instant, plain};
use crate::store::fault::{Fault, Outcome};
use crate::store::packed::text;
use crate::store::schema::{build, project, sql, test, test_failure, test_result};
use crate::{FoundTest, Listed, Listing, PlacedTest, Result, TestQuery, TestRun, Tests};
use stored::{key, number};

pub(super) use stored::add;
pub(in super::super) use stored::{FailureRow, NameRow, ResultRow};

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

/// The failures of some rows, each loaded once.
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
        None => TestDetails::NONE,
    };
    Ok(PlacedTest {
        position: row.position.unsigned_abs(),
        result: TestResult {
            suite: row.suite.into(),
            name: row.name,
            status: *status.ok_or_else(|| Fault::Corrupt("a test's status is none".into()))?,
            micros: row.micros.map(i64::unsigned_abs),
            failure: row.failure_key.and_then(|key| failures.get(&key).cloned()),
            details: details.into(),
        },
    })
}

/// An unwanted column.
fn nothing() -> diesel::dsl::AsExprOf<Option<Vec<u8>>, Nullable<Binary>> {
    None::<Vec<u8>>.into_sql::<Nullable<Binary>>()
}

/// The columns of a [`CaseRow`]; brief rows omit failure and details.
macro_rules! columns {
    ($suite:expr, $name:expr, brief) => {
        columns!(($suite, $name), nothing(), nothing())
    };
    ($suite:expr, $name:expr) => {
        columns!(($suite, $name), test_result::failure_key, test_result::details)
    };
    (($suite:expr, $name:expr), $failure:expr, $details:expr) => {
        (
            test_result::position,
            $suite,
            $name,
            test_result::status,
            test_result::micros,
            $failure,
            $details,
            test_result::packed,
        )
    };
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
        let contains = Sql::new(tuned::ILIKE[0])
            .text(FULL_NAME)
            .text(tuned::BY_BYTES)
            .text(tuned::ILIKE[1])
            .bind::<Text, _>(format!("%{escaped}%"));
        rows = rows.filter(super::filter::Fragment(contains));
    }
    let rows =
        rows.order(test_result::position).limit(i64::try_from(query.limit).unwrap_or(i64::MAX));
    let rows: Vec<CaseRow> = if query.is_brief {
        rows.select(columns!(test::suite, test::name, brief)).load(conn)?
    } else {
        rows.select(columns!(test::suite, test::name)).load(conn)?
    };
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
    is_brief: bool,
) -> Outcome<Option<Vec<TestRun>>> {
    let Some((id, suite, name)) = find(conn, project, full_name)? else { return Ok(None) };
    let (build, position) = from.unwrap_or((BuildId::FIRST, u32::MAX));
    let position = i32::try_from(position).unwrap_or(i32::MAX);
    let rows = test_result::table
        .filter(test_result::project_id.eq(project.0).and(test_result::test_id.eq(id)))
        .filter(test_result::build_id.le(Id(build.0)))
        .filter(test_result::build_id.lt(Id(build.0)).or(test_result::position.ge(position)))
        .order((test_result::build_id.desc(), test_result::position))
        .limit(i64::try_from(limit).unwrap_or(i64::MAX));
    let named = (suite.into_sql::<Text>(), name.into_sql::<Text>());
    let rows: Vec<(Id, CaseRow)> = if is_brief {
        rows.select((test_result::build_id, columns!(named.0, named.1, brief))).load(conn)?
    } else {
        rows.select((test_result::build_id, columns!(named.0, named.1))).load(conn)?
    };
    let keys = rows.iter().filter_map(|(_, row)| row.failure_key.clone()).collect();
    let failures = failures(conn, project, keys)?;
    let ids: Vec<Id> = rows.iter().map(|(id, _)| *id).collect();
    let found: Vec<rows::Joined> = rows::builds!()
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

/// A case's full name.
const FULL_NAME: &str =
    "(case when test.suite = '' then test.name else test.suite || '::' || test.name end)";

/// Fields of cases, over `test_result join test join project`.
const COLUMNS: Columns = Columns {
    fields: &[
        ("id", tuned::TEST_ID),
        ("build_id", "test_result.build_id"),
        ("project", "project.slug_key"),
        ("position", "test_result.position"),
        ("full_name", FULL_NAME),
        ("suite", "test.suite"),
        ("name", "test.name"),
        // Must match the numbering of the statuses.
        (
            "status",
            "(case test_result.status when 0 then 'passed' when 1 then 'flaky' when 2 then 'skipped' \
             when 3 then 'failed' else 'error' end)",
        ),
        ("duration", "(test_result.micros / 1000000.0)"),
    ],
    folded: &["project"],
    sets: &[],
    open: "null",
    scanned: "test_result.position",
    indexed: &[],
};

/// Cases of all existing projects that match a query. A filter on a project or build uses the
/// table's key; one on a full name within a project uses the history index.
pub(super) fn query(conn: &mut Conn, listing: &Listing) -> Outcome<Listed<FoundTest>> {
    let (limit, offset) = bounds(listing);
    let filter = &listing.selection.filter;
    let (of_project, of_build) = place(conn, filter)?;
    let of_test: Option<i64> = match (of_project, filter.required("full_name")) {
        (Some(project), Some(Value::Text(name))) => {
            let known = find(conn, project, name)?;
            // No test has this id.
            Some(known.map_or(-1, |(id, ..)| id))
        }
        _ => None,
    };
    // Written into the statement, so that the partial index is used.
    let only_failed = match filter.required("status") {
        Some(Value::Text(status)) if status == "failed" || status == "error" => {
            "test_result.status >= 3"
        }
        _ => "true",
    };
    macro_rules! selected {
        ($joined:expr) => {{
            let mut all = $joined
                .into_boxed::<Db>()
                .filter(project::slug_key.is_not_null())
                .filter(diesel::dsl::sql::<Bool>(only_failed))
                .filter(COLUMNS.filter(filter));
            if let Some(id) = of_project {
                all = all.filter(test_result::project_id.eq(id.0));
            }
            if let Some(id) = of_build {
                all = all.filter(test_result::build_id.eq(id));
            }
            if let Some(id) = of_test {
                all = all.filter(test_result::test_id.eq(id));
            }
            all
        }};
    }
    let cases = || test_result::table.inner_join(project::table);
    // Each case has a name and a build, so the joins are skipped when counting unless the filter needs
    // them.
    let by_name = ["full_name", "suite", "name"].iter().any(|field| filter.mentions(field));
    let count: i64 = if by_name {
        selected!(cases().inner_join(test::table)).count().get_result(conn)?
    } else {
        selected!(cases()).count().get_result(conn)?
    };
    let order = COLUMNS.order(
        &listing.selection.sort,
        "test_result.project_id, test_result.build_id, test_result.position",
    );
    type Found = (i64, Id, (At, At, i64), i32, String, String, i16, Option<i64>);
    let of_its_build =
        build::project_id.eq(test_result::project_id).and(build::id.eq(test_result::build_id));
    let whole = cases().inner_join(test::table).inner_join(build::table.on(of_its_build));
    let rows: Vec<Found> = selected!(whole)
        .order(order)
        .limit(limit)
        .offset(offset)
        .select((
            test_result::project_id,
            test_result::build_id,
            (build::received, build::updated_at, build::version),
            test_result::position,
            test::suite,
            test::name,
            test_result::status,
            test_result::micros,
        ))
        .load(conn)?;
    let found = |(
        project,
        build,
        (received, updated_at, version),
        position,
        suite,
        name,
        status,
        micros,
    ): Found| {
        let row = CaseRow {
            position,
            suite,
            name,
            status,
            micros,
            failure_key: None,
            details: None,
            packed: 0,
        };
        let test = placed(row, &HashMap::new())?;
        Ok(FoundTest {
            project: ProjectId(project),
            build: BuildId(build.0),
            received: instant(received, 0)?,
            updated_at: instant(updated_at, 0)?,
            version,
            test,
        })
    };
    Ok(Listed {
        items: rows.into_iter().map(found).collect::<Outcome<_>>()?,
        count: count.unsigned_abs(),
    })
}

/// A project's test with that full name: its id, suite and name.
fn find(
    conn: &mut Conn,
    project: ProjectId,
    full_name: &str,
) -> Outcome<Option<(i64, String, String)>> {
    Ok(test::table
        .filter(test::project_id.eq(project.0).and(test::key.eq(key(&plain(full_name)).as_slice())))
        .select((test::id, test::suite, test::name))
        .first(conn)
        .optional()?)
}

/// Removes the cases, receipts and uploads of a build.
pub(super) fn forget(conn: &mut Conn, project: ProjectId, id: BuildId) -> Outcome<()> {
    for statement in [
        "delete from test_result where project_id = ? and build_id = ?",
        "delete from receipt where project_id = ? and build_id = ?",
        "delete from upload where project_id = ? and build_id = ?",
    ] {
        Sql::<()>::new(statement)
            .bind::<BigInt, _>(project.0)
            .bind::<sql::Uuid, _>(Id(id.0))
            .execute(conn)?;
    }
    Ok(())
}

impl Tests for Store {
    fn test_list(&self, query: &TestQuery) -> Result<Vec<PlacedTest>> {
        self.read(|conn| list(conn, query))
    }
    fn test_history(
        &self,
        project: ProjectId,
        full_name: &str,
        from: Option<(BuildId, u32)>,
        limit: u64,
        is_brief: bool,
    ) -> Result<Option<Vec<TestRun>>> {
        self.read(|conn| history(conn, project, full_name, from, limit, is_brief))
    }
}
