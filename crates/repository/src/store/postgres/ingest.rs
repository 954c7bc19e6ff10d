//! Builds and steps, stored in batches: one statement with array binds, so one round trip.

use std::collections::HashSet;

use devmason_domain::{BuildId, Outcome as Ended, ProjectId, limits};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, SmallInt, Text};

use super::Conn;
use super::queries::{
    Insert, Sql, bad_cases, host_key, joined_components, joined_tags, log_number, output_bytes,
};
use crate::NewStep;
use crate::store::columns::{At, Id, plain};
use crate::store::fault::Outcome;
use crate::store::packed::Packed;
use crate::store::schema::sql;

/// A column of several rows, as an array.
macro_rules! column {
    ($rows:ident, |$row:ident| $value:expr) => {
        $rows.iter().map(|$row| $value).collect::<Vec<_>>()
    };
}
pub(super) use column;

/// Stores a whole batch with one statement and one round trip: builds, steps, tags and counts.
///
/// Projects and components are locked against deletion, not against other writers. If one of them
/// is gone or the key is taken, the build is skipped with everything that belongs to it, and its id
/// is not returned.
const INSERT_BUILDS: &str = "
with incoming as (
    select * from unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        as n (project_id, id, key, sender_id, started, started_offset, finished, finished_offset, success,
              received, tags, steps, failed_steps, output_bytes, digest, client, components, host, receipt, ord,
              track, revision, variant, branch)
), named as (
    select * from unnest(?, ?) as n (build_id, component_id)
), tested as (
    select c.id from component c where c.id = any (select component_id from named) order by c.id for key share
), alive as (
    select p.id from project p
    where p.id = any (select project_id from incoming) and p.slug_key is not null
    order by p.id for key share
), b as (
    insert into build (project_id, id, key, sender_id, started, started_offset, finished, finished_offset,
                       success, received, updated_at, tags, steps, failed_steps, output_bytes, digest, client, components, host,
                       receipt, track, revision)
    select n.project_id, n.id, n.key, n.sender_id, n.started, n.started_offset, n.finished, n.finished_offset,
           n.success, n.received, n.received, n.tags, n.steps, n.failed_steps, n.output_bytes, n.digest, n.client, n.components, n.host,
           n.receipt, n.track, n.revision
    from incoming n join alive on alive.id = n.project_id
    where not exists (select 1 from named m where m.build_id = n.id and m.component_id not in (select id from tested))
    order by n.ord
    on conflict do nothing
    returning project_id, id, sender_id
), tr as (
    insert into track (project_id, key, variant, branch, credited)
    select distinct b.project_id, n.track, n.variant, n.branch, b.sender_id is not null
    from b join incoming n on n.project_id = b.project_id and n.id = b.id
    order by b.project_id, n.track
    on conflict do nothing
), s as (
    insert into step (project_id, build_id, position, name, success, started, started_offset, finished,
                      finished_offset, output, errout, extras, packed, bad_cases)
    select b.project_id, b.id, n.position, n.name, n.success, n.started, n.started_offset, n.finished,
           n.finished_offset, n.output, n.errout, n.extras, n.packed, n.bad_cases
    from unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        as n (build_id, position, name, success, started, started_offset, finished, finished_offset, output,
              errout, extras, packed, bad_cases)
    join b on b.id = n.build_id
), labels as (
    select b.project_id, n.tag, b.id from unnest(?, ?) as n (build_id, tag) join b on b.id = n.build_id
), t as (
    insert into build_tag (project_id, tag, build_id) select project_id, tag, id from labels
), bc as (
    insert into build_component (component_id, build_id, project_id)
    select n.component_id, b.id, b.project_id from named n join b on b.id = n.build_id
), c as (
    insert into build_count (project_id, tag, shard, builds, changes)
    select project_id, tag, (pg_backend_pid() % 16)::smallint, count(*), (extract(epoch from clock_timestamp()) * 1000000)::bigint
    from (select project_id, '' as tag from b union all select project_id, tag from labels) as added
    group by project_id, tag order by project_id, tag
    on conflict (project_id, tag, shard) do update
    set builds = build_count.builds + excluded.builds, changes = greatest(build_count.changes + 1, excluded.changes),
        updated_at = excluded.updated_at
), u as (
    insert into sender_count (sender_id, project_id, shard, builds, changes)
    select sender_id, project_id, (pg_backend_pid() % 16)::smallint, count(*), (extract(epoch from clock_timestamp()) * 1000000)::bigint
    from b where sender_id is not null group by sender_id, project_id order by sender_id, project_id
    on conflict (sender_id, project_id, shard) do update
    set builds = sender_count.builds + excluded.builds, changes = greatest(sender_count.changes + 1, excluded.changes)
)
select id from b";

pub(super) fn insert_builds(conn: &mut Conn, inserts: &[Insert<'_>]) -> Outcome<HashSet<BuildId>> {
    type Uuids = Array<sql::Uuid>;
    type Instants = Array<sql::Instant>;
    macro_rules! step_column {
        (|$id:ident, $position:ident, $step:ident| $value:expr) => {
            inserts
                .iter()
                .flat_map(|insert| {
                    insert
                        .new
                        .report
                        .steps
                        .iter()
                        .enumerate()
                        .map(move |(at, step)| (insert.new.id, at, step))
                })
                .map(|($id, $position, $step)| $value)
                .collect::<Vec<_>>()
        };
    }
    let finished = |insert: &Insert<'_>| match insert.new.report.outcome {
        Ended::Running => None,
        Ended::Finished { success, finished } => Some((success, finished)),
    };
    let (tag_ids, tags): (Vec<Id>, Vec<&str>) = inserts
        .iter()
        .flat_map(|i| i.new.report.tags.iter().map(move |tag| (Id(i.new.id.0), tag.as_str())))
        .unzip();
    let (component_builds, components): (Vec<Id>, Vec<Id>) = inserts
        .iter()
        .flat_map(|i| {
            i.new.components.iter().map(move |component| (Id(i.new.id.0), Id(*component)))
        })
        .unzip();
    let packed: Vec<Packed<'_>> = step_column!(|_id, _at, step| Packed::new(step));
    let ids: Vec<Id> = Sql::<sql::Uuid>::new(INSERT_BUILDS)
        .bind::<Array<BigInt>, _>(column!(inserts, |i| i.new.project.0))
        .bind::<Uuids, _>(column!(inserts, |i| Id(i.new.id.0)))
        .bind::<Array<Nullable<Text>>, _>(column!(inserts, |i| i
            .new
            .key
            .as_ref()
            .map(|key| key.as_str())))
        .bind::<Array<Nullable<BigInt>>, _>(column!(inserts, |i| i.sender))
        .bind::<Instants, _>(column!(inserts, |i| At(i.new.report.started.micros())))
        .bind::<Array<SmallInt>, _>(column!(inserts, |i| i.new.report.started.offset_minutes()))
        .bind::<Array<Nullable<sql::Instant>>, _>(
            column!(inserts, |i| finished(i).map(|(_, at)| At(at.micros())))
        )
        .bind::<Array<Nullable<SmallInt>>, _>(
            column!(inserts, |i| finished(i).map(|(_, at)| at.offset_minutes()))
        )
        .bind::<Array<Nullable<Bool>>, _>(
            column!(inserts, |i| finished(i).map(|(success, _)| success))
        )
        .bind::<Instants, _>(column!(inserts, |i| At(i.new.report.received.micros())))
        .bind::<Array<Text>, _>(column!(inserts, |i| joined_tags(i.new)))
        .bind::<Array<Integer>, _>(column!(inserts, |i| i.new.report.steps.len() as i32))
        .bind::<Array<Integer>, _>(column!(inserts, |i| i
            .new
            .report
            .steps
            .iter()
            .filter(|s| !s.success)
            .count() as i32))
        .bind::<Array<BigInt>, _>(column!(inserts, |i| output_bytes(&i.new.report.steps)))
        .bind::<Array<Nullable<Binary>>, _>(column!(inserts, |i| i
            .new
            .report
            .digest
            .as_ref()
            .map(|digest| digest.0.as_slice())))
        .bind::<Array<Text>, _>(column!(inserts, |i| i.new.report.client.0.as_str()))
        .bind::<Array<Text>, _>(column!(inserts, |i| joined_components(i.new)))
        .bind::<Array<Nullable<Text>>, _>(column!(inserts, |i| host_key(i.new)))
        .bind::<Array<Nullable<Text>>, _>(column!(inserts, |i| i
            .new
            .test_report
            .document
            .as_deref()))
        .bind::<Array<BigInt>, _>((0..inserts.len() as i64).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(column!(inserts, |i| i.track.key().0))
        .bind::<Array<Nullable<Text>>, _>(column!(inserts, |i| i.revision.as_deref()))
        .bind::<Array<Text>, _>(column!(inserts, |i| plain(&i.track.variant)))
        .bind::<Array<Text>, _>(column!(inserts, |i| i.track.branch.as_str()))
        .bind::<Uuids, _>(component_builds)
        .bind::<Uuids, _>(components)
        .bind::<Uuids, _>(step_column!(|id, _at, _step| Id(id.0)))
        .bind::<Array<Integer>, _>(step_column!(|_id, at, _step| at as i32))
        .bind::<Array<Text>, _>(step_column!(|_id, _at, step| step.name.as_str()))
        .bind::<Array<Bool>, _>(step_column!(|_id, _at, step| step.success))
        .bind::<Instants, _>(step_column!(|_id, _at, step| At(step.started.micros())))
        .bind::<Array<SmallInt>, _>(step_column!(|_id, _at, step| step.started.offset_minutes()))
        .bind::<Instants, _>(step_column!(|_id, _at, step| At(step.finished.micros())))
        .bind::<Array<SmallInt>, _>(step_column!(|_id, _at, step| step.finished.offset_minutes()))
        .bind::<Array<Binary>, _>(packed.iter().map(|step| &*step.output).collect::<Vec<_>>())
        .bind::<Array<Binary>, _>(packed.iter().map(|step| &*step.errout).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(step_column!(|_id, _at, step| step.extras.as_str()))
        .bind::<Array<SmallInt>, _>(packed.iter().map(|step| step.flags).collect::<Vec<_>>())
        .bind::<Array<Nullable<Integer>>, _>(step_column!(|_id, _at, step| bad_cases(step)))
        .bind::<Uuids, _>(tag_ids)
        .bind::<Array<Text>, _>(tags)
        .load(conn)?;
    Ok(ids.into_iter().map(|id| BuildId(id.0)).collect())
}

/// Appends steps to their builds. The build's row holds the next position, so concurrent writers
/// wait for its lock and each step gets its own position.
const APPEND_STEPS: &str = "
with incoming as (
    select n.*, row_number() over (partition by project_id, build_id order by ord) as nth
    from unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        as n (project_id, build_id, ord, name, success, started, started_offset, finished, finished_offset,
              output, errout, extras, packed, receipt, bytes, bad_cases, log)
), added as (
    select project_id, build_id, count(*)::int as steps, (count(*) filter (where not success))::int as failed,
           sum(bytes)::bigint as bytes
    from incoming group by project_id, build_id
), held as (
    -- In one order, so that two writers with steps of the same builds don't wait for each other.
    select b.project_id, b.id from build b
    join added on b.project_id = added.project_id and b.id = added.build_id
    order by b.project_id, b.id for update of b
), b as (
    update build
    set steps = build.steps + added.steps, failed_steps = build.failed_steps + added.failed,
        output_bytes = build.output_bytes + added.bytes,
        version = greatest(build.version + 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint), updated_at = clock_timestamp()
    from added join held on held.project_id = added.project_id and held.id = added.build_id
    where build.project_id = added.project_id and build.id = added.build_id and build.finished is null
      and build.steps + added.steps <= ? and build.output_bytes + added.bytes <= ?
    returning build.project_id, build.id, build.sender_id, build.steps - added.steps as base
), s as (
    insert into step (project_id, build_id, position, name, success, started, started_offset, finished,
                      finished_offset, output, errout, extras, packed, receipt, bad_cases, log)
    select n.project_id, n.build_id, b.base + n.nth - 1, n.name, n.success, n.started, n.started_offset,
           n.finished, n.finished_offset, n.output, n.errout, n.extras, n.packed, n.receipt, n.bad_cases,
           n.log
    from incoming n join b on b.project_id = n.project_id and b.id = n.build_id
), c as (
    insert into build_count (project_id, tag, shard, builds, changes)
    select project_id, '', (pg_backend_pid() % 16)::smallint, 0, (extract(epoch from clock_timestamp()) * 1000000)::bigint from b group by project_id order by project_id
    on conflict (project_id, tag, shard) do update set changes = greatest(build_count.changes + 1, excluded.changes)
), u as (
    insert into sender_count (sender_id, project_id, shard, builds, changes)
    select sender_id, project_id, (pg_backend_pid() % 16)::smallint, 0, (extract(epoch from clock_timestamp()) * 1000000)::bigint
    from b where sender_id is not null group by sender_id, project_id order by sender_id, project_id
    on conflict (sender_id, project_id, shard) do update
    set changes = greatest(sender_count.changes + 1, excluded.changes)
)
select project_id, id from b";

pub(super) fn append_steps(
    conn: &mut Conn,
    new: &[&NewStep],
) -> Outcome<HashSet<(ProjectId, BuildId)>> {
    let packed: Vec<Packed<'_>> = column!(new, |n| Packed::new(&n.step));
    let appended: Vec<(i64, Id)> = Sql::<(BigInt, sql::Uuid)>::new(APPEND_STEPS)
        .bind::<Array<BigInt>, _>(column!(new, |n| n.project.0))
        .bind::<Array<sql::Uuid>, _>(column!(new, |n| Id(n.build.0)))
        .bind::<Array<BigInt>, _>((0..new.len() as i64).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(column!(new, |n| n.step.name.as_str()))
        .bind::<Array<Bool>, _>(column!(new, |n| n.step.success))
        .bind::<Array<sql::Instant>, _>(column!(new, |n| At(n.step.started.micros())))
        .bind::<Array<SmallInt>, _>(column!(new, |n| n.step.started.offset_minutes()))
        .bind::<Array<sql::Instant>, _>(column!(new, |n| At(n.step.finished.micros())))
        .bind::<Array<SmallInt>, _>(column!(new, |n| n.step.finished.offset_minutes()))
        .bind::<Array<Binary>, _>(packed.iter().map(|step| &*step.output).collect::<Vec<_>>())
        .bind::<Array<Binary>, _>(packed.iter().map(|step| &*step.errout).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(column!(new, |n| n.step.extras.as_str()))
        .bind::<Array<SmallInt>, _>(packed.iter().map(|step| step.flags).collect::<Vec<_>>())
        .bind::<Array<Nullable<Text>>, _>(column!(new, |n| n.test_report.document.as_deref()))
        .bind::<Array<BigInt>, _>(column!(new, |n| output_bytes(std::slice::from_ref(&n.step))))
        .bind::<Array<Nullable<Integer>>, _>(column!(new, |n| bad_cases(&n.step)))
        .bind::<Array<SmallInt>, _>(column!(new, |n| log_number(n.step.log)))
        .bind::<Integer, _>(limits::BUILD_STEPS as i32)
        .bind::<BigInt, _>(limits::OUTPUTS as i64)
        .load(conn)?;
    Ok(appended.into_iter().map(|(project, id)| (ProjectId(project), BuildId(id.0))).collect())
}
