//! Lists of builds, their sizes, and tags.

use std::collections::HashMap;

use devmason_domain::query::{Selection, Value};
use devmason_domain::{AccountId, Build, BuildId, ProjectId, Tag, TagSet};
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use uuid::Uuid;

use super::builds::{self, Joined, Row, domain};
use super::filter::{Columns, Fragment, bounds};
use super::{Conn, Db, Outcome, Sql, projects, tuned, upkeep, users};
use crate::store::columns::{At, Id};
use crate::store::schema::{account, build, build_count, build_tag, project, sql};
use crate::{BuildPart, BuildQuery, Count, Listed, Listing, Scope, Start, Tally, UsedTag};

/// Up to so many builds that have the rarest of several tags, those that have all are counted.
const COUNTED_TAGGED: u64 = 100;

/// How often a page of builds with several tags looks into their index before it is cut, beside what it
/// needs for the builds that it shows: some 10 ms.
const SEEKS: u64 = 1_000;

/// The builds that have all of some tags, and where the search for more was given up.
#[derive(Default)]
pub(in super::super) struct Met {
    pub(in super::super) ids: Vec<Id>,
    /// The next that could be one.
    pub(in super::super) stopped: Option<Id>,
}

/// Up to so many builds of a selection are counted.
const COUNTED_SELECTED: i64 = 10_000;

/// Adds to the counts of a project, of its tags and of a sender, and notes that they changed.
pub(in super::super) fn bump<'a>(
    conn: &mut Conn,
    project: i64,
    tags: impl Iterator<Item = &'a str>,
    sender: Option<i64>,
    builds: i64,
) -> Outcome<()> {
    for tag in std::iter::once("").chain(tags) {
        let statement = format!(
            "insert into build_count (project_id, tag, shard, builds, changes, created_at, updated_at) \
             values (?, ?, {}, ?, {}, {now}, {now}) \
             on conflict (project_id, tag, shard) do update \
             set builds = build_count.builds + excluded.builds, changes = {}, updated_at = excluded.updated_at",
            tuned::SHARD,
            tuned::next("0"),
            tuned::next("build_count.changes"),
            now = tuned::NOW
        );
        Sql::<()>::new(statement)
            .bind::<BigInt, _>(project)
            .bind::<Text, _>(tag)
            .bind::<BigInt, _>(builds)
            .execute(conn)?;
    }
    if let Some(sender) = sender {
        let statement = format!(
            "insert into sender_count (sender_id, project_id, shard, builds, changes) values (?, ?, {}, ?, {}) \
             on conflict (sender_id, project_id, shard) do update \
             set builds = sender_count.builds + excluded.builds, changes = {}",
            tuned::SHARD,
            tuned::next("0"),
            tuned::next("sender_count.changes")
        );
        Sql::<()>::new(statement)
            .bind::<BigInt, _>(sender)
            .bind::<BigInt, _>(project)
            .bind::<BigInt, _>(builds)
            .execute(conn)?;
    }
    Ok(())
}

/// Notes that the builds which a user sent are credited to nobody any more.
pub(super) fn credits_changed(conn: &mut Conn, id: AccountId) -> Outcome<()> {
    Sql::<()>::new(format!(
        "update build_count set changes = {} \
         where tag = '' and project_id in (select project_id from sender_count where sender_id = ?)",
        tuned::next("changes")
    ))
    .bind::<BigInt, _>(id.0)
    .execute(conn)?;
    Ok(())
}

pub(super) fn tally(conn: &mut Conn, scope: &Scope) -> Outcome<Tally> {
    const OF_TAG: &str = "select cast(coalesce(sum(builds), 0) as bigint), cast(coalesce(sum(changes), 0) as bigint) \
                          from build_count where project_id = ? and tag = ?";
    let of_tag = |conn: &mut Conn, project: &ProjectId, tag: &str| {
        Sql::<(BigInt, BigInt)>::new(OF_TAG)
            .bind::<BigInt, _>(project.0)
            .bind::<Text, _>(tag.to_owned())
            .get_result::<(i64, i64)>(conn)
    };
    let (members, changes) = match scope {
        Scope::Project(project) => of_tag(conn, project, "")?,
        Scope::Tagged(project, tags) => {
            let mut rarest = i64::MAX;
            for tag in tags {
                rarest = rarest.min(of_tag(conn, project, tag.as_str())?.0);
            }
            (rarest, of_tag(conn, project, "")?.1)
        }
        Scope::Sender(id) => {
            let (members, changes) = Sql::<(BigInt, BigInt)>::new(
                "select cast(coalesce(sum(c.builds), 0) as bigint), cast(coalesce(sum(c.changes % 4294967296), 0) as bigint) \
                 from sender_count c join project p on p.id = c.project_id \
                 where c.sender_id = ? and p.slug_key is not null",
            )
            .bind::<BigInt, _>(id.0)
            .get_result::<(i64, i64)>(conn)?;
            // Of many projects the whole counts would be too large a sum. With a project its changes leave the sum, and a component that is deleted is taken out of
            // builds: that these changed tells it apart.
            let others = upkeep::changes(conn)?.count.cast_signed();
            (members, changes.wrapping_mul(0x1e37_79b9_7f4a_7c15).wrapping_add(others))
        }
    };
    Ok(Tally { members: u64::try_from(members).unwrap_or(0), changes: changes.cast_unsigned() })
}

type Boxed<'a> =
    diesel::helper_types::IntoBoxed<'a, diesel::dsl::LeftJoin<build::table, account::table>, Db>;

/// The builds of a scope that a selection leaves, in no order yet.
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

/// That a build has all of some tags: one condition, because PostgreSQL plans ninety for seconds.
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

/// Builds, over `build left join account`.
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
};

/// Sorts by the keys asked for, then newest first.
fn sorted<'a>(query: Boxed<'a>, selection: &Selection) -> Boxed<'a> {
    if selection.sort.is_empty() {
        return query.order(build::id.desc());
    }
    query.order(COLUMNS.order(&selection.sort, "build.id desc"))
}

/// No build has more tags than a build may have.
fn has_too_many_tags(scope: &Scope) -> bool {
    matches!(scope, Scope::Tagged(_, tags) if tags.len() > TagSet::MAX)
}

fn load(conn: &mut Conn, query: Boxed<'_>) -> Outcome<Vec<Build>> {
    let rows: Vec<Joined> = query
        .select((Row::as_select(), account::username.nullable(), account::username_key.nullable()))
        .load(conn)?;
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

/// A part of the list of builds that have all of some tags, by seeking in the tags' own index.
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
            // Only a page that begins at a place can go on from another; a numbered one has to count.
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
    // A position lies beside the builds that are still to be looked at.
    let stopped = stopped.map(|Id(id)| {
        let number = id.as_u128();
        let beside = if ascending { number.saturating_sub(1) } else { number.saturating_add(1) };
        BuildId(Uuid::from_u128(beside))
    });
    if ascending {
        ids.reverse();
    }
    let here = builds::builds!()
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
    let members = tally(conn, scope)?.members;
    Ok(match scope {
        Scope::Tagged(project, tags) if !scope.keeps_count_of(selection) => {
            if members > COUNTED_TAGGED {
                return Ok(Count { builds: 0, exact: false });
            }
            // No more looks than the rarest of the tags has builds.
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

pub(super) fn tags(conn: &mut Conn, project: ProjectId) -> Outcome<Vec<Tag>> {
    let used: Vec<String> = Sql::<Text>::new(
        "select tag from build_count where project_id = ? and tag <> '' group by tag having sum(builds) > 0 order by tag limit 10000",
    )
    .bind::<BigInt, _>(project.0)
    .load(conn)?;
    used.iter().map(|tag| Ok(tag.parse()?)).collect()
}

pub(super) fn known_tags(conn: &mut Conn, project: ProjectId, asked: &[Tag]) -> Outcome<Vec<Tag>> {
    let words: Vec<&str> = asked.iter().map(Tag::as_str).collect();
    let rows: Vec<(String, i64)> = build_count::table
        .filter(build_count::project_id.eq(project.0).and(build_count::tag.eq_any(words)))
        .select((build_count::tag, build_count::builds))
        .load(conn)?;
    let mut builds: HashMap<String, i64> = HashMap::new();
    for (tag, in_shard) in rows {
        *builds.entry(tag).or_default() += in_shard;
    }
    let is_used = |tag: &&Tag| builds.get(tag.as_str()).is_some_and(|builds| *builds > 0);
    Ok(asked.iter().filter(is_used).cloned().collect())
}

/// The builds of all projects that are there, with what a query leaves of them.
pub(super) fn query(
    conn: &mut Conn,
    of_component: Option<Uuid>,
    listing: &Listing,
) -> Outcome<Listed<Build>> {
    let (limit, offset) = bounds(listing);
    let of_project = projects::required(conn, &listing.selection.filter)?;
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
                // Both halves of the key, so that each build is found by it.
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
        // Kept, not counted.
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

/// Tags, over the counts that are kept of them.
const TAG_COLUMNS: Columns = Columns {
    fields: &[
        ("name", "tagged.name"),
        ("project", "tagged.slug_key"),
        ("builds", "tagged.builds"),
        ("created_at", "tagged.created_at"),
        ("updated_at", "tagged.updated_at"),
    ],
    folded: &["project"],
    sets: &[],
    open: "null",
    // Of the counts, which are summed before anything is compared.
    scanned: "tagged.builds",
    indexed: &[],
};

/// Tags with their counts; those of one project, or of one name, are found by the key of the counts.
fn used_tags(of_project: Option<ProjectId>, name: Option<&Value>) -> Sql<'static, Bool> {
    let mut tagged = Sql::new(
        " from (select p.slug, p.slug_key, c.tag as name, cast(sum(c.builds) as bigint) as builds, \
          min(c.created_at) as created_at, max(c.updated_at) as updated_at \
          from build_count c join project p on p.id = c.project_id where ",
    )
    .then(tuned::in_time("c.builds"))
    .text("c.tag <> '' and p.slug_key is not null");
    if let Some(id) = of_project {
        tagged = tagged.text(" and c.project_id = ?").bind::<BigInt, _>(id.0);
    }
    if let Some(Value::Text(name)) = name {
        tagged = tagged.text(" and c.tag = ?").bind::<Text, _>(name.clone());
    }
    tagged.text(" group by p.slug, p.slug_key, c.tag) as tagged where tagged.builds > 0 and ")
}

pub(super) fn query_tags(conn: &mut Conn, listing: &Listing) -> Outcome<Listed<UsedTag>> {
    let (limit, offset) = bounds(listing);
    let filter = &listing.selection.filter;
    let of_project = projects::required(conn, filter)?;
    let tagged =
        || used_tags(of_project, filter.required("name")).then(TAG_COLUMNS.filter(filter).0);
    let count: i64 =
        Sql::<BigInt>::new("select count(*)").then(tagged()).once().get_result(conn)?;
    let order = TAG_COLUMNS.order(&listing.selection.sort, "tagged.slug_key, tagged.name").0;
    type Columns = (Text, Text, BigInt, sql::Instant, sql::Instant);
    type Row = (String, String, i64, At, At);
    let rows: Vec<Row> = Sql::<Columns>::new(
        "select tagged.slug, tagged.name, tagged.builds, tagged.created_at, tagged.updated_at",
    )
    .then(tagged())
    .text(" order by ")
    .then(order)
    .text(" limit ? offset ?")
    .bind::<BigInt, _>(limit)
    .bind::<BigInt, _>(offset)
    .once()
    .load(conn)?;
    let tag = |(project, tag, builds, created_at, updated_at): Row| {
        Ok(UsedTag {
            project: project.parse()?,
            tag: tag.parse()?,
            builds: builds.unsigned_abs(),
            created_at: users::instant(created_at, 0)?,
            updated_at: users::instant(updated_at, 0)?,
        })
    };
    Ok(Listed {
        items: rows.into_iter().map(tag).collect::<Outcome<_>>()?,
        count: count.unsigned_abs(),
    })
}
