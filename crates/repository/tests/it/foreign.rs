//! Builds that clients of other systems report.

use crate::*;

conformance!(
    a_key_leads_to_its_runs,
    first_parts_at_once_are_one_build,
    a_build_of_which_nothing_is_heard_is_found_when_its_time_has_come,
    a_finished_build_is_opened_again,
    what_is_said_later_is_added_with_what_follows_from_it,
    a_deleted_build_is_forgotten_under_its_key,
    a_part_is_known_by_its_digest,
    events_are_kept_in_order_and_once,
    a_build_is_unmade_until_it_was_made_of_all_events,
    events_are_forgotten_with_time_and_with_their_build,
    an_object_is_registered_once_and_found_by_id_and_name,
);

pub(crate) fn key(project: &Project, name: u8) -> ForeignKey {
    ForeignKey { project: project.id, protocol: "test", key: Digest([name; 32]) }
}

/// Builds under two hundred keys, each with events; returns one of them, which has many parts, too.
pub(crate) fn filled(store: &Store, project: &Project) -> ForeignBuild {
    let begun = |name: u8| {
        let new = running(project);
        let id = new.id;
        assert_eq!(store.record(new), Recorded::New);
        let ends = Timestamp::from_parts(at(SOON).micros() + i64::from(name) * 1_000_000, 0);
        let mut build = store.foreign_add(&key(project, name), 1, id, ends.unwrap()).unwrap();
        for run in 2..20 {
            build = store.foreign_add(&key(project, name), run, id, ends.unwrap()).unwrap();
        }
        let events: Vec<_> = (0..30).map(|what| event(&build, what)).collect();
        // The item is that of one launch.
        let only = |at: NewEvent| NewEvent { item: at.item.filter(|_| name == 7), ..at };
        store.event_append_many(&events.into_iter().map(only).collect::<Vec<_>>()).unwrap();
        if name > 0 {
            for number in build.number - 18..=build.number {
                store.foreign_made(number, 30, Some(ends.unwrap())).unwrap();
            }
        }
        build
    };
    let all: Vec<_> = (0..200).map(begun).collect();
    let one = all.last().unwrap().clone();
    for part in 0..500 {
        store.receipt_add(project.id, one.build, "{}", Some(&part.to_string())).unwrap();
    }
    one
}

fn added(store: &Store, key: &ForeignKey, nth: u32, ends: &str) -> ForeignBuild {
    let new = running(&store.project_find(&"p".parse().unwrap()).unwrap().unwrap());
    let id = new.id;
    assert_eq!(store.record(new), Recorded::New);
    store.foreign_add(key, nth, id, at(ends)).unwrap()
}

const SOON: &str = "2026-01-01T01:00:00Z";

fn a_part_is_known_by_its_digest(store: &Store) {
    let project = store.project("p");
    let (one, other) = (running(&project), running(&project));
    let (id, of_another) = (one.id, other.id);
    for new in [one, other] {
        assert_eq!(store.record(new), Recorded::New);
    }
    let has = |build: BuildId, part: &str| store.part_exists(project.id, build, part).unwrap();
    assert!(!has(id, "a"));
    let add = |receipt: &str, part: Option<&str>| {
        store.receipt_add(project.id, id, receipt, part).unwrap();
    };
    add(r#"{"format":"x"}"#, Some("a"));
    add(r#"{"format":"y"}"#, Some("a"));
    add(r#"{"format":"z"}"#, None);
    add(r#"{"format":"z"}"#, None);
    let files = store.receipt_list(project.id, id, 9).unwrap().files;
    assert_eq!(files, [r#"{"format":"x"}"#, r#"{"format":"z"}"#, r#"{"format":"z"}"#]);
    let test_report = TestReport {
        receipts: vec!["{}".to_owned()],
        part: Some("b".to_owned()),
        ..TestReport::default()
    };
    let step =
        NewStep { project: project.id, build: id, step: step("s", true), test_report, claim: None };
    assert!(matches!(store.step_append_many(&[step]).unwrap()[..], [Appended::Done]));
    assert_eq!(["a", "b", "c"].map(|part| has(id, part)), [true, true, false]);
    assert!(!has(of_another, "a"));
}

fn a_key_leads_to_its_runs(store: &Store) {
    let project = store.project("p");
    let key = key(&project, 1);
    assert_eq!(store.foreign_runs(&key, 9).unwrap(), []);
    let first = added(store, &key, 1, SOON);
    assert_eq!((first.nth, first.ends), (1, Some(at(SOON))));
    assert_eq!(store.foreign_runs(&key, 9).unwrap(), std::slice::from_ref(&first));
    let second = added(store, &key, 2, SOON);
    assert!(second.number > first.number);
    assert_eq!(store.foreign_runs(&key, 1).unwrap(), std::slice::from_ref(&second));
    assert_eq!(store.foreign_runs(&key, 9).unwrap(), [second, first.clone()]);
    assert_eq!(store.foreign_numbered(first.number).unwrap(), Some(first));
    let other = ForeignKey { protocol: "other", ..key };
    assert_eq!(store.foreign_runs(&other, 9).unwrap(), []);
}

fn first_parts_at_once_are_one_build(store: &Store) {
    let project = store.project("p");
    let key = key(&project, 1);
    let first = added(store, &key, 1, SOON);
    assert_eq!(added(store, &key, 1, "2027-01-01T00:00:00Z"), first);
}

fn a_build_of_which_nothing_is_heard_is_found_when_its_time_has_come(store: &Store) {
    let project = store.project("p");
    let early = added(store, &key(&project, 1), 1, "2026-01-01T00:01:00Z");
    let late = added(store, &key(&project, 2), 1, "2026-01-01T00:02:00Z");
    let overdue = |now: &str, limit| store.foreign_overdue(at(now), limit).unwrap();
    assert_eq!(overdue("2026-01-01T00:00:30Z", 9), []);
    assert_eq!(overdue("2026-01-01T00:03:00Z", 9), [early.clone(), late.clone()]);
    assert_eq!(overdue("2026-01-01T00:03:00Z", 1), std::slice::from_ref(&early));
    store.foreign_heard(early.number, Some(at("2026-01-01T00:09:00Z"))).unwrap();
    store.foreign_heard(late.number, None).unwrap();
    assert_eq!(overdue("2026-01-01T00:03:00Z", 9), []);
    assert_eq!(overdue("2026-01-01T00:10:00Z", 9).len(), 1);
}

fn a_finished_build_is_opened_again(store: &Store) {
    let project = store.project("p");
    let new = build(&project, "2026-01-01T00:00:00Z", &["t"]);
    let id = new.id;
    store.record(new);
    let before = store.find(&project, id);
    assert!(store.build_reopen(project.id, id, Timestamp::now()).unwrap());
    let open = store.find(&project, id);
    assert_eq!(open.outcome, Outcome::Running);
    assert!(open.version > before.version);
    let late = NewStep {
        project: project.id,
        build: id,
        step: step("late", false),
        test_report: TestReport::default(),
        claim: None,
    };
    assert_eq!(store.step_append_many(&[late]).unwrap(), [Appended::Done]);
    let now = Timestamp::now();
    assert_eq!(store.build_close(project.id, id, Closing::default(), now).unwrap(), Closed::Done);
    let closed = store.find(&project, id);
    assert!(matches!(closed.outcome, Outcome::Finished { success: false, .. }));
    let nobody = BuildId::assign(now, now);
    assert!(!store.build_reopen(project.id, nobody, now).unwrap());
}

fn what_is_said_later_is_added_with_what_follows_from_it(store: &Store) {
    let project = store.project("p");
    let new = NewBuild {
        report: Report { tags: tags(&["a"]), ..running(&project).report },
        ..running(&project)
    };
    let id = new.id;
    store.record(new);
    let seen = store.find(&project, id);
    let commit = "1f0c2a9b7d7f4e5f8f7a6c5b4d3e2f1a0b9c8d7e";
    let said = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
    let later = Later {
        members: vec![said("host", "lab-7"), said("commit", commit), ("gone".to_owned(), None)],
        tags: vec!["a".parse().unwrap(), "b".parse().unwrap()],
        variant_by: project.tracking.variant_by.clone(),
    };
    let tell = |later: &Later| store.build_tell(project.id, id, later, Timestamp::now()).unwrap();
    assert!(tell(&later));
    let told = store.find(&project, id);
    assert_eq!(
        (told.client.host_key().as_deref(), told.revision.as_deref()),
        (Some("lab-7"), Some(commit))
    );
    assert_ne!(told.track, seen.track);
    assert_eq!(told.tags, tags(&["a", "b"]));
    let tagged = |tag: &str| Scope::Tagged(project.id, vec![tag.parse().unwrap()]);
    assert_eq!(store.page(&tagged("b"), Start::Offset(0), 9), [id]);
    let members = |scope: &Scope| store.build_tally(scope).unwrap().members;
    assert_eq!(
        [members(&tagged("a")), members(&tagged("b")), members(&Scope::Project(project.id))],
        [1, 1, 1]
    );
    assert!(!tell(&later), "nothing is new");
    assert_eq!(store.find(&project, id).version, told.version);
    let gone = Later { members: vec![("host".to_owned(), None)], ..Later::default() };
    assert!(tell(&gone));
    assert_eq!(store.find(&project, id).client.host_key(), None);
    store.build_delete(project.id, id, None).unwrap();
    assert_eq!(members(&tagged("b")), 0);
}

fn a_deleted_build_is_forgotten_under_its_key(store: &Store) {
    let project = store.project("p");
    let one = added(store, &key(&project, 1), 1, SOON);
    let other = added(store, &key(&project, 2), 1, SOON);
    store.build_delete(project.id, one.build, None).unwrap();
    assert_eq!(store.foreign_numbered(one.number).unwrap(), None);
    store.project_delete(project.id, None).unwrap();
    let keep = Retention { micros: 1_000_000_000, bytes: u64::MAX };
    while store.purge(Timestamp::now(), keep).unwrap() {}
    assert_eq!(store.foreign_numbered(other.number).unwrap(), None);
}

fn event(of: &ForeignBuild, what: u8) -> NewEvent {
    NewEvent {
        project: of.project,
        build: of.build,
        digest: Digest([what; 32]),
        item: Some(format!("item {what}")),
        received: at("2026-01-01T00:00:00Z"),
        body: vec![what; 500],
        is_bulk: false,
        is_last: false,
        ends: at(SOON),
    }
}

/// The number of events after each of these, and whether the build is over.
fn told(store: &Store, events: &[NewEvent]) -> Vec<(u32, bool)> {
    let told = store.event_append_many(events).unwrap().into_iter();
    told.map(|told| match told {
        Told::Kept { events, is_over, .. } => (events, is_over),
        other => panic!("{other:?}"),
    })
    .collect()
}

fn events_are_kept_in_order_and_once(store: &Store) {
    let project = store.project("p");
    let one = added(store, &key(&project, 1), 1, SOON);
    let other = added(store, &key(&project, 2), 1, SOON);
    let batch = [event(&one, 2), event(&other, 2), event(&one, 1), event(&one, 2)];
    assert_eq!(told(store, &batch), [(1, false), (1, false), (2, false), (2, false)]);
    let last = NewEvent { is_last: true, ..event(&one, 3) };
    assert_eq!(told(store, &[last, event(&one, 1)]), [(3, true), (3, true)]);
    let again = store.event_append_many(&[event(&one, 1)]).unwrap().remove(0);
    let came = at("2026-01-01T00:00:00Z");
    assert!(matches!(again, Told::Kept { before: Some(before), .. } if before == came));
    let long = NewEvent { is_bulk: true, body: vec![b'x'; EVENT_BYTES as usize], ..event(&one, 9) };
    assert_eq!(store.event_append_many(&[long]).unwrap(), [Told::Full]);
    let bodies = |of: &ForeignBuild| store.event_list(of.project, of.build).unwrap();
    assert_eq!(bodies(&one), ([2u8, 1, 3].map(|what| vec![what; 500]).to_vec(), false));
    assert_eq!(bodies(&other).0.len(), 1);
    assert_eq!(store.event_bytes(project.id, one.build).unwrap(), 1_500);
    let (found, nth) = store.event_find(project.id, "item 1").unwrap().unwrap();
    assert_eq!((found.number, nth), (one.number, 1));
    assert_eq!(store.event_item(&found, 1).unwrap().as_deref(), Some("item 1"));
    assert_eq!(store.event_item(&found, 9).unwrap(), None);
    assert_eq!(store.event_find(project.id, "item 9").unwrap(), None);
    let now = Timestamp::now();
    let nobody = NewEvent { build: BuildId::assign(now, now), ..event(&one, 4) };
    assert_eq!(store.event_append_many(&[nobody]).unwrap(), [Told::Gone]);
}

fn a_build_is_unmade_until_it_was_made_of_all_events(store: &Store) {
    let project = store.project("p");
    let one = added(store, &key(&project, 1), 1, SOON);
    let unmade = || store.foreign_unmade(9).unwrap();
    assert_eq!(unmade(), []);
    told(store, &[event(&one, 1), event(&one, 2)]);
    let [found] = unmade().try_into().unwrap();
    assert_eq!((found.events, found.made_of, found.is_over), (2, 0, false));
    store.foreign_made(one.number, 1, None).unwrap();
    let [found] = unmade().try_into().unwrap();
    assert_eq!((found.made_of, found.foreign.ends), (1, Some(at(SOON))), "something came since");
    store.foreign_made(one.number, 2, None).unwrap();
    assert_eq!(unmade(), []);
    assert_eq!(store.foreign_numbered(one.number).unwrap().unwrap().ends, None);
    told(store, &[event(&one, 3)]);
    assert_eq!(unmade().len(), 1);
}

fn events_are_forgotten_with_time_and_with_their_build(store: &Store) {
    let project = store.project("p");
    let one = added(store, &key(&project, 1), 1, SOON);
    let other = added(store, &key(&project, 2), 1, SOON);
    let later = NewEvent { received: Timestamp::now(), ..event(&one, 2) };
    told(store, &[event(&one, 1), later, event(&other, 1)]);
    // Even if no report file is kept.
    let purge = || {
        let none = Retention { micros: 0, bytes: u64::MAX };
        while store.purge(Timestamp::now(), none).unwrap() {}
    };
    let list = |of: &ForeignBuild| store.event_list(project.id, of.build).unwrap();
    purge();
    assert_eq!((list(&one).0.len(), list(&one).1), (2, false), "the build may still need them");
    store.foreign_made(one.number, 2, None).unwrap();
    store.foreign_made(other.number, 1, None).unwrap();
    purge();
    assert_eq!(list(&one), (vec![vec![2; 500]], true));
    assert_eq!(list(&other), (vec![], true));
    store.build_delete(project.id, one.build, None).unwrap();
    assert_eq!(list(&one), (vec![], false));
}

fn an_object_is_registered_once_and_found_by_id_and_name(store: &Store) {
    let labs = ForeignKind { protocol: "test", kind: "lab" };
    let new = |of, name: &str, body: &str| NewForeignObject {
        of,
        name: name.to_owned(),
        body: body.to_owned(),
        created_at: at(SOON),
    };
    let (lab, is_new) = store.foreign_object_add(&new(labs, "lab-7", "{}")).unwrap();
    assert!(is_new);
    assert_eq!((lab.name.as_str(), lab.body.as_str(), lab.created_at), ("lab-7", "{}", at(SOON)));
    let again = store.foreign_object_add(&new(labs, "lab-7", "{\"a\":1}")).unwrap();
    assert_eq!(again, (lab.clone(), false));
    for named in [Named::Id(lab.id), Named::Name("lab-7".into())] {
        assert_eq!(store.foreign_object_find(labs, &named).unwrap(), Some(lab.clone()));
    }
    // Another kind, and another protocol, have names of their own.
    for of in [ForeignKind { kind: "topic", ..labs }, ForeignKind { protocol: "other", ..labs }] {
        assert_eq!(store.foreign_object_find(of, &Named::Id(lab.id)).unwrap(), None);
        assert!(store.foreign_object_add(&new(of, "lab-7", "{}")).unwrap().1);
    }
    store.foreign_object_add(&new(labs, "a", "{}")).unwrap();
    let names = |limit| -> Vec<String> {
        let labs = store.foreign_object_list(labs, limit).unwrap();
        labs.into_iter().map(|lab| lab.name).collect()
    };
    assert_eq!(
        (names(9), names(1)),
        (vec!["a".to_owned(), "lab-7".to_owned()], vec!["a".to_owned()])
    );
}
