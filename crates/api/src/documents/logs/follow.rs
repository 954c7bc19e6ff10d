//! Following a log.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use actix_web::http::header::HeaderName;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, http};
use devmason_domain::{Build, LogEntry, LogStream, Reading, Step, StepLog};
use devmason_hypermedia::document::written_entries;
use devmason_repository::StepPlace;
use futures_util::stream::unfold;
use serde_json::json;
use tokio::sync::watch;

use super::super::outputs::{HEARTBEAT, LIFETIME, event_stream};
use super::super::steps::place;
use super::lines;
use super::window::byte_of_line;
use crate::call::Call;
use crate::error::ApiError;
use crate::logs::{Followed, Grown, events as grown, news};
use crate::store::Store;

/// A client that follows a log.
struct Follower {
    store: Arc<Store>,
    place: StepPlace,
    stream: Option<LogStream>,
    /// What the client has of the log, in bytes.
    had: u64,
    seen: watch::Receiver<Followed>,
    closing: watch::Receiver<bool>,
    end: Option<Instant>,
    /// Events that are to be sent, because the client is far behind.
    waiting: VecDeque<Grown>,
    is_done: bool,
}

/// The log from where the client is, as events: `log` with an array of entries, whose id is the number of
/// bytes that the client has with it; `missing`; `end`.
pub(super) async fn events(
    call: &Call<'_>,
    build: &Build,
    step: &Step,
    nth: u32,
    stream: Option<LogStream>,
) -> Result<HttpResponse, ApiError> {
    let place = place(build, nth);
    if step.log == StepLog::Absent {
        return Err(ApiError::Conflict(
            "this step has no log to follow: it was sent when it had ended",
        ));
    }
    let had = call.header(HeaderName::from_static("last-event-id"));
    let had = match (had.and_then(|id| id.trim().parse::<u64>().ok()), lines(call)?.0) {
        (Some(had), _) => had,
        (None, Some(first)) => first_byte(call, place, first).await?,
        (None, None) => 0,
    };
    let mut answer = event_stream();
    if call.request.method() == http::Method::HEAD {
        return Ok(answer.finish());
    }
    let watcher = call.app.watchers.enter(call.client).ok_or(ApiError::TooManyWatchers)?;
    // Followers are counted separately: their connections aren't idle.
    let guards = (watcher, call.body.busy());
    // If reading needs permission, the client must reconnect after a while, because its session may have
    // ended.
    let end = match call.app.settings.policy.reading {
        Reading::Open => None,
        Reading::Authenticated => Some(Instant::now() + LIFETIME),
    };
    let state = call.ask(move |repository| repository.log_state(place)).await?;
    let now = state.map_or(0, |state| state.end.bytes);
    let follower = Follower {
        store: call.app.store.clone(),
        place,
        stream,
        had,
        seen: call.app.logs.follow(&call.app.store, place, now),
        closing: call.app.live.closing(),
        end,
        waiting: VecDeque::new(),
        is_done: false,
    };
    let events = unfold((follower, guards), |(mut follower, guards)| async move {
        let next = follower.next().await?;
        Some((Ok::<_, Infallible>(next), (follower, guards)))
    });
    Ok(answer.streaming(Box::pin(events)))
}

/// The bytes before a line.
async fn first_byte(call: &Call<'_>, place: StepPlace, first: u64) -> Result<u64, ApiError> {
    let breaks = first.saturating_sub(1);
    call.ask(move |repository| {
        let end = repository.log_state(place)?.map(|state| state.end).unwrap_or_default();
        byte_of_line(repository, place, None, breaks, end)
    })
    .await
}

impl Follower {
    /// The next event; `None` after the last one.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.is_done
                || *self.closing.borrow()
                || self.end.is_some_and(|end| Instant::now() >= end)
            {
                return None;
            }
            if let Some(event) = self.waiting.pop_front() {
                if let Some(bytes) = self.event(&event) {
                    return Some(bytes);
                }
                continue;
            }
            let (next, end, is_over) = {
                let seen = self.seen.borrow_and_update();
                (seen.behind(self.had).cloned(), seen.end, seen.is_over)
            };
            if let Some(event) = next {
                self.waiting.push_back(event);
                continue;
            }
            if self.had < end {
                // What was written before somebody followed, or is no longer kept.
                match news(&self.store, self.place, self.had).await {
                    Ok((pieces, _)) if !pieces.is_empty() => {
                        self.waiting.extend(grown(pieces, self.had));
                        continue;
                    }
                    // The client connects again, and goes on where it is.
                    Ok(_) | Err(_) => return None,
                }
            }
            if is_over {
                self.is_done = true;
                return Some(Bytes::from_static(b"event: end\ndata:\n\n"));
            }
            tokio::select! {
                changed = self.seen.changed() => {
                    if changed.is_err() {
                        return None;
                    }
                }
                _ = self.closing.changed() => return None,
                () = tokio::time::sleep(HEARTBEAT) => {
                    return Some(Bytes::from_static(b": still there\n\n"));
                }
            }
        }
    }

    /// An event as the client gets it; `None` if it concerns only the other stream.
    fn event(&mut self, grown: &Grown) -> Option<Bytes> {
        let lacks = grown.start.bytes.saturating_sub(self.had);
        self.had = grown.end.bytes;
        let id = self.had;
        let is_wanted = |entry: &&LogEntry| self.stream.is_none_or(|stream| stream == entry.stream);
        let entries: Vec<LogEntry> = grown.entries.iter().filter(is_wanted).cloned().collect();
        let mut text = String::new();
        if lacks > 0 {
            text = format!("event: missing\ndata: {}\n\n", json!({ "bytes": lacks }));
        }
        if !entries.is_empty() {
            // JSON has no line breaks.
            let entries = written_entries(&entries).unwrap_or_default();
            text.push_str(&format!("event: log\nid: {id}\ndata: [{entries}]\n\n"));
        }
        (!text.is_empty()).then(|| text.into())
    }
}
