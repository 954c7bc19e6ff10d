//! Tracks of builds, and what comparing builds reads.

use devmason_domain::insight::{Case, StepRun};
use diesel::connection::SimpleConnection;

use super::cases::fixtures::{result, with_tests};
use super::*;

conformance!(
    a_builds_track_and_commit_are_known_at_once,
    a_running_build_is_in_no_track_yet,
    the_newest_builds_of_a_branch_are_found_however_many_tracks_it_has,
    the_active_tracks_are_those_of_the_newest_builds,
    a_track_is_not_active_once_two_thousand_builds_are_newer,
    cases_steps_and_failures_are_read_for_several_builds,
    builds_of_an_older_version_get_their_tracks,
    the_builds_of_a_commit_are_those_sent_with_credentials_if_there_are_any,
    a_commit_is_found_by_its_beginning,
    the_commits_of_a_branch_are_read_page_by_page,
    a_track_remembers_when_its_builds_are_expected,
);

fn said(project: &Project, started: &str, client: &str) -> NewBuild {
    let mut new = build(project, started, &["t"]);
    new.report.client = ClientRecord(JsonObject::from_stored(client.to_owned()));
    new
}

fn a_builds_track_and_commit_are_known_at_once(store: &Store) {
    let project = store.project("p");
    let new = said(&project, "2026-01-01T00:00:00Z", r#"{"branch":"main","commit":"abcdef1"}"#);
    let id = new.id;
    store.record(new);
    let found = store.find(&project, id);
    assert_eq!(found.revision.as_deref(), Some("abcdef1"));
    let track = found.track.unwrap();
    assert_eq!((track.variant.as_str(), track.branch.as_str()), ("t", "main"));
    let finished = |kind| store.branch_with_finished(project.id, &["x", "main"], kind).unwrap();
    assert_eq!((finished(false).as_deref(), finished(true)), (Some("main"), None));
    for among in [
        Among::Track(track.key()),
        Among::Revision {
            revision: "abcdef1".to_owned(),
            variant: "t".to_owned(),
            is_credited: false,
        },
        Among::Tagged("t".parse().unwrap()),
    ] {
        let builds = store.tracked_list(project.id, &among, None, 9).unwrap();
        assert_eq!(builds.iter().map(|build| build.id).collect::<Vec<_>>(), [id], "{among:?}");
        assert_eq!(store.tracked_list(project.id, &among, Some(id), 9).unwrap(), []);
    }
}

fn the_active_tracks_are_those_of_the_newest_builds(store: &Store) {
    let project = store.project("p");
    for (day, branch) in [(1, "a"), (2, "b"), (3, "a"), (4, "c")] {
        let client = format!(r#"{{"branch":"{branch}"}}"#);
        store.record(said(&project, &format!("2026-01-0{day}T00:00:00Z"), &client));
    }
    let branches = |limit| {
        let tracks = store.track_active(project.id, limit).unwrap();
        tracks.into_iter().map(|known| known.track.branch).collect::<Vec<_>>()
    };
    assert_eq!(branches(9), ["c", "a", "b"]);
    assert_eq!(branches(2), ["c", "a"]);
}

fn a_track_is_not_active_once_two_thousand_builds_are_newer(store: &Store) {
    // With few tracks the newest build of each is looked up, with many the newest builds are read.
    for more in [0, 300] {
        let project = store.project(&format!("p{more}"));
        let record = |n: u32, branch: &str| {
            let started = format!("2026-01-01T{:02}:{:02}:{:02}Z", n / 3600, n / 60 % 60, n % 60);
            store.record(said(&project, &started, &format!(r#"{{"branch":"{branch}"}}"#)));
        };
        record(0, "old");
        record(1, "other");
        for n in 0..2_000 {
            let branch = if n < more { format!("of {n}") } else { "main".to_owned() };
            record(2 + n, &branch);
            let is_active = |branch| {
                let tracks = store.track_active(project.id, u64::MAX).unwrap();
                tracks.iter().any(|known| known.track.branch == branch)
            };
            match n {
                1_997 => assert!(is_active("old") && is_active("other")),
                1_998 => assert!(!is_active("old") && is_active("other")),
                1_999 => assert!(!is_active("other") && is_active("main")),
                _ => {}
            }
        }
    }
}

fn the_newest_builds_of_a_branch_are_found_however_many_tracks_it_has(store: &Store) {
    let project = store.project("p");
    // Each build of main is a variant of its own, and most newer builds are of another branch.
    let mut of_main = Vec::new();
    for n in 0..320 {
        let is_main = n < 150 || n == 300;
        let branch = if is_main { "main" } else { "other" };
        let client = format!(r#"{{"branch":"{branch}","variant":"v{n}"}}"#);
        let started = format!("2026-01-01T{:02}:{:02}:{:02}Z", n / 3600, n / 60 % 60, n % 60);
        let new = said(&project, &started, &client);
        if is_main {
            of_main.push(new.id);
        }
        store.record(new);
    }
    of_main.reverse();
    let newest = |variant, is_credited, limit| {
        let of = OfBranch { branch: "main", variant, is_credited };
        let builds = store.branch_newest(project.id, &of, limit).unwrap();
        builds.into_iter().map(|build| build.id).collect::<Vec<_>>()
    };
    for limit in [1, 2, 100] {
        let limit_of = usize::try_from(limit).unwrap();
        assert_eq!(newest(None, None, limit), of_main[..limit_of], "{limit}");
    }
    assert_eq!(newest(Some("v7"), Some(false), 9).len(), 1);
    assert_eq!(newest(None, Some(true), 9), []);
}

fn a_running_build_is_in_no_track_yet(store: &Store) {
    let project = store.project("p");
    let new = running(&project);
    let id = new.id;
    store.record(new);
    let track = store.find(&project, id).track.unwrap();
    let finished = || store.branch_with_finished(project.id, &[""], false).unwrap();
    assert_eq!(finished(), None);
    assert_eq!(store.tracked_list(project.id, &Among::Track(track.key()), None, 9).unwrap(), []);
    store.build_close(project.id, id, Closing::default(), Timestamp::now()).unwrap();
    let builds = store.tracked_list(project.id, &Among::Track(track.key()), None, 9).unwrap();
    assert_eq!((builds.len(), finished().as_deref()), (1, Some("")));
}

fn cases_steps_and_failures_are_read_for_several_builds(store: &Store) {
    let project = store.project("p");
    let tests = vec![result("s", "a", TestStatus::Passed), result("s", "b", TestStatus::Failed)];
    let one = with_tests(&project, "2026-01-01T00:00:00Z", tests.clone());
    let mut other = build(&project, "2026-01-02T00:00:00Z", &[]);
    let mut bad = step("test", false);
    bad.bad_cases = Some(2);
    let mut unknown = step("report", false);
    (unknown.bad_cases, unknown.extras) =
        (None, JsonObject::from_stored(r#"{"report":"junit"}"#.to_owned()));
    other.report.steps = vec![bad, unknown];
    let ids = [other.id, one.id];
    store.record(one);
    store.record(other);
    let cases = store.case_list(project.id, &ids).unwrap();
    assert_eq!(cases[0], []);
    let [a, b] = cases[1].as_slice() else { panic!("{cases:?}") };
    let Case { test, status, .. } = *b;
    assert_eq!(a.took, Some(0.0015));
    assert_eq!(store.cases_of_test(project.id, &ids, test).unwrap(), [vec![], vec![*b]]);
    assert_eq!(store.cases_of_test(project.id, &ids, -7).unwrap(), [vec![], vec![]]);
    assert_eq!((a.position, b.position, status), (0, 1, TestStatus::Failed));
    let names = store.test_names(project.id, &[test]).unwrap();
    assert_eq!(names[&test], "s::b");
    let numbers = store.test_numbers(project.id, &["s::b".to_owned(), "x".to_owned()]).unwrap();
    assert_eq!((numbers.get("s::b"), numbers.len()), (Some(&test), 1));
    let failures = store.failure_list(project.id, &[b.failure.unwrap(), [9; 16]]).unwrap();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[&b.failure.unwrap()].message.as_deref(), Some("no"));
    let steps = store.step_runs(project.id, &ids).unwrap();
    let expected = |position, name: &str, success, bad_cases, is_report| StepRun {
        position,
        name: name.to_owned(),
        success,
        bad_cases,
        is_report,
    };
    assert_eq!(
        steps,
        [
            vec![
                expected(0, "test", false, Some(2), false),
                expected(1, "report", false, None, true)
            ],
            vec![expected(0, "checkout", true, Some(0), false)],
        ]
    );
}

fn builds_of_an_older_version_get_their_tracks(store: &Store) {
    let project = store.project("p");
    let mut before = Vec::new();
    for n in 0..250 {
        let client = format!(r#"{{"branch":"b{}","commit":"abcdef{n}"}}"#, n % 3);
        let new = said(&project, &format!("2026-01-01T00:{:02}:{:02}Z", n / 60, n % 60), &client);
        before.push(new.id);
        store.record(new);
    }
    let found = |id: &BuildId| store.find(&project, *id);
    let known: Vec<Build> = before.iter().map(found).collect();
    let forget = "update build set track = null, revision = null; delete from track";
    match store.database.url.starts_with("sqlite") {
        true => parity::sqlite(&store.database).batch_execute(forget).unwrap(),
        false => parity::postgres(&store.database).batch_execute(forget).unwrap(),
    }
    assert!(!store.tracks_are_complete(project.id).unwrap());
    assert_eq!(found(&before[0]).track, None);
    let tally = store.build_tally(&Scope::Project(project.id)).unwrap();
    assert!(store.track_more().unwrap());
    // The newest come first.
    assert!(found(&before[249]).track.is_some() && found(&before[0]).track.is_none());
    while store.track_more().unwrap() {}
    assert!(store.tracks_are_complete(project.id).unwrap());
    let now: Vec<Build> = before.iter().map(found).collect();
    for (known, now) in known.iter().zip(&now) {
        assert_eq!((&known.track, &known.revision), (&now.track, &now.revision));
        // Whoever has the old representation is told of the new one.
        assert!(now.version > known.version);
    }
    assert_eq!(store.track_active(project.id, 9).unwrap().len(), 3);
    assert_ne!(store.build_tally(&Scope::Project(project.id)).unwrap(), tally);
}

fn the_builds_of_a_commit_are_those_sent_with_credentials_if_there_are_any(store: &Store) {
    let (project, alice) = (store.project("p"), store.user("alice"));
    let of = |started: &str| said(&project, started, r#"{"commit":"abcdef1"}"#);
    let (one, two) = (of("2026-01-01T00:00:00Z"), of("2026-01-02T00:00:00Z"));
    let ids = || {
        let builds = store.revision_builds(project.id, "abcdef1", 9).unwrap();
        builds.into_iter().map(|build| build.id).collect::<Vec<_>>()
    };
    let both = vec![two.id, one.id];
    store.record(one);
    store.record(two);
    assert_eq!(ids(), both);
    assert_eq!(store.revision_builds(project.id, "abcdef1", 1).unwrap().len(), 1);
    let mut signed = of("2025-01-01T00:00:00Z");
    signed.sender = Actor::Account(alice.id);
    signed.report.outcome = Outcome::Running;
    let id = signed.id;
    store.record(signed);
    assert_eq!(ids(), [id]);
    assert_eq!(store.revision_builds(project.id, "abcdef\0", 9).unwrap(), []);
}

fn a_commit_is_found_by_its_beginning(store: &Store) {
    let (project, other) = (store.project("p"), store.project("other"));
    for (project, commit) in [
        (&project, "abcdef1"),
        (&project, "abcdef1"),
        (&project, "abcdef2"),
        (&project, "abcdez9"),
        (&other, "abcdef3"),
    ] {
        store.record(said(project, "2026-01-01T00:00:00Z", &format!(r#"{{"commit":"{commit}"}}"#)));
    }
    let like = |start: &str| store.revisions_like(project.id, start).unwrap();
    assert_eq!(like("abcdef"), ["abcdef1", "abcdef2"]);
    assert_eq!(like("abcde"), ["abcdef1", "abcdef2"]);
    assert_eq!(like("abcdez"), ["abcdez9"]);
    assert_eq!((like("abcdef11"), like("x"), like("abcdef\0")), (vec![], vec![], vec![]));
}

fn the_commits_of_a_branch_are_read_page_by_page(store: &Store) {
    let project = store.project("p");
    for n in 0..5 {
        let client =
            format!(r#"{{"branch":"main","commit":"abcdef{}","variant":"v{}"}}"#, n / 2, n % 2);
        store.record(said(&project, &format!("2026-01-0{}T00:00:00Z", n + 1), &client));
    }
    store.record(said(&project, "2026-01-09T00:00:00Z", r#"{"branch":"x"}"#));
    let of = OfBranch { branch: "main", variant: None, is_credited: Some(false) };
    let (mut before, mut found) = (BuildId::FIRST, Vec::new());
    loop {
        let part = store.branch_revisions(project.id, &of, before, 2).unwrap();
        let Some(last) = part.last() else { break };
        before = last.build;
        found.extend(
            part.into_iter().map(|run| format!("{} {}", run.revision.unwrap(), run.variant)),
        );
    }
    assert_eq!(found, ["abcdef2 v0", "abcdef1 v1", "abcdef1 v0", "abcdef0 v1", "abcdef0 v0"]);
}

fn a_track_remembers_when_its_builds_are_expected(store: &Store) {
    let project = store.project("p");
    let mut new = said(&project, "2026-01-01T00:00:00Z", r#"{"branch":"main"}"#);
    let id = new.id;
    new.report.outcome = Outcome::Running;
    store.record(new);
    let key = store.find(&project, id).track.unwrap().key();
    let known = store.track_find(project.id, key).unwrap().unwrap();
    assert_eq!((known.expected, known.track.branch.as_str()), (Expected::Learned, "main"));
    let begun = store.track_begun(project.id, key, 9).unwrap();
    assert_eq!((begun.len(), begun[0].success, &begun[0].key), (1, None, &id.into()));
    let within: Expected = "26h".parse().unwrap();
    let expect = |seen| store.track_expect(project.id, key, within, seen).unwrap();
    let Updated::Done(changed) = expect(Some(known.version)) else { panic!("not changed") };
    assert_eq!(changed.expected, within);
    assert_eq!(expect(Some(known.version)), Updated::Stale);
    assert_eq!(store.track_active(project.id, 9).unwrap()[0].expected, within);
    assert_eq!(store.track_find(project.id, TrackKey(7)).unwrap(), None);
    let gone = store.track_expect(project.id, TrackKey(7), within, None).unwrap();
    assert_eq!(gone, Updated::Gone);
}
