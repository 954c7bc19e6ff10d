//! Components, and the builds that tested them.

use crate::*;

pub(crate) fn of_type(store: &Store, component_type: &str, names: &[&str]) -> Vec<Component> {
    let new = NewComponentType {
        id: Uuid::now_v7(),
        name: component_type.parse().unwrap(),
        creator: Actor::Nobody,
        claim: None,
    };
    let created = store.component_type_create(&new).unwrap();
    let Created::New(created) = created else { panic!("{created:?}") };
    let new = |name: &&str| NewComponent {
        id: Uuid::now_v7(),
        name: name.parse().unwrap(),
        component_type: Named::Id(created.id),
        details: ComponentDetails {
            data: Some(r#"{"n":1.50}"#.into()),
            ..ComponentDetails::default()
        },
        creator: Actor::Nobody,
        claim: None,
    };
    names
        .iter()
        .map(|name| match store.component_create(&new(name)).unwrap() {
            Created::New(component) => component,
            other => panic!("{other:?}"),
        })
        .collect()
}

conformance!(
    a_component_comes_back_as_it_was_created,
    components_are_resolved_at_once_however_they_are_named,
    a_change_of_a_component_names_the_version_that_it_saw,
    builds_of_a_component_are_found_and_forget_it,
    a_component_that_only_builds_of_deleted_projects_name_is_deleted_at_once,
    a_text_that_no_database_takes_finds_nothing,
    every_field_of_every_table_can_be_asked_for,
);

fn a_component_comes_back_as_it_was_created(store: &Store) {
    let created = of_type(store, "kernel", &["6.12"]).remove(0);
    assert_eq!(
        store.component_find(&Named::Id(created.id)).unwrap(),
        std::slice::from_ref(&created)
    );
    assert_eq!(
        store.component_find(&Named::Name("6.12".into())).unwrap(),
        std::slice::from_ref(&created)
    );
    assert_eq!(created.details.data.as_deref(), Some(r#"{"n":1.50}"#));
    let again = NewComponent {
        id: Uuid::now_v7(),
        name: "6.12".parse().unwrap(),
        component_type: Named::Name("kernel".into()),
        details: ComponentDetails::default(),
        creator: Actor::Newcomer(account("zoe")),
        claim: None,
    };
    assert_eq!(store.component_create(&again).unwrap(), Created::NameTaken);
    assert_eq!(store.user_find(&"zoe".parse().unwrap()).unwrap(), None);
    let no_type = NewComponent { component_type: Named::Name("none".into()), ..again };
    assert_eq!(store.component_create(&no_type).unwrap(), Created::NoType);
}

fn components_are_resolved_at_once_however_they_are_named(store: &Store) {
    let kernels = of_type(store, "kernel", &["6.12", "6.13"]);
    let images = of_type(store, "image", &["6.12"]);
    let kernel_type = store.component_type_find(&Named::Name("kernel".into())).unwrap().unwrap();
    let sought =
        |of_type: &str, name: &str| Sought::OfType(Named::Name(of_type.into()), name.into());
    let all = [
        sought("image", "6.12"),
        Sought::Id(kernels[1].id),
        sought("kernel", "6.12"),
        sought("kernel", "none"),
        Sought::OfType(Named::Id(kernel_type.id), "6.13".into()),
        Sought::Id(Uuid::now_v7()),
        sought("none", "6.12"),
    ];
    let found = store.component_resolve(&all).unwrap();
    let [image, old, new] = [images[0].id, kernels[0].id, kernels[1].id].map(Some);
    assert_eq!(found, [image, new, old, None, new, None, None]);
    assert_eq!(store.component_resolve(&[]).unwrap(), []);
}

fn a_change_of_a_component_names_the_version_that_it_saw(store: &Store) {
    let created = of_type(store, "kernel", &["6.12", "6.13"]).remove(0);
    let details =
        ComponentDetails { title: Some("t".parse().unwrap()), ..ComponentDetails::default() };
    let update = |name: Option<&str>, seen| {
        let name = name.map(|name| name.parse().unwrap());
        store.component_update(created.id, name.as_ref(), None, &details, seen).unwrap()
    };
    assert_eq!(update(None, Some(9)), Changed::Stale);
    assert_eq!(update(Some("6.13"), Some(created.version)), Changed::NameTaken);
    let Changed::Done(changed) = update(None, Some(created.version)) else { panic!() };
    assert!(changed.version > created.version);
    assert_eq!((changed.name.as_str(), &changed.details.data), ("6.12", &created.details.data));
    assert_eq!(
        store.component_delete(created.id, false, Some(created.version)).unwrap(),
        Removed::Stale
    );
    assert_eq!(
        store.component_delete(created.id, false, Some(changed.version)).unwrap(),
        Removed::Done
    );
    assert_eq!(store.component_delete(created.id, false, None).unwrap(), Removed::Gone);
}

fn builds_of_a_component_are_found_and_forget_it(store: &Store) {
    let project = store.project("p");
    let components = of_type(store, "kernel", &["6.12", "6.13"]);
    let (one, two) = (components[0].id, components[1].id);
    let record = |start: &str, components: &[uuid::Uuid]| {
        let new = NewBuild { components: components.to_vec(), ..build(&project, start, &[]) };
        store.record(new.clone());
        new.id
    };
    let both = record("2026-01-01T00:00:00Z", &[one, two]);
    let second = record("2026-01-02T00:00:00Z", &[two]);
    record("2026-01-03T00:00:00Z", &[]);
    let listing = Listing { limit: 9, ..Listing::default() };
    let of = |id| {
        let listed = store.build_query(Some(id), &listing).unwrap();
        (listed.count, listed.items.iter().map(|build| build.id).collect::<Vec<_>>())
    };
    assert_eq!((of(one), of(two)), ((1, vec![both]), (2, vec![both, second])));
    assert_eq!(store.find(&project, both).components, [one, two]);
    assert_eq!(store.select(&Scope::Project(project.id), "components:6.12", ""), [both]);
    assert_eq!(
        store.select(&Scope::Project(project.id), &format!("components:{two}"), ""),
        [second, both]
    );
    assert_eq!(store.component_delete(one, false, None).unwrap(), Removed::InUse);
    assert_eq!(store.component_delete(one, true, None).unwrap(), Removed::Done);
    assert_eq!(store.find(&project, both).components, [two]);
    store.build_delete(project.id, both, None).unwrap();
    assert_eq!(of(two), (1, vec![second]));
    let kernel = store.component_type_find(&Named::Name("kernel".into())).unwrap().unwrap();
    assert_eq!(store.component_type_delete(kernel.id, false, None).unwrap(), Removed::InUse);
    assert_eq!(store.component_type_delete(kernel.id, true, None).unwrap(), Removed::Done);
    assert!(store.find(&project, second).components.is_empty());
}

fn a_component_that_only_builds_of_deleted_projects_name_is_deleted_at_once(store: &Store) {
    let (gone, here) = (store.project("gone"), store.project("here"));
    let components = of_type(store, "kernel", &["6.12", "6.13"]);
    let (one, two) = (components[0].id, components[1].id);
    for (project, components) in [(&gone, vec![one, two]), (&here, vec![two])] {
        store.record(NewBuild { components, ..build(project, "2026-01-01T00:00:00Z", &[]) });
    }
    store.project_delete(gone.id, None).unwrap();
    assert_eq!(store.component_delete(one, false, None).unwrap(), Removed::Done);
    assert_eq!(store.component_delete(two, false, None).unwrap(), Removed::InUse);
}

fn a_text_that_no_database_takes_finds_nothing(store: &Store) {
    let project = store.project("p");
    let of = build(&project, "2026-01-01T00:00:00Z", &["t"]);
    store.record(of.clone());
    let asked = TestQuery {
        suite: Some("a\0b".to_owned()),
        text: Some("a\0b".to_owned()),
        ..TestQuery::all(project.id, of.id)
    };
    assert_eq!(store.test_list(&asked).unwrap(), []);
    assert!(store.component_find(&Named::Name("a\0b".to_owned())).unwrap().is_empty());
    assert!(store.component_type_find(&Named::Name("a\0b".to_owned())).unwrap().is_none());
    let sought = [Sought::OfType(Named::Name("a\0b".to_owned()), "a\0b".to_owned())];
    assert_eq!(store.component_resolve(&sought).unwrap(), [None]);
}

fn every_field_of_every_table_can_be_asked_for(store: &Store) {
    use devmason_domain::query::{self, Kind, Table, parse_query};
    let project = store.project("p");
    of_type(store, "kernel", &["6.12"]);
    store.record(build(&project, "2026-01-01T00:00:00Z", &["t"]));
    let ask = |table: &Table, run: &dyn Fn(&Listing)| {
        for field in table.fields {
            let value = match field.kind {
                Kind::Text | Kind::Set => "x",
                Kind::Boolean => "true",
                Kind::Number => "1",
                Kind::Uuid => "00000000-0000-7000-8000-000000000000",
                Kind::Datetime => "2026-01-01T00:00:00Z",
            };
            let name = field.name;
            let texts = match field.kind {
                Kind::Set => vec![format!("contains({name},{value})"), format!("null({name})")],
                Kind::Text => {
                    vec![format!("or(like({name},x%),ilike({name},X_),ge({name},x),null({name}))")]
                }
                _ => vec![format!("or(eq({name},{value}),lt({name},{value}),not(null({name})))")],
            };
            for text in texts {
                let filter = parse_query(table, &text).unwrap();
                let sort = if field.sortable {
                    parse_sort(table, &format!("-{name}")).unwrap()
                } else {
                    vec![]
                };
                run(&Listing { selection: Selection { filter, sort }, offset: 0, limit: 9 });
            }
        }
    };
    ask(&query::BUILDS, &|listing| drop(store.build_query(None, listing).unwrap()));
    ask(&query::STEPS, &|listing| drop(store.step_query(listing).unwrap()));
    ask(&query::TESTS, &|listing| drop(store.test_query(listing).unwrap()));
    ask(&query::PROJECTS, &|listing| drop(store.project_query(listing).unwrap()));
    ask(&query::TAGS, &|listing| drop(store.tag_query(listing).unwrap()));
    ask(&query::TRACKS, &|listing| drop(store.track_query(listing).unwrap()));
    ask(&query::ISSUES, &|listing| drop(store.issue_query(listing).unwrap()));
    ask(&query::USERS, &|listing| drop(store.user_query(listing).unwrap()));
    ask(&query::COMPONENT_TYPES, &|listing| drop(store.component_type_list(listing).unwrap()));
    ask(&query::COMPONENTS, &|listing| drop(store.component_list(None, listing).unwrap()));
}
