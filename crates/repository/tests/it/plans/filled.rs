//! Tables with enough rows for the planners to use indexes.

use crate::*;

/// What the hot queries are about.
pub(super) struct Filled {
    pub(super) alice: Account,
    pub(super) kernels: Vec<Component>,
    pub(super) projects: Vec<Project>,
    /// A build in the middle of the last project.
    pub(super) one: NewBuild,
    pub(super) issue: Issue,
}

pub(super) fn filled(store: &Store) -> Filled {
    let alice = store.user("alice");
    let kernels = components::of_type(store, "kernel", &["6.12", "6.13"]);
    let mut projects = Vec::new();
    let mut one = None;
    for at in 0..4 {
        let project = store.project_of(&format!("p{at}"), Actor::Account(alice.id));
        for batch in 0..15 {
            let builds: Vec<_> = (0..100)
                .map(|n| {
                    let started = format!("2026-01-{:02}T00:{:02}:00Z", 1 + batch, n % 60);
                    let ten = format!("ten-{}", n % 10);
                    let mut new = build(&project, &started, &["common", &ten]);
                    new.sender = if n % 2 == 0 { Actor::Account(alice.id) } else { Actor::Nobody };
                    let host = format!(
                        r#"{{"host":"ci-{}","branch":"b{}","commit":"abcdef{}"}}"#,
                        n % 25,
                        n % 20,
                        n % 50
                    );
                    new.report.client = ClientRecord(JsonObject::from_stored(host));
                    new.key = (n % 3 == 0).then(|| format!("{batch}-{n}").parse().unwrap());
                    new.components = vec![kernels[usize::from((n, batch) != (7, 3))].id];
                    if n % 10 == 0 {
                        let status = |at| match at {
                            0 => TestStatus::Failed,
                            _ => TestStatus::Passed,
                        };
                        let said = format!("no {}", ["one", "two", "three"][batch % 3]);
                        let test = |at| {
                            let of = cases::fixtures::result("s", &format!("t{at}"), status(at));
                            let message = Some(said.clone());
                            let failure = of.failure.map(|of| TestFailure { message, ..of });
                            TestResult { failure, ..of }
                        };
                        new.test_report.tests = (0..30).map(test).collect::<Vec<_>>().into();
                    }
                    new
                })
                .collect();
            store.build_record_many(&builds).unwrap();
            if batch == 7 {
                one = Some(builds[50].clone());
            }
        }
        projects.push(project);
    }
    // An index is not used for a handful of rows.
    for at in 0..400 {
        let other = store.project(&format!("other-{at}"));
        let sender = store.user(&format!("user-{at}"));
        let mut new = build(&other, "2026-02-01T00:00:00Z", &["common", "a", "b"]);
        new.sender = Actor::Account(sender.id);
        new.test_report.tests = Vec::from(
            ["a", "b", "c"].map(|name| cases::fixtures::result("s", name, TestStatus::Passed)),
        )
        .into();
        store.record(new);
    }
    let mut issue = None;
    for at in 0..2_000 {
        let mut details = issues::details(&at.to_string());
        details.closed_at = (at % 2 == 0).then(Timestamp::now);
        issue = Some(store.file(&projects[at % 4], details, Actor::Nobody));
    }
    let issue = issue.unwrap();
    Filled { alice, kernels, projects, one: one.unwrap(), issue }
}
