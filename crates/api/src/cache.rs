//! Cached data that is still valid: projects, builds and the bodies made from them.
//!
//! The store counts how often existing data is changed or removed
//! ([`devmason_repository::Upkeep::changes`]); new builds and steps don't count. A cached value is
//! valid while that count is what it was when the value was read. Each request checks the count
//! ([`crate::looks`]).

use std::sync::Arc;
use std::time::Instant;

use actix_web::web::Bytes;
use devmason_domain::{Build, BuildKey, Project, ProjectId, Slug, State};
use devmason_repository::{Changes, Repository};
use moka::sync::Cache as Kept;

use crate::error::ApiError;
use crate::looks::Looks;
use crate::store::Store;

/// Maximum number of cached projects.
const PROJECTS: u64 = 10_000;

/// Maximum total size of cached builds without their steps, in bytes.
const BUILD_BYTES: u64 = 1 << 20;

/// Maximum total size of cached bodies, in bytes.
const BODY_BYTES: u64 = 1 << 20;

/// Maximum size of a cached body, in bytes: a few large ones must not evict all others.
const LONGEST_BODY: usize = 256 << 10;

/// Approximate overhead of an entry, in bytes.
const ENTRY: usize = 512;

/// A value and the store's change counter before it was read.
#[derive(Clone)]
struct Read<T> {
    value: T,
    changes: Changes,
}

/// Cached data that is still valid.
pub(crate) struct Cache {
    looks: Looks<Changes>,
    projects: Kept<String, Read<Project>>,
    builds: Kept<(ProjectId, BuildKey), Read<Build>>,
    bodies: Kept<String, Bytes>,
}

fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes + ENTRY).unwrap_or(u32::MAX)
}

impl Cache {
    pub(crate) fn new(repository: &Arc<dyn Repository>) -> Self {
        let of_build = |key: &(ProjectId, BuildKey), read: &Read<Build>| {
            let build = &read.value;
            let tags: usize = build.tags.iter().map(|tag| tag.as_str().len() + 24).sum();
            let client = build.client.0.as_str().len();
            weight(key.1.as_str().len() + client + tags + build.components.len() * 16)
        };
        Self {
            looks: Looks::new(repository.clone(), |repository| repository.changes()),
            projects: Kept::new(PROJECTS),
            builds: Kept::builder().weigher(of_build).max_capacity(BUILD_BYTES).build(),
            bodies: Kept::builder()
                .weigher(|_: &String, body: &Bytes| weight(body.len()))
                .max_capacity(BODY_BYTES)
                .build(),
        }
    }

    /// The store's change counter, at least as recent as a request that arrived at this time needs.
    pub(crate) async fn changes(
        &self,
        store: &Store,
        arrived: Instant,
    ) -> Result<Changes, ApiError> {
        if let Some(changes) = store.changes_at_once() {
            return Ok(changes);
        }
        store.patiently(self.looks.since(arrived)).await?.map_err(ApiError::Store)
    }

    /// The project with this name.
    pub(crate) async fn project(
        &self,
        store: &Store,
        arrived: Instant,
        slug: &Slug,
    ) -> Result<Option<Project>, ApiError> {
        let changes = self.changes(store, arrived).await?;
        let key = slug.key();
        if let Some(read) = self.projects.get(&key).filter(|read| read.changes == changes) {
            return Ok(Some(read.value));
        }
        let slug = slug.clone();
        let found = store.run(move |repository| repository.project_find(&slug)).await?;
        if let Some(project) = &found {
            self.projects.insert(key, Read { value: project.clone(), changes });
        }
        Ok(found)
    }

    /// The cached build with this key, if any, and the change counter to pass to [`Self::keep_build`].
    ///
    /// For a running build, only its identity and sender are certain, so it is returned only if those
    /// are enough.
    pub(crate) async fn build(
        &self,
        store: &Store,
        arrived: Instant,
        project: ProjectId,
        key: &BuildKey,
        even_running: bool,
    ) -> Result<(Option<Build>, Changes), ApiError> {
        let changes = self.changes(store, arrived).await?;
        let kept = self.builds.get(&(project, key.clone())).filter(|read| {
            let finished = read.value.outcome.state() == State::Finished;
            read.changes == changes && (finished || even_running)
        });
        Ok((kept.map(|read| read.value), changes))
    }

    /// Caches a build that was read after the store had this change counter.
    pub(crate) fn keep_build(&self, key: &BuildKey, build: &Build, changes: Changes) {
        let read = Read { value: build.clone(), changes };
        self.builds.insert((build.project, key.clone()), read);
    }

    /// The cached body with this ETag. An ETag belongs to exactly one body.
    pub(crate) fn body(&self, etag: &str) -> Option<Bytes> {
        self.bodies.get(etag)
    }

    /// Caches the body with this ETag.
    pub(crate) fn keep_body(&self, etag: &str, body: &Bytes) {
        if body.len() <= LONGEST_BODY {
            self.bodies.insert(etag.to_owned(), body.clone());
        }
    }
}
