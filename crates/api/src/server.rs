//! From sockets to requests: accepts or refuses connections, handles TLS if configured, and serves
//! each connection as HTTP/1.1 or HTTP/2.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, Protocol};
use actix_server::Server;
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_factory, fn_service,
    map_config,
};
use actix_web::dev::AppConfig;
use actix_web::http::KeepAlive;
use actix_web::middleware::Compress;
use actix_web::{App as ActixApp, web};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::app::App;
use crate::connection::Guarded;
use crate::stream::{IDLE, Stream};
use crate::{dispatch, http2, respond};

/// Time limit for requests in progress after the server was told to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(30);

/// Time limit for receiving a request head, and for the TLS handshake.
const HEAD: Duration = Duration::from_secs(5);

/// Serves connections from a listener.
pub(crate) fn run(listener: TcpListener, app: web::Data<App>) -> io::Result<Server> {
    let builder = Server::build().disable_signals().shutdown_timeout(LAST_REQUESTS.as_secs());
    let stopping = builder.graceful_shutdown_signal();
    let tls = app.settings.tls.clone().map(|mut tls| {
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(tls))
    });
    let builder = builder.listen("devmason", listener, move || {
        let (app, tls, stopping) = (app.clone(), tls.clone(), stopping.clone());
        fn_factory(move || {
            let (app, tls, stopping) = (app.clone(), tls.clone(), stopping.clone());
            async move {
                // The service that answers requests; a closure, because a function could not name its type.
                let is_tls = tls.is_some();
                let requests = || {
                    let app = ActixApp::new()
                        .wrap(Compress::default())
                        .wrap_fn(move |mut request, next| {
                            crate::negotiate::negotiable(&mut request);
                            let answer = next.call(request);
                            async move {
                                let answer = answer.await.map(respond::without_identity);
                                answer.map(|answer| respond::secured(answer, is_tls))
                            }
                        })
                        .app_data(app.clone())
                        .default_service(web::to(dispatch::dispatch));
                    let app = app.into_factory();
                    map_config(
                        app.map_err(|error: actix_web::Error| error.error_response()),
                        |_| AppConfig::default(),
                    )
                };
                let for_http1 = stopping.clone();
                let http1 = HttpService::build()
                    .graceful_shutdown_signal(move || {
                        let stopping = for_http1.clone();
                        async move { stopping.notified().await }
                    })
                    .keep_alive(KeepAlive::Timeout(IDLE))
                    .client_request_timeout(HEAD)
                    .client_disconnect_timeout(Duration::from_secs(1))
                    .on_connect_ext(|stream: &Stream, data| {
                        data.insert(stream.connection().clone());
                    })
                    .finish(requests())
                    .new_service(())
                    .await?;
                let http1 = Rc::new(http1);
                let http2 = match &tls {
                    Some(_) => Some(Rc::new(requests().new_service(()).await?)),
                    None => None,
                };
                Ok::<_, ()>(fn_service(move |stream: TcpStream| {
                    let (app, tls, stopping) = (app.clone(), tls.clone(), stopping.clone());
                    let (http1, http2) = (http1.clone(), http2.clone());
                    async move {
                        let peer = stream.peer_addr().ok();
                        let address = peer.map(|peer| peer.ip());
                        let is_proxy =
                            address.is_some_and(|address| app.settings.is_proxy(&address));
                        let Some(entered) = app.connections.enter(address, is_proxy) else {
                            return Ok::<_, Infallible>(());
                        };
                        // Otherwise a compressed response, written in pieces, waits 40 ms for the client's delayed ACK.
                        stream.set_nodelay(true).ok();
                        let stream = Guarded::new(stream, entered);
                        let stream = match tls {
                            None => Stream::Plain(stream),
                            Some(tls) => {
                                let handshake = tokio::time::timeout(HEAD, tls.accept(stream));
                                let Ok(Ok(stream)) = handshake.await else { return Ok(()) };
                                Stream::Tls(Box::new(stream))
                            }
                        };
                        match http2.filter(|_| stream.is_http2()) {
                            Some(requests) => {
                                http2::serve(stream, peer, requests, stopping).await;
                                Ok(())
                            }
                            // Connection errors are the client's and are reported there.
                            None => http1.call((stream, Protocol::Http1, peer)).await.or(Ok(())),
                        }
                    }
                }))
            }
        })
    })?;
    Ok(builder.run())
}
