//! Settings: from a flag, an environment variable, a TOML file or the default, in this order of
//! precedence.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Parser, Subcommand};
use devmason_api::{Base, Bound};
use devmason_domain::{Policy, Username};
use devmason_repository::Options;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;

/// The devmason server: collects builds and test results from anywhere.
///
/// Without arguments it listens on 127.0.0.1:8080 and stores everything in the SQLite file
/// devmason.db in the working directory. Each setting can be a flag, an environment variable or a key in
/// a TOML file (the flag's name with _ in place of -), in that order of precedence.
#[derive(Parser)]
#[command(name = "devmason-server", version = devmason_version::VERSION)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) settings: Layer,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Create a user or reset a user's password, read from the terminal or standard input
    ///
    /// Use it to create administrator accounts and to reset forgotten passwords.
    Passwd {
        /// Username
        username: String,
    },
}

/// Every setting once: what a flag, a variable and a key say.
#[derive(Args, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layer {
    /// TOML file with settings
    #[arg(long, env = "DEVMASON_CONFIG", value_name = "PATH", global = true)]
    #[serde(skip)]
    config: Option<PathBuf>,

    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, env = "DEVMASON_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<String>,

    /// Database: postgres://... or sqlite:PATH [default: sqlite:devmason.db]
    #[arg(
        long,
        env = "DEVMASON_DATABASE_URL",
        value_name = "URL",
        global = true,
        hide_env_values = true
    )]
    database_url: Option<String>,

    /// Public URL of the server, including any path prefix [default: taken from each request]
    #[arg(long, env = "DEVMASON_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,

    /// Who may create projects: open, authenticated or closed [default: open]; each project sets who may report to it
    #[arg(long, env = "DEVMASON_REGISTRATION", value_name = "MODE")]
    registration: Option<String>,

    /// Who may report to new projects unless they specify it: anyone, authenticated or owner [default: anyone]
    #[arg(long, env = "DEVMASON_REPORTING", value_name = "MODE")]
    reporting: Option<String>,

    /// Who may read: open or authenticated [default: open]
    #[arg(long, env = "DEVMASON_READING", value_name = "MODE")]
    reading: Option<String>,

    /// Username of an administrator; repeatable
    #[arg(long, env = "DEVMASON_ADMIN", value_name = "USERNAME", value_delimiter = ',')]
    #[serde(default)]
    admin: Vec<String>,

    /// Maximum size of a request body, in bytes [default: 33554432]
    #[arg(long, env = "DEVMASON_MAX_BODY_BYTES", value_name = "BYTES")]
    max_body_bytes: Option<usize>,

    /// Maximum memory for all requests in progress (bodies, parsed data and responses), in bytes [default: 268435456]
    #[arg(long, env = "DEVMASON_MAX_MEMORY_BYTES", value_name = "BYTES")]
    max_memory_bytes: Option<usize>,

    /// Maximum number of test cases in an upload [default: 1000000]
    #[arg(long, env = "DEVMASON_MAX_CASES", value_name = "N")]
    max_cases: Option<usize>,

    /// Maximum size of the log of a step, in bytes; of a longer one, the middle is dropped [default: 268435456]
    #[arg(long, env = "DEVMASON_MAX_LOG_BYTES", value_name = "BYTES")]
    max_log_bytes: Option<usize>,

    /// Minutes after its last part until a build ends that a client of another system reports without an end [default: 60]
    #[arg(long, env = "DEVMASON_SILENCE_MINUTES", value_name = "MINUTES")]
    silence_minutes: Option<u32>,

    /// Maximum number of connections [default: 4096, or fewer if the limit on open files requires it]
    #[arg(long, env = "DEVMASON_MAX_CONNECTIONS", value_name = "N")]
    max_connections: Option<usize>,

    /// Maximum number of connections from one address, trusted proxies excepted [default: 512]
    #[arg(long, env = "DEVMASON_MAX_CONNECTIONS_PER_ADDRESS", value_name = "N")]
    max_connections_per_address: Option<usize>,

    /// Maximum number of clients following running builds [default: 1024]
    #[arg(long, env = "DEVMASON_MAX_WATCHERS", value_name = "N")]
    max_watchers: Option<usize>,

    /// Maximum number of clients following running builds from one address [default: 128]
    #[arg(long, env = "DEVMASON_MAX_WATCHERS_PER_ADDRESS", value_name = "N")]
    max_watchers_per_address: Option<usize>,

    /// Host name to serve, with or without a port; repeatable [default: all]
    #[arg(long, env = "DEVMASON_HOSTS", value_name = "HOST", value_delimiter = ',')]
    #[serde(default)]
    hosts: Vec<String>,

    /// Days to keep uploaded report files for reparsing; 0 keeps none [default: 30]
    #[arg(long, env = "DEVMASON_UPLOAD_DAYS", value_name = "DAYS")]
    upload_days: Option<u32>,

    /// Maximum compressed size of kept report files, in bytes; the oldest are deleted first [default: 1073741824]
    #[arg(long, env = "DEVMASON_UPLOAD_BYTES", value_name = "BYTES")]
    upload_bytes: Option<u64>,

    /// Size of the database connection pool [default: 8]
    #[arg(long, env = "DEVMASON_POOL_SIZE", value_name = "N")]
    pool_size: Option<u32>,

    /// Seconds after which a query is aborted with 503 [default: 10]
    #[arg(long, env = "DEVMASON_QUERY_TIMEOUT", value_name = "SECONDS")]
    query_timeout: Option<u32>,

    /// Address or network of a proxy whose forwarded headers are trusted; repeatable
    #[arg(long, env = "DEVMASON_TRUST_FORWARDED", value_name = "ADDRESS", value_delimiter = ',')]
    #[serde(default)]
    trust_forwarded: Vec<String>,

    /// PEM file with the certificate chain; enables HTTPS
    #[arg(long, env = "DEVMASON_TLS_CERT", value_name = "PATH")]
    tls_cert: Option<PathBuf>,

    /// PEM file with the certificate's private key
    #[arg(long, env = "DEVMASON_TLS_KEY", value_name = "PATH")]
    tls_key: Option<PathBuf>,

    /// Format of the log on standard error: text or json [default: text]
    #[arg(long, env = "DEVMASON_LOG_FORMAT", value_name = "FORMAT")]
    log_format: Option<String>,

    /// Log level: error, warn, info, debug, or a filter with levels per module [default: info,actix_server=warn]
    #[arg(long, env = "DEVMASON_LOG", value_name = "FILTER")]
    log: Option<String>,

    /// Wrong passwords allowed per minute from one address for one username [default: 60]
    #[arg(long, env = "DEVMASON_LOGIN_FAILURES_PER_MINUTE", value_name = "N")]
    login_failures_per_minute: Option<u32>,
}

impl Layer {
    /// This layer over another one.
    fn over(self, below: Self) -> Self {
        let list = |above: Vec<String>, below| if above.is_empty() { below } else { above };
        Self {
            config: None,
            listen: self.listen.or(below.listen),
            database_url: self.database_url.or(below.database_url),
            public_url: self.public_url.or(below.public_url),
            registration: self.registration.or(below.registration),
            reporting: self.reporting.or(below.reporting),
            reading: self.reading.or(below.reading),
            admin: list(self.admin, below.admin),
            max_body_bytes: self.max_body_bytes.or(below.max_body_bytes),
            max_memory_bytes: self.max_memory_bytes.or(below.max_memory_bytes),
            max_cases: self.max_cases.or(below.max_cases),
            max_log_bytes: self.max_log_bytes.or(below.max_log_bytes),
            silence_minutes: self.silence_minutes.or(below.silence_minutes),
            max_connections: self.max_connections.or(below.max_connections),
            max_connections_per_address: self
                .max_connections_per_address
                .or(below.max_connections_per_address),
            max_watchers: self.max_watchers.or(below.max_watchers),
            max_watchers_per_address: self
                .max_watchers_per_address
                .or(below.max_watchers_per_address),
            hosts: list(self.hosts, below.hosts),
            upload_days: self.upload_days.or(below.upload_days),
            upload_bytes: self.upload_bytes.or(below.upload_bytes),
            pool_size: self.pool_size.or(below.pool_size),
            query_timeout: self.query_timeout.or(below.query_timeout),
            trust_forwarded: list(self.trust_forwarded, below.trust_forwarded),
            tls_cert: self.tls_cert.or(below.tls_cert),
            tls_key: self.tls_key.or(below.tls_key),
            log_format: self.log_format.or(below.log_format),
            log: self.log.or(below.log),
            login_failures_per_minute: self
                .login_failures_per_minute
                .or(below.login_failures_per_minute),
        }
    }
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// The settings, checked.
pub(crate) struct Settings {
    pub(crate) listen: String,
    pub(crate) database_url: String,
    pub(crate) storage: Options,
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    pub(crate) api: devmason_api::Settings,
}

impl Settings {
    /// Joins the command line and the environment with the file that they name, and checks it all.
    ///
    /// # Errors
    /// The first setting that is wrong, by its name.
    pub(crate) fn load(layer: Layer) -> Result<Self> {
        let file = layer.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let layer = layer.over(file);
        let registration =
            layer.registration.as_deref().map(str::parse).transpose().context("registration")?;
        let reporting =
            layer.reporting.as_deref().map(str::parse).transpose().context("reporting")?;
        let reading = layer.reading.as_deref().map(str::parse).transpose().context("reading")?;
        let admins: Vec<Username> = layer
            .admin
            .iter()
            .map(|name| name.parse())
            .collect::<Result<_, _>>()
            .context("admin")?;
        let public_url = match layer.public_url {
            Some(url) => Some(
                Base::from_public_url(&url)
                    .with_context(|| format!("public_url: '{url}' is not an http or https URL"))?,
            ),
            None => None,
        };
        let (defaults, storage) = (devmason_api::Settings::default(), Options::default());
        let positive = |name: &str, number: Option<u64>| match number {
            Some(0) => Err(anyhow!("{name}: must be at least 1")),
            _ => Ok(()),
        };
        positive("max_body_bytes", layer.max_body_bytes.map(|n| n as u64))?;
        for (name, number) in [
            ("max_memory_bytes", layer.max_memory_bytes),
            ("max_cases", layer.max_cases),
            ("max_log_bytes", layer.max_log_bytes),
            ("max_connections", layer.max_connections),
            ("max_connections_per_address", layer.max_connections_per_address),
            ("max_watchers", layer.max_watchers),
            ("max_watchers_per_address", layer.max_watchers_per_address),
        ] {
            positive(name, number.map(|n| n as u64))?;
        }
        if let Some(host) = layer.hosts.iter().find(|host| !is_host(host)) {
            bail!("hosts: '{host}' is not a valid host name");
        }
        positive("silence_minutes", layer.silence_minutes.map(u64::from))?;
        positive("pool_size", layer.pool_size.map(u64::from))?;
        positive("query_timeout", layer.query_timeout.map(u64::from))?;
        if layer.query_timeout.is_some_and(|seconds| seconds > 86_400) {
            bail!("query_timeout: must be at most 86400");
        }
        positive("login_failures_per_minute", layer.login_failures_per_minute.map(u64::from))?;
        Ok(Self {
            listen: layer.listen.unwrap_or_else(|| "127.0.0.1:8080".to_owned()),
            database_url: layer.database_url.unwrap_or_else(|| "sqlite:devmason.db".to_owned()),
            storage: Options {
                pool_size: layer.pool_size.unwrap_or(storage.pool_size),
                query_timeout: layer
                    .query_timeout
                    .map_or(storage.query_timeout, |seconds| Duration::from_secs(seconds.into())),
            },
            log: layer.log.unwrap_or_else(|| "info,actix_server=warn".to_owned()),
            log_format: match layer.log_format.as_deref() {
                None | Some("text") => LogFormat::Text,
                Some("json") => LogFormat::Json,
                Some(other) => {
                    bail!("log_format: '{other}' is neither 'text' nor 'json'");
                }
            },
            api: devmason_api::Settings {
                public_url,
                policy: Policy::new(
                    registration.unwrap_or_default(),
                    reading.unwrap_or_default(),
                    &admins,
                ),
                reporting: reporting.unwrap_or(defaults.reporting),
                max_body_bytes: layer.max_body_bytes.unwrap_or(defaults.max_body_bytes),
                max_memory_bytes: layer.max_memory_bytes.unwrap_or(defaults.max_memory_bytes),
                max_cases: layer.max_cases.unwrap_or(defaults.max_cases),
                max_log_bytes: layer
                    .max_log_bytes
                    .map_or(defaults.max_log_bytes, |bytes| bytes as u64),
                silence_minutes: layer.silence_minutes.unwrap_or(defaults.silence_minutes),
                connections: Bound {
                    all: layer.max_connections.unwrap_or(defaults.connections.all),
                    of_address: layer
                        .max_connections_per_address
                        .unwrap_or(defaults.connections.of_address),
                },
                watchers: Bound {
                    all: layer.max_watchers.unwrap_or(defaults.watchers.all),
                    of_address: layer
                        .max_watchers_per_address
                        .unwrap_or(defaults.watchers.of_address),
                },
                hosts: layer.hosts,
                version: devmason_version::VERSION.to_owned(),
                uploads: devmason_api::Uploads {
                    days: layer.upload_days.unwrap_or(defaults.uploads.days),
                    bytes: layer.upload_bytes.unwrap_or(defaults.uploads.bytes),
                },
                trust_forwarded: layer
                    .trust_forwarded
                    .iter()
                    .map(|text| network(text))
                    .collect::<Result<_, _>>()?,
                tls: tls(layer.tls_cert.as_deref(), layer.tls_key.as_deref())?,
                login_failures_per_minute: layer
                    .login_failures_per_minute
                    .unwrap_or(defaults.login_failures_per_minute),
                ..defaults
            },
        })
    }
}

fn read(path: &Path) -> Result<Layer> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("config: {}", path.display()))?;
    toml::from_str(&text)
        .map_err(|error| anyhow!("config: {}: {}", path.display(), error.message()))
}

/// `ci.example.org`, `ci.example.org:8080`, `[::1]:8080`.
fn is_host(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._~:[]".contains(c))
}

/// `10.0.0.0/8`, `10.0.0.1`, `fd00::/8`.
fn network(text: &str) -> Result<devmason_api::IpNet> {
    let single = || text.parse::<std::net::IpAddr>().map(devmason_api::IpNet::from);
    text.parse()
        .or_else(|_| single())
        .map_err(|_| anyhow!("trust_forwarded: '{text}' is not an address or a network"))
}

fn tls(cert: Option<&Path>, key: Option<&Path>) -> Result<Option<rustls::ServerConfig>> {
    let (cert, key) = match (cert, key) {
        (None, None) => return Ok(None),
        (Some(cert), Some(key)) => (cert, key),
        (Some(_), None) => bail!("tls_key: required with tls_cert"),
        (None, Some(_)) => bail!("tls_cert: required with tls_key"),
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .with_context(|| format!("tls_cert: {}", cert.display()))?;
    let secret =
        PrivateKeyDer::from_pem_file(key).with_context(|| format!("tls_key: {}", key.display()))?;
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret))
        .with_context(|| format!("tls_cert: {}", cert.display()))?;
    Ok(Some(config))
}
