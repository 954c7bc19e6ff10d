//! What the server keeps in memory is never older than what it says.

use devmason_repository::Updated;

use crate::*;

#[test]
fn what_this_server_changes_counts_at_once() {
    let server = Server::new();
    let alice = server.as_user("alice");
    assert_eq!(alice.send("PUT", "/pony", r#"{"name":"Pony"}"#).status, 201);
    let built =
        alice.send("POST", "/pony/builds", r#"{"success":true}"#).header("location").to_owned();
    let first = server.get(&built);
    assert_eq!(server.get(&built).header("etag"), first.header("etag"));
    assert!(first.link("user").is_some());

    assert_eq!(alice.send("PUT", "/pony", r#"{"name":"Pony 2"}"#).status, 200);
    assert_eq!(server.get("/pony").json()["name"], "Pony 2");
    assert_ne!(server.get(&built).header("etag"), first.header("etag"));

    assert_eq!(alice.send("DELETE", "/users/alice", "").status, 204);
    assert!(server.get(&built).link("user").is_none());
    assert_eq!(server.get("/pony").json()["owner"], Value::Null);
}

#[test]
fn a_deleted_build_is_gone_at_once_and_so_is_a_component_that_builds_named() {
    let server = Server::new();
    let alice = server.as_user("alice");
    assert_eq!(alice.send("PUT", "/pony", r#"{"name":"Pony"}"#).status, 201);
    assert_eq!(alice.send("POST", "/api/v1/componenttypes", r#"{"name":"kernel"}"#).status, 201);
    let kernel = r#"{"name":"6.12","componenttype":"kernel"}"#;
    assert_eq!(alice.send("POST", "/api/v1/components", kernel).status, 201);
    let document = r#"{"success":true,"components":[{"type":"kernel","name":"6.12"}]}"#;
    let built = alice.send("POST", "/pony/builds", document).header("location").to_owned();
    assert_eq!(server.get(&built).json()["components"].as_array().unwrap().len(), 1);

    let path = "/api/v1/components/6.12?cascade=true";
    let request = server.request("DELETE", path).basic("alice", "alice-pw").header("If-Match", "*");
    assert_eq!(server.send(request).status, 204);
    assert_eq!(server.get(&built).json()["components"], serde_json::json!([]));

    assert_eq!(alice.send("DELETE", &built, "").status, 204);
    assert_eq!(server.get(&built).status, 404);
}

#[test]
fn what_another_server_changed_counts_soon() {
    let server = Server::new();
    server.project("pony");
    let built = server.build("pony", r#"{"success":true,"results":[{"name":"a","success":true}]}"#);
    assert_eq!((server.get(&built).status, server.get(&built).status), (200, 200));
    // The other server, as far as this one can tell.
    let other = open(&server.database.url, &Options::default()).unwrap();
    let project = other.project_find(&"pony".parse().unwrap()).unwrap().unwrap();
    let key = built.rsplit('/').next().unwrap().parse().unwrap();
    let build = other.build_find(project.id, &key).unwrap().unwrap();
    assert_eq!(other.build_delete(project.id, build.id, None).unwrap(), Updated::Done(()));
    let gone = (0..100_000).any(|_| server.get(&built).status == 404);
    assert!(gone);
}

#[test]
fn a_running_build_is_never_older_than_its_last_step() {
    let server = Server::new();
    server.project("pony");
    let progress = server.build("pony", r#"{"incremental":true}"#);
    let build = progress.strip_suffix("/progress").unwrap();
    for n in 1..=5 {
        assert_eq!(server.post(&progress, r#"{"name":"s","success":true}"#).status, 204);
        assert_eq!(server.get(build).json()["results"].as_array().unwrap().len(), n);
    }
    assert_eq!(server.delete(&progress).status, 204);
    assert_eq!(server.get(build).json()["state"], "finished");
    assert_eq!(server.post(&progress, r#"{"name":"s","success":true}"#).status, 410);
    assert_eq!(server.delete(&progress).status, 410);
}
