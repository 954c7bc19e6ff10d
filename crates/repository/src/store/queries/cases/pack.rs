//! Packing cases, and storing them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use devmason_domain::{ProjectId, TestResult, TestSummary};
use devmason_strips::{Packer, Strip, WaitingCases};
use diesel::prelude::*;

use super::names::{hold, numbers};
use super::rows::summary;
use super::sightings::Signatures;
use super::uploads::{self, Part};
use super::{Conn, Fault, Id, Outcome, ROWS, Store, TextKey, key, tuned};
use crate::store::packed::pack as compress;
use crate::store::schema::{build, strip, test_failure};
use crate::{Cases, Error, PackedCases, PackedFailure, Result};

/// A text that many cases may share.
pub(in super::super::super) struct FailureRow<'a> {
    pub(in super::super::super) project: ProjectId,
    pub(in super::super::super) failure: &'a PackedFailure,
}

fn json(value: &impl serde::Serialize) -> Outcome<String> {
    serde_json::to_string(value).map_err(|error| Fault::Corrupt(error.to_string()))
}

/// Packs the cases of a report. What it stores is committed before the report is: names, because
/// their numbers are packed, and failures that are too many to be stored with the report.
pub(super) fn pack(store: &Store, project: ProjectId, tests: &WaitingCases) -> Result<PackedCases> {
    let epoch = store.readers.epoch();
    let (mut packer, mut summary) = (Packer::default(), TestSummary::default());
    let mut texts = Texts::default();
    // A piece at a time, so that the cases are never in memory all at once.
    for piece in tests.pieces() {
        let piece = piece.map_err(Fault::from).map_err(Fault::into_error)?;
        let Some(numbers) = numbers(store, project, &piece, epoch)? else {
            // The report is about to be refused.
            return Ok(PackedCases::default());
        };
        summary.add(&piece);
        for (number, test) in numbers.iter().zip(piece.iter()) {
            let failure = texts.failure(test).map_err(Fault::into_error)?;
            packer.push(*number, test, failure.as_ref());
        }
    }
    let failures = missing(store, project, texts.in_order())?;
    let failures = if failures.len() > ROWS {
        for piece in failures.chunks(ROWS) {
            let rows: Vec<_> =
                piece.iter().map(|failure| FailureRow { project, failure }).collect();
            store.write(|conn| {
                if hold(conn, project)? { tuned::insert_test_failures(conn, &rows) } else { Ok(()) }
            })?;
        }
        Vec::new()
    } else {
        failures
    };
    let (strips, signatures) = (packer.finish(), texts.signatures.found());
    Ok(PackedCases { summary, strips, signatures, failures, epoch })
}

/// The failures of a report, each once.
#[derive(Default)]
struct Texts {
    failures: HashMap<TextKey, PackedFailure>,
    signatures: Signatures,
}

impl Texts {
    /// The key of a test's failure, if it has one.
    fn failure(&mut self, test: &TestResult) -> Outcome<Option<TextKey>> {
        let Some(failure) = &test.failure else { return Ok(None) };
        let text = json(failure)?;
        let key = key(&text);
        if test.status.is_bad() {
            self.signatures.look_at(key, failure);
        }
        self.failures.entry(key).or_insert_with(|| {
            let body = compress(&text);
            let is_packed = matches!(body, Cow::Owned(_));
            PackedFailure { key, body: body.into_owned(), is_packed }
        });
        Ok(Some(key))
    }

    /// In the order of their keys, so that two writers with the same ones cannot deadlock.
    fn in_order(&mut self) -> Vec<PackedFailure> {
        let mut failures: Vec<_> = std::mem::take(&mut self.failures).into_values().collect();
        failures.sort_unstable_by_key(|failure| failure.key);
        failures
    }
}

/// The failures that are not stored yet.
fn missing(
    store: &Store,
    project: ProjectId,
    mut failures: Vec<PackedFailure>,
) -> Result<Vec<PackedFailure>> {
    let mut known: HashSet<Vec<u8>> = HashSet::new();
    for piece in failures.chunks(ROWS) {
        let keys: Vec<&[u8]> = piece.iter().map(|failure| failure.key.as_slice()).collect();
        let found: Vec<Vec<u8>> = store.read(|conn| {
            let of_it = test_failure::project_id.eq(project.0);
            let these = of_it.and(test_failure::key.eq_any(keys.iter().copied()));
            Ok(test_failure::table.filter(these).select(test_failure::key).load(conn)?)
        })?;
        known.extend(found);
    }
    failures.retain(|failure| !known.contains(failure.key.as_slice()));
    Ok(failures)
}

impl Store {
    /// The cases of a report, packed.
    pub(in super::super) fn packed<'a>(
        &self,
        project: ProjectId,
        cases: &'a Cases,
    ) -> Result<Cow<'a, PackedCases>> {
        let packed = match cases {
            Cases::Packed(packed) => Cow::Borrowed(packed),
            Cases::Given(tests) if tests.is_empty() => Cow::Owned(PackedCases::default()),
            Cases::Given(tests) => Cow::Owned(pack(self, project, tests)?),
        };
        if !packed.is_empty() && packed.epoch != self.readers.epoch() {
            return Err(Error::Busy("another database server may have taken over".into()));
        }
        Ok(packed)
    }
}

/// Appends cases to their builds, whose rows are locked.
pub(in super::super) fn add(conn: &mut Conn, parts: &[Part<'_>]) -> Outcome<()> {
    let parts = || parts.iter().filter(|part| !part.is_empty());
    let mut failures: Vec<FailureRow<'_>> = Vec::new();
    for part in parts() {
        let rows = part.cases.failures.iter();
        failures.extend(rows.map(|failure| FailureRow { project: part.project, failure }));
    }
    failures.sort_unstable_by_key(|row| (row.project, row.failure.key));
    failures.dedup_by_key(|row| (row.project, row.failure.key));
    for piece in failures.chunks(ROWS) {
        tuned::insert_test_failures(conn, piece)?;
    }
    for part in parts() {
        let this = || build::table.find((part.project.0, Id(part.build.0)));
        let (known, is_credited): (String, bool) =
            this().select((build::tests, build::sender_id.is_not_null())).first(conn)?;
        let mut summary = summary(&known)?;
        uploads::add(conn, part, uploads::count(&summary))?;
        if part.cases.is_empty() {
            continue;
        }
        let of_build = (part.project, Id(part.build.0));
        insert(conn, of_build, uploads::count(&summary), &part.cases.strips)?;
        tuned::insert_sightings(conn, of_build, is_credited, &part.cases.signatures)?;
        summary.merge(&part.cases.summary);
        diesel::update(this()).set(build::tests.eq(json(&summary)?)).execute(conn)?;
    }
    Ok(())
}

/// Inserts strips behind those of their build, which has so many cases.
pub(super) fn insert(
    conn: &mut Conn,
    (project, build): (ProjectId, Id),
    mut first: u32,
    strips: &[Strip],
) -> Outcome<()> {
    let last: Option<i32> = match first {
        0 => None,
        _ => strip::table
            .filter(strip::project_id.eq(project.0).and(strip::build_id.eq(build)))
            .order(strip::nth.desc())
            .select(strip::nth)
            .first(conn)
            .optional()?,
    };
    let next = last.map_or(0, |last| last.saturating_add(1));
    for (nth, packed) in (next..).zip(strips) {
        diesel::insert_into(strip::table)
            .values((
                strip::project_id.eq(project.0),
                strip::build_id.eq(build),
                strip::nth.eq(nth),
                strip::first.eq(uploads::number(first)),
                strip::cases.eq(uploads::number(packed.cases)),
                strip::bad.eq(uploads::number(packed.bad)),
                strip::low.eq(packed.low),
                strip::high.eq(packed.high),
                strip::body.eq(packed.body.as_slice()),
                strip::details.eq(packed.details.as_deref()),
            ))
            .execute(conn)?;
        first = first.saturating_add(packed.cases);
    }
    Ok(())
}
