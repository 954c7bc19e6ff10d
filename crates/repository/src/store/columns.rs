//! Values of the two column types whose representation differs between databases.

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, Output, ToSql};

use devmason_domain::Timestamp;

use super::fault::{Fault, Outcome};
use super::schema::sql;

/// A UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql::Uuid)]
pub(crate) struct Id(pub(crate) uuid::Uuid);

/// An instant, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql::Instant)]
pub(crate) struct At(pub(crate) i64);

#[cfg(feature = "postgres")]
mod postgres {
    use super::*;
    use diesel::pg::{Pg, PgValue};
    use std::io::Write;

    /// PostgreSQL counts from 2000-01-01.
    const EPOCH_MICROS: i64 = 946_684_800_000_000;

    impl ToSql<sql::Uuid, Pg> for Id {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
            out.write_all(self.0.as_bytes())?;
            Ok(serialize::IsNull::No)
        }
    }

    impl FromSql<sql::Uuid, Pg> for Id {
        fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
            Ok(Self(uuid::Uuid::from_slice(value.as_bytes())?))
        }
    }

    impl ToSql<sql::Instant, Pg> for At {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
            out.write_all(&(self.0 - EPOCH_MICROS).to_be_bytes())?;
            Ok(serialize::IsNull::No)
        }
    }

    impl FromSql<sql::Instant, Pg> for At {
        fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
            Ok(Self(i64::from_be_bytes(value.as_bytes().try_into()?) + EPOCH_MICROS))
        }
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use super::*;
    use diesel::sql_types::{BigInt, Binary};
    use diesel::sqlite::{Sqlite, SqliteValue};

    impl ToSql<sql::Uuid, Sqlite> for Id {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
            out.set_value(self.0.as_bytes().as_slice());
            Ok(serialize::IsNull::No)
        }
    }

    impl FromSql<sql::Uuid, Sqlite> for Id {
        fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
            let bytes = <Vec<u8> as FromSql<Binary, Sqlite>>::from_sql(value)?;
            Ok(Self(uuid::Uuid::from_slice(&bytes)?))
        }
    }

    impl ToSql<sql::Instant, Sqlite> for At {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
            out.set_value(self.0);
            Ok(serialize::IsNull::No)
        }
    }

    impl FromSql<sql::Instant, Sqlite> for At {
        fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
            <i64 as FromSql<BigInt, Sqlite>>::from_sql(value).map(Self)
        }
    }
}

/// Replaces NUL, which databases cannot store in text.
pub(super) fn plain(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Converts a stored instant.
pub(super) fn instant(at: At, offset_minutes: i16) -> Outcome<Timestamp> {
    Timestamp::from_parts(at.0, offset_minutes)
        .ok_or_else(|| Fault::Corrupt(format!("invalid time: {} {offset_minutes}", at.0)))
}
