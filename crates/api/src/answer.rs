//! Answers on their way: a long one is written piece by piece, draws on the budget until it is written, and has a
//! deadline that no client can put off.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::rt::task::JoinHandle;
use actix_web::web::Bytes;

use crate::budget::{Hold, Lane, SMALL};
use crate::connection::{Busy, Connection};
use crate::error::ApiError;

/// How long an answer may take to be written, beside what it takes at [`SLOWEST`].
const TIME: Duration = Duration::from_secs(30);

/// The slowest rate at which an answer may be taken, in bytes a second.
const SLOWEST: u64 = 64 << 10;

/// How many bytes are handed over at once.
const PIECE: usize = 64 << 10;

/// Lets a long answer draw on the budget, and go piece by piece.
///
/// # Errors
/// Where there is no room for it.
pub(crate) async fn paced(
    response: HttpResponse,
    hold: &Hold,
    connection: Option<&Arc<Connection>>,
) -> Result<HttpResponse, ApiError> {
    let BodySize::Sized(length) = response.body().size() else { return Ok(response) };
    if length <= SMALL as u64 {
        return Ok(response);
    }
    hold.draw_up_to(Lane::Answer, usize::try_from(length).unwrap_or(usize::MAX)).await?;
    let deadline = connection.map(|connection| Deadline::new(connection, length));
    let hold = hold.clone();
    Ok(response.map_body(|_, body| match body.try_into_bytes() {
        Ok(rest) => BoxBody::new(Paced { rest, _deadline: deadline, _hold: hold }),
        Err(body) => body,
    }))
}

/// A body that is written piece by piece.
struct Paced {
    rest: Bytes,
    _deadline: Option<Deadline>,
    _hold: Hold,
}

/// Ends a connection when an answer on it takes too long, unless it is dropped before. Until then the connection is busy.
pub(crate) struct Deadline {
    timer: JoinHandle<()>,
    _busy: Busy,
}

impl Deadline {
    /// For an answer of so many bytes.
    pub(crate) fn new(connection: &Arc<Connection>, bytes: u64) -> Self {
        let busy = connection.busy();
        let connection = connection.clone();
        let timer = actix_web::rt::spawn(async move {
            tokio::time::sleep(TIME + Duration::from_secs(bytes / SLOWEST)).await;
            connection.close();
        });
        Self { timer, _busy: busy }
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.timer.abort();
    }
}

impl MessageBody for Paced {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.rest.len() as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        Poll::Ready((!piece.is_empty()).then_some(Ok(piece)))
    }
}
