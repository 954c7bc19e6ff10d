//! The page of a project: how its mainline is doing.

use devmason_domain::Timestamp;

use super::*;

stories! {
    a_projects_page_tells_what_fails_on_the_mainline,
    the_list_of_projects_tells_since_when_the_mainline_fails,
    a_failure_tells_its_newest_runs,
    a_test_tells_its_newest_runs_in_each_track,
}

fn a_projects_page_tells_what_fails_on_the_mainline(story: &Story) {
    let on = |branch: &str, job: &str| json!({"branch": branch, "job": job});
    story.say("m1", 1, on("main", "linux"), "a:P b:P c:P d:P");
    story.say("m2", 2, on("main", "mac"), "a:P");
    story.say("x1", 3, on("x", "linux"), "zebra:F");
    let page = |query: &str| story.server.page(&format!("/pony{query}"), "");
    let green = page("");
    let text = green.text();
    assert!(text.contains("client.job=linux") && text.contains("client.job=mac"), "{text}");
    assert!(!text.contains("What fails now") && !text.contains("overdue"), "{text}");
    // Two tests fail alike, one otherwise, and one is not there any more.
    story.say("m3", 4, on("main", "linux"), "a:F b:F c:G");
    let red = page("");
    assert_ne!(red.header("etag"), green.header("etag"));
    let text = red.text();
    for part in
        ["What fails now", "2 ×", "port # is taken", "no such file", "s::a", "/pony/builds/m3"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("zebra"), "{text}");
    let numbers = "3<span class=\"hidden\"> failing</span></span></td><td class=\"num\" data-label=\"Flaky\">0</td><td class=\"num\" data-label=\"Missing\">1</td>";
    assert!(text.contains(numbers), "{text}");
    // Nobody has asked for another branch until now.
    let text = page("?branch=x").text();
    assert!(text.contains("zebra") && !text.contains("no such file"), "{text}");
    let text = page("?variant=client.job%3Dmac").text();
    assert!(
        !text.contains("What fails now") && !text.contains("title=\"client.job=linux\""),
        "{text}"
    );
    // An owner's word makes a track overdue, and the page says so.
    story.server.as_user("ann").send("PUT", &story.track("m3"), r#"{"expected":"1h"}"#);
    assert!(page("").text().contains("overdue"));
    // Issues that end within a week are told, later ones and those without an end are not.
    let days = |days: i64| {
        let now = Timestamp::now().micros();
        Timestamp::from_parts(now + days * 86_400_000_000, 0).unwrap().to_rfc3339_utc()
    };
    for (title, expires) in
        [("Soon", json!(days(3))), ("Late", json!(days(9))), ("Never", json!(null))]
    {
        story.file(&json!({"title": title, "match": {"message": "nothing*"}, "expires": expires}));
    }
    let text = page("").text();
    assert!(
        text.contains("Known issues that end within a week") && text.contains(">Soon<"),
        "{text}"
    );
    assert!(!text.contains(">Late<") && !text.contains(">Never<"), "{text}");
    // What a known issue explains is marked there, too.
    story.file(&json!({"title": "Port", "match": {"message": "port*"}, "mute": true}));
    assert!(page("").text().contains(">Port<"));
}

fn the_list_of_projects_tells_since_when_the_mainline_fails(story: &Story) {
    let on = |job: &str| json!({"branch": "main", "job": job});
    let home = || story.server.page("/", "").text();
    story.say("m1", 1, on("linux"), "a:P");
    story.say("m2", 2, on("mac"), "a:F");
    let text = home();
    assert!(
        text.contains("since <a href=\"/pony/builds/m2\">m2</a> <span class=\"soft\">(1 build,"),
        "{text}"
    );
    // Another variant that passes in between ends nothing.
    story.say("m3", 3, on("linux"), "a:P");
    story.say("m4", 4, on("mac"), "a:F");
    story.build("x1", 5, "x", "a:F");
    let text = home();
    assert!(
        text.contains("since <a href=\"/pony/builds/m2\">m2</a> <span class=\"soft\">(2 builds,"),
        "{text}"
    );
    story.say("m5", 6, on("mac"), "a:P");
    assert!(!home().contains("since <a"), "{}", home());
    for n in 10..41 {
        story.say(&format!("m{n}"), n, on("linux"), "a:F");
    }
    assert!(home().contains("m10</a> <span class=\"soft\">(31 builds,"), "{}", home());
}

fn a_failure_tells_its_newest_runs(story: &Story) {
    for (n, letter) in ["P", "F", "L", "S", "P", "F"].into_iter().enumerate() {
        story.build(&format!("m{n}"), n, "main", &format!("a:{letter} b:P"));
    }
    story.build("x", 9, "x", "a:F");
    let recent = |build: &str| story.ask(build, "")["failures"][0]["recent"].clone();
    assert_eq!(
        (recent("m5"), recent("m1"), recent("x")),
        (json!("FPLFP"), json!("FP"), json!("F"))
    );
    let page = story.server.page("/pony/builds/m5", "").text();
    assert!(page.contains("Last 5 runs: 2 failed"), "{page}");
    for n in 10..40 {
        story.build(&format!("m{n}"), n, "main", "a:F");
    }
    assert_eq!(recent("m39"), "F".repeat(20));
}

fn a_test_tells_its_newest_runs_in_each_track(story: &Story) {
    for (n, letter) in ["P", "F", "L", "S", "P", "F"].into_iter().enumerate() {
        story.build(&format!("m{n}"), n, "main", &format!("a:{letter} b:P"));
    }
    story.build("x1", 9, "x", "a:P");
    story.build("y1", 10, "y", "b:P");
    let tracks = story.read("/pony/tests/s::a")["tracks"].clone();
    let told = |of: &Value| {
        let branch = of["track"]["branch"].as_str().unwrap();
        format!("{branch} {} {}", of["recent"].as_str().unwrap(), of["build"].as_str().unwrap())
    };
    let told: Vec<String> = tracks.as_array().unwrap().iter().map(told).collect();
    assert_eq!(told, ["x P x1", "main FPSLFP m5"]);
    let page = story.server.page("/pony/tests/s::a", "").text();
    assert!(page.contains("Last 6 runs: 2 failed"), "{page}");
    let path = story.track("m5");
    let key = path.rsplit('/').next().unwrap();
    for n in 10..60 {
        story.build(&format!("m{n}"), n, "main", if n < 40 { "a:P" } else { "a:F" });
    }
    let page = story.server.page(&format!("/pony/tests/s::a?track={key}"), "").text();
    assert!(page.contains("<rect class=\"failure\""), "{page}");
}
