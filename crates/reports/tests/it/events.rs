//! Formats with one JSON line per event, and CTRF.

use super::*;

#[test]
fn events_of_go_test_are_read() {
    let read = read(
        r#"{"Time":"2026-01-02T03:04:05.5Z","Action":"start","Package":"ex/a"}
{"Action":"run","Package":"ex/a","Test":"TestX"}
{"Action":"output","Package":"ex/a","Test":"TestX","Output":"=== RUN   TestX\n"}
{"Action":"output","Package":"ex/a","Test":"TestX","Output":"    x_test.go:7: wrong\n"}
{"Action":"output","Package":"ex/a","Test":"TestX","Output":"--- FAIL: TestX (0.25s)\n"}
{"Action":"fail","Package":"ex/a","Test":"TestX","Elapsed":0.25}
{"Action":"skip","Package":"ex/a","Test":"TestY","Elapsed":0}
{"Action":"pass","Package":"ex/a","Test":"TestZ/sub_one","Elapsed":0.01}
{"Action":"output","Package":"ex/a","Output":"FAIL\n"}
{"Action":"fail","Package":"ex/a","Elapsed":0.3}
{"Action":"output","Package":"ex/b","Output":"panic in init\n"}
{"Action":"fail","Package":"ex/b","Elapsed":0}
{"Action":"run","Package":"ex/c","Test":"TestHangs"}
"#,
    );
    assert_eq!(
        cases(&read),
        [
            "ex/a::TestX failed",
            "ex/a::TestY skipped",
            "ex/a::TestZ/sub_one passed",
            "ex/b::the package itself error",
            "ex/c::TestHangs error"
        ]
    );
    let failure = read.cases[0].failure.as_ref().unwrap();
    assert_eq!(failure.text.as_deref(), Some("    x_test.go:7: wrong\n"));
    assert_eq!(read.cases[0].micros, Some(250_000));
    assert_eq!(notes(&read), ["- verdict: the file ends before package 'ex/c' finishes"]);
}

#[test]
fn events_of_libtest_and_nextest_are_read() {
    let read = read(
        r#"{ "type": "suite", "event": "started", "test_count": 4, "nextest": {"crate": "a", "test_binary": "a", "kind": "lib"} }
{ "type": "test", "event": "started", "name": "a::a$mod::ok" }
{ "type": "test", "name": "a::a$mod::ok", "event": "ok", "exec_time": 0.5 }
{ "type": "test", "name": "a::a$mod::flaky", "event": "failed", "exec_time": 0.1, "stdout": "first" }
{ "type": "test", "name": "a::a$mod::flaky#2", "event": "ok", "exec_time": 0.1 }
{ "type": "test", "name": "a::a$mod::bad", "event": "failed", "exec_time": 0.1, "stdout": "out", "reason": "time limit exceeded" }
{ "type": "test", "name": "a::a$mod::skip", "event": "ignored", "message": "slow" }
{ "type": "suite", "event": "failed", "passed": 2, "failed": 1, "ignored": 1 }
"#,
    );
    assert_eq!(
        cases(&read),
        [
            "a::a::mod::ok passed",
            "a::a::mod::flaky flaky",
            "a::a::mod::skip skipped",
            "a::a::mod::bad failed"
        ]
    );
    assert_eq!(read.cases[1].failure.as_ref().unwrap().text.as_deref(), Some("first"));
    assert_eq!(
        read.cases[3].failure.as_ref().unwrap().kind.as_deref(),
        Some("time limit exceeded")
    );
    assert_eq!(notes(&read), [] as [&str; 0]);
}

#[test]
fn a_test_that_did_not_end_broke() {
    let read = read(
        "{\"type\":\"suite\",\"event\":\"started\",\"test_count\":2}\n{\"type\":\"test\",\"event\":\"started\",\"name\":\"a\"}\n",
    );
    assert_eq!(cases(&read), ["::a error"]);
    assert_eq!(
        notes(&read),
        [
            "1 verdict: the suite did not finish",
            "1 verdict: the suite says test_count=2, but contains 1"
        ]
    );
}

#[test]
fn ctrf_is_read() {
    let read = read(
        r#"{"results": {"tool": {"name": "jest"}, "summary": {"tests": 3, "passed": 2, "failed": 1, "skipped": 0, "start": 1767323045000, "stop": 1767323046500},
  "tests": [
    {"name": "a", "status": "passed", "duration": 12, "suite": "s > t", "flaky": true, "retries": 1},
    {"name": "b", "status": "failed", "duration": 3, "message": "no", "trace": "at x", "filePath": "x.js", "line": 3, "stdout": ["l1", "l2"]},
    {"name": "c", "status": "other", "duration": 0}
  ], "environment": {"branchName": "main"}}}"#,
    );
    assert_eq!(cases(&read), ["s / t::a flaky", "::b failed", "::c error"]);
    assert_eq!(read.cases[1].stdout, "l1\nl2\n");
    assert_eq!(read.suites[0].micros, Some(1_500_000));
    assert_eq!(notes(&read), ["- guessed: status 'other' of 'c' counted as an error"]);
}

#[test]
fn what_go_does_not_tell_of_a_test_its_package_does() {
    let read = read(
        r#"{"Action":"start","Package":"ex/a"}
{"Action":"run","Package":"ex/a","Test":"BenchmarkX"}
{"Action":"output","Package":"ex/a","Test":"BenchmarkX","Output":"BenchmarkX-8\t1000\t1.5 ns/op\n"}
{"Action":"pass","Package":"ex/a","Elapsed":1.5}
"#,
    );
    assert_eq!(cases(&read), ["ex/a::BenchmarkX passed"]);
    assert_eq!(
        notes(&read),
        ["2 guessed: no result for 'BenchmarkX'; assumed to match its package"]
    );
}

#[test]
fn a_package_of_go_that_is_cut_off_behind_a_test_broke() {
    let read = read(
        r#"{"Action":"run","Package":"ex/a","Test":"TestX"}
{"Action":"pass","Package":"ex/a","Test":"TestX","Elapsed":0}
"#,
    );
    assert_eq!(cases(&read), ["ex/a::TestX passed", "ex/a::the package itself error"]);
    assert_eq!(notes(&read), ["- verdict: the file ends before package 'ex/a' finishes"]);
}
