//! Whatever is wrong with reporting, the command runs as it would without, and its exit code is its
//! own.

use crate::*;

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
