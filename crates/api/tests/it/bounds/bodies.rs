//! Bodies: who may send them, and how large what they contain may become.

use std::io::Write;

use serde_json::json;

use crate::*;

/// A report with this many test cases.
fn tap(cases: usize) -> String {
    format!("1..{cases}\n{}", "ok\n".repeat(cases))
}

#[test]
fn a_body_is_received_only_from_those_who_may_send_it_there() {
    let server = Server::new();
    server.project("pony");
    let owned = r#"{"name":"Owned","reporting":"owner"}"#;
    assert_eq!(server.as_user("alice").send("PUT", "/owned", owned).status, 201);
    // Only a request whose body is read can report that it cannot be inflated.
    let broken = |request: Request| {
        server.send(request.header("Content-Encoding", "gzip").body(b"this is not gzip")).status
    };
    assert_eq!(broken(server.request("POST", "/pony/builds")), 400);
    assert_eq!(broken(server.request("POST", "/nosuch/builds")), 404);
    assert_eq!(broken(server.request("POST", "/no/such/place/at/all")), 404);
    assert_eq!(broken(server.request("POST", "/pony")), 405);
    assert_eq!(broken(server.request("POST", "/owned/builds")), 401);
    assert_eq!(broken(server.request("POST", "/owned/builds").basic("bob", "bob-pw")), 403);
    assert_eq!(broken(server.request("PUT", "/owned").basic("bob", "bob-pw")), 403);
    assert_eq!(broken(server.request("POST", "/pony/builds").basic("alice", "wrong")), 401);
    assert_eq!(broken(server.request("PUT", "/api/v1/components/x")), 404);
    assert_eq!(broken(server.request("POST", "/pony/builds/x/progress")), 404);
}

#[test]
fn what_a_body_becomes_is_bounded_whatever_it_came_as() {
    let server = Server::with(|settings| settings.max_body_bytes = 1 << 20);
    server.project("pony");
    let post = |coding: &str, body: &[u8]| {
        let request = server.request("POST", "/pony/builds").header("Content-Encoding", coding);
        server.send(request.header("Content-Type", "text/plain").body(body)).status
    };
    let zeros = vec![b'\n'; 64 << 20];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&zeros).unwrap();
    assert_eq!(post("gzip", &gzip.finish().unwrap()), 413);
    assert_eq!(post("zstd", &zstd::encode_all(&*zeros, 1).unwrap()), 413);
    // A zstd window that a decoder would have to hold in addition to its output.
    let windowed = |log: u32| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(log).unwrap();
        encoder.include_contentsize(false).unwrap();
        encoder.write_all(tap(1).as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(post("zstd", &windowed(23)), 201);
    assert_eq!(post("zstd", &windowed(27)), 400);
}

#[test]
fn a_report_that_finds_no_memory_is_told_to_come_again() {
    // The whole work lane is 128 KiB.
    let server = Server::with(|settings| settings.max_memory_bytes = 256 << 10);
    server.project("pony");
    let report = |cases: usize| {
        let request = server.request("POST", "/pony/builds").header("Content-Type", "text/plain");
        server.send(request.body(tap(cases).as_bytes()))
    };
    assert_eq!(report(10).status, 201);
    let refused = report(5_000);
    assert_eq!(refused.status, 413);
    assert!(refused.message().contains("memory"), "{}", refused.message());
    // The memory it had drawn is available again.
    assert_eq!(report(10).status, 201);
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("devmason_memory_in_flight_bytes 0\n"), "{metrics}");
}

#[test]
fn an_upload_has_so_many_cases_and_no_more_however_they_come() {
    let server = Server::with(|settings| settings.max_cases = 10);
    server.project("pony");
    let send = |method: &str, path: &str, media_type: &str, body: &str| {
        let request = server.request(method, path).header("Content-Type", media_type);
        server.send(request.body(body.as_bytes())).status
    };
    let cases = |n: usize| vec![json!({"name": "t", "status": "passed"}); n];
    let document = |n: usize| {
        let half = n / 2;
        json!({"success": true, "results": [
            {"name": "a", "success": true, "tests": cases(half)},
            {"name": "b", "success": true, "tests": cases(n - half)}]})
        .to_string()
    };
    let nested = |n: usize| format!("{}ok 1 - outer\n1..1\n", "    ok\n".repeat(n));
    let lines = |n: usize| {
        let event = |at| format!("{{\"Action\":\"run\",\"Package\":\"p\",\"Test\":\"t{at}\"}}\n");
        (0..n).map(event).collect::<String>()
    };
    for (n, status) in [(10, 201), (11, 413)] {
        assert_eq!(send("POST", "/pony/builds", "text/plain", &tap(n)), status, "TAP, {n}");
        assert_eq!(send("POST", "/pony/builds", "text/plain", &nested(n)), status, "nested, {n}");
        assert_eq!(send("POST", "/pony/builds", "application/json", &document(n)), status, "{n}");
    }
    assert_eq!(send("POST", "/pony/builds", "application/x-ndjson", &lines(30)), 413);
    let progress = server.build("pony", r#"{"incremental":true}"#);
    assert_eq!(send("POST", &progress, "text/plain", &tap(11)), 413);
    assert_eq!(send("POST", &progress, "text/plain", &tap(10)), 204);
    let step = json!({"name": "s", "success": true, "tests": cases(11)}).to_string();
    assert_eq!(send("POST", &progress, "application/json", &step), 413);
}
