//! Known issues on pages: a failure leads to the form, which creates, changes and deletes.

use super::browser::token;
use crate::*;

const RED: &str = r#"{"success":false,"client":{"branch":"main"},"results":[{"name":"test","success":false,
    "tests":[{"suite":"s","name":"<i>*","status":"failed","failure":{"message":"port 1 & <b>"}}]}]}"#;

fn filled() -> (Server, String) {
    let server = Server::new();
    server.as_user("ann").send("PUT", "/pony", r#"{"name":"Pony"}"#);
    assert_eq!(server.as_user("ann").send("PUT", "/pony/builds/b1", RED).status, 201);
    let cookie = server.sign_in("ann");
    (server, cookie)
}

/// The target of the first link with this text.
fn link(page: &Response, text: &str) -> Option<String> {
    let html = page.text();
    let (before, _) = html.split_once(&format!(">{text}</a>"))?;
    let (_, href) = before.rsplit_once("href=\"")?;
    Some(href.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&"))
}

#[test]
fn a_failure_leads_to_a_form_that_says_it_is_known() {
    let (server, cookie) = filled();
    // Who may not write issues is shown no way to.
    assert_eq!(link(&server.page("/pony/builds/b1", ""), "Mark as known"), None);
    let marked = link(&server.page("/pony/builds/b1", &cookie), "Mark as known").unwrap();
    let (to, _) = marked.split_once('#').unwrap();
    assert!(!server.page(to, "").text().contains("<form class=\"column\""));
    let page = server.page(to, &cookie);
    let html = page.text();
    for field in [
        "name=\"match.test\" maxlength=\"1000\" value=\"s::&#60;i&#62;*\"",
        "value=\"port 1 &#38; &#60;b&#62;\"",
    ] {
        assert!(html.contains(field), "{field} in {html}");
    }
    let token = token(&page);
    let send = |path: &str, fields: &[(&str, &str)]| {
        let all: Vec<_> = [("_token", token.as_str())].iter().chain(fields).copied().collect();
        server.form(path, &cookie, &all)
    };
    let fields = [
        ("_method", "POST"),
        ("title", "port"),
        ("match.test", "s::<i>*"),
        ("match.message", ""),
        ("url", ""),
        ("note", ""),
        ("expires", ""),
        ("mute", "true"),
    ];
    let answer = send("/pony/issues", &fields);
    assert_eq!((answer.status, answer.header("location")), (303, "/pony/issues"));
    let page = server.page("/pony/builds/b1", "");
    let issue = link(&page, "port").unwrap();
    assert!(page.text().contains("muted until") && page.text().contains("1 muted"));
    assert!(server.page("/pony/issues", "").text().contains("mutes until"));
    // The day that was shown stands for the time that it was shown for.
    let ends = server.get(&issue).json()["expires"].clone();
    let html = server.page(&issue, &cookie).text();
    let (_, day) = html.split_once("name=\"_expires\" value=\"").unwrap();
    let day = day.split('"').next().unwrap();
    let fields = [("_method", "PUT"), ("note", "a\r\nb"), ("expires", day), ("_expires", day)];
    assert_eq!(send(&issue, &fields).status, 303);
    let changed = server.get(&issue).json();
    assert_eq!((&changed["expires"], &changed["note"]), (&ends, &"a\nb".into()));
    // A day is a date; what is empty is removed.
    let fields = [
        ("_method", "PUT"),
        ("title", "ports"),
        ("match.test", ""),
        ("match.message", "port*"),
        ("url", "https://example.org/7"),
        ("note", "see <7>"),
        ("expires", ""),
    ];
    assert_eq!(send(&issue, &fields).status, 303);
    let changed = server.get(&issue).json();
    assert_eq!(
        (&changed["match"]["test"], &changed["match"]["message"]),
        (&Value::Null, &"port*".into())
    );
    assert_eq!(changed["mute"], true);
    let page = server.page(&issue, &cookie).text();
    assert!(page.contains("see &#60;7&#62;") && page.contains("href=\"https://example.org/7\""));
    assert_eq!(send(&issue, &[("_method", "PUT"), ("mute", "false")]).status, 303);
    assert_eq!(send(&issue, &[("_method", "PUT"), ("expires", "2099-12-24")]).status, 303);
    assert_eq!(server.get(&issue).json()["expires"], "Thu, 24 Dec 2099 00:00:00 +0000");
    assert_eq!(send(&issue, &[("_method", "PUT"), ("state", "closed")]).status, 303);
    assert!(server.page(&issue, "").text().contains("closed on"));
    let bad = send("/pony/issues", &[("_method", "POST"), ("title", "x"), ("match.test", "")]);
    assert_eq!(bad.status, 400);
    assert!(bad.text().contains("match: needs at least one of"));
    let answer = send(&issue, &[("_method", "DELETE")]);
    assert_eq!((answer.status, answer.header("location")), (303, "/pony/issues"));
    assert_eq!(server.get(&issue).status, 404);
}
