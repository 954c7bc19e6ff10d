//! Connections to SQLite, their settings, and the functions that they add to SQL.

use std::time::Duration;

use devmason_domain::JsonObject;
use diesel::connection::SimpleConnection;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::{Bool, Text};
use diesel::sqlite::Sqlite;

use super::Conn;
use super::queries::establish;
use crate::Result;
use crate::store::clock::is_over;
use crate::store::fault::Fault;
use crate::store::like;

/// The result of a function that processes client text, or the error that ends the statement at its
/// deadline: one row may call it often.
#[derive(Debug)]
struct Timed<T>(Option<T>);

impl<T> Timed<T> {
    fn new(work: impl FnOnce() -> Option<T>) -> Option<Self> {
        if is_over() { Some(Self(None)) } else { work().map(|value| Self(Some(value))) }
    }
}

impl ToSql<Text, Sqlite> for Timed<String> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        let Some(text) = &self.0 else { return Err("statement timeout".into()) };
        out.set_value(text.as_str());
        Ok(serialize::IsNull::No)
    }
}

impl ToSql<Bool, Sqlite> for Timed<bool> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        let Some(value) = self.0 else { return Err("statement timeout".into()) };
        out.set_value(i32::from(value));
        Ok(serialize::IsNull::No)
    }
}

/// The result of `within_time()`: true, or the error that ends the statement.
#[derive(Debug)]
struct WithinTime;

impl ToSql<Bool, Sqlite> for WithinTime {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        if is_over() {
            return Err("statement timeout".into());
        }
        out.set_value(1i32);
        Ok(serialize::IsNull::No)
    }
}

/// The purpose of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Reader {
        timeout: Duration,
    },
    Writer,
    /// Health checks.
    Pulse,
}

pub(super) fn connect(path: &str, role: Role) -> Result<Conn> {
    let mut conn = establish(path)?;
    // busy_timeout first: the other pragmas may wait for another process. FULL: an acknowledged commit
    // survives a power cut; with several builds per commit it costs nothing measurable.
    let pragmas = match role {
        Role::Writer => {
            "pragma busy_timeout = 5000; pragma page_size = 8192; pragma journal_mode = wal; pragma journal_size_limit = 16777216; \
             pragma synchronous = full; pragma foreign_keys = on; pragma cache_size = -1000; pragma case_sensitive_like = on;"
        }
        Role::Pulse => {
            "pragma busy_timeout = 500; pragma synchronous = full; pragma cache_size = -100;"
        }
        Role::Reader { .. } => {
            "pragma busy_timeout = 3000; pragma query_only = on; pragma cache_size = -250; pragma case_sensitive_like = on;"
        }
    };
    conn.batch_execute(pragmas)
        .and_then(|()| {
            crate::store::schema::client_member_text_utils::register_impl(
                &mut conn,
                |client: Option<String>, name: String| {
                    Timed::new(|| {
                        // As in PostgreSQL, which cannot store NUL in text.
                        let text = JsonObject::from_stored(client?).member_text(&name);
                        text.map(|text| text.replace('\0', "\u{fffd}"))
                    })
                },
            )
        })
        .and_then(|()| {
            crate::store::schema::text_like_utils::register_impl(
                &mut conn,
                |text: Option<String>, pattern: String| {
                    Timed::new(|| Some(like::like(&text?, &pattern)))
                },
            )
        })
        .and_then(|()| {
            crate::store::schema::text_ilike_utils::register_impl(
                &mut conn,
                |text: Option<String>, pattern: String| {
                    Timed::new(|| Some(like::ilike(&text?, &pattern)))
                },
            )
        })
        .and_then(|()| {
            crate::store::schema::uuid_text_utils::register_impl(&mut conn, |id: Vec<u8>| {
                uuid::Uuid::from_slice(&id).unwrap_or_default().to_string()
            })
        })
        .and_then(|()| {
            crate::store::schema::within_time_utils::register_nondeterministic_impl(
                &mut conn,
                |_: i64| WithinTime,
            )
        })
        .map_err(|error| Fault::from(error).into_error())?;
    Ok(conn)
}
