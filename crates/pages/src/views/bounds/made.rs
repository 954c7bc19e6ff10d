//! What the pages show: as much of everything as there can be.

use devmason_domain::*;
use devmason_hypermedia::document::{
    BaselineDocument, ClusterDocument, ComparedBuild, ComparedCase, ComparedComponent,
    ComparedComponents, ComparedCounts, ComparedDuration, ComparedMember, ComparedRun,
    ComparedStep, ComparedTest, ComparisonDocument, ElsewhereDocument, ExampleDocument,
    FailureDocument, Findings, FoundFailure, FoundName, GateDocument, InsightCounts,
    InsightDocument, ItemDocument, KnownDocument, OtherProject, PlaceDocument, SearchDocument,
    SignatureBranch, SignatureDocument, SignatureHost, SignatureTest, SignatureVariant,
    SinceDocument, WindowDocument,
};

pub(super) fn build(nth: usize, client: &str) -> Build {
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
pub(super) fn insight(failures: usize, name: &str, message: &str) -> InsightDocument {
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
pub(super) fn signature(name: &str, text: &str) -> SignatureDocument {
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
pub(super) fn comparison(name: &str, text: &str) -> ComparisonDocument {
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
pub(super) fn found(name: &str) -> SearchDocument {
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
