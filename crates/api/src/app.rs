//! State shared by all requests.

use std::net::SocketAddr;
use std::sync::Arc;

use devmason_repository::Repository;

use crate::auth::{Door, Verifier};
use crate::budget::Budget;
use crate::cache::Cache;
use crate::connection::{Connections, Counts};
use crate::live::Live;
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::recorder::Recorder;
use crate::settings::Settings;
use crate::store::Store;
use crate::turns::{AtOnce, Turns, Waiting};

/// Number of concurrent reads: fewer than the store's read connections by default, so that some are
/// left for writers and for the readiness check.
const READS: AtOnce = AtOnce { in_all: 6, of_address: 4 };

/// State shared by all requests.
pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) store: Arc<Store>,
    pub(crate) recorder: Recorder,
    pub(crate) verifier: Verifier,
    pub(crate) cache: Cache,
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
    /// The logs that are being followed.
    pub(crate) logs: Logs,
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
        let store = Arc::new(Store::new(repository));
        let verifier = Verifier::new(settings.password_cost, settings.login_failures_per_minute);
        Self {
            settings,
            store,
            recorder,
            verifier,
            cache,
            metrics,
            budget,
            reads: Turns::new(READS, Waiting { in_all: 4096, of_address: 512 }),
            connections,
            watchers,
            live: Live::new(),
            logs: Logs::default(),
            address,
        }
    }

    /// What credentials are checked with.
    pub(crate) fn door(&self) -> Door<'_> {
        Door {
            store: &self.store,
            cache: &self.cache,
            policy: &self.settings.policy,
            verifier: &self.verifier,
        }
    }
}
