//! The program as administrators run it: moving whole stores between databases, importing trees of
//! reports and lines.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod peers;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;

use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;

use devmason_test_support::http::{Request, Response};
use devmason_test_support::{Backend, TestDatabase};
use serde_json::Value;
use tokio::sync::oneshot;

/// The real server on a store, within this process.
struct Server {
    address: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn on(database: &TestDatabase) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let options = devmason_repository::Options::default();
        let repository = devmason_repository::open(&database.url, &options).unwrap();
        let settings =
            devmason_api::Settings { password_cost: 4, ..devmason_api::Settings::default() };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let stopped = async { stopped.await.unwrap_or(()) };
            actix_web::rt::System::new()
                .block_on(devmason_api::serve(listener, settings, repository, stopped))
                .unwrap();
        });
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    fn send(&self, user: &str, method: &str, path: &str, body: &str) -> Response {
        let request = Request::new(&self.address, method, path);
        let request =
            if user.is_empty() { request } else { request.basic(user, &format!("{user}-pw")) };
        let request = if body.is_empty() { request } else { request.json(body) };
        let response = request.send();
        assert!(response.status < 300, "{method} {path}: {}", response.text());
        response
    }

    fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.send("ann", "GET", path, "").text()).unwrap()
    }

    /// Every document reachable by links, and every list of /api/v1, without server names and versions.
    fn documents(&self) -> BTreeMap<String, Value> {
        let origin = format!("http://{}", self.address);
        let mut to_see = vec!["/".to_owned()];
        for list in [
            "componenttypes",
            "components",
            "projects",
            "builds",
            "steps",
            "tests",
            "tags",
            "users",
            "issues",
        ] {
            to_see.push(format!("/api/v1/{list}?limit=1000"));
        }
        let mut documents = BTreeMap::new();
        while let Some(path) = to_see.pop() {
            if documents.contains_key(&path) || path == "/openapi.json" || path.ends_with("/latest")
            {
                continue;
            }
            let request = Request::new(&self.address, "GET", &path).basic("ann", "ann-pw");
            let response = request.send();
            if response.header("content-type") != "application/json" && response.status == 200 {
                let text = response.text().replace(&origin, "");
                documents.insert(path, Value::String(text));
                continue;
            }
            // The progress and reparse resources have no documents.
            if path.ends_with("/progress") || path.ends_with("/reparse") {
                continue;
            }
            assert_eq!(response.status, 200, "{path}: {}", response.text());
            let text = response.text().replace(&origin, "");
            let mut document: Value = serde_json::from_str(&text).unwrap();
            collect(&document, &mut to_see);
            without_versions(&mut document);
            documents.insert(path, document);
        }
        documents
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn collect(value: &Value, to_see: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, to_see)),
        Value::Object(members) => {
            if members.contains_key("allowed_methods")
                && let Some(Value::String(href)) = members.get("href")
            {
                to_see.push(href.clone());
            }
            members.values().for_each(|member| collect(member, to_see));
        }
        _ => {}
    }
}

/// ETags depend on the store's own versions.
fn without_versions(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_versions),
        Value::Object(members) => {
            members.remove("etag");
            members.values_mut().for_each(without_versions);
        }
        _ => {}
    }
}

fn run(database: &TestDatabase, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_devmason-import"));
    command
        .env_remove("DEVMASON_DATABASE_URL")
        .args(["--database-url", &database.url])
        .args(arguments);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn done(database: &TestDatabase, arguments: &[&str], input: &[u8]) -> (Vec<u8>, String) {
    let output = run(database, arguments, input);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {said}");
    (output.stdout, said)
}

const JUNIT: &str = r#"<testsuite name="s" timestamp="2026-01-02T03:04:05" hostname="ci-7"><testcase classname="a" name="x" time="0.5"/><testcase classname="a" name="y"><failure message="no">at b</failure><system-out>out</system-out></testcase></testsuite>"#;

/// A store with every kind of object.
fn fill(database: &TestDatabase) {
    let server = Server::on(database);
    let body = r#"{"name":"Pony, of course","reporting":"authenticated"}"#;
    server.send("ann", "PUT", "/pony", body);
    server.send("", "PUT", "/free", r#"{"name":"Free"}"#);
    server.send("bob", "PUT", "/bobs", r#"{"name":"Bob's","reporting":"owner"}"#);
    server.send("ann", "POST", "/api/v1/componenttypes", r#"{"name":"kernel"}"#);
    let details = r#"{"name":"6.12","componenttype":"kernel","title":"The \"kernel\"","data":{"a": 1.50, "b":[null]},"ref":"main"}"#;
    server.send("bob", "POST", "/api/v1/components", details);
    let build = r#"{"success":false,"started":"2009-10-20T10:20:00.123456-05:00","finished":"2009-10-20T16:22:00+01:00",
        "tags":["linux","b c/d"],"client":{"host":"ci","n":1.50e3,"deep":{"x":[1,2]}},"components":[{"type":"kernel","name":"6.12"}],
        "results":[{"name":"s","success":false,"output":"a\u0000b\u001b[0m","errout":"é","exit_code":0.10,
                    "tests":[{"suite":"t","name":"c","status":"flaky","duration":0.25,"retries":2,"owner":"me"}]}]}"#;
    server.send("ann", "POST", "/pony/builds", build);
    server.send("bob", "PUT", "/pony/builds/17", build);
    for issue in [
        r#"{"title":"ü","match":{"test":"t::*","message":"m","branch":"b","variant":"v"},"mute":true,"note":"a\nb"}"#,
        r#"{"title":"two","match":{"signature":"0123456789abcdef0123456789abcdef"},"url":"https://x.org/1","state":"closed"}"#,
    ] {
        server.send("ann", "POST", "/pony/issues", issue);
    }
    server.send("ann", "PUT", "/pony", r#"{"name":"Pony, of course","triage":"authenticated"}"#);
    let tracks = server.get("/pony/tracks");
    let track = tracks["tracks"][0]["track"]["key"].as_str().unwrap();
    server.send("ann", "PUT", &format!("/pony/tracks/{track}"), r#"{"expected":"26h"}"#);
    server.send("", "POST", "/free/builds", r#"{"success":true}"#);
    let junit = Request::new(&server.address, "POST", "/free/builds?tag=unit")
        .header("Content-Type", "text/xml");
    assert_eq!(junit.body(JUNIT.as_bytes()).send().status, 201);
    for end in [true, false] {
        let progress = server
            .send("ann", "POST", "/pony/builds", r#"{"incremental":true,"tags":["linux"]}"#)
            .header("location")
            .to_owned();
        server.send("ann", "POST", &progress, r#"{"name":"one","success":true}"#);
        if end {
            server.send("ann", "DELETE", &progress, r#"{"success":false}"#);
        }
    }
}

#[test]
fn a_store_that_is_moved_to_the_other_database_and_back_is_the_same() {
    let stores = [Backend::Sqlite, Backend::Postgres, Backend::Sqlite].map(Backend::database);
    fill(&stores[0]);
    let mut dumps = vec![done(&stores[0], &["export"], b"").0];
    for store in &stores[1..] {
        let (_, said) = done(store, &["import"], dumps.last().unwrap());
        assert!(said.contains("16 imported, 0 already present, 0 skipped"), "{said}");
        dumps.push(done(store, &["export"], b"").0);
    }
    let lines = |dump: &[u8]| String::from_utf8(dump.to_vec()).unwrap();
    assert_eq!(lines(&dumps[0]).lines().count(), 19);
    assert_eq!(lines(&dumps[1]), lines(&dumps[0]));
    assert_eq!(lines(&dumps[2]), lines(&dumps[0]));
    // They also look the same to clients, and passwords still work.
    let documents = [0, 1, 2].map(|nth| Server::on(&stores[nth]).documents());
    assert!(documents[0].len() > 40, "{:?}", documents[0].keys());
    assert_eq!(documents[1], documents[0]);
    assert_eq!(documents[2], documents[0]);
}

#[test]
fn an_import_that_was_cut_off_goes_on_and_stores_nothing_twice() {
    let (from, to) = (Backend::Sqlite.database(), Backend::Sqlite.database());
    fill(&from);
    let dump = done(&from, &["export"], b"").0;
    let half = &dump[..dump.len() / 2];
    let cut = run(&to, &["import"], half);
    // The truncated line is invalid.
    assert_eq!(cut.status.code(), Some(1));
    done(&to, &["import"], &dump);
    let (_, said) = done(&to, &["import"], &dump);
    assert!(said.contains("0 imported, 16 already present, 0 skipped"), "{said}");
    assert_eq!(done(&to, &["export"], b"").0, dump);
}

#[test]
fn an_import_that_is_made_again_leaves_what_changed_meanwhile() {
    let (from, to) = (Backend::Sqlite.database(), Backend::Sqlite.database());
    fill(&from);
    let dump = done(&from, &["export"], b"").0;
    done(&to, &["import"], &dump);
    let server = Server::on(&to);
    let running = server.get("/pony/builds?where=state:running")["builds"][0]["id"].clone();
    let progress = format!("/pony/builds/{}/progress", running.as_str().unwrap());
    let ended = server.send("ann", "DELETE", &progress, r#"{"success":true}"#);
    assert!(ended.status < 300, "{}", ended.text());
    server.send("ann", "POST", "/pony/builds", r#"{"success":true,"tags":["linux"]}"#);
    drop(server);
    let before = done(&to, &["export"], b"").0;
    done(&to, &["import"], &dump);
    let lines = |dump: &[u8]| String::from_utf8(dump.to_vec()).unwrap();
    assert_eq!(lines(&done(&to, &["export"], b"").0), lines(&before));
}

#[test]
fn an_export_into_a_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let from = Backend::Sqlite.database();
    fill(&from);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dump.ndjson");
    done(&from, &["export", path.to_str().unwrap()], b"");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // An existing file becomes private, and a link is not followed.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    done(&from, &["export", path.to_str().unwrap()], b"");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    std::fs::write(dir.path().join("before"), std::fs::read(&path).unwrap()).unwrap();
    let refused = run(&from, &["export", link.to_str().unwrap()], b"");
    assert_eq!(refused.status.code(), Some(2));
    assert!(link.is_symlink() && std::fs::read_dir(dir.path()).unwrap().count() == 3);
    // The store, and SQLite's files beside it.
    let mut server = Some(Server::on(&from));
    let store = std::path::PathBuf::from(from.url.trim_start_matches("sqlite:"));
    let modes = || -> Vec<u32> {
        let files = std::fs::read_dir(store.parent().unwrap()).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().permissions().mode() & 0o777).collect()
    };
    server.as_ref().unwrap().get("/");
    assert!(modes().iter().all(|mode| *mode == 0o600), "{:?}", modes());
    drop(server.take());
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o644)).unwrap();
    server = Some(Server::on(&from));
    server.as_ref().unwrap().get("/");
    assert!(modes().iter().all(|mode| *mode == 0o600), "{:?}", modes());
    drop(server);
    let to = Backend::Sqlite.database();
    done(&to, &["import", path.to_str().unwrap()], b"");
    assert_eq!(done(&to, &["export"], b"").0, std::fs::read(&path).unwrap());
}

#[test]
fn trees_of_report_files_become_builds_once() {
    let store = Backend::Sqlite.database();
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("2025/a/junit.xml", JUNIT);
    write("2025/b/junit.xml", JUNIT);
    write("2026/results.tap", "1..1\nok 1 - a\n");
    write("2026/notes.md", "# No report\n");
    // Unpacked on a machine without a clock.
    let before_1970 = std::time::UNIX_EPOCH - std::time::Duration::from_secs(86_400);
    let tap = std::fs::File::options().write(true).open(dir.path().join("2026/results.tap"));
    tap.unwrap().set_modified(before_1970).unwrap();
    let arguments = ["reports", "-p", "old", "-t", "imported", dir.path().to_str().unwrap()];
    let first = run(&store, &arguments, b"");
    let said = String::from_utf8(first.stderr).unwrap();
    assert_eq!(first.status.code(), Some(1));
    assert!(
        said.contains("notes.md skipped: ")
            && said.contains("3 imported, 0 already present, 1 skipped"),
        "{said}"
    );
    let again = String::from_utf8(run(&store, &arguments, b"").stderr).unwrap();
    assert!(again.contains("0 imported, 3 already present, 1 skipped"), "{again}");
    let server = Server::on(&store);
    let builds = server.get("/old/builds");
    assert_eq!(builds["count"], 3);
    assert_eq!(builds["builds"][2]["started"], "Wed, 31 Dec 1969 00:00:00 +0000");
    let build = &builds["builds"][1];
    assert_eq!((&build["tests"]["failed"], &build["client"]["host"]), (&1.into(), &"ci-7".into()));
    assert_eq!(
        (&build["started"], &build["tags"][0]),
        (&"Fri, 02 Jan 2026 03:04:05 +0000".into(), &"imported".into())
    );
    let history = server.get("/old/tests/a::y");
    assert_eq!(history["runs"].as_array().unwrap().len(), 2);
}

#[test]
fn lines_that_are_documents_become_builds_once_and_bad_ones_are_told() {
    let store = Backend::Sqlite.database();
    let lines = concat!(
        r#"{"success":true,"started":"2020-01-01T00:00:00Z","results":[{"name":"s","success":true,"output":"o"}]}"#,
        "\n\n",
        r#"{"id":"17","success":false,"started":"2020-01-02T00:00:00Z"}"#,
        "\n",
        r#"{"success":"perhaps"}"#,
        "\n",
        r#"{"kind":"unicorn"}"#,
        "\nnonsense\n",
    );
    let output = run(&store, &["import", "-p", "old"], lines.as_bytes());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("line 4 skipped: success: invalid type"), "{said}");
    assert!(
        said.contains("line 5 skipped: kind: unknown kind 'unicorn'") && said.contains("line 6"),
        "{said}"
    );
    assert!(said.contains("2 imported, 0 already present, 3 skipped"), "{said}");
    let again =
        String::from_utf8(run(&store, &["import", "-p", "old"], lines.as_bytes()).stderr).unwrap();
    assert!(again.contains("0 imported, 2 already present, 3 skipped"), "{again}");
    assert_eq!(Server::on(&store).get("/old/builds/17")["success"], false);
}

#[test]
fn the_builds_of_a_running_server_are_read_over_http() {
    let (from, to) = (Backend::Sqlite.database(), Backend::Sqlite.database());
    fill(&from);
    let server = Server::on(&from);
    let url = format!("http://{}", server.address);
    let (_, said) = done(&to, &["server", &url], b"");
    assert!(
        said.contains("5 imported, 0 already present, 0 skipped")
            && said.contains("skipped: still running"),
        "{said}"
    );
    let (_, said) = done(&to, &["server", &url, "-p", "pony"], b"");
    assert!(said.contains("0 imported, 3 already present"), "{said}");
    let copy = Server::on(&to);
    let strip = |mut build: Value| {
        let members = build.as_object_mut().unwrap();
        // Components and users are not copied, and without a user a build is in another track.
        members.retain(|name, _| !matches!(name.as_str(), "links" | "components" | "track"));
        build
    };
    let path = "/pony/builds/17";
    assert_eq!(strip(copy.get(path)), strip(server.get(path)));
    let tests =
        |server: &Server| server.get(&format!("{path}/tests"))["tests"][0]["properties"].clone();
    assert_eq!(tests(&copy), tests(&server));
}

#[test]
fn what_is_wrong_with_the_arguments_is_said() {
    let store = Backend::Sqlite.database();
    let said = |arguments: &[&str]| {
        let output = run(&store, arguments, b"");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said(&["import", "/no/such/file"]).contains("/no/such/file: "));
    assert!(said(&["reports", "-p", "a b", "x"]).contains("--project"));
    assert!(said(&["server", "nonsense"]).contains("server: invalid URL 'nonsense'"));
}
