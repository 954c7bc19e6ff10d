//! The gate: what it prints, and how it ends.

use crate::*;

/// Reports a build of two tests with these members of its client record.
fn report(at: &str, id: &str, client: &str, bad: &[&str]) {
    let case = |name: &str| match bad.contains(&name) {
        true => {
            format!(r#"<testcase classname="a" name="{name}"><failure message="no"/></testcase>"#)
        }
        false => format!(r#"<testcase classname="a" name="{name}"/>"#),
    };
    let file = format!("<testsuite>{}{}</testsuite>", case("x"), case("y"));
    let path = format!("/pony/builds/{id}?{client}&report=junit");
    let sent = Request::new(at, "PUT", &path)
        .header("Content-Type", "application/xml")
        .body(file.as_bytes())
        .send();
    assert_eq!(sent.status, 201);
}

#[test]
fn a_gate_passes_what_the_mainline_broke_and_fails_what_the_change_did() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    report(at, "m1", "client.branch=main", &[]);
    report(at, "m2", "client.branch=main", &["x"]);
    report(at, "f1", "client.branch=f", &["x"]);
    report(at, "f2", "client.branch=f", &["x", "y"]);
    let gate = |arguments: &[&str]| {
        let output = home.run(at, &[&["gate"], arguments].concat());
        (code(&output), out(&output), err(&output))
    };
    let (passed, said, _) = gate(&["f1"]);
    assert_eq!(passed, 0, "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "gate: pass");
    assert_eq!(lines[1], "failing  a::x  no");
    assert!(lines[2].ends_with("/pony/builds/f1/insight"), "{said}");
    let (failed, said, _) = gate(&["f2"]);
    assert_eq!(failed, 1);
    assert!(
        said.starts_with("gate: fail: 1 failure is new since m2 of main\nnew      a::y  no\n"),
        "{said}"
    );
    // Another baseline, other rules.
    assert_eq!(gate(&["f1", "--baseline", "build:m1"]).0, 1);
    assert_eq!(gate(&["f2", "--rules", "new:1"]).0, 0);
    assert_eq!(gate(&["f1", "--rules", "failing:0"]).0, 1);
    // For programs and for comments.
    let document: Value = serde_json::from_str(&gate(&["f2", "--format", "json"]).1).unwrap();
    assert_eq!(document["gate"]["verdict"], "fail");
    let markdown = gate(&["f2", "--format", "markdown"]).1;
    assert!(markdown.contains("| new | a::y | no |"), "{markdown}");
    // What is shown of a build begins with it.
    let shown = out(&home.run(at, &["show", "f2"]));
    assert!(shown.starts_with("gate: fail: 1 failure is new"), "{shown}");
    let shown_of_main = out(&home.run(at, &["show", "--branch", "main"]));
    assert!(
        shown_of_main.starts_with("gate: fail: 1 failure is new since m1 of main\nfailure m2\n"),
        "{shown_of_main}"
    );
    let shown = out(&home.run(at, &["tests", "--branch", "f", "--failed"]));
    assert!(shown.contains("failed   a::x  (failing)") && shown.contains("a::y  (new)"), "{shown}");
    assert_eq!(code(&home.run(at, &["show", "--branch", "nowhere"])), 2);
    let m1: Value = serde_json::from_str(&out(&home.run(at, &["show", "m1", "--json"]))).unwrap();
    let track = m1["track"]["key"].as_str().unwrap();
    let of_track = out(&home.run(at, &["show", "--track", track]));
    assert_eq!(of_track, shown_of_main);
    let of_track = out(&home.run(at, &["tests", "--track", track, "--failed"]));
    assert!(of_track.contains("a::x  (new)"), "{of_track}");
    let of_track = out(&home.run(at, &["builds", "--track", track]));
    assert_eq!(of_track.lines().count(), 2, "{of_track}");
    assert_eq!(code(&home.run(at, &["show", "--track", "0000000000000000"])), 2);
    assert_eq!(code(&home.run(at, &["builds", "--track", "main"])), 2);
    let of_main = out(&home.run(at, &["builds", "--branch", "main"]));
    assert_eq!(of_main.lines().count(), 2, "{of_main}");
}

#[test]
fn a_gate_says_what_is_wrong_with_the_question() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = server.address.clone();
    report(&at, "m1", "client.branch=main", &[]);
    let gate = |arguments: &[&str]| {
        let output = home.run(&at, &[&["gate"], arguments].concat());
        (code(&output), err(&output))
    };
    for (arguments, part) in [
        (&["m1", "--rules", "old:1"][..], "--rules"),
        (&["m1", "--baseline", "last"], "--baseline"),
        (&["m1", "--baseline", "build:nowhere"], "nowhere"),
        (&["m1", "--merge-base", "nowhere"], "--merge-base"),
        (&["nowhere"], "not found"),
        (&["--revision", "short"], "--revision"),
        (&["m1", "--all-variants", "--rules", "variants:1"], "--all-variants"),
    ] {
        let (ended, said) = gate(arguments);
        assert_eq!(ended, 2, "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
    // Without a verdict it is 3: of a commit that nobody has reported about, of a build that runs, and of a server that does not answer.
    assert_eq!(gate(&["--revision", "0123456"]).0, 3);
    let begun = out(&home.run(&at, &["begin"]));
    assert_eq!(gate(&[begun.trim()]).0, 3);
    let (passed, said) = gate(&[begun.trim(), "--on-outage", "pass"]);
    assert_eq!((passed, said.contains("warning: no verdict in time")), (0, true), "{said}");
    drop(server);
    assert_eq!(gate(&["m1"]).0, 3);
    let (passed, said) = gate(&["m1", "--on-outage", "pass"]);
    assert_eq!(passed, 0, "{said}");
    assert!(said.contains("warning"), "{said}");
}

/// A server that says nothing new for a while.
#[test]
fn a_gate_that_waits_asks_for_what_is_new_alone() {
    let home = Home::new();
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = asked.clone();
    let server = fake(move |mut stream| {
        let request = String::from_utf8(read_request(&mut stream)).unwrap();
        let nth = {
            let mut asked = log.lock().unwrap();
            asked.push(request.to_ascii_lowercase());
            asked.len()
        };
        let body = |verdict: &str| {
            format!(r#"{{"gate":{{"verdict":"{verdict}","reasons":[]}},"failures":[],"links":[]}}"#)
        };
        let (status, body) = match nth {
            1 => ("200 OK", body("undecided")),
            2 => ("304 Not Modified", String::new()),
            _ => ("200 OK", body("pass")),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nETag: \"e{nth}\"\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let _ = stream.write_all(format!("{head}{body}").as_bytes());
    });
    let output = home.run(&server, &["gate", "--revision", "c0ffee1", "--wait", "60"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let asked = asked.lock().unwrap();
    let unless: Vec<bool> = asked.iter().map(|of| of.contains("if-none-match: \"e1\"")).collect();
    assert_eq!(unless, [false, true, true]);
}

#[test]
fn a_gate_waits_for_a_build_and_sends_what_is_queued_first() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = server.address.clone();
    report(&at, "m1", "client.branch=main", &[]);
    let begun = out(&home.run(&at, &["begin", "--id", "b1"]));
    let mut waiting = home.devmason(&at, &["gate", "b1", "--wait", "60"]);
    let waiting = waiting.stdout(std::process::Stdio::piped()).spawn().unwrap();
    assert_eq!(code(&home.run(&at, &["end", "-b", begun.trim(), "--success"])), 0);
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(code(&output), 0);
    // Nobody answers: the build waits in the queue, until the gate is asked.
    drop(server);
    let unsent = home.run(&at, &["run", "--id", "q1", "--wait", "0", "--", "true"]);
    assert_eq!(code(&unsent), 0);
    let server = Server::at(&at, &database);
    let output = home.run(&server.address, &["gate", "q1"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
}

#[test]
fn the_merge_base_of_a_checkout_is_a_baseline() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    // A machine need not have git to pass the tests; this one knows a checkout of three commits.
    let commits = ["a", "b", "c"].map(|letter| letter.repeat(40));
    let [first, second, base] = &commits;
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in\n'merge-base -- HEAD main') echo {base};;\n\
         'rev-list --first-parent -n 100 {base}') printf '%s\\n' {base} {second} {first};;\n\
         *) echo \"unknown: $*\" >&2; exit 128;;\nesac\n"
    );
    let programs = home.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    let git = programs.join("git");
    std::fs::write(&git, script).unwrap();
    std::fs::set_permissions(&git, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    // The merge base itself has no build; the commit before it has.
    for (id, commit, bad) in [("c0", &commits[0], &[][..]), ("c1", &commits[1], &["x"])] {
        report(at, id, &format!("client.branch=main&client.commit={commit}"), bad);
    }
    report(at, "f1", "client.branch=f", &["x"]);
    let arguments = ["gate", "f1", "--merge-base", "main", "--format", "json"];
    let output = home.devmason(at, &arguments).env("PATH", &path).output().unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
    let document: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(document["baseline"]["build"], "c1");
    assert_eq!(document["counts"]["failing"], 1);
    // What git says of a wrong name is told.
    let arguments = ["gate", "f1", "--merge-base", "nowhere"];
    let output = home.devmason(at, &arguments).env("PATH", &path).output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("unknown: merge-base -- HEAD nowhere"), "{}", err(&output));
}

#[test]
fn a_gate_may_be_asked_about_a_commit() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    for commit in ["0000000a", "0000000b", "0000000c"] {
        for job in ["linux", "mac"] {
            let client = format!("client.branch=main&client.commit={commit}&client.job={job}");
            report(at, &format!("{commit}-{job}"), &client, &[]);
        }
    }
    let of = "client.branch=f&client.commit=fedcba9876543210&client.job=linux";
    report(at, "f1", of, &["x"]);
    let gate = |arguments: &[&str]| {
        let output = home.run(at, &[&["gate"], arguments].concat());
        (code(&output), out(&output))
    };
    let (failed, said) = gate(&["--revision", "fedcba9"]);
    assert_eq!(failed, 1, "{said}");
    assert!(said.contains("new      a::x  no"), "{said}");
    assert!(said.trim_end().ends_with("/pony/revisions/fedcba9876543210"), "{said}");
    // A rerun repairs it; a variant that usually reports is still missing.
    report(at, "f2", of, &[]);
    assert_eq!(gate(&["--revision", "fedcba9876543210"]).0, 0);
    let (failed, said) = gate(&["--revision", "fedcba9876543210", "--all-variants"]);
    assert_eq!(failed, 1);
    assert!(said.contains("1 variant has no build of this commit"), "{said}");
    // What the environment names gives way to the argument.
    let mut asked = home.devmason(at, &["gate", "--revision", "fedcba9", "--format", "json"]);
    let output = asked.env("DEVMASON_BUILD", "f1").output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["passed_on_rerun"][0]["name"], "a::x");
}

#[test]
fn a_gate_decides_about_failed_tests_of_a_command_and_about_nothing_else() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = server.address.clone();
    let xml = |failure: &str| {
        format!(r#"<testsuite><testcase classname="a" name="x">{failure}</testcase></testsuite>"#)
    };
    let (bad, good) = (xml(r#"<failure message="no"/>"#), xml(""));
    let file = home.path().join("r.xml");
    let on = |branch: &str, gate: &str, script: &str| {
        let file = file.to_str().unwrap();
        let script = script.replace("FILE", file);
        let arguments = ["run", gate, "--report", file, "--", "sh", "-c", &script];
        let mut command = home.devmason(&at, &arguments);
        let ci = [("GITLAB_CI", "true"), ("CI_COMMIT_REF_NAME", branch)];
        let output = command.envs(ci).output().unwrap();
        (code(&output), err(&output))
    };
    let run = |gate: &str, script: &str| on("f", gate, script);
    let fails = format!("printf '%s' '{bad}' > FILE; exit 3");
    // The failure is the mainline's.
    assert_eq!(on("main", "--gate", &fails).0, 3);
    let (ended, said) = run("--gate", &fails);
    assert_eq!(ended, 0, "{said}");
    assert!(said.contains("gate: pass"), "{said}");
    assert_eq!(run("--gate=failing:0", &fails).0, 3);
    // A green command with a gate that fails.
    let passes = format!("printf '%s' '{bad}' > FILE");
    assert_eq!(run("--gate=failing:0", &passes).0, 1);
    assert_eq!(run("--gate", &passes).0, 0);
    // A command that failed without a failed test, without a whole report, or that was killed.
    assert_eq!(run("--gate", &format!("printf '%s' '{good}' > FILE; exit 3")).0, 3);
    assert_eq!(run("--gate", &format!("printf '%s' '{}' > FILE; exit 3", &bad[..60])).0, 3);
    assert_eq!(run("--gate", "rm -f FILE; exit 3").0, 3);
    // A report that was there before, and a second file that is none.
    assert_eq!(run("--gate", &fails).0, 0);
    assert_eq!(run("--gate", "exit 3").0, 3);
    let other = home.path().join("other.xml");
    let both = |text: &str| {
        let script = format!("printf '%s' '{bad}' > r.xml; printf '{text}' > other.xml; exit 3");
        let reports = ["--report", file.to_str().unwrap(), "--report", other.to_str().unwrap()];
        let arguments = [&["run", "--gate"], &reports[..], &["--", "sh", "-c", &script]].concat();
        let mut command = home.devmason(&at, &arguments);
        let ci = [("GITLAB_CI", "true"), ("CI_COMMIT_REF_NAME", "f")];
        code(&command.envs(ci).output().unwrap())
    };
    assert_eq!(both("Segmentation fault"), 3);
    assert_eq!(both(&good), 0);
    assert_eq!(run("--gate", &format!("printf '%s' '{bad}' > FILE; kill -9 $$")).0, 137);
    // Wrong rules, before the command runs.
    std::fs::remove_file(&file).unwrap();
    let (ended, said) = run("--gate=old:0", &passes);
    assert_eq!((ended, file.exists()), (2, false), "{said}");
    // Nobody stores it.
    drop(server);
    assert_eq!(run("--gate", &fails).0, 3);
}
