//! Whatever happens to the server, the network, the disk or the client: nothing is lost, nothing is
//! stored twice, and a command's exit code is its own.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// An address that refuses connections.
fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn what_is_reported_while_the_server_is_away_is_sent_with_the_next_report() {
    let (home, database, address) = (Home::new(), database(), nobody());
    let away =
        home.run(&address, &["run", "--name", "first", "--", "sh", "-c", "echo kept; exit 5"]);
    assert_eq!((code(&away), out(&away).as_str()), (5, "kept\n"));
    assert!(
        err(&away).contains("saved locally; it will be retried with the next report"),
        "{}",
        err(&away)
    );
    assert_eq!(home.waiting(), 3);
    let server = Server::at(&address, &database);
    assert_eq!(code(&home.run(&address, &["run", "--", "true"])), 0);
    assert_eq!(home.waiting(), 0);
    let builds = server.builds();
    assert_eq!(builds.len(), 2);
    let first = server.get(&format!("/pony/builds/{}", builds[1]["id"].as_str().unwrap()));
    assert_eq!(
        (&first["results"][0]["output"], &first["success"]),
        (&"kept\n".into(), &false.into())
    );
    // Its time is when it ran, not when it was sent.
    assert!(first["results"][0]["started"].is_string());
}

/// Says nothing until the client closes the connection.
fn wait_for_its_end(mut stream: TcpStream) {
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}

/// What a server, and so a proxy, a captive portal or a load balancer, may do to a client.
fn troubles() -> Vec<(&'static str, String)> {
    let answering = |answer: &'static str| {
        fake(move |mut stream| {
            read_request(&mut stream);
            let _ = stream.write_all(answer.as_bytes());
        })
    };
    vec![
        ("500", answering("HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops")),
        ("429", answering("HTTP/1.1 429 Slow\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n")),
        (
            "a page",
            answering(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<h1>Log in</h1>",
            ),
        ),
        (
            "a proxy's 404",
            answering("HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found"),
        ),
        (
            "a page to log in at",
            answering(
                "HTTP/1.1 302 Found\r\nLocation: https://login.example.org/\r\nContent-Length: 0\r\n\r\n",
            ),
        ),
        ("no HTTP", answering("220 mail.example.org ESMTP\r\n")),
        (
            "half an answer",
            answering("HTTP/1.1 201 Created\r\nContent-Length: 100\r\nLocation: /x\r\n\r\nhalf"),
        ),
        (
            "half an answer, and then nothing",
            fake(|mut stream| {
                read_request(&mut stream);
                let _ = stream.write_all(
                    b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\nLocation: /x\r\n\r\nhalf",
                );
                wait_for_its_end(stream);
            }),
        ),
        ("silence", fake(wait_for_its_end)),
        ("a closed door", fake(drop)),
    ]
}

#[test]
fn whatever_a_server_does_a_commands_exit_code_is_its_own_and_its_report_is_kept() {
    std::thread::scope(|scope| {
        for (trouble, address) in troubles() {
            scope.spawn(move || {
                let home = Home::new();
                let output = home.run(&address, &["run", "--", "sh", "-c", "echo out; exit 7"]);
                assert_eq!((code(&output), out(&output).as_str()), (7, "out\n"), "{trouble}");
                assert!(err(&output).contains("saved locally"), "{trouble}: {}", err(&output));
                assert_eq!(home.waiting(), 3, "{trouble}");
                let flush = home.devmason(&address, &["flush"]).env("DEVMASON_WAIT", "1").spawn();
                let mut flush = flush.unwrap();
                if !trouble.contains("nothing") && trouble != "silence" {
                    assert_eq!(flush.wait().unwrap().code(), Some(3), "{trouble}");
                }
                let _ = flush.kill();
                let _ = flush.wait();
                assert_eq!(home.waiting(), 3, "{trouble}");
            });
        }
    });
}

#[test]
fn a_report_whose_answers_were_lost_is_stored_once() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let behind = server.address.clone();
    // Every second request reaches the server, but its response is lost.
    let count = AtomicUsize::new(0);
    let proxy = fake(move |mut stream| {
        let request = read_request(&mut stream);
        let mut to = TcpStream::connect(&behind).unwrap();
        let text =
            String::from_utf8_lossy(&request).replacen("\r\n", "\r\nConnection: close\r\n", 1);
        to.write_all(text.as_bytes()).unwrap();
        let mut answer = Vec::new();
        to.read_to_end(&mut answer).unwrap();
        if count.fetch_add(1, Ordering::SeqCst) % 2 == 1 {
            let _ = stream.write_all(&answer);
        }
    });
    let output = home
        .devmason(&proxy, &["run", "--name", "s", "--", "sh", "-c", "echo once"])
        .env("DEVMASON_WAIT", "60")
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
    for _ in 0..20 {
        if home.waiting() == 0 {
            break;
        }
        home.run(&proxy, &["flush"]);
    }
    let build = server.build();
    assert_eq!(
        (build["results"].as_array().unwrap().len(), &build["results"][0]["output"]),
        (1, &"once\n".into())
    );
    assert_eq!((&build["state"], home.waiting()), (&"finished".into(), 0));
}

#[test]
fn a_server_that_dies_in_the_middle_gets_the_rest_when_it_is_back() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let address = server.address.clone();
    let pipe = home.path().join("go-on");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let script = format!("echo before; cat {}; echo after", pipe.display());
    let mut run = home.devmason(&address, &["run", "--interval", "1", "--", "sh", "-c", &script]);
    let child = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the build has begun", || !server.builds().is_empty());
    drop(server);
    std::fs::write(&pipe, "").unwrap();
    assert_eq!(code(&child.wait_with_output().unwrap()), 0);
    assert!(home.waiting() > 0);
    let server = Server::at(&address, &database);
    assert_eq!(code(&home.run(&address, &["flush"])), 0);
    let build = server.build();
    let outputs: String = build["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["output"].as_str().unwrap())
        .collect();
    assert_eq!((outputs.as_str(), &build["success"]), ("before\nafter\n", &true.into()));
}

#[test]
fn the_build_of_a_client_that_was_killed_is_ended_as_failed_by_the_next() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let mut run = home.devmason(&server.address, &["run", "--", "sleep", "5"]);
    let mut child = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the build has begun", || !server.builds().is_empty());
    assert_eq!(code(&home.run(&server.address, &["flush"])), 0);
    assert_eq!(server.build()["state"], "running");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(code(&home.run(&server.address, &["flush"])), 0);
    let build = server.build();
    assert_eq!((&build["state"], &build["success"]), (&"finished".into(), &false.into()));
}

#[test]
fn what_a_script_that_died_has_begun_is_ended_as_failed_by_the_next_report() {
    let (home, database, address) = (Home::new(), database(), nobody());
    let program = env!("CARGO_BIN_EXE_devmason");
    let script = |script: &str| {
        let command = home.devmason(&address, &[]);
        let mut shell = Command::new("sh");
        shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.args(["-c", &script.replace("devmason", program)]).current_dir(home.path());
        shell.stdin(Stdio::null()).output().unwrap()
    };
    script("devmason begin --id away --wait 0; devmason step -b away one --wait 0; kill -9 $$");
    let server = Server::at(&address, &database);
    let state = |id: &str| server.get(&format!("/pony/builds/{id}"))["state"].clone();
    script(
        "id=$(cd . && devmason begin --id lives); devmason step -b $id one; \
        devmason report --id other nothing 2> log; devmason step -b $id two; devmason end -b $id",
    );
    let lives = server.get("/pony/builds/lives");
    assert_eq!((&lives["success"], lives["results"].as_array().unwrap().len()), (&true.into(), 2));

    script("devmason begin --id dies; devmason step -b dies one; kill -9 $$");
    assert_eq!(state("dies"), "running");
    // A build whose step is killed, whoever the caller was.
    let build = out(&home.run(&server.address, &["begin", "--id", "step"])).trim().to_owned();
    let mut step =
        home.devmason(&server.address, &["step", "-b", &build, "test", "--", "sleep", "60"]);
    let mut step = step.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the step has begun", || !steps_begun(&home, &build).is_empty());
    let going_on =
        out(&home.run(&server.address, &["begin", "--id", "going-on"])).trim().to_owned();
    assert_eq!(state("step"), "running", "its step is under way");
    step.kill().unwrap();
    step.wait().unwrap();
    assert_eq!(code(&home.run(&server.address, &["run", "--id", "next", "--", "true"])), 0);
    for id in ["away", "dies", "step"] {
        let build = server.get(&format!("/pony/builds/{id}"));
        assert_eq!(
            (&build["state"], &build["success"]),
            (&"finished".into(), &false.into()),
            "{id}"
        );
    }
    assert_eq!(state("going-on"), "running", "whoever began it lives");
    assert_eq!(code(&home.run(&server.address, &["end", "-b", &going_on])), 0);
}

#[test]
fn a_disk_that_takes_nothing_keeps_neither_a_command_nor_its_report() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    // No file may contain data: like a full disk.
    let full = |address: &str| {
        let program = env!("CARGO_BIN_EXE_devmason");
        let script =
            format!("trap '' XFSZ; ulimit -f 0; exec {program} run -- sh -c 'echo out; exit 4'");
        let mut command = home.devmason(address, &[]);
        let mut shell = Command::new("sh");
        shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.args(["-c", &script]).current_dir(home.path()).stdin(Stdio::null());
        let _ = &mut command;
        shell.output().unwrap()
    };
    let output = full(&server.address);
    assert_eq!((code(&output), out(&output).as_str()), (4, "out\n"), "{}", err(&output));
    assert!(err(&output).contains("cannot queue reports on disk"), "{}", err(&output));
    assert_eq!(server.build()["results"][0]["output"], "out\n");
    // If the server is unreachable as well, the loss can only be reported.
    let output = full(&nobody());
    assert_eq!((code(&output), out(&output).as_str()), (4, "out\n"));
    assert!(err(&output).contains("requests lost"), "{}", err(&output));
}

#[test]
fn a_spool_that_cannot_be_there_or_is_full_keeps_no_command_from_running() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    std::fs::write(home.path().join("file"), "").unwrap();
    let spools = [
        ("DEVMASON_SPOOL", home.path().join("file/spool").display().to_string()),
        ("DEVMASON_SPOOL_BYTES", "10".to_owned()),
    ];
    for (name, value) in spools {
        let run = home
            .devmason(&server.address, &["run", "--", "sh", "-c", "exit 6"])
            .env(name, value)
            .output()
            .unwrap();
        assert_eq!(code(&run), 6);
        assert!(err(&run).contains("cannot queue reports on disk"), "{}", err(&run));
    }
    assert_eq!(server.builds().len(), 2);
}

#[test]
fn reporting_that_is_set_up_wrong_keeps_no_command_from_running() {
    let home = Home::new();
    for (name, value) in [
        ("DEVMASON_SERVER_URL", "nonsense"),
        ("DEVMASON_PROJECT", "a b"),
        ("DEVMASON_BUILD_ID", "{commit}-x y"),
        ("DEVMASON_WAIT", "10s"),
        ("DEVMASON_SPOOL_BYTES", "256M"),
    ] {
        let run = home
            .devmason(&nobody(), &["run", "--", "sh", "-c", "echo ran; exit 9"])
            .env(name, value)
            .output()
            .unwrap();
        assert_eq!((code(&run), out(&run).as_str()), (9, "ran\n"), "{name}");
        assert!(err(&run).starts_with("devmason: not reported: "), "{}", err(&run));
    }
    let runs = |arguments: &[&str]| {
        let mut words = arguments.to_vec();
        words.extend(["--", "sh", "-c", "echo ran; exit 9"]);
        let run = home.run(&nobody(), &words);
        assert_eq!((code(&run), out(&run).as_str()), (9, "ran\n"), "{arguments:?}: {}", err(&run));
        assert!(err(&run).starts_with("devmason: not reported: "), "{}", err(&run));
    };
    runs(&["step", "compile"]);
    runs(&["run", "--nmae", "compile"]);
    std::fs::write(home.path().join(".devmason.toml"), "projcet = 'pony'").unwrap();
    runs(&["run"]);
    runs(&["step", "compile"]);
    // Commands that run nothing report the failure.
    assert_eq!(code(&home.run(&nobody(), &["report", "junit.xml"])), 2);
}

#[test]
fn variables_that_are_set_to_nothing_are_not_set() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let empty = [
        "TAGS",
        "USER",
        "PASSWORD",
        "BUILD_ID",
        "BUILD",
        "SPOOL",
        "SPOOL_BYTES",
        "CREATE",
        "WHOLE_COMMAND",
        "STRICT",
        "QUIET",
        "INTERVAL",
        "WAIT",
    ];
    let mut run = home.devmason(&server.address, &["run", "--", "true"]);
    run.envs(empty.map(|name| (format!("DEVMASON_{name}"), "")));
    let output = run.output().unwrap();
    assert!(err(&output).contains("reported to "), "{}", err(&output));
    assert_eq!(server.build()["tags"], serde_json::json!([]));
    let mut run = home.devmason(&server.address, &["run", "--", "true"]);
    let output = run.envs([("DEVMASON_QUIET", "1"), ("DEVMASON_STRICT", "yes")]).output().unwrap();
    assert_eq!((code(&output), err(&output).as_str()), (0, ""));
    // Without these two there is nowhere to report to, and the command runs.
    let mut run = home.devmason(&nobody(), &["run", "--", "sh", "-c", "exit 3"]);
    let output = run.env("DEVMASON_PROJECT", "").output().unwrap();
    assert_eq!(code(&output), 3);
    assert!(err(&output).contains("no project given"), "{}", err(&output));
}

#[test]
fn a_server_that_comes_within_the_time_to_wait_gets_the_report() {
    let (home, database) = (Home::new(), database());
    // Each attempt fails, and is counted.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    closed.set_nonblocking(true).unwrap();
    let address = closed.local_addr().unwrap().to_string();
    let mut run = home.devmason(&address, &["run", "--wait", "60", "--", "true"]);
    let child = run.stderr(Stdio::piped()).spawn().unwrap();
    let mut attempts = 0;
    until("a few attempts have failed", || {
        attempts += u32::from(closed.accept().is_ok());
        attempts >= 4
    });
    drop(closed);
    let server = Server::at(&address, &database);
    let output = child.wait_with_output().unwrap();
    assert!(err(&output).contains("reported to "), "{}", err(&output));
    assert_eq!(server.build()["success"], true);
}

#[test]
fn output_that_is_written_faster_than_it_is_sent_waits_for_its_room() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    // More than the spool and the memory hold, with characters that take six bytes in a document.
    let script = "yes 0123456789abcdef | head -c 90000000; head -c 3000000 /dev/zero; exit 3";
    let mut run = home.devmason(&server.address, &["run", "--name", "s", "--", "sh", "-c", script]);
    let run = run.env("DEVMASON_SPOOL_BYTES", "16000000").env("DEVMASON_WAIT", "60");
    let output = run.stdout(Stdio::null()).output().unwrap();
    assert_eq!(code(&output), 3);
    assert!(err(&output).contains("reported to "), "{}", err(&output));
    let build = server.build();
    let steps = build["results"].as_array().unwrap();
    let bytes: usize = steps.iter().map(|step| step["output"].as_str().unwrap().len()).sum();
    assert_eq!((bytes, &build["success"]), (93_000_000, &false.into()));
}

#[test]
fn a_report_that_the_server_always_fails_at_holds_up_no_other() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    for id in ["poison", "good"] {
        assert_eq!(code(&home.run(&nobody(), &["run", "--id", id, "--", "true"])), 0);
    }
    // They were queued for another address.
    let behind = server.address.clone();
    let proxy = fake(move |mut stream| {
        let request = String::from_utf8_lossy(&read_request(&mut stream)).into_owned();
        if request.contains("/poison") {
            let _ = stream.write_all(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops");
            return;
        }
        let mut to = TcpStream::connect(&behind).unwrap();
        to.write_all(request.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes()).unwrap();
        let _ = std::io::copy(&mut to, &mut stream);
    });
    let spool = home.path().join(".local/state/devmason/spool");
    for session in std::fs::read_dir(&spool).unwrap() {
        let about = session.unwrap().path().join("about.json");
        let mut text: Value = serde_json::from_slice(&std::fs::read(&about).unwrap()).unwrap();
        text["server"] = format!("http://{proxy}").into();
        std::fs::write(&about, text.to_string()).unwrap();
    }
    assert_eq!(code(&home.run(&proxy, &["flush"])), 3);
    assert_eq!(home.waiting(), 3);
    assert_eq!(server.build()["id"], "good");
}

#[test]
fn what_is_longer_than_a_proxy_takes_is_put_aside() {
    let home = Home::new();
    let proxy = fake(|mut stream| {
        read_request(&mut stream);
        let page =
            "HTTP/1.1 413 Too Large\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\nno!";
        let _ = stream.write_all(page.as_bytes());
    });
    let output = home.run(&proxy, &["run", "--", "sh", "-c", "exit 8"]);
    assert_eq!(code(&output), 8);
    assert!(err(&output).contains("exceeds the size limit of a proxy"), "{}", err(&output));
    assert_eq!(code(&home.run(&proxy, &["flush"])), 0);
}

#[test]
fn steps_of_a_build_that_was_deleted_are_put_aside() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    let run = |arguments: &[&str]| {
        let mut run = home.devmason(at, arguments);
        let variables = ["PROJECT", "USER", "PASSWORD"].map(|name| format!("DEVMASON_{name}"));
        run.envs(variables.into_iter().zip(["hers", "ann", "secret"])).output().unwrap()
    };
    let send = |method, path| Request::new(at, method, path).basic("ann", "secret");
    assert_eq!(send("PUT", "/hers").json(r#"{"name":"Her pony"}"#).send().status, 201);
    let build = out(&run(&["begin", "--id", "1"])).trim().to_owned();
    assert_eq!(send("DELETE", "/hers/builds/1").send().status, 204);
    let waiting = home.waiting();
    let output = run(&["step", "-b", &build, "--create", "compile"]);
    assert_eq!((code(&output), waiting), (1, 0));
    assert!(err(&output).contains("refused: "), "{}", err(&output));
    run(&["end", "-b", &build, "--create"]);
    assert_eq!((code(&run(&["flush"])), home.waiting()), (0, 2));
    assert_eq!(server.get("/hers")["name"], "Her pony");
}

#[test]
fn files_that_cannot_be_read_keep_no_others_back() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    std::fs::create_dir(home.path().join("dir")).unwrap();
    let junit = r#"<testsuite><testcase name="t"/></testsuite>"#;
    std::fs::write(home.path().join("a.xml"), junit).unwrap();
    let report = home.run(&server.address, &["report", "dir", "missing.xml", "*.xml", "[.xml"]);
    assert_eq!(code(&report), 2);
    for problem in ["dir: ", "missing.xml: no such file", "[.xml: "] {
        assert!(err(&report).contains(problem), "{}", err(&report));
    }
    assert_eq!(server.build()["tests"]["total"], 1);
    assert_eq!(code(&home.run(&server.address, &["report", "missing.xml"])), 2);
}

#[test]
fn what_the_server_refuses_is_put_aside_with_its_reason_and_the_rest_goes_on() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    std::fs::write(home.path().join("broken.xml"), "<testsuite><testcase></testsuite>").unwrap();
    let report = home.run(&server.address, &["report", "broken.xml"]);
    assert_eq!(code(&report), 1);
    assert!(
        err(&report).contains("refused: ") && err(&report).contains("line 1"),
        "{}",
        err(&report)
    );
    // After a command, it fails the build, and the step has the reason.
    let output = home.run(&server.address, &["run", "--report", "broken.xml", "--", "true"]);
    assert_eq!(code(&output), 0);
    let build = server.build();
    assert_eq!((&build["success"], &build["state"]), (&false.into(), &"finished".into()));
    let why = build["results"][1]["failure"].as_str().unwrap();
    assert!(why.contains("cannot parse the file: line 1"), "{why}");
}

#[test]
fn a_project_that_is_not_there_waits_for_its_registration() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    let output = home.run(at, &["run", "-p", "zebra", "--", "true"]);
    assert_eq!(code(&output), 0);
    assert!(err(&output).contains("project not found"), "{}", err(&output));
    assert_eq!(home.waiting(), 3);
    // Other builds are unaffected, and report it.
    let other = home.run(at, &["run", "--", "true"]);
    assert!(
        err(&other).contains("a queued report could not be sent: /zebra/builds/"),
        "{}",
        err(&other)
    );
    assert!(
        err(&other).contains("reported to ") && !err(&other).contains("part of the report"),
        "{}",
        err(&other)
    );
    assert_eq!(code(&home.run(at, &["project", "create", "zebra"])), 0);
    assert_eq!(code(&home.run(at, &["flush"])), 0);
    assert_eq!(server.get("/zebra/builds")["builds"].as_array().unwrap().len(), 1);
    assert_eq!(code(&home.run(at, &["run", "-p", "okapi", "--create", "--", "true"])), 0);
    assert_eq!(server.get("/okapi/builds")["builds"].as_array().unwrap().len(), 1);
}

#[test]
fn a_build_whose_id_is_taken_leaves_the_other_one_alone() {
    for spool in ["spool", "file/spool"] {
        let (owner, home, database) = (Home::new(), Home::new(), database());
        let server = Server::new(&database);
        let at = &server.address;
        assert_eq!(code(&owner.run(at, &["begin", "--id", "7"])), 0);
        std::fs::write(home.path().join("file"), "").unwrap();
        // It runs for longer than the refusal takes to arrive.
        let script = "sleep 1; echo other; exit 3";
        let mut run = home.devmason(at, &["run", "--id", "7", "--", "sh", "-c", script]);
        let output = run.env("DEVMASON_SPOOL", home.path().join(spool)).output().unwrap();
        assert_eq!((code(&output), out(&output).as_str()), (3, "other\n"));
        assert!(err(&output).contains("refused: "), "{}", err(&output));
        let build = server.build();
        assert_eq!(
            (&build["state"], &build["results"]),
            (&"running".into(), &serde_json::json!([])),
            "{spool}"
        );
    }
}

/// The queue directory of a build.
fn spooled(home: &Home, build: &str) -> std::path::PathBuf {
    let folders = std::fs::read_dir(home.path().join(".local/state/devmason/spool")).unwrap();
    let is_of = |folder: &std::path::PathBuf| {
        let about = std::fs::read_to_string(folder.join("about.json")).unwrap_or_default();
        about.contains(&format!("/builds/{build}\""))
    };
    folders.map(|entry| entry.unwrap().path()).find(is_of).unwrap()
}

/// The marks of the steps of a build that are under way.
fn steps_begun(home: &Home, build: &str) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(spooled(home, build)).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "step")).collect()
}

#[test]
fn a_build_that_a_part_is_missing_of_is_not_green() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    // Lost: neither the spool nor the server accepts it in time.
    let build = out(&home.run(at, &["begin", "--id", "lost"])).trim().to_owned();
    let mut step = home.devmason(at, &["step", "-b", &build, "test", "--", "sh", "-c", "exit 1"]);
    let step = step.env("DEVMASON_SPOOL_BYTES", "10").env("DEVMASON_WAIT", "0").output().unwrap();
    assert_eq!(code(&step), 1);
    assert!(err(&step).contains("requests lost"), "{}", err(&step));
    assert_eq!(code(&home.run(at, &["end", "-b", &build])), 0);
    assert_eq!(server.get("/pony/builds/lost")["success"], false);
    // Refused, and the refused part has been dropped since.
    let build = out(&home.run(at, &["begin", "--id", "refused"])).trim().to_owned();
    let step = home.run(at, &["step", "-b", &build, &"x".repeat(5000)]);
    assert!(err(&step).contains("refused: "), "{}", err(&step));
    let refused = home.path().join(".local/state/devmason/spool/refused");
    std::fs::remove_dir_all(&refused).unwrap();
    assert_eq!(code(&home.run(at, &["end", "-b", &build])), 0);
    assert_eq!(server.get("/pony/builds/refused")["success"], false);
    // Killed during a step.
    let build = out(&home.run(at, &["begin", "--id", "killed"])).trim().to_owned();
    let script = "echo FAILED; sleep 30";
    let mut step = home
        .devmason(at, &["step", "-b", &build, "--interval", "1", "test", "--", "sh", "-c", script]);
    let mut step = step.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("a part of its output has been sent", || {
        !server.get("/pony/builds/killed")["results"].as_array().unwrap().is_empty()
    });
    step.kill().unwrap();
    step.wait().unwrap();
    assert_eq!(code(&home.run(at, &["end", "-b", &build])), 0);
    assert_eq!(server.get("/pony/builds/killed")["success"], false);
    // Killed while its data is only in memory.
    let build = out(&home.run(at, &["begin", "--id", "memory"])).trim().to_owned();
    let mut about: Value =
        serde_json::from_slice(&std::fs::read(spooled(&home, &build).join("about.json")).unwrap())
            .unwrap();
    let away = nobody();
    about["server"] = format!("http://{away}").into();
    std::fs::write(spooled(&home, &build).join("about.json"), about.to_string()).unwrap();
    let pipe = home.path().join("go-on");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut step = home.devmason(
        &away,
        &["step", "-b", &build, "test", "--wait", "60", "--", "sh", "-c", "cat go-on; exit 1"],
    );
    let step = step.env("DEVMASON_SPOOL_BYTES", "10").stderr(Stdio::null());
    let mut step = step.spawn().unwrap();
    until("the step has begun", || !steps_begun(&home, &build).is_empty());
    let begun = steps_begun(&home, &build);
    std::fs::write(&pipe, "").unwrap();
    // Once the command has ended, its mark is replaced by that of the data in memory.
    until(
        "the step is in memory",
        || matches!(steps_begun(&home, &build).as_slice(), [mark] if *mark != begun[0]),
    );
    step.kill().unwrap();
    step.wait().unwrap();
    about["server"] = format!("http://{at}").into();
    std::fs::write(spooled(&home, &build).join("about.json"), about.to_string()).unwrap();
    assert_eq!(code(&home.run(at, &["end", "-b", &build])), 0);
    assert_eq!(server.get("/pony/builds/memory")["success"], false);
    // An explicit result takes precedence.
    let build = out(&home.run(at, &["begin", "--id", "said"])).trim().to_owned();
    home.run(at, &["report", "-b", &build, "broken.xml"]);
    assert_eq!(code(&home.run(at, &["end", "-b", &build, "--success"])), 0);
    assert_eq!(server.get("/pony/builds/said")["success"], true);
}

#[test]
fn what_is_in_memory_when_the_build_is_refused_goes_nowhere() {
    let (owner, home, database) = (Home::new(), Home::new(), database());
    let address = nobody();
    let server = Server::at(&address, &database);
    assert_eq!(code(&owner.run(&address, &["begin", "--id", "7"])), 0);
    drop(server);
    // The build itself fits into the spool, but its output does not.
    let script = "head -c 100000 /dev/zero | tr '\\0' x; touch written; exit 3";
    let mut run =
        home.devmason(&address, &["run", "--id", "7", "--wait", "30", "--", "sh", "-c", script]);
    let run = run.env("DEVMASON_SPOOL_BYTES", "5000").stderr(Stdio::piped()).stdout(Stdio::null());
    let child = run.spawn().unwrap();
    // That the client waits for room cannot be seen, but there is nothing else that it could do.
    until("the output is written", || home.path().join("written").exists());
    until("the build is queued", || home.waiting() == 1);
    let server = Server::at(&address, &database);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 3);
    assert!(err(&output).contains("refused: "), "{}", err(&output));
    let build = server.build();
    assert_eq!((&build["state"], &build["results"]), (&"running".into(), &serde_json::json!([])));
}

/// Writes a private file, as the command does.
fn plant(path: &Path, text: &str) {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn what_somebody_planted_in_the_spool_is_neither_sent_nor_followed() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    let run = |arguments: &[&str]| {
        let mut run = home.devmason(at, arguments);
        run.env("DEVMASON_USER", "ann").env("DEVMASON_PASSWORD", "secret").output().unwrap()
    };
    assert_eq!(code(&run(&["project", "create", "mine"])), 0);
    let build = out(&run(&["begin", "-p", "mine", "--id", "1"])).trim().to_owned();
    let spool = spooled(&home, &build);
    for (nth, target) in ["/mine", "/mine/builds/1", "/mine/builds/2/progress"].iter().enumerate() {
        let head = serde_json::json!({
            "method": "DELETE", "target": target, "key": null, "media_type": "application/json",
        });
        plant(&spool.join(format!("{:012}.entry", 900 + nth)), &format!("{head}\n{{}}"));
    }
    let flush = run(&["flush"]);
    assert_eq!((code(&flush), home.waiting()), (1, 3), "{}", err(&flush));
    assert!(err(&flush).contains("does not belong to this build"), "{}", err(&flush));
    assert_eq!(server.get("/mine/builds/1")["state"], "running");
    // Links.
    let victim = home.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    for name in ["number.lock", "send.lock", "last"] {
        let _ = std::fs::remove_file(spool.join(name));
        symlink(&victim, spool.join(name)).unwrap();
    }
    let step = run(&["step", "-b", &build, "s", "--", "sh", "-c", "exit 4"]);
    assert_eq!(code(&step), 4);
    assert!(err(&step).contains("a symbolic link"), "{}", err(&step));
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    // A spool that others can write to.
    let root = spool.parent().unwrap();
    std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o777)).unwrap();
    let report = run(&["run", "-p", "mine", "--", "true"]);
    assert_eq!(code(&report), 0);
    assert!(err(&report).contains("writable by other users"), "{}", err(&report));
    assert_eq!(code(&run(&["flush"])), 1);
}

#[test]
fn a_step_that_the_server_has_though_it_forgot_its_key_is_not_sent_again() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    let build = out(&home.run(at, &["begin", "--id", "1"])).trim().to_owned();
    let spool = spooled(&home, &build);
    assert_eq!(code(&home.run(at, &["step", "-b", &build, "one"])), 0);
    let steps = |count: usize| {
        let results = server.get("/pony/builds/1")["results"].clone();
        assert_eq!(results.as_array().unwrap().len(), count, "{results}");
    };
    steps(1);
    // As after an attempt two days ago whose response was lost: the same bytes are the same step.
    let again = |nth: u32, media_type: &str, body: &str| {
        let head = serde_json::json!({
            "method": "POST", "target": "/pony/builds/1/progress?name=r", "key": format!("forgotten {nth}"),
            "media_type": media_type,
        });
        plant(&spool.join(format!("{nth:012}.entry")), &format!("{head}\n{body}"));
        let tried = spool.join(format!("{nth:012}.tried"));
        let touched = Command::new("touch").args(["-d", "2 days ago"]).arg(tried).status();
        assert!(touched.unwrap().success());
        assert_eq!(code(&home.run(at, &["flush"])), 0);
        assert_eq!(home.waiting(), 0);
    };
    let step = r#"{"name":"two","success":true}"#;
    again(900, "application/json", step);
    steps(2);
    again(901, "application/json", step);
    steps(2);
    let report =
        |status: &str| format!(r#"<testsuite><testcase name="t">{status}</testcase></testsuite>"#);
    again(902, "application/octet-stream", &report(""));
    again(903, "application/octet-stream", &report(""));
    steps(3);
    // The same name, but a different report.
    again(904, "application/octet-stream", &report("<failure/>"));
    steps(4);
}

#[test]
fn what_somebody_reported_is_sent_as_theirs_alone() {
    let (home, database, address) = (Home::new(), database(), nobody());
    let run = |user: &str, arguments: &[&str]| {
        let mut run = home.devmason(&address, arguments);
        let run = run.env("DEVMASON_USER", user).env("DEVMASON_PASSWORD", format!("{user}-pw"));
        run.output().unwrap()
    };
    assert_eq!(code(&run("alice", &["run", "--id", "hers", "--", "true"])), 0);
    let server = Server::at(&address, &database);
    assert_eq!(code(&run("bob", &["run", "--id", "his", "--", "true"])), 0);
    assert_eq!(home.waiting(), 3);
    assert_eq!(code(&run("alice", &["flush"])), 0);
    for (id, user) in [("hers", "alice"), ("his", "bob")] {
        let build = server.get(&format!("/pony/builds/{id}"));
        let links = build["links"].as_array().unwrap();
        let by = links.iter().find(|link| link["rel"] == "user").unwrap();
        assert!(by["href"].as_str().unwrap().ends_with(user), "{by}");
    }
}

#[test]
fn what_whoever_reads_slowly_has_not_read_yet_is_neither_lost_nor_unreported() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let run = home.devmason(&server.address, &[]);
    let program = env!("CARGO_BIN_EXE_devmason");
    let script = format!("{program} run -- seq 1 22000 | (sleep 5; wc -c)");
    let mut shell = Command::new("sh");
    shell.env_clear().envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = shell.args(["-c", &script]).current_dir(home.path()).output().unwrap();
    assert_eq!(out(&output).trim(), "120894", "{}", err(&output));
    let build = server.build();
    let reported: usize = build["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["output"].as_str().unwrap().len())
        .sum();
    assert_eq!(reported, 120_894);
}

#[test]
fn what_a_command_leaves_running_keeps_nobody_waiting() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let mut run = home.devmason(&server.address, &["run", "--", "sh", "-c", "yes & exit 3"]);
    let output = run.stdout(Stdio::null()).output().unwrap();
    assert_eq!(code(&output), 3, "{}", err(&output));
    // On a busy machine some are still unsent; they are sent now.
    assert!(home.devmason(&server.address, &["flush"]).status().unwrap().success());
    assert_eq!(server.build()["success"], false);
}

#[test]
fn whatever_is_said_of_a_report_its_command_runs_as_without() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    for wait in ["DEVMASON_WAIT", "DEVMASON_INTERVAL"] {
        let mut run = home.devmason(&server.address, &["run", "--", "sh", "-c", "exit 5"]);
        assert_eq!(code(&run.env(wait, u64::MAX.to_string()).output().unwrap()), 5, "{wait}");
    }
    let script = home.path().join("script");
    std::fs::write(&script, "echo $1; exit 6\n").unwrap();
    assert!(Command::new("chmod").arg("+x").arg(&script).status().unwrap().success());
    for report in [true, false] {
        let mut run = home.devmason(&server.address, &["run", "--", "./script", "of a shell"]);
        run.env("DEVMASON_PROJECT", if report { "pony" } else { "" });
        let output = run.output().unwrap();
        assert_eq!((code(&output), out(&output).as_str()), (6, "of a shell\n"), "{}", err(&output));
    }
    // A branch name may be an invalid tag.
    let mut run =
        home.devmason(&server.address, &["run", "-t", "{branch}", "-t", "ci", "--", "true"]);
    run.env("GITHUB_ACTIONS", "true").env("GITHUB_REF_NAME", "a,b;c");
    let output = run.output().unwrap();
    assert!(
        err(&output).contains("' ignored: ") && err(&output).contains("reported to"),
        "{}",
        err(&output)
    );
    assert_eq!(server.builds()[0]["tags"], serde_json::json!(["ci"]));
}

#[test]
fn a_signal_that_is_ignored_is_ignored_by_the_command_too() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let run = home.devmason(&server.address, &[]);
    let program = env!("CARGO_BIN_EXE_devmason");
    let script = format!("trap '' HUP; exec {program} run -- sh -c 'kill -HUP $$; exit 4'");
    let mut shell = Command::new("sh");
    shell.env_clear().envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = shell.args(["-c", &script]).current_dir(home.path()).output().unwrap();
    assert_eq!(code(&output), 4, "{}", err(&output));
}

#[test]
fn who_waits_for_a_report_may_be_stopped() {
    use std::os::unix::process::ExitStatusExt;
    let home = Home::new();
    let mut run = home.devmason(&nobody(), &["run", "--wait", "600", "--", "true"]);
    let mut child = run.stderr(Stdio::null()).spawn().unwrap();
    until("everything is queued", || home.waiting() >= 3);
    devmason_test_support::signal("-TERM", &[child.id()]);
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    assert_eq!(home.waiting(), 3);
}

#[test]
fn a_project_that_was_to_be_registered_is_when_the_report_is_sent() {
    let (home, database, address) = (Home::new(), database(), nobody());
    assert_eq!(code(&home.run(&address, &["run", "-p", "okapi", "--create", "--", "true"])), 0);
    let server = Server::at(&address, &database);
    assert_eq!(code(&home.run(&address, &["flush"])), 0);
    assert_eq!(server.get("/okapi/builds")["count"], 1);
}
