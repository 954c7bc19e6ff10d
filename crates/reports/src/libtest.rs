//! The JSON of Rust's libtest, and of nextest, whose output is a superset.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::input::Input;
use crate::model::nested;
use crate::number;
use crate::{Case, Cause, Claim, Failure, Note, NoteKind, ReadError, Reason, Sink, Status, Suite};

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    event: Option<String>,
    name: Option<String>,
    test_count: Option<u64>,
    exec_time: Option<Box<RawValue>>,
    stdout: Option<String>,
    message: Option<String>,
    reason: Option<String>,
    nextest: Option<Nextest>,
}

#[derive(Deserialize)]
struct Nextest {
    #[serde(rename = "crate")]
    krate: Option<String>,
    test_binary: Option<String>,
}

/// A suite of tests: one binary.
#[derive(Default)]
struct Open {
    name: Option<String>,
    line: u64,
    planned: Option<u64>,
    running: BTreeMap<String, u64>,
    /// Failed tests that may be retried, by name.
    failed: BTreeMap<String, Case>,
    seen: u64,
    bad: u64,
    /// Whether it reported its end, and whether it failed.
    ended: Option<bool>,
    /// Whether nextest wrote it, which appends a number to the name of a retry.
    is_nextests: bool,
}

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut open = Open::default();
    // nextest repeats the start of a suite whenever results of it arrive.
    let mut named_suites: BTreeMap<String, Open> = BTreeMap::new();
    let (mut events, mut nth, mut first) = (0u64, 0u32, None);
    loop {
        let line = input.line();
        let Some(text) = input.next_line()? else { break };
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        let Ok(event) = serde_json::from_str::<Event>(text) else {
            if ["error: test failed", "error: doctest failed"]
                .iter()
                .any(|start| text.starts_with(start))
            {
                let text = format!("cargo reports: {text}");
                sink.against(Reason::new(Cause::Verdict, Some(line), text));
                continue;
            }
            // Before the first event, cargo reports its progress.
            if events == 0 {
                if text.starts_with('{') {
                    first.get_or_insert(line);
                }
                continue;
            }
            let text = "ignored a line that is not an event".to_owned();
            sink.note(Note { line: Some(line), kind: NoteKind::Dropped, text });
            continue;
        };
        events += 1;
        match (event.kind.as_str(), event.event.as_deref().unwrap_or_default()) {
            ("suite", "started") => {
                put_aside(std::mem::take(&mut open), &mut named_suites, sink)?;
                nth += 1;
                let name =
                    event.nextest.and_then(|nextest| match (nextest.krate, nextest.test_binary) {
                        (Some(krate), Some(binary)) => Some(format!("{krate}::{binary}")),
                        (name, _) => name,
                    });
                let begun = name.as_ref().and_then(|name| named_suites.remove(name));
                let is_nextests = name.is_some();
                open = begun.unwrap_or(Open {
                    is_nextests,
                    name,
                    line,
                    planned: event.test_count,
                    ..Open::default()
                });
            }
            ("suite", outcome) => {
                open.ended = Some(outcome == "failed");
                put_aside(std::mem::take(&mut open), &mut named_suites, sink)?;
            }
            ("test", "started") => {
                sink.room(open.running.len() + open.failed.len())?;
                open.running.insert(event.name.unwrap_or_default(), line);
            }
            ("test", outcome) => test(&mut open, outcome.to_owned(), event, line, sink)?,
            ("bench", _) => {
                let case = Case {
                    status: Some(Status::Passed),
                    report_line: Some(line),
                    ..named(event.name)
                };
                open.seen += 1;
                sink.case(case)?;
            }
            ("report", _) => {}
            (other, _) => {
                let text = format!("unknown event '{other}' ignored");
                sink.note(Note { line: Some(line), kind: NoteKind::Dropped, text });
            }
        }
    }
    if events == 0 {
        let problem = if first.is_some() { "not a libtest event" } else { "no events found" };
        return Err(ReadError::new(first, problem));
    }
    if nth == 0 {
        let text = "no suite start found".to_owned();
        sink.note(Note { line: None, kind: NoteKind::Odd, text });
    }
    put_aside(open, &mut named_suites, sink)?;
    named_suites.into_values().try_for_each(|suite| end(suite, sink))
}

/// A named suite may continue; one without a name has ended.
fn put_aside(
    suite: Open,
    named_suites: &mut BTreeMap<String, Open>,
    sink: &mut dyn Sink,
) -> Result<(), ReadError> {
    match suite.name.clone() {
        Some(name) => {
            named_suites.insert(name, suite);
            Ok(())
        }
        None => end(suite, sink),
    }
}

/// Splits nextest's `crate::binary$module::test`, or `module::test`.
fn named(name: Option<String>) -> Case {
    let name = name.unwrap_or_default();
    match name.split_once('$') {
        Some((binary, test)) => {
            Case { class: Some(binary.to_owned()), name: test.to_owned(), ..Case::default() }
        }
        None => Case { name, ..Case::default() },
    }
}

fn test(
    open: &mut Open,
    outcome: String,
    event: Event,
    line: u64,
    sink: &mut dyn Sink,
) -> Result<(), ReadError> {
    let full = event.name.unwrap_or_default();
    let begun = open.running.remove(&full);
    // nextest appends #2 to the name of the second attempt.
    let (name, tries) = match full.rsplit_once('#').filter(|_| open.is_nextests) {
        Some((name, number)) => match number.parse::<u32>() {
            Ok(number) => (name.to_owned(), number),
            Err(_) => (full, 1),
        },
        None => (full, 1),
    };
    let begun = begun.or_else(|| open.running.remove(&name)).unwrap_or(line);
    let status = match outcome.as_str() {
        "ok" if tries > 1 => Status::Flaky,
        "ok" => Status::Passed,
        "failed" => Status::Failed,
        "ignored" => Status::Skipped,
        "timeout" => {
            // This only reports that the test is slow; its end follows.
            open.running.insert(name, begun);
            return Ok(());
        }
        other => {
            let text = format!("unknown test event '{other}', counted as an error");
            sink.note(Note { line: Some(line), kind: NoteKind::Guessed, text });
            Status::Error
        }
    };
    let seconds = match event.exec_time {
        Some(time) if time.get().starts_with('"') => {
            number::seconds(time.get().trim_matches('"')).map(|(micros, _)| micros)
        }
        Some(time) => time.get().parse().ok().and_then(number::micros),
        None => None,
    };
    let output = event.stdout.unwrap_or_default();
    let (stdout, failure) = if matches!(status, Status::Passed | Status::Flaky) {
        (output, None)
    } else {
        let text = (!output.is_empty()).then_some(output);
        (String::new(), Some(Failure { kind: event.reason, message: event.message, text }))
    };
    let mut case = Case {
        status: Some(status),
        micros: seconds,
        failure,
        stdout,
        retries: tries.saturating_sub(1),
        report_line: Some(begun),
        ..named(Some(name.clone()))
    };
    if case.class.is_none() {
        let name = open.name.as_deref();
        case.suites =
            name.map(|name| nested(&Arc::default(), name, Some(begun), sink)).unwrap_or_default();
    }
    let before = open.failed.remove(&name);
    match (status, before) {
        (Status::Failed, _) => {
            open.failed.insert(name, case);
        }
        (Status::Passed | Status::Flaky, Some(before)) => {
            open.seen += 1;
            sink.case(Case {
                status: Some(Status::Flaky),
                failure: before.failure,
                retries: case.retries.max(1),
                ..case
            })?;
        }
        _ => {
            open.seen += 1;
            open.bad += u64::from(status.is_bad());
            sink.case(case)?;
        }
    }
    Ok(())
}

fn end(open: Open, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let is_told = open.planned.is_some() || open.ended == Some(true);
    if !is_told && open.failed.is_empty() && open.running.is_empty() {
        return Ok(());
    }
    let mut seen = open.seen;
    let is_bad = !open.failed.is_empty() || !open.running.is_empty() || open.bad > 0;
    let name = open.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    let against = match open.ended {
        None => Some((Cause::Cut, format!("the suite{name} did not finish"))),
        Some(true) if !is_bad => {
            Some((Cause::Verdict, format!("the suite{name} is marked as failed")))
        }
        _ => None,
    };
    if let Some((cause, text)) = against {
        sink.against(Reason::new(cause, Some(open.line), text));
    }
    for (_, case) in open.failed {
        seen += 1;
        sink.case(case)?;
    }
    for (name, line) in open.running {
        seen += 1;
        let failure = Failure { message: Some("did not finish".to_owned()), ..Failure::default() };
        sink.case(Case {
            status: Some(Status::Error),
            failure: Some(failure),
            report_line: Some(line),
            ..named(Some(name))
        })?;
    }
    if let Some(planned) = open.planned.filter(|planned| *planned != seen) {
        let text = format!("the suite says test_count={planned}, but contains {seen}");
        if seen < planned {
            sink.against(Reason::new(Cause::Plan, Some(open.line), text));
        } else {
            sink.note(Note { line: Some(open.line), kind: NoteKind::Odd, text });
        }
    }
    let name = open.name.as_deref();
    let path = name.map(|name| nested(&Arc::default(), name, Some(open.line), sink));
    sink.suite(Suite {
        path: path.unwrap_or_default(),
        claim: Claim { tests: open.planned, ..Claim::default() },
        ..Suite::default()
    })
}
