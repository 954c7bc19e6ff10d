//! Forms change what their user may change, and nothing else.

use serde_json::json;

use super::browser::{filled, token};
use crate::*;

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
fn a_projects_settings_are_a_form_that_says_what_they_are() {
    let server = Server::new();
    let ann = server.as_user("ann");
    ann.send("PUT", "/pony", r#"{"name":"Pony","mainline":"devel","gate":"new:0"}"#);
    let cookie = server.sign_in("ann");
    let page = server.page("/pony", &cookie);
    let text = page.text();
    for shown in [
        r#"name="mainline" maxlength="250" value="devel""#,
        r#"name="gate" value="new:0""#,
        "\ntags\nclient.job\nclient.arch</textarea>",
        r#"<option value="anyone" selected>anyone"#,
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    let token = token(&page);
    let change = |fields: &[(&str, &str)]| {
        let own = [("_token", token.as_str()), ("_method", "PUT"), ("name", "Pony")];
        server.form("/pony", &cookie, &own.iter().chain(fields).copied().collect::<Vec<_>>())
    };
    let settings = || {
        let project = ann.send("GET", "/pony", "").json();
        ["reporting", "triage", "mainline", "variant_by", "gate"].map(|of| project[of].clone())
    };
    let saved = change(&[
        ("reporting", "owner"),
        ("triage", "authenticated"),
        ("mainline", ""),
        ("variant_by", "tags:os-*\r\n\r\n client.arch "),
        ("gate", "new:2"),
    ]);
    assert_eq!((saved.status, saved.header("location")), (303, "/pony"));
    let after = [
        json!("owner"),
        json!("authenticated"),
        json!(null),
        json!(["tags:os-*", "client.arch"]),
        json!("new:2"),
    ];
    assert_eq!(settings(), after);
    for (field, value) in [("variant_by", "colour"), ("gate", "new:many"), ("reporting", "all")] {
        let refused = change(&[(field, value)]);
        assert_eq!(refused.status, 400, "{field}");
        assert!(refused.text().contains(field), "{field}: {}", refused.text());
    }
    assert_eq!(settings(), after);
}

#[test]
fn a_badge_and_the_first_commands_are_there_to_copy_with_this_servers_address() {
    let server =
        Server::with(|settings| settings.public_url = Base::from_public_url("https://h/ci"));
    let empty = server.page("/", "");
    assert!(empty.text().contains("--server https://h/ci --create"), "{}", empty.text());
    server.as_user("ann").send("PUT", "/pony", r#"{"name":"Pony","reporting":"owner"}"#);
    let page = server.page("/pony", "");
    for command in
        ["devmason run --server https://h/ci -p pony -- ", "curl https://h/ci/pony/builds "]
    {
        assert!(page.text().contains(command), "{command}: {}", page.text());
    }
    assert!(page.text().contains("from the owner and administrators only"), "{}", page.text());
    let copied = "[![pony](https://h/ci/pony/badge.svg)](https://h/ci/pony)";
    assert!(page.text().contains(copied), "{}", page.text());
    server.as_user("ann").send("POST", "/pony/builds", r#"{"success":true}"#);
    assert!(!server.page("/pony", "").text().contains("Report the first build"));
}

#[test]
fn the_receipt_is_a_table_and_its_uploads_are_read_again_by_a_form() {
    let server = filled();
    let form = "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"<b>.xml\"\r\n\r\n\
                <testsuite name='s' tests='3'>\n<testcase name='a'/>\n<testcase name='b'><failure/>\
                </testcase></testsuite>\r\n--x\r\nContent-Disposition: form-data; name=\"f\"; \
                filename=\"notes.txt\"\r\n\r\nhello\r\n--x--\r\n";
    let built = server
        .request("POST", "/pony/builds")
        .basic("ann", "ann-pw")
        .header("Content-Type", "multipart/form-data; boundary=x")
        .body(form.as_bytes())
        .send();
    assert_eq!(built.status, 201);
    let receipt = format!("{}/receipt", built.header("location"));
    let cookie = server.sign_in("ann");
    let page = server.page(&receipt, &cookie);
    let text = page.text();
    for cell in [
        ">&#60;b&#62;.xml <span class=\"soft\">",
        "<td>junit</td><td>from the bytes</td>",
        "<td class=\"num\">1</td><td class=\"num\">0</td><td class=\"num\">0</td><td class=\"num\">1</td>",
        "<strong>odd</strong> <span class=\"soft\">line 1</span> the suite",
        "<td>not a report</td>",
        "<strong>dropped</strong> not a report in a supported format",
        "<td>yes</td>",
    ] {
        assert!(text.contains(cell), "{cell}: {text}");
    }
    let fields = |method: &'static str, token: &str| {
        [("_method".to_owned(), method.to_owned()), ("_token".to_owned(), token.to_owned())]
    };
    let send = |cookie: &str, fields: [(String, String); 2]| {
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        server.form(&format!("{receipt}/reparse"), cookie, &fields)
    };
    let own = token(&page);
    let again = send(&cookie, fields("POST", &own));
    assert_eq!((again.status, again.header("location")), (303, receipt.as_str()));
    assert_eq!(send(&cookie, fields("PUT", &own)).status, 400);
    assert_eq!(send(&cookie, fields("POST", "wrong")).status, 403);
    // Of very many files, only the first are shown.
    let part = |nth: usize| {
        format!(
            "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{nth}.tap\"\r\n\r\n1..1\nok 1 - a{nth}\n\r\n"
        )
    };
    let many = (0..205).map(part).collect::<String>() + "--x--\r\n";
    let built = server
        .request("POST", "/pony/builds")
        .basic("ann", "ann-pw")
        .header("Content-Type", "multipart/form-data; boundary=x")
        .body(many.as_bytes())
        .send();
    let text = server.page(&format!("{}/receipt", built.header("location")), &cookie).text();
    assert!(text.contains("199.tap") && !text.contains("200.tap"), "{text}");
    assert!(text.contains(">5 more files not shown"), "{text}");
    // Users without permission see no form.
    server.as_user("bob").send("PUT", "/bobs", r#"{"name":"Bob's"}"#);
    let bob = server.sign_in("bob");
    assert!(!server.page(&receipt, &bob).text().contains("Reparse"));
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
fn a_form_is_short_and_plain_whatever_it_says() {
    let server = filled();
    let long = "a&".repeat(40_000);
    let send = |request: Request| {
        request.header("Content-Type", "application/x-www-form-urlencoded").send().status
    };
    let to = || server.request("POST", "/api/v1/session");
    assert_eq!(send(to().body(long.as_bytes())), 413);
    assert_eq!(send(to().header("Content-Encoding", "gzip").body(b"x")), 415);
}
