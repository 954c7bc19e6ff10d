//! What people look for: a result, a comparison, a text in anything.

use super::*;

stories! {
    a_result_has_a_document_and_a_page_of_its_own,
    a_cell_of_a_grid_leads_to_the_result_in_that_build,
    the_slowest_tests_come_first_when_they_are_asked_for,
    the_page_of_tests_begins_with_failures,
    two_builds_are_compared,
    two_builds_are_chosen_in_their_list,
    a_text_is_found_in_names_ids_commits_and_failures,
    the_list_of_projects_tells_what_is_overdue,
    the_list_of_projects_tells_of_a_track_that_is_seldom_built,
    the_list_of_projects_tells_of_all_tracks_where_there_is_no_mainline,
}

fn a_result_has_a_document_and_a_page_of_its_own(story: &Story) {
    story.build("m1", 1, "main", "a:P b:F");
    story.build("m2", 2, "main", "a:P b:F");
    let answer = story.server.get("/pony/builds/m2/tests/1");
    let of = answer.json();
    assert_eq!((&of["full_name"], &of["build"]), (&json!("s::b"), &json!("m2")));
    for (rel, path) in [
        ("self", "/pony/builds/m2/tests/1"),
        ("build", "/pony/builds/m2"),
        ("tests", "/pony/builds/m2/tests"),
        ("history", "/pony/tests/s%3A%3Ab"),
    ] {
        assert_eq!(answer.link(rel).as_deref(), Some(path));
    }
    assert!(answer.link("signature").is_some());
    let page = story.server.page("/pony/builds/m2/tests/1", "").text();
    for part in [
        "port 4712 is taken",
        "href=\"/pony/tests/s%3A%3Ab\"",
        "title=\"m2: failed (this one)\"",
        "href=\"/pony/builds/m1/tests/1\"",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    for path in ["/pony/builds/m2/tests/2", "/pony/builds/m3/tests/0"] {
        assert_eq!(story.server.get(path).status, 404, "{path}");
    }
    // What fails in a build leads to its result there.
    let build = story.server.page("/pony/builds/m2", "").text();
    assert!(build.contains("href=\"/pony/builds/m2/tests/1\""), "{build}");
}

fn a_cell_of_a_grid_leads_to_the_result_in_that_build(story: &Story) {
    story.build("m1", 1, "main", "a:P b:P c:F");
    story.build("m2", 2, "main", "c:F a:P b:F");
    let track = story.track("m2");
    for path in ["/pony".to_owned(), track.clone(), format!("{track}/grid")] {
        let page = story.server.page(&path, "").text();
        for href in
            ["/pony/builds/m1/tests/2", "/pony/builds/m2/tests/0", "/pony/builds/m2/tests/2"]
        {
            assert!(page.contains(&format!("href=\"{href}\"")), "{href} in {path}: {page}");
        }
        let (newest, oldest) = (page.find("builds/m2\" title"), page.find("builds/m1\" title"));
        assert!(newest < oldest, "{path}");
    }
    // Of a test that ran twice, the failure counts.
    story.build("m0", 0, "other", "z:P a:P a:F");
    let page = story.server.page("/pony?branch=other", "").text();
    assert!(page.contains("href=\"/pony/builds/m0/tests/2\""), "{page}");
    // `c` failed twice, `b` changed once.
    let order = |order: &str| {
        let page = story.server.page(&format!("/pony?grid={order}"), "").text();
        let place = |name: &str| page.find(&format!("scope=\"row\" title=\"{name}\"")).unwrap();
        place("s::b") < place("s::c")
    };
    assert_eq!(["failures", "flips", "age"].map(order), [false, true, false]);
    assert_eq!(story.server.get("/pony?grid=size&format=html").status, 400);
}

fn the_slowest_tests_come_first_when_they_are_asked_for(story: &Story) {
    let tests = json!([
        {"name": "quick", "status": "passed", "duration": 0.1},
        {"name": "slow", "status": "passed", "duration": 3.0},
        {"name": "unknown", "status": "passed"},
        {"name": "slower", "status": "skipped", "duration": 7.5},
    ]);
    let step = json!([{"name": "test", "success": true, "tests": tests}]);
    story.steps("m1", 1, json!({}), true, step);
    let names = |query: &str| -> Vec<String> {
        let tests = story.server.get(&format!("/pony/builds/m1/tests{query}")).json();
        let tests = tests["tests"].as_array().unwrap().clone();
        tests.iter().map(|test| test["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("?sort=duration"), ["slower", "slow", "quick", "unknown"]);
    assert_eq!(names("?sort=duration&per_page=2"), ["slower", "slow"]);
    assert_eq!(names("?sort=duration&status=passed"), ["slow", "quick", "unknown"]);
    assert_eq!(names("?sort="), ["quick", "slow", "unknown", "slower"]);
    for query in ["?sort=name", "?sort=duration&text=s", "?sort=duration&from=1"] {
        let answer = story.server.get(&format!("/pony/builds/m1/tests{query}"));
        assert_eq!((answer.status, &answer.json()["payload"]["field"]), (400, &json!("sort")));
    }
}

fn the_page_of_tests_begins_with_failures(story: &Story) {
    story.build("m1", 1, "main", "a:P b:F c:S d:L");
    story.build("m2", 2, "main", "a:P b:P");
    let rows = |path: &str| {
        let page = story.server.page(path, "").text();
        ["a", "b", "c", "d"]
            .into_iter()
            .filter(|name| page.contains(&format!(">{name}</a>")))
            .collect::<String>()
    };
    assert_eq!(rows("/pony/builds/m1/tests"), "b");
    assert_eq!(rows("/pony/builds/m2/tests"), "ab");
    for (query, names) in [
        ("status=failed,error", "b"),
        ("status=flaky", "d"),
        ("status=skipped", "c"),
        ("status=passed", "a"),
        ("status=passed,failed,error,flaky,skipped", "abcd"),
        ("sort=duration", "abcd"),
        ("text=a", "a"),
    ] {
        assert_eq!(rows(&format!("/pony/builds/m1/tests?{query}")), names, "{query}");
    }
    // Programs get all of them.
    assert_eq!(
        story.server.get("/pony/builds/m1/tests").json()["tests"].as_array().unwrap().len(),
        4
    );
}

fn two_builds_are_compared(story: &Story) {
    let client = |host: &str| json!({"branch": "main", "host": host, "arch": "x"});
    story.say("m1", 1, client("one"), "a:P b:F c:F d:P e:P f:P");
    story.say("m2", 2, client("two"), "a:F b:P c:F d:S e:P g:P");
    let answer = story.server.get("/pony/builds/m1...m2");
    let of = answer.json();
    let counts =
        json!({"broken": 1, "fixed": 1, "failing": 1, "added": 1, "removed": 1, "changed": 1});
    assert_eq!(of["counts"], counts);
    let tests = of["tests"].as_array().unwrap();
    let changes: Vec<String> = tests
        .iter()
        .map(|test| {
            format!("{} {}", test["full_name"].as_str().unwrap(), test["change"].as_str().unwrap())
        })
        .collect();
    let expected =
        ["s::a broken", "s::c failing", "s::b fixed", "s::f removed", "s::d changed", "s::g added"];
    assert_eq!(changes, expected);
    assert_eq!(tests[0]["other"], json!({"position": 0, "status": "failed"}));
    assert_eq!(tests[3]["other"], json!(null));
    assert_eq!(of["client"], json!([{"name": "host", "one": "one", "other": "two"}]));
    assert_eq!(of["steps"][0]["name"], "test");
    assert_eq!(answer.link("self").as_deref(), Some("/pony/builds/m1...m2"));
    assert_eq!(answer.link("swapped").as_deref(), Some("/pony/builds/m2...m1"));
    // Where the dots belong to an id, nobody can tell what is compared.
    assert_eq!(story.server.get("/pony/builds/m1....m2").status, 404);
    // The other way round, what is broken is fixed.
    assert_eq!(story.read("/pony/builds/m2...m1")["counts"]["added"], 1);
    let page = story.server.page("/pony/builds/m1...m2", "").text();
    assert!(page.contains("/pony/builds/m2/tests/0") && page.contains("1 broken"), "{page}");
    assert_eq!(story.read("/pony/builds/m1...m1")["counts"]["failing"], 2);
    for path in ["/pony/builds/m1...m9", "/pony/builds/m9...m1", "/zebra/builds/m1...m2"] {
        assert_eq!(story.server.get(path).status, 404, "{path}");
    }
    let build = story.server.page("/pony/builds/m2", "").text();
    assert!(build.contains("href=\"/pony/builds/m1...m2\""), "{build}");
}

fn two_builds_are_chosen_in_their_list(story: &Story) {
    story.build("m1", 1, "main", "a:P");
    let list = |query: &str| {
        story
            .server
            .request("GET", &format!("/pony/builds{query}"))
            .header("Accept", "text/html")
            .send()
    };
    // One build cannot be compared.
    assert!(!list("").text().contains("name=\"compare\""));
    story.build("m2", 2, "main", "a:F");
    story.build("m3", 3, "main", "a:F");
    for query in ["", "?branch=main"] {
        let page = list(query).text();
        assert_eq!(page.matches("name=\"compare\"").count(), 3, "{query}: {page}");
    }
    for query in ["?compare=m3&compare=m1", "?sort=started&compare=m1&compare=m3"] {
        let chosen = list(query);
        assert_eq!((chosen.status, chosen.header("location")), (303, "/pony/builds/m1...m3"));
    }
    assert_eq!(list("?compare=m1&compare=m9").status, 404);
    for query in [
        "?compare=m1",
        "?compare=m1&compare=m2&compare=m3",
        "?compare=a/b&compare=m1",
        "?compare=m1&compare=m1",
    ] {
        let answer = list(query);
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.text().contains("compare"), "{query}: {}", answer.text());
    }
}

fn a_text_is_found_in_names_ids_commits_and_failures(story: &Story) {
    let client = json!({"branch": "main", "commit": "abcdef0123456789"});
    story.say("m1", 1, client, "Walks:P b_c:F");
    let posted = story.server.as_user("ann").send("POST", "/pony/builds", r#"{"success":true}"#);
    let id = posted.header("location").rsplit('/').next().unwrap().to_owned();
    let find = |text: &str| {
        let encoded = text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        story.server.get(&format!("/search?q={encoded}")).json()
    };
    let ids = |text: &str| {
        let found = find(text)["builds"].as_array().unwrap().clone();
        found.iter().map(|of| of["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(find("ON")["projects"][0]["id"], "pony");
    assert_eq!(ids("m1"), ["m1"]);
    assert_eq!(ids("#m1"), ["m1"]);
    assert_eq!(ids("abcdef0"), ["m1"]);
    assert_eq!(ids(&id), std::slice::from_ref(&id));
    assert_eq!(ids(&id[..20]), std::slice::from_ref(&id));
    assert_eq!(ids("zz"), Vec::<String>::new());
    assert_eq!(find("walk")["tests"][0]["full_name"], "s::Walks");
    // What stands for any character elsewhere stands for itself here.
    assert_eq!(find("b_c")["tests"].as_array().unwrap().len(), 1);
    assert_eq!(find("b%c")["tests"], json!([]));
    let failure = find("PORT 4712")["failures"][0].clone();
    assert_eq!((&failure["build"], &failure["full_name"]), (&json!("m1"), &json!("s::b_c")));
    assert_eq!(failure["line"], "port 4712 is taken");
    assert_eq!(find("nothing like it")["complete"], true);
    assert_eq!(story.read("/search?q=walk&project=pony")["tests"].as_array().unwrap().len(), 1);
    for project in ["zebra", "a%20b"] {
        assert_eq!(story.server.get(&format!("/search?q=walk&project={project}")).status, 404);
    }
    let found = story.server.get("/search?q=walk&project=pony");
    assert_eq!(story.read(&found.link("self").unwrap()), found.json());
    assert_eq!(ids("#abcdef0"), ["m1"]);
    assert_eq!(ids("##"), Vec::<String>::new());
    for query in ["", "?q=", "?q=x"] {
        let answer = story.server.get(&format!("/search{query}"));
        // The link to the search has no text yet.
        match query {
            "?q=x" => {
                assert_eq!((answer.status, &answer.json()["payload"]["field"]), (400, &json!("q")))
            }
            _ => assert_eq!((answer.status, &answer.json()["tests"]), (200, &json!([]))),
        }
        // A page asks for more.
        let page = story.server.page(&format!("/search{query}"), "");
        assert!(page.status == 200 && page.text().contains("name=\"q\""));
    }
    let page = story.server.page("/search?q=walk", "").text();
    assert!(page.contains("s::Walks") && page.contains("/pony/tests/s%3A%3AWalks"), "{page}");
    let page = story.server.page("/search?q=%3Cscript%3E", "").text();
    assert!(page.contains("Nothing has this text") && !page.contains("<script>"), "{page}");
}

fn the_list_of_projects_tells_what_is_overdue(story: &Story) {
    story.build("m1", 1, "main", "a:P");
    let home = || story.server.page("/", "").text();
    assert!(!home().contains("overdue"));
    let track = story.track("m1");
    let ann = story.server.as_user("ann");
    assert_eq!(ann.send("PUT", &track, r#"{"expected":"1h"}"#).status, 200);
    assert!(home().contains("<strong>overdue</strong>"), "{}", home());
    assert_eq!(ann.send("PUT", &track, r#"{"expected":"never"}"#).status, 200);
    assert!(!home().contains("overdue"));
}

fn the_list_of_projects_tells_of_a_track_that_is_seldom_built(story: &Story) {
    let nightly = |id: &str, minute: usize, letters: &str| {
        story.say(id, minute, json!({"branch": "main", "job": "nightly"}), letters);
    };
    nightly("n0", 0, "a:P b:P");
    nightly("n1", 1, "a:F b:P");
    nightly("n2", 2, "a:F b:F");
    for n in 0..40 {
        story.build(&format!("m{n}"), 10 + n, "main", "a:P");
    }
    let home = || story.server.page("/", "").text();
    let text = home();
    for part in ["failing since <a href=\"/pony/builds/n1\">n1</a>", "(2 builds, "] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(text.contains("data-label=\"Failing tests\"><span class=\"mark failure\">2</span>"));
    let track = story.track("n2");
    let ann = story.server.as_user("ann");
    assert_eq!(ann.send("PUT", &track, r#"{"expected":"1h"}"#).status, 200);
    assert!(home().contains("<strong>overdue</strong>"));
    nightly("n3", 60, "a:P b:P");
    assert!(!home().contains("failing since"), "{}", home());
    // Of a track with very many builds the first failure is not sought.
    for n in 0..101 {
        story.build(&format!("f{n}"), 100 + n, "main", "a:F");
    }
    assert!(home().contains("(at least 100 builds, "), "{}", home());
}

fn the_list_of_projects_tells_of_all_tracks_where_there_is_no_mainline(story: &Story) {
    story.build("d1", 1, "develop", "a:F b:F");
    story.build("e1", 2, "next", "a:P");
    let page = |path: &str| story.server.page(path, "").text();
    let part = "failing since <a href=\"/pony/builds/d1\">d1</a> <span class=\"soft\">(1 build,";
    assert!(page("/").contains(part), "{}", page("/"));
    // Its own page tells the same.
    let own = page("/pony");
    for part in
        ["port 4712 is taken", "Tracks of all branches", "<span class=\"soft\">develop</span>"]
    {
        assert!(own.contains(part), "{part} in {own}");
    }
}
