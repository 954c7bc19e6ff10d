//! SQLite specifics: one writer, row by row, as there are no round trips to save.

use std::collections::{BTreeMap, HashMap, HashSet};

use devmason_domain::{BuildId, Outcome as Ended, ProjectId, SignatureKey, Tag, Timestamp, limits};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, SmallInt, Text};

use super::Conn;
use super::queries::{
    FailureRow, Insert, Met, NameRow, Sql, Store, are_there, bump, host_key, insert_step,
    joined_components, joined_tags, output_bytes, remember,
};
use crate::store::clock::is_over;
use crate::store::columns::{At, Id};
use crate::store::fault::{Fault, Outcome};
use crate::store::schema::{build_component, build_tag, project, sql};
use crate::{LogListener, NewStep, Result, StepPlace};

/// SQLite has one writer at a time.
pub(super) const WRITERS: usize = 1;

/// Builds and steps are stored row by row.
pub(super) const ONE_STATEMENT: bool = false;

/// One writer needs only one counter shard.
pub(super) const SHARD: &str = "0";

/// The name of the database system.
pub(super) const SYSTEM: &str = "SQLite";

/// The size of the database, in bytes.
pub(super) const SIZE: &str =
    "select page_count * page_size from pragma_page_count(), pragma_page_size()";

/// Here text is always compared and sorted by its bytes.
pub(super) const BY_BYTES: &str = "";

/// Condition: the build tested a component with that id or name.
pub(super) const HAS_COMPONENT: &str = "exists (select 1 from build_component bc join component c on c.id = bc.component_id \
    where bc.project_id = build.project_id and bc.build_id = build.id and ? in (c.name, uuid_text(c.id)))";

/// A step's id: the build's id and the step's position.
pub(super) const STEP_ID: &str = "(uuid_text(step.build_id) || ':' || step.position)";

/// A build's id in URIs.
pub(super) const BUILD_KEY: &str = "coalesce(build.key, uuid_text(build.id))";

/// The key of a track, and of a build's track, as clients see it.
pub(super) const TRACK_KEY: &str = "format('%016x', track.key)";
pub(super) const TRACK_ORDER: &str = "project.slug_key, format('%016x', track.key)";
pub(super) const TRACK_OF_BUILD: &str =
    "case when build.track is not null then format('%016x', build.track) end";

/// The current time in the store's format.
pub(super) const NOW: &str = "cast(unixepoch('subsec') * 1000000 as integer)";

/// A version or change count that no row has had before: see `queries::next`.
pub(super) fn next(column: &str) -> String {
    format!("max({column} + 1, {NOW})")
}

/// The clause that locks the selected rows: empty, as there is one writer.
pub(super) const FOR_UPDATE: &str = "";

/// The same, unless only their keys are referenced.
pub(super) const FOR_NO_KEY_UPDATE: &str = "";

/// The same for the rows of `build` that nobody has locked; the others are left out.
pub(super) const UNLESS_LOCKED: &str = "";

/// Whether there still is a table with a row for each test case.
pub(super) const HAS_ROWS: &str =
    "select exists (select 1 from sqlite_master where type = 'table' and name = 'test_result')";

/// Lets one server at a time migrate: nothing to do, as the transaction excludes others.
pub(super) fn lock_migration(_: &mut Conn) -> QueryResult<()> {
    Ok(())
}

/// The change count and the server's identity: a file has only one.
pub(super) const CHANGES: &str =
    "select cast(sum(changes) as bigint), cast(0 as bigint) from collection";

/// The prefix of a condition that may scan: checks the time limit for each row. It names a column,
/// because SQLite evaluates a term that depends on no row only once, outside the loop.
pub(super) fn in_time(scanned: &'static str) -> Sql<'static, Bool> {
    Sql::new("within_time(").text(scanned).text(") and ")
}

/// The SQL around a text and after it, for matching a pattern: case-sensitive first, then ignoring
/// ASCII case.
pub(super) const LIKE: [&str; 2] = ["text_like(", ", ?)"];
pub(super) const ILIKE: [&str; 2] = ["text_ilike(", ", ?)"];

/// Identifies the database server: a file has only one.
pub(super) fn server(_: &mut Conn) -> QueryResult<i64> {
    Ok(1)
}

pub(super) fn ping(conn: &mut Conn) -> QueryResult<()> {
    Sql::<()>::new("select 1 from collection").execute(conn).map(drop)
}

/// Whether the database accepts writes; nothing is written.
pub(super) fn may_write(conn: &mut Conn) -> Outcome<()> {
    match Sql::<()>::new("delete from claim where false").execute(conn) {
        // Another connection is writing.
        Err(error) if error.to_string().contains("is locked") => Ok(()),
        result => Ok(result.map(drop)?),
    }
}

/// Checkpoints the write-ahead log and truncates it, unless a reader holds it for longer than half
/// a second; writers wait as long.
pub(super) fn shorten_log(conn: &mut Conn) -> Outcome<()> {
    match conn.batch_execute("pragma wal_checkpoint(passive); pragma wal_checkpoint(truncate)") {
        Err(error) if error.to_string().contains("is locked") => Ok(()),
        result => Ok(result?),
    }
}

/// A deleted project.
pub(super) fn deleted_project(conn: &mut Conn) -> QueryResult<Option<i64>> {
    Sql::<BigInt>::new("select id from project where slug_key is null order by id limit 1")
        .get_result(conn)
        .optional()
}

pub(super) fn write<T>(
    conn: &mut Conn,
    change: impl FnOnce(&mut Conn) -> Outcome<T>,
) -> Outcome<T> {
    conn.immediate_transaction(change)
}

const INSERT_BUILD: &str = "
insert into build (project_id, id, key, sender_id, started, started_offset, finished, finished_offset, success,
                   received, updated_at, tags, steps, failed_steps, output_bytes, digest, client, components, host,
                   receipt, track, revision)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict do nothing";

pub(super) fn insert_builds(conn: &mut Conn, inserts: &[Insert<'_>]) -> Outcome<HashSet<BuildId>> {
    let projects: HashSet<i64> = inserts.iter().map(|insert| insert.new.project.0).collect();
    let alive: HashSet<i64> = project::table
        .filter(project::id.eq_any(projects).and(project::slug_key.is_not_null()))
        .select(project::id)
        .load::<i64>(conn)?
        .into_iter()
        .collect();
    let mut inserted = HashSet::new();
    for insert in inserts.iter().filter(|insert| alive.contains(&insert.new.project.0)) {
        if insert_build(conn, insert)? {
            inserted.insert(insert.new.id);
        }
    }
    Ok(inserted)
}

fn insert_build(conn: &mut Conn, insert: &Insert<'_>) -> Outcome<bool> {
    let (new, report) = (insert.new, &insert.new.report);
    if !are_there(conn, &new.components)? {
        return Ok(false);
    }
    let ended = match report.outcome {
        Ended::Running => None,
        Ended::Finished { success, finished } => Some((success, finished)),
    };
    let stored = Sql::<()>::new(INSERT_BUILD)
        .bind::<BigInt, _>(new.project.0)
        .bind::<sql::Uuid, _>(Id(new.id.0))
        .bind::<Nullable<Text>, _>(new.key.as_ref().map(|key| key.as_str()))
        .bind::<Nullable<BigInt>, _>(insert.sender)
        .bind::<sql::Instant, _>(At(report.started.micros()))
        .bind::<SmallInt, _>(report.started.offset_minutes())
        .bind::<Nullable<sql::Instant>, _>(ended.map(|(_, at)| At(at.micros())))
        .bind::<Nullable<SmallInt>, _>(ended.map(|(_, at)| at.offset_minutes()))
        .bind::<Nullable<Bool>, _>(ended.map(|(success, _)| success))
        .bind::<sql::Instant, _>(At(report.received.micros()))
        .bind::<sql::Instant, _>(At(report.received.micros()))
        .bind::<Text, _>(joined_tags(new))
        .bind::<Integer, _>(report.steps.len() as i32)
        .bind::<Integer, _>(report.steps.iter().filter(|step| !step.success).count() as i32)
        .bind::<BigInt, _>(output_bytes(&report.steps))
        .bind::<Nullable<Binary>, _>(report.digest.as_ref().map(|digest| digest.0.as_slice()))
        .bind::<Text, _>(report.client.0.as_str())
        .bind::<Text, _>(joined_components(new))
        .bind::<Nullable<Text>, _>(host_key(new))
        .bind::<Nullable<Text>, _>(new.test_report.document.as_deref())
        .bind::<BigInt, _>(insert.track.key().0)
        .bind::<Nullable<Text>, _>(insert.revision.as_deref())
        .execute(conn)?;
    if stored == 0 {
        return Ok(false);
    }
    remember(conn, new.project.0, &insert.track)?;
    for (position, step) in report.steps.iter().enumerate() {
        insert_step(conn, new.project, new.id, position as i32, step, None)?;
    }
    for tag in report.tags.iter() {
        diesel::insert_into(build_tag::table)
            .values((
                build_tag::project_id.eq(new.project.0),
                build_tag::tag.eq(tag.as_str()),
                build_tag::build_id.eq(Id(new.id.0)),
            ))
            .execute(conn)?;
    }
    for component in &new.components {
        diesel::insert_into(build_component::table)
            .values((
                build_component::component_id.eq(Id(*component)),
                build_component::build_id.eq(Id(new.id.0)),
                build_component::project_id.eq(new.project.0),
            ))
            .execute(conn)?;
    }
    bump(conn, new.project.0, report.tags.iter().map(Tag::as_str), insert.sender, 1)?;
    Ok(true)
}

/// The numbers of a project's tests with these keys.
///
/// `key in (...)` would go through all names of the project: SQLite takes them for few. The order of a
/// cross join is kept.
pub(super) fn test_numbers(
    conn: &mut Conn,
    project: ProjectId,
    keys: &[[u8; 16]],
) -> Outcome<Vec<(Vec<u8>, i64)>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!(
        "with wanted (key) as (values (?){}) select t.key, t.id from wanted \
         cross join test t on t.project_id = ? and t.key = wanted.key",
        ", (?)".repeat(keys.len() - 1)
    );
    let query = Sql::<(Binary, BigInt)>::new(text).once();
    let query = keys.iter().fold(query, |query, key| query.bind::<Binary, _>(key.as_slice()));
    Ok(query.bind::<BigInt, _>(project.0).load(conn)?)
}

/// Appends names that a project lacks; their numbers follow the greatest one.
pub(super) fn insert_test_names(
    conn: &mut Conn,
    project: ProjectId,
    names: &[&NameRow],
) -> Outcome<Vec<(Vec<u8>, i64)>> {
    let greatest: i64 =
        Sql::<BigInt>::new("select coalesce(max(id), 0) from test where project_id = ?")
            .bind::<BigInt, _>(project.0)
            .get_result(conn)?;
    let mut added = Vec::with_capacity(names.len());
    for (id, name) in (greatest + 1..).zip(names) {
        Sql::<()>::new(
            "insert into test (project_id, id, key, suite, name) values (?, ?, ?, ?, ?)",
        )
        .bind::<BigInt, _>(project.0)
        .bind::<BigInt, _>(id)
        .bind::<Binary, _>(name.key.as_slice())
        .bind::<Text, _>(name.suite.as_str())
        .bind::<Text, _>(name.name.as_str())
        .execute(conn)?;
        added.push((name.key.to_vec(), id));
    }
    Ok(added)
}

pub(super) fn insert_test_failures(conn: &mut Conn, rows: &[FailureRow<'_>]) -> Outcome<()> {
    for FailureRow { project, failure } in rows {
        Sql::<()>::new(
            "insert into test_failure (project_id, key, body, packed) values (?, ?, ?, ?) on conflict do nothing",
        )
        .bind::<BigInt, _>(project.0)
        .bind::<Binary, _>(failure.key.as_slice())
        .bind::<Binary, _>(failure.body.as_slice())
        .bind::<SmallInt, _>(i16::from(failure.is_packed))
        .execute(conn)?;
    }
    Ok(())
}

pub(super) fn insert_sightings(
    conn: &mut Conn,
    (project, build): (ProjectId, Id),
    is_credited: bool,
    signatures: &[SignatureKey],
) -> Outcome<()> {
    for signature in signatures {
        Sql::<()>::new(
            "insert into sighting (signature, credited, project_id, build_id) values (?, ?, ?, ?) on conflict do nothing",
        )
        .bind::<BigInt, _>(signature.0)
        .bind::<Bool, _>(is_credited)
        .bind::<BigInt, _>(project.0)
        .bind::<sql::Uuid, _>(build)
        .execute(conn)?;
    }
    Ok(())
}

const ADD_STEP: &str = "
update build set steps = steps + 1, failed_steps = failed_steps + ?, output_bytes = output_bytes + ?,
    version = max(version + 1, cast(unixepoch('subsec') * 1000000 as integer)), updated_at = ?
where project_id = ? and id = ? and finished is null
    and steps <= ? and output_bytes <= ?
returning steps - 1, sender_id";

pub(super) fn append_steps(
    conn: &mut Conn,
    new: &[&NewStep],
) -> Outcome<HashSet<(ProjectId, BuildId)>> {
    let now = At(Timestamp::now().micros());
    let mut appended = BTreeMap::new();
    // If a build is full, none of its steps in the batch are added: the result is per build.
    let mut room: HashMap<(ProjectId, BuildId), (i32, i64)> = HashMap::new();
    for step in new {
        let (steps, bytes) = room
            .entry((step.project, step.build))
            .or_insert((limits::BUILD_STEPS as i32, limits::OUTPUTS as i64));
        *steps -= 1;
        *bytes -= output_bytes(std::slice::from_ref(&step.step));
    }
    for step in new {
        let left = room.get(&(step.project, step.build)).copied().unwrap_or_default();
        let bytes = output_bytes(std::slice::from_ref(&step.step));
        let place: Option<(i32, Option<i64>)> = Sql::<(Integer, Nullable<BigInt>)>::new(ADD_STEP)
            .bind::<Integer, _>(i32::from(!step.step.success))
            .bind::<BigInt, _>(bytes)
            .bind::<sql::Instant, _>(now)
            .bind::<BigInt, _>(step.project.0)
            .bind::<sql::Uuid, _>(Id(step.build.0))
            .bind::<Integer, _>(left.0)
            .bind::<BigInt, _>(left.1)
            .get_result(conn)
            .optional()?;
        if let Some((position, sender)) = place {
            let receipt = step.test_report.document.as_deref();
            insert_step(conn, step.project, step.build, position, &step.step, receipt)?;
            appended.insert((step.project, step.build), sender);
            room.insert((step.project, step.build), (left.0 + 1, left.1 + bytes));
        }
    }
    for ((project, _), sender) in &appended {
        bump(conn, project.0, std::iter::empty(), *sender, 0)?;
    }
    Ok(appended.into_keys().collect())
}

/// Only this process appends, or another whose news can only be found by looking.
pub(super) fn tell_logs(_: &mut Conn, _: &[StepPlace]) -> Outcome<()> {
    Ok(())
}

pub(super) fn listen_to_logs(_: &Store) -> Result<Option<Box<dyn LogListener>>> {
    Ok(None)
}

/// Leapfrog: each tag in turn seeks the first build at or beyond the candidate; when all tags
/// agree, the build matches. The cost is a few seeks for each build found or ruled out, wherever it
/// is. The search stops after `seeks` seeks.
pub(super) fn builds_with_tags(
    conn: &mut Conn,
    project: ProjectId,
    tags: &[Tag],
    from: BuildId,
    ascending: bool,
    limit: u64,
    seeks: u64,
) -> Outcome<Met> {
    let mut seek = |tag: &Tag, from: Id| -> Outcome<Option<Id>> {
        let here = build_tag::table
            .filter(build_tag::project_id.eq(project.0).and(build_tag::tag.eq(tag.as_str())))
            .select(build_tag::build_id)
            .limit(1);
        Ok(if ascending {
            here.filter(build_tag::build_id.ge(from))
                .order(build_tag::build_id.asc())
                .first(conn)
                .optional()?
        } else {
            here.filter(build_tag::build_id.le(from))
                .order(build_tag::build_id.desc())
                .first(conn)
                .optional()?
        })
    };
    let beyond = |id: Id| {
        let number = id.0.as_u128();
        let next = if ascending { number.checked_add(1) } else { number.checked_sub(1) };
        next.map(|number| Id(uuid::Uuid::from_u128(number)))
    };
    let mut met = Met::default();
    let (mut candidate, mut agreed) = (Id(from.0), 0);
    for (sought, tag) in (0..).zip(tags.iter().cycle()) {
        if met.ids.len() as u64 >= limit {
            break;
        }
        if is_over() {
            let over = diesel::result::Error::QueryBuilderError("statement timeout".into());
            return Err(Fault::Database(over));
        }
        if sought >= seeks {
            met.stopped = Some(candidate);
            break;
        }
        let Some(id) = seek(tag, candidate)? else { break };
        agreed = if id == candidate { agreed + 1 } else { 1 };
        candidate = id;
        if agreed == tags.len() {
            met.ids.push(candidate);
            agreed = 0;
            let Some(next) = beyond(candidate) else { break };
            candidate = next;
        }
    }
    Ok(met)
}
