//! Agents of ReportPortal.

use super::*;

const OF: &str = "/api/v2/pony";

fn post(server: &Server, path: &str, body: Value) -> Answer {
    server.post(&format!("{OF}{path}"), &body.to_string())
}

fn put(server: &Server, path: &str, body: Value) -> Answer {
    server.put(&format!("{OF}{path}"), &body.to_string())
}

fn id(answer: &Answer) -> String {
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn launch(server: &Server) -> String {
    let attributes = json!([{"key": "machine", "value": "x86_64", "system": true}, {"key": "team", "value": "a"}]);
    let start = json!({"name": "unit", "startTime": "1795629920000", "attributes": attributes, "mode": "DEFAULT"});
    id(&post(server, "/launch", start))
}

fn item(server: &Server, launch: &str, parent: Option<&str>, name: &str, kind: &str) -> String {
    let start =
        json!({"name": name, "type": kind, "launchUuid": launch, "startTime": "1795629921000"});
    let path = parent.map_or("/item".to_owned(), |parent| format!("/item/{parent}"));
    id(&post(server, &path, start))
}

fn end(server: &Server, launch: &str, item: &str, status: &str) {
    let end = json!({"launchUuid": launch, "status": status, "endTime": "1795629922000"});
    let ended = put(server, &format!("/item/{item}"), end);
    assert_eq!(ended.status, 200, "{}", ended.text());
    assert!(ended.json()["message"].is_string());
}

fn finish(server: &Server, launch: &str) -> Value {
    let ended =
        put(server, &format!("/launch/{launch}/finish"), json!({"endTime": "1795629930000"}));
    assert_eq!(ended.status, 200, "{}", ended.text());
    ended.json()
}

fn log(server: &Server, launch: &str, item: &str, message: &str) {
    let entry = json!({"launchUuid": launch, "itemUuid": item, "time": "1795629921500", "level": "ERROR", "message": message});
    id(&post(server, "/log", entry));
}

fn cases(server: &Server, build: &Value) -> Value {
    server.get(&format!("/pony/builds/{}/tests", build["id"].as_str().unwrap())).json()["tests"]
        .clone()
}

#[test]
fn a_launch_is_a_build_with_its_tests() {
    on_both(|server| {
        assert_eq!(server.get("/api/info").json()["build"]["version"], "5.13.3");
        let launch = launch(server);
        assert_eq!(server.get(&format!("{OF}/settings")).status, 200);
        let suite = item(server, &launch, None, "module", "SUITE");
        let test = item(server, &launch, Some(&suite), "test_a", "STEP");
        log(server, &launch, &test, "AssertionError: no");
        let [running] = builds(server, "pony").try_into().unwrap();
        assert_eq!((&running["state"], &running["tags"]), (&json!("running"), &json!(["team:a"])));
        assert_eq!(
            (&running["client"]["arch"], &running["client"]["launch"]),
            (&json!("x86_64"), &json!("unit"))
        );
        end(server, &launch, &test, "FAILED");
        end(server, &launch, &suite, "failed");
        let ended = finish(server, &launch);
        let [build] = builds(server, "pony").try_into().unwrap();
        assert_eq!((&build["state"], &build["success"]), (&json!("finished"), &json!(false)));
        assert!(ended["link"].as_str().unwrap().ends_with(build["id"].as_str().unwrap()));
        assert_eq!(names(&build), ["unit"]);
        let cases = cases(server, &build);
        assert_eq!(cases[0]["full_name"], "module::test_a");
        assert_eq!(cases[0]["failure"]["message"], "AssertionError: no");
        assert_eq!(cases[0]["stdout"], "AssertionError: no\n");
        assert_eq!(cases[0]["duration"], 1.0);
        let path = format!("/pony/builds/{}/receipt", build["id"].as_str().unwrap());
        let receipt = server.get(&path).json();
        assert_eq!(receipt["uploads"][0]["tests"]["failed"], 1, "{receipt}");
        assert_eq!(receipt["uploads"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn a_build_is_finished_only_when_all_has_ended_and_takes_what_comes_later() {
    on_both(|server| {
        let launch = launch(server);
        let test = item(server, &launch, None, "test_a", "STEP");
        finish(server, &launch);
        assert_eq!(builds(server, "pony")[0]["state"], "running");
        end(server, &launch, &test, "failed");
        let [build] = builds(server, "pony").try_into().unwrap();
        assert_eq!((&build["state"], &build["tests"]["failed"]), (&json!("finished"), &json!(1)));
        assert_eq!(cases(server, &build)[0]["stdout"], "");
        // Why it failed is said last.
        log(server, &launch, &test, "boom");
        let [build] = builds(server, "pony").try_into().unwrap();
        assert_eq!((&build["state"], &build["tests"]["total"]), (&json!("finished"), &json!(1)));
        assert_eq!(cases(server, &build)[0]["failure"]["message"], "boom");
        // An item that starts late opens it again.
        let late = item(server, &launch, None, "test_b", "STEP");
        assert_eq!(builds(server, "pony")[0]["state"], "running");
        end(server, &launch, &late, "passed");
        let [build] = builds(server, "pony").try_into().unwrap();
        assert_eq!((&build["state"], &build["tests"]["total"]), (&json!("finished"), &json!(2)));
    });
}

#[test]
fn a_request_that_is_sent_again_is_one() {
    on_both(|server| {
        let (one, other) = (launch(server), launch(server));
        assert_eq!(one, other);
        let (a, b) = (item(server, &one, None, "t", "STEP"), item(server, &one, None, "t", "STEP"));
        assert_eq!(a, b);
        for _ in 0..2 {
            log(server, &one, &a, "boom");
            end(server, &one, &a, "failed");
            finish(server, &one);
        }
        let [build] = builds(server, "pony").try_into().unwrap();
        assert_eq!(build["tests"]["total"], 1);
        assert_eq!(cases(server, &build)[0]["stdout"], "boom\n");
        // The last word counts, also if it was said before.
        end(server, &one, &a, "passed");
        end(server, &one, &a, "failed");
        assert_eq!(builds(server, "pony")[0]["tests"]["failed"], 1);
        // That item and that launch have ended: this is another one.
        assert_ne!(launch(server), one);
        assert_ne!(item(server, &one, None, "t", "STEP"), a);
        let mine = json!({"name": "l", "startTime": "1", "uuid": "My-Own-Id"});
        assert_eq!(id(&post(server, "/launch", mine)), "My-Own-Id");
        let found = server.get(&format!("{OF}/launch/uuid/My-Own-Id")).json();
        let listed =
            server.get(&format!("/api/v1/pony/launch?filter.in.uuid={one},My-Own-Id")).json();
        assert_eq!(listed["page"]["totalElements"], 2);
        assert_eq!(listed["content"][1]["id"], found["id"]);
    });
}

#[test]
fn an_item_that_never_ends_is_broken_when_nothing_is_heard() {
    on_both(|server| {
        let launch = launch(server);
        let good = item(server, &launch, None, "good", "STEP");
        end(server, &launch, &good, "passed");
        item(server, &launch, None, "hangs", "STEP");
        let hence = devmason_domain::Timestamp::now().micros() + 3_601_000_000;
        let hence = devmason_domain::Timestamp::from_parts(hence, 0).unwrap();
        let repository = open(&server.database.url, &Options::default()).unwrap();
        devmason_api::end_silent_builds(&*repository, hence, 1_000_000).unwrap();
        let [build] = builds(server, "pony").try_into().unwrap();
        assert_eq!((&build["state"], &build["success"]), (&json!("finished"), &json!(false)));
        assert_eq!((&build["tests"]["passed"], &build["tests"]["error"]), (&json!(1), &json!(1)));
        assert_eq!(build["client"]["ended_by"], "silence");
    });
}

#[test]
fn logs_come_with_files_that_have_no_place() {
    on_both(|server| {
        let launch = launch(server);
        let test = item(server, &launch, None, "t", "STEP");
        let entries = json!([
            {"launchUuid": launch, "itemUuid": test, "time": "1", "level": "INFO", "message": "one"},
            {"launchUuid": launch, "itemUuid": test, "time": "2", "level": "INFO", "message": "two", "file": {"name": "a.png"}},
        ]);
        // As JavaScript's client sends it: a blank line before the JSON, a boundary of digits, plain names.
        let form = format!(
            "--123\r\nContent-Disposition: form-data; name=\"json_request_part\"\r\nContent-Type: application/json\r\n\r\n\n{entries}\r\n\
             --123\r\nContent-Disposition: form-data; name=\"file\"; filename=a.png\r\nContent-Type: image/png\r\n\r\n\u{1}\u{2}\u{3}\r\n--123--\r\n"
        );
        let request = server.request("POST", &format!("{OF}/log"));
        let request = request.header("Content-Type", "multipart/form-data; boundary=123");
        let sent = server.send(request.body(form.as_bytes()));
        assert_eq!(sent.status, 201, "{}", sent.text());
        assert_eq!(sent.json()["responses"].as_array().unwrap().len(), 2);
        end(server, &launch, &test, "passed");
        finish(server, &launch);
        let [build] = builds(server, "pony").try_into().unwrap();
        let stdout = cases(server, &build)[0]["stdout"].as_str().unwrap().to_owned();
        assert!(stdout.starts_with("one\ntwo [the file 'a.png', 3 bytes, sha256:"), "{stdout}");
        let path = format!("/pony/builds/{}/receipt", build["id"].as_str().unwrap());
        assert_eq!(server.get(&path).json()["uploads"][0]["notes"][0]["kind"], "dropped");
    });
}

#[test]
fn a_file_may_be_longer_than_any_body() {
    let server = Server::with(|settings| settings.max_body_bytes = 10_000);
    let launch = launch(&server);
    let entries =
        json!([{"launchUuid": launch, "time": "1", "message": "m", "file": {"name": "f"}}]);
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"json_request_part\"\r\n\r\n{entries}\r\n\
         --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n{}\r\n--b--\r\n",
        "x".repeat(100_000)
    );
    let request = server.request("POST", &format!("{OF}/log"));
    let request = request.header("Content-Type", "multipart/form-data; boundary=b");
    assert_eq!(server.send(request.body(form.as_bytes())).status, 201);
}

#[test]
fn what_is_not_there_is_told() {
    let server = Server::new();
    let start = json!({"name": "t", "type": "STEP", "launchUuid": "nobody"});
    assert_eq!(post(&server, "/item", start).status, 404);
    assert_eq!(put(&server, "/launch/nobody/finish", json!({})).status, 404);
    assert_eq!(put(&server, "/item/nobody", json!({})).status, 404);
    assert_eq!(post(&server, "/log", json!({"message": "m"})).status, 404);
    let launch = launch(&server);
    assert_eq!(post(&server, "/log", json!({"message": "m"})).status, 400);
    let start = json!({"name": "t", "type": "STEP", "launchUuid": "nobody"});
    assert_eq!(post(&server, "/item", start).status, 404);
    assert_eq!(post(&server, "/item", json!({"launchUuid": launch})).status, 400);
    assert_eq!(server.get("/api/v3/pony/settings").status, 404);
    assert_eq!(server.get("/api/v1/components/launch").status, 404);
    let request = server.request("PUT", &format!("{OF}/launch/{launch}/finish"));
    let other = request.header("Authorization", "Bearer bob:bob-pw").json("{}");
    assert_eq!(
        server.send(other).status,
        200,
        "anybody may continue what nobody in particular began"
    );
    let mine = server.request("POST", &format!("{OF}/launch"));
    let mine = mine.header("Authorization", "Bearer alice:alice-pw");
    let mine = id(&server.send(mine.json(r#"{"name":"l","startTime":"7"}"#)));
    assert_eq!(put(&server, &format!("/launch/{mine}/finish"), json!({})).status, 401);
}

#[test]
fn an_item_is_found_without_its_launch_and_changed_by_its_number() {
    let server = Server::new();
    let launch = launch(&server);
    let test = item(&server, &launch, None, "t", "STEP");
    let number = server.get(&format!("/api/v1/pony/item/uuid/{test}")).json()["id"].clone();
    let update = json!({"description": "said later", "attributes": [{"key": "k", "value": "v"}]});
    assert_eq!(put(&server, &format!("/item/{number}/update"), update).status, 200);
    assert_eq!(put(&server, &format!("/item/{test}"), json!({"status": "failed"})).status, 200);
    finish(&server, &launch);
    let [build] = builds(&server, "pony").try_into().unwrap();
    assert_eq!(cases(&server, &build)[0]["failure"]["message"], "said later");
}

#[test]
fn a_launch_of_which_nothing_is_kept_any_more_stays_as_it_is() {
    on_both(|server| {
        let launch = launch(server);
        let test = item(server, &launch, None, "t", "STEP");
        end(server, &launch, &test, "failed");
        finish(server, &launch);
        let repository = open(&server.database.url, &Options::default()).unwrap();
        let hence = devmason_domain::Timestamp::now().micros() + 90_000_000_000;
        let hence = devmason_domain::Timestamp::from_parts(hence, 0).unwrap();
        let none = devmason_repository::Retention { micros: 0, bytes: u64::MAX };
        while repository.purge(hence, none).unwrap() {}
        log(server, &launch, &test, "late");
        let [build] = builds(server, "pony").try_into().unwrap();
        assert_eq!((&build["state"], &build["tests"]["failed"]), (&json!("finished"), &json!(1)));
        let path = format!("/pony/builds/{}/receipt", build["id"].as_str().unwrap());
        let receipt = server.get(&path).json();
        assert_eq!(receipt["uploads"][1]["notes"][0]["kind"], "dropped", "{receipt}");
    });
}

#[test]
fn merging_tells_nothing_of_other_projects() {
    let server = Server::new();
    let one = launch(&server);
    let number = server.get(&format!("{OF}/launch/uuid/{one}")).json()["id"].clone();
    let merged = post(&server, "/launch/merge", json!({"launches": [number]}));
    assert_eq!(merged.json()["uuid"], json!(one), "{}", merged.text());
    server.project("other");
    let body = json!({"launches": [number]}).to_string();
    assert_eq!(server.post("/api/v2/other/launch/merge", &body).status, 404);
}

#[test]
fn a_request_may_have_logs_of_several_launches_and_half_a_character() {
    let server = Server::new();
    let (one, two) =
        (launch(&server), id(&post(&server, "/launch", json!({"name": "two", "startTime": "5"}))));
    let body = format!(
        r#"[{{"launchUuid":"{one}","message":"of one \ud83d","time":"1"}},{{"launchUuid":"{two}","message":"of two","time":"2"}}]"#
    );
    assert_eq!(server.post(&format!("{OF}/log"), &body).status, 201);
    finish(&server, &one);
    finish(&server, &two);
    let [second, first] = builds(&server, "pony").try_into().unwrap();
    let outputs = [&first, &second].map(|build| build["results"][0]["output"].clone());
    let mut outputs = outputs.map(|text| text.as_str().unwrap().to_owned());
    outputs.sort();
    assert_eq!(outputs, ["of one \u{fffd}\n", "of two\n"]);
}

/// A form of logs, as the agents send them: a list of entries, then their files.
fn logs(server: &Server, entries: &Value, files: &[(&str, &str)]) -> Answer {
    let mut form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"json_request_part\"\r\nContent-Type: application/json\r\n\r\n{entries}\r\n"
    );
    for (name, text) in files {
        form += &format!(
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: image/png\r\n\r\n{text}\r\n"
        );
    }
    form += "--b--\r\n";
    let request = server.request("POST", &format!("{OF}/log"));
    server.send(
        request.header("Content-Type", "multipart/form-data; boundary=b").body(form.as_bytes()),
    )
}

#[test]
fn what_the_agents_of_java_and_of_dotnet_document_is_read() {
    on_both(|server| {
        // Java's brings ids of its own, sends times with microseconds, and logs as a form.
        let launch = uuid::Uuid::new_v4().to_string();
        let start = json!({"uuid": launch, "name": "JUnit", "startTime": "2026-11-25T18:03:22.152021Z", "mode": "DEFAULT", "rerun": false,
            "attributes": [{"key": "agent", "value": "agent-java-junit5|5.4.0", "system": true}, {"key": null, "value": "smoke", "system": false}]});
        assert_eq!(id(&post(server, "/launch", start)), launch);
        let item = |parent: Option<&str>, uuid: &str, name: &str, kind: &str| {
            let start = json!({"uuid": uuid, "launchUuid": launch, "name": name, "type": kind, "startTime": "2026-11-25T18:03:22.200000Z",
                "codeRef": format!("org.example.CartTest.{name}"), "testCaseId": format!("org.example.CartTest.{name}[]"), "hasStats": true, "retry": false, "parameters": [{"key": "n", "value": "1"}]});
            id(&post(
                server,
                &parent.map_or("/item".to_owned(), |parent| format!("/item/{parent}")),
                start,
            ))
        };
        let suite = item(None, "j-suite", "CartTest", "SUITE");
        let test = item(Some(&suite), "j-test", "adds", "STEP");
        let entries = json!([{"launchUuid": launch, "itemUuid": test, "time": "2026-11-25T18:03:22.300000Z", "level": "ERROR",
            "message": "org.opentest4j.AssertionFailedError: expected: <1>\n\tat org.example.CartTest.adds(CartTest.java:7)", "file": {"name": "s.png"}}]);
        assert_eq!(logs(server, &entries, &[("s.png", "png")]).status, 201);
        for (item, status) in [(&test, "FAILED"), (&suite, "FAILED")] {
            let end = json!({"launchUuid": launch, "endTime": "2026-11-25T18:03:23.000000Z", "status": status});
            assert_eq!(put(server, &format!("/item/{item}"), end).status, 200);
        }
        let end = json!({"endTime": "2026-11-25T18:03:24.000000Z"});
        assert_eq!(put(server, &format!("/launch/{launch}/finish"), end).status, 200);
        // .NET's asks for ids, writes types and statuses in small letters, and nests steps without statistics.
        let start = json!({"name": "NUnit", "startTime": "2026-11-25T18:04:22.1520000Z", "mode": "DEFAULT", "description": "d", "attributes": [{"key": "os", "value": "win"}]});
        let other = id(&post(server, "/launch", start));
        let start = |name: &str, kind: &str, has_stats: bool| json!({"launchUuid": other, "name": name, "type": kind, "startTime": "2026-11-25T18:04:22.2000000Z", "hasStats": has_stats, "retry": false});
        let suite = id(&post(server, "/item", start("Cart", "suite", true)));
        let test = id(&post(server, &format!("/item/{suite}"), start("Adds", "step", true)));
        let nested =
            id(&post(server, &format!("/item/{test}"), start("open the cart", "step", false)));
        for (item, status) in [(&nested, "passed"), (&test, "passed"), (&suite, "passed")] {
            let end = json!({"launchUuid": other, "endTime": "2026-11-25T18:04:23.0000000Z", "status": status});
            assert_eq!(put(server, &format!("/item/{item}"), end).status, 200);
        }
        let end = json!({"endTime": "2026-11-25T18:04:24.0000000Z"});
        assert_eq!(put(server, &format!("/launch/{other}/finish"), end).status, 200);

        let [dotnet, java] = builds(server, "pony").try_into().unwrap();
        assert_eq!((&java["state"], &java["success"]), (&json!("finished"), &json!(false)));
        assert_eq!((&java["tags"], &dotnet["tags"]), (&json!(["smoke"]), &json!(["os:win"])));
        assert_eq!((&dotnet["success"], &dotnet["tests"]["total"]), (&json!(true), &json!(1)));
        let [case] = cases(server, &java).as_array().unwrap().clone().try_into().unwrap();
        assert_eq!((&case["suite"], &case["duration"]), (&json!("CartTest"), &json!(0.8)));
        assert!(case["failure"].to_string().contains("CartTest.java:7"), "{case}");
        assert!(cases(server, &dotnet)[0]["stdout"].as_str().unwrap().contains("open the cart"));
    });
}
