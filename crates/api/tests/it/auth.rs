//! Credentials: the users they identify and create, and what they permit.

use crate::*;

#[test]
fn users_are_made_on_the_fly_where_the_request_succeeds() {
    let server = Server::new();
    server.project("pony");
    let requests = [
        ("carol", "PUT", "/carols", r#"{"name":"x"}"#, 201),
        ("dave", "POST", "/pony/builds", r#"{"success":true}"#, 201),
        ("erin", "PUT", "/pony/builds/1", r#"{"success":true}"#, 201),
        ("frank", "PUT", "/users/frank", "", 201),
        ("gina", "POST", "/pony/builds", "{}", 400),
        ("hugo", "POST", "/none/builds", r#"{"success":true}"#, 404),
        ("ivan", "GET", "/pony", "", 200),
        ("judy", "PUT", "/users/frank", "", 403),
        ("kurt", "DELETE", "/pony", "", 403),
    ];
    for (user, method, path, body, status) in requests {
        assert_eq!(server.as_user(user).send(method, path, body).status, status, "{user}");
        let made = server.get(&format!("/users/{user}")).status == 200;
        assert_eq!(made, status == 201, "{user}");
    }
}

#[test]
fn a_wrong_password_is_refused_everywhere() {
    let server = Server::new();
    server.as_user("alice").send("PUT", "/pony", r#"{"name":"x"}"#);
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/pony"),
        ("HEAD", "/pony"),
        ("OPTIONS", "/pony"),
        ("GET", "/nothing/here/at/all"),
        ("POST", "/pony/builds"),
        ("DELETE", "/pony"),
    ] {
        let answer = server.send(server.request(method, path).basic("ALICE", "wrong"));
        assert_eq!(
            (answer.status, answer.header("www-authenticate")),
            (401, "Basic realm=\"devmason\""),
            "{method} {path}"
        );
    }
}

#[test]
fn malformed_credentials_are_refused_and_an_empty_header_is_none() {
    let server = Server::new();
    for value in [
        "Bearer abc",
        "Basic",
        "Basic !!!",
        "Basic YWJj",
        "Basic /w==",
        "Digest x",
        "Basic YTpiOmM= x",
    ] {
        let answer = server.send(server.request("GET", "/").header("Authorization", value));
        assert_eq!(answer.status, 401, "{value}");
    }
    // A malformed username.
    assert_eq!(server.send(server.request("GET", "/").basic("a b", "x")).status, 401);
    assert_eq!(server.send(server.request("GET", "/").header("Authorization", "")).status, 200);
    assert_eq!(server.send(server.request("GET", "/").header("Authorization", "  ")).status, 200);
}

#[test]
fn a_password_that_bcrypt_would_cut_is_refused() {
    let server = Server::new();
    let long = "x".repeat(73);
    let answer =
        server.send(server.request("PUT", "/pony").basic("alice", &long).json(r#"{"name":"x"}"#));
    assert_eq!(answer.status, 400);
    assert!(answer.message().starts_with("password: "));
    assert_eq!(server.get("/pony").status, 404);
    // For a known user it is a wrong password, even if its first 72 bytes match.
    assert_eq!(
        server.send(server.request("PUT", "/users/bob").basic("bob", &long[..72])).status,
        201
    );
    assert_eq!(server.send(server.request("GET", "/").basic("bob", &long)).status, 401);
    assert_eq!(server.send(server.request("GET", "/").basic("bob", &long[..72])).status, 200);
}

#[test]
fn closed_registration_makes_no_users_and_takes_no_projects() {
    let server = Server::of(Registration::Closed, Reading::Open, &[]);
    assert_eq!(server.put("/pony", r#"{"name":"x"}"#).status, 401);
    assert_eq!(server.as_user("bob").send("PUT", "/pony", r#"{"name":"x"}"#).status, 403);
    assert_eq!(server.as_user("bob").send("PUT", "/users/bob", "").status, 403);
    assert_eq!(server.as_user("bob").send("GET", "/", "").status, 200);
}

#[test]
fn authenticated_registration_wants_credentials() {
    let server = Server::of(Registration::Authenticated, Reading::Open, &[]);
    assert_eq!(server.put("/pony", r#"{"name":"x"}"#).status, 401);
    assert_eq!(server.as_user("bob").send("PUT", "/pony", r#"{"name":"x"}"#).status, 201);
}

#[test]
fn an_administrators_name_is_never_made_over_http() {
    let server = Server::of(Registration::Open, Reading::Open, &["Root"]);
    assert_eq!(server.as_user("root").send("PUT", "/users/root", "").status, 403);
    assert_eq!(server.as_user("root").send("PUT", "/pony", r#"{"name":"x"}"#).status, 403);
    assert_eq!(server.get("/users/root").status, 404);
}

#[test]
fn reading_may_need_credentials_but_health_does_not() {
    let server = Server::of(Registration::Open, Reading::Authenticated, &[]);
    for path in ["/", "/users", "/metrics", "/openapi.json", "/nothing"] {
        assert_eq!(server.get(path).status, 401, "{path}");
        assert_eq!(server.as_user("stranger").send("GET", path, "").status, 403, "{path}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    assert_eq!(server.as_user("bob").send("PUT", "/users/bob", "").status, 201);
    assert_eq!(server.as_user("bob").send("GET", "/users", "").status, 200);
}

#[test]
fn who_guesses_has_to_wait_and_others_do_not() {
    let server = Server::with(|settings| settings.login_failures_per_minute = 5);
    server.as_user("alice").send("PUT", "/users/alice", "");
    assert_eq!(server.as_user("alice").send("GET", "/", "").status, 200);
    let guess =
        |n: u32| server.send(server.request("GET", "/").basic("alice", &format!("guess {n}")));
    let statuses: Vec<u16> = (0..8).map(|n| guess(n).status).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
    assert_eq!(guess(9).header("retry-after"), "60");
    // A user verified a moment ago can continue, as can anonymous clients.
    assert_eq!(server.as_user("alice").send("GET", "/", "").status, 200);
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn the_server_says_who_may_report_to_a_project_that_does_not() {
    let server = Server::with(|settings| {
        settings.reporting = "authenticated".parse().unwrap();
    });
    let build = r#"{"success":true}"#;
    let reports = |project: &str| {
        server.request("POST", &format!("/{project}/builds")).json(build).send().status
    };
    let alice = server.as_user("alice");
    assert_eq!(
        alice.send("PUT", "/silent", r#"{"name":"x"}"#).json()["reporting"],
        "authenticated"
    );
    alice.send("PUT", "/open", r#"{"name":"x","reporting":"anyone"}"#);
    assert_eq!((reports("silent"), reports("open")), (401, 201));
    assert_eq!(alice.send("POST", "/silent/builds", build).status, 201);
}

#[test]
fn a_projects_reporting_says_who_may_post() {
    let server = Server::new();
    let alice = server.as_user("alice");
    for (mode, anonymous, other) in
        [("anyone", 201, 201), ("authenticated", 401, 201), ("owner", 401, 403)]
    {
        let status =
            alice.send("PUT", "/pony", &format!(r#"{{"name":"x","reporting":"{mode}"}}"#)).status;
        assert!(matches!(status, 200 | 201));
        assert_eq!(server.post("/pony/builds", r#"{"success":true}"#).status, anonymous, "{mode}");
        assert_eq!(
            server.as_user("bob").send("POST", "/pony/builds", r#"{"success":true}"#).status,
            other,
            "{mode}"
        );
        assert_eq!(alice.send("POST", "/pony/builds", r#"{"success":true}"#).status, 201, "{mode}");
        assert_eq!(
            server.get("/pony").methods("build-list"),
            if anonymous == 201 { "GET POST" } else { "GET" }
        );
    }
}

#[test]
fn many_requests_of_one_newcomer_at_once_make_one_user() {
    let server = Server::new();
    server.project("pony");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let answer =
                    server.as_user("zoe").send("POST", "/pony/builds", r#"{"success":true}"#);
                assert_eq!(answer.status, 201, "{}", answer.text());
            });
        }
    });
    assert_eq!(server.get("/users").json()["count"], 1);
    assert_eq!(server.get("/users/zoe/builds").json()["count"], 8);
}
