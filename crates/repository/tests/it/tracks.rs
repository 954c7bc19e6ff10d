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
    cases_steps_and_failures_are_read_for_several_builds,
    builds_of_an_older_version_get_their_tracks,
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
