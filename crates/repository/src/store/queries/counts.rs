//! Maintained counts: builds by project, tag and sender, and sizes of collections.

use devmason_domain::{AccountId, ProjectId};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::{Conn, Sql, next, tuned};
use crate::store::fault::Outcome;
use crate::store::schema::collection;
use crate::{Changes, Scope, Tally};

/// The names of the counted collections. That of builds counts changes to existing ones, and has no
/// members.
pub(super) const BUILDS: &str = "builds";
pub(super) const PROJECTS: &str = "projects";
pub(super) const USERS: &str = "users";

/// Updates the build counts and change counts of a project, its tags and a sender.
pub(in super::super) fn bump<'a>(
    conn: &mut Conn,
    project: i64,
    tags: impl Iterator<Item = &'a str>,
    sender: Option<i64>,
    builds: i64,
) -> Outcome<()> {
    for tag in std::iter::once("").chain(tags) {
        bump_tag(conn, project, tag, builds)?;
    }
    bump_sender(conn, project, sender, builds)
}

/// Updates the counts of one tag of a project; the empty one stands for all builds.
pub(super) fn bump_tag(conn: &mut Conn, project: i64, tag: &str, builds: i64) -> Outcome<()> {
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
    Ok(())
}

fn bump_sender(conn: &mut Conn, project: i64, sender: Option<i64>, builds: i64) -> Outcome<()> {
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

/// Records that what is said of a project's builds has changed.
pub(super) fn project_changed(conn: &mut Conn, id: ProjectId) -> Outcome<()> {
    Sql::<()>::new(format!(
        "update build_count set changes = {} where tag = '' and project_id = ?",
        tuned::next("changes")
    ))
    .bind::<BigInt, _>(id.0)
    .execute(conn)?;
    Ok(())
}

/// Records that a user's builds no longer have a sender.
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
            // The sum of full change counts over many projects would overflow. It also shrinks when a project
            // is deleted, and removing a component changes builds: the change count of the collections tells
            // such cases apart.
            let others = self::changes(conn)?.count.cast_signed();
            (members, changes.wrapping_mul(0x1e37_79b9_7f4a_7c15).wrapping_add(others))
        }
    };
    Ok(Tally { members: u64::try_from(members).unwrap_or(0), changes: changes.cast_unsigned() })
}

pub(super) fn changes(conn: &mut Conn) -> Outcome<Changes> {
    let (sum, server): (i64, i64) =
        Sql::<(BigInt, BigInt)>::new(tuned::CHANGES).get_result(conn)?;
    Ok(Changes { count: sum.unsigned_abs(), server })
}

pub(super) fn collection(conn: &mut Conn, name: &str) -> Outcome<Tally> {
    let (members, changes): (i64, i64) = collection::table
        .find(name)
        .select((collection::members, collection::changes))
        .first(conn)?;
    Ok(Tally { members: members.unsigned_abs(), changes: changes.unsigned_abs() })
}

/// Records that members were added to a collection, removed from it, or changed.
pub(super) fn collection_changed(conn: &mut Conn, name: &str, members: i64) -> Outcome<()> {
    diesel::update(collection::table.find(name))
        .set((
            collection::members.eq(collection::members + members),
            collection::changes.eq(next("collection.changes")),
        ))
        .execute(conn)?;
    Ok(())
}
