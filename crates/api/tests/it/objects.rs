//! The query API, under `/api/v1`.

use crate::*;

fn names(answer: &Answer, plural: &str) -> Vec<String> {
    let json = answer.json();
    json[plural]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| object["name"].as_str().unwrap().to_owned())
        .collect()
}

/// A component type with its components.
fn with_components(server: &Server, component_type: &str, components: &[&str]) {
    let body = format!(r#"{{"name":"{component_type}"}}"#);
    assert_eq!(server.post("/api/v1/componenttypes", &body).status, 201);
    for name in components {
        let body = format!(r#"{{"name":"{name}","componenttype":"{component_type}"}}"#);
        assert_eq!(server.post("/api/v1/components", &body).status, 201, "{name}");
    }
}

#[test]
fn the_dialogue_of_the_source_document() {
    let server = Server::new();
    let created = server.post("/api/v1/componenttypes", r#"{"name":"kikoolol"}"#);
    assert_eq!(created.status, 201);
    let object = created.json()["componenttype"].clone();
    let etag = object["etag"].as_str().unwrap().to_owned();
    assert_eq!(created.header("etag"), format!("\"{etag}\""));
    let path = format!("/api/v1/componenttypes/{}", object["id"].as_str().unwrap());
    assert_eq!(created.header("location"), path);

    let refused = server.put(&path, r#"{"name":"kikoolol2"}"#);
    assert_eq!(
        (refused.status, refused.message().as_str()),
        (412, "'If-match' header must be provided")
    );
    let put = |etag: &str, name: &str| {
        server.send(
            server
                .request("PUT", &path)
                .header("If-match", etag)
                .json(format!(r#"{{"name":"{name}"}}"#)),
        )
    };
    // Unquoted, as in the source document.
    let changed = put(&etag, "kikoolol2");
    assert_eq!((changed.status, changed.body.len()), (204, 0));
    let new = changed.header("etag").to_owned();
    assert_ne!(new, format!("\"{etag}\""));
    assert_eq!(server.get(&path).header("etag"), new);
    assert_eq!(put(&etag, "kikoolol3").status, 412);
    assert_eq!(put(&format!("\"x\", {new}"), "kikoolol3").status, 204);
    assert_eq!(put("*", "kikoolol4").status, 204);
    assert_eq!(
        server.get("/api/v1/componenttypes/kikoolol4").json()["componenttype"]["id"],
        object["id"]
    );
    assert_eq!(server.delete(&path).status, 412);
    assert_eq!(server.send(server.request("DELETE", &path).header("If-match", "*")).status, 204);
    assert_eq!(server.get(&path).status, 404);
}

#[test]
fn a_component_is_created_changed_and_found_by_id_and_by_name() {
    let server = Server::new();
    with_components(&server, "kernel", &[]);
    let body = r#"{"name":"6.12","componenttype":"kernel","title":"t","ref":"main","data":{"b":1.50,"a":[1e999]}}"#;
    let created = server.post("/api/v1/components", body);
    assert_eq!(created.status, 201, "{}", created.text());
    assert!(created.text().contains(r#""data":{"b":1.50,"a":[1e999]}"#), "{}", created.text());
    let object = created.json_text("component");
    let type_id = server.get("/api/v1/componenttypes/kernel").json()["componenttype"]["id"].clone();
    assert_eq!(
        (&object["componenttype"], &object["componenttype_id"], &object["ref"]),
        (&type_id, &type_id, &"main".into())
    );
    let path = format!("/api/v1/components/{}", object["id"].as_str().unwrap());
    assert_eq!(server.get("/api/v1/components/6.12").json_text("component")["id"], object["id"]);

    let embedded = server.get(&format!("{path}?embed=componenttype")).json_text("component");
    assert_eq!(
        (&embedded["componenttype"]["name"], embedded.get("componenttype_id")),
        (&"kernel".into(), None)
    );
    assert_eq!(server.get(&format!("{path}?embed=team")).status, 400);

    let put = server.request("PUT", &path).header("If-match", object["etag"].as_str().unwrap());
    let changed = server.send(put.json(r#"{"name":"6.13","url":"http://x"}"#));
    assert_eq!(changed.status, 201, "{}", changed.text());
    let changed = changed.json_text("component");
    assert_eq!(
        (&changed["name"], &changed["title"], &changed["url"]),
        (&"6.13".into(), &"t".into(), &"http://x".into())
    );
    assert_eq!(
        server
            .send(
                server
                    .request("DELETE", &path)
                    .header("If-match", changed["etag"].as_str().unwrap())
            )
            .status,
        204
    );
}

impl Answer {
    /// The object under its singular name. Its numbers may exceed the range of JSON numbers in tests.
    fn json_text(&self, singular: &str) -> Value {
        let text = self.text().replace("1e999", "1");
        serde_json::from_str::<Value>(&text).unwrap()[singular].clone()
    }
}

#[test]
fn members_of_data_are_asked_for_whatever_data_is() {
    let server = Server::new();
    with_components(&server, "kernel", &["none"]);
    for (name, data) in [
        ("object", r#"{"arch":"arm","n":1.50}"#),
        ("list", "[1]"),
        ("text", "\"x\""),
        ("number", "5"),
        ("null", "null"),
    ] {
        let body = format!(r#"{{"name":"{name}","componenttype":"kernel","data":{data}}}"#);
        assert_eq!(server.post("/api/v1/components", &body).status, 201, "{data}");
    }
    let list =
        |query: &str| names(&server.get(&format!("/api/v1/components?{query}")), "components");
    assert_eq!(list("where=data.arch:arm"), ["object"]);
    assert_eq!(list("where=data.n:1.50"), ["object"]);
    assert_eq!(list("query=null(data.arch)").len(), 5);
    assert_eq!(list("sort=data.arch&limit=1"), ["object"]);
}

#[test]
fn conflicts_and_unknown_types_are_told() {
    let server = Server::new();
    with_components(&server, "kernel", &["6.12"]);
    with_components(&server, "image", &["6.12"]);
    assert_eq!(server.post("/api/v1/componenttypes", r#"{"name":"kernel"}"#).status, 409);
    assert_eq!(
        server.post("/api/v1/components", r#"{"name":"6.12","componenttype":"kernel"}"#).status,
        409
    );
    for (body, message) in [
        (r#"{"name":"x","componenttype":"none"}"#, "componenttype: component type not found"),
        (r#"{"name":"x"}"#, "componenttype: required"),
        (r#"{"componenttype":"kernel"}"#, "name: required"),
        (r#"{"name":"x","componenttype":"kernel","title":"\u0000"}"#, "title: may not contain NUL"),
        (r#"{"name":"","componenttype":"kernel"}"#, "name: a name must have"),
    ] {
        let answer = server.post("/api/v1/components", body);
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.message().starts_with(message), "{}", answer.message());
    }
    let several = server.get("/api/v1/components/6.12");
    assert_eq!(
        (several.status, several.json()["payload"]["ids"].as_array().unwrap().len()),
        (409, 2)
    );
    let kernel = server.request("DELETE", "/api/v1/componenttypes/kernel").header("If-match", "*");
    assert_eq!(server.send(kernel).status, 409);
    let kernel = server
        .request("DELETE", "/api/v1/componenttypes/kernel?cascade=true")
        .header("If-match", "*");
    assert_eq!(server.send(kernel).status, 204);
    assert_eq!(server.get("/api/v1/components").json()["_meta"]["count"], 1);
}

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
fn who_may_change_a_component_is_who_created_it() {
    let server = Server::new();
    let (alice, bob) = (server.as_user("alice"), server.as_user("bob"));
    let path = alice
        .send("POST", "/api/v1/componenttypes", r#"{"name":"kernel"}"#)
        .header("location")
        .to_owned();
    bob.send("PUT", "/users/bob", "");
    let put = |user: Option<&str>| {
        let request =
            server.request("PUT", &path).header("If-match", "*").json(r#"{"name":"kernel"}"#);
        server
            .send(user.map_or(request.clone(), |user| request.basic(user, &format!("{user}-pw"))))
            .status
    };
    assert_eq!((put(None), put(Some("bob")), put(Some("alice"))), (401, 403, 204));
    let allow = |user: &User<'_>| user.send("OPTIONS", &path, "").header("allow").to_owned();
    assert_eq!(
        (allow(&bob), allow(&alice)),
        ("GET, HEAD, OPTIONS".to_owned(), "GET, HEAD, PUT, DELETE, OPTIONS".to_owned())
    );
    let authenticated = Server::of(Registration::Authenticated, Reading::Open, &[]);
    assert_eq!(authenticated.post("/api/v1/componenttypes", r#"{"name":"x"}"#).status, 401);
}

#[test]
fn of_many_writers_with_one_etag_exactly_one_wins() {
    let server = Server::new();
    with_components(&server, "kernel", &["6.12"]);
    let etag = server.get("/api/v1/components/6.12").header("etag").to_owned();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let put = |n: usize| {
            let request =
                server.request("PUT", "/api/v1/components/6.12").header("If-match", &etag);
            server.send(request.json(format!(r#"{{"title":"{n}"}}"#))).status
        };
        let threads: Vec<_> = (0..12).map(|n| scope.spawn(move || put(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 11, "{statuses:?}");
}

#[test]
fn builds_name_the_components_that_they_tested() {
    let server = Server::new();
    server.project("pony");
    with_components(&server, "kernel", &["6.12", "6.13"]);
    with_components(&server, "image", &["6.12"]);
    let kernel =
        server.get("/api/v1/componenttypes/kernel/components?where=name:6.12").json()["components"]
            [0]["id"]
            .clone();
    let kernel = kernel.as_str().unwrap();
    let by_name = r#"{"type":"kernel","name":"6.12"}"#;
    let first =
        server.build("pony", &format!(r#"{{"success":true,"components":["{kernel}",{by_name}]}}"#));
    assert_eq!(server.put("/pony/builds/2", &format!(r#"{{"success":false,"components":[{by_name},{{"type":"image","name":"6.12"}}]}}"#)).status, 201);
    server.build("pony", r#"{"success":false,"components":[{"type":"kernel","name":"6.13"}]}"#);

    // Which builds tested kernel 6.12, and which failed?
    let builds = |query: &str| {
        let answer = server.get(&format!("/api/v1/components/{kernel}/builds{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let json = answer.json();
        (
            json["_meta"]["count"].as_u64().unwrap(),
            json["builds"][0]["key"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(builds("?sort=-success").0, 2);
    assert_eq!(builds("?where=success:false"), (1, "2".to_owned()));
    assert_eq!(
        server.get("/api/v1/builds?where=components:6.12,success:false").json()["_meta"]["count"],
        1
    );
    assert_eq!(
        server.get(&format!("/pony/builds?query=not_contains(components,{kernel})")).json()["count"],
        1
    );
    let got = server.get(&first);
    assert_eq!(got.json()["components"], serde_json::json!([kernel]));
    assert_eq!(server.get(&got.link("builds-of-component").unwrap()).json()["_meta"]["count"], 2);

    for (components, field) in [
        (r#"["00000000-0000-7000-8000-000000000000"]"#, "components[0]"),
        (&format!(r#"["{kernel}",{{"type":"kernel","name":"7"}}]"#), "components[1]"),
        (r#"[{"type":"none","name":"6.12"}]"#, "components[0]"),
        (r#"["6.12"]"#, "components[0]"),
        (r#"[{"type":"kernel"}]"#, "components[0]"),
    ] {
        let answer = server
            .post("/pony/builds", &format!(r#"{{"success":true,"components":{components}}}"#));
        assert_eq!(
            (answer.status, &answer.json()["payload"]["field"]),
            (400, &field.into()),
            "{components}: {}",
            answer.text()
        );
    }
    let delete = |query: &str| {
        server
            .send(
                server
                    .request("DELETE", &format!("/api/v1/components/{kernel}{query}"))
                    .header("If-match", "*"),
            )
            .status
    };
    let etag = server.get("/pony/builds").header("etag").to_owned();
    assert_eq!((delete(""), delete("?cascade=true")), (409, 204));
    assert_eq!(server.get(&first).json()["components"], serde_json::json!([]));
    assert_ne!(server.get("/pony/builds").header("etag"), etag);
    // Deleting a build removes its reference to a component.
    assert_eq!(server.get("/api/v1/components/6.13/builds").json()["_meta"]["count"], 1);
}

#[test]
fn a_retry_with_the_same_idempotency_key_creates_nothing_again() {
    let server = Server::new();
    let post = |path: &str, key: &str, body: &str| {
        server.send(server.request("POST", path).header("Idempotency-Key", key).json(body))
    };
    let (types, components) = ("/api/v1/componenttypes", "/api/v1/components");
    let first = post(types, "k", r#"{"name":"kernel"}"#);
    let again = post(types, "k", r#"{"name":"kernel"}"#);
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!((again.header("location"), again.json()), (first.header("location"), first.json()));
    assert_eq!(post(types, "k", r#"{"name":"image"}"#).status, 422);
    // Keys are separate for each resource, and the key of a failed request is free again.
    let body = r#"{"name":"6.12","componenttype":"kernel"}"#;
    assert_eq!(post(components, "k", r#"{"name":"6.12","componenttype":"none"}"#).status, 400);
    let first = post(components, "k", body);
    let again = post(components, "k", body);
    assert_eq!((first.status, again.status, again.json()), (201, 201, first.json()));
    assert_eq!(post(components, "other", body).status, 409);
    assert_eq!(server.get(components).json()["_meta"]["count"], 1);
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
