//! Files that are not reports, or are malformed, are rejected with the line number.

use super::*;

fn problem(text: &str) -> String {
    Read::from_bytes(text.as_bytes(), Some(Format::Junit)).unwrap_err().to_string()
}

/// The cases before the break, and the reasons why the report is not a success.
fn broken(text: &str) -> (Vec<String>, String) {
    let read = read(text);
    assert!(!read.tally.verdict.is_success());
    (cases(&read), read.tally.verdict.reasons().unwrap())
}

#[test]
fn broken_xml_is_refused_with_its_line() {
    assert_eq!(
        problem("<testsuite>\n<testcase name='a'>\n</testsuite>"),
        "line 3: invalid XML: ill-formed document: expected `</testcase>`, but `</testsuite>` was found (in <testcase>, which starts on line 2)"
    );
    // Cases before the break are kept, but the report is not a success.
    assert_eq!(
        broken("<testsuite>\n<testcase name='a'/>\n"),
        (
            vec!["::a passed".to_owned()],
            "the file is truncated: line 3: the file ends inside <testsuite>, which starts on line 1"
                .to_owned()
        )
    );
    for (text, kept) in [
        ("<testsuite><testcase name='a'/><testcase name='b'", 1),
        ("<TestRun><Results><UnitTestResult testName='a' outcome='Passed'/><Unit", 1),
        (
            "<assemblies><assembly name='x' total='2'><collection><test name='a' result='Pass'/><te",
            1,
        ),
        (
            "<test-run result='Passed'><test-suite type='x'><test-case name='a' result='Passed'/><",
            1,
        ),
        ("<Site><Testing><Test Status='passed'><Name>a</Name></Test><Test Sta", 1),
        (r#"{"reportFormat":"CTRF","results":{"tests":[{"name":"a","status":"passed"},{"na"#, 1),
    ] {
        let (cases, reasons) = broken(text);
        assert_eq!(cases.len(), kept, "{text}");
        assert!(reasons.starts_with("the file is truncated: "), "{reasons}");
    }
    assert!(problem("<testsuite>\n<testcase name='a").starts_with("line 2: invalid XML"));
    assert!(
        problem("<testsuite>\n<testcase name=/></testsuite>").starts_with("line 2: invalid XML")
    );
    assert_eq!(
        problem("<testsuite><testcase name='a'><testcase name='b'/></testcase></testsuite>"),
        "line 1: unexpected <testcase> in a <testcase>"
    );
}

#[test]
fn entities_are_never_expanded_and_nothing_is_fetched() {
    let bomb = "<!DOCTYPE t [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]>\n<testsuite name='s'><testcase name='x'><failure>&b;</failure></testcase></testsuite>";
    let refused = "line 2: unknown entity &b;: entities declared in the document are not expanded";
    assert_eq!(problem(bomb), refused);
    let external =
        "<!DOCTYPE t [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>\n<testsuite name='&b;'/>";
    assert_eq!(problem(external), refused);
    // An unused declaration is harmless.
    let read = read(
        "<!DOCTYPE t [<!ENTITY a 'aaaa'>]><testsuite name='s'><testcase name='x'/></testsuite>",
    );
    assert_eq!(cases(&read), ["s::x passed"]);
}

#[test]
fn elements_do_not_lie_in_each_other_without_end() {
    let deep = format!("<testsuite>{}", "<a>".repeat(100_000));
    assert_eq!(problem(&deep), "line 1: elements nested more than 512 levels deep");
}

#[test]
fn what_is_no_report_is_refused() {
    for text in
        ["", "hello", "{}", "[]", "{\"success\": true}", "<html></html>", "okay\n", "\0\0\0"]
    {
        let refused = Read::from_bytes(text.as_bytes(), None).unwrap_err().to_string();
        assert!(refused.contains("supported formats: junit, tap, go, "), "{text:?}: {refused}");
    }
    let as_format = |format, text: &str| {
        Read::from_bytes(text.as_bytes(), Some(format)).unwrap_err().to_string()
    };
    assert_eq!(
        as_format(Format::Junit, "<html/>"),
        "line 1: <html> is not a JUnit XML root element"
    );
    assert_eq!(as_format(Format::Tap, "hello\n"), "neither a plan nor a test found");
    assert_eq!(as_format(Format::Go, "{\"a\":1}\n"), "line 1: not a go test event");
    assert_eq!(as_format(Format::Libtest, "nothing\n"), "no events found");
    assert_eq!(as_format(Format::Libtest, "{}\n"), "line 1: not a libtest event");
    assert!(as_format(Format::Ctrf, "{\n\"results\": 1}").starts_with("line 2: invalid CTRF"));
    assert_eq!(as_format(Format::Junit, ""), "no elements found");
}

#[test]
fn formats_have_words() {
    for format in Format::ALL {
        assert_eq!(Format::from_word(format.as_str()), Some(format));
    }
    assert_eq!(Format::from_word("html"), None);
}

#[test]
fn nothing_that_speaks_against_a_report_is_overheard() {
    let nunit = |result: &str| {
        format!(
            "<test-run result='{result}' total='1'><test-suite type='x' name='s' result='Passed'>\
             <test-case name='a' result='Passed'/></test-suite></test-run>"
        )
    };
    let xunit = |totals: &str| {
        format!(
            "<assemblies><assembly name='x' {totals}><collection name='c'>\
             <test name='a' result='Pass'/></collection></assembly></assemblies>"
        )
    };
    let trx = |summary: &str| {
        format!(
            "<TestRun><Results><UnitTestResult testName='a' outcome='Passed'/></Results>{summary}</TestRun>"
        )
    };
    let junit = |attributes: &str| {
        format!(
            "<testsuite name='s'><testcase name='a'/><testcase name='b' {attributes}/></testsuite>"
        )
    };
    let nunit2 = |failure: &str| {
        format!(
            "<test-results total='1'><test-suite name='F' executed='True' result='Error'>{failure}<results>\
             <test-case name='F.a' executed='True' result='Success'/></results></test-suite></test-results>"
        )
    };
    let torn_down = "<failure><message>TearDown : x</message></failure>";
    for (text, is_success) in [
        (nunit("Passed"), true),
        (nunit("Failed"), false),
        (nunit("Cancelled"), false),
        (nunit2(""), false),
        (nunit2(torn_down), false),
        (xunit("failed='0' errors='0'"), true),
        (xunit("failed='1' errors='0'"), false),
        (xunit("failed='0' errors='1'"), false),
        (trx(""), true),
        (trx("<ResultSummary outcome='Aborted'/>"), false),
        (trx("<ResultSummary outcome='Timeout'/>"), false),
        (trx("<ResultSummary outcome='Completed'><Counters failed='2'/></ResultSummary>"), false),
        (junit("status='run' result='completed'"), true),
        (junit("status='failed'"), false),
        (junit("result='error'"), false),
        ("1..2\nok 2 b\nok 1 a\n".to_owned(), true),
        ("1..2\nok 1 a\nok 1 b\n".to_owned(), false),
        ("1..0\nok 1 a\n".to_owned(), false),
    ] {
        let verdict = read(&text).tally.verdict;
        assert_eq!(verdict.is_success(), is_success, "{text}: {:?}", verdict.reasons());
    }
    // The suite's own message is kept.
    let read = read(&nunit2(torn_down));
    assert_eq!(cases(&read), ["F::F.a passed", "F::F error"]);
    let message = read.cases[1].failure.as_ref().unwrap().message.as_deref();
    assert_eq!(message, Some("TearDown : x"));
}

#[test]
fn what_another_tool_wrote_is_called_by_its_name() {
    for (text, name) in [
        ("<project><modelVersion>4.0.0</modelVersion></project>", "<project>"),
        ("<!DOCTYPE html><html></html>", "a web page"),
        ("<checkstyle version='1'/>", "a lint report"),
        (r#"{"collection":{"info":{}},"run":{}}"#, "Newman"),
        (r#"{"generator":"Robot 7.1","suite":{}}"#, "Robot Framework JSON"),
        (r#"{"meta":{},"files":{},"totals":{}}"#, "a coverage report"),
        ("TN:\nSF:a.c\n", "a coverage report"),
        (r#"[{"filePath":"a","messages":[],"errorCount":0}]"#, "ESLint"),
        ("ok 12 files were copied\n", "not a report in a supported format"),
    ] {
        let refused = Read::from_bytes(text.as_bytes(), None).unwrap_err().to_string();
        assert!(refused.contains(name), "{text}: {refused}");
    }
}
