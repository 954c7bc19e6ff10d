#![expect(clippy::unwrap_used, reason = "tests")]

use devmason_domain::{TestResult, TestStatus, Timestamp};
use serde_json::json;

use super::*;
use crate::Derived;

fn launch(value: Value) -> Event {
    Event::Launch(Launch::read(&value))
}

fn start(item: &str, parent: Option<&str>, value: Value) -> Event {
    Event::Start(Start::read(&value, item.to_owned(), parent.map(str::to_owned)).unwrap())
}

fn end(item: &str, value: Value) -> Event {
    Event::End(End::read(&value, item.to_owned(), true))
}

fn log(item: Option<&str>, level: &str, message: &str) -> Event {
    let value =
        json!({"itemUuid": item, "level": level, "message": message, "time": "1795629922000"});
    Event::Logs(vec![Entry::read(&value)])
}

fn over() -> Event {
    Event::LaunchEnd(Launch::read(&json!({"endTime": 1795629930000u64})))
}

fn done(events: Vec<Event>) -> Derived {
    // As they are when they come out of the store.
    let stored = serde_json::to_string(&events).unwrap();
    derive(serde_json::from_str(&stored).unwrap(), false, Timestamp::now()).unwrap()
}

fn test_of<'d>(derived: &'d Derived, name: &str) -> &'d TestResult {
    derived.part.tests.iter().find(|test| test.name == name).unwrap()
}

#[test]
fn leaves_are_cases_within_their_suites_and_nested_steps_are_their_output() {
    let derived = done(vec![
        launch(json!({"name": "unit", "startTime": "1795629920000", "attributes": [
            {"key": "os", "value": "Linux", "system": true}, {"key": "team", "value": "a"}, {"value": 7}]})),
        start("s", None, json!({"name": "suite", "type": "SUITE"})),
        start("m", Some("s"), json!({"name": "module", "type": "TEST"})),
        start(
            "t",
            Some("m"),
            json!({"name": "t", "type": "step", "startTime": 1795629921000u64, "codeRef": "a/test_a.py:6",
            "parameters": [{"key": "n", "value": "1"}]}),
        ),
        start("n", Some("t"), json!({"name": "inner", "type": "STEP", "hasStats": false})),
        log(Some("n"), "INFO", "deep"),
        end("n", json!({"status": "passed"})),
        end(
            "t",
            json!({"status": "FAILED", "endTime": "2026-11-25T18:05:22.500000+0000", "issue": {"issueType": "pb001"}}),
        ),
        start("leaf", Some("s"), json!({"name": "leaf", "type": "TEST"})),
        end("leaf", json!({"status": "skipped"})),
        log(Some("s"), "INFO", "of the suite"),
        over(),
        // Late, and it says why.
        log(Some("t"), "ERROR", "AssertionError: no\n  at a.py"),
        end("m", json!({})),
        end("s", json!({})),
    ]);
    assert!(derived.is_complete && !derived.success);
    assert_eq!(derived.part.tests.len(), 2);
    let failed = test_of(&derived, "t");
    assert_eq!((&*failed.suite, failed.status), ("suite / module", TestStatus::Failed));
    assert_eq!(failed.micros, Some(1_500_000));
    assert_eq!(
        (failed.details.file.as_deref(), failed.details.line),
        (Some("a/test_a.py"), Some(6))
    );
    let failure = failed.failure.as_ref().unwrap();
    assert_eq!(failure.message.as_deref(), Some("AssertionError: no"));
    assert!(
        failed.details.stdout.contains("deep") && failed.details.stdout.contains("inner [passed]")
    );
    assert!(failed.details.properties.contains(&("issue".to_owned(), "pb001".to_owned())));
    assert!(failed.details.properties.contains(&("n".to_owned(), "1".to_owned())));
    assert_eq!(test_of(&derived, "leaf").status, TestStatus::Skipped);
    let tags: Vec<_> = derived.part.tags.iter().map(|tag| tag.as_str()).collect();
    assert_eq!(tags, ["7", "team:a"]);
    assert!(derived.part.client.contains(&("os".to_owned(), "Linux".to_owned())));
    assert_eq!(derived.part.step.unwrap().output, "suite: of the suite\n");
}

#[test]
fn a_launch_is_complete_when_it_and_all_its_items_have_ended() {
    let events = vec![
        launch(json!({"name": "l"})),
        start("t", None, json!({"name": "t", "type": "STEP"})),
        over(),
    ];
    let open = done(events.clone());
    assert!(!open.is_complete && open.part.tests.is_empty());
    let last = derive(events.clone(), true, Timestamp::now()).unwrap();
    assert_eq!((last.success, last.part.tests[0].status), (false, TestStatus::Error));
    let mut all = events;
    all.push(end("t", json!({"status": "passed"})));
    assert!(done(all.clone()).is_complete && done(all).success);
}

#[test]
fn another_attempt_is_the_same_case() {
    let attempt = |id: &str, status: &str, retry: bool| {
        [
            start(id, Some("s"), json!({"name": "t", "type": "STEP", "retry": retry})),
            end(id, json!({"status": status, "retry": retry})),
            log(Some(id), "ERROR", &format!("why {id}")),
        ]
    };
    let of = |attempts: Vec<[Event; 3]>| {
        let mut events = vec![
            launch(json!({"name": "l"})),
            start("s", None, json!({"name": "s", "type": "SUITE"})),
        ];
        events.extend(attempts.into_iter().flatten());
        done(events).part.tests
    };
    let [flaky] =
        of(vec![attempt("a", "failed", false), attempt("b", "passed", true)]).try_into().unwrap();
    assert_eq!((flaky.status, flaky.details.retries), (TestStatus::Flaky, 1));
    assert_eq!(flaky.failure.unwrap().message.as_deref(), Some("why a"));
    let [failed] =
        of(vec![attempt("a", "failed", true), attempt("b", "failed", false)]).try_into().unwrap();
    assert_eq!((failed.status, failed.details.retries), (TestStatus::Failed, 1));
    let mut pytest =
        vec![launch(json!({"name": "l"})), start("t", None, json!({"name": "t", "type": "STEP"}))];
    pytest.push(log(Some("t"), "ERROR", "self = <x>\n\n>   assert v == 1\nE   AssertionError: no"));
    pytest.push(end("t", json!({"status": "failed"})));
    let failure = done(pytest).part.tests[0].failure.clone().unwrap();
    assert_eq!(failure.message.as_deref(), Some("AssertionError: no"));
    // Two tests of one name that nobody repeated.
    assert_eq!(of(vec![attempt("a", "passed", false), attempt("b", "passed", false)]).len(), 2);
    let named = vec![
        launch(json!({"name": "l"})),
        start("a", None, json!({"name": "one", "type": "STEP"})),
        end("a", json!({"status": "failed"})),
        start("b", None, json!({"name": "two", "type": "STEP", "retry_of": "a"})),
        end("b", json!({"status": "passed"})),
    ];
    assert_eq!(done(named).part.tests[0].status, TestStatus::Flaky);
}

#[test]
fn a_hook_is_a_case_only_if_it_failed() {
    let hook = |status: &str| {
        done(vec![
            launch(json!({"name": "l"})),
            start("h", None, json!({"name": "setup", "type": "BEFORE_CLASS"})),
            end("h", json!({"status": status})),
        ])
    };
    assert!(hook("passed").part.tests.is_empty());
    assert_eq!(hook("failed").part.tests[0].status, TestStatus::Error);
}

#[test]
fn old_names_and_kinds_of_time_are_understood() {
    for time in [
        json!(1795629922152u64),
        json!("1795629922152"),
        json!("2026-11-25T18:05:22.152000+0000"),
        json!("2026-11-25T18:05:22.152Z"),
        json!("2026-11-25T18:05:22.152"),
        json!("2026-11-25 18:05:22.152"),
    ] {
        let read =
            Start::read(&json!({"name": "t", "start_time": time}), String::new(), None).unwrap();
        assert_eq!(read.at, Some(1_795_629_922_152_000), "{time}");
    }
    assert_eq!(launch_of(&json!({"launch_id": "x"})).as_deref(), Some("x"));
    assert!(Start::read(&json!({}), String::new(), None).is_err());
    assert_eq!(Launch::read(&json!({"tags": ["a", "b"]})).attributes.len(), 2);
}

#[test]
fn a_file_is_named_and_a_circle_of_parents_ends() {
    let mut entry = Entry::read(&json!({"itemUuid": "t", "message": "shot"}));
    entry.file = Some("the file 'a.png', 3 bytes".to_owned());
    let derived = done(vec![
        launch(json!({"name": "l"})),
        start("t", Some("u"), json!({"name": "t", "type": "STEP"})),
        start("u", Some("t"), json!({"name": "u", "type": "STEP"})),
        start("self", Some("self"), json!({"name": "self", "type": "STEP"})),
        Event::Logs(vec![entry]),
        end("t", json!({})),
        end("u", json!({})),
        end("self", json!({})),
    ]);
    assert_eq!(derived.part.tests.len(), 2);
    assert!(derived.part.receipt.notes[0].text.contains("a.png"));
}

#[test]
fn what_is_not_known_to_be_good_is_bad() {
    let with = |status: Value| {
        done(vec![
            launch(json!({"name": "l"})),
            start("t", None, json!({"name": "t", "type": "STEP"})),
            end("t", json!({"status": status})),
            over(),
        ])
    };
    for status in [json!("FAIL"), json!("broken"), json!(5), json!([])] {
        let derived = with(status.clone());
        assert_eq!(
            (derived.success, derived.part.tests[0].status),
            (false, TestStatus::Error),
            "{status}"
        );
        assert_eq!(derived.part.receipt.notes[0].kind, "guessed");
    }
    assert_eq!(with(json!(" Failed ")).part.tests[0].status, TestStatus::Failed);
    assert!(with(json!("")).success && with(Value::Null).success);
    let nested = done(vec![
        launch(json!({"name": "l"})),
        start("t", None, json!({"name": "t", "type": "STEP"})),
        start("n", Some("t"), json!({"name": "n", "type": "STEP", "hasStats": 0})),
        end("n", json!({"status": "failed"})),
        end("t", json!({})),
    ]);
    assert_eq!((nested.part.tests.len(), nested.part.tests[0].status), (1, TestStatus::Failed));
}

#[test]
fn a_suite_that_failed_without_a_test_fails_the_launch() {
    let derived = done(vec![
        launch(json!({"name": "l"})),
        start("s", None, json!({"name": "s", "type": "SUITE"})),
        start("t", Some("s"), json!({"name": "t", "type": "STEP"})),
        end("t", json!({"status": "passed"})),
        end("s", json!({"status": "failed"})),
        over(),
    ]);
    assert!(!derived.success);
    assert!(derived.part.receipt.notes[0].text.contains("'s' failed"));
}

#[test]
fn a_child_may_start_before_its_parent() {
    let derived = done(vec![
        launch(json!({"name": "l"})),
        start("t", Some("s"), json!({"name": "t", "type": "STEP"})),
        start("s", None, json!({"name": "s", "type": "SUITE"})),
        end("t", json!({"status": "passed"})),
        end("nobody", json!({})),
    ]);
    assert_eq!(&*derived.part.tests[0].suite, "s");
    assert!(derived.part.receipt.notes[0].text.contains("never started"));
}
