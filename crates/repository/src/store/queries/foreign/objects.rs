//! What clients of other systems register there and the model has no place for.

use devmason_domain::fresh_uuid;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::{Conn, Sql};
use crate::store::columns::{At, Id, instant, plain};
use crate::store::fault::{Fault, Outcome};
use crate::store::schema::{foreign_object, sql};
use crate::{ForeignKind, ForeignObject, Named, NewForeignObject};

#[derive(Queryable, Selectable)]
#[diesel(table_name = foreign_object)]
struct Row {
    id: Id,
    name: String,
    body: String,
    created_at: At,
}

fn found(row: Row) -> Outcome<ForeignObject> {
    let Row { id, name, body, created_at } = row;
    Ok(ForeignObject { id: id.0, name, body, created_at: instant(created_at, 0)? })
}

/// Stores it, unless there is one of this name. Returns the one that is there, and whether it is new.
pub(super) fn add(conn: &mut Conn, new: &NewForeignObject) -> Outcome<(ForeignObject, bool)> {
    let inserted = Sql::<()>::new(
        "insert into foreign_object (id, protocol, kind, name, body, created_at) \
         values (?, ?, ?, ?, ?, ?) on conflict (protocol, kind, name) do nothing",
    )
    .bind::<sql::Uuid, _>(Id(fresh_uuid()))
    .bind::<Text, _>(new.of.protocol)
    .bind::<Text, _>(new.of.kind)
    .bind::<Text, _>(plain(&new.name))
    .bind::<Text, _>(new.body.as_str())
    .bind::<sql::Instant, _>(At(new.created_at.micros()))
    .execute(conn)?;
    let there = find(conn, new.of, &Named::Name(new.name.clone()))?;
    let there = there.ok_or_else(|| Fault::Corrupt("an object is missing".into()))?;
    Ok((there, inserted > 0))
}

pub(super) fn find(
    conn: &mut Conn,
    of: ForeignKind,
    named: &Named,
) -> Outcome<Option<ForeignObject>> {
    let of_kind = foreign_object::protocol.eq(of.protocol).and(foreign_object::kind.eq(of.kind));
    let of_kind = foreign_object::table.filter(of_kind).select(Row::as_select());
    let row: Option<Row> = match named {
        Named::Id(id) => of_kind.filter(foreign_object::id.eq(Id(*id))).first(conn).optional()?,
        Named::Name(name) => {
            of_kind.filter(foreign_object::name.eq(plain(name))).first(conn).optional()?
        }
    };
    row.map(found).transpose()
}

pub(super) fn list(conn: &mut Conn, of: ForeignKind, limit: u32) -> Outcome<Vec<ForeignObject>> {
    let of_kind = foreign_object::protocol.eq(of.protocol).and(foreign_object::kind.eq(of.kind));
    let rows: Vec<Row> = foreign_object::table
        .filter(of_kind)
        .order(foreign_object::name)
        .limit(limit.into())
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(found).collect()
}
