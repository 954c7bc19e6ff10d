//! A commit: what all its builds say together.

use super::*;

stories! {
    a_rerun_that_passed_repairs_a_commit,
    builds_side_by_side_hide_nothing,
    each_variant_is_compared_with_its_own_baseline,
    variants_that_usually_report_are_missed,
    a_commit_is_found_by_how_it_begins,
    a_running_build_leaves_a_commit_undecided,
    builds_without_credentials_do_not_count_for_a_commit_with,
    a_commit_with_many_builds_is_read_whole,
    the_order_of_arrival_of_a_commits_builds_does_not_matter,
    issues_explain_failures_of_the_builds_that_they_fit,
    a_commit_is_not_its_own_baseline,
    what_is_said_of_a_failure_is_said_of_its_own_build,
}

impl Story {
    /// Reports a build that took from one minute to another.
    fn during(&self, id: &str, minutes: [usize; 2], client: Value, letters: &str) {
        let [started, finished] =
            minutes.map(|minute| format!("2026-01-01T{:02}:{:02}:00Z", minute / 60, minute % 60));
        let bad = tests(letters).iter().any(|test| test["status"] == "failed");
        let body = json!({
            "success": !bad, "started": started, "finished": finished, "client": client,
            "results": [{"name": "test", "success": !bad, "tests": tests(letters)}],
        });
        let path = format!("/pony/builds/{id}");
        let answer = self.server.as_user("ann").send("PUT", &path, &body.to_string());
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    fn commit(&self, revision: &str, query: &str) -> Value {
        let answer = self.server.get(&format!("/pony/revisions/{revision}{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

const H1: &str = "11111111";
const H2: &str = "22222222";

fn a_rerun_that_passed_repairs_a_commit(story: &Story) {
    story.build("m1", 1, "main", "a:P");
    let on = |commit: &str| json!({"branch": "x", "commit": commit});
    story.during("p1", [2, 3], on(H1), "a:F");
    story.during("p2", [3, 4], json!({"branch": "x", "commit": H1, "partial": true}), "a:P");
    story.during("p3", [5, 6], on(H2), "a:F");
    story.during("q1", [7, 8], json!({"branch": "y"}), "a:F");
    assert_eq!(told(&story.ask("p1", "")), told_as("a new", "fail(new)"));
    let found = story.commit(H1, "");
    assert_eq!(told(&found), told_as("", "pass"));
    let reran = json!([{"kind": "test", "name": "s::a", "variant": ""}]);
    assert_eq!((&found["passed_on_rerun"], &found["new_flaky"]), (&reran, &reran));
    assert_eq!((&found["success"], &found["state"]), (&json!(true), &json!("finished")));
    let builds = found["builds"].as_array().unwrap().iter();
    let builds: Vec<_> = builds.map(|build| (&build["id"], &build["superseded"])).collect();
    assert_eq!(builds, [(&json!("p2"), &json!(false)), (&json!("p1"), &json!(true))]);
    assert_eq!(told(&story.commit(H1, "?gate=new_flaky:0")).1, "fail(new_flaky)");
    let found = story.ask("p3", "");
    assert_eq!(told(&found), told_as("a new", "fail(new)"));
    assert_eq!(found["failures"][0]["flaky"]["only_here"], true);
    let found = story.ask("q1", "");
    assert_eq!(told(&found), told_as("a flaky", "pass"));
    assert_eq!(found["failures"][0]["flaky"]["elsewhere"], true);
    // A build leads to its commit, and the page says the same.
    let of = story.server.get("/pony/builds/p1");
    assert_eq!(of.link("revision").unwrap(), format!("/pony/revisions/{H1}"));
    let page = story.server.page(&format!("/pony/revisions/{H1}"), "").text();
    for text in ["Gate passed", "1 passed on a rerun", "later builds ran all of it again"] {
        assert!(page.contains(text), "{text} in {page}");
    }
    // What is counted is judged by the rules that were asked for.
    let page = story.server.page(&format!("/pony/revisions/{H2}?gate=new:1"), "").text();
    assert!(page.contains("?class=new&#38;gate=new%3A1") && page.contains("Gate passed"), "{page}");
}

fn builds_side_by_side_hide_nothing(story: &Story) {
    story.build("m1", 1, "main", "a:P b:P c:P d:P");
    let on = || json!({"branch": "x", "commit": H1});
    story.during("s1", [2, 9], on(), "a:F b:P");
    story.during("s2", [3, 5], on(), "a:P c:P d:P");
    let found = story.commit(H1, "");
    assert_eq!(told(&found), told_as("a new", "fail(new)"));
    assert_eq!((&found["missing"], &found["counts"]["tests"]), (&json!([]), &json!(4)));
    let failure = &found["failures"][0];
    assert_eq!((&failure["build"], &failure["variant"]), (&json!("s1"), &json!("")));
    assert_eq!(failure["since"]["builds"], 1);
    // In whatever order they arrive.
    story.during("s0", [1, 2], on(), "d:F");
    assert_eq!(told(&story.commit(H1, "")), told_as("a new", "fail(new)"));
}

fn each_variant_is_compared_with_its_own_baseline(story: &Story) {
    let of = |branch: &str, job: &str, commit: &str| json!({"branch": branch, "job": job, "commit": commit});
    story.during("m1", [1, 2], of("main", "linux", "00000000"), "a:F b:P");
    story.during("m2", [1, 2], of("main", "mac", "00000000"), "a:P b:P");
    story.during("x1", [3, 4], of("x", "linux", H1), "a:F b:P");
    story.during("x2", [3, 4], of("x", "mac", H1), "a:F b:P");
    story.during("x3", [3, 4], of("x", "win", H1), "a:F");
    let found = story.commit(H1, "");
    let (failures, verdict) = told(&found);
    assert_eq!(
        (failures.as_str(), verdict.as_str()),
        ("a new, a unknown, a failing", "fail(new,unknown)")
    );
    let variants = found["variants"].as_array().unwrap().iter().map(|variant| {
        let text = |name: &str| variant[name].as_str().unwrap().trim_start_matches("client.job=");
        format!("{} {} {}", text("variant"), text("verdict"), variant["baseline"]["build"])
    });
    assert_eq!(
        variants.collect::<Vec<_>>(),
        ["linux pass \"m1\"", "mac fail \"m2\"", "win fail null"]
    );
    assert_eq!((&found["counts"]["tests"], &found["counts"]["new"]), (&json!(5), &json!(1)));
    assert_eq!(found["clusters"][0]["items"], 3);
    let reasons = found["gate"]["reasons"].to_string();
    assert!(reasons.contains("client.job=mac: 1 failure is new since m2 of main"), "{reasons}");
    // A baseline that is named is asked for by each, and paging goes through all of them.
    let found = story.commit(H1, "?baseline=branch:main&per_page=1");
    assert_eq!(found["failures"].as_array().unwrap().len(), 1);
    let next = story.server.get(&format!("/pony/revisions/{H1}?per_page=1")).link("next").unwrap();
    assert_eq!(story.server.get(&next).json()["failures"][0]["class"], "unknown");
    assert_eq!(told(&story.commit(H1, "?class=failing")).0, "a failing");
    let narrow = story.commit(H1, "?fields=gate,counts");
    assert_eq!(narrow.as_object().unwrap().len(), 3);
    for query in ["?baseline=build:none", "?gate=x:0", "?fields=build", "?class=red"] {
        let path = format!("/pony/revisions/{H1}{query}");
        assert_eq!(story.server.get(&path).status, 400, "{query}");
    }
}

fn variants_that_usually_report_are_missed(story: &Story) {
    let of = |branch: &str, job: &str, commit: &str| json!({"branch": branch, "job": job, "commit": commit});
    let mut minute = 0;
    let mut say = |id: &str, client: Value| {
        minute += 2;
        story.during(id, [minute, minute + 1], client, "a:P");
    };
    for commit in 0..2 {
        for job in ["linux", "mac"] {
            say(&format!("{job}{commit}"), of("main", job, &format!("000000{commit}0")));
        }
    }
    say("x1", of("x", "linux", H1));
    // Two commits tell nothing yet.
    assert_eq!(story.commit(H1, "")["missing_variants"], json!([]));
    for commit in 2..5 {
        for job in ["linux", "mac"] {
            say(&format!("{job}{commit}"), of("main", job, &format!("000000{commit}0")));
        }
    }
    say("rare", of("main", "rare", "00000040"));
    say("x2", of("x", "linux", H2));
    let found = story.commit(H2, "");
    assert_eq!(found["missing_variants"], json!(["client.job=mac"]));
    assert_eq!(told(&found).1, "pass");
    let found = story.commit(H2, "?gate=variants:0");
    assert_eq!(told(&found).1, "fail(variants)");
    assert_eq!(found["gate"]["reasons"][0]["text"], "1 variant has no build of this commit");
    assert!(
        story
            .server
            .page(&format!("/pony/revisions/{H2}"), "")
            .text()
            .contains("It usually reports")
    );
    say("x3", of("x", "mac", H2));
    assert_eq!(told(&story.commit(H2, "?gate=variants:0")).1, "pass");
}

fn a_commit_is_found_by_how_it_begins(story: &Story) {
    let on = |commit: &str| json!({"branch": "x", "commit": commit});
    story.during("b1", [1, 2], on("abcdef0123456789"), "a:P");
    story.during("b2", [3, 4], on("abcdef0fffffffff"), "a:P");
    story.during("b3", [5, 6], on("fedcba9876543210"), "a:P");
    let go =
        |revision: &str| story.server.get(&format!("/pony/revisions/{revision}?baseline=green"));
    let found = go("fedcba9");
    assert_eq!(found.status, 302);
    assert!(found.header("location").ends_with("/pony/revisions/fedcba9876543210?baseline=green"));
    assert_eq!(go("abcdef01").status, 302);
    for none in
        ["abcdef0", "fedcba", "fedcba98765432100", "0000000", "abc%2Fdef", "FEDCBA9876543210"]
    {
        assert_eq!(go(none).status, 404, "{none}");
    }
}

fn a_running_build_leaves_a_commit_undecided(story: &Story) {
    story.build("m1", 1, "main", "a:P b:P");
    let on = || json!({"branch": "x", "commit": H1});
    story.during("s1", [2, 3], on(), "a:P");
    let body = json!({"incremental": true, "started": "2026-01-01T00:02:00Z", "client": on()});
    let ann = story.server.as_user("ann");
    assert_eq!(ann.send("PUT", "/pony/builds/s2", &body.to_string()).status, 201);
    let found = story.commit(H1, "");
    assert_eq!(told(&found), told_as("", "undecided"));
    assert_eq!(
        (&found["state"], &found["success"], &found["missing"]),
        (&json!("running"), &json!(null), &json!(null))
    );
    let step = json!({"name": "test", "success": false, "tests": tests("b:F")}).to_string();
    assert_eq!(ann.send("POST", "/pony/builds/s2/progress", &step).status, 204);
    assert_eq!(told(&story.commit(H1, "")), told_as("b new", "fail(new)"));
    assert_eq!(ann.send("DELETE", "/pony/builds/s2/progress", "").status, 204);
    assert_eq!(story.commit(H1, "")["missing"], json!([]));
}

fn builds_without_credentials_do_not_count_for_a_commit_with(story: &Story) {
    let client = json!({"branch": "x", "commit": H1});
    let body =
        json!({"success": false, "started": "2026-01-01T00:02:00Z", "client": client}).to_string();
    story.server.build("pony", &body);
    assert_eq!(story.commit(H1, "")["builds"].as_array().unwrap().len(), 1);
    story.during("s1", [2, 3], client, "a:P");
    let found = story.commit(H1, "");
    assert_eq!((&found["builds"][0]["id"], &found["success"]), (&json!("s1"), &json!(true)));
    assert_eq!(found["builds"].as_array().unwrap().len(), 1);
}

fn a_commit_with_many_builds_is_read_whole(story: &Story) {
    story.build("m1", 0, "main", "a:P");
    let on = json!({"branch": "x", "commit": H1});
    story.during("s0", [1, 500], on.clone(), "a:F");
    for n in 0..110 {
        story.during(&format!("s{}", n + 1), [2 + n, 500], on.clone(), "b:P");
    }
    // Builds without credentials push none of them out.
    let body = json!({"success": true, "started": "2026-01-01T08:30:00Z", "client": on});
    for _ in 0..3 {
        story.server.build("pony", &body.to_string());
    }
    // Neither does another track's beginning, nor are newer builds of the track older ones.
    for n in 0..3 {
        story.during(&format!("y{n}"), [400 + n, 500], json!({"branch": "x", "commit": H2}), "a:F");
    }
    let found = story.commit(H1, "");
    assert_eq!(told(&found), told_as("a new", "fail(new)"));
    assert_eq!(
        (&found["failures"][0]["build"], &found["failures"][0]["since"]["build"]),
        (&json!("s0"), &json!("s0"))
    );
    assert_eq!(found["builds"].as_array().unwrap().len(), 100);
    assert_eq!(found["window"]["complete"], true);
}

fn the_order_of_arrival_of_a_commits_builds_does_not_matter(story: &Story) {
    story.build("m1", 0, "main", "z:P");
    let told_of = |commit: &str, reversed: bool| {
        let on = json!({"branch": "x", "commit": commit});
        let first = || story.during(&format!("{commit}-1"), [5, 5], on.clone(), "b:F a:F");
        let second = || story.during(&format!("{commit}-2"), [5, 7], on.clone(), "c:F b:P");
        if reversed {
            second();
            first();
        } else {
            first();
            second();
        }
        let found = story.commit(commit, "");
        let mut names: Vec<_> =
            found["failures"].as_array().unwrap().iter().map(|of| of["name"].clone()).collect();
        names.sort_by_key(Value::to_string);
        (names, found["passed_on_rerun"].clone(), found["gate"]["verdict"].clone())
    };
    let one = told_of(H1, false);
    assert_eq!(one.0, [json!("s::a"), json!("s::c")]);
    assert_eq!(one.1[0]["name"], "s::b");
    assert_eq!(told_of(H2, true), one);
}

fn issues_explain_failures_of_the_builds_that_they_fit(story: &Story) {
    story.build("m1", 0, "main", "a:P");
    story.during("s0", [1, 9], json!({"branch": "f", "commit": H1}), "a:F");
    let issue = json!({"title": "g", "match": {"test": "s::a", "branch": "g"}, "mute": true});
    let path = "/pony/issues";
    assert_eq!(story.server.as_user("ann").send("POST", path, &issue.to_string()).status, 201);
    assert_eq!(told(&story.commit(H1, "")).1, "fail(new)");
    // A green build of the commit on that branch mutes nothing.
    story.during("s1", [2, 9], json!({"branch": "g", "commit": H1}), "b:P");
    let found = story.commit(H1, "");
    assert_eq!(
        (told(&found).1.as_str(), &found["failures"][0]["known"]),
        ("fail(new)", &json!([]))
    );
}

fn a_commit_is_not_its_own_baseline(story: &Story) {
    story.build("m1", 0, "main", "a:P");
    let on = json!({"branch": "x", "commit": H1});
    story.during("s0", [1, 9], on.clone(), "a:F");
    story.during("s1", [2, 9], on, "b:P");
    for own in ["s0", "s1"] {
        let path = format!("/pony/revisions/{H1}?baseline=build:{own}");
        assert_eq!(story.server.get(&path).status, 400, "{own}");
    }
    assert_eq!(told(&story.commit(H1, "?baseline=build:m1")).1, "fail(new)");
}

fn what_is_said_of_a_failure_is_said_of_its_own_build(story: &Story) {
    let on = |host: &str, commit: &str| json!({"branch": "x", "host": host, "commit": commit});
    for n in 0..6 {
        let (host, letter) = if n % 2 == 0 { ("ci-1", "F") } else { ("ci-2", "P") };
        story.during(
            &format!("b{n}"),
            [n, n],
            on(host, &format!("0000000{n}")),
            &format!("a:{letter}"),
        );
    }
    story.during("s0", [10, 20], on("ci-1", H1), "a:F");
    story.during("s1", [11, 20], on("ci-2", H1), "b:P");
    let found = story.commit(H1, "?baseline=previous");
    assert_eq!(found["failures"][0]["host_suspect"], "ci-1");
    // Whether most of the tests failed is a question about all builds.
    let all =
        |letter: &str| (0..20).map(|n| format!("t{n}:{letter}")).collect::<Vec<_>>().join(" ");
    story.during("w0", [30, 40], on("ci-1", H2), &all("F"));
    story.during("w1", [31, 40], on("ci-1", H2), "other:P");
    assert_eq!(story.commit(H2, "")["mass_failure"], true);
    story.during("w2", [40, 41], on("ci-1", H2), &all("P"));
    assert_eq!(story.commit(H2, "")["mass_failure"], false);
}
