//! Registering, changing and deleting projects.

use crate::*;

#[test]
fn anyone_may_register_a_project_and_then_nobody_owns_it() {
    let server = Server::new();
    let answer = server.put("/pony", r#"{"name":"Pony"}"#);
    assert_eq!((answer.status, answer.header("location")), (201, "/pony"));
    assert_eq!(server.get("/PONY").json()["owner"], Value::Null);
    // The source document requires 403 if the project exists.
    assert_eq!(server.put("/Pony", r#"{"name":"Mine"}"#).status, 403);
    assert_eq!(server.as_user("bob").send("PUT", "/pony", r#"{"name":"Mine"}"#).status, 403);
    assert_eq!(server.get("/users/bob").status, 404);
    assert_eq!(server.delete("/pony").status, 401);
}

#[test]
fn its_owner_changes_and_deletes_a_project() {
    let server = Server::new();
    let alice = server.as_user("alice");
    assert_eq!(alice.send("PUT", "/pony", r#"{"name":"Pony","reporting":"owner"}"#).status, 201);
    assert_eq!(server.get("/pony").methods("self"), "GET");
    assert_eq!(alice.send("GET", "/pony", "").methods("self"), "GET PUT DELETE");
    let changed = alice.send("PUT", "/pony", r#"{"name":"Renamed"}"#);
    assert_eq!(
        (changed.status, &changed.json()["name"], &changed.json()["reporting"]),
        (200, &"Renamed".into(), &"owner".into())
    );
    assert_eq!(server.as_user("bob").send("DELETE", "/pony", "").status, 403);
    assert_eq!(alice.send("DELETE", "/pony", "").status, 204);
    assert_eq!(server.get("/pony").status, 404);
    assert_eq!(server.get("/").json()["count"], 0);
}

#[test]
fn the_etag_of_a_page_is_none_to_change_a_project_by() {
    let server = Server::new();
    let alice = server.as_user("alice");
    assert_eq!(alice.send("PUT", "/pony", r#"{"name":"Pony"}"#).status, 201);
    let change = |media_type: &str| {
        let got = server.request("GET", "/pony").basic("alice", "alice-pw");
        let etag = server.send(got.header("Accept", media_type)).header("etag").to_owned();
        let put =
            server.request("PUT", "/pony").basic("alice", "alice-pw").header("If-Match", &etag);
        server.send(put.json(r#"{"name":"Renamed"}"#)).status
    };
    assert_eq!((change("text/html"), change("application/json")), (412, 200));
}

#[test]
fn a_member_that_is_no_setting_is_refused() {
    let server = Server::new();
    let alice = server.as_user("alice");
    let refused = alice.send("PUT", "/pony", r#"{"name":"Pony","private":true}"#);
    assert_eq!((refused.status, refused.message().as_str()), (400, "private: unknown member"));
    assert_eq!(refused.json()["payload"]["field"], "private");
    assert_eq!(server.get("/pony").status, 404);
    assert_eq!(alice.send("PUT", "/pony", r#"{"name":"Pony"}"#).status, 201);
    // Documents from the server are accepted back.
    for path in ["/pony", "/api/v1/projects"] {
        let shown = server.get(path).json();
        let shown = shown.pointer("/projects/0").unwrap_or(&shown);
        assert_eq!(alice.send("PUT", "/pony", &shown.to_string()).status, 200, "{shown}");
    }
}

#[test]
fn an_administrator_changes_any_project() {
    let server = Server::of(Registration::Open, Reading::Open, &["root"]);
    let repository = open(&server.database.url, &Options::default()).unwrap();
    let password_hash = devmason_domain::Password::new("root-pw").unwrap().hash(4).unwrap();
    repository
        .user_create(&devmason_repository::NewAccount {
            username: "root".parse().unwrap(),
            password_hash,
        })
        .unwrap();
    server.project("pony");
    let root = server.as_user("root");
    assert_eq!(root.send("PUT", "/pony", r#"{"name":"Tidy"}"#).status, 200);
    assert_eq!(root.send("DELETE", "/pony", "").status, 204);
}

#[test]
fn what_is_wrong_with_a_project_is_said() {
    let server = Server::new();
    for (body, message) in [
        ("{}", "name: required"),
        (r#"{"name":5}"#, "name: invalid type"),
        (r#"{"name":" "}"#, "name: a project's name"),
        (r#"{"name":"x","reporting":"nobody"}"#, "reporting: "),
        (r#"{"name":"x","name":"y"}"#, "name: given twice"),
        ("[]", "the body is not a JSON object"),
        ("", "the body is not JSON"),
    ] {
        let answer = server.put("/pony", body);
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.message().starts_with(message), "{body}: {}", answer.message());
    }
    assert_eq!(server.get("/pony").status, 404);
}

#[test]
fn the_servers_own_names_and_malformed_ones_are_refused() {
    let server =
        Server::with(|settings| settings.public_url = Base::from_public_url("http://h/ci/x"));
    for path in ["/api", "/builds", "/static", "/a.b", "/a%20b", "/ci", "/CI"] {
        assert_eq!(server.put(path, r#"{"name":"x"}"#).status, 400, "{path}");
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    for path in
        ["/users", "/healthz", "/metrics", "/openapi.json", "/docs", "/robots.txt", "/favicon.ico"]
    {
        assert_eq!(server.put(path, r#"{"name":"x"}"#).status, 405, "{path}");
    }
}

#[test]
fn search_engines_and_browsers_find_what_they_ask_every_server_for() {
    let server = Server::new();
    let robots = server.get("/robots.txt");
    assert_eq!((robots.status, robots.header("content-type")), (200, "text/plain; charset=utf-8"));
    assert!(robots.text().starts_with("User-agent: *\n"), "{}", robots.text());
    let icon = server.get("/favicon.ico");
    assert_eq!((icon.status, icon.header("content-type")), (200, "image/svg+xml"));
}

#[test]
fn an_owner_who_registers_many_times_at_once_is_always_right() {
    let server = Server::new();
    for user in ["alice", "new"] {
        if user == "alice" {
            server.as_user(user).send("PUT", "/users/alice", "");
        }
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let put = || {
                server.as_user(user).send("PUT", &format!("/of-{user}"), r#"{"name":"x"}"#).status
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(put)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 7, "{statuses:?}");
    }
}

#[test]
fn an_if_match_that_is_no_text_matches_nothing() {
    use std::io::{Read, Write};
    let server = Server::new();
    let alice = server.as_user("alice");
    alice.send("PUT", "/pony", r#"{"name":"1"}"#);
    let body = br#"{"name":"2"}"#;
    let authorization = devmason_test_support::http::base64(b"alice:alice-pw");
    let mut stream = std::net::TcpStream::connect(&server.address).unwrap();
    write!(stream, "PUT /pony HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Basic {authorization}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nIf-Match: ", body.len()).unwrap();
    stream.write_all(b"\"\xff\"\r\n\r\n").unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 412"));
    let etag = alice.send("GET", "/pony", "").header("etag").to_owned();
    let two = server
        .request("PUT", "/pony")
        .basic("alice", "alice-pw")
        .header("If-Match", "\"x\"")
        .header("If-Match", &etag);
    assert_eq!(server.send(two.json(r#"{"name":"3"}"#)).status, 200);
}

#[test]
fn if_match_is_honoured() {
    let server = Server::new();
    let alice = server.as_user("alice");
    let created = alice.send("PUT", "/pony", r#"{"name":"1"}"#);
    let etag = alice.send("GET", "/pony", "").header("etag").to_owned();
    assert_eq!(created.header("etag"), etag);
    let put = |if_match: &str, name: &str| {
        let request =
            server.request("PUT", "/pony").basic("alice", "alice-pw").header("If-Match", if_match);
        server.send(request.json(format!(r#"{{"name":"{name}"}}"#))).status
    };
    assert_eq!(put("\"other\"", "2"), 412);
    assert_eq!(put(&format!("\"other\", {etag}"), "2"), 200);
    assert_eq!(put(&etag, "3"), 412);
    let etag = alice.send("GET", "/pony", "").header("etag").trim_matches('"').to_owned();
    assert_eq!(put(&etag, "4"), 200);
    assert_eq!(put("*", "5"), 200);
    assert_eq!(server.get("/pony").json()["name"], "5");
    let nothing = server.request("PUT", "/new").header("If-Match", "*").json(r#"{"name":"x"}"#);
    assert_eq!(server.send(nothing).status, 412);
    assert_eq!(server.get("/new").status, 404);
}

#[test]
fn a_put_that_races_with_a_deletion_changes_the_project_or_registers_it() {
    let server = Server::new();
    let statuses = |method: &'static str| {
        let alice = server.as_user("alice");
        (0..150)
            .map(|_| alice.send(method, "/pony", r#"{"name":"Pony"}"#).status)
            .collect::<Vec<_>>()
    };
    let puts: Vec<u16> = std::thread::scope(|threads| {
        let puts = [threads.spawn(|| statuses("PUT")), threads.spawn(|| statuses("PUT"))];
        let deletes = threads.spawn(|| statuses("DELETE"));
        deletes.join().unwrap();
        puts.into_iter().flat_map(|put| put.join().unwrap()).collect()
    });
    assert!(puts.iter().all(|status| matches!(status, 200 | 201)), "{puts:?}");
}
