//! Lists of objects of every kind are sorted, cut and selected.

use super::fixtures::{names, with_components};
use crate::*;

#[test]
fn lists_are_sorted_cut_and_selected() {
    let server = Server::new();
    with_components(&server, "kernel", &["b", "c", "a,1", "A%"]);
    with_components(&server, "image", &["b"]);
    let list =
        |query: &str| names(&server.get(&format!("/api/v1/components?{query}")), "components");
    assert_eq!(list(""), ["b", "c", "a,1", "A%", "b"]);
    assert_eq!(list("sort=name"), ["A%", "a,1", "b", "b", "c"]);
    assert_eq!(list("sort=-name&limit=2&offset=1"), ["b", "b"]);
    assert_eq!(list("where=%22name:a,1%22"), ["a,1"]);
    assert_eq!(list("where=title:&limit=1"), ["b"]);
    assert_eq!(list("query=and(ge(name,b),ne(name,c))"), ["b", "b"]);
    assert_eq!(list("query=ilike(name,a%25)"), ["a,1", "A%"]);
    assert_eq!(list("query=like(name,A%25)"), ["A%"]);
    assert_eq!(list("query=like(name,%25%5C%25)"), ["A%"]);
    let cut = server.get("/api/v1/components?limit=2&where=name:b");
    assert_eq!(cut.json()["_meta"]["count"], 2);
    assert_eq!(names(&server.get("/api/v1/componenttypes/image/components"), "components"), ["b"]);
    let embedded = server.get("/api/v1/components?embed=componenttype&limit=1");
    assert_eq!(embedded.json()["components"][0]["componenttype"]["name"], "kernel");
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "offset=-1",
        "sort=colour",
        "where=colour:red",
        "embed=x",
        "query=eq(name",
        "query=eq(colour,x)",
    ] {
        assert_eq!(server.get(&format!("/api/v1/components?{query}")).status, 400, "{query}");
    }
    let etag = cut.header("etag").to_owned();
    assert_eq!(
        server
            .send(
                server
                    .request("GET", "/api/v1/components?limit=2&where=name:b")
                    .header("If-None-Match", &etag)
            )
            .status,
        304
    );
}

#[test]
fn any_kind_of_object_is_listed_and_read() {
    let server = Server::new();
    let alice = server.as_user("alice");
    alice.send("PUT", "/Pony", r#"{"name":"Pony Build"}"#);
    server.project("other");
    assert_eq!(alice.send("PUT", "/pony/builds/17", BUILD).status, 201);
    server.build(
        "other",
        r#"{"success":false,"tags":["a/b"],"results":[{"name":"s","success":false,"x":1}]}"#,
    );

    for (path, field, values) in [
        ("projects", "id", vec!["Pony", "other"]),
        ("users", "username", vec!["alice"]),
        ("tags", "id", vec!["other/a/b", "Pony/linux", "Pony/python-3.11"]),
        ("steps", "name", vec!["checkout", "s"]),
        ("builds", "project", vec!["Pony", "other"]),
        ("builds?sort=-started", "project", vec!["other", "Pony"]),
        ("builds?where=success:false", "project", vec!["other"]),
        ("builds?where=project:PONY,tags:linux,user:Alice", "key", vec!["17"]),
        ("builds?query=and(contains(tags,linux),eq(client.host,example.com))", "key", vec!["17"]),
        ("steps?where=success:false,project:other", "name", vec!["s"]),
        ("tags?where=project:pony&sort=-name", "name", vec!["python-3.11", "linux"]),
        ("tags?query=gt(builds,5)", "name", vec![]),
        ("users?where=username:ALICE", "id", vec!["alice"]),
        ("projects?query=null(owner)", "id", vec!["other"]),
    ] {
        let answer = server.get(&format!("/api/v1/{path}"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let plural = path.split('?').next().unwrap();
        let json = answer.json();
        let found: Vec<&str> = json[plural]
            .as_array()
            .unwrap()
            .iter()
            .map(|object| object[field].as_str().unwrap())
            .collect();
        assert_eq!(found, values, "{path}");
        assert_eq!(json["_meta"]["count"], values.len(), "{path}");
        for object in json[plural].as_array().unwrap() {
            let id = object["id"].as_str().unwrap().replace('/', "%2F");
            let one = server.get(&format!("/api/v1/{plural}/{id}"));
            assert_eq!(one.status, 200, "{plural}/{id}");
            let mut one_object = one.json()[plural.strip_suffix('s').unwrap()].clone();
            if plural == "steps" {
                // Lists omit outputs.
                let removed = one_object.as_object_mut().unwrap().remove("output");
                assert!(
                    removed.is_some()
                        && one_object.as_object_mut().unwrap().remove("errout").is_some()
                );
            }
            assert_eq!(one_object, *object);
            assert_eq!(one.header("etag"), format!("\"{}\"", object["etag"].as_str().unwrap()));
        }
    }
    for path in [
        "builds/17",
        "builds/00000000-0000-7000-8000-000000000000",
        "steps/x",
        "steps/00000000-0000-7000-8000-000000000000:0",
        "tags/x",
        "tags/Pony%2Fnone",
        "users/bob",
        "projects/a.b",
        "nothing",
        "nothing/1",
    ] {
        assert_eq!(server.get(&format!("/api/v1/{path}")).status, 404, "{path}");
    }
    assert_eq!(server.post("/api/v1/builds", "{}").status, 405);
    assert_eq!(server.get("/api/v1/builds").json()["builds"][0]["started"], "2009-10-20T15:20:00Z");
}

#[test]
fn builds_and_steps_of_one_project_or_machine_are_found() {
    let server = Server::new();
    for project in ["pony", "other"] {
        server.project(project);
        for host in ["ci-7", "ci-8"] {
            let body = format!(
                r#"{{"success":true,"tags":["t"],"client":{{"host":"{host}"}},"results":[{{"name":"a","success":true}},{{"name":"b","success":false}}]}}"#
            );
            server.build(project, &body);
        }
    }
    let builds = server.get("/api/v1/builds?where=project:PONY,client.host:ci-7").json();
    assert_eq!(builds["_meta"]["count"], 1);
    let id = builds["builds"][0]["id"].as_str().unwrap();
    let steps = server.get(&format!("/api/v1/steps?where=build_id:{id}")).json();
    assert_eq!((&steps["_meta"]["count"], &steps["steps"][1]["name"]), (&2.into(), &"b".into()));
    let failed = server.get("/api/v1/steps?where=project:pony,success:false").json();
    assert_eq!(failed["_meta"]["count"], 2);
    let nothing = server.get("/api/v1/steps?where=project:nobody").json();
    assert_eq!(nothing["_meta"]["count"], 0);
    let nothing = format!("/api/v1/steps?where=build_id:{}", uuid::Uuid::nil());
    assert_eq!(server.get(&nothing).json()["_meta"]["count"], 0);
    let tags = server.get("/api/v1/tags?where=project:pony,name:t").json();
    assert_eq!(tags["_meta"]["count"], 1);
    assert_eq!(tags["tags"][0], server.get("/api/v1/tags/pony%2Ft").json()["tag"]);
    assert!(tags["tags"][0]["created_at"].as_str().unwrap() >= "2026");
    let list = server.get("/pony/builds?where=client.host:ci-8").json();
    assert_eq!((&list["count"], &list["builds"][0]["client"]["host"]), (&1.into(), &"ci-8".into()));
}
