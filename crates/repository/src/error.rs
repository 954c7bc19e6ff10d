//! Errors of a store.

/// The cause, for the log.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An error that is not one of the outcomes callers must handle.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is unreachable, or the connection was lost.
    #[error("the database is unreachable")]
    Unavailable(#[source] Cause),
    /// The database is overloaded: no free connection, a file locked for too long, or a cancelled
    /// statement.
    #[error("the database is busy")]
    Busy(#[source] Cause),
    /// Another transaction holds a lock on the rows to be written.
    #[error("another client holds a database lock")]
    Locked(#[source] Cause),
    /// The database rejects writes: it is a standby, or an operator made it read-only.
    #[error("the database is read-only")]
    ReadOnly(#[source] Cause),
    /// The database file was removed or replaced.
    #[error("the database file was removed or replaced")]
    Removed(#[source] Cause),
    /// A statement exceeded the time limit: the query reads too much.
    #[error("the query took too long")]
    TooLong(#[source] Cause),
    /// The database cannot represent a text it was given.
    #[error("the database cannot store this text")]
    Unfit(#[source] Cause),
    /// The database is out of disk space.
    #[error("the database is out of disk space")]
    Full(#[source] Cause),
    /// The database returned data that differs from what was stored.
    #[error("the database contains invalid data")]
    Corrupt(#[source] Cause),
    /// The database rejected a statement.
    #[error("the database rejected a statement")]
    Backend(#[source] Cause),
    /// The URL names no supported database.
    #[error("{0}")]
    Url(String),
}

/// The result of a repository method.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The error and its causes on one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text += &format!(": {cause}");
            source = cause.source();
        }
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
