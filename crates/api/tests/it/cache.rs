//! The server's caches never return stale data.

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
    let of_alice = || server.get("/users/alice/builds").json()["builds"][0]["components"].clone();
    assert_eq!(of_alice().as_array().unwrap().len(), 1);

    let path = "/api/v1/components/6.12?cascade=true";
    let request = server.request("DELETE", path).basic("alice", "alice-pw").header("If-Match", "*");
    assert_eq!(server.send(request).status, 204);
    assert_eq!(server.get(&built).json()["components"], serde_json::json!([]));
    assert_eq!(of_alice(), serde_json::json!([]));

    assert_eq!(alice.send("DELETE", &built, "").status, 204);
    assert_eq!(server.get(&built).status, 404);
}

#[test]
fn what_another_server_deleted_is_gone_at_once() {
    let server = Server::new();
    server.project("pony");
    for _ in 0..20 {
        let built =
            server.build("pony", r#"{"success":true,"results":[{"name":"a","success":true}]}"#);
        assert_eq!((server.get(&built).status, server.get(&built).status), (200, 200));
        // Another server, from the point of view of this one.
        let other = open(&server.database.url, &Options::default()).unwrap();
        let project = other.project_find(&"pony".parse().unwrap()).unwrap().unwrap();
        let key = built.rsplit('/').next().unwrap().parse().unwrap();
        let build = other.build_find(project.id, &key).unwrap().unwrap();
        assert_eq!(other.build_delete(project.id, build.id, None).unwrap(), Updated::Done(()));
        assert_eq!(server.get(&built).status, 404);
    }
}

#[test]
fn a_project_or_a_user_made_anew_under_an_old_name_is_another_one() {
    let server = Server::new();
    let (alice, bob) = (server.as_user("alice"), server.as_user("bob"));
    let lists = ["/pony/builds", "/pony/tags/t", "/users/bob/builds"];
    let mut seen = Vec::new();
    for host in ["ci-7", "ci-8"] {
        assert_eq!(alice.send("PUT", "/pony", r#"{"name":"Pony"}"#).status, 201);
        let body = format!(r#"{{"success":true,"tags":["t"],"client":{{"host":"{host}"}}}}"#);
        assert_eq!(bob.send("POST", "/pony/builds", &body).status, 201);
        for list in lists {
            let answer = server.get(list);
            assert_eq!(answer.json()["builds"][0]["client"]["host"], host, "{list}");
            seen.push(answer.header("etag").to_owned());
        }
        assert_eq!(bob.send("DELETE", "/users/bob", "").status, 204);
        assert_eq!(alice.send("DELETE", "/pony", "").status, 204);
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 2 * lists.len());
}

#[test]
fn links_to_other_pages_say_the_format_only_where_the_request_did() {
    let server = Server::new();
    server.project("pony");
    for _ in 0..3 {
        server.build("pony", r#"{"success":true}"#);
    }
    let next = |path: &str| server.get(path).link("next").unwrap();
    for _ in 0..2 {
        assert!(!next("/pony/builds?per_page=1").contains("format"));
        assert!(next("/pony/builds?per_page=1&format=json").contains("format=json"));
    }
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
