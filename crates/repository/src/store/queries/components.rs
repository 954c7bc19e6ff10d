//! Components and their types.

mod types;

use std::collections::{HashMap, HashSet};

use devmason_domain::{
    AccountId, Component, ComponentDetails, ComponentName, ComponentType, PlainText, Timestamp,
};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use uuid::Uuid;

use super::filter::{Columns, bounds};
use super::users::Resolved;
use super::{Conn, Db, Sql, Store, claims, counts, next, tuned, users};
use crate::store::columns::{At, Id, instant};
use crate::store::fault::{Fault, Outcome};
use crate::store::schema::{build_component, component, component_type, project, sql};
use crate::{
    Changed, Components, Created, Listed, Listing, Named, NewComponent, NewComponentType, Removed,
    Result, Sought,
};
use types::{create_type, delete_type, find_type, list_types, types_by_id, update_type};

#[derive(Queryable, Selectable)]
#[diesel(table_name = component)]
struct Row {
    id: Id,
    component_type_id: Id,
    name: String,
    title: Option<String>,
    message: Option<String>,
    url: Option<String>,
    canonical_project_name: Option<String>,
    sha: Option<String>,
    reference: Option<String>,
    git: Option<String>,
    data: Option<String>,
    creator_id: Option<i64>,
    created_at: At,
    updated_at: At,
    version: i64,
}

impl TryFrom<Row> for Component {
    type Error = Fault;
    fn try_from(row: Row) -> Outcome<Self> {
        Ok(Self {
            id: row.id.0,
            name: row.name.parse()?,
            component_type: row.component_type_id.0,
            details: ComponentDetails {
                title: plain(row.title)?,
                message: plain(row.message)?,
                url: plain(row.url)?,
                canonical_project_name: plain(row.canonical_project_name)?,
                sha: plain(row.sha)?,
                reference: plain(row.reference)?,
                git: plain(row.git)?,
                data: row.data,
            },
            creator: row.creator_id.map(AccountId),
            created_at: instant(row.created_at, 0)?,
            updated_at: instant(row.updated_at, 0)?,
            version: row.version,
        })
    }
}

fn plain(text: Option<String>) -> Outcome<Option<PlainText>> {
    Ok(text.map(PlainText::from_stored))
}

fn text(text: &Option<PlainText>) -> Option<&str> {
    text.as_ref().map(PlainText::as_str)
}

const COLUMNS: Columns = Columns {
    fields: &[
        ("id", "component.id"),
        ("name", "component.name"),
        ("componenttype", "component.component_type_id"),
        ("componenttype_id", "component.component_type_id"),
        ("title", "component.title"),
        ("message", "component.message"),
        ("url", "component.url"),
        ("canonical_project_name", "component.canonical_project_name"),
        ("sha", "component.sha"),
        ("ref", "component.reference"),
        ("git", "component.git"),
        ("created_at", "component.created_at"),
        ("updated_at", "component.updated_at"),
    ],
    folded: &[],
    sets: &[],
    open: "component.data",
    scanned: "component.version",
    indexed: &[],
    tracks: None,
};

fn now() -> At {
    At(Timestamp::now().micros())
}

/// Whether a name cannot exist: no name contains NUL, and one database rejects it even in a query.
fn is_none(named: &Named) -> bool {
    matches!(named, Named::Name(name) if name.contains('\0'))
}

pub(super) fn create(conn: &mut Conn, new: &NewComponent) -> Outcome<Created<Component>> {
    let Some(of_type) = find_type(conn, &new.component_type)? else { return Ok(Created::NoType) };
    let creator = users::resolve(conn, &new.creator)?;
    if matches!(creator, Resolved::Taken) {
        return Ok(Created::UsernameTaken);
    }
    let details = &new.details;
    let now = now();
    let created = diesel::insert_into(component::table)
        .values((
            component::id.eq(Id(new.id)),
            component::component_type_id.eq(Id(of_type.id)),
            component::name.eq(new.name.as_str()),
            component::title.eq(text(&details.title)),
            component::message.eq(text(&details.message)),
            component::url.eq(text(&details.url)),
            component::canonical_project_name.eq(text(&details.canonical_project_name)),
            component::sha.eq(text(&details.sha)),
            component::reference.eq(text(&details.reference)),
            component::git.eq(text(&details.git)),
            component::data.eq(&details.data),
            component::creator_id.eq(creator.id()),
            component::created_at.eq(now),
            component::updated_at.eq(now),
        ))
        .on_conflict_do_nothing()
        .returning(Row::as_returning())
        .get_result(conn)
        .optional()?;
    let Some(row) = created else {
        users::withdraw(conn, &creator)?;
        return Ok(Created::NameTaken);
    };
    Ok(Created::New(row.try_into()?))
}

pub(super) fn find(conn: &mut Conn, named: &Named) -> Outcome<Vec<Component>> {
    if is_none(named) {
        return Ok(Vec::new());
    }
    let all = component::table.order(component::id).select(Row::as_select()).into_boxed::<Db>();
    let rows: Vec<Row> = match named {
        Named::Id(id) => all.filter(component::id.eq(Id(*id))).load(conn)?,
        Named::Name(name) => all.filter(component::name.eq(name)).load(conn)?,
    };
    rows.into_iter().map(Component::try_from).collect()
}

pub(super) fn list(
    conn: &mut Conn,
    of_type: Option<Uuid>,
    listing: &Listing,
) -> Outcome<Listed<Component>> {
    let (limit, offset) = bounds(listing);
    let selected = || {
        let all =
            component::table.filter(COLUMNS.filter(&listing.selection.filter)).into_boxed::<Db>();
        match of_type {
            Some(id) => all.filter(component::component_type_id.eq(Id(id))),
            None => all,
        }
    };
    let count: i64 = selected().count().get_result(conn)?;
    let rows: Vec<Row> = selected()
        .order(COLUMNS.order(&listing.selection.sort, "component.created_at, component.id"))
        .limit(limit)
        .offset(offset)
        .select(Row::as_select())
        .load(conn)?;
    let items = rows.into_iter().map(Component::try_from).collect::<Outcome<_>>()?;
    Ok(Listed { items, count: count.unsigned_abs() })
}

pub(super) fn update(
    conn: &mut Conn,
    id: Uuid,
    name: Option<&ComponentName>,
    component_type: Option<&Named>,
    details: &ComponentDetails,
    seen: Option<i64>,
) -> Outcome<Changed<Component>> {
    let Some(current) = find(conn, &Named::Id(id))?.pop() else { return Ok(Changed::Gone) };
    let of_type = match component_type {
        Some(named) => match find_type(conn, named)? {
            Some(of_type) => of_type.id,
            None => return Ok(Changed::NoType),
        },
        None => current.component_type,
    };
    let name = name.unwrap_or(&current.name);
    let taken = component::table.filter(
        component::component_type_id
            .eq(Id(of_type))
            .and(component::name.eq(name.as_str()))
            .and(component::id.ne(Id(id))),
    );
    if diesel::select(diesel::dsl::exists(taken)).get_result(conn)? {
        return Ok(Changed::NameTaken);
    }
    // Absent values stay unchanged: `None` is left out of the statement.
    let row = diesel::update(component::table.find(Id(id)))
        .filter(component::version.eq(seen.unwrap_or(0)).or(seen.is_none().into_sql::<Bool>()))
        .set((
            component::name.eq(name.as_str()),
            component::component_type_id.eq(Id(of_type)),
            text(&details.title).map(|text| component::title.eq(text)),
            text(&details.message).map(|text| component::message.eq(text)),
            text(&details.url).map(|text| component::url.eq(text)),
            text(&details.canonical_project_name)
                .map(|text| component::canonical_project_name.eq(text)),
            text(&details.sha).map(|text| component::sha.eq(text)),
            text(&details.reference).map(|text| component::reference.eq(text)),
            text(&details.git).map(|text| component::git.eq(text)),
            details.data.as_ref().map(|text| component::data.eq(text)),
            component::updated_at.eq(now()),
            component::version.eq(next("component.version")),
        ))
        .returning(Row::as_returning())
        .get_result(conn)
        .optional()?;
    match row {
        Some(row) => Ok(Changed::Done(row.try_into()?)),
        None if !find(conn, &Named::Id(id))?.is_empty() => Ok(Changed::Stale),
        None => Ok(Changed::Gone),
    }
}

/// The ids of components, with two statements regardless of how many are looked up.
pub(super) fn resolve(conn: &mut Conn, sought: &[Sought]) -> Outcome<Vec<Option<Uuid>>> {
    let (mut ids, mut names) = (Vec::new(), Vec::new());
    for one in sought {
        match one {
            Sought::Id(id) => ids.push(Id(*id)),
            Sought::OfType(_, name) if name.contains('\0') => {}
            Sought::OfType(_, name) => names.push(name.as_str()),
        }
    }
    let there: HashSet<Uuid> = if ids.is_empty() {
        HashSet::new()
    } else {
        let there = component::table.filter(component::id.eq_any(ids)).select(component::id);
        there.load::<Id>(conn)?.into_iter().map(|id| id.0).collect()
    };
    let mut named: HashMap<(Named, String), Uuid> = HashMap::new();
    if !names.is_empty() {
        let rows = component::table
            .inner_join(component_type::table)
            .filter(component::name.eq_any(names))
            .select((component::id, component::name, component_type::id, component_type::name))
            .load::<(Id, String, Id, String)>(conn)?;
        for (id, name, type_id, type_name) in rows {
            named.insert((Named::Id(type_id.0), name.clone()), id.0);
            named.insert((Named::Name(type_name), name), id.0);
        }
    }
    let find = |one: &Sought| match one {
        Sought::Id(id) => there.contains(id).then_some(*id),
        Sought::OfType(of_type, name) => named.get(&(of_type.clone(), name.clone())).copied(),
    };
    Ok(sought.iter().map(find).collect())
}

/// Locks a row for deletion, against changes and new references, until the transaction ends; or
/// returns why it cannot be deleted.
fn hold(
    conn: &mut Conn,
    table: &'static str,
    id: Uuid,
    seen: Option<i64>,
) -> Outcome<Option<Removed>> {
    let version: Option<i64> = Sql::<BigInt>::new("select version from ")
        .text(table)
        .text(" where id = ?")
        .text(tuned::FOR_UPDATE)
        .bind::<sql::Uuid, _>(Id(id))
        .get_result(conn)
        .optional()?;
    Ok(match (version, seen) {
        (None, _) => Some(Removed::Gone),
        (Some(version), Some(seen)) if version != seen => Some(Removed::Stale),
        (Some(_), _) => None,
    })
}

/// Whether all of these components, each listed once, exist.
pub(in super::super) fn are_there(conn: &mut Conn, ids: &[Uuid]) -> Outcome<bool> {
    if ids.is_empty() {
        return Ok(true);
    }
    let some = component::table.filter(component::id.eq_any(ids.iter().copied().map(Id)));
    let there: i64 = some.count().get_result(conn)?;
    Ok(usize::try_from(there) == Ok(ids.len()))
}

pub(super) fn delete(
    conn: &mut Conn,
    id: Uuid,
    cascade: bool,
    seen: Option<i64>,
) -> Outcome<Removed> {
    // Locks the row first, so that no build that refers to it can be added.
    if let Some(refused) = hold(conn, "component", id, seen)? {
        return Ok(refused);
    }
    // Builds of a deleted project don't count, though upkeep has yet to remove them.
    let tested = build_component::table
        .inner_join(project::table.on(project::id.eq(build_component::project_id)))
        .filter(build_component::component_id.eq(Id(id)).and(project::slug_key.is_not_null()));
    if !cascade && diesel::select(diesel::dsl::exists(tested)).get_result(conn)? {
        return Ok(Removed::InUse);
    }
    forget(conn, id)?;
    diesel::delete(component::table.find(Id(id))).execute(conn)?;
    Ok(Removed::Done)
}

/// Removes a component from the builds that tested it.
fn forget(conn: &mut Conn, id: Uuid) -> Outcome<()> {
    for statement in [
        format!(
            "update build set components = replace(components, ?, ''), version = {} where exists \
             (select 1 from build_component bc \
              where bc.project_id = build.project_id and bc.build_id = build.id and bc.component_id = ?)",
            tuned::next("version")
        ),
        format!(
            "update build_count set changes = {} where ? <> '' and tag = '' and project_id in \
             (select project_id from build_component where component_id = ?)",
            tuned::next("changes")
        ),
        "delete from build_component where ? <> '' and component_id = ?".to_owned(),
    ] {
        Sql::<()>::new(statement)
            .bind::<Text, _>(format!("{id};"))
            .bind::<sql::Uuid, _>(Id(id))
            .execute(conn)?;
    }
    counts::collection_changed(conn, counts::BUILDS, 0)
}

impl Components for Store {
    fn component_type_create(&self, new: &NewComponentType) -> Result<Created<ComponentType>> {
        self.write(|conn| claims::once(conn, new.claim.as_ref(), |conn| create_type(conn, new)))
    }
    fn component_type_find(&self, named: &Named) -> Result<Option<ComponentType>> {
        self.read(|conn| find_type(conn, named))
    }
    fn component_types_by_id(&self, ids: &[Uuid]) -> Result<Vec<ComponentType>> {
        self.read(|conn| types_by_id(conn, ids))
    }
    fn component_type_list(&self, listing: &Listing) -> Result<Listed<ComponentType>> {
        self.read(|conn| list_types(conn, listing))
    }
    fn component_type_update(
        &self,
        id: Uuid,
        name: &ComponentName,
        seen: Option<i64>,
    ) -> Result<Changed<ComponentType>> {
        self.write(|conn| update_type(conn, id, name, seen))
    }
    fn component_type_delete(&self, id: Uuid, cascade: bool, seen: Option<i64>) -> Result<Removed> {
        self.write(|conn| delete_type(conn, id, cascade, seen))
    }
    fn component_create(&self, new: &NewComponent) -> Result<Created<Component>> {
        self.write(|conn| claims::once(conn, new.claim.as_ref(), |conn| create(conn, new)))
    }
    fn component_resolve(&self, sought: &[Sought]) -> Result<Vec<Option<Uuid>>> {
        self.read(|conn| resolve(conn, sought))
    }
    fn component_find(&self, named: &Named) -> Result<Vec<Component>> {
        self.read(|conn| find(conn, named))
    }
    fn component_list(
        &self,
        of_type: Option<Uuid>,
        listing: &Listing,
    ) -> Result<Listed<Component>> {
        self.read(|conn| list(conn, of_type, listing))
    }
    fn component_update(
        &self,
        id: Uuid,
        name: Option<&ComponentName>,
        component_type: Option<&Named>,
        details: &ComponentDetails,
        seen: Option<i64>,
    ) -> Result<Changed<Component>> {
        self.write(|conn| update(conn, id, name, component_type, details, seen))
    }
    fn component_delete(&self, id: Uuid, cascade: bool, seen: Option<i64>) -> Result<Removed> {
        self.write(|conn| delete(conn, id, cascade, seen))
    }
}
