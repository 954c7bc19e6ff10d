//! Database failures: clients get correct answers in time, and no one waits because of others.

use devmason_test_support::{Cluster, until};
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, SqliteConnection};

use crate::*;

const REPORT: &str = r#"{"success": true}"#;

/// A counter in the server's metrics.
fn metric(server: &Server, name: &str) -> u64 {
    let text = server.get("/metrics").text();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

fn says(answer: &Response, status: u16, reason: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert!(answer.text().contains(reason), "{}", answer.text());
    if status == 503 {
        assert!(!answer.header("retry-after").is_empty());
    }
}

#[test]
fn a_locked_file_stops_reports_but_not_for_long() {
    let database = Backend::Sqlite.database();
    let server = Server::start(&database, &[]);
    server.send("", "PUT", "/pony", r#"{"name": "Pony"}"#);
    let mut other =
        SqliteConnection::establish(database.url.strip_prefix("sqlite:").unwrap()).unwrap();
    other.batch_execute("begin exclusive").unwrap();
    // The lock is held until all responses have arrived.
    std::thread::scope(|scope| {
        let answers: Vec<_> = (0..40)
            .map(|_| scope.spawn(|| server.send("", "POST", "/pony/builds", REPORT)))
            .collect();
        assert_eq!(server.get("/pony/builds").status, 200);
        for answer in answers {
            assert_eq!(answer.join().unwrap().status, 503);
        }
    });
    says(&server.send("", "PUT", "/other", r#"{"name": "Other"}"#), 503, "busy");
    assert_eq!(server.get("/readyz").status, 200, "it is locked, not broken");
    other.batch_execute("rollback").unwrap();
    assert_eq!(server.json("/pony/builds")["count"], 0, "what was refused is not stored later");
    assert_eq!(server.send("", "POST", "/pony/builds", REPORT).status, 201);
}

#[test]
fn a_locked_project_stops_reports_of_no_other() {
    let database = Backend::Postgres.database();
    let server = Server::start(&database, &[]);
    for slug in ["/pony", "/other"] {
        server.send("alice", "PUT", slug, r#"{"name": "Name"}"#);
    }
    let mut other = PgConnection::establish(&database.url).unwrap();
    other.batch_execute("begin; select * from project where slug = 'pony' for update").unwrap();
    std::thread::scope(|scope| {
        let locked: Vec<_> = (0..40)
            .map(|_| scope.spawn(|| server.send("", "POST", "/pony/builds", REPORT)))
            .collect();
        for _ in 0..20 {
            assert_eq!(server.send("", "POST", "/other/builds", REPORT).status, 201);
        }
        let rename = server.send("alice", "PUT", "/pony", r#"{"name": "New"}"#);
        says(&rename, 503, "holds a database lock");
        for answer in locked {
            assert_eq!(answer.join().unwrap().status, 503);
        }
    });
    other.batch_execute("rollback").unwrap();
    assert_eq!(server.json("/pony/builds")["count"], 0, "what was refused is not stored later");
    assert_eq!(server.send("", "POST", "/pony/builds", REPORT).status, 201);
    assert_eq!(server.json("/other/builds")["count"], 20);
}

#[test]
fn a_frozen_database_keeps_nobody_waiting() {
    let cluster = Cluster::start(&["fsync=off"]);
    let url = cluster.create_database("frozen");
    let server = Server::spawn(program().args(["--listen", "127.0.0.1:0", "--database-url", &url]));
    server.send("", "PUT", "/pony", r#"{"name": "Pony"}"#);
    server.send("", "PUT", "/pony/builds/1", REPORT);
    cluster.signal("-STOP");
    // It stays frozen until all responses have arrived.
    std::thread::scope(|scope| {
        let reports: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| server.send("", "POST", "/pony/builds", REPORT)))
            .collect();
        for path in ["/", "/pony", "/pony/builds/1", "/pony/builds", "/users", "/api/v1/builds"] {
            says(&server.get(path), 503, "the database is unreachable");
        }
        says(&server.get("/readyz"), 503, "the database is unreachable");
        assert_eq!(server.get("/healthz").status, 200);
        for report in reports {
            assert_eq!(report.join().unwrap().status, 503);
        }
    });
    cluster.signal("-CONT");
    until("the server is ready", || server.get("/readyz").status == 200);
    assert_eq!(server.send("", "POST", "/pony/builds", REPORT).status, 201);
}

#[test]
fn a_database_that_takes_no_writes_says_so_and_takes_them_again() {
    let database = Backend::Postgres.database();
    let server = Server::start(&database, &[]);
    server.send("", "PUT", "/pony", r#"{"name": "Pony"}"#);
    let name = database.url.rsplit_once('/').unwrap().1;
    let set = |to: &str| {
        let mut admin = PgConnection::establish(&database.url).unwrap();
        let statement = format!("alter database {name} set default_transaction_read_only = {to}");
        admin.batch_execute(&format!("set transaction_read_only = off; {statement}")).unwrap();
    };
    set("on");
    // This applies to new connections.
    database.sever();
    until("the server has noticed", || {
        let answer = server.send("", "POST", "/pony/builds", REPORT);
        answer.text().contains("the database is currently read-only")
    });
    says(
        &server.send("", "POST", "/pony/builds", REPORT),
        503,
        "the database is currently read-only",
    );
    says(
        &server.send("", "PUT", "/other", r#"{"name": "Other"}"#),
        503,
        "the database is currently read-only",
    );
    says(&server.get("/readyz"), 503, "the database is read-only");
    assert_eq!(server.get("/pony/builds").status, 200);
    set("off");
    until("the server is ready", || server.get("/readyz").status == 200);
    assert_eq!(server.send("", "POST", "/pony/builds", REPORT).status, 201);
}

#[test]
fn no_empty_database_takes_the_place_of_a_file_that_was_removed() {
    let database = Backend::Sqlite.database();
    let path = database.url.strip_prefix("sqlite:").unwrap();
    let server = Server::start(&database, &[]);
    server.send("", "PUT", "/pony", r#"{"name": "Pony"}"#);
    let away = format!("{path}.away");
    std::fs::rename(path, &away).unwrap();
    says(&server.send("", "POST", "/pony/builds", REPORT), 503, "removed or replaced");
    says(&server.send("", "PUT", "/other", r#"{"name": "Other"}"#), 503, "removed or replaced");
    says(&server.get("/readyz"), 503, "removed or replaced");
    assert!(!std::path::Path::new(path).exists());
    std::fs::copy(&away, path).unwrap();
    says(&server.get("/readyz"), 503, "removed or replaced");
    std::fs::rename(&away, path).unwrap();
    assert_eq!(server.get("/readyz").status, 200);
    assert_eq!(server.send("", "POST", "/pony/builds", REPORT).status, 201);
}

#[test]
fn a_server_does_not_start_on_a_file_that_it_cannot_write() {
    let database = Backend::Sqlite.database();
    drop(Server::start(&database, &[]));
    let path = database.url.strip_prefix("sqlite:").unwrap();
    let url = format!("sqlite:file:{path}?mode=ro");
    let output = run(program().args(["--listen", "127.0.0.1:0", "--database-url", &url]));
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("the database is read-only"), "{said}");
}

#[test]
fn a_damaged_file_is_not_called_ready() {
    let database = Backend::Sqlite.database();
    let server = Server::start(&database, &[]);
    server.send("", "PUT", "/pony", r#"{"name": "Pony"}"#);
    for _ in 0..50 {
        server.send(
            "",
            "POST",
            "/pony/builds",
            r#"{"success": true, "tags": ["t"], "client": {"host": "a"}}"#,
        );
    }
    server.signal("-TERM");
    server.wait();
    let path = database.url.strip_prefix("sqlite:").unwrap();
    let mut connection = SqliteConnection::establish(path).unwrap();
    // The root page of the table.
    #[derive(diesel::QueryableByName)]
    struct Root {
        #[diesel(sql_type = diesel::sql_types::Integer)]
        rootpage: i32,
    }
    let root = "select rootpage from sqlite_schema where name = 'build'";
    let root: Root =
        diesel::RunQueryDsl::get_result(diesel::sql_query(root), &mut connection).unwrap();
    drop(connection);
    let mut bytes = std::fs::read(path).unwrap();
    let start = (root.rootpage as usize - 1) * 8192;
    bytes[start..start + 8192].fill(0xaa);
    std::fs::write(path, bytes).unwrap();

    let server = Server::start(&database, &[]);
    assert_eq!(server.get("/pony/builds").status, 500);
    says(&server.get("/readyz"), 503, "contains invalid data");
}

#[test]
fn a_build_comes_behind_those_that_arrived_before_the_clock_was_set_back() {
    let database = Backend::Sqlite.database();
    let server = Server::start(&database, &[]);
    server.send("", "PUT", "/pony", r#"{"name": "Pony"}"#);
    let report = r#"{"success": true, "started": "2026-01-01T00:00:00Z"}"#;
    server.send("", "PUT", "/pony/builds/first", report);
    server.signal("-TERM");
    server.wait();
    // Simulates arrival one hour in the future: bits 10 to 61 of the id are microseconds.
    let path = database.url.strip_prefix("sqlite:").unwrap();
    let mut connection = SqliteConnection::establish(path).unwrap();
    let build = "select substr(hex(id), 17) as low from build";
    #[derive(diesel::QueryableByName)]
    struct Low {
        #[diesel(sql_type = diesel::sql_types::Text)]
        low: String,
    }
    let low: Low =
        diesel::RunQueryDsl::get_result(diesel::sql_query(build), &mut connection).unwrap();
    let later = u64::from_str_radix(&low.low, 16).unwrap() + (3_600_000_000 << 10);
    let set_back = format!(
        "update build set id = unhex(substr(hex(id), 1, 16) || '{later:016X}'); \
         update build_count set updated_at = updated_at + 3600000000"
    );
    connection.batch_execute(&set_back).unwrap();
    drop(connection);

    let server = Server::start(&database, &[]);
    server.send("", "PUT", "/pony/builds/second", report);
    let list = server.json("/pony/builds?fields=id");
    let ids: Vec<_> = list["builds"].as_array().unwrap().iter().map(|build| &build["id"]).collect();
    assert_eq!(ids, ["second", "first"]);
}

#[test]
fn the_write_ahead_log_is_cut_off_once_nobody_reads_from_it() {
    let database = Backend::Sqlite.database();
    let server = Server::start(&database, &[]);
    server.send("", "PUT", "/pony", r#"{"name": "Pony"}"#);
    let mut reader =
        SqliteConnection::establish(database.url.strip_prefix("sqlite:").unwrap()).unwrap();
    reader.batch_execute("begin; select count(*) from build").unwrap();
    // Incompressible data.
    let mut state = 1u64;
    let mut noise = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        char::from(33 + (state >> 33) as u8 % 58)
    };
    let log = || metric(&server, "devmason_write_ahead_log_bytes");
    while log() < 20 << 20 {
        let output: String = (0..2 << 20).map(|_| noise()).collect();
        let body = format!(
            r#"{{"success": true, "results": [{{"name": "s", "success": true, "output": {}}}]}}"#,
            Value::from(output)
        );
        assert_eq!(server.send("", "POST", "/pony/builds", &body).status, 201);
    }
    reader.batch_execute("commit").unwrap();
    until("the log is cut off", || log() < 16 << 20);
}
