//! Collection counts, and removal of obsolete data in batches.

use devmason_domain::{ProjectId, Timestamp};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary};

use super::{Conn, Sql, Store, counts, foreign, tuned, uploads};
use crate::store::columns::{At, instant};
use crate::store::fault::Outcome;
use crate::store::schema::build_count;
use crate::{CLAIM_LIFETIME_MICROS, Changes, ProjectSize, Result, Retention, Sizes, Upkeep};

/// Write-ahead log size in bytes from which it is truncated: SQLite does not do so while reads
/// overlap.
const LONG_LOG: u64 = 16 << 20;

/// The number of rows removed per transaction: about 10 ms, so that no one waits long for it.
const PIECE: i64 = 500;

/// What clients of other systems say last may come late, but hardly after so many microseconds.
const DAY: i64 = 86_400_000_000;

/// The same for rows that may be as large as a request body.
const LARGE_PIECE: i64 = 20;

pub(super) fn ping(conn: &mut Conn) -> Outcome<()> {
    Ok(tuned::ping(conn)?)
}

/// Writes a row and removes it again: the only way to find out whether there is free space.
pub(super) fn write_something(conn: &mut Conn) -> Outcome<()> {
    // No real claim has such a short scope.
    let scope = b"space".as_slice();
    Sql::<()>::new("insert into claim (scope, body, outcome, created_at) values (?, ?, '', ?)")
        .bind::<Binary, _>(scope)
        .bind::<Binary, _>(scope)
        .bind::<crate::store::schema::sql::Instant, _>(At(0))
        .execute(conn)?;
    Sql::<()>::new("delete from claim where scope = ?").bind::<Binary, _>(scope).execute(conn)?;
    Ok(())
}

pub(super) fn latest(conn: &mut Conn) -> Outcome<Option<Timestamp>> {
    let latest: Option<At> = build_count::table
        .filter(build_count::tag.eq(""))
        .order(build_count::updated_at.desc())
        .select(build_count::updated_at)
        .first(conn)
        .optional()?;
    latest.map(|at| instant(at, 0)).transpose()
}

/// What each existing project holds: its id, its builds and the length of their outputs.
const PROJECT_SIZES: &str = "select project.id, \
    cast(coalesce((select sum(builds) from build_count where project_id = project.id and tag = ''), 0) as bigint), \
    cast(coalesce((select sum(output_bytes) from build where project_id = project.id), 0) as bigint) \
    from project where slug_key is not null";

pub(super) fn sizes(conn: &mut Conn) -> Outcome<Sizes> {
    let bytes: i64 = Sql::<BigInt>::new(tuned::SIZE).get_result(conn)?;
    let rows: Vec<(i64, i64, i64)> =
        Sql::<(BigInt, BigInt, BigInt)>::new(PROJECT_SIZES).load(conn)?;
    let size = |(project, builds, output_bytes): (i64, i64, i64)| ProjectSize {
        project: ProjectId(project),
        builds: builds.unsigned_abs(),
        output_bytes: output_bytes.unsigned_abs(),
    };
    let projects = rows.into_iter().map(size).collect();
    Ok(Sizes { bytes: bytes.unsigned_abs(), projects })
}

pub(super) fn purge(conn: &mut Conn, now: Timestamp, kept: Retention) -> Outcome<bool> {
    // A literal in the text: the planner knows nothing about a bound limit and would read whole tables.
    let piece_of = |statement: &str| {
        let statement = statement.replace("{PIECE}", &PIECE.to_string());
        statement.replace("{LARGE_PIECE}", &LARGE_PIECE.to_string())
    };
    let expired = Sql::<()>::new(piece_of(
        "delete from claim where scope in (select scope from claim where created_at < ? order by created_at limit {PIECE})",
    ))
    .bind::<crate::store::schema::sql::Instant, _>(At(now.micros() - CLAIM_LIFETIME_MICROS))
    .execute(conn)?;
    Sql::<()>::new(piece_of(
        "delete from session where hash in (select hash from session where expires < ? order by expires limit {PIECE})",
    ))
    .bind::<crate::store::schema::sql::Instant, _>(At(now.micros()))
    .execute(conn)?;
    // Locked until the end of the batch, so that no other server works on the same rows.
    let Some(deleted) = tuned::deleted_project(conn)? else {
        let oldest = At(now.micros().saturating_sub(kept.micros));
        return Ok(uploads::forget_before(conn, oldest, LARGE_PIECE)?
            || uploads::forget_beyond(conn, kept.bytes, LARGE_PIECE)?
            || foreign::forget_before(conn, At(oldest.0.min(now.micros() - DAY)), PIECE)?
            || expired > 0);
    };
    for piece in [
        "delete from step where (project_id, build_id, position) in
             (select project_id, build_id, position from step where project_id = ? limit {PIECE})",
        "delete from log_piece where (project_id, build_id, position, start) in
             (select project_id, build_id, position, start from log_piece where project_id = ? limit {LARGE_PIECE})",
        "delete from foreign_event where (project_id, build_id, nth) in
             (select project_id, build_id, nth from foreign_event where project_id = ? limit {PIECE})",
        "delete from foreign_build where number in
             (select number from foreign_build where project_id = ? limit {PIECE})",
        "delete from sighting where (signature, credited, project_id, build_id) in
             (select signature, credited, project_id, build_id from sighting where project_id = ? limit {PIECE})",
        "delete from unsigned_build where (project_id, build_id) in
             (select project_id, build_id from unsigned_build where project_id = ? limit {PIECE})",
        "delete from strip where (project_id, build_id, nth) in
             (select project_id, build_id, nth from strip where project_id = ? limit {LARGE_PIECE})",
        "delete from upload where (project_id, build_id, nth) in
             (select project_id, build_id, nth from upload where project_id = ? limit {LARGE_PIECE})",
        "delete from receipt where (project_id, build_id, nth) in
             (select project_id, build_id, nth from receipt where project_id = ? limit {PIECE})",
        "delete from test_failure where (project_id, key) in
             (select project_id, key from test_failure where project_id = ? limit {PIECE})",
        "delete from test where (project_id, id) in (select project_id, id from test where project_id = ? limit {PIECE})",
        "delete from build_tag where (project_id, tag, build_id) in
             (select project_id, tag, build_id from build_tag where project_id = ? limit {PIECE})",
        "delete from build_component where (project_id, build_id, component_id) in
             (select project_id, build_id, component_id from build_component where project_id = ? limit {PIECE})",
        "delete from issue where (project_id, id) in (select project_id, id from issue where project_id = ? limit {PIECE})",
        "delete from track where (project_id, key) in (select project_id, key from track where project_id = ? limit {PIECE})",
        "delete from build where (project_id, id) in (select project_id, id from build where project_id = ? limit {PIECE})",
        "delete from build_count where (project_id, tag, shard) in
             (select project_id, tag, shard from build_count where project_id = ? limit {PIECE})",
        "delete from sender_count where (sender_id, project_id, shard) in
             (select sender_id, project_id, shard from sender_count where project_id = ? limit {PIECE})",
        "delete from project where id in (select id from project where id = ? limit {PIECE})",
    ] {
        let removed = Sql::<()>::new(piece_of(piece))
            .bind::<BigInt, _>(deleted)
            .execute(conn)?;
        if removed > 0 {
            return Ok(true);
        }
    }
    Ok(true)
}

impl Upkeep for Store {
    fn ping(&self) -> Result<()> {
        self.pulse.read(ping)
    }
    fn ready(&self) -> Result<()> {
        self.glance.is_there()?;
        self.trouble.corrupt()?;
        self.care.read(tuned::may_write)?;
        if self.trouble.is_full() {
            self.care.once(|conn| tuned::write(conn, write_something))?;
            self.trouble.has_space();
        }
        Ok(())
    }
    fn tidy(&self) -> Result<()> {
        match self.glance.log_bytes() {
            Some(bytes) if bytes > LONG_LOG => self.care.once(tuned::shorten_log),
            _ => Ok(()),
        }
    }
    fn log_bytes(&self) -> Option<u64> {
        self.glance.log_bytes()
    }
    fn changes(&self) -> Result<Changes> {
        self.glance.look(|| {
            let changes = self.read(counts::changes)?;
            // After a dead connection, another server may be answering.
            let server = changes.server.wrapping_add(self.readers.epoch().cast_signed());
            Ok(Changes { server, ..changes })
        })
    }
    fn changes_at_once(&self) -> Option<Changes> {
        self.glance.last()
    }
    fn system(&self) -> &'static str {
        tuned::SYSTEM
    }
    fn sizes(&self) -> Result<Sizes> {
        self.read(sizes)
    }
    fn latest(&self) -> Result<Option<Timestamp>> {
        self.read(latest)
    }
    fn purge(&self, now: Timestamp, uploads: Retention) -> Result<bool> {
        self.write(|conn| purge(conn, now, uploads))
    }
}
