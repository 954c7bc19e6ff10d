//! Clients that were made for other servers.

use serde_json::json;

use crate::*;

mod buildkite;
mod ctest;
mod dci;
mod pony;
mod reportportal;
mod small;

/// The servers on which these stories are told.
fn on_both(tell: impl Fn(&Server)) {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        tell(&Server::on(backend, |_| {}));
    }
}

/// The builds of a project, newest first.
fn builds(server: &Server, project: &str) -> Vec<Value> {
    let list = server.get(&format!("/{project}/builds")).json();
    list["builds"].as_array().unwrap().clone()
}

fn names(build: &Value) -> Vec<&str> {
    let steps = build["results"].as_array().unwrap();
    steps.iter().map(|step| step["name"].as_str().unwrap()).collect()
}

#[test]
fn a_key_means_the_same_as_basic_authentication() {
    let server = Server::new();
    let as_alice = server.as_user("alice").send("PUT", "/pony", r#"{"name":"pony"}"#);
    assert_eq!(as_alice.status, 201);
    let with = |key: &str| {
        let request = server.request("PUT", "/pony").header("Authorization", key);
        server.send(request.json(r#"{"name":"pony"}"#)).status
    };
    let pair = "alice:alice-pw";
    let encoded = devmason_test_support::http::base64(pair.as_bytes());
    for key in [
        format!("Bearer {pair}"),
        format!("bearer {encoded}"),
        format!("Token token=\"{pair}\""),
        format!("Token token=\"{encoded}\""),
        format!("token {pair}"),
    ] {
        assert_eq!(with(&key), 200, "{key}");
    }
    let quoted =
        server.request("PUT", "/quoted").header("Authorization", "Bearer quo:pass\"word\"");
    assert_eq!(server.send(quoted.json(r#"{"name":"q"}"#)).status, 201);
    let basic = server.request("PUT", "/quoted").basic("quo", "pass\"word\"");
    assert_eq!(server.send(basic.json(r#"{"name":"q"}"#)).status, 200);
    for key in ["Bearer secret", "Token token=\"\"", "Bearer alice:wrong", "Digest x"] {
        assert_eq!(with(key), 401, "{key}");
    }
}

#[test]
fn a_project_is_registered_by_its_first_report_where_that_is_allowed() {
    let closed = Server::of(Registration::Closed, Reading::Open, &[]);
    assert_eq!(ctest::submit(&closed, "pony", "Experimental", ctest::CONFIGURE).status, 401);
    let open = Server::new();
    assert_eq!(ctest::submit(&open, "My%20Pony%21", "Experimental", ctest::CONFIGURE).status, 200);
    assert_eq!(open.get("/My-Pony-").json()["name"], "My Pony!");
    for reserved in ["docs", "api", "", "a%2F"] {
        let refused = ctest::submit(&open, reserved, "Experimental", ctest::CONFIGURE);
        if reserved != "a%2F" {
            assert_eq!(refused.status, 400, "{reserved}: {}", refused.text());
            assert!(refused.message().contains("project"), "{}", refused.message());
        }
    }
}

#[test]
fn a_build_of_which_nothing_is_heard_ends_and_is_opened_again() {
    on_both(|server| {
        let sent = ctest::submit(server, "pony", "Experimental", ctest::CONFIGURE);
        assert_eq!(sent.status, 200);
        let build = &builds(server, "pony")[0];
        assert_eq!(build["state"], "running");
        let hence = devmason_domain::Timestamp::from_parts(
            devmason_domain::Timestamp::now().micros() + 3_601_000_000,
            0,
        );
        let repository = open(&server.database.url, &Options::default()).unwrap();
        assert!(!devmason_api::end_silent_builds(&*repository, hence.unwrap(), 1_000_000).unwrap());
        let build = &builds(server, "pony")[0];
        assert_eq!((&build["state"], &build["success"]), (&json!("finished"), &json!(true)));
        assert_eq!(build["client"]["ended_by"], "silence");
        assert_eq!(ctest::submit(server, "pony", "Experimental", ctest::TEST).status, 200);
        let [build] = builds(server, "pony").try_into().unwrap();
        assert_eq!(build["state"], "running");
        assert_eq!(names(&build), ["configure", "test"]);
        assert_eq!(build["client"]["ended_by"], Value::Null);
    });
}
