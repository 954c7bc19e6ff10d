//! Where failures were seen, by their signatures.

use devmason_domain::{Signature, SignatureKey, TestStatus};
use diesel::connection::SimpleConnection;

use super::cases::fixtures::{result, with_tests};
use super::*;

conformance!(
    a_failures_signature_leads_to_its_builds,
    a_failure_is_sought_in_other_projects,
    a_report_with_very_many_texts_is_found_by_each_of_them,
    builds_of_an_older_version_get_their_signatures,
);

fn failing(name: &str, message: &str) -> TestResult {
    let failure = TestFailure { message: Some(message.to_owned()), ..TestFailure::default() };
    TestResult { failure: Some(failure), ..result("s", name, TestStatus::Failed) }
}

fn key(message: &str) -> SignatureKey {
    let failure = failing("t", message).failure.unwrap();
    SignatureKey::of(&Signature::of(&failure).unwrap().id)
}

fn sighted(store: &Store, project: &Project, message: &str) -> Vec<BuildId> {
    let among = Among::Sighted(key(message));
    let builds = store.tracked_list(project.id, &among, None, 9).unwrap();
    builds.into_iter().map(|build| build.id).collect()
}

fn a_failures_signature_leads_to_its_builds(store: &Store) {
    let project = store.project("p");
    let skipped = TestResult { status: TestStatus::Skipped, ..failing("c", "not here") };
    let tests = vec![failing("a", "port 1 is taken"), failing("b", "port 2 is taken"), skipped];
    let one = with_tests(&project, "2026-01-01T00:00:00Z", tests);
    let other = with_tests(&project, "2026-01-02T00:00:00Z", vec![failing("a", "port 3 is taken")]);
    let good =
        with_tests(&project, "2026-01-03T00:00:00Z", vec![result("s", "a", TestStatus::Passed)]);
    let ids = [one.id, other.id];
    [one, other, good].into_iter().for_each(|new| drop(store.record(new)));
    assert_eq!(sighted(store, &project, "port 9 is taken"), [ids[1], ids[0]]);
    assert_eq!(sighted(store, &project, "not here"), []);
    let before = Among::Sighted(key("port 9 is taken"));
    let before = store.tracked_list(project.id, &before, Some(ids[1]), 9).unwrap();
    assert_eq!(before.iter().map(|build| build.id).collect::<Vec<_>>(), [ids[0]]);
    let of_one = || store.build_signatures(project.id, ids[0], 9).unwrap();
    assert_eq!(of_one(), [key("port 1 is taken")]);
    store.build_delete(project.id, ids[0], None).unwrap();
    assert_eq!((of_one(), sighted(store, &project, "port 9 is taken")), (vec![], vec![ids[1]]));
}

fn a_failure_is_sought_in_other_projects(store: &Store) {
    let alice = store.user("alice");
    let own = store.project("own");
    let report = |slug: &str, day: u32, sender: Actor| {
        let found = store.project_find(&slug.parse().unwrap()).unwrap();
        let project = found.unwrap_or_else(|| store.project(slug));
        let started = format!("2026-01-{day:02}T00:00:00Z");
        let mut new = with_tests(&project, &started, vec![failing("t", "port 1 is taken")]);
        new.sender = sender;
        let id = new.id;
        store.record(new);
        (project, id)
    };
    report("own", 20, Actor::Account(alice.id));
    report("a", 3, Actor::Account(alice.id));
    let (b, of_b) = report("b", 10, Actor::Account(alice.id));
    report("b", 9, Actor::Account(alice.id));
    report("open", 12, Actor::Nobody);
    let beyond = |since: &str, is_credited| {
        let since = (!since.is_empty()).then(|| since.parse().unwrap());
        let of = Beyond { project: own.id, since, is_credited };
        let keys = [key("port 7 is taken"), key("something else")];
        let mut seen = store.seen_beyond(&keys, of).unwrap();
        assert_eq!((seen.len(), seen.pop()), (2, Some(vec![])));
        let slugs = seen.remove(0).into_iter();
        slugs
            .map(|of| format!("{} {}", of.project, of.started.to_rfc3339_utc()))
            .collect::<Vec<_>>()
    };
    let [a, of_b_too, open] = [("a", 3), ("b", 10), ("open", 12)]
        .map(|(slug, day)| format!("{slug} 2026-01-{day:02}T00:00:00Z"));
    assert_eq!(beyond("", false), [open.as_str(), &of_b_too, &a]);
    assert_eq!(beyond("", true), [of_b_too.as_str(), &a]);
    assert_eq!(beyond("2026-01-10T00:00:00Z", true), [of_b_too.as_str()]);
    assert_eq!(beyond("2026-01-10T00:00:01Z", true), Vec::<String>::new());
    // However many builds without credentials there are, they hide none with them.
    for at in 0..25 {
        report(&format!("crowd{at}"), 15, Actor::Nobody);
    }
    for _ in 0..105 {
        report("b", 16, Actor::Nobody);
    }
    assert_eq!(beyond("", true), [of_b_too.as_str(), &a]);
    assert_eq!(beyond("", false).len(), SHARED);
    // What is deleted is not seen any more.
    store.build_delete(b.id, of_b, None).unwrap();
    assert_eq!(beyond("", true), ["b 2026-01-09T00:00:00Z", &a]);
    store.project_delete(b.id, None).unwrap();
    assert_eq!(beyond("", true), [a.as_str()]);
}

fn a_report_with_very_many_texts_is_found_by_each_of_them(store: &Store) {
    let project = store.project("p");
    let words = |n: usize| -> String {
        let letter = |of: usize| char::from(b'a' + (of % 26) as u8);
        [n / 676, n / 26, n].into_iter().map(letter).chain("xyz".chars()).collect()
    };
    let tests: Vec<TestResult> =
        (0..=SIGNATURES).map(|n| failing(&format!("t{n}"), &words(n))).collect();
    let many = with_tests(&project, "2026-01-01T00:00:00Z", tests);
    let id = many.id;
    store.record(many);
    for n in [0, SIGNATURES - 1, SIGNATURES] {
        assert_eq!(sighted(store, &project, &words(n)), [id], "{n}");
    }
    let found = store.build_signatures(project.id, id, 100_000).unwrap();
    assert_eq!(found.len(), SIGNATURES);
}

fn builds_of_an_older_version_get_their_signatures(store: &Store) {
    let project = store.project("p");
    let ids: Vec<BuildId> = (1..=7)
        .map(|day| {
            let started = format!("2026-01-{day:02}T00:00:00Z");
            let tests = vec![failing("t", "port 1 is taken"), result("s", "u", TestStatus::Passed)];
            let new = with_tests(&project, &started, tests);
            let id = new.id;
            store.record(new);
            id
        })
        .collect();
    let forget = "insert into unsigned_build (project_id, build_id) select project_id, build_id from sighting; \
                  delete from sighting";
    match store.database.url.starts_with("sqlite") {
        true => parity::sqlite(&store.database).batch_execute(forget).unwrap(),
        false => parity::postgres(&store.database).batch_execute(forget).unwrap(),
    }
    assert!(!store.sightings_are_complete(project.id).unwrap());
    assert_eq!(sighted(store, &project, "port 1 is taken"), []);
    // What is deleted in the meantime needs none.
    store.build_delete(project.id, ids[3], None).unwrap();
    assert!(store.sighting_more().unwrap());
    // The newest come first.
    let newest: Vec<BuildId> = [6, 5, 4, 2, 1].map(|at: usize| ids[at]).to_vec();
    assert_eq!(sighted(store, &project, "port 1 is taken"), newest);
    while store.sighting_more().unwrap() {}
    assert!(store.sightings_are_complete(project.id).unwrap());
    assert_eq!(sighted(store, &project, "port 1 is taken").len(), 6);
}
