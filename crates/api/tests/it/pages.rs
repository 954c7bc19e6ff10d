//! Pages: what browsers get, and what they may send.

use crate::*;

impl Server {
    /// Requests a page as a browser does, with its session cookie if there is one.
    fn page(&self, path: &str, cookie: &str) -> Response {
        let request = self.request("GET", path).header("Accept", "text/html");
        let request = request.header("Upgrade-Insecure-Requests", "1");
        let request = if cookie.is_empty() { request } else { request.header("Cookie", cookie) };
        let page = request.send();
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{path}");
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        page
    }

    /// Sends a form as a browser does.
    fn form(&self, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Response {
        let encode =
            |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        self.request("POST", path)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("Origin", &format!("http://{}", self.address))
            .header("Cookie", cookie)
            .body(body.join("&").as_bytes())
            .send()
    }

    fn sign_in(&self, user: &str) -> String {
        let fields = [("username", user), ("password", &format!("{user}-pw")), ("next", "/pony")];
        let answer = self.form("/api/v1/session", "", &fields);
        assert_eq!((answer.status, answer.header("location")), (303, "/pony"));
        let cookie = answer.header("set-cookie");
        for word in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(cookie.contains(word), "{cookie}");
        }
        cookie.split(';').next().unwrap().to_owned()
    }
}

/// The token in the forms of a page.
fn token(page: &Response) -> String {
    let text = page.text();
    let at = text.find("name=\"_token\" value=\"").unwrap_or_else(|| panic!("{text}"));
    text[at + 21..].split('"').next().unwrap().to_owned()
}

fn filled() -> Server {
    let server = Server::new();
    server.as_user("ann").send("PUT", "/pony", r#"{"name":"<i>Pony</i>"}"#);
    server
}

#[test]
fn nothing_that_was_sent_becomes_markup_or_a_link_that_runs() {
    let server = filled();
    let evil = "<script>alert(1)</script>";
    let build = format!(
        r#"{{"success":false,"tags":["{evil}"],"client":{{"host":"{evil}","x":"javascript:alert(1)","y":"https://ok.example.org/"}},
            "results":[{{"name":"{evil}","success":false,"output":"{evil}\u001b[31m{evil}","errout":"\u001b]8;;javascript:alert(1)\u0007x",
            "note":"{evil}","tests":[{{"suite":"{evil}","name":"t","status":"failed","failure":{{"message":"{evil}","text":"{evil}"}}}}]}}]}}"#
    );
    let posted = server.as_user("ann").send("POST", "/pony/builds", &build);
    let path = posted.header("location").to_owned();
    let test = "/pony/tests/%3Cscript%3Ealert%281%29%3C%2Fscript%3E%3A%3At";
    let pages = [
        "/",
        "/pony",
        "/pony/builds",
        &path,
        &format!("{path}/tests"),
        &format!("{path}/receipt"),
        test,
        "/pony/tags",
        "/users",
        "/users/ann",
        "/users/ann/builds",
        &format!("{path}/steps/0/output"),
        "/?q=%3Cscript%3E",
        "/pony/builds?host=%3Cscript%3E",
        "/none%3Cscript%3E",
        "/api/v1/session?next=%22%3E%3Cscript%3Ealert%281%29",
    ];
    for path in pages {
        let text = server.page(path, "").text();
        assert!(!text.contains("<script>") && !text.contains("<i>"), "{path}: {text}");
        assert!(!text.to_lowercase().contains("href=\"javascript:"), "{path}: {text}");
    }
    let text = server.page(&path, "").text();
    assert!(
        text.contains("javascript:alert(1)") && text.contains("href=\"https://ok.example.org/\"")
    );
}

#[test]
fn a_list_is_narrowed_by_its_form_as_by_its_query() {
    let server = filled();
    for (success, tag, host) in [(true, "a", "x"), (false, "a", "y"), (false, "b c", "x")] {
        let body =
            format!(r#"{{"success":{success},"tags":["{tag}"],"client":{{"host":"{host}"}}}}"#);
        server.as_user("ann").send("POST", "/pony/builds", &body);
    }
    server.as_user("ann").send("PUT", "/pony/builds/release-7", r#"{"success":true}"#);
    server.as_user("ann").send("POST", "/pony/builds", r#"{"incremental":true}"#);
    for (query, count) in [
        ("", 5),
        ("?state=&tag=&host=&text=", 5),
        ("?state=failure", 2),
        ("?state=running", 1),
        ("?state=success&tag=a", 1),
        ("?host=x", 2),
        ("?tag=b%20c", 1),
        ("?text=LEASE", 1),
        ("?text=%25", 0),
    ] {
        let path = format!("/pony/builds{query}");
        assert_eq!(server.get(&path).json()["count"], count, "{query}");
        let rows = server.page(&path, "").text().matches("<tr class=").count();
        assert_eq!(rows, usize::try_from(count).unwrap(), "{query}");
    }
    assert_eq!(server.get("/pony/builds?state=red").status, 400);
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
fn an_output_is_there_as_it_is_and_in_pages() {
    let server = filled();
    let lines: String = (1..=12_000).map(|nth| format!("line {nth}\\n")).collect();
    let body = format!(
        r#"{{"success":true,"results":[{{"name":"s","success":true,"output":"{lines}","errout":"e\u0000"}}]}}"#
    );
    let posted = server.as_user("ann").send("POST", "/pony/builds", &body);
    let output = format!("{}/steps/0/output", posted.header("location"));
    let raw = server.get(&output);
    assert_eq!(raw.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(raw.text(), lines.replace("\\n", "\n"));
    assert_eq!(server.get(&output.replace("output", "errout")).body, b"e\0");
    let page = |query: &str| server.page(&format!("{output}{query}"), "").text();
    let first = page("");
    assert!(first.contains("id=\"step-0-L1\"") && first.contains("id=\"step-0-L5000\""));
    assert!(first.contains("?format=html&#38;from=5001\"") && !first.contains("rel=\"prev\""));
    let last = page("?to=12000");
    assert!(last.contains("id=\"step-0-L7001\"") && last.contains("?format=html&#38;to=7000\""));
    // The build's page shows the end of the output first.
    let build = server.page(posted.header("location"), "").text();
    assert!(build.contains("id=\"step-0-L12000\"") && !build.contains("id=\"step-0-L1\""));
    assert_eq!(server.get(&output.replace("/0/", "/1/")).status, 404);
    assert_eq!(server.get(&format!("{output}?format=html&from=x")).status, 400);
}

#[test]
fn a_build_that_runs_is_watched_and_one_that_is_finished_is_over() {
    let server = filled();
    let ann = server.as_user("ann");
    let progress =
        ann.send("POST", "/pony/builds", r#"{"incremental":true}"#).header("location").to_owned();
    ann.send("POST", &progress, r#"{"name":"one","success":true,"output":"1"}"#);
    let events = progress.replace("progress", "events");
    let all = server.request("GET", &events).watch();
    let later = server.request("GET", &format!("{events}?from=0"));
    let later = later.header("Last-Event-ID", "1").watch();
    until("both watch", || all.has("id: 1\n") && later.has_begun());
    ann.send("POST", &progress, r#"{"name":"two","success":false,"output":"2"}"#);
    until("both have seen the step", || all.has("id: 2\n") && later.has("id: 2\n"));
    ann.send("DELETE", &progress, r#"{"success":false}"#);
    let (all, later) = (all.response().text(), later.response().text());
    assert!(all.contains("event: step\nid: 1\n") && all.contains("id: 2\n"), "{all}");
    assert!(!later.contains("id: 1\n") && later.contains("id: 2\n"), "{later}");
    assert!(all.ends_with("event: end\ndata: \n\n"), "{all}");
    let over = server.get(&events);
    assert_eq!(
        (over.header("content-type"), over.text().as_str()),
        ("text/event-stream", "event: end\ndata:\n\n")
    );
    assert_eq!(server.get("/pony/builds/none/events").status, 404);
}

#[test]
fn what_pages_load_may_be_kept_for_ever() {
    let server = filled();
    let page = server.page("/", "").text();
    for before in ["<link rel=\"stylesheet\" href=\"", "<script src=\""] {
        let at = page.find(before).unwrap() + before.len();
        let path = page[at..].split('"').next().unwrap();
        let file = server.get(path);
        assert_eq!(file.status, 200);
        assert!(file.header("cache-control").contains("immutable"));
        assert!(file.body.len() > 1000);
    }
    assert_eq!(server.get("/static/style.css").status, 404);
}

#[test]
fn a_page_is_known_again_until_something_on_it_changes() {
    let server = filled();
    server.as_user("ann").send("PUT", "/pony/builds/1", r#"{"success":true}"#);
    for path in ["/", "/pony", "/pony/builds", "/pony/builds/1", "/users/ann"] {
        let etag = server.page(path, "").header("etag").to_owned();
        let again = |server: &Server| {
            let request = server.request("GET", path).header("Accept", "text/html");
            server.send(request.header("If-None-Match", &etag)).status
        };
        assert_eq!(again(&server), 304, "{path}");
        server.as_user("ann").send("POST", "/pony/builds", r#"{"success":false}"#);
        assert_eq!(again(&server), 200, "{path}");
    }
}

#[test]
fn projects_are_found_by_name_and_red_ones_come_first() {
    let server = Server::new();
    for (slug, success) in [("alpha", true), ("beta", false), ("gamma_ray", true)] {
        server.project(slug);
        server.build(slug, &format!(r#"{{"success":{success}}}"#));
    }
    let names = |query: &str| {
        let text = server.page(&format!("/{query}"), "").text();
        let rows = text.split("data-text=\"").skip(1);
        rows.map(|row| row.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(""), ["alpha", "beta", "gamma_ray"]);
    assert_eq!(names("?order=red"), ["beta", "alpha", "gamma_ray"]);
    assert_eq!(names("?q=MM"), ["gamma_ray"]);
    assert_eq!(names("?q=_"), ["gamma_ray"]);
    assert_eq!(names("?q=%22"), Vec::<String>::new());
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

#[test]
fn whoever_watches_from_far_beyond_takes_nothing_from_others() {
    let server = filled();
    let ann = server.as_user("ann");
    let progress =
        ann.send("POST", "/pony/builds", r#"{"incremental":true}"#).header("location").to_owned();
    ann.send(
        "POST",
        &progress,
        r#"{"name":"one","success":true,"note":"a\r\revent: end\rdata: x"}"#,
    );
    let events = progress.replace("progress", "events");
    let watch = |query: &str| server.request("GET", &format!("{events}{query}")).watch();
    let far = watch("?from=4000000000");
    until("the first watches", || far.has_begun());
    let near = watch("?from=1");
    until("the second watches", || near.has_begun());
    ann.send("POST", &progress, r#"{"name":"two","success":true}"#);
    until("the second has seen the step", || near.has("id: 2\n"));
    ann.send("DELETE", &progress, r#"{"success":true}"#);
    let (far, near) = (far.response().text(), near.response().text());
    assert!(near.contains("id: 2\n") && !near.contains("reload"), "{near}");
    assert!(far.ends_with("event: end\ndata: \n\n") && !far.contains('\r'), "{far}");
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
fn what_changed_is_said_only_where_it_is_known() {
    let server = filled();
    let ann = server.as_user("ann");
    let test = |name: usize, status: &str| {
        format!(r#"{{"suite":"s","name":"t{name}","status":"{status}"}}"#)
    };
    let step = |name: &str, success: bool, tests: &[String]| {
        format!(r#"{{"name":"{name}","success":{success},"tests":[{}]}}"#, tests.join(","))
    };
    let build = |id: &str, steps: &[String]| {
        let body = format!(r#"{{"success":false,"results":[{}]}}"#, steps.join(","));
        assert_eq!(ann.send("PUT", &format!("/pony/builds/{id}"), &body).status, 201);
        let text = server.page(&format!("/pony/builds/{id}"), "").text();
        text.split("Changes since")
            .nth(1)
            .unwrap_or_default()
            .split("<h2>")
            .next()
            .unwrap()
            .to_owned()
    };
    build(
        "1",
        &[
            step("checkout", true, &[]),
            step("test", true, &[]),
            step("test", false, &[test(1, "failed"), test(2, "failed")]),
        ],
    );
    // No changes: steps with the same name are distinguished.
    let same = build(
        "2",
        &[
            step("checkout", true, &[]),
            step("test", true, &[]),
            step("test", false, &[test(1, "failed"), test(2, "failed")]),
        ],
    );
    assert!(same.contains("No changes in steps or tests"), "{same}");
    // A test that was not run doesn't count as fixed.
    let aborted = build("3", &[step("checkout", false, &[])]);
    assert!(aborted.contains("removed") && !aborted.contains("t1"), "{aborted}");
    build("4", &[step("test", false, &[test(1, "failed"), test(2, "failed")])]);
    let mended = build("5", &[step("test", false, &[test(1, "passed"), test(3, "failed")])]);
    assert!(
        mended.contains("s::t1") && mended.contains("s::t3") && !mended.contains("s::t2"),
        "{mended}"
    );
    // A running build may still get more steps.
    let progress =
        ann.send("POST", "/pony/builds", r#"{"incremental":true}"#).header("location").to_owned();
    let running = server.page(progress.trim_end_matches("/progress"), "").text();
    assert!(!running.contains("removed") && !running.contains("s::t3"), "{running}");
}

#[test]
fn a_build_of_very_many_steps_shows_those_that_failed() {
    let server = filled();
    let step = |nth: usize| {
        format!(r#"{{"name":"step {nth}","success":{},"output":"{nth}"}}"#, nth != 4_000)
    };
    let steps: Vec<String> = (0..5_000).map(step).collect();
    let body = format!(r#"{{"success":false,"results":[{}]}}"#, steps.join(","));
    let path =
        server.as_user("ann").send("POST", "/pony/builds", &body).header("location").to_owned();
    let text = server.page(&path, "").text();
    assert!(
        text.contains("id=\"step-4000\"") && text.contains(">4700 more not shown"),
        "{}",
        text.len()
    );
    assert!(text.len() < 1_000_000);
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
