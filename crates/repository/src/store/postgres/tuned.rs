//! PostgreSQL specifics: whole batches in one statement, array binds, row locks.

use std::time::{Duration, Instant};

use devmason_domain::{BuildId, ProjectId, SignatureKey, Tag};
use diesel::prelude::*;
use diesel::result::QueryResult;
use diesel::sql_types::{Array, BigInt, Binary, Bool, SmallInt, Text};

use super::Conn;
use super::ingest::column;
pub(super) use super::ingest::{append_steps, insert_builds};
use super::queries::{FailureRow, Met, NameRow, Sql, Store};
use crate::store::columns::Id;
use crate::store::fault::{Fault, Outcome};
use crate::store::schema::{sql, test};
use crate::{LogListener, Result, StepPlace};

/// Two writers keep PostgreSQL busy while one of them waits for its commit; in measurements a third
/// added nothing.
pub(super) const WRITERS: usize = 2;

/// A batch of builds or steps is stored by one statement.
pub(super) const ONE_STATEMENT: bool = true;

/// The counter shard that this connection updates.
pub(super) const SHARD: &str = "(pg_backend_pid() % 16)::smallint";

/// The current time in the store's format.
pub(super) const NOW: &str = "now()";

/// A version or change count that no row has had before: see `queries::next`.
pub(super) fn next(column: &str) -> String {
    format!("greatest({column} + 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint)")
}

/// The clause that locks the selected rows against changes and references.
pub(super) const FOR_UPDATE: &str = " for update";

/// The same, unless only their keys are referenced.
pub(super) const FOR_NO_KEY_UPDATE: &str = " for no key update";

/// The same for the rows of `build` that nobody has locked; the others are left out.
pub(super) const UNLESS_LOCKED: &str = " for no key update of build skip locked";

/// Whether there still is a table with a row for each test case.
pub(super) const HAS_ROWS: &str = "select to_regclass('test_result') is not null";

/// The change count and the server's identity: after a failover, the new server's start time
/// differs.
pub(super) const CHANGES: &str = "select sum(changes)::bigint, (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint from collection";

/// The prefix of a condition that may scan: empty, because the server enforces the statement
/// timeout.
pub(super) fn in_time(_: &'static str) -> Sql<'static, Bool> {
    Sql::new("")
}

/// The name of the database system.
pub(super) const SYSTEM: &str = "PostgreSQL";

/// The size of the database, in bytes.
pub(super) const SIZE: &str = "select pg_database_size(current_database())";

/// The suffix of a text that is compared or sorted by its bytes.
pub(super) const BY_BYTES: &str = " collate \"C\"";

/// The SQL around a text and after it, for matching a pattern: case-sensitive first, then ignoring
/// ASCII case. Only the first 4096 characters of a text are matched (`limits::PATTERN`), because
/// `like` on megabytes of text does not check the timeout.
pub(super) const LIKE: [&str; 2] = ["left(", ", 4096) like ? escape '\\'"];
pub(super) const ILIKE: [&str; 2] =
    ["lower(left(", ", 4096)) like lower(? collate \"C\") escape '\\'"];

/// Condition: the build tested a component with that id or name.
pub(super) const HAS_COMPONENT: &str = "exists (select 1 from build_component bc join component c on c.id = bc.component_id \
    where bc.project_id = build.project_id and bc.build_id = build.id and ? in (c.name, c.id::text))";

/// A step's id: the build's id and the step's position.
pub(super) const STEP_ID: &str = "(step.build_id::text || ':' || step.position)";

/// A build's id in URIs.
pub(super) const BUILD_KEY: &str = "coalesce(build.key, build.id::text)";

/// The key of a track, and of a build's track, as clients see it.
pub(super) const TRACK_KEY: &str = "lpad(to_hex(track.key), 16, '0')";
pub(super) const TRACK_ORDER: &str = "project.slug_key, lpad(to_hex(track.key), 16, '0')";
pub(super) const TRACK_OF_BUILD: &str = "lpad(to_hex(build.track), 16, '0')";

/// Identifies the database server: after a failover, the new one's start time differs.
pub(super) fn server(conn: &mut Conn) -> QueryResult<i64> {
    let started = "select (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint";
    Sql::<BigInt>::new(started).get_result(conn)
}

pub(super) fn ping(conn: &mut Conn) -> QueryResult<()> {
    Sql::<()>::new("select 1").execute(conn).map(drop)
}

/// Whether the database accepts writes; nothing is written.
pub(super) fn may_write(conn: &mut Conn) -> Outcome<()> {
    Sql::<()>::new("delete from claim where false").execute(conn)?;
    Ok(())
}

/// The server does that itself.
pub(super) fn shorten_log(_: &mut Conn) -> Outcome<()> {
    Ok(())
}

/// The advisory lock that lets only one of several servers migrate.
const MIGRATION_LOCK: i64 = 0x6465_766d_6173_6f6e;

/// Lets one server at a time migrate, until the end of the transaction.
pub(super) fn lock_migration(conn: &mut Conn) -> QueryResult<()> {
    // Another server's migration may take long.
    Sql::<()>::new("set local statement_timeout = 0").execute(conn)?;
    Sql::<()>::new("set local lock_timeout = 0").execute(conn)?;
    Sql::<()>::new("select pg_advisory_xact_lock(?)")
        .bind::<BigInt, _>(MIGRATION_LOCK)
        .execute(conn)
        .map(drop)
}

/// A deleted project that no other server is currently removing.
pub(super) fn deleted_project(conn: &mut Conn) -> QueryResult<Option<i64>> {
    Sql::<BigInt>::new(
        "select id from project where slug_key is null order by id limit 1 for update skip locked",
    )
    .get_result(conn)
    .optional()
}

pub(super) fn write<T>(
    conn: &mut Conn,
    change: impl FnOnce(&mut Conn) -> Outcome<T>,
) -> Outcome<T> {
    conn.transaction(change)
}

/// The numbers of a project's tests with these keys.
pub(super) fn test_numbers(
    conn: &mut Conn,
    project: ProjectId,
    keys: &[[u8; 16]],
) -> Outcome<Vec<(Vec<u8>, i64)>> {
    let keys = keys.iter().map(<[u8; 16]>::as_slice);
    let these = test::project_id.eq(project.0).and(test::key.eq_any(keys));
    Ok(test::table.filter(these).select((test::key, test::id)).load(conn)?)
}

/// Appends names that a project lacks; their numbers follow the greatest one. The project's row is
/// locked, so nobody else appends any.
pub(super) fn insert_test_names(
    conn: &mut Conn,
    project: ProjectId,
    names: &[&NameRow],
) -> Outcome<Vec<(Vec<u8>, i64)>> {
    let added = Sql::<(Binary, BigInt)>::new(
        "insert into test (project_id, id, key, suite, name)
         select p.id, p.greatest + n.nth, n.key, n.suite, n.name
         from (select ?::bigint as id,
                      coalesce((select max(id) from test where project_id = ?), 0) as greatest) as p,
              unnest(?, ?, ?) with ordinality as n (key, suite, name, nth)
         returning key, id",
    )
    .bind::<BigInt, _>(project.0)
    .bind::<BigInt, _>(project.0)
    .bind::<Array<Binary>, _>(column!(names, |name| name.key.as_slice()))
    .bind::<Array<Text>, _>(column!(names, |name| name.suite.as_str()))
    .bind::<Array<Text>, _>(column!(names, |name| name.name.as_str()))
    .load(conn)?;
    Ok(added)
}

/// Stores failures; existing ones are left unchanged.
pub(super) fn insert_test_failures(conn: &mut Conn, rows: &[FailureRow<'_>]) -> Outcome<()> {
    Sql::<()>::new(
        "insert into test_failure (project_id, key, body, packed)
         select n.project_id, n.key, n.body, n.packed
         from unnest(?, ?, ?, ?) as n (project_id, key, body, packed) order by n.project_id, n.key
         on conflict do nothing",
    )
    .bind::<Array<BigInt>, _>(column!(rows, |row| row.project.0))
    .bind::<Array<Binary>, _>(column!(rows, |row| row.failure.key.as_slice()))
    .bind::<Array<Binary>, _>(column!(rows, |row| row.failure.body.as_slice()))
    .bind::<Array<SmallInt>, _>(column!(rows, |row| i16::from(row.failure.is_packed)))
    .execute(conn)?;
    Ok(())
}

pub(super) fn insert_sightings(
    conn: &mut Conn,
    (project, build): (ProjectId, Id),
    is_credited: bool,
    signatures: &[SignatureKey],
) -> Outcome<()> {
    if signatures.is_empty() {
        return Ok(());
    }
    Sql::<()>::new(
        "insert into sighting (signature, credited, project_id, build_id) select n, ?, ?, ? from unnest(?) as n on conflict do nothing",
    )
    .bind::<Bool, _>(is_credited)
    .bind::<BigInt, _>(project.0)
    .bind::<sql::Uuid, _>(build)
    .bind::<Array<BigInt>, _>(signatures.iter().map(|key| key.0).collect::<Vec<_>>())
    .execute(conn)?;
    Ok(())
}

/// The channel on which servers tell each other which logs have grown.
const LOGS: &str = "devmason_log";

/// Tells all servers that these logs have grown, once the transaction commits. As it tells each once,
/// a batch costs one statement.
pub(super) fn tell_logs(conn: &mut Conn, places: &[StepPlace]) -> Outcome<()> {
    if places.is_empty() {
        return Ok(());
    }
    let name = |place: &StepPlace| format!("{} {} {}", place.project.0, place.build, place.step);
    let names: Vec<String> = places.iter().map(name).collect();
    // Not the rows but their number, because `pg_notify` returns nothing that could be read.
    Sql::<BigInt>::new("select count(pg_notify(?, n)) from unnest(?) as n")
        .bind::<Text, _>(LOGS)
        .bind::<Array<Text>, _>(names)
        .get_result::<i64>(conn)?;
    Ok(())
}

/// Listens on a connection of its own.
pub(super) fn listen_to_logs(store: &Store) -> Result<Option<Box<dyn LogListener>>> {
    let mut conn = super::connect(&store.url, super::Role::Pulse)?;
    let listens = Sql::<()>::new("listen devmason_log").execute(&mut conn);
    listens.map_err(|error| Fault::from(error).into_error())?;
    Ok(Some(Box::new(Listener { conn, is_new: true, pinged: Instant::now() })))
}

struct Listener {
    conn: Conn,
    /// Whether nothing is known of what happened before.
    is_new: bool,
    pinged: Instant,
}

/// How often the socket is looked at. This asks no server.
const LOOK: Duration = Duration::from_millis(50);

/// How often the connection is checked: a server that vanished sends no news.
const CHECK: Duration = Duration::from_secs(10);

fn parsed(payload: &str) -> Option<StepPlace> {
    let mut words = payload.split(' ');
    let project = ProjectId(words.next()?.parse().ok()?);
    let build = BuildId(words.next()?.parse().ok()?);
    Some(StepPlace { project, build, step: words.next()?.parse().ok()? })
}

impl LogListener for Listener {
    fn news(&mut self, wait: Duration) -> Result<Vec<Option<StepPlace>>> {
        if std::mem::take(&mut self.is_new) {
            return Ok(vec![None]);
        }
        let end = Instant::now() + wait;
        let failed = |error| Fault::from(error).into_error();
        loop {
            let news: Vec<_> = self
                .conn
                .notifications_iter()
                .map(|news| news.map(|news| parsed(&news.payload)))
                .collect::<QueryResult<_>>()
                .map_err(failed)?;
            if !news.is_empty() || Instant::now() >= end {
                return Ok(news);
            }
            if self.pinged.elapsed() >= CHECK {
                self.pinged = Instant::now();
                ping(&mut self.conn).map_err(failed)?;
            }
            std::thread::sleep(LOOK);
        }
    }
}

pub(super) fn builds_with_tags(
    conn: &mut Conn,
    project: ProjectId,
    tags: &[Tag],
    from: BuildId,
    ascending: bool,
    limit: u64,
    seeks: u64,
) -> Outcome<Met> {
    let statement = "select build_id, is_found from builds_with_tags(?, ?, ?, ?, ?, ?)";
    let rows: Vec<(Id, bool)> = Sql::<(sql::Uuid, Bool)>::new(statement)
        .bind::<BigInt, _>(project.0)
        .bind::<Array<Text>, _>(tags.iter().map(Tag::as_str).collect::<Vec<_>>())
        .bind::<sql::Uuid, _>(Id(from.0))
        .bind::<Bool, _>(ascending)
        .bind::<BigInt, _>(i64::try_from(limit).unwrap_or(i64::MAX))
        .bind::<BigInt, _>(i64::try_from(seeks).unwrap_or(i64::MAX))
        .load(conn)?;
    let mut met = Met::default();
    for (id, is_found) in rows {
        if is_found {
            met.ids.push(id);
        } else {
            met.stopped = Some(id);
        }
    }
    Ok(met)
}
