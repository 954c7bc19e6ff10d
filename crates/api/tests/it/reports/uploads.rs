//! Uploads of one or more report files become builds and steps.

use super::fixtures::{JUNIT, TAP, names_of_steps, upload, with_report};
use crate::*;

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
    assert_eq!(post("", &archive[..400]).status, 400);
    // Cut inside the first member: the build is that member's failure.
    let answer = post("", &archive[..700]);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let build = server.get(answer.header("location")).json();
    assert_eq!(
        (&build["success"], names_of_steps(&build)),
        (&false.into(), vec!["a/unit.xml".to_owned()])
    );
    // Cut between two members: what is there is kept, but the build is no success.
    let second = archive.windows(6).rposition(|name| name == b"b/more").unwrap();
    let answer = post("", &archive[..second]);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let build = server.get(answer.header("location")).json();
    assert_eq!((&build["success"], &build["tests"]["passed"]), (&false.into(), &1.into()));
    assert!(names_of_steps(&build).contains(&"a/unit.xml".to_owned()), "{build}");
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
