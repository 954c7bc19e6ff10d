//! Report files, and a build made from one.

use crate::*;

pub(super) const JUNIT: &str = r#"<testsuites><testsuite name="suite" tests="4" timestamp="2026-01-02T03:04:05" time="2.5" hostname="ci-7">
<testcase classname="a.B" name="passes" time="0.5"/>
<testcase classname="a.B" name="fails [1/2]" time="1.5"><failure type="E" message="no">at line 7</failure><system-out>out</system-out></testcase>
<testcase classname="a.B" name="skipped"><skipped message="later"/></testcase>
<system-out>of the suite</system-out>
</testsuite></testsuites>"#;

pub(super) fn upload(
    server: &Server,
    method: &str,
    path: &str,
    media_type: &str,
    body: &str,
) -> Answer {
    let request = server.request(method, path).header("Content-Type", media_type);
    server.send(request.body(body.as_bytes()))
}

pub(super) const TAP: &str = "1..2\nok 1 - a\nok 2 - b\n";

/// A project with a build uploaded as a JUnit file; returns the build's path.
pub(super) fn with_report(server: &Server) -> String {
    server.project("pony");
    let path = "/pony/builds?tag=linux&tag=nightly&arch=x86&client.branch=main&name=unit";
    let answer = upload(server, "POST", path, "application/xml", JUNIT);
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.header("location").to_owned()
}

pub(super) fn names_of_steps(build: &Value) -> Vec<String> {
    let steps = build["results"].as_array().unwrap();
    steps.iter().map(|step| step["name"].as_str().unwrap().to_owned()).collect()
}
