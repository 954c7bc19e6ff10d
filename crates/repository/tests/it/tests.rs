//! Test cases of builds, their history, and receipts.

use crate::conformance;

use super::*;

pub(crate) fn result(suite: &str, name: &str, status: TestStatus) -> TestResult {
    let failure = status.is_bad().then(|| TestFailure {
        kind: Some("E".into()),
        message: Some("no".into()),
        text: Some("at line 7\n".repeat(100)),
    });
    TestResult {
        suite: suite.into(),
        name: name.into(),
        status,
        micros: Some(1500),
        failure,
        details: TestDetails::default(),
    }
}

fn with_tests(project: &Project, started: &str, tests: Vec<TestResult>) -> NewBuild {
    NewBuild {
        tests,
        receipts: vec!["{\"format\":\"junit\"}".into()],
        ..build(project, started, &[])
    }
}

fn all(project: &Project, build: BuildId) -> TestQuery {
    TestQuery {
        project: project.id,
        build,
        statuses: Vec::new(),
        suite: None,
        text: None,
        from: 0,
        limit: 10_000,
    }
}

fn results(store: &Store, query: &TestQuery) -> Vec<TestResult> {
    store.test_list(query).unwrap().into_iter().map(|placed| placed.result).collect()
}

conformance! {
    fn cases_come_back_as_they_were_reported(store: &Store) {
        let project = store.project("p");
        let mut tests = vec![
            super::result("a.B", "c[d/e %20 ü]", TestStatus::Passed),
            super::result("", "\u{1F600}", TestStatus::Failed),
            super::result("a.B", "c[d/e %20 ü]", TestStatus::Error),
        ];
        tests[1].details = TestDetails {
            stdout: "out\u{0}\u{1b}[0m".repeat(200),
            stderr: "err".into(),
            properties: vec![("k".into(), "v".into())],
            retries: 2,
            file: Some("x.py".into()),
            line: Some(7),
        };
        tests[1].micros = None;
        let new = super::with_tests(&project, "2026-01-01T00:00:00Z", tests.clone());
        let id = new.id;
        assert_eq!(store.record(new), Recorded::New);
        assert_eq!(super::results(store, &super::all(&project, id)), tests);
        let summary = store.find(&project, id).tests;
        assert_eq!((summary.total, summary.passed, summary.failed, summary.error, summary.micros), (3, 1, 1, 1, 3000));
        assert_eq!(store.receipt_list(project.id, id).unwrap(), ["{\"format\":\"junit\"}"]);
    }

    fn cases_are_found_by_status_suite_and_text(store: &Store) {
        let project = store.project("p");
        let tests = vec![
            super::result("alpha", "One_%", TestStatus::Passed),
            super::result("alpha", "two", TestStatus::Failed),
            super::result("beta", "one", TestStatus::Skipped),
        ];
        let new = super::with_tests(&project, "2026-01-01T00:00:00Z", tests);
        let id = new.id;
        store.record(new);
        let names = |change: &dyn Fn(&mut TestQuery)| {
            let mut query = super::all(&project, id);
            change(&mut query);
            super::results(store, &query).into_iter().map(|result| result.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&|query| query.statuses = vec![TestStatus::Failed, TestStatus::Skipped]), ["two", "one"]);
        assert_eq!(names(&|query| query.suite = Some("alpha".into())), ["One_%", "two"]);
        assert_eq!(names(&|query| query.text = Some("ONE".into())), ["One_%", "one"]);
        assert_eq!(names(&|query| query.text = Some("_%".into())), ["One_%"]);
        assert_eq!(names(&|query| query.text = Some("a::o".into())), ["One_%", "one"]);
        assert_eq!(names(&|query| (query.from, query.limit) = (1, 1)), ["two"]);
    }

    fn the_history_of_a_test_is_in_list_order_and_ends(store: &Store) {
        let project = store.project("p");
        let mut ids = Vec::new();
        for (day, status) in (1..=5).zip(TestStatus::ALL) {
            let new = super::with_tests(&project, &format!("2026-01-0{day}T00:00:00Z"), vec![super::result("s", "t", status)]);
            ids.push(new.id);
            store.record(new);
        }
        let history = |from, limit| {
            let runs = store.test_history(project.id, "s::t", from, limit).unwrap().unwrap();
            runs.into_iter().map(|run| (run.build.id, run.test.result.status)).collect::<Vec<_>>()
        };
        let newest_first: Vec<_> = ids.iter().copied().zip(TestStatus::ALL).rev().collect();
        assert_eq!(history(None, 10), newest_first);
        assert_eq!(history(None, 2), newest_first[..2]);
        assert_eq!(history(Some((newest_first[1].0, 0)), 10), newest_first[1..]);
        assert_eq!(history(Some((newest_first[1].0, 1)), 10), newest_first[2..]);
        assert_eq!(store.test_history(project.id, "s::u", None, 10).unwrap(), None);
        assert_eq!(store.test_history(store.project("q").id, "s::t", None, 10).unwrap(), None);
        store.build_delete(project.id, newest_first[0].0, None).unwrap();
        assert_eq!(history(None, 10), newest_first[1..]);
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
                tests: vec![super::result("s", name, TestStatus::Passed)],
                receipts: vec![format!("\"{name}\"")],
                claim: None,
            };
            assert_eq!(store.step_append_many(&[new]).unwrap(), [Appended::Done]);
        }
        let found = super::results(store, &super::all(&project, id));
        assert_eq!(found.iter().map(|result| result.name.as_str()).collect::<Vec<_>>(), names);
        assert_eq!(store.find(&project, id).tests.passed, 3);
        assert_eq!(store.receipt_list(project.id, id).unwrap(), ["\"a\"", "\"b\"", "\"c\""]);
    }

    fn many_cases_go_in_by_pieces_and_equal_names_from_many_writers_at_once(store: &Store) {
        let project = store.project("p");
        let tests: Vec<_> = (0..2500).map(|n| super::result("s", &format!("t{}", n % 1200), TestStatus::Failed)).collect();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let (mut tests, project) = (tests.clone(), &project);
                // Each begins with names that others come to later.
                tests.rotate_left(300 * writer);
                scope.spawn(move || {
                    let new = super::with_tests(project, "2026-01-01T00:00:00Z", tests);
                    let id = new.id;
                    assert_eq!(store.record(new), Recorded::New);
                    assert_eq!(super::results(store, &super::all(project, id)).len(), 2500);
                });
            }
        });
        assert_eq!(store.test_history(project.id, "s::t7", None, 100).unwrap().unwrap().len(), 12);
    }

    fn a_project_that_is_deleted_takes_its_cases_with_it(store: &Store) {
        let project = store.project("p");
        let new = super::with_tests(&project, "2026-01-01T00:00:00Z", vec![super::result("s", "t", TestStatus::Failed)]);
        let id = new.id;
        store.record(new);
        store.project_delete(project.id, None).unwrap();
        while store.purge(Timestamp::now()).unwrap() {}
        assert_eq!(store.test_list(&super::all(&project, id)).unwrap(), []);
        assert_eq!(store.receipt_list(project.id, id).unwrap(), [] as [String; 0]);
        assert_eq!(store.test_history(project.id, "s::t", None, 1).unwrap(), None);
    }
}
