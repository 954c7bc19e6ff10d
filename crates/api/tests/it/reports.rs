//! Report files: uploaded unchanged, stored down to the single test case, each with a receipt.

use crate::*;

const JUNIT: &str = r#"<testsuites><testsuite name="suite" tests="4" timestamp="2026-01-02T03:04:05" time="2.5" hostname="ci-7">
<testcase classname="a.B" name="passes" time="0.5"/>
<testcase classname="a.B" name="fails [1/2]" time="1.5"><failure type="E" message="no">at line 7</failure><system-out>out</system-out></testcase>
<testcase classname="a.B" name="skipped"><skipped message="later"/></testcase>
<system-out>of the suite</system-out>
</testsuite></testsuites>"#;

fn upload(server: &Server, method: &str, path: &str, media_type: &str, body: &str) -> Answer {
    let request = server.request(method, path).header("Content-Type", media_type);
    server.send(request.body(body.as_bytes()))
}

/// A project with a build uploaded as a JUnit file; returns the build's path.
fn with_report(server: &Server) -> String {
    server.project("pony");
    let path = "/pony/builds?tag=linux&tag=nightly&arch=x86&client.branch=main&name=unit";
    let answer = upload(server, "POST", path, "application/xml", JUNIT);
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.header("location").to_owned()
}

#[test]
fn a_report_file_becomes_a_build_of_one_step() {
    let server = Server::new();
    let build = server.get(&with_report(&server)).json();
    assert_eq!((&build["success"], &build["state"]), (&false.into(), &"finished".into()));
    assert_eq!(build["started"], "Fri, 02 Jan 2026 03:04:05 +0000");
    assert_eq!(build["finished"], "Fri, 02 Jan 2026 03:04:07 +0000");
    assert_eq!(build["tags"], serde_json::json!(["linux", "nightly"]));
    assert_eq!(
        build["client"],
        serde_json::json!({"arch": "x86", "branch": "main", "host": "ci-7"})
    );
    let step = &build["results"][0];
    assert_eq!(
        (&step["name"], &step["success"], &step["output"]),
        (&"unit".into(), &false.into(), &"of the suite".into())
    );
    assert_eq!(
        build["tests"],
        serde_json::json!({
            "total": 3, "passed": 1, "flaky": 0, "skipped": 1, "failed": 1, "error": 0, "duration": 2.0,
            "slowest": [{"name": "a.B::fails [1/2]", "duration": 1.5}, {"name": "a.B::passes", "duration": 0.5}]
        })
    );
}

#[test]
fn the_cases_of_a_build_are_listed_selected_and_paged() {
    let server = Server::new();
    let build = server.get(&with_report(&server));
    let tests = build.link("tests").unwrap();
    let all = server.get(&tests);
    assert_eq!((all.status, &all.json()["count"]), (200, &3.into()));
    let failed = server.get(&format!("{tests}?status=failed,error")).json();
    let case = &failed["tests"][0];
    assert_eq!(failed["tests"].as_array().unwrap().len(), 1);
    let twice = server.get(&format!("{tests}?status=failed&status=skipped")).json();
    assert_eq!(twice["tests"].as_array().unwrap().len(), 2);
    assert_eq!(
        case["failure"],
        serde_json::json!({"type": "E", "message": "no", "text": "at line 7"})
    );
    assert_eq!(
        (&case["stdout"], &case["suite"], &case["duration"]),
        (&"out".into(), &"a.B".into(), &1.5.into())
    );
    assert_eq!(server.get(&format!("{tests}?text=PASS")).json()["tests"][0]["name"], "passes");
    assert_eq!(server.get(&format!("{tests}?suite=other")).json()["tests"], serde_json::json!([]));

    let (mut page, mut names) = (format!("{tests}?per_page=2"), Vec::new());
    loop {
        let answer = server.get(&page);
        let found = answer.json()["tests"].clone();
        names.extend(
            found.as_array().unwrap().iter().map(|case| case["name"].as_str().unwrap().to_owned()),
        );
        let Some(next) = answer.link("next") else { break };
        page = next;
    }
    assert_eq!(names, ["passes", "fails [1/2]", "skipped"]);
    for wrong in [
        "status=bad",
        "per_page=0",
        "per_page=1001",
        "from=x",
        "after=00000000-0000-0000-0000-000000000000",
    ] {
        assert_eq!(server.get(&format!("{tests}?{wrong}")).status, 400, "{wrong}");
    }
    let etag = all.header("etag").to_owned();
    let again = server.request("GET", &tests).header("If-None-Match", &etag);
    assert_eq!(server.send(again).status, 304);
}

#[test]
fn the_history_of_a_test_is_found_by_its_name_whatever_is_in_it() {
    let server = Server::new();
    server.project("pony");
    for (day, body) in [(1, "<failure/>"), (2, ""), (3, "<failure/>")] {
        let junit = format!(
            "<testsuite name='s' timestamp='2026-01-0{day}T00:00:00'><testcase classname='a b/c' name='d[e/f] %41 ü'>{body}</testcase></testsuite>"
        );
        assert_eq!(upload(&server, "POST", "/pony/builds", "text/xml", &junit).status, 201);
    }
    let latest = server.get("/pony/builds/latest").header("location").to_owned();
    let case = server.get(&format!("{latest}/tests")).json()["tests"][0].clone();
    let href = case["links"][0]["href"].as_str().unwrap();
    let path = href.strip_prefix(&format!("http://{}", server.address)).unwrap();
    let history = server.get(path).json();
    assert_eq!(history["full_name"], "a b/c::d[e/f] %41 ü");
    let runs = |history: &Value| -> Vec<String> {
        history["runs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|run| run["status"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(runs(&history), ["failed", "passed", "failed"]);
    // Slashes may remain unencoded.
    let plain = server.get("/pony/tests/a%20b/c::d[e/f]%20%2541%20%C3%BC").json();
    assert_eq!(runs(&plain), runs(&history));
    for wrong in ["from=1", "after=x", "after=00000000-0000-0000-0000-000000000000&from=x"] {
        assert_eq!(server.get(&format!("{path}?{wrong}")).status, 400, "{wrong}");
    }
    let first = server.get(&format!("{path}?per_page=2"));
    let next = first.link("next").unwrap();
    assert_eq!(
        (runs(&first.json()).len(), runs(&server.get(&next).json())),
        (2, vec!["failed".to_owned()])
    );
    assert_eq!(server.get("/pony/tests/nothing").status, 404);
    assert_eq!(server.get("/nobody/tests/nothing").status, 404);
}

#[test]
fn no_run_of_a_build_that_has_a_test_often_is_lost_between_pages() {
    let server = Server::new();
    server.project("pony");
    let junit = format!("<testsuite name='s'>{}</testsuite>", "<testcase name='t'/>".repeat(5));
    for _ in 0..2 {
        assert_eq!(upload(&server, "POST", "/pony/builds", "text/xml", &junit).status, 201);
    }
    let case =
        server.get(&format!("{}/tests", server.get("/pony/builds/latest").header("location")));
    let full_name = case.json()["tests"][0]["full_name"].as_str().unwrap().to_owned();
    let (mut page, mut seen) = (format!("/pony/tests/{full_name}?per_page=3"), Vec::new());
    loop {
        let answer = server.get(&page);
        let runs = answer.json()["runs"].as_array().unwrap().clone();
        assert!(!runs.is_empty() && runs.len() <= 3, "{}", runs.len());
        seen.extend(runs.iter().map(|run| (run["build"].to_string(), run["position"].to_string())));
        let Some(next) = answer.link("next") else { break };
        page = next;
    }
    let all = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((all, seen.len()), (10, 10));
}

#[test]
fn links_to_other_pages_of_cases_keep_the_filter() {
    let server = Server::new();
    server.project("pony");
    let tests = r#"[{"name":"a","status":"failed"},{"name":"b","status":"failed"},{"name":"c","status":"failed"}]"#;
    let step = format!(r#"{{"name":"s","success":false,"tests":{tests}}}"#);
    server.put("/pony/builds/1", &format!(r#"{{"success":false,"results":[{step}]}}"#));
    let first = server.get("/pony/builds/1/tests?status=failed&per_page=1");
    assert!(first.link("first").unwrap().ends_with("/tests?status=failed&per_page=1"));
    let second = server.get(&first.link("next").unwrap());
    for rel in ["first", "next"] {
        assert!(second.link(rel).unwrap().contains("status=failed"), "{rel}");
    }
}

#[test]
fn a_page_of_cases_with_long_outputs_is_cut_and_goes_on() {
    let server = Server::new();
    server.project("pony");
    let output = "x".repeat(7 << 20);
    let junit = format!(
        "<testsuite name='s'><testcase classname='c' name='t'><system-out>{output}</system-out></testcase></testsuite>"
    );
    for _ in 0..5 {
        assert_eq!(upload(&server, "POST", "/pony/builds", "text/xml", &junit).status, 201);
    }
    let first = server.get("/pony/tests/c::t");
    let second = server.get(&first.link("next").unwrap());
    let runs = |answer: &Answer| answer.json()["runs"].as_array().unwrap().len();
    assert_eq!((runs(&first), runs(&second), second.link("next")), (4, 1, None));
}

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
fn what_is_refused_is_told_with_its_line_and_stores_nothing() {
    let server = Server::new();
    server.project("pony");
    let broken =
        upload(&server, "POST", "/pony/builds", "application/xml", "<testsuite>\n<testcase>\n");
    assert_eq!(broken.status, 400);
    let error = broken.json();
    assert_eq!(error["message"], "line 3: the file ends inside <testcase>, which starts on line 2");
    assert_eq!(
        (&error["payload"]["line"], &error["payload"]["field"]),
        (&3.into(), &"body".into())
    );
    assert!(error["payload"]["digest"].is_string());
    for (media_type, body, status) in [
        ("application/xml", "<html/>", 415),
        ("text/plain", "hello", 415),
        ("image/png", "<testsuite/>", 415),
        ("application/json", "<testsuite/>", 400),
        ("text/plain", "", 400),
    ] {
        let answer = upload(&server, "POST", "/pony/builds", media_type, body);
        assert_eq!(answer.status, status, "{media_type} {body}: {}", answer.text());
    }
    for query in [
        "report=html",
        "tag=a%3Bb",
        "started=soon",
        "component=nothing",
        "component=a:b",
        "host=a&client.host=b",
    ] {
        let answer =
            upload(&server, "POST", &format!("/pony/builds?{query}"), "application/xml", JUNIT);
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
    }
    assert_eq!(server.get("/pony/builds").json()["count"], 0);
    assert_eq!(server.get("/pony/tests/a.B::passes").status, 404);
}

#[test]
fn a_retry_of_a_put_is_known_and_another_file_is_not() {
    let server = Server::new();
    server.project("pony");
    let put = |body: &str| {
        upload(&server, "PUT", "/pony/builds/17?tag=a", "application/xml", body).status
    };
    assert_eq!(
        (put(JUNIT), put(JUNIT), put("<testsuite name='x'><testcase name='y'/></testsuite>")),
        (201, 200, 409)
    );
    assert_eq!(server.get("/pony/builds/17").json()["tests"]["total"], 3);
}

#[test]
fn files_go_into_a_build_in_progress_one_by_one() {
    let server = Server::new();
    server.project("pony");
    let progress = server.build("pony", r#"{"incremental":true}"#);
    assert_eq!(upload(&server, "POST", &progress, "application/xml", JUNIT).status, 204);
    let tap = "1..2\nok 1 - a\nok 2 - b\n";
    assert_eq!(
        upload(&server, "POST", &format!("{progress}?name=taps"), "text/plain", tap).status,
        204
    );
    let step = r#"{"name":"plain","success":true}"#;
    assert_eq!(server.post(&progress, step).status, 204);
    assert_eq!(server.delete(&progress).status, 204);
    let path = progress.strip_suffix("/progress").unwrap();
    let build = server.get(path).json();
    let names: Vec<&str> = build["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["suite", "taps", "plain"]);
    assert_eq!((&build["success"], &build["tests"]["total"]), (&false.into(), &5.into()));
    let receipt = server.get(&format!("{path}/receipt")).json();
    let formats: Vec<&str> = receipt["uploads"]
        .as_array()
        .unwrap()
        .iter()
        .map(|upload| upload["format"].as_str().unwrap())
        .collect();
    // The document that started the build and a step sent as a document come before the files.
    assert_eq!(formats, ["devmason", "devmason", "junit", "tap"]);
}

#[test]
fn json_is_a_report_only_where_it_cannot_be_a_build() {
    let server = Server::new();
    server.project("pony");
    let ctrf = r#"{"results":{"tool":{"name":"jest"},"tests":[{"name":"a","status":"passed"}]}}"#;
    let built = upload(&server, "POST", "/pony/builds", "application/json", ctrf)
        .header("location")
        .to_owned();
    assert_eq!(server.get(&built).json()["tests"]["passed"], 1);
    // A build that mentions a tool is still a build.
    let build = r#"{"client":{"tool":"x"},"success":true,"results":[{"name":"s","success":true}]}"#;
    let built = server.build("pony", build);
    assert_eq!(server.get(&built).json()["tests"], Value::Null);
    let go = "{\"Action\":\"pass\",\"Package\":\"p\",\"Test\":\"T\"}\n{\"Action\":\"pass\",\"Package\":\"p\"}\n";
    assert_eq!(upload(&server, "POST", "/pony/builds", "application/x-ndjson", go).status, 201);
    // A document that looks like a tool's event but has `success` is a step.
    let progress = server.build("pony", r#"{"incremental":true}"#);
    let step = r#"{"name":"deploy","success":false,"type":"test","event":"ok","Action":"pass","Package":"p"}"#;
    assert_eq!(server.post(&progress, step).status, 204);
    let build = server.get(progress.strip_suffix("/progress").unwrap()).json();
    assert_eq!(build["results"][0]["name"], "deploy");
    assert_eq!(build["tests"], Value::Null);
    let by_word = upload(&server, "POST", "/pony/builds?report=go", "text/plain", go);
    assert_eq!(server.get(by_word.header("location")).json()["tests"]["passed"], 1);
}

const TAP: &str = "1..2\nok 1 - a\nok 2 - b\n";

fn names_of_steps(build: &Value) -> Vec<String> {
    let steps = build["results"].as_array().unwrap();
    steps.iter().map(|step| step["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn several_files_come_in_one_form() {
    let server = Server::new();
    server.project("pony");
    let part = |name: &str, body: &str| {
        format!(
            "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{body}\r\n"
        )
    };
    let form =
        part("unit.xml", JUNIT) + &part("more.tap", TAP) + &part("notes.md", "hello") + "--x--\r\n";
    let media_type = "multipart/form-data; boundary=x";
    let answer = upload(&server, "POST", "/pony/builds?tag=t", media_type, &form);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let build = server.get(answer.header("location"));
    assert_eq!(names_of_steps(&build.json()), ["unit.xml", "more.tap"]);
    assert_eq!(
        (&build.json()["success"], &build.json()["tests"]["total"]),
        (&false.into(), &5.into())
    );
    let receipt = server.get(&build.link("receipt").unwrap()).json();
    let left_out = &receipt["uploads"][2];
    assert_eq!((&left_out["file"], &left_out["format"]), (&"notes.md".into(), &Value::Null));
    assert_eq!(left_out["notes"][0]["kind"], "dropped");

    let broken = part("unit.xml", JUNIT) + &part("bad.xml", "<testsuite>") + "--x--\r\n";
    let answer = upload(&server, "POST", "/pony/builds", media_type, &broken);
    let build = server.get(answer.header("location")).json();
    let step = &build["results"][1];
    assert_eq!((&build["success"], &step["success"]), (&false.into(), &false.into()));
    let reason = step["failure"].as_str().unwrap();
    assert!(reason.starts_with("cannot parse the file: line 1: the file ends inside"), "{reason}");
    let none = part("notes.md", "hello") + "--x--\r\n";
    assert_eq!(upload(&server, "POST", "/pony/builds", media_type, &none).status, 415);
    let field = "--x\r\nContent-Disposition: form-data; name=\"tag\"\r\n\r\nt\r\n--x--\r\n";
    assert_eq!(upload(&server, "POST", "/pony/builds", media_type, field).status, 400);
    for (media_type, body) in [(media_type, "nothing"), ("multipart/form-data", form.as_str())] {
        assert_eq!(upload(&server, "POST", "/pony/builds", media_type, body).status, 400);
    }
    assert_eq!(server.get("/pony/builds").json()["count"], 2);
}

#[test]
fn several_files_come_in_one_archive_compressed_or_not() {
    let server = Server::new();
    server.project("pony");
    let mut archive = tar::Builder::new(Vec::new());
    for (name, body) in [("a/unit.xml", JUNIT), ("a/readme", "hello"), ("b/more.tap", TAP)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(body.len() as u64);
        header.set_entry_type(tar::EntryType::Regular);
        archive.append_data(&mut header, name, body.as_bytes()).unwrap();
    }
    let archive = archive.into_inner().unwrap();
    let post = |coding: &str, body: &[u8]| {
        let request =
            server.request("POST", "/pony/builds").header("Content-Type", "application/x-tar");
        let request =
            if coding.is_empty() { request } else { request.header("Content-Encoding", coding) };
        server.send(request.body(body))
    };
    let zstd = zstd::stream::encode_all(archive.as_slice(), 3).unwrap();
    for (coding, body) in [("", archive.as_slice()), ("zstd", zstd.as_slice())] {
        let answer = post(coding, body);
        assert_eq!(answer.status, 201, "{}", answer.text());
        let build = server.get(answer.header("location")).json();
        assert_eq!(names_of_steps(&build), ["a/unit.xml", "b/more.tap"]);
        assert_eq!(build["tests"]["total"], 5);
    }
    assert_eq!(post("zstd", b"nothing").status, 400);
    assert_eq!(post("br", &archive).status, 415);
    assert_eq!(post("", &archive[..700]).status, 400);
}

#[test]
fn files_that_come_together_are_one_step_of_a_build_in_progress() {
    let server = Server::new();
    server.project("pony");
    let progress = server.build("pony", r#"{"incremental":true}"#);
    let form = "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.tap\"\r\n\r\n1..1\nok 1 - a\n\r\n--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"b.tap\"\r\n\r\n1..1\nnot ok 1 - b\n\r\n--x--\r\n";
    assert_eq!(
        upload(&server, "POST", &progress, "multipart/form-data; boundary=x", form).status,
        204
    );
    let build = server.get(progress.strip_suffix("/progress").unwrap()).json();
    assert_eq!(
        (names_of_steps(&build), &build["results"][0]["success"]),
        (vec!["a.tap".to_owned()], &false.into())
    );
    assert_eq!(build["tests"]["total"], 2);
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

#[test]
fn cases_that_a_document_brings_are_the_builds() {
    let server = Server::new();
    server.project("pony");
    let body = r#"{"success":false,"results":[
        {"name":"a","success":true,"tests":[{"suite":"s","name":"x","status":"passed"}]},
        {"name":"b","success":false,"tests":[{"suite":"s","name":"y","status":"failed","failure":{"message":"no"},"owner":"me"}]}]}"#;
    let answer = server.put("/pony/builds/1", body);
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(server.put("/pony/builds/1", body).status, 200);
    assert_eq!(server.put("/pony/builds/1", &body.replace("\"no\"", "\"yes\"")).status, 409);
    let build = server.get("/pony/builds/1").json();
    assert_eq!((&build["tests"]["total"], &build["tests"]["failed"]), (&2.into(), &1.into()));
    assert_eq!(build["results"][0]["tests"], serde_json::Value::Null);
    let tests = server.get("/pony/builds/1/tests").json();
    assert_eq!(tests["tests"][1]["failure"]["message"], "no");
    assert_eq!(
        tests["tests"][1]["properties"],
        serde_json::json!([{"name": "owner", "value": "me"}])
    );
    assert_eq!(server.get("/pony/builds/1/receipt").json()["uploads"][0]["tests"]["total"], 2);

    let bad = r#"{"success":true,"results":[{"name":"a","success":true,"tests":[{"name":"x","status":"good"}]}]}"#;
    let refused = server.post("/pony/builds", bad);
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("results[0].tests[0].status"), "{}", refused.text());
}

#[test]
fn cases_are_objects_of_the_query_face() {
    let server = Server::new();
    with_report(&server);
    let listed = server.get("/api/v1/tests?where=project:pony,status:failed").json();
    assert_eq!(listed["_meta"]["count"], 1);
    let case = &listed["tests"][0];
    assert_eq!((&case["full_name"], &case["duration"]), (&"a.B::fails [1/2]".into(), &1.5.into()));
    assert_eq!(case["stdout"], serde_json::Value::Null);
    let id = case["id"].as_str().unwrap();
    let one = server.get(&format!("/api/v1/tests/{id}")).json();
    assert_eq!((&one["test"]["stdout"], &one["test"]["etag"]), (&"out".into(), &case["etag"]));
    assert_eq!(one["test"]["failure"]["message"], "no");
    for none in ["9", &format!("{}:7", id.split(':').next().unwrap()), "x:0"] {
        assert_eq!(server.get(&format!("/api/v1/tests/{none}")).status, 404, "{none}");
    }
    let of_build = id.split(':').next().unwrap();
    let slowest =
        server.get(&format!("/api/v1/tests?where=build_id:{of_build}&sort=-duration")).json();
    assert_eq!(slowest["tests"][0]["name"], "fails [1/2]");
    // Sorting all cases would read all of them.
    for sort in ["/api/v1/tests?sort=-duration", "/api/v1/tests?where=project:pony&sort=name"] {
        let refused = server.get(sort);
        assert_eq!(refused.status, 400);
        assert!(refused.text().contains("build_id"), "{}", refused.text());
    }
    let far = format!("/api/v1/tests?where=build_id:{of_build}&sort=name&offset=10000");
    assert_eq!(server.get(&far).status, 400);
    let far = format!("/api/v1/tests?where=build_id:{of_build}&offset=10000");
    assert_eq!(server.get(&far).status, 200);
    assert_eq!(server.get("/api/v1/tests?query=ge(duration,1)").json()["_meta"]["count"], 1);
}
