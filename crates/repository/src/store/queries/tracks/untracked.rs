//! Builds of an older version, which get their tracks in the background.

use std::collections::{BTreeSet, HashMap};

use devmason_domain::{
    ClientRecord, JsonObject, Origin, ProjectId, TagSet, Track, TrackParts, VariantPart,
};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::super::rows::tags;
use super::super::{Conn, Sql, counts, next, projects, remember, tuned};
use crate::store::columns::Id;
use crate::store::fault::Outcome;
use crate::store::schema::{build, project};

/// Number of builds that get their tracks in one transaction.
const PIECE: i64 = 200;

pub(super) fn are_complete(conn: &mut Conn, project: ProjectId) -> Outcome<bool> {
    let without = build::table.filter(build::project_id.eq(project.0).and(build::track.is_null()));
    let any: bool = diesel::select(diesel::dsl::exists(without)).get_result(conn)?;
    Ok(!any)
}

/// A build without a track.
type Untracked = (i64, Id, Option<String>, Option<i64>, String, String);

pub(super) fn more(conn: &mut Conn) -> Outcome<bool> {
    let rows: Vec<Untracked> = Sql::<(
        BigInt,
        crate::store::schema::sql::Uuid,
        Nullable<Text>,
        Nullable<BigInt>,
        Text,
        Text,
    )>::new(format!(
        "select project_id, id, key, sender_id, client, tags from build \
         where track is null and exists (select 1 from project p where p.id = build.project_id and p.slug_key is not null) \
         order by project_id desc, id desc limit {PIECE}{}",
        tuned::UNLESS_LOCKED
    ))
    .load(conn)?;
    let projects: BTreeSet<i64> = rows.iter().map(|row| row.0).collect();
    let rules: Vec<(i64, Option<String>)> = project::table
        .filter(project::id.eq_any(&projects))
        .select((project::id, project::variant_by))
        .load(conn)?;
    // A damaged row must not keep the others from being prepared.
    let rules = rules.into_iter();
    let rules: HashMap<i64, Vec<VariantPart>> = rules
        .map(|(id, stored)| {
            (id, projects::variant_by(stored).unwrap_or_else(|_| VariantPart::usual()))
        })
        .collect();
    let mut found = Vec::with_capacity(rows.len());
    for (project, id, key, sender, client, joined) in &rows {
        let client = ClientRecord(JsonObject::from_stored(client.clone()));
        let tags: TagSet = tags(joined).unwrap_or_else(|fault| {
            tracing::warn!(project, build = %id.0, ?fault, "the tags of a build are damaged");
            TagSet::default()
        });
        let key = key.clone().unwrap_or_else(|| id.0.to_string());
        let parts =
            TrackParts { client: &client, tags: &tags, key: &key, is_credited: sender.is_some() };
        let origin = Origin::from(&client);
        let of = Track::of(parts, &origin, rules.get(project).map_or(&[][..], Vec::as_slice));
        found.push((*project, *id, of, origin.revision));
    }
    // In one order, so that two writers with the same tracks cannot deadlock.
    found.sort_unstable_by_key(|(project, id, of, _)| (*project, of.key().0, id.0));
    for (project, _, of, _) in &found {
        remember(conn, *project, of)?;
    }
    found.sort_unstable_by_key(|(project, id, ..)| (*project, id.0));
    for (project, id, of, revision) in found {
        diesel::update(build::table.find((project, id)))
            .set((
                build::track.eq(of.key().0),
                build::revision.eq(revision),
                build::version.eq(next("build.version")),
            ))
            .execute(conn)?;
    }
    for project in projects {
        counts::bump(conn, project, std::iter::empty(), None, 0)?;
    }
    if !rows.is_empty() {
        counts::collection_changed(conn, counts::BUILDS, 0)?;
    }
    Ok(!rows.is_empty())
}
