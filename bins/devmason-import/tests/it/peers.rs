//! Importing from other systems. They are stood in for by servers that answer as their documentation says;
//! DCI by this server itself.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;

use serde_json::json;

use crate::*;

/// A server that answers GET with documents, by the starts of their paths; anything else is not there.
fn answering(documents: Vec<(&'static str, Value)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = move |stream: &mut TcpStream| -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let first = lines.next().unwrap_or(Ok(String::new()))?;
        lines
            .by_ref()
            .take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty()))
            .for_each(drop);
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let found = documents.iter().find(|(start, _)| path.starts_with(start));
        let (status, body) = match found {
            Some((_, body)) => ("200 OK", body.to_string()),
            None => ("404 Not Found", "{}".to_owned()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes())
    };
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = answer(&mut stream);
        }
    });
    format!("http://{address}")
}

/// The builds of a project in a store, oldest first.
fn builds(database: &TestDatabase, project: &str) -> Vec<Value> {
    let server = Server::on(database);
    let mut builds =
        server.get(&format!("/{project}/builds"))["builds"].as_array().unwrap().clone();
    builds.reverse();
    builds
}

#[test]
fn builds_of_jenkins_come_with_their_test_results_and_once() {
    let case = |name: &str, status: &str| json!({"className": "a.B", "name": name, "status": status, "duration": 0.5, "errorDetails": if status == "FAILED" { json!("no") } else { Value::Null }, "errorStackTrace": "at x", "stdout": "out"});
    let jenkins = answering(vec![
        (
            "/job/pony/api/json?tree=name,fullName,allBuilds",
            json!({"fullName": "pony", "allBuilds": [
            {"number": 3, "building": true, "timestamp": 1_795_629_922_000i64},
            {"number": 2, "result": "UNSTABLE", "timestamp": 1_795_629_922_000i64, "duration": 2000, "builtOn": "ci-7", "url": "http://j/2",
             "actions": [{}, {"lastBuiltRevision": {"SHA1": "1f0c2a9b7d7f4e5f8f7a6c5b4d3e2f1a0b9c8d7e", "branch": [{"name": "refs/remotes/origin/main"}]}}]},
            {"number": 1, "result": "SUCCESS", "timestamp": 1_795_000_000_000i64, "duration": 1000}]}),
        ),
        (
            "/job/pony/2/testReport/api/json",
            json!({"suites": [{"name": "s", "cases": [case("adds", "PASSED"), case("fails", "FAILED"), case("waits", "SKIPPED")]}],
            "childReports": [{"result": {"suites": [{"name": "s", "cases": [case("child", "FIXED")]}]}}]}),
        ),
    ]);
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = backend.database();
        let import = ["from", "jenkins", &format!("{jenkins}/job/pony"), "-p", "pony"];
        let (_, said) = done(&database, &import, b"");
        assert!(said.contains("2 imported, 0 already present, 0 skipped"), "{said}");
        assert!(said.contains("3 skipped: still running"), "{said}");
        let (_, said) = done(&database, &import, b"");
        assert!(said.contains("0 imported, 2 already present"), "{said}");
        let [first, second] = builds(&database, "pony").try_into().unwrap();
        assert_eq!((&first["success"], &first["tests"]), (&json!(true), &Value::Null));
        let tests = &second["tests"];
        assert_eq!(
            (&tests["passed"], &tests["failed"], &tests["skipped"]),
            (&json!(2), &json!(1), &json!(1))
        );
        assert_eq!(
            (&second["success"], &second["revision"]),
            (&json!(false), &json!("1f0c2a9b7d7f4e5f8f7a6c5b4d3e2f1a0b9c8d7e"))
        );
        let client = &second["client"];
        assert_eq!((&client["host"], &client["branch"]), (&json!("ci-7"), &json!("main")));
        assert_eq!((&client["job"], &client["build_number"]), (&json!("pony"), &json!("2")));
    }
}

#[test]
fn launches_of_reportportal_come_with_their_items_and_the_logs_of_those_that_failed() {
    let page = |content: Value| json!({"content": content, "page": {"number": 1, "totalPages": 1}});
    let item = |id: u64, parent: Value, name: &str, kind: &str, status: &str| json!({"id": id, "uuid": format!("u{id}"), "parent": parent, "name": name, "type": kind, "status": status, "hasStats": true, "hasChildren": kind == "SUITE", "startTime": 1_795_629_922_000i64 + id as i64, "endTime": 1_795_629_923_000i64});
    let portal = answering(vec![
        (
            "/api/v1/pony/launch",
            page(
                json!([{"id": 7, "uuid": "l", "number": 1, "name": "unit", "status": "FAILED", "startTime": 1_795_629_922_000i64, "endTime": 1_795_629_924_000i64, "attributes": [{"key": "os", "value": "linux", "system": false}]},
            {"id": 8, "name": "unit", "status": "IN_PROGRESS", "startTime": 1_795_629_922_000i64}]),
            ),
        ),
        (
            "/api/v1/pony/item?filter.eq.launchId=7",
            page(json!([
                item(1, Value::Null, "suite", "SUITE", "FAILED"),
                item(2, json!(1), "passes", "STEP", "PASSED"),
                item(3, json!(1), "fails", "STEP", "FAILED")
            ])),
        ),
        (
            "/api/v1/pony/log?filter.eq.item=3",
            page(
                json!([{"id": 9, "time": 1_795_629_922_500i64, "level": "ERROR", "message": "expected 1"}]),
            ),
        ),
    ]);
    let database = Backend::Sqlite.database();
    let import = ["from", "reportportal", &portal, "-p", "pony", "--from", "pony"];
    let (_, said) = done(&database, &import, b"");
    assert!(said.contains("1 imported, 0 already present, 0 skipped"), "{said}");
    let [build] = builds(&database, "pony").try_into().unwrap();
    assert_eq!((&build["success"], &build["tags"]), (&json!(false), &json!(["os:linux"])));
    assert_eq!((&build["tests"]["passed"], &build["tests"]["failed"]), (&json!(1), &json!(1)));
    let server = Server::on(&database);
    let tests =
        server.get(&format!("/pony/builds/{}/tests?status=failed", build["id"].as_str().unwrap()));
    assert_eq!(tests["tests"][0]["suite"], "suite");
    assert!(tests["tests"][0]["failure"].to_string().contains("expected 1"), "{tests}");
}

#[test]
fn builds_of_cdash_come_with_their_stages_and_tests() {
    let cdash = answering(vec![
        (
            "/api/v1/index.php?project=pony",
            json!({"buildgroups": [{"name": "Nightly", "builds": [{"id": 5, "site": "lab-7", "buildname": "gcc", "builddatefull": 1_795_629_922, "configure": {"error": 0}, "compilation": {"error": 0, "warning": 2}, "test": {"pass": 1, "fail": 1}}]}]}),
        ),
        (
            "/api/v1/viewTest.php?buildid=5",
            json!({"tests": [{"name": "adds", "status": "Passed", "details": "Completed", "execTimeFull": 0.5}, {"name": "fails", "status": "Failed", "details": "Completed (Failed)", "execTimeFull": "1.5"}, {"name": "hangs", "status": "Failed", "details": "Completed (Timeout)"}, {"name": "waits", "status": "Not Run", "details": "Disabled"}]}),
        ),
    ]);
    let database = Backend::Sqlite.database();
    let import = ["from", "cdash", &cdash, "-p", "pony", "--from", "pony", "--days", "1"];
    let (_, said) = done(&database, &import, b"");
    assert!(said.contains("1 imported, 0 already present, 0 skipped"), "{said}");
    let [build] = builds(&database, "pony").try_into().unwrap();
    let names: Vec<_> = build["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["name"].as_str().unwrap())
        .collect();
    assert_eq!((names, &build["tags"]), (vec!["configure", "build", "test"], &json!(["Nightly"])));
    let tests = &build["tests"];
    assert_eq!(
        (&tests["passed"], &tests["failed"], &tests["error"], &tests["skipped"]),
        (&json!(1), &json!(1), &json!(1), &json!(1))
    );
    assert_eq!((&build["client"]["host"], &build["success"]), (&json!("lab-7"), &json!(false)));
    let without = run(&database, &["from", "cdash", &cdash, "-p", "pony"], b"");
    assert!(String::from_utf8(without.stderr).unwrap().contains("--from"));
}

#[test]
fn jobs_of_dci_come_with_their_states_and_files() {
    let (there, here) = (Backend::Sqlite.database(), Backend::Sqlite.database());
    let server = Server::on(&there);
    let post = |path: &str, body: Value| -> Value {
        let answer = server.send("ann", "POST", &format!("/api/v1/{path}"), &body.to_string());
        serde_json::from_str(&answer.text()).unwrap()
    };
    post("topics", json!({"name": "OCP-4.12"}));
    let lab = post("remotecis", json!({"name": "lab-7"}));
    let job = post(
        "jobs",
        json!({"topic_id": "OCP-4-12", "remoteci_id": lab["remoteci"]["id"], "name": "nightly", "tags": ["daily"]}),
    );
    let id = job["job"]["id"].as_str().unwrap().to_owned();
    let running =
        post("jobstates", json!({"job_id": id, "status": "running", "comment": "testing"}));
    let state = running["jobstate"]["id"].as_str().unwrap();
    for (name, mime, state, body) in
        [("log", "text/plain", Some(state), "line\n"), ("r.xml", "application/junit", None, JUNIT)]
    {
        let request = Request::new(&server.address, "POST", "/api/v1/files").basic("ann", "ann-pw");
        let request =
            request.header("DCI-NAME", name).header("DCI-JOB-ID", &id).header("Content-Type", mime);
        let request = match state {
            Some(state) => request.header("DCI-JOBSTATE-ID", state),
            None => request,
        };
        assert_eq!(request.body(body.as_bytes()).send().status, 201);
    }
    post("jobstates", json!({"job_id": id, "status": "failure"}));
    let url = format!("http://{}", server.address);
    let (_, said) = done(&here, &["from", "dci", &url, "-p", "pony", "--from", "OCP-4.12"], b"");
    assert!(said.contains("1 imported, 0 already present, 0 skipped"), "{said}");
    let [copy] = builds(&here, "pony").try_into().unwrap();
    let original = server.get("/OCP-4-12/builds")["builds"][0].clone();
    for member in ["success", "tests", "tags", "started", "finished", "results"] {
        assert_eq!(copy[member], original[member], "{member}");
    }
    for member in ["host", "job", "status"] {
        assert_eq!(copy["client"][member], original["client"][member], "{member}");
    }
}

#[test]
fn a_directory_of_allure_results_is_a_build() {
    let directory = tempfile::tempdir().unwrap();
    let result = |name: &str, status: &str| {
        json!({"uuid": name, "name": name, "fullName": format!("s.{name}"), "status": status, "start": 1_795_629_922_000i64, "stop": 1_795_629_923_000i64, "labels": [{"name": "suite", "value": "s"}]}).to_string()
    };
    for (name, status) in [("a", "passed"), ("b", "failed")] {
        std::fs::write(directory.path().join(format!("{name}-result.json")), result(name, status))
            .unwrap();
    }
    std::fs::write(directory.path().join("c-attachment.txt"), "text").unwrap();
    let empty = tempfile::tempdir().unwrap();
    let database = Backend::Sqlite.database();
    let path = directory.path().to_str().unwrap();
    let (_, said) = done(&database, &["allure", "-p", "pony", "-t", "unit", path], b"");
    assert!(said.contains("1 imported, 0 already present, 0 skipped"), "{said}");
    let [build] = builds(&database, "pony").try_into().unwrap();
    assert_eq!((&build["tests"]["passed"], &build["tests"]["failed"]), (&json!(1), &json!(1)));
    assert_eq!(build["tags"], json!(["unit"]));
    let without = run(&database, &["allure", "-p", "pony", empty.path().to_str().unwrap()], b"");
    assert!(String::from_utf8(without.stderr).unwrap().contains("no Allure results"));
}
