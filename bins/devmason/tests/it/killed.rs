//! Clients and scripts that are killed: their builds are ended, and are not green.

use crate::*;

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
    // One mark for the command that runs, one for what is in memory.
    until("the step is in memory", || steps_begun(&home, &build).len() == 2);
    std::fs::write(&pipe, "").unwrap();
    until("the command has ended", || steps_begun(&home, &build).len() == 1);
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
