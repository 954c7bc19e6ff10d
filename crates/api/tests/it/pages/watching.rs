//! Running builds are watched as a stream of events.

use super::browser::filled;
use crate::*;

#[test]
fn a_build_that_runs_is_watched_and_one_that_is_finished_is_over() {
    let server = filled();
    let ann = server.as_user("ann");
    let progress =
        ann.send("POST", "/pony/builds", r#"{"incremental":true}"#).header("location").to_owned();
    ann.send("POST", &progress, r#"{"name":"one","success":true,"output":"1"}"#);
    let events = progress.replace("progress", "events");
    let all = server.request("GET", &events).watch();
    let later = server.request("GET", &format!("{events}?from=0"));
    let later = later.header("Last-Event-ID", "1").watch();
    until("both watch", || all.has("id: 1\n") && later.has_begun());
    ann.send("POST", &progress, r#"{"name":"two","success":false,"output":"2"}"#);
    until("both have seen the step", || all.has("id: 2\n") && later.has("id: 2\n"));
    ann.send("DELETE", &progress, r#"{"success":false}"#);
    let (all, later) = (all.response().text(), later.response().text());
    assert!(all.contains("event: step\nid: 1\n") && all.contains("id: 2\n"), "{all}");
    assert!(!later.contains("id: 1\n") && later.contains("id: 2\n"), "{later}");
    assert!(all.ends_with("event: end\ndata: \n\n"), "{all}");
    let over = server.get(&events);
    assert_eq!(
        (over.header("content-type"), over.text().as_str()),
        ("text/event-stream", "event: end\ndata:\n\n")
    );
    assert_eq!(server.get("/pony/builds/none/events").status, 404);
}

#[test]
fn whoever_watches_from_far_beyond_takes_nothing_from_others() {
    let server = filled();
    let ann = server.as_user("ann");
    let progress =
        ann.send("POST", "/pony/builds", r#"{"incremental":true}"#).header("location").to_owned();
    ann.send(
        "POST",
        &progress,
        r#"{"name":"one","success":true,"note":"a\r\revent: end\rdata: x"}"#,
    );
    let events = progress.replace("progress", "events");
    let watch = |query: &str| server.request("GET", &format!("{events}{query}")).watch();
    let far = watch("?from=4000000000");
    until("the first watches", || far.has_begun());
    let near = watch("?from=1");
    until("the second watches", || near.has_begun());
    ann.send("POST", &progress, r#"{"name":"two","success":true}"#);
    until("the second has seen the step", || near.has("id: 2\n"));
    ann.send("DELETE", &progress, r#"{"success":true}"#);
    let (far, near) = (far.response().text(), near.response().text());
    assert!(near.contains("id: 2\n") && !near.contains("reload"), "{near}");
    assert!(far.ends_with("event: end\ndata: \n\n") && !far.contains('\r'), "{far}");
}
