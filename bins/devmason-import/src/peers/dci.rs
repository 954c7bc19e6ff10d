//! DCI: the jobs of a topic, or all.

use anyhow::{Context, Result};
use devmason_domain::Timestamp;
use devmason_wire::dci::{At, Entered, Event, Sent, derive, is_last};
use serde_json::{Map, Value};

use super::{Peer, Run, counted, list, quoted, text};

/// Number of jobs in a page.
const PAGE: u64 = 50;

pub(super) fn import(peer: &mut Peer<'_>) -> Result<()> {
    let topic = match peer.wanted.of {
        Some(name) => {
            let topics =
                peer.get(&format!("/api/v1/topics?where=name:{}&limit=1&offset=0", quoted(name)))?;
            let topic = list(&topics, "topics").next().and_then(|topic| text(topic, "id"));
            format!(
                "&where=topic_id:{}",
                quoted(&topic.with_context(|| format!("no topic '{name}'"))?)
            )
        }
        None => String::new(),
    };
    let mut from = 0;
    loop {
        let page = peer.get(&format!(
            "/api/v1/jobs?limit={PAGE}&offset={from}&sort=created_at&embed=topic,remoteci,team{topic}"
        ))?;
        let jobs: Vec<Value> = list(&page, "jobs").cloned().collect();
        for job in &jobs {
            let id = text(job, "id").context("a job without an id")?;
            let run = run(peer, &id, job);
            peer.push(&id, run)?;
        }
        from += PAGE;
        let count = page.get("_meta").and_then(|meta| meta.get("count")).and_then(Value::as_u64);
        if count.map_or((jobs.len() as u64) < PAGE, |count| from >= count) {
            return Ok(());
        }
        counted(from / PAGE)?;
    }
}

/// All parts of a list.
fn all(peer: &Peer<'_>, path: &str, name: &str) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    loop {
        let from = found.len();
        let page = peer.get(&format!("{path}?limit={PAGE}&offset={from}&sort=created_at"))?;
        found.extend(list(&page, name).cloned());
        if ((found.len() - from) as u64) < PAGE {
            return Ok(found);
        }
        counted(from as u64)?;
    }
}

/// A job with its states and files, in the order of their times.
fn run(peer: &Peer<'_>, id: &str, job: &Value) -> Result<Option<Run>> {
    if !text(job, "status").is_some_and(|status| is_last(&status)) {
        return Ok(None);
    }
    let started = time(job).context("created_at")?;
    let mut said = Map::new();
    for name in ["name", "comment", "url", "configuration", "data", "tags", "status_reason"] {
        said.extend(job.get(name).map(|value| (name.to_owned(), value.clone())));
    }
    for (name, of) in [("remoteci", "remoteci"), ("topic_id", "topic"), ("team_id", "team")] {
        let of_it = job.get(of).and_then(|of| text(of, "name"));
        said.extend(of_it.map(|text| (name.to_owned(), Value::String(text))));
    }
    let mut events = vec![Event::Job(said, started.into())];
    for number in list(job, "keys_values") {
        let value = number.get("value").cloned().unwrap_or(Value::Null);
        let key = text(number, "key").unwrap_or_default();
        events.push(Event::Number(key, value, started.into()));
    }
    let states = all(peer, &format!("/api/v1/jobs/{id}/jobstates"), "jobstates")?;
    let mut places = Map::new();
    for state in &states {
        let entered = Entered {
            status: text(state, "status").context("a state without a status")?,
            comment: text(state, "comment"),
        };
        places.extend(text(state, "id").map(|id| (id, Value::from(events.len()))));
        events.push(Event::State(entered, At::from(time(state).unwrap_or(started))));
    }
    for file in &all(peer, &format!("/api/v1/jobs/{id}/files"), "files")? {
        let at = At::from(time(file).unwrap_or(started));
        let (file_id, name) = (text(file, "id").unwrap_or_default(), text(file, "name"));
        let mime = text(file, "mime").unwrap_or_default();
        let state = text(file, "jobstate_id").and_then(|id| places.get(&id)?.as_u64());
        let state = state.and_then(|nth| usize::try_from(nth).ok());
        // What is gone there, or was never kept, is named with its size.
        let body = peer.bytes(&format!("/api/v1/files/{file_id}/content"));
        let mut sent =
            Sent::new(&name.unwrap_or_default(), &mime, state, body.as_deref().unwrap_or(b""));
        if body.is_err() {
            (sent.text, sent.size) = (None, file.get("size").and_then(Value::as_u64).unwrap_or(0));
        }
        events.push(Event::File(sent, at));
    }
    let derived = derive(events, true, started)?;
    Ok(Some(Run { id: id.to_owned(), started, derived }))
}

fn time(of: &Value) -> Option<Timestamp> {
    text(of, "created_at")?.parse().ok()
}
