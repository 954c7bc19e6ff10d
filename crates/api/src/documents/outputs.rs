//! Outputs of steps, and events of running builds.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use actix_web::http::header::{self, HeaderName};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder, http};
use devmason_domain::{BuildKey, LogStream, Reading, Slug, State, StepLog};
use devmason_hypermedia::{Base, Stream};
use devmason_pages::{Lines, Output};
use futures_util::stream::unfold;

use super::builds::{borrowed, find, state};
use super::{logs, steps};
use crate::call::Call;
use crate::error::ApiError;
use crate::negotiate::Format;
use crate::pages;

/// Maximum time between messages to clients that watch a build, so that they know the server is
/// alive.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long a client that needs permission to read may watch before it is authenticated again.
pub(super) const LIFETIME: Duration = Duration::from_secs(60);

pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
    nth: u32,
    stream: Stream,
) -> Result<HttpResponse, ApiError> {
    let (project, build, step) = steps::find(call, slug, key, nth).await?;
    if step.log != StepLog::Absent {
        let stream = match stream {
            Stream::Output => LogStream::Out,
            Stream::Errout => LogStream::Err,
        };
        return match call.format {
            Format::Json => logs::output(call, (&project, &build, &step), nth, stream).await,
            Format::Html => {
                pages::logs::page(call, (&project, &build, &step), nth, Some(stream)).await
            }
        };
    }
    let state = state(&project, &build);
    let [id, version, rules, credited] = borrowed(&state);
    let etag = call.etag(&[id, version, rules, credited]);
    if let Some(answer) = call.ready(&etag) {
        return Ok(answer);
    }
    if call.format == Format::Json {
        let text = match stream {
            Stream::Output => step.output,
            Stream::Errout => step.errout,
        };
        return Ok(call.other(&etag, "text/plain; charset=utf-8", text));
    }
    let wanted = match (call.params.count("from")?, call.params.count("to")?) {
        (_, Some(last)) => Lines::To(last),
        (first, None) => Lines::From(first.unwrap_or(1)),
    };
    let nth = nth as usize;
    let page =
        Output::new(call.site(), &project, &build, (nth, &step), stream == Stream::Errout, wanted);
    call.paged(&etag, &page)
}

/// The head of a stream of events.
pub(super) fn event_stream() -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Events must not be delayed by a compressor or a proxy.
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .insert_header(("X-Accel-Buffering", "no"));
    answer
}

pub(crate) async fn events(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
) -> Result<HttpResponse, ApiError> {
    let (project, build) = find(call, slug, key).await?;
    // A reconnecting browser sends the id of its last event, which is the number of steps it has.
    let had = call.header(HeaderName::from_static("last-event-id")).and_then(|id| id.parse().ok());
    let from: u32 = match had {
        Some(had) => had,
        None => u32::try_from(call.params.count("from")?.unwrap_or(0)).unwrap_or(u32::MAX),
    };
    let mut answer = event_stream();
    if build.outcome.state() == State::Finished {
        return Ok(answer.body("event: end\ndata:\n\n"));
    }
    if call.request.method() == http::Method::HEAD {
        return Ok(answer.finish());
    }
    let watcher = call.app.watchers.enter(call.client).ok_or(ApiError::TooManyWatchers)?;
    // Watchers are counted separately: their connections aren't idle.
    let watcher = (watcher, call.body.busy());
    // If reading needs permission, the client must reconnect after a while, because its session may
    // have ended.
    let lifetime = match call.app.settings.policy.reading {
        Reading::Open => None,
        Reading::Authenticated => Some(LIFETIME),
    };
    let end = lifetime.map(|lifetime| Instant::now() + lifetime);
    // Watchers may come by different hosts, so links in what they share name none.
    let base = call.app.settings.public_url.clone().unwrap_or_else(|| Base::new("", ""));
    let seen = call.app.live.watch(&call.app.store, base, project, build, from);
    let closing = call.app.live.closing();
    let events = unfold(
        (seen, closing, from, false, watcher),
        move |(mut seen, mut closing, next, done, watcher)| async move {
            if done || *closing.borrow() || end.is_some_and(|end| Instant::now() >= end) {
                return None;
            }
            loop {
                let (step, is_over) = {
                    let seen = seen.borrow_and_update();
                    (seen.step(next), seen.is_over)
                };
                let event = match (step, is_over) {
                    (Some(Some(html)), _) => {
                        let event = event("step", Some(next + 1), &html);
                        return Some((
                            Ok::<_, Infallible>(event),
                            (seen, closing, next + 1, false, watcher),
                        ));
                    }
                    (None, _) => Some("reload"),
                    (Some(None), true) => Some("end"),
                    (Some(None), false) => None,
                };
                if let Some(name) = event {
                    return Some((
                        Ok(self::event(name, None, "")),
                        (seen, closing, next, true, watcher),
                    ));
                }
                tokio::select! {
                    changed = seen.changed() => {
                        if changed.is_err() {
                            return None;
                        }
                    }
                    _ = closing.changed() => return None,
                    () = tokio::time::sleep(HEARTBEAT) => {
                        return Some((Ok(Bytes::from_static(b": still there\n\n")), (seen, closing, next, false, watcher)));
                    }
                }
            }
        },
    );
    Ok(answer.streaming(Box::pin(events)))
}

/// An event in stream format (HTML, 9.2.6).
fn event(name: &str, id: Option<u32>, data: &str) -> Bytes {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    // A carriage return would end the line, and let a step's output forge an event.
    let data = data.replace('\r', "&#13;");
    let data: String = data.split('\n').map(|line| format!("data: {line}\n")).collect();
    Bytes::from(format!("event: {name}\n{id}{data}\n"))
}
