#![doc = include_str!("../README.md")]

mod answer;
mod app;
mod auth;
mod body;
mod budget;
mod cache;
mod call;
mod connection;
mod dispatch;
mod documents;
mod error;
mod form;
mod forwarded;
mod http2;
mod insight;
mod live;
mod logs;
mod looks;
mod metrics;
mod negotiate;
mod objects;
mod openapi;
mod operations;
mod pages;
mod params;
mod problem;
mod recorder;
mod respond;
mod server;
mod session;
mod settings;
mod store;
mod stream;
mod turns;
mod upload;
mod wire;

use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use devmason_domain::{BuildId, Reading, Registration, Timestamp};
use devmason_repository::Repository;

use app::App;
pub use devmason_hypermedia::Base;
pub use ipnet::IpNet;
pub use openapi::document as openapi;
pub use settings::{Bound, Settings, Uploads};
pub use wire::silence::end_silent_builds;

/// How often deleted and expired data is looked for.
const UPKEEP: Duration = Duration::from_secs(5);

/// Serves until `shutdown` is ready, then finishes requests in progress.
///
/// # Errors
/// If the listener cannot be used.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    repository: Arc<dyn Repository>,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    warn_of_what_is_open(&settings);
    let app = web::Data::new(App::new(settings, repository, listener.local_addr()?));
    match app.store.run(|repository| repository.latest()).await {
        Ok(latest) => latest.into_iter().for_each(BuildId::come_behind),
        Err(error) => tracing::warn!(error = %error.log(), "cannot determine the latest build"),
    }
    let upkeep = tokio::spawn(keep_up(app.clone()));
    let launches = tokio::spawn(wire::make::keep_making(app.clone()));
    let server = server::run(listener, app.clone())?;
    let handle = server.handle();
    let server = tokio::spawn(server);
    shutdown.await;
    // Clients watching a build would not disconnect by themselves.
    app.live.close();
    app.logs.close();
    handle.stop(true).await;
    upkeep.abort();
    launches.abort();
    server.await.map_err(std::io::Error::other)?
}

/// Warns at startup about settings that an administrator may not have intended.
fn warn_of_what_is_open(settings: &Settings) {
    if settings.public_url.is_none() && settings.hosts.is_empty() {
        tracing::warn!(
            "links are built from the Host header of each request, and any host is accepted: set 'public_url' or 'hosts'"
        );
    }
    let policy = &settings.policy;
    if policy.reading == Reading::Authenticated && policy.registration != Registration::Closed {
        tracing::warn!(
            "reading requires an account, but anyone can create one: set 'registration' to 'closed'"
        );
    }
}

/// The time between two pieces of maintenance, in which other work runs.
const PAUSE: Duration = Duration::from_millis(10);

/// Removes deleted and expired data in small pieces, and prepares builds of an older version.
async fn keep_up(app: web::Data<App>) {
    loop {
        let uploads = app.settings.uploads.retention();
        match app.store.run(move |repository| repository.purge(Timestamp::now(), uploads)).await {
            // Let other work run between pieces.
            Ok(true) => tokio::time::sleep(PAUSE).await,
            Ok(false) => {
                let older = |repository: &dyn Repository| {
                    Ok(repository.track_more()? || repository.sighting_more()?)
                };
                match app.store.run(older).await {
                    Ok(true) => {
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(error = %error.log(), "builds of an older version were not prepared");
                    }
                }
                let most = app.settings.max_cases;
                let overdue = move |repository: &dyn Repository| {
                    end_silent_builds(repository, Timestamp::now(), most)
                };
                match app.store.run(overdue).await {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(error = %error.log(), "silent builds were not ended");
                    }
                }
                if let Err(error) = app.store.run(|repository| repository.tidy()).await {
                    tracing::warn!(error = %error.log(), "the write-ahead log was not truncated");
                }
                tokio::time::sleep(UPKEEP).await;
            }
            Err(error) => {
                tracing::warn!(error = %error.log(), "maintenance failed");
                tokio::time::sleep(UPKEEP).await;
            }
        }
    }
}
