//! Tests that every page has a maximum size, whatever it shows.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::{Site, rendered};
use devmason_domain::*;
use devmason_hypermedia::document::{
    BaselineDocument, ClusterDocument, ComparedBuild, ComparedCase, ComparedComponent,
    ComparedComponents, ComparedCounts, ComparedDuration, ComparedMember, ComparedRun,
    ComparedStep, ComparedTest, ComparisonDocument, ElsewhereDocument, ExampleDocument,
    FailureDocument, Findings, FoundFailure, FoundName, GateDocument, InsightCounts,
    InsightDocument, ItemDocument, KnownDocument, OtherProject, PlaceDocument, SearchDocument,
    SignatureBranch, SignatureDocument, SignatureHost, SignatureTest, SignatureVariant,
    SinceDocument, TrackMembers, TrackPulse, WindowDocument,
};
use devmason_hypermedia::{Base, BuildsOf};

fn build(nth: usize, client: &str) -> Build {
    let at = Timestamp::from_parts(1_700_000_000_000_000, 0).unwrap();
    Build {
        project: ProjectId(1),
        id: BuildId::assign(at, at),
        key: Some(format!("{nth:0>100}").parse().unwrap()),
        sender: Sender::Anonymous,
        started: at,
        received: at,
        outcome: Outcome::Finished { success: false, finished: at },
        tags: (0..100)
            .map(|n| format!("{n:03}{}", "\u{1f40e}".repeat(97)).parse::<Tag>().unwrap())
            .collect(),
        client: ClientRecord(JsonObject::from_stored(client.to_owned())),
        components: Vec::new(),
        steps: 300,
        failed_steps: 300,
        tests: TestSummary { total: 300, failed: 300, ..TestSummary::default() },
        output_bytes: 0,
        updated_at: at,
        track: None,
        revision: None,
        digest: None,
        version: 1,
    }
}

/// The insight of a build with many failures, all with this name and message.
fn insight(failures: usize, name: &str, message: &str) -> InsightDocument {
    let item = || ItemDocument { kind: "test", name: name.to_owned(), variant: None };
    let known = || KnownDocument {
        issue: Default::default(),
        title: "&".repeat(200),
        url: None,
        mute: true,
        expires: Some("&".repeat(40)),
        returned: false,
    };
    let failure = || FailureDocument {
        kind: "test",
        name: Some(name.to_owned()),
        variant: None,
        build: None,
        position: 0,
        status: "failed",
        class: "new",
        first_run: false,
        before: None,
        since: SinceDocument {
            build: "b".repeat(100),
            started: String::new(),
            builds: 1_000,
            at_least: true,
        },
        last_good: None,
        changed: None,
        recent: "F".repeat(20),
        flaky: None,
        elsewhere: ElsewhereDocument {
            ran: 50,
            projects: vec![
                OtherProject {
                    project: "p".repeat(100),
                    build: "b".repeat(100),
                    started: String::new(),
                };
                10
            ],
            ..ElsewhereDocument::default()
        },
        signature: None,
        message: Some(message.to_owned()),
        known: vec![known(); 10],
        muted: true,
        host_suspect: Some(message.chars().take(100).collect()),
        links: Vec::new(),
    };
    let title: String = message.chars().take(600).collect();
    let cluster = || ClusterDocument {
        signature: String::new(),
        title: title.clone(),
        items: 2,
        tests: Vec::new(),
        first_seen: PlaceDocument { build: String::new(), started: String::new() },
        known: vec![known(); 10],
    };
    let findings = Findings {
        counts: InsightCounts { new: 500, missing: Some(500), ..InsightCounts::default() },
        mass_failure: true,
        gate: GateDocument { rules: String::new(), verdict: "fail", reasons: Vec::new() },
        failures: (0..failures).map(|_| failure()).collect(),
        clusters: (0..100).map(|_| cluster()).collect(),
        new_flaky: (0..100).map(|_| item()).collect(),
        fixed: Vec::new(),
        missing: Some((0..100).map(|_| item()).collect()),
        skipped: (0..100).map(|_| item()).collect(),
        added: (0..100).map(|_| item()).collect(),
        slower: Vec::new(),
        window: WindowDocument { builds: 0, of: None, complete: false },
    };
    InsightDocument {
        build: "b".to_owned(),
        state: "finished",
        success: Some(false),
        revision: None,
        track: None,
        baseline: BaselineDocument {
            asked: Some(name.to_owned()),
            used: None,
            build: None,
            reason: Some(name.to_owned()),
            found: None,
        },
        findings,
        links: Vec::new(),
    }
}

/// A signature of many tests with this name, on as many branches, variants and hosts.
fn signature(name: &str, text: &str) -> SignatureDocument {
    let place = || PlaceDocument { build: "b".repeat(100), started: String::new() };
    let (items, texts) = (1, || name.to_owned());
    let test = || SignatureTest { full_name: texts(), items, links: Vec::new() };
    SignatureDocument {
        id: "0".repeat(32),
        version: "v1",
        title: text.chars().take(600).collect(),
        example: ExampleDocument {
            build: String::new(),
            position: 0,
            full_name: texts(),
            failure: TestFailure { kind: None, message: None, text: Some(text.to_owned()) },
        },
        first_seen: place(),
        last_seen: place(),
        counted: 200,
        complete: false,
        tests: (0..100).map(|_| test()).collect(),
        branches: (0..100).map(|_| SignatureBranch { branch: texts(), items }).collect(),
        variants: (0..100).map(|_| SignatureVariant { variant: texts(), items }).collect(),
        projects: Vec::new(),
        hosts: (0..100).map(|_| SignatureHost { host: texts(), items }).collect(),
        known: Vec::new(),
        links: Vec::new(),
    }
}

/// A comparison of two builds with as many differences as a document has, all of this name.
fn comparison(name: &str, text: &str) -> ComparisonDocument {
    let build = || ComparedBuild {
        id: "b".repeat(100),
        started: String::new(),
        success: Some(false),
        duration: Some(1.0),
        revision: Some("c".repeat(64)),
        tests: 1,
    };
    let case = Some(ComparedCase { position: 1, status: "failed" });
    let run = Some(ComparedRun { position: 1, success: Some(true), duration: Some(1.0) });
    let component = || ComparedComponent { id: "i".repeat(36), name: "&".repeat(1000) };
    let value = || Some(text.chars().take(1000).collect());
    ComparisonDocument {
        one: build(),
        other: build(),
        counts: ComparedCounts { broken: 1000, ..ComparedCounts::default() },
        tests: (0..1000)
            .map(|_| ComparedTest {
                full_name: name.to_owned(),
                change: "broken",
                one: case,
                other: case,
            })
            .collect(),
        slower: (0..100)
            .map(|_| ComparedDuration { full_name: name.to_owned(), one: 1.0, other: 2.0 })
            .collect(),
        steps: (0..2000)
            .map(|_| ComparedStep { name: "&".repeat(1000), one: run, other: run })
            .collect(),
        components: ComparedComponents {
            one: (0..100).map(|_| component()).collect(),
            other: Vec::new(),
            both: (0..100).map(|_| component()).collect(),
        },
        client: (0..100)
            .map(|_| ComparedMember { name: "&".repeat(1000), one: value(), other: value() })
            .collect(),
        links: Vec::new(),
    }
}

/// As much as a search finds, all of this name.
fn found(name: &str) -> SearchDocument {
    let text = || name.to_owned();
    SearchDocument {
        tests: (0..50)
            .map(|_| FoundName { project: "p".repeat(100), full_name: text(), links: Vec::new() })
            .collect(),
        failures: (0..20)
            .map(|_| FoundFailure {
                project: "p".repeat(100),
                build: "b".repeat(100),
                position: 1,
                full_name: text(),
                line: "&".repeat(300),
                links: Vec::new(),
            })
            .collect(),
        ..SearchDocument::default()
    }
}

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
    let rows: Vec<ProjectRow> = (0..300)
        .map(|_| ProjectRow {
            project: project.clone(),
            builds: (0..30).map(|n| build(n, "{}")).collect(),
            is_overdue: true,
        })
        .collect();
    sizes.push((
        "projects",
        rendered(&Projects {
            site: site(),
            mine: Vec::new(),
            groups: vec![(String::new(), rows)],
            search: "",
            red_first: false,
            is_grouped: false,
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
    // A form is at most 64 KiB long.
    let sent = vec![("note".to_owned(), big.clone()), ("title".to_owned(), String::new())];
    let why = (big.as_str(), Some("note"));
    let page = RefusedForm::new(site(), (Form::Issue, "/".to_owned()), &sent, why);
    sizes.push(("refused form", rendered(&page).unwrap().len()));
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
