//! Nobody can take the server down or act in another user's name: every limit and what it protects.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use devmason_api::Bound;
use devmason_domain::limits;
use serde_json::json;

use super::*;

/// A report with this many test cases.
fn tap(cases: usize) -> String {
    format!("1..{cases}\n{}", "ok\n".repeat(cases))
}

#[test]
fn a_body_is_received_only_from_those_who_may_send_it_there() {
    let server = Server::new();
    server.project("pony");
    let owned = r#"{"name":"Owned","reporting":"owner"}"#;
    assert_eq!(server.as_user("alice").send("PUT", "/owned", owned).status, 201);
    // Only a request whose body is read can report that it cannot be inflated.
    let broken = |request: Request| {
        server.send(request.header("Content-Encoding", "gzip").body(b"this is not gzip")).status
    };
    assert_eq!(broken(server.request("POST", "/pony/builds")), 400);
    assert_eq!(broken(server.request("POST", "/nosuch/builds")), 404);
    assert_eq!(broken(server.request("POST", "/no/such/place/at/all")), 404);
    assert_eq!(broken(server.request("POST", "/pony")), 405);
    assert_eq!(broken(server.request("POST", "/owned/builds")), 401);
    assert_eq!(broken(server.request("POST", "/owned/builds").basic("bob", "bob-pw")), 403);
    assert_eq!(broken(server.request("PUT", "/owned").basic("bob", "bob-pw")), 403);
    assert_eq!(broken(server.request("POST", "/pony/builds").basic("alice", "wrong")), 401);
    assert_eq!(broken(server.request("PUT", "/api/v1/components/x")), 404);
    assert_eq!(broken(server.request("POST", "/pony/builds/x/progress")), 404);
}

#[test]
fn what_a_body_becomes_is_bounded_whatever_it_came_as() {
    let server = Server::with(|settings| settings.max_body_bytes = 1 << 20);
    server.project("pony");
    let post = |coding: &str, body: &[u8]| {
        let request = server.request("POST", "/pony/builds").header("Content-Encoding", coding);
        server.send(request.header("Content-Type", "text/plain").body(body)).status
    };
    let zeros = vec![b'\n'; 64 << 20];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&zeros).unwrap();
    assert_eq!(post("gzip", &gzip.finish().unwrap()), 413);
    assert_eq!(post("zstd", &zstd::encode_all(&*zeros, 1).unwrap()), 413);
    // A zstd window that a decoder would have to hold in addition to its output.
    let windowed = |log: u32| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(log).unwrap();
        encoder.include_contentsize(false).unwrap();
        encoder.write_all(tap(1).as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(post("zstd", &windowed(23)), 201);
    assert_eq!(post("zstd", &windowed(27)), 400);
}

#[test]
fn a_report_that_finds_no_memory_is_told_to_come_again() {
    // The whole work lane is 128 KiB.
    let server = Server::with(|settings| settings.max_memory_bytes = 256 << 10);
    server.project("pony");
    let report = |cases: usize| {
        let request = server.request("POST", "/pony/builds").header("Content-Type", "text/plain");
        server.send(request.body(tap(cases).as_bytes()))
    };
    assert_eq!(report(10).status, 201);
    let refused = report(5_000);
    assert_eq!(refused.status, 413);
    assert!(refused.message().contains("memory"), "{}", refused.message());
    // The memory it had drawn is available again.
    assert_eq!(report(10).status, 201);
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("devmason_memory_in_flight_bytes 0\n"), "{metrics}");
}

#[test]
fn an_upload_has_so_many_cases_and_no_more_however_they_come() {
    let server = Server::with(|settings| settings.max_cases = 10);
    server.project("pony");
    let send = |method: &str, path: &str, media_type: &str, body: &str| {
        let request = server.request(method, path).header("Content-Type", media_type);
        server.send(request.body(body.as_bytes())).status
    };
    let cases = |n: usize| vec![json!({"name": "t", "status": "passed"}); n];
    let document = |n: usize| {
        let half = n / 2;
        json!({"success": true, "results": [
            {"name": "a", "success": true, "tests": cases(half)},
            {"name": "b", "success": true, "tests": cases(n - half)}]})
        .to_string()
    };
    let nested = |n: usize| format!("{}ok 1 - outer\n1..1\n", "    ok\n".repeat(n));
    let lines = |n: usize| {
        let event = |at| format!("{{\"Action\":\"run\",\"Package\":\"p\",\"Test\":\"t{at}\"}}\n");
        (0..n).map(event).collect::<String>()
    };
    for (n, status) in [(10, 201), (11, 413)] {
        assert_eq!(send("POST", "/pony/builds", "text/plain", &tap(n)), status, "TAP, {n}");
        assert_eq!(send("POST", "/pony/builds", "text/plain", &nested(n)), status, "nested, {n}");
        assert_eq!(send("POST", "/pony/builds", "application/json", &document(n)), status, "{n}");
    }
    assert_eq!(send("POST", "/pony/builds", "application/x-ndjson", &lines(30)), 413);
    let progress = server.build("pony", r#"{"incremental":true}"#);
    assert_eq!(send("POST", &progress, "text/plain", &tap(11)), 413);
    assert_eq!(send("POST", &progress, "text/plain", &tap(10)), 204);
    let step = json!({"name": "s", "success": true, "tests": cases(11)}).to_string();
    assert_eq!(send("POST", &progress, "application/json", &step), 413);
}

#[test]
fn names_in_report_files_are_cut_and_shared() {
    let server = Server::new();
    server.project("pony");
    let name = "n".repeat(50_000);
    let mut report = String::from("<testsuites>");
    for _ in 0..20 {
        report += &format!("<testsuite name='{name}'>");
    }
    report += &format!("<testcase name='{name}'/><testcase classname='{name}' name='b'/>");
    report += &"</testsuite>".repeat(20);
    report += "</testsuites>";
    let request = server.request("POST", "/pony/builds").header("Content-Type", "text/xml");
    let answer = server.send(request.body(report.as_bytes()));
    assert_eq!(answer.status, 201, "{}", answer.text());
    let build = answer.header("location").to_owned();
    let tests = server.get(&format!("{build}/tests")).json();
    for test in tests["tests"].as_array().unwrap() {
        assert!(test["suite"].as_str().unwrap().len() <= limits::NAME);
        assert!(test["name"].as_str().unwrap().len() <= limits::NAME);
    }
    assert!(
        server.get(&build).json()["results"][0]["name"].as_str().unwrap().len() <= limits::NAME
    );
    let receipt = server.get(&format!("{build}/receipt")).json();
    let notes = receipt["uploads"][0]["notes"].as_array().unwrap();
    assert!(
        notes
            .iter()
            .any(|note| note["kind"] == "cut" && note["text"].as_str().unwrap().len() < 500)
    );
}

#[test]
fn what_a_document_may_have_is_bounded_member_by_member() {
    let server = Server::new();
    server.project("pony");
    let refused = |document: Value| {
        let answer = server.post("/pony/builds", &document.to_string());
        assert_eq!(answer.status, 400, "{}", answer.text());
        answer.json()["payload"]["field"].as_str().unwrap().to_owned()
    };
    let long = "n".repeat(limits::NAME + 1);
    let members = |n: usize| -> Value {
        (0..n).map(|n| (format!("m{n}"), json!(1))).collect::<serde_json::Map<_, _>>().into()
    };
    let step = |name: &str| json!({"name": name, "success": true});
    let id = || json!(uuid::Uuid::new_v4().to_string());
    for (document, field) in [
        (
            json!({"success": true, "tags": (0..=limits::TAGS).collect::<Vec<_>>().iter().map(|n| n.to_string()).collect::<Vec<_>>()}),
            "tags",
        ),
        (
            json!({"success": true, "components": (0..=limits::COMPONENTS).map(|_| id()).collect::<Vec<_>>()}),
            "components",
        ),
        (json!({"success": true, "client": members(limits::MEMBERS + 1)}), "client"),
        (json!({"success": true, "client": {"x": "y".repeat(limits::CLIENT)}}), "client"),
        (json!({"success": true, "client": {"host": &long}}), "client.host"),
        (json!({"success": true, "client": {(long.clone()): 1}}), "client"),
        (json!({"success": true, "results": vec![step("s"); limits::STEPS + 1]}), "results"),
        (json!({"success": true, "results": [step(&long)]}), "results[0].name"),
        (
            json!({"success": true, "results": [{"name": "s", "success": true, "tests": [{"name": &long, "status": "passed"}]}]}),
            "results[0].tests[0].name",
        ),
        (
            json!({"success": true, "results": [{"name": "s", "success": true, "tests": [{"name": "t", "suite": &long, "status": "passed"}]}]}),
            "results[0].tests[0].suite",
        ),
    ] {
        let named = refused(document);
        assert!(named.starts_with(field), "{named} for {field}");
    }
    // Duplicates count once.
    let type_id =
        server.post("/api/v1/componenttypes", r#"{"name":"kernel"}"#).json()["componenttype"]["id"]
            .clone();
    let component = server
        .post("/api/v1/components", &json!({"name": "6.12", "componenttype": type_id}).to_string());
    let id = component.json()["component"]["id"].clone();
    let named = json!({"type": "kernel", "name": "6.12"});
    let doubled: Vec<&Value> = [&id, &named].into_iter().cycle().take(1_000).collect();
    let build = server.build("pony", &json!({"success": true, "components": doubled}).to_string());
    assert_eq!(server.get(&build).json()["components"], json!([id]));
    let unknown =
        json!({"success": true, "components": [id, id, "0190f1f2-0000-7000-8000-000000000000"]});
    assert_eq!(refused(unknown), "components[2]");
    for (member, value) in [
        ("title", json!("t".repeat(limits::COMPONENT_TEXT + 1))),
        ("data", json!("d".repeat(limits::COMPONENT_DATA))),
    ] {
        let mut document = json!({"name": "x", "componenttype": "kernel"});
        document[member] = value;
        let answer = server.post("/api/v1/components", &document.to_string());
        assert_eq!((answer.status, &answer.json()["payload"]["field"]), (400, &json!(member)));
    }
}

#[test]
fn parameters_are_bounded_too() {
    let server = Server::new();
    server.project("pony");
    let build = server.build("pony", BUILD);
    let long = "x".repeat(limits::PATTERN);
    for path in [
        format!("/pony/builds?text={long}"),
        format!("{build}/tests?text={long}"),
        format!("/pony/builds?tag={}", "x".repeat(limits::PARAMETER + 1)),
        format!("/?{}", "a&".repeat(limits::PARAMETERS + 1)),
        format!("/api/v1/builds?query=like(key,{long}x)"),
    ] {
        let answer = server.get(&path);
        assert_eq!(answer.status, 400, "{} {}", &path[..40], answer.text());
    }
}

#[test]
fn a_build_with_long_outputs_is_written_as_it_is_read() {
    let server = Server::new();
    server.project("pony");
    let output = "line\u{0} of \"output\"\n".repeat(100_000);
    let steps: Vec<Value> = (0..3)
        .map(|n| json!({"name": format!("s{n}"), "success": true, "output": output, "own": {"results": []}}))
        .collect();
    let document =
        json!({"success": true, "client": {"results": "[]", "x": [1, 2]}, "results": steps});
    let build = server.build("pony", &document.to_string());
    let read = server.get(&build);
    assert_eq!(read.header("transfer-encoding"), "chunked");
    let json = read.json();
    assert_eq!(json["client"], document["client"]);
    for (nth, step) in steps.iter().enumerate() {
        for member in ["name", "output", "own"] {
            assert_eq!(json["results"][nth][member], step[member]);
        }
    }
    assert!(json["links"].as_array().is_some_and(|links| !links.is_empty()));
    let some = server.get(&format!("{build}?fields=results,success")).json();
    assert_eq!(some.as_object().unwrap().len(), 2);
    assert_eq!(some["results"], json["results"]);
    let alone = server.get(&format!("{build}?fields=results")).json();
    assert_eq!(alone, json!({"results": json["results"]}));
    let known = server.request("GET", &build).header("If-None-Match", read.header("etag"));
    assert_eq!(server.send(known).status, 304);
}

#[test]
fn a_page_of_another_site_never_writes_here() {
    let server = Server::new();
    server.project("pony");
    let own = format!("http://{}", server.address);
    let refused: [&[(&str, &str)]; 5] = [
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", own.as_str())],
        &[("Origin", "https://evil.example.org")],
        &[("Origin", "null")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", own.as_str())],
    ];
    let taken: [&[(&str, &str)]; 4] = [
        &[],
        &[("Origin", own.as_str())],
        &[("Sec-Fetch-Site", "same-origin"), ("Origin", "https://ci.example.org")],
        &[("Sec-Fetch-Site", "none")],
    ];
    let send =
        |method: &str, path: &str, media_type: &str, body: &str, headers: &[(&str, &str)]| {
            let request = server.request(method, path).header("Content-Type", media_type);
            let request =
                headers.iter().fold(request, |request, (name, value)| request.header(name, value));
            server.send(request.body(body.as_bytes()))
        };
    for headers in refused {
        for (method, path, media_type, body) in [
            ("POST", "/pony/builds", "text/plain", "1..1\nok\n"),
            ("POST", "/pony/builds", "multipart/form-data; boundary=x", "--x--"),
            ("POST", "/pony/builds", "application/json", r#"{"success":true}"#),
            ("PUT", "/other", "application/json", r#"{"name":"x"}"#),
            ("DELETE", "/pony", "application/json", ""),
            ("POST", "/api/v1/componenttypes", "application/json", r#"{"name":"x"}"#),
            (
                "POST",
                "/api/v1/session",
                "application/x-www-form-urlencoded",
                "username=a&password=b",
            ),
        ] {
            let answer = send(method, path, media_type, body, headers);
            assert_eq!(answer.status, 403, "{method} {path} {headers:?}");
        }
        // Reading is harmless: the other page cannot see the response.
        assert_eq!(send("GET", "/pony", "text/plain", "", headers).status, 200);
    }
    for headers in taken {
        assert_eq!(
            send("POST", "/pony/builds", "text/plain", "1..1\nok\n", headers).status,
            201,
            "{headers:?}"
        );
    }
    assert_eq!(server.get("/pony/builds").json()["count"], taken.len());
}

#[test]
fn a_server_answers_to_its_own_hosts_where_they_are_set() {
    let server = Server::with(|settings| {
        settings.hosts = vec!["ci.example.org".to_owned(), "localhost:8080".to_owned()];
    });
    let status = |host: &str, path: &str| {
        server.send(server.request("GET", path).header("Host", host)).status
    };
    for host in ["ci.example.org", "CI.example.org:8443", "localhost:8080"] {
        assert_eq!(status(host, "/"), 200, "{host}");
    }
    for host in [
        "evil.example.org",
        "localhost",
        "localhost:81",
        "ci.example.org.evil.example.org",
        "127.0.0.1",
    ] {
        assert_eq!(status(host, "/"), 421, "{host}");
        assert_eq!(status(host, "/nosuch"), 421, "{host}");
    }
    // Health checks may use any host name, such as the server's address.
    assert_eq!(status("127.0.0.1", "/healthz"), 200);
}

#[test]
fn watchers_are_bounded_apart_and_shut_out_nobody() {
    let server = Server::with(|settings| {
        settings.watchers = Bound { all: 3, of_address: 2 };
    });
    server.project("pony");
    let progress = server.build("pony", r#"{"incremental":true}"#);
    let events = progress.replace("/progress", "/events");
    let watch = || {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        write!(stream, "GET {events} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        (stream, String::from_utf8_lossy(&head[9..]).parse::<u16>().unwrap())
    };
    let watchers: Vec<_> = (0..2).map(|_| watch()).collect();
    assert!(watchers.iter().all(|(_, status)| *status == 200));
    let (_, status) = watch();
    assert_eq!(status, 503);
    assert_eq!(server.get("/pony").status, 200);
    let refused = server.get(&events);
    assert!(refused.header("retry-after").parse::<u32>().is_ok());
    drop(watchers);
}

#[test]
fn many_connections_of_one_address_take_each_others_places_and_no_others() {
    let server = Server::with(|settings| {
        settings.connections = Bound { all: 100, of_address: 4 };
    });
    // Of the connections waiting for a client, the one waiting longest is closed.
    let mut open: Vec<TcpStream> =
        (0..20).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
    for stream in &mut open {
        let _ = write!(stream, "GET / HTTP/1.1\r\n");
        stream.set_nonblocking(true).unwrap();
    }
    // Each of the server's workers accepts its connections in turn, but a busy one falls behind the
    // others: until all have come, a new connection may be the one that is waiting longest.
    until("all but four are closed", || {
        open.retain_mut(|stream| {
            let mut none = [0];
            matches!(stream.read(&mut none), Err(error) if error.kind() == ErrorKind::WouldBlock)
        });
        open.len() <= 4
    });
    for _ in 0..10 {
        assert_eq!(server.get("/healthz").status, 200);
    }
}

#[test]
fn who_may_neither_read_nor_write_learns_nothing() {
    let server = Server::of(Registration::Authenticated, Reading::Authenticated, &[]);
    let alice = server.as_user("alice");
    let owned = r#"{"name":"Secret","reporting":"owner"}"#;
    assert_eq!(alice.send("PUT", "/secret", owned).status, 201);
    let posted = alice.send("POST", "/secret/builds", BUILD);
    let build = posted.header("location").to_owned();
    let key = build.rsplit('/').next().unwrap();
    let running = alice.send("POST", "/secret/builds", r#"{"incremental":true}"#);
    let progress = running.header("location").to_owned();
    let other = "0190f1f2-0000-7000-8000-000000000000";
    assert_eq!(alice.send("POST", "/api/v1/componenttypes", r#"{"name":"kernel"}"#).status, 201);
    let pairs = [
        ("/secret".to_owned(), "/nosuch".to_owned()),
        ("/secret/builds".to_owned(), "/nosuch/builds".to_owned()),
        (build.clone(), format!("/secret/builds/{other}")),
        (progress.clone(), format!("/secret/builds/{other}/progress")),
        (format!("{build}/receipt/reparse"), format!("/secret/builds/{other}/receipt/reparse")),
        (format!("{build}/tests"), format!("/secret/builds/{other}/tests")),
        ("/users/alice".to_owned(), "/users/nobody".to_owned()),
        ("/secret/tags/linux".to_owned(), "/secret/tags/nosuch".to_owned()),
        ("/api/v1/componenttypes/kernel".to_owned(), "/api/v1/componenttypes/nosuch".to_owned()),
        (format!("/api/v1/builds/{key}"), format!("/api/v1/builds/{other}")),
        ("/secret/builds".to_owned(), "/no/such/place".to_owned()),
    ];
    for (there, missing) in &pairs {
        for method in ["GET", "DELETE", "POST", "PUT", "OPTIONS", "PATCH"] {
            for stranger in [false, true] {
                let answer = |path: &str| {
                    let request = server.request(method, path);
                    let request = if stranger { request.basic("eve", "eve-pw") } else { request };
                    // Not checked against the API description: some of these resources lack the method.
                    let response = request.json("{}").send();
                    let body = String::from_utf8_lossy(&response.body).into_owned();
                    (response.status, response.header("allow").to_owned(), body)
                };
                // A user who may create a project may learn that it exists.
                if stranger && method == "PUT" && there == "/secret" {
                    continue;
                }
                assert_eq!(answer(there), answer(missing), "{method} {there} {missing} {stranger}");
            }
        }
    }
}

#[test]
fn guesses_are_counted_where_they_come_from_and_lock_nobody_else_out() {
    let server = Server::with(|settings| {
        settings.login_failures_per_minute = 3;
        settings.trust_forwarded = vec!["127.0.0.0/8".parse().unwrap()];
    });
    let send = |from: &str, name: &str, password: &str| {
        let request = server.request("GET", "/").basic(name, password);
        server.send(request.header("X-Forwarded-For", from)).status
    };
    assert_eq!(server.as_user("alice").send("PUT", "/users/alice", "").status, 201);
    assert_eq!(server.as_user("bob").send("PUT", "/users/bob", "").status, 201);
    let statuses: Vec<u16> = (0..5).map(|n| send("192.0.2.1", "alice", &format!("{n}"))).collect();
    assert_eq!(statuses, [401, 401, 401, 429, 429]);
    assert_eq!(send("192.0.2.2", "alice", "alice-pw"), 200, "she is elsewhere");
    assert_eq!(send("192.0.2.1", "bob", "bob-pw"), 200, "he is somebody else");
    // Unknown names cost as much time, and count against their address.
    let statuses: Vec<u16> =
        (0..20).map(|n| send("192.0.2.3", &format!("nobody{n}"), "x")).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 5);
    assert_eq!(send("192.0.2.4", "bob", "bob-pw"), 200);
    // Repeated credentials count only once.
    for _ in 0..30 {
        assert_eq!(send("192.0.2.5", "newcomer", "newcomer-pw"), 200);
    }
}

/// Every array and text that clients may send has a limit in the API description.
#[test]
fn the_description_bounds_whatever_clients_send() {
    fn walk<'a>(
        all: &'a Value,
        schema: &'a Value,
        at: &str,
        seen: &mut Vec<&'a str>,
        bad: &mut Vec<String>,
    ) {
        if let Some(name) = schema["$ref"].as_str() {
            if !seen.contains(&name) {
                seen.push(name);
                let name = name.rsplit('/').next().unwrap();
                walk(all, &all["components"]["schemas"][name], name, seen, bad);
            }
            return;
        }
        let has_type = |name: &str| {
            schema["type"] == name
                || schema["type"].as_array().is_some_and(|types| types.contains(&json!(name)))
        };
        let is_fixed =
            ["enum", "const", "format", "pattern"].iter().any(|key| schema.get(key).is_some());
        if has_type("string") && schema.get("maxLength").is_none() && !is_fixed {
            bad.push(format!("{at}: a text"));
        }
        if has_type("array") && schema.get("maxItems").is_none() {
            bad.push(format!("{at}: an array"));
        }
        if schema["additionalProperties"] == true && schema.get("maxProperties").is_none() {
            bad.push(format!("{at}: members"));
        }
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            walk(all, member, &format!("{at}.{name}"), seen, bad);
        }
        for part in ["anyOf", "allOf", "oneOf"] {
            for one in schema[part].as_array().into_iter().flatten() {
                walk(all, one, at, seen, bad);
            }
        }
        if schema.get("items").is_some() {
            walk(all, &schema["items"], &format!("{at}[]"), seen, bad);
        }
    }
    let all = openapi("", "");
    let (mut seen, mut bad) = (Vec::new(), Vec::new());
    for (name, parameter) in all["components"]["parameters"].as_object().unwrap() {
        walk(&all, &parameter["schema"], name, &mut seen, &mut bad);
    }
    for (path, item) in all["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            if !body.is_null() {
                walk(&all, body, &format!("{method} {path}"), &mut seen, &mut bad);
            }
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(seen.len() > 5, "{seen:?}");
}

/// The docs list every limit with its value.
#[test]
fn the_docs_have_the_table_of_bounds() {
    let docs = include_str!("../../../../docs/api.md");
    for (what, most) in limits::TABLE {
        assert!(docs.contains(&format!("| {what} | {most} |")), "| {what} | {most} |");
    }
}
