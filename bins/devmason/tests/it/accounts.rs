//! Users, their passwords and their projects.

use std::os::unix::fs::PermissionsExt;

use crate::*;

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
