//! What was read before and still holds: projects, builds, and the bodies made of them.
//!
//! The store keeps a number that rises whenever anything that was there is changed or removed
//! ([`devmason_repository::Upkeep::changes`]); new builds and steps don't touch it. What is kept here
//! counts while that number is the one it was read under. The number is asked for when it is needed, at
//! most once in `Settings::fresh` and once for all requests that wait for it, so an idle server asks nothing
//! and a busy one hardly anything, and what another server changed counts here after that time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use devmason_domain::{Build, BuildKey, Project, ProjectId, Slug, State};
use devmason_repository::Error;
use moka::sync::Cache as Kept;

use crate::app::App;
use crate::error::ApiError;

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

/// A value, and the store's number that it was read under.
#[derive(Clone)]
struct Read<T> {
    value: T,
    changes: u64,
}

/// What the store answered when it was asked for its number, or why it could not.
type Answer = Result<u64, Arc<Error>>;

#[derive(Default)]
struct Changes {
    /// The last answer, and when it was asked for.
    known: Option<(Answer, Instant)>,
    /// Rises when this server changes something: a number that was asked for before that is not taken.
    own: u64,
}

/// What was read before and still holds.
pub(crate) struct Cache {
    /// How long the number holds without being asked for again.
    fresh: Duration,
    changes: Mutex<Changes>,
    /// One request asks for the number, the others wait for it.
    asking: tokio::sync::Mutex<()>,
    projects: Kept<String, Read<Project>>,
    builds: Kept<(ProjectId, BuildKey), Read<Build>>,
    bodies: Kept<String, Bytes>,
}

fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes + ENTRY).unwrap_or(u32::MAX)
}

impl Cache {
    pub(crate) fn new(fresh: Duration) -> Self {
        let of_build = |key: &(ProjectId, BuildKey), read: &Read<Build>| {
            let build = &read.value;
            let tags: usize = build.tags.iter().map(|tag| tag.as_str().len() + 24).sum();
            let client = build.client.0.as_str().len();
            weight(key.1.as_str().len() + client + tags + build.components.len() * 16)
        };
        Self {
            fresh,
            changes: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
            projects: Kept::new(PROJECTS),
            builds: Kept::builder().weigher(of_build).max_capacity(BUILD_BYTES).build(),
            bodies: Kept::builder()
                .weigher(|_: &String, body: &Bytes| weight(body.len()))
                .max_capacity(BODY_BYTES)
                .build(),
        }
    }

    /// This server changes, or may have changed, something that was there.
    pub(crate) fn changed(&self) {
        let mut changes = self.lock();
        changes.own += 1;
        changes.known = None;
    }

    fn lock(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number, if it is fresh.
    fn fresh(&self) -> Option<u64> {
        match &self.lock().known {
            Some((Ok(number), asked)) if asked.elapsed() < self.fresh => Some(*number),
            _ => None,
        }
    }

    /// The store's number.
    async fn number(&self, app: &App) -> Result<u64, ApiError> {
        if let Some(number) = self.fresh() {
            return Ok(number);
        }
        let arrived = Instant::now();
        let _turn = self.asking.lock().await;
        let own = {
            let changes = self.lock();
            // What was asked for while this request waited is as good as what it would ask for now: the
            // number, or that there is none to be had.
            if let Some((answer, asked)) = &changes.known
                && (*asked >= arrived || (answer.is_ok() && asked.elapsed() < self.fresh))
            {
                return answer.clone().map_err(ApiError::Store);
            }
            changes.own
        };
        let asked = Instant::now();
        let answer = match app.run(|repository| repository.changes()).await {
            Ok(number) => Ok(number),
            Err(ApiError::Store(error)) => Err(error),
            Err(error) => return Err(error),
        };
        let mut changes = self.lock();
        if changes.own == own {
            changes.known = Some((answer.clone(), asked));
        }
        answer.map_err(ApiError::Store)
    }

    /// The project of that name.
    pub(crate) async fn project(
        &self,
        app: &App,
        slug: &Slug,
    ) -> Result<Option<Project>, ApiError> {
        let changes = self.number(app).await?;
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

    /// The build of that key, if it is kept; and the number to [`Self::keep_build`] under.
    ///
    /// Of a build that runs, nothing is certain but which it is and who sent it: it is given only where
    /// that is enough.
    pub(crate) async fn build(
        &self,
        app: &App,
        project: ProjectId,
        key: &BuildKey,
        even_running: bool,
    ) -> Result<(Option<Build>, u64), ApiError> {
        let changes = self.number(app).await?;
        let kept = self.builds.get(&(project, key.clone())).filter(|read| {
            let finished = read.value.outcome.state() == State::Finished;
            read.changes == changes && (finished || even_running)
        });
        Ok((kept.map(|read| read.value), changes))
    }

    /// Keeps a build that was read after the number was asked for.
    pub(crate) fn keep_build(&self, key: &BuildKey, build: &Build, changes: u64) {
        let read = Read { value: build.clone(), changes };
        self.builds.insert((build.project, key.clone()), read);
    }

    /// The body that was made for this ETag before. An ETag is of one body alone, so this needs no number.
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
