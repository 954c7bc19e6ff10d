//! The other commands.

use std::os::unix::fs::PermissionsExt;

use super::*;

const JUNIT: &str = r#"<testsuite name="s" tests="2"><testcase classname="a" name="x"/><testcase classname="a" name="y"><failure message="no"/></testcase></testsuite>"#;

#[test]
fn a_build_of_several_steps_is_begun_added_to_and_ended() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    std::fs::write(home.path().join("junit.xml"), JUNIT).unwrap();
    let begun = home.run(at, &["begin", "-t", "nightly"]);
    let name = out(&begun).trim().to_owned();
    let step = |arguments: &[&str]| {
        let output = home.devmason(at, arguments).env("DEVMASON_BUILD", &name).output().unwrap();
        code(&output)
    };
    assert_eq!(server.build()["id"], name.as_str());
    assert_eq!(step(&["step", "compile", "--", "sh", "-c", "echo done"]), 0);
    assert_eq!(step(&["step", "lint", "--", "false"]), 1);
    assert_eq!(step(&["step", "pack", "--failed", "--output", "junit.xml"]), 0);
    assert_eq!(step(&["report", "junit.xml"]), 0);
    assert_eq!(server.build()["state"], "running");
    assert_eq!(step(&["end", "--success"]), 0);
    let build = server.build();
    let names: Vec<_> = build["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["compile", "lint", "pack", "junit.xml"]);
    assert_eq!((&build["success"], &build["tests"]["failed"]), (&true.into(), &1.into()));
    // The build has ended: this client no longer knows it.
    assert_eq!(step(&["step", "late", "--", "sh", "-c", "exit 8"]), 8);
    assert_eq!(server.build()["results"].as_array().unwrap().len(), 4);
}

#[test]
fn builds_of_two_projects_that_have_one_id_are_told_apart() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    for project in ["pony", "zebra"] {
        assert_eq!(code(&home.run(at, &["--create", "begin", "-p", project, "--id", "1"])), 0);
    }
    for (project, step) in [("pony", "a"), ("zebra", "b")] {
        assert_eq!(code(&home.run(at, &["step", "-p", project, "-b", "1", step])), 0);
        let steps = server.get(&format!("/{project}/builds/1"))["results"].clone();
        assert_eq!((steps.as_array().unwrap().len(), &steps[0]["name"]), (1, &step.into()));
    }
}

#[test]
fn steps_of_scripts_without_a_server_are_sent_later_in_order() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = server.address.clone();
    drop(server);
    let name = out(&home.run(&at, &["begin"])).trim().to_owned();
    for step in ["a", "b"] {
        assert_eq!(code(&home.run(&at, &["step", "-b", &name, step])), 0);
    }
    assert_eq!(code(&home.run(&at, &["--strict", "end", "-b", &name])), 3);
    let server = Server::at(&at, &database);
    assert_eq!(code(&home.run(&at, &["flush"])), 0);
    let build = server.build();
    assert_eq!((&build["results"][1]["name"], &build["state"]), (&"b".into(), &"finished".into()));
}

#[test]
fn report_files_are_sent_by_path_pattern_and_standard_input_and_their_receipt_is_shown() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    std::fs::create_dir(home.path().join("out")).unwrap();
    for name in ["out/a.xml", "out/b.xml", "out/odd[1].xml"] {
        std::fs::write(home.path().join(name), JUNIT.replace("tests=\"2\"", "tests=\"3\""))
            .unwrap();
    }
    let checked = home.run(at, &["report", "--check", "out/*.xml"]);
    assert!(out(&checked).contains("out/a.xml: junit, 1 passed, 1 failed"), "{}", out(&checked));
    assert_eq!((code(&checked), server.builds().len()), (0, 0));

    let output = home.run(at, &["report", "-t", "unit", "out/?.xml", "out/odd[1].xml"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(
        out(&output).contains("out/b.xml: junit, 1 passed, 1 failed\n  odd: line 1: "),
        "{}",
        out(&output)
    );
    let build = server.build();
    assert_eq!((&build["tests"]["total"], &build["tags"][0]), (&6.into(), &"unit".into()));
    assert_eq!(build["results"][2]["name"], "out/odd[1].xml");

    let mut report = home.devmason(at, &["report", "--json", "--id", "17", "-"]);
    let mut child =
        report.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"1..1\nok 1 - a\n").unwrap();
    let receipt: Value = serde_json::from_str(&out(&child.wait_with_output().unwrap())).unwrap();
    assert_eq!(
        (&receipt["uploads"][0]["format"], &receipt["uploads"][0]["tests"]["passed"]),
        (&"tap".into(), &1.into())
    );
    assert_eq!(server.get("/pony/builds/17")["tests"]["total"], 1);
    assert_eq!(code(&home.run(at, &["report", "none/*.xml"])), 2);
}

/// An Allure test result.
fn allure(name: &str, status: &str) -> String {
    format!(
        r#"{{"uuid":"{name}","historyId":"{name}","name":"{name}","status":"{status}","stage":"finished","start":1,"stop":2}}"#
    )
}

#[test]
fn a_check_says_what_the_receipt_will_and_sends_nothing() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
    std::fs::create_dir(home.path().join("results")).unwrap();
    write("results/a-result.json", &allure("adds", "passed"));
    write("results/b-result.json", &allure("removes", "failed"));
    write("results/b-attachment.txt", "a picture");
    write("a.xml", &JUNIT.replace("tests=\"2\"", "tests=\"3\""));
    write("cut.xml", "<testsuite name='s'><testcase name='a'/>\n<testc");
    write("notes.txt", "hello");

    let checked = home.run(at, &["report", "--check", "a.xml", "results", "cut.xml"]);
    let text = out(&checked);
    for line in [
        "a.xml: junit, 1 passed, 1 failed\n  odd: line 1: the suite",
        "results: allure, 1 passed, 1 failed\n  dropped: 1 other files, such as attachments",
        "cut.xml: junit, 1 passed\n  verdict: line 2: the file is truncated",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert_eq!((code(&checked), server.builds().len()), (0, 0));
    let checked = home.run(at, &["report", "--check", "--json", "results", "notes.txt"]);
    let receipt: Value = serde_json::from_str(&out(&checked)).unwrap();
    let uploads = receipt["uploads"].as_array().unwrap();
    assert_eq!((&uploads[0]["files"], &uploads[0]["tests"]["failed"]), (&2.into(), &1.into()));
    assert!(
        uploads[1]["notes"][0]["text"].as_str().unwrap().contains("not a report in a supported")
    );
    assert_eq!((code(&checked), server.builds().len()), (1, 0));

    // The report matches the check.
    let sent = home.run(at, &["report", "--id", "1", "a.xml", "results", "cut.xml"]);
    assert!(out(&sent).contains("results: allure, 1 passed, 1 failed"), "{}", out(&sent));
    assert_eq!(server.get("/pony/builds/1")["tests"]["total"], 5);
    let alone = home.run(at, &["report", "--id", "2", "results"]);
    assert_eq!(code(&alone), 0, "{}", err(&alone));
    assert_eq!(server.get("/pony/builds/2")["tests"]["total"], 2);
    let run = [
        "run",
        "--id",
        "3",
        "--report",
        "fresh",
        "--report",
        "notes.txt",
        "--report",
        "*.xml",
        "--",
        "sh",
        "-c",
    ];
    let script = "mkdir fresh; cp results/a-result.json fresh; echo hello > notes.txt; \
                  cp a.xml b.xml; cp cut.xml half.xml";
    let run = home.run(at, &[run.as_slice(), &[script]].concat());
    assert_eq!(code(&run), 0, "{}", err(&run));
    let build = server.get("/pony/builds/3");
    assert_eq!(
        (&build["tests"]["total"], &build["success"]),
        (&7.into(), &false.into()),
        "{}",
        err(&run)
    );
    let receipt = server.get("/pony/builds/3/receipt").to_string();
    for words in ["notes.txt", "not a report in a supported format", "the file is truncated"] {
        assert!(receipt.contains(words), "{words}: {receipt}");
    }
    // Named one by one, they count as their folder.
    let checked = home.run(at, &["report", "--check", "results/*", "a.xml"]);
    assert_eq!(code(&checked), 0, "{}", err(&checked));
    for line in ["results: allure, 1 passed, 1 failed", "a.xml: junit, 1 passed, 1 failed"] {
        assert!(out(&checked).contains(line), "{line}: {}", out(&checked));
    }
    // A truncated archive and an empty report are left by tests that were killed.
    for (id, script) in [("5", "printf 'PK\\003\\004cut' > cut.zip"), ("6", ": > cut.zip")] {
        let run = ["run", "--id", id, "--report", "a*.xml", "--report", "cut.zip"];
        let run = home.run(at, &[run.as_slice(), &["--", "sh", "-c", script]].concat());
        assert_eq!(code(&run), 0, "{}", err(&run));
        let build = server.get(&format!("/pony/builds/{id}"));
        assert_eq!(build["success"], false, "{build}");
        assert!(build["results"].to_string().contains("cut.zip"), "{build}");
    }
    // If no file is a report, only the command counts.
    let run =
        ["run", "--id", "4", "--report", "notes.txt", "--", "sh", "-c", "echo hi > notes.txt"];
    let run = home.run(at, &run);
    assert!(err(&run).contains("notes.txt: skipped: "), "{}", err(&run));
    assert_eq!(server.get("/pony/builds/4")["success"], true);
}

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
fn what_a_mistyped_project_leaves_is_said_at_once_listed_and_dropped() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    let script = "while ! grep -q 'project not found' said; do sleep 0.1; done";
    let said = std::fs::File::create(home.path().join("said")).unwrap();
    let mut run = home.devmason(at, &["run", "-p", "ponny", "--id", "1", "--", "sh", "-c", script]);
    // The message must appear while the command runs, as the script waits for it.
    assert_eq!(run.stderr(said).status().unwrap().code(), Some(0));
    home.run(at, &["run", "-p", "ponny", "--id", "2", "--", "true"]);
    let listed = out(&home.run(at, &["queue", "list"]));
    assert!(listed.starts_with(&format!("http://{at}/ponny/builds/1: 3 requests")), "{listed}");
    let status: Value = serde_json::from_str(&out(&home.run(at, &["status", "--json"]))).unwrap();
    assert_eq!(
        (&status["queue"][1]["build"], &status["server"]["url"]),
        (&"2".into(), &format!("http://{at}").into())
    );
    assert_eq!(code(&home.run(at, &["queue", "drop", "1", "3"])), 2);
    assert_eq!(code(&home.run(at, &["queue", "drop", "1"])), 0);
    let listed: Value =
        serde_json::from_str(&out(&home.run(at, &["queue", "list", "--json"]))).unwrap();
    assert_eq!(listed["queue"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(code(&home.run(at, &["queue", "drop", "--all"])), 0);
    let output = home.run(at, &["run", "--id", "3", "--", "true"]);
    assert!(!err(&output).contains("ponny"), "{}", err(&output));
}

#[test]
fn a_project_is_not_deleted_unless_that_is_said() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    let run = |arguments: &[&str]| {
        let mut command = home.devmason(at, arguments);
        command.env("DEVMASON_USER", "ann").env("DEVMASON_PASSWORD", "ann-pw").output().unwrap()
    };
    assert_eq!(code(&run(&["project", "create", "anns"])), 0);
    let refused = run(&["project", "delete", "anns"]);
    assert_eq!(code(&refused), 2);
    assert!(err(&refused).contains("--yes"), "{}", err(&refused));
    assert_eq!(server.get("/anns")["name"], "anns");
    assert_eq!(code(&run(&["project", "delete", "--yes", "anns"])), 0);
    assert_eq!(code(&run(&["project", "delete", "--yes", "anns"])), 1);
}

#[test]
fn a_user_without_a_password_is_not_anonymous_unnoticed() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let run = |password: &str| {
        let mut command = home.devmason(&server.address, &["run", "--", "true"]);
        let command = command.env("DEVMASON_USER", "ann").env("DEVMASON_PASSWORD", password);
        err(&command.output().unwrap())
    };
    let said = run("");
    assert_eq!(said.matches("no password for 'ann'").count(), 1, "{said}");
    assert!(!run("ann-pw").contains("no password"));
}

#[test]
fn a_wrong_password_is_not_kept() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    let login = |password: &str| {
        let mut login = home.devmason(at, &["login", "ann"]);
        let login = login.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = login.spawn().unwrap();
        child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let first = login("right");
    assert!(err(&first).contains("user 'ann' does not exist yet"), "{}", err(&first));
    assert_eq!(code(&home.run(at, &["project", "create", "anns"])), 0);
    assert_eq!(code(&login("wrong")), 1);
    assert!(out(&home.run(at, &["status"])).contains("\nuser: ann\n"));
    assert_eq!(code(&home.run(at, &["project", "update", "anns", "--name", "Ann's"])), 0);
    let away = server.address.clone();
    drop(server);
    let mut login = home.devmason(&away, &["login", "ann"]);
    let mut child = login.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"other").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(err(&output).contains("could not verify the password"), "{}", err(&output));
    assert_eq!(code(&output), 0);
}

#[test]
fn a_script_of_completions_that_nobody_reads_to_its_end_is_no_failure() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let mut completions = home.devmason(&server.address, &["completions", "bash"]);
    let mut child = completions.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), err(&output)), (0, String::new()));
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
    assert!(show(&["tests", "1", "--failed"]).starts_with("failed   a::y\n         no\n"));
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

#[test]
fn credentials_are_kept_for_their_owner_alone_and_never_shown() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    let mut login = home.devmason(at, &["login", "ann"]);
    let mut child = login.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"swordfish\n").unwrap();
    assert_eq!(code(&child.wait_with_output().unwrap()), 0);
    let path = home.path().join(".config/devmason/credentials.toml");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    home.run(at, &["project", "create", "mine"]);
    assert_eq!(server.get("/mine")["owner"], "ann");
    home.run(at, &["run", "--", "true"]);
    let build = server.build();
    assert!(build["links"].as_array().unwrap().iter().any(|link| link["rel"] == "user"), "{build}");

    let wrong = home
        .devmason(at, &["project", "delete", "--yes", "mine"])
        .env("DEVMASON_USER", "bob")
        .env("DEVMASON_PASSWORD", "tuna")
        .output()
        .unwrap();
    assert_eq!(code(&wrong), 1);
    assert!(!err(&wrong).contains("tuna"), "{}", err(&wrong));
    assert_eq!(code(&home.run(at, &["project", "update", "mine", "--name", "Mine"])), 0);
    assert_eq!(code(&home.run(at, &["project", "delete", "--yes", "mine"])), 0);

    // A link in place of the file is neither read nor written through.
    let elsewhere = home.path().join("elsewhere");
    std::fs::rename(&path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    let kept = std::fs::read(&elsewhere).unwrap();
    let mut login = home.devmason(at, &["login", "bob"]);
    let mut child = login.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"tuna\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("a symbolic link"), "{}", err(&output));
    assert_eq!(std::fs::read(&elsewhere).unwrap(), kept);
    std::fs::rename(&elsewhere, &path).unwrap();

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = home.run(at, &["builds"]);
    assert_eq!(code(&open), 2);
    assert!(
        err(&open).contains("chmod 600") && !err(&open).contains("swordfish"),
        "{}",
        err(&open)
    );
}

#[test]
fn a_flag_goes_before_a_variable_and_both_before_files() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    let config = home.path().join(".config/devmason");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(
        config.join("config.toml"),
        format!("server = \"http://{at}\"\nproject = \"nowhere\"\ntags = [\"user\"]\n"),
    )
    .unwrap();
    std::fs::write(
        home.path().join(".devmason.toml"),
        "project = \"pony\"\ntags = [\"file-{os}\", \"{commit}\"]\n",
    )
    .unwrap();
    let mut run = home.devmason(at, &["run", "--", "true"]);
    run.env_remove("DEVMASON_SERVER_URL").env_remove("DEVMASON_PROJECT");
    assert_eq!(code(&run.output().unwrap()), 0);
    assert_eq!(server.build()["tags"], serde_json::json!(["file-linux"]));
    home.devmason(at, &["run", "--", "true"]).env("DEVMASON_TAGS", "a,b").output().unwrap();
    assert_eq!(server.builds()[0]["tags"], serde_json::json!(["a", "b"]));
    home.devmason(at, &["run", "-t", "c", "--", "true"])
        .env("DEVMASON_TAGS", "a,b")
        .output()
        .unwrap();
    assert_eq!(server.builds()[0]["tags"], serde_json::json!(["c"]));
    // A checkout from someone else must not decide where the password goes.
    std::fs::write(home.path().join(".devmason.toml"), "server = \"http://evil.example.org\"\n")
        .unwrap();
    let refused = home.run(at, &["builds"]);
    assert_eq!(code(&refused), 2);
    assert!(err(&refused).contains(".devmason.toml: unknown field `server`"), "{}", err(&refused));
}

#[test]
fn completions_and_manual_pages_are_written() {
    let home = Home::new();
    let completions = home.run("127.0.0.1:1", &["completions", "bash"]);
    assert!(out(&completions).contains("complete -F _devmason"));
    std::fs::create_dir(home.path().join("man")).unwrap();
    assert_eq!(code(&home.run("127.0.0.1:1", &["man", "man"])), 0);
    assert!(
        home.path().join("man/devmason.1").exists()
            && home.path().join("man/devmason-run.1").exists()
    );
}
