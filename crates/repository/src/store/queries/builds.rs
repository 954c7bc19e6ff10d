//! One build: storing it, adding to it, reading it, deleting it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use devmason_domain::query::{Filter, Value};
use devmason_domain::{
    AccountId, Build, BuildId, BuildKey, ClientRecord, Closing, Digest, JsonObject,
    Outcome as Ended, ProjectId, Sender, Step, StepName, Timestamp,
};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, SmallInt, Text};
use uuid::Uuid;

use super::filter::{Columns, bounds};
use super::tests::Part;
use super::users::{self, Resolved, instant};
use super::{
    Conn, Db, Outcome, Sql, claims, components, lists, next, projects, tests, tuned, upkeep,
};
use crate::store::columns::{At, Id};
use crate::store::fault::Fault;
use crate::store::packed::{Packed, unpack};
use crate::store::schema::{account, build, build_component, build_tag, project, sql, step};
use crate::{
    Appended, Closed, Listed, Listing, NewBuild, NewStep, Piece, PlacedStep, Recorded, Updated,
};

/// The collection's name in the store: it counts changes of builds that were there, and no members.
pub(super) const COLLECTION: &str = "builds";

#[derive(Queryable, Selectable)]
#[diesel(table_name = build)]
pub(super) struct Row {
    project_id: i64,
    id: Id,
    key: Option<String>,
    sender_id: Option<i64>,
    started: At,
    started_offset: i16,
    finished: Option<At>,
    finished_offset: Option<i16>,
    success: Option<bool>,
    received: At,
    tags: String,
    steps: i32,
    failed_steps: i32,
    output_bytes: i64,
    digest: Option<Vec<u8>>,
    updated_at: At,
    version: i64,
    client: String,
    components: String,
    tests: String,
}

/// A build with its sender's name, and the key that the name has while the user is there.
pub(super) type Joined = (Row, Option<String>, Option<String>);

pub(super) fn domain((row, username, username_key): Joined) -> Outcome<Build> {
    let username =
        username.filter(|_| username_key.is_some()).map(|name| name.parse()).transpose()?;
    let outcome = match (row.success, row.finished, row.finished_offset) {
        (Some(success), Some(at), Some(offset)) => {
            Ended::Finished { success, finished: instant(at, offset)? }
        }
        (None, None, None) => Ended::Running,
        _ => return Err(Fault::Corrupt("a build is half finished".into())),
    };
    let tags = row.tags.split(';').filter(|tag| !tag.is_empty());
    let size = |n: i32| u32::try_from(n).map_err(|_| Fault::Corrupt("a negative count".into()));
    Ok(Build {
        project: ProjectId(row.project_id),
        id: BuildId(row.id.0),
        key: row.key.map(|key| key.parse()).transpose()?,
        sender: match row.sender_id {
            Some(id) => Sender::Account(AccountId(id), username),
            None => Sender::Anonymous,
        },
        started: instant(row.started, row.started_offset)?,
        received: instant(row.received, 0)?,
        outcome,
        tags: tags.map(str::parse).collect::<Result<_, _>>()?,
        client: ClientRecord(JsonObject::from_stored(row.client)),
        components: components(&row.components)?,
        steps: size(row.steps)?,
        failed_steps: size(row.failed_steps)?,
        tests: tests::summary(&row.tests)?,
        output_bytes: u64::try_from(row.output_bytes).unwrap_or(0),
        updated_at: instant(row.updated_at, 0)?,
        digest: row.digest.and_then(|bytes| bytes.try_into().ok()).map(Digest),
        version: row.version,
    })
}

fn components(joined: &str) -> Outcome<Vec<Uuid>> {
    let ids = joined.split_terminator(';').map(Uuid::try_parse);
    ids.collect::<Result<_, _>>().map_err(|_| Fault::Corrupt("a component's id is not one".into()))
}

/// Components as a build's row keeps them: each id with a `;` behind it, so that one is easily cut out.
pub(in super::super) fn joined_components(new: &NewBuild) -> String {
    new.components.iter().map(|id| format!("{id};")).collect()
}

/// What a build is found by its host by; databases have no text with NUL.
pub(in super::super) fn host_key(new: &NewBuild) -> Option<String> {
    new.report.client.host_key().map(|host| host.replace('\0', "\u{fffd}"))
}

/// Tags as a build's row keeps them.
pub(in super::super) fn joined_tags(new: &NewBuild) -> String {
    let tags: Vec<&str> = new.report.tags.iter().map(|tag| tag.as_str()).collect();
    tags.join(";")
}

/// How many bytes a step has beside its texts, about.
const STEP: usize = 128;

/// How many bytes some steps have, of names, outputs and what clients add.
pub(in super::super) fn output_bytes(steps: &[Step]) -> i64 {
    let bytes = |step: &Step| {
        let texts = [step.name.as_str(), &step.output, &step.errout, step.extras.as_str()];
        texts.iter().map(|text| text.len()).sum::<usize>() + STEP
    };
    steps.iter().map(|step| bytes(step) as i64).sum()
}

const INSERT_STEP: &str = "
insert into step (project_id, build_id, position, name, success, started, started_offset, finished,
                  finished_offset, output, errout, extras, packed, receipt)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// Stores a step at a place of its build.
pub(in super::super) fn insert_step(
    conn: &mut Conn,
    project: ProjectId,
    build: BuildId,
    position: i32,
    step: &Step,
    receipt: Option<&str>,
) -> Outcome<()> {
    let packed = Packed::new(step);
    Sql::<()>::new(INSERT_STEP)
        .bind::<BigInt, _>(project.0)
        .bind::<sql::Uuid, _>(Id(build.0))
        .bind::<Integer, _>(position)
        .bind::<Text, _>(step.name.as_str())
        .bind::<Bool, _>(step.success)
        .bind::<sql::Instant, _>(At(step.started.micros()))
        .bind::<SmallInt, _>(step.started.offset_minutes())
        .bind::<sql::Instant, _>(At(step.finished.micros()))
        .bind::<SmallInt, _>(step.finished.offset_minutes())
        .bind::<Binary, _>(&*packed.output)
        .bind::<Binary, _>(&*packed.errout)
        .bind::<Text, _>(step.extras.as_str())
        .bind::<SmallInt, _>(packed.flags)
        .bind::<Nullable<Text>, _>(receipt)
        .execute(conn)?;
    Ok(())
}

/// A build that is about to be inserted, its sender found or made.
pub(in super::super) struct Insert<'a> {
    pub(in super::super) new: &'a NewBuild,
    pub(in super::super) sender: Option<i64>,
}

/// Stores builds; what follows on the statement that does it fails with it only `in_transaction`: else it
/// is done, and a failure is that of one build.
pub(super) fn record_many(
    conn: &mut Conn,
    new: &[NewBuild],
    in_transaction: bool,
) -> Outcome<Vec<Recorded>> {
    let mut outcomes: Vec<Option<Recorded>> = vec![None; new.len()];
    let mut senders: Vec<Resolved> = Vec::with_capacity(new.len());
    let mut inserts: Vec<Insert<'_>> = Vec::with_capacity(new.len());
    for (build, outcome) in new.iter().zip(&mut outcomes) {
        *outcome = match &build.claim {
            Some(claim) => claims::make(conn, claim)?.map(Recorded::Claimed),
            None => None,
        };
        let sender = if outcome.is_none() {
            users::resolve(conn, &build.sender)?
        } else {
            Resolved::Id(None)
        };
        if matches!(sender, Resolved::Taken) {
            *outcome = Some(Recorded::UsernameTaken);
        } else if outcome.is_none()
            && let Some(known) = server_assigned(conn, build)?
        {
            *outcome = Some(known);
        }
        if outcome.is_none() {
            inserts.push(Insert { new: build, sender: sender.id() });
        }
        senders.push(sender);
    }
    let inserted: HashSet<BuildId> =
        if inserts.is_empty() { HashSet::new() } else { tuned::insert_builds(conn, &inserts)? };

    let mut result = Vec::with_capacity(new.len());
    let mut parts = Vec::new();
    let mut withdrawn: HashSet<Digest> = HashSet::new();
    for ((build, outcome), sender) in new.iter().zip(outcomes).zip(senders) {
        let outcome = match outcome {
            // The answer of one in this batch that then failed is no answer: ask again.
            Some(Recorded::Claimed(_))
                if build.claim.as_ref().is_some_and(|claim| withdrawn.contains(&claim.scope)) =>
            {
                Recorded::Clash
            }
            Some(outcome) => outcome,
            None if inserted.contains(&build.id) => {
                let count = u32::try_from(build.report.steps.len()).unwrap_or(u32::MAX);
                let (report, steps) = (&build.test_report, Piece { first: 0, count });
                parts.push(Part { project: build.project, build: build.id, report, steps });
                Recorded::New
            }
            None => match not_inserted(conn, build) {
                Err(fault) if !in_transaction => {
                    tracing::warn!(?fault, "nobody knows why a build was not stored");
                    Recorded::Clash
                }
                outcome => outcome?,
            },
        };
        if !matches!(outcome, Recorded::New | Recorded::Known) {
            users::withdraw(conn, &sender)?;
        }
        if !matches!(outcome, Recorded::New | Recorded::Claimed(_))
            && let Some(claim) = &build.claim
            && withdrawn.insert(claim.scope)
        {
            claims::withdraw(conn, claim)?;
        }
        result.push(outcome);
    }
    tests::add(conn, &parts)?;
    Ok(result)
}

/// A chosen key may be the text of an id that the server assigned to another build of the project.
fn server_assigned(conn: &mut Conn, new: &NewBuild) -> Outcome<Option<Recorded>> {
    let Some(id) = new.key.as_ref().and_then(BuildId::from_key) else { return Ok(None) };
    let digest = build::table.find((new.project.0, Id(id.0))).select(build::digest);
    let digest: Option<Option<Vec<u8>>> = digest.first(conn).optional()?;
    Ok(digest.map(|digest| same(new, digest)))
}

fn not_inserted(conn: &mut Conn, new: &NewBuild) -> Outcome<Recorded> {
    let there =
        project::table.filter(project::id.eq(new.project.0).and(project::slug_key.is_not_null()));
    if !diesel::select(diesel::dsl::exists(there)).get_result::<bool>(conn)? {
        return Ok(Recorded::NoProject);
    }
    if let Some(key) = &new.key {
        let digest = build::table
            .filter(build::project_id.eq(new.project.0).and(build::key.eq(key.as_str())))
            .select(build::digest)
            .first::<Option<Vec<u8>>>(conn)
            .optional()?;
        if let Some(digest) = digest {
            return Ok(same(new, digest));
        }
    }
    let are_there = components::are_there(conn, &new.components)?;
    Ok(if are_there { Recorded::Clash } else { Recorded::NoComponent })
}

fn same(new: &NewBuild, digest: Option<Vec<u8>>) -> Recorded {
    let same = digest.is_some()
        && digest.as_deref() == new.report.digest.as_ref().map(|digest| digest.0.as_slice());
    if same { Recorded::Known } else { Recorded::Differs }
}

/// Adds steps, as [`record_many`] stores builds.
pub(super) fn append_many(
    conn: &mut Conn,
    new: &[NewStep],
    in_transaction: bool,
) -> Outcome<Vec<Appended>> {
    let mut outcomes: Vec<Option<Appended>> = Vec::with_capacity(new.len());
    for step in new {
        let claimed = step.claim.as_ref().map(|claim| claims::make(conn, claim)).transpose()?;
        outcomes.push(claimed.flatten().map(Appended::Claimed));
    }
    let fresh: Vec<&NewStep> = new
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| outcome.is_none())
        .map(|(step, _)| step)
        .collect();
    let appended: HashSet<(ProjectId, BuildId)> =
        if fresh.is_empty() { HashSet::new() } else { tuned::append_steps(conn, &fresh)? };

    let mut result = Vec::with_capacity(new.len());
    let mut parts = Vec::new();
    let mut withdrawn: HashMap<Digest, Appended> = HashMap::new();
    for (step, outcome) in new.iter().zip(outcomes) {
        let failed_before = step.claim.as_ref().and_then(|claim| withdrawn.get(&claim.scope));
        let outcome = match outcome {
            // What one in this batch was promised came to nothing, so this one fails as that did.
            Some(outcome) => failed_before.cloned().unwrap_or(outcome),
            None if appended.contains(&(step.project, step.build)) => {
                let (report, steps) = (&step.test_report, Piece::default());
                parts.push(Part { project: step.project, build: step.build, report, steps });
                Appended::Done
            }
            None => match there(conn, step.project, step.build) {
                Ok(Some(true)) => Appended::Finished,
                Ok(Some(false)) => Appended::Full,
                Ok(None) => Appended::Gone,
                Err(fault) if in_transaction => return Err(fault),
                Err(fault) => {
                    tracing::warn!(?fault, "nobody knows why a step was not added");
                    Appended::Unclear
                }
            },
        };
        if matches!(outcome, Appended::Finished | Appended::Full | Appended::Gone)
            && let Some(claim) = &step.claim
            && withdrawn.insert(claim.scope, outcome.clone()).is_none()
        {
            claims::withdraw(conn, claim)?;
        }
        result.push(outcome);
    }
    place_steps(conn, &mut parts)?;
    tests::add(conn, &parts)?;
    Ok(result)
}

/// Says of steps that were just added which ones of their builds they are, where an upload needs to know.
fn place_steps(conn: &mut Conn, parts: &mut [Part<'_>]) -> Outcome<()> {
    if parts.iter().all(|part| part.report.upload.is_none()) {
        return Ok(());
    }
    // From the last, which is the last of its build.
    let mut left: HashMap<(ProjectId, BuildId), i32> = HashMap::new();
    for part in parts.iter_mut().rev() {
        let steps = match left.entry((part.project, part.build)) {
            Entry::Occupied(steps) => steps.into_mut(),
            Entry::Vacant(none) => none.insert(
                build::table
                    .find((part.project.0, Id(part.build.0)))
                    .select(build::steps)
                    .first(conn)?,
            ),
        };
        *steps -= 1;
        part.steps = Piece { first: steps.unsigned_abs(), count: 1 };
    }
    Ok(())
}

/// Whether a build is finished; nothing where it is not there.
fn there(conn: &mut Conn, project: ProjectId, id: BuildId) -> Outcome<Option<bool>> {
    let there = build::table
        .inner_join(project::table)
        .filter(build::project_id.eq(project.0).and(build::id.eq(Id(id.0))))
        .filter(project::slug_key.is_not_null());
    Ok(there.select(build::finished.is_not_null()).first(conn).optional()?)
}

pub(super) fn close(
    conn: &mut Conn,
    project: ProjectId,
    id: BuildId,
    closing: Closing,
    now: Timestamp,
) -> Outcome<Closed> {
    let running = || {
        build::table.filter(
            build::project_id
                .eq(project.0)
                .and(build::id.eq(Id(id.0)))
                .and(build::finished.is_null()),
        )
    };
    // The first update holds the row, so that no step comes between reading the steps and the end.
    let held: Option<(i32, Option<i64>, At)> = diesel::update(running())
        .set(build::version.eq(next("build.version")))
        .returning((build::failed_steps, build::sender_id, build::started))
        .get_result(conn)
        .optional()?;
    let Some((failed, sender, started)) = held else {
        return Ok(if there(conn, project, id)?.is_some() {
            Closed::Finished
        } else {
            Closed::Gone
        });
    };
    let latest: Option<(At, i16)> = step::table
        .filter(step::project_id.eq(project.0).and(step::build_id.eq(Id(id.0))))
        .order((step::finished.desc(), step::position.desc()))
        .select((step::finished, step::finished_offset))
        .first(conn)
        .optional()?;
    let finished = match (closing.finished, latest) {
        (Some(finished), _) => finished,
        // A report may be of tests that ran before the build was made.
        (None, Some((at, offset))) => instant(At(at.0.max(started.0)), offset)?,
        (None, None) => now,
    };
    diesel::update(running())
        .set((
            build::success.eq(closing.success.unwrap_or(failed == 0)),
            build::finished.eq(At(finished.micros())),
            build::finished_offset.eq(finished.offset_minutes()),
            build::updated_at.eq(At(now.micros())),
        ))
        .execute(conn)?;
    lists::bump(conn, project.0, std::iter::empty(), sender, 0)?;
    Ok(Closed::Done)
}

/// Builds with their senders' names.
macro_rules! builds {
    () => {
        build::table.left_join(account::table).select((
            Row::as_select(),
            account::username.nullable(),
            account::username_key.nullable(),
        ))
    };
}
pub(super) use builds;

pub(super) fn find(conn: &mut Conn, project: ProjectId, key: &BuildKey) -> Outcome<Option<Build>> {
    if let Some(id) = BuildId::from_key(key) {
        let filter = build::project_id.eq(project.0).and(build::id.eq(Id(id.0)));
        let row: Option<Joined> = builds!().filter(filter).first(conn).optional()?;
        // A build whose key was chosen is found by that key alone.
        if let Some(row) = row.filter(|row| row.0.key.is_none()) {
            return domain(row).map(Some);
        }
    }
    let filter = build::project_id.eq(project.0).and(build::key.eq(key.as_str()));
    builds!().filter(filter).first(conn).optional()?.map(domain).transpose()
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = step)]
struct StepRow {
    build_id: Id,
    position: i32,
    name: String,
    success: bool,
    started: At,
    started_offset: i16,
    finished: At,
    finished_offset: i16,
    output: Vec<u8>,
    errout: Vec<u8>,
    extras: String,
    packed: i16,
}

impl TryFrom<StepRow> for Step {
    type Error = Fault;
    fn try_from(row: StepRow) -> Outcome<Self> {
        let (output, errout) = unpack(row.output, row.errout, row.packed)?;
        Ok(Self {
            name: StepName::from_stored(row.name),
            success: row.success,
            started: instant(row.started, row.started_offset)?,
            finished: instant(row.finished, row.finished_offset)?,
            output,
            errout,
            extras: JsonObject::from_stored(row.extras),
        })
    }
}

/// Steps are only ever added, so those below the count that was read with the build are the steps
/// that it had then: a consistent answer without a snapshot.
pub(super) fn steps(conn: &mut Conn, of: &[Build]) -> Outcome<Vec<Option<Vec<Step>>>> {
    let mut by_project: HashMap<i64, Vec<Id>> = HashMap::new();
    for build in of.iter().filter(|build| build.steps > 0) {
        by_project.entry(build.project.0).or_default().push(Id(build.id.0));
    }
    let mut found: HashMap<(i64, Id), Vec<StepRow>> = HashMap::new();
    for (project, ids) in by_project {
        let rows = match ids.as_slice() {
            [id] => step::table
                .filter(step::project_id.eq(project).and(step::build_id.eq(*id)))
                .order(step::position)
                .select(StepRow::as_select())
                .load(conn)?,
            _ => step::table
                .filter(step::project_id.eq(project).and(step::build_id.eq_any(ids)))
                .order((step::build_id, step::position))
                .select(StepRow::as_select())
                .load(conn)?,
        };
        for row in rows {
            found.entry((project, row.build_id)).or_default().push(row);
        }
    }
    of.iter()
        .map(|build| {
            let mut rows = found.remove(&(build.project.0, Id(build.id.0))).unwrap_or_default();
            rows.retain(|row| i64::from(row.position) < i64::from(build.steps));
            if rows.len() as u64 != u64::from(build.steps) {
                return Ok(None);
            }
            rows.into_iter().map(Step::try_from).collect::<Outcome<_>>().map(Some)
        })
        .collect()
}

pub(super) fn delete(
    conn: &mut Conn,
    project: ProjectId,
    id: BuildId,
    seen: Option<i64>,
) -> Outcome<Updated<()>> {
    let this = || build::project_id.eq(project.0).and(build::id.eq(Id(id.0)));
    let deleted: Option<(Option<i64>, String)> = diesel::delete(build::table.filter(this()))
        .filter(build::version.eq(seen.unwrap_or(0)).or(seen.is_none().into_sql::<Bool>()))
        .returning((build::sender_id, build::tags))
        .get_result(conn)
        .optional()?;
    let Some((sender, tags)) = deleted else {
        return Ok(if there(conn, project, id)?.is_some() {
            Updated::Stale
        } else {
            Updated::Gone
        });
    };
    diesel::delete(
        step::table.filter(step::project_id.eq(project.0).and(step::build_id.eq(Id(id.0)))),
    )
    .execute(conn)?;
    let of_it =
        build_component::project_id.eq(project.0).and(build_component::build_id.eq(Id(id.0)));
    diesel::delete(build_component::table.filter(of_it)).execute(conn)?;
    tests::forget(conn, project, id)?;
    let tags: Vec<&str> = tags.split(';').filter(|tag| !tag.is_empty()).collect();
    for tag in &tags {
        diesel::delete(build_tag::table.find((project.0, tag, Id(id.0)))).execute(conn)?;
    }
    lists::bump(conn, project.0, tags.iter().copied(), sender, -1)?;
    upkeep::collection_changed(conn, COLLECTION, 0)?;
    Ok(Updated::Done(()))
}

/// Steps, over `step join project`.
const STEP_COLUMNS: Columns = Columns {
    fields: &[
        ("id", tuned::STEP_ID),
        ("build_id", "step.build_id"),
        ("project", "project.slug_key"),
        ("position", "step.position"),
        ("name", "step.name"),
        ("success", "step.success"),
        ("started", "step.started"),
        ("finished", "step.finished"),
    ],
    folded: &["project"],
    sets: &[],
    open: "null",
    scanned: "step.position",
    indexed: &[],
};

/// A step in a list: without its outputs, of which a thousand may be more than a server holds.
#[derive(Queryable, Selectable)]
#[diesel(table_name = step)]
struct PlacedRow {
    project_id: i64,
    build_id: Id,
    position: i32,
    name: String,
    success: bool,
    started: At,
    started_offset: i16,
    finished: At,
    finished_offset: i16,
    extras: String,
}

impl PlacedRow {
    fn step(self) -> Outcome<Step> {
        Ok(Step {
            name: StepName::from_stored(self.name),
            success: self.success,
            started: instant(self.started, self.started_offset)?,
            finished: instant(self.finished, self.finished_offset)?,
            output: String::new(),
            errout: String::new(),
            extras: JsonObject::from_stored(self.extras),
        })
    }

    /// The step, with the version of its build.
    fn placed(self, versions: &HashMap<Id, i64>) -> Outcome<PlacedStep> {
        Ok(PlacedStep {
            project: ProjectId(self.project_id),
            build: BuildId(self.build_id.0),
            // A build that was removed in between has none.
            version: versions.get(&self.build_id).copied().unwrap_or_default(),
            position: self.position.unsigned_abs(),
            step: self.step()?,
        })
    }
}

pub(super) fn step_at(conn: &mut Conn, of: &Build, nth: u32) -> Outcome<Option<Step>> {
    let Ok(position) = i32::try_from(nth) else { return Ok(None) };
    if nth >= of.steps {
        return Ok(None);
    }
    let row: Option<StepRow> = step::table
        .find((of.project.0, Id(of.id.0), position))
        .select(StepRow::as_select())
        .first(conn)
        .optional()?;
    row.map(Step::try_from).transpose()
}

/// How many steps of a build an outline has.
const OUTLINE: i32 = 1_000;

pub(super) fn outline(conn: &mut Conn, of: &[Build]) -> Outcome<Vec<Vec<Step>>> {
    let mut by_project: HashMap<i64, Vec<Id>> = HashMap::new();
    for build in of.iter().filter(|build| build.steps > 0) {
        by_project.entry(build.project.0).or_default().push(Id(build.id.0));
    }
    let mut found: HashMap<Id, Vec<Step>> = HashMap::new();
    for (project, ids) in by_project {
        let rows: Vec<PlacedRow> = step::table
            .filter(step::project_id.eq(project).and(step::build_id.eq_any(ids)))
            .filter(step::position.lt(OUTLINE))
            .order((step::build_id, step::position))
            .select(PlacedRow::as_select())
            .load(conn)?;
        for row in rows {
            let id = row.build_id;
            found.entry(id).or_default().push(row.step()?);
        }
    }
    Ok(of.iter().map(|build| found.remove(&Id(build.id.0)).unwrap_or_default()).collect())
}

/// The project and the build that all steps, or test cases, of a selection are of, where it says so: what the key of the
/// table begins with.
pub(super) fn place(conn: &mut Conn, filter: &Filter) -> Outcome<(Option<ProjectId>, Option<Id>)> {
    let Some(Value::Uuid(id)) = filter.required("build_id") else {
        return Ok((projects::required(conn, filter)?, None));
    };
    let id = Id(*id);
    let project: Option<i64> =
        build::table.filter(build::id.eq(id)).select(build::project_id).first(conn).optional()?;
    Ok((Some(project.map_or(projects::NONE, ProjectId)), Some(id)))
}

pub(super) fn query_steps(conn: &mut Conn, listing: &Listing) -> Outcome<Listed<PlacedStep>> {
    let (limit, offset) = bounds(listing);
    let (of_project, of_build) = place(conn, &listing.selection.filter)?;
    let selected = || {
        let mut all = step::table
            .inner_join(project::table)
            .into_boxed::<Db>()
            .filter(project::slug_key.is_not_null())
            .filter(STEP_COLUMNS.filter(&listing.selection.filter));
        if let Some(id) = of_project {
            all = all.filter(step::project_id.eq(id.0));
        }
        if let Some(id) = of_build {
            all = all.filter(step::build_id.eq(id));
        }
        all
    };
    let count: i64 = selected().count().get_result(conn)?;
    let rows: Vec<PlacedRow> = selected()
        .order(
            STEP_COLUMNS
                .order(&listing.selection.sort, "step.project_id, step.build_id, step.position"),
        )
        .limit(limit)
        .offset(offset)
        .select(PlacedRow::as_select())
        .load(conn)?;
    let mut ids: Vec<Id> = rows.iter().map(|row| row.build_id).collect();
    // Steps of one build stand beside each other, unless they are sorted otherwise.
    ids.dedup();
    let versions: HashMap<Id, i64> = build::table
        .filter(build::id.eq_any(ids))
        .select((build::id, build::version))
        .load(conn)?
        .into_iter()
        .collect();
    Ok(Listed {
        items: rows.into_iter().map(|row| row.placed(&versions)).collect::<Outcome<_>>()?,
        count: count.unsigned_abs(),
    })
}
