//! What pages show, and that it is markup of the server alone.

use super::browser::filled;
use crate::*;

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
    // What the form doesn't ask for stays.
    let page = server.page("/pony/builds?branch=main&state=failure", "").text();
    assert!(page.contains(r#"name="branch" value="main""#), "{page}");
    assert!(page.contains("Clear filters"), "{page}");
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
