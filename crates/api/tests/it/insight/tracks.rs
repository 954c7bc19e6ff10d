//! Tracks: which report, how they are doing, and how their tests behave.

use super::*;

stories! {
    active_tracks_are_listed_by_branch_and_variant,
    active_tracks_are_listed_in_pages,
    tracks_of_all_projects_are_queried_and_found_by_their_builds,
    a_track_tells_its_health,
    a_silent_track_of_the_mainline_is_overdue_unless_its_owner_says_otherwise,
    the_tests_of_a_track_are_chosen_and_ordered,
    a_grid_has_a_letter_for_each_run,
    a_test_that_became_slower_is_told_after_three_builds,
    a_test_tells_when_its_behaviour_changed_in_a_track,
}

impl Story {
    /// The path of the track of a build.
    pub(super) fn track(&self, build: &str) -> String {
        self.server.get(&format!("/pony/builds/{build}")).link("track").unwrap()
    }

    pub(super) fn read(&self, path: &str) -> Value {
        let answer = self.server.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }
}

fn active_tracks_are_listed_by_branch_and_variant(story: &Story) {
    story.say("m1", 1, json!({"branch": "main", "job": "linux"}), "a:P");
    story.say("m2", 2, json!({"branch": "main", "job": "mac"}), "a:F");
    story.say("x1", 3, json!({"branch": "x", "job": "linux"}), "a:P");
    let listed = |query: &str| {
        let tracks = story.read(&format!("/pony/tracks{query}"))["tracks"].clone();
        let of = |track: &Value| {
            let variant = track["track"]["variant"].as_str().unwrap().replace("client.job=", "");
            format!(
                "{} {variant} {}",
                track["track"]["branch"].as_str().unwrap(),
                track["latest"].as_str().unwrap()
            )
        };
        tracks.as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(listed(""), ["x linux x1", "main mac m2", "main linux m1"]);
    assert_eq!(listed("?branch=ma*"), ["main mac m2", "main linux m1"]);
    assert_eq!(listed("?variant=*linux&branch=main"), ["main linux m1"]);
    assert_eq!(listed("?branch="), Vec::<String>::new());
    let first = &story.read("/pony/tracks")["tracks"][1];
    assert_eq!((&first["track"]["mainline"], &first["success"]), (&json!(true), &json!(false)));
    assert_eq!(
        (&first["expected"], &first["every"], &first["overdue"]),
        (&json!("learned"), &json!(null), &json!(false))
    );
    assert_eq!(story.server.get("/pony").link("tracks").unwrap(), "/pony/tracks");
    let page = story.server.page("/pony/tracks", "").text();
    assert!(page.contains("mainline") && page.contains("client.job=mac"), "{page}");
    for path in ["/none/tracks", "/pony/tracks/0000000000000000", "/pony/tracks/x"] {
        assert_eq!(story.server.get(path).status, 404, "{path}");
    }
}

fn active_tracks_are_listed_in_pages(story: &Story) {
    for nth in 0..5usize {
        story.say(&nth.to_string(), nth, json!({"branch": "main", "job": nth.to_string()}), "a:P");
    }
    let (mut path, mut latest) = ("/pony/tracks?per_page=2&branch=main".to_owned(), Vec::new());
    loop {
        let answer = story.server.get(&path);
        let page = answer.json();
        assert_eq!(page["count"], 5);
        let tracks = page["tracks"].as_array().unwrap();
        latest.extend(tracks.iter().map(|track| track["latest"].as_str().unwrap().to_owned()));
        let Some(next) = answer.link("next") else { break };
        path = next;
    }
    assert_eq!(latest, ["4", "3", "2", "1", "0"]);
    for path in [
        "/pony/tracks?per_page=1001",
        "/pony/tracks?from=x",
        "/pony/tracks?only=bad",
        "/pony/tracks?text=x",
    ] {
        assert_eq!(story.server.get(path).status, 400, "{path}");
    }
}

fn tracks_of_all_projects_are_queried_and_found_by_their_builds(story: &Story) {
    let revision = "c0ffee1c0ffee1";
    story.say("m1", 1, json!({"branch": "main", "job": "linux", "commit": revision}), "a:P");
    story.say("m2", 2, json!({"branch": "main", "job": "mac"}), "a:F");
    story.say("x1", 3, json!({"branch": "x", "job": "linux"}), "a:P");
    let list = |query: &str| story.read(&format!("/api/v1/tracks?{query}"));
    let branches = |query: &str| -> Vec<String> {
        let tracks = list(query)["tracks"].clone();
        let branch = |track: &Value| track["branch"].as_str().unwrap().to_owned();
        tracks.as_array().unwrap().iter().map(branch).collect()
    };
    assert_eq!(branches("sort=branch,variant"), ["main", "main", "x"]);
    assert_eq!(branches("where=branch:x,project:PONY"), ["x"]);
    assert_eq!(branches("where=project:other"), Vec::<String>::new());
    assert_eq!(branches("where=variant:client.job%3Dmac"), ["main"]);
    assert_eq!(list("limit=1")["_meta"]["count"], 3);
    let of_x1 = story.track("x1");
    let key = of_x1.rsplit('/').next().unwrap();
    assert_eq!(branches(&format!("where=key:{key}")), ["x"]);
    let one = story.read(&format!("/api/v1/tracks/pony%2F{key}"))["track"].clone();
    assert_eq!(one["id"], format!("pony/{key}"));
    assert_eq!(
        (&one["variant"], &one["credited"], &one["expected"]),
        (&json!("client.job=linux"), &json!(true), &json!("learned"))
    );
    for id in ["pony%2F0000000000000000", "other%2F", "pony"] {
        assert_eq!(story.server.get(&format!("/api/v1/tracks/{id}")).status, 404, "{id}");
    }
    // Builds are found by their track and by their commit.
    let found = |query: &str| -> Vec<String> {
        let builds = story.read(&format!("/pony/builds?{query}"))["builds"].clone();
        let id = |build: &Value| build["id"].as_str().unwrap().to_owned();
        builds.as_array().unwrap().iter().map(id).collect()
    };
    assert_eq!(found(&format!("track={key}")), ["x1"]);
    assert_eq!(found(&format!("where=track:{key}")), ["x1"]);
    assert_eq!(found(&format!("query=not(eq(track,{key}))")), ["m2", "m1"]);
    assert_eq!(found(&format!("where=revision:{revision}")), ["m1"]);
    assert_eq!(found("track="), ["x1", "m2", "m1"]);
    assert_eq!(story.server.get("/pony/builds?track=main").status, 400);
    let object = story.read("/api/v1/builds?where=key:x1")["builds"][0].clone();
    assert_eq!((&object["track"], &object["revision"]), (&json!(key), &json!(null)));
    // A track whose last build is deleted is none any more.
    let delete = story.server.request("DELETE", "/pony/builds/x1").basic("ann", "ann-pw");
    assert_eq!(story.server.send(delete).status, 204);
    assert_eq!(branches(""), ["main", "main"]);
}

fn a_track_tells_its_health(story: &Story) {
    story.build("m1", 10, "main", "a:P b:P c:S d:P");
    story.build("m2", 20, "main", "a:P b:L c:S d:P");
    story.build("m3", 30, "main", "a:F b:P c:S d:P");
    let path = story.track("m3");
    let found = story.read(&path);
    let counts = json!({"tests": 4, "failing": 1, "flaky": 1, "slower": 0, "skipped": 1});
    assert_eq!(found["counts"], counts);
    assert_eq!((&found["latest"], &found["last_green"]), (&json!("m3"), &json!("m2")));
    let window = &found["window"];
    assert_eq!(
        (&window["builds"], &window["succeeded"], &window["median_duration"]),
        (&json!(3), &json!(2), &json!(0.0))
    );
    assert_eq!((&found["track"]["mainline"], &found["every"]), (&json!(true), &json!(null)));
    let page = story.server.page(&path, "").text();
    for text in ["1 failing", "1 flaky", "2 of the newest 3 succeeded", "Tests that failed"] {
        assert!(page.contains(text), "{text} in {page}");
    }
    // It changes with the builds.
    let etag = story.server.get(&path).header("etag").to_owned();
    let again = || {
        let request = story.server.request("GET", &path).header("If-None-Match", &etag);
        story.server.send(request).status
    };
    assert_eq!(again(), 304);
    story.build("m4", 40, "main", "a:P");
    assert_eq!(again(), 200);
    // A build without tests says nothing of them.
    story.steps("m5", 50, json!({"branch": "main"}), true, json!([]));
    assert_eq!(story.read(&path)["counts"]["tests"], 1);
}

fn a_silent_track_of_the_mainline_is_overdue_unless_its_owner_says_otherwise(story: &Story) {
    for n in 0..5 {
        story.build(&format!("m{n}"), n * 60, "main", "a:P");
        story.build(&format!("x{n}"), n * 60, "x", "a:P");
    }
    let path = story.track("m0");
    let found = story.read(&path);
    assert_eq!((&found["every"], &found["overdue"]), (&json!(3600.0), &json!(true)));
    assert_eq!(story.read(&story.track("x0"))["overdue"], false);
    assert!(story.server.page("/pony/tracks", "").text().contains("overdue"));
    let ann = story.server.as_user("ann");
    let put = |expected: &str| ann.send("PUT", &path, &json!({"expected": expected}).to_string());
    for (expected, overdue) in [("never", false), ("366d", false), ("26h", true), ("learned", true)]
    {
        let answer = put(expected);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let found = answer.json();
        assert_eq!((&found["expected"], &found["overdue"]), (&json!(expected), &json!(overdue)));
    }
    for bad in ["", "1w", "0h"] {
        let answer = put(bad);
        assert_eq!(
            (answer.status, answer.message().starts_with("expected: ")),
            (400, true),
            "{bad}"
        );
    }
    assert_eq!(story.server.put(&path, r#"{"expected":"never"}"#).status, 401);
    story.server.as_user("bob").send("PUT", "/bobs", r#"{"name":"x"}"#);
    assert_eq!(
        story.server.as_user("bob").send("PUT", &path, r#"{"expected":"never"}"#).status,
        403
    );
    assert_eq!(ann.send("GET", &path, "").methods("self"), "GET PUT");
    assert_eq!(story.server.get(&path).methods("self"), "GET");
    let with = |etag: &str| {
        let request = story.server.request("PUT", &path).basic("ann", "ann-pw");
        story.server.send(request.header("If-Match", etag).json(r#"{"expected":"7d"}"#)).status
    };
    let etag = ann.send("GET", &path, "").header("etag").to_owned();
    assert_eq!((with("\"x\""), with(&etag), with(&etag)), (412, 200, 412));
}

fn the_tests_of_a_track_are_chosen_and_ordered(story: &Story) {
    story.build("m1", 1, "main", "a:P b:P c:P d:P e:L");
    story.build("m2", 2, "main", "a:F b:F c:P d:P e:P");
    story.build("m3", 3, "main", "a:F b:P c:S d:P e:P");
    let path = story.track("m3");
    let names = |query: &str| {
        let tests = story.read(&format!("{path}/tests{query}"))["tests"].clone();
        let name = |test: &Value| test["full_name"].as_str().unwrap()[3..].to_owned();
        tests.as_array().unwrap().iter().map(name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(""), "a b c d e");
    assert_eq!(names("?only=failing"), "a");
    assert_eq!(names("?only=flaky,skipped"), "c e");
    assert_eq!(names("?sort=bad"), "a b c d e");
    assert_eq!(names("?sort=flakes"), "b e a c d");
    assert_eq!(names("?text=S::D"), "d");
    assert_eq!(names("?per_page=2&from=2"), "c d");
    let page = story.server.get(&format!("{path}/tests?per_page=2"));
    assert_eq!(page.json()["count"], 5);
    assert_eq!(story.read(&page.link("next").unwrap())["tests"][0]["full_name"], "s::c");
    let first = &story.read(&format!("{path}/tests"))["tests"][0];
    assert_eq!(
        (&first["class"], &first["runs"], &first["bad"]),
        (&json!("failing"), &json!(3), &json!(2))
    );
    assert_eq!((&first["since"], &first["last_bad"]), (&json!("m2"), &json!("m3")));
    for query in ["?only=red", "?sort=age", "?per_page=0", "?after=x"] {
        assert_eq!(story.server.get(&format!("{path}/tests{query}")).status, 400, "{query}");
    }
    let html = story.server.page(&format!("{path}/tests?only=flaky"), "").text();
    assert!(html.contains("s::e") && !html.contains("s::d"), "{html}");
}

fn a_grid_has_a_letter_for_each_run(story: &Story) {
    story.build("m1", 1, "main", "a:P b:P");
    story.build("m2", 2, "main", "a:F c:S");
    story.build("m3", 3, "main", "a:L b:P c:P");
    let path = story.track("m3");
    let grid = story.read(&format!("{path}/grid"));
    assert_eq!(grid["tests"], json!([{"full_name": "s::a", "cells": "LFP"}]));
    assert_eq!(grid["builds"][0]["id"], "m3");
    let all = story.read(&format!("{path}/grid?only=all&builds=2"));
    let cells: Vec<&str> = all["tests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|test| test["cells"].as_str().unwrap())
        .collect();
    assert_eq!((cells, &all["count"]), (vec!["LF", "P.", "PS"], &json!(3)));
    assert_eq!(story.server.get(&format!("{path}/grid?builds=101")).status, 400);
    assert!(story.server.page(&format!("{path}/grid"), "").text().contains("m2: failed"));
}

fn a_test_that_became_slower_is_told_after_three_builds(story: &Story) {
    let took = |n: usize, seconds: f64| {
        let test = json!({"suite": "s", "name": "a", "status": "passed", "duration": seconds});
        let steps = json!([{"name": "test", "success": true, "tests": [test]}]);
        story.steps(&format!("m{n}"), n, json!({"branch": "main"}), true, steps);
    };
    for n in 0..20 {
        took(n, 2.0 + n as f64 / 100.0);
    }
    took(20, 4.0);
    assert_eq!(story.ask("m20", "")["slower"], json!([]));
    took(21, 4.2);
    took(22, 4.1);
    let found = story.ask("m22", "?gate=slower:0");
    assert_eq!(told(&found), told_as("", "fail(slower)"));
    let slow = &found["slower"][0];
    assert_eq!((&slow["name"], &slow["duration"]), (&json!("s::a"), &json!(4.1)));
    let near =
        |member: &str, value: f64| (slow[member].as_f64().unwrap() / value - 1.0).abs() < 0.06;
    assert!(near("median", 2.1) && near("limit", 3.15), "{slow}");
    assert_eq!(story.ask("m22", "")["counts"]["slower"], 1);
    assert_eq!(told(&story.ask("m22", "")).1, "pass");
    let path = story.track("m22");
    assert_eq!(story.read(&path)["counts"]["slower"], 1);
    assert_eq!(story.read(&format!("{path}/tests?only=slower"))["tests"][0]["p50"], 2.11);
}

fn a_test_tells_when_its_behaviour_changed_in_a_track(story: &Story) {
    for n in 0..25 {
        story.build(&format!("m{n}"), n, "main", if n < 20 { "a:P" } else { "a:F" });
    }
    story.build("x1", 30, "x", "a:P");
    let track = story.track("m0");
    let key = track.rsplit('/').next().unwrap();
    let found = story.read(&format!("/pony/tests/s::a?track={key}&per_page=3"));
    let builds: Vec<_> = found["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["build"].as_str().unwrap())
        .collect();
    assert_eq!(builds, ["m24", "m23", "m22"]);
    assert_eq!((&found["stats"]["runs"], &found["stats"]["bad"]), (&json!(25), &json!(5)));
    let segments = json!([
        {"from": "m0", "to": "m19", "runs": 20, "bad": 0}, {"from": "m20", "to": "m24", "runs": 5, "bad": 5},
    ]);
    assert_eq!(found["segments"], segments);
    assert!(found.get("tracks").is_none());
    // Without a track: where it runs.
    let found = story.read("/pony/tests/s::a");
    let tracks: Vec<_> = found["tracks"].as_array().unwrap().iter().collect();
    assert_eq!(
        tracks.iter().map(|of| of["track"]["branch"].as_str().unwrap()).collect::<Vec<_>>(),
        ["x", "main"]
    );
    assert_eq!((&tracks[1]["status"], &tracks[1]["build"]), (&json!("failed"), &json!("m24")));
    assert!(found.get("stats").is_none());
    for bad in ["?track=x", "?track=0000000000000000"] {
        assert_eq!(story.server.get(&format!("/pony/tests/s::a{bad}")).status, 400, "{bad}");
    }
    let page = story.server.page(&format!("/pony/tests/s::a?track={key}"), "").text();
    assert!(page.contains("5 of 5 failed") && page.contains("5 of 25 runs failed"), "{page}");
    assert!(story.server.page("/pony/tests/s::a", "").text().contains("In 2 tracks"));
}
