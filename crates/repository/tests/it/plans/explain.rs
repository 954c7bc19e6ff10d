//! Records the statements that a thread runs, and explains them.

use std::cell::RefCell;

use diesel::connection::InstrumentationEvent;
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::*;

thread_local! {
    /// The statements run by this thread while recording is on.
    static HEARD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

pub(super) fn note(event: InstrumentationEvent<'_>) {
    if let InstrumentationEvent::StartQuery { query, .. } = event {
        HEARD.with_borrow_mut(|heard| heard.iter_mut().for_each(|all| all.push(query.to_string())));
    }
}

/// Runs a closure and returns its statements with their values.
pub(super) fn statements(run: impl FnOnce()) -> Vec<(String, Vec<String>)> {
    HEARD.set(Some(Vec::new()));
    run();
    let heard = HEARD.take().unwrap();
    heard.iter().map(|statement| split(statement)).collect()
}

/// Splits a statement from its values, as Diesel prints them: `select ... -- binds: [1, Id(...)]`.
fn split(shown: &str) -> (String, Vec<String>) {
    let (sql, binds) = shown.split_once(" -- binds: ").unwrap_or((shown, "[]"));
    let inner = binds.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap();
    let (mut values, mut value, mut depth, mut quoted) = (Vec::new(), String::new(), 0, false);
    for c in inner.chars() {
        match c {
            '"' => quoted = !quoted,
            '[' | '(' if !quoted => depth += 1,
            ']' | ')' if !quoted => depth -= 1,
            _ => {}
        }
        if c == ',' && depth == 0 && !quoted {
            values.push(value.trim().to_owned());
            value.clear();
        } else {
            value.push(c);
        }
    }
    if !value.trim().is_empty() {
        values.push(value.trim().to_owned());
    }
    (sql.to_owned(), values)
}

/// Formats a value as a SQL literal.
fn literal(backend: Backend, value: &str) -> String {
    if let Some(id) = value.strip_prefix("Id(").and_then(|rest| rest.strip_suffix(')')) {
        return match backend {
            Backend::Postgres => format!("'{id}'::uuid"),
            Backend::Sqlite => format!("x'{}'", id.replace('-', "")),
        };
    }
    if let Some(micros) = value.strip_prefix("At(").and_then(|rest| rest.strip_suffix(')')) {
        return match backend {
            Backend::Postgres => format!("to_timestamp({micros} / 1e6)"),
            Backend::Sqlite => micros.to_owned(),
        };
    }
    if let Some(items) = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        // Sixteen bytes are a key, and thirty-two a digest.
        let bytes: Option<Vec<u8>> = items.split(", ").map(|item| item.parse().ok()).collect();
        if let Some(bytes) = bytes.filter(|bytes| matches!(bytes.len(), 16 | 32)) {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            return match backend {
                Backend::Postgres => format!("'\\x{hex}'::bytea"),
                Backend::Sqlite => format!("x'{hex}'"),
            };
        }
        let items: Vec<_> = match items.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(keys) => {
                keys.split("], [").map(|key| literal(backend, &format!("[{key}]"))).collect()
            }
            None => items.split(", ").map(|item| literal(backend, item)).collect(),
        };
        return format!("array[{}]", items.join(", "));
    }
    match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(text) => format!("'{text}'"),
        None => value.to_owned(),
    }
}

/// The statement with its values inlined, so that it is planned as it is executed.
pub(super) fn whole(backend: Backend, (sql, values): &(String, Vec<String>)) -> String {
    let mut whole = sql.clone();
    match backend {
        Backend::Postgres => {
            for (at, value) in values.iter().enumerate().rev() {
                whole = whole.replace(&format!("${}", at + 1), &literal(backend, value));
            }
        }
        Backend::Sqlite => {
            for value in values {
                whole = whole.replacen('?', &literal(backend, value), 1);
            }
        }
    }
    whole
}

#[derive(QueryableByName)]
struct PostgresLine {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    line: String,
}

#[derive(QueryableByName)]
struct SqliteLine {
    #[diesel(sql_type = Text)]
    detail: String,
}

pub(super) fn plan(backend: Backend, url: &str, statement: &str) -> String {
    let lines: Vec<String> = match backend {
        Backend::Postgres => {
            let mut conn = PgConnection::establish(url).unwrap();
            let lines: Vec<PostgresLine> = diesel::sql_query(format!("explain {statement}"))
                .load(&mut conn)
                .unwrap_or_else(|error| panic!("{error}: {statement}"));
            lines.into_iter().map(|line| line.line).collect()
        }
        Backend::Sqlite => {
            let path = url.strip_prefix("sqlite:").unwrap();
            let mut conn = SqliteConnection::establish(path).unwrap();
            // The functions that the repository registers on each connection change no plan.
            let plain = statement
                .replace("within_time(", "abs(")
                .replace("client_member_text", "json_extract")
                .replace("uuid_text", "hex");
            let explain = format!("explain query plan {plain}");
            let lines: Vec<SqliteLine> = diesel::sql_query(explain)
                .load(&mut conn)
                .unwrap_or_else(|error| panic!("{error}: {statement}"));
            lines.into_iter().map(|line| line.detail).collect()
        }
    };
    lines.join("\n")
}
