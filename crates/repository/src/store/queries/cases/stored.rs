//! Storing test cases.

use super::super::rows::summary;
use super::super::uploads::Part;
use super::super::{Conn, tuned, uploads};
use crate::store::columns::{Id, plain};
use crate::store::fault::{Fault, Outcome};
use crate::store::packed::pack;
use crate::store::schema::build;
use devmason_domain::{BuildId, ProjectId, TestDetails, TestResult, TestStatus, full_test_name};
use diesel::prelude::*;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;

/// The maximum number of cases per statement, where the backend batches them.
pub(super) const ROWS: usize = 1_000;

/// The first half of a hash, used as the lookup key of texts of any length.
pub(in super::super::super) type TextKey = [u8; 16];

pub(super) fn key(text: &str) -> TextKey {
    let mut key = [0; 16];
    let hash = Sha256::digest(text);
    key.iter_mut().zip(hash.iter()).for_each(|(to, from)| *to = *from);
    key
}

/// A case as it is stored.
pub(in super::super::super) struct ResultRow {
    pub(in super::super::super) project: ProjectId,
    pub(in super::super::super) build: BuildId,
    pub(in super::super::super) position: i32,
    pub(in super::super::super) test: TextKey,
    pub(in super::super::super) status: i16,
    pub(in super::super::super) micros: Option<i64>,
    pub(in super::super::super) failure: Option<TextKey>,
    pub(in super::super::super) details: Option<Vec<u8>>,
    pub(in super::super::super) packed: i16,
}

/// A text that many cases may share: its key, the text, and whether it is compressed.
pub(in super::super::super) struct FailureRow {
    pub(in super::super::super) project: ProjectId,
    pub(in super::super::super) key: TextKey,
    pub(in super::super::super) body: Vec<u8>,
    pub(in super::super::super) packed: i16,
}

/// A test's name: its key, its suite and its own name.
pub(in super::super::super) struct NameRow {
    pub(in super::super::super) project: ProjectId,
    pub(in super::super::super) key: TextKey,
    pub(in super::super::super) suite: String,
    pub(in super::super::super) name: String,
}

pub(super) fn json(value: &impl serde::Serialize) -> Outcome<String> {
    serde_json::to_string(value).map_err(|error| Fault::Corrupt(error.to_string()))
}

/// A case of one of several parts, and the key of the name or failure it may share with others.
pub(super) struct Place {
    pub(super) project: ProjectId,
    pub(super) key: TextKey,
    pub(super) part: usize,
    pub(super) case: usize,
}

/// The first case with each name or failure, in key order, so that two writers with the same ones
/// cannot deadlock.
pub(super) fn in_order(mut places: Vec<Place>) -> Vec<Place> {
    places.sort_unstable_by_key(|place| (place.project, place.key));
    places.dedup_by_key(|place| (place.project, place.key));
    places
}

/// Appends cases to their builds, whose rows are locked. Names and failures of all parts are stored
/// first. Everything is stored in chunks, so that a million cases are never in memory at once.
pub(in super::super) fn add(conn: &mut Conn, parts: &[Part<'_>]) -> Outcome<()> {
    let parts: Vec<&Part<'_>> = parts.iter().filter(|part| !part.report.is_empty()).collect();
    let (mut names, mut failures, mut firsts) = (Vec::new(), Vec::new(), Vec::new());
    for (nth, part) in parts.iter().enumerate() {
        let (project, tests) = (part.project, &part.report.tests);
        let this = || build::table.find((project.0, Id(part.build.0)));
        let known: String = this().select(build::tests).first(conn)?;
        let mut summary = summary(&known)?;
        uploads::add(conn, part, uploads::count(&summary))?;
        firsts.push(summary.total);
        if tests.is_empty() {
            continue;
        }
        for (case, result) in tests.iter().enumerate() {
            let place = |key| Place { project, key, part: nth, case };
            names.push(place(name_key(result)));
            if let Some(failure) = &result.failure {
                failures.push(place(key(&json(failure)?)));
            }
        }
        summary.add(tests);
        diesel::update(this()).set(build::tests.eq(json(&summary)?)).execute(conn)?;
    }
    let case = |place: &Place| &parts[place.part].report.tests[place.case];
    for piece in in_order(names).chunks(ROWS) {
        let rows: Vec<NameRow> = piece
            .iter()
            .map(|place| NameRow {
                project: place.project,
                key: place.key,
                suite: plain(&case(place).suite),
                name: plain(&case(place).name),
            })
            .collect();
        tuned::insert_test_names(conn, &rows)?;
    }
    for piece in in_order(failures).chunks(ROWS) {
        let rows = piece.iter().map(|place| {
            let body = json(&case(place).failure)?;
            let packed = pack(&body);
            let is_packed = matches!(packed, Cow::Owned(_)).into();
            let (project, key) = (place.project, place.key);
            Ok(FailureRow { project, key, packed: is_packed, body: packed.into_owned() })
        });
        tuned::insert_test_failures(conn, &rows.collect::<Outcome<Vec<_>>>()?)?;
    }
    for (part, first) in parts.iter().zip(firsts) {
        for (nth, piece) in part.report.tests.chunks(ROWS).enumerate() {
            let first = first + (nth * ROWS) as u64;
            let rows = (first..).zip(piece).map(|(position, result)| row(part, position, result));
            tuned::insert_test_results(conn, &rows.collect::<Outcome<Vec<_>>>()?)?;
        }
    }
    Ok(())
}

pub(super) fn name_key(result: &TestResult) -> TextKey {
    key(&full_test_name(&plain(&result.suite), &plain(&result.name)))
}

pub(super) fn row(part: &Part<'_>, position: u64, result: &TestResult) -> Outcome<ResultRow> {
    let failure = result.failure.as_ref().map(json).transpose()?;
    let details = match *result.details == TestDetails::NONE {
        true => None,
        false => Some(json(&*result.details)?),
    };
    let details = details.as_deref().map(pack);
    Ok(ResultRow {
        project: part.project,
        build: part.build,
        position: i32::try_from(position).unwrap_or(i32::MAX),
        test: name_key(result),
        status: number(result.status),
        micros: result.micros.map(|micros| i64::try_from(micros).unwrap_or(i64::MAX)),
        failure: failure.as_deref().map(key),
        packed: matches!(details, Some(Cow::Owned(_))).into(),
        details: details.map(Cow::into_owned),
    })
}

pub(super) fn number(status: TestStatus) -> i16 {
    TestStatus::ALL.iter().position(|known| *known == status).unwrap_or(0) as i16
}
