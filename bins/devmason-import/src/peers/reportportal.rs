//! ReportPortal: the launches of a project, with their items and the logs of those that failed.

use std::collections::HashMap;

use anyhow::{Context, Result};
use devmason_domain::Timestamp;
use devmason_wire::reportportal::{End, Entry, Event, Launch, Start, derive};
use serde_json::Value;

use super::{Peer, Run, counted, list, quoted, text};

/// The most items and logs in a page.
const PAGE: u64 = 300;

pub(super) fn import(peer: &mut Peer<'_>) -> Result<()> {
    let project = quoted(peer.of()?);
    let launches = format!("/api/v1/{project}/launch?page.sort=startTime,number%2CASC");
    let mut page = 1;
    loop {
        let (found, has_more) = self::page(peer, &launches, page)?;
        for launch in &found {
            let id = text(launch, "id").context("a launch without an id")?;
            let run = run(peer, &project, &id, launch);
            peer.push(&id, run)?;
        }
        if !has_more {
            return Ok(());
        }
        page += 1;
        counted(page)?;
    }
}

/// A page of a list, and whether there are more.
fn page(peer: &Peer<'_>, list_of: &str, page: u64) -> Result<(Vec<Value>, bool)> {
    let answer = peer.get(&format!("{list_of}&page.page={page}&page.size={PAGE}"))?;
    let pages = answer.get("page").and_then(|page| page.get("totalPages")).and_then(Value::as_u64);
    Ok((list(&answer, "content").cloned().collect(), pages.is_some_and(|pages| page < pages)))
}

fn all(peer: &Peer<'_>, list_of: &str) -> Result<Vec<Value>> {
    let (mut found, mut number) = (Vec::new(), 1);
    loop {
        let (mut more, has_more) = page(peer, list_of, number)?;
        found.append(&mut more);
        if !has_more {
            return Ok(found);
        }
        number += 1;
        counted(number)?;
    }
}

fn run(peer: &Peer<'_>, project: &str, id: &str, launch: &Value) -> Result<Option<Run>> {
    if text(launch, "status").is_none_or(|status| status == "IN_PROGRESS") {
        return Ok(None);
    }
    let start = Launch::read(launch);
    let started = start.at.and_then(|at| Timestamp::from_parts(at, 0)).context("startTime")?;
    let mut events = vec![Event::Launch(start)];
    let items = all(
        peer,
        &format!("/api/v1/{project}/item?filter.eq.launchId={id}&page.sort=startTime%2CASC"),
    )?;
    let uuids: HashMap<String, String> = items
        .iter()
        .filter_map(|item| Some((text(item, "id")?, text(item, "uuid").or(text(item, "id"))?)))
        .collect();
    for item in &items {
        let number = text(item, "id").context("an item without an id")?;
        let uuid = uuids.get(&number).cloned().unwrap_or_else(|| number.clone());
        let parent = text(item, "parent").and_then(|parent| uuids.get(&parent).cloned());
        events.push(Event::Start(Start::read(item, uuid.clone(), parent)?));
        let mut end = item.clone();
        end.as_object_mut().map(|end| end.remove("attributes"));
        events.push(Event::End(End::read(&end, uuid.clone(), true)));
        let has_children = item.get("hasChildren") == Some(&Value::Bool(true));
        if text(item, "status").as_deref() == Some("FAILED") && !has_children {
            let logs =
                format!("/api/v1/{project}/log?filter.eq.item={number}&page.sort=logTime%2CASC");
            let entry = |log: &Value| Entry { item: Some(uuid.clone()), ..Entry::read(log) };
            events.push(Event::Logs(all(peer, &logs)?.iter().map(entry).collect()));
        }
    }
    let mut end = launch.clone();
    for name in ["startTime", "attributes"] {
        end.as_object_mut().map(|end| end.remove(name));
    }
    events.push(Event::LaunchEnd(Launch::read(&end)));
    let derived = derive(events, true, started)?;
    Ok(Some(Run { id: id.to_owned(), started, derived }))
}
