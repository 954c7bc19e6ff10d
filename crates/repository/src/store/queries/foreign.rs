//! Builds that clients of other systems report.

mod events;
mod objects;

use devmason_domain::{
    Build, BuildId, ClientRecord, JsonObject, Origin, Project, ProjectId, Tag, TagSet, Timestamp,
    Track, TrackParts, limits,
};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Integer, Nullable, Text};

use super::rows::{Joined, builds, domain, tags, there};
use super::uploads::Part;
use super::{Conn, Sql, Store, cases, counts, next, projects, remember};
use crate::store::columns::{At, Id, instant};
use crate::store::fault::{Fault, Outcome};
use crate::store::schema::{build, build_tag, foreign_build, receipt, sql};
use crate::{
    Foreign, ForeignBuild, ForeignKey, ForeignKind, ForeignObject, Later, Named, NewEvent,
    NewForeignObject, PackedCases, Piece, Result, TestReport, Told, Unmade,
};

pub(super) use events::forget_before;

#[derive(Queryable, Selectable)]
#[diesel(table_name = foreign_build)]
struct Row {
    number: i64,
    project_id: i64,
    protocol: String,
    build_id: Id,
    nth: i32,
    ends: Option<At>,
    events: i32,
}

fn found(row: Row) -> Outcome<ForeignBuild> {
    Ok(ForeignBuild {
        number: row.number,
        project: ProjectId(row.project_id),
        protocol: row.protocol,
        build: BuildId(row.build_id.0),
        nth: row.nth.unsigned_abs(),
        ends: row.ends.map(|at| instant(at, 0)).transpose()?,
        events: row.events.unsigned_abs(),
    })
}

fn runs(conn: &mut Conn, key: &ForeignKey, limit: u32) -> Outcome<Vec<ForeignBuild>> {
    let rows: Vec<Row> = foreign_build::table
        .filter(foreign_build::project_id.eq(key.project.0))
        .filter(foreign_build::protocol.eq(key.protocol))
        .filter(foreign_build::key.eq(key.key.0.as_slice()))
        .order(foreign_build::nth.desc())
        .limit(limit.into())
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(found).collect()
}

fn numbered(conn: &mut Conn, number: i64) -> Outcome<Option<ForeignBuild>> {
    let row: Option<Row> =
        foreign_build::table.find(number).select(Row::as_select()).first(conn).optional()?;
    row.map(found).transpose()
}

fn add(
    conn: &mut Conn,
    key: &ForeignKey,
    nth: u32,
    id: BuildId,
    ends: Timestamp,
) -> Outcome<ForeignBuild> {
    Sql::<()>::new(
        "insert into foreign_build (project_id, protocol, key, nth, build_id, ends) \
         values (?, ?, ?, ?, ?, ?) on conflict do nothing",
    )
    .bind::<BigInt, _>(key.project.0)
    .bind::<Text, _>(key.protocol)
    .bind::<Binary, _>(key.key.0.as_slice())
    .bind::<Integer, _>(i32::try_from(nth).unwrap_or(i32::MAX))
    .bind::<sql::Uuid, _>(Id(id.0))
    .bind::<Nullable<sql::Instant>, _>(Some(At(ends.micros())))
    .execute(conn)?;
    let newest = runs(conn, key, 1)?.pop();
    newest.ok_or_else(|| Fault::Corrupt("a build's key is missing".into()))
}

fn overdue(conn: &mut Conn, now: Timestamp, limit: u32) -> Outcome<Vec<ForeignBuild>> {
    let rows: Vec<Row> = foreign_build::table
        .filter(foreign_build::ends.lt(At(now.micros())))
        .order(foreign_build::ends)
        .limit(limit.into())
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(found).collect()
}

fn held(conn: &mut Conn, foreign: &ForeignBuild) -> Outcome<Option<(Project, Build)>> {
    let project = projects::by_id(conn, &[foreign.project])?.pop();
    let filter = build::project_id.eq(foreign.project.0).and(build::id.eq(Id(foreign.build.0)));
    let row: Option<Joined> = builds!().filter(filter).first(conn).optional()?;
    Ok(project.zip(row.map(domain).transpose()?))
}

fn has_part(conn: &mut Conn, project: ProjectId, id: BuildId, part: &str) -> Outcome<bool> {
    let same = receipt::table
        .filter(receipt::project_id.eq(project.0).and(receipt::build_id.eq(Id(id.0))))
        .filter(receipt::part.eq(part));
    Ok(diesel::select(diesel::dsl::exists(same)).get_result(conn)?)
}

/// Makes what is remembered of a finished build stale: only parts of other systems' clients change one.
fn changed_after_its_end(conn: &mut Conn, finished: Option<At>) -> Outcome<()> {
    finished.map_or(Ok(()), |_| counts::collection_changed(conn, counts::BUILDS, 0))
}

fn add_receipt(
    conn: &mut Conn,
    project: ProjectId,
    id: BuildId,
    receipt: &str,
    part: Option<&str>,
) -> Outcome<()> {
    let this = build::project_id.eq(project.0).and(build::id.eq(Id(id.0)));
    // Locks the row, so that the receipt gets a number of its own.
    let held: Option<(Option<i64>, Option<At>)> = diesel::update(build::table.filter(this))
        .set(build::version.eq(next("build.version")))
        .returning((build::sender_id, build::finished))
        .get_result(conn)
        .optional()?;
    let Some((sender, finished)) = held else { return Ok(()) };
    changed_after_its_end(conn, finished)?;
    if let Some(part) = part
        && has_part(conn, project, id, part)?
    {
        return Ok(());
    }
    let report = TestReport {
        receipts: vec![receipt.to_owned()],
        part: part.map(str::to_owned),
        ..TestReport::default()
    };
    let cases = PackedCases::default();
    let steps = Piece::default();
    cases::add(conn, &[Part { project, build: id, report: &report, cases: &cases, steps }])?;
    counts::bump(conn, project.0, std::iter::empty(), sender, 0)
}

/// Opens a finished build again, as [`super::builds::close`] closes it.
fn reopen(conn: &mut Conn, project: ProjectId, id: BuildId, now: Timestamp) -> Outcome<bool> {
    let this = build::project_id.eq(project.0).and(build::id.eq(Id(id.0)));
    let sender: Option<Option<i64>> =
        diesel::update(build::table.filter(this.and(build::finished.is_not_null())))
            .set((
                build::version.eq(next("build.version")),
                build::success.eq(None::<bool>),
                build::finished.eq(None::<At>),
                build::finished_offset.eq(None::<i16>),
                build::updated_at.eq(At(now.micros())),
            ))
            .returning(build::sender_id)
            .get_result(conn)
            .optional()?;
    match sender {
        Some(sender) => {
            counts::bump(conn, project.0, std::iter::empty(), sender, 0)?;
            changed_after_its_end(conn, Some(At(now.micros())))?;
            Ok(true)
        }
        None => Ok(there(conn, project, id)?.is_some()),
    }
}

fn tell(
    conn: &mut Conn,
    project: ProjectId,
    id: BuildId,
    later: &Later,
    now: Timestamp,
) -> Outcome<bool> {
    let this = || {
        let this = build::project_id.eq(project.0).and(build::id.eq(Id(id.0)));
        build::table.filter(this)
    };
    // Most parts say nothing new, and then nobody waits for the row.
    let as_it_is: Option<(String, String)> =
        this().select((build::client, build::tags)).first(conn).optional()?;
    let Some((client, joined)) = as_it_is else { return Ok(false) };
    let client = ClientRecord(JsonObject::from_stored(client));
    if client.with(&later.members).is_none() && new_tags(&tags(&joined)?, &later.tags).is_empty() {
        return Ok(false);
    }
    type Held = (String, String, Option<i64>, Option<String>, Option<At>);
    let held: Held = diesel::update(this())
        .set((build::version.eq(next("build.version")), build::updated_at.eq(At(now.micros()))))
        .returning((build::client, build::tags, build::sender_id, build::key, build::finished))
        .get_result(conn)?;
    let (client, joined, sender, key, finished) = held;
    changed_after_its_end(conn, finished)?;
    let client = ClientRecord(JsonObject::from_stored(client));
    let client = client.with(&later.members).unwrap_or(client);
    let known = tags(&joined)?;
    let added = new_tags(&known, &later.tags);
    let all = TagSet::new(known.iter().cloned().chain(added.iter().cloned()).collect())?;
    let (key, origin) = (key.unwrap_or_else(|| id.to_string()), Origin::from(&client));
    let is_credited = sender.is_some();
    let parts = TrackParts { client: &client, tags: &all, key: &key, is_credited };
    let track = Track::of(parts, &origin, &later.variant_by);
    remember(conn, project.0, &track)?;
    let host = client.host_key().map(|host| host.replace('\0', "\u{fffd}"));
    let joined: Vec<&str> = all.iter().map(Tag::as_str).collect();
    diesel::update(this())
        .set((
            build::client.eq(client.0.as_str()),
            build::tags.eq(joined.join(";")),
            build::host.eq(host),
            build::track.eq(track.key().0),
            build::revision.eq(origin.revision),
        ))
        .execute(conn)?;
    for tag in &added {
        diesel::insert_into(build_tag::table)
            .values((
                build_tag::project_id.eq(project.0),
                build_tag::tag.eq(tag.as_str()),
                build_tag::build_id.eq(Id(id.0)),
            ))
            .execute(conn)?;
        counts::bump_tag(conn, project.0, tag.as_str(), 1)?;
    }
    counts::bump(conn, project.0, known.iter().map(Tag::as_str), sender, 0)?;
    Ok(true)
}

/// The tags that a build lacks and may still get.
fn new_tags(known: &TagSet, said: &[Tag]) -> Vec<Tag> {
    let mut added: Vec<Tag> = Vec::new();
    for tag in said {
        let is_new = !known.as_slice().contains(tag) && !added.contains(tag);
        if is_new && known.as_slice().len() + added.len() < limits::TAGS {
            added.push(tag.clone());
        }
    }
    added
}

/// Forgets what a build was called; for a build that is deleted.
pub(super) fn remove(conn: &mut Conn, project: ProjectId, id: BuildId) -> Outcome<()> {
    let of_it = foreign_build::project_id.eq(project.0).and(foreign_build::build_id.eq(Id(id.0)));
    diesel::delete(foreign_build::table.filter(of_it)).execute(conn)?;
    events::remove(conn, project, id)
}

impl Foreign for Store {
    fn foreign_runs(&self, key: &ForeignKey, limit: u32) -> Result<Vec<ForeignBuild>> {
        self.read(|conn| runs(conn, key, limit))
    }
    fn foreign_numbered(&self, number: i64) -> Result<Option<ForeignBuild>> {
        self.read(|conn| numbered(conn, number))
    }
    fn foreign_held(&self, foreign: &ForeignBuild) -> Result<Option<(Project, Build)>> {
        self.read(|conn| held(conn, foreign))
    }
    fn part_exists(&self, project: ProjectId, build: BuildId, part: &str) -> Result<bool> {
        self.read(|conn| has_part(conn, project, build, part))
    }
    fn receipt_add(
        &self,
        project: ProjectId,
        build: BuildId,
        receipt: &str,
        part: Option<&str>,
    ) -> Result<()> {
        self.write(|conn| add_receipt(conn, project, build, receipt, part))
    }
    fn foreign_add(
        &self,
        key: &ForeignKey,
        nth: u32,
        build: BuildId,
        ends: Timestamp,
    ) -> Result<ForeignBuild> {
        self.write(|conn| add(conn, key, nth, build, ends))
    }
    fn foreign_heard(&self, number: i64, ends: Option<Timestamp>) -> Result<()> {
        self.write(|conn| {
            diesel::update(foreign_build::table.find(number))
                .set(foreign_build::ends.eq(ends.map(|at| At(at.micros()))))
                .execute(conn)?;
            Ok(())
        })
    }
    fn foreign_overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<ForeignBuild>> {
        self.read(|conn| overdue(conn, now, limit))
    }
    fn event_append_many(&self, new: &[NewEvent]) -> Result<Vec<Told>> {
        self.write(|conn| events::append_many(conn, new))
    }
    fn event_list(&self, project: ProjectId, build: BuildId) -> Result<(Vec<Vec<u8>>, bool)> {
        self.read(|conn| events::list(conn, project, build))
    }
    fn event_bytes(&self, project: ProjectId, build: BuildId) -> Result<u64> {
        self.read(|conn| events::bytes(conn, project, build))
    }
    fn event_find(&self, project: ProjectId, item: &str) -> Result<Option<(ForeignBuild, u32)>> {
        self.read(|conn| events::find(conn, project, item))
    }
    fn event_item(&self, foreign: &ForeignBuild, nth: u32) -> Result<Option<String>> {
        self.read(|conn| events::item(conn, foreign, nth))
    }
    fn foreign_unmade(&self, limit: u32) -> Result<Vec<Unmade>> {
        self.read(|conn| events::unmade(conn, limit))
    }
    fn foreign_made(&self, number: i64, of: u32, ends: Option<Timestamp>) -> Result<()> {
        self.write(|conn| events::made(conn, number, of, ends))
    }
    fn foreign_object_add(&self, new: &NewForeignObject) -> Result<(ForeignObject, bool)> {
        self.write(|conn| objects::add(conn, new))
    }
    fn foreign_object_find(&self, of: ForeignKind, named: &Named) -> Result<Option<ForeignObject>> {
        self.read(|conn| objects::find(conn, of, named))
    }
    fn foreign_object_list(&self, of: ForeignKind, limit: u32) -> Result<Vec<ForeignObject>> {
        self.read(|conn| objects::list(conn, of, limit))
    }
    fn build_reopen(&self, project: ProjectId, id: BuildId, now: Timestamp) -> Result<bool> {
        self.write(|conn| reopen(conn, project, id, now))
    }
    fn build_tell(
        &self,
        project: ProjectId,
        id: BuildId,
        later: &Later,
        now: Timestamp,
    ) -> Result<bool> {
        self.write(|conn| tell(conn, project, id, later, now))
    }
}
