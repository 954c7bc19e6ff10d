//! Lists of builds, their order, pages, tags and selections.

use crate::*;

conformance!(
    lists_are_newest_first_by_the_start_then_by_arrival,
    pages_by_position_miss_nothing_and_repeat_nothing_while_builds_arrive,
    builds_with_all_of_some_tags_are_found_wherever_they_lie,
    tags_that_hardly_meet_cost_no_more_than_some_looks_a_page,
    tags_are_listed_in_byte_order_and_counted,
    a_user_has_the_builds_that_it_sent_to_any_project,
    every_change_of_a_list_shows_in_its_tally,
    a_selection_narrows_and_sorts_a_list,
);

fn lists_are_newest_first_by_the_start_then_by_arrival(store: &Store) {
    let project = store.project("p");
    let starts = [
        "2026-01-02T00:00:00Z",
        "2026-01-03T00:00:00Z",
        "2026-01-01T00:00:00Z",
        "2026-01-02T00:00:00Z",
    ];
    let ids: Vec<_> = starts
        .iter()
        .map(|start| {
            let new = build(&project, start, &[]);
            store.record(new.clone());
            new.id
        })
        .collect();
    let list = store.page(&Scope::Project(project.id), Start::Offset(0), 10);
    assert_eq!(list, [ids[1], ids[3], ids[0], ids[2]]);
}

fn pages_by_position_miss_nothing_and_repeat_nothing_while_builds_arrive(store: &Store) {
    let project = store.project("p");
    let scope = Scope::Project(project.id);
    let batch = |day: u32| -> Vec<NewBuild> {
        (0..20).map(|n| build(&project, &format!("2026-01-{day:02}T00:00:{n:02}Z"), &[])).collect()
    };
    store.build_record_many(&batch(10)).unwrap();
    let there = store.page(&scope, Start::Offset(0), 100);
    let mut seen = store.page(&scope, Start::Offset(0), 7);
    loop {
        store.build_record_many(&batch(20)[..3]).unwrap();
        let next = store.page(&scope, Start::Behind(*seen.last().unwrap()), 7);
        if next.is_empty() {
            break;
        }
        seen.extend(next);
    }
    assert_eq!(seen, there);
    assert_eq!(store.page(&scope, Start::FromEnd(3), 5), there[there.len() - 8..there.len() - 3]);
    // And backwards.
    assert_eq!(store.page(&scope, Start::Before(there[10]), 5), there[5..10]);
}

fn builds_with_all_of_some_tags_are_found_wherever_they_lie(store: &Store) {
    let project = store.project("p");
    let batch: Vec<_> = (0..60)
        .map(|n: u32| {
            let mut words = vec!["all"];
            if n.is_multiple_of(2) {
                words.push("even")
            } else {
                words.push("odd")
            }
            if n.is_multiple_of(3) {
                words.push("three")
            }
            if n == 1 {
                words.push("once")
            }
            build(&project, &format!("2026-01-01T00:{n:02}:00Z"), &words)
        })
        .collect();
    store.build_record_many(&batch).unwrap();
    let with = |words: &[&str]| {
        Scope::Tagged(project.id, words.iter().map(|w| w.parse().unwrap()).collect())
    };
    let expect = |test: &dyn Fn(usize) -> bool| -> Vec<BuildId> {
        batch.iter().enumerate().filter(|(n, _)| test(*n)).map(|(_, b)| b.id).rev().collect()
    };
    for (words, test) in [
        (&["all"] as &[&str], &(|_| true) as &dyn Fn(usize) -> bool),
        (&["even", "three"], &|n| n % 6 == 0),
        (&["all", "even", "three"], &|n| n % 6 == 0),
        (&["all", "once"], &|n| n == 1),
        (&["even", "odd"], &|_| false),
    ] {
        let scope = with(words);
        let all = expect(test);
        assert_eq!(store.page(&scope, Start::Offset(0), 100), all, "{words:?}");
        assert_eq!(
            store.build_count(&scope, &Selection::default()).unwrap(),
            Count { builds: all.len() as u64, exact: true }
        );
        if all.len() > 6 {
            assert_eq!(store.page(&scope, Start::Behind(all[2]), 3), all[3..6]);
            assert_eq!(store.page(&scope, Start::Before(all[5]), 3), all[2..5]);
            assert_eq!(store.page(&scope, Start::Offset(4), 2), all[4..6]);
            assert_eq!(store.page(&scope, Start::FromEnd(1), 2), all[all.len() - 3..all.len() - 1]);
        }
    }
}

fn tags_that_hardly_meet_cost_no_more_than_some_looks_a_page(store: &Store) {
    let project = store.project("p");
    let mut builds: Vec<_> = (0..2400u32)
        .map(|n| {
            let started =
                format!("2026-01-{:02}T{:02}:{:02}:00Z", 2 + n / 1440, n / 60 % 24, n % 60);
            build(&project, &started, &[if n.is_multiple_of(2) { "x" } else { "y" }])
        })
        .collect();
    builds.push(build(&project, "2026-01-01T00:00:00Z", &["x", "y"]));
    let both = builds.last().unwrap().id;
    for batch in builds.chunks(100) {
        store.build_record_many(batch).unwrap();
    }
    let scope = Scope::Tagged(project.id, vec!["x".parse().unwrap(), "y".parse().unwrap()]);
    let part = |start| {
        let query =
            BuildQuery { scope: scope.clone(), selection: Selection::default(), start, limit: 10 };
        store.build_list(&query).unwrap()
    };
    let (mut start, mut found, mut parts) = (Start::Offset(0), Vec::new(), 0);
    loop {
        let part = part(start);
        parts += 1;
        found.extend(part.builds.iter().map(|build| build.id));
        let Some(stopped) = part.stopped else { break };
        start = Start::Behind(stopped);
    }
    assert_eq!(found, [both]);
    assert!(parts > 1);
    // In the opposite direction it is found at once.
    assert_eq!(part(Start::Before(BuildId(Uuid::nil()))).builds[0].id, both);
}

fn tags_are_listed_in_byte_order_and_counted(store: &Store) {
    let project = store.project("p");
    let other = store.project("q");
    store.record(build(&other, "2026-01-01T00:00:00Z", &["elsewhere"]));
    for words in [&["b", "a", "B"] as &[&str], &["b", "\u{e9}", "Z"]] {
        store.record(build(&project, "2026-01-01T00:00:00Z", words));
    }
    let tags = store.tag_list(project.id).unwrap();
    let tags: Vec<_> = tags.iter().map(|(tag, builds)| (tag.as_str(), *builds)).collect();
    assert_eq!(tags, [("B", 1), ("Z", 1), ("a", 1), ("b", 2), ("\u{e9}", 1)]);
    let b = Scope::Tagged(project.id, vec!["b".parse().unwrap()]);
    assert_eq!(store.build_tally(&b).unwrap().members, 2);
    let asked = ["a", "b", "c", "elsewhere"].map(|word| word.parse::<Tag>().unwrap());
    assert_eq!(store.tag_known(project.id, &asked).unwrap(), asked[..2]);
}

fn a_user_has_the_builds_that_it_sent_to_any_project(store: &Store) {
    let (p, q) = (store.project("p"), store.project("q"));
    let alice = store.user("alice");
    let send = |project, start| {
        let mut new = build(project, start, &[]);
        new.sender = Actor::Account(alice.id);
        store.record(new.clone());
        new.id
    };
    let (first, second) = (send(&p, "2026-01-01T00:00:00Z"), send(&q, "2026-01-02T00:00:00Z"));
    store.record(build(&p, "2026-01-03T00:00:00Z", &[]));
    let scope = Scope::Sender(alice.id);
    assert_eq!(store.page(&scope, Start::Offset(0), 10), [second, first]);
    let before = store.build_tally(&scope).unwrap();
    assert_eq!(before.members, 2);
    // When a project is deleted, its builds leave the list at once, before they are purged.
    store.project_delete(q.id, None).unwrap();
    assert_eq!(store.page(&scope, Start::Offset(0), 10), [first]);
    let after = store.build_tally(&scope).unwrap();
    assert_eq!(after.members, 1);
    assert_ne!(after.changes, before.changes);
}

fn every_change_of_a_list_shows_in_its_tally(store: &Store) {
    let project = store.project("p");
    let scope = Scope::Project(project.id);
    let mut seen = std::collections::HashSet::new();
    let mut changed =
        |store: &Store| assert!(seen.insert(store.build_tally(&scope).unwrap().changes));
    changed(store);
    let new = running(&project);
    store.record(new.clone());
    changed(store);
    store
        .step_append_many(&[NewStep {
            project: project.id,
            build: new.id,
            step: step("s", true),
            test_report: TestReport::default(),
            claim: None,
        }])
        .unwrap();
    changed(store);
    store.build_close(project.id, new.id, Closing::default(), Timestamp::now()).unwrap();
    changed(store);
    store.build_delete(project.id, new.id, None).unwrap();
    changed(store);
}

fn a_selection_narrows_and_sorts_a_list(store: &Store) {
    let project = store.project("p");
    let alice = store.user("alice");
    let scope = Scope::Project(project.id);
    let mut ids = Vec::new();
    for (n, (host, success)) in
        [("ci-7", true), ("ci-8", false), ("ci-7", false)].into_iter().enumerate()
    {
        let mut new =
            build(&project, &format!("2026-01-01T00:00:0{n}Z"), if n == 0 { &["x"] } else { &[] });
        new.report.client =
            ClientRecord(JsonObject::from_stored(format!(r#"{{"host":"{host}","n":{n}}}"#)));
        new.report.outcome =
            Outcome::Finished { success, finished: at(&format!("2026-01-01T01:00:0{}Z", 9 - n)) };
        if n == 1 {
            new.sender = Actor::Account(alice.id);
            new.key = Some("chosen".parse().unwrap());
        }
        ids.push(new.id);
        store.record(new);
    }
    let still = running(&project);
    ids.push(still.id);
    store.record(still);
    let [a, b, c, d] = ids[..] else { panic!() };

    assert_eq!(store.select(&scope, "success:false", ""), [c, b]);
    assert_eq!(store.select(&scope, "success:", ""), [d]);
    assert_eq!(store.select(&scope, "state:running", ""), [d]);
    assert_eq!(store.select(&scope, "client.host:ci-7,success:false", ""), [c]);
    assert_eq!(store.select(&scope, "client.n:1", ""), [b]);
    assert_eq!(store.select(&scope, "client.host:", ""), [d]);
    assert_eq!(store.select(&scope, "client.it's $.x:", "").len(), 4);
    assert_eq!(store.select(&scope, "tags:x", ""), [a]);
    assert_eq!(store.select(&scope, "user:ALICE", ""), [b]);
    assert_eq!(store.select(&scope, "key:chosen", ""), [b]);
    assert_eq!(store.select(&scope, &format!("id:{a}"), ""), [a]);
    assert_eq!(store.select(&scope, "started:2026-01-01T01:00:01+01:00", ""), [b]);
    assert_eq!(store.select(&scope, "project:P,steps:1", ""), [c, b, a]);
    assert_eq!(store.select(&scope, "project:other", ""), []);
    assert_eq!(store.select(&scope, "", "started"), [d, a, b, c]);
    assert_eq!(store.select(&scope, "", "finished"), [c, b, a, d]);
    assert_eq!(store.select(&scope, "", "-success,started"), [a, b, c, d]);
    assert_eq!(store.select(&scope, "", "-state,started"), [d, a, b, c]);
    assert_eq!(store.select(&scope, "", "state,-started"), [c, b, a, d]);
    let selection =
        Selection { filter: parse_where(&BUILDS, "success:false").unwrap(), sort: vec![] };
    assert_eq!(store.build_count(&scope, &selection).unwrap(), Count { builds: 2, exact: true });
    // A client record with NUL is not an error; its other members still find it.
    let mut odd = build(&project, "2026-01-01T00:00:00Z", &[]);
    odd.report.client =
        ClientRecord(JsonObject::from_stored(r#"{"host":"a\u0000b","os":"x"}"#.into()));
    store.record(odd.clone());
    assert_eq!(store.select(&scope, "client.host:ci-8", ""), [b]);
    assert_eq!(store.select(&scope, "client.os:x", ""), [odd.id]);
    assert_eq!(store.select(&scope, "client.host:", ""), [d]);
}
