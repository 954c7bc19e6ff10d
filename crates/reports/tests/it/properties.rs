//! What is written in a format and read again is the same, and nothing makes a reader panic.

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

proptest! {
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

/// Of what the formats are made, so that random texts come near to them.
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
