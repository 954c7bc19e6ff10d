//! What can go wrong in a store.

/// The cause, for the log.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong, apart from the answers that a caller must expect.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached, or went away.
    #[error("the database cannot be reached")]
    Unavailable(#[source] Cause),
    /// It is there and has no time: no free connection, a file locked for too long, a statement cut off.
    #[error("the database is busy")]
    Busy(#[source] Cause),
    /// Somebody else holds a lock on what was to be written.
    #[error("somebody else holds a lock in the database")]
    Locked(#[source] Cause),
    /// It takes no writes: it stands by for another server, or an operator has set it so.
    #[error("the database takes no writes")]
    ReadOnly(#[source] Cause),
    /// Its file was removed, or another has its place.
    #[error("the database's file was removed or replaced")]
    Removed(#[source] Cause),
    /// A statement took longer than any may: what was asked for reads too much.
    #[error("the query took too long")]
    TooLong(#[source] Cause),
    /// It takes no text like one that it was given.
    #[error("the database takes no such text")]
    Unfit(#[source] Cause),
    /// It has no room left.
    #[error("the database has no space left")]
    Full(#[source] Cause),
    /// What it gave back is not what was stored.
    #[error("the database holds something that cannot be read")]
    Corrupt(#[source] Cause),
    /// It refused a statement.
    #[error("the database refused a statement")]
    Backend(#[source] Cause),
    /// The URL names no database that this program knows.
    #[error("{0}")]
    Url(String),
}

/// What a method of the repository gives.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The error and its causes in one line.
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
