//! Imports ten thousand builds through `devmason-repository` alone: no server, no HTTP, no runtime.
//!
//! `cargo run --release -p devmason-repository --example import_builds -- sqlite:import.db`, or a
//! `postgres://` URL. Each run registers its own project.

use std::error::Error;
use std::time::Instant;

use devmason_domain::{
    BuildId, ClientRecord, JsonObject, Outcome, Project, ProjectId, Report, Reporting, Step,
    StepLog, TagSet, Timestamp, Tracking, VariantPart,
};
use devmason_repository::{
    Actor, NewBuild, NewProject, Options, Recorded, Registered, Repository, Scope, TestReport, open,
};

const BUILDS: usize = 10_000;

/// Many builds per transaction: a commit costs more than a build.
const BATCH: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: import_builds URL")?;
    let repository = open(&url, &Options::default())?;
    let project = register(&*repository)?;

    let start = Instant::now();
    for batch in 0..BUILDS / BATCH {
        let builds = (0..BATCH)
            .map(|n| build(project.id, batch * BATCH + n))
            .collect::<Result<Vec<_>, _>>()?;
        let outcomes = repository.build_record_many(&builds)?;
        if let Some(outcome) = outcomes.iter().find(|outcome| **outcome != Recorded::New) {
            return Err(format!("a build was not stored: {outcome:?}").into());
        }
    }
    let seconds = start.elapsed().as_secs_f64();

    let count = repository.build_tally(&Scope::Project(project.id))?.members;
    if count != BUILDS as u64 {
        return Err(format!("{BUILDS} builds were stored, and {count} are counted").into());
    }
    println!(
        "{count} builds of /{} in {seconds:.1} s, {:.0} a second",
        project.slug,
        count as f64 / seconds
    );
    Ok(())
}

fn register(repository: &dyn Repository) -> Result<Project, Box<dyn Error>> {
    let slug = format!("import-{}", Timestamp::now().micros());
    let new = NewProject {
        slug: slug.parse()?,
        name: "Imported builds".parse()?,
        reporting: Reporting::Owner,
        tracking: Tracking::default(),
        repository: None,
        tags: TagSet::default(),
        owner: Actor::Nobody,
    };
    match repository.project_register(&new)? {
        Registered::New(project) => Ok(*project),
        other => Err(format!("the project was not registered: {other:?}").into()),
    }
}

/// A build as it would remain from ten years of nightly runs.
fn build(project: ProjectId, n: usize) -> Result<NewBuild, Box<dyn Error>> {
    let received = Timestamp::now();
    let started = Timestamp::from_parts(1_420_070_400_000_000 + n as i64 * 31_536_000_000, 60)
        .ok_or("no such time")?;
    let step = |name: &str| -> Result<Step, Box<dyn Error>> {
        Ok(Step {
            name: name.parse()?,
            success: !n.is_multiple_of(17),
            started,
            finished: started,
            output: format!("{name} {n}\n").repeat(20),
            errout: String::new(),
            extras: JsonObject::default(),
            bad_cases: None,
            log: StepLog::Absent,
        })
    };
    Ok(NewBuild {
        variant_by: VariantPart::usual(),
        project,
        id: BuildId::assign(started, received),
        key: Some(format!("{n}").parse()?),
        sender: Actor::Nobody,
        report: Report {
            started,
            received,
            outcome: Outcome::Finished { success: !n.is_multiple_of(17), finished: started },
            tags: ["nightly".parse()?, format!("host-{}", n % 7).parse()?].into_iter().collect(),
            client: ClientRecord(JsonObject::from_stored(format!("{{\"host\":\"ci-{}\"}}", n % 7))),
            steps: vec![step("checkout")?, step("build")?, step("test")?],
            digest: None,
        },
        components: Vec::new(),
        test_report: TestReport::default(),
        claim: None,
    })
}
