//! Test cases of builds, their history, and receipts.

use crate::*;

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
        details: Details::default(),
    }
}

fn report(tests: Vec<TestResult>, receipt: &str) -> TestReport {
    TestReport { tests: tests.into(), receipts: vec![receipt.into()], ..TestReport::default() }
}

fn with_tests(project: &Project, started: &str, tests: Vec<TestResult>) -> NewBuild {
    NewBuild {
        test_report: report(tests, "{\"format\":\"junit\"}"),
        ..build(project, started, &[])
    }
}

fn all(project: &Project, build: BuildId) -> TestQuery {
    TestQuery::all(project.id, build)
}

fn results(store: &Store, query: &TestQuery) -> Vec<TestResult> {
    store.test_list(query).unwrap().into_iter().map(|placed| placed.result).collect()
}

conformance!(
    cases_come_back_as_they_were_reported,
    cases_are_found_by_status_suite_and_text,
    what_is_brief_has_names_and_outcomes_alone,
    the_history_of_a_test_is_in_list_order_and_ends,
    steps_bring_cases_that_follow_on_each_other,
    many_cases_go_in_by_pieces_and_equal_names_from_many_writers_at_once,
    a_project_that_is_deleted_takes_its_cases_with_it,
    uploads_are_kept_and_read_again,
    uploads_go_when_they_are_old_or_too_many,
    cases_of_all_builds_are_asked_for_as_objects,
    a_page_of_objects_is_a_part_of_them_in_order,
    cases_that_fill_many_strips_are_read_from_any_position,
    a_test_that_ran_often_in_a_build_has_its_runs_in_order,
    a_test_in_the_first_strip_of_each_build_has_its_runs_in_order,
    the_search_for_a_test_that_seldom_ran_is_cut_and_goes_on,
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

fn cases_are_found_by_status_suite_and_text(store: &Store) {
    let project = store.project("p");
    let tests = vec![
        result("alpha", "One_%", TestStatus::Passed),
        result("alpha", "two", TestStatus::Failed),
        result("beta", "one", TestStatus::Skipped),
    ];
    let new = with_tests(&project, "2026-01-01T00:00:00Z", tests);
    let id = new.id;
    store.record(new);
    let names = |change: &dyn Fn(&mut TestQuery)| {
        let mut query = all(&project, id);
        change(&mut query);
        results(store, &query).into_iter().map(|result| result.name).collect::<Vec<_>>()
    };
    assert_eq!(
        names(&|query| query.statuses = vec![TestStatus::Failed, TestStatus::Skipped]),
        ["two", "one"]
    );
    assert_eq!(names(&|query| query.suite = Some("alpha".into())), ["One_%", "two"]);
    assert_eq!(names(&|query| query.text = Some("ONE".into())), ["One_%", "one"]);
    assert_eq!(names(&|query| query.text = Some("_%".into())), ["One_%"]);
    assert_eq!(names(&|query| query.text = Some("a::o".into())), ["One_%", "one"]);
    assert_eq!(names(&|query| (query.from, query.limit) = (1, 1)), ["two"]);
}

fn what_is_brief_has_names_and_outcomes_alone(store: &Store) {
    let project = store.project("p");
    let mut test = result("s", "t", TestStatus::Failed);
    test.failure =
        Some(TestFailure { text: Some("a long trace".into()), ..TestFailure::default() });
    test.details.stdout = "a long output".into();
    let bare = TestResult { failure: None, details: Details::default(), ..test.clone() };
    let new = with_tests(&project, "2026-01-01T00:00:00Z", vec![test.clone()]);
    let id = new.id;
    store.record(new);
    let query = |is_brief| TestQuery { is_brief, ..all(&project, id) };
    assert_eq!(results(store, &query(false)), std::slice::from_ref(&test));
    assert_eq!(results(store, &query(true)), std::slice::from_ref(&bare));
    let run = |is_brief| {
        let history = store.test_history(project.id, "s::t", None, 9, is_brief);
        history.unwrap().unwrap().runs.remove(0).test.result
    };
    assert_eq!((run(false), run(true)), (test, bare));
}

fn the_history_of_a_test_is_in_list_order_and_ends(store: &Store) {
    let project = store.project("p");
    let mut ids = Vec::new();
    for (day, status) in (1..=5).zip(TestStatus::ALL) {
        let new = with_tests(
            &project,
            &format!("2026-01-0{day}T00:00:00Z"),
            vec![result("s", "t", status)],
        );
        ids.push(new.id);
        store.record(new);
    }
    let history = |from, limit| {
        let history = store.test_history(project.id, "s::t", from, limit, false);
        let TestHistory { runs, stopped } = history.unwrap().unwrap();
        assert_eq!(stopped, None);
        runs.into_iter().map(|run| (run.build.id, run.test.result.status)).collect::<Vec<_>>()
    };
    let newest_first: Vec<_> = ids.iter().copied().zip(TestStatus::ALL).rev().collect();
    assert_eq!(history(None, 10), newest_first);
    assert_eq!(history(None, 2), newest_first[..2]);
    assert_eq!(history(Some((newest_first[1].0, 0)), 10), newest_first[1..]);
    assert_eq!(history(Some((newest_first[1].0, 1)), 10), newest_first[2..]);
    assert_eq!(store.test_history(project.id, "s::u", None, 10, false).unwrap(), None);
    assert_eq!(store.test_history(store.project("q").id, "s::t", None, 10, false).unwrap(), None);
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

fn uploads_are_kept_and_read_again(store: &Store) {
    let project = store.project("p");
    let mut open = running(&project);
    open.test_report.document = Some("\"build\"".into());
    let id = open.id;
    store.record(open);
    let body = |nth: usize| bytes::Bytes::from(format!("<{nth}/>").repeat(100));
    let raw = |nth: usize| RawUpload {
        received: at("2026-01-01T00:00:00Z"),
        content_type: "text/xml".into(),
        said: "name=x".into(),
        one_step: true,
        body: RawBody::Given(body(nth)),
    };
    // A step from a document, and two from uploads in one batch, the second without cases.
    let steps: Vec<NewStep> = (0..3)
        .map(|nth| {
            let tests = vec![result("s", &format!("t{nth}"), TestStatus::Passed); 2 - nth];
            let mut test_report = TestReport { tests: tests.into(), ..TestReport::default() };
            if nth > 0 {
                test_report.receipts = vec![format!("{nth}")];
                let mut upload = raw(nth);
                if nth == 2 {
                    upload.body = RawBody::Packed(store.upload_pack(&body(nth)));
                }
                test_report.upload = Some(upload);
            } else {
                test_report.document = Some("\"step\"".into());
            }
            NewStep {
                project: project.id,
                build: id,
                step: step(&format!("s{nth}"), true),
                test_report,
                claim: None,
            }
        })
        .collect();
    assert_eq!(store.step_append_many(&steps).unwrap(), vec![Appended::Done; 3]);
    let kept = store.upload_list(project.id, id).unwrap();
    let piece = |first, count| Piece { first, count };
    let places: Vec<_> = kept
        .iter()
        .map(|upload| (upload.nth, upload.steps, upload.tests, upload.receipts))
        .collect();
    assert_eq!(
        places,
        [(0, piece(1, 1), piece(2, 1), piece(0, 1)), (1, piece(2, 1), piece(3, 0), piece(1, 1))]
    );
    assert_eq!(
        (kept[1].content_type.as_str(), kept[1].said.as_str(), kept[1].one_step),
        ("text/xml", "name=x", true)
    );
    assert_eq!(store.upload_body(project.id, id, 1).unwrap(), Some(body(2).to_vec()));
    assert_eq!(store.upload_body(project.id, id, 2).unwrap(), None);

    let documents = vec!["\"build\"".to_owned(), "\"step\"".to_owned()];
    assert_eq!(store.receipt_list(project.id, id, 9).unwrap().documents, documents);
    store.build_close(project.id, id, Closing::default(), Timestamp::now()).unwrap();
    let build = store.find(&project, id);
    let tests = vec![result("s", "t0", TestStatus::Passed), result("s", "new", TestStatus::Failed)];
    let reread = Reread {
        steps: vec![step("s0", true), step("again", false)],
        report: report(tests.clone(), "\"again\""),
        uploads: vec![KeptUpload {
            steps: piece(1, 1),
            tests: piece(1, 1),
            receipts: piece(0, 1),
            ..kept[0].clone()
        }],
        success: Some(false),
        now: Timestamp::now(),
    };
    assert_eq!(store.build_reread(&build, &reread).unwrap(), Updated::Done(()));
    assert_eq!(store.build_reread(&build, &reread).unwrap(), Updated::Stale);
    let now = store.find(&project, id);
    assert_eq!((now.steps, now.failed_steps, now.tests.total, now.tests.failed), (2, 1, 2, 1));
    assert!(matches!(now.outcome, Outcome::Finished { success: false, .. }));
    assert_eq!(store.steps(&now), reread.steps);
    assert_eq!(results(store, &all(&project, id)), tests);
    let receipts = store.receipt_list(project.id, id, 9).unwrap();
    assert_eq!((receipts.documents, receipts.files), (documents, vec!["\"again\"".to_owned()]));
    assert_eq!(store.upload_list(project.id, id).unwrap()[0].tests, piece(1, 1));
    store.build_delete(project.id, id, None).unwrap();
    assert_eq!(store.build_reread(&now, &reread).unwrap(), Updated::Gone);
    assert!(store.upload_list(project.id, id).unwrap().is_empty());
}

fn uploads_go_when_they_are_old_or_too_many(store: &Store) {
    let project = store.project("p");
    let with_upload = |received: Timestamp| {
        let upload = Some(RawUpload {
            received,
            content_type: String::new(),
            said: String::new(),
            one_step: false,
            // Incompressible data.
            body: RawBody::Given((0..250).flat_map(|_| *uuid::Uuid::new_v4().as_bytes()).collect()),
        });
        let test_report = TestReport { upload, ..TestReport::default() };
        let new = NewBuild { test_report, ..build(&project, "2026-01-01T00:00:00Z", &[]) };
        let id = new.id;
        assert_eq!(store.record(new), Recorded::New);
        id
    };
    let now = Timestamp::now();
    let before =
        |hours: i64| Timestamp::from_parts(now.micros() - hours * 3_600_000_000, 0).unwrap();
    let ids = [30, 20, 10, 0].map(|hours| with_upload(before(hours)));
    while store.purge(now, KEEP).unwrap() {}
    // One is too old; of the other three, which exceed the total size, two stay.
    let kept = ids.map(|id| store.upload_list(project.id, id).unwrap().len());
    assert_eq!(kept, [0, 0, 1, 1]);
    store.project_delete(project.id, None).unwrap();
    while store.purge(now, KEEP).unwrap() {}
    assert!(store.upload_list(project.id, ids[3]).unwrap().is_empty());
}

fn cases_of_all_builds_are_asked_for_as_objects(store: &Store) {
    use devmason_domain::query::{TESTS, parse_query, parse_sort};
    let (project, other) = (store.project("p"), store.project("q"));
    let id = {
        let tests = vec![result("s", "a", TestStatus::Passed), result("", "b", TestStatus::Failed)];
        let new = with_tests(&project, "2026-01-02T00:00:00Z", tests);
        let id = new.id;
        store.record(new);
        id
    };
    store.record(with_tests(
        &project,
        "2026-01-01T00:00:00Z",
        vec![result("s", "a", TestStatus::Error)],
    ));
    store.record(with_tests(
        &other,
        "2026-01-03T00:00:00Z",
        vec![result("s", "a", TestStatus::Flaky)],
    ));
    let ask = |query: &str, sort: &str| {
        let selection = Selection {
            filter: parse_query(&TESTS, query).unwrap(),
            sort: if sort.is_empty() { vec![] } else { parse_sort(&TESTS, sort).unwrap() },
        };
        let listed = store.test_query(&Listing { selection, offset: 0, limit: 10 }).unwrap();
        assert_eq!(listed.count, listed.items.len() as u64);
        listed.items.iter().map(|found| found.test.result.status.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(ask("eq(project,p)", ""), ["error", "passed", "failed"]);
    assert_eq!(ask("and(eq(project,P),eq(full_name,s::a))", "-status"), ["passed", "error"]);
    assert_eq!(ask(&format!("and(eq(project,q),eq(build_id,{id}))"), ""), Vec::<&str>::new());
    assert_eq!(ask("and(eq(project,p),ne(status,passed))", ""), ["error", "failed"]);
    assert_eq!(ask("not(or(ilike(name,A%),null(duration)))", ""), ["failed"]);
    assert_eq!(ask("like(full_name,s::%)", "-duration,project").len(), 3);
    assert_eq!(ask("and(eq(project,p),eq(full_name,s::zz))", ""), Vec::<&str>::new());
    assert_eq!(ask("eq(full_name,s::a)", ""), ["error", "passed", "flaky"]);
    assert_eq!(ask(&format!("eq(build_id,{id})"), "-position"), ["failed", "passed"]);
    assert_eq!(ask(&format!("eq(id,{id}:1)"), ""), ["failed"]);
    assert_eq!(ask("eq(status,flaky)", ""), ["flaky"]);
    assert_eq!(ask("and(eq(suite,s),lt(duration,1))", "").len(), 3);
    assert_eq!(ask("eq(duration,1)", "").len(), 0);
}

fn a_page_of_objects_is_a_part_of_them_in_order(store: &Store) {
    use devmason_domain::query::{Filter, TESTS, parse_query, parse_sort};
    let project = store.project("p");
    for day in 1..=4 {
        let tests = (0..5).map(|n| result("s", &format!("t{n}"), TestStatus::ALL[n])).collect();
        store.record(with_tests(&project, &format!("2026-01-0{day}T00:00:00Z"), tests));
    }
    let ask = |query: &str, sort: &str, offset, limit| {
        let selection = Selection {
            filter: if query.is_empty() {
                Filter::default()
            } else {
                parse_query(&TESTS, query).unwrap()
            },
            sort: if sort.is_empty() { vec![] } else { parse_sort(&TESTS, sort).unwrap() },
        };
        let listed = store.test_query(&Listing { selection, offset, limit }).unwrap();
        let names = listed.items.iter().map(|found| found.test.result.name.clone());
        (listed.count, names.collect::<Vec<_>>())
    };
    let names = |numbers: &[usize]| numbers.iter().map(|n| format!("t{n}")).collect::<Vec<_>>();
    assert_eq!(ask("", "", 3, 4), (20, names(&[3, 4, 0, 1])));
    assert_eq!(ask("eq(project,p)", "", 19, 4), (20, names(&[4])));
    assert_eq!(ask("", "", 20, 4), (20, vec![]));
    assert_eq!(ask("", "", 0, 0), (20, vec![]));
    assert_eq!(ask("gt(position,2)", "", 1, 2), (8, names(&[4, 3])));
    assert_eq!(ask("", "-name", 3, 2), (20, names(&[4, 3])));
    assert_eq!(ask("", "status,-name", 0, 1), (20, names(&[4])));
}

fn cases_that_fill_many_strips_are_read_from_any_position(store: &Store) {
    let project = store.project("p");
    // Their details fill a strip each time.
    let long = "x".repeat(300 << 10);
    let tests: Vec<TestResult> = (0..10)
        .map(|n| {
            let mut test = result("s", &format!("t{n}"), TestStatus::ALL[n % 5]);
            test.details.stdout = format!("{n}{long}");
            test
        })
        .collect();
    let mut open = running(&project);
    open.test_report = report(tests[..7].to_vec(), "{}");
    let id = open.id;
    store.record(open);
    let new = NewStep {
        project: project.id,
        build: id,
        step: step("s", true),
        test_report: report(tests[7..].to_vec(), "{}"),
        claim: None,
    };
    assert_eq!(store.step_append_many(&[new]).unwrap(), [Appended::Done]);
    assert_eq!(results(store, &all(&project, id)), tests);
    for from in 0..10 {
        let query = TestQuery { from, limit: 2, ..all(&project, id) };
        let placed = store.test_list(&query).unwrap();
        let places: Vec<u32> = placed.iter().map(|placed| placed.position).collect();
        assert_eq!(places, (from..10).take(2).collect::<Vec<_>>());
        assert_eq!(placed[0].result, tests[from as usize]);
    }
    let statuses = vec![TestStatus::Failed, TestStatus::Error];
    let query = TestQuery { statuses, from: 4, ..all(&project, id) };
    let placed: Vec<u32> = store.test_list(&query).unwrap().iter().map(|at| at.position).collect();
    assert_eq!(placed, [4, 8, 9]);
    let names = ["s::t8", "s::t1", "s::none"].map(str::to_owned);
    let found = store.test_statuses(project.id, id, &names).unwrap();
    let status = |name: &str| found.get(name).copied();
    assert_eq!((found.len(), status("s::t1")), (2, Some(TestStatus::Flaky)));
    assert_eq!(status("s::t8"), Some(TestStatus::Failed));
}

fn a_test_that_ran_often_in_a_build_has_its_runs_in_order(store: &Store) {
    let project = store.project("p");
    let mut ids = Vec::new();
    for day in 1..=2 {
        let long = "x".repeat(600 << 10);
        let tests = (0..6).map(|n| {
            let mut test = result("s", if n == 2 { "other" } else { "t" }, TestStatus::Passed);
            test.details.stdout = format!("{n}{long}");
            test
        });
        let new = with_tests(&project, &format!("2026-01-0{day}T00:00:00Z"), tests.collect());
        ids.push(new.id);
        store.record(new);
    }
    let history = |from, limit| {
        let history = store.test_history(project.id, "s::t", from, limit, false).unwrap().unwrap();
        let place = |run: &TestRun| {
            assert!(run.test.result.details.stdout.starts_with(&run.test.position.to_string()));
            (run.build.id, run.test.position)
        };
        history.runs.iter().map(place).collect::<Vec<_>>()
    };
    let places = [0, 1, 3, 4, 5];
    let of = |id| places.map(|place| (id, place));
    let whole = [of(ids[1]), of(ids[0])].concat();
    assert_eq!(history(None, 100), whole);
    for at in 0..10 {
        let (id, place) = whole[at];
        assert_eq!(history(Some((id, place)), 3), whole[at..(at + 3).min(10)], "{at}");
        assert_eq!(history(None, at as u64), whole[..at]);
    }
}

fn a_test_in_the_first_strip_of_each_build_has_its_runs_in_order(store: &Store) {
    let project = store.project("p");
    // The last strip of each build cannot have the test.
    let tests: Vec<TestResult> =
        (0..5_000).map(|n| result("s", &format!("t{n}"), TestStatus::Passed)).collect();
    let mut ids = Vec::new();
    for day in 1..=3 {
        let new = with_tests(&project, &format!("2026-01-0{day}T00:00:00Z"), tests.clone());
        ids.push(new.id);
        store.record(new);
    }
    ids.reverse();
    for name in ["s::t7", "s::t4999"] {
        let history = store.test_history(project.id, name, None, 9, true).unwrap().unwrap();
        let found: Vec<BuildId> = history.runs.iter().map(|run| run.build.id).collect();
        assert_eq!(found, ids, "{name}");
    }
}

fn the_search_for_a_test_that_seldom_ran_is_cut_and_goes_on(store: &Store) {
    let project = store.project("p");
    let day = |n: u64| Timestamp::from_parts(1_700_000_000_000_000 + n as i64 * 60_000_000, 0);
    // The test lies between the two others in every build, but only the first builds ran it.
    let names: [&[&str]; 2] = [&["a", "rare", "z"], &["a", "z"]];
    let builds: Vec<NewBuild> = (0..1_100)
        .map(|n| {
            let tests = names[usize::from(n > 1)].iter();
            let tests = tests.map(|name| result("s", name, TestStatus::Passed)).collect();
            let mut new = with_tests(&project, "2026-01-01T00:00:00Z", tests);
            new.report.started = day(n).unwrap();
            new.id = BuildId::assign(new.report.started, new.report.received);
            new
        })
        .collect();
    for some in builds.chunks(100) {
        store.build_record_many(some).unwrap();
    }
    let ask = |from| store.test_history(project.id, "s::rare", from, 10, true).unwrap().unwrap();
    let first = ask(None);
    assert_eq!(first.runs, []);
    let second = ask(first.stopped.map(|build| (build, 0)));
    let found: Vec<BuildId> = second.runs.iter().map(|run| run.build.id).collect();
    assert_eq!((found, second.stopped), (vec![builds[1].id, builds[0].id], None));
}

fn cases_may_be_packed_before_they_are_stored(store: &Store) {
    let (project, gone) = (store.project("p"), store.project("gone"));
    let tests = vec![
        result("s", "a", TestStatus::Passed),
        result("s", "b", TestStatus::Failed),
        result("s", "a", TestStatus::Flaky),
    ];
    let packed = store.test_pack(project.id, &tests).unwrap();
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
    let packed = store.test_pack(gone.id, &tests).unwrap();
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
