//! Signing in and out, and what a session may read.

use super::browser::{filled, token};
use crate::*;

#[test]
fn who_signs_in_is_a_user_with_the_right_password_and_goes_nowhere_else() {
    let server = filled();
    for (user, password) in [("ann", "wrong"), ("nobody", "nobody-pw"), ("", "")] {
        let answer =
            server.form("/api/v1/session", "", &[("username", user), ("password", password)]);
        assert_eq!(answer.status, 401, "{user}");
        assert_eq!(answer.header("set-cookie"), "");
    }
    assert_eq!(server.get("/users/nobody").status, 404);
    let fields = [("username", "ann"), ("password", "ann-pw"), ("next", "//evil.example.org/")];
    assert_eq!(server.form("/api/v1/session", "", &fields).header("location"), "/");
    let cookie = server.sign_in("ann");
    let page = server.page("/", &cookie);
    let fields = [("_method", "DELETE"), ("_token", &token(&page))];
    assert_eq!(server.form("/api/v1/session", &cookie, &fields).status, 303);
    let who = server.request("GET", "/api/v1/session").header("Cookie", &cookie).send();
    assert_eq!(who.text(), r#"{"username":null}"#);
}

#[test]
fn nothing_of_a_clients_reaches_a_header_unchecked() {
    let server = filled();
    for next in [
        "/a\u{1}b",
        "/\u{7f}",
        "/a\nb",
        "/\t/evil",
        "/\u{fc}",
        "/\u{85}",
        "/a b",
        "/\\evil.example.org",
    ] {
        let fields = [("username", "ann"), ("password", "ann-pw"), ("next", next)];
        let answer = server.form("/api/v1/session", "", &fields);
        assert_eq!((answer.status, answer.header("location")), (303, "/"), "{next:?}");
    }
    let next = "/pony/tags/%C3%BC?x=%01";
    let fields = [("username", "ann"), ("password", "ann-pw"), ("next", next)];
    assert_eq!(server.form("/api/v1/session", "", &fields).header("location"), next);
}

#[test]
fn over_tls_the_session_is_this_hosts_alone() {
    for (url, name, path) in [
        ("https://ci.example.org", "__Host-devmason_session", "Path=/"),
        ("https://ci.example.org/ci", "__Secure-devmason_session", "Path=/ci"),
        ("http://ci.example.org", "devmason_session", "Path=/"),
    ] {
        let base = Base::from_public_url(url).unwrap();
        let server = Server::with(|settings| settings.public_url = Some(base.clone()));
        server.as_user("ann").send("PUT", "/pony", r#"{"name":"Pony"}"#);
        let answer = server
            .request("POST", "/api/v1/session")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("Origin", base.origin())
            .body(b"username=ann&password=ann-pw")
            .send();
        let cookie = answer.header("set-cookie").to_owned();
        assert!(
            cookie.starts_with(&format!("{name}=")) && cookie.split("; ").any(|part| part == path),
            "{cookie}"
        );
        assert_eq!(cookie.contains("Secure"), url.starts_with("https"), "{cookie}");
        let (_, secret) = cookie.split(';').next().unwrap().split_once('=').unwrap();
        let who = |cookie: &str| {
            server.request("GET", "/api/v1/session").header("Cookie", cookie).send().text()
        };
        assert_eq!(who(&format!("{name}={secret}")), r#"{"username":"ann"}"#);
        // A cookie that another host or an attacker on the network could have set is ignored.
        if name != "devmason_session" {
            assert_eq!(who(&format!("devmason_session={secret}")), r#"{"username":null}"#);
        }
    }
}

#[test]
fn what_may_not_be_read_is_not_told_of_by_options_either() {
    let server = Server::of(Registration::Open, Reading::Authenticated, &[]);
    server.as_user("ann").send("PUT", "/pony", r#"{"name":"Pony"}"#);
    for path in ["/pony/tags", "/none/tags", "/pony/builds"] {
        assert_eq!(server.request("OPTIONS", path).send().status, 401, "{path}");
    }
    let cookie = server.sign_in("ann");
    let who = server.request("GET", "/api/v1/session").header("Cookie", &cookie).send();
    assert_eq!(who.text(), r#"{"username":"ann"}"#);
    assert_eq!(server.request("GET", "/api/v1/session").send().text(), r#"{"username":null}"#);
    // Error pages show the signed-in user, too.
    assert!(server.page("/none", &cookie).text().contains(">ann</a>"));
}
