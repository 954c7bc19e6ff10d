//! Cases are listed and selected, in a build and over all.

use super::fixtures::{all, report, result, results, with_tests};
use crate::*;

conformance!(
    cases_are_found_by_status_suite_and_text,
    what_is_brief_has_names_and_outcomes_alone,
    cases_that_fill_many_strips_are_read_from_any_position,
    cases_of_all_builds_are_asked_for_as_objects,
    a_page_of_objects_is_a_part_of_them_in_order,
);

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
    let found = store.test_places(project.id, id, &names).unwrap();
    let place = |name: &str| found.get(name).copied();
    assert_eq!((found.len(), place("s::t1")), (2, Some((1, TestStatus::Flaky))));
    assert_eq!(place("s::t8"), Some((8, TestStatus::Failed)));
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
