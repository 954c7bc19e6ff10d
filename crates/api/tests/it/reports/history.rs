//! The history of a test, page by page.

use super::fixtures::upload;
use crate::*;

#[test]
fn the_history_of_a_test_is_found_by_its_name_whatever_is_in_it() {
    let server = Server::new();
    server.project("pony");
    for (day, body) in [(1, "<failure/>"), (2, ""), (3, "<failure/>")] {
        let junit = format!(
            "<testsuite name='s' timestamp='2026-01-0{day}T00:00:00'><testcase classname='a b/c' name='d[e/f] %41 ü'>{body}</testcase></testsuite>"
        );
        assert_eq!(upload(&server, "POST", "/pony/builds", "text/xml", &junit).status, 201);
    }
    let latest = server.get("/pony/builds/latest").header("location").to_owned();
    let case = server.get(&format!("{latest}/tests")).json()["tests"][0].clone();
    let href = case["links"][0]["href"].as_str().unwrap();
    let path = href.strip_prefix(&format!("http://{}", server.address)).unwrap();
    let history = server.get(path).json();
    assert_eq!(history["full_name"], "a b/c::d[e/f] %41 ü");
    let runs = |history: &Value| -> Vec<String> {
        history["runs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|run| run["status"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(runs(&history), ["failed", "passed", "failed"]);
    // Slashes may remain unencoded.
    let plain = server.get("/pony/tests/a%20b/c::d[e/f]%20%2541%20%C3%BC").json();
    assert_eq!(runs(&plain), runs(&history));
    for wrong in ["from=1", "after=x", "after=00000000-0000-0000-0000-000000000000&from=x"] {
        assert_eq!(server.get(&format!("{path}?{wrong}")).status, 400, "{wrong}");
    }
    let first = server.get(&format!("{path}?per_page=2"));
    let next = first.link("next").unwrap();
    assert_eq!(
        (runs(&first.json()).len(), runs(&server.get(&next).json())),
        (2, vec!["failed".to_owned()])
    );
    assert_eq!(server.get("/pony/tests/nothing").status, 404);
    assert_eq!(server.get("/nobody/tests/nothing").status, 404);
}

#[test]
fn no_run_of_a_build_that_has_a_test_often_is_lost_between_pages() {
    let server = Server::new();
    server.project("pony");
    let junit = format!("<testsuite name='s'>{}</testsuite>", "<testcase name='t'/>".repeat(5));
    for _ in 0..2 {
        assert_eq!(upload(&server, "POST", "/pony/builds", "text/xml", &junit).status, 201);
    }
    let case =
        server.get(&format!("{}/tests", server.get("/pony/builds/latest").header("location")));
    let full_name = case.json()["tests"][0]["full_name"].as_str().unwrap().to_owned();
    let (mut page, mut seen) = (format!("/pony/tests/{full_name}?per_page=3"), Vec::new());
    loop {
        let answer = server.get(&page);
        let runs = answer.json()["runs"].as_array().unwrap().clone();
        assert!(!runs.is_empty() && runs.len() <= 3, "{}", runs.len());
        seen.extend(runs.iter().map(|run| (run["build"].to_string(), run["position"].to_string())));
        let Some(next) = answer.link("next") else { break };
        page = next;
    }
    let all = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((all, seen.len()), (10, 10));
}

#[test]
fn a_page_of_cases_with_long_outputs_is_cut_and_goes_on() {
    let server = Server::new();
    server.project("pony");
    let output = "x".repeat(7 << 20);
    let junit = format!(
        "<testsuite name='s'><testcase classname='c' name='t'><system-out>{output}</system-out></testcase></testsuite>"
    );
    for _ in 0..5 {
        assert_eq!(upload(&server, "POST", "/pony/builds", "text/xml", &junit).status, 201);
    }
    let first = server.get("/pony/tests/c::t");
    let second = server.get(&first.link("next").unwrap());
    let runs = |answer: &Answer| answer.json()["runs"].as_array().unwrap().len();
    assert_eq!((runs(&first), runs(&second), second.link("next")), (4, 1, None));
}
