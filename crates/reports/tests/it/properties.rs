//! Parsing what was written in a format restores it, and no input makes a parser panic.

use proptest::prelude::*;

use super::*;

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_ <>&\"'\\[\\]/:.ü-]{1,12}"
        .prop_filter("not blank", |text| text.trim() == text && !text.is_empty())
}

#[derive(Debug, Clone)]
struct Written {
    name: String,
    status: Status,
    micros: u64,
    text: String,
}

fn written() -> impl Strategy<Value = Vec<Written>> {
    let status = proptest::sample::select(vec![
        Status::Passed,
        Status::Failed,
        Status::Error,
        Status::Skipped,
    ]);
    let one = (name(), status, 0u64..10_000_000_000, "[a-z<>&\\n]{0,20}");
    proptest::collection::vec(
        one.prop_map(|(name, status, micros, text)| Written { name, status, micros, text }),
        0..8,
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace('\n', "&#10;")
}

fn junit(cases: &[Written]) -> String {
    let case = |case: &Written| {
        let (name, text) = (escaped(&case.name), escaped(&case.text));
        let seconds = format!("{}.{:06}", case.micros / 1_000_000, case.micros % 1_000_000);
        let inner = match case.status {
            Status::Failed => format!("<failure message=\"{text}\"/>"),
            Status::Error => format!("<error message=\"{text}\"/>"),
            Status::Skipped => format!("<skipped message=\"{text}\"/>"),
            _ => String::new(),
        };
        format!("<testcase name=\"{name}\" time=\"{seconds}\">{inner}</testcase>\n")
    };
    let inner: String = cases.iter().map(case).collect();
    format!("<testsuite name=\"s\" tests=\"{}\">{inner}</testsuite>", cases.len())
}

fn tap(cases: &[Written]) -> String {
    let mut text = format!("TAP version 14\n1..{}\n", cases.len());
    for (at, case) in cases.iter().enumerate() {
        let ok =
            if matches!(case.status, Status::Passed | Status::Skipped) { "ok" } else { "not ok" };
        let skip = if case.status == Status::Skipped { " # SKIP" } else { "" };
        text += &format!("{ok} {} - {}{skip}\n", at + 1, case.name.replace('#', "\\#"));
    }
    text
}

fn go(cases: &[Written]) -> String {
    let event = |case: &Written| {
        let action = match case.status {
            Status::Passed => "pass",
            Status::Skipped => "skip",
            _ => "fail",
        };
        serde_json::json!({"Action": action, "Package": "p", "Test": case.name, "Elapsed": case.micros as f64 / 1e6}).to_string()
    };
    let mut lines: Vec<String> = cases.iter().map(event).collect();
    lines.push(serde_json::json!({"Action": "pass", "Package": "p"}).to_string());
    lines.join("\n")
}

fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

fn libtest(cases: &[Written]) -> String {
    let mut lines =
        vec![format!(r#"{{"type":"suite","event":"started","test_count":{}}}"#, cases.len())];
    for case in cases {
        let event = match case.status {
            Status::Passed => "ok",
            Status::Skipped => "ignored",
            _ => "failed",
        };
        let seconds = case.micros as f64 / 1e6;
        lines.push(serde_json::json!({"type": "test", "event": event, "name": case.name, "exec_time": seconds, "stdout": case.text}).to_string());
    }
    lines.push(r#"{"type":"suite","event":"ok"}"#.to_owned());
    lines.join("\n")
}

fn ctrf(cases: &[Written]) -> String {
    let case = |case: &Written| {
        let status = match case.status {
            Status::Passed => "passed",
            Status::Skipped => "skipped",
            Status::Failed => "failed",
            _ => "other",
        };
        serde_json::json!({"name": case.name, "status": status, "duration": case.micros as f64 / 1e3, "message": case.text})
    };
    let tests: Vec<_> = cases.iter().map(case).collect();
    serde_json::json!({"reportFormat": "CTRF", "results": {"tool": {"name": "t"}, "tests": tests}})
        .to_string()
}

fn trx(cases: &[Written]) -> String {
    let case = |case: &Written| {
        let outcome = match case.status {
            Status::Passed => "Passed",
            Status::Skipped => "NotExecuted",
            Status::Failed => "Failed",
            _ => "Error",
        };
        let (whole, micros) = (case.micros / 1_000_000, case.micros % 1_000_000);
        let clock =
            format!("{:02}:{:02}:{:02}.{micros:06}0", whole / 3600, whole / 60 % 60, whole % 60);
        format!(
            "<UnitTestResult testId=\"i\" testName=\"{}\" outcome=\"{outcome}\" duration=\"{clock}\"><Output><ErrorInfo><Message>{}</Message></ErrorInfo></Output></UnitTestResult>",
            escaped(&case.name),
            escaped(&case.text)
        )
    };
    let results: String = cases.iter().map(case).collect();
    format!("<TestRun name=\"r\"><Results>{results}</Results></TestRun>")
}

fn xunit(cases: &[Written]) -> String {
    let case = |case: &Written| {
        let (name, text, time) = (escaped(&case.name), escaped(&case.text), seconds(case.micros));
        let (result, inner) = match case.status {
            Status::Passed => ("Pass", String::new()),
            Status::Skipped => ("Skip", format!("<reason>{text}</reason>")),
            _ => ("Fail", format!("<failure><message>{text}</message></failure>")),
        };
        format!("<test name=\"{name}\" result=\"{result}\" time=\"{time}\">{inner}</test>")
    };
    let tests: String = cases.iter().map(case).collect();
    format!(
        "<assemblies><assembly name=\"a\"><collection>{tests}</collection></assembly></assemblies>"
    )
}

fn nunit(cases: &[Written]) -> String {
    let case = |case: &Written| {
        let (name, text, time) = (escaped(&case.name), escaped(&case.text), seconds(case.micros));
        let (result, inner) = match case.status {
            Status::Passed => ("result=\"Passed\"", String::new()),
            Status::Skipped => {
                ("result=\"Skipped\"", format!("<reason><message>{text}</message></reason>"))
            }
            Status::Failed => {
                ("result=\"Failed\"", format!("<failure><message>{text}</message></failure>"))
            }
            _ => (
                "result=\"Failed\" label=\"Error\"",
                format!("<failure><message>{text}</message></failure>"),
            ),
        };
        format!(
            "<test-case name=\"{name}\" fullname=\"{name}\" {result} duration=\"{time}\">{inner}</test-case>"
        )
    };
    let tests: String = cases.iter().map(case).collect();
    format!("<test-run><test-suite name=\"s\">{tests}</test-suite></test-run>")
}

fn ctest(cases: &[Written]) -> String {
    let case = |case: &Written| {
        let status = match case.status {
            Status::Passed => "passed",
            Status::Error => "notrun",
            _ => "failed",
        };
        format!(
            "<Test Status=\"{status}\"><Name>{}</Name><Results><NamedMeasurement type=\"numeric/double\" name=\"Execution Time\"><Value>{}</Value></NamedMeasurement><Measurement><Value>{}</Value></Measurement></Results></Test>",
            escaped(&case.name),
            seconds(case.micros),
            escaped(&case.text)
        )
    };
    let tests: String = cases.iter().map(case).collect();
    format!("<Site BuildName=\"b\"><Testing>{tests}</Testing></Site>")
}

/// Compares what a format can express of a case; `status` maps the statuses it lacks.
fn same(
    read: &Read,
    written: &[Written],
    status: fn(Status) -> Status,
) -> Result<(), TestCaseError> {
    let found: Vec<_> =
        read.cases.iter().map(|case| (case.name.clone(), case.outcome(), case.micros)).collect();
    let expected: Vec<_> = written
        .iter()
        .map(|case| (case.name.clone(), status(case.status), Some(case.micros)))
        .collect();
    prop_assert_eq!(found, expected);
    Ok(())
}

/// The messages of the cases that did not pass.
fn messages(cases: &[Case]) -> Vec<String> {
    let message = |case: &Case| case.failure.clone().and_then(|failure| failure.message);
    let bad = cases.iter().filter(|case| case.outcome() != Status::Passed);
    bad.map(|case| message(case).unwrap_or_default()).collect()
}

fn texts(cases: &[Written]) -> Vec<String> {
    let bad = cases.iter().filter(|case| case.status != Status::Passed);
    bad.map(|case| case.text.trim_matches('\n').to_owned()).collect()
}

fn failed_alone(status: Status) -> Status {
    if status == Status::Error { Status::Failed } else { status }
}

proptest! {
    #[test]
    fn libtest_comes_back(cases in written()) {
        // The format identifies tests by name.
        let mut names = std::collections::HashSet::new();
        let cases: Vec<_> = cases.into_iter().filter(|case| names.insert(case.name.clone())).collect();
        let read = Read::from_bytes(libtest(&cases).as_bytes(), Some(Format::Libtest)).unwrap();
        let mut found: Vec<_> = read.cases.iter().map(|case| (case.name.clone(), case.outcome(), case.micros)).collect();
        let mut expected: Vec<_> =
            cases.iter().map(|case| (case.name.clone(), failed_alone(case.status), Some(case.micros))).collect();
        // Failed tests are held back, since they may be retried.
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn ctrf_comes_back(cases in written()) {
        let read = read(&ctrf(&cases));
        same(&read, &cases, |status| status)?;
    }

    #[test]
    fn trx_comes_back(cases in written()) {
        let read = read(&trx(&cases));
        same(&read, &cases, |status| status)?;
        prop_assert_eq!(messages(&read.cases), texts(&cases));
    }

    #[test]
    fn xunit_comes_back(cases in written()) {
        let read = read(&xunit(&cases));
        same(&read, &cases, failed_alone)?;
        prop_assert_eq!(messages(&read.cases), texts(&cases));
    }

    #[test]
    fn nunit_comes_back(cases in written()) {
        let read = read(&nunit(&cases));
        same(&read, &cases, |status| status)?;
        prop_assert_eq!(messages(&read.cases), texts(&cases));
    }

    #[test]
    fn ctest_comes_back(cases in written()) {
        let read = read(&ctest(&cases));
        // The format has no status for skipped.
        same(&read, &cases, |status| if status == Status::Skipped { Status::Failed } else { status })?;
        let outputs: Vec<_> = read.cases.iter().map(|case| case.stdout.clone()).collect();
        let written: Vec<_> = cases.iter().map(|case| case.text.clone()).collect();
        prop_assert_eq!(outputs, written);
    }

    #[test]
    fn junit_comes_back(cases in written()) {
        let read = read(&junit(&cases));
        prop_assert_eq!(read.cases.len(), cases.len());
        for (read, written) in read.cases.iter().zip(&cases) {
            prop_assert_eq!(&read.name, &written.name);
            prop_assert_eq!(read.outcome(), written.status);
            prop_assert_eq!(read.micros, Some(written.micros));
            let message = read.failure.as_ref().and_then(|failure| failure.message.clone());
            let expected = (written.status != Status::Passed && !written.text.is_empty()).then(|| written.text.clone());
            prop_assert_eq!(message, expected);
        }
    }

    #[test]
    fn tap_comes_back(cases in written()) {
        let read = read(&tap(&cases));
        prop_assert_eq!(read.cases.len(), cases.len());
        for (read, written) in read.cases.iter().zip(&cases) {
            let status = if written.status == Status::Error { Status::Failed } else { written.status };
            prop_assert_eq!((&read.name, read.outcome()), (&written.name, status));
        }
    }

    #[test]
    fn go_comes_back(cases in written()) {
        let read = read(&go(&cases));
        let statuses: Vec<_> = read.cases.iter().map(|case| (case.name.clone(), case.outcome().is_bad())).collect();
        let expected: Vec<_> = cases.iter().map(|case| (case.name.clone(), case.status.is_bad())).collect();
        prop_assert_eq!(statuses, expected);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for format in Format::ALL {
            let _ = Read::from_bytes(&bytes, Some(format));
        }
    }

    #[test]
    fn no_pieces_of_reports_make_a_reader_panic(pieces in proptest::collection::vec(proptest::sample::select(PIECES.to_vec()), 0..30)) {
        let text = pieces.concat();
        for format in Format::ALL {
            let _ = Read::from_bytes(text.as_bytes(), Some(format));
        }
    }
}

/// Fragments of the formats, so that random texts resemble them.
const PIECES: [&str; 40] = [
    "<testsuite name='s'>",
    "</testsuite>",
    "<testcase name='a' time='1,5'>",
    "</testcase>",
    "<failure>",
    "</failure>",
    "<skipped/>",
    "<rerunFailure message='m'/>",
    "<Site>",
    "</Site>",
    "<Test Status='failed'>",
    "</Test>",
    "<Value encoding='base64'>AAAA</Value>",
    "<TestRun>",
    "</TestRun>",
    "<UnitTestResult outcome='Failed' duration='1.02:03:04'>",
    "</UnitTestResult>",
    "<assembly>",
    "</assembly>",
    "<test-case result='Failed'>",
    "</test-case>",
    "&#0;",
    "&amp;",
    "&x;",
    "\n",
    "    ",
    "  ---\n",
    "  ...\n",
    "ok 1 - a\n",
    "not ok 2 # TODO\n",
    "1..3\n",
    "# Subtest: x\n",
    "Bail out!\n",
    "{\"Action\":\"run\",\"Test\":\"T\"}\n",
    "{\"Action\":\"fail\",\"Package\":\"p\"}\n",
    "{\"type\":\"suite\",\"event\":\"started\",\"test_count\":9}\n",
    "{\"type\":\"test\",\"event\":\"failed\",\"name\":\"a$b#2\"}\n",
    "{\"results\":{\"tests\":[",
    "]}}",
    "\u{feff}",
];
