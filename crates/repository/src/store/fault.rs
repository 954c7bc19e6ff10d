//! Maps database errors to repository errors.

use diesel::result::{DatabaseErrorKind, Error as Diesel};

use crate::{Cause, Error};

/// The result of a query within a transaction.
pub(crate) type Outcome<T> = std::result::Result<T, Fault>;

/// An error inside a transaction.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The database reported an error.
    Database(Diesel),
    /// A row holds an invalid value.
    Corrupt(String),
    /// The query exceeded its time limit.
    TooLong,
}

impl From<Diesel> for Fault {
    fn from(error: Diesel) -> Self {
        Self::Database(error)
    }
}

impl From<devmason_strips::Corrupt> for Fault {
    fn from(corrupt: devmason_strips::Corrupt) -> Self {
        Self::Corrupt(corrupt.to_string())
    }
}

impl From<devmason_domain::Invalid> for Fault {
    fn from(invalid: devmason_domain::Invalid) -> Self {
        Self::Corrupt(invalid.to_string())
    }
}

/// Wraps a cause in an error.
type Kind = fn(Cause) -> Error;

/// Database messages, by what can be done about them: the first row with a matching substring
/// counts.
///
/// For most of these errors Diesel exposes only the message text, with either database. If a
/// server's messages are not in English (`lc_messages`), they map to `Backend`: 500 where 503 would
/// be better.
const SAID: &[(&[&str], Kind)] = &[
    (&["statement timeout"], Error::TooLong),
    (&["lock timeout"], Error::Locked),
    (&["readonly database", "read-only transaction", "during recovery"], Error::ReadOnly),
    (
        &[
            // PostgreSQL: 22021, 22P05, 54000; SQLite: SQLITE_TOOBIG and a pattern's bound.
            "invalid byte sequence for encoding",
            "unsupported Unicode escape sequence",
            "exceeds btree version",
            "string or blob too big",
            "pattern too complex",
        ],
        Error::Unfit,
    ),
    (
        &[
            "disk is full",
            "No space left on device",
            "could not extend file",
            "could not write to file",
        ],
        Error::Full,
    ),
    (&["malformed", "is not a database", "invalid page in block"], Error::Corrupt),
    (
        &["is locked", "deadlock detected", "too many clients", "remaining connection slots"],
        Error::Busy,
    ),
    (
        &[
            "unable to open",
            "disk I/O error",
            "shutting down",
            "starting up",
            "in recovery mode",
            "terminating connection",
            "server closed the connection",
            "no connection to the server",
            "could not receive data",
            "could not send data",
            "connection to server",
            "could not connect",
        ],
        Error::Unavailable,
    ),
];

impl Fault {
    /// Classifies an error by what can be done about it.
    pub(crate) fn into_error(self) -> Error {
        let error = match self {
            Self::Corrupt(what) => return Error::Corrupt(what.into()),
            Self::TooLong => return Error::TooLong("query timeout".into()),
            Self::Database(error) => error,
        };
        let kind: Kind = match &error {
            Diesel::DeserializationError(_) => Error::Corrupt,
            Diesel::BrokenTransactionManager
            | Diesel::DatabaseError(DatabaseErrorKind::ClosedConnection, _) => Error::Unavailable,
            Diesel::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _) => Error::ReadOnly,
            // Another transaction created or removed the row between the check and the change; a retry sees it.
            Diesel::DatabaseError(
                DatabaseErrorKind::SerializationFailure
                | DatabaseErrorKind::UniqueViolation
                | DatabaseErrorKind::ForeignKeyViolation,
                _,
            ) => Error::Busy,
            _ => {
                let message = error.to_string();
                let known =
                    SAID.iter().find(|(said, _)| said.iter().any(|text| message.contains(text)));
                known.map_or(Error::Backend, |(_, kind)| *kind)
            }
        };
        kind(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_what_can_be_done_about_them() {
        let error = |text: &str| {
            let information = Box::new(text.to_owned());
            Fault::Database(Diesel::DatabaseError(DatabaseErrorKind::Unknown, information))
                .into_error()
        };
        assert!(matches!(error("canceling statement due to statement timeout"), Error::TooLong(_)));
        assert!(matches!(error("deadlock detected"), Error::Busy(_)));
        assert!(matches!(error("database is locked"), Error::Busy(_)));
        assert!(matches!(error("database or disk is full"), Error::Full(_)));
        assert!(matches!(
            error("could not extend file \"x\": No space left on device"),
            Error::Full(_)
        ));
        assert!(matches!(error("database disk image is malformed"), Error::Corrupt(_)));
        assert!(matches!(
            error("terminating connection due to administrator command"),
            Error::Unavailable(_)
        ));
        assert!(matches!(error("canceling statement due to lock timeout"), Error::Locked(_)));
        for text in [
            "attempt to write a readonly database",
            "cannot execute INSERT in a read-only transaction",
            "cannot execute DELETE during recovery",
        ] {
            assert!(matches!(error(text), Error::ReadOnly(_)), "{text}");
        }
        for text in
            ["the database system is starting up", "server closed the connection unexpectedly"]
        {
            assert!(matches!(error(text), Error::Unavailable(_)), "{text}");
        }
        for text in [
            "invalid byte sequence for encoding \"UTF8\": 0x00",
            "string or blob too big",
            "LIKE or GLOB pattern too complex",
        ] {
            assert!(matches!(error(text), Error::Unfit(_)), "{text}");
        }
        let read_only = Diesel::DatabaseError(
            DatabaseErrorKind::ReadOnlyTransaction,
            Box::new("cannot execute UPDATE".to_owned()),
        );
        assert!(matches!(Fault::Database(read_only).into_error(), Error::ReadOnly(_)));
        assert!(matches!(error("syntax error"), Error::Backend(_)));
    }
}
