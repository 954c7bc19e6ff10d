//! Finding things of all projects by a text, and what the store holds.

use super::*;

conformance!(
    builds_are_found_by_the_start_of_their_ids,
    tests_are_found_by_a_text_in_their_names,
    a_project_keeps_where_its_source_code_is,
    a_project_keeps_its_tags,
    sizes_are_those_of_existing_projects,
);

fn builds_are_found_by_the_start_of_their_ids(store: &Store) {
    let (pony, zebra) = (store.project("pony"), store.project("zebra"));
    let named = |project: &Project, key: &str| {
        let new = NewBuild {
            key: Some(key.parse().unwrap()),
            ..build(project, "2026-01-01T00:00:00Z", &[])
        };
        let id = new.id;
        store.record(new);
        id
    };
    let (one, two) = (named(&pony, "12"), named(&pony, "123"));
    let (other, tilde) = (named(&zebra, "12"), named(&zebra, "12~z"));
    let new = build(&pony, "2026-01-02T00:00:00Z", &[]);
    let id = new.id;
    store.record(new);
    let all = [pony.id, zebra.id];
    let found = |projects: &[ProjectId], start: &str, limit: u64| -> Vec<BuildId> {
        let found = store.builds_like(projects, start, limit).unwrap();
        found.into_iter().map(|(_, id)| id).collect()
    };
    assert_eq!(found(&all, "12", 9), [one, two, other, tilde]);
    assert_eq!(found(&all, "12", 1), [one, other]);
    assert_eq!(found(&[zebra.id], "123", 9), []);
    assert_eq!(found(&all, "2", 9), []);
    let text = id.to_string();
    for start in [&text[..8], &text[..20], text.as_str()] {
        assert_eq!(found(&all, start, 9), [id], "{start}");
    }
    assert_eq!(found(&[], "12", 9), []);
    // A build with an id of its own is not found by the server's.
    assert_eq!(found(&all, &two.to_string(), 9), []);
}

fn tests_are_found_by_a_text_in_their_names(store: &Store) {
    let (pony, zebra) = (store.project("pony"), store.project("zebra"));
    for (project, names) in
        [(&pony, ["walks_far", "Walks", "runs%"]), (&zebra, ["walks", "trots", "x"])]
    {
        let mut new = build(project, "2026-01-01T00:00:00Z", &[]);
        let test = |name: &str| TestResult {
            suite: "legs".into(),
            name: name.to_owned(),
            status: TestStatus::Passed,
            micros: None,
            failure: None,
            details: TestDetails::default().into(),
        };
        new.test_report.tests = names.map(test).to_vec().into();
        store.record(new);
    }
    let found = |text: &str, limit: u64| {
        let found = store.tests_like(&[pony.id, zebra.id], text, limit).unwrap();
        found.into_iter().map(|(_, name)| name).collect::<Vec<_>>()
    };
    assert_eq!(found("WALKS", 20), ["legs::walks_far", "legs::Walks", "legs::walks"]);
    assert_eq!(found("s_f", 20), ["legs::walks_far"]);
    assert_eq!(found("%", 20), ["legs::runs%"]);
    assert_eq!(found("gs::t", 20), ["legs::trots"]);
    assert_eq!(found("legs", 2).len(), 2);
    assert_eq!(store.tests_like(&[zebra.id], "runs", 9).unwrap(), []);
}

fn a_project_keeps_where_its_source_code_is(store: &Store) {
    let project = store.project("pony");
    assert_eq!(project.repository, None);
    let code: CodeAddress = "gitlab+https://code.example.org/a/b".parse().unwrap();
    let change = |repository: Option<Option<CodeAddress>>| {
        let change = ProjectChange { repository, ..ProjectChange::default() };
        store.project_update(project.id, &change, None).unwrap();
        store.project_find(&project.slug).unwrap().unwrap().repository
    };
    assert_eq!(change(Some(Some(code.clone()))), Some(code.clone()));
    assert_eq!(change(None), Some(code));
    assert_eq!(change(Some(None)), None);
}

fn a_project_keeps_its_tags(store: &Store) {
    let project = store.project("pony");
    assert_eq!(project.tags, TagSet::default());
    let tags: TagSet = ["team-a", "a b"].iter().map(|tag| tag.parse().unwrap()).collect();
    let change = |tags: Option<TagSet>| {
        let change = ProjectChange { tags, ..ProjectChange::default() };
        store.project_update(project.id, &change, None).unwrap();
        store.project_find(&project.slug).unwrap().unwrap().tags
    };
    assert_eq!(change(Some(tags.clone())), tags);
    assert_eq!(change(None), tags);
    assert_eq!(change(Some(TagSet::default())), TagSet::default());
    let zebra = NewProject {
        slug: "zebra".parse().unwrap(),
        name: "Zebra".parse().unwrap(),
        reporting: Reporting::Anyone,
        tracking: Tracking::default(),
        repository: None,
        tags: tags.clone(),
        owner: Actor::Nobody,
    };
    let Registered::New(zebra) = store.project_register(&zebra).unwrap() else { panic!() };
    assert_eq!(zebra.tags, tags);
}

fn sizes_are_those_of_existing_projects(store: &Store) {
    let (pony, gone) = (store.project("pony"), store.project("gone"));
    for project in [&pony, &pony, &gone] {
        store.record(build(project, "2026-01-01T00:00:00Z", &[]));
    }
    store.project_delete(gone.id, None).unwrap();
    let sizes = store.sizes().unwrap();
    let [size] = sizes.projects.as_slice() else { panic!("{sizes:?}") };
    assert_eq!((size.project, size.builds), (pony.id, 2));
    assert!(size.output_bytes >= 2 * "output of checkout".len() as u64);
    assert!(sizes.bytes > 10_000 && !store.system().is_empty());
}
