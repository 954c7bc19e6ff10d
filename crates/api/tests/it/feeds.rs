//! Badges and feeds.

use crate::*;

fn filled() -> Server {
    let server = Server::new();
    server.project("pony");
    for (success, tag) in [(true, "a b&c"), (false, "x")] {
        server.build("pony", &format!(r#"{{"success":{success},"tags":["{tag}"]}}"#));
    }
    server
}

#[test]
fn a_badge_says_how_the_latest_build_that_is_finished_stands() {
    let server = filled();
    let badge = |path: &str| {
        let answer = server.get(path);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "image/svg+xml"),
            "{path}"
        );
        answer.text()
    };
    assert!(badge("/pony/badge.svg").contains("pony: failure"));
    assert!(badge("/pony/tags/a%20b%26c/badge.svg").contains("a b&#38;c: success"));
    server.build("pony", r#"{"incremental":true}"#);
    assert!(badge("/pony/badge.svg").contains("pony: failure"));
    server.project("empty");
    assert!(badge("/empty/badge.svg").contains("empty: no builds"));
    assert_eq!(server.get("/zebra/badge.svg").status, 404);
    let etag = server.get("/pony/badge.svg").header("etag").to_owned();
    let again = server.request("GET", "/pony/badge.svg").header("If-None-Match", &etag);
    assert_eq!(server.send(again).status, 304);
    server.build("pony", r#"{"success":true}"#);
    assert!(badge("/pony/badge.svg").contains("pony: success"));
}

#[test]
fn a_feed_has_the_newest_builds_of_a_list_and_leads_to_them() {
    let server = filled();
    let list = server.get("/pony/builds");
    let feed = server.get(&list.link("feed").unwrap());
    assert_eq!((feed.status, feed.header("content-type")), (200, "application/atom+xml"));
    let text = feed.text();
    assert_eq!(text.matches("<entry>").count(), 2);
    assert!(
        text.contains("<title>failure: pony ") && text.contains(r#"<category term="a b&#38;c"/>"#),
        "{text}"
    );
    let id = list.json()["builds"][0]["id"].as_str().unwrap().to_owned();
    assert!(text.contains(&format!("/pony/builds/{id}</id>")), "{text}");
    assert_eq!(server.get("/pony/tags/x/builds.atom").text().matches("<entry>").count(), 1);
    server.as_user("ann").send("POST", "/pony/builds", r#"{"success":true}"#);
    let of_ann = server.get("/users/ann/builds.atom").text();
    assert!(
        of_ann.contains("<name>ann</name>") && of_ann.matches("<entry>").count() == 1,
        "{of_ann}"
    );
    server.project("empty");
    assert!(
        server.get("/empty/builds.atom").text().contains("<updated>1970-01-01T00:00:00Z</updated>")
    );
}

#[test]
fn badges_feeds_and_pages_of_a_project_are_about_its_mainline_or_the_branch_that_is_asked_for() {
    let server = Server::new();
    server.project("pony");
    let build = |branch: &str, job: &str, success: bool| {
        let client = format!(r#"{{"branch":"{branch}","job":"{job}"}}"#);
        server.build("pony", &format!(r#"{{"success":{success},"client":{client}}}"#))
    };
    let main = build("main", "unit", true);
    let feature = build("feature", "unit", false);
    let lint = build("main", "lint", false);
    let badge = |query: &str| server.get(&format!("/pony/badge.svg{query}")).text();
    assert!(badge("").contains("pony: failure"));
    assert!(badge("?variant=client.job%3Dunit").contains("pony: success"));
    assert!(badge("?branch=feature").contains("pony: failure"));
    assert!(badge("?branch=nowhere").contains("pony: no builds"));
    let fixed = build("main", "lint", true);
    assert!(badge("").contains("pony: success"));
    let feed = |query: &str| server.get(&format!("/pony/builds.atom{query}")).text();
    let of_main = feed("");
    for path in [&main, &lint, &fixed] {
        assert!(of_main.contains(path.as_str()), "{of_main}");
    }
    assert!(!of_main.contains(&feature) && feed("?branch=feature").contains(&feature));
    let page = |query: &str| server.page(&format!("/pony{query}"), "").text();
    assert!(page("").contains(&main) && !page("").contains(&feature));
    assert!(page("?branch=feature").contains(&feature));
    let home = server.page("/", "").text();
    assert!([&main, &lint, &fixed].iter().all(|path| home.contains(path.as_str())), "{home}");
    assert!(!home.contains(&feature), "{home}");
    // A feed of a branch has an address of its own.
    assert!(feed("?branch=feature").contains("/pony/builds.atom?branch=feature"));
    // Once builds of the mainline come with credentials, nobody else can turn the badge.
    server.as_user("ann").send(
        "POST",
        "/pony/builds",
        r#"{"success":true,"client":{"branch":"main"}}"#,
    );
    build("main", "unit", false);
    assert!(badge("").contains("pony: success"));
    let listed = server.get("/pony/builds?branch=feature").json();
    assert_eq!(listed["builds"].as_array().unwrap().len(), 1);
}
