//! HTTP features: methods, negotiation, links, compression.

use crate::*;

#[test]
fn options_says_what_this_client_may_do() {
    let server = Server::new();
    let alice = server.as_user("alice");
    let allow = |user: Option<&str>, path: &str| {
        let request = server.request("OPTIONS", path);
        let answer = server
            .send(user.map_or(request.clone(), |user| request.basic(user, &format!("{user}-pw"))));
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{path}");
        answer.header("allow").to_owned()
    };
    assert_eq!(allow(None, "/pony"), "PUT, OPTIONS");
    alice.send("PUT", "/pony", r#"{"name":"x","reporting":"authenticated"}"#);
    let build = alice
        .send("POST", "/pony/builds", r#"{"success":true,"tags":["t"]}"#)
        .header("location")
        .to_owned();
    for (user, path, expected) in [
        (None, "/", "GET, HEAD, OPTIONS"),
        (None, "/pony", "GET, HEAD, OPTIONS"),
        (Some("alice"), "/pony", "GET, HEAD, PUT, DELETE, OPTIONS"),
        (None, "/pony/builds", "GET, HEAD, OPTIONS"),
        (Some("stranger"), "/pony/builds", "GET, HEAD, POST, OPTIONS"),
        (None, &build, "GET, HEAD, OPTIONS"),
        (Some("alice"), &build, "GET, HEAD, PUT, DELETE, OPTIONS"),
        (Some("alice"), "/pony/builds/new", "PUT, OPTIONS"),
        (None, "/pony/builds/latest", "GET, HEAD, OPTIONS"),
        (None, "/pony/tags", "GET, HEAD, OPTIONS"),
        (None, "/pony/tags/t", "GET, HEAD, OPTIONS"),
        (None, "/users", "GET, HEAD, OPTIONS"),
        (None, "/users/alice", "GET, HEAD, OPTIONS"),
        (Some("alice"), "/users/alice", "GET, HEAD, PUT, DELETE, OPTIONS"),
        (Some("new"), "/users/new", "PUT, OPTIONS"),
        (None, "/users/alice/builds", "GET, HEAD, OPTIONS"),
        (None, "/healthz", "GET, HEAD, OPTIONS"),
        (None, "/metrics", "GET, HEAD, OPTIONS"),
    ] {
        assert_eq!(allow(user, path), expected, "{user:?} {path}");
    }
    for path in ["/none/builds", "/pony/tags/none", "/users/none/builds", "/pony/x"] {
        assert_eq!(server.send(server.request("OPTIONS", path)).status, 404, "{path}");
    }
}

#[test]
fn a_method_that_a_resource_does_not_have_is_refused_with_those_it_has() {
    let server = Server::new();
    server.project("pony");
    for (method, path, allowed) in [
        ("POST", "/", "GET, HEAD, OPTIONS"),
        ("PATCH", "/pony", "GET, HEAD, OPTIONS"),
        ("DELETE", "/pony/builds", "GET, HEAD, POST, OPTIONS"),
        ("PUT", "/pony/tags", "GET, HEAD, OPTIONS"),
        ("POST", "/users/x", "OPTIONS"),
        ("TRACE", "/users", "GET, HEAD, OPTIONS"),
    ] {
        let answer = server.send(server.request(method, path));
        assert_eq!((answer.status, answer.header("allow")), (405, allowed), "{method} {path}");
        assert_eq!(answer.header("content-type"), "application/json");
    }
    assert_eq!(server.post("/none/tags", "{}").header("allow"), "GET, HEAD, OPTIONS");
}

#[test]
fn head_is_get_without_the_body() {
    let server = Server::new();
    server.project("pony");
    let (get, head) = (server.get("/pony"), server.send(server.request("HEAD", "/pony")));
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in ["etag", "content-type", "content-length", "vary"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
    assert_eq!(server.send(server.request("HEAD", "/none")).status, 404);
}

#[test]
fn a_trailing_slash_makes_no_difference_and_no_redirect() {
    let server = Server::new();
    assert_eq!(server.put("/pony/", r#"{"name":"x"}"#).status, 201);
    for path in ["/pony/", "/pony/builds/", "/pony/tags/", "/users/"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
}

#[test]
fn pages_are_for_who_prefers_html() {
    let server = Server::new();
    server.project("pony");
    let get = |path: &str, accept: &str| {
        server.send(server.request("GET", path).header("Accept", accept))
    };
    let page = get("/pony", "text/html,application/xhtml+xml,*/*;q=0.8");
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.text().contains("<h1>pony</h1>"));
    assert_eq!(get("/pony", "*/*").header("content-type"), "application/json");
    assert_eq!(get("/pony?format=json", "text/html").header("content-type"), "application/json");
    assert_eq!(get("/pony?format=html", "*/*").header("content-type"), "text/html; charset=utf-8");
    // For programs, errors have one shape and one type; for people who navigate in a browser, they are
    // pages.
    assert_eq!(get("/none", "text/html").header("content-type"), "application/json");
    let browser = server.request("GET", "/none").header("Accept", "text/html");
    let browser = browser.header("Upgrade-Insecure-Requests", "1");
    assert_eq!(server.send(browser).header("content-type"), "text/html; charset=utf-8");
}

#[test]
fn a_public_url_is_in_every_link_and_its_prefix_in_every_location() {
    let server = Server::with(|settings| {
        settings.public_url = Base::from_public_url("https://ci.example.org/pony_server")
    });
    let created = server.put("/pony_server/pony", r#"{"name":"x"}"#);
    assert_eq!((created.status, created.header("location")), (201, "/pony_server/pony"));
    let build = server.post("/pony/builds", r#"{"success":true}"#).header("location").to_owned();
    assert!(build.starts_with("/pony_server/pony/builds/"));
    for path in ["/pony_server/pony", "/pony"] {
        assert_eq!(
            server.get(path).json()["links"][0]["href"],
            "https://ci.example.org/pony_server/pony"
        );
    }
    assert_eq!(server.get("/pony_server").json()["count"], 1);
}

#[test]
fn forwarded_headers_count_only_from_trusted_proxies() {
    let href = |server: &Server, headers: &[(&str, &str)]| {
        let request = headers
            .iter()
            .fold(server.request("GET", "/"), |request, (name, value)| request.header(name, value));
        server.send(request).json()["links"][0]["href"].as_str().unwrap().to_owned()
    };
    let x = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "ci.example.org")];
    let plain = Server::new();
    assert_eq!(href(&plain, &x), format!("http://{}/", plain.address));
    assert_eq!(href(&plain, &[("Host", "build.local:81")]), "http://build.local:81/");
    assert_eq!(href(&plain, &[("Host", "a\"><b")]), format!("http://{}/", plain.address));
    let trusting =
        Server::with(|settings| settings.trust_forwarded = vec!["127.0.0.0/8".parse().unwrap()]);
    assert_eq!(href(&trusting, &x), "https://ci.example.org/");
    assert_eq!(
        href(&trusting, &[("Forwarded", "for=192.0.2.1;proto=https;host=f.example.org")]),
        "https://f.example.org/"
    );
}

#[test]
fn what_a_client_says_of_itself_does_not_beat_its_proxy() {
    let server =
        Server::with(|settings| settings.trust_forwarded = vec!["127.0.0.0/8".parse().unwrap()]);
    let request = server
        .request("GET", "/")
        .header("Forwarded", "host=evil.example.org;proto=https")
        .header("X-Forwarded-Host", "evil.example.org, ci.example.org")
        .header("X-Forwarded-Proto", "http, https");
    assert_eq!(server.send(request).json()["links"][0]["href"], "https://ci.example.org/");
}

#[test]
fn long_answers_are_compressed_as_the_client_accepts() {
    let server = Server::new();
    server.project("pony");
    let body = format!(
        r#"{{"success":true,"results":[{{"name":"s","success":true,"output":"{}"}}]}}"#,
        "line of output ".repeat(500)
    );
    let path = server.build("pony", &body);
    let get = |path: &str, coding: &str| {
        server.send(server.request("GET", path).header("Accept-Encoding", coding))
    };
    let plain = server.get(&path);
    for coding in ["gzip", "zstd", "br"] {
        let compressed = get(&path, coding);
        assert_eq!((compressed.status, compressed.header("content-encoding")), (200, coding));
        assert!(compressed.body.len() < plain.body.len() / 4, "{coding}");
        assert_eq!(compressed.header("etag"), plain.header("etag"));
        assert!(compressed.header("vary").to_lowercase().contains("accept-encoding"));
    }
    assert_eq!(get("/pony", "gzip").header("content-encoding"), "");
}

#[test]
fn a_request_has_an_id() {
    let server = Server::new();
    let given = server.send(server.request("GET", "/").header("X-Request-Id", "job-7.1"));
    assert_eq!(given.header("x-request-id"), "job-7.1");
    let odd = server.send(server.request("GET", "/").header("X-Request-Id", "a b<c>"));
    assert_eq!(odd.header("x-request-id").len(), 36);
}

#[test]
fn the_server_counts_what_it_does() {
    let server = Server::new();
    server.project("pony");
    server.build("pony", r#"{"success":true}"#);
    server.get("/pony/builds/none");
    let metrics = server.get("/metrics");
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    for line in [
        "devmason_builds_recorded_total 1\n",
        "devmason_http_requests_total{method=\"POST\",resource=\"/{project}/builds\",status=\"201\"} 1\n",
        "devmason_http_requests_total{method=\"GET\",resource=\"/{project}/builds/{build}\",status=\"404\"} 1\n",
        "devmason_queued 0\n",
    ] {
        assert!(metrics.text().contains(line), "{line} in {}", metrics.text());
    }
    assert_eq!(server.get("/healthz").json()["status"], "ok");
    assert_eq!(server.get("/readyz").json()["status"], "ok");
}

#[test]
fn every_answer_tells_browsers_to_take_it_as_it_says() {
    let server = filled_for_headers();
    let send = |method: &str, path: &str, headers: &[(&str, &str)]| {
        headers
            .iter()
            .fold(server.request(method, path), |request, (name, value)| {
                request.header(name, value)
            })
            .send()
    };
    let etag = server.get("/pony").header("etag").to_owned();
    for (method, path, headers, status) in [
        ("GET", "/pony", &[][..], 200),
        ("GET", "/pony", &[("Accept", "text/html")], 200),
        ("GET", "/pony", &[("If-None-Match", etag.as_str())], 304),
        ("GET", "/none", &[], 404),
        ("GET", "/none", &[("Accept", "text/html"), ("Upgrade-Insecure-Requests", "1")], 404),
        ("PATCH", "/pony", &[], 405),
        ("OPTIONS", "/pony", &[], 204),
        ("GET", "/pony/builds/latest", &[], 302),
        ("GET", "/pony/badge.svg", &[], 200),
        ("GET", "/pony/builds.atom", &[], 200),
        ("GET", "/healthz", &[], 200),
        ("GET", "/metrics", &[], 200),
        ("GET", "/openapi.json", &[], 200),
        ("GET", "/pony", &[("Accept-Encoding", "identity;q=0")], 200),
        ("GET", "/pony", &[("Accept-Encoding", "x-none, *;q=0")], 200),
    ] {
        let answer = send(method, path, headers);
        assert_eq!(answer.status, status, "{method} {path} {headers:?}");
        assert_eq!(
            answer.header("x-content-type-options"),
            "nosniff",
            "{method} {path} {headers:?}"
        );
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{method} {path} {headers:?}");
        assert_eq!(answer.header("strict-transport-security"), "");
        assert_ne!(answer.header("x-request-id"), "", "{method} {path} {headers:?}");
    }
}

fn filled_for_headers() -> Server {
    let server = Server::new();
    server.project("pony");
    server.build("pony", r#"{"success":true}"#);
    server
}
