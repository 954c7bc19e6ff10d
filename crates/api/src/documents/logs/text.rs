//! A log as one text: what is stored of it, and what stands for a part that was dropped.

use std::collections::VecDeque;
use std::sync::Arc;

use actix_web::body::{BodySize, BoxBody, MessageBody, SizedStream};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder, http};
use devmason_domain::{Build, LogEntry, LogStream, Position, Step, StepLog, missing};
use devmason_repository::{LogPiece, Seek, StepPlace};
use futures_util::StreamExt as _;
use futures_util::stream::{self, Stream, try_unfold};

use super::super::steps::place;
use super::window::byte_of_line;
use crate::budget::Lane;
use crate::call::Call;
use crate::error::ApiError;
use crate::store::Store;

/// Memory for the pieces that are read at once, in bytes.
const READ: usize = 4 << 20;

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Span {
    /// What is stored, from here until there, in bytes of the stream.
    Log(u64, u64),
    /// A text.
    Given(Part),
}

/// A part of an entry. A range may cut its text within a character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    millis: u64,
    stream: LogStream,
    bytes: Vec<u8>,
}

impl From<LogEntry> for Part {
    fn from(entry: LogEntry) -> Self {
        Self { millis: entry.millis, stream: entry.stream, bytes: entry.text.into_bytes() }
    }
}

impl Part {
    fn entry(self) -> LogEntry {
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        LogEntry { millis: self.millis, stream: self.stream, text }
    }
}

impl Span {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Log(from, until) => until.saturating_sub(*from),
            Self::Given(part) => part.bytes.len() as u64,
        }
    }
}

/// The part of a text from so many of its bytes until so many.
pub(super) fn cut(spans: Vec<Span>, from: u64, until: u64) -> Vec<Span> {
    let mut at = 0;
    let mut parts = Vec::new();
    for span in spans {
        let (low, high) = (from.clamp(at, at + span.len()), until.clamp(at, at + span.len()));
        let (low, high, length) = (low - at, high - at, span.len());
        at += length;
        if low >= high {
            continue;
        }
        parts.push(match span {
            Span::Log(start, _) => Span::Log(start + low, start + high),
            Span::Given(part) => {
                let bytes = part.bytes.get(low as usize..high as usize);
                Span::Given(Part { bytes: bytes.unwrap_or_default().to_vec(), ..part })
            }
        });
    }
    parts
}

/// The log of a step, or one stream of it.
pub(crate) struct Text {
    store: Arc<Store>,
    place: StepPlace,
    step: Step,
    stream: Option<LogStream>,
    end: Position,
    /// What was dropped of it: from here to there.
    gap: Option<(Position, Position)>,
    spans: Vec<Span>,
}

impl Text {
    pub(crate) async fn open(
        call: &Call<'_>,
        build: &Build,
        step: &Step,
        nth: u32,
        stream: Option<LogStream>,
    ) -> Result<Self, ApiError> {
        let place = place(build, nth);
        let mut this = Self {
            store: call.app.store.clone(),
            place,
            step: step.clone(),
            stream,
            end: Position::default(),
            gap: None,
            spans: Vec::new(),
        };
        if step.log == StepLog::Absent {
            let entries = given_entries(step, stream).into_iter();
            this.spans = entries.map(|entry| Span::Given(entry.into())).collect();
            this.end.bytes = this.spans.iter().map(Span::len).sum();
            return Ok(this);
        }
        let (state, gap) = call
            .ask(move |repository| {
                // In this order: what is dropped in between lies before the end all the same.
                let state = repository.log_state(place)?;
                Ok((state, repository.log_gap(place)?))
            })
            .await?;
        this.end = state.map(|state| state.end).unwrap_or_default();
        let end = this.end.bytes_of(stream);
        this.gap = gap;
        let Some((from, to)) = gap else {
            this.spans.push(Span::Log(0, end));
            return Ok(this);
        };
        this.spans.push(Span::Log(0, from.bytes_of(stream)));
        if let Some(text) = missing(from, to, stream) {
            let millis = call.ask(move |repository| millis_at(repository, place, to)).await?;
            let stream = stream.unwrap_or(LogStream::Out);
            this.spans.push(Span::Given(Part { millis, stream, bytes: text.into_bytes() }));
        }
        this.spans.push(Span::Log(to.bytes_of(stream), end));
        Ok(this)
    }

    pub(super) fn step(&self) -> &Step {
        &self.step
    }

    /// The bytes of the whole log, both streams together.
    pub(crate) fn end(&self) -> u64 {
        self.end.bytes
    }

    /// The lines from this one to that one, counted from 1.
    pub(crate) async fn lines(
        &self,
        call: &Call<'_>,
        first: u64,
        last: Option<u64>,
    ) -> Result<Vec<Span>, ApiError> {
        if first <= 1 && last.is_none() {
            return Ok(self.spans.clone());
        }
        if self.step.log == StepLog::Absent {
            return Ok(given_lines(&self.spans, first, last));
        }
        let from = self.byte_of_line(call, first.max(1) - 1).await?;
        let until = match last {
            Some(last) => self.byte_of_line(call, last).await?,
            None => self.end.bytes_of(self.stream),
        };
        // What stands for dropped lines is among those that any of them is.
        let lacks_some = self.gap.is_some_and(|(before, behind)| {
            let [before, behind] = [before, behind].map(|at| at.breaks_of(self.stream));
            first <= behind.max(before + 1) && last.is_none_or(|last| last > before)
        });
        let mut parts = Vec::new();
        for span in &self.spans {
            match span {
                Span::Log(low, high) => {
                    let (low, high) = (from.max(*low), until.min(*high));
                    if low < high {
                        parts.push(Span::Log(low, high));
                    }
                }
                Span::Given(_) if lacks_some => parts.push(span.clone()),
                Span::Given(_) => {}
            }
        }
        Ok(parts)
    }

    /// Where the line begins that has so many before it, in bytes of the stream.
    async fn byte_of_line(&self, call: &Call<'_>, breaks: u64) -> Result<u64, ApiError> {
        let (place, stream, end) = (self.place, self.stream, self.end);
        call.ask(move |repository| byte_of_line(repository, place, stream, breaks, end)).await
    }

    /// Sends spans as text.
    pub(super) fn send(
        &self,
        call: &Call<'_>,
        mut response: HttpResponseBuilder,
        spans: Vec<Span>,
        length: u64,
    ) -> HttpResponse {
        if *call.request.method() == http::Method::HEAD {
            return response.body(BoxBody::new(Unsent(length)));
        }
        let bytes = self.entries(call, spans).map(|parts| {
            let bytes: Vec<u8> = parts?.into_iter().flat_map(|part| part.bytes).collect();
            Ok(Bytes::from(bytes))
        });
        let deadline = call.body.deadline(length);
        let bytes = bytes.map(move |bytes| {
            let _deadline = &deadline;
            bytes.map_err(aborted)
        });
        response.body(SizedStream::new(length, Box::pin(bytes)))
    }

    /// Sends spans as a JSON array of entries.
    pub(super) fn send_entries(
        &self,
        call: &Call<'_>,
        mut response: HttpResponseBuilder,
        spans: Vec<Span>,
        written: impl Fn(&[LogEntry]) -> Result<Bytes, ApiError> + 'static,
    ) -> HttpResponse {
        let length = spans.iter().map(Span::len).sum();
        let mut is_first = true;
        let entries = self.entries(call, spans).map(move |parts| {
            let entries: Vec<LogEntry> = parts?.into_iter().map(Part::entry).collect();
            let mut bytes = Vec::new();
            if !entries.is_empty() && !std::mem::take(&mut is_first) {
                bytes.push(b',');
            }
            bytes.extend_from_slice(&written(&entries)?);
            Ok(bytes.into())
        });
        let fixed = |text: &'static [u8]| stream::iter([Ok(Bytes::from_static(text))]);
        let all = fixed(b"[").chain(entries).chain(fixed(b"]"));
        let deadline = call.body.deadline(length);
        let all = all.map(move |bytes| {
            let _deadline = &deadline;
            bytes.map_err(aborted)
        });
        response.streaming(Box::pin(all))
    }

    /// The parts of entries in spans, some at a time.
    fn entries(
        &self,
        call: &Call<'_>,
        spans: Vec<Span>,
    ) -> impl Stream<Item = Result<Vec<Part>, ApiError>> + 'static {
        let (store, place, stream) = (self.store.clone(), self.place, self.stream);
        let hold = call.body.hold.clone();
        try_unfold(VecDeque::from(spans), move |mut spans| {
            let (store, hold) = (store.clone(), hold.clone());
            async move {
                let (from, until) = match spans.pop_front() {
                    None => return Ok(None),
                    Some(Span::Given(part)) => return Ok(Some((vec![part], spans))),
                    Some(Span::Log(from, until)) if from >= until => {
                        return Ok(Some((Vec::new(), spans)));
                    }
                    Some(Span::Log(from, until)) => (from, until),
                };
                hold.draw_up_to(Lane::Answer, READ).await?;
                let seek = Seek::Byte(stream, from);
                let pieces = store.run(move |repository| repository.log_read(place, seek)).await?;
                let mut parts = Vec::new();
                let mut at = from;
                for piece in pieces {
                    // What comes next was dropped meanwhile, or is not asked for.
                    if piece.start.bytes_of(stream) > at || at >= until {
                        break;
                    }
                    let end = piece.end.bytes_of(stream).min(until);
                    parts.extend(within(piece, stream, at, until));
                    at = at.max(end);
                }
                if at == from {
                    // The log was deleted, or dropped here: the response breaks off visibly.
                    return Err(ApiError::NotFound("the log is gone"));
                }
                if at < until {
                    spans.push_front(Span::Log(at, until));
                }
                Ok(Some((parts, spans)))
            }
        })
    }
}

fn aborted(error: ApiError) -> actix_web::Error {
    tracing::error!(error = %error.log(), "response aborted");
    actix_web::error::ErrorInternalServerError("response aborted")
}

/// A body that is not sent, because only the head is asked for.
struct Unsent(u64);

impl MessageBody for Unsent {
    type Error = std::convert::Infallible;
    fn size(&self) -> BodySize {
        BodySize::Sized(self.0)
    }
    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Bytes, Self::Error>>> {
        std::task::Poll::Ready(None)
    }
}

/// The parts of a piece's entries from here until there, in bytes of the stream.
fn within(
    piece: LogPiece,
    stream: Option<LogStream>,
    from: u64,
    until: u64,
) -> impl Iterator<Item = Part> {
    let mut at = piece.start.bytes_of(stream);
    let wanted = piece.entries.into_iter();
    wanted.filter(move |entry| stream.is_none_or(|of| of == entry.stream)).filter_map(
        move |entry| {
            let start = at;
            at += entry.text.len() as u64;
            let (low, high) = (from.clamp(start, at) - start, until.clamp(start, at) - start);
            let bytes = entry.text.as_bytes().get(low as usize..high as usize)?.to_vec();
            (!bytes.is_empty()).then_some(Part {
                millis: entry.millis,
                stream: entry.stream,
                bytes,
            })
        },
    )
}

/// When what comes at this place was written.
fn millis_at(
    repository: &dyn devmason_repository::Repository,
    place: StepPlace,
    at: Position,
) -> devmason_repository::Result<u64> {
    let pieces = repository.log_read(place, Seek::Byte(None, at.bytes))?;
    let first = pieces.first().and_then(|piece| piece.entries.first());
    Ok(first.map_or(0, |entry| entry.millis))
}

/// The log of a step that was sent with its outputs: first what it wrote to standard output, then the
/// rest.
pub(super) fn given_entries(step: &Step, stream: Option<LogStream>) -> Vec<LogEntry> {
    let took = step.finished.micros().saturating_sub(step.started.micros()).max(0) / 1000;
    let (mut out, err) = (step.output.clone(), step.errout.clone());
    if stream.is_none() && !out.is_empty() && !err.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    let all = [(LogStream::Out, 0, out), (LogStream::Err, took.unsigned_abs(), err)];
    let is_wanted = |of: LogStream| stream.is_none_or(|stream| stream == of);
    all.into_iter()
        .filter(|(stream, _, text)| is_wanted(*stream) && !text.is_empty())
        .map(|(stream, millis, text)| LogEntry { millis, stream, text })
        .collect()
}

/// Some lines of texts that follow each other.
fn given_lines(spans: &[Span], first: u64, last: Option<u64>) -> Vec<Span> {
    let mut line = 1;
    let mut parts = Vec::new();
    for span in spans {
        let Span::Given(part) = span else { continue };
        let mut bytes = Vec::new();
        for piece in part.bytes.split_inclusive(|byte| *byte == b'\n') {
            if line >= first && last.is_none_or(|last| line <= last) {
                bytes.extend_from_slice(piece);
            }
            line += u64::from(piece.ends_with(b"\n"));
        }
        if !bytes.is_empty() {
            parts.push(Span::Given(Part { bytes, ..*part }));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Span {
        let bytes = text.as_bytes().to_vec();
        Span::Given(Part { millis: 0, stream: LogStream::Out, bytes })
    }

    #[test]
    fn a_range_may_lie_anywhere_in_the_parts() {
        let spans = || vec![Span::Log(0, 10), text("abc"), Span::Log(50, 60)];
        assert_eq!(cut(spans(), 0, 23), spans());
        assert_eq!(cut(spans(), 2, 4), [Span::Log(2, 4)]);
        assert_eq!(cut(spans(), 9, 12), [Span::Log(9, 10), text("ab")]);
        assert_eq!(cut(spans(), 12, 15), [text("c"), Span::Log(50, 52)]);
        assert_eq!(cut(spans(), 23, 99), []);
    }

    #[test]
    fn lines_are_counted_over_the_parts() {
        let spans = [text("a\nb\n"), text("c\nd")];
        assert_eq!(given_lines(&spans, 2, Some(3)), [text("b\n"), text("c\n")]);
        assert_eq!(given_lines(&spans, 4, None), [text("d")]);
        assert_eq!(given_lines(&spans, 5, None), []);
    }
}
