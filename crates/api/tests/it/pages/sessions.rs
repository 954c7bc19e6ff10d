//! Signing in and out, what a session may read, and what its forms may change.

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

#[test]
fn a_session_reads_and_its_forms_change_what_its_user_may() {
    let server = Server::of(Registration::Open, Reading::Authenticated, &[]);
    server.as_user("ann").send("PUT", "/pony", r#"{"name":"Pony"}"#);
    let asked = server.page("/pony", "");
    assert_eq!(asked.status, 401);
    assert!(!asked.header("www-authenticate").contains("Basic"));
    assert!(asked.text().contains("Sign in"));
    let cookie = server.sign_in("ann");
    let page = server.page("/pony", &cookie);
    assert_eq!(page.status, 200);
    let token = token(&page);
    let change = |path: &str, fields: &[(&str, &str)]| {
        let all: Vec<_> = [("_token", token.as_str())].iter().chain(fields).copied().collect();
        server.form(path, &cookie, &all)
    };
    let renamed = change("/pony", &[("_method", "PUT"), ("name", "My \"pony\"")]);
    assert_eq!((renamed.status, renamed.header("location")), (303, "/pony"));
    let registered = change("/", &[("_method", "PUT"), ("_slug", "zebra"), ("name", "Zebra")]);
    assert_eq!((registered.status, registered.header("location")), (303, "/zebra"));
    let ann = server.as_user("ann");
    assert_eq!(ann.send("GET", "/pony", "").json()["name"], "My \"pony\"");
    assert_eq!(ann.send("GET", "/zebra", "").json()["owner"], "ann");
    // The form registers projects and never changes existing ones; an invalid name is reported with its
    // field.
    for (slug, words) in [
        ("a b", "name in URLs"),
        ("api", "this name is reserved"),
        ("users", "this name is reserved"),
        ("pony", "a project with this name already exists"),
        ("PONY", "a project with this name already exists"),
    ] {
        let answer = change("/", &[("_method", "PUT"), ("_slug", slug), ("name", "Changed")]);
        assert_eq!(answer.status, 400, "{slug}");
        assert!(answer.text().contains(words), "{slug}: {}", answer.text());
    }
    assert_eq!(server.as_user("ann").send("GET", "/pony", "").json()["name"], "My \"pony\"");
    // Deletion must be confirmed.
    assert_eq!(change("/zebra", &[("_method", "DELETE"), ("_confirm", "pony")]).status, 400);
    let deleted = change("/zebra", &[("_method", "DELETE"), ("_confirm", "zebra")]);
    assert_eq!((deleted.status, deleted.header("location")), (303, "/"));
    assert_eq!(ann.send("GET", "/zebra", "").status, 404);
    // A session isn't sufficient without a form from a page.
    let put = server.request("PUT", "/pony").header("Cookie", &cookie).json(r#"{"name":"x"}"#);
    // Reading needs an account here, so anonymous clients aren't told that project exists.
    assert_eq!(put.send().status, 401);
    // It isn't sufficient for a new password either: the person at the browser may not know the old
    // one.
    for old in ["", "wrong", "bob-pw"] {
        let fields = [("_method", "PUT"), ("password", "another one"), ("_old_password", old)];
        assert_eq!(change("/users/ann", &fields).status, 400, "{old}");
    }
    assert_eq!(
        change("/users/bob", &[("_method", "PUT"), ("password", "x"), ("_old_password", "ann-pw")])
            .status,
        403
    );
    assert_eq!(ann.send("GET", "/pony", "").status, 200);
    let fields = [("_method", "PUT"), ("password", "another one"), ("_old_password", "ann-pw")];
    let password = change("/users/ann", &fields);
    assert_eq!((password.status, password.header("location")), (303, "/api/v1/session"));
    assert_eq!(server.page("/pony", &cookie).status, 401);
}

#[test]
fn a_form_of_another_page_or_session_does_nothing() {
    let server = filled();
    server.as_user("bob").send("PUT", "/bobs", r#"{"name":"Bob's"}"#);
    let (ann, bob) = (server.sign_in("ann"), server.sign_in("bob"));
    let fields = |token: &str| {
        [("_method", "PUT"), ("name", "x"), ("_token", token)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let send = |cookie: &str, token: &str| {
        let fields = fields(token);
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        server.form("/pony", cookie, &fields).status
    };
    let of_ann = token(&server.page("/pony", &ann));
    let of_bob = token(&server.page("/bobs", &bob));
    assert_eq!([send(&ann, ""), send(&ann, &of_bob), send("", &of_ann)], [403; 3]);
    // Bob's own form does only what Bob may do.
    assert_eq!(send(&bob, &of_bob), 403);
    let elsewhere = server
        .request("POST", "/pony")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Origin", "https://evil.example.org")
        .header("Cookie", &ann)
        .body(format!("_method=PUT&name=x&_token={of_ann}").as_bytes());
    assert_eq!(elsewhere.send().status, 403);
    assert_eq!(server.get("/pony").json()["name"], "<i>Pony</i>");
    assert_eq!(send(&ann, &of_ann), 303);
}

#[test]
fn a_form_of_an_ended_session_comes_back_with_fields_to_sign_in_with() {
    let server = filled();
    server.as_user("bob").send("PUT", "/bobs", r#"{"name":"Bob's"}"#);
    let old = server.sign_in("ann");
    let token = token(&server.page("/pony", &old));
    let end = [("_method", "DELETE"), ("_token", token.as_str())];
    assert_eq!(server.form("/api/v1/session", &old, &end).status, 303);
    let typed = [("_token", token.as_str()), ("_method", "PUT"), ("name", "My pony")];
    let with = |more: &[(&'static str, &'static str)]| {
        let all: Vec<_> = typed.iter().chain(more).copied().collect();
        server.browser_form("/pony", &old, &all)
    };
    let refused = with(&[]);
    let text = refused.text();
    assert_eq!(refused.status, 403);
    for part in [
        "your session has ended",
        r#"value="My pony""#,
        r#"name="_session_username""#,
        r#"name="_session_password""#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let by =
        |password: &'static str| [("_session_username", "ann"), ("_session_password", password)];
    let wrong = with(&by("wrong"));
    assert_eq!(wrong.status, 401);
    assert!(wrong.text().contains(r#"value="My pony""#) && wrong.text().contains(r#"value="ann""#));
    assert!(!wrong.text().contains("\"wrong\"") && wrong.header("set-cookie").is_empty());
    let unknown = with(&[("_session_username", "zoe"), ("_session_password", "zoe-pw")]);
    assert_eq!(unknown.status, 401);
    assert_eq!(server.get("/users/zoe").status, 404);
    assert_eq!(server.get("/pony").json()["name"], "<i>Pony</i>");
    // What else is wrong is said to somebody who has signed in by then.
    let [username, password] = by("ann-pw");
    let refused_gate = with(&[username, password, ("gate", "new:many")]);
    assert_eq!(refused_gate.status, 400);
    assert!(refused_gate.header("set-cookie").contains("devmason_session="));
    assert!(!refused_gate.text().contains("ann-pw") && !refused_gate.text().contains("_session_"));
    let sent = with(&by("ann-pw"));
    assert_eq!((sent.status, sent.header("location")), (303, "/pony"));
    assert_eq!(server.get("/pony").json()["name"], "My pony");
    let fresh = sent.header("set-cookie").split(';').next().unwrap().to_owned();
    assert!(server.page("/pony", &fresh).text().contains("Sign out"));
    // Somebody else is signed in, but may not do it.
    let bob = with(&[("_session_username", "bob"), ("_session_password", "bob-pw")]);
    assert_eq!(bob.status, 403);
    assert!(
        bob.header("set-cookie").contains("devmason_session=") && bob.text().contains("Sign out")
    );
    assert!(!bob.text().contains("bob-pw"), "{}", bob.text());
    // A form from before one signed in again is shown again, too.
    let again = server.browser_form("/pony", &fresh, &typed);
    assert_eq!(again.status, 403);
    assert!(again.text().contains("from an earlier session"), "{}", again.text());
    assert!(!again.text().contains("_session_") && !again.text().contains(&token));
    // What a page of another site has typed is not shown.
    let foreign = server
        .request("POST", "/pony")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Sec-Fetch-Mode", "navigate")
        .body(b"_method=PUT&name=Stolen")
        .send();
    assert_eq!(foreign.status, 403);
    assert!(!foreign.text().contains("Stolen"), "{}", foreign.text());
}
