//! The repository for asynchronous code: its calls block, and its database may not answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web;
use devmason_repository::{Changes, Error as StoreError, Repository};

use crate::error::ApiError;
use crate::looks::Looks;

/// If the database takes longer than this to answer, check whether it answers at all.
const SOON: Duration = Duration::from_secs(1);

/// Timeout of that check. Clients waiting for a frozen database get an error within three seconds.
const PULSE: Duration = Duration::from_secs(2);

/// The repository, as the rest of this crate calls it.
pub(crate) struct Store {
    repository: Arc<dyn Repository>,
    /// The check whether the database answers at all.
    pulse: Looks<()>,
}

impl Store {
    pub(crate) fn new(repository: Arc<dyn Repository>) -> Self {
        let pulse = Looks::new(repository.clone(), |repository| repository.ping());
        Self { repository, pulse }
    }

    /// The repository itself, for threads of their own.
    pub(crate) fn repository(&self) -> &Arc<dyn Repository> {
        &self.repository
    }

    /// The length of the database's write-ahead log, in bytes, if it has one of its own.
    pub(crate) fn log_bytes(&self) -> Option<u64> {
        self.repository.log_bytes()
    }

    /// The change counter, if it is known without waiting.
    pub(crate) fn changes_at_once(&self) -> Option<Changes> {
        self.repository.changes_at_once()
    }

    /// Runs a query on the repository, off the workers that serve connections.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Repository) -> devmason_repository::Result<T> + Send + 'static,
    ) -> Result<T, ApiError> {
        let repository = self.repository.clone();
        let answer = self.patiently(web::block(move || ask(&*repository))).await?;
        answer.map_err(|_| ApiError::Interrupted)?.map_err(|error| ApiError::Store(Arc::new(error)))
    }

    /// Waits for the database as long as it answers anybody.
    pub(crate) async fn patiently<T>(
        &self,
        answer: impl Future<Output = T>,
    ) -> Result<T, ApiError> {
        let mut answer = std::pin::pin!(answer);
        loop {
            if let Ok(answer) = tokio::time::timeout(SOON, &mut answer).await {
                return Ok(answer);
            }
            match tokio::time::timeout(PULSE, self.pulse.since(Instant::now())).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(ApiError::Store(error)),
                Err(_) => {
                    let error = StoreError::Unavailable("no response".into());
                    return Err(ApiError::Store(Arc::new(error)));
                }
            }
        }
    }
}
