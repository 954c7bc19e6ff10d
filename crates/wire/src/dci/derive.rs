//! The build of a job's events.

use devmason_domain::{Timestamp, limits};
use devmason_reports::{
    Case, Format, Note, Read, ReadError, Reason, Sink, Suite, build, read_slice,
};
use serde_json::Value;

use super::job::File;
use super::{CASES, Event, Job, PROTOCOL, is_last};
use crate::part::{Draft, member};
use crate::{Derived, Part, WireError, tag};

/// Makes the build of a job. If `is_final`, nothing follows: a job that has not ended was interrupted.
///
/// # Errors
/// A name is not valid for a step.
pub fn derive(
    events: Vec<Event>,
    is_final: bool,
    received: Timestamp,
) -> Result<Derived, WireError> {
    let job = Job::of(events);
    let mut part = about(&job);
    let mut more = Vec::new();
    let ends = job.states.iter().skip(1).map(|state| state.at.time(received));
    let ends: Vec<Timestamp> = ends.collect();
    for (nth, state) in job.states.iter().enumerate() {
        let started = state.at.time(received);
        let files: Vec<&File> =
            job.files.iter().filter(|file| file.sent.state == Some(state.nth)).collect();
        let last = files.iter().map(|file| file.at.time(received)).max();
        let finished = ends.get(nth).copied().or(last).unwrap_or(started);
        more.push(entered(state, &files, (started, finished))?);
    }
    let mut cases = 0;
    for file in &job.files {
        let part = sent(&job, file, received, CASES - cases)?;
        cases += part.tests.len();
        more.push(part);
    }
    let last = job.states.last();
    let is_complete = last.is_some_and(|state| is_last(&state.entered.status));
    let steps = || more.iter().filter_map(|part: &Part| part.step.as_ref());
    let finished = steps().map(|step| step.finished).max().unwrap_or(received);
    let is_good = steps().all(|step| step.success);
    let success = job.status() == "success" && is_good;
    if job.status() == "success" && !is_good {
        let text = "the job ended as 'success', but not all of its tests did";
        part.receipt.note("verdict", text);
    }
    if is_final && !is_complete {
        part.receipt.note("verdict", "the job never ended");
    }
    let is_said = |name: &str| part.client.iter().any(|(said, _)| said == name);
    let texts = TEXTS.iter().map(|(name, _)| (*name).to_owned());
    let all =
        texts.chain(["data".to_owned()]).chain(job.forgotten.iter().map(|key| member_of(key)));
    let forgotten = all.filter(|name| !is_said(name)).collect();
    Ok(Derived { part, more, forgotten, is_complete, finished, success })
}

/// Members of the client record, and what is said of a job.
const TEXTS: [(&str, &str); 10] = [
    ("job", "name"),
    ("comment", "comment"),
    ("url", "url"),
    ("configuration", "configuration"),
    ("previous_job", "previous_job_id"),
    ("status_reason", "status_reason"),
    ("topic", "topic_id"),
    ("host", "remoteci"),
    ("team", "team_id"),
    ("pipeline", "pipeline_id"),
];

/// What is said of the job itself.
fn about(job: &Job) -> Part {
    let mut part = Part::unread(PROTOCOL);
    for (name, of) in TEXTS {
        let text = job.text(of).map(|text| (name.to_owned(), text.to_owned()));
        part.client.extend(text);
    }
    if let Some(data) = job.said.get("data").filter(|data| !is_empty(data)) {
        part.client.push(("data".to_owned(), data.to_string()));
    }
    for (key, value) in &job.numbers {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        part.client.push((member_of(key), value));
    }
    part.client.push(("status".to_owned(), job.status().to_owned()));
    part.tags = job.tags().iter().filter_map(|text| tag(text, &mut part.receipt)).collect();
    part.tags.truncate(limits::TAGS);
    part
}

/// The member of a client record for a number.
fn member_of(key: &str) -> String {
    let mut name = format!("kv.{key}");
    limits::cut(&mut name, limits::MEMBER_NAME);
    name
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty) || value.as_str() == Some("")
}

/// A state as a step, with the texts of its files.
fn entered(
    state: &super::State,
    files: &[&File],
    (started, finished): (Timestamp, Timestamp),
) -> Result<Part, WireError> {
    let mut part = Part::unread(PROTOCOL);
    let status = &state.entered.status;
    let mut output = state.entered.comment.clone().unwrap_or_default();
    let texts = files.iter().filter(|file| !file.sent.is_report());
    for (file, text) in texts.filter_map(|file| Some((file, file.sent.text.as_ref()?))) {
        if !output.is_empty() && !output.ends_with('\n') {
            output.push('\n');
        }
        // A state of an agent has a file for each of its tasks.
        output += &format!("--- {}\n{text}", file.sent.name);
    }
    let draft = Draft {
        name: status,
        success: !is_last(status) || status == "success",
        started,
        finished,
        output,
        errout: String::new(),
        extras: member("state", status).into_iter().collect(),
    };
    part.with_step(draft.step(&[])?, Vec::new());
    part.receipt.file = Some(format!("state {status}"));
    Ok(part)
}

/// A file: the tests that it reports, or what became of it.
fn sent(job: &Job, file: &File, received: Timestamp, most_cases: usize) -> Result<Part, WireError> {
    let sent = &file.sent;
    let mut part = Part::unread(PROTOCOL);
    let mut name = sent.name.clone();
    limits::cut(&mut name, limits::NAME);
    part.receipt.file = Some(name);
    part.receipt.bytes = Some(sent.size);
    part.receipt.digest = Some(format!("sha256:{}", sent.sha256));
    let at = file.at.time(received);
    match &sent.text {
        Some(text) if sent.is_report() => match report(text, most_cases) {
            Ok(mut read) => {
                let step = read.step(Some(&sent.name), None, at);
                let step = step.map_err(|error| WireError::bad("DCI-NAME", error.0))?;
                build::receive(&mut part.receipt, &read, std::time::Duration::ZERO);
                part.receipt.seconds = None;
                part.receipt.format = Some(Format::Junit.as_str().to_owned());
                part.with_step(step, read.take_results());
            }
            Err(problem) => {
                let step = build::failed_step(&sent.name, &problem, at);
                let step = step.map_err(|error| WireError::bad("DCI-NAME", error.0))?;
                part.receipt.note("verdict", problem);
                part.with_step(step, Vec::new());
            }
        },
        // It is in the output of its state.
        Some(_) if job.states.iter().any(|state| sent.state == Some(state.nth)) => {}
        Some(text) => {
            let draft = Draft {
                name: &sent.name,
                success: true,
                started: at,
                finished: at,
                output: text.clone(),
                errout: String::new(),
                extras: Vec::new(),
            };
            part.with_step(draft.step(&[])?, Vec::new());
        }
        None => {
            let text = format!("'{}', {} bytes: only texts are kept", sent.name, sent.size);
            part.dropped(text);
        }
    }
    Ok(part)
}

/// The cases of a file that says it is JUnit.
fn report(text: &str, most: usize) -> Result<Read, String> {
    let mut counted = Bounded { most, ..Bounded::default() };
    // Before its cases are kept: a short text may have very many.
    if read_slice(Format::Junit, text.as_bytes(), &mut counted).is_err() && counted.cases > most {
        return Err(format!("a job may have at most {CASES} test cases in all"));
    }
    Read::from_bytes(text.as_bytes(), Some(Format::Junit))
        .map_err(|error| format!("cannot parse the file: {error}"))
}

/// Counts the cases of a report, and keeps none.
pub(super) struct Bounded {
    pub(super) cases: usize,
    most: usize,
}

impl Default for Bounded {
    fn default() -> Self {
        Self { cases: 0, most: CASES }
    }
}

impl Sink for Bounded {
    fn suite(&mut self, _: Suite) -> Result<(), ReadError> {
        Ok(())
    }
    fn case(&mut self, _: Case) -> Result<(), ReadError> {
        self.cases += 1;
        if self.cases > self.most {
            return Err(ReadError::too_much("too many test cases"));
        }
        Ok(())
    }
    fn note(&mut self, _: Note) {}
    fn against(&mut self, _: Reason) {}
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;
    use crate::dci::{At, Entered, Sent};

    fn at(second: i64) -> At {
        At(1_795_629_922_000_000 + second * 1_000_000)
    }

    fn job(value: Value) -> Event {
        Event::Job(value.as_object().unwrap().clone(), at(0))
    }

    fn state(status: &str, second: i64) -> Event {
        Event::State(Entered { status: status.to_owned(), comment: None }, at(second))
    }

    fn done(events: Vec<Event>, is_final: bool) -> Derived {
        // As they are when they come out of the store.
        let stored: Vec<Vec<u8>> =
            events.iter().map(|event| serde_json::to_vec(event).unwrap()).collect();
        crate::derive(PROTOCOL, &stored, is_final, Timestamp::now()).unwrap()
    }

    #[test]
    fn a_state_lasts_until_the_next() {
        let derived =
            done(vec![job(json!({"name": "n"})), state("running", 1), state("success", 6)], false);
        let times: Vec<_> = derived.more.iter().filter_map(|part| part.step.as_ref()).collect();
        let seconds = |step: &devmason_domain::Step| {
            (step.finished.micros() - step.started.micros()) / 1_000_000
        };
        assert_eq!((seconds(times[0]), seconds(times[1])), (5, 0));
        assert!(derived.is_complete && derived.success);
        let running = done(vec![job(json!({})), state("running", 1)], false);
        assert!(!running.is_complete && !running.success);
    }

    #[test]
    fn a_success_with_a_failed_test_is_none() {
        let report = "<testsuite name='s'><testcase name='a'><failure/></testcase></testsuite>";
        let file = Sent::new("r.xml", "application/junit", None, report.as_bytes());
        let events = vec![job(json!({})), Event::File(file, at(1)), state("success", 2)];
        let derived = done(events, false);
        assert!(derived.is_complete && !derived.success);
        assert_eq!(derived.part.receipt.notes[0].kind, "verdict");
    }

    #[test]
    fn a_job_that_never_ended_is_no_success() {
        let derived = done(vec![job(json!({})), state("running", 1)], true);
        assert!(!derived.success);
        assert_eq!(derived.part.receipt.notes[0].text, "the job never ended");
    }
}
