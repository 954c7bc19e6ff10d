//! Lists of builds, their sizes, and tags.

use std::collections::HashMap;

use devmason_domain::query::Selection;
use devmason_domain::{Build, BuildId, ProjectId, Tag, TagSet};
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use uuid::Uuid;

use super::filter::{Columns, Fragment, bounds};
use super::rows::{Joined, domain};
use super::{Conn, Db, Sql, counts, narrow, rows, tuned};
use crate::store::columns::Id;
use crate::store::fault::Outcome;
use crate::store::schema::{account, build, build_tag, project, sql};
use crate::{BuildPart, BuildQuery, Count, Listed, Listing, Scope, Start};

/// Builds with all of several tags are counted only if the rarest tag has at most this many builds.
const COUNTED_TAGGED: u64 = 100;

/// How many index seeks a page of builds with several tags may make before it is cut short, beyond
/// those for the builds it shows: about 10 ms.
const SEEKS: u64 = 1_000;

/// The builds with all of several tags, and where the search was cut short.
#[derive(Default)]
pub(in super::super) struct Met {
    pub(in super::super) ids: Vec<Id>,
    /// The next candidate.
    pub(in super::super) stopped: Option<Id>,
}

/// The maximum number of builds counted for a selection.
const COUNTED_SELECTED: i64 = 10_000;

type Boxed<'a> =
    diesel::helper_types::IntoBoxed<'a, diesel::dsl::LeftJoin<build::table, account::table>, Db>;

/// The builds of a scope that match a selection, unsorted.
fn selected<'a>(scope: &'a Scope, selection: &'a Selection) -> Boxed<'a> {
    let mut query: Boxed<'a> = build::table.left_join(account::table).into_boxed::<Db>();
    match scope {
        Scope::Project(project) => query = query.filter(build::project_id.eq(project.0)),
        Scope::Tagged(project, tags) => {
            query = query.filter(build::project_id.eq(project.0));
            query = query.filter(has_tags(tags));
        }
        Scope::Sender(id) => {
            let there = project::table
                .filter(project::id.eq(build::project_id).and(project::slug_key.is_not_null()));
            query = query.filter(build::sender_id.eq(id.0)).filter(exists(there));
        }
    }
    if selection.is_everything() { query } else { query.filter(COLUMNS.filter(&selection.filter)) }
}

/// Condition: a build has all of these tags. It is one condition, because PostgreSQL takes seconds
/// to plan ninety.
fn has_tags(tags: &[Tag]) -> Fragment {
    let mut condition = Sql::new(
        "(select count(*) from build_tag t where t.project_id = build.project_id and t.build_id = build.id and t.tag in (",
    );
    for (at, tag) in tags.iter().enumerate() {
        condition =
            condition.text(if at > 0 { ", ?" } else { "?" }).bind::<Text, _>(tag.to_string());
    }
    let wanted = i64::try_from(tags.len()).unwrap_or(i64::MAX);
    Fragment(condition.text(")) = ?").bind::<BigInt, _>(wanted))
}

/// Fields of builds, over `build left join account`.
const COLUMNS: Columns = Columns {
    fields: &[
        ("id", "build.id"),
        ("key", tuned::BUILD_KEY),
        ("project", "(select p.slug_key from project p where p.id = build.project_id)"),
        ("state", "(case when build.finished is null then 'running' else 'finished' end)"),
        ("success", "build.success"),
        ("started", "build.started"),
        ("finished", "build.finished"),
        ("created_at", "build.received"),
        ("updated_at", "build.updated_at"),
        ("user", "account.username_key"),
        ("steps", "build.steps"),
        ("failed_steps", "build.failed_steps"),
        ("revision", "build.revision"),
        ("track", tuned::TRACK_OF_BUILD),
    ],
    folded: &["project", "user"],
    sets: &[
        (
            "tags",
            "exists (select 1 from build_tag t where t.project_id = build.project_id and t.build_id = build.id and t.tag = ?)",
            "build.tags = ''",
        ),
        ("components", tuned::HAS_COMPONENT, "build.components = ''"),
    ],
    open: "build.client",
    scanned: "build.version",
    indexed: &[("host", "build.host")],
    tracks: Some(("track", "build.track")),
};

/// Sorts by the requested keys, then newest first.
fn sorted<'a>(query: Boxed<'a>, selection: &Selection) -> Boxed<'a> {
    if selection.sort.is_empty() {
        return query.order(build::id.desc());
    }
    query.order(COLUMNS.order(&selection.sort, "build.id desc"))
}

/// Whether a scope asks for more tags than a build may have.
fn has_too_many_tags(scope: &Scope) -> bool {
    matches!(scope, Scope::Tagged(_, tags) if tags.len() > TagSet::MAX)
}

fn load(conn: &mut Conn, query: Boxed<'_>) -> Outcome<Vec<Build>> {
    let rows: Vec<Joined> = query.select(rows::joined!()).load(conn)?;
    rows.into_iter().map(domain).collect()
}

pub(super) fn list(conn: &mut Conn, query: &BuildQuery) -> Outcome<BuildPart> {
    if let Scope::Tagged(project, tags) = &query.scope
        && query.selection.is_everything()
        && !has_too_many_tags(&query.scope)
    {
        return tagged(conn, *project, tags, query.start, query.limit);
    }
    Ok(BuildPart { builds: list_all(conn, query)?, stopped: None })
}

fn list_all(conn: &mut Conn, query: &BuildQuery) -> Outcome<Vec<Build>> {
    if has_too_many_tags(&query.scope) {
        return Ok(Vec::new());
    }
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    let all = selected(&query.scope, &query.selection).limit(limit);
    match query.start {
        Start::Behind(id) if query.selection.sort.is_empty() => {
            load(conn, all.filter(build::id.lt(Id(id.0))).order(build::id.desc()))
        }
        Start::Before(id) if query.selection.sort.is_empty() => {
            let mut builds = load(conn, all.filter(build::id.gt(Id(id.0))).order(build::id.asc()))?;
            builds.reverse();
            Ok(builds)
        }
        Start::FromEnd(skip) if query.selection.sort.is_empty() => {
            let skip = i64::try_from(skip).unwrap_or(i64::MAX);
            let mut builds = load(conn, all.order(build::id.asc()).offset(skip))?;
            builds.reverse();
            Ok(builds)
        }
        Start::Offset(offset) => {
            let offset = i64::try_from(offset).unwrap_or(i64::MAX);
            load(conn, sorted(all, &query.selection).offset(offset))
        }
        Start::Behind(_) | Start::Before(_) | Start::FromEnd(_) => {
            load(conn, sorted(all, &query.selection))
        }
    }
}

/// A part of the list of builds with several tags, by seeking in the tag index.
fn tagged(
    conn: &mut Conn,
    project: ProjectId,
    tags: &[Tag],
    start: Start,
    limit: u64,
) -> Outcome<BuildPart> {
    let (from, ascending, skip) = match start {
        Start::Offset(offset) => (BuildId::FIRST, false, offset),
        Start::FromEnd(skip) => (BuildId(Uuid::nil()), true, skip),
        Start::Behind(id) => (BuildId(Uuid::from_u128(id.0.as_u128().saturating_sub(1))), false, 0),
        Start::Before(id) => (BuildId(Uuid::from_u128(id.0.as_u128().saturating_add(1))), true, 0),
    };
    let wanted = skip.saturating_add(limit).min(i64::MAX.unsigned_abs());
    let Met { mut ids, stopped } = match tags {
        [tag] => {
            Met { ids: one_tag(conn, project, tag, from, ascending, skip, limit)?, stopped: None }
        }
        _ => {
            // Only a page that starts at a build can be continued from another position; a numbered page must
            // count.
            let seeks = match start {
                Start::Offset(1..) | Start::FromEnd(_) => u64::MAX,
                _ => wanted.saturating_mul(2 * tags.len() as u64).saturating_add(SEEKS),
            };
            let mut met =
                tuned::builds_with_tags(conn, project, tags, from, ascending, wanted, seeks)?;
            met.ids.drain(..met.ids.len().min(usize::try_from(skip).unwrap_or(usize::MAX)));
            met
        }
    };
    // Step back by one, so that the next page includes the first unchecked build.
    let stopped = stopped.map(|Id(id)| {
        let number = id.as_u128();
        let beside = if ascending { number.saturating_sub(1) } else { number.saturating_add(1) };
        BuildId(Uuid::from_u128(beside))
    });
    if ascending {
        ids.reverse();
    }
    let here = rows::builds!()
        .filter(build::project_id.eq(project.0))
        .filter(build::id.eq_any(ids.clone()));
    let rows: Vec<Joined> = here.load(conn)?;
    let mut found: HashMap<Id, Build> = HashMap::new();
    for row in rows {
        let build = domain(row)?;
        found.insert(Id(build.id.0), build);
    }
    let builds = ids.iter().filter_map(|id| found.remove(id)).collect();
    Ok(BuildPart { builds, stopped })
}

fn one_tag(
    conn: &mut Conn,
    project: ProjectId,
    tag: &Tag,
    from: BuildId,
    ascending: bool,
    skip: u64,
    limit: u64,
) -> Outcome<Vec<Id>> {
    let here = build_tag::table
        .filter(build_tag::project_id.eq(project.0).and(build_tag::tag.eq(tag.as_str())))
        .select(build_tag::build_id)
        .offset(i64::try_from(skip).unwrap_or(i64::MAX))
        .limit(i64::try_from(limit).unwrap_or(i64::MAX));
    Ok(if ascending {
        here.filter(build_tag::build_id.ge(Id(from.0)))
            .order(build_tag::build_id.asc())
            .load(conn)?
    } else {
        here.filter(build_tag::build_id.le(Id(from.0)))
            .order(build_tag::build_id.desc())
            .load(conn)?
    })
}

pub(super) fn count(conn: &mut Conn, scope: &Scope, selection: &Selection) -> Outcome<Count> {
    if has_too_many_tags(scope) {
        return Ok(Count { builds: 0, exact: true });
    }
    if !selection.filter.is_everything() {
        let some = selected(scope, selection).select(build::version).limit(COUNTED_SELECTED + 1);
        let builds = some.load::<i64>(conn)?.len() as u64;
        let bound = COUNTED_SELECTED.unsigned_abs();
        return Ok(Count { builds: builds.min(bound), exact: builds <= bound });
    }
    let members = counts::tally(conn, scope)?.members;
    Ok(match scope {
        Scope::Tagged(project, tags) if !scope.keeps_count_of(selection) => {
            if members > COUNTED_TAGGED {
                return Ok(Count { builds: 0, exact: false });
            }
            // No more seeks than the rarest tag has builds.
            let met = tuned::builds_with_tags(
                conn,
                *project,
                tags,
                BuildId::FIRST,
                false,
                COUNTED_TAGGED,
                u64::MAX,
            )?;
            Count { builds: met.ids.len() as u64, exact: true }
        }
        _ => Count { builds: members, exact: true },
    })
}

/// The builds of all existing projects that match a query.
pub(super) fn query(
    conn: &mut Conn,
    of_component: Option<Uuid>,
    listing: &Listing,
) -> Outcome<Listed<Build>> {
    let (limit, offset) = bounds(listing);
    let of_project = narrow::required(conn, &listing.selection.filter)?;
    let selected = || {
        let there = project::table
            .filter(project::id.eq(build::project_id).and(project::slug_key.is_not_null()));
        let mut all = build::table
            .left_join(account::table)
            .into_boxed::<Db>()
            .filter(exists(there))
            .filter(COLUMNS.filter(&listing.selection.filter));
        if let Some(id) = of_project {
            all = all.filter(build::project_id.eq(id.0));
        }
        match of_component {
            Some(id) => {
                // Both columns of the key, so that each build is an index lookup.
                let of_it = Sql::new(
                    "(build.project_id, build.id) in \
                     (select bc.project_id, bc.build_id from build_component bc where bc.component_id = ?)",
                );
                all.filter(Fragment(of_it.bind::<sql::Uuid, _>(Id(id))))
            }
            None => all,
        }
    };
    let count: i64 = if of_component.is_none() && listing.selection.filter.is_everything() {
        // Maintained, not counted.
        Sql::<BigInt>::new(
            "select cast(coalesce(sum(c.builds), 0) as bigint) from build_count c \
             join project p on p.id = c.project_id where c.tag = '' and p.slug_key is not null",
        )
        .get_result(conn)?
    } else {
        selected().count().get_result(conn)?
    };
    let order = COLUMNS.order(&listing.selection.sort, "build.received, build.id");
    let items = load(conn, selected().order(order).limit(limit).offset(offset))?;
    Ok(Listed { items, count: count.unsigned_abs() })
}
