//! The collectors of Buildkite Test Engine.

use super::*;

fn batch(key: &str, tests: &Value) -> String {
    let run = json!({"CI": "buildkite", "key": key, "branch": "main", "commit_sha": "1f0c2a9b7d7f4e5f8f7a6c5b4d3e2f1a0b9c8d7e", "test_runner": "pytest"});
    json!({"format": "json", "run_env": run, "tags": {"team": "x"}, "data": tests}).to_string()
}

fn test(id: &str, result: &str) -> Value {
    json!({"id": id, "scope": "test_a.py", "name": format!("test_{id}"), "location": "test_a.py:6", "result": result,
        "failure_reason": null, "failure_expanded": [], "history": {"section": "top", "start_at": 0.1, "duration": 0.2}})
}

fn send(server: &Server, body: &str) -> Answer {
    let request = server.request("POST", "/pony/buildkite/v1/uploads");
    server.send(request.json(body))
}

#[test]
fn the_batches_of_a_run_are_one_build() {
    on_both(|server| {
        let first = send(server, &batch("b1", &json!([test("a", "passed"), test("b", "skipped")])));
        assert_eq!(first.status, 202, "{}", first.text());
        assert_eq!(first.json()["queued"], 2);
        let second = batch("b1", &json!([test("c", "failed")]));
        assert_eq!(send(server, &second).json()["run_id"], first.json()["run_id"]);
        let again = send(server, &second).json();
        assert_eq!((&again["queued"], &again["skipped"]), (&json!(0), &json!(1)));
        send(server, &batch("b2", &json!([test("a", "passed")])));
        let [_, build] = builds(server, "pony").try_into().unwrap();
        assert_eq!((names(&build), &build["state"]), (vec!["pytest", "pytest"], &json!("running")));
        assert_eq!((&build["tests"]["total"], &build["tests"]["failed"]), (&json!(3), &json!(1)));
        assert_eq!(build["tags"], json!(["team:x"]));
        assert_eq!(build["revision"], "1f0c2a9b7d7f4e5f8f7a6c5b4d3e2f1a0b9c8d7e");
        assert!(first.json()["run_url"].as_str().unwrap().ends_with(build["id"].as_str().unwrap()));
    });
}

#[test]
fn a_report_file_comes_as_a_form() {
    let server = Server::new();
    let field = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let form = |format: &str| {
        let file = "--b\r\nContent-Disposition: form-data; name=\"data\"; filename=\"j.xml\"\r\n\r\n\
                    <testsuite name='s'><testcase name='a'/></testsuite>\r\n--b--\r\n";
        let text =
            field("format", format) + &field("run_env[key]", "k") + &field("tags[os]", "x") + file;
        let request = server.request("POST", "/pony/buildkite/v1/uploads");
        server.send(
            request.header("Content-Type", "multipart/form-data; boundary=b").body(text.as_bytes()),
        )
    };
    assert_eq!(form("rspec-json").status, 415);
    assert_eq!(server.get("/pony").status, 404);
    assert_eq!(form("junit").status, 202);
    let [build] = builds(&server, "pony").try_into().unwrap();
    assert_eq!((&build["tests"]["total"], &build["tags"]), (&json!(1), &json!(["os:x"])));
}

#[test]
fn what_is_no_batch_is_refused_with_the_reason() {
    let server = Server::new();
    server.project("pony");
    for (body, reason) in [
        ("{}", "run_env"),
        (r#"{"format":"xml","run_env":{"key":"k"},"data":[]}"#, "format"),
        (r#"{"run_env":{},"data":[]}"#, "run_env.key"),
        ("[", "body"),
    ] {
        let refused = send(&server, body);
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert!(refused.message().contains(reason), "{}", refused.message());
    }
    let request = server.request("POST", "/pony/buildkite/v1/uploads");
    assert_eq!(server.send(request.header("Content-Type", "text/plain").body(b"x")).status, 415);
    assert_eq!(builds(&server, "pony").len(), 0);
}
