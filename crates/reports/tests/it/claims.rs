//! Reports that say in one place that the run failed, and in others that nothing did.

use super::*;

/// Each case, and whether the report is a success.
fn told(text: &str) -> (Vec<String>, bool) {
    let read = read(text);
    (cases(&read), read.tally.verdict.is_success())
}

fn is_red(text: &str) {
    let (cases, is_success) = told(text);
    assert!(!is_success, "{cases:?} of {text}");
}

fn is_green(text: &str) {
    let read = read(text);
    assert!(read.tally.verdict.is_success(), "{:?} {:?} of {text}", cases(&read), notes(&read));
}

#[test]
fn what_ctest_could_not_run_is_an_error_and_what_it_skipped_is_not() {
    let with = |message: &str| {
        format!(
            r#"<testsuite name="Linux-c++" tests="1" failures="0"><testcase name="a" classname="a" time="0" status="notrun"><skipped message="{message}"/></testcase></testsuite>"#
        )
    };
    for message in
        ["Unable to find executable", "Required Files Missing", "Fixture dependency failed"]
    {
        assert_eq!(told(&with(message)), (vec!["a::a error".to_owned()], false), "{message}");
    }
    for message in ["SKIP_RETURN_CODE=77", "SKIP_REGULAR_EXPRESSION_MATCHED", "Disabled", ""] {
        assert_eq!(told(&with(message)), (vec!["a::a skipped".to_owned()], true), "{message}");
    }
}

#[test]
fn what_spack_did_not_test_is_no_error() {
    let with = |status: &str| {
        format!(
            r#"<Site BuildName="zlib" Generator="spack"><Testing><Test Status="notrun"><Name>a</Name><Results>
            <NamedMeasurement type="numeric/double" name="Execution Time"><Value>None</Value></NamedMeasurement>
            <NamedMeasurement type="text/string" name="Completion Status"><Value>{status}</Value></NamedMeasurement>
            </Results></Test></Testing></Site>"#
        )
    };
    for status in ["No tests to run", "Skipped zlib package", "Completed"] {
        assert_eq!(told(&with(status)), (vec!["zlib::a skipped".to_owned()], true), "{status}");
    }
    let part = with("Completed").replace("notrun", "skipped");
    assert_eq!(told(&part), (vec!["zlib::a skipped".to_owned()], true));
    let failed = with("Completed").replace("notrun", "failed");
    assert_eq!(told(&failed), (vec!["zlib::a failed".to_owned()], false));
    // A time-out is completed, too.
    let out = failed.replace("Execution Time", "Exit Code").replace("None", "Timeout");
    assert_eq!(told(&out), (vec!["zlib::a error".to_owned()], false));
    assert_eq!(told(&with("Unknown")), (vec!["zlib::a error".to_owned()], false));
}

#[test]
fn an_error_after_a_skip_counts_unless_it_was_expected() {
    let with = |skip: &str, after: &str| {
        format!(
            r#"<testsuite name="s"><testcase name="a"><skipped {skip}/>{after}</testcase></testsuite>"#
        )
    };
    let teardown = r#"<error message="failed on teardown" type="E">x</error>"#;
    let (cases, is_success) = told(&with(r#"type="pytest.skip" message="no network""#, teardown));
    assert_eq!((cases, is_success), (vec!["s::a error".to_owned()], false));
    is_red(&with(r#"message="the setup failed""#, r#"<failure message="x"/>"#));
    is_green(&with(r#"message="TEST_CASE tagged with !mayfail""#, r#"<failure message="x"/>"#));
    let read = read(&with(r#"type="pytest.skip" message="no network""#, teardown));
    assert_eq!(
        read.cases[0].failure.as_ref().unwrap().message.as_deref(),
        Some("failed on teardown")
    );
}

#[test]
fn a_tap_script_that_died_or_counts_more_failures_is_no_success() {
    is_red("1..1\nok 1 - a\nboom\n# Looks like your test exited with 255 just after 1.\n");
    is_red("1..2\nok 1 - a\nok 2 - b\n# Looks like you failed 1 test of 2.\n");
    is_red(
        "TAP version 13\n1..1\nok 1 a\n# Totals: pass:0 fail:1 xfail:0 xpass:0 skip:0 error:0\n",
    );
    is_red("TAP version 13\nok 1 - a\n1..1\n# tests 1\n# pass 0\n# fail 1\n");
    // What is expected, or says that nothing failed, is none.
    is_green("TAP version 13\nok 1 - a\n1..1\n# tests 1\n# pass 1\n# fail 0\n");
    is_green("1..2\nok 1 - a\nnot ok 2 - b # TODO later\n# Looks like you failed 1 test of 2.\n");
    is_green("1..1\n    ok 1 - deep\n    1..1\nok 1 - a\n# fail safe mode is on\n");
}

#[test]
fn a_plan_between_tests_is_no_success() {
    is_red("ok 1 - a\n1..2\nok 2 - b\n");
    is_green("ok 1 - a\nok 2 - b\n1..2\n");
    // Two streams, each with its plan at the end.
    is_green("ok 1 - a\n1..1\nok 1 - b\n1..1\n");
}

#[test]
fn proves_output_without_its_summary_is_cut_off() {
    is_red("t/a.t .. \nok 1 - a\n1..1\nok\n");
    is_red("t/a.t .. ok\n");
    is_green(
        "t/a.t .. ok\nAll tests successful.\nFiles=1, Tests=1,  0 wallclock secs\nResult: PASS\n",
    );
}

#[test]
fn proves_times_are_no_part_of_a_name_or_a_test() {
    let verbose = "[12:00:01] t/a.t .. \nok 1 - a\n1..1\nok       12 ms ( 0.00 usr  0.00 sys +  0.01 cusr  0.00 csys =  0.01 CPU)\n[12:00:02]\nAll tests successful.\nResult: PASS\n";
    assert_eq!(told(verbose), (vec!["t/a.t::a passed".to_owned()], true));
    is_green(
        "[12:00:01] t/a.t .. ok       12 ms ( 0.00 usr  0.00 sys =  0.01 CPU)\nAll tests successful.\nResult: PASS\n",
    );
}

#[test]
fn what_fails_below_a_todo_was_expected() {
    is_green("    not ok 1 - deep\n    1..1\nnot ok 1 - a # TODO later\n1..1\n");
    is_green("not ok 1 - a # TODO later {\n    not ok 1 - deep\n    1..1\n}\n1..1\n");
    is_red("    not ok 1 - deep\n    1..1\nnot ok 1 - a\n1..1\n");
}

#[test]
fn what_nunit_2_could_not_run_is_an_error() {
    let with = |case: &str| {
        format!(
            r#"<test-results name="a.dll" total="1" errors="0" failures="0" not-run="1" invalid="1"><test-suite type="Assembly" name="a.dll" executed="True" result="Success"><results>{case}</results></test-suite></test-results>"#
        )
    };
    is_red(&with(
        r#"<test-case name="N.T.Bad" executed="False" result="NotRunnable"><reason><message>x</message></reason></test-case>"#,
    ));
    is_red(
        r#"<test-results name="a" total="0" errors="0" failures="0" invalid="0"><test-suite type="Assembly" name="missing.dll" executed="False" result="NotRunnable"><results/></test-suite></test-results>"#,
    );
    is_green(
        r#"<test-results name="a" total="1" errors="0" failures="0" ignored="1" invalid="0"><test-suite type="Assembly" name="a.dll" executed="True" result="Success"><results><test-case name="N.T.a" executed="False" result="Ignored"/></results></test-suite></test-results>"#,
    );
}

#[test]
fn a_go_package_that_could_not_be_built_is_no_success_whatever_follows() {
    let build = r#"{"ImportPath":"ex/a [ex/a.test]","Action":"build-output","Output":"a.go:1: no\n"}
{"ImportPath":"ex/a [ex/a.test]","Action":"build-fail"}
"#;
    is_red(build);
    // With its package's end, it is told once.
    let whole = format!(
        "{build}{}",
        r#"{"Action":"start","Package":"ex/a"}
{"Action":"fail","Package":"ex/a","Elapsed":0,"FailedBuild":"ex/a [ex/a.test]"}
"#
    );
    assert_eq!(told(&whole), (vec!["ex/a::the package itself error".to_owned()], false));
    is_red(
        "{\"Action\":\"output\",\"Package\":\"p\",\"Output\":\"panic: boom\\n\"}\n{\"Action\":\"output\",\"Package\":\"p\",\"Output\":\"FAIL\\tp\\t0.01s\\n\"}\n",
    );
}

#[test]
fn the_verdict_of_a_libtest_suite_counts_without_its_start() {
    is_red(
        "{\"type\":\"test\",\"name\":\"a\",\"event\":\"ok\"}\n{\"type\":\"suite\",\"event\":\"failed\",\"passed\":1,\"failed\":1,\"ignored\":0}\n",
    );
    let suite = "{\"type\":\"suite\",\"event\":\"started\",\"test_count\":1}\n{\"type\":\"test\",\"name\":\"a\",\"event\":\"started\"}\n{\"type\":\"test\",\"name\":\"a\",\"event\":\"ok\"}\n{\"type\":\"suite\",\"event\":\"ok\",\"passed\":1,\"failed\":0}\n";
    is_green(suite);
    is_red(&format!("{suite}error: test failed, to rerun pass `--test b`\n"));
}

#[test]
fn other_json_before_the_first_event_loses_none() {
    let suite = "{\"type\":\"suite\",\"event\":\"started\",\"test_count\":1}\n{\"type\":\"test\",\"name\":\"a\",\"event\":\"started\"}\n{\"type\":\"test\",\"name\":\"a\",\"event\":\"ok\"}\n{\"type\":\"suite\",\"event\":\"ok\",\"passed\":1,\"failed\":0}\n";
    let cargo =
        "{\"reason\":\"compiler-artifact\"}\n{\"reason\":\"build-finished\",\"success\":true}\n";
    assert_eq!(told(&format!("{cargo}{suite}")), (vec!["::a passed".to_owned()], true));
    let go = "{\"Action\":\"run\",\"Package\":\"p\",\"Test\":\"T\"}\n{\"Action\":\"pass\",\"Package\":\"p\",\"Test\":\"T\"}\n{\"Action\":\"pass\",\"Package\":\"p\"}\n";
    assert_eq!(
        told(&format!("{{\"level\":\"info\"}}\n{go}")),
        (vec!["p::T passed".to_owned()], true)
    );
}
