//! The body of a request. It is received only on demand, once the request's path, method,
//! credentials and permissions have been checked, and inflated only up to the limit.

use std::cell::{OnceCell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut};
use devmason_reports::files::{self, Bounds};
use futures_util::{Stream, StreamExt};

use crate::answer::Deadline;
use crate::app::App;
use crate::budget::{Hold, Lane, SMALL};
use crate::connection::{Busy, Connection};
use crate::error::ApiError;
use crate::turns::Turn;

/// Maximum pause in the middle of a body.
const PAUSE: Duration = Duration::from_secs(15);

/// Time limit for receiving a body, in addition to its duration at [`SLOWEST`].
const TIME: Duration = Duration::from_secs(30);

/// The slowest rate at which a body may arrive, in bytes per second.
const SLOWEST: u64 = 32 << 10;

/// How long the rest of an unwanted body is read before the connection is closed: if the connection
/// closes while a client is sending, it loses the response.
const DISCARDED_FOR: Duration = Duration::from_secs(5);

/// Binary logarithm of the largest zstd window, in bytes: 8 MiB, which RFC 8878 recommends to
/// support.
const ZSTD_WINDOW_LOG: u32 = 23;

/// The body of a request.
pub(crate) struct Body {
    payload: RefCell<Option<Payload>>,
    bytes: OnceCell<Bytes>,
    /// The turn used for inflating, kept for parsing. Waiting for a second turn would hold memory that
    /// those whose turn it is are waiting for.
    turn: RefCell<Option<Turn>>,
    /// The client's address.
    client: Option<IpAddr>,
    /// What the request has drawn from the budget.
    pub(crate) hold: Hold,
    connection: Option<Arc<Connection>>,
}

impl Body {
    pub(crate) fn new(
        payload: Payload,
        hold: Hold,
        connection: Option<Arc<Connection>>,
        client: Option<IpAddr>,
    ) -> Self {
        Self {
            payload: RefCell::new(Some(payload)),
            bytes: OnceCell::new(),
            turn: RefCell::new(None),
            client,
            hold,
            connection,
        }
    }

    /// Marks the request as being answered until the returned value is dropped.
    pub(crate) fn busy(&self) -> Option<Busy> {
        self.connection.as_ref().map(Connection::busy)
    }

    /// The deadline of a response of about this size.
    pub(crate) fn deadline(&self, bytes: u64) -> Option<Deadline> {
        self.connection.as_ref().map(|connection| Deadline::new(connection, bytes))
    }

    /// The body, if it was received; otherwise empty.
    pub(crate) fn received(&self) -> &Bytes {
        static NONE: Bytes = Bytes::new();
        self.bytes.get().unwrap_or(&NONE)
    }

    /// Replaces a form by a document.
    pub(crate) fn becomes(&mut self, document: Bytes) {
        self.bytes = OnceCell::from(document);
    }

    /// Receives the body, inflated, up to the limit. Later calls return the same body.
    pub(crate) async fn receive(
        &self,
        request: &HttpRequest,
        app: &App,
    ) -> Result<&Bytes, ApiError> {
        if self.bytes.get().is_none() {
            let limit = app.settings.max_body_bytes;
            let body = self.receive_up_to(request, limit).await?;
            let body = self.inflated(request, app, body, limit).await?;
            if body.len() <= SMALL {
                self.hold.draw_small(body.len()).await?;
            }
            // It was empty just now, and there is no concurrent caller.
            let _ = self.bytes.set(body);
        }
        Ok(self.received())
    }

    /// Receives the body as sent, up to a limit.
    pub(crate) async fn receive_up_to(
        &self,
        request: &HttpRequest,
        limit: usize,
    ) -> Result<Bytes, ApiError> {
        let announced = request
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > limit) {
            return Err(ApiError::TooLarge { limit });
        }
        // If the length is announced, draw all of it before reading, so that the client waits rather than a
        // half-read body.
        let mut drawn = announced.filter(|length| *length > SMALL).unwrap_or(0);
        self.hold.draw(Lane::Body, drawn).await?;
        let Some(mut payload) = self.payload.borrow_mut().take() else { return Ok(Bytes::new()) };
        let began = Instant::now();
        let mut body = BytesMut::with_capacity(announced.unwrap_or(0));
        let received = loop {
            let in_all = TIME + Duration::from_secs(body.len() as u64 / SLOWEST);
            let left = in_all.saturating_sub(began.elapsed()).min(PAUSE);
            // While it waits for a client, the connection may be closed in favour of others.
            let _idle = self.connection.as_ref().map(Connection::idle);
            let chunk = match tokio::time::timeout(left, payload.next()).await {
                Err(_) => break Err(ApiError::TooSlow),
                Ok(None) => break Ok(()),
                Ok(Some(chunk)) => chunk,
            };
            let chunk = chunk.map_err(|error| ApiError::BadValue {
                name: "body",
                problem: format!("cannot read the body: {error}"),
            })?;
            let length = body.len() + chunk.len();
            if length > limit {
                break Err(ApiError::TooLarge { limit });
            }
            if length > SMALL && length > drawn {
                // Twice the length, because the buffer grows.
                let more = (length * 2).min(limit) - drawn;
                if let Err(error) = self.hold.draw(Lane::Body, more).await {
                    break Err(error);
                }
                drawn += more;
            }
            body.extend_from_slice(&chunk);
        };
        *self.payload.borrow_mut() = Some(payload);
        received.map(|()| body.freeze())
    }

    /// The body as it arrives, for what is read through and not kept. It may be as long as it likes.
    ///
    /// # Errors
    /// The body is compressed, or was received already.
    pub(crate) fn chunks(
        &self,
        request: &HttpRequest,
    ) -> Result<impl Stream<Item = std::io::Result<Bytes>> + Send + use<>, ApiError> {
        if request.headers().contains_key(header::CONTENT_ENCODING) {
            return Err(ApiError::UnsupportedCoding);
        }
        let mut payload = self.payload.borrow_mut().take().ok_or(ApiError::Raced)?;
        // The payload belongs to this thread, and what reads forms wants to be free to move.
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        actix_web::rt::spawn(async move {
            loop {
                let chunk = match tokio::time::timeout(PAUSE, payload.next()).await {
                    Ok(None) => break,
                    Ok(Some(chunk)) => chunk.map_err(std::io::Error::other),
                    Err(_) => Err(std::io::Error::other("timed out waiting for the body")),
                };
                let is_last = chunk.is_err();
                if sender.send(chunk).await.is_err() || is_last {
                    break;
                }
            }
        });
        Ok(futures_util::stream::poll_fn(move |context| receiver.poll_recv(context)))
    }

    /// Reads and drops the rest of the body for a limited time; returns whether it reached the end.
    pub(crate) async fn discard(&self, limit: usize) -> bool {
        let Some(mut payload) = self.payload.borrow_mut().take() else { return true };
        // This client is owed nothing, so its connection may be closed in favour of others.
        let _idle = self.connection.as_ref().map(Connection::idle);
        let rest = async {
            let mut length = 0;
            while let Some(chunk) = payload.next().await {
                let Ok(chunk) = chunk else { return false };
                length += chunk.len();
                if length > limit {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(DISCARDED_FOR, rest).await.unwrap_or(false)
    }

    async fn inflated(
        &self,
        request: &HttpRequest,
        app: &App,
        body: Bytes,
        limit: usize,
    ) -> Result<Bytes, ApiError> {
        let coding = request.headers().get(header::CONTENT_ENCODING);
        let coding = match coding.map(|coding| coding.as_bytes().to_ascii_lowercase()).as_deref() {
            None | Some(b"identity") => return Ok(body),
            Some(b"gzip") => Coding::Gzip,
            Some(b"zstd") => Coding::Zstd,
            Some(_) => return Err(ApiError::UnsupportedCoding),
        };
        let (turn, hold) = (app.budget.turn(self.client).await?, self.hold.clone());
        // The turn lasts until the work ends, even if the client disconnects.
        let work = move || inflate(coding, &body, limit, &hold).map(|inflated| (inflated, turn));
        let inflated = actix_web::web::block(work).await;
        let (inflated, turn) = inflated.map_err(|_| ApiError::Interrupted)??;
        if inflated.len() > SMALL {
            *self.turn.borrow_mut() = Some(turn);
        }
        Ok(inflated)
    }

    /// Keeps a turn for parsing the body next.
    pub(crate) fn keep_turn(&self, turn: Option<Turn>) {
        *self.turn.borrow_mut() = turn;
    }

    /// A turn at parsing this many bytes; `None` if they are few.
    pub(crate) async fn turn(&self, app: &App, bytes: usize) -> Result<Option<Turn>, ApiError> {
        let taken = self.turn.borrow_mut().take();
        match taken {
            None if bytes > SMALL => app.budget.turn(self.client).await.map(Some),
            taken => Ok(taken),
        }
    }
}

/// How a body is compressed.
#[derive(Clone, Copy)]
enum Coding {
    Gzip,
    Zstd,
}

/// Inflates a body up to the limit: a few kilobytes may expand to gigabytes.
fn inflate(coding: Coding, body: &Bytes, limit: usize, hold: &Hold) -> Result<Bytes, ApiError> {
    let bounds = Inflated { hold, limit };
    match coding {
        Coding::Gzip => {
            let decoder = flate2::read::MultiGzDecoder::new(&**body);
            files::inflate(decoder, "gzip", (SMALL, limit), &bounds)
        }
        Coding::Zstd => {
            let bad = |error: std::io::Error| bounds.bad(format!("invalid zstd data: {error}"));
            let mut decoder = zstd::stream::read::Decoder::new(&**body).map_err(bad)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(bad)?;
            // The decoder keeps a window in addition to its output.
            hold.draw_blocking(Lane::Work, 1 << ZSTD_WINDOW_LOG)?;
            files::inflate(decoder, "zstd", (SMALL, limit), &bounds)
        }
    }
}

/// Limit for unpacking a body, whose bytes are drawn from the budget.
pub(crate) struct Inflated<'a> {
    pub(crate) hold: &'a Hold,
    pub(crate) limit: usize,
}

impl Bounds for Inflated<'_> {
    type Error = ApiError;
    fn room(&self, bytes: usize) -> Result<(), ApiError> {
        self.hold.draw_blocking(Lane::Work, bytes)
    }
    fn bad(&self, problem: String) -> ApiError {
        ApiError::BadValue { name: "body", problem }
    }
    fn no_room(&self) -> ApiError {
        ApiError::Overloaded
    }
    fn too_long(&self) -> ApiError {
        ApiError::TooLarge { limit: self.limit }
    }
}
