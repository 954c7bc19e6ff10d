//! Running steps and their logs.

use serde_json::json;

use crate::*;

/// A running build with a running step: the paths of its progress and of the step.
fn begun(server: &Server) -> (String, String) {
    server.project("pony");
    let progress = server.build("pony", r#"{"incremental":true}"#);
    let opened = server.post(&progress, r#"{"name":"make","state":"running","shell":"sh"}"#);
    assert_eq!(opened.status, 201, "{}", opened.text());
    let step = opened.header("location").to_owned();
    assert_eq!(step, progress.replace("/progress", "/steps/0"));
    (progress, step)
}

fn append(server: &Server, step: &str, offset: u64, piece: &Value) -> Answer {
    let request = server.request("POST", &format!("{step}/log"));
    server.send(request.header("Upload-Offset", &offset.to_string()).json(piece.to_string()))
}

/// The servers on which these stories are told.
fn on_both(tell: impl Fn(&Server)) {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        tell(&Server::on(backend, |_| {}));
    }
}

#[test]
fn a_step_runs_writes_and_ends() {
    on_both(|server| {
        let (progress, step) = begun(server);
        let running = server.get(&step).json();
        assert_eq!((&running["state"], &running["shell"]), (&json!("running"), &json!("sh")));
        assert_eq!((&running["success"], &running["finished"]), (&Value::Null, &Value::Null));

        let piece = json!([[0, "out", "one\n"], [7, "err", "two\n"], [5, "out", "three"]]);
        let first = append(server, &step, 0, &piece);
        assert_eq!((first.status, first.header("upload-offset")), (204, "13"));
        let again = append(server, &step, 0, &piece);
        assert_eq!((again.status, again.header("upload-offset")), (204, "13"));
        let gap = append(server, &step, 14, &json!([[8, "out", "x"]]));
        assert_eq!((gap.status, gap.header("upload-offset")), (409, "13"));
        assert_eq!(gap.json()["payload"]["upload_offset"], 13);
        let other = append(server, &step, 0, &json!([[0, "out", "ONE\n"]]));
        assert_eq!(other.status, 409, "{}", other.text());
        let head = server.send(server.request("HEAD", &format!("{step}/log")));
        assert_eq!((head.header("upload-offset"), head.header("upload-complete")), ("13", "?0"));

        let document = server.get(&progress.replace("/progress", "")).json();
        let written = &document["results"][0];
        assert_eq!(
            (&written["output"], &written["errout"]),
            (&json!("one\nthree"), &json!("two\n"))
        );
        assert_eq!(append(server, &step, 13, &json!([[9, "out", "\n"]])).status, 204);

        let end = r#"{"success":false,"exit_code":2,"finished":"2026-01-01T00:00:00Z",
            "tests":[{"name":"t","status":"failed"}]}"#;
        let ended = server.put(&step, end);
        assert_eq!(ended.status, 200, "{}", ended.text());
        let ended = ended.json();
        assert_eq!((&ended["state"], &ended["success"]), (&json!("finished"), &json!(false)));
        assert_eq!((&ended["exit_code"], &ended["shell"]), (&json!(2), &Value::Null));
        assert_eq!(server.put(&step, end).status, 200);
        assert_eq!(server.put(&step, r#"{"success":true}"#).status, 409);
        assert_eq!(append(server, &step, 14, &json!([[9, "out", "x"]])).status, 410);
        assert_eq!(append(server, &step, 0, &piece).status, 204);

        assert_eq!(server.delete(&progress).status, 204);
        let build = server.get(&progress.replace("/progress", "")).json();
        assert_eq!((&build["success"], &build["tests"]["failed"]), (&json!(false), &json!(1)));
    });
}

#[test]
fn a_log_is_read_whole_or_in_part() {
    on_both(|server| {
        let (_, step) = begun(server);
        let lines: Vec<Value> = (1..=1000)
            .map(|nth| {
                json!([nth, if nth % 10 == 0 { "err" } else { "out" }, format!("line {nth:04}\n")])
            })
            .collect();
        for (nth, piece) in lines.chunks(100).enumerate() {
            let offset = nth as u64 * 1000;
            assert_eq!(append(server, &step, offset, &json!(piece)).status, 204);
        }
        let log = |query: &str| server.get(&format!("{step}/log{query}"));
        let whole = log("").text();
        assert_eq!((whole.len(), log("").header("content-length")), (10_000, "10000"));
        assert!(whole.starts_with("line 0001\nline 0002\n") && whole.ends_with("line 1000\n"));
        assert_eq!(log("?stream=err&from=2&to=3").text(), "line 0020\nline 0030\n");
        assert_eq!(log("?from=999").text(), "line 0999\nline 1000\n");
        assert_eq!(log("?from=1001").text(), "");
        assert_eq!(log("?from=10&to=11&format=json").json(), json!([lines[9], lines[10]]));
        assert_eq!(log("?format=json").json(), json!(lines));
        assert_eq!(server.get(&format!("{step}/errout")).text().len(), 1_000);
        let ranged = |range: &str| {
            server.send(server.request("GET", &format!("{step}/log")).header("Range", range))
        };
        let part = ranged("bytes=5-14");
        assert_eq!((part.status, part.text().as_str()), (206, "0001\nline "));
        assert_eq!(part.header("content-range"), "bytes 5-14/10000");
        assert_eq!(ranged("bytes=-10").text(), "line 1000\n");
        assert_eq!(ranged("bytes=9990-").text(), "line 1000\n");
        assert_eq!(ranged("bytes=10000-").status, 416);
        assert_eq!(ranged("lines=1-2").status, 200);

        // After it was compacted, too.
        server.put(&step, r#"{"success":true}"#);
        until("the log is compacted", || log("?from=500&to=500").text() == "line 0500\n");
        assert_eq!(log("").text(), whole);
        assert_eq!(log("?stream=out&from=900").text(), "line 1000\n".replace("1000", "0999"));
        let etag = log("").header("etag").to_owned();
        let known = server.request("GET", &format!("{step}/log")).header("If-None-Match", &etag);
        assert_eq!(server.send(known).status, 304);
    });
}

#[test]
fn a_step_that_was_sent_with_its_outputs_has_a_log_too() {
    let server = Server::new();
    server.project("pony");
    let build = server.build(
        "pony",
        r#"{"success":true,"results":[{"name":"s","success":true,"output":"a\nü","errout":"c\n"}]}"#,
    );
    let log = |query: &str| server.get(&format!("{build}/steps/0/log{query}"));
    assert_eq!(log("").text(), "a\nü\nc\n");
    assert_eq!(log("?stream=err").text(), "c\n");
    assert_eq!(log("?from=2&to=2").text(), "ü\n");
    assert_eq!(server.get(&format!("{build}/steps/0/output")).text(), "a\nü");
    assert_eq!(log("?follow").status, 409);
    assert_eq!(log("?stream=both").status, 400);
    assert_eq!(log("?stream=out&format=html").status, 200);
    assert_eq!(append(&server, &format!("{build}/steps/0"), 0, &json!([])).status, 410);
    assert_eq!(server.put(&format!("{build}/steps/0"), r#"{"success":true}"#).status, 409);
    assert_eq!(server.get(&format!("{build}/steps/1/log")).status, 404);
}

#[test]
fn a_log_that_became_too_long_says_what_it_lacks() {
    let server = Server::with(|settings| settings.max_log_bytes = 2_000);
    let (_, step) = begun(&server);
    for nth in 0..100 {
        let piece = json!([[nth, "out", format!("{nth:099}\n")]]);
        assert_eq!(append(&server, &step, nth * 100, &piece).status, 204);
    }
    let log = |query: &str| server.get(&format!("{step}/log{query}"));
    let whole = log("").text();
    assert!(whole.contains("8000 bytes with 80 line breaks are left out"), "{whole}");
    assert_eq!(log("").header("content-length"), whole.len().to_string());
    assert_eq!(log("?from=100").text(), format!("{:099}\n", 99));
    assert_eq!(log("?from=1&to=1").text(), format!("{:099}\n", 0));
    // Lines that were dropped are not answered with others.
    let lacking = "\n[8000 bytes with 80 line breaks are left out: the log is too long]\n";
    assert_eq!(log("?from=50&to=60").text(), lacking);
    assert!(log("?from=50").text().starts_with(lacking));
    assert_eq!(log("?stream=err&format=json").json(), json!([]));
    let page = log("?format=html&from=50").text();
    assert!(page.contains("are left out") && page.contains("id=\"step-0-L91\""), "{page}");
    let tail = server.request("GET", &format!("{step}/log")).header("Range", "bytes=-100");
    assert_eq!(server.send(tail).text(), format!("{:099}\n", 99));
    let page = log("?format=html&from=1").text();
    assert!(page.contains("id=\"step-0-L100\"") && page.contains("are left out"), "{page}");
    assert!(!page.contains("id=\"step-0-L50\""));
}

#[test]
fn what_a_client_sends_is_checked() {
    let server = Server::new();
    let (progress, step) = begun(&server);
    for (body, field) in [
        (r#"{"name":"a","state":"running","success":true}"#, "success"),
        (r#"{"name":"a","state":"running","output":"x"}"#, "output"),
        (r#"{"name":"a","state":"running","tests":[{"name":"t","status":"passed"}]}"#, "tests"),
        (r#"{"state":"running"}"#, "name"),
        (r#"{"name":"a"}"#, "success"),
    ] {
        let answer = server.post(&progress, body);
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.json()["payload"]["field"], field, "{body}");
    }
    for (body, field) in [
        (r#"{}"#, "success"),
        (r#"{"success":true,"output":"x"}"#, "output"),
        (r#"{"success":true,"name":"other"}"#, "name"),
        (r#"{"success":true,"state":"running"}"#, "state"),
        (r#"{"success":true,"started":"2020-01-01T00:00:00Z"}"#, "started"),
    ] {
        let answer = server.put(&step, body);
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.json()["payload"]["field"], field, "{body}");
    }
    for (piece, field) in [
        (json!({}), ""),
        (json!([[0, "both", "x"]]), "[0][1]"),
        (json!([[-1, "out", "x"]]), "[0][0]"),
        (json!([[0, "out"]]), "[0]"),
    ] {
        let answer = append(&server, &step, 0, &piece);
        assert_eq!(answer.status, 400, "{piece}");
        assert_eq!(answer.json()["payload"]["field"], field, "{piece}: {}", answer.text());
    }
    let without = server.post(&format!("{step}/log"), "[]");
    assert_eq!(without.json()["payload"]["field"], "Upload-Offset");
    assert_eq!(server.get(&step).json()["output"], "");
    // Whole builds have no running steps, and other words are the client's own.
    let whole = r#"{"success":true,"results":[{"name":"a","state":"running"}]}"#;
    assert_eq!(server.post("/pony/builds", whole).json()["payload"]["field"], "results[0].state");
    let own = server
        .build("pony", r#"{"success":true,"results":[{"name":"a","success":true,"state":"odd"}]}"#);
    assert_eq!(server.get(&own).json()["results"][0]["state"], "odd");
}

#[test]
fn only_who_may_continue_a_build_writes_its_logs() {
    let server = Server::new();
    server.project("pony");
    let ann = server.as_user("ann");
    let started = ann.send("POST", "/pony/builds", r#"{"incremental":true}"#);
    let progress = started.header("location").to_owned();
    let step = ann
        .send("POST", &progress, r#"{"name":"make","state":"running"}"#)
        .header("location")
        .to_owned();
    assert_eq!(append(&server, &step, 0, &json!([[0, "out", "x"]])).status, 401);
    assert_eq!(server.put(&step, r#"{"success":true}"#).status, 401);
    let links = |document: Value| {
        let links = document["links"].as_array().unwrap().clone();
        links
            .into_iter()
            .map(|link| (link["rel"].clone(), link["allowed_methods"].clone()))
            .collect::<Vec<_>>()
    };
    let seen = links(server.get(&step).json());
    assert!(seen.contains(&(json!("log"), json!(["GET"]))), "{seen:?}");
    let own = links(ann.send("GET", &step, "").json());
    assert!(own.contains(&(json!("log"), json!(["GET", "POST"]))), "{own:?}");
    assert!(own.contains(&(json!("self"), json!(["GET", "PUT"]))), "{own:?}");
}

#[test]
fn a_key_opens_a_step_once() {
    on_both(|server| {
        let (progress, _) = begun(server);
        let open = || {
            let request = server.request("POST", &progress).header("Idempotency-Key", "k");
            server.send(request.json(r#"{"name":"again","state":"running"}"#))
        };
        let (first, second) = (open(), open());
        assert_eq!((first.status, second.status), (201, 201));
        assert!(first.header("location").ends_with("/steps/1"));
        assert_eq!(first.header("location"), second.header("location"));
    });
}

#[test]
fn a_running_log_is_followed_and_goes_on_after_a_break() {
    on_both(|server| {
        let (progress, step) = begun(server);
        append(server, &step, 0, &json!([[0, "out", "one\n"]]));
        let follow = server.request("GET", &format!("{step}/log?follow")).watch();
        until("the first event", || follow.has("id: 4\ndata: [[0,\"out\",\"one\\n\"]]"));
        append(server, &step, 4, &json!([[5, "err", "two\n"]]));
        until("the second event", || follow.has("id: 8\ndata: [[5,\"err\",\"two\\n\"]]"));
        let resumed = server
            .request("GET", &format!("{step}/log?follow"))
            .header("Last-Event-ID", "4")
            .watch();
        let filtered = server.request("GET", &format!("{step}/log?follow&stream=out")).watch();
        until("what came meanwhile", || resumed.has("id: 8"));
        append(server, &step, 8, &json!([[6, "out", "three\n"]]));
        until("the third event", || {
            resumed.has("three") && follow.has("three") && filtered.has("three")
        });
        assert_eq!(server.delete(&progress).status, 204);
        let (follow, resumed, filtered) =
            (follow.response(), resumed.response(), filtered.response());
        assert!(follow.text().contains("event: end"), "{}", follow.text());
        assert!(!resumed.text().contains("one") && resumed.text().contains("event: end"));
        assert!(!filtered.text().contains("two"), "{}", filtered.text());
        // A log that is complete ends at once.
        let after = server.request("GET", &format!("{step}/log?follow")).watch().response().text();
        assert!(after.contains("one") && after.contains("event: end"), "{after}");
    });
}

#[test]
fn a_log_is_followed_on_another_server() {
    let one = Server::on(Backend::Postgres, |_| {});
    let (_, step) = begun(&one);
    let url = one.database.url.clone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let repository = open(&url, &Options::default()).unwrap();
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        let settings = Settings { password_cost: 4, ..Settings::default() };
        let stopped = async { stopped.await.unwrap_or(()) };
        let serving = serve(listener, settings, repository, stopped);
        actix_web::rt::System::new().block_on(serving).unwrap();
    });
    let follow = Request::new(&address, "GET", &format!("{step}/log?follow")).watch();
    until("it has begun", || follow.has_begun());
    append(&one, &step, 0, &json!([[0, "out", "from the other\n"]]));
    until("the event", || follow.has("from the other"));
    assert_eq!(one.put(&step, r#"{"success":true}"#).status, 200);
    until("the end", || follow.has("event: end"));
    assert!(follow.response().text().contains("event: end"));
    stop.send(()).unwrap();
    thread.join().unwrap();
}

#[test]
fn lines_are_found_by_their_text() {
    on_both(|server| {
        let (progress, step) = begun(server);
        let lines: String = (1..=3000).map(|nth| format!("line {nth}\n")).collect();
        append(
            server,
            &step,
            0,
            &json!([[0, "out", lines], [1, "err", "\u{1b}[31mERROR\u{1b}[0m: needle\nafter\n"]]),
        );
        server.post(&progress, r#"{"name":"classic","success":true,"output":"a\nNeedle b"}"#);
        let build = progress.replace("/progress", "");
        let search = |query: &str| server.get(&format!("{build}/search?{query}"));
        let found = search("text=error:%20NEEDLE&context=1").json();
        assert_eq!(found["complete"], true);
        assert_eq!(found["matches"].as_array().unwrap().len(), 1);
        let line = &found["matches"][0];
        assert_eq!(
            (&line["step"], &line["name"], &line["number"]),
            (&json!(0), &json!("make"), &json!(3001))
        );
        assert_eq!(
            (&line["text"], &line["before"]),
            (&json!("ERROR: needle"), &json!([{"number": 3000, "text": "line 3000"}]))
        );
        assert_eq!(line["after"], json!([{"number": 3002, "text": "after"}]));
        let href = line["href"].as_str().unwrap();
        let page =
            server.get(href.split_once(&server.address).unwrap().1.split('#').next().unwrap());
        assert!(page.text().contains("id=\"step-0-L3001\""), "{href}");
        let both = search("text=needle").json();
        let places: Vec<_> = both["matches"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| (line["step"].clone(), line["number"].clone()))
            .collect();
        assert_eq!(places, [(json!(0), json!(3001)), (json!(1), json!(2))]);
        assert_eq!(search("text=needle&step=1").json()["matches"].as_array().unwrap().len(), 1);

        // A page at a time.
        let (mut next, mut numbers) = (
            Some(format!("{build}/search?regex=^line%20%5Cd%2B0$&per_page=100&context=0")),
            Vec::new(),
        );
        while let Some(path) = next {
            let page = server.get(&path);
            let found = page.json();
            numbers.extend(
                found["matches"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|line| line["number"].as_u64().unwrap()),
            );
            next = page.link("next");
        }
        assert_eq!(numbers, (1..=300).map(|nth| nth * 10).collect::<Vec<_>>());
        for (query, field) in [
            ("", "text"),
            ("regex=(", "regex"),
            ("text=a&regex=b", "regex"),
            ("text=a&context=21", "context"),
            ("text=a&from=x", "from"),
        ] {
            let answer = search(query);
            assert_eq!(
                (answer.status, &answer.json()["payload"]["field"]),
                (400, &json!(field)),
                "{query}"
            );
        }
        let page = server.get(&format!("{build}/search?format=html&text=needle")).text();
        assert!(page.contains("line 3001") && page.contains("ERROR: needle"), "{page}");
        assert!(
            server
                .get(&format!("{build}/search?format=html&regex=("))
                .text()
                .contains("role=\"alert\"")
        );
    });
}

#[test]
fn the_page_of_a_failed_step_begins_at_its_first_error() {
    let server = Server::new();
    let (progress, step) = begun(&server);
    let before: String = (1..=5000).map(|nth| format!("compiling {nth}\n")).collect();
    let behind: String = (1..=5000).map(|nth| format!("cleaning {nth}\n")).collect();
    append(
        &server,
        &step,
        0,
        &json!([
            [0, "out", before],
            [1, "err", "::group::<b>\n<i>error: no\n::endgroup::\n"],
            [65_000, "out", behind]
        ]),
    );
    server.put(&step, r#"{"success":false}"#);
    let page = server.get(&format!("{step}/log?format=html")).text();
    assert!(
        page.contains("id=\"step-0-L5002\"") && page.contains("First error: line 5,002"),
        "{page}"
    );
    assert!(
        page.contains("<details class=\"group\" open><summary>")
            && page.contains("&lt;i&gt;error: no")
    );
    assert_eq!(page.matches("<details").count(), page.matches("</details>").count());
    assert!(page.contains("data-t=\"65000\">1:05</span>"));
    let line = server.get(&format!("{step}/log?format=html&from=9000")).text();
    assert!(line.contains("id=\"step-0-L9000\"") && line.contains("rel=\"prev\""));
    let build = server.get(&format!("{}?format=html", progress.replace("/progress", ""))).text();
    assert!(build.contains("First error: line 5002") || build.contains("First error: line 5,002"));
    assert!(build.contains("id=\"step-0-L10003\""));
}

#[test]
fn a_search_shows_the_surroundings_of_each_line_on_every_page_of_it() {
    let server = Server::with(|settings| settings.max_log_bytes = 100);
    let (progress, step) = begun(&server);
    let mut offset = 0;
    for nth in 1..=6 {
        let text = format!("line{nth:04}\n");
        append(&server, &step, offset, &json!([[nth, "out", text]]));
        offset += 9;
    }
    let build = progress.replace("/progress", "");
    let search = |query: &str| server.get(&format!("{build}/search?{query}")).json();
    let numbers = |lines: &Value| -> Vec<u64> {
        lines.as_array().unwrap().iter().map(|line| line["number"].as_u64().unwrap()).collect()
    };
    let shown = |found: &Value| -> Vec<(u64, Vec<u64>, Vec<u64>)> {
        let lines = found["matches"].as_array().unwrap().iter();
        let each = lines.map(|line| {
            (line["number"].as_u64().unwrap(), numbers(&line["before"]), numbers(&line["after"]))
        });
        each.collect()
    };
    let first = search("text=line&per_page=3");
    assert_eq!(
        shown(&first),
        [(1, vec![], vec![2, 3]), (2, vec![1], vec![3, 4]), (3, vec![1, 2], vec![4, 5])]
    );
    let second = search("text=line&per_page=3&from=0:4");
    assert_eq!(
        shown(&second),
        [(4, vec![2, 3], vec![5, 6]), (5, vec![3, 4], vec![6]), (6, vec![4, 5], vec![])]
    );

    // Behind a dropped part, a line has other surroundings, and text before it is not joined with it.
    for nth in 7..=30 {
        let text = format!("word{nth:04}|");
        append(&server, &step, offset, &json!([[nth, "out", text]]));
        offset += 9;
    }
    assert_eq!(shown(&search("text=word0007")), []);
    assert_eq!(shown(&search("text=line0005")), [(5, vec![3, 4], vec![6])]);
    assert_eq!(search("text=word0030")["matches"][0]["before"], json!([]));
}

#[test]
fn pages_of_odd_logs_show_what_there_is() {
    let server = Server::new();
    let (_, step) = begun(&server);
    append(&server, &step, 0, &json!([[0, "out", "abc"]]));
    append(&server, &step, 3, &json!([[0, "err", "x\n"]]));
    let page = |query: &str| server.get(&format!("{step}/log?format=html&{query}"));
    assert!(
        page("stream=out").text().contains("lines 1 to 1 of 1"),
        "{}",
        page("stream=out").text()
    );
    assert_eq!(page("from=18446744073709551615").status, 200);
    // A line without an end, longer than a page and written bit by bit.
    let dots: Vec<Value> = (0..300).map(|nth| json!([nth, "out", ".".repeat(1000)])).collect();
    append(&server, &step, 5, &json!(dots));
    assert!(page("").text().contains("id=\"step-0-L2\""));
    // From within a character, all of it is sent, and all that follows.
    append(&server, &step, 300_005, &json!([[0, "out", "é"], [0, "out", "abcdef"]]));
    server.put(&step, r#"{"success":true}"#);
    let follow = server.request("GET", &format!("{step}/log?follow"));
    let text = follow.header("Last-Event-ID", "300006").send().text();
    assert!(text.contains("é") && text.contains("\"abcdef\""), "{text}");
}
