//! Forms change what their user may change, and nothing else.

use serde_json::json;

use super::browser::{filled, token};
use crate::*;

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
        r#"name="gate" maxlength="1000" value="new:0""#,
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
fn a_form_is_short_and_plain_whatever_it_says() {
    let server = filled();
    let long = "a&".repeat(150_000);
    let send = |request: Request| {
        request.header("Content-Type", "application/x-www-form-urlencoded").send().status
    };
    let to = || server.request("POST", "/api/v1/session");
    assert_eq!(send(to().body(long.as_bytes())), 413);
    assert_eq!(send(to().header("Content-Encoding", "gzip").body(b"x")), 415);
}

#[test]
fn a_refused_form_comes_back_with_what_was_typed_and_names_the_field() {
    let server = filled();
    let cookie = server.sign_in("ann");
    let token = token(&server.page("/pony", &cookie));
    let send = |path: &str, fields: &[(&str, &str)]| {
        let all: Vec<_> = [("_token", token.as_str())].iter().chain(fields).copied().collect();
        server.browser_form(path, &cookie, &all)
    };
    let refused = send(
        "/pony",
        &[("_method", "PUT"), ("name", "My pony"), ("gate", "new:many"), ("mainline", "devel")],
    );
    assert_eq!(refused.status, 400);
    let text = refused.text();
    for part in [
        r#"value="My pony""#,
        r#"value="devel""#,
        r#"name="gate" maxlength="1000" value="new:many" aria-invalid="true" aria-describedby="gate-why""#,
        r#"id="gate-why""#,
        r#"<form class="column" method="post" action="/pony">"#,
        r#"<input type="hidden" name="_method" value="PUT">"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // It works once it is right.
    let fixed = send("/pony", &[("_method", "PUT"), ("name", "My pony"), ("gate", "new:1")]);
    assert_eq!((fixed.status, fixed.header("location")), (303, "/pony"));
    // A project is never overwritten, and passwords are not shown again.
    let taken = send("/", &[("_method", "PUT"), ("_slug", "pony"), ("name", "Another")]);
    assert!(taken.text().contains("id=\"slug-why\"") && taken.text().contains("value=\"Another\""));
    let wrong = [("_method", "PUT"), ("_old_password", "secret-1"), ("password", "secret-2")];
    let wrong = send("/users/ann", &wrong);
    assert!(wrong.text().contains("id=\"old_password-why\""), "{}", wrong.text());
    assert!(!wrong.text().contains("secret-"), "{}", wrong.text());
    let issue = [("_method", "POST"), ("title", "Port"), ("match.test", ""), ("note", "a\nb")];
    let issue = send("/pony/issues", &issue);
    assert_eq!(issue.status, 400);
    assert!(issue.text().contains("value=\"Port\"") && issue.text().contains("a\nb</textarea>"));
    let note = "\u{4e2d}".repeat(10_000);
    let long =
        [("_method", "POST"), ("title", "Port"), ("match.test", "a"), ("note", note.as_str())];
    assert_eq!(send("/pony/issues", &long).status, 303);
    // The settings of a project that is gone register none.
    let gone = send("/gone", &[("_method", "PUT"), ("name", "Gone")]);
    assert_eq!((gone.status, server.get("/gone").status), (404, 404));
    let deletion = send("/pony", &[("_method", "DELETE"), ("_confirm", "poni")]);
    assert!(deletion.text().contains("id=\"confirm-why\""), "{}", deletion.text());
    // Programs get the document of the error.
    let plain = [("_token", token.as_str()), ("_method", "PUT"), ("name", "")];
    assert!(server.form("/pony", &cookie, &plain).text().starts_with('{'));
}

#[test]
fn a_repository_makes_links_of_commits_branches_changes_and_files() {
    let server = filled();
    let ann = server.as_user("ann");
    let put = |repository: &str| {
        ann.send("PUT", "/pony", &json!({"name": "Pony", "repository": repository}).to_string())
    };
    for bad in ["javascript:alert(1)", "git@example.org:a/b", "https://u:p@example.org/a/b", ""] {
        let answer = put(bad);
        assert_eq!(
            (answer.status, &answer.json()["payload"]["field"]),
            (400, &json!("repository"))
        );
    }
    assert_eq!(
        put("https://github.com/acme/pony.git").json()["repository"],
        "https://github.com/acme/pony"
    );
    let test = json!({"name": "t", "status": "failed", "file": "src/a.rs", "line": 7,
        "failure": {"message": "m", "text": "at src/walk.rs:12:3\nat /usr/lib/x.rs:1"}});
    let build = json!({"success": false, "tags": ["pr-17"], "client": {"commit": "abcdef0123", "branch": "fix/a"},
        "results": [{"name": "s", "success": false, "tests": [test]}]});
    assert_eq!(ann.send("PUT", "/pony/builds/1", &build.to_string()).status, 201);
    let page = server.page("/pony/builds/1", "").text();
    for href in ["/commit/abcdef0123", "/tree/fix/a", "/pull/17"] {
        assert!(
            page.contains(&format!("href=\"https://github.com/acme/pony{href}\"")),
            "{href}: {page}"
        );
    }
    let page = server.page("/pony/builds/1/tests/0", "").text();
    for href in ["src/walk.rs#L12", "src/a.rs#L7"] {
        let href = format!("href=\"https://github.com/acme/pony/blob/abcdef0123/{href}\"");
        assert!(page.contains(&href), "{href}: {page}");
    }
    assert!(!page.contains("/blob/abcdef0123/usr"), "{page}");
    assert!(server.page("/pony/builds", "").text().contains("acme/pony/commit/abcdef0123"));
    // Without one there are none, and a change that does not name it keeps it.
    ann.send("PUT", "/pony", r#"{"name":"Pony"}"#);
    assert!(server.page("/pony/builds/1", "").text().contains("github.com"));
    ann.send("PUT", "/pony", r#"{"name":"Pony","repository":null}"#);
    assert!(!server.page("/pony/builds/1", "").text().contains("github.com"));
}

#[test]
fn administrators_see_what_the_server_holds_and_others_do_not() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = Server::on(backend, |settings| {
            let admins = ["root".parse().unwrap()];
            settings.policy = Policy::new(Registration::Open, Reading::Open, &admins);
        });
        server.as_user("ann").send("PUT", "/pony", r#"{"name":"Pony"}"#);
        server.as_user("ann").send(
            "POST",
            "/pony/builds",
            r#"{"success":true,"results":[{"name":"s","success":true,"output":"12345"}]}"#,
        );
        server.project("zebra");
        assert_eq!(server.get("/admin").status, 401);
        assert_eq!(server.as_user("ann").send("GET", "/admin", "").status, 403);
        server.administrator("root");
        let of = server.as_user("root").send("GET", "/admin", "").json();
        assert_eq!((&of["count"], &of["users"]), (&json!(2), &json!(2)));
        let pony = &of["projects"][0];
        assert_eq!((&pony["id"], &pony["builds"]), (&json!("pony"), &json!(1)));
        assert!(pony["output_bytes"].as_u64().unwrap() >= 5, "{of}");
        assert!(of["database_bytes"].as_u64().unwrap() > 1000, "{of}");
        let cookie = server.sign_in("root");
        let page = server.page("/admin", &cookie).text();
        for part in ["Administration", "This deletes 1 build, ", "action=\"/pony\""] {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert!(!server.page("/", "").text().contains("/admin"));
        assert!(server.page("/", &cookie).text().contains("href=\"/admin\""));
    }
}

#[test]
fn the_list_of_projects_is_sorted_and_grouped_by_links_and_begins_with_ones_own_trouble() {
    let server = Server::new();
    let ann = server.as_user("ann");
    for (slug, success) in [("web-shop", true), ("web-admin", false), ("zebra", true)] {
        ann.send("PUT", &format!("/{slug}"), &format!(r#"{{"name":"{slug}"}}"#));
        ann.send("POST", &format!("/{slug}/builds"), &format!(r#"{{"success":{success}}}"#));
    }
    let page = |query: &str, cookie: &str| server.page(&format!("/{query}"), cookie).text();
    let names = |query: &str| {
        let text = page(query, "");
        let rows = text.split("data-text=\"").skip(1);
        rows.map(|row| row.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(""), "web-admin web-shop zebra");
    assert_eq!(names("?sort=-name"), "zebra web-shop web-admin");
    assert_eq!(names("?sort=state"), "web-admin web-shop zebra");
    assert_eq!(names("?sort=-state").split(' ').next_back(), Some("web-admin"));
    assert_eq!(names("?sort=last"), "zebra web-admin web-shop");
    assert_eq!(server.get("/?sort=size&format=html").status, 400);
    let text = page("?sort=last", "");
    assert!(text.contains("aria-sort=\"descending\"") && text.contains("?sort=-last"), "{text}");
    let text = page("?group=prefix", "");
    let (web, others) = (text.find(">web</th>").unwrap(), text.find(">Others</th>").unwrap());
    assert!(web < others, "{text}");
    // By tags: a project may be in several groups, or in none.
    for (slug, tags) in [("web-shop", "shop, team-a,;"), ("zebra", "team-a")] {
        let cookie = server.sign_in_to("ann", &format!("/{slug}"));
        let token = token(&server.page(&format!("/{slug}"), &cookie));
        let fields =
            [("_token", token.as_str()), ("_method", "PUT"), ("name", slug), ("tags", tags)];
        assert_eq!(server.form(&format!("/{slug}"), &cookie, &fields).status, 303);
        assert!(server.page(&format!("/{slug}"), &cookie).text().contains("name=\"tags\""));
    }
    assert_eq!(server.get("/web-shop").json()["tags"], json!(["shop", "team-a"]));
    assert_eq!(
        server.get("/api/v1/projects/web-shop").json()["project"]["tags"],
        json!(["shop", "team-a"])
    );
    let text = page("?group=tag", "");
    let headings: Vec<&str> = text.split("scope=\"rowgroup\">").skip(1).collect();
    let headings = headings.iter().map(|rest| rest.split('<').next().unwrap());
    assert_eq!(headings.collect::<Vec<_>>(), ["shop", "team-a", "Without a tag"]);
    assert_eq!(names("?group=tag"), "web-shop web-shop zebra web-admin");
    assert_eq!(server.get("/?group=size&format=html").status, 400);
    let refused = ann.send("PUT", "/zebra", r#"{"name":"zebra","tags":["a","b,c"]}"#);
    assert_eq!((refused.status, &refused.json()["payload"]["field"]), (400, &json!("tags[1]")));
    assert_eq!(ann.send("PUT", "/zebra", r#"{"name":"zebra","tags":null}"#).status, 200);
    assert_eq!(server.get("/zebra").json()["tags"], json!(["team-a"]));
    assert!(!page("", "").contains("Your projects"));
    let cookie = server.sign_in_to("ann", "/zebra");
    let text = page("", &cookie);
    let mine = text.split("All projects").next().unwrap();
    assert!(mine.contains("Your projects that need attention"), "{text}");
    assert!(mine.contains("/web-admin") && !mine.contains("\"/zebra\""), "{mine}");
}
