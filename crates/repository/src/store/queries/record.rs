//! Storing builds and steps in batches.

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use devmason_domain::{BuildId, Digest, ProjectId, Track};
use diesel::prelude::*;

use super::rows::there;
use super::uploads::Part;
use super::users::Resolved;
use super::{Conn, claims, components, tuned, users};
use crate::store::columns::Id;
use crate::store::fault::Outcome;
use crate::store::schema::{build, project};
use crate::{Appended, Claimed, NewBuild, NewStep, PackedCases, Piece, Recorded};

/// A build to insert, with its sender resolved.
pub(in super::super) struct Insert<'a> {
    pub(in super::super) new: &'a NewBuild,
    pub(in super::super) sender: Option<i64>,
    pub(in super::super) track: Track,
    pub(in super::super) revision: Option<String>,
}

/// Stores builds. `in_transaction`, an error after the insert statement fails the whole batch;
/// otherwise the insert is already committed and the error affects one build only.
pub(super) fn record_many(
    conn: &mut Conn,
    new: &[NewBuild],
    cases: &[Cow<'_, PackedCases>],
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
            let key = build.key.clone().unwrap_or_else(|| build.id.into());
            let (sender, report) = (sender.id(), &build.report);
            let (track, origin) =
                Track::of_report(report, key.as_str(), sender.is_some(), &build.variant_by);
            inserts.push(Insert { new: build, sender, track, revision: origin.revision });
        }
        senders.push(sender);
    }
    let inserted: HashSet<BuildId> =
        if inserts.is_empty() { HashSet::new() } else { tuned::insert_builds(conn, &inserts)? };

    let mut result = Vec::with_capacity(new.len());
    let mut parts = Vec::new();
    let mut withdrawn: HashSet<Digest> = HashSet::new();
    let each = new.iter().zip(cases).zip(outcomes).zip(senders);
    for (((build, cases), outcome), sender) in each {
        let outcome = match outcome {
            // The answer belongs to a request in this batch that has since failed, so it does not count: the
            // client must ask again.
            Some(Recorded::Claimed(_))
                if build.claim.as_ref().is_some_and(|claim| withdrawn.contains(&claim.scope)) =>
            {
                Recorded::Clash
            }
            Some(outcome) => outcome,
            None if inserted.contains(&build.id) => {
                let count = u32::try_from(build.report.steps.len()).unwrap_or(u32::MAX);
                let (report, steps) = (&build.test_report, Piece { first: 0, count });
                parts.push(Part { project: build.project, build: build.id, report, cases, steps });
                Recorded::New
            }
            None => match not_inserted(conn, build) {
                Err(fault) if !in_transaction => {
                    tracing::warn!(?fault, "a build was not stored for an unknown reason");
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
    super::cases::add(conn, &parts)?;
    Ok(result)
}

/// A client may choose a key that is the text of an id the server assigned to another build of the
/// project.
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
    cases: &[Cow<'_, PackedCases>],
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
    for ((step, cases), outcome) in new.iter().zip(cases).zip(outcomes) {
        let failed_before = step.claim.as_ref().and_then(|claim| withdrawn.get(&claim.scope));
        let outcome = match outcome {
            // The request in this batch that this one repeats has failed, so this one fails the same way.
            Some(outcome) => failed_before.cloned().unwrap_or(outcome),
            None if appended.contains(&(step.project, step.build)) => {
                let (report, steps) = (&step.test_report, Piece::default());
                parts.push(Part { project: step.project, build: step.build, report, cases, steps });
                Appended::Done
            }
            None => match there(conn, step.project, step.build) {
                Ok(Some(true)) => Appended::Finished,
                Ok(Some(false)) => Appended::Full,
                Ok(None) => Appended::Gone,
                Err(fault) if in_transaction => return Err(fault),
                Err(fault) => {
                    tracing::warn!(?fault, "a step was not added for an unknown reason");
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
    if new.iter().any(|step| step.step.is_running() || step.test_report.upload.is_some()) {
        place_steps(conn, &mut parts)?;
        opened(conn, new, &parts, &mut result)?;
    }
    super::cases::add(conn, &parts)?;
    Ok(result)
}

/// Says where the steps were opened, also to those who asked for the same again.
fn opened(
    conn: &mut Conn,
    new: &[NewStep],
    parts: &[Part<'_>],
    result: &mut [Appended],
) -> Outcome<()> {
    let mut places = parts.iter().map(|part| part.steps.first);
    let mut told: HashMap<Digest, String> = HashMap::new();
    for (step, outcome) in new.iter().zip(result) {
        match (&*outcome, &step.claim) {
            (Appended::Done, claim) => {
                let position = places.next().unwrap_or_default();
                if !step.step.is_running() {
                    continue;
                }
                *outcome = Appended::Opened(position);
                if let Some(claim) = claim {
                    let told_them = format!("{}{position}", claim.outcome);
                    claims::tell(conn, claim, &told_them)?;
                    told.insert(claim.scope, told_them);
                }
            }
            (Appended::Claimed(Claimed::Replayed(_)), Some(claim)) => {
                if let Some(told) = told.get(&claim.scope) {
                    *outcome = Appended::Claimed(Claimed::Replayed(told.clone()));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Sets the position of each added step in its build.
fn place_steps(conn: &mut Conn, parts: &mut [Part<'_>]) -> Outcome<()> {
    // From the end: the last step of the batch is the last of its build.
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

/// Component ids as stored in a build's row: a `;` follows each, so that one can easily be cut out.
pub(in super::super) fn joined_components(new: &NewBuild) -> String {
    new.components.iter().map(|id| format!("{id};")).collect()
}

/// The indexed prefix of the host name; databases cannot store NUL in text.
pub(in super::super) fn host_key(new: &NewBuild) -> Option<String> {
    new.report.client.host_key().map(|host| host.replace('\0', "\u{fffd}"))
}

/// Tags as stored in a build's row.
pub(in super::super) fn joined_tags(new: &NewBuild) -> String {
    let tags: Vec<&str> = new.report.tags.iter().map(|tag| tag.as_str()).collect();
    tags.join(";")
}
