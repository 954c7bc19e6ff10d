//! Builds that clients of other systems report, under keys of those systems.

use devmason_domain::{
    Build, BuildId, ClientRecord, Digest, Project, ProjectId, Timestamp, VariantPart,
};

use crate::Result;

/// What a client of another system calls a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The build's project.
    pub project: ProjectId,
    /// The protocol that the client speaks.
    pub protocol: &'static str,
    /// The digest of its name for the build.
    pub key: Digest,
}

/// A build that a client of another system reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignBuild {
    /// Its number, unique in the store and never used again.
    pub number: i64,
    /// Its project.
    pub project: ProjectId,
    /// The build.
    pub build: BuildId,
    /// Which run under its key it is, from 1.
    pub nth: u32,
    /// When it ends unless something is heard of it; `None` if it has ended as its client said.
    pub ends: Option<Timestamp>,
}

/// Builds that clients of other systems report.
pub trait Foreign {
    /// The builds under a key, newest run first, and at most this many.
    fn foreign_runs(&self, key: &ForeignKey, limit: u32) -> Result<Vec<ForeignBuild>>;
    /// The build with a number.
    fn foreign_numbered(&self, number: i64) -> Result<Option<ForeignBuild>>;
    /// Its project and the build itself; `None` if it was deleted.
    fn foreign_held(&self, foreign: &ForeignBuild) -> Result<Option<(Project, Build)>>;
    /// Puts a build under a key as its nth run; if another one is there already, returns that.
    fn foreign_add(
        &self,
        key: &ForeignKey,
        nth: u32,
        build: BuildId,
        ends: Timestamp,
    ) -> Result<ForeignBuild>;
    /// Sets when the build with this number ends unless something is heard of it.
    fn foreign_heard(&self, number: i64, ends: Option<Timestamp>) -> Result<()>;
    /// Builds whose time has come, longest ago first, and at most this many.
    fn foreign_overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<ForeignBuild>>;
    /// Adds the receipts of files of which nothing else is stored.
    fn receipt_add(&self, project: ProjectId, build: BuildId, receipts: &[String]) -> Result<()>;
    /// Opens a finished build again. Returns whether it exists.
    fn build_reopen(&self, project: ProjectId, id: BuildId, now: Timestamp) -> Result<bool>;
    /// Replaces the client record of a build, and what follows from it, if the build has not changed
    /// since it was read. Returns whether it was replaced.
    fn build_amend(
        &self,
        build: &Build,
        client: &ClientRecord,
        variant_by: &[VariantPart],
        now: Timestamp,
    ) -> Result<bool>;
}
