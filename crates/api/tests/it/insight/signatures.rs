//! Signatures: where equal failures were seen.

use super::*;

stories! {
    a_signature_says_where_its_failures_were_seen,
    a_signature_counts_the_newest_failures,
    only_failures_have_a_signature,
    equal_failures_in_other_projects_are_told,
}

impl Story {
    /// The path of the signature of a build's first failure.
    fn signature(&self, build: &str) -> String {
        let links = self.ask(build, "")["failures"][0]["links"].clone();
        let mut links = links.as_array().unwrap().iter();
        let link = links.find(|link| link["rel"] == "signature").unwrap();
        let href = link["href"].as_str().unwrap();
        href[href.find("/pony/").unwrap()..].to_owned()
    }
}

fn a_signature_says_where_its_failures_were_seen(story: &Story) {
    let on = |branch: &str, host: &str| json!({"branch": branch, "host": host, "job": "unit"});
    story.say("m1", 1, on("main", "ci-1"), "a:F b:G");
    story.say("m2", 2, on("main", "ci-2"), "a:F c:F");
    story.say("x1", 3, on("x", "ci-1"), "a:F");
    story.say("m3", 4, on("main", "ci-1"), "a:P b:G c:L");
    let path = story.signature("x1");
    assert_eq!(story.signature("m2"), path);
    let found = story.read(&path);
    assert_eq!(found["id"], path.rsplit('/').next().unwrap());
    assert_eq!((&found["version"], &found["title"]), (&json!("v1"), &json!("E: port # is taken")));
    let seen = |member: &str| found[member]["build"].clone();
    assert_eq!([seen("first_seen"), seen("last_seen"), seen("example")], ["m1", "x1", "x1"]);
    assert_eq!(found["example"]["failure"]["message"], "port 4712 is taken");
    assert_eq!((&found["counted"], &found["complete"]), (&json!(4), &json!(true)));
    let counts = |list: &str, name: &str| {
        let items = found[list].as_array().unwrap().iter();
        let texts = items.map(|item| format!("{} {}", item[name].as_str().unwrap(), item["items"]));
        texts.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(counts("tests", "full_name"), "s::a 3, s::c 1");
    assert_eq!(counts("branches", "branch"), "main 3, x 1");
    assert_eq!(counts("variants", "variant"), "client.job=unit 4");
    assert_eq!(counts("hosts", "host"), "ci-1 2, ci-2 2");
    assert_eq!(found["known"], json!([]));
    let html = story.server.page(&path, "").text();
    for text in ["port # is taken", "3 × <a", "s::c", "port 4712 is taken", "First seen"] {
        assert!(html.contains(text), "{text} in {html}");
    }
    // Issues change the document, and pages of builds lead to it.
    let etag = story.server.get(&path).header("etag").to_owned();
    let issue = story.file(&json!({"title": "Port", "match": {"message": "port*"}}));
    story.file(&json!({"title": "Other", "match": {"message": "no such*"}}));
    assert_eq!(story.server.get(&path).json()["known"][0]["issue"], issue["id"]);
    assert_eq!(story.read(&path)["known"].as_array().unwrap().len(), 1);
    assert_ne!(story.server.get(&path).header("etag"), etag);
    assert!(story.server.page(&path, "").text().contains("Port"));
    assert!(story.server.page("/pony/builds/m2/insight", "").text().contains(&path));
}

fn a_signature_counts_the_newest_failures(story: &Story) {
    let all = |letter: &str| (0..120).map(|n| format!("t{n}:{letter} ")).collect::<String>();
    story.build("m1", 1, "main", &all("F"));
    story.build("m2", 2, "main", "a:F");
    story.build("m3", 3, "main", &all("F"));
    let found = story.read(&story.signature("m2"));
    assert_eq!((&found["counted"], &found["complete"]), (&json!(200), &json!(false)));
    assert_eq!(found["tests"].as_array().unwrap().len(), 100);
    assert_eq!(found["first_seen"]["build"], "m1");
    // Exactly as many are all there are.
    let path = "/pony/builds/m1";
    assert_eq!(story.server.as_user("ann").send("DELETE", path, "").status, 204);
    let most = (0..79).map(|n| format!("u{n}:F ")).collect::<String>();
    story.build("m0", 0, "main", &most);
    let found = story.read(&story.signature("m2"));
    assert_eq!((&found["counted"], &found["complete"]), (&json!(200), &json!(true)));
}

fn equal_failures_in_other_projects_are_told(story: &Story) {
    story.build("m1", 1441, "main", "a:F b:G c:P");
    let projects = || {
        let insight = story.ask("m1", "?class=unknown");
        let failures = insight["failures"].as_array().unwrap().clone();
        failures.iter().map(|of| of["elsewhere"]["projects"].clone()).collect::<Vec<_>>()
    };
    let etag = |path: &str| story.server.get(path).header("etag").to_owned();
    let (insight, page) = ("/pony/builds/m1/insight", "/pony/builds/m1");
    let signature = story.signature("m1");
    assert_eq!(projects(), [json!([]), json!([])]);
    let etags = || [insight, &signature].map(etag);
    let alone = etags();
    let html = story.server.page(page, "").header("etag").to_owned();
    // Another project has the same failure, and an older one of more than 14 days ago.
    let report = |project: &str, started: &str, user: Option<&str>, letters: &str| {
        story.server.as_user("ann").send("PUT", &format!("/{project}"), r#"{"name":"N"}"#);
        let step = json!({"name": "t", "success": false, "tests": fixtures::tests(letters)});
        let body =
            json!({"success": false, "started": started, "finished": started, "results": [step]});
        let path = format!("/{project}/builds/{}", &started[5..10]);
        let answer = match user {
            Some(user) => story.server.as_user(user).send("PUT", &path, &body.to_string()),
            None => story.server.send(story.server.request("PUT", &path).json(body.to_string())),
        };
        assert_eq!(answer.status, 201, "{}", answer.text());
    };
    report("zebra", "2026-01-02T00:00:00Z", Some("ann"), "x:F");
    report("zebra", "2026-01-01T00:00:00Z", Some("ann"), "x:F");
    report("horse", "2025-12-01T00:00:00Z", Some("ann"), "x:F");
    report("open", "2026-01-03T00:00:00Z", None, "x:F");
    report("other", "2026-01-03T00:00:00Z", Some("ann"), "x:P");
    let zebra =
        json!({"project": "zebra", "build": "01-02", "started": "Fri, 02 Jan 2026 00:00:00 +0000"});
    assert_eq!(projects(), [json!([zebra]), json!([])]);
    let of_it = |path: &str| {
        let projects = story.read(path)["projects"].clone();
        let slug = |of: &Value| of["project"].as_str().unwrap().to_owned();
        projects.as_array().unwrap().iter().map(slug).collect::<Vec<_>>()
    };
    assert_eq!(of_it(&signature), ["open", "zebra", "horse"]);
    let told = etags();
    assert!(alone.iter().zip(&told).all(|(alone, told)| alone != told));
    let now = story.server.page(page, "");
    assert_ne!(now.header("etag"), html);
    assert!(now.text().contains("the same failure is in zebra"), "{}", now.text());
    let html = story.server.page(&signature, "").text();
    let there = signature.replace("/pony/", "/zebra/");
    assert!(html.contains(&format!("{there}\">zebra</a>")), "{html}");
    assert_eq!(story.read(&there)["counted"], 2);
    // Nothing remains of what is deleted.
    for build in ["01-02", "01-01"] {
        let path = format!("/zebra/builds/{build}");
        assert_eq!(story.server.as_user("ann").send("DELETE", &path, "").status, 204);
    }
    assert_eq!(projects(), [json!([]), json!([])]);
    assert_eq!(story.server.get(&there).status, 404);
}

fn only_failures_have_a_signature(story: &Story) {
    story.build("m1", 1, "main", "a:P b:L c:F d:S");
    let tests = story.read("/pony/builds/m1/tests")["tests"].clone();
    let has = |test: &Value| {
        test["links"].as_array().unwrap().iter().any(|link| link["rel"] == "signature")
    };
    let has: Vec<bool> = tests.as_array().unwrap().iter().map(has).collect();
    assert_eq!(has, [false, false, true, false]);
    let run = &story.read("/pony/tests/s::c")["runs"][0];
    let href = run["links"][1]["href"].as_str().unwrap();
    assert!(href.ends_with(&story.signature("m1")), "{href}");
    // A running build is not looked at, so nothing leads there.
    let step = json!({"name": "test", "success": false, "tests": fixtures::tests("e:G f:G")});
    let body = json!({
        "incremental": true, "started": "2026-01-01T01:00:00Z", "client": {"branch": "main"}, "results": [],
    });
    let ann = story.server.as_user("ann");
    assert_eq!(ann.send("PUT", "/pony/builds/r1", &body.to_string()).status, 201);
    let sent = ann.send("POST", "/pony/builds/r1/progress", &step.to_string());
    assert_eq!(sent.status, 204, "{}", sent.text());
    assert_eq!(story.ask("r1", "")["failures"].as_array().unwrap().len(), 2);
    for path in ["/pony/builds/r1/tests", "/pony/builds/r1/insight", "/pony/tests/s::e"] {
        assert!(!story.server.get(path).text().contains("/signatures/"), "{path}");
    }
    assert!(!story.server.page("/pony/builds/r1/insight", "").text().contains("/signatures/"));
    // Unknown ones, and what is no signature.
    let upper =
        story.signature("m1").to_uppercase().replace("/PONY/SIGNATURES", "/pony/signatures");
    for path in [&format!("/pony/signatures/{}", "0".repeat(32)), "/pony/signatures/x", &upper] {
        assert_eq!(story.server.get(path).status, 404, "{path}");
        assert_eq!(story.server.page(path, "").status, 404, "{path}");
    }
    // One that nothing has any more.
    let path = story.signature("m1");
    assert_eq!(story.server.as_user("ann").send("DELETE", "/pony/builds/m1", "").status, 204);
    assert_eq!(story.server.get(&path).status, 404);
}
