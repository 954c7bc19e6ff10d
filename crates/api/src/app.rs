//! What all requests share.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web;
use devmason_repository::{Error as StoreError, Repository};

use crate::auth::Verifier;
use crate::budget::Budget;
use crate::cache::Cache;
use crate::connection::{Connections, Counts};
use crate::error::ApiError;
use crate::live::Live;
use crate::looks::Looks;
use crate::metrics::Metrics;
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::turns::{AtOnce, Turns, Waiting};

/// How many requests read at once: fewer than the store has connections to read with by default, so that some are left
/// for those who write and for whether the server is ready.
const READS: AtOnce = AtOnce { in_all: 6, of_address: 4 };

/// From then on an answer of the database is late, and it is asked whether it answers at all.
const SOON: Duration = Duration::from_secs(1);

/// How long it has for that: whoever waits for a database that is frozen hears so within three seconds.
const PULSE: Duration = Duration::from_secs(2);

/// What all requests share.
pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) repository: Arc<dyn Repository>,
    pub(crate) recorder: Recorder,
    pub(crate) verifier: Verifier,
    pub(crate) cache: Cache,
    /// Whether the database answers at all.
    pulse: Looks<()>,
    pub(crate) metrics: Arc<Metrics>,
    /// The memory that requests may take at once.
    pub(crate) budget: Arc<Budget>,
    /// Turns at reading what is stored: as many answers are held at once that draw on the budget only when they are
    /// written.
    pub(crate) reads: Arc<Turns>,
    pub(crate) connections: Arc<Connections>,
    /// Those who watch builds.
    pub(crate) watchers: Arc<Counts>,
    /// The builds that are watched while they run.
    pub(crate) live: Live,
    /// Where the server listens, for a request that doesn't say where it was sent.
    pub(crate) address: SocketAddr,
}

impl App {
    pub(crate) fn new(
        settings: Settings,
        repository: Arc<dyn Repository>,
        address: SocketAddr,
    ) -> Self {
        let metrics = Arc::new(Metrics::default());
        let recorder = Recorder::start(repository.clone(), metrics.clone());
        let budget = Budget::new(settings.max_memory_bytes);
        let (connections, watchers) =
            (Connections::new(settings.connections), Counts::new(settings.watchers));
        let cache = Cache::new(&repository);
        let pulse = Looks::new(repository.clone(), |repository| repository.ping());
        let verifier = Verifier::new(settings.password_cost, settings.login_failures_per_minute);
        Self {
            settings,
            repository,
            recorder,
            verifier,
            cache,
            pulse,
            metrics,
            budget,
            reads: Turns::new(READS, Waiting { in_all: 4096, of_address: 512 }),
            connections,
            watchers,
            live: Live::new(),
            address,
        }
    }

    /// Whether a setting says that this is a proxy's address.
    pub(crate) fn is_proxy(&self, address: &IpAddr) -> bool {
        self.settings.trust_forwarded.iter().any(|net| net.contains(address))
    }

    /// Asks the repository, off the workers that serve connections.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Repository) -> devmason_repository::Result<T> + Send + 'static,
    ) -> Result<T, ApiError> {
        let repository = self.repository.clone();
        let answer = self.patiently(web::block(move || ask(&*repository))).await?;
        answer.map_err(|_| ApiError::Interrupted)?.map_err(|error| ApiError::Store(Arc::new(error)))
    }

    /// Waits for an answer of the database as long as that answers anybody.
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
                    let error = StoreError::Unavailable("it answers nobody".into());
                    return Err(ApiError::Store(Arc::new(error)));
                }
            }
        }
    }
}
