//! What was read before and still holds: projects, builds, and the bodies made of them.
//!
//! The store says how often anything that was there was changed or removed ([`devmason_repository::Upkeep::changes`]); new
//! builds and steps don't count. What is kept here holds while that is what it was read under, which each request
//! looks at anew ([`crate::looks`]).

use std::sync::Arc;
use std::time::Instant;

use actix_web::web::Bytes;
use devmason_domain::{Build, BuildKey, Project, ProjectId, Slug, State};
use devmason_repository::{Changes, Repository};
use moka::sync::Cache as Kept;

use crate::app::App;
use crate::error::ApiError;
use crate::looks::Looks;

/// How many projects are kept.
const PROJECTS: u64 = 10_000;

/// How many bytes of builds, without their steps, are kept.
const BUILD_BYTES: u64 = 2 << 20;

/// How many bytes of bodies are kept.
const BODY_BYTES: u64 = 8 << 20;

/// Up to this length a body is kept, in bytes: a few long ones must not push out all others.
const LONGEST_BODY: usize = 256 << 10;

/// About what an entry takes beside what it holds, in bytes.
const ENTRY: usize = 512;

/// A value, and how often the store had changed before it was read.
#[derive(Clone)]
struct Read<T> {
    value: T,
    changes: Changes,
}

/// What was read before and still holds.
pub(crate) struct Cache {
    repository: Arc<dyn Repository>,
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
            repository: repository.clone(),
            looks: Looks::new(repository.clone(), |repository| repository.changes()),
            projects: Kept::new(PROJECTS),
            builds: Kept::builder().weigher(of_build).max_capacity(BUILD_BYTES).build(),
            bodies: Kept::builder()
                .weigher(|_: &String, body: &Bytes| weight(body.len()))
                .max_capacity(BODY_BYTES)
                .build(),
        }
    }

    /// How often the store changed, as a request that arrived then must know it.
    pub(crate) async fn changes(&self, app: &App, arrived: Instant) -> Result<Changes, ApiError> {
        if let Some(changes) = self.repository.changes_at_once() {
            return Ok(changes);
        }
        app.patiently(self.looks.since(arrived)).await?.map_err(ApiError::Store)
    }

    /// The project of that name.
    pub(crate) async fn project(
        &self,
        app: &App,
        arrived: Instant,
        slug: &Slug,
    ) -> Result<Option<Project>, ApiError> {
        let changes = self.changes(app, arrived).await?;
        let key = slug.key();
        if let Some(read) = self.projects.get(&key).filter(|read| read.changes == changes) {
            return Ok(Some(read.value));
        }
        let slug = slug.clone();
        let found = app.run(move |repository| repository.project_find(&slug)).await?;
        if let Some(project) = &found {
            self.projects.insert(key, Read { value: project.clone(), changes });
        }
        Ok(found)
    }

    /// The build of that key, if it is kept; and what to [`Self::keep_build`] it under.
    ///
    /// Of a build that runs, nothing is certain but which it is and who sent it: it is given only where
    /// that is enough.
    pub(crate) async fn build(
        &self,
        app: &App,
        arrived: Instant,
        project: ProjectId,
        key: &BuildKey,
        even_running: bool,
    ) -> Result<(Option<Build>, Changes), ApiError> {
        let changes = self.changes(app, arrived).await?;
        let kept = self.builds.get(&(project, key.clone())).filter(|read| {
            let finished = read.value.outcome.state() == State::Finished;
            read.changes == changes && (finished || even_running)
        });
        Ok((kept.map(|read| read.value), changes))
    }

    /// Keeps a build that was read after the store had changed so often.
    pub(crate) fn keep_build(&self, key: &BuildKey, build: &Build, changes: Changes) {
        let read = Read { value: build.clone(), changes };
        self.builds.insert((build.project, key.clone()), read);
    }

    /// The body that was made for this ETag before. An ETag is of one body alone.
    pub(crate) fn body(&self, etag: &str) -> Option<Bytes> {
        self.bodies.get(etag)
    }

    /// Keeps the body of an ETag.
    pub(crate) fn keep_body(&self, etag: &str, body: &Bytes) {
        if body.len() <= LONGEST_BODY {
            self.bodies.insert(etag.to_owned(), body.clone());
        }
    }
}
