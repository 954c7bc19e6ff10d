//! Known issues: what they explain, what they mute, and who writes them.

use devmason_domain::Timestamp;
use devmason_test_support::until;

use super::*;

stories! {
    an_end_that_is_no_moment_of_our_calendar_is_refused,
    a_muted_failure_passes_the_gate_until_the_issue_expires,
    an_issue_explains_what_fits_all_that_it_says,
    what_comes_back_after_its_issue_was_closed_is_told,
    closing_an_issue_settles_earlier_flakes,
    an_issue_says_where_it_was_seen_last,
    bad_issues_are_refused_by_the_name_of_the_member,
    issues_are_changed_by_those_who_saw_them,
    the_project_says_who_writes_issues,
    issues_of_all_projects_are_listed,
    a_thousand_issues_and_failures_are_compared_in_time,
    a_pattern_made_to_be_slow_takes_nothing_away,
    what_mutes_is_named_before_what_does_not,
    a_failure_was_seen_first_in_its_own_build_if_that_is_the_oldest,
}

impl Story {
    pub(super) fn file(&self, issue: &Value) -> Value {
        let answer = self.server.as_user("ann").send("POST", "/pony/issues", &issue.to_string());
        assert_eq!(answer.status, 201, "{}", answer.text());
        let made = answer.json();
        let path = format!("/pony/issues/{}", made["id"].as_str().unwrap());
        assert!(answer.header("location").ends_with(&path));
        assert_eq!(answer.link("self").unwrap(), path);
        made
    }

    pub(super) fn change(&self, issue: &Value, change: &Value) -> Value {
        let path = format!("/pony/issues/{}", issue["id"].as_str().unwrap());
        let answer = self.server.as_user("ann").send("PUT", &path, &change.to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

/// An RFC 3339 time so many milliseconds from now.
pub(super) fn soon(milliseconds: i64) -> String {
    let at = Timestamp::now().micros() + milliseconds * 1000;
    Timestamp::from_parts(at, 0).unwrap().to_rfc3339_utc()
}

fn a_muted_failure_passes_the_gate_until_the_issue_expires(story: &Story) {
    story.build("m1", 1, "main", "a:P b:P");
    story.build("m2", 2, "main", "a:F b:P");
    assert_eq!(told(&story.ask("m2", "")), told_as("a new", "fail(new)"));
    let issue = story.file(&json!({"title": "port", "match": {"test": "s::a"}, "mute": true}));
    assert_eq!((&issue["in_force"], &issue["creator"]), (&json!(true), &json!("ann")));
    let found = story.ask("m2", "");
    assert_eq!(told(&found), told_as("a new", "pass"));
    assert_eq!((&found["counts"]["new"], &found["counts"]["muted"]), (&json!(1), &json!(1)));
    let failure = &found["failures"][0];
    assert_eq!(failure["muted"], true);
    let known = json!({
        "issue": issue["id"], "title": "port", "url": null, "mute": true,
        "expires": issue["expires"], "returned": false,
    });
    assert_eq!(
        (&failure["known"], &found["clusters"][0]["known"]),
        (&json!([known]), &json!([known]))
    );
    // What is not muted comes first, and counts.
    story.build("m3", 3, "main", "a:F b:F");
    assert_eq!(told(&story.ask("m3", "?baseline=build:m1")), told_as("b new, a new", "fail(new)"));
    // It expires without any write, and every answer changes.
    story.change(&issue, &json!({"expires": soon(1500)}));
    let etag = || story.server.get("/pony/builds/m2/insight").header("etag").to_owned();
    let page = || story.server.page("/pony/builds/m2", "").header("etag").to_owned();
    let before = (etag(), page());
    until("the issue expires", || told(&story.ask("m2", "")) == told_as("a new", "fail(new)"));
    assert!(before.0 != etag() && before.1 != page());
    let gone = story.server.get(&format!("/pony/issues/{}", issue["id"].as_str().unwrap())).json();
    assert_eq!((&gone["in_force"], &gone["state"]), (&json!(false), &json!("open")));
}

fn an_issue_explains_what_fits_all_that_it_says(story: &Story) {
    story.build("m1", 1, "main", "a:P b:P c:P");
    story.build("m2", 2, "main", "a:F b:F c:G");
    let explained = |fitting: Value| {
        let issue = story.file(&json!({"title": "x", "match": fitting}));
        let found = story.ask("m2", "?gate=new:2");
        assert_eq!(told(&found).1, "fail(new)", "an issue that does not mute changes no verdict");
        let failures = found["failures"].as_array().unwrap().iter();
        let known = failures.filter(|failure| failure["known"] != json!([]));
        let names: Vec<String> =
            known.map(|failure| failure["name"].as_str().unwrap()[3..].to_owned()).collect();
        let path = format!("/pony/issues/{}", issue["id"].as_str().unwrap());
        assert_eq!(story.server.as_user("ann").send("DELETE", &path, "").status, 204);
        names.join(" ")
    };
    let signature = story.ask("m2", "")["failures"][0]["signature"].clone();
    for (fitting, names) in [
        (json!({"test": "s::a"}), "a"),
        (json!({"test": "s::?"}), "a b c"),
        (json!({"test": "a"}), ""),
        (json!({"message": "port * is taken"}), "a b"),
        (json!({"message": "port"}), ""),
        (json!({"signature": signature}), "a b"),
        (json!({"signature": signature, "test": "*b"}), "b"),
        (json!({"test": "*", "branch": "ma*"}), "a b c"),
        (json!({"test": "*", "branch": "other"}), ""),
        (json!({"test": "*", "variant": "x"}), ""),
    ] {
        assert_eq!(explained(fitting.clone()), names, "{fitting}");
    }
    // Steps are known by their names.
    let steps = json!([{"name": "compile", "success": false}]);
    story.steps("m3", 3, json!({"branch": "main"}), false, steps);
    story.file(&json!({"title": "x", "match": {"test": "comp*"}, "mute": true}));
    assert_eq!(told(&story.ask("m3", "?gate=missing:any")), told_as("compile new", "pass"));
}

fn what_comes_back_after_its_issue_was_closed_is_told(story: &Story) {
    story.build("m1", 1, "main", "a:P");
    story.build("m2", 2, "main", "a:F");
    let issue = story.file(&json!({"title": "port", "match": {"test": "s::a"}, "mute": true}));
    let closed = story.change(&issue, &json!({"state": "closed"}));
    assert_eq!((&closed["state"], &closed["in_force"]), (&json!("closed"), &json!(false)));
    // The build started before that, so nothing returned, and nothing is muted.
    let found = story.ask("m2", "");
    assert_eq!(
        (&found["failures"][0]["known"], told(&found).1.as_str()),
        (&json!([]), "fail(new)")
    );
    let body = json!({
        "success": false, "started": soon(60_000), "finished": soon(60_000), "client": {"branch": "main"},
        "results": [{"name": "test", "success": false, "tests": tests("a:F")}],
    });
    story.server.as_user("ann").send("PUT", "/pony/builds/m3", &body.to_string());
    let found = story.ask("m3", "");
    assert_eq!(found["failures"][0]["known"][0]["returned"], true);
    assert_eq!((&found["failures"][0]["muted"], told(&found).1.as_str()), (&json!(false), "pass"));
    assert!(story.server.page("/pony/builds/m3", "").text().contains("closed, but it is back"));
    let again = story.change(&issue, &json!({"state": "open"}));
    assert_eq!((&again["closed_at"], &again["in_force"]), (&json!(null), &json!(true)));
    assert_eq!(story.ask("m3", "")["failures"][0]["known"][0]["returned"], false);
}

fn closing_an_issue_settles_earlier_flakes(story: &Story) {
    for (n, letter) in ["P", "F", "P", "F", "P"].into_iter().enumerate() {
        let day = 24 * 60 * 1000 * (n as i64 - 10);
        let body = json!({
            "success": letter == "P", "started": soon(day), "finished": soon(day),
            "client": {"branch": "main"},
            "results": [{"name": "test", "success": letter == "P", "tests": tests(&format!("a:{letter}"))}],
        });
        let path = format!("/pony/builds/m{n}");
        assert_eq!(story.server.as_user("ann").send("PUT", &path, &body.to_string()).status, 201);
    }
    let body = json!({
        "success": false, "started": soon(60_000), "finished": soon(60_000), "client": {"branch": "x"},
        "results": [{"name": "test", "success": false, "tests": tests("a:F")}],
    });
    story.server.as_user("ann").send("PUT", "/pony/builds/x1", &body.to_string());
    assert_eq!(told(&story.ask("x1", "")), told_as("a flaky", "pass"));
    let issue = story.file(&json!({"title": "port", "match": {"test": "s::a"}}));
    assert_eq!(told(&story.ask("x1", "")), told_as("a flaky", "pass"));
    story.change(&issue, &json!({"state": "closed"}));
    assert_eq!(told(&story.ask("x1", "")), told_as("a new", "fail(new)"));
    // For what passes now, too.
    let body = json!({
        "success": true, "started": soon(90_000), "finished": soon(90_000), "client": {"branch": "y"},
        "results": [{"name": "test", "success": true, "tests": tests("a:L")}],
    });
    story.server.as_user("ann").send("PUT", "/pony/builds/y1", &body.to_string());
    let found = story.ask("y1", "?baseline=branch:main");
    assert_eq!(found["new_flaky"], json!([{"kind": "test", "name": "s::a"}]));
}

fn an_issue_says_where_it_was_seen_last(story: &Story) {
    let issue = story.file(&json!({"title": "port", "match": {"message": "port*"}}));
    let path = format!("/pony/issues/{}", issue["id"].as_str().unwrap());
    let last = || story.server.get(&path).json()["last_seen"]["build"].clone();
    assert_eq!(last(), json!(null));
    story.build("m1", 1, "main", "a:F");
    story.build("m2", 2, "x", "a:P b:F");
    story.build("m3", 3, "main", "a:G");
    let etag = story.server.get(&path).header("etag").to_owned();
    assert_eq!(last(), "m2");
    assert_eq!(story.server.get("/pony/issues").json()["issues"][0]["last_seen"]["build"], "m2");
    story.build("m4", 4, "main", "a:F");
    assert_eq!(last(), "m4");
    assert_ne!(story.server.get(&path).header("etag"), etag);
}

fn bad_issues_are_refused_by_the_name_of_the_member(story: &Story) {
    let ann = story.server.as_user("ann");
    let fitting = || json!({"test": "a"});
    for (issue, words) in [
        (json!({"match": fitting()}), "title: required"),
        (json!({"title": "x"}), "match: required"),
        (json!({"title": "", "match": fitting()}), "title: "),
        (json!({"title": "x", "match": {}}), "match: needs at least one of"),
        (json!({"title": "x", "match": {"branch": "main"}}), "match: needs at least one of"),
        (json!({"title": "x", "match": {"test": ""}}), "match.test: "),
        (json!({"title": "x", "match": {"signature": "XYZ"}}), "match.signature: "),
        (json!({"title": "x", "match": {"tests": "a"}}), "match.tests: unknown member"),
        (json!({"title": "x", "match": fitting(), "url": "javascript:alert(1)"}), "url: "),
        (json!({"title": "x", "match": fitting(), "mute": "yes"}), "mute: "),
        (json!({"title": "x", "match": fitting(), "state": "done"}), "state: "),
        (json!({"title": "x", "match": fitting(), "expires": "tomorrow"}), "expires: "),
        (
            json!({"title": "x", "match": fitting(), "mute": true, "expires": "2099-01-01T00:00:00Z"}),
            "expires: an issue that mutes lasts for at most 366 days",
        ),
        (json!({"title": "x", "match": fitting(), "mutes": true}), "mutes: unknown member"),
    ] {
        let answer = ann.send("POST", "/pony/issues", &issue.to_string());
        assert_eq!(answer.status, 400, "{issue}");
        assert!(answer.message().starts_with(words), "{issue}: {}", answer.message());
    }
    assert_eq!(story.server.get("/pony/issues").json()["count"], 0);
    for path in ["/pony/issues?state=muted", "/pony/issues?page=0"] {
        assert_eq!(story.server.get(path).status, 400, "{path}");
    }
    for path in
        ["/pony/issues/x", "/pony/issues/0192f0c4-0000-7000-8000-000000000000", "/no/issues"]
    {
        assert_eq!(story.server.get(path).status, 404, "{path}");
    }
}

fn issues_are_changed_by_those_who_saw_them(story: &Story) {
    let made = story.file(&json!({
        "title": "one", "match": {"test": "a", "branch": "main"}, "note": "n", "url": "https://example.org/1",
    }));
    assert_eq!((&made["expires"], &made["mute"]), (&json!(null), &json!(false)));
    let path = format!("/pony/issues/{}", made["id"].as_str().unwrap());
    let send = |etag: &str, body: &str| {
        let request = story.server.request("PUT", &path).basic("ann", "ann-pw");
        story.server.send(request.header("If-Match", etag).json(body))
    };
    let etag = story.server.as_user("ann").send("GET", &path, "").header("etag").to_owned();
    assert_eq!(send("\"other\"", r#"{"title":"two"}"#).status, 412);
    // Absent members stay; null removes; the document that was read can be sent back.
    let changed = send(&etag, r#"{"note":null,"mute":true}"#).json();
    assert_eq!(
        (&changed["note"], &changed["url"]),
        (&json!(null), &json!("https://example.org/1"))
    );
    assert_eq!((&changed["title"], &changed["match"]["branch"]), (&json!("one"), &json!("main")));
    assert!(changed["expires"].is_string());
    assert_eq!(send(&etag, r#"{"title":"two"}"#).status, 412);
    assert_eq!(story.change(&changed, &changed)["match"], changed["match"]);
    let request = story.server.request("DELETE", &path).basic("ann", "ann-pw");
    assert_eq!(story.server.send(request.header("If-Match", &etag)).status, 412);
    assert_eq!(story.server.as_user("ann").send("DELETE", &path, "").status, 204);
    assert_eq!(story.server.get(&path).status, 404);
    // A retry creates nothing.
    let create = |body: &str| {
        let request = story.server.request("POST", "/pony/issues").basic("ann", "ann-pw");
        story.server.send(request.header("Idempotency-Key", "k").json(body))
    };
    let body = r#"{"title":"once","match":{"test":"a"}}"#;
    let ids = [create(body), create(body)].map(|answer| {
        assert_eq!(answer.status, 201);
        answer.json()["id"].clone()
    });
    assert_eq!(ids[0], ids[1]);
    assert_eq!(create(r#"{"title":"other","match":{"test":"a"}}"#).status, 422);
    assert_eq!(story.server.get("/pony/issues?state=open").json()["count"], 1);
    assert_eq!(story.server.get("/pony/issues?state=closed").json()["count"], 0);
}

fn the_project_says_who_writes_issues(story: &Story) {
    story.server.as_user("bob").send("PUT", "/bobs", r#"{"name":"Bob's"}"#);
    let issue = r#"{"title":"x","match":{"test":"a"}}"#;
    let made = story.file(&json!({"title": "x", "match": {"test": "a"}}));
    let path = format!("/pony/issues/{}", made["id"].as_str().unwrap());
    let allowed = |user: Option<&str>| {
        let get = |path: &str| match user {
            Some(user) => story.server.as_user(user).send("GET", path, ""),
            None => story.server.get(path),
        };
        (get("/pony").methods("issues"), get(&path).methods("self"))
    };
    let none = ("GET".to_owned(), "GET".to_owned());
    let all = ("GET POST".to_owned(), "GET PUT DELETE".to_owned());
    assert_eq!(
        (allowed(None), allowed(Some("bob")), allowed(Some("ann"))),
        (none.clone(), none.clone(), all.clone())
    );
    let (anyone, bob) = (&story.server, story.server.as_user("bob"));
    assert_eq!(anyone.post("/pony/issues", issue).status, 401);
    assert_eq!(anyone.put(&path, "{}").status, 401);
    for (method, path) in [("POST", "/pony/issues"), ("PUT", &path), ("DELETE", &path)] {
        assert_eq!(bob.send(method, path, issue).status, 403, "{method}");
    }
    let opened = story.server.as_user("ann").send(
        "PUT",
        "/pony",
        r#"{"name":"Pony","triage":"authenticated"}"#,
    );
    assert_eq!(opened.json()["triage"], "authenticated");
    assert_eq!((allowed(None), allowed(Some("bob"))), (none, all));
    assert_eq!(anyone.post("/pony/issues", issue).status, 401);
    assert_eq!(bob.send("PUT", &path, r#"{"note":"seen"}"#).status, 200);
    // Changing creates no user, so an unknown one may not.
    let stranger = story.server.as_user("nobody");
    assert_eq!(stranger.send("PUT", &path, r#"{"note":"x"}"#).status, 403);
    assert_eq!(stranger.send("DELETE", &path, "").status, 403);
    assert_eq!(stranger.send("GET", &path, "").methods("self"), "GET");
    // A newcomer becomes a user, as with reports.
    let made = story.server.as_user("eve").send("POST", "/pony/issues", issue);
    assert_eq!((made.status, &made.json()["creator"]), (201, &json!("eve")));
    let bad = story.server.as_user("ann").send("PUT", "/pony", r#"{"name":"Pony","triage":"all"}"#);
    assert_eq!((bad.status, bad.message().starts_with("triage: ")), (400, true));
}

fn issues_of_all_projects_are_listed(story: &Story) {
    story.server.as_user("ann").send("PUT", "/other", r#"{"name":"Other"}"#);
    let made = story.file(&json!({"title": "one", "match": {"test": "a"}, "mute": true}));
    let other = r#"{"title":"two","match":{"message":"*x*"},"state":"closed"}"#;
    assert_eq!(story.server.as_user("ann").send("POST", "/other/issues", other).status, 201);
    let titles = |query: &str| {
        let answer = story.server.get(&format!("/api/v1/issues{query}"));
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        let issues = answer.json()["issues"].clone();
        let titles = issues
            .as_array()
            .unwrap()
            .iter()
            .map(|issue| issue["title"].as_str().unwrap().to_owned());
        titles.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(titles(""), "one two");
    assert_eq!(titles("?where=project:pony"), "one");
    assert_eq!(titles("?where=state:closed"), "two");
    assert_eq!(titles("?where=mute:true&sort=-title"), "one");
    assert_eq!(titles("?sort=-title&limit=1"), "two");
    assert_eq!(titles("?query=and(ne(project,pony),like(message,%22%25x%25%22))"), "two");
    let one = story.server.get(&format!("/api/v1/issues/{}", made["id"].as_str().unwrap())).json();
    assert_eq!((&one["issue"]["project"], &one["issue"]["test"]), (&json!("pony"), &json!("a")));
    assert_eq!(story.server.get("/api/v1/issues/x").status, 404);
}

fn a_thousand_issues_and_failures_are_compared_in_time(story: &Story) {
    let named: Vec<String> = (0..1000).map(|n| format!("{}{n}:F", "a".repeat(60))).collect();
    story.build("m1", 1, "main", "a:P");
    story.build("m2", 2, "main", &named.join(" "));
    let pattern = format!("{}b", "*a".repeat(60));
    let ann = story.server.as_user("ann");
    for _ in 0..100 {
        let issue = json!({"title": "x", "match": {"test": pattern, "message": "*"}});
        assert_eq!(ann.send("POST", "/pony/issues", &issue.to_string()).status, 201);
    }
    let found = story.ask("m2", "?fields=counts");
    assert_eq!((&found["counts"]["new"], &found["counts"]["muted"]), (&json!(1000), &json!(0)));
}

fn a_pattern_made_to_be_slow_takes_nothing_away(story: &Story) {
    let failure = |n: usize| {
        let message = format!("{}{n}", "a".repeat(1990));
        json!({"name": format!("t{n}"), "status": "failed", "failure": {"message": message}})
    };
    let body = json!({
        "success": false, "client": {"branch": "main"},
        "results": [{"name": "test", "success": false, "tests": (0..1000).map(failure).collect::<Vec<_>>()}],
    });
    assert_eq!(
        story.server.as_user("ann").send("PUT", "/pony/builds/m1", &body.to_string()).status,
        201
    );
    let pattern = format!("*{}b", "a".repeat(998));
    let issue = story.file(&json!({"title": "slow", "match": {"message": pattern}, "mute": true}));
    assert_eq!(story.ask("m1", "?fields=counts")["counts"]["muted"], 0);
    assert_eq!(story.change(&issue, &json!({"note": "x"}))["note"], "x");
    assert_eq!(story.server.page("/pony/issues", "").status, 200);
    let path = format!("/pony/issues/{}", issue["id"].as_str().unwrap());
    assert_eq!(story.server.as_user("ann").send("DELETE", &path, "").status, 204);
}

fn what_mutes_is_named_before_what_does_not(story: &Story) {
    story.build("m1", 1, "main", "a:P");
    story.build("m2", 2, "main", "a:F");
    for n in 0..11 {
        story.file(&json!({"title": format!("n{n}"), "match": {"test": "*"}}));
    }
    story.file(&json!({"title": "mutes", "match": {"test": "*"}, "mute": true}));
    let found = story.ask("m2", "");
    let known = found["failures"][0]["known"].as_array().unwrap();
    assert_eq!((known.len(), &known[0]["title"]), (10, &json!("mutes")));
    assert!(story.server.page("/pony/builds/m2", "").text().contains("muted until"));
}

fn a_failure_was_seen_first_in_its_own_build_if_that_is_the_oldest(story: &Story) {
    story.build("m1", 1, "main", "a:P");
    story.build("f1", 2, "feature", "a:F");
    story.build("m2", 3, "main", "a:F");
    let first = |query: &str| story.ask("f1", query)["clusters"][0]["first_seen"]["build"].clone();
    assert_eq!(first("?baseline=build:m2"), "f1");
    story.server.as_user("ann").send("PUT", "/other", r#"{"name":"Other"}"#);
    assert_eq!(first("?baseline=build:pony/m1"), "f1");
}

fn an_end_that_is_no_moment_of_our_calendar_is_refused(story: &Story) {
    let ann = story.server.as_user("ann");
    let issue =
        |end: &str| json!({"title": "F", "match": {"test": "q"}, "expires": end}).to_string();
    for end in ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"] {
        let answer = ann.send("POST", "/pony/issues", &issue(end));
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains("expires"), "{}", answer.text());
    }
    let answer = ann.send("POST", "/pony/issues", &issue("2030-01-01T02:00:00+02:00"));
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.json()["expires"], "Tue, 01 Jan 2030 00:00:00 +0000");
}
