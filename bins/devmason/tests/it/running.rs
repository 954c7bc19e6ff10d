//! Running commands.

use crate::*;

#[test]
fn a_commands_outputs_and_exit_code_are_passed_on_and_reported() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let script = r#"echo out; printf '\033[31mred\033[0m\n' >&2; exit 3"#;
    let output = home.run(&server.address, &["run", "-t", "linux", "--", "sh", "-c", script]);
    assert_eq!((code(&output), out(&output).as_str()), (3, "out\n"));
    assert!(err(&output).starts_with("\x1b[31mred\x1b[0m\n"), "{}", err(&output));
    let build = server.build();
    assert_eq!((&build["success"], &build["tags"][0]), (&false.into(), &"linux".into()));
    let step = &build["results"][0];
    assert_eq!((&step["output"], &step["exit_code"]), (&"out\n".into(), &3.into()));
    assert_eq!(step["errout"], "\x1b[31mred\x1b[0m\n");
    assert!(build["client"]["host"].is_string() && build["client"]["arch"].is_string());
    assert_eq!(home.waiting(), 0);
}

#[test]
fn a_command_learns_no_password_and_its_arguments_name_no_step() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    for project in ["pony", ""] {
        let script = "echo [$DEVMASON_PASSWORD$PB_PASS]$DEVMASON_USER; exit 3";
        let mut run = home.devmason(&server.address, &["run", "--", "sh", "-c", script]);
        run.envs([
            ("DEVMASON_USER", "ann"),
            ("DEVMASON_PASSWORD", "secret"),
            ("PB_PASS", "secret"),
        ]);
        let output = run.env("DEVMASON_PROJECT", project).output().unwrap();
        assert_eq!((code(&output), out(&output).as_str()), (3, "[]ann\n"), "{}", err(&output));
    }
    assert_eq!(server.build()["results"][0]["name"], "sh");
    let mut run = home.devmason(&server.address, &["run", "--", "true", "--all"]);
    run.env("DEVMASON_WHOLE_COMMAND", "1").output().unwrap();
    let id = server.builds()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&format!("/pony/builds/{id}"))["results"][0]["name"], "true --all");
}

#[test]
fn output_is_sent_while_a_command_runs() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let pipe = home.path().join("go-on");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let script = format!("echo before; cat {}; echo after", pipe.display());
    let mut run = home.devmason(
        &server.address,
        &["run", "--interval", "1", "--name", "s", "--", "sh", "-c", &script],
    );
    let child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The command continues only after its first output has reached the server.
    let mut build = Value::Null;
    until("the first output has been sent", || {
        if let [begun] = server.builds().as_slice() {
            build = server.get(&format!("/pony/builds/{}", begun["id"].as_str().unwrap()));
        }
        build["results"][0]["output"] == "before\n"
    });
    assert_eq!((&build["state"], &build["results"][0]["name"]), (&"running".into(), &"s".into()));
    std::fs::write(&pipe, "").unwrap();
    assert_eq!(code(&child.wait_with_output().unwrap()), 0);
    let build = server.build();
    let steps = build["results"].as_array().unwrap();
    assert_eq!(
        (steps.len(), &build["success"], &steps[0]["output"]),
        (1, &true.into(), &"before\nafter\n".into())
    );
}

#[test]
fn what_a_shell_would_say_of_a_command_is_the_exit_code() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let run =
        |command: &[&str]| code(&home.run(&server.address, &[&["run", "--"], command].concat()));
    assert_eq!(run(&["no-such-command"]), 127);
    assert_eq!(run(&["/"]), 126);
    assert_eq!(run(&["sh", "-c", "kill -9 $$"]), 137);
    assert_eq!(run(&["true"]), 0);
    let success: Vec<_> = server.builds().iter().map(|build| build["success"].clone()).collect();
    assert_eq!(success, [true, false, false, false]);
}

#[test]
fn signals_reach_the_command() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let script = "trap 'echo told; exit 7' TERM; echo ready; while :; do sleep 0.1; done";
    let mut run = home.devmason(&server.address, &["run", "--", "sh", "-c", script]);
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    devmason_test_support::signal("-TERM", &[child.id()]);
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), out(&output).as_str()), (7, "told\n"));
    assert_eq!(server.build()["results"][0]["output"], "ready\ntold\n");
}

#[test]
fn what_a_command_left_running_does_not_hold_it_up() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let output = home
        .run(&server.address, &["run", "--", "sh", "-c", "sleep 600 >/dev/null 2>&1 & echo done"]);
    assert_eq!((code(&output), out(&output).as_str()), (0, "done\n"));
}

#[test]
fn report_files_that_a_command_writes_are_steps() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let old = std::fs::File::create(home.path().join("old.tap")).unwrap();
    old.set_modified(std::time::SystemTime::now() - Duration::from_secs(60)).unwrap();
    let script = "printf '1..2\\nok 1 - a\\nnot ok 2 - b\\n' > results.tap";
    let output = home.run(&server.address, &["run", "--report", "*.tap", "--", "sh", "-c", script]);
    assert_eq!(code(&output), 0);
    let build = server.build();
    assert_eq!((&build["tests"]["failed"], &build["success"]), (&1.into(), &false.into()));
    assert_eq!(build["results"].as_array().unwrap().len(), 2);
    assert_eq!(build["results"][1]["name"], "results.tap");
    assert!(
        err(&output).contains("old.tap: skipped, not written by this command"),
        "{}",
        err(&output)
    );
}

#[test]
fn output_that_is_no_text_and_output_that_nobody_reads_do_no_harm() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let mut run = home.devmason(
        &server.address,
        &["run", "--", "sh", "-c", r"printf 'a\377b\000c'; head -c 3000000 /dev/zero | tr '\0' x"],
    );
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let build = server.build();
    let whole: String = build["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["output"].as_str().unwrap())
        .collect();
    assert!(whole.starts_with("a\u{fffd}b\0cxxx"), "{}", &whole[..20]);
    assert_eq!(whole.matches('x').count(), 3_000_000);
}

#[test]
fn a_command_gets_a_terminal_where_it_is_asked_for() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let script =
        "test -t 1 && echo tty; stty -F /dev/tty size; echo err >&2; printf 'a\\nb\\rc\\n'; exit 4";
    let run = |flag: &str| {
        let mut run = home.devmason(
            &server.address,
            &["run", "--id", &flag[2..], flag, "--", "sh", "-c", script],
        );
        let output = run.stdin(Stdio::null()).output().unwrap();
        assert_eq!(code(&output), 4, "{}", err(&output));
        let step = server.get(&format!("/pony/builds/{}", &flag[2..]))["results"][0].clone();
        (step["output"].clone(), step["errout"].clone())
    };
    assert_eq!(run("--pty"), ("tty\n24 80\nerr\na\nb\rc\n".into(), "".into()));
    let (output, errout) = run("--no-pty");
    assert_eq!(output, "a\nb\rc\n");
    assert!(errout.as_str().unwrap().ends_with("err\n"), "{errout}");
}

#[test]
fn keys_reach_a_command_on_a_terminal_and_its_settings_come_back() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let (terminal, side) = pty_process::blocking::open().unwrap();
    terminal.resize(pty_process::Size::new(33, 111)).unwrap();
    let before = rustix::termios::tcgetattr(&terminal).unwrap();
    let script = "stty size; read word; echo got $word; exec sleep 60";
    let run = home.devmason(&server.address, &["run", "--id", "1", "--", "sh", "-c", script]);
    let mut child = pty_process::blocking::Command::from(run).spawn(side).unwrap();
    let output = || match server.builds().as_slice() {
        [_] => server.get("/pony/builds/1")["results"][0]["output"].clone(),
        _ => Value::Null,
    };
    until("the command has begun", || output() == "33 111\n");
    (&terminal).write_all(b"hello\r").unwrap();
    until("it has read a word", || output() == "33 111\nhello\ngot hello\n");
    assert_ne!(rustix::termios::tcgetattr(&terminal).unwrap().local_modes, before.local_modes);
    // Ctrl-C is a key for the command, not a signal for the one that reports it.
    (&terminal).write_all(b"\x03").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(rustix::termios::tcgetattr(&terminal).unwrap().local_modes, before.local_modes);
    assert_eq!(server.build()["results"][0]["signal"], 2);
}
