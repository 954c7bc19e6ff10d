//! What is shown of builds, and what reaches the terminal.

use crate::*;

#[test]
fn builds_are_listed_by_their_tags_and_over_all_pages() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    for nth in 0..103 {
        let tags: &[&str] =
            if nth % 50 == 0 { &["-t", "a,\"b", "-t", "arm"] } else { &["-t", "arm"] };
        let id = nth.to_string();
        let begin = [&["begin", "--id", id.as_str()], tags].concat();
        assert_eq!(code(&home.run(at, &begin)), 0);
    }
    let listed = |arguments: &[&str]| {
        let output = home.run(at, &[&["builds"], arguments].concat());
        assert_eq!(code(&output), 0, "{arguments:?}: {}", err(&output));
        out(&output).lines().count()
    };
    assert_eq!(listed(&[]), 20);
    assert_eq!(listed(&["-n", "200"]), 103);
    assert_eq!(listed(&["-n", "101"]), 101);
    assert_eq!(listed(&["-t", "arm", "-t", "b\""]), 0);
    assert_eq!(listed(&["-n", "200", "-t", "arm"]), 103);
    assert_eq!(listed(&["-n", "200", "-t", "none"]), 0);
    // Tags in the environment apply to new builds.
    let mut builds = home.devmason(at, &["builds", "-n", "2"]);
    assert_eq!(out(&builds.env("DEVMASON_TAGS", "none").output().unwrap()).lines().count(), 2);
}

#[test]
fn builds_steps_tests_and_tags_are_shown() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    std::fs::write(home.path().join("junit.xml"), JUNIT).unwrap();
    home.run(at, &["report", "-t", "linux", "--id", "1", "junit.xml"]);
    home.run(at, &["run", "--id", "2", "-t", "arm", "--", "echo", "hello"]);
    let show = |arguments: &[&str]| {
        let output = home.run(at, arguments);
        assert_eq!(code(&output), 0, "{arguments:?}: {}", err(&output));
        out(&output)
    };
    let builds = show(&["builds"]);
    assert!(builds.starts_with("success  2 ") && builds.contains("failure  1 "), "{builds}");
    assert_eq!(show(&["builds", "--where", "success:false"]).lines().count(), 1);
    assert!(show(&["show", "--output"]).contains("hello"));
    assert!(
        show(&["tests", "1", "--failed"]).starts_with("failed   a::y  (unknown)\n         no\n")
    );
    assert_eq!(show(&["tags"]), "arm\nlinux\n");
    let json: Value = serde_json::from_str(&show(&["show", "1", "--json"])).unwrap();
    assert_eq!(json["id"], "1");
    assert_eq!(show(&["wait", "2"]), "success\n");
    assert_eq!(code(&home.run(at, &["wait", "1"])), 1);
    assert_eq!(code(&home.run(at, &["wait", "3"])), 2);
    assert_eq!(code(&home.run(at, &["show", "3"])), 2);
    assert!(show(&["status"]).contains("queued: 0 requests"));
    server.get("/pony");
    drop(server);
    assert_eq!(code(&home.run("127.0.0.1:1", &["builds"])), 3);
}

/// Control sequences, in every field that can be reported.
#[test]
fn nothing_that_others_reported_reaches_the_terminal_but_colours_of_outputs() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    let bad = "x\u{1b}]0;t\u{7}\u{8}\u{7f}\u{9b}31m\u{1b}[2J\u{202e}y";
    let build = serde_json::json!({
        "success": false,
        "results": [{
            "name": bad, "success": false, "output": format!("\u{1b}[31mred\n{bad}"),
            "tests": [{"suite": bad, "name": bad, "status": "failed",
                       "failure": {"type": "", "message": format!("{bad}\n{bad}"), "text": ""}}],
        }],
    });
    let put = Request::new(at, "PUT", "/pony/builds/1").json(build.to_string()).send();
    assert_eq!(put.status, 201, "{}", put.text());
    let is_clean = |text: &str| {
        !text
            .chars()
            .any(|c| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c))
    };
    for arguments in [
        &["show", "1", "--output"][..],
        &["show", "1", "--json"],
        &["tests", "1"],
        &["builds"],
        &["show", bad],
        &["builds", "--where", bad],
        &["report", bad],
    ] {
        let output = home.run(at, arguments);
        let (out, err) = (out(&output), err(&output));
        assert!(is_clean(&out) && is_clean(&err), "{arguments:?}: {out:?} {err:?}");
        assert!(!(out.is_empty() && err.is_empty()), "{arguments:?}");
    }
    let json: Value = serde_json::from_str(&out(&home.run(at, &["show", "1", "--json"]))).unwrap();
    assert_eq!(json["results"][0]["name"], bad);
    let evil = fake(|mut stream| {
        read_request(&mut stream);
        let body = r#"{"status_code":400,"message":"no\u001b]0;t\u0007\ndevmason: reported to x"}"#;
        let head = format!("HTTP/1.1 400 Bad\r\nContent-Length: {}\r\n\r\n", body.len());
        let _ = stream.write_all(format!("{head}{body}").as_bytes());
    });
    for arguments in [&["status"][..], &["builds"], &["run", "--", "true"]] {
        let output = home.run(&evil, arguments);
        let (out, err) = (out(&output), err(&output));
        assert!(is_clean(&out) && is_clean(&err), "{arguments:?}: {out:?} {err:?}");
        assert!(!err.contains("\ndevmason: reported to x"), "{err}");
    }
    // On a terminal, colours of outputs are kept, and reset at their end.
    let show = home.devmason(at, &[]);
    let program = format!("{} show 1 --output", env!("CARGO_BIN_EXE_devmason"));
    let mut terminal = Command::new("script");
    terminal.env_clear().envs(show.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let seen = terminal.args(["-qec", &program, "/dev/null"]).output().unwrap();
    let seen = out(&seen);
    assert!(seen.contains("\u{1b}[31mred\r\n") && seen.contains("\u{1b}[0m"), "{seen:?}");
    assert!(!seen.contains("\u{1b}]0;") && !seen.contains("\u{1b}[2J"), "{seen:?}");
}

#[test]
fn a_build_that_runs_is_waited_for() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    let name = out(&home.run(at, &["begin", "--id", "b"])).trim().to_owned();
    let mut wait = home.devmason(at, &["wait", "b"]);
    let child = wait.stdout(Stdio::piped()).spawn().unwrap();
    home.run(at, &["end", "-b", &name]);
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), out(&output).as_str()), (0, "success\n"));
    home.run(at, &["begin", "--id", "c"]);
    assert_eq!(code(&home.run(at, &["wait", "c", "--timeout", "0"])), 3);
}
