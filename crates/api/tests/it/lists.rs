//! Lists of builds: order, pages, tags, filters.

use crate::*;

fn with_builds(count: usize) -> Server {
    let server = Server::new();
    server.project("pony");
    for n in 0..count {
        let tag = if n % 2 == 0 { "even" } else { "odd" };
        server.build("pony", &format!(r#"{{"success":{},"started":"2026-01-01T00:{:02}:{:02}Z","tags":["{tag}","all"],"client":{{"host":"h{n}"}}}}"#, n % 3 != 0, n / 60, n % 60));
    }
    server
}

fn hosts(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    json["builds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|build| build["client"]["host"].as_str().unwrap().to_owned())
        .collect()
}

fn numbered(range: impl Iterator<Item = usize>) -> Vec<String> {
    range.map(|n| format!("h{n}")).collect()
}

#[test]
fn the_next_links_lead_through_tags_that_hardly_meet() {
    let server = Server::new();
    server.project("p");
    server.build("p", r#"{"success":true,"started":"2020-01-01","tags":["x","y"]}"#);
    for n in 0..1400 {
        let tag = if n % 2 == 0 { "x" } else { "y" };
        server.build("p", &format!(r#"{{"success":true,"tags":["{tag}"]}}"#));
    }
    let (mut page, mut pages, mut builds) = ("/p/tags/x;y".to_owned(), 0, 0);
    loop {
        let answer = server.get(&page);
        assert_eq!(answer.status, 200);
        pages += 1;
        builds += answer.json()["builds"].as_array().unwrap().len();
        let Some(next) = answer.link("next") else { break };
        page = next;
    }
    assert_eq!(builds, 1);
    assert!(pages > 1);
    assert_eq!(server.get("/p/tags/x;y/latest").status, 302);
}

#[test]
fn a_list_is_read_by_following_next() {
    let server = with_builds(23);
    let mut path = "/pony/builds?per_page=5".to_owned();
    let mut seen = Vec::new();
    for number in 1..=5 {
        let page = server.get(&path);
        assert_eq!(page.json()["page"], number);
        seen.extend(hosts(&page));
        // Builds added meanwhile, before or after, shift nothing.
        for start in ["2025-12-31", "2026-06-01"] {
            server.build(
                "pony",
                &format!(r#"{{"success":true,"started":"{start}","client":{{"host":"new"}}}}"#),
            );
        }
        path = page.link("next").unwrap();
    }
    assert_eq!(seen[..23], numbered((0..23).rev()));
}

#[test]
fn a_list_is_read_backwards_and_from_its_end_too() {
    let server = with_builds(12);
    let first = server.get("/pony/builds?per_page=5");
    assert_eq!(
        (first.link("previous"), first.link("first").unwrap()),
        (None, "/pony/builds?per_page=5".to_owned())
    );
    let second = server.get(&first.link("next").unwrap());
    let third = server.get(&second.link("next").unwrap());
    assert_eq!((hosts(&third), third.link("next")), (vec!["h1".to_owned(), "h0".to_owned()], None));
    let back = server.get(&third.link("previous").unwrap());
    assert_eq!(hosts(&back), hosts(&second));
    assert_eq!(hosts(&server.get(&back.link("previous").unwrap())), hosts(&first));
    assert_eq!(hosts(&server.get(&first.link("last").unwrap())), hosts(&third));
    for (page, expected) in [(1, &first), (2, &second), (3, &third)] {
        assert_eq!(
            hosts(&server.get(&format!("/pony/builds?per_page=5&page={page}"))),
            hosts(expected)
        );
    }
}

#[test]
fn pages_that_cannot_be_are_refused() {
    let server = with_builds(3);
    for query in [
        "page=0",
        "page=x",
        "page=-1",
        "per_page=0",
        "per_page=101",
        "per_page=",
        "page=99999999999999999999",
        "after=x",
        "format=pdf",
    ] {
        let answer = server.get(&format!("/pony/builds?{query}"));
        assert_eq!(answer.status, 400, "{query}");
        assert!(
            answer.message().starts_with(query.split('=').next().unwrap()),
            "{}",
            answer.message()
        );
    }
    assert_eq!(server.get("/pony/builds?page=2").status, 404);
    assert_eq!(server.get("/?page=2").status, 404);
    assert_eq!(server.get("/users?page=2").status, 404);
    server.project("empty");
    let empty = server.get("/empty/builds").json();
    assert_eq!(
        (&empty["count"], &empty["num_pages"], &empty["page"], &empty["paginated"]),
        (&0.into(), &1.into(), &1.into(), &false.into())
    );
    assert_eq!(server.get("/empty/builds/latest").status, 404);
}

#[test]
fn tags_in_a_uri_are_all_wanted() {
    let server = with_builds(6);
    for path in
        ["even;all", "even,all", "all;even", "even-all", "all-even", "even;even;all", "even%3Ball"]
    {
        let page = server.get(&format!("/pony/tags/{path}"));
        assert_eq!(page.status, 200, "{path}: {}", page.text());
        assert_eq!(hosts(&page), ["h4", "h2", "h0"], "{path}");
        assert_eq!(
            (page.json()["tags"].clone(), page.json()["count"].clone()),
            (serde_json::json!(["all", "even"]), 3.into())
        );
        assert_eq!(page.link("self").unwrap(), "/pony/tags/all%3Beven");
    }
    assert_eq!(server.get("/pony/tags/even;odd").json()["count"], 0);
    assert_eq!(server.get("/pony/tags/even;odd/latest").status, 404);
    for unknown in ["none", "even;none", "even-none", ";", "-", "%0A"] {
        assert_eq!(server.get(&format!("/pony/tags/{unknown}")).status, 404, "{unknown}");
        assert_eq!(server.get(&format!("/pony/tags/{unknown}/latest")).status, 404, "{unknown}");
    }
    let latest = server.get("/pony/tags/odd/latest");
    assert_eq!(
        (
            latest.status,
            server.get(latest.header("location")).json()["client"]["host"].as_str().unwrap()
        ),
        (302, "h5")
    );
    let paged = server.get("/pony/tags/all?per_page=4");
    assert_eq!(hosts(&server.get(&paged.link("next").unwrap())), ["h1", "h0"]);
}

#[test]
fn a_dash_separates_only_tags_that_the_project_knows() {
    let server = Server::new();
    server.project("pony");
    let build = |tags: &str, host: &str| {
        server.build(
            "pony",
            &format!(r#"{{"success":true,"tags":[{tags}],"client":{{"host":"{host}"}}}}"#),
        )
    };
    build(r#""python-3.11","linux""#, "both");
    build(r#""python","3.11-linux""#, "odd");
    assert_eq!(hosts(&server.get("/pony/tags/python-3.11-linux")), ["both"]);
    build(r#""python-3.11-linux""#, "whole");
    assert_eq!(hosts(&server.get("/pony/tags/python-3.11-linux")), ["whole"]);
    assert_eq!(hosts(&server.get("/pony/tags/python-3.11;linux")), ["both"]);
    // Links of unusual tags work.
    build(r#""a/b c?d#e%","..","ü-☃""#, "strange");
    for tag in server.get("/pony/tags").json()["links"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|link| link["rel"] == "tag")
    {
        let href = tag["href"].as_str().unwrap().to_owned();
        let path = href.strip_prefix(&format!("http://{}", server.address)).unwrap();
        assert_eq!(server.get(path).status, 200, "{path}");
    }
}

#[test]
fn where_and_sort_narrow_and_order_a_list() {
    let server = with_builds(9);
    assert_eq!(hosts(&server.get("/pony/builds?where=success:false")), ["h6", "h3", "h0"]);
    assert_eq!(hosts(&server.get("/pony/builds?where=success:false,tags:odd")), ["h3"]);
    assert_eq!(hosts(&server.get("/pony/builds?where=client.host:h4")), ["h4"]);
    assert_eq!(hosts(&server.get("/pony/tags/odd?where=success:false")), ["h3"]);
    assert_eq!(
        hosts(&server.get("/pony/builds?query=and(eq(success,false),not(eq(client.host,h3)))")),
        ["h6", "h0"]
    );
    let sorted = server.get("/pony/builds?sort=started&per_page=4");
    assert_eq!(hosts(&sorted), ["h0", "h1", "h2", "h3"]);
    assert_eq!(hosts(&server.get(&sorted.link("next").unwrap())), ["h4", "h5", "h6", "h7"]);
    let selected = server.get("/pony/builds?where=success:true&per_page=4");
    assert_eq!(selected.json()["count"], 6);
    assert_eq!(hosts(&server.get(&selected.link("next").unwrap())), ["h2", "h1"]);
    let unknown = server.get("/pony/builds?where=colour:red");
    assert_eq!((unknown.status, unknown.message().as_str()), (400, "Invalid where key: 'colour'"));
    assert!(
        unknown.json()["payload"]["Valid where keys"]
            .as_array()
            .unwrap()
            .contains(&"success".into())
    );
    for query in [
        "where=success",
        "where=success:maybe",
        "where=%22a",
        "sort=tags",
        "where=key:a%00",
        "query=eq(success",
        "query=eq(success,true)x",
    ] {
        assert_eq!(server.get(&format!("/pony/builds?{query}")).status, 400, "{query}");
    }
}

#[test]
fn a_list_may_be_sorted_by_everything_at_once() {
    let server = with_builds(3);
    let all: Vec<String> = devmason_domain::query::BUILDS.names(true);
    let all: Vec<String> = all.iter().map(|name| name.replace("<member>", "host")).collect();
    let query =
        [all.clone(), all.iter().map(|name| format!("-{name}")).collect()].concat().join(",");
    assert_eq!(server.get(&format!("/pony/builds?sort={query}")).json()["count"], 3);
    assert_eq!(hosts(&server.get("/pony/builds?sort=-client.host")), ["h2", "h1", "h0"]);
}

#[test]
fn more_tags_than_a_build_can_have_are_on_no_build() {
    let server = Server::new();
    server.project("pony");
    for build in 0..2 {
        let tags: Vec<String> = (0..60).map(|n| format!("\"t{}\"", build * 60 + n)).collect();
        server.build("pony", &format!(r#"{{"success":true,"tags":[{}]}}"#, tags.join(",")));
    }
    let segment = |count: usize| (0..count).map(|n| format!("t{n}")).collect::<Vec<_>>().join(";");
    for query in ["", "?where=success:true", "?sort=started"] {
        assert_eq!(
            server.get(&format!("/pony/tags/{}{query}", segment(60))).json()["count"],
            1,
            "{query}"
        );
        assert_eq!(
            server.get(&format!("/pony/tags/{}{query}", segment(120))).json()["count"],
            0,
            "{query}"
        );
    }
    for odd in ["a%00;b", "%00;", "%00-%00", &"%00-".repeat(40), &"t1-".repeat(2000)] {
        assert_eq!(server.get(&format!("/pony/tags/{odd}")).status, 404, "{odd}");
    }
}

#[test]
fn a_page_ends_where_its_outputs_get_long_and_next_goes_on() {
    let server = Server::with(|settings| settings.max_body_bytes = 64 << 20);
    server.project("pony");
    for n in 0..5 {
        let output = "x".repeat(12 << 20);
        let body = format!(
            r#"{{"success":true,"started":"2026-01-01T00:00:0{n}Z","client":{{"host":"h{n}"}},"results":[{{"name":"s","success":true,"output":"{output}"}}]}}"#
        );
        server.build("pony", &body);
    }
    let first = server.get("/pony/builds");
    assert_eq!(hosts(&first), ["h4", "h3"]);
    let second = server.get(&first.link("next").unwrap());
    assert_eq!(hosts(&second), ["h2", "h1"]);
    let third = server.get(&second.link("next").unwrap());
    assert_eq!((hosts(&third), third.link("next")), (vec!["h0".to_owned()], None));
    assert_eq!(hosts(&server.get("/pony/builds?fields=client")).len(), 5);
}

#[test]
fn every_change_of_a_list_changes_its_etag_and_nothing_else_does() {
    let server = with_builds(2);
    let etag = || server.get("/pony/builds").header("etag").to_owned();
    let first = etag();
    assert_eq!(etag(), first);
    assert_eq!(
        server.send(server.request("GET", "/pony/builds").header("If-None-Match", &first)).status,
        304
    );
    let progress = server.build("pony", r#"{"incremental":true}"#);
    let second = etag();
    server.post(&progress, r#"{"name":"s","success":true}"#);
    let third = etag();
    server.delete(&progress);
    let fourth = etag();
    let all = [&first, &second, &third, &fourth];
    assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), 4);
    let tags = server.get("/pony/tags").header("etag").to_owned();
    server.build("pony", r#"{"success":true,"tags":["new"]}"#);
    assert_ne!(server.get("/pony/tags").header("etag"), tags);
}

#[test]
fn commas_alone_and_repeated_conditions_are_mistakes() {
    let server = Server::new();
    server.as_user("ann").send("PUT", "/pony", r#"{"name":"Pony"}"#);
    let case = r#"{"name":"t","status":"passed"}"#;
    let build = format!(
        r#"{{"success":true,"client":{{"branch":"main"}},"results":[{{"name":"n","success":true,"tests":[{case}]}}]}}"#
    );
    server.as_user("ann").send("PUT", "/pony/builds/1", &build);
    let track = server.get("/pony/builds/1").link("track").unwrap();
    for path in [
        "/pony/builds/1/tests?status=,",
        "/pony/builds?fields=,",
        "/pony/builds/1?fields=,",
        "/pony/builds/1/insight?fields=,",
        "/pony/builds/1/insight?class=,",
        "/pony/builds?where=state:finished&where=state:running",
        "/pony/builds?sort=started&sort=-started",
        "/api/v1/builds?query=eq(success,true)&query=eq(success,false)",
        "/api/v1/components?embed=,",
        &format!("{track}/tests?only=,"),
        &format!("{track}/tests?sort=,"),
        &format!("{track}/grid?only=,"),
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
    }
    // Forms send fields that nobody filled in.
    for path in [
        "/pony/builds/1/tests?status=",
        "/pony/builds?where=",
        &format!("{track}/tests?only=&text="),
    ] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
}
