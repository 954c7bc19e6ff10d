//! Incremental reporting.

use crate::*;

const STEP: &str = r#"{"name":"make","success":true,"finished":"Tue, 20 Oct 2009 10:25:00 -0500"}"#;

fn begun(server: &Server, body: &str) -> (String, String) {
    let progress = server.build("pony", body);
    let build = progress.strip_suffix("/progress").unwrap().to_owned();
    (progress, build)
}

#[test]
fn a_build_is_reported_step_by_step() {
    let server = Server::new();
    server.project("pony");
    let (progress, build) = begun(
        &server,
        r#"{"incremental":true,"started":"Tue, 20 Oct 2009 10:20:00 -0500","tags":["t"]}"#,
    );
    let open = server.get(&progress);
    assert_eq!((open.status, open.body.len()), (200, 0));
    let running = server.get(&build).json();
    assert_eq!(
        (&running["state"], &running["success"], &running["finished"]),
        (&"running".into(), &Value::Null, &Value::Null)
    );
    assert_eq!(server.get("/pony/builds/latest").header("location"), build);
    assert_eq!(server.get(&build).link("progress").unwrap(), progress);

    let added = server.post(&progress, STEP);
    assert_eq!((added.status, added.header("location")), (204, build.as_str()));
    assert_eq!(server.get(&build).json()["results"][0]["name"], "make");
    assert_eq!(
        server
            .post(
                &progress,
                r#"{"name":"test","success":false,"finished":"Tue, 20 Oct 2009 10:24:00 -0500"}"#
            )
            .status,
        204
    );

    let done = server.delete(&progress);
    assert_eq!((done.status, done.header("location")), (204, build.as_str()));
    let finished = server.get(&build).json();
    assert_eq!((&finished["state"], &finished["success"]), (&"finished".into(), &false.into()));
    assert_eq!(finished["finished"], "Tue, 20 Oct 2009 10:25:00 -0500");
    assert_eq!(server.get(&build).link("progress"), None);

    assert_eq!(server.get(&progress).status, 410);
    assert_eq!(server.post(&progress, STEP).status, 410);
    assert_eq!(server.delete(&progress).status, 410);
    assert_eq!(
        server.send(server.request("OPTIONS", &progress)).header("allow"),
        "GET, HEAD, OPTIONS"
    );
}

#[test]
fn an_incremental_build_may_have_an_id_of_the_clients() {
    let server = Server::new();
    server.project("pony");
    let begin = || server.put("/pony/builds/17", r#"{"incremental":true}"#);
    let (first, retry) = (begin(), begin());
    assert_eq!((first.status, first.header("location")), (201, "/pony/builds/17/progress"));
    assert_eq!((retry.status, retry.header("location")), (200, "/pony/builds/17/progress"));
    assert_eq!(server.post("/pony/builds/17/progress", STEP).status, 204);
}

#[test]
fn the_closing_may_say_how_it_ended() {
    let server = Server::new();
    server.project("pony");
    let (progress, build) = begun(&server, r#"{"incremental":true}"#);
    let close = |body: &str| server.send(server.request("DELETE", &progress).json(body));
    assert_eq!(
        close(r#"{"success":"no"}"#).message(),
        "success: invalid type: string \"no\", expected a boolean"
    );
    assert_eq!(
        close(r#"{"success":false,"finished":"Wed, 21 Oct 2009 00:00:00 +0200"}"#).status,
        204
    );
    let finished = server.get(&build).json();
    assert_eq!(
        (&finished["success"], &finished["finished"]),
        (&false.into(), &"Wed, 21 Oct 2009 00:00:00 +0200".into())
    );
}

#[test]
fn a_finished_build_has_no_progress_and_an_unknown_one_is_not_there() {
    let server = Server::new();
    server.project("pony");
    let build = server.build("pony", BUILD);
    assert_eq!(server.get(&format!("{build}/progress")).status, 410);
    assert_eq!(server.post(&format!("{build}/progress"), STEP).status, 410);
    assert_eq!(server.get("/pony/builds/none/progress").status, 404);
    assert_eq!(server.post("/pony/builds/none/progress", STEP).status, 404);
    assert_eq!(server.put(&format!("{build}/progress"), STEP).status, 405);
}

#[test]
fn a_bad_step_is_refused_and_not_kept() {
    let server = Server::new();
    server.project("pony");
    let (progress, build) = begun(&server, r#"{"incremental":true}"#);
    assert_eq!(server.post(&progress, r#"{"success":true}"#).message(), "name: required");
    assert_eq!(
        server.post(&progress, r#"{"name":"x","success":true,"started":"then"}"#).json()["payload"]
            ["field"],
        "started"
    );
    assert_eq!(server.get(&build).json()["results"], serde_json::json!([]));
}

#[test]
fn steps_of_a_build_sent_with_credentials_are_for_its_sender() {
    let server = Server::new();
    let (alice, bob, eve) = (server.as_user("alice"), server.as_user("bob"), server.as_user("eve"));
    alice.send("PUT", "/pony", r#"{"name":"x"}"#);
    eve.send("PUT", "/users/eve", "");
    let progress =
        bob.send("POST", "/pony/builds", r#"{"incremental":true}"#).header("location").to_owned();
    assert_eq!(server.post(&progress, STEP).status, 401);
    assert_eq!(eve.send("POST", &progress, STEP).status, 403);
    assert_eq!(eve.send("DELETE", &progress, "").status, 403);
    assert_eq!(bob.send("POST", &progress, STEP).status, 204);
    assert_eq!(alice.send("POST", &progress, STEP).status, 204);
    assert_eq!(bob.send("DELETE", &progress, "").status, 204);
}

#[test]
fn steps_from_many_connections_at_once_are_all_kept_each_once() {
    let server = Server::new();
    server.project("pony");
    let (progress, build) = begun(&server, r#"{"incremental":true}"#);
    std::thread::scope(|scope| {
        for n in 0..20 {
            let (server, progress) = (&server, &progress);
            scope.spawn(move || {
                let step = format!(r#"{{"name":"step {n}","success":true}}"#);
                assert_eq!(server.post(progress, &step).status, 204);
            });
        }
    });
    let results = server.get(&build).json()["results"].clone();
    let names: std::collections::BTreeSet<&str> =
        results.as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!((results.as_array().unwrap().len(), names.len()), (20, 20));
}

#[test]
fn a_step_sent_twice_with_one_key_is_kept_once() {
    let server = Server::new();
    server.project("pony");
    let (progress, build) = begun(&server, r#"{"incremental":true}"#);
    let send = || {
        server.send(server.request("POST", &progress).header("Idempotency-Key", "s1").json(STEP))
    };
    let first = send();
    assert_eq!((first.status, first.header("location")), (204, build.as_str()));
    assert_eq!(send().status, 204);
    server.delete(&progress);
    // Even a retry after the build was closed gets the lost response.
    assert_eq!(send().status, 204);
    assert_eq!(server.get(&build).json()["results"].as_array().unwrap().len(), 1);
}
