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
