//! Component types.

use devmason_domain::{AccountId, ComponentName, ComponentType};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use uuid::Uuid;

use super::super::filter::{Columns, bounds};
use super::super::users::Resolved;
use super::super::{Conn, Db, Sql, next, tuned, users};
use super::{forget, hold, is_none, now};
use crate::store::columns::{At, Id, instant};
use crate::store::fault::{Fault, Outcome};
use crate::store::schema::{component, component_type, sql};
use crate::{Changed, Created, Listed, Listing, Named, NewComponentType, Removed};

#[derive(Queryable, Selectable)]
#[diesel(table_name = component_type)]
pub(super) struct TypeRow {
    pub(super) id: Id,
    pub(super) name: String,
    pub(super) creator_id: Option<i64>,
    pub(super) created_at: At,
    pub(super) updated_at: At,
    pub(super) version: i64,
}

impl TryFrom<TypeRow> for ComponentType {
    type Error = Fault;
    fn try_from(row: TypeRow) -> Outcome<Self> {
        Ok(Self {
            id: row.id.0,
            name: row.name.parse()?,
            creator: row.creator_id.map(AccountId),
            created_at: instant(row.created_at, 0)?,
            updated_at: instant(row.updated_at, 0)?,
            version: row.version,
        })
    }
}

pub(super) const TYPE_COLUMNS: Columns = Columns {
    fields: &[
        ("id", "component_type.id"),
        ("name", "component_type.name"),
        ("created_at", "component_type.created_at"),
        ("updated_at", "component_type.updated_at"),
    ],
    folded: &[],
    sets: &[],
    open: "null",
    scanned: "component_type.version",
    indexed: &[],
    tracks: None,
};

pub(super) fn create_type(
    conn: &mut Conn,
    new: &NewComponentType,
) -> Outcome<Created<ComponentType>> {
    let creator = users::resolve(conn, &new.creator)?;
    if matches!(creator, Resolved::Taken) {
        return Ok(Created::UsernameTaken);
    }
    let now = now();
    let created = diesel::insert_into(component_type::table)
        .values((
            component_type::id.eq(Id(new.id)),
            component_type::name.eq(new.name.as_str()),
            component_type::creator_id.eq(creator.id()),
            component_type::created_at.eq(now),
            component_type::updated_at.eq(now),
        ))
        .on_conflict_do_nothing()
        .returning(TypeRow::as_returning())
        .get_result(conn)
        .optional()?;
    let Some(row) = created else {
        users::withdraw(conn, &creator)?;
        return Ok(Created::NameTaken);
    };
    Ok(Created::New(row.try_into()?))
}

pub(super) fn find_type(conn: &mut Conn, named: &Named) -> Outcome<Option<ComponentType>> {
    if is_none(named) {
        return Ok(None);
    }
    let all = component_type::table.select(TypeRow::as_select()).into_boxed::<Db>();
    let row = match named {
        Named::Id(id) => all.filter(component_type::id.eq(Id(*id))).first(conn),
        Named::Name(name) => all.filter(component_type::name.eq(name)).first(conn),
    };
    row.optional()?.map(ComponentType::try_from).transpose()
}

pub(super) fn types_by_id(conn: &mut Conn, ids: &[Uuid]) -> Outcome<Vec<ComponentType>> {
    let ids: Vec<Id> = ids.iter().copied().map(Id).collect();
    let rows = component_type::table
        .filter(component_type::id.eq_any(ids))
        .select(TypeRow::as_select())
        .load(conn)?;
    rows.into_iter().map(ComponentType::try_from).collect()
}

pub(super) fn list_types(conn: &mut Conn, listing: &Listing) -> Outcome<Listed<ComponentType>> {
    let (limit, offset) = bounds(listing);
    let filter = || TYPE_COLUMNS.filter(&listing.selection.filter);
    let count: i64 = component_type::table.filter(filter()).count().get_result(conn)?;
    let rows = component_type::table
        .filter(filter())
        .order(
            TYPE_COLUMNS
                .order(&listing.selection.sort, "component_type.created_at, component_type.id"),
        )
        .limit(limit)
        .offset(offset)
        .select(TypeRow::as_select())
        .load(conn)?;
    let items = rows.into_iter().map(ComponentType::try_from).collect::<Outcome<_>>()?;
    Ok(Listed { items, count: count.unsigned_abs() })
}

pub(super) fn update_type(
    conn: &mut Conn,
    id: Uuid,
    name: &ComponentName,
    seen: Option<i64>,
) -> Outcome<Changed<ComponentType>> {
    let taken = component_type::table
        .filter(component_type::name.eq(name.as_str()).and(component_type::id.ne(Id(id))));
    if diesel::select(diesel::dsl::exists(taken)).get_result(conn)? {
        return Ok(Changed::NameTaken);
    }
    let row = diesel::update(component_type::table.find(Id(id)))
        .filter(component_type::version.eq(seen.unwrap_or(0)).or(seen.is_none().into_sql::<Bool>()))
        .set((
            component_type::name.eq(name.as_str()),
            component_type::updated_at.eq(now()),
            component_type::version.eq(next("component_type.version")),
        ))
        .returning(TypeRow::as_returning())
        .get_result(conn)
        .optional()?;
    match row {
        Some(row) => Ok(Changed::Done(row.try_into()?)),
        None if find_type(conn, &Named::Id(id))?.is_some() => Ok(Changed::Stale),
        None => Ok(Changed::Gone),
    }
}

pub(super) fn delete_type(
    conn: &mut Conn,
    id: Uuid,
    cascade: bool,
    seen: Option<i64>,
) -> Outcome<Removed> {
    // Locks the row first, so that no component of this type can be added.
    if let Some(refused) = hold(conn, "component_type", id, seen)? {
        return Ok(refused);
    }
    let of_it = component::table.filter(component::component_type_id.eq(Id(id)));
    if cascade {
        let ids: Vec<Id> = Sql::<sql::Uuid>::new(
            "select id from component where component_type_id = ? order by id",
        )
        .text(tuned::FOR_UPDATE)
        .bind::<sql::Uuid, _>(Id(id))
        .load(conn)?;
        for component in ids {
            forget(conn, component.0)?;
        }
        diesel::delete(of_it).execute(conn)?;
    } else if diesel::select(diesel::dsl::exists(of_it)).get_result(conn)? {
        return Ok(Removed::InUse);
    }
    diesel::delete(component_type::table.find(Id(id))).execute(conn)?;
    Ok(Removed::Done)
}
