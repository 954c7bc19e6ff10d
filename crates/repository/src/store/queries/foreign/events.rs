//! What clients said of builds that can only be made of all of it.

use std::collections::{BTreeMap, HashMap};

use devmason_domain::{BuildId, ProjectId, Timestamp};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Integer, Nullable, SmallInt, Text};

use super::{Conn, Row, Sql, found};
use crate::store::columns::{At, Id, instant};
use crate::store::fault::Outcome;
use crate::store::packed::{pack_bytes, unpack_bytes};
use crate::store::schema::{foreign_build, foreign_event, sql};
use crate::{EVENT_BYTES, EVENTS, ForeignBuild, NewEvent, Told, Unmade};

/// A build's row while events are added to it.
struct Counted {
    foreign: ForeignBuild,
    events: i32,
    bytes: i64,
    is_over: bool,
}

/// Keeps events. The rows of their builds are locked in one order, so that writers cannot deadlock.
pub(super) fn append_many(conn: &mut Conn, new: &[NewEvent]) -> Outcome<Vec<Told>> {
    let mut of_builds: BTreeMap<(i64, uuid::Uuid), Timestamp> = BTreeMap::new();
    for event in new {
        let ends = of_builds.entry((event.project.0, event.build.0)).or_insert(event.ends);
        *ends = (*ends).max(event.ends);
    }
    let mut counted: HashMap<(i64, uuid::Uuid), Counted> = HashMap::new();
    for ((project, id), ends) in of_builds {
        let this = foreign_build::project_id.eq(project).and(foreign_build::build_id.eq(Id(id)));
        let row: Option<(Row, i32, i64, bool)> = diesel::update(foreign_build::table.filter(this))
            .set(foreign_build::ends.eq(Some(At(ends.micros()))))
            .returning((
                Row::as_select(),
                foreign_build::events,
                foreign_build::bytes,
                foreign_build::is_over,
            ))
            .get_result(conn)
            .optional()?;
        if let Some((row, events, bytes, is_over)) = row {
            let foreign = found(row)?;
            counted.insert((project, id), Counted { foreign, events, bytes, is_over });
        }
    }
    let mut outcomes = Vec::with_capacity(new.len());
    for event in new {
        let Some(of) = counted.get_mut(&(event.project.0, event.build.0)) else {
            outcomes.push(Told::Gone);
            continue;
        };
        let bytes = of.bytes.saturating_add(event.body.len() as i64);
        let is_too_long = event.is_bulk && bytes.unsigned_abs() > EVENT_BYTES;
        if is_too_long || of.events.unsigned_abs() >= EVENTS {
            outcomes.push(Told::Full);
            continue;
        }
        let before = if insert(conn, event, of.events)? {
            (of.events, of.bytes) = (of.events + 1, bytes);
            None
        } else {
            came_before(conn, event)?
        };
        of.is_over |= event.is_last;
        outcomes.push(Told::Kept {
            foreign: of.foreign.clone(),
            events: of.events.unsigned_abs(),
            is_over: of.is_over,
            before,
        });
    }
    for Counted { foreign, events, bytes, is_over } in counted.values() {
        diesel::update(foreign_build::table.find(foreign.number))
            .set((
                foreign_build::events.eq(events),
                foreign_build::bytes.eq(bytes),
                foreign_build::is_over.eq(is_over),
            ))
            .execute(conn)?;
    }
    Ok(outcomes)
}

/// Returns whether it was not there already.
fn insert(conn: &mut Conn, event: &NewEvent, nth: i32) -> Outcome<bool> {
    let body = pack_bytes(&event.body);
    let is_packed = matches!(body, std::borrow::Cow::Owned(_));
    let digest = event.digest.0.as_slice();
    let inserted = Sql::<()>::new(
        "insert into foreign_event (project_id, build_id, nth, digest, item, received, body, packed) \
         values (?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
    )
    .bind::<BigInt, _>(event.project.0)
    .bind::<sql::Uuid, _>(Id(event.build.0))
    .bind::<Integer, _>(nth)
    .bind::<Binary, _>(digest)
    .bind::<Nullable<Text>, _>(event.item.as_deref())
    .bind::<sql::Instant, _>(At(event.received.micros()))
    .bind::<Binary, _>(&*body)
    .bind::<SmallInt, _>(i16::from(is_packed))
    .execute(conn)?;
    Ok(inserted > 0)
}

/// When the same request came before.
fn came_before(conn: &mut Conn, event: &NewEvent) -> Outcome<Option<Timestamp>> {
    let received: Option<At> = foreign_event::table
        .filter(foreign_event::project_id.eq(event.project.0))
        .filter(foreign_event::build_id.eq(Id(event.build.0)))
        .filter(foreign_event::digest.eq(event.digest.0.as_slice()))
        .select(foreign_event::received)
        .first(conn)
        .optional()?;
    received.map(|at| instant(at, 0)).transpose()
}

pub(super) fn list(
    conn: &mut Conn,
    project: ProjectId,
    id: BuildId,
) -> Outcome<(Vec<Vec<u8>>, bool)> {
    let rows: Vec<(i32, Vec<u8>, i16)> = foreign_event::table
        .filter(foreign_event::project_id.eq(project.0))
        .filter(foreign_event::build_id.eq(Id(id.0)))
        .order(foreign_event::nth)
        .select((foreign_event::nth, foreign_event::body, foreign_event::packed))
        .load(conn)?;
    let this = foreign_build::project_id.eq(project.0).and(foreign_build::build_id.eq(Id(id.0)));
    let events: Option<i32> =
        foreign_build::table.filter(this).select(foreign_build::events).first(conn).optional()?;
    // Without a snapshot, more may have come since the list was read, but they are its last.
    let is_first = |nth: i32| rows.first().is_some_and(|(first, ..)| *first == nth);
    let lacks_some = events.is_some_and(|events| events > 0) && !is_first(0);
    let bodies = rows.into_iter().map(|(_, body, packed)| unpack_bytes(body, packed != 0));
    Ok((bodies.collect::<Outcome<_>>()?, lacks_some))
}

pub(super) fn bytes(conn: &mut Conn, project: ProjectId, id: BuildId) -> Outcome<u64> {
    let bytes: Option<i64> = foreign_build::table
        .filter(foreign_build::project_id.eq(project.0).and(foreign_build::build_id.eq(Id(id.0))))
        .select(foreign_build::bytes)
        .first(conn)
        .optional()?;
    Ok(bytes.unwrap_or(0).unsigned_abs())
}

pub(super) fn find(
    conn: &mut Conn,
    project: ProjectId,
    item: &str,
) -> Outcome<Option<(ForeignBuild, u32)>> {
    let place: Option<(Id, i32)> = foreign_event::table
        .filter(foreign_event::project_id.eq(project.0).and(foreign_event::item.eq(item)))
        .select((foreign_event::build_id, foreign_event::nth))
        .first(conn)
        .optional()?;
    let Some((id, nth)) = place else { return Ok(None) };
    let row: Option<Row> = foreign_build::table
        .filter(foreign_build::project_id.eq(project.0).and(foreign_build::build_id.eq(id)))
        .select(Row::as_select())
        .first(conn)
        .optional()?;
    row.map(|row| Ok((found(row)?, nth.unsigned_abs()))).transpose()
}

pub(super) fn item(conn: &mut Conn, of: &ForeignBuild, nth: u32) -> Outcome<Option<String>> {
    let Ok(nth) = i32::try_from(nth) else { return Ok(None) };
    let item: Option<Option<String>> = foreign_event::table
        .find((of.project.0, Id(of.build.0), nth))
        .select(foreign_event::item)
        .first(conn)
        .optional()?;
    Ok(item.flatten())
}

pub(super) fn unmade(conn: &mut Conn, limit: u32) -> Outcome<Vec<Unmade>> {
    let rows: Vec<(Row, i32, i32, bool)> = foreign_build::table
        .filter(foreign_build::events.gt(foreign_build::made_of))
        .order(foreign_build::number)
        .limit(limit.into())
        .select((
            Row::as_select(),
            foreign_build::events,
            foreign_build::made_of,
            foreign_build::is_over,
        ))
        .load(conn)?;
    let one = |(row, events, made_of, is_over): (Row, i32, i32, bool)| {
        let (events, made_of) = (events.unsigned_abs(), made_of.unsigned_abs());
        Ok(Unmade { foreign: found(row)?, events, made_of, is_over })
    };
    rows.into_iter().map(one).collect()
}

pub(super) fn made(conn: &mut Conn, number: i64, of: u32, ends: Option<Timestamp>) -> Outcome<()> {
    let of = i32::try_from(of).unwrap_or(i32::MAX);
    // Another server may have made it of more of them already, and more may have come since.
    let fewer = foreign_build::table.find(number).filter(foreign_build::made_of.lt(of));
    diesel::update(fewer).set(foreign_build::made_of.eq(of)).execute(conn)?;
    let all = foreign_build::table.find(number).filter(foreign_build::events.le(of));
    diesel::update(all)
        .set(foreign_build::ends.eq(ends.map(|at| At(at.micros()))))
        .execute(conn)?;
    Ok(())
}

pub(super) fn remove(conn: &mut Conn, project: ProjectId, id: BuildId) -> Outcome<()> {
    let of_it = foreign_event::project_id.eq(project.0).and(foreign_event::build_id.eq(Id(id.0)));
    diesel::delete(foreign_event::table.filter(of_it)).execute(conn)?;
    Ok(())
}

/// Removes some events that were received before this time; true if there were any.
pub(in super::super) fn forget_before(conn: &mut Conn, oldest: At, piece: i64) -> Outcome<bool> {
    let statement = format!(
        "delete from foreign_event where (project_id, build_id, nth) in \
         (select e.project_id, e.build_id, e.nth from foreign_event e \
          join foreign_build b on b.project_id = e.project_id and b.build_id = e.build_id \
          where e.received < ? and b.ends is null and b.made_of >= b.events \
          order by e.received limit {piece})"
    );
    let removed = Sql::<()>::new(statement).bind::<sql::Instant, _>(oldest).execute(conn)?;
    Ok(removed > 0)
}
