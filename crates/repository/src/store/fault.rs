//! How a database's errors become the repository's.

use diesel::result::{DatabaseErrorKind, Error as Diesel};

use crate::{Cause, Error};

/// What goes wrong inside a transaction.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The database said so.
    Database(Diesel),
    /// A row holds what no row can.
    Corrupt(String),
}

impl From<Diesel> for Fault {
    fn from(error: Diesel) -> Self {
        Self::Database(error)
    }
}

impl From<devmason_domain::Invalid> for Fault {
    fn from(invalid: devmason_domain::Invalid) -> Self {
        Self::Corrupt(invalid.to_string())
    }
}

impl Fault {
    /// Sorts an error by what can be done about it.
    ///
    /// Through Diesel neither database gives more than a text for a full disk, a lock or a timeout, so the
    /// texts are looked at. A server that is set to write its messages in another language than English
    /// (`lc_messages`) gets `Backend` for them: 500 where 503 would be kinder.
    pub(crate) fn into_error(self) -> Error {
        let error = match self {
            Self::Corrupt(what) => return Error::Corrupt(what.into()),
            Self::Database(error) => error,
        };
        let has = |texts: &[&str]| {
            let message = error.to_string();
            texts.iter().any(|text| message.contains(text))
        };
        let kind: fn(Cause) -> Error = match &error {
            Diesel::DeserializationError(_) => Error::Corrupt,
            Diesel::BrokenTransactionManager
            | Diesel::DatabaseError(DatabaseErrorKind::ClosedConnection, _) => Error::Unavailable,
            // Something that somebody else made or removed between the look and the change: the next look
            // sees it.
            Diesel::DatabaseError(
                DatabaseErrorKind::SerializationFailure
                | DatabaseErrorKind::UniqueViolation
                | DatabaseErrorKind::ForeignKeyViolation,
                _,
            ) => Error::Busy,
            _ if has(&["statement timeout"]) => Error::TooLong,
            _ if has(&["disk is full", "No space left on device", "could not extend file"]) => {
                Error::Full
            }
            _ if has(&["malformed", "is not a database", "invalid page in block"]) => {
                Error::Corrupt
            }
            _ if has(&["is locked", "lock timeout", "deadlock detected", "too many clients"]) => {
                Error::Busy
            }
            _ if has(&[
                "unable to open",
                "disk I/O error",
                "readonly database",
                "shutting down",
                "terminating connection",
            ]) =>
            {
                Error::Unavailable
            }
            _ => Error::Backend,
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
        assert!(matches!(error("syntax error"), Error::Backend(_)));
    }
}
