//! The names of tests, and their numbers.
//!
//! A name gets its number when it is first reported; the number never changes and is never used
//! again while the project exists. Reports repeat the same names, so numbers are cached: a report
//! of known names asks the database for none.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

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

/// Cached numbers of committed names, in two generations: when the newer one is full, it becomes
/// the older one, and that is dropped. A name that is used moves to the newer one.
#[derive(Default)]
pub(in super::super::super) struct Names(Mutex<Generations>);

type Numbers = HashMap<(i64, TextKey), i64>;

#[derive(Default)]
struct Generations {
    newer: Numbers,
    older: Numbers,
    /// After a dead connection another server may be answering, which may lack the last names.
    epoch: u64,
}

impl Generations {
    fn find(&mut self, key: (i64, TextKey)) -> Option<i64> {
        if let Some(number) = self.newer.get(&key) {
            return Some(*number);
        }
        let number = self.older.remove(&key)?;
        self.learn(key, number);
        Some(number)
    }

    fn learn(&mut self, key: (i64, TextKey), number: i64) {
        if self.newer.len() >= GENERATION {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(key, number);
    }
}

impl Names {
    fn find(&self, project: ProjectId, keys: &[TextKey], epoch: u64) -> Vec<Option<i64>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.epoch != epoch {
            *known = Generations { epoch, ..Generations::default() };
        }
        keys.iter().map(|key| known.find((project.0, *key))).collect()
    }

    fn learn(&self, project: ProjectId, found: &HashMap<TextKey, i64>, epoch: u64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.epoch == epoch {
            for (key, number) in found {
                known.learn((project.0, *key), *number);
            }
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
    let keys: Vec<TextKey> = tests.iter().map(|test| name_key(&test.suite, &test.name)).collect();
    let mut numbers = store.names.find(project, &keys, epoch);
    let mut missing: HashMap<TextKey, usize> = HashMap::new();
    for (at, key) in keys.iter().enumerate().rev().filter(|(at, _)| numbers[*at].is_none()) {
        missing.insert(*key, at);
    }
    if !missing.is_empty() {
        let mut first: Vec<usize> = missing.into_values().collect();
        first.sort_unstable();
        let mut found = HashMap::new();
        for some in first.chunks(ROWS) {
            let wanted: Vec<TextKey> = some.iter().map(|at| keys[*at]).collect();
            let mut here = store.read(|conn| look_up(conn, project, &wanted))?;
            let rows: Vec<NameRow> = some
                .iter()
                .filter(|at| !here.contains_key(&keys[**at]))
                .map(|at| NameRow {
                    key: keys[*at],
                    suite: plain(&tests[*at].suite),
                    name: plain(&tests[*at].name),
                })
                .collect();
            if !rows.is_empty() {
                here.extend(store.write(|conn| add(conn, project, &rows))?);
            }
            found.extend(here);
        }
        store.names.learn(project, &found, epoch);
        for (number, key) in numbers.iter_mut().zip(&keys).filter(|(number, _)| number.is_none()) {
            *number = found.get(key).copied();
        }
    }
    Ok(numbers.into_iter().collect())
}

fn look_up(
    conn: &mut Conn,
    project: ProjectId,
    keys: &[TextKey],
) -> Outcome<HashMap<TextKey, i64>> {
    let keys = keys.iter().map(<[u8; 16]>::as_slice);
    let rows: Vec<(Vec<u8>, i64)> = test::table
        .filter(test::project_id.eq(project.0).and(test::key.eq_any(keys)))
        .select((test::key, test::id))
        .load(conn)?;
    let keyed = rows.into_iter().filter_map(|(key, id)| Some((key.try_into().ok()?, id)));
    Ok(keyed.collect())
}

/// Stores names that the project lacked a moment ago; the numbers of all of them. Empty if the
/// project does not exist.
fn add(conn: &mut Conn, project: ProjectId, rows: &[NameRow]) -> Outcome<HashMap<TextKey, i64>> {
    // The lock makes others wait who append names to this project, but nobody else.
    let held: Option<i64> =
        Sql::<BigInt>::new("select id from project where id = ? and slug_key is not null")
            .text(tuned::FOR_NO_KEY_UPDATE)
            .bind::<BigInt, _>(project.0)
            .get_result(conn)
            .optional()?;
    if held.is_none() {
        return Ok(HashMap::new());
    }
    let keys: Vec<TextKey> = rows.iter().map(|row| row.key).collect();
    let known = look_up(conn, project, &keys)?;
    let new: Vec<&NameRow> = rows.iter().filter(|row| !known.contains_key(&row.key)).collect();
    tuned::insert_test_names(conn, project, &new)?;
    look_up(conn, project, &keys)
}

/// The suites and names of tests, by number.
pub(super) fn names(
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

    #[test]
    fn names_that_are_used_stay_and_a_new_epoch_forgets_all() {
        let names = Names::default();
        let key = |n: usize| super::super::key(&n.to_string());
        let project = ProjectId(1);
        for n in 0..3 * GENERATION {
            names.learn(project, &HashMap::from([(key(n), n as i64)]), 0);
            if n % 1000 == 0 {
                assert_eq!(names.find(project, &[key(0)], 0), [Some(0)]);
            }
        }
        assert_eq!(names.find(project, &[key(1)], 0), [None]);
        assert_eq!(names.find(ProjectId(2), &[key(0)], 0), [None]);
        assert_eq!(names.find(project, &[key(0)], 1), [None]);
        names.learn(project, &HashMap::from([(key(0), 0)]), 0);
        assert_eq!(names.find(project, &[key(0)], 1), [None]);
    }
}
