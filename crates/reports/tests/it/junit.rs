//! JUnit XML and its dialects.

use super::*;

#[test]
fn cases_have_what_is_said_of_them() {
    let read = read(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites><testsuite name="s" tests="1" time="1.5" timestamp="2026-01-02T03:04:05" hostname="ci-7">
  <properties><property name="os" value="linux"/></properties>
  <testcase classname="a.B" name="c" time="0.25" file="a/b.py" line="7">
    <properties><property name="id">42</property></properties>
    <failure type="AssertionError" message="1 &lt; 2&#10;"><![CDATA[at <b>]]> line 7</failure>
    <system-out>out</system-out><system-err>err</system-err>
  </testcase>
  <system-out>of the suite</system-out>
</testsuite></testsuites>"#,
    );
    let case = &read.cases[0];
    assert_eq!(
        *case,
        Case {
            suites: ["s".into()].into(),
            class: Some("a.B".into()),
            name: "c".into(),
            status: Some(Status::Failed),
            micros: Some(250_000),
            failure: Some(Failure {
                kind: Some("AssertionError".into()),
                message: Some("1 < 2\n".into()),
                text: Some("at <b> line 7".into()),
            }),
            stdout: "out".into(),
            stderr: "err".into(),
            properties: vec![("id".into(), "42".into())],
            file: Some("a/b.py".into()),
            line: Some(7),
            report_line: Some(4),
            ..Case::default()
        }
    );
    let suite = &read.suites[0];
    assert_eq!(
        (suite.micros, suite.host.as_deref(), suite.stdout.as_str()),
        (Some(1_500_000), Some("ci-7"), "of the suite")
    );
    assert_eq!(suite.properties, [("os".to_owned(), "linux".to_owned())]);
    assert_eq!(suite.started.unwrap().to_rfc3339_utc(), "2026-01-02T03:04:05Z");
    // The suite does not count failures, so none are missing.
    assert_eq!(notes(&read), [] as [&str; 0]);
}

#[test]
fn nested_suites_are_counted_once_and_skipped_is_not_passed() {
    let read = read(
        r#"<testsuites name="all" tests="3"><testsuite name="outer" tests="3" skipped="1">
  <testsuite name="inner" tests="2"><testcase name="a"/><testcase name="b"><skipped message="why"/></testcase></testsuite>
  <testcase name="c"/>
</testsuite></testsuites>"#,
    );
    assert_eq!(
        cases(&read),
        [
            "all / outer / inner::a passed",
            "all / outer / inner::b skipped",
            "all / outer::c passed"
        ]
    );
    assert_eq!(read.cases[1].failure.as_ref().unwrap().message.as_deref(), Some("why"));
    assert_eq!(read.suites.len(), 3);
    assert_eq!(notes(&read), [] as [&str; 0]);
}

#[test]
fn totals_that_are_missing_or_lie_are_told() {
    let read = read(
        "<testsuite name='s' tests='5' failures='2'>\n<testcase name='a'/>\n<testcase name='b'><failure/></testcase></testsuite>",
    );
    assert_eq!(
        notes(&read),
        [
            "1 odd: the suite 's' says tests=\"5\", but contains 2",
            "1 verdict: the suite 's' says failures=\"2\", but contains 1"
        ]
    );
}

#[test]
fn a_case_that_passed_after_it_failed_is_flaky_and_one_that_failed_again_is_not() {
    let read = read(
        r#"<testsuite name="s">
<testcase name="flaky"><flakyFailure message="first" type="E"><stackTrace>trace</stackTrace><system-out>no</system-out></flakyFailure></testcase>
<testcase name="bad"><failure message="last"/><rerunFailure message="again"/><rerunError message="and again"/></testcase>
<testcase name="broken"><error message="e"/></testcase>
</testsuite>"#,
    );
    assert_eq!(cases(&read), ["s::flaky flaky", "s::bad failed", "s::broken error"]);
    let (flaky, bad) = (&read.cases[0], &read.cases[1]);
    assert_eq!((flaky.retries, bad.retries), (1, 2));
    let failure = flaky.failure.as_ref().unwrap();
    assert_eq!(
        (failure.message.as_deref(), failure.text.as_deref()),
        (Some("first"), Some("trace"))
    );
    assert_eq!(bad.failure.as_ref().unwrap().message.as_deref(), Some("last"));
}

#[test]
fn what_is_worse_counts_and_nothing_that_is_said_is_lost() {
    let read = read(
        "<testsuite name='s'><testcase name='a'><failure message='one'/><error message='two'>three</error></testcase></testsuite>",
    );
    let case = &read.cases[0];
    assert_eq!(case.outcome(), Status::Error);
    let failure = case.failure.as_ref().unwrap();
    assert_eq!(
        (failure.message.as_deref(), failure.text.as_deref()),
        (Some("one"), Some("two\n\nthree"))
    );
}

#[test]
fn several_roots_one_after_the_other_are_read() {
    let read = read(
        "<?xml version='1.0'?><testsuite name='a'><testcase name='x'/></testsuite>\n<?xml version='1.0'?><testsuite name='b'><testcase name='y'/></testsuite>",
    );
    assert_eq!(cases(&read), ["a::x passed", "b::y passed"]);
    assert_eq!(notes(&read), ["- odd: the file contains 2 XML documents; all were parsed"]);
}

#[test]
fn cases_that_are_there_twice_are_kept_and_told() {
    let read = read("<testsuite name='s'><testcase name='a'/>\n<testcase name='a'/></testsuite>");
    assert_eq!(read.cases.len(), 2);
    assert_eq!(notes(&read), ["2 doubled: 'a' appears twice; both are kept"]);
}

#[test]
fn a_case_that_was_not_run_is_skipped() {
    let read = read(
        "<testsuites><testsuite name='g'><testcase name='a' status='notrun' result='suppressed'/><testcase name='b' status='run' result='completed'/></testsuite></testsuites>",
    );
    assert_eq!(cases(&read), ["g::a skipped", "g::b passed"]);
}

#[test]
fn durations_and_dates_that_are_none_are_told() {
    let read = read(
        "<testsuite name='s' timestamp='yesterday'><testcase name='a' time='soon'/>\n<testcase name='b' time='1,234'/></testsuite>",
    );
    assert_eq!(
        notes(&read),
        [
            "1 odd: timestamp=\"yesterday\" is not a date",
            "1 odd: time=\"soon\" is not a duration",
            "2 guessed: time=\"1,234\" interpreted as 1234 seconds",
        ]
    );
}

#[test]
fn what_is_not_known_is_told_once() {
    let read =
        read("<testsuite name='s'><testcase name='a'><video/><video/></testcase></testsuite>");
    assert_eq!(notes(&read), ["1 dropped: unknown element <video> ignored, here and below"]);
}

#[test]
fn utf_16_and_other_encodings_are_read() {
    let text = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><testsuite name='ü'><testcase name='日本'/></testsuite>";
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut with_mark = vec![0xFF, 0xFE];
    with_mark.extend(&utf_16);
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for bytes in [utf_16, with_mark, big] {
        assert_eq!(cases(&Read::from_bytes(&bytes, None).unwrap()), ["ü::日本 passed"]);
    }
    let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><testsuite name='\xfc'><testcase name='a'/></testsuite>";
    assert_eq!(cases(&Read::from_bytes(latin, None).unwrap()), ["ü::a passed"]);
    let with_mark = b"\xEF\xBB\xBF<testsuite name='s'><testcase name='a'/></testsuite>";
    assert_eq!(cases(&Read::from_bytes(with_mark, None).unwrap()), ["s::a passed"]);
}

#[test]
fn characters_that_xml_forbids_do_no_harm() {
    let read = Read::from_bytes(
        b"<testsuite name='s'><testcase name='a'><system-out>\x1b[31mred\x00 &#27;[0m &#0; \xff</system-out></testcase></testsuite>",
        None,
    )
    .unwrap();
    assert_eq!(read.cases[0].stdout, "\u{1b}[31mred\0 \u{1b}[0m \0 \u{fffd}");
    assert_eq!(notes(&read), ["- odd: 1 invalid byte sequences were replaced by U+FFFD"]);
}

#[test]
fn tests_of_one_name_are_told_apart_by_their_suite_or_project() {
    let browsers = read(
        "<testsuites><testsuite name='Chrome'><testcase classname='cart' name='adds'/></testsuite>\
         <testsuite name='Firefox'><testcase classname='cart' name='adds'/></testsuite></testsuites>",
    );
    assert_eq!(cases(&browsers), ["cart::adds passed", "cart::adds [Firefox] passed"]);
    let projects = read(
        "<testsuites><testsuite name='a.spec.ts' hostname='chromium'>\
         <testcase classname='a.spec.ts' name='adds'/></testsuite>\
         <testsuite name='a.spec.ts' hostname='webkit'>\
         <testcase classname='a.spec.ts' name='adds'/></testsuite></testsuites>",
    );
    assert_eq!(cases(&projects), ["a.spec.ts::adds passed", "a.spec.ts::adds [webkit] passed"]);
    let one = read(
        "<testsuite name='s' hostname='ci'><testcase classname='c' name='n'/>\
         <testcase classname='c' name='n'/></testsuite>",
    );
    assert_eq!(cases(&one), ["c::n passed", "c::n passed"]);
    assert!(notes(&one)[0].contains("appears twice"), "{:?}", notes(&one));
}
