//! Cases come back as they were reported.

use super::fixtures::{all, report, result, results, with_tests};
use crate::*;

conformance!(
    cases_come_back_as_they_were_reported,
    steps_bring_cases_that_follow_on_each_other,
    many_cases_go_in_by_pieces_and_equal_names_from_many_writers_at_once,
    a_project_that_is_deleted_takes_its_cases_with_it,
    cases_may_be_packed_before_they_are_stored,
    what_a_report_repeats_is_stored_once,
);

fn cases_come_back_as_they_were_reported(store: &Store) {
    let project = store.project("p");
    let mut tests = vec![
        result("a.B", "c[d/e %20 ü]", TestStatus::Passed),
        result("", "\u{1F600}", TestStatus::Failed),
        result("a.B", "c[d/e %20 ü]", TestStatus::Error),
    ];
    tests[1].details = TestDetails {
        stdout: "out\u{0}\u{1b}[0m".repeat(200),
        stderr: "err".into(),
        properties: vec![("k".into(), "v".into())],
        retries: 2,
        file: Some("x.py".into()),
        line: Some(7),
    }
    .into();
    tests[1].micros = None;
    let new = with_tests(&project, "2026-01-01T00:00:00Z", tests.clone());
    let id = new.id;
    assert_eq!(store.record(new), Recorded::New);
    assert_eq!(results(store, &all(&project, id)), tests);
    let summary = store.find(&project, id).tests;
    assert_eq!(
        (summary.total, summary.passed, summary.failed, summary.error, summary.micros),
        (3, 1, 1, 1, 3000)
    );
    assert_eq!(store.receipt_list(project.id, id, 9).unwrap().files, ["{\"format\":\"junit\"}"]);
}

fn steps_bring_cases_that_follow_on_each_other(store: &Store) {
    let project = store.project("p");
    let open = running(&project);
    let id = open.id;
    store.record(open);
    let names = ["a", "b", "c"];
    for name in names {
        let new = NewStep {
            project: project.id,
            build: id,
            step: step(name, true),
            test_report: report(
                vec![result("s", name, TestStatus::Passed)],
                &format!("\"{name}\""),
            ),
            claim: None,
        };
        assert_eq!(store.step_append_many(&[new]).unwrap(), [Appended::Done]);
    }
    let found = results(store, &all(&project, id));
    assert_eq!(found.iter().map(|result| result.name.as_str()).collect::<Vec<_>>(), names);
    assert_eq!(store.find(&project, id).tests.passed, 3);
    assert_eq!(store.receipt_list(project.id, id, 9).unwrap().files, ["\"a\"", "\"b\"", "\"c\""]);
}

fn many_cases_go_in_by_pieces_and_equal_names_from_many_writers_at_once(store: &Store) {
    let project = store.project("p");
    let tests: Vec<_> =
        (0..2500).map(|n| result("s", &format!("t{}", n % 1200), TestStatus::Failed)).collect();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (mut tests, project) = (tests.clone(), &project);
            // Each begins with names that others come to later.
            tests.rotate_left(300 * writer);
            scope.spawn(move || {
                let new = with_tests(project, "2026-01-01T00:00:00Z", tests);
                let id = new.id;
                assert_eq!(store.record(new), Recorded::New);
                assert_eq!(results(store, &all(project, id)).len(), 2500);
            });
        }
    });
    let history = store.test_history(project.id, "s::t7", None, 100, false).unwrap().unwrap();
    assert_eq!(history.runs.len(), 12);
}

fn a_project_that_is_deleted_takes_its_cases_with_it(store: &Store) {
    let project = store.project("p");
    let new =
        with_tests(&project, "2026-01-01T00:00:00Z", vec![result("s", "t", TestStatus::Failed)]);
    let id = new.id;
    store.record(new);
    store.project_delete(project.id, None).unwrap();
    while store.purge(Timestamp::now(), KEEP).unwrap() {}
    assert_eq!(store.test_list(&all(&project, id)).unwrap(), []);
    assert_eq!(store.receipt_list(project.id, id, 9).unwrap().files, [] as [String; 0]);
    assert_eq!(store.test_history(project.id, "s::t", None, 1, false).unwrap(), None);
}

fn cases_may_be_packed_before_they_are_stored(store: &Store) {
    let (project, gone) = (store.project("p"), store.project("gone"));
    let tests = vec![
        result("s", "a", TestStatus::Passed),
        result("s", "b", TestStatus::Failed),
        result("s", "a", TestStatus::Flaky),
    ];
    let packed = store.test_pack(project.id, &tests.clone().into()).unwrap();
    assert_eq!((packed.len(), Cases::Packed(packed.clone()).len()), (3, 3));
    for started in ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"] {
        let mut new = build(&project, started, &[]);
        new.test_report.tests = Cases::Packed(packed.clone());
        let id = new.id;
        assert_eq!(store.record(new), Recorded::New);
        assert_eq!(results(store, &all(&project, id)), tests);
        assert_eq!(store.find(&project, id).tests.failed, 1);
    }
    // A project that is deleted gets no names any more.
    store.project_delete(gone.id, None).unwrap();
    let packed = store.test_pack(gone.id, &tests.clone().into()).unwrap();
    assert!(packed.is_empty());
    let mut new = build(&gone, "2026-01-01T00:00:00Z", &[]);
    new.test_report.tests = tests.into();
    assert_eq!(store.record(new), Recorded::NoProject);
}

fn what_a_report_repeats_is_stored_once(store: &Store) {
    let project = store.project("p");
    let failure = |n: usize| TestFailure { message: Some(n.to_string()), ..TestFailure::default() };
    // More failures than go in with the report, each twice.
    let tests: Vec<TestResult> = (0..3_000)
        .map(|n| TestResult {
            failure: Some(failure(n / 2)),
            ..result("s", &format!("t{n}"), TestStatus::Failed)
        })
        .collect();
    for started in ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"] {
        let new = with_tests(&project, started, tests.clone());
        let id = new.id;
        assert_eq!(store.record(new), Recorded::New);
        assert_eq!(results(store, &all(&project, id)), tests);
    }
}
