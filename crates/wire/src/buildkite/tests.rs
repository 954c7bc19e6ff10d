#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

const BATCH: &str = r#"{"format": "json",
    "run_env": {"CI": "buildkite", "key": "b1", "number": "7", "branch": "main", "commit_sha": "abc", "test_runner": "pytest"},
    "tags": {"team": "a,b"},
    "data": [
        {"scope": "test_a.py::TestGroup", "name": "test_fail", "location": "test_a.py:6", "file_name": "test_a.py",
         "result": "failed", "failure_reason": "AssertionError: no",
         "failure_expanded": [{"expanded": ["one", "two"], "backtrace": ["three"]}],
         "history": {"section": "top", "start_at": 0.006, "duration": 0.18, "children": [{}]}},
        {"scope": "s", "name": "p", "result": "pending"},
        {"name": "u", "result": "unknown"}]}"#;

#[test]
fn a_batch_is_a_step_with_its_cases() {
    let Batch { key, part } = read(BATCH.as_bytes(), Timestamp::now()).unwrap();
    assert_eq!(key, "b1");
    let step = part.step.unwrap();
    assert_eq!((step.name.as_str(), step.success), ("pytest", false));
    let [failed, skipped, unknown] = part.tests.as_slice() else { unreachable!() };
    assert_eq!((&*failed.suite, failed.status), ("test_a.py::TestGroup", TestStatus::Failed));
    assert_eq!((failed.details.file.as_deref(), failed.details.line), (Some("test_a.py"), Some(6)));
    assert_eq!(failed.micros, Some(180_000));
    let failure = failed.failure.as_ref().unwrap();
    assert_eq!(failure.message.as_deref(), Some("AssertionError: no"));
    assert_eq!(failure.text.as_deref(), Some("one\ntwo\nthree"));
    assert_eq!((skipped.status, unknown.status), (TestStatus::Skipped, TestStatus::Error));
    let client =
        |name: &str| part.client.iter().find(|(known, _)| known == name).unwrap().1.as_str();
    assert_eq!([client("commit"), client("branch"), client("build_number")], ["abc", "main", "7"]);
    assert_eq!(part.tags[0].as_str(), "team:a_b");
    let kinds: Vec<_> = part.receipt.notes.iter().map(|note| note.kind.as_str()).collect();
    assert_eq!(kinds, ["cut", "guessed", "dropped"]);
    assert_eq!(part.receipt.tests.unwrap().total, 3);
}

#[test]
fn a_form_has_a_report_file() {
    let junit = b"<testsuite name='s'><testcase name='a'/></testsuite>".as_slice();
    let field = |name, value| Field { name, file: None, value };
    let form = [
        field("format", b"junit".as_slice()),
        field("data", junit),
        field("run_env[key]", b"k"),
        field("tags[team]", b"x"),
    ];
    let batch = read_form(&form, Timestamp::now()).unwrap();
    assert_eq!((batch.key.as_str(), batch.part.tests.len()), ("k", 1));
    assert_eq!(batch.part.tags[0].as_str(), "team:x");
    let form = [
        field("format", b"rspec-json".as_slice()),
        field("data", junit),
        field("run_env[key]", b"k"),
    ];
    assert!(matches!(read_form(&form, Timestamp::now()), Err(WireError::UnknownFormat(_))));
    let form = [field("format", b"junit".as_slice()), field("data", junit)];
    assert!(read_form(&form, Timestamp::now()).unwrap_err().to_string().contains("run_env.key"));
}

#[test]
fn one_odd_value_does_not_cost_the_batch() {
    let odd = r#"{"run_env": {"key": 7}, "data": [{"name": 5, "result": "failed", "failure_reason": ["a"],
        "failure_expanded": [null, {"expanded": "line"}], "history": {"duration": "0.1"}}, 3, {"name": "\\ud83d", "result": "passed"}]}"#;
    let Batch { key, part } = read(odd.replace("\\\\", "\\").as_bytes(), Timestamp::now()).unwrap();
    assert_eq!((key.as_str(), part.tests.len()), ("7", 3));
    assert_eq!((part.tests[0].name.as_str(), part.tests[0].micros), ("5", Some(100_000)));
    assert_eq!(part.tests[0].failure.as_ref().unwrap().text.as_deref(), Some("line"));
    assert_eq!(part.tests[2].name, "\u{fffd}");
    assert!(read(br#"{"run_env": {"key": {}}, "data": []}"#, Timestamp::now()).is_err());
}

#[test]
fn the_same_file_of_another_job_is_another_batch() {
    let junit = b"<testsuite name='s'><testcase name='a'/></testsuite>".as_slice();
    let field = |name, value| Field { name, file: None, value };
    let of = |job: &'static [u8]| {
        let form = [
            field("format", b"junit".as_slice()),
            field("data", junit),
            field("run_env[key]", b"k"),
            field("run_env[job_id]", job),
        ];
        read_form(&form, Timestamp::now()).unwrap().part.receipt.digest
    };
    assert_ne!(of(b"1"), of(b"2"));
    let twice = [
        field("format", b"junit".as_slice()),
        field("data", junit),
        field("data", junit),
        field("run_env[key]", b"k"),
    ];
    assert!(read_form(&twice, Timestamp::now()).is_err());
}
