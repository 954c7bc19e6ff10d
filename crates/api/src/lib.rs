#![doc = include_str!("../README.md")]

mod app;
mod auth;
mod cache;
mod call;
mod dispatch;
mod error;
mod form;
mod forwarded;
mod handlers;
mod live;
mod metrics;
mod openapi;
mod params;
mod recorder;
mod respond;
mod session;
mod settings;
mod upload;

use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Service;
use actix_web::middleware::Compress;
use actix_web::{App as ActixApp, HttpServer, web};
use devmason_domain::Timestamp;
use devmason_repository::Repository;

use app::App;
pub use devmason_hypermedia::Base;
pub use ipnet::IpNet;
pub use openapi::document as openapi;
pub use settings::{Settings, Uploads};

/// How long requests under way may take after the server was told to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(30);

/// How often what was deleted or has expired is looked for.
const UPKEEP: Duration = Duration::from_secs(5);

/// Serves until `shutdown` is ready, then finishes what is under way.
///
/// # Errors
/// Where the listener cannot be used.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    repository: Arc<dyn Repository>,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let tls = settings.tls.clone();
    let app = web::Data::new(App::new(settings, repository, listener.local_addr()?));
    let upkeep = tokio::spawn(keep_up(app.clone()));

    let (shared, live) = (app.clone(), app.clone());
    let server = HttpServer::new(move || {
        ActixApp::new()
            .wrap(Compress::default())
            .wrap_fn(|request, next| {
                let answer = next.call(request);
                async { answer.await.map(respond::without_identity) }
            })
            .app_data(shared.clone())
            .default_service(web::to(dispatch::dispatch))
    })
    .disable_signals()
    // Without it a compressed answer, written in pieces, waits 40 ms for the client's delayed ACK.
    .tcp_nodelay(true)
    .shutdown_timeout(LAST_REQUESTS.as_secs());
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls)?,
        None => server.listen(listener)?,
    }
    .run();

    let handle = server.handle();
    let server = tokio::spawn(server);
    shutdown.await;
    // Those who watch a build would not leave by themselves.
    live.live.close();
    handle.stop(true).await;
    upkeep.abort();
    server.await.map_err(std::io::Error::other)?
}

/// Removes, piece by piece, what was deleted or has expired.
async fn keep_up(app: web::Data<App>) {
    loop {
        let uploads = app.settings.uploads.retention();
        match app.run(move |repository| repository.purge(Timestamp::now(), uploads)).await {
            // Between pieces everybody else has a turn.
            Ok(true) => tokio::time::sleep(Duration::from_millis(10)).await,
            Ok(false) => tokio::time::sleep(UPKEEP).await,
            Err(error) => {
                tracing::warn!(error = %error.log(), "upkeep failed");
                tokio::time::sleep(UPKEEP).await;
            }
        }
    }
}
