//! Users.

use crate::*;

#[test]
fn a_user_makes_itself_and_changes_its_password() {
    let server = Server::new();
    let bob = server.as_user("bob");
    let made = bob.send("PUT", "/users/Bob", "");
    assert_eq!((made.status, made.header("location")), (201, "/users/Bob"));
    assert_eq!(bob.send("PUT", "/users/bob", "").message(), "password: required");
    assert_eq!(bob.send("PUT", "/users/bob", r#"{"password":"other"}"#).status, 200);
    // The change takes effect immediately.
    assert_eq!(bob.send("GET", "/", "").status, 401);
    assert_eq!(server.send(server.request("GET", "/").basic("bob", "other")).status, 200);
    let long = format!(r#"{{"password":"{}"}}"#, "x".repeat(73));
    assert_eq!(
        server.send(server.request("PUT", "/users/bob").basic("bob", "other").json(long)).status,
        400
    );
}

#[test]
fn a_new_user_may_repeat_its_password_but_not_send_another() {
    let server = Server::new();
    let carol = server.as_user("carol");
    assert_eq!(carol.send("PUT", "/users/carol", r#"{"password":"x"}"#).status, 400);
    assert_eq!(server.get("/users/carol").status, 404);
    assert_eq!(carol.send("PUT", "/users/carol", r#"{"password":"carol-pw"}"#).status, 201);
}

#[test]
fn nobody_touches_somebody_else() {
    let server = Server::new();
    server.as_user("bob").send("PUT", "/users/bob", "");
    server.as_user("eve").send("PUT", "/users/eve", "");
    assert_eq!(
        server.send(server.request("PUT", "/users/bob").json(r#"{"password":"x"}"#)).status,
        401
    );
    assert_eq!(server.delete("/users/bob").status, 401);
    assert_eq!(server.as_user("eve").send("PUT", "/users/bob", r#"{"password":"x"}"#).status, 403);
    assert_eq!(server.as_user("eve").send("DELETE", "/users/bob", "").status, 403);
    assert_eq!(server.get("/users/bob").methods("self"), "GET");
    assert_eq!(
        server.as_user("bob").send("GET", "/users/bob", "").methods("self"),
        "GET PUT DELETE"
    );
}

#[test]
fn a_deleted_user_leaves_its_projects_and_builds() {
    let server = Server::new();
    let bob = server.as_user("bob");
    bob.send("PUT", "/pony", r#"{"name":"x"}"#);
    let build =
        bob.send("POST", "/pony/builds", r#"{"success":true}"#).header("location").to_owned();
    let list = server.get("/pony/builds").header("etag").to_owned();
    assert_eq!(server.get(&build).link("user").unwrap(), "/users/bob");
    assert_eq!(bob.send("DELETE", "/users/bob", "").status, 204);
    assert_eq!(server.get("/users/bob").status, 404);
    assert_eq!(server.get("/users/bob/builds").status, 404);
    assert_eq!(server.get("/pony").json()["owner"], Value::Null);
    assert_eq!(server.get(&build).link("user"), None);
    assert_ne!(server.get("/pony/builds").header("etag"), list);
    // The name is free; a new user with it gets none of the old user's permissions.
    assert_eq!(bob.send("PUT", "/users/bob", "").status, 201);
    assert_eq!(bob.send("DELETE", "/pony", "").status, 403);
    assert_eq!(bob.send("DELETE", &build, "").status, 403);
}

#[test]
fn a_users_builds_are_listed_over_all_projects() {
    let server = Server::new();
    server.project("a");
    server.project("b");
    let bob = server.as_user("bob");
    for (project, day) in [("a", 1), ("b", 3), ("a", 2)] {
        let body = format!(r#"{{"success":true,"started":"2026-01-0{day}T00:00:00Z"}}"#);
        bob.send("POST", &format!("/{project}/builds"), &body);
    }
    server.build("a", r#"{"success":true}"#);
    let list = server.get("/users/bob/builds");
    assert_eq!(list.json()["count"], 3);
    let starts: Vec<_> = list.json()["builds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| b["started"].as_str().unwrap()[5..7].to_owned())
        .collect();
    assert_eq!(starts, ["03", "02", "01"]);
    assert!(server.get("/users/bob/builds/latest").header("location").starts_with("/b/builds/"));
    assert_eq!(server.get("/users/BOB/builds/latest").status, 302);
    server.as_user("carol").send("PUT", "/users/carol", "");
    assert_eq!(server.get("/users/carol/builds/latest").status, 404);
}
