//! What a track tells of its tests is what the insight of its newest build tells, and no run is lost.

use super::issues::soon;
use super::*;

stories! {
    a_failure_began_as_long_ago_as_the_insight_says,
    a_mass_failure_counts_for_its_own_tests,
    only_what_is_slow_in_the_newest_build_is_slower,
    a_test_with_two_cases_in_a_build_is_timed_once,
    closing_an_issue_settles_the_flakes_of_a_track,
    builds_that_ran_no_tests_hide_no_track,
    builds_without_credentials_are_no_mainline_beside_those_with,
    a_track_is_found_among_very_many,
    no_run_of_a_track_is_lost_between_pages,
}

impl Story {
    /// A test of the track of a build.
    fn test(&self, build: &str, name: &str) -> Value {
        let found = self.read(&format!("{}/tests?text={name}", self.track(build)));
        assert_eq!(found["tests"].as_array().unwrap().len(), 1, "{found}");
        found["tests"][0].clone()
    }

    /// Reports a build of main whose tests passed and took so many seconds; without any where `None`.
    fn timed(&self, n: usize, tests: &[(&str, Option<f64>)]) {
        let test = |(name, seconds): &(&str, Option<f64>)| json!({"suite": "s", "name": name, "status": "passed", "duration": seconds});
        let tests: Vec<Value> = tests.iter().map(test).collect();
        let steps = json!([{"name": "test", "success": true, "tests": tests}]);
        self.steps(&format!("m{n}"), n, json!({"branch": "main"}), true, steps);
    }

    /// The names of the slower tests of the insight of a build and of its track.
    fn slower(&self, build: &str) -> [Vec<String>; 2] {
        let names = |list: &Value, member: &str| -> Vec<String> {
            let items = list.as_array().unwrap().iter();
            items.map(|item| item[member].as_str().unwrap().to_owned()).collect()
        };
        let track = self.track(build);
        let tests = &self.read(&format!("{track}/tests?only=slower"))["tests"];
        let found = [names(&self.ask(build, "")["slower"], "name"), names(tests, "full_name")];
        assert_eq!(self.read(&track)["counts"]["slower"], found[1].len());
        found
    }
}

fn a_failure_began_as_long_ago_as_the_insight_says(story: &Story) {
    for n in 0..120 {
        story.build(&format!("m{n}"), n, "main", if n < 5 { "a:P" } else { "a:F" });
    }
    let since = &story.ask("m119", "?baseline=previous")["failures"][0]["since"];
    assert_eq!((&since["build"], &since["builds"]), (&json!("m5"), &json!(115)));
    assert_eq!(story.test("m119", "a")["since"], "m5");
}

fn a_mass_failure_counts_for_its_own_tests(story: &Story) {
    let all = |letter| (0..20).map(|n| format!("t{n}x:{letter} ")).collect::<String>();
    for n in 0..3 {
        story.build(&format!("m{n}"), n, "main", &all('P'));
    }
    story.build("m3", 3, "main", &all('F'));
    let test = story.test("m3", "t7x");
    assert_eq!(["class", "since", "last_bad"].map(|member| &test[member]), ["new", "m3", "m3"]);
    assert_eq!((&test["runs"], &test["bad"]), (&json!(3), &json!(0)));
}

fn only_what_is_slow_in_the_newest_build_is_slower(story: &Story) {
    for n in 0..20 {
        story.timed(n, &[("a", Some(2.0)), ("b", Some(2.0))]);
    }
    for n in 20..24 {
        story.timed(n, &[("a", Some(4.0)), ("b", Some(4.0))]);
    }
    story.timed(24, &[("a", Some(4.0)), ("b", None)]);
    assert_eq!(story.slower("m24"), [["s::a"], ["s::a"]]);
}

fn a_test_with_two_cases_in_a_build_is_timed_once(story: &Story) {
    for n in 0..20 {
        story.timed(n, &[("a", Some(2.0)), ("a", Some(2.1))]);
    }
    story.timed(20, &[("a", Some(4.0)), ("a", Some(4.1))]);
    story.timed(21, &[("a", Some(4.0)), ("a", Some(4.1))]);
    assert_eq!(story.slower("m21"), [Vec::<String>::new(), Vec::new()]);
    story.timed(22, &[("a", Some(4.0)), ("a", Some(4.1))]);
    assert_eq!(story.slower("m22"), [["s::a"], ["s::a"]]);
}

fn closing_an_issue_settles_the_flakes_of_a_track(story: &Story) {
    for (n, letter) in "PFPFPFPPP".chars().enumerate() {
        let day = 24 * 60 * 1000 * (n as i64 - 10);
        let success = letter == 'P';
        let body = json!({
            "success": success, "started": soon(day), "finished": soon(day), "client": {"branch": "main"},
            "results": [{"name": "test", "success": success, "tests": fixtures::tests(&format!("a:{letter}"))}],
        });
        let path = format!("/pony/builds/m{n}");
        assert_eq!(story.server.as_user("ann").send("PUT", &path, &body.to_string()).status, 201);
    }
    let track = story.track("m8");
    let key = track.rsplit('/').next().unwrap();
    let told = || {
        let test = story.test("m8", "a");
        let stats = &story.read(&format!("/pony/tests/s::a?track={key}"))["stats"];
        assert_eq!(test["flakes"], stats["flakes"]);
        let flaky = &story.read(&track)["counts"]["flaky"];
        (test["class"].as_str().unwrap().to_owned(), test["flakes"].clone(), flaky.clone())
    };
    assert_eq!(told(), ("flaky".to_owned(), json!(3), json!(1)));
    let issue = story.file(&json!({"title": "port", "match": {"message": "port*"}}));
    let other = story.file(&json!({"title": "other", "match": {"message": "no such*"}}));
    assert_eq!(told().1, 3);
    story.change(&other, &json!({"state": "closed"}));
    assert_eq!(told().1, 3);
    story.change(&issue, &json!({"state": "closed"}));
    // The issue was closed after all of them; the next build starts later.
    let body = json!({
        "success": true, "started": soon(60_000), "finished": soon(60_000), "client": {"branch": "main"},
        "results": [{"name": "test", "success": true, "tests": fixtures::tests("a:P")}],
    });
    story.server.as_user("ann").send("PUT", "/pony/builds/m9", &body.to_string());
    assert_eq!(told(), ("passed".to_owned(), json!(0), json!(0)));
}

fn builds_that_ran_no_tests_hide_no_track(story: &Story) {
    story.build("m1", 1, "main", "a:P b:F");
    story.build("m2", 2, "main", "a:F");
    for n in 3..5 {
        let steps = json!([{"name": "compile", "success": false}]);
        story.steps(&format!("m{n}"), n, json!({"branch": "main"}), false, steps);
    }
    let tracks = |test: &str| story.read(&format!("/pony/tests/s::{test}"))["tracks"].clone();
    assert_eq!(tracks("a")[0]["build"], "m2");
    assert_eq!(tracks("b"), json!([]));
    let grid = |query: &str| {
        let grid = story.read(&format!("{}/grid{query}", story.track("m4")));
        let builds = grid["builds"].as_array().unwrap().iter();
        let builds: Vec<String> =
            builds.map(|build| build["id"].as_str().unwrap().to_owned()).collect();
        let tests = grid["tests"].as_array().unwrap().iter();
        let cells: Vec<String> =
            tests.map(|test| test["cells"].as_str().unwrap().to_owned()).collect();
        (builds.join(" "), cells.join(" "))
    };
    assert_eq!(grid(""), ("m4 m3 m2 m1".to_owned(), "..FP ...F".to_owned()));
    assert_eq!(grid("?builds=2"), ("m4 m3".to_owned(), String::new()));
}

fn builds_without_credentials_are_no_mainline_beside_those_with(story: &Story) {
    let mainline = || {
        let tracks = story.read("/pony/tracks")["tracks"].clone();
        let of = |track: &Value| {
            [&track["track"]["credited"], &track["track"]["mainline"]].map(|is| *is == true)
        };
        tracks.as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    let body =
        json!({"success": true, "started": "2026-01-01T00:02:00Z", "client": {"branch": "main"}});
    story.server.build("pony", &body.to_string());
    assert_eq!(mainline(), [[false, true]]);
    story.build("m1", 1, "main", "a:P");
    assert_eq!(mainline(), [[false, false], [true, true]]);
}

fn a_track_is_found_among_very_many(story: &Story) {
    for n in 0..205 {
        story.build(&format!("b{n}"), n, &format!("f{n}"), "a:P");
    }
    let count = |query: &str| story.read(&format!("/pony/tracks{query}"))["count"].clone();
    assert_eq!(["", "?branch=f2", "?branch=f?"].map(count), [205, 1, 10]);
    let page = story.server.page("/pony/tracks?branch=f3", "").text();
    assert!(page.contains("b3") && !page.contains("b204"), "{page}");
}

fn no_run_of_a_track_is_lost_between_pages(story: &Story) {
    let run = |id: &str, minute, branch: &str, cases: Vec<Value>| {
        let steps = json!([{"name": "test", "success": true, "tests": cases}]);
        story.steps(id, minute, json!({"branch": branch}), true, steps);
    };
    let case = |name: &str, stdout: &str| json!({"suite": "s", "name": name, "status": "passed", "stdout": stdout});
    let (t, u) = (|| vec![case("t", "")], || vec![case("u", "")]);
    // Long output in between, in another track.
    for n in 0..5 {
        run(&format!("t{n}"), n, "main", t());
    }
    let long = "x".repeat(9 << 20);
    for n in 5..9 {
        run(&format!("t{n}"), n, "other", vec![case("t", &long)]);
    }
    run("t9", 9, "main", t());
    // Very many cases of the name in between, and two in one build.
    run("u0", 0, "main", u());
    run("u1", 1, "main", [u(), u()].concat());
    run("u2", 2, "other", (0..2_100).map(|_| case("u", "")).collect());
    run("u3", 3, "main", u());
    let key = story.track("t9").rsplit('/').next().unwrap().to_owned();
    let all = |test: &str, query: &str| {
        let (mut found, mut next) =
            (Vec::new(), Some(format!("/pony/tests/s::{test}?track={key}{query}")));
        while let Some(path) = next {
            let page = story.server.get(&path);
            let runs = page.json()["runs"].as_array().unwrap().clone();
            found.extend(runs.iter().map(|run| run["build"].as_str().unwrap().to_owned()));
            next = page.link("next");
        }
        found.join(" ")
    };
    for query in ["", "&per_page=1", "&per_page=2"] {
        assert_eq!(all("t", query), "t9 t4 t3 t2 t1 t0");
        assert_eq!(all("u", query), "u3 u1 u1 u0");
    }
}
