//! TAP and KTAP.

use super::*;

#[test]
fn tests_directives_and_yaml_are_read() {
    let read = read(
        "TAP version 14
1..6
ok 1 - first
not ok 2 - second \\# one
  ---
  message: 'not equal'
  duration_ms: 12.5
  at:
    file: a.js
    line: 7
  ...
# of the second
ok 3 - third # SKIP no network
not ok 4 - fourth # TODO later
ok 5
not ok
",
    );
    assert_eq!(
        cases(&read),
        [
            "::first passed",
            "::second # one failed",
            "::third skipped",
            "::fourth skipped",
            "::test 5 passed",
            "::test 6 failed"
        ]
    );
    let second = &read.cases[1];
    let failure = second.failure.as_ref().unwrap();
    assert_eq!(failure.message.as_deref(), Some("not equal"));
    assert!(failure.text.as_ref().unwrap().contains("duration_ms: 12.5"));
    assert_eq!(
        (second.micros, second.file.as_deref(), second.line),
        (Some(12_500), Some("a.js"), Some(7))
    );
    assert_eq!(second.stdout, "of the second\n");
    assert_eq!(read.cases[2].failure.as_ref().unwrap().message.as_deref(), Some("no network"));
    assert_eq!(notes(&read), [] as [&str; 0]);
}

#[test]
fn subtests_are_counted_and_the_test_that_sums_them_up_is_not() {
    let read = read(
        "TAP version 14
# Subtest: outer
    # Subtest: inner
        ok 1 - a
        not ok 2 - b
        1..2
    not ok 1 - inner
    ok 2 - c
    1..2
not ok 1 - outer
ok 2 - last
1..2
",
    );
    assert_eq!(
        cases(&read),
        ["outer / inner::a passed", "outer / inner::b failed", "outer::c passed", "::last passed"]
    );
    assert_eq!(notes(&read), [] as [&str; 0]);
}

#[test]
fn the_kernels_ktap_is_read() {
    let read = read(
        "KTAP version 1
1..2
  KTAP version 1
  # Subtest: suite
  1..2
  ok 1 case_one
  # case_two: EXPECTATION FAILED
  not ok 2 case_two
not ok 1 suite
ok 2 other # SKIP
",
    );
    assert_eq!(
        cases(&read),
        ["suite::case_one passed", "suite::case_two failed", "::other skipped"]
    );
}

#[test]
fn a_plan_that_is_not_kept_is_an_error() {
    let read = read("1..3\nok 1 - a\n");
    assert_eq!(cases(&read), ["::a passed", "::tests that did not run error"]);
    let read = super::read("ok 1 - a\n");
    assert_eq!(notes(&read), ["- verdict: no plan, so it is unknown whether all tests ran"]);
    let read = super::read("1..1\nok 1 - a\nok 2 - b\n");
    assert_eq!(
        notes(&read),
        ["3 verdict: test 2 is outside the plan", "1 verdict: 1 tests planned, 2 found"]
    );
    let read = super::read("1..2\nok 1 - a\nBail out! no disk\n");
    assert_eq!(cases(&read), ["::a passed", "::Bail out! error", "::tests that did not run error"]);
    assert_eq!(cases(&super::read("1..0 # SKIP not here\n")), [] as [&str; 0]);
}

#[test]
fn a_test_that_failed_though_none_in_it_did_is_one_of_its_own() {
    let read = read("    ok 1 - a\n    1..1\nnot ok 1 - outer\n1..1\n");
    assert_eq!(cases(&read), ["outer::a passed", "::outer failed"]);
    assert_eq!(read.notes.len(), 1);
}

#[test]
fn node_tap_writes_a_test_before_its_subtests() {
    let read = read(
        "TAP version 14
ok 1 - outer # time=12.5ms {
    ok 1 - a # time=3ms
    not ok 2 - b
    1..2
}

not ok 2 - whole {
    ok 1 - c
    1..1
}

1..2
",
    );
    assert_eq!(
        cases(&read),
        ["outer::a passed", "outer::b failed", "whole::c passed", "::whole failed"]
    );
    assert_eq!(read.cases[0].micros, Some(3_000));
}

#[test]
fn subtests_may_lie_only_so_deep() {
    let nested = |depth: usize| {
        let lines = (0..depth).rev().map(|at| format!("{}ok 1 - t{at}\n", "  ".repeat(at)));
        Read::from_bytes(
            ("TAP version 14\n".to_owned() + &lines.collect::<String>()).as_bytes(),
            None,
        )
    };
    assert_eq!(nested(60).unwrap().cases.len(), 1);
    // In reverse, each line is indented deeper than the one before.
    let deeper: String = (0..100).map(|at| format!("{}ok 1 - t\n", " ".repeat(at))).collect();
    let error = Read::from_bytes(deeper.as_bytes(), Some(Format::Tap)).unwrap_err();
    assert_eq!(error.to_string(), "line 65: subtests nested more than 64 levels deep");
}

#[test]
fn what_prove_calls_dubious_is_an_error_unless_the_tests_that_failed_say_it() {
    let prove = |code: u32| {
        format!(
            "t/a.t .. \n1..2\nok 1 - passes\nnot ok 2 - fails\nDubious, test returned {code} (wstat 1, 0x1)\n\
             Failed 1/2 subtests \n\nTest Summary Report\n-------------------\n\
             t/a.t (Wstat: 256 (exited {code}) Tests: 2 Failed: 1)\n  Failed test:  2\nResult: FAIL\n"
        )
    };
    let counted = read(&prove(1));
    assert_eq!(cases(&counted), ["t/a.t::passes passed", "t/a.t::fails failed"]);
    let died = read(&prove(255));
    assert_eq!(cases(&died).last().unwrap(), "t/a.t::the test file itself error");
    assert!(!counted.tally.verdict.is_success() && !died.tally.verdict.is_success());
}
