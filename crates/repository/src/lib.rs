#![doc = include_str!("../README.md")]
#![expect(clippy::duplicate_mod, reason = "store/queries is compiled once for each backend")]

mod error;
mod port;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod store;

use std::sync::Arc;
use std::time::Duration;

pub use error::{Cause, Error, Result};
pub use port::*;

/// Options for opening a repository.
#[derive(Debug, Clone)]
pub struct Options {
    /// Size of the connection pool for reads.
    pub pool_size: u32,
    /// How long a query may run before it fails with [`Error::TooLong`].
    pub query_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { pool_size: 8, query_timeout: Duration::from_secs(10) }
    }
}

/// Opens the database at the URL and migrates its schema.
///
/// `postgres://...` or `postgresql://...` is PostgreSQL, with libpq's parameters (`sslmode` and so
/// on); `sqlite:PATH` is an SQLite file, created if missing. Several processes may open one
/// database at once: one of them migrates, the others wait.
///
/// # Errors
/// [`Error::Url`] if the URL is neither (or the backend was not compiled in), otherwise the
/// database's own error.
pub fn open(url: &str, options: &Options) -> Result<Arc<dyn Repository>> {
    let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
    match scheme {
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => store::postgres::open(url, options),
        #[cfg(feature = "sqlite")]
        "sqlite" => store::sqlite::open(rest.strip_prefix("//").unwrap_or(rest), options),
        _ => {
            let _ = (rest, options);
            Err(Error::Url("the database URL starts with postgres:// or sqlite:".to_owned()))
        }
    }
}
