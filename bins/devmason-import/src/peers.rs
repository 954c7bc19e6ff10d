//! Imports what other servers hold, over their HTTP APIs: one build for each run there.

mod cdash;
mod dci;
mod jenkins;
mod reportportal;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use devmason_client::{Client, Credentials, Error, Method, Outgoing, blocking};
use devmason_domain::{
    BuildId, ClientRecord, Digest, JsonObject, Outcome, Project, Report, Slug, Step, StepLog,
    TagSet, TestResult, Timestamp, limits,
};
use devmason_repository::{Actor, NewBuild, Repository, TestReport};
use devmason_wire::Derived;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::batch::Batch;
use crate::{Cli, Counts, say};

/// A system to import from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum System {
    /// The URL is that of a job.
    Jenkins,
    /// The URL is that of the server.
    Cdash,
    /// The URL is that of the server.
    Reportportal,
    /// The URL is that of the server.
    Dci,
}

/// What to import.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) system: System,
    pub(crate) url: &'a str,
    /// The project here.
    pub(crate) project: &'a Slug,
    /// The project or topic there.
    pub(crate) of: Option<&'a str>,
    pub(crate) days: u32,
}

/// Another server.
struct Peer<'a> {
    client: blocking::Client,
    wanted: &'a Wanted<'a>,
    project: &'a Project,
    batch: Batch<'a>,
    bar: indicatif::ProgressBar,
}

/// A run there.
struct Run {
    /// Identifies it there.
    id: String,
    started: Timestamp,
    derived: Derived,
}

pub(crate) fn import(
    repository: &dyn Repository,
    wanted: &Wanted<'_>,
    cli: &Cli,
) -> Result<Counts> {
    let variable = |name: &str| std::env::var(name).ok();
    let credentials = variable("DEVMASON_PASSWORD").map(|password| Credentials {
        user: variable("DEVMASON_USER").unwrap_or_default(),
        password,
    });
    let client = Client::new(wanted.url, credentials)?.of_another_kind();
    let client = blocking::Client::new(client)?;
    let project = crate::project(repository, wanted.project)?;
    let (batch, bar) = (Batch::new(repository), crate::bar(cli, None));
    let mut peer = Peer { client, wanted, project: &project, batch, bar };
    match wanted.system {
        System::Jenkins => jenkins::import(&mut peer)?,
        System::Cdash => cdash::import(&mut peer)?,
        System::Reportportal => reportportal::import(&mut peer)?,
        System::Dci => dci::import(&mut peer)?,
    }
    peer.batch.store()?;
    peer.bar.finish_and_clear();
    Ok(peer.batch.counts)
}

impl Peer<'_> {
    /// The project or topic there.
    fn of(&self) -> Result<&str> {
        self.wanted.of.context("set --from to the project there")
    }

    fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        Ok(self.client.send(&Outgoing::new(Method::GET, path))?.body.to_vec())
    }

    fn get(&self, path: &str) -> Result<Value> {
        let body = self.bytes(path)?;
        serde_json::from_slice(&body).with_context(|| format!("{path}: the answer is not JSON"))
    }

    /// The same; `None` if it is not there.
    fn find(&self, path: &str) -> Result<Option<Value>> {
        match self.client.send(&Outgoing::new(Method::GET, path)) {
            Ok(answer) => {
                let value = serde_json::from_slice(&answer.body);
                value.map(Some).with_context(|| format!("{path}: the answer is not JSON"))
            }
            Err(Error::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Imports a run. One that cannot be read is skipped.
    fn push(&mut self, id: &str, run: Result<Option<Run>>) -> Result<()> {
        self.bar.inc_length(1);
        self.bar.inc(1);
        match run.and_then(|run| run.map(|run| self.build(run)).transpose()) {
            Ok(Some(build)) => self.batch.push(build),
            Ok(None) => {
                say(&format!("{id} skipped: still running; import it later"));
                Ok(())
            }
            Err(problem) => {
                say(&format!("{id} skipped: {problem:#}"));
                self.batch.counts.bad += 1;
                Ok(())
            }
        }
    }

    /// A run as a build. The same run always has the same id.
    fn build(&self, run: Run) -> Result<NewBuild> {
        let system = self.wanted.system.to_possible_value();
        let system = system.as_ref().map_or("", |value| value.get_name());
        let server = self.client.inner().server();
        // A job of DCI is the same in whichever list; elsewhere, numbers are those of a project.
        let of = self.wanted.of.filter(|_| self.wanted.system != System::Dci).unwrap_or_default();
        let digest = Digest::of_parts([system, server, of, &run.id]);
        let key = format!("{system}-{}", digest.short());
        let derived = run.derived;
        let (mut client, mut tags) = (BTreeMap::new(), Vec::new());
        let (mut steps, mut tests, mut receipts) = (Vec::new(), Vec::new(), Vec::new());
        for part in std::iter::once(derived.part).chain(derived.more) {
            for (name, mut value) in part.client {
                limits::cut(&mut value, limits::MEMBER_NAME);
                client.entry(name).or_insert(value);
            }
            tags.extend(part.tags);
            steps.extend(part.step);
            tests.extend(part.tests);
            receipts.push(serde_json::to_string(&part.receipt)?);
        }
        tags.sort();
        tags.dedup();
        tags.truncate(limits::TAGS);
        let members = client.into_iter().take(limits::MEMBERS).map(|(name, value)| {
            Ok((name, serde_json::value::to_raw_value(&Value::String(value))?))
        });
        let members = members.collect::<Result<Vec<_>, serde_json::Error>>()?;
        let received = Timestamp::now();
        Ok(NewBuild {
            project: self.project.id,
            id: BuildId::assign(run.started, received),
            key: Some(key.parse().context("id")?),
            sender: Actor::Nobody,
            report: Report {
                started: run.started,
                received,
                outcome: Outcome::Finished {
                    success: derived.success,
                    finished: derived.finished.max(run.started),
                },
                tags: TagSet::new(tags).context("tags")?,
                client: ClientRecord(JsonObject::from_members(&members)?),
                steps,
                digest: Some(digest),
            },
            variant_by: self.project.tracking.variant_by.clone(),
            components: Vec::new(),
            test_report: TestReport { tests: tests.into(), receipts, ..TestReport::default() },
            claim: None,
        })
    }
}

/// A step of a run.
fn step(
    name: &str,
    success: bool,
    (started, finished): (Timestamp, Timestamp),
    tests: &[TestResult],
) -> Result<Step> {
    let bad = tests.iter().filter(|test| test.status.is_bad()).count();
    Ok(Step {
        name: name.parse().context("step")?,
        success,
        started,
        finished: finished.max(started),
        output: String::new(),
        errout: String::new(),
        extras: JsonObject::default(),
        bad_cases: Some(u32::try_from(bad).unwrap_or(u32::MAX)),
        log: StepLog::Absent,
    })
}

/// A text in a document; numbers count as texts.
fn text(of: &Value, name: &str) -> Option<String> {
    match of.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The objects of a list in a document.
fn list<'v>(of: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    of.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// A time in milliseconds since 1970.
fn at(millis: Option<i64>) -> Option<Timestamp> {
    Timestamp::from_parts(millis?.checked_mul(1000)?, 0)
}

/// A text as part of a URL.
fn quoted(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Fails if a list has more pages than any has: a server that always says that there are more.
fn counted(pages: u64) -> Result<()> {
    if pages > 1_000_000 {
        bail!("the list does not end");
    }
    Ok(())
}
