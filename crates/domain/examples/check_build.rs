//! Checks a build and prints it, on `devmason-domain` alone.
//!
//! `cargo run -p devmason-domain --example check_build [FILE]` reads a JSON document with `success`,
//! `started`, `finished`, `tags` and `results`; without a file it checks the one below.

use std::error::Error;

use devmason_domain::{
    BuildId, ClientRecord, JsonObject, Outcome, Report, Step, StepLog, StepName, Tag, TagSet,
    Timestamp,
};
use serde::Deserialize;

const SAMPLE: &str = r#"{
    "success": false,
    "started": "Tue, 20 Oct 2009 10:20:00 -0500",
    "finished": "2009-10-20T15:22:00Z",
    "tags": ["python-3.11", "linux", "linux"],
    "results": [{"name": "checkout", "success": true}, {"name": "test", "success": false, "output": "1 failed"}]
}"#;

#[derive(Deserialize)]
struct Document {
    success: bool,
    started: Timestamp,
    finished: Timestamp,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    results: Vec<Result>,
}

#[derive(Deserialize)]
struct Result {
    name: StepName,
    success: bool,
    #[serde(default)]
    output: String,
}

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let text = match std::env::args().nth(1) {
        Some(path) => std::fs::read_to_string(path)?,
        None => SAMPLE.to_owned(),
    };
    let report = check(serde_json::from_str(&text)?)?;
    print(&report);
    Ok(())
}

fn check(document: Document) -> std::result::Result<Report, Box<dyn Error>> {
    let (started, finished) = (document.started, document.finished);
    let step = |result: Result| Step {
        name: result.name,
        success: result.success,
        started,
        finished,
        output: result.output,
        errout: String::new(),
        extras: JsonObject::default(),
        bad_cases: None,
        log: StepLog::Absent,
    };
    Ok(Report {
        started,
        received: Timestamp::now(),
        outcome: Outcome::Finished { success: document.success, finished },
        tags: TagSet::new(document.tags)?,
        client: ClientRecord::default(),
        steps: document.results.into_iter().map(step).collect(),
        digest: None,
    })
}

fn print(report: &Report) {
    println!("build {}", BuildId::assign(report.started, report.received));
    println!("  started  {}", report.started);
    if let Outcome::Finished { success, finished } = report.outcome {
        println!("  finished {finished}, {}", if success { "passed" } else { "failed" });
    }
    let tags: Vec<&str> = report.tags.iter().map(Tag::as_str).collect();
    println!("  tags     {}", tags.join(", "));
    for step in &report.steps {
        println!("  {} {} {}", if step.success { "ok  " } else { "FAIL" }, step.name, step.output);
    }
}
