//! What a build is compared with.

use super::*;

stories! {
    each_baseline_is_found_or_refused,
    builds_without_credentials_change_nothing_for_those_with,
    builds_without_a_branch_may_be_the_mainline,
    a_project_without_a_usual_mainline_has_baselines,
}

fn each_baseline_is_found_or_refused(story: &Story) {
    story.build("m1", 1, "main", "a:P");
    story.build("m2", 2, "main", "a:F");
    story.say("t1", 3, json!({"branch": "next", "commit": "abcdef1"}), "a:P");
    story.say("f1", 4, json!({"branch": "f", "target_branch": "next"}), "a:F");
    story.say("f2", 5, json!({"branch": "f", "base_commit": "abcdef1"}), "a:F");
    story.say("f3", 6, json!({"branch": "f", "base_commit": "7777777"}), "a:F");
    let used = |id: &str, query: &str| {
        let found = story.ask(id, query);
        let of = &found["baseline"];
        let build = of["build"].as_str().unwrap_or("none").to_owned();
        (of["used"].as_str().unwrap_or_default().to_owned(), build)
    };
    let as_used = |used: &str, build: &str| (used.to_owned(), build.to_owned());
    assert_eq!(used("m2", ""), as_used("previous", "m1"));
    assert_eq!(used("f1", ""), as_used("branch:next", "t1"));
    assert_eq!(used("f2", ""), as_used("commit:abcdef1", "t1"));
    // A base commit that has no build is passed over.
    assert_eq!(used("f3", ""), as_used("branch:main", "m2"));
    assert_eq!(used("f3", "?baseline=previous"), as_used("previous", "f2"));
    assert_eq!(used("f3", "?baseline=green"), as_used("green", "none"));
    assert_eq!(used("m2", "?baseline=green"), as_used("green", "m1"));
    assert_eq!(used("f3", "?baseline=commit:1111111,abcdef1").1, "t1");
    assert_eq!(used("f3", "?baseline=branch:nowhere").1, "none");
    assert_eq!(used("f3", "?baseline=build:m1").1, "m1");
    assert_eq!(used("f3", "?baseline=build:PONY/m1").1, "m1");
    let found = story.ask("f3", "?baseline=branch:nowhere");
    assert_eq!(told(&found), told_as("a unknown", "fail(unknown)"));
    assert_eq!(
        found["baseline"]["reason"],
        "no finished build of branch 'nowhere' with this variant"
    );
    for (query, field) in [
        ("baseline=", "baseline"),
        ("baseline=last", "baseline"),
        ("baseline=build:nowhere", "baseline"),
        ("baseline=build:nobody/m1", "baseline"),
        ("baseline=build:f3", "baseline"),
        ("baseline=commit:xyz", "baseline"),
        ("gate=old:1", "gate"),
        ("gate=new:1,new:2", "gate"),
        ("class=bad", "class"),
        ("kind=bad", "kind"),
        ("fields=bad", "fields"),
        ("per_page=0", "per_page"),
        ("from=x", "from"),
    ] {
        let answer = story.server.get(&format!("/pony/builds/f3/insight?{query}"));
        assert_eq!(
            (answer.status, &answer.json()["payload"]["field"]),
            (400, &json!(field)),
            "{query}"
        );
    }
    assert_eq!(story.server.get("/pony/builds/nowhere/insight").status, 404);
    // A build that still runs is no baseline.
    let ann = story.server.as_user("ann");
    let answer =
        ann.send("PUT", "/pony/builds/r", r#"{"incremental":true,"client":{"branch":"main"}}"#);
    assert_eq!(answer.status, 201);
    let answer = story.server.get("/pony/builds/f3/insight?baseline=build:r");
    assert_eq!(answer.status, 400);
    let found = story.ask("r", "");
    assert_eq!((told(&found).1.as_str(), &found["missing"]), ("undecided", &json!(null)));
}

fn builds_without_credentials_change_nothing_for_those_with(story: &Story) {
    story.build("m1", 1, "main", "a:P");
    story.build("f1", 3, "f", "a:F");
    let before = story.ask("f1", "");
    let body = json!({
        "success": false, "started": "2026-01-01T00:02:00Z", "client": {"branch": "main"},
        "results": [{"name": "test", "success": false, "tests": tests("a:F b:P")}],
    });
    assert_eq!(story.server.put("/pony/builds/anonymous", &body.to_string()).status, 201);
    assert_eq!(story.ask("f1", ""), before);
    // The other way round they are compared with each other first.
    assert_eq!(story.ask("anonymous", "")["baseline"]["build"], "m1");
}

fn builds_without_a_branch_may_be_the_mainline(story: &Story) {
    story.say("n1", 1, json!({}), "a:P");
    story.say("n2", 2, json!({}), "a:F");
    story.build("f1", 3, "f", "a:F b:F");
    let found = story.ask("f1", "");
    assert_eq!(told(&found), told_as("b new, a failing", "fail(new)"));
    assert_eq!(
        (&found["baseline"]["used"], &found["baseline"]["build"]),
        (&json!("branch:"), &json!("n2"))
    );
    assert_eq!(story.ask("f1", "?baseline=branch:")["baseline"]["build"], "n2");
    assert_eq!(story.ask("n2", "")["baseline"]["used"], "previous");
}

fn a_project_without_a_usual_mainline_has_baselines(story: &Story) {
    story.build("d1", 1, "develop", "a:P");
    story.build("d2", 2, "develop", "a:F");
    let found = story.ask("d2", "");
    assert_eq!(
        (told(&found).0.as_str(), &found["baseline"]["used"]),
        ("a new", &json!("previous"))
    );
    story.build("f1", 3, "f", "a:F");
    assert_eq!(told(&story.ask("f1", "")), told_as("a unknown", "fail(unknown)"));
}
