//! The process: settings, failures, signals, logs, TLS.

use std::io::Read;

use devmason_test_support::until;

use super::*;

/// The single line printed by a failed start, which exits with 2.
fn failure(command: &mut Command) -> String {
    let output = run(command);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.starts_with("devmason-server: ") && !errors.contains("panicked"), "{errors}");
    errors
}

#[test]
fn wrong_settings_are_one_clear_line() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("devmason.toml");
    for (arguments, said) in [
        (
            vec!["--registration", "maybe"],
            "registration: must be 'open', 'authenticated' or 'closed'",
        ),
        (vec!["--reading", "closed"], "reading: must be"),
        (vec!["--reporting", "nobody"], "reporting: must be 'anyone', 'authenticated' or 'owner'"),
        (vec!["--admin", "a b"], "admin: "),
        (vec!["--public-url", "ftp://x"], "public_url: "),
        (vec!["--trust-forwarded", "nowhere"], "trust_forwarded: "),
        (vec!["--max-body-bytes", "0"], "max_body_bytes: "),
        (vec!["--max-body-bytes", "many"], "--max-body-bytes"),
        (vec!["--pool-size", "0"], "pool_size: "),
        (vec!["--log-format", "xml"], "log_format: "),
        (vec!["--tls-cert", "x.pem"], "tls_key: required"),
        (
            vec!["--tls-cert", "/nowhere/c.pem", "--tls-key", "/nowhere/k.pem"],
            "tls_cert: /nowhere/c.pem",
        ),
        (vec!["--no-such-flag"], "--no-such-flag"),
        (vec!["--config", "/nowhere/x.toml"], "config: /nowhere/x.toml"),
        (vec!["--database-url", "mysql://x"], "the database URL starts with"),
        (vec!["--database-url", "sqlite:/nowhere/at/all.db"], "the database is unreachable"),
        (vec!["--database-url", "postgres://nobody@127.0.0.1:1/x"], "the database is unreachable"),
    ] {
        let line = failure(program().current_dir(&directory).args(&arguments));
        assert!(line.contains(said), "{arguments:?}: {line}");
    }
    for (toml, said) in [
        ("colour = 'red'", "unknown field `colour`"),
        ("pool_size = 'x'", "invalid type"),
        ("x", "config: "),
    ] {
        std::fs::write(&config, toml).unwrap();
        let line = failure(program().current_dir(&directory).arg("--config").arg(&config));
        assert!(line.contains(said), "{toml}: {line}");
    }
    let variable = failure(program().current_dir(&directory).env("DEVMASON_READING", "never"));
    assert!(variable.contains("reading: must be"));
}

#[test]
fn a_taken_port_is_one_clear_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let line = failure(program().current_dir(&directory).args(["--listen", &address]));
    assert!(line.contains(&format!("cannot listen on {address}")), "{line}");
}

#[test]
fn a_flag_beats_a_variable_and_a_variable_beats_the_file() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("devmason.toml"),
        "listen = '127.0.0.1:0'\npublic_url = 'http://file.example.org'\nregistration = 'closed'\nadmin = ['root']\n",
    )
    .unwrap();
    let server = |change: &dyn Fn(&mut Command)| {
        let mut command = program();
        command.current_dir(&directory).args(["--config", "devmason.toml"]);
        change(&mut command);
        Server::spawn(&mut command)
    };
    let href = |server: &Server| server.json("/")["links"][0]["href"].as_str().unwrap().to_owned();
    let file = server(&|_| {});
    assert_eq!(href(&file), "http://file.example.org/");
    assert_eq!(file.send("", "PUT", "/pony", r#"{"name":"x"}"#).status, 401);
    let variable = server(&|command| {
        command.env("DEVMASON_PUBLIC_URL", "http://variable.example.org");
    });
    assert_eq!(href(&variable), "http://variable.example.org/");
    let flag = server(&|command| {
        command
            .env("DEVMASON_PUBLIC_URL", "http://v.example.org")
            .args(["--public-url", "http://flag.example.org"]);
    });
    assert_eq!(href(&flag), "http://flag.example.org/");
    // Without a database URL, everything is in the working directory.
    assert!(directory.path().join("devmason.db").is_file());
}

#[test]
fn help_names_every_setting_and_its_variable() {
    let help = String::from_utf8(run(program().arg("--help")).stdout).unwrap();
    for flag in [
        "--config",
        "--listen",
        "--database-url",
        "--public-url",
        "--registration",
        "--reporting",
        "--reading",
        "--admin",
        "--max-body-bytes",
        "--pool-size",
        "--trust-forwarded",
        "--tls-cert",
        "--tls-key",
        "--log-format",
        "--log",
        "--login-failures-per-minute",
    ] {
        let variable =
            format!("DEVMASON_{}", flag.trim_start_matches('-').replace('-', "_").to_uppercase());
        assert!(help.contains(flag) && help.contains(&variable), "{flag}");
    }
}

#[test]
fn passwd_makes_an_administrator_and_mends_a_forgotten_password() {
    let database = Backend::Sqlite.database();
    let passwd = |name: &str, password: &str| {
        let mut child = program()
            .args(["passwd", name, "--database-url", &database.url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(
            &mut child.stdin.take().unwrap(),
            format!("{password}\n").as_bytes(),
        )
        .unwrap();
        let output = child.wait_with_output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(passwd("root", "root-pw"), (Some(0), "root: created\n".to_owned()));
    let server = Server::start(&database, &["--admin", "root"]);
    server.send("alice", "PUT", "/pony", r#"{"name":"x"}"#);
    assert_eq!(server.send("root", "DELETE", "/pony", "").status, 204);
    assert_eq!(passwd("alice", "new"), (Some(0), "alice: password changed\n".to_owned()));
    assert_eq!(
        server.request("PUT", "/users/alice").basic("alice", "new").json("{").send().status,
        400
    );
    assert_eq!(passwd("a b", "x").0, Some(2));
    assert_eq!(passwd("bob", &"x".repeat(73)).0, Some(2));
    assert_eq!(passwd("bob", "").0, Some(2));
}

#[test]
fn sigterm_lets_what_is_under_way_finish() {
    use std::io::Write;
    let database = Backend::Sqlite.database();
    let server = Server::start(&database, &[]);
    server.send("", "PUT", "/pony", r#"{"name":"x"}"#);
    let mut slow = std::net::TcpStream::connect(&server.address).unwrap();
    let body = r#"{"success":true}"#;
    write!(slow, "POST /pony/builds HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}", body.len(), &body[..5]).unwrap();
    // Once the server has answered a later request, it has received this one.
    assert_eq!(server.get("/healthz").status, 200);
    server.signal("-TERM");
    until("it accepts no more", || server.request("GET", "/healthz").try_send().is_err());
    slow.write_all(&body.as_bytes()[5..]).unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0), "{log}");
    let server = Server::start(&database, &[]);
    assert_eq!(server.json("/pony/builds")["count"], 1);
}

#[test]
fn logs_are_structured_and_hold_no_password() {
    let database = Backend::Sqlite.database();
    let server = Server::start(&database, &["--log-format", "json", "--log", "debug"]);
    assert_eq!(server.request("PUT", "/users/alice").basic("alice", "hunter2").send().status, 201);
    assert_eq!(
        server
            .request("PUT", "/users/alice")
            .basic("alice", "hunter2")
            .json(r#"{"password":"hunter3"}"#)
            .send()
            .status,
        200
    );
    assert_eq!(server.request("GET", "/").basic("alice", "hunter4").send().status, 401);
    server.signal("-TERM");
    let (_, log) = server.wait();
    assert!(
        !log.contains("hunter")
            && !log.contains(&devmason_test_support::http::base64(b"alice:hunter2")),
        "{log}"
    );
    let answered: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .filter(|line: &Value| line["message"] == "answered")
        .collect();
    assert_eq!(
        answered.iter().map(|line| line["status"].as_u64().unwrap()).collect::<Vec<_>>(),
        [201, 200, 401]
    );
    assert_eq!(answered[0]["span"]["id"].as_str().unwrap().len(), 36);
}

#[test]
fn tls_is_served_from_files() {
    use std::io::Write;
    use std::sync::Arc;
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let database = Backend::Sqlite.database();
    let server = Server::start(
        &database,
        &["--tls-cert", cert.to_str().unwrap(), "--tls-key", key.to_str().unwrap()],
    );
    assert_eq!(server.scheme, "https");

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(roots)
    .with_no_client_auth();
    let connection =
        rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = rustls::StreamOwned::new(
        connection,
        std::net::TcpStream::connect(&server.address).unwrap(),
    );
    write!(stream, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    // If the server closes without a TLS close_notify, the length still shows that the response is
    // complete.
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("\"href\":\"https://localhost/\""), "{answer}");
}
