//! CDash: the builds of a project's last days, with their tests.

use anyhow::{Context, Result};
use devmason_domain::{TestDetails, TestFailure, TestResult, TestStatus, Timestamp, limits};
use devmason_wire::{Derived, Part};
use serde_json::Value;

use super::{Peer, Run, list, quoted, step, text};

const DAY: i64 = 86_400_000_000;

pub(super) fn import(peer: &mut Peer<'_>) -> Result<()> {
    let project = quoted(peer.of()?);
    let now = Timestamp::now().micros();
    // From the oldest day on, so that what is newest is imported last.
    for day in (0..i64::from(peer.wanted.days)).rev() {
        let date = Timestamp::from_parts(now - day * DAY, 0).context("days")?.to_rfc3339_utc();
        let date = date.get(..10).unwrap_or_default();
        let page = peer.get(&format!("/api/v1/index.php?project={project}&date={date}"))?;
        for group in list(&page, "buildgroups") {
            for build in list(group, "builds") {
                let id = text(build, "id").context("a build without an id")?;
                let run = run(peer, &id, &text(group, "name").unwrap_or_default(), build);
                peer.push(&id, run)?;
            }
        }
    }
    Ok(())
}

fn run(peer: &Peer<'_>, id: &str, group: &str, build: &Value) -> Result<Option<Run>> {
    let seconds = build.get("builddatefull").and_then(Value::as_i64);
    let started = match seconds {
        Some(seconds) => Timestamp::from_parts(seconds.saturating_mul(1_000_000), 0),
        None => text(build, "builddate").and_then(|date| date.parse().ok()),
    };
    let started = started.context("builddate")?;
    let mut about = Part::unread("cdash");
    for (name, of) in
        [("host", "site"), ("build", "buildname"), ("job", "buildname"), ("stamp", "stamp")]
    {
        about.client.extend(text(build, of).map(|text| (name.to_owned(), text)));
    }
    let revision = build.get("update").and_then(|update| text(update, "revision"));
    about.client.extend(revision.map(|revision| ("commit".to_owned(), revision)));
    if !group.is_empty() {
        let tag = devmason_wire::tag(group, &mut about.receipt);
        about.tags.extend(tag);
    }
    let errors = |of: &str| build.get(of)?.get("error")?.as_i64();
    let mut more = Vec::new();
    for (name, of) in [("configure", "configure"), ("build", "compilation")] {
        if let Some(errors) = errors(of) {
            let mut part = Part::unread("cdash");
            part.step = Some(step(name, errors == 0, (started, started), &[])?);
            more.push(part);
        }
    }
    if build.get("test").is_some_and(Value::is_object) {
        let page = peer.get(&format!("/api/v1/viewTest.php?buildid={id}"))?;
        let tests: Vec<TestResult> = list(&page, "tests").map(test).collect();
        let success = tests.iter().all(|test| !test.status.is_bad());
        let took: u64 = tests.iter().filter_map(|test| test.micros).sum();
        let ended = started.micros().saturating_add(i64::try_from(took).unwrap_or(0));
        let ended = Timestamp::from_parts(ended, 0).unwrap_or(started);
        let mut part = Part::unread("cdash");
        part.step = Some(step("test", success, (started, ended), &tests)?);
        part.tests = tests;
        more.push(part);
    }
    let steps = || more.iter().filter_map(|part| part.step.as_ref());
    let success = steps().all(|step| step.success);
    let finished = steps().map(|step| step.finished).max().unwrap_or(started);
    let derived =
        Derived { part: about, more, forgotten: Vec::new(), is_complete: true, finished, success };
    Ok(Some(Run { id: id.to_owned(), started, derived }))
}

fn test(of: &Value) -> TestResult {
    let details = text(of, "details").filter(|details| details != "Completed");
    let is_timeout = details.as_deref().is_some_and(|details| details.contains("Timeout"));
    let status = match text(of, "status").as_deref() {
        Some("Passed") => TestStatus::Passed,
        Some("Failed") if is_timeout => TestStatus::Error,
        Some("Failed") => TestStatus::Failed,
        Some("Not Run") => TestStatus::Skipped,
        _ => TestStatus::Error,
    };
    let seconds = of.get("execTimeFull").and_then(|time| {
        time.as_f64().or_else(|| time.as_str().and_then(|text| text.parse().ok()))
    });
    let seconds = seconds.filter(|seconds| seconds.is_finite() && (0.0..1e10).contains(seconds));
    let mut name = text(of, "name").unwrap_or_default();
    limits::cut(&mut name, limits::NAME);
    let has_failure = status.is_bad() || (status == TestStatus::Skipped && details.is_some());
    TestResult {
        suite: text(of, "subprojectname").unwrap_or_default().into(),
        name,
        status,
        micros: seconds.map(|seconds| (seconds * 1e6).round() as u64),
        failure: has_failure.then_some(TestFailure { kind: None, message: details, text: None }),
        details: TestDetails::NONE.into(),
    }
}
