//! What an administrator decides about the server.

use std::time::Duration;

use devmason_domain::Policy;
use devmason_hypermedia::Base;
use ipnet::IpNet;

/// What an administrator decides about the server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The URL under which clients see the server; else what each request says.
    pub public_url: Option<Base>,
    /// Who may do what.
    pub policy: Policy,
    /// The longest request body, in bytes.
    pub max_body_bytes: usize,
    /// Proxies whose forwarded headers are believed.
    pub trust_forwarded: Vec<IpNet>,
    /// Certificate and key, to serve HTTPS.
    pub tls: Option<rustls::ServerConfig>,
    /// bcrypt's cost for new passwords.
    pub password_cost: u32,
    /// How many wrong passwords an address, or a username, has in a minute.
    pub login_failures_per_minute: u32,
    /// How long a change that another server made may go unseen.
    pub fresh: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: None,
            policy: Policy::default(),
            max_body_bytes: 32 << 20,
            trust_forwarded: Vec::new(),
            tls: None,
            password_cost: devmason_domain::PasswordHash::COST,
            login_failures_per_minute: 60,
            fresh: Duration::from_millis(5),
        }
    }
}
