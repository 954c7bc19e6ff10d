//! Test cases of builds, packed into strips. Each name and each failure is stored once per project.

mod evaluate;
mod find;
mod names;
mod pack;
mod read;
mod unpacked;

use std::collections::HashMap;

use devmason_domain::{BuildId, ProjectId, TestStatus};
use devmason_strips::WaitingCases;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use sha2::{Digest as _, Sha256};

use super::{Conn, Db, Sql, Store, narrow, rows, sightings, tuned, uploads};
use crate::store::columns::Id;
use crate::store::fault::{Fault, Outcome};
use crate::store::schema::sql;
use crate::{PackedCases, Result, TestHistory, TestQuery, Tests};

pub(super) use find::query;
pub(super) use names::names;
pub(in super::super) use names::{NameRow, Names};
pub(in super::super) use pack::FailureRow;
pub(super) use pack::add;
pub(super) use read::{builds_of, failures, numbers, position};
pub(in super::super) use unpacked::convert;

/// The first half of a hash, used as the lookup key of texts of any length.
pub(in super::super) type TextKey = [u8; 16];

fn key(text: &str) -> TextKey {
    let mut key = [0; 16];
    let hash = Sha256::digest(text);
    key.iter_mut().zip(hash.iter()).for_each(|(to, from)| *to = *from);
    key
}

/// Number of rows per statement, where the backend batches them, and of keys that one looks up.
const ROWS: usize = 1_000;

/// A case's full name.
pub(super) const FULL_NAME: &str =
    "(case when test.suite = '' then test.name else test.suite || '::' || test.name end)";

/// Removes the cases of a build.
pub(super) fn remove(conn: &mut Conn, project: ProjectId, id: BuildId) -> Outcome<()> {
    Sql::<()>::new("delete from strip where project_id = ? and build_id = ?")
        .bind::<BigInt, _>(project.0)
        .bind::<sql::Uuid, _>(Id(id.0))
        .execute(conn)?;
    sightings::remove(conn, project, id)
}

impl Tests for Store {
    fn test_pack(&self, project: ProjectId, tests: &WaitingCases) -> Result<PackedCases> {
        pack::pack(self, project, tests)
    }
    fn test_list(&self, query: &TestQuery) -> Result<Vec<crate::PlacedTest>> {
        self.read(|conn| read::list(conn, query))
    }
    fn test_places(
        &self,
        project: ProjectId,
        build: BuildId,
        full_names: &[String],
    ) -> Result<HashMap<String, (u32, TestStatus)>> {
        self.read(|conn| read::places(conn, project, build, full_names))
    }
    fn test_history(
        &self,
        project: ProjectId,
        full_name: &str,
        from: Option<(BuildId, u32)>,
        limit: u64,
        is_brief: bool,
    ) -> Result<Option<TestHistory>> {
        self.read(|conn| read::history(conn, project, full_name, from, limit, is_brief))
    }
}
