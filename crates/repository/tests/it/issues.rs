//! Known issues.

use devmason_domain::query::{ISSUES, parse_sort, parse_where};

use super::*;

conformance!(
    an_issue_is_kept_as_it_was_said,
    a_change_counts_once_and_only_to_the_version_that_was_seen,
    only_so_many_issues_are_open,
    issues_are_in_force_until_they_expire_or_are_closed,
    a_retry_creates_nothing,
    the_creator_goes_with_the_user,
    issues_of_all_projects_are_filtered_and_sorted,
    an_issue_changes_what_is_kept_of_the_builds,
);

pub(super) fn details(title: &str) -> IssueDetails {
    IssueDetails {
        title: title.parse().unwrap(),
        url: None,
        note: None,
        fitting: Fitting { test: Some("s::*".parse().unwrap()), ..Fitting::default() },
        mute: false,
        expires: None,
        closed_at: None,
    }
}

fn whole() -> IssueDetails {
    IssueDetails {
        url: Some("https://example.org/7".parse().unwrap()),
        note: Some("two\nlines".parse().unwrap()),
        fitting: Fitting {
            test: Some("s::*".parse().unwrap()),
            message: Some("*port*".parse().unwrap()),
            signature: Some("0123456789abcdef0123456789abcdef".parse().unwrap()),
            branch: Some("main".parse().unwrap()),
            variant: Some("linux*".parse().unwrap()),
        },
        mute: true,
        expires: Some(at("2026-02-01T00:00:00Z")),
        closed_at: Some(at("2026-01-31T00:00:00Z")),
        ..details("ü")
    }
}

impl Store {
    pub(super) fn file(&self, project: &Project, details: IssueDetails, creator: Actor) -> Issue {
        let new = NewIssue { id: fresh_uuid(), project: project.id, details, creator, claim: None };
        match self.issue_create(&new).unwrap() {
            Filed::New(issue) => *issue,
            other => panic!("{other:?}"),
        }
    }
}

fn an_issue_is_kept_as_it_was_said(store: &Store) {
    let (project, alice) = (store.project("p"), store.user("alice"));
    let made = store.file(&project, whole(), Actor::Account(alice.id));
    assert_eq!(made.details, whole());
    assert_eq!(made.creator, Some((alice.id, alice.username.clone())));
    assert_eq!(store.issue_find(project.id, made.id).unwrap(), Some(made.clone()));
    let other = store.project("other");
    assert_eq!(store.issue_find(other.id, made.id).unwrap(), None);
    let plain = store.file(&project, details("plain"), Actor::Nobody);
    assert_eq!((plain.details, plain.creator), (details("plain"), None));
}

fn a_change_counts_once_and_only_to_the_version_that_was_seen(store: &Store) {
    let project = store.project("p");
    let made = store.file(&project, whole(), Actor::Nobody);
    let change = |seen| store.issue_update(project.id, made.id, &details("new"), seen).unwrap();
    let Refiled::Done(changed) = change(made.version) else { panic!("not changed") };
    assert_eq!(changed.details, details("new"));
    assert_eq!(change(made.version), Refiled::Stale);
    let delete = |seen| store.issue_delete(project.id, made.id, seen).unwrap();
    assert_eq!(delete(Some(made.version)), Updated::Stale);
    assert_eq!(delete(Some(changed.version)), Updated::Done(()));
    assert_eq!(delete(None), Updated::Gone);
    assert_eq!(change(changed.version), Refiled::Gone);
}

fn only_so_many_issues_are_open(store: &Store) {
    let project = store.project("p");
    let closed = store.file(&project, whole(), Actor::Nobody);
    for n in 0..OPEN_ISSUES {
        store.file(&project, details(&n.to_string()), Actor::Nobody);
    }
    let new = |details| NewIssue {
        id: fresh_uuid(),
        project: project.id,
        details,
        creator: Actor::Nobody,
        claim: None,
    };
    assert_eq!(store.issue_create(&new(details("x"))).unwrap(), Filed::TooMany);
    assert!(matches!(store.issue_create(&new(whole())).unwrap(), Filed::New(_)));
    let open = |id, version| store.issue_update(project.id, id, &details("x"), version).unwrap();
    assert_eq!(open(closed.id, closed.version), Refiled::TooMany);
    let page = PageRequest { page: 2, per_page: 100 };
    let listed = store.issue_list(project.id, Some(IssueState::Open), page).unwrap();
    assert_eq!((listed.len(), listed[0].details.title.as_str()), (100, "899"));
    let count = |state| store.issue_count(project.id, state).unwrap();
    assert_eq!(
        (count(None), count(Some(IssueState::Open)), count(Some(IssueState::Closed))),
        (OPEN_ISSUES + 2, OPEN_ISSUES, 2)
    );
    assert_eq!(store.issues_to_compare(project.id).unwrap().len() as u64, OPEN_ISSUES + 2);
}

fn issues_are_in_force_until_they_expire_or_are_closed(store: &Store) {
    let project = store.project("p");
    store.file(&project, whole(), Actor::Nobody);
    store.file(&project, details("for ever"), Actor::Nobody);
    let until = IssueDetails { expires: Some(at("2026-01-05T00:00:00Z")), ..details("until") };
    store.file(&project, until, Actor::Nobody);
    let in_force = |text| store.issues_in_force(project.id, at(text)).unwrap();
    assert_eq!(in_force("2026-01-04T23:59:59Z"), 2);
    assert_eq!(in_force("2026-01-05T00:00:00Z"), 1);
}

fn a_retry_creates_nothing(store: &Store) {
    let project = store.project("p");
    let claim = Claim {
        scope: Digest([1; 32]),
        body: Digest([2; 32]),
        outcome: "201 /p/issues/x".to_owned(),
    };
    let new = || NewIssue {
        id: fresh_uuid(),
        project: project.id,
        details: details("once"),
        creator: Actor::Nobody,
        claim: Some(claim.clone()),
    };
    assert!(matches!(store.issue_create(&new()).unwrap(), Filed::New(_)));
    let again = Filed::Claimed(Claimed::Replayed("201 /p/issues/x".to_owned()));
    assert_eq!(store.issue_create(&new()).unwrap(), again);
    assert_eq!(store.issue_count(project.id, None).unwrap(), 1);
    let gone = NewIssue { project: ProjectId(-7), claim: None, ..new() };
    assert_eq!(store.issue_create(&gone).unwrap(), Filed::NoProject);
}

fn the_creator_goes_with_the_user(store: &Store) {
    let (project, alice) = (store.project("p"), store.user("alice"));
    let made = store.file(&project, whole(), Actor::Account(alice.id));
    store.user_delete(alice.id, None).unwrap();
    assert_eq!(store.issue_find(project.id, made.id).unwrap().unwrap().creator, None);
}

fn issues_of_all_projects_are_filtered_and_sorted(store: &Store) {
    let (one, two) = (store.project("one"), store.project("two"));
    store.file(&one, whole(), Actor::Nobody);
    store.file(&one, details("b"), Actor::Nobody);
    store.file(&two, details("a"), Actor::Nobody);
    let titles = |conditions: &str, sort: &str| {
        let selection = Selection {
            filter: parse_where(&ISSUES, conditions).unwrap(),
            sort: parse_sort(&ISSUES, sort).unwrap(),
        };
        let listed = store.issue_query(&Listing { selection, offset: 0, limit: 9 }).unwrap();
        assert_eq!(listed.count as usize, listed.items.len());
        let title = |placed: PlacedIssue| placed.issue.details.title.to_string();
        listed.items.into_iter().map(title).collect::<Vec<_>>()
    };
    assert_eq!(titles("", ""), ["ü", "b", "a"]);
    assert_eq!(titles("", "title"), ["a", "b", "ü"]);
    assert_eq!(titles("project:ONE,state:open", ""), ["b"]);
    assert_eq!(titles("mute:true", ""), ["ü"]);
    assert_eq!(titles("signature:0123456789abcdef0123456789abcdef", ""), ["ü"]);
    assert_eq!(titles("expires:2026-02-01T00:00:00Z,test:s::*", ""), ["ü"]);
    store.project_delete(one.id, None).unwrap();
    assert_eq!(titles("", ""), ["a"]);
    let kept = Retention { micros: 0, bytes: u64::MAX };
    while store.purge(at("2026-01-01T00:00:00Z"), kept).unwrap() {}
    assert_eq!(store.issue_count(one.id, None).unwrap(), 0);
}

fn an_issue_changes_what_is_kept_of_the_builds(store: &Store) {
    let project = store.project("p");
    store.record(build(&project, "2026-01-01T00:00:00Z", &[]));
    let changes = || store.build_tally(&Scope::Project(project.id)).unwrap().changes;
    let mut seen = vec![changes()];
    let made = store.file(&project, whole(), Actor::Nobody);
    seen.push(changes());
    store.issue_update(project.id, made.id, &details("new"), made.version).unwrap();
    seen.push(changes());
    store.issue_delete(project.id, made.id, None).unwrap();
    seen.push(changes());
    assert!(seen.is_sorted_by(|one, next| one < next), "{seen:?}");
}
