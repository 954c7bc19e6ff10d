//! Packs the cases of databases that still have a row for each.

use devmason_domain::{ProjectId, TestDetails, TestResult, TestStatus};
use devmason_strips::{CASES, Packer, Strip};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, SmallInt};

use super::pack::insert;
use super::{Conn, Fault, Id, Outcome, Sql, tuned};
use crate::store::packed::text;
use crate::store::schema::{sql, strip, unsigned_build};

/// Number of builds and of cases per transaction.
const BUILDS: usize = 100;
const PIECE: u64 = 50_000;

/// Number of cases between two lines of the log.
const LINE: u64 = 1_000_000;

/// Packs the rows of older databases, build by build, and drops their table. It can be interrupted:
/// the next start goes on.
pub(in super::super::super) fn convert(conn: &mut Conn) -> Outcome<()> {
    let (mut cases, mut told) = (0, 0);
    while let Some(packed) = tuned::write(conn, piece)? {
        cases += packed;
        if cases >= told + LINE {
            told = cases;
            tracing::info!(cases, "packing the test cases of an older version");
        }
    }
    if cases > 0 {
        tracing::info!(cases, "packed the test cases of an older version");
    }
    Ok(())
}

/// Packs the cases of some builds; how many they are, or `None` once there are no rows any more.
fn piece(conn: &mut Conn) -> Outcome<Option<u64>> {
    // Several servers may start at once.
    tuned::lock_migration(conn)?;
    if !Sql::<Bool>::new(tuned::HAS_ROWS).get_result(conn)? {
        return Ok(None);
    }
    let mut last: Option<(i64, Id)> = strip::table
        .order((strip::project_id.desc(), strip::build_id.desc()))
        .select((strip::project_id, strip::build_id))
        .first(conn)
        .optional()?;
    let mut cases = 0;
    for _ in 0..BUILDS {
        let (project, build) = last.unwrap_or((0, Id(uuid::Uuid::nil())));
        let next = "select project_id, build_id from test_result where (project_id, build_id) > (?, ?) \
                    order by project_id, build_id limit 1";
        let next: Option<(i64, Id)> = Sql::<(BigInt, sql::Uuid)>::new(next)
            .bind::<BigInt, _>(project)
            .bind::<sql::Uuid, _>(build)
            .get_result(conn)
            .optional()?;
        let Some(next) = next else {
            Sql::<()>::new("drop table test_result").execute(conn)?;
            break;
        };
        let strips = strips(conn, next)?;
        cases += strips.iter().map(|strip| u64::from(strip.cases)).sum::<u64>();
        insert(conn, (ProjectId(next.0), next.1), 0, &strips)?;
        if strips.iter().any(|strip| strip.bad > 0) {
            diesel::insert_into(unsigned_build::table)
                .values((
                    unsigned_build::project_id.eq(next.0),
                    unsigned_build::build_id.eq(next.1),
                ))
                .execute(conn)?;
        }
        last = Some(next);
        if cases >= PIECE {
            break;
        }
    }
    Ok(Some(cases))
}

/// A row: its position, test, status, duration, failure, details and whether these are compressed.
type Row = (i32, i64, i16, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>, i16);
type RowTypes =
    (Integer, BigInt, SmallInt, Nullable<BigInt>, Nullable<Binary>, Nullable<Binary>, SmallInt);

/// The cases of a build, packed. They are read in pieces, so that they are not all in memory.
fn strips(conn: &mut Conn, (project, build): (i64, Id)) -> Outcome<Vec<Strip>> {
    let mut packer = Packer::default();
    let mut last = -1;
    loop {
        let rows: Vec<Row> = Sql::<RowTypes>::new(format!(
            "select position, test_id, status, micros, failure_key, details, packed from test_result \
             where project_id = ? and build_id = ? and position > ? order by position limit {CASES}"
        ))
        .bind::<BigInt, _>(project)
        .bind::<sql::Uuid, _>(build)
        .bind::<Integer, _>(last)
        .load(conn)?;
        let Some(row) = rows.last() else { return Ok(packer.finish()) };
        last = row.0;
        for (position, test, status, micros, failure, details, packed) in rows {
            let status = usize::try_from(status).ok().and_then(|at| TestStatus::ALL.get(at));
            let details = details.map(|details| {
                let text = text(details, packed != 0)?;
                let corrupt = |error: serde_json::Error| Fault::Corrupt(error.to_string());
                serde_json::from_str::<TestDetails>(&text).map_err(corrupt)
            });
            let is_damaged = status.is_none() || matches!(details, Some(Err(_)));
            if is_damaged {
                // One damaged row must not keep the server from starting.
                let build = build.0;
                tracing::warn!(project, %build, position, "the row of a test case is damaged");
            }
            let result = TestResult {
                suite: "".into(),
                name: String::new(),
                status: status.copied().unwrap_or(TestStatus::Error),
                micros: micros.map(i64::unsigned_abs),
                failure: None,
                details: details.and_then(Result::ok).unwrap_or(TestDetails::NONE).into(),
            };
            let failure = failure.and_then(|key| key.try_into().ok());
            packer.push(test, &result, failure.as_ref());
        }
    }
}
