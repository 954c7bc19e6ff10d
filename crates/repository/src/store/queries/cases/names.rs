//! The names of tests, and their numbers.
//!
//! A name gets its number when it is first reported; the number never changes and is never used
//! again while the project exists. Reports repeat the same names, so numbers are cached: a report
//! of known names asks the database for none.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use devmason_domain::{ProjectId, TestResult};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use sha2::{Digest as _, Sha256};

use super::{Conn, ROWS, Sql, Store, TextKey, tuned};
use crate::Result;
use crate::store::columns::plain;
use crate::store::fault::Outcome;
use crate::store::schema::test;

/// A test's name: its key, its suite and its own name.
pub(in super::super::super) struct NameRow {
    pub(in super::super::super) key: TextKey,
    pub(in super::super::super) suite: String,
    pub(in super::super::super) name: String,
}

/// The key of a test's full name.
pub(super) fn name_key(suite: &str, name: &str) -> TextKey {
    let mut hash = Sha256::new();
    let mut add = |text: &str| match text.contains('\0') {
        true => hash.update(plain(text)),
        false => hash.update(text),
    };
    if !suite.is_empty() {
        add(suite);
        add("::");
    }
    add(name);
    let mut key = [0; 16];
    key.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    key
}

/// Number of names in each of the two generations of the cache: together they take at most 16 MiB,
/// with 64 bytes for each.
const GENERATION: usize = 128 << 10;

/// Identifies a name in the cache: two keyed hashes of 64 bits, whose keys nobody knows. They take a
/// third of the time of a [`name_key`].
type Mark = (u64, u64);

/// A mark's first half is the hash that a table needs.
#[derive(Default)]
struct First(u64);

impl Hasher for First {
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, half: u64) {
        if self.0 == 0 {
            self.0 = half;
        }
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

type Numbers = HashMap<Mark, i64, BuildHasherDefault<First>>;

/// Cached numbers of committed names, in two generations: when the newer one is full, it becomes
/// the older one, and that is dropped. A name that is used moves to the newer one.
#[derive(Default)]
pub(in super::super::super) struct Names {
    keys: (RandomState, RandomState),
    known: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    newer: Numbers,
    older: Numbers,
    /// After a dead connection another server may be answering, which may lack the last names.
    epoch: u64,
}

impl Generations {
    fn find(&mut self, mark: Mark) -> Option<i64> {
        if let Some(number) = self.newer.get(&mark) {
            return Some(*number);
        }
        let number = self.older.remove(&mark)?;
        self.learn(mark, number);
        Some(number)
    }

    fn learn(&mut self, mark: Mark, number: i64) {
        if self.newer.len() >= GENERATION {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(mark, number);
    }
}

impl Names {
    fn mark(&self, project: ProjectId, test: &TestResult) -> Mark {
        let half = |key: &RandomState| {
            let mut hash = key.build_hasher();
            hash.write_i64(project.0);
            // As in the full name, which identifies a test.
            hash.write(test.suite.as_bytes());
            if !test.suite.is_empty() {
                hash.write(b"::");
            }
            hash.write(test.name.as_bytes());
            hash.finish()
        };
        (half(&self.keys.0), half(&self.keys.1))
    }

    fn lock(&self, epoch: u64) -> MutexGuard<'_, Generations> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.epoch < epoch {
            *known = Generations { epoch, ..Generations::default() };
        }
        known
    }

    fn find(&self, marks: &[Mark], epoch: u64) -> Vec<Option<i64>> {
        let mut known = self.lock(epoch);
        marks.iter().map(|mark| known.find(*mark).filter(|_| known.epoch == epoch)).collect()
    }

    fn learn(&self, found: impl Iterator<Item = (Mark, i64)>, epoch: u64) {
        let mut known = self.lock(epoch);
        if known.epoch == epoch {
            found.for_each(|(mark, number)| known.learn(mark, number));
        }
    }
}

/// The numbers of the cases' tests. Stores the names that the project lacks, in the order in which
/// they first occur, so that a report has numbers in a row. `None` if the project does not exist.
pub(super) fn numbers(
    store: &Store,
    project: ProjectId,
    tests: &[TestResult],
    epoch: u64,
) -> Result<Option<Vec<i64>>> {
    let marks: Vec<Mark> = tests.iter().map(|test| store.names.mark(project, test)).collect();
    let mut numbers = store.names.find(&marks, epoch);
    let missing: Vec<usize> = (0..tests.len()).filter(|at| numbers[*at].is_none()).collect();
    let keys: Vec<TextKey> =
        missing.iter().map(|at| name_key(&tests[*at].suite, &tests[*at].name)).collect();
    let mut is_known = HashSet::new();
    let first: Vec<(usize, TextKey)> = missing
        .iter()
        .zip(&keys)
        .filter(|(_, key)| is_known.insert(**key))
        .map(|(at, key)| (*at, *key))
        .collect();
    let mut found: HashMap<TextKey, i64> = HashMap::new();
    for some in first.chunks(ROWS) {
        let wanted: Vec<TextKey> = some.iter().map(|(_, key)| *key).collect();
        found.extend(store.read(|conn| look_up(conn, project, &wanted))?);
        let new = some.iter().filter(|(_, key)| !found.contains_key(key));
        let rows: Vec<NameRow> = new
            .map(|(at, key)| NameRow {
                key: *key,
                suite: plain(&tests[*at].suite),
                name: plain(&tests[*at].name),
            })
            .collect();
        if !rows.is_empty() {
            found.extend(store.write(|conn| add(conn, project, &rows))?);
        }
    }
    for (at, key) in missing.iter().zip(&keys) {
        numbers[*at] = found.get(key).copied();
    }
    let learned = missing.iter().filter_map(|at| Some((marks[*at], numbers[*at]?)));
    store.names.learn(learned, epoch);
    Ok(numbers.into_iter().collect())
}

pub(super) fn look_up(
    conn: &mut Conn,
    project: ProjectId,
    keys: &[TextKey],
) -> Outcome<HashMap<TextKey, i64>> {
    let rows = tuned::test_numbers(conn, project, keys)?;
    let keyed = rows.into_iter().filter_map(|(key, id)| Some((key.try_into().ok()?, id)));
    Ok(keyed.collect())
}

/// Locks a project's row against deletion, and against others who append names to the project; false
/// if it does not exist.
pub(super) fn hold(conn: &mut Conn, project: ProjectId) -> Outcome<bool> {
    let held: Option<i64> =
        Sql::<BigInt>::new("select id from project where id = ? and slug_key is not null")
            .text(tuned::FOR_NO_KEY_UPDATE)
            .bind::<BigInt, _>(project.0)
            .get_result(conn)
            .optional()?;
    Ok(held.is_some())
}

/// Stores names that the project lacked a moment ago; the numbers of all of them. Empty if the
/// project does not exist.
fn add(conn: &mut Conn, project: ProjectId, rows: &[NameRow]) -> Outcome<HashMap<TextKey, i64>> {
    if !hold(conn, project)? {
        return Ok(HashMap::new());
    }
    let keys: Vec<TextKey> = rows.iter().map(|row| row.key).collect();
    let mut known = look_up(conn, project, &keys)?;
    let new: Vec<&NameRow> = rows.iter().filter(|row| !known.contains_key(&row.key)).collect();
    let added = tuned::insert_test_names(conn, project, &new)?;
    known.extend(added.into_iter().filter_map(|(key, id)| Some((key.try_into().ok()?, id))));
    Ok(known)
}

/// The suites and names of tests, by number.
pub(in super::super) fn names(
    conn: &mut Conn,
    project: ProjectId,
    ids: impl IntoIterator<Item = i64>,
) -> Outcome<HashMap<i64, (String, String)>> {
    let mut ids: Vec<i64> = ids.into_iter().collect();
    ids.sort_unstable();
    ids.dedup();
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(ROWS) {
        let rows: Vec<(i64, String, String)> = test::table
            .filter(test::project_id.eq(project.0).and(test::id.eq_any(ids.iter().copied())))
            .select((test::id, test::suite, test::name))
            .load(conn)?;
        found.extend(rows.into_iter().map(|(id, suite, name)| (id, (suite, name))));
    }
    Ok(found)
}

/// A project's test with that full name: its number, suite and name.
pub(super) fn find(
    conn: &mut Conn,
    project: ProjectId,
    full_name: &str,
) -> Outcome<Option<(i64, String, String)>> {
    let key = super::key(&plain(full_name));
    Ok(test::table
        .filter(test::project_id.eq(project.0).and(test::key.eq(key.as_slice())))
        .select((test::id, test::suite, test::name))
        .first(conn)
        .optional()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_name_is_that_of_its_full_name() {
        for (suite, name) in [("a", "b"), ("", "b"), ("a\0", "\0b"), ("a::b", "")] {
            let full = devmason_domain::full_test_name(&plain(suite), &plain(name));
            assert_eq!(name_key(suite, name), super::super::key(&full));
        }
    }

    fn test(suite: &str, name: &str) -> TestResult {
        TestResult {
            suite: suite.into(),
            name: name.into(),
            status: devmason_domain::TestStatus::Passed,
            micros: None,
            failure: None,
            details: devmason_domain::Details::default(),
        }
    }

    #[test]
    fn names_that_are_used_stay_and_a_new_epoch_forgets_all() {
        let names = Names::default();
        let mark = |n: usize| names.mark(ProjectId(1), &test("s", &n.to_string()));
        for n in 0..3 * GENERATION {
            names.learn([(mark(n), n as i64)].into_iter(), 0);
            if n % 1000 == 0 {
                assert_eq!(names.find(&[mark(0)], 0), [Some(0)]);
            }
        }
        assert_eq!(names.find(&[mark(1)], 0), [None]);
        assert_eq!(names.find(&[mark(0)], 1), [None]);
        // What was read before is not believed any more, nor given to whom began before.
        names.learn([(mark(0), 0)].into_iter(), 0);
        names.learn([(mark(2), 2)].into_iter(), 1);
        assert_eq!(names.find(&[mark(0), mark(2)], 1), [None, Some(2)]);
        assert_eq!(names.find(&[mark(2)], 0), [None]);
    }

    #[test]
    fn a_name_is_marked_by_its_project_and_its_full_name() {
        let names = Names::default();
        let mark = |project, suite, name| names.mark(ProjectId(project), &test(suite, name));
        assert_eq!(mark(1, "a", "b::c"), mark(1, "a::b", "c"));
        assert_eq!(mark(1, "", "a::b"), mark(1, "a", "b"));
        assert_ne!(mark(1, "a", "b"), mark(2, "a", "b"));
        assert_ne!(mark(1, "a", "b"), mark(1, "a", "bc"));
    }
}
