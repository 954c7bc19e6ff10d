//! Projects.

use devmason_domain::{
    AccountId, Invalid, PageRequest, Project, ProjectId, Slug, Tag, TagSet, Timestamp, Tracking,
    VariantPart,
};
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::filter::{Columns, bounds};
use super::rows::tags;
use super::users::Resolved;
use super::{Conn, Store, counts, next, users};
use crate::store::columns::{At, instant};
use crate::store::fault::{Fault, Outcome};
use crate::store::schema::{account, project};
use crate::{
    Actor, Listed, Listing, NewProject, ProjectChange, Projects, Registered, Result, Tally, Updated,
};

#[derive(Queryable, Selectable)]
#[diesel(table_name = project)]
struct Row {
    id: i64,
    slug: String,
    name: String,
    owner_id: Option<i64>,
    reporting: String,
    mainline: Option<String>,
    variant_by: Option<String>,
    gate: String,
    triage: String,
    repository: Option<String>,
    tags: String,
    created_at: At,
    updated_at: At,
    version: i64,
}

fn domain((row, owner, owner_key): (Row, Option<String>, Option<String>)) -> Outcome<Project> {
    let owner = owner.filter(|_| owner_key.is_some());
    let owner =
        row.owner_id.zip(owner).map(|(id, name)| Ok::<_, Fault>((AccountId(id), name.parse()?)));
    Ok(Project {
        id: ProjectId(row.id),
        slug: row.slug.parse()?,
        name: row.name.parse()?,
        owner: owner.transpose()?,
        reporting: row.reporting.parse()?,
        tracking: Tracking {
            mainline: row.mainline,
            variant_by: variant_by(row.variant_by)?,
            gate: row.gate.parse()?,
            triage: row.triage.parse()?,
        },
        repository: row.repository.map(|text| text.parse()).transpose()?,
        tags: tags(&row.tags)?,
        created_at: instant(row.created_at, 0)?,
        updated_at: instant(row.updated_at, 0)?,
        version: row.version,
    })
}

/// Tags as stored.
fn joined(tags: &TagSet) -> String {
    tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(";")
}

/// What a variant consists of, as stored: one part per line; null for the usual parts.
pub(super) fn variant_by(stored: Option<String>) -> Outcome<Vec<VariantPart>> {
    let Some(stored) = stored else { return Ok(VariantPart::usual()) };
    let parts = stored.lines().map(str::parse);
    Ok(parts.collect::<std::result::Result<_, Invalid>>()?)
}

/// The same, to be stored.
fn stored(parts: &[VariantPart]) -> Option<String> {
    let lines = parts.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    (parts != VariantPart::usual()).then_some(lines)
}

/// Existing projects with their owners' names.
macro_rules! projects {
    ($filter:expr) => {
        project::table
            .left_join(account::table)
            .filter(project::slug_key.is_not_null())
            .filter($filter)
            .select((
                Row::as_select(),
                account::username.nullable(),
                account::username_key.nullable(),
            ))
    };
}

pub(super) fn find(conn: &mut Conn, slug: &Slug) -> Outcome<Option<Project>> {
    projects!(project::slug_key.eq(slug.key())).first(conn).optional()?.map(domain).transpose()
}

pub(super) fn by_id(conn: &mut Conn, ids: &[ProjectId]) -> Outcome<Vec<Project>> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    projects!(project::id.eq_any(ids)).load(conn)?.into_iter().map(domain).collect()
}

fn one(conn: &mut Conn, id: ProjectId) -> Outcome<Option<Project>> {
    projects!(project::id.eq(id.0)).first(conn).optional()?.map(domain).transpose()
}

pub(super) fn list(conn: &mut Conn, page: PageRequest) -> Outcome<Vec<Project>> {
    projects!(project::id.is_not_null())
        .order((project::name, project::slug))
        .offset(page.offset().try_into().unwrap_or(i64::MAX))
        .limit(page.per_page.try_into().unwrap_or(i64::MAX))
        .load(conn)?
        .into_iter()
        .map(domain)
        .collect()
}

pub(super) fn register(conn: &mut Conn, new: &NewProject) -> Outcome<Registered> {
    let owner = users::resolve(conn, &new.owner)?;
    if matches!(owner, Resolved::Taken) {
        return Ok(Registered::UsernameTaken);
    }
    if let Actor::Account(id) = new.owner
        && !users::is_there(conn, id)?
    {
        return Ok(Registered::NoOwner);
    }
    let now = At(Timestamp::now().micros());
    let id = diesel::insert_into(project::table)
        .values((
            project::slug.eq(new.slug.as_str()),
            project::slug_key.eq(new.slug.key()),
            project::name.eq(new.name.as_str()),
            project::owner_id.eq(owner.id()),
            project::reporting.eq(new.reporting.as_str()),
            project::mainline.eq(new.tracking.mainline.as_deref()),
            project::variant_by.eq(stored(&new.tracking.variant_by)),
            project::gate.eq(new.tracking.gate.to_string()),
            project::triage.eq(new.tracking.triage.as_str()),
            project::repository.eq(new.repository.as_ref().map(ToString::to_string)),
            project::tags.eq(joined(&new.tags)),
            project::created_at.eq(now),
            project::updated_at.eq(now),
            project::version.eq(next("0")),
        ))
        .on_conflict(project::slug_key)
        .do_nothing()
        .returning(project::id)
        .get_result::<i64>(conn)
        .optional()?;
    let Some(id) = id else {
        users::withdraw(conn, &owner)?;
        return Ok(Registered::Exists);
    };
    counts::collection_changed(conn, counts::PROJECTS, 1)?;
    one(conn, ProjectId(id))?
        .map(|project| Registered::New(Box::new(project)))
        .ok_or_else(|| Fault::Corrupt("a project disappeared right after it was created".into()))
}

pub(super) fn update(
    conn: &mut Conn,
    id: ProjectId,
    change: &ProjectChange,
    seen: Option<i64>,
) -> Outcome<Updated<Project>> {
    let changed = diesel::update(project::table)
        .filter(project::id.eq(id.0).and(project::slug_key.is_not_null()))
        .filter(project::version.eq(seen.unwrap_or(0)).or(seen.is_none().into_sql::<Bool>()))
        .set((
            change.name.as_ref().map(|name| project::name.eq(name.as_str())),
            change.reporting.map(|reporting| project::reporting.eq(reporting.as_str())),
            change.mainline.as_ref().map(|mainline| project::mainline.eq(mainline)),
            change.variant_by.as_ref().map(|parts| project::variant_by.eq(stored(parts))),
            change.gate.as_ref().map(|gate| project::gate.eq(gate.to_string())),
            change.triage.map(|triage| project::triage.eq(triage.as_str())),
            change.repository.as_ref().map(|repository| {
                project::repository.eq(repository.as_ref().map(ToString::to_string))
            }),
            change.tags.as_ref().map(|tags| project::tags.eq(joined(tags))),
            project::updated_at.eq(At(Timestamp::now().micros())),
            project::version.eq(next("project.version")),
        ))
        .execute(conn)?;
    let Some(current) = one(conn, id)? else { return Ok(Updated::Gone) };
    if changed == 0 {
        return Ok(Updated::Stale);
    }
    counts::collection_changed(conn, counts::PROJECTS, 0)?;
    Ok(Updated::Done(current))
}

pub(super) fn delete(conn: &mut Conn, id: ProjectId, seen: Option<i64>) -> Outcome<Updated<()>> {
    let deleted = diesel::update(project::table)
        .filter(project::id.eq(id.0).and(project::slug_key.is_not_null()))
        .filter(project::version.eq(seen.unwrap_or(0)).or(seen.is_none().into_sql::<Bool>()))
        .set((project::slug_key.eq(None::<String>), project::version.eq(next("project.version"))))
        .execute(conn)?;
    if deleted == 0 {
        return Ok(one(conn, id)?.map_or(Updated::Gone, |_| Updated::Stale));
    }
    counts::collection_changed(conn, counts::PROJECTS, -1)?;
    Ok(Updated::Done(()))
}

/// Fields of projects, over `project left join account`.
const COLUMNS: Columns = Columns {
    fields: &[
        ("id", "project.slug_key"),
        ("name", "project.name"),
        ("owner", "account.username_key"),
        ("reporting", "project.reporting"),
        ("created_at", "project.created_at"),
        ("updated_at", "project.updated_at"),
    ],
    folded: &["id", "owner"],
    sets: &[],
    open: "null",
    scanned: "project.version",
    indexed: &[],
    tracks: None,
};

pub(super) fn query(conn: &mut Conn, listing: &Listing) -> Outcome<Listed<Project>> {
    let (limit, offset) = bounds(listing);
    let filter = || COLUMNS.filter(&listing.selection.filter);
    let count: i64 = project::table
        .left_join(account::table)
        .filter(project::slug_key.is_not_null())
        .filter(filter())
        .count()
        .get_result(conn)?;
    let rows = projects!(filter())
        .order(COLUMNS.order(&listing.selection.sort, "project.id"))
        .limit(limit)
        .offset(offset)
        .load(conn)?;
    let items = rows.into_iter().map(domain).collect::<Outcome<_>>()?;
    Ok(Listed { items, count: count.unsigned_abs() })
}

impl Projects for Store {
    fn project_find(&self, slug: &Slug) -> Result<Option<Project>> {
        self.read(|conn| find(conn, slug))
    }
    fn projects_by_id(&self, ids: &[ProjectId]) -> Result<Vec<Project>> {
        self.read(|conn| by_id(conn, ids))
    }
    fn project_list(&self, page: PageRequest) -> Result<Vec<Project>> {
        self.read(|conn| list(conn, page))
    }
    fn project_tally(&self) -> Result<Tally> {
        self.read(|conn| counts::collection(conn, counts::PROJECTS))
    }
    fn project_register(&self, new: &NewProject) -> Result<Registered> {
        self.write(|conn| register(conn, new))
    }
    fn project_update(
        &self,
        id: ProjectId,
        change: &ProjectChange,
        seen: Option<i64>,
    ) -> Result<Updated<Project>> {
        self.write(|conn| update(conn, id, change, seen))
    }
    fn project_delete(&self, id: ProjectId, seen: Option<i64>) -> Result<Updated<()>> {
        self.write(|conn| delete(conn, id, seen))
    }
}
