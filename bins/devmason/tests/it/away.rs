//! The server is away, or it or the network fails in any way: nothing is lost, and nothing is stored
//! twice.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::*;

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
    // The build, its step, what that wrote, its end and the build's.
    assert_eq!(home.waiting(), 5);
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
                assert_eq!(home.waiting(), 5, "{trouble}");
                let flush = home.devmason(&address, &["flush"]).env("DEVMASON_WAIT", "1").spawn();
                let mut flush = flush.unwrap();
                if !trouble.contains("nothing") && trouble != "silence" {
                    assert_eq!(flush.wait().unwrap().code(), Some(3), "{trouble}");
                }
                let _ = flush.kill();
                let _ = flush.wait();
                assert_eq!(home.waiting(), 5, "{trouble}");
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
    assert_eq!(build["success"], false);
    let log = format!("/pony/builds/{}/steps/0/log", build["id"].as_str().unwrap());
    let log = Request::new(&server.address, "GET", &log).send();
    let (zeros, text) = (log.body.iter().filter(|byte| **byte == 0).count(), log.body.len());
    assert_eq!((text, zeros), (93_000_000, 3_000_000));
    assert!(log.body.starts_with(b"0123456789abcdef\n") && log.body.ends_with(b"\0"));
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
    assert_eq!(home.waiting(), 4);
    assert_eq!(server.build()["id"], "good");
}

#[test]
fn who_waits_for_a_report_may_be_stopped() {
    use std::os::unix::process::ExitStatusExt;
    let home = Home::new();
    let mut run = home.devmason(&nobody(), &["run", "--wait", "600", "--", "true"]);
    let mut child = run.stderr(Stdio::null()).spawn().unwrap();
    until("everything is queued", || home.waiting() >= 4);
    devmason_test_support::signal("-TERM", &[child.id()]);
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    assert_eq!(home.waiting(), 4);
}

#[test]
fn a_project_that_was_to_be_registered_is_when_the_report_is_sent() {
    let (home, database, address) = (Home::new(), database(), nobody());
    assert_eq!(code(&home.run(&address, &["run", "-p", "okapi", "--create", "--", "true"])), 0);
    let server = Server::at(&address, &database);
    assert_eq!(code(&home.run(&address, &["flush"])), 0);
    assert_eq!(server.get("/okapi/builds")["count"], 1);
}
