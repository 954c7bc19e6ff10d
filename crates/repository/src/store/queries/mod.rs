//! Queries in ordinary Diesel. `super` names the backend: `Conn`, `Db`, and `tuned` for what differs.

mod builds;
mod claims;
mod components;
mod filter;
mod lists;
mod pool;
mod projects;
mod sql;
mod tests;
mod transfer;
mod upkeep;
mod uploads;
mod users;

use std::sync::Arc;

use devmason_domain::query::Selection;
use devmason_domain::{
    Account, AccountId, Build, BuildId, BuildKey, Closing, Component, ComponentDetails,
    ComponentName, ComponentType, Digest, PageRequest, PasswordHash, Project, ProjectId,
    ProjectName, Reporting, Slug, Step, Tag, Timestamp, Username,
};

use diesel::expression::SqlLiteral;
use diesel::sql_types::BigInt;
use uuid::Uuid;

use super::{Conn, Db, tuned};
use crate::store::fault::Fault;
use crate::*;

#[allow(unused_imports, reason = "only SQLite stores step by step")]
pub(super) use builds::insert_step;
pub(super) use builds::{Insert, host_key, joined_components, joined_tags, output_bytes};
#[allow(unused_imports, reason = "PostgreSQL asks in the statement that stores")]
pub(super) use components::are_there;
pub(super) use lists::Met;
#[allow(unused_imports, reason = "only SQLite counts row by row")]
pub(super) use lists::bump;
pub(super) use pool::{Epoch, Pool, Trouble, establish};
pub(super) use sql::Sql;
pub(super) use tests::{FailureRow, NameRow, ResultRow};

/// From this length on, in bytes, a write-ahead log is cut off: SQLite does not do it while reads overlap.
const LONG_LOG: u64 = 16 << 20;

/// What a query gives inside of a transaction.
pub(super) type Outcome<T> = std::result::Result<T, Fault>;

/// The next version of a row, or count of its changes: the present in microseconds, or one more than the last where that is
/// later. So none comes twice, not even in a store that was restored from an older backup.
fn next(column: &str) -> SqlLiteral<BigInt> {
    diesel::dsl::sql(&tuned::next(column))
}

/// The store: connections for reading and for writing.
pub(super) struct Store {
    pub(super) readers: Pool,
    pub(super) writers: Pool,
    /// One connection that asks whether the database answers, whatever the others wait for.
    pub(super) pulse: Pool,
    /// And one that sees how it is, and keeps it in order.
    pub(super) care: Pool,
    pub(super) trouble: Arc<Trouble>,
    /// The last, as closing its files ends all locks of this process on them.
    pub(super) glance: tuned::Glance,
}

impl Store {
    fn read<T>(&self, query: impl Fn(&mut Conn) -> Outcome<T>) -> Result<T> {
        self.readers.read(query)
    }

    /// What one statement does is whole without a transaction around it, where the store has such a
    /// statement: that saves two round trips.
    fn write_at_once<T>(&self, query: impl Fn(&mut Conn) -> Outcome<T>) -> Result<T> {
        if tuned::ONE_STATEMENT { self.writers.once(query) } else { self.write(query) }
    }

    /// One transaction. It is not tried again: whether a lost COMMIT was done, nobody knows.
    fn write<T>(&self, query: impl Fn(&mut Conn) -> Outcome<T>) -> Result<T> {
        self.glance.is_there()?;
        self.writers.once(|conn| tuned::write(conn, |conn| query(conn)))
    }
}

impl Projects for Store {
    fn project_find(&self, slug: &Slug) -> Result<Option<Project>> {
        self.read(|conn| projects::find(conn, slug))
    }
    fn projects_by_id(&self, ids: &[ProjectId]) -> Result<Vec<Project>> {
        self.read(|conn| projects::by_id(conn, ids))
    }
    fn project_list(&self, page: PageRequest) -> Result<Vec<Project>> {
        self.read(|conn| projects::list(conn, page))
    }
    fn project_tally(&self) -> Result<Tally> {
        self.read(|conn| upkeep::tally(conn, projects::COLLECTION))
    }
    fn project_register(&self, new: &NewProject) -> Result<Registered> {
        self.write(|conn| projects::register(conn, new))
    }
    fn project_update(
        &self,
        id: ProjectId,
        name: &ProjectName,
        reporting: Option<Reporting>,
        seen: Option<i64>,
    ) -> Result<Updated<Project>> {
        self.write(|conn| projects::update(conn, id, name, reporting, seen))
    }
    fn project_delete(&self, id: ProjectId, seen: Option<i64>) -> Result<Updated<()>> {
        self.write(|conn| projects::delete(conn, id, seen))
    }
}

impl Builds for Store {
    fn writers(&self) -> usize {
        tuned::WRITERS
    }
    fn build_record_many(&self, new: &[NewBuild]) -> Result<Vec<Recorded>> {
        let needs_more = |new: &NewBuild| {
            new.claim.is_some()
                || matches!(new.sender, Actor::Newcomer(_))
                || !new.test_report.is_empty()
        };
        if new.iter().any(needs_more) {
            self.write(|conn| builds::record_many(conn, new, true))
        } else {
            self.write_at_once(|conn| builds::record_many(conn, new, !tuned::ONE_STATEMENT))
        }
    }
    fn step_append_many(&self, new: &[NewStep]) -> Result<Vec<Appended>> {
        let needs_more = |new: &NewStep| new.claim.is_some() || !new.test_report.is_empty();
        if new.iter().any(needs_more) {
            self.write(|conn| builds::append_many(conn, new, true))
        } else {
            self.write_at_once(|conn| builds::append_many(conn, new, !tuned::ONE_STATEMENT))
        }
    }
    fn build_close(
        &self,
        project: ProjectId,
        id: BuildId,
        closing: Closing,
        now: Timestamp,
    ) -> Result<Closed> {
        self.write(|conn| builds::close(conn, project, id, closing, now))
    }
    fn build_find(&self, project: ProjectId, key: &BuildKey) -> Result<Option<Build>> {
        self.read(|conn| builds::find(conn, project, key))
    }
    fn build_list(&self, query: &BuildQuery) -> Result<BuildPart> {
        self.read(|conn| lists::list(conn, query))
    }
    fn build_count(&self, scope: &Scope, selection: &Selection) -> Result<Count> {
        self.read(|conn| lists::count(conn, scope, selection))
    }
    fn build_tally(&self, scope: &Scope) -> Result<Tally> {
        self.read(|conn| lists::tally(conn, scope))
    }
    fn step_list(&self, of: &[Build]) -> Result<Vec<Option<Vec<Step>>>> {
        self.read(|conn| builds::steps(conn, of))
    }
    fn step_one(&self, of: &Build, nth: u32) -> Result<Option<Step>> {
        self.read(|conn| builds::step_at(conn, of, nth))
    }
    fn step_outline(&self, of: &[Build]) -> Result<Vec<Vec<Step>>> {
        self.read(|conn| builds::outline(conn, of))
    }
    fn build_delete(
        &self,
        project: ProjectId,
        id: BuildId,
        seen: Option<i64>,
    ) -> Result<Updated<()>> {
        self.write(|conn| builds::delete(conn, project, id, seen))
    }
}

impl Tests for Store {
    fn test_list(&self, query: &TestQuery) -> Result<Vec<PlacedTest>> {
        self.read(|conn| tests::list(conn, query))
    }
    fn test_history(
        &self,
        project: ProjectId,
        full_name: &str,
        from: Option<(BuildId, u32)>,
        limit: u64,
        is_brief: bool,
    ) -> Result<Option<Vec<TestRun>>> {
        self.read(|conn| tests::history(conn, project, full_name, from, limit, is_brief))
    }
    fn receipt_list(&self, project: ProjectId, build: BuildId, most: u32) -> Result<Receipts> {
        self.read(|conn| uploads::receipts(conn, project, build, most))
    }
    fn upload_list(&self, project: ProjectId, build: BuildId) -> Result<Vec<KeptUpload>> {
        self.read(|conn| uploads::list(conn, project, build))
    }
    fn upload_body(&self, project: ProjectId, build: BuildId, nth: u32) -> Result<Option<Vec<u8>>> {
        self.read(|conn| uploads::body(conn, project, build, nth))
    }
    fn build_reread(&self, build: &Build, new: &Reread) -> Result<Updated<()>> {
        self.write(|conn| uploads::reread(conn, build, new))
    }
}

impl Tags for Store {
    fn tag_list(&self, project: ProjectId) -> Result<Vec<Tag>> {
        self.read(|conn| lists::tags(conn, project))
    }
    fn tag_known(&self, project: ProjectId, tags: &[Tag]) -> Result<Vec<Tag>> {
        self.read(|conn| lists::known_tags(conn, project, tags))
    }
}

impl Users for Store {
    fn user_find(&self, username: &Username) -> Result<Option<Account>> {
        self.read(|conn| users::find(conn, username))
    }
    fn user_list(&self, page: PageRequest) -> Result<Vec<Account>> {
        self.read(|conn| users::list(conn, page))
    }
    fn user_tally(&self) -> Result<Tally> {
        self.read(|conn| upkeep::tally(conn, users::COLLECTION))
    }
    fn user_create(&self, new: &NewAccount) -> Result<Option<Account>> {
        self.write(|conn| users::create(conn, new))
    }
    fn user_set_password(
        &self,
        id: AccountId,
        hash: &PasswordHash,
        seen: Option<i64>,
    ) -> Result<Updated<Account>> {
        self.write(|conn| users::set_password(conn, id, hash, seen))
    }
    fn session_create(&self, hash: Digest, of: AccountId, expires: Timestamp) -> Result<()> {
        self.write(|conn| users::create_session(conn, hash, of, expires))
    }
    fn session_find(&self, hash: Digest, now: Timestamp) -> Result<Option<Account>> {
        self.read(|conn| users::find_session(conn, hash, now))
    }
    fn session_delete(&self, hash: Digest) -> Result<()> {
        self.write(|conn| users::delete_session(conn, hash))
    }
    fn user_delete(&self, id: AccountId, seen: Option<i64>) -> Result<Updated<()>> {
        self.write(|conn| users::delete(conn, id, seen))
    }
}

impl Components for Store {
    fn component_type_create(&self, new: &NewComponentType) -> Result<Created<ComponentType>> {
        self.write(|conn| {
            claims::once(conn, new.claim.as_ref(), |conn| components::create_type(conn, new))
        })
    }
    fn component_type_find(&self, named: &Named) -> Result<Option<ComponentType>> {
        self.read(|conn| components::find_type(conn, named))
    }
    fn component_types_by_id(&self, ids: &[Uuid]) -> Result<Vec<ComponentType>> {
        self.read(|conn| components::types_by_id(conn, ids))
    }
    fn component_type_list(&self, listing: &Listing) -> Result<Listed<ComponentType>> {
        self.read(|conn| components::list_types(conn, listing))
    }
    fn component_type_update(
        &self,
        id: Uuid,
        name: &ComponentName,
        seen: Option<i64>,
    ) -> Result<Changed<ComponentType>> {
        self.write(|conn| components::update_type(conn, id, name, seen))
    }
    fn component_type_delete(&self, id: Uuid, cascade: bool, seen: Option<i64>) -> Result<Removed> {
        self.write(|conn| components::delete_type(conn, id, cascade, seen))
    }
    fn component_create(&self, new: &NewComponent) -> Result<Created<Component>> {
        self.write(|conn| {
            claims::once(conn, new.claim.as_ref(), |conn| components::create(conn, new))
        })
    }
    fn component_resolve(&self, sought: &[Sought]) -> Result<Vec<Option<Uuid>>> {
        self.read(|conn| components::resolve(conn, sought))
    }
    fn component_find(&self, named: &Named) -> Result<Vec<Component>> {
        self.read(|conn| components::find(conn, named))
    }
    fn component_list(
        &self,
        of_type: Option<Uuid>,
        listing: &Listing,
    ) -> Result<Listed<Component>> {
        self.read(|conn| components::list(conn, of_type, listing))
    }
    fn component_update(
        &self,
        id: Uuid,
        name: Option<&ComponentName>,
        component_type: Option<&Named>,
        details: &ComponentDetails,
        seen: Option<i64>,
    ) -> Result<Changed<Component>> {
        self.write(|conn| components::update(conn, id, name, component_type, details, seen))
    }
    fn component_delete(&self, id: Uuid, cascade: bool, seen: Option<i64>) -> Result<Removed> {
        self.write(|conn| components::delete(conn, id, cascade, seen))
    }
}

impl Queries for Store {
    fn project_query(&self, listing: &Listing) -> Result<Listed<Project>> {
        self.read(|conn| projects::query(conn, listing))
    }
    fn user_query(&self, listing: &Listing) -> Result<Listed<Account>> {
        self.read(|conn| users::query(conn, listing))
    }
    fn build_query(&self, of_component: Option<Uuid>, listing: &Listing) -> Result<Listed<Build>> {
        self.read(|conn| lists::query(conn, of_component, listing))
    }
    fn step_query(&self, listing: &Listing) -> Result<Listed<PlacedStep>> {
        self.read(|conn| builds::query_steps(conn, listing))
    }
    fn test_query(&self, listing: &Listing) -> Result<Listed<FoundTest>> {
        self.read(|conn| tests::query(conn, listing))
    }
    fn tag_query(&self, listing: &Listing) -> Result<Listed<UsedTag>> {
        self.read(|conn| lists::query_tags(conn, listing))
    }
}

impl Transfer for Store {
    fn times_set(&self, of: &[(Moved, Timestamp, Timestamp)]) -> Result<()> {
        self.write(|conn| transfer::set_times(conn, of))
    }
}

impl Upkeep for Store {
    fn ping(&self) -> Result<()> {
        self.pulse.read(upkeep::ping)
    }
    fn ready(&self) -> Result<()> {
        self.glance.is_there()?;
        self.trouble.corrupt()?;
        self.care.read(tuned::may_write)?;
        if self.trouble.is_full() {
            self.care.once(|conn| tuned::write(conn, upkeep::write_something))?;
            self.trouble.has_space();
        }
        Ok(())
    }
    fn tidy(&self) -> Result<()> {
        match self.glance.log_bytes() {
            Some(bytes) if bytes > LONG_LOG => self.care.once(tuned::shorten_log),
            _ => Ok(()),
        }
    }
    fn log_bytes(&self) -> Option<u64> {
        self.glance.log_bytes()
    }
    fn changes(&self) -> Result<Changes> {
        self.glance.look(|| {
            let changes = self.read(upkeep::changes)?;
            // Where connections were found dead, it may be another server that answers.
            let server = changes.server.wrapping_add(self.readers.epoch().cast_signed());
            Ok(Changes { server, ..changes })
        })
    }
    fn changes_at_once(&self) -> Option<Changes> {
        self.glance.last()
    }
    fn latest(&self) -> Result<Option<Timestamp>> {
        self.read(upkeep::latest)
    }
    fn purge(&self, now: Timestamp, uploads: Retention) -> Result<bool> {
        self.write(|conn| upkeep::purge(conn, now, uploads))
    }
}
