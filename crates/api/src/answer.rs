//! Writing of responses. A long response is written in pieces, draws on the budget until it is
//! written, and has a deadline that no client can extend.

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

/// Time limit for writing a response, in addition to its duration at [`SLOWEST`].
const TIME: Duration = Duration::from_secs(30);

/// The slowest rate at which a client may read a response, in bytes per second.
const SLOWEST: u64 = 64 << 10;

/// Maximum size of a piece, in bytes: each connection keeps a buffer as large as two or three.
const PIECE: usize = 16 << 10;

/// Makes a long response draw on the budget and splits it into pieces.
///
/// # Errors
/// If there is no room for it.
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

/// A body written in pieces.
struct Paced {
    rest: Bytes,
    _deadline: Option<Deadline>,
    _hold: Hold,
}

/// Closes a connection if a response on it takes too long, unless this is dropped before. Until
/// then the connection is busy.
pub(crate) struct Deadline {
    timer: JoinHandle<()>,
    _busy: Busy,
}

impl Deadline {
    /// The deadline of a response of this size.
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
