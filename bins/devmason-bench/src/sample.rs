//! The build used for measurements: 7.4 KiB of JSON, five steps, three tags, a client record of
//! seven members.

use anyhow::Result;
use devmason_domain::{
    BuildId, ClientRecord, JsonObject, Outcome, ProjectId, Report, Step, StepLog, Tag, Timestamp,
    VariantPart,
};
use devmason_repository::{Actor, NewBuild};
use serde_json::json;

/// The number of projects that builds are spread over.
pub(crate) const PROJECTS: usize = 50;

/// Steps per build.
pub(crate) const STEPS: usize = 5;

/// The size of a step's output and errors, in bytes.
const OUTPUT: (usize, usize) = (1024, 200);

/// Lines like those of a compiler and a test runner, up to this size in bytes.
pub(crate) fn log(seed: usize, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 80);
    let mut n = seed as u64 * 7919 + 17;
    while text.len() < bytes {
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text += &format!(
            "[{:>6}] src/module_{}/file_{}.c:{}: checked in {} us\n",
            text.len(),
            n >> 60,
            (n >> 50) % 1000,
            (n >> 40) % 1000,
            (n >> 30) % 1000
        );
    }
    text.truncate(bytes);
    text
}

/// The client record.
pub(crate) fn client() -> serde_json::Value {
    json!({
        "host": "ci-7.example.org", "user": "http://example.org/", "arch": "x86_64-linux",
        "os": "Debian 12", "commit": "1f0c2a9b7d7f4e5f8f7a6c5b4d3e2f1a0b9c8d7e", "branch": "main", "build_number": 48213
    })
}

/// A build's document; optionally with this total size of outputs, in bytes.
pub(crate) fn document(seed: usize, output_bytes: Option<usize>) -> String {
    let (output, errout) = match output_bytes {
        None => OUTPUT,
        Some(bytes) => (bytes / STEPS, 0),
    };
    let steps: Vec<_> = (0..STEPS).map(|at| step(seed * STEPS + at, output, errout)).collect();
    json!({
        "success": true, "tags": ["linux", "nightly", "python-3.11"], "client": client(), "results": steps,
    })
    .to_string()
}

fn step(seed: usize, output: usize, errout: usize) -> serde_json::Value {
    json!({
        "name": format!("step {}", seed % STEPS), "success": true,
        "started": "Tue, 20 Oct 2009 10:20:00 -0500", "finished": "Tue, 20 Oct 2009 10:22:00 -0500",
        "output": log(seed, output), "errout": log(seed + 1, errout),
    })
}

/// A step's document.
pub(crate) fn step_document(seed: usize) -> String {
    step(seed, OUTPUT.0, OUTPUT.1).to_string()
}

/// The build for the repository, started at the given time; with small outputs, for when only its
/// rows matter.
pub(crate) fn build(
    project: ProjectId,
    started: Timestamp,
    seed: usize,
    tags: &[Tag],
    sender: Actor,
    output: usize,
) -> Result<NewBuild> {
    let received = Timestamp::now();
    let step = |at: usize| -> Result<Step> {
        Ok(Step {
            name: format!("step {at}").parse()?,
            success: true,
            started,
            finished: started,
            output: log(seed + at, output),
            errout: String::new(),
            extras: JsonObject::default(),
            bad_cases: Some(0),
            log: StepLog::Absent,
        })
    };
    Ok(NewBuild {
        project,
        id: BuildId::assign(started, received),
        key: None,
        sender,
        report: Report {
            started,
            received,
            outcome: Outcome::Finished { success: !seed.is_multiple_of(10), finished: started },
            tags: tags.iter().cloned().collect(),
            client: ClientRecord(JsonObject::from_stored(client().to_string())),
            steps: (0..STEPS).map(step).collect::<Result<_>>()?,
            digest: None,
        },
        variant_by: VariantPart::usual(),
        components: Vec::new(),
        test_report: devmason_repository::TestReport::default(),
        claim: None,
    })
}
