//! Builds and their steps.

use crate::*;

conformance!(
    a_build_comes_back_as_it_was_recorded,
    the_same_document_under_a_chosen_key_is_known_and_another_differs,
    a_chosen_key_may_not_be_the_id_of_another_build,
    one_key_in_two_projects_is_two_builds,
    each_build_of_a_batch_has_its_own_outcome,
    an_id_that_is_taken_is_a_clash,
    a_newcomer_becomes_a_user_if_the_build_is_recorded,
    an_idempotency_key_is_answered_again_and_stores_nothing,
    a_key_of_a_request_that_failed_is_free_again,
    a_key_that_comes_twice_in_a_batch_that_fails_promises_nothing,
    writers_with_steps_of_the_same_builds_do_not_block_each_other,
    an_expired_key_is_forgotten,
    steps_are_appended_in_order_and_counted,
    a_build_that_is_full_takes_no_more_steps,
    steps_sent_at_once_are_all_kept_each_once,
    a_build_is_closed_by_what_its_steps_say,
    what_is_not_there_is_gone,
    a_deleted_build_leaves_nothing_behind,
    steps_added_after_a_build_was_read_do_not_belong_to_what_was_read,
);

fn a_build_comes_back_as_it_was_recorded(store: &Store) {
    let project = store.project("p");
    let mut new = build(&project, "Tue, 20 Oct 2009 10:20:00 -0500", &["b", "a"]);
    let client = r#"{"host":"h","x":1.10000000000000000001e400,"n":"\u0000","d":{"k":1,"k":2}}"#;
    new.report.client = ClientRecord(JsonObject::from_stored(client.into()));
    new.report.steps = vec![step("one", true), step("two", false)];
    new.report.steps[1].output = "nul \0 esc \u{1b}[31m \u{1F600}\r\n".into();
    new.report.steps[1].extras =
        JsonObject::from_stored(r#"{"z":12345678901234567890123,"a":null}"#.into());
    assert_eq!(store.record(new.clone()), Recorded::New);

    let found = store.find(&project, new.id);
    assert_eq!(found.started.to_rfc2822(), "Tue, 20 Oct 2009 10:20:00 -0500");
    assert_eq!(found.outcome, new.report.outcome);
    assert_eq!(found.client, new.report.client);
    assert_eq!(found.tags, tags(&["a", "b"]));
    assert_eq!(found.received, new.report.received);
    assert_eq!((found.steps, found.failed_steps, found.version), (2, 1, 1));
    assert_eq!((found.sender.clone(), found.key.clone()), (Sender::Anonymous, None));
    assert_eq!(store.steps(&found), new.report.steps);
}

fn the_same_document_under_a_chosen_key_is_known_and_another_differs(store: &Store) {
    let project = store.project("p");
    let put = |digest: u8| {
        let mut new = build(&project, "2026-01-01T00:00:00Z", &[]);
        new.key = Some("1234".parse().unwrap());
        new.report.digest = Some(Digest([digest; 32]));
        new
    };
    assert_eq!(store.record(put(1)), Recorded::New);
    assert_eq!(store.record(put(1)), Recorded::Known);
    assert_eq!(store.record(put(2)), Recorded::Differs);
    assert_eq!(store.build_tally(&Scope::Project(project.id)).unwrap().members, 1);
    let found = store.build_find(project.id, &"1234".parse().unwrap()).unwrap().unwrap();
    assert_eq!(found.key().as_str(), "1234");
    // The server's id is not a second address of the build.
    assert_eq!(store.build_find(project.id, &found.id.to_string().parse().unwrap()).unwrap(), None);
}

fn a_chosen_key_may_not_be_the_id_of_another_build(store: &Store) {
    let project = store.project("p");
    let first = build(&project, "2026-01-01T00:00:00Z", &[]);
    store.record(first.clone());
    let mut second = build(&project, "2026-01-01T00:00:00Z", &[]);
    second.key = Some(first.id.to_string().parse().unwrap());
    second.report.digest = Some(Digest([1; 32]));
    assert_eq!(store.record(second), Recorded::Differs);
}

fn one_key_in_two_projects_is_two_builds(store: &Store) {
    for slug in ["p", "q"] {
        let mut new = build(&store.project(slug), "2026-01-01T00:00:00Z", &[]);
        new.key = Some("1".parse().unwrap());
        assert_eq!(store.record(new), Recorded::New);
    }
}

fn each_build_of_a_batch_has_its_own_outcome(store: &Store) {
    let (project, gone) = (store.project("p"), store.project("gone"));
    store.project_delete(gone.id, None).unwrap();
    let mut twice = build(&project, "2026-01-01T00:00:00Z", &["t"]);
    twice.key = Some("k".parse().unwrap());
    twice.report.digest = Some(Digest([1; 32]));
    let mut again = build(&project, "2026-01-01T00:00:00Z", &["t"]);
    again.key = twice.key.clone();
    again.report.digest = Some(Digest([2; 32]));
    let batch = [
        build(&project, "2026-01-01T00:00:00Z", &[]),
        build(&gone, "2026-01-01T00:00:00Z", &[]),
        twice,
        again,
    ];
    assert_eq!(
        store.build_record_many(&batch).unwrap(),
        [Recorded::New, Recorded::NoProject, Recorded::New, Recorded::Differs]
    );
    assert_eq!(store.build_tally(&Scope::Project(project.id)).unwrap().members, 2);
    assert_eq!(store.steps(&store.find(&project, batch[0].id)).len(), 1);
}

fn an_id_that_is_taken_is_a_clash(store: &Store) {
    let project = store.project("p");
    let new = build(&project, "2026-01-01T00:00:00Z", &[]);
    assert_eq!(store.record(new.clone()), Recorded::New);
    assert_eq!(store.record(new), Recorded::Clash);
}

fn a_newcomer_becomes_a_user_if_the_build_is_recorded(store: &Store) {
    let project = store.project("p");
    let mut new = build(&project, "2026-01-01T00:00:00Z", &[]);
    new.sender = Actor::Newcomer(account("Alice"));
    assert_eq!(store.record(new.clone()), Recorded::New);
    let alice = store.user_find(&"aLICE".parse().unwrap()).unwrap().unwrap();
    assert_eq!(
        store.find(&project, new.id).sender,
        Sender::Account(alice.id, Some("Alice".parse().unwrap()))
    );

    let mut new = build(&project, "2026-01-01T00:00:00Z", &[]);
    new.sender = Actor::Newcomer(account("ALICE"));
    assert_eq!(store.record(new), Recorded::UsernameTaken);

    store.project_delete(project.id, None).unwrap();
    let mut new = build(&project, "2026-01-01T00:00:00Z", &[]);
    new.sender = Actor::Newcomer(account("bob"));
    assert_eq!(store.record(new), Recorded::NoProject);
    assert_eq!(store.user_find(&"bob".parse().unwrap()).unwrap(), None);
    assert_eq!(store.user_tally().unwrap().members, 1);
}

fn an_idempotency_key_is_answered_again_and_stores_nothing(store: &Store) {
    let project = store.project("p");
    let with = |claim| NewBuild { claim, ..build(&project, "2026-01-01T00:00:00Z", &[]) };
    assert_eq!(store.record(with(claim(1, 1))), Recorded::New);
    let Recorded::Claimed(Claimed::Replayed(answer)) = store.record(with(claim(1, 1))) else {
        panic!()
    };
    assert_eq!(answer, "/p/builds/1-1");
    assert_eq!(store.record(with(claim(1, 2))), Recorded::Claimed(Claimed::KeyReused));
    assert_eq!(store.build_tally(&Scope::Project(project.id)).unwrap().members, 1);
    // Also within one batch.
    let outcomes = store.build_record_many(&[with(claim(2, 1)), with(claim(2, 1))]).unwrap();
    assert!(matches!(
        outcomes.as_slice(),
        [Recorded::New, Recorded::Claimed(Claimed::Replayed(_))]
    ));
}

fn a_key_of_a_request_that_failed_is_free_again(store: &Store) {
    let (project, gone) = (store.project("p"), store.project("gone"));
    store.project_delete(gone.id, None).unwrap();
    let with =
        |project| NewBuild { claim: claim(1, 1), ..build(project, "2026-01-01T00:00:00Z", &[]) };
    assert_eq!(store.record(with(&gone)), Recorded::NoProject);
    assert_eq!(store.record(with(&project)), Recorded::New);
}

fn a_key_that_comes_twice_in_a_batch_that_fails_promises_nothing(store: &Store) {
    let (project, gone) = (store.project("p"), store.project("gone"));
    store.project_delete(gone.id, None).unwrap();
    let with = || NewBuild { claim: claim(1, 1), ..build(&gone, "2026-01-01T00:00:00Z", &[]) };
    let outcomes = store.build_record_many(&[with(), with()]).unwrap();
    assert_eq!(outcomes, [Recorded::NoProject, Recorded::Clash]);
    let new = build(&project, "2026-01-01T00:00:00Z", &[]);
    store.record(new.clone());
    let step = || NewStep {
        project: project.id,
        build: new.id,
        step: step("s", true),
        test_report: TestReport::default(),
        claim: claim(2, 2),
    };
    assert_eq!(
        store.step_append_many(&[step(), step()]).unwrap(),
        [Appended::Finished, Appended::Finished]
    );
}

fn writers_with_steps_of_the_same_builds_do_not_block_each_other(store: &Store) {
    let project = store.project("p");
    let builds: Vec<NewBuild> = (0..8).map(|_| running(&project)).collect();
    store.build_record_many(&builds).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (project, builds) = (project.id, &builds);
            scope.spawn(move || {
                for _ in 0..10 {
                    let mut steps: Vec<NewStep> = builds
                        .iter()
                        .map(|build| NewStep {
                            project,
                            build: build.id,
                            step: step("s", true),
                            test_report: TestReport::default(),
                            claim: None,
                        })
                        .collect();
                    if writer % 2 == 0 {
                        steps.reverse();
                    }
                    assert_eq!(store.step_append_many(&steps).unwrap(), vec![Appended::Done; 8]);
                }
            });
        }
    });
    for build in &builds {
        let found = store.find(&project, build.id);
        assert_eq!((found.steps, store.steps(&found).len()), (40, 40));
    }
}

fn an_expired_key_is_forgotten(store: &Store) {
    let project = store.project("p");
    let with = || NewBuild { claim: claim(1, 1), ..build(&project, "2026-01-01T00:00:00Z", &[]) };
    store.record(with());
    let later = |micros| Timestamp::from_parts(Timestamp::now().micros() + micros, 0).unwrap();
    store.purge(later(CLAIM_LIFETIME_MICROS - 60_000_000), KEEP).unwrap();
    assert!(matches!(store.record(with()), Recorded::Claimed(_)));
    store.purge(later(CLAIM_LIFETIME_MICROS + 60_000_000), KEEP).unwrap();
    assert_eq!(store.record(with()), Recorded::New);
}

fn steps_are_appended_in_order_and_counted(store: &Store) {
    let project = store.project("p");
    let new = running(&project);
    store.record(new.clone());
    let step = |name: &str, success| NewStep {
        project: project.id,
        build: new.id,
        step: step(name, success),
        test_report: TestReport::default(),
        claim: None,
    };
    assert_eq!(
        store.step_append_many(&[step("a", true), step("b", false)]).unwrap(),
        [Appended::Done, Appended::Done]
    );
    assert_eq!(store.step_append_many(&[step("c", true)]).unwrap(), [Appended::Done]);
    let found = store.find(&project, new.id);
    assert_eq!((found.outcome, found.steps, found.failed_steps), (Outcome::Running, 3, 1));
    let names: Vec<_> = store.steps(&found).iter().map(|step| step.name.to_string()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert!(found.version > 1);
}

fn a_build_that_is_full_takes_no_more_steps(store: &Store) {
    let project = store.project("p");
    let new = running(&project);
    store.record(new.clone());
    let step = || NewStep {
        project: project.id,
        build: new.id,
        step: step("s", true),
        test_report: TestReport::default(),
        claim: None,
    };
    let mut left = limits::BUILD_STEPS - 1;
    while left > 0 {
        let steps: Vec<NewStep> = (0..left.min(20_000)).map(|_| step()).collect();
        left -= steps.len();
        assert!(
            store
                .step_append_many(&steps)
                .unwrap()
                .iter()
                .all(|appended| *appended == Appended::Done)
        );
    }
    // Several at once are all rejected if they do not all fit.
    assert_eq!(
        store.step_append_many(&[step(), step()]).unwrap(),
        [Appended::Full, Appended::Full]
    );
    assert_eq!(store.step_append_many(&[step()]).unwrap(), [Appended::Done]);
    assert_eq!(store.step_append_many(&[step()]).unwrap(), [Appended::Full]);
    assert_eq!(store.find(&project, new.id).steps as usize, limits::BUILD_STEPS);
    // The build may still be closed.
    let closing = Closing::default();
    assert_eq!(
        store.build_close(project.id, new.id, closing, Timestamp::now()).unwrap(),
        Closed::Done
    );
}

fn steps_sent_at_once_are_all_kept_each_once(store: &Store) {
    let project = store.project("p");
    let new = running(&project);
    store.record(new.clone());
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let (project, build) = (project.id, new.id);
            scope.spawn(move || {
                for n in 0..5 {
                    let step = NewStep {
                        project,
                        build,
                        step: step(&format!("{writer}-{n}"), true),
                        test_report: TestReport::default(),
                        claim: None,
                    };
                    assert_eq!(store.step_append_many(&[step]).unwrap(), [Appended::Done]);
                }
            });
        }
    });
    let found = store.find(&project, new.id);
    let names: std::collections::BTreeSet<_> =
        store.steps(&found).iter().map(|step| step.name.to_string()).collect();
    assert_eq!((found.steps, names.len()), (40, 40));
}

fn a_build_is_closed_by_what_its_steps_say(store: &Store) {
    let project = store.project("p");
    let begin = "Tue, 20 Oct 2009 10:20:00 -0500";
    let close_from = |begin, closing, steps: &[bool]| {
        let mut new = running(&project);
        new.report.started = at(begin);
        store.record(new.clone());
        for (n, success) in steps.iter().enumerate() {
            let mut step = step("s", *success);
            step.finished = at(&format!("Tue, 20 Oct 2009 10:2{} -0500", ["5:00", "1:00"][n % 2]));
            store
                .step_append_many(&[NewStep {
                    project: project.id,
                    build: new.id,
                    step,
                    test_report: TestReport::default(),
                    claim: None,
                }])
                .unwrap();
        }
        let now = at("2026-02-02T00:00:00Z");
        assert_eq!(store.build_close(project.id, new.id, closing, now).unwrap(), Closed::Done);
        assert_eq!(store.build_close(project.id, new.id, closing, now).unwrap(), Closed::Finished);
        let late = NewStep {
            project: project.id,
            build: new.id,
            step: step("late", true),
            test_report: TestReport::default(),
            claim: None,
        };
        assert_eq!(store.step_append_many(&[late]).unwrap(), [Appended::Finished]);
        match store.find(&project, new.id).outcome {
            Outcome::Finished { success, finished } => (success, finished.to_rfc2822()),
            Outcome::Running => panic!("still running"),
        }
    };
    let close = |closing, steps: &[bool]| close_from(begin, closing, steps);
    let latest = "Tue, 20 Oct 2009 10:25:00 -0500".to_owned();
    assert_eq!(close(Closing::default(), &[true, true]), (true, latest.clone()));
    assert_eq!(close(Closing::default(), &[true, false]), (false, latest.clone()));
    assert_eq!(
        close(Closing::default(), &[]),
        (true, "Mon, 02 Feb 2026 00:00:00 +0000".to_owned())
    );
    assert_eq!(close(Closing { success: Some(false), finished: None }, &[true]), (false, latest));
    let end = at("Sat, 03 Jan 2026 00:00:00 +0100");
    assert_eq!(
        close(Closing { success: None, finished: Some(end) }, &[true]),
        (true, end.to_rfc2822())
    );
    // A build never finishes before it started, even if its steps did.
    let after = "Tue, 20 Oct 2009 11:00:00 -0500";
    assert_eq!(close_from(after, Closing::default(), &[true]), (true, after.to_owned()));
}

fn what_is_not_there_is_gone(store: &Store) {
    let project = store.project("p");
    let new = running(&project);
    let step = NewStep {
        project: project.id,
        build: new.id,
        step: step("s", true),
        test_report: TestReport::default(),
        claim: None,
    };
    assert_eq!(store.step_append_many(&[step]).unwrap(), [Appended::Gone]);
    assert_eq!(
        store.build_close(project.id, new.id, Closing::default(), Timestamp::now()).unwrap(),
        Closed::Gone
    );
    assert_eq!(store.build_delete(project.id, new.id, None).unwrap(), Updated::Gone);
}

fn a_deleted_build_leaves_nothing_behind(store: &Store) {
    let project = store.project("p");
    let new = build(&project, "2026-01-01T00:00:00Z", &["t"]);
    store.record(new.clone());
    let read_before = store.find(&project, new.id);
    assert_eq!(store.build_delete(project.id, new.id, Some(7)).unwrap(), Updated::Stale);
    assert_eq!(store.build_delete(project.id, new.id, Some(1)).unwrap(), Updated::Done(()));
    assert_eq!(store.build_find(project.id, &new.id.to_string().parse().unwrap()).unwrap(), None);
    assert_eq!(store.step_list(std::slice::from_ref(&read_before)).unwrap(), [None]);
    assert_eq!(store.step_outline(&[read_before]).unwrap(), [vec![]]);
    assert_eq!(store.build_tally(&Scope::Project(project.id)).unwrap().members, 0);
    assert_eq!(store.tag_list(project.id).unwrap(), []);
    assert_eq!(
        store.page(&Scope::Tagged(project.id, vec!["t".parse().unwrap()]), Start::Offset(0), 10),
        []
    );
}

fn steps_added_after_a_build_was_read_do_not_belong_to_what_was_read(store: &Store) {
    let project = store.project("p");
    let new = running(&project);
    store.record(new.clone());
    let append = |name| {
        let step = NewStep {
            project: project.id,
            build: new.id,
            step: step(name, true),
            test_report: TestReport::default(),
            claim: None,
        };
        store.step_append_many(&[step]).unwrap();
    };
    append("a");
    let before = store.find(&project, new.id);
    append("b");
    assert_eq!(store.steps(&before).len(), 1);
}
