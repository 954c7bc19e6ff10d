//! Projects, users and upkeep.

use crate::*;

conformance!(
    a_schema_that_is_newer_than_the_server_is_refused,
    somebody_who_reported_to_thousands_of_projects_has_a_tally,
    changes_rise_with_every_change_and_with_no_report,
    outputs_that_are_stored_compressed_come_back_as_sent,
    a_project_is_found_whatever_the_case_and_keeps_its_own,
    projects_are_listed_by_name,
    of_many_updates_that_saw_one_version_one_is_done,
    an_update_that_leaves_out_reporting_keeps_it,
    a_deleted_project_is_gone_at_once_and_purged_in_pieces,
    servers_that_purge_at_once_leave_nothing_behind,
    a_user_who_is_gone_owns_nothing_new,
    users_are_listed_by_name_and_change_their_passwords,
    a_session_is_its_users_until_it_expires_or_the_password_changes,
    a_deleted_user_leaves_projects_to_nobody_and_builds_uncredited,
    servers_that_start_at_once_do_not_collide,
);

fn a_schema_that_is_newer_than_the_server_is_refused(store: &Store) {
    use diesel::Connection as _;
    use diesel::connection::SimpleConnection as _;
    let newer = "insert into __diesel_schema_migrations (version) values ('99990101000000')";
    let url = &store.database.url;
    match url.strip_prefix("sqlite:") {
        Some(path) => diesel::SqliteConnection::establish(path).unwrap().batch_execute(newer),
        None => diesel::PgConnection::establish(url).unwrap().batch_execute(newer),
    }
    .unwrap();
    let error = open(url, &Options::default()).err().unwrap().chain();
    assert!(error.contains("which this server does not know"), "{error}");
    assert!(error.contains("99990101000000"), "{error}");
}

fn somebody_who_reported_to_thousands_of_projects_has_a_tally(store: &Store) {
    use diesel::Connection as _;
    use diesel::connection::SimpleConnection as _;
    let (alice, project) = (store.user("alice"), store.project("p"));
    // As if each row were for a different project: the sum is over all of them.
    let rows = format!(
        "insert into sender_count (sender_id, project_id, shard, builds, changes) \
         with recursive n (i) as (select 1 union all select i + 1 from n where i < 6000) \
         select {}, {}, i, 1, 1790000000000000 from n",
        alice.id.0, project.id.0
    );
    let url = &store.database.url;
    match url.strip_prefix("sqlite:") {
        Some(path) => diesel::SqliteConnection::establish(path).unwrap().batch_execute(&rows),
        None => diesel::PgConnection::establish(url).unwrap().batch_execute(&rows),
    }
    .unwrap();
    assert_eq!(store.build_tally(&Scope::Sender(alice.id)).unwrap().members, 6000);
}

fn changes_rise_with_every_change_and_with_no_report(store: &Store) {
    let owner = store.user("alice");
    let project = store.project_of("p", Actor::Account(owner.id));
    let new = build(&project, "2026-01-01T00:00:00Z", &["a"]);
    let open = running(&project);
    let mut before = store.changes().unwrap();
    store.build_record_many(&[new.clone(), open.clone()]).unwrap();
    let added = NewStep {
        project: project.id,
        build: open.id,
        step: step("s", true),
        test_report: TestReport::default(),
        claim: None,
    };
    store.step_append_many(&[added]).unwrap();
    assert_eq!(store.changes().unwrap(), before);

    let mut rises = |what: &str| {
        let now = store.changes().unwrap();
        assert!(now.count > before.count, "{what}");
        before = now;
    };
    store.build_delete(project.id, new.id, None).unwrap();
    rises("a build was deleted");
    store.project_update(project.id, &named("q"), None).unwrap();
    rises("a project was renamed");
    store.user_delete(owner.id, None).unwrap();
    rises("a user was deleted");
    store.project_delete(project.id, None).unwrap();
    rises("a project was deleted");
}

fn outputs_that_are_stored_compressed_come_back_as_sent(store: &Store) {
    let project = store.project("p");
    let mut new = build(&project, "2026-01-01T00:00:00Z", &[]);
    let long = "\u{1b}[31mred\u{0} and \u{e9}\n".repeat(5000);
    let outputs =
        [("short", ""), (long.as_str(), ""), ("", long.as_str()), (long.as_str(), long.as_str())];
    new.report.steps = outputs
        .iter()
        .map(|(output, errout)| Step {
            output: (*output).to_owned(),
            errout: (*errout).to_owned(),
            ..step("s", true)
        })
        .collect();
    let id = new.id;
    let steps = new.report.steps.clone();
    store.record(new);
    let found = store.find(&project, id);
    assert_eq!(store.steps(&found), steps);
    // The size used for cutting pages covers the texts, including names, and a constant per step.
    let texts =
        5 + 4 * long.len() + outputs.len() * ("s".len() + step("s", true).extras.as_str().len());
    assert_eq!(found.output_bytes, (texts + outputs.len() * 128) as u64);
}

fn a_project_is_found_whatever_the_case_and_keeps_its_own(store: &Store) {
    let project = store.project("Pony");
    let found = store.project_find(&"pONY".parse().unwrap()).unwrap().unwrap();
    assert_eq!(found, project);
    assert_eq!(found.slug.as_str(), "Pony");
    let again = NewProject {
        slug: "PONY".parse().unwrap(),
        name: "x".parse().unwrap(),
        reporting: Reporting::Owner,
        tracking: Tracking::default(),
        repository: None,
        tags: TagSet::default(),
        owner: Actor::Newcomer(account("zoe")),
    };
    assert_eq!(store.project_register(&again).unwrap(), Registered::Exists);
    assert_eq!(store.user_find(&"zoe".parse().unwrap()).unwrap(), None);
}

fn projects_are_listed_by_name(store: &Store) {
    for slug in ["b", "a", "C"] {
        store.project(slug);
    }
    let page = |page| -> Vec<String> {
        let list = store.project_list(PageRequest { page, per_page: 2 }).unwrap();
        list.iter().map(|project| project.slug.to_string()).collect()
    };
    assert_eq!(
        (page(1), page(2), page(3)),
        (vec!["C".into(), "a".into()], vec!["b".into()], vec![])
    );
    assert_eq!(store.project_tally().unwrap().members, 3);
}

fn of_many_updates_that_saw_one_version_one_is_done(store: &Store) {
    let project = store.project("p");
    let done = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (done, project) = (&done, &project);
            scope.spawn(move || {
                let name = named(&format!("name {n}"));
                match store.project_update(project.id, &name, Some(project.version)).unwrap() {
                    Updated::Done(_) => {
                        done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                    other => assert_eq!(other, Updated::Stale),
                }
            });
        }
    });
    assert_eq!(done.into_inner(), 1);
}

/// A change of a project's name alone.
fn named(name: &str) -> ProjectChange {
    ProjectChange { name: Some(name.parse().unwrap()), ..ProjectChange::default() }
}

fn an_update_that_leaves_out_reporting_keeps_it(store: &Store) {
    let project = store.project("p");
    let update = |name: &str, reporting| match store
        .project_update(project.id, &ProjectChange { reporting, ..named(name) }, None)
        .unwrap()
    {
        Updated::Done(project) => (project.name.to_string(), project.reporting),
        other => panic!("{other:?}"),
    };
    assert_eq!(update("A", Some(Reporting::Owner)), ("A".into(), Reporting::Owner));
    assert_eq!(update("B", None), ("B".into(), Reporting::Owner));
}

fn a_deleted_project_is_gone_at_once_and_purged_in_pieces(store: &Store) {
    let project = store.project("p");
    let batch: Vec<_> =
        (0..600).map(|_| build(&project, "2026-01-01T00:00:00Z", &["a", "b"])).collect();
    store.build_record_many(&batch).unwrap();
    assert_eq!(store.project_delete(project.id, Some(9)).unwrap(), Updated::Stale);
    assert_eq!(store.project_delete(project.id, None).unwrap(), Updated::Done(()));
    assert_eq!(store.project_delete(project.id, None).unwrap(), Updated::Gone);
    assert_eq!(store.project_find(&project.slug).unwrap(), None);
    assert_eq!(store.project_tally().unwrap().members, 0);
    // The slug is free again, and the new project has none of the old builds.
    let new = store.project("p");
    assert_eq!(store.build_tally(&Scope::Project(new.id)).unwrap().members, 0);
    let mut pieces = 0;
    while store.purge(Timestamp::now(), KEEP).unwrap() {
        pieces += 1;
    }
    assert!(pieces > 4, "{pieces}");
    assert_eq!(store.page(&Scope::Project(project.id), Start::Offset(0), 10), []);
}

fn servers_that_purge_at_once_leave_nothing_behind(store: &Store) {
    let project = store.project("p");
    let mut batch: Vec<_> =
        (0..300).map(|_| build(&project, "2026-01-01T00:00:00Z", &["a"])).collect();
    for build in &mut batch {
        build.report.steps = (0..10).map(|_| step("s", true)).collect();
    }
    store.build_record_many(&batch).unwrap();
    let build = store.find(&project, batch[0].id);
    store.project_delete(project.id, None).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let other = open(&store.database.url, &Options::default()).unwrap();
                while other.purge(Timestamp::now(), KEEP).unwrap() {}
            });
        }
    });
    while store.purge(Timestamp::now(), KEEP).unwrap() {}
    // None of the ten steps of each build is left.
    let none = Build { steps: 0, ..build.clone() };
    assert_eq!(store.step_list(&[none, build]).unwrap(), [Some(vec![]), None]);
    assert_eq!(store.page(&Scope::Project(project.id), Start::Offset(0), 10), []);
}

fn a_user_who_is_gone_owns_nothing_new(store: &Store) {
    let ghost = store.user("ghost");
    store.user_delete(ghost.id, None).unwrap();
    let new = NewProject {
        slug: "p".parse().unwrap(),
        name: "p".parse().unwrap(),
        reporting: Reporting::Anyone,
        tracking: Tracking::default(),
        repository: None,
        tags: TagSet::default(),
        owner: Actor::Account(ghost.id),
    };
    assert_eq!(store.project_register(&new).unwrap(), Registered::NoOwner);
}

fn users_are_listed_by_name_and_change_their_passwords(store: &Store) {
    let (bob, alice) = (store.user("bob"), store.user("Alice"));
    assert_eq!(store.user_create(&account("ALICE")).unwrap(), None);
    let names: Vec<_> = store
        .user_list(PageRequest { page: 1, per_page: 9 })
        .unwrap()
        .iter()
        .map(|u| u.username.to_string())
        .collect();
    assert_eq!(names, ["Alice", "bob"]);
    let hash = PasswordHash::from_stored("new".into());
    assert_eq!(store.user_set_password(bob.id, &hash, Some(5)).unwrap(), Updated::Stale);
    let Updated::Done(changed) = store.user_set_password(bob.id, &hash, Some(bob.version)).unwrap()
    else {
        panic!()
    };
    assert!(changed.version > bob.version);
    assert_eq!(changed.password_hash, hash);
    assert_eq!(store.user_find(&alice.username).unwrap().unwrap(), alice);
}

fn a_session_is_its_users_until_it_expires_or_the_password_changes(store: &Store) {
    let (bob, alice) = (store.user("bob"), store.user("alice"));
    let at = |text: &str| text.parse().unwrap();
    let (now, then) = (at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z"));
    for (nth, user) in [(1, &bob), (2, &bob), (3, &alice), (4, &alice)] {
        store.session_create(Digest([nth; 32]), user.id, then).unwrap();
    }
    let of = |nth: u8, now| store.session_find(Digest([nth; 32]), now).unwrap().map(|user| user.id);
    assert_eq!((of(1, now), of(3, now), of(9, now)), (Some(bob.id), Some(alice.id), None));
    assert_eq!(of(1, then), None);
    store.session_delete(Digest([1; 32])).unwrap();
    assert_eq!((of(1, now), of(2, now)), (None, Some(bob.id)));
    store.user_set_password(bob.id, &PasswordHash::from_stored("new".into()), None).unwrap();
    store.user_delete(alice.id, None).unwrap();
    assert_eq!((of(2, now), of(3, now)), (None, None));
    let carol = store.user("carol");
    for nth in 100..130 {
        let expires = format!("2026-01-02T00:00:{:02}Z", nth - 100);
        store.session_create(Digest([nth; 32]), carol.id, at(&expires)).unwrap();
    }
    assert_eq!((of(109, now), of(110, now)), (None, Some(carol.id)));
    store.session_create(Digest([5; 32]), carol.id, then).unwrap();
    store.purge(at("2026-01-03T00:00:00Z"), Retention { micros: 0, bytes: 0 }).unwrap();
    assert_eq!(of(5, now), None);
}

fn a_deleted_user_leaves_projects_to_nobody_and_builds_uncredited(store: &Store) {
    let alice = store.user("alice");
    let project = store.project_of("p", Actor::Account(alice.id));
    let mut new = build(&project, "2026-01-01T00:00:00Z", &[]);
    new.sender = Actor::Account(alice.id);
    store.record(new.clone());
    let before = store.build_tally(&Scope::Project(project.id)).unwrap().changes;
    assert_eq!(store.user_delete(alice.id, None).unwrap(), Updated::Done(()));
    assert_eq!(store.user_delete(alice.id, None).unwrap(), Updated::Gone);
    let orphan = store.project_find(&project.slug).unwrap().unwrap();
    assert_eq!(orphan.owner, None);
    assert!(orphan.version > project.version);
    assert_eq!(store.find(&project, new.id).sender, Sender::Account(alice.id, None));
    assert_ne!(store.build_tally(&Scope::Project(project.id)).unwrap().changes, before);
    // A later user with that name does not inherit anything.
    let other = store.user("alice");
    assert_ne!(other.id, alice.id);
    assert_eq!(store.page(&Scope::Sender(other.id), Start::Offset(0), 10), []);
}

fn servers_that_start_at_once_do_not_collide(store: &Store) {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| open(&store.database.url, &Options::default()).unwrap().ping().unwrap());
        }
    });
}

mod fresh {
    use super::super::*;

    fn start_at_once(backend: Backend) {
        let database = backend.database();
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| open(&database.url, &Options::default()).unwrap().ping().unwrap());
            }
        });
    }

    #[test]
    fn sqlite_servers_that_start_at_once_on_an_empty_database_do_not_collide() {
        start_at_once(Backend::Sqlite);
    }

    #[test]
    fn postgres_servers_that_start_at_once_on_an_empty_database_do_not_collide() {
        start_at_once(Backend::Postgres);
    }

    #[test]
    fn a_url_of_neither_kind_is_refused() {
        for url in ["mysql://x", "", "devmason.db", "sqlite:", "sqlite::memory:"] {
            assert!(matches!(open(url, &Options::default()), Err(Error::Url(_))), "{url}");
        }
    }

    #[test]
    fn a_database_that_cannot_be_reached_is_unavailable() {
        for url in ["postgres://nobody@127.0.0.1:1/x", "sqlite:/nowhere/at/all/x.db"] {
            assert!(matches!(open(url, &Options::default()), Err(Error::Unavailable(_))), "{url}");
        }
    }

    #[test]
    fn connections_that_died_are_replaced() {
        let store = Store::new(Backend::Postgres);
        let project = store.project("p");
        // Several connections, all of which die.
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| store.project_tally().unwrap());
            }
        });
        store.database.sever();
        // Reads are retried. A write is not, because it may have been committed.
        assert_eq!(store.project_find(&project.slug).unwrap(), Some(project.clone()));
        assert_eq!(store.record(build(&project, "2026-01-01T00:00:00Z", &[])), Recorded::New);
        store.database.sever();
        let change = store.build_record_many(&[build(&project, "2026-01-01T00:00:00Z", &[])]);
        assert!(matches!(change, Err(Error::Unavailable(_))), "{change:?}");
        assert_eq!(store.record(build(&project, "2026-01-01T00:00:00Z", &[])), Recorded::New);
    }

    #[test]
    fn a_database_that_a_uri_names_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let uri = format!("sqlite:file:{}/a%20b.db?mode=rwc", directory.path().display());
        drop(open(&uri, &Options::default()).unwrap());
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let entry = entry.unwrap();
            assert!(entry.file_name().to_str().unwrap().starts_with("a b.db"), "{entry:?}");
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{entry:?}");
        }
    }

    #[test]
    fn a_file_that_is_no_database_is_corrupt() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.db");
        std::fs::write(&path, "not a database at all, but long enough to look at: ".repeat(100))
            .unwrap();
        let error = open(&format!("sqlite:{}", path.display()), &Options::default())
            .err()
            .expect("an error");
        assert!(matches!(error, Error::Corrupt(_)), "{error:?}");
    }
}
