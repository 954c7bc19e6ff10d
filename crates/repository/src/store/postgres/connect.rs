//! Connections to PostgreSQL, and their session settings.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Text;

use super::Conn;
use super::queries::{Sql, establish};
use crate::Result;
use crate::store::fault::Fault;

/// How long a statement waits for a lock.
const LOCK: Duration = Duration::from_secs(1);

/// The purpose of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    Reader {
        timeout: Duration,
    },
    Writer,
    /// Health checks.
    Pulse,
}

pub(super) fn connect(url: &str, role: Role) -> Result<Conn> {
    let mut conn = establish(&with_timeouts(url))?;
    // Runaway statements, and those waiting for a lock, are cancelled so that they do not occupy the
    // pool.
    let limit = match role {
        Role::Reader { timeout } => timeout,
        Role::Writer => Duration::from_secs(30),
        Role::Pulse => Duration::from_secs(2),
    };
    let milliseconds = |limit: Duration| limit.as_millis().max(1).to_string();
    Sql::<()>::new("set client_min_messages = 'warning'")
        .execute(&mut conn)
        .and_then(|_| match role {
            // The batch statements never benefit from replanning, which costs more than they do.
            Role::Writer => {
                Sql::<()>::new("set plan_cache_mode = 'force_generic_plan'").execute(&mut conn)
            }
            Role::Reader { .. } | Role::Pulse => Ok(0),
        })
        .and_then(|_| {
            Sql::<()>::new(
                "select set_config('statement_timeout', ?, false), set_config('lock_timeout', ?, false)",
            )
            .bind::<Text, _>(milliseconds(limit))
            .bind::<Text, _>(milliseconds(LOCK))
            .execute(&mut conn)
        })
        .map_err(|error| Fault::from(error).into_error())?;
    Ok(conn)
}

/// Adds timeouts for connecting and for a dead peer to the URL. Its own parameters take precedence.
fn with_timeouts(url: &str) -> String {
    let mut url = url.to_owned();
    for (name, value) in [("connect_timeout", "3"), ("tcp_user_timeout", "15000")] {
        if !url.contains(name) {
            url.push(if url.contains('?') { '&' } else { '?' });
            url += &format!("{name}={value}");
        }
    }
    url
}
