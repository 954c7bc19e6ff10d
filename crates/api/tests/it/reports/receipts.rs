//! Receipts of uploads, and uploads that are read again.

use super::fixtures::{JUNIT, with_report};
use crate::*;

#[test]
fn every_upload_has_a_receipt_that_says_what_was_odd() {
    let server = Server::new();
    let build = server.get(&with_report(&server));
    let receipt = server.get(&build.link("receipt").unwrap()).json();
    let upload = &receipt["uploads"][0];
    assert_eq!(
        (&upload["format"], &upload["recognized"]),
        (&"junit".into(), &"from the bytes".into())
    );
    assert_eq!((&upload["bytes"], &upload["tests"]["total"]), (&JUNIT.len().into(), &3.into()));
    assert!(upload["digest"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(upload["notes"][0]["text"], "the suite 'suite' says tests=\"4\", but contains 3");
    assert_eq!((&upload["notes"][0]["line"], &upload["notes_total"]), (&1.into(), &1.into()));

    // API documents have receipts, too: that of the build and that of each step.
    let document = r#"{"incremental":true}"#;
    let progress = server.build("pony", document);
    let step = r#"{"name":"s","success":true,"tests":[{"name":"t","status":"failed"}]}"#;
    assert_eq!(server.post(&progress, step).status, 204);
    let receipt = server.get(&progress.replace("progress", "receipt")).json();
    let said = |nth: usize, member: &str| receipt["uploads"][nth][member].clone();
    for (nth, text) in [document, step].into_iter().enumerate() {
        assert_eq!(
            (said(nth, "format"), said(nth, "bytes")),
            ("devmason".into(), text.len().into())
        );
        assert!(said(nth, "seconds").as_f64().is_some_and(|seconds| seconds >= 0.0));
        assert_eq!((said(nth, "steps"), said(nth, "notes_total")), (nth.into(), 0.into()));
    }
    assert_eq!(
        said(0, "digest"),
        "sha256:09695af97d49951a201f5b982f570a5bcd6a578d4c8b24b4d7dd41102dbc61bd"
    );
    assert_eq!((&said(0, "tests")["total"], &said(1, "tests")["failed"]), (&0.into(), &1.into()));
}

#[test]
fn uploads_that_are_kept_are_read_again_by_who_may_delete_the_build() {
    let server = Server::new();
    server.project("pony");
    let path = "/pony/builds";
    let ann = server.as_user("ann");
    let open = ann.send("POST", path, r#"{"incremental":true}"#);
    let progress = open.header("location").to_owned();
    let build = progress.trim_end_matches("/progress").to_owned();
    let step = r#"{"name":"first","success":true,"tests":[{"name":"own","status":"passed","duration":0.5}]}"#;
    assert_eq!(ann.send("POST", &progress, step).status, 204);
    for name in ["one", "two"] {
        let path = format!("{progress}?name={name}");
        let request = server.request("POST", &path).basic("ann", "ann-pw");
        let request = request.header("Content-Type", "application/xml");
        assert_eq!(server.send(request.body(JUNIT.as_bytes())).status, 204);
    }
    assert_eq!(ann.send("DELETE", &progress, "").status, 204);
    let shown = |server: &Server| {
        let build = server.get(&build);
        let tests = server.get(&build.link("tests").unwrap()).json()["tests"].clone();
        (build.json()["results"].clone(), build.json()["success"].clone(), tests)
    };
    let before = shown(&server);
    assert_eq!(before.0.as_array().unwrap().len(), 3);
    assert_eq!(before.2.as_array().unwrap().len(), 7);
    assert_eq!((&before.2[0]["name"], &before.2[0]["duration"]), (&"own".into(), &0.5.into()));

    let receipt = ann.send("GET", &format!("{build}/receipt"), "");
    let links = receipt.json()["links"].clone();
    let reparse = receipt.link("reparse").unwrap();
    let link = links.as_array().unwrap().iter().find(|link| link["rel"] == "reparse").unwrap();
    assert_eq!(link["allowed_methods"], serde_json::json!(["POST"]));
    assert_eq!(server.post(&reparse, "").status, 401);
    assert_eq!(server.as_user("bob").send("POST", &reparse, "").status, 403);
    // Reparsing may change a step, so its ETag changes.
    let step = || server.get("/api/v1/steps?where=position:1").json()["steps"][0].clone();
    let etag = step()["etag"].clone();
    let one = format!("/api/v1/steps/{}", step()["id"].as_str().unwrap());
    assert_eq!(server.get(&one).header("etag").trim_matches('"'), etag);
    let conditional = |etag: &str| {
        let request = server.request("POST", &reparse).basic("ann", "ann-pw");
        server.send(request.header("If-Match", etag)).status
    };
    assert_eq!(conditional("\"other\""), 412);
    let known = server.request("GET", reparse.trim_end_matches("/reparse")).basic("ann", "ann-pw");
    assert_eq!(conditional(server.send(known).header("etag")), 200);
    let answer = ann.send("POST", &reparse, "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_ne!(step()["etag"], etag);
    assert_eq!(server.get(&one).header("etag").trim_matches('"'), step()["etag"]);
    assert_eq!(answer.json()["uploads"].as_array().unwrap().len(), 4);
    let documents = |answer: &Answer| answer.json()["uploads"].as_array().unwrap()[..2].to_vec();
    assert_eq!(documents(&answer), documents(&receipt));
    assert_eq!(shown(&server), before);
    assert_eq!(server.get(&reparse).status, 405);
}

#[test]
fn nothing_is_read_again_where_nothing_is_kept() {
    let server = Server::new();
    server.project("pony");
    let ann = server.as_user("ann");
    let reparse = |build: &Answer| {
        let answer = ann.send("POST", &format!("{}/receipt/reparse", build.header("location")), "");
        (answer.status, answer.message())
    };
    let none = (409, "no stored uploads for this build".to_owned());
    assert_eq!(reparse(&ann.send("POST", "/pony/builds", r#"{"success":true}"#)), none);

    let server = Server::with(|settings| settings.uploads.days = 0);
    server.project("pony");
    let request = server.request("POST", "/pony/builds").basic("ann", "ann-pw");
    let request = request.header("Content-Type", "application/xml").body(JUNIT.as_bytes());
    let build = server.send(request);
    let path = format!("{}/receipt/reparse", build.header("location"));
    let answer = server.as_user("ann").send("POST", &path, "");
    assert_eq!((answer.status, answer.message()), none);
}
