//! What an administrator decides about the server.

use devmason_domain::{Policy, Reporting, limits};
use devmason_hypermedia::Base;
use devmason_repository::Retention;
use ipnet::IpNet;

/// What an administrator decides about the server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The URL under which clients see the server; else what each request says.
    pub public_url: Option<Base>,
    /// Who may do what.
    pub policy: Policy,
    /// Who may report to a project whose registration does not say.
    pub reporting: Reporting,
    /// The longest request body, in bytes.
    pub max_body_bytes: usize,
    /// The memory that requests may take at once, in bytes: bodies, what they become, and answers.
    pub max_memory_bytes: usize,
    /// How many test cases an upload may have.
    pub max_cases: usize,
    /// How many connections there may be at once, in all and from one address.
    pub connections: Bound,
    /// How many may watch running builds at once, in all and from one address.
    pub watchers: Bound,
    /// The hosts that the server answers to; none: all.
    pub hosts: Vec<String>,
    /// Proxies whose forwarded headers are believed.
    pub trust_forwarded: Vec<IpNet>,
    /// Certificate and key, to serve HTTPS.
    pub tls: Option<rustls::ServerConfig>,
    /// bcrypt's cost for new passwords.
    pub password_cost: u32,
    /// How many wrong passwords an address, or a username, has in a minute.
    pub login_failures_per_minute: u32,
    /// How long uploads of report files are kept.
    pub uploads: Uploads,
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
            connections: Bound { all: 4096, of_address: 512 },
            watchers: Bound { all: 1024, of_address: 128 },
            hosts: Vec::new(),
            trust_forwarded: Vec::new(),
            tls: None,
            password_cost: devmason_domain::PasswordHash::COST,
            login_failures_per_minute: 60,
            uploads: Uploads::default(),
        }
    }
}

/// How many of something there may be at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// In all.
    pub all: usize,
    /// From one address (IPv6: one network of 64 bits).
    pub of_address: usize,
}

/// How long uploads of report files are kept, so that they can be read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uploads {
    /// For so many days after they came; 0 keeps none.
    pub days: u32,
    /// As long as all of them together have no more bytes than this, as they are stored; the oldest go first.
    pub bytes: u64,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { days: 30, bytes: 1 << 30 }
    }
}

impl Uploads {
    /// Whether an upload of so many bytes is kept.
    pub(crate) fn keeps(self, bytes: usize) -> bool {
        self.days > 0 && bytes as u64 <= self.bytes
    }

    /// The same, as the store wants to know it.
    pub(crate) fn retention(self) -> Retention {
        Retention { micros: i64::from(self.days) * 86_400_000_000, bytes: self.bytes }
    }
}
