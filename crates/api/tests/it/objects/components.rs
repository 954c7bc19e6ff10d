//! Components and their types are created, changed, deleted and tested by builds.

use super::fixtures::{names, with_components};
use crate::*;

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
