//! In which builds failures were seen, by their signatures.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};

use devmason_domain::{BuildId, ProjectId, Signature, SignatureKey, TestFailure};
use devmason_strips::{FailureKey, unpack};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};

use super::cases::failures;
use super::{Conn, Db, Sql, Store, tuned};
use crate::store::clock;
use crate::store::columns::{At, Id, instant};
use crate::store::fault::{Fault, Outcome};
use crate::store::schema::{build, project, sighting, sql, strip, unsigned_build};
use crate::{Beyond, Result, SHARED, SIGNATURES, Shared, Sightings};

/// Number of builds of an older version that get their signatures at once.
const PIECE: i64 = 5;

/// The signatures of the failures of a report.
#[derive(Default)]
pub(super) struct Signatures {
    looked_at: HashSet<FailureKey>,
    found: BTreeSet<SignatureKey>,
}

impl Signatures {
    /// Adds the signature of a failure. Each takes some 20 µs, so only the first texts of a report that has
    /// very many are looked at.
    pub(super) fn look_at(&mut self, key: FailureKey, failure: &TestFailure) {
        if self.looked_at.contains(&key) {
            return;
        }
        if self.looked_at.len() >= SIGNATURES {
            self.found.insert(SignatureKey::MORE);
            return;
        }
        self.looked_at.insert(key);
        self.found.extend(Signature::of(failure).map(|of| SignatureKey::of(&of.id)));
    }

    pub(super) fn found(self) -> Vec<SignatureKey> {
        self.found.into_iter().collect()
    }
}

/// Removes what was seen in a build.
pub(super) fn remove(conn: &mut Conn, project: ProjectId, build: BuildId) -> Outcome<()> {
    // In the order in which `more` changes them: who comes second waits at the first row, and finds it gone.
    for statement in [
        "delete from unsigned_build where project_id = ? and build_id = ?",
        "delete from sighting where project_id = ? and build_id = ?",
    ] {
        Sql::<()>::new(statement)
            .bind::<BigInt, _>(project.0)
            .bind::<sql::Uuid, _>(Id(build.0))
            .execute(conn)?;
    }
    Ok(())
}

/// The newest builds of a project in which failures with a signature were seen, and those of which not
/// all signatures are known.
pub(super) fn builds(
    conn: &mut Conn,
    project: ProjectId,
    signature: SignatureKey,
    (before, limit): (Option<BuildId>, i64),
) -> Outcome<Vec<Id>> {
    let mut all: Vec<Id> = Vec::new();
    for key in [signature, SignatureKey::MORE] {
        for is_credited in [true, false] {
            all.extend(some_builds(conn, project, (key, is_credited), (before, limit))?);
        }
    }
    all.sort_unstable_by_key(|id| Reverse(id.0));
    all.dedup();
    all.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(all)
}

fn some_builds(
    conn: &mut Conn,
    project: ProjectId,
    (signature, is_credited): (SignatureKey, bool),
    (before, limit): (Option<BuildId>, i64),
) -> Outcome<Vec<Id>> {
    let mut builds = sighting::table
        .filter(sighting::signature.eq(signature.0).and(sighting::credited.eq(is_credited)))
        .filter(sighting::project_id.eq(project.0))
        .into_boxed::<Db>();
    if let Some(before) = before {
        builds = builds.filter(sighting::build_id.lt(Id(before.0)));
    }
    Ok(builds
        .order(sighting::build_id.desc())
        .limit(limit)
        .select(sighting::build_id)
        .load(conn)?)
}

fn of_build(
    conn: &mut Conn,
    project: ProjectId,
    build: BuildId,
    limit: u64,
) -> Outcome<Vec<SignatureKey>> {
    let keys: Vec<i64> = sighting::table
        .filter(sighting::project_id.eq(project.0).and(sighting::build_id.eq(Id(build.0))))
        .filter(sighting::signature.ne(SignatureKey::MORE.0))
        .order(sighting::signature)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select(sighting::signature)
        .load(conn)?;
    Ok(keys.into_iter().map(SignatureKey).collect())
}

/// Seeks from project to project, at most a thousand: a common signature has very many rows.
const PROJECTS: &str = "
with recursive shared (project_id, nth) as (
  select (select min(s.project_id) from sighting s where s.signature = ? and s.credited = ?), 1
  union all
  select (select min(s.project_id) from sighting s
    where s.signature = ? and s.credited = ? and s.project_id > shared.project_id), nth + 1
  from shared where shared.project_id is not null and nth < 1000
), newest (project_id, build_id) as (
  select shared.project_id, (select s.build_id from sighting s
    where s.signature = ? and s.credited = ? and s.project_id = shared.project_id order by s.build_id desc limit 1)
  from shared where shared.project_id is not null
)
select project_id, build_id from newest where build_id >= ? and project_id <> ? order by build_id desc";

/// Maximum number of projects that are looked at, and of the newest builds in each: they may run.
const LOOKED_AT: usize = 2 * SHARED;
const NEWEST: i64 = 100;

fn beyond(conn: &mut Conn, signature: SignatureKey, of: Beyond) -> Outcome<Vec<Shared>> {
    let mut all: Vec<(i64, Id, Shared)> = Vec::new();
    let kinds: &[bool] = if of.is_credited { &[true] } else { &[true, false] };
    for is_credited in kinds {
        all.extend(beyond_of(conn, (signature, *is_credited), of)?);
    }
    all.sort_by_key(|(_, id, _)| Reverse(id.0));
    let mut known = HashSet::new();
    let newest = all.into_iter().filter(|(project, ..)| known.insert(*project));
    Ok(newest.map(|(.., shared)| shared).take(SHARED).collect())
}

/// Of builds that were sent with credentials, or of the others.
fn beyond_of(
    conn: &mut Conn,
    key: (SignatureKey, bool),
    of: Beyond,
) -> Outcome<Vec<(i64, Id, Shared)>> {
    clock::check()?;
    let (signature, is_credited) = key;
    let since = Id(of.since.map_or(uuid::Uuid::nil(), |since| BuildId::first_at(since).0));
    let projects: Vec<(i64, Id)> = Sql::<(BigInt, sql::Uuid)>::new(PROJECTS)
        .bind::<BigInt, _>(signature.0)
        .bind::<Bool, _>(is_credited)
        .bind::<BigInt, _>(signature.0)
        .bind::<Bool, _>(is_credited)
        .bind::<BigInt, _>(signature.0)
        .bind::<Bool, _>(is_credited)
        .bind::<sql::Uuid, _>(since)
        .bind::<BigInt, _>(of.project.0)
        .load(conn)?;
    let mut shared = Vec::new();
    for (project, id) in projects.into_iter().take(LOOKED_AT) {
        if shared.len() == SHARED {
            break;
        }
        let mut found = newest(conn, project, vec![id])?;
        if found.is_none() {
            clock::check()?;
            let mut ids = some_builds(conn, ProjectId(project), key, (None, NEWEST))?;
            ids.retain(|id| id.0 >= since.0);
            found = newest(conn, project, ids)?;
        }
        shared.extend(found.map(|(id, shared)| (project, id, shared)));
    }
    Ok(shared)
}

/// A build's project, its id, its client's, and when it started.
type NewestRow = (String, Id, Option<String>, At, i16);

/// The newest finished one of these builds, if the project still exists.
fn newest(conn: &mut Conn, project: i64, ids: Vec<Id>) -> Outcome<Option<(Id, Shared)>> {
    let newest = build::table
        .inner_join(project::table)
        .filter(build::project_id.eq(project).and(build::id.eq_any(ids)))
        .filter(build::finished.is_not_null().and(project::slug_key.is_not_null()));
    let row: Option<NewestRow> = newest
        .order(build::id.desc())
        .select((project::slug, build::id, build::key, build::started, build::started_offset))
        .first(conn)
        .optional()?;
    let shared = |(slug, id, key, started, offset): NewestRow| {
        let shared = Shared {
            project: slug.parse()?,
            build: key.map_or_else(|| Ok(BuildId(id.0).into()), |key| key.parse())?,
            started: instant(started, offset)?,
        };
        Ok((id, shared))
    };
    row.map(shared).transpose()
}

/// The signatures of the failed and broken cases of a build that an older version stored.
fn signatures(conn: &mut Conn, project: ProjectId, build: Id) -> Outcome<Vec<SignatureKey>> {
    let bodies: Vec<Vec<u8>> = strip::table
        .filter(strip::project_id.eq(project.0).and(strip::build_id.eq(build)))
        .filter(strip::bad.gt(0))
        .select(strip::body)
        .load(conn)?;
    let mut keys: Vec<FailureKey> = Vec::new();
    for body in bodies {
        clock::check()?;
        let body = unpack(&body)?;
        keys.extend(
            body.cases().filter(|case| case.status.is_bad()).filter_map(|case| case.failure),
        );
    }
    keys.sort_unstable();
    keys.dedup();
    // One more tells that there are more.
    keys.truncate(SIGNATURES + 1);
    let mut signatures = Signatures::default();
    for (key, failure) in failures(conn, project, keys)? {
        signatures.look_at(key, &failure);
    }
    Ok(signatures.found())
}

/// Adds the signatures of some builds of an older version, the newest of a project first.
fn more(store: &Store) -> Result<bool> {
    let todo: Vec<(i64, Id)> = store.read(|conn| {
        Ok(unsigned_build::table
            .order((unsigned_build::project_id.desc(), unsigned_build::build_id.desc()))
            .limit(PIECE)
            .load(conn)?)
    })?;
    for (project, build) in &todo {
        let of = ProjectId(*project);
        let found = store.read(|conn| match signatures(conn, of, *build) {
            // A damaged build must not keep the others from being prepared.
            Err(Fault::Corrupt(problem)) => {
                tracing::warn!(project, build = %build.0, problem, "the cases of a build are damaged");
                Ok(Vec::new())
            }
            found => found,
        })?;
        store.write(|conn| {
            // If its cases were removed or parsed again in the meantime, there is nothing to add.
            let this = unsigned_build::table.find((*project, *build));
            if diesel::delete(this).execute(conn)? > 0 {
                let sender =
                    build::table.find((*project, *build)).select(build::sender_id.is_not_null());
                let is_credited: Option<bool> = sender.first(conn).optional()?;
                tuned::insert_sightings(conn, (of, *build), is_credited == Some(true), &found)?;
            }
            Ok(())
        })?;
    }
    Ok(!todo.is_empty())
}

fn are_complete(conn: &mut Conn, project: ProjectId) -> Outcome<bool> {
    let left = unsigned_build::table.filter(unsigned_build::project_id.eq(project.0));
    let any: bool = diesel::select(diesel::dsl::exists(left)).get_result(conn)?;
    Ok(!any)
}

impl Sightings for Store {
    fn build_signatures(
        &self,
        project: ProjectId,
        build: BuildId,
        limit: u64,
    ) -> Result<Vec<SignatureKey>> {
        self.read(|conn| of_build(conn, project, build, limit))
    }
    fn seen_beyond(&self, signatures: &[SignatureKey], of: Beyond) -> Result<Vec<Vec<Shared>>> {
        self.read(|conn| signatures.iter().map(|signature| beyond(conn, *signature, of)).collect())
    }
    fn sightings_are_complete(&self, project: ProjectId) -> Result<bool> {
        self.read(|conn| are_complete(conn, project))
    }
    fn sighting_more(&self) -> Result<bool> {
        more(self)
    }
}
