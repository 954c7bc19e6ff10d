//! Tags.

use std::collections::HashMap;

use devmason_domain::query::Value;
use devmason_domain::{ProjectId, Tag};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use super::filter::{Columns, bounds};
use super::{Conn, Sql, Store, narrow, tuned};
use crate::store::columns::{At, instant};
use crate::store::fault::Outcome;
use crate::store::schema::{build_count, sql};
use crate::{Listed, Listing, Result, Tags, UsedTag};

pub(super) fn list(conn: &mut Conn, project: ProjectId) -> Outcome<Vec<(Tag, u64)>> {
    let used: Vec<(String, i64)> = Sql::<(Text, BigInt)>::new(
        "select tag, cast(sum(builds) as bigint) from build_count where project_id = ? and tag <> '' \
         group by tag having sum(builds) > 0 order by tag limit 10000",
    )
    .bind::<BigInt, _>(project.0)
    .load(conn)?;
    used.iter().map(|(tag, builds)| Ok((tag.parse()?, builds.unsigned_abs()))).collect()
}

pub(super) fn known(conn: &mut Conn, project: ProjectId, asked: &[Tag]) -> Outcome<Vec<Tag>> {
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

/// Fields of tags, over their maintained counts.
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
    // A column of the counts, which are summed before any comparison.
    scanned: "tagged.builds",
    indexed: &[],
    tracks: None,
};

/// Tags with their counts. A filter on one project or one name uses the key of the counts.
fn used(of_project: Option<ProjectId>, name: Option<&Value>) -> Sql<'static, Bool> {
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

pub(super) fn query(conn: &mut Conn, listing: &Listing) -> Outcome<Listed<UsedTag>> {
    let (limit, offset) = bounds(listing);
    let filter = &listing.selection.filter;
    let of_project = narrow::required(conn, filter)?;
    let tagged = || used(of_project, filter.required("name")).then(TAG_COLUMNS.filter(filter).0);
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
            created_at: instant(created_at, 0)?,
            updated_at: instant(updated_at, 0)?,
        })
    };
    Ok(Listed {
        items: rows.into_iter().map(tag).collect::<Outcome<_>>()?,
        count: count.unsigned_abs(),
    })
}

impl Tags for Store {
    fn tag_list(&self, project: ProjectId) -> Result<Vec<(Tag, u64)>> {
        self.read(|conn| list(conn, project))
    }
    fn tag_known(&self, project: ProjectId, tags: &[Tag]) -> Result<Vec<Tag>> {
        self.read(|conn| known(conn, project, tags))
    }
}
