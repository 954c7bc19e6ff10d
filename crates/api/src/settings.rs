//! Server settings made by an administrator.

use std::net::IpAddr;

use devmason_domain::{Policy, Reporting, limits};
use devmason_hypermedia::Base;
use devmason_repository::Retention;
use ipnet::IpNet;

/// Server settings made by an administrator.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The URL at which clients reach the server; by default, taken from each request.
    pub public_url: Option<Base>,
    /// The access policy.
    pub policy: Policy,
    /// Who may report to a project whose registration doesn't specify it.
    pub reporting: Reporting,
    /// Maximum size of a request body, in bytes.
    pub max_body_bytes: usize,
    /// Maximum memory for concurrent requests, in bytes: bodies, what they become, and responses.
    pub max_memory_bytes: usize,
    /// Maximum number of test cases in an upload.
    pub max_cases: usize,
    /// Maximum size of the log of a step, in bytes: of a longer one, the middle is dropped.
    pub max_log_bytes: u64,
    /// How many minutes after its last part a build ends that a client of another system reports, if that
    /// client does not end it.
    pub silence_minutes: u32,
    /// Maximum number of concurrent connections, in total and per address.
    pub connections: Bound,
    /// Maximum number of clients watching running builds, in total and per address.
    pub watchers: Bound,
    /// The hosts that the server serves; if empty, all.
    pub hosts: Vec<String>,
    /// Proxies whose forwarded headers are trusted.
    pub trust_forwarded: Vec<IpNet>,
    /// The certificate and key for HTTPS.
    pub tls: Option<rustls::ServerConfig>,
    /// The bcrypt cost of new passwords.
    pub password_cost: u32,
    /// Number of wrong passwords allowed per minute, for an address or a username.
    pub login_failures_per_minute: u32,
    /// How long uploaded report files are kept.
    pub uploads: Uploads,
    /// The version of the server, as pages and documents name it.
    pub version: String,
}

impl Settings {
    /// Whether the settings list this address as a proxy.
    pub(crate) fn is_proxy(&self, address: &IpAddr) -> bool {
        self.trust_forwarded.iter().any(|net| net.contains(address))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: None,
            policy: Policy::default(),
            reporting: Reporting::default(),
            max_body_bytes: 32 << 20,
            max_memory_bytes: 256 << 20,
            max_cases: limits::CASES,
            max_log_bytes: limits::LOG,
            silence_minutes: 60,
            connections: Bound { all: 4096, of_address: 512 },
            watchers: Bound { all: 1024, of_address: 128 },
            hosts: Vec::new(),
            trust_forwarded: Vec::new(),
            tls: None,
            password_cost: devmason_domain::PasswordHash::COST,
            login_failures_per_minute: 60,
            uploads: Uploads::default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// A limit on concurrent items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// In total.
    pub all: usize,
    /// Per address (for IPv6, per /64 network).
    pub of_address: usize,
}

/// How long uploaded report files are kept for reparsing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uploads {
    /// Number of days after arrival; 0 keeps none.
    pub days: u32,
    /// Maximum total size in bytes, as stored; the oldest uploads are removed first.
    pub bytes: u64,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { days: 30, bytes: 1 << 30 }
    }
}

impl Uploads {
    /// Whether an upload of this size is kept.
    pub(crate) fn keeps(self, bytes: usize) -> bool {
        self.days > 0 && bytes as u64 <= self.bytes
    }

    /// The retention in the store's terms.
    pub(crate) fn retention(self) -> Retention {
        Retention { micros: i64::from(self.days) * 86_400_000_000, bytes: self.bytes }
    }
}
