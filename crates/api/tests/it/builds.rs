//! Reporting, reading and deleting builds.

use crate::*;

#[test]
fn a_build_comes_back_as_it_was_sent() {
    let server = Server::new();
    server.project("pony");
    let path = server.build("pony", BUILD);
    let (sent, got): (Value, Value) =
        (serde_json::from_str(BUILD).unwrap(), server.get(&path).json());
    for member in ["success", "started", "finished", "tags", "client", "results"] {
        assert_eq!(got[member], sent[member], "{member}");
    }
    assert_eq!(got["state"], "finished");
    assert!(path.ends_with(got["id"].as_str().unwrap()));
}

#[test]
fn what_clients_add_keeps_every_digit_and_the_order_of_keys() {
    let server = Server::new();
    server.project("pony");
    let extra = r#"{"z":123456789012345678901234567890.10,"a":[1e999,{"k":1,"k":2}],"n":"\u0000 \ud83d\ude00"}"#;
    let body = format!(
        r#"{{"success":true,"client":{{"x":{extra}}},"results":[{{"name":"s","success":true,"y":{extra}}}]}}"#
    );
    let got = server.get(&server.build("pony", &body)).text();
    assert!(got.contains(&format!(r#""client":{{"x":{extra}}}"#)), "{got}");
    assert!(got.contains(&format!(r#""y":{extra}"#)), "{got}");
}

#[test]
fn bad_builds_are_refused_and_store_nothing() {
    let server = Server::new();
    server.project("pony");
    for (body, field) in [
        (
            r#"{"success":true,"results":[{"name":"a","success":true},{"name":"b","success":true},{"name":"c","success":true},{"name":"d","success":true,"started":"x"}]}"#,
            "results[3].started",
        ),
        (r#"{"success":"true"}"#, "success"),
        (r#"{"success":true,"tags":"linux"}"#, "tags"),
        (r#"{"success":true,"tags":["latest"]}"#, "tags[0]"),
        (r#"{"success":true,"finished":5}"#, "finished"),
        (r#"{"success":true,"client":{"arch":[]}}"#, "client.arch"),
        (r#"{"success":true,"results":[{"name":"a"}]}"#, "results[0].success"),
        (
            r#"{"success":true,"results":[{"name":"a","success":true,"output":"\ud800"}]}"#,
            "results[0].output",
        ),
        (r#"{"success":true"#, ""),
    ] {
        let answer = server.post("/pony/builds", body);
        assert_eq!(
            (answer.status, answer.json()["payload"]["field"].as_str().unwrap()),
            (400, field),
            "{body}"
        );
        assert_eq!(server.put("/pony/builds/x", body).status, 400, "{body}");
    }
    let utf8 =
        server.request("POST", "/pony/builds").json("").body(b"{\"success\":true,\"x\":\"\xff\"}");
    assert_eq!(server.send(utf8).status, 400);
    assert_eq!(server.get("/pony/builds").json()["count"], 0);
    assert_eq!(server.post("/none/builds", r#"{"success":true}"#).status, 404);
}

#[test]
fn a_body_that_is_not_json_is_not_understood() {
    let server = Server::new();
    server.project("pony");
    let post = |content_type: Option<&str>| {
        let request = server.request("POST", "/pony/builds").body(br#"{"success":true}"#);
        let request =
            content_type.map_or(request.clone(), |value| request.header("Content-Type", value));
        server.send(request).status
    };
    assert_eq!(post(Some("text/plain")), 415);
    assert_eq!(post(None), 415);
    assert_eq!(post(Some("application/json; charset=utf-8")), 201);
    assert_eq!(post(Some("Application/JSON")), 201);
}

#[test]
fn a_body_over_the_limit_is_too_large_however_it_is_sent() {
    let server = Server::with(|settings| settings.max_body_bytes = 1000);
    server.project("pony");
    let body = |n: usize| {
        format!(
            r#"{{"success":true,"results":[{{"name":"s","success":true,"output":"{}"}}]}}"#,
            "x".repeat(n)
        )
    };
    assert_eq!(server.post("/pony/builds", &body(500)).status, 201);
    assert_eq!(server.post("/pony/builds", &body(1000)).status, 413);
    let chunked = format!("800\r\n{:2048}\r\n0\r\n\r\n", " ");
    let request = server
        .request("POST", "/pony/builds")
        .header("Transfer-Encoding", "chunked")
        .header("Content-Type", "application/json");
    // Without a Content-Length: the limit applies while the body is being read.
    let raw = request_without_length(&server.address, &request, &chunked);
    assert_eq!(raw, 413);
    assert_eq!(server.get("/pony/builds").json()["count"], 1);
}

fn request_without_length(address: &str, request: &Request, body: &str) -> u16 {
    use std::io::{Read, Write};
    let (method, target) = request.line();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer[9..12].parse().unwrap()
}

#[test]
fn a_compressed_body_is_read_and_bounded_after_decompression() {
    let server = Server::with(|settings| settings.max_body_bytes = 10_000);
    server.project("pony");
    let gzip = |text: &str| {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let post = |text: &str| {
        let request = server
            .request("POST", "/pony/builds")
            .header("Content-Type", "application/json")
            .header("Content-Encoding", "gzip");
        server.send(request.body(&gzip(text))).status
    };
    assert_eq!(post(r#"{"success":true}"#), 201);
    assert_eq!(post(&format!(r#"{{"success":true,"x":"{}"}}"#, "x".repeat(1_000_000))), 413);
    let other = server.request("POST", "/pony/builds").header("Content-Encoding", "br").json("{}");
    assert_eq!(server.send(other).status, 415);
    let broken =
        server.request("POST", "/pony/builds").header("Content-Encoding", "gzip").json("{}");
    assert_eq!(server.send(broken).status, 400);
}

#[test]
fn a_client_may_choose_the_id_of_its_build() {
    let server = Server::new();
    server.project("pony");
    let first = server.put("/pony/builds/1234", BUILD);
    assert_eq!((first.status, first.header("location")), (201, "/pony/builds/1234"));
    assert_eq!(server.get("/pony/builds/1234").json()["id"], "1234");
    // Sending the same document again is a safe retry; a different one is refused.
    assert_eq!(server.put("/pony/builds/1234", BUILD).status, 200);
    assert_eq!(server.put("/pony/builds/1234", r#"{"success":true}"#).status, 409);
    assert_eq!(server.get("/pony/builds").json()["count"], 1);
    assert_eq!(server.get("/pony/builds/latest").header("location"), "/pony/builds/1234");
    assert_eq!(server.put("/pony/builds/latest", BUILD).status, 405);
    assert_eq!(server.put("/pony/builds/a%2Fb", BUILD).status, 400);
    assert_eq!(server.get("/pony/builds/a%2Fb").status, 404);
    assert_eq!(server.put("/none/builds/1", BUILD).status, 404);
}

#[test]
fn a_put_may_say_what_it_expects_to_find() {
    let server = Server::new();
    server.project("pony");
    let put = |name: &str, value: &str| {
        server.send(server.request("PUT", "/pony/builds/1").header(name, value).json(BUILD)).status
    };
    assert_eq!(put("If-Match", "*"), 412);
    assert_eq!(server.get("/pony/builds/1").status, 404);
    assert_eq!(put("If-None-Match", "*"), 201);
    assert_eq!(put("If-None-Match", "*"), 412);
    assert_eq!(put("If-Match", "\"x\""), 412);
    let etag = server.get("/pony/builds/1?format=json").header("etag").to_owned();
    assert_eq!(put("If-Match", &etag), 200);
}

#[test]
fn a_key_for_one_build_is_none_for_another() {
    let server = Server::new();
    server.project("pony");
    for id in ["Case", "case"] {
        assert_eq!(
            server.put(&format!("/pony/builds/{id}"), r#"{"incremental":true}"#).status,
            201
        );
        let request = server
            .request("POST", &format!("/pony/builds/{id}/progress"))
            .header("Idempotency-Key", "k");
        assert_eq!(
            server.send(request.json(r#"{"name":"s","success":true}"#)).header("location"),
            format!("/pony/builds/{id}")
        );
        assert_eq!(
            server.get(&format!("/pony/builds/{id}")).json()["results"].as_array().unwrap().len(),
            1
        );
    }
}

#[test]
fn a_build_is_deleted_by_who_sent_it_or_owns_the_project() {
    let server = Server::new();
    let (alice, bob, eve) = (server.as_user("alice"), server.as_user("bob"), server.as_user("eve"));
    alice.send("PUT", "/pony", r#"{"name":"x"}"#);
    eve.send("PUT", "/users/eve", "");
    let build =
        || bob.send("POST", "/pony/builds", r#"{"success":true}"#).header("location").to_owned();
    let (one, two, anonymous) = (build(), build(), server.build("pony", r#"{"success":true}"#));
    assert_eq!(server.delete(&one).status, 401);
    assert_eq!(eve.send("DELETE", &one, "").status, 403);
    assert_eq!(bob.send("DELETE", &anonymous, "").status, 403);
    assert_eq!(server.get(&one).methods("self"), "GET PUT");
    assert_eq!(bob.send("GET", &one, "").methods("self"), "GET PUT DELETE");
    assert_eq!(bob.send("DELETE", &one, "").status, 204);
    assert_eq!(alice.send("DELETE", &two, "").status, 204);
    assert_eq!(alice.send("DELETE", &anonymous, "").status, 204);
    assert_eq!(server.get(&one).status, 404);
    assert_eq!(server.get("/pony/builds").json()["count"], 0);
}

#[test]
fn an_idempotency_key_makes_a_retry_safe() {
    let server = Server::new();
    server.project("pony");
    server.project("other");
    let post = |path: &str, key: &str, body: &str, user: Option<&str>| {
        let request = server.request("POST", path).header("Idempotency-Key", key).json(body);
        let answer = server
            .send(user.map_or(request.clone(), |user| request.basic(user, &format!("{user}-pw"))));
        (answer.status, answer.header("location").to_owned())
    };
    let body = r#"{"success":true}"#;
    let first = post("/pony/builds", "k", body, None);
    assert_eq!(first.0, 201);
    assert_eq!(post("/pony/builds", "k", body, None), first);
    assert_eq!(post("/pony/builds", "k", r#"{"success":false}"#, None).0, 422);
    assert_eq!(server.get("/pony/builds").json()["count"], 1);
    // Keys are separate for each user and resource.
    assert_eq!(post("/other/builds", "k", body, None).0, 201);
    let bobs = post("/pony/builds", "k", body, Some("bob"));
    assert!(bobs.0 == 201 && bobs.1 != first.1);
    assert_eq!(post("/pony/builds", "k", body, Some("bob")), bobs);
    // 4xx responses aren't stored.
    assert_eq!(post("/pony/builds", "bad", "{}", None).0, 400);
    assert_eq!(post("/pony/builds", "bad", body, None).0, 201);
    assert_eq!(post("/pony/builds", &"k".repeat(256), body, None).0, 400);
}

#[test]
fn fields_say_which_members_are_wanted() {
    let server = Server::new();
    server.project("pony");
    let path = server.build("pony", BUILD);
    let got = server.get(&format!("{path}?fields=success,started"));
    assert_eq!(got.text(), r#"{"success":true,"started":"Tue, 20 Oct 2009 10:20:00 -0500"}"#);
    assert_ne!(got.header("etag"), server.get(&path).header("etag"));
    let error = server.get(&format!("{path}?fields=colour"));
    assert_eq!(error.status, 400);
    assert!(error.message().starts_with("fields: 'colour'"));
}

#[test]
fn an_unchanged_build_is_not_sent_again() {
    let server = Server::new();
    server.project("pony");
    let path = server.build("pony", BUILD);
    let first = server.get(&path);
    let etag = first.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"'));
    for known in [etag.as_str(), "*", &format!("\"x\", W/{etag}")] {
        let again = server.send(server.request("GET", &path).header("If-None-Match", known));
        assert_eq!(
            (again.status, again.body.len(), again.header("etag")),
            (304, 0, etag.as_str()),
            "{known}"
        );
    }
    assert_eq!(
        server.send(server.request("GET", &path).header("If-None-Match", "\"x\"")).status,
        200
    );
    // Another client, or another format, gets a different representation.
    let html = server.send(server.request("GET", &path).header("Accept", "text/html"));
    assert_ne!(html.header("etag"), etag);
    assert!(
        html.header("vary").contains("Accept") && html.header("vary").contains("Authorization")
    );
    server.as_user("bob").send("PUT", "/users/bob", "");
    assert_ne!(server.as_user("bob").send("GET", &path, "").header("etag"), etag);
}

#[test]
fn the_order_of_additional_members_of_a_test_case_means_nothing() {
    let server = Server::new();
    let put = |case: &str| {
        let body = format!(
            r#"{{"success":true,"results":[{{"name":"n","success":true,"tests":[{{"name":"t","status":"passed",{case}}}]}}]}}"#
        );
        server.send(server.request("PUT", "/pony/builds/1").json(body)).status
    };
    server.as_user("ann").send("PUT", "/pony", r#"{"name":"Pony"}"#);
    assert_eq!(put(r#""foo":"b","baz":{"x":1,"a":[2]}"#), 201);
    assert_eq!(put(r#""baz": {"a": [2], "x": 1}, "foo": "b""#), 200);
    assert_eq!(put(r#""baz":{"x":1,"a":[3]},"foo":"b""#), 409);
}
