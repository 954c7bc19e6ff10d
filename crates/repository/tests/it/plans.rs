//! The SQL of the hot queries, and that each uses its index. Their text is kept in golden files
//! (`snapshots/`), and each is explained on populated tables.

mod explain;
mod filled;

use devmason_domain::query::{TESTS, parse_query, parse_where};
use diesel::connection::set_default_instrumentation;

use super::*;
use explain::{note, plan, statements, whole};
use filled::{Filled, filled};

/// A hot query: how to run it, and what its plan must contain on PostgreSQL and on SQLite.
struct Hot<'a> {
    name: &'static str,
    ask: Box<dyn Fn() + 'a>,
    postgres: &'static [&'static str],
    sqlite: &'static [&'static str],
}

fn hot<'a>(
    name: &'static str,
    postgres: &'static [&'static str],
    sqlite: &'static [&'static str],
    ask: impl Fn() + 'a,
) -> Hot<'a> {
    Hot { name, ask: Box::new(ask), postgres, sqlite }
}

fn hot_queries_are_answered_by_their_indexes(backend: Backend) {
    set_default_instrumentation(|| Some(Box::new(note))).unwrap();
    let store = Store::new(backend);
    let Filled { alice, kernels, projects, one, issue } = filled(&store);
    let kernel = &kernels[0];
    let logged = logs::filled(&store, projects.last().unwrap());
    let launch = foreign::filled(&store, projects.last().unwrap());
    store.database.analyze();
    let project = projects.last().unwrap();
    let one = store.find(project, one.id);
    let scope = Scope::Project(project.id);
    let tagged = |words: &[&str]| {
        Scope::Tagged(project.id, words.iter().map(|word| word.parse().unwrap()).collect())
    };
    let page = |scope: &Scope, start: Start| drop(store.page(scope, start, 26));
    let of = |conditions: &str, query: &str| {
        let filter = parse_where(&BUILDS, conditions).unwrap();
        let filter = if query.is_empty() {
            filter
        } else {
            filter.and(parse_query(&BUILDS, query).unwrap())
        };
        let selection = Selection { filter, sort: Vec::new() };
        BuildQuery { scope: scope.clone(), selection, start: Start::Offset(0), limit: 26 }
    };
    let listing = |conditions: &str| {
        let filter = parse_where(&BUILDS, conditions).unwrap();
        Listing { selection: Selection { filter, sort: Vec::new() }, offset: 0, limit: 20 }
    };
    let cases = TestQuery {
        project: project.id,
        build: one.id,
        statuses: Vec::new(),
        suite: None,
        text: None,
        places: None,
        from: 0,
        limit: 100,
        is_brief: false,
    };
    let (key, chosen) = (one.id.to_string(), "0-0".to_owned());
    let its = one.track.as_ref().unwrap();
    let track = its.key();
    let of_commit = |revision: &str| Among::Revision {
        revision: revision.to_owned(),
        variant: its.variant.clone(),
        is_credited: its.is_credited,
    };
    let of_branch = OfBranch { branch: &its.branch, variant: None, is_credited: Some(true) };
    let newest = store.page(&scope, Start::Offset(0), 100);
    let signature = newest
        .iter()
        .find_map(|build| store.build_signatures(project.id, *build, 1).unwrap().first().copied());
    let signature = signature.unwrap();
    let beyond = Beyond {
        project: project.id,
        since: Some("2026-01-09T00:00:00Z".parse().unwrap()),
        is_credited: true,
    };
    let tracked = |among: Among| drop(store.tracked_list(project.id, &among, Some(one.id), 100));
    let queries = [
        hot(
            "the builds of a track",
            &["build_by_track"],
            &["USING INDEX build_by_track (project_id=? AND track=? AND id<?)"],
            || tracked(Among::Track(track)),
        ),
        hot(
            "the builds of a commit",
            &["build_by_revision"],
            &["USING INDEX build_by_revision (project_id=? AND revision=?"],
            || tracked(of_commit("abcdef0")),
        ),
        hot(
            "the newest builds with a tag",
            &["build_tag_pkey", "build_pkey"],
            &[
                "SEARCH build_tag USING PRIMARY KEY",
                "SEARCH build USING INDEX build_1 (project_id=? AND id=?",
            ],
            || tracked(Among::Tagged("ten-3".parse().unwrap())),
        ),
        hot(
            "the newest builds with a signature",
            &["sighting_pkey", "build_pkey"],
            &[
                "SEARCH sighting USING PRIMARY KEY (signature=? AND credited=? AND project_id=? AND build_id<?)",
                "SEARCH build USING INDEX build_1 (project_id=? AND id=?",
            ],
            || tracked(Among::Sighted(signature)),
        ),
        hot(
            "the signatures of a build",
            &["sighting_by_build"],
            &["sighting_by_build (project_id=? AND build_id=?"],
            || drop(store.build_signatures(project.id, one.id, 100).unwrap()),
        ),
        hot(
            "other projects with a signature",
            &["sighting_pkey"],
            &[
                "SEARCH s USING PRIMARY KEY (signature=? AND credited=? AND project_id>?)",
                "SEARCH s USING PRIMARY KEY (signature=? AND credited=? AND project_id=?)",
                "SEARCH build USING INDEX build_1 (project_id=? AND id=?",
            ],
            || drop(store.seen_beyond(&[signature], beyond).unwrap()),
        ),
        hot(
            "whether builds still lack their signatures",
            // The table is empty once all builds are prepared.
            &[],
            &["SEARCH unsigned_build USING PRIMARY KEY (project_id=?)"],
            || assert!(store.sightings_are_complete(project.id).unwrap()),
        ),
        hot(
            "the tracks of the branches that may be the mainline",
            &["build_by_track"],
            &["SEARCH track USING", "build_by_track (project_id=? AND track=?"],
            || drop(store.branch_with_finished(project.id, &MAINLINES, true).unwrap()),
        ),
        hot(
            "the newest of a branch",
            &["build_pkey"],
            &[
                "SEARCH build USING INDEX build_1 (project_id=?",
                "SEARCH track USING PRIMARY KEY (project_id=? AND key=?",
            ],
            || drop(store.branch_newest(project.id, &of_branch, 30).unwrap()),
        ),
        hot(
            "the active tracks",
            &["build_by_track", "build_pkey"],
            &[
                "SEARCH build USING COVERING INDEX build_by_track (project_id=? AND track=?)",
                "SEARCH build USING COVERING INDEX build_1 (project_id=? AND id>?)",
                "SEARCH track USING PRIMARY KEY (project_id=? AND key=?",
            ],
            || drop(store.track_active(project.id, 50).unwrap()),
        ),
        hot(
            "whether builds still lack a track",
            &["build_without_track"],
            &["build_without_track (project_id=?"],
            || assert!(store.tracks_are_complete(project.id).unwrap()),
        ),
        hot(
            "the newest builds of a commit",
            &["build_by_revision"],
            &["USING INDEX build_by_revision (project_id=? AND revision=?"],
            || drop(store.revision_builds(project.id, "abcdef0", 100).unwrap()),
        ),
        hot(
            "the commits that begin with a text",
            &["build_by_revision"],
            &["build_by_revision (project_id=? AND revision>? AND revision<?)"],
            || drop(store.revisions_like(project.id, "abcde").unwrap()),
        ),
        hot(
            "the newest builds of a track, running ones included",
            &["build_by_track"],
            &["USING INDEX build_by_track (project_id=? AND track=?)"],
            || drop(store.track_begun(project.id, track, 11).unwrap()),
        ),
        hot(
            "the cases of one test in several builds",
            &["strip_pkey"],
            &["SEARCH strip USING INDEX strip_1 (project_id=? AND build_id=?)"],
            || drop(store.cases_of_test(project.id, &[one.id], 1).unwrap()),
        ),
        hot(
            "an issue",
            &["Index Scan using issue_"],
            &["SEARCH issue USING INDEX issue_1 (project_id=? AND id=?)"],
            || drop(store.issue_find(project.id, issue.id).unwrap()),
        ),
        hot(
            "the issues that failures are compared with",
            &["issue_by_end"],
            &["SEARCH issue USING INDEX issue_by_end (project_id=?"],
            || drop(store.issues_to_compare(project.id).unwrap()),
        ),
        hot(
            "how many issues are in force",
            &["issue_by_end"],
            &["SEARCH issue USING INDEX issue_by_end (project_id=? AND closed_at=?)"],
            || assert!(store.issues_in_force(project.id, Timestamp::now()).unwrap() > 0),
        ),
        hot(
            "the cases of several builds",
            &["strip_pkey"],
            &["SEARCH strip USING INDEX strip_1 (project_id=? AND build_id=?)"],
            || drop(store.case_list(project.id, &[one.id, BuildId::FIRST]).unwrap()),
        ),
        hot(
            "the steps of several builds",
            &["step_pkey"],
            &["SEARCH step USING INDEX step_1 (project_id=? AND build_id=?"],
            || drop(store.step_runs(project.id, &[one.id, BuildId::FIRST]).unwrap()),
        ),
        hot(
            "a project by its name",
            &["project_slug_key_key"],
            &["SEARCH project USING INDEX"],
            || {
                drop(store.project_find(&project.slug).unwrap());
            },
        ),
        hot(
            "a user by name",
            &["account_username_key_key"],
            &["SEARCH account USING INDEX"],
            || {
                drop(store.user_find(&"alice".parse().unwrap()).unwrap());
            },
        ),
        hot(
            "a build by the server's id",
            &["Index Scan using build_"],
            &["SEARCH build USING INDEX build_1 (project_id=?"],
            || {
                drop(store.build_find(project.id, &key.parse().unwrap()).unwrap());
            },
        ),
        hot("a build by the client's id", &["build_by_key"], &["USING INDEX build_by_key"], || {
            drop(store.build_find(project.id, &chosen.parse().unwrap()).unwrap());
        }),
        hot(
            "the steps of a build",
            &["step_pkey"],
            &["SEARCH step USING INDEX step_1 (project_id=? AND build_id=?)"],
            || drop(store.steps(&one)),
        ),
        hot(
            "the state of a log",
            &["step_pkey", "log_piece_pkey"],
            &[
                "SEARCH step USING INDEX step_1 (project_id=? AND build_id=? AND position=?)",
                "SEARCH log_piece USING INDEX log_piece_1 (project_id=? AND build_id=? AND position=?)",
            ],
            || assert!(store.log_state(logged.place).unwrap().is_some()),
        ),
        hot(
            "the end of a log",
            &["log_piece_pkey"],
            &[
                "SEARCH log_piece USING INDEX log_piece_1 (project_id=? AND build_id=? AND position=? AND start>?)",
            ],
            || drop(store.log_read(logged.place, Seek::Byte(None, 9_999)).unwrap()),
        ),
        hot(
            "what the running steps of a build have written",
            &["step_open", "log_piece_pkey"],
            &[
                "SEARCH step USING COVERING INDEX step_open (project_id=? AND build_id=?)",
                "SEARCH p USING INDEX log_piece_1 (project_id=? AND build_id=? AND position=?)",
            ],
            || assert!(store.log_growing(project.id, logged.place.build).unwrap() > 0),
        ),
        hot(
            "the first page",
            &["build_pkey"],
            &["SEARCH build USING INDEX build_1 (project_id=?"],
            || page(&scope, Start::Offset(0)),
        ),
        hot(
            "the page behind a build",
            &["build_pkey"],
            &["SEARCH build USING INDEX build_1 (project_id=?"],
            || page(&scope, Start::Behind(one.id)),
        ),
        hot(
            "the page before a build",
            &["build_pkey"],
            &["SEARCH build USING INDEX build_1 (project_id=?"],
            || page(&scope, Start::Before(one.id)),
        ),
        hot(
            "the page from the end",
            &["build_pkey"],
            &["SEARCH build USING INDEX build_1 (project_id=?"],
            || page(&scope, Start::FromEnd(0)),
        ),
        hot("the builds of a user", &["build_by_sender"], &["USING INDEX build_by_sender"], || {
            page(&Scope::Sender(alice.id), Start::Offset(0));
        }),
        hot(
            "the builds with a tag",
            &["build_tag_pkey", "build_pkey"],
            &[
                "SEARCH build_tag USING PRIMARY KEY (project_id=? AND tag=?",
                "SEARCH build USING INDEX build_1 (project_id=?",
            ],
            || {
                page(&tagged(&["ten-3"]), Start::Offset(0));
            },
        ),
        hot(
            "the builds of a machine",
            &["build_by_host"],
            &["USING INDEX build_by_host (project_id=? AND host=?)"],
            || {
                drop(store.build_list(&of("client.host:ci-7", "")).unwrap());
            },
        ),
        hot(
            "the test cases of a build",
            &["strip_pkey", "test_pkey"],
            &[
                "SEARCH strip USING INDEX strip_1 (project_id=? AND build_id=? AND nth>?)",
                "SEARCH test USING PRIMARY KEY (project_id=? AND id=?)",
            ],
            || drop(store.test_list(&cases).unwrap()),
        ),
        hot(
            "the history of a test",
            &["test_project_id_key_key", "strip_pkey"],
            &[
                "SEARCH test USING INDEX test_2 (project_id=? AND key=?)",
                "SEARCH strip USING INDEX strip_1 (project_id=? AND build_id<?)",
            ],
            || drop(store.test_history(project.id, "s::t7", None, 26, false).unwrap()),
        ),
        hot(
            "how many builds, and how often they changed",
            &["build_count_pkey"],
            &["SEARCH build_count USING PRIMARY KEY (project_id=? AND tag=?)"],
            || {
                _ = store.build_tally(&scope).unwrap();
            },
        ),
        hot(
            "how many builds of a user",
            &["sender_count_pkey"],
            &["SEARCH c USING PRIMARY KEY (sender_id=?)"],
            || {
                _ = store.build_tally(&Scope::Sender(alice.id)).unwrap();
            },
        ),
        hot(
            "which tags a project knows",
            &["build_count_pkey"],
            &["SEARCH build_count USING PRIMARY KEY (project_id=? AND tag=?)"],
            || {
                let asked = ["common".parse().unwrap(), "none".parse().unwrap()];
                drop(store.tag_known(project.id, &asked).unwrap());
            },
        ),
        hot(
            "the builds that tested a component",
            &["build_component_by_component"],
            &["SEARCH bc USING COVERING INDEX build_component_by_component (component_id=?)"],
            || {
                drop(store.build_query(Some(kernel.id), &listing("")).unwrap());
            },
        ),
        hot(
            "the builds of all projects",
            &["build_by_received"],
            &["USING INDEX build_by_received"],
            || {
                drop(store.build_query(None, &listing("")).unwrap());
            },
        ),
        hot("the failed cases of all projects", &["strip_bad"], &["strip_bad"], || {
            let filter = parse_where(&TESTS, "status:failed").unwrap();
            let selection = Selection { filter, sort: Vec::new() };
            drop(store.test_query(&Listing { selection, offset: 0, limit: 20 }).unwrap());
        }),
        hot(
            "the numbers of tests by their names",
            &["Index Cond: (project_id = "],
            &["test_2 (project_id=? AND key=?)"],
            || {
                let names: Vec<String> = (0..10).map(|n| format!("s::test {n}")).collect();
                let build = BuildId::assign(Timestamp::now(), Timestamp::now());
                drop(store.test_places(project.id, build, &names).unwrap());
            },
        ),
        hot(
            "the runs under a key of another system",
            &["foreign_build_by_key"],
            &["foreign_build_by_key (project_id=? AND protocol=? AND key=?)"],
            || assert_eq!(store.foreign_runs(&foreign::key(project, 7), 9).unwrap().len(), 9),
        ),
        hot(
            "whether a part of another system's client is there",
            &["receipt_part"],
            &["receipt_part (project_id=? AND build_id=? AND part=?)"],
            || assert!(!store.part_exists(project.id, launch.build, "none").unwrap()),
        ),
        hot(
            "what clients of other systems are silent about",
            &["foreign_build_ends"],
            &["foreign_build_ends (ends<?)"],
            || drop(store.foreign_overdue(at("2026-01-01T00:00:10Z"), 9).unwrap()),
        ),
        hot(
            "launches of which builds are to be made",
            &["foreign_build_unmade"],
            &["foreign_build_unmade"],
            || drop(store.foreign_unmade(9).unwrap()),
        ),
        hot(
            "the events of a launch",
            &["foreign_event_pkey"],
            &["foreign_event_1 (project_id=? AND build_id=?)"],
            || drop(store.event_list(project.id, launch.build).unwrap()),
        ),
        hot(
            "the launch of an item",
            &["foreign_event_by_item"],
            &["foreign_event_by_item (project_id=? AND item=?)"],
            || assert!(store.event_find(project.id, "item 7").unwrap().is_some()),
        ),
        hot(
            "a build by its id alone",
            &["build_by_id"],
            &["USING INDEX build_by_id (id=?)"],
            || {
                drop(store.build_query(None, &listing(&format!("id:{key}"))).unwrap());
            },
        ),
    ];
    let mut golden = String::new();
    for Hot { name: what, ask, postgres, sqlite } in &queries {
        let ran = statements(ask);
        golden += &format!("-- {what}\n");
        ran.iter().for_each(|(sql, _)| golden += &format!("{sql};\n"));
        golden += "\n";
        let plans: Vec<String> = ran
            .iter()
            .map(|statement| plan(backend, &store.database.url, &whole(backend, statement)))
            .collect();
        let plans = plans.join("\n\n").replace("sqlite_autoindex_", "");
        let wanted = match backend {
            Backend::Postgres => postgres,
            Backend::Sqlite => sqlite,
        };
        for index in *wanted {
            assert!(plans.contains(index), "{what}: {index} in\n{plans}");
        }
        // Full scans of small tables, such as projects and users, are fine.
        for table in [
            "build",
            "step",
            "build_tag",
            "build_count",
            "build_component",
            "strip",
            "test",
            "foreign_build",
            "foreign_event",
        ] {
            // The count of all builds is the sum over all projects.
            if (what, table) == (&"the builds of all projects", "build_count") {
                continue;
            }
            let scans = match backend {
                Backend::Postgres => format!("Seq Scan on {table} "),
                Backend::Sqlite => format!("SCAN {table}\n"),
            };
            assert!(!format!("{plans}\n").contains(&scans), "{what}: {table} in\n{plans}");
        }
        let sorts = ["Sort", "TEMP B-TREE FOR ORDER BY"].iter().any(|sort| plans.contains(sort));
        let is_in_order = ["page", "builds of"].iter().any(|word| what.contains(word));
        assert!(!sorts || !is_in_order, "{what}:\n{plans}");
    }
    let name = format!("{backend:?} hot queries").to_lowercase();
    insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!(name, golden) });
}

#[test]
fn sqlite_answers_hot_queries_by_their_indexes() {
    hot_queries_are_answered_by_their_indexes(Backend::Sqlite);
}

#[test]
fn postgres_answers_hot_queries_by_their_indexes() {
    hot_queries_are_answered_by_their_indexes(Backend::Postgres);
}
