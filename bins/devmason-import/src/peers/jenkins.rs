//! Jenkins: the builds of a job, with its test results.

use anyhow::{Context, Result};
use devmason_domain::{TestDetails, TestFailure, TestResult, TestStatus, limits};
use devmason_wire::{Derived, Part};
use serde_json::Value;

use super::{Peer, Run, at, counted, list, step, text};

/// Number of builds in a page.
const PAGE: u64 = 100;

const BUILD: &str = "number,url,timestamp,duration,result,building,description,builtOn,\
    actions[lastBuiltRevision[SHA1,branch[name]]]";

const CASES: &str = "suites[name,cases[className,name,status,duration,errorDetails,errorStackTrace,\
    stdout,stderr,skippedMessage]]";

pub(super) fn import(peer: &mut Peer<'_>) -> Result<()> {
    let mut from = 0;
    loop {
        let page =
            format!("/api/json?tree=name,fullName,allBuilds[{BUILD}]{{{from},{}}}", from + PAGE);
        let page = peer.get(&page)?;
        let job = text(&page, "fullName").or(text(&page, "name")).unwrap_or_default();
        let builds: Vec<Value> = list(&page, "allBuilds").cloned().collect();
        for build in &builds {
            let number = text(build, "number").context("a build without a number")?;
            let run = run(peer, &job, &number, build);
            peer.push(&number, run)?;
        }
        if (builds.len() as u64) < PAGE {
            return Ok(());
        }
        from += PAGE;
        counted(from / PAGE)?;
    }
}

fn run(peer: &Peer<'_>, job: &str, number: &str, build: &Value) -> Result<Option<Run>> {
    let result = text(build, "result");
    if build.get("building") == Some(&Value::Bool(true)) || result.is_none() {
        return Ok(None);
    }
    let millis = |name| build.get(name).and_then(Value::as_i64);
    let started = at(millis("timestamp")).context("timestamp")?;
    let duration = millis("duration").unwrap_or(0).max(0);
    let ended = at(millis("timestamp").map(|at| at.saturating_add(duration)));
    let finished = ended.unwrap_or(started);
    let mut part = Part::unread("jenkins");
    let said = [
        ("job", Some(job.to_owned())),
        ("build_number", Some(number.to_owned())),
        ("job_url", text(build, "url")),
        ("host", text(build, "builtOn")),
        ("description", text(build, "description")),
        ("result", result.clone()),
    ];
    for (name, value) in said {
        part.client
            .extend(value.filter(|text| !text.is_empty()).map(|text| (name.to_owned(), text)));
    }
    let built = list(build, "actions").find_map(|action| action.get("lastBuiltRevision"));
    if let Some(built) = built {
        part.client.extend(text(built, "SHA1").map(|sha| ("commit".to_owned(), sha)));
        let branch = list(built, "branch").find_map(|branch| text(branch, "name"));
        let short = |branch: String| {
            let plain =
                branch.trim_start_matches("refs/remotes/").trim_start_matches("refs/heads/");
            plain.trim_start_matches("origin/").to_owned()
        };
        let branch = branch.map(short).filter(|branch| branch != "detached");
        part.client.extend(branch.map(|branch| ("branch".to_owned(), branch)));
    }
    let report = peer.find(&format!(
        "/{number}/testReport/api/json?tree={CASES},childReports[result[{CASES}]]"
    ))?;
    let mut tests = Vec::new();
    if let Some(report) = report {
        tests.extend(cases(&report));
        for child in list(&report, "childReports").filter_map(|child| child.get("result")) {
            tests.extend(cases(child));
        }
    }
    let success = result.as_deref() == Some("SUCCESS");
    part.step = Some(step("build", success, (started, finished), &tests)?);
    part.tests = tests;
    let derived = Derived {
        part,
        more: Vec::new(),
        forgotten: Vec::new(),
        is_complete: true,
        finished,
        success,
    };
    Ok(Some(Run { id: number.to_owned(), started, derived }))
}

fn cases(report: &Value) -> impl Iterator<Item = TestResult> {
    list(report, "suites").flat_map(|suite| {
        let of_suite = text(suite, "name");
        list(suite, "cases").map(move |case| {
            let status = match text(case, "status").as_deref() {
                Some("PASSED" | "FIXED") => TestStatus::Passed,
                Some("FAILED" | "REGRESSION") => TestStatus::Failed,
                Some("SKIPPED") => TestStatus::Skipped,
                _ => TestStatus::Error,
            };
            let message = text(case, "errorDetails").or(text(case, "skippedMessage"));
            let trace = text(case, "errorStackTrace");
            let has_failure = status.is_bad() || message.is_some();
            let seconds = case.get("duration").and_then(Value::as_f64);
            let seconds =
                seconds.filter(|seconds| seconds.is_finite() && (0.0..1e10).contains(seconds));
            let cut = |text: Option<String>| {
                let mut text = text.unwrap_or_default();
                limits::cut(&mut text, limits::NAME);
                text
            };
            TestResult {
                suite: cut(text(case, "className").or(of_suite.clone())).into(),
                name: cut(text(case, "name")),
                status,
                micros: seconds.map(|seconds| (seconds * 1e6).round() as u64),
                failure: has_failure.then_some(TestFailure { kind: None, message, text: trace }),
                details: TestDetails {
                    stdout: text(case, "stdout").unwrap_or_default(),
                    stderr: text(case, "stderr").unwrap_or_default(),
                    ..TestDetails::NONE
                }
                .into(),
            }
        })
    })
}
