//! squad-client and codecov-cli.

use std::io::Write;

use super::*;

fn submit(server: &Server, environment: &str, tests: &str) -> Answer {
    let boundary = uuid::Uuid::new_v4().simple().to_string();
    let form = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"tests\"\r\n\r\n{tests}\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{{\"job_id\": \"77\"}}\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"attachment\"; filename=\"a.bin\"\r\n\r\nxyz\r\n--{boundary}--\r\n"
    );
    let request = server.request("POST", &format!("/api/submit/acme/pony/v1/{environment}/"));
    let content_type = format!("multipart/form-data; boundary={boundary}");
    server.send(request.header("Content-Type", &content_type).body(form.as_bytes()))
}

#[test]
fn a_submission_of_squad_is_a_finished_build_of_its_environment() {
    on_both(|server| {
        let first =
            submit(server, "arm", r#"{"s/a": "pass", "s/b": {"result": "fail", "log": "boom"}}"#);
        assert_eq!((first.status, first.text().parse::<u64>().is_ok()), (201, true));
        submit(server, "arm", r#"{"s/a": "pass", "s/b": {"result": "fail", "log": "boom"}}"#);
        submit(server, "x86", r#"{"s/a": "pass"}"#);
        let [other, build] = builds(server, "pony").try_into().unwrap();
        assert_eq!((&other["success"], &other["tags"]), (&json!(true), &json!(["x86"])));
        assert_eq!((&build["state"], &build["success"]), (&json!("finished"), &json!(false)));
        assert_eq!(
            (&build["tests"]["total"], &build["client"]["job_id"]),
            (&json!(2), &json!("77"))
        );
        // More of the same run.
        submit(server, "arm", r#"{"s/c": "skip"}"#);
        let [_, build] = builds(server, "pony").try_into().unwrap();
        assert_eq!((&build["state"], &build["tests"]["total"]), (&json!("finished"), &json!(3)));
        assert_eq!(submit(server, "arm", "[").status, 400);
    });
}

#[test]
fn test_results_of_codecov_come_to_an_address_that_only_the_client_knows() {
    on_both(|server| {
        let about = json!({"slug": "acme::::pony", "commit": "1f0c2a9b7d7f4e5f8f7a6c5b4d3e2f1a0b9c8d7e", "branch": "main", "name": "unit", "flags": ["arm"]});
        let announce = || {
            let request = server.request("POST", "/upload/test_results/v1");
            let request = request.header("Authorization", "token alice:alice-pw");
            let answer = server.send(request.json(about.to_string()));
            assert_eq!(answer.status, 200, "{}", answer.text());
            let place = answer.json()["raw_upload_location"].as_str().unwrap().to_owned();
            place.split_once(&server.address).unwrap().1.to_owned()
        };
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"<testsuite name='s'><testcase name='a'/><testcase name='b'><failure>no</failure></testcase></testsuite>").unwrap();
        let data = devmason_test_support::http::base64(&packed.finish().unwrap());
        let files = json!({"test_results_files": [{"filename": "/x/junit.xml", "format": "base64+compressed", "data": data}]});
        let (first, second) = (announce(), announce());
        assert_ne!(first, second);
        for place in [&first, &first, &second] {
            let sent = server.put(place, &files.to_string());
            assert_eq!(sent.status, 200, "{}", sent.text());
        }
        let [build] = builds(server, "pony").try_into().unwrap();
        assert_eq!((names(&build), &build["tests"]["total"]), (vec!["junit.xml"], &json!(2)));
        assert_eq!((&build["state"], &build["success"]), (&json!("finished"), &json!(false)));
        assert_eq!((&build["client"]["branch"], &build["tags"]), (&json!("main"), &json!(["arm"])));
        assert_eq!(server.put(&format!("{first}0"), &files.to_string()).status, 404);
        let anonymous = server.post("/upload/test_results/v1", &about.to_string());
        assert_eq!(anonymous.status, 401, "alice began this build");
    });
}

#[test]
fn a_run_of_testomat_begins_takes_tests_and_ends() {
    on_both(|server| {
        let send = |method: &str, path: &str, mut body: Value| {
            body["api_key"] = json!("pony/alice:alice-pw");
            server.send(
                server.request(method, &format!("/api/reporter{path}")).json(body.to_string()),
            )
        };
        let begun =
            send("POST", "", json!({"title": "nightly", "env": "arm", "label": "daily,ui"}));
        assert_eq!(begun.status, 200, "{}", begun.text());
        let uid = begun.json()["uid"].as_str().unwrap().to_owned();
        let batch = json!({"batch_index": 1, "tests": [
            {"title": "passes", "suite_title": "s", "status": "passed", "run_time": 2},
            {"title": "fails", "suite_title": "s", "status": "failed", "message": "no", "stack": "at x"}]});
        for _ in 0..2 {
            assert_eq!(send("POST", &format!("/{uid}/testrun"), batch.clone()).status, 200);
        }
        let [build] = builds(server, "pony").try_into().unwrap();
        assert_eq!((&build["state"], &build["tests"]["total"]), (&json!("running"), &json!(2)));
        let end = json!({"status_event": "fail", "duration": 1});
        assert_eq!(send("PUT", &format!("/{uid}"), end).status, 200);
        // A test whose files were sent first comes after the end, alone.
        let late = json!({"title": "late", "status": "skipped"});
        assert_eq!(send("POST", &format!("/{uid}/testrun"), late).status, 200);
        let [build] = builds(server, "pony").try_into().unwrap();
        assert_eq!((&build["state"], &build["success"]), (&json!("finished"), &json!(false)));
        assert_eq!(
            (&build["tests"]["total"], &build["tags"]),
            (&json!(3), &json!(["daily", "ui"]))
        );
        assert_eq!(
            (&build["client"]["title"], &build["client"]["environment"]),
            (&json!("nightly"), &json!("arm"))
        );
        assert!(begun.json()["url"].as_str().unwrap().ends_with(build["id"].as_str().unwrap()));
        // That a run failed stays, whatever comes later.
        let other =
            send("POST", "", json!({"title": "other"})).json()["uid"].as_str().unwrap().to_owned();
        let passed = |title: &str| json!({"title": title, "status": "passed"});
        let path = format!("/{other}/testrun");
        assert_eq!(send("POST", &path, passed("a")).status, 200);
        assert_eq!(send("PUT", &format!("/{other}"), json!({"status_event": "pass"})).status, 200);
        assert_eq!(send("PUT", &format!("/{other}"), json!({"status_event": "fail"})).status, 200);
        assert_eq!(send("POST", &path, passed("b")).status, 200);
        let newest = builds(server, "pony")[0].clone();
        assert_eq!((&newest["success"], &newest["tests"]["passed"]), (&json!(false), &json!(2)));
        assert_eq!(send("POST", &path, json!({"tests": [1]})).status, 400);
        // Reporters that share a run begin it together.
        let shared = || send("POST", "", json!({"title": "shared", "shared_run": true})).json();
        assert_eq!(shared(), shared());
        assert_eq!(builds(server, "pony").len(), 3);
        assert_eq!(send("POST", "/unknown/testrun", batch).status, 404);
    });
}

#[test]
fn a_finished_build_to_which_something_is_added_is_not_served_as_it_was() {
    on_both(|server| {
        let send = |method: &str, path: &str, mut body: Value| {
            body["api_key"] = json!("pony/alice:alice-pw");
            let request = server.request(method, &format!("/api/reporter{path}"));
            server.send(request.json(body.to_string()))
        };
        let begun = send("POST", "", json!({"title": "nightly"})).json();
        let uid = begun["uid"].as_str().unwrap();
        let ran = |title: &str, status: &str| {
            let test = json!({"title": title, "status": status});
            assert_eq!(send("POST", &format!("/{uid}/testrun"), test).status, 200);
        };
        ran("a", "passed");
        let end = json!({"status_event": "finish"});
        assert_eq!(send("PUT", &format!("/{uid}"), end).status, 200);
        let id = builds(server, "pony")[0]["id"].as_str().unwrap().to_owned();
        let path = format!("/pony/builds/{id}");
        // Often enough to be remembered.
        for _ in 0..2 {
            assert_eq!(server.get(&path).json()["success"], true);
        }
        let before = server.get(&path);
        ran("b", "failed");
        let of = |path: &str| server.get(path).json();
        let after = of(&path);
        assert_eq!((&after["success"], &after["tests"]["total"]), (&json!(false), &json!(2)));
        assert_eq!(of(&format!("{path}/insight"))["success"], false);
        let same = server.request("GET", &path).header("If-None-Match", before.header("etag"));
        assert_eq!(server.send(same).status, 200);
        // What only the client record or the receipt tells of it is there, too.
        let file = format!("{path}/receipt");
        let uploads = |of: &Value| of["uploads"].as_array().unwrap().len();
        assert_eq!(uploads(&of(&file)), 2);
        ran("c", "skipped");
        assert_eq!((uploads(&of(&file)), &of(&path)["tests"]["total"]), (3, &json!(3)));
    });
}

#[test]
fn a_key_in_a_body_is_a_key() {
    let closed = Server::of(Registration::Closed, Reading::Open, &[]);
    let open = Server::new();
    let begin = |server: &Server, key: &str| {
        let body = json!({"api_key": key, "title": "t"}).to_string();
        server.send(server.request("POST", "/api/reporter").json(body)).status
    };
    assert_eq!(begin(&open, "pony/alice:alice-pw"), 200);
    assert_eq!(begin(&open, "pony/alice:wrong"), 401);
    assert_eq!(begin(&open, "alice:alice-pw"), 400);
    // Without a user, as any anonymous sender.
    assert_eq!(begin(&open, "pony"), 200);
    assert_eq!(begin(&closed, "pony"), 401);
    let owned =
        open.as_user("alice").send("PUT", "/owned", r#"{"name":"o","reporting":"authenticated"}"#);
    assert_eq!(owned.status, 201);
    assert_eq!((begin(&open, "owned"), begin(&open, "owned/alice:alice-pw")), (401, 200));
}

#[test]
fn results_of_resultsdb_are_cases_of_the_build_of_their_group() {
    on_both(|server| {
        let send = |path: &str, body: &Value| {
            let request = server.request("POST", path).basic("alice", "alice-pw");
            server.send(request.json(body.to_string()))
        };
        let group = json!({"uuid": "g-1", "description": "nightly", "ref_url": "http://x/1", "_auth_token": null});
        assert_eq!(send("/pony/resultsdb/v2.0/groups", &group).status, 201);
        let result = |name: &str, outcome: &str| json!({"testcase": name, "outcome": outcome, "groups": ["g-1"], "note": "why", "ref_url": "http://x/2", "data": {"item": "pony-1.0", "type": "koji_build", "arch": "arm"}});
        let first = send("/pony/resultsdb/v2.0/results", &result("dist.lint", "PASSED"));
        assert_eq!(
            (first.status, first.json()["outcome"].clone()),
            (201, json!("PASSED")),
            "{}",
            first.text()
        );
        for _ in 0..2 {
            assert_eq!(
                send("/pony/resultsdb/v2.0/results", &result("dist.install", "FAILED")).status,
                201
            );
        }
        assert_eq!(
            send("/pony/resultsdb/v2.0/results", &result("dist.slow", "RUNNING")).status,
            201
        );
        let [build] = builds(server, "pony").try_into().unwrap();
        assert_eq!((&build["tests"]["passed"], &build["tests"]["failed"]), (&json!(1), &json!(1)));
        let client = &build["client"];
        assert_eq!(
            (&client["description"], &client["item"]),
            (&json!("nightly"), &json!("pony-1.0"))
        );
        assert_eq!((&client["group"], &client["arch"]), (&json!("g-1"), &json!("arm")));
        let receipt =
            server.get(&format!("/pony/builds/{}/receipt", build["id"].as_str().unwrap()));
        assert!(receipt.text().contains("'dist.slow' is RUNNING"), "{}", receipt.text());
        // Another item is another build; without a project in the URL, it is in one of this name.
        let alone = json!({"testcase": "a", "outcome": "PASSED", "data": {"item": "x"}});
        assert_eq!(send("/api/v2.0/results", &alone).status, 201);
        assert_eq!(builds(server, "resultsdb").len(), 1);
        assert_eq!(
            send("/api/v2.0/results", &json!({"testcase": "a"})).json()["payload"]["field"],
            "outcome"
        );
        let wrong = json!({"testcase": "a", "outcome": "PASSED", "_auth_token": "alice:wrong"});
        assert_eq!(
            server.send(server.request("POST", "/api/v2.0/results").json(wrong.to_string())).status,
            401
        );
    });
}
