//! State shared by all requests.

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

/// Number of concurrent reads: fewer than the store's read connections by default, so that some are
/// left for writers and for the readiness check.
const READS: AtOnce = AtOnce { in_all: 6, of_address: 4 };

/// If the database takes longer than this to answer, check whether it answers at all.
const SOON: Duration = Duration::from_secs(1);

/// Timeout of that check. Clients waiting for a frozen database get an error within three seconds.
const PULSE: Duration = Duration::from_secs(2);

/// State shared by all requests.
pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) repository: Arc<dyn Repository>,
    pub(crate) recorder: Recorder,
    pub(crate) verifier: Verifier,
    pub(crate) cache: Cache,
    /// The check whether the database answers at all.
    pulse: Looks<()>,
    pub(crate) metrics: Arc<Metrics>,
    /// The memory that concurrent requests may use.
    pub(crate) budget: Arc<Budget>,
    /// Turns at reading from the store. They limit how many responses are in memory before they draw on
    /// the budget, which happens only when they are written.
    pub(crate) reads: Arc<Turns>,
    pub(crate) connections: Arc<Connections>,
    /// Clients watching builds.
    pub(crate) watchers: Arc<Counts>,
    /// The running builds that are being watched.
    pub(crate) live: Live,
    /// The server's listening address, for requests that don't name a host.
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

    /// Whether the settings list this address as a proxy.
    pub(crate) fn is_proxy(&self, address: &IpAddr) -> bool {
        self.settings.trust_forwarded.iter().any(|net| net.contains(address))
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
