//! Tests that every page has a maximum size, whatever it shows.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod made;

use std::sync::Arc;

use self::made::{build, comparison, found, insight, signature};
use super::*;
use crate::{Site, rendered};
use devmason_domain::*;
use devmason_hypermedia::document::{InsightCounts, TrackMembers, TrackPulse};
use devmason_hypermedia::{Base, BuildsOf};

#[test]
fn a_page_has_a_bound_whatever_it_shows() {
    let at = Timestamp::from_parts(1_700_000_000_000_000, 0).unwrap();
    let name = "&".repeat((4 << 10) - 3);
    let big = "&".repeat(1 << 16);
    let project = Project {
        id: ProjectId(1),
        slug: "p".repeat(100).parse().unwrap(),
        name: "'".repeat(200).parse().unwrap(),
        owner: None,
        reporting: Default::default(),
        tracking: Default::default(),
        repository: None,
        tags: (0..100).map(|n| format!("{n:03}{}", "T".repeat(97)).parse().unwrap()).collect(),
        created_at: at,
        updated_at: at,
        version: 1,
    };
    let base = Base::new("", "");
    let site = || Site {
        base: &base,
        user: None,
        is_administrator: false,
        token: None,
        here: "/".to_owned(),
        json: Some("/x".to_owned()),
        version: "0",
    };
    let client =
        format!(r#"{{"host":"{big}","x":"http://{big}","{big}":[{}1]}}"#, "1,".repeat(1 << 10));
    let builds: Vec<Build> = (0..100).map(|n| build(n, &client)).collect();
    let step = |n: usize, output: &str| Step {
        name: format!("{n:03}{name}").parse().unwrap(),
        success: false,
        started: at,
        finished: at,
        output: output.to_owned(),
        errout: output.to_owned(),
        extras: JsonObject::from_stored(format!(r#"{{"x":"{}"}}"#, big)),
        bad_cases: None,
        log: devmason_domain::StepLog::Absent,
    };
    let ansi = format!("\x1b[1;2;3;4;9;7m{}", "\x1b[41m\x1b[42m".repeat(450));
    let test = |n: usize| TestResult {
        suite: format!("{n:03}{name}").into(),
        name: name.clone(),
        status: TestStatus::Failed,
        micros: None,
        failure: Some(TestFailure { kind: None, message: Some(big.clone()), text: None }),
        details: TestDetails {
            stdout: "\n".repeat(200) + "x",
            stderr: ansi.clone(),
            ..TestDetails::default()
        }
        .into(),
    };
    let mut sizes = Vec::new();
    let outlines: Vec<Vec<Step>> =
        (0..30).map(|_| (0..60).map(|n| step(n, "")).collect()).collect();
    let lines: Vec<TestLine> = (0..30)
        .map(|n| TestLine {
            name: full_test_name(&test(n).suite, &name),
            runs: builds.iter().map(|b| (b.id, 1, TestStatus::Failed)).collect(),
        })
        .collect();
    let key: BuildKey = "b".repeat(100).parse().unwrap();
    let pulse = TrackPulse {
        track: TrackMembers {
            key: "0".repeat(16),
            branch: big.clone(),
            variant: big.clone(),
            credited: true,
            mainline: true,
        },
        expected: String::new(),
        every: None,
        overdue: true,
        latest: Some(key.to_string()),
        success: Some(false),
    };
    let track = || MainlineTrack {
        pulse: &pulse,
        counts: Some(InsightCounts::default()),
        builds: vec![(&key, Some(false)); 20],
    };
    let names: Vec<String> = (0..100).map(|_| "&".repeat(250)).collect();
    let of = insight(20, &full_test_name(&test(0).suite, &name), &big);
    sizes.push((
        "project",
        rendered(
            &ProjectPage::new(
                site(),
                ProjectParts {
                    project: &project,
                    branch: &big,
                    variant: &big,
                    asked_branch: &big,
                    branches: &names,
                    variants: &names,
                    order: GridOrder::default(),
                    is_usual: false,
                    is_whole: true,
                    builds: &builds,
                    steps: &outlines,
                    tests: &lines,
                    tracks: (0..20).map(|_| track()).collect(),
                    more_tracks: 1,
                    findings: &of.findings,
                    ending: &[],
                    may_change: false,
                    may_triage: true,
                },
            )
            .unwrap(),
        )
        .unwrap()
        .len(),
    ));
    for output in ["x", "\n\n\n\n", ansi.as_str(), &"\n".repeat(1000)] {
        let steps: Vec<Step> = (0..300).map(|n| step(n, output)).collect();
        let of = insight(20, &full_test_name(&test(0).suite, &name), &big);
        let logs = std::collections::HashMap::new();
        let page = BuildPage::new(
            site(),
            BuildParts {
                project: &project,
                build: &builds[0],
                steps: &steps,
                logs: &logs,
                is_read: &[true; 300],
                insight: &of,
                previous: None,
                next: None,
                components: Vec::new(),
                events: None,
                may_delete: false,
                may_triage: true,
            },
        )
        .unwrap();
        sizes.push(("build", rendered(&page).unwrap().len()));
    }
    let of = insight(100, &full_test_name(&test(0).suite, &name), &big);
    let page = InsightPage::new(
        site(),
        &project,
        &builds[0],
        (&of, Shown { may_triage: true, gate: None }),
        Pager::default(),
    )
    .unwrap();
    let size = rendered(&page).unwrap().len();
    assert!(size < 1 << 20, "{size}");
    sizes.push(("insight", size));
    let rows = || builds.iter().map(|build| Row { project: &project, build }).collect();
    sizes.push((
        "builds",
        rendered(&Builds {
            site: site(),
            heading: big.clone(),
            action: String::new(),
            of: BuildsOf::Project(project.slug.clone()),
            project: None,
            rows: rows(),
            filter: BuildFilter::default(),
            pager: Pager::default(),
        })
        .unwrap()
        .len(),
    ));
    let mut room = Room::new(1 << 20);
    let tests = (0..100)
        .map(|n| TestRow::new(&site(), (&project, &builds[0]), (&test(n), n as u32), &mut room))
        .collect();
    sizes.push((
        "tests",
        rendered(&Tests {
            site: site(),
            project: &project,
            build: &builds[0],
            tests,
            shelf: Shelf::All,
            status: "",
            text: "",
            pager: Pager::default(),
        })
        .unwrap()
        .len(),
    ));
    let s = step(1, &"\n".repeat(1 << 20));
    sizes.push((
        "output",
        rendered(&Output::new(site(), &project, &builds[0], (0, &s), false, Lines::From(1)))
            .unwrap()
            .len(),
    ));
    let s = step(1, &(ansi.clone() + "\n").repeat(2000));
    sizes.push((
        "output ansi",
        rendered(&Output::new(site(), &project, &builds[0], (0, &s), false, Lines::From(1)))
            .unwrap()
            .len(),
    ));
    let row = |_: usize| ProjectRow {
        project: project.clone(),
        builds: (0..9).map(|n| build(n, "{}")).collect(),
        failing: Some(Failing { since: build(9, "{}"), builds: 9, is_exact: false, tests: 9 }),
        is_overdue: true,
        has_tracks: true,
    };
    let tag = "&".repeat(100);
    sizes.push((
        "projects",
        rendered(&Projects {
            site: site(),
            mine: (0..100).map(|at| Arc::new(row(at))).collect(),
            groups: (0..800).map(|at| (tag.clone(), vec![Arc::new(row(at))])).collect(),
            search: "",
            red_first: false,
            group: "",
            heads: Heads::default(),
            may_register: false,
            pager: Pager::default(),
        })
        .unwrap()
        .len(),
    ));
    let mut one = test(1);
    one.details = TestDetails {
        stdout: ansi.clone() + &big,
        stderr: big.clone(),
        properties: (0..1000).map(|n| (format!("{n}{name}"), big.clone())).collect(),
        file: Some(name.clone()),
        ..TestDetails::default()
    }
    .into();
    one.failure = Some(TestFailure {
        kind: Some(big.clone()),
        message: Some(big.clone()),
        text: Some("src/x.rs:1 &\n".repeat(1 << 16)),
    });
    let runs: Vec<_> = builds.iter().map(|b| (b.key(), 1, TestStatus::Failed)).collect();
    let page = CasePage::new(site(), (&project, &builds[0]), (&one, 1), &runs, true);
    sizes.push(("case", rendered(&page).unwrap().len()));
    let of = comparison(&full_test_name(&test(0).suite, &name), &big);
    let page = ComparisonPage::new(site(), &project, &of);
    sizes.push(("comparison", rendered(&page).unwrap().len()));
    let page = SearchPage {
        site: site(),
        typed: &big[..200],
        results: Some(found(&full_test_name(&test(0).suite, &name))),
        problem: String::new(),
    };
    sizes.push(("search", rendered(&page).unwrap().len()));
    // A form is at most 256 KiB long.
    let sent = vec![("note".to_owned(), big.clone()), ("title".to_owned(), String::new())];
    let why = (big.as_str(), Some("note"));
    let page = RefusedForm::new(site(), (Form::Issue, "/".to_owned()), &sent, why);
    sizes.push(("refused form", rendered(&page).unwrap().len()));
    let sent: Vec<_> = ["name", "repository", "tags", "mainline", "variant_by", "gate"]
        .map(|name| (name.to_owned(), "&".repeat(40 << 10)))
        .into();
    let page = RefusedForm::new(site(), (Form::Settings, "/".to_owned()), &sent, why);
    sizes.push(("refused settings", rendered(&page).unwrap().len()));
    let notes: Vec<String> = (0..1000)
        .map(|_| format!(r#"{{"line":1,"kind":"odd","text":"{}"}}"#, "&".repeat(512)))
        .collect();
    let receipt = format!(
        r#"{{"file":"{name}","format":"junit","recognized":"from the bytes","notes":[{}]}}"#,
        notes.join(",")
    );
    let files = vec![(receipt.clone(), true); 1000];
    let of = (&project, &builds[0]);
    sizes.push((
        "receipt",
        rendered(&ReceiptPage::new(site(), of, &[receipt], &files, true)).unwrap().len(),
    ));
    let of = signature(&full_test_name(&test(0).suite, &name), &big);
    let size = rendered(&SignaturePage::new(site(), &project, &of, true)).unwrap().len();
    assert!(size < 1 << 20, "{size}");
    assert!(sizes.iter().all(|(_, size)| *size < 8 << 20), "{sizes:?}");
}
