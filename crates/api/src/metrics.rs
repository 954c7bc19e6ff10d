//! Metrics for Prometheus.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) method: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ResourceLabels {
    pub(crate) resource: &'static str,
}

/// The maximum number of clients of other systems that are counted apart.
const CLIENTS: usize = 100;

/// A client of another system.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ClientLabels {
    pub(crate) protocol: &'static str,
    /// Its name and version, as it gives them.
    pub(crate) client: String,
}

/// All metrics.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: Family<RequestLabels, Counter>,
    pub(crate) duration: Family<ResourceLabels, Histogram>,
    foreign: Family<ClientLabels, Counter>,
    clients: Mutex<HashSet<ClientLabels>>,
    pub(crate) builds: Counter,
    pub(crate) steps: Counter,
    pub(crate) queued: Gauge,
    pub(crate) batch_size: Histogram,
    /// Memory drawn by requests, in bytes.
    pub(crate) memory: Gauge,
    pub(crate) connections: Gauge,
    /// Size of SQLite's write-ahead log, in bytes.
    pub(crate) log: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("devmason");
        let metrics = Self {
            requests: Family::default(),
            duration: Family::new_with_constructor(|| {
                Histogram::new([
                    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
                ])
            }),
            foreign: Family::default(),
            clients: Mutex::default(),
            builds: Counter::default(),
            steps: Counter::default(),
            queued: Gauge::default(),
            batch_size: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0]),
            memory: Gauge::default(),
            connections: Gauge::default(),
            log: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register("http_requests", "Requests answered", metrics.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Response time",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        registry.register(
            "foreign_requests",
            "Requests of clients made for other systems",
            metrics.foreign.clone(),
        );
        registry.register("builds_recorded", "Builds stored", metrics.builds.clone());
        registry.register("steps_appended", "Steps added to running builds", metrics.steps.clone());
        registry.register(
            "queued",
            "Builds and steps waiting to be stored",
            metrics.queued.clone(),
        );
        registry.register(
            "batch_size",
            "Builds and steps stored in one transaction",
            metrics.batch_size.clone(),
        );
        registry.register_with_unit(
            "memory_in_flight",
            "Memory reserved by requests in progress",
            Unit::Bytes,
            metrics.memory.clone(),
        );
        registry.register("connections", "Open connections", metrics.connections.clone());
        registry.register_with_unit(
            "write_ahead_log",
            "Size of the SQLite write-ahead log",
            Unit::Bytes,
            metrics.log.clone(),
        );
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// Counts a request of a client made for another system. Beyond a number of clients they share a
    /// label, so that nobody can flood the metrics with names.
    pub(crate) fn client(&self, mut labels: ClientLabels) {
        labels.client.retain(|c| c.is_ascii_alphanumeric() || "._-/+".contains(c));
        labels.client.truncate(60);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if !clients.contains(&labels) {
            if clients.len() == CLIENTS {
                "other".clone_into(&mut labels.client);
            } else {
                clients.insert(labels.clone());
            }
        }
        self.foreign.get_or_create(&labels).inc();
    }

    /// The media type of the output of `encode`.
    pub(crate) const CONTENT_TYPE: &'static str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";

    pub(crate) fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
