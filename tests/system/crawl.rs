//! Follows every link, and tries every method, both those in links and `Allow` and all others.

use std::collections::BTreeSet;

use crate::with_each_database;

use super::*;

/// Whether this client may use a method, according to a trial. Trials change nothing: bodies are
/// malformed and preconditions fail, and both are checked after permissions.
fn may(server: &Server, user: &str, method: &str, path: &str) -> bool {
    let request = server.request(method, path);
    let request =
        if user.is_empty() { request } else { request.basic(user, &format!("{user}-pw")) };
    let request = match method {
        "GET" => request,
        "DELETE" if !path.ends_with("/progress") => request.header("If-Match", "\"none\""),
        "POST" if path.ends_with("/reparse") => request.header("If-Match", "\"none\""),
        _ => request.json("{"),
    };
    let status = request.send().status;
    match (method, status) {
        ("GET", 200 | 302) | ("POST" | "PUT", 400) | ("POST" | "DELETE", 412) => true,
        ("DELETE", 400) => true,
        (_, 401 | 403 | 405 | 410) => false,
        // `latest` of a list without builds.
        ("GET", 404) if path.ends_with("/latest") => true,
        other => panic!("{user} {path}: {other:?}"),
    }
}

fn crawl(server: &Server, user: &str) -> usize {
    let origin = format!("{}://{}", server.scheme, server.address);
    let mut to_see = vec!["/".to_owned()];
    let mut seen = BTreeSet::from(["/".to_owned()]);
    let mut links = 0;
    while let Some(path) = to_see.pop() {
        let answer = server.send(user, "GET", &path, "");
        if answer.header("content-type") != "application/json" || path == "/openapi.json" {
            continue;
        }
        // `latest` of an empty list is the only link that may lead to a 404.
        if answer.status == 404 && path.ends_with("/latest") {
            continue;
        }
        let document: Value = serde_json::from_str(&answer.text()).unwrap();
        assert_eq!(answer.status, 200, "{path}: {document}");
        let mut found = Vec::new();
        collect(&document, &mut found);
        for (href, mut methods) in found {
            links += 1;
            let target = href.strip_prefix(&origin).unwrap_or_else(|| panic!("{href}")).to_owned();
            if !seen.insert(target.clone()) {
                continue;
            }
            let tried: Vec<&str> = ["GET", "POST", "PUT", "DELETE"]
                .into_iter()
                .filter(|method| may(server, user, method, &target))
                .collect();
            assert_eq!(methods, tried, "allowed_methods of {target} for '{user}'");
            let allow = server.send(user, "OPTIONS", &target, "").header("allow").to_owned();
            methods.retain(|method| !method.is_empty());
            let allowed: Vec<&str> =
                allow.split(", ").filter(|method| !matches!(*method, "HEAD" | "OPTIONS")).collect();
            assert_eq!(methods, allowed, "Allow of {target} for '{user}'");
            if !allowed.contains(&"GET") {
                continue;
            }
            if server.send(user, "GET", &target, "").status == 302 {
                let location = server.send(user, "GET", &target, "").header("location").to_owned();
                assert_eq!(server.send(user, "GET", &location, "").status, 200);
            }
            to_see.push(target);
        }
    }
    links
}

fn collect(value: &Value, found: &mut Vec<(String, Vec<String>)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(members) => {
            if let (Some(Value::String(href)), Some(Value::Array(methods))) =
                (members.get("href"), members.get("allowed_methods"))
            {
                found.push((
                    href.clone(),
                    methods.iter().map(|method| method.as_str().unwrap().to_owned()).collect(),
                ));
            }
            members.values().for_each(|member| collect(member, found));
        }
        _ => {}
    }
}

fn fill(server: &Server) {
    for (user, project, reporting) in [
        ("alice", "pony", "anyone"),
        ("", "free", "anyone"),
        ("alice", "strict", "owner"),
        ("bob", "empty", "authenticated"),
    ] {
        let body = format!(r#"{{"name": "{project}", "reporting": "{reporting}"}}"#);
        assert_eq!(server.send(user, "PUT", &format!("/{project}"), &body).status, 201);
    }
    for n in 0..9 {
        let body = format!(
            r#"{{"success": true, "tags": ["a", "b c/d", "t{}"], "results": [{{"name": "s", "success": true}}]}}"#,
            n % 3
        );
        let user = ["alice", "bob", ""][n % 3];
        assert_eq!(server.send(user, "POST", "/pony/builds", &body).status, 201);
    }
    assert_eq!(server.send("bob", "PUT", "/free/builds/17", r#"{"success": false}"#).status, 201);
    for user in ["", "bob"] {
        assert_eq!(
            server
                .send(user, "POST", "/free/builds", r#"{"incremental": true, "tags": ["running"]}"#)
                .status,
            201
        );
    }
    let junit = "<testsuite name='s'><testcase classname='a b/c' name='d[e/f] %41'/><testcase name='x'><failure/></testcase></testsuite>";
    let upload =
        server.request("POST", "/pony/builds?tag=a").header("Content-Type", "application/xml");
    assert_eq!(upload.body(junit.as_bytes()).send().status, 201);
    assert_eq!(server.send("alice", "POST", "/strict/builds", r#"{"success": true}"#).status, 201);
}

with_each_database! {
    fn every_link_is_true_for_every_client(database: &TestDatabase) {
        let mut passwd = program();
        passwd.args(["passwd", "root", "--database-url", &database.url]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut passwd = passwd.spawn().unwrap();
        std::io::Write::write_all(&mut passwd.stdin.take().unwrap(), b"root-pw\n").unwrap();
        assert!(passwd.wait().unwrap().success());

        let server = Server::start(database, &["--admin", "root"]);
        super::fill(&server);
        for user in ["", "alice", "bob", "root", "stranger"] {
            let links = super::crawl(&server, user);
            assert!(links > 100, "{user}: {links}");
        }
    }
}
