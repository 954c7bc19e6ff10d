//! The logs of steps.

mod follow;
mod text;
mod window;

use actix_web::http::{StatusCode, header};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder, http};
use devmason_domain::{Build, BuildKey, LogStream, Project, Slug, Step, StepLog};
use devmason_hypermedia::document::{IncomingLog, written_entries};
use devmason_repository::{Logged, NewPiece};

use super::progress::running;
use super::steps::{find, place};
use crate::call::Call;
use crate::error::ApiError;
use crate::negotiate::Format;

pub(crate) use text::{Span, Text};
pub(crate) use window::{Room, Wanted, window};

/// Where a piece of a log belongs, and how far the log goes (Internet draft "Resumable Uploads for
/// HTTP").
const UPLOAD_OFFSET: &str = "Upload-Offset";
const UPLOAD_COMPLETE: &str = "Upload-Complete";

/// Appends a piece.
pub(crate) async fn post(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
    nth: u32,
) -> Result<HttpResponse, ApiError> {
    let (_, build) = running(call, slug, key).await?;
    let bad =
        |problem: &str| ApiError::BadValue { name: UPLOAD_OFFSET, problem: problem.to_owned() };
    let offset = call.header(header::HeaderName::from_static("upload-offset"));
    let offset = offset.ok_or_else(|| bad("required: the bytes of the log before this piece"))?;
    let offset = offset.trim().parse::<u64>().ok().filter(|offset| *offset <= i64::MAX as u64);
    let offset = offset.ok_or_else(|| bad("must be a non-negative integer"))?;
    let entries = call.list::<IncomingLog>().await?.into_entries();
    let place = place(&build, nth);
    let piece = NewPiece { place, offset, entries, most: call.app.settings.max_log_bytes };
    let bytes = call.received().len();
    let logged = call.app.recorder.log(piece, bytes, call.body.hold.clone());
    match call.app.store.patiently(logged).await?? {
        Logged::Done(end) => {
            call.app.logs.grown(place);
            Ok(appended(end))
        }
        Logged::Known(end) => Ok(appended(end)),
        Logged::Elsewhere(end) => {
            Err(ApiError::LogElsewhere(end, "the log ends elsewhere; continue at 'upload_offset'"))
        }
        Logged::Differs => {
            let problem = "the log has another text there; does another client append to it?";
            let state = call.ask(move |repository| repository.log_state(place)).await?;
            Err(ApiError::LogElsewhere(state.map_or(0, |state| state.end.bytes), problem))
        }
        Logged::Closed => Err(ApiError::StepEnded),
        Logged::Gone => Err(ApiError::NotFound("step not found in this build")),
    }
}

fn appended(end: u64) -> HttpResponse {
    HttpResponse::NoContent().insert_header((UPLOAD_OFFSET, end.to_string())).finish()
}

/// The stream that a request asks for; `None` for both.
pub(crate) fn stream(call: &Call<'_>) -> Result<Option<LogStream>, ApiError> {
    match call.params.first("stream") {
        None | Some("") => Ok(None),
        Some(name) => LogStream::parse(name).map(Some).ok_or_else(|| ApiError::BadValue {
            name: "stream",
            problem: format!("'{name}' is neither 'out' nor 'err'"),
        }),
    }
}

/// The lines that a request asks for: the first, and the last.
pub(crate) fn lines(call: &Call<'_>) -> Result<(Option<u64>, Option<u64>), ApiError> {
    let number = |name| Ok::<_, ApiError>(call.params.count(name)?.map(|number| number as u64));
    Ok((number("from")?, number("to")?))
}

/// The log as text, as JSON with times, or as events.
pub(crate) async fn get(
    call: &Call<'_>,
    slug: &Slug,
    key: &BuildKey,
    nth: u32,
) -> Result<HttpResponse, ApiError> {
    let stream = stream(call)?;
    let (project, build, step) = find(call, slug, key, nth).await?;
    if call.params.first("follow").is_some() {
        return follow::events(call, &build, &step, nth, stream).await;
    }
    let text = Text::open(call, &build, &step, nth, stream).await?;
    send(call, (&project, &build, &step), &text).await
}

/// Standard output or standard error of a step with a log.
pub(super) async fn output(
    call: &Call<'_>,
    (project, build, step): (&Project, &Build, &Step),
    nth: u32,
    stream: LogStream,
) -> Result<HttpResponse, ApiError> {
    let text = Text::open(call, build, step, nth, Some(stream)).await?;
    send(call, (project, build, step), &text).await
}

async fn send(
    call: &Call<'_>,
    (project, build, step): (&Project, &Build, &Step),
    text: &Text,
) -> Result<HttpResponse, ApiError> {
    let is_json = call.params.first("format") == Some("json");
    let etag = call.etag(&[
        &"log",
        &build.id,
        &build.version,
        &project.version,
        &text.end(),
        &call.params.choice(),
    ]);
    if call.is_known(&etag) {
        return Ok(call.unchanged(&etag));
    }
    let (first, last) = lines(call)?;
    let spans = text.lines(call, first.unwrap_or(1), last).await?;
    if call.format == Format::Json && is_json {
        return json(call, &etag, text, spans);
    }
    let length: u64 = spans.iter().map(Span::len).sum();
    let (mut response, spans) = match range(call, length)? {
        None => (HttpResponse::Ok(), spans),
        Some((from, until)) => {
            let mut response = HttpResponse::build(StatusCode::PARTIAL_CONTENT);
            let of = format!("bytes {from}-{}/{length}", until - 1);
            response.insert_header((header::CONTENT_RANGE, of));
            // A coding would apply to the whole log, of which this is a part.
            response.insert_header((header::CONTENT_ENCODING, "identity"));
            (response, text::cut(spans, from, until))
        }
    };
    headed(&mut response, &etag, step, text);
    response.insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"));
    response.insert_header((header::ACCEPT_RANGES, "bytes"));
    let length = spans.iter().map(Span::len).sum();
    Ok(text.send(call, response, spans, length))
}

/// The headers of any representation of a log.
fn headed(response: &mut HttpResponseBuilder, etag: &str, step: &Step, text: &Text) {
    response.insert_header((header::ETAG, etag));
    response.insert_header((header::CACHE_CONTROL, "no-cache"));
    response.insert_header((header::VARY, "Accept, Accept-Encoding, Authorization, Cookie"));
    // Text that is opened on its own may only be displayed.
    response.insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'"));
    if step.log != StepLog::Absent {
        response.insert_header((UPLOAD_OFFSET, text.end().to_string()));
        let is_complete = if step.is_running() { "?0" } else { "?1" };
        response.insert_header((UPLOAD_COMPLETE, is_complete));
    }
}

fn json(
    call: &Call<'_>,
    etag: &str,
    text: &Text,
    spans: Vec<Span>,
) -> Result<HttpResponse, ApiError> {
    let mut response = HttpResponse::Ok();
    headed(&mut response, etag, text.step(), text);
    response.insert_header(header::ContentType::json());
    let unwritable = |error: serde_json::Error| ApiError::Unwritable(error.to_string());
    Ok(text.send_entries(call, response, spans, move |entries| {
        written_entries(entries).map(Bytes::from).map_err(unwritable)
    }))
}

/// The bytes that `Range` asks for, from and until (RFC 9110, 14.2). More than one range, or a header
/// that is none, is ignored.
fn range(call: &Call<'_>, length: u64) -> Result<Option<(u64, u64)>, ApiError> {
    if *call.request.method() == http::Method::HEAD || call.header(header::IF_RANGE).is_some() {
        return Ok(None);
    }
    let Some(range) = call.header(header::RANGE).and_then(|range| range.strip_prefix("bytes="))
    else {
        return Ok(None);
    };
    let Some((first, last)) = range.split_once('-') else { return Ok(None) };
    let (first, last) = (first.trim(), last.trim());
    let (from, until) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(from), Ok(last)) if last >= from => (from, last.saturating_add(1).min(length)),
        (Ok(from), Err(_)) if last.is_empty() => (from, length),
        (Err(_), Ok(count)) if first.is_empty() => (length.saturating_sub(count), length),
        _ => return Ok(None),
    };
    if from >= until { Err(ApiError::NoSuchBytes(length)) } else { Ok(Some((from, until))) }
}
