//! Flags, variables and files of settings.

use crate::*;

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
