//! What the server or a proxy refuses is put aside, and the rest goes on.

use crate::*;

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
    assert_eq!(home.waiting(), 4);
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

#[test]
fn what_is_in_memory_when_the_build_is_refused_goes_nowhere() {
    let (owner, home, database) = (Home::new(), Home::new(), database());
    let address = nobody();
    let server = Server::at(&address, &database);
    assert_eq!(code(&owner.run(&address, &["begin", "--id", "7"])), 0);
    drop(server);
    // The build and its step fit into the spool, but its output does not.
    let script = "head -c 100000 /dev/zero | tr '\\0' x; touch written; exit 3";
    let mut run =
        home.devmason(&address, &["run", "--id", "7", "--wait", "30", "--", "sh", "-c", script]);
    let run = run.env("DEVMASON_SPOOL_BYTES", "5000").stderr(Stdio::piped()).stdout(Stdio::null());
    let child = run.spawn().unwrap();
    // That the client waits for room cannot be seen, but there is nothing else that it could do.
    until("the output is written", || home.path().join("written").exists());
    until("the build is queued", || home.waiting() == 2);
    let server = Server::at(&address, &database);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 3);
    assert!(err(&output).contains("refused: "), "{}", err(&output));
    let build = server.build();
    assert_eq!((&build["state"], &build["results"]), (&"running".into(), &serde_json::json!([])));
}
