//! Rare but valid reports: old versions, reordered members, surrounding text.

use super::*;

/// Each case, and whether the report is a success.
fn told(text: &str) -> (Vec<String>, bool) {
    let read = read(text);
    (cases(&read), read.tally.verdict.is_success())
}

fn of<const N: usize>(cases: [&str; N], is_success: bool) -> (Vec<String>, bool) {
    (cases.map(str::to_owned).to_vec(), is_success)
}

#[test]
fn a_test_of_allures_without_a_status_did_not_end() {
    let text = r#"{"uuid":"1","historyId":"a","name":"adds","status":"passed","stage":"finished","start":1,"stop":2}
{"uuid":"2","historyId":"b","name":"hangs","stage":"running","start":1}"#;
    assert_eq!(told(text), of(["::adds passed", "::hangs error"], false));
}

#[test]
fn what_failed_for_all_is_told_where_every_test_passed_in_the_end() {
    let test = |uuid: &str, status: &str, stop: u32| {
        format!(
            r#"{{"uuid":"{uuid}","historyId":"a","name":"adds","status":"{status}","start":1,"stop":{stop}}}"#
        )
    };
    let global = r#"{"attachments":[],"errors":[{"message":"the database is gone"}]}"#;
    let retried = [test("1", "failed", 2), test("2", "passed", 3)];
    let text = [retried.join("\n"), global.to_owned()].join("\n");
    assert_eq!(told(&text), of(["::adds flaky", "::the run itself error"], false));
    // If the test still fails, the failure is already reported by it.
    let text = [test("1", "failed", 2), global.to_owned()].join("\n");
    assert_eq!(told(&text), of(["::adds failed"], false));
}

#[test]
fn a_fixture_is_told_where_no_test_of_it_failed() {
    let test = |status: &str| {
        format!(
            r#"{{"uuid":"1","historyId":"a","name":"adds","status":"{status}","start":1,"stop":2}}"#
        )
    };
    let fixture = r#"{"uuid":"9","children":["1"],"afters":[{"name":"clean","status":"broken"}]}"#;
    let with = |status: &str| told(&[test(status), fixture.to_owned()].join("\n"));
    assert_eq!(with("passed"), of(["::adds passed", "::clean (fixture) error"], false));
    assert_eq!(with("failed"), of(["::adds failed"], false));
}

/// Mocha's output without what versions before 8 omit: the speed of a test.
const MOCHA_7: &str = r#"{
  "stats": {"suites": 1, "tests": 3, "passes": 1, "pending": 1, "failures": 2, "duration": 5},
  "tests": [
    {"title": "adds", "fullTitle": "sums adds", "duration": 1, "currentRetry": 0, "err": {}},
    {"title": "waits", "fullTitle": "sums waits", "currentRetry": 0, "err": {}},
    {"title": "fails", "fullTitle": "sums fails", "duration": 1, "err": {"message": "no"}}
  ],
  "pending": [{"title": "waits", "fullTitle": "sums waits", "currentRetry": 0, "err": {}}],
  "failures": [
    {"title": "fails", "fullTitle": "sums fails", "duration": 1, "err": {"message": "no"}},
    {"title": "\"after all\" hook", "fullTitle": "sums \"after all\" hook", "err": {"message": "x"}}
  ],
  "passes": [{"title": "adds", "fullTitle": "sums adds", "duration": 1, "err": {}}]
}"#;

#[test]
fn the_json_of_an_old_mocha_is_read_and_in_any_order() {
    let mut meant = [
        "sums::adds passed",
        "sums::waits skipped",
        "sums::fails failed",
        "sums::\"after all\" hook error",
    ]
    .map(str::to_owned)
    .to_vec();
    assert_eq!(told(MOCHA_7), (meant.clone(), false));
    // Sorted, as by `jq -S`: the failures come before the tests.
    let sorted = serde_json::from_str::<serde_json::Value>(MOCHA_7).unwrap().to_string();
    let (mut cases, is_success) = told(&sorted);
    assert!(sorted.find("failures") < sorted.find("\"tests\":["));
    cases.sort();
    meant.sort();
    assert_eq!((cases, is_success), (meant, false));
}

const JEST: &str = r#"{"numTotalTests": 1, "numTotalTestSuites": 1, "success": true, "testResults": [
  {"name": "/app/a.test.js", "status": "passed", "assertionResults": [
    {"title": "adds", "fullName": "adds", "ancestorTitles": [], "status": "passed"}]}]}"#;

#[test]
fn what_stands_behind_a_document_is_left_out_whatever_it_looks_like() {
    for behind in
        ["", "\n", "Done in 1.2s.\n", "{ done: 1 }\n", "{\"done\": 1}\n", "[info] done", "{", "]"]
    {
        let read = read(&format!("{JEST}\n{behind}"));
        assert_eq!(counts(&read), [1, 0, 0, 0, 0], "{behind}");
        assert!(read.tally.verdict.is_success(), "{behind}: {:?}", read.tally);
        let told =
            notes(&read).iter().any(|note| note == "4 dropped: text after the JSON was ignored");
        assert_eq!(told, !behind.trim().is_empty(), "{behind}: {:?}", notes(&read));
    }
    // Much text may follow the report.
    let log = "{\"level\":\"info\",\"text\":\"x\"}\n".repeat(50_000);
    assert!(read(&format!("{JEST}\n{log}")).tally.verdict.is_success());
    // A second report is parsed as well, and a truncated one fails.
    let failed = JEST.replace("\"passed\"}]", "\"failed\"}]");
    assert_eq!(counts(&read(&format!("{JEST}\n{failed}"))), [1, 0, 0, 1, 0]);
    let cut = JEST.replace("]}]}", "");
    assert!(!read(&format!("{JEST}\n{cut}")).tally.verdict.is_success());
}

#[test]
fn methods_of_testng_that_ended_stay_where_the_file_is_cut_off() {
    let text = r#"<testng-results total="3" failed="1">
<suite name="s"><test name="t"><class name="ex.A">
<test-method name="adds" status="PASS" duration-ms="1"/>
<test-method name="fails" status="FAIL" duration-ms="1"/>
<test-method name="ha"#;
    assert_eq!(told(text), of(["ex.A::adds passed", "ex.A::fails failed"], false));
}

#[test]
fn why_a_package_of_go_cannot_be_built_is_told_where_another_is_the_cause() {
    let text = "# example.com/m/dep\ndep/dep.go:3:1: undefined: nothing\n\
                FAIL\texample.com/m/a [build failed]\n\
                # [example.com/m/b]\nb/b.go:5:2: result of Sprintf is not used\n\
                FAIL\texample.com/m/b [build failed]\nok  \texample.com/m/c\t0.1s\nFAIL\n";
    let read = read(text);
    let why = |nth: usize| {
        let failure = read.cases[nth].failure.as_ref().unwrap();
        (read.cases[nth].group(), failure.text.clone().unwrap_or_default())
    };
    let of = |group: &str, text: &str| (group.to_owned(), text.to_owned());
    assert_eq!(why(0), of("example.com/m/b", "b/b.go:5:2: result of Sprintf is not used\n"));
    assert_eq!(why(2), of("example.com/m/a", "dep/dep.go:3:1: undefined: nothing\n"));
    assert_eq!(counts(&read), [1, 0, 0, 0, 2]);
}

#[test]
fn what_is_printed_before_a_plan_of_tap_is_kept() {
    let read = read("connecting\nto the board\nTAP version 13\n1..1\nok 1 - a\n");
    let printed: String = read.suites.iter().map(|suite| suite.stdout.as_str()).collect();
    assert_eq!(printed, "connecting\nto the board\n");
}

#[test]
fn a_result_that_meson_ignores_is_skipped() {
    let text = r#"{"name": "m:a", "stdout": "", "result": "IGNORED", "starttime": 1.0, "duration": 0.1, "returncode": 1, "env": {}, "command": ["a"]}"#;
    assert_eq!(told(text), of(["m::a skipped"], true));
}

/// A Subunit packet for a test with that status, with a correct or wrong checksum.
fn packet(test: &str, status: u8, is_whole: bool) -> Vec<u8> {
    let length = (3 + 1 + 1 + test.len() + 4) as u8;
    let mut packet = vec![0xb3, 0x28, status, length, test.len() as u8];
    packet.extend(test.as_bytes());
    let mut sum = flate2::Crc::new();
    sum.update(&packet);
    packet.extend((sum.sum() ^ u32::from(!is_whole)).to_be_bytes());
    packet
}

#[test]
fn a_packet_of_subunit_that_is_garbled_is_told_and_the_others_are_read() {
    let stream = |is_whole| {
        let packets =
            [packet("m.A.a", 3, true), packet("m.A.b", 3, is_whole), packet("m.A.c", 3, true)];
        Read::from_bytes(&packets.concat(), None).unwrap()
    };
    assert_eq!(counts(&stream(true)), [3, 0, 0, 0, 0]);
    assert!(stream(true).tally.verdict.is_success());
    assert_eq!(cases(&stream(false)), ["m.A::a passed", "m.A::c passed"]);
    assert!(!stream(false).tally.verdict.is_success());
}

/// Whether the report is a success.
fn is_success(text: &str) -> bool {
    read(text).tally.verdict.is_success()
}

/// A file from `tools/`.
fn tool(name: &str) -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tools");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn what_tells_the_format_of_json_may_stand_behind_a_long_text() {
    let long = "x".repeat(100_000);
    let allure = format!(
        r#"{{"name":"a","status":"failed","statusDetails":{{"trace":"{long}"}},"start":1,"stop":2,"uuid":"1","historyId":"2","stage":"finished"}}"#
    );
    assert_eq!(told(&allure), of(["::a failed"], false));
    let meson = format!(
        r#"{{"name":"m:a","stdout":"{long}","result":"FAIL","starttime":1.0,"duration":0.1,"returncode":1,"command":["a"]}}"#
    );
    assert_eq!(told(&meson), of(["m::a failed"], false));
    let rspec = format!(
        r#"{{"examples":[{{"description":"{long}","status":"failed"}}],"summary":{{"example_count":1}},"summary_line":"1 example","version":"3"}}"#
    );
    assert_eq!(counts(&read(&rspec)), [0, 0, 0, 1, 0]);
}

#[test]
fn every_document_of_several_programs_is_read_whatever_stands_between() {
    for (green, red) in [
        ("gtest-green.json", "gtest-red.json"),
        ("pytest-retried-green.json", "pytest-red.json"),
        ("behave-green.json", "behave-red.json"),
        ("kirk-green.json", "kirk-red.json"),
    ] {
        let (green, red) = (tool(green), tool(red));
        assert!(is_success(&green));
        assert!(!is_success(&format!("{green}\n> the next program\n{red}")));
        assert!(!is_success(&format!("{red}\n> the next program\n{green}")));
    }
}

#[test]
fn a_run_that_does_not_end_is_no_success_whatever_run_comes_behind_it() {
    let cut = |text: &str, part: usize| {
        let lines: Vec<&str> = text.lines().collect();
        lines[..lines.len() * part / 10].join("\n")
    };
    for name in ["bazel-green.json", "cucumber-green.ndjson"] {
        let green = tool(name);
        assert!(is_success(&format!("{green}\n{green}")), "{name}");
        assert!(!is_success(&format!("{}\n{green}", cut(&green, 7))), "{name}");
    }
    let dart = r#"{"protocolVersion":"0.1.1","runnerVersion":"1","pid":1,"type":"start","time":0}
{"suite":{"id":0,"platform":"vm","path":"test/a_test.dart"},"type":"suite","time":0}
{"test":{"id":1,"name":"a","suiteID":0,"groupIDs":[]},"type":"testStart","time":0}
{"testID":1,"result":"success","skipped":false,"hidden":false,"type":"testDone","time":1}
{"success":true,"type":"done","time":2}"#;
    assert!(is_success(&format!("{dart}\n{dart}")));
    for (from, to) in [
        ("true,\"type\":\"done\"", "null,\"type\":\"done\""),
        ("true,\"type\":\"done\"", "false,\"type\":\"done\""),
    ] {
        assert!(!is_success(&format!("{}\n{dart}", dart.replace(from, to))), "{to}");
    }
    for lines in [3, 4] {
        let cut: Vec<&str> = dart.lines().take(lines).collect();
        assert!(!is_success(&format!("{}\n{dart}", cut.join("\n"))), "{lines}");
    }
    let go = "{\"Action\":\"start\",\"Package\":\"p\"}\n{\"Action\":\"run\",\"Package\":\"p\",\"Test\":\"TestA\"}\n";
    let end = "{\"Action\":\"pass\",\"Package\":\"p\",\"Test\":\"TestA\"}\n{\"Action\":\"pass\",\"Package\":\"p\"}\n";
    assert!(is_success(&format!("{go}{end}{go}{end}")));
    assert!(!is_success(&format!("{go}{go}{end}")));
    let meson = r#"{"name": "m:a", "stdout": "", "result": "OK", "starttime": 1.0, "duration": 0.1, "returncode": 0, "command": ["a"]}"#;
    assert!(is_success(&format!("{meson}\n{}", meson.replace("m:a", "m:b"))));
    assert!(!is_success(&format!("{meson}\n{{\"name\": \"m:b\", \"stdo\n{meson}")));
    let qttest = |end: &str| {
        format!(
            "<TestFunction name=\"initTestCase\"><Incident type=\"pass\"/></TestFunction><TestFunction name=\"a\"><Incident type=\"pass\"/></TestFunction>{end}"
        )
    };
    let end = "<TestFunction name=\"cleanupTestCase\"><Incident type=\"pass\"/></TestFunction>";
    let root = "<Environment><QtVersion>6</QtVersion></Environment>";
    let two = |first: &str, second: &str| {
        is_success(&format!("{root}{}{root}{}", qttest(first), qttest(second)))
    };
    assert!(two(end, end));
    assert!(!two("", end) && !two(end, ""));
}

#[test]
fn a_later_program_takes_nothing_back_that_an_earlier_one_reported() {
    let boost = |result: &str| {
        format!(
            r#"<TestResult><TestSuite name="Master Test Suite" result="{result}"><TestCase name="a" result="{result}" assertions_failed="1"/></TestSuite></TestResult>"#
        )
    };
    let both = read(&format!("{}\n{}", boost("failed"), boost("passed")));
    assert_eq!(counts(&both), [1, 0, 0, 1, 0]);
    let catch = |case: &str| {
        format!(r#"<Catch2TestRun name="t"><TestCase name="a">{case}</TestCase></Catch2TestRun>"#)
    };
    let passed = catch(r#"<OverallResult success="true"/>"#);
    let skipped = catch(r#"<Skip/><OverallResult success="true" skips="1"/>"#);
    assert!(is_success(&format!("{passed}\n{passed}")));
    assert!(!is_success(&format!("{passed}\n{skipped}")));
}

#[test]
fn what_a_tool_calls_a_failure_is_none_the_less_one_for_standing_far_behind() {
    let messages = vec!["\"m\""; 1003].join(",");
    let rspec = format!(
        r#"{{"version":"3","messages":[{messages}],"examples":[],"summary":{{"example_count":0,"errors_outside_of_examples_count":3}},"summary_line":"0"}}"#
    );
    assert!(!is_success(&rspec));
    let pytest = |code: i32| {
        format!(
            r#"{{"created":1.0,"exitcode":{code},"root":"/r","environment":{{}},"summary":{{}},"tests":[]}}"#
        )
    };
    assert!(is_success(&pytest(0)) && !is_success(&pytest(-1)));
    let flaky = r#"{"config":{"rootDir":"/r","forbidOnly":false,"failOnFlakyTests":FAIL},"suites":[],"errors":[],"stats":{"flaky":1}}"#;
    assert!(is_success(&flaky.replace("FAIL", "false")));
    assert!(!is_success(&flaky.replace("FAIL", "true")));
}

#[test]
fn a_fixture_of_a_test_that_passed_in_the_end_is_told() {
    let test = |uuid: &str, status: &str, stop: u32| {
        format!(
            r#"{{"uuid":"{uuid}","historyId":"a","name":"adds","status":"{status}","start":1,"stop":{stop}}}"#
        )
    };
    let fixture = |children: &str| {
        format!(
            r#"{{"uuid":"9","children":[{children}],"afters":[{{"name":"clean","status":"broken"}}]}}"#
        )
    };
    let with = |children: &str| {
        told(&[test("1", "failed", 2), test("2", "passed", 3), fixture(children)].join("\n"))
    };
    assert_eq!(with("\"1\",\"2\""), of(["::adds flaky", "::clean (fixture) error"], false));
    assert_eq!(with("\"1\""), of(["::adds flaky"], true));
}

#[test]
fn a_test_of_go_that_prints_a_report_is_gos_and_what_it_prints_ends_no_line() {
    let text = "=== RUN   TestA\nTAP version 13\n1..1\nok 1 - x\nhello=== RUN   TestA/sub\n    a_test.go:3: no\n    --- FAIL: TestA/sub (0.00s)\n--- FAIL: TestA (0.00s)\nFAIL\nFAIL\texample.com/a\t0.1s\n";
    let read = read(text);
    assert_eq!((read.format, counts(&read)), (Format::GoText, [0, 0, 0, 2, 0]));
}

#[test]
fn what_looks_like_a_report_and_is_none_is_not_read() {
    for text in [
        r#"{"name":"p","version":"1.0","examples":["a"]}"#,
        r#"{"version":1,"messages":[{"role":"user"}]}"#,
        r#"{"type":"error","time":"12:00","message":"x"}"#,
        r#"{"type":"done","time":1}"#,
        r#"{"type":"report","event":"x"}"#,
        r#"{"uuid":"1","labels":["a"]}"#,
        r#"{"uuid":"1","children":["2"]}"#,
        r#"{"attachments":[],"errors":[{"message":"x"}],"id":1}"#,
        r#"{"exitcode":0,"created":"2026-01-01"}"#,
        r#"[{"type":"section","elements":[{"type":"text"}]}]"#,
        r#"{"meta":{"protocolVersion":"1"}}"#,
        r#"{"config":{"rootDir":"/x","forbidOnly":false}}"#,
    ] {
        assert_eq!(Format::recognize(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn json_in_utf_16_needs_no_mark() {
    let text: Vec<u8> = JEST.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(counts(&Read::from_bytes(&text, None).unwrap()), [1, 0, 0, 0, 0]);
}

#[test]
fn a_packet_of_subunit_that_is_cut_off_behind_other_text_is_told() {
    let stream = |behind: &[u8]| {
        let text =
            [&packet("m.A.a", 3, true), "area: 3 m\u{b3} (or less)\n".as_bytes(), behind].concat();
        Read::from_bytes(&text, None).unwrap().tally.verdict.is_success()
    };
    let last = packet("m.A.b", 6, true);
    assert!(stream(b"") && !stream(&last) && !stream(&last[..last.len() - 3]));
}

#[test]
fn instances_of_a_class_of_testng_are_told_apart_by_their_names() {
    let text = r#"<testng-results><suite name="s"><test name="t"><class name="ex.A">
<test-method name="opens" test-instance-name="chrome" status="PASS"/>
<test-method name="opens" test-instance-name="firefox" status="FAIL"/>
<test-method name="closes" test-instance-name="ex.A@1f2e" status="PASS"/>
</class></test></suite></testng-results>"#;
    let meant =
        ["ex.A::opens [chrome] passed", "ex.A::opens [firefox] failed", "ex.A::closes passed"];
    assert_eq!(told(text), of(meant, false));
}

#[test]
fn a_target_of_bazels_in_two_configurations_is_two_tests() {
    let result = |configuration: &str, status: &str| {
        format!(
            r#"{{"id":{{"testResult":{{"label":"//a:t","run":1,"attempt":1,"configuration":{{"id":"{configuration}"}}}}}},"testResult":{{"status":"{status}"}}}}"#
        )
    };
    let called = |id: &str, mnemonic: &str| {
        format!(
            r#"{{"id":{{"configuration":{{"id":"{id}"}}}},"configuration":{{"mnemonic":"{mnemonic}"}}}}"#
        )
    };
    let end =
        r#"{"id":{"buildFinished":{}},"finished":{"exitCode":{"name":"TESTS_FAILED","code":3}}}"#;
    let lines = [
        called("1", "k8-fastbuild"),
        called("2", "arm-opt"),
        result("1", "FAILED"),
        result("2", "PASSED"),
        end.to_owned(),
    ];
    let meant = [":://a:t (k8-fastbuild) failed", ":://a:t (arm-opt) passed"];
    assert_eq!(told(&lines.join("\n")), of(meant, false));
}
