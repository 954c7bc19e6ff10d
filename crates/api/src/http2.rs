//! HTTP/2 over TLS: each stream becomes a request like those of HTTP/1.1.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use actix_http::{Payload, Request, Response};
use actix_server::GracefulShutdownSignal;
use actix_service::Service;
use actix_web::HttpMessage;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::error::PayloadError;
use actix_web::http::{self as http1, header};
use actix_web::web::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{Stream as Bodies, unfold};
use h2::server::{Builder, SendResponse};
use h2::{RecvStream, SendStream};
use tokio::time::timeout;

use crate::stream::{IDLE, Stream};

/// Maximum number of concurrent requests per connection, as announced to the client.
const STREAMS: u32 = 16;

/// Maximum size of a request head, in bytes.
const HEAD: u32 = 16 << 10;

/// Flow-control window of a stream and of a connection, in bytes.
const WINDOW: u32 = 64 << 10;

/// Maximum size of unsent response data per stream, in bytes.
const HELD: usize = 32 << 10;

/// How long a client may read nothing of a response.
const STALLED: Duration = Duration::from_secs(30);

/// How long a client may take to disconnect after it was told that no more requests are accepted.
const LEAVING: Duration = Duration::from_secs(2);

/// Serves a connection until it ends.
pub(crate) async fn serve<S, B, E>(
    stream: Stream,
    peer: Option<SocketAddr>,
    requests: Rc<S>,
    stopping: GracefulShutdownSignal,
) where
    S: Service<Request, Response = ServiceResponse<B>, Error = E> + 'static,
    B: MessageBody + 'static,
    E: Into<Response<BoxBody>>,
{
    let connection = stream.connection().clone();
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD)
        .max_send_buffer_size(HELD)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(2 * WINDOW);
    let Ok(Ok(mut http2)) = timeout(IDLE, builder.handshake::<_, Bytes>(stream)).await else {
        return;
    };
    let mut stopped = pin!(stopping.notified());
    let mut is_stopping = false;
    let under_way = Rc::new(());
    loop {
        let patience =
            if is_stopping && Rc::strong_count(&under_way) == 1 { LEAVING } else { IDLE };
        let accepted = tokio::select! {
            accepted = timeout(patience, http2.accept()) => accepted,
            () = &mut stopped, if !is_stopping => {
                is_stopping = true;
                http2.graceful_shutdown();
                continue;
            }
        };
        match accepted {
            Ok(Some(Ok((request, respond)))) => {
                let (requests, under_way) = (requests.clone(), under_way.clone());
                let connection = connection.clone();
                actix_web::rt::spawn(async move {
                    let _under_way = under_way;
                    let request = received(request, peer);
                    request.extensions_mut().insert(connection);
                    let is_head = request.method() == http1::Method::HEAD;
                    let mut respond = respond;
                    // A client that disconnected needs no response, and its request is cancelled.
                    let response = tokio::select! {
                        response = requests.call(request) => response,
                        _ = std::future::poll_fn(|context| respond.poll_reset(context)) => return,
                    };
                    let response = match response {
                        Ok(response) => response.map_into_boxed_body().into(),
                        Err(error) => error.into(),
                    };
                    let _ = answer(response, respond, is_head).await;
                });
            }
            Ok(Some(Err(_)) | None) => return,
            // A client that was told to disconnect and hasn't answered is gone.
            Err(_) if Rc::strong_count(&under_way) == 1 && is_stopping => return,
            Err(_) if Rc::strong_count(&under_way) == 1 => {
                is_stopping = true;
                http2.graceful_shutdown();
            }
            Err(_) => {}
        }
    }
}

/// Converts a request to the type used by the rest of the server.
fn received(request: h2_http::Request<RecvStream>, peer: Option<SocketAddr>) -> Request {
    let (head, body) = request.into_parts();
    let payload: Pin<Box<dyn Bodies<Item = Result<Bytes, PayloadError>>>> =
        Box::pin(pieces(body).fuse());
    let mut request = Request::with_payload(Payload::Stream { payload });
    let own = request.head_mut();
    // The HTTP/2 values were parsed by the same rules.
    own.method = http1::Method::from_bytes(head.method.as_str().as_bytes()).unwrap_or_default();
    own.uri = head.uri.to_string().parse().unwrap_or_default();
    own.version = http1::Version::HTTP_2;
    own.peer_addr = peer;
    for (name, value) in &head.headers {
        if let (Ok(name), Ok(value)) = (
            header::HeaderName::from_bytes(name.as_str().as_bytes()),
            header::HeaderValue::from_bytes(value.as_bytes()),
        ) {
            own.headers.append(name, value);
        }
    }
    request
}

/// The body of a request, in pieces. Reading a piece lets the client send more.
fn pieces(body: RecvStream) -> impl Bodies<Item = Result<Bytes, PayloadError>> {
    unfold(body, |mut body| async move {
        let piece = match body.data().await? {
            Ok(piece) => {
                // Fails if the stream has ended, which the next read reports.
                let _ = body.flow_control().release_capacity(piece.len());
                Ok(piece)
            }
            Err(error) => Err(PayloadError::Io(std::io::Error::other(error))),
        };
        Some((piece, body))
    })
}

/// Writes a response.
async fn answer(
    response: Response<BoxBody>,
    mut respond: SendResponse<Bytes>,
    is_head: bool,
) -> Result<(), h2::Error> {
    let (response, body) = response.into_parts();
    let mut head = h2_http::Response::new(());
    *head.status_mut() =
        h2_http::StatusCode::from_u16(response.status().as_u16()).unwrap_or_default();
    let headers = head.headers_mut();
    for (name, value) in response.headers() {
        // These headers belong to HTTP/1.1 connections (RFC 9113, 8.2.2).
        if matches!(name.as_str(), "connection" | "transfer-encoding" | "keep-alive" | "upgrade") {
            continue;
        }
        if let (Ok(name), Ok(value)) = (
            h2_http::HeaderName::from_bytes(name.as_str().as_bytes()),
            h2_http::HeaderValue::from_bytes(value.as_bytes()),
        ) {
            headers.append(name, value);
        }
    }
    if let BodySize::Sized(length) = body.size() {
        headers.insert(h2_http::header::CONTENT_LENGTH, length.into());
    }
    // HTTP dates before 1970 don't exist.
    let now = SystemTime::now().max(SystemTime::UNIX_EPOCH);
    if let Ok(now) = httpdate::fmt_http_date(now).parse() {
        headers.insert(h2_http::header::DATE, now);
    }
    let is_empty = is_head || matches!(body.size(), BodySize::None | BodySize::Sized(0));
    let mut stream = respond.send_response(head, is_empty)?;
    if is_empty {
        return Ok(());
    }
    let mut body = pin!(body);
    loop {
        let piece = tokio::select! {
            piece = std::future::poll_fn(|context| body.as_mut().poll_next(context)) => piece,
            _ = std::future::poll_fn(|context| stream.poll_reset(context)) => return Ok(()),
        };
        let Some(piece) = piece else { break };
        let Ok(piece) = piece else {
            stream.send_reset(h2::Reason::INTERNAL_ERROR);
            return Ok(());
        };
        send(&mut stream, piece).await?;
    }
    stream.send_data(Bytes::new(), true)
}

/// Writes a piece of a response as fast as the client reads it.
async fn send(stream: &mut SendStream<Bytes>, mut piece: Bytes) -> Result<(), h2::Error> {
    while !piece.is_empty() {
        stream.reserve_capacity(piece.len());
        let room = std::future::poll_fn(|context| stream.poll_capacity(context));
        let Ok(room) = timeout(STALLED, room).await else {
            stream.send_reset(h2::Reason::CANCEL);
            return Err(h2::Reason::CANCEL.into());
        };
        let Some(room) = room.transpose()? else { return Err(h2::Reason::CANCEL.into()) };
        let piece = piece.split_to(room.min(piece.len()));
        stream.send_data(piece, false)?;
    }
    Ok(())
}
