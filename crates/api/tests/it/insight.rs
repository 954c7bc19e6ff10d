//! What is wrong with a build: stories of builds, and what the server says of them.

mod agreement;
mod baselines;
mod fixtures;
mod issues;
mod looking;
mod mainline;
mod revisions;
mod signatures;
mod tracks;

use serde_json::json;

use super::*;
use fixtures::{Story, stories, tests, told, told_as};

stories! {
    what_the_mainline_breaks_is_not_new_on_a_branch,
    absence_in_between_hides_nothing,
    a_flake_is_excused_and_another_failure_of_the_same_test_is_not,
    what_is_missing_is_told_unless_the_build_is_partial,
    a_mass_failure_is_no_baseline,
    a_late_arrival_takes_its_place,
    a_rerun_that_passed_excuses_other_branches_and_not_its_own,
    steps_alone_have_classes,
    variants_are_compared_with_their_like,
    a_failed_step_behind_very_many_others_is_not_overlooked,
    a_long_failure_is_dated_exactly_up_to_a_thousand_builds,
    failures_are_clustered_paged_and_chosen,
    a_baseline_may_be_another_projects,
    the_project_says_how_its_builds_are_compared,
}

fn what_the_mainline_breaks_is_not_new_on_a_branch(story: &Story) {
    story.say("m1", 1, json!({"branch": "main", "commit": "c1c1c1c"}), "a:P b:P c:P");
    story.build("m2", 2, "main", "a:P b:F c:P");
    story.build("m3", 3, "main", "a:P b:F c:P");
    story.build("f1", 4, "feature", "a:F b:F c:P");
    let found = story.ask("f1", "");
    assert_eq!(told(&found), told_as("a new, b failing", "fail(new)"));
    assert_eq!(found["baseline"]["build"], "m3");
    assert_eq!(found["baseline"]["used"], "branch:main");
    assert_eq!(found["gate"]["reasons"][0]["text"], "1 failure is new since m3 of main");
    let (new, failing) = (&found["failures"][0], &found["failures"][1]);
    assert_eq!((&new["since"]["build"], &new["since"]["builds"]), (&json!("f1"), &json!(1)));
    assert_eq!(
        (&failing["since"]["build"], &failing["since"]["builds"]),
        (&json!("m2"), &json!(2))
    );
    assert_eq!(failing["last_good"]["build"], "m1");
    assert_eq!(failing["changed"]["commit"], json!(["c1c1c1c", null]));
    assert_eq!(found["counts"]["tests"], 3);
    let found = story.ask("f1", "?baseline=commit:c1c1c1c");
    assert_eq!(told(&found), told_as("a new, b new", "fail(new)"));
    assert_eq!(found["baseline"]["build"], "m1");
    // The page says the same.
    let page = story.server.page("/pony/builds/f1", "").text();
    for text in ["Gate failed", "1 failure is new since m3 of main", "1 failing", "(2 builds)"] {
        assert!(page.contains(text), "{text} in {page}");
    }
}

fn absence_in_between_hides_nothing(story: &Story) {
    story.build("m1", 1, "main", "a:P b:P c:P");
    story.build("m2", 2, "main", "a:P b:F c:P");
    let steps = json!([
        {"name": "compile", "success": false},
        {"name": "test", "success": true, "tests": tests("a:P")},
    ]);
    story.steps("m3", 3, json!({"branch": "main"}), false, steps);
    story.build("m4", 4, "main", "a:P b:F c:P");
    let found = story.ask("m4", "");
    assert_eq!(told(&found), told_as("b failing", "pass"));
    assert_eq!(found["failures"][0]["since"]["build"], "m2");
    assert_eq!(found["failures"][0]["since"]["builds"], 2);
    let found = story.ask("m3", "");
    assert_eq!(told(&found), told_as("compile new", "fail(new,missing)"));
    let missing = json!([{"kind": "test", "name": "s::b"}, {"kind": "test", "name": "s::c"}]);
    assert_eq!(found["missing"], missing);
}

fn a_flake_is_excused_and_another_failure_of_the_same_test_is_not(story: &Story) {
    let flakes = [vec!["P"; 5], vec!["F"], vec!["P"; 10], vec!["F"], vec!["P"; 4]].concat();
    for (n, letter) in flakes.iter().enumerate() {
        story.build(&format!("m{n}"), n, "main", &format!("t:{letter}"));
    }
    story.build("x1", 100, "x", "t:F");
    story.build("y1", 101, "y", "t:G");
    let found = story.ask("x1", "");
    assert_eq!(told(&found), told_as("t flaky", "pass"));
    let flaky = &found["failures"][0]["flaky"];
    assert_eq!((&flaky["flakes"], &flaky["runs"]), (&json!(2), &json!(21)));
    assert_eq!((&flaky["rate"], &flaky["interval"]), (&json!(0.095), &json!([0.027, 0.289])));
    assert_eq!(told(&story.ask("x1", "?gate=flaky:0")), told_as("t flaky", "fail(flaky)"));
    let found = story.ask("y1", "");
    assert_eq!(told(&found), told_as("t new", "fail(new)"));
    assert_eq!(found["failures"][0]["flaky"]["same_signature"], false);
    for n in 0..3 {
        story.build(&format!("n{n}"), 110 + n, "main", "t:F");
    }
    story.build("x2", 120, "x2", "t:F");
    for id in ["x2", "n2"] {
        let found = story.ask(id, "");
        assert_eq!(told(&found), told_as("t failing", "pass"));
        let since = &found["failures"][0]["since"];
        assert_eq!((&since["build"], &since["builds"]), (&json!("n0"), &json!(3)));
    }
    assert_eq!(told(&story.ask("n2", "?gate=failing:0")).1, "fail(failing)");
}

fn what_is_missing_is_told_unless_the_build_is_partial(story: &Story) {
    let some = |count: usize| (0..count).map(|n| format!("t{n}:P")).collect::<Vec<_>>().join(" ");
    story.build("m1", 1, "main", &some(100));
    story.build("m2", 2, "main", &some(80));
    story.say("m3", 3, json!({"branch": "main", "partial": true}), &some(80));
    let found = story.ask("m2", "");
    assert_eq!(told(&found).1, "fail(missing)");
    assert_eq!(
        (&found["counts"]["missing"], found["missing"].as_array().unwrap().len()),
        (&json!(20), 20)
    );
    assert_eq!(story.ask("m2", "?gate=missing:20%25")["gate"]["verdict"], "pass");
    let found = story.ask("m3", "?baseline=build:m1");
    assert_eq!(told(&found).1, "pass");
    assert_eq!((&found["counts"]["missing"], &found["missing"]), (&json!(null), &json!(null)));
    let skipped = some(100).replacen("t0:P", "t0:S", 1);
    story.build("m4", 4, "main", &skipped);
    let found = story.ask("m4", "?baseline=build:m1");
    assert_eq!(found["skipped"], json!([{"kind": "test", "name": "s::t0"}]));
    assert_eq!(found["counts"]["missing"], 0);
}

fn a_mass_failure_is_no_baseline(story: &Story) {
    let all =
        |letter: &str| (0..100).map(|n| format!("t{n}:{letter}")).collect::<Vec<_>>().join(" ");
    let one_bad = all("P").replacen("t5:P", "t5:F", 1);
    story.build("m1", 1, "main", &all("P"));
    story.build("m2", 2, "main", &all("F"));
    story.build("x1", 3, "x1", &one_bad);
    story.build("m3", 4, "main", &all("P"));
    story.build("x2", 5, "x2", &one_bad);
    let found = story.ask("x1", "");
    assert_eq!(told(&found), told_as("t5 new", "fail(new)"));
    assert_eq!(found["baseline"]["build"], "m1");
    let found = story.ask("m2", "");
    assert_eq!((&found["mass_failure"], &found["counts"]["new"]), (&json!(true), &json!(100)));
    assert_eq!(found["clusters"].as_array().unwrap().len(), 1);
    assert_eq!(found["clusters"][0]["title"], "E: port # is taken");
    let found = story.ask("x2", "");
    assert_eq!(told(&found), told_as("t5 new", "fail(new)"));
    assert_eq!(found["failures"][0]["flaky"], json!(null));
    assert_eq!(told(&story.ask("x2", "?baseline=build:m2")).0, "t5 failing");
}

fn a_late_arrival_takes_its_place(story: &Story) {
    story.build("m1", 1, "main", "a:P");
    story.build("m3", 3, "main", "a:F");
    assert_eq!(told(&story.ask("m3", "")), told_as("a new", "fail(new)"));
    story.build("m2", 2, "main", "a:F");
    let found = story.ask("m3", "");
    assert_eq!(told(&found), told_as("a failing", "pass"));
    assert_eq!(found["failures"][0]["since"]["build"], "m2");
    let answer = story.server.as_user("ann").send("DELETE", "/pony/builds/m2", "");
    assert_eq!(answer.status, 204);
    assert_eq!(told(&story.ask("m3", "")), told_as("a new", "fail(new)"));
}

fn a_rerun_that_passed_excuses_other_branches_and_not_its_own(story: &Story) {
    story.build("m1", 1, "main", "a:P");
    story.say("p1", 2, json!({"branch": "p", "commit": "a1a1a1a"}), "a:F");
    story.say("p2", 3, json!({"branch": "p", "commit": "a1a1a1a", "partial": true}), "a:P");
    story.say("p3", 4, json!({"branch": "p", "commit": "b2b2b2b"}), "a:F");
    story.build("q1", 5, "q", "a:F");
    let found = story.ask("p3", "");
    assert_eq!(told(&found), told_as("a new", "fail(new)"));
    assert_eq!(found["failures"][0]["flaky"]["only_here"], true);
    let found = story.ask("q1", "");
    assert_eq!(told(&found), told_as("a flaky", "pass"));
    let failure = &found["failures"][0];
    assert_eq!(
        (&failure["flaky"]["elsewhere"], &failure["flaky"]["last"]),
        (&json!(true), &json!(null))
    );
    let elsewhere = &failure["elsewhere"];
    let counts =
        ["tracks", "ran", "bad", "same_signature"].map(|name| elsewhere[name].as_u64().unwrap());
    assert_eq!(counts, [2, 2, 1, 1]);
    assert_eq!(
        (&elsewhere["in"][0]["branch"], &elsewhere["in"][0]["build"]),
        (&json!("p"), &json!("p3"))
    );
    // Another text is not excused.
    story.build("r1", 6, "r", "a:G");
    assert_eq!(told(&story.ask("r1", "")), told_as("a new", "fail(new)"));
}

fn steps_alone_have_classes(story: &Story) {
    let steps = |one: bool, two: bool| json!([{"name": "one", "success": one}, {"name": "two", "success": two}]);
    let main = || json!({"branch": "main"});
    story.steps("m1", 1, main(), true, steps(true, true));
    story.steps("m2", 2, main(), false, steps(true, false));
    story.steps("m3", 3, main(), false, steps(false, false));
    story.steps("m4", 4, main(), false, json!([]));
    let found = story.ask("m3", "");
    assert_eq!(told(&found), told_as("one new, two failing", "fail(new)"));
    assert_eq!(found["failures"][0]["kind"], "step");
    let found = story.ask("m4", "");
    assert_eq!(told(&found).0, "itself new");
    assert_eq!(
        (&found["failures"][0]["kind"], &found["failures"][0]["name"]),
        (&json!("build"), &json!(null))
    );
    // A failed step whose cases are bad is not listed beside them.
    story.build("m5", 5, "main", "a:F");
    assert_eq!(told(&story.ask("m5", "")).0, "a new");
    // Nor is one that only ran what the report behind it holds.
    let reported = json!([
        {"name": "make test", "success": false},
        {"name": "junit", "success": false, "report": "junit", "tests": tests("a:F")},
    ]);
    story.steps("m6", 6, main(), false, reported);
    let found = story.ask("m6", "");
    assert_eq!(told(&found).0, "a failing");
    // What is explained is there, though it counts as not run.
    assert_eq!(found["missing"], json!([{"kind": "step", "name": "test"}]));
    story.steps("m7", 7, main(), true, json!([]));
    let missing = story.ask("m7", "")["missing"].clone();
    assert_eq!(missing.as_array().unwrap().len(), 3, "{missing}");
}

fn a_failed_step_behind_very_many_others_is_not_overlooked(story: &Story) {
    let step = |n: usize| json!({"name": format!("s{n}"), "success": n != 1_200});
    story.steps("m1", 1, json!({"branch": "main"}), true, json!([{"name": "s0", "success": true}]));
    let steps: Vec<Value> = (0..1_500).map(step).collect();
    story.steps("m2", 2, json!({"branch": "main"}), false, json!(steps));
    assert_eq!(told(&story.ask("m2", "")), told_as("itself new", "fail(new)"));
}

fn variants_are_compared_with_their_like(story: &Story) {
    let of = |branch: &str, job: &str| json!({"branch": branch, "job": job});
    story.say("l1", 1, of("main", "linux"), "a:P");
    story.say("w1", 2, of("main", "windows"), "a:F");
    story.say("l2", 3, of("f", "linux"), "a:F");
    story.say("w2", 4, of("f", "windows"), "a:F");
    story.say("v1", 5, json!({"branch": "main", "variant": "linux"}), "a:P");
    assert_eq!(told(&story.ask("l2", "")).0, "a new");
    assert_eq!(told(&story.ask("w2", "")).0, "a failing");
    let document: Value = story.server.get("/pony/builds/w2").json();
    assert_eq!(document["track"]["variant"], "client.job=windows");
    assert_eq!(
        (&document["track"]["branch"], &document["track"]["credited"]),
        (&json!("f"), &json!(true))
    );
    let document: Value = story.server.get("/pony/builds/v1?fields=track,revision").json();
    assert_eq!(
        (&document["track"]["variant"], &document["revision"]),
        (&json!("linux"), &json!(null))
    );
}

fn a_long_failure_is_dated_exactly_up_to_a_thousand_builds(story: &Story) {
    story.build("good", 0, "main", "a:P");
    for n in 1..=150 {
        story.build(&format!("bad{n}"), n, "main", "a:F");
    }
    story.say("f1", 150, json!({"branch": "f", "base_commit": "abcdef1"}), "a:F");
    // Its beginning is sought a thousand builds back.
    for n in 151..=1_200 {
        story.build(&format!("bad{n}"), n, "main", "a:F");
    }
    let since = story.ask("bad1200", "")["failures"][0]["since"].clone();
    assert_eq!((&since["builds"], &since["at_least"]), (&json!(1_001), &json!(true)));
    for (id, builds) in [("bad150", 150), ("f1", 150), ("bad20", 20)] {
        let since = story.ask(id, "")["failures"][0]["since"].clone();
        assert_eq!((&since["build"], &since["builds"]), (&json!("bad1"), &json!(builds)), "{id}");
        assert_eq!(since["at_least"], false);
    }
}

fn failures_are_clustered_paged_and_chosen(story: &Story) {
    story.build("m1", 1, "main", "a:P b:P c:P d:G");
    let steps = json!([
        {"name": "lint", "success": false},
        {"name": "test", "success": false, "tests": tests("a:G b:F c:F d:G")},
    ]);
    story.steps("m2", 2, json!({"branch": "main"}), false, steps);
    // The larger cluster first, then by place; the step has no text.
    let all = told(&story.ask("m2", "")).0;
    assert_eq!(all, "a new, b new, c new, lint new, d failing");
    assert_eq!(told(&story.ask("m2", "?class=failing")).0, "d failing");
    assert_eq!(told(&story.ask("m2", "?kind=step,build")).0, "lint new");
    let page = story.ask("m2", "?per_page=2&from=2");
    assert_eq!(told(&page).0, "c new, lint new");
    let next = page["links"].as_array().unwrap().iter().find(|link| link["rel"] == "next").unwrap();
    let next = next["href"].as_str().unwrap();
    let path = next.split_once("/pony").unwrap().1;
    let last: Value = story.server.get(&format!("/pony{path}")).json();
    assert_eq!(told(&last).0, "d failing");
    assert!(last["links"].as_array().unwrap().iter().all(|link| link["rel"] != "next"));
    let few = story.ask("m2", "?fields=counts,gate");
    let mut members: Vec<&String> = few.as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["counts", "gate", "links"]);
    let titles: Vec<&str> = page["clusters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| of["title"].as_str().unwrap())
        .collect();
    assert_eq!(titles, ["E: no such file", "E: port # is taken"]);
    // A client that has it is told so.
    let path = "/pony/builds/m2/insight";
    let etag = story.server.get(path).header("etag").to_owned();
    let again = story.server.send(story.server.request("GET", path).header("If-None-Match", &etag));
    assert_eq!(again.status, 304);
    story.build("m0", 0, "main", "a:P");
    let again = story.server.send(story.server.request("GET", path).header("If-None-Match", &etag));
    assert_eq!(again.status, 200);
}

fn a_baseline_may_be_another_projects(story: &Story) {
    let ann = story.server.as_user("ann");
    ann.send("PUT", "/other", r#"{"name":"Other"}"#);
    let body = json!({
        "success": false, "started": "2026-01-01T00:00:00Z",
        "results": [{"name": "test", "success": false, "tests": tests("z:P a:F b:P gone:P")}],
    });
    assert_eq!(ann.send("PUT", "/other/builds/o1", &body.to_string()).status, 201);
    story.build("m1", 1, "main", "b:F a:F");
    let found = story.ask("m1", "?baseline=build:other/o1");
    assert_eq!(told(&found).0, "b new, a failing");
    assert_eq!(found["baseline"]["project"], "other");
    let missing = json!([{"kind": "test", "name": "s::z"}, {"kind": "test", "name": "s::gone"}]);
    assert_eq!(found["missing"], missing);
}

fn the_project_says_how_its_builds_are_compared(story: &Story) {
    let ann = story.server.as_user("ann");
    story.build("d1", 1, "develop", "a:P");
    story.build("m1", 2, "main", "a:F");
    story.build("f1", 3, "f", "a:F");
    assert_eq!(told(&story.ask("f1", "")).0, "a failing");
    let settings = r#"{"name":"Pony","mainline":"develop","variant_by":[],"gate":"new:1"}"#;
    let answer = ann.send("PUT", "/pony", settings);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let project: Value = story.server.get("/pony").json();
    assert_eq!((&project["mainline"], &project["variant_by"]), (&json!("develop"), &json!([])));
    assert_eq!(told(&story.ask("f1", "")), told_as("a new", "pass"));
    assert_eq!(told(&story.ask("f1", "?gate=new:0")), told_as("a new", "fail(new)"));
    // Members that are absent stay; null takes the usual mainline again.
    assert_eq!(ann.send("PUT", "/pony", r#"{"name":"Pony","mainline":null}"#).status, 200);
    let project: Value = story.server.get("/pony").json();
    assert_eq!((&project["mainline"], &project["gate"]), (&json!(null), &json!("new:1")));
    for (member, field) in [
        (r#""mainline":"""#, "mainline"),
        (r#""variant_by":["tag"]"#, "variant_by[0]"),
        (r#""gate":"new""#, "gate"),
    ] {
        let answer = ann.send("PUT", "/pony", &format!(r#"{{"name":"Pony",{member}}}"#));
        assert_eq!((answer.status, &answer.json()["payload"]["field"]), (400, &json!(field)));
    }
}
