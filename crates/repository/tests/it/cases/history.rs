//! The history of a test, in order and page by page.

use super::fixtures::{result, with_tests};
use crate::*;

conformance!(
    the_history_of_a_test_is_in_list_order_and_ends,
    a_test_that_ran_often_in_a_build_has_its_runs_in_order,
    a_test_in_the_first_strip_of_each_build_has_its_runs_in_order,
    the_search_for_a_test_that_seldom_ran_is_cut_and_goes_on,
);

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
