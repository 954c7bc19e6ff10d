//! The queue on disk: what may be in it, and whose it is.

use crate::*;

/// Writes a private file, as the command does.
fn plant(path: &Path, text: &str) {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn what_somebody_planted_in_the_spool_is_neither_sent_nor_followed() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    let run = |arguments: &[&str]| {
        let mut run = home.devmason(at, arguments);
        run.env("DEVMASON_USER", "ann").env("DEVMASON_PASSWORD", "secret").output().unwrap()
    };
    assert_eq!(code(&run(&["project", "create", "mine"])), 0);
    let build = out(&run(&["begin", "-p", "mine", "--id", "1"])).trim().to_owned();
    let spool = spooled(&home, &build);
    for (nth, target) in ["/mine", "/mine/builds/1", "/mine/builds/2/progress"].iter().enumerate() {
        let head = serde_json::json!({
            "method": "DELETE", "target": target, "key": null, "media_type": "application/json",
        });
        plant(&spool.join(format!("{:012}.entry", 900 + nth)), &format!("{head}\n{{}}"));
    }
    let flush = run(&["flush"]);
    assert_eq!((code(&flush), home.waiting()), (1, 3), "{}", err(&flush));
    assert!(err(&flush).contains("does not belong to this build"), "{}", err(&flush));
    assert_eq!(server.get("/mine/builds/1")["state"], "running");
    // Links.
    let victim = home.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    for name in ["number.lock", "send.lock", "last"] {
        let _ = std::fs::remove_file(spool.join(name));
        symlink(&victim, spool.join(name)).unwrap();
    }
    let step = run(&["step", "-b", &build, "s", "--", "sh", "-c", "exit 4"]);
    assert_eq!(code(&step), 4);
    assert!(err(&step).contains("a symbolic link"), "{}", err(&step));
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    // A spool that others can write to.
    let root = spool.parent().unwrap();
    std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o777)).unwrap();
    let report = run(&["run", "-p", "mine", "--", "true"]);
    assert_eq!(code(&report), 0);
    assert!(err(&report).contains("writable by other users"), "{}", err(&report));
    assert_eq!(code(&run(&["flush"])), 1);
}

#[test]
fn a_step_that_the_server_has_though_it_forgot_its_key_is_not_sent_again() {
    let (home, database) = (Home::new(), database());
    let server = Server::new(&database);
    let at = &server.address;
    let build = out(&home.run(at, &["begin", "--id", "1"])).trim().to_owned();
    let spool = spooled(&home, &build);
    assert_eq!(code(&home.run(at, &["step", "-b", &build, "one"])), 0);
    let steps = |count: usize| {
        let results = server.get("/pony/builds/1")["results"].clone();
        assert_eq!(results.as_array().unwrap().len(), count, "{results}");
    };
    steps(1);
    // As after an attempt two days ago whose response was lost: the same bytes are the same step.
    let again = |nth: u32, media_type: &str, body: &str| {
        let head = serde_json::json!({
            "method": "POST", "target": "/pony/builds/1/progress?name=r", "key": format!("forgotten {nth}"),
            "media_type": media_type,
        });
        plant(&spool.join(format!("{nth:012}.entry")), &format!("{head}\n{body}"));
        let tried = spool.join(format!("{nth:012}.tried"));
        let touched = Command::new("touch").args(["-d", "2 days ago"]).arg(tried).status();
        assert!(touched.unwrap().success());
        assert_eq!(code(&home.run(at, &["flush"])), 0);
        assert_eq!(home.waiting(), 0);
    };
    let step = r#"{"name":"two","success":true}"#;
    again(900, "application/json", step);
    steps(2);
    again(901, "application/json", step);
    steps(2);
    let report =
        |status: &str| format!(r#"<testsuite><testcase name="t">{status}</testcase></testsuite>"#);
    again(902, "application/octet-stream", &report(""));
    again(903, "application/octet-stream", &report(""));
    steps(3);
    // The same name, but a different report.
    again(904, "application/octet-stream", &report("<failure/>"));
    steps(4);
}

#[test]
fn what_somebody_reported_is_sent_as_theirs_alone() {
    let (home, database, address) = (Home::new(), database(), nobody());
    let run = |user: &str, arguments: &[&str]| {
        let mut run = home.devmason(&address, arguments);
        let run = run.env("DEVMASON_USER", user).env("DEVMASON_PASSWORD", format!("{user}-pw"));
        run.output().unwrap()
    };
    assert_eq!(code(&run("alice", &["run", "--id", "hers", "--", "true"])), 0);
    let server = Server::at(&address, &database);
    assert_eq!(code(&run("bob", &["run", "--id", "his", "--", "true"])), 0);
    assert_eq!(home.waiting(), 4);
    assert_eq!(code(&run("alice", &["flush"])), 0);
    for (id, user) in [("hers", "alice"), ("his", "bob")] {
        let build = server.get(&format!("/pony/builds/{id}"));
        let links = build["links"].as_array().unwrap();
        let by = links.iter().find(|link| link["rel"] == "user").unwrap();
        assert!(by["href"].as_str().unwrap().ends_with(user), "{by}");
    }
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
    assert!(listed.starts_with(&format!("http://{at}/ponny/builds/1: 4 requests")), "{listed}");
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
