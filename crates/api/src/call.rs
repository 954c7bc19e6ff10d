//! One request, as handlers see it.

use std::net::IpAddr;
use std::time::Instant;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName};
use actix_web::web::{self, Bytes};
use devmason_domain::{Account, Digest, Project, Slug, Username, Viewer};
use devmason_hypermedia::{Base, DocumentError, Resource, View, document};
use devmason_repository::{Claim, Claimed, Repository};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::auth::Caller;
use crate::body::Body;
use crate::budget::{Lane, SMALL};
use crate::error::ApiError;
use crate::negotiate::Format;
use crate::params::Params;
use crate::session::Session;

/// One request, as handlers see it: its resource, sender, parameters and body.
pub(crate) struct Call<'a> {
    pub(crate) app: &'a web::Data<App>,
    pub(crate) request: &'a HttpRequest,
    pub(crate) resource: &'a Resource,
    pub(crate) base: &'a Base,
    pub(crate) caller: &'a Caller,
    /// When it arrived, or last changed something itself. Cached values must be valid at this time.
    pub(crate) arrived: Instant,
    /// The client's address.
    pub(crate) client: Option<IpAddr>,
    pub(crate) params: &'a Params,
    pub(crate) format: Format,
    pub(crate) body: &'a Body,
    /// The browser session, if it identifies the caller.
    pub(crate) session: Option<&'a Session>,
    /// Whether the body was made from a form.
    pub(crate) is_form: bool,
    /// Whether the resource to create must not exist yet.
    pub(crate) is_new: bool,
}

impl Call<'_> {
    /// Runs a query on the repository.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Repository) -> devmason_repository::Result<T> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.app.store.run(ask).await
    }

    /// Draws memory for a response before its data is read, unless it is small.
    pub(crate) async fn room_for_answer(&self, bytes: usize) -> Result<(), ApiError> {
        if bytes <= SMALL {
            return Ok(());
        }
        self.body.hold.draw_up_to(Lane::Answer, bytes).await
    }

    pub(crate) fn viewer(&self) -> &Viewer {
        &self.caller.viewer
    }

    /// Documents and links as this client sees them.
    pub(crate) fn view(&self) -> View<'_> {
        View { base: self.base, policy: &self.app.settings.policy, viewer: self.viewer() }
    }

    /// The project with this name; fails if it doesn't exist.
    pub(crate) async fn project(&self, slug: &Slug) -> Result<Project, ApiError> {
        self.find_project(slug).await?.ok_or(ApiError::NotFound("project not found"))
    }

    /// The user with this name; fails if there is none.
    pub(crate) async fn user(&self, username: &Username) -> Result<Account, ApiError> {
        let username = username.clone();
        let found = self.ask(move |repository| repository.user_find(&username)).await?;
        found.ok_or(ApiError::NotFound("user not found"))
    }

    /// The project with this name.
    pub(crate) async fn find_project(&self, slug: &Slug) -> Result<Option<Project>, ApiError> {
        self.app.cache.project(&self.app.store, self.arrived, slug).await
    }

    /// The body, received on the first call. Call this only after checking that this caller may send a
    /// body here.
    pub(crate) async fn body(&self) -> Result<&Bytes, ApiError> {
        self.body.receive(self.request, self.app).await
    }

    /// The body, if it was received; otherwise empty.
    pub(crate) fn received(&self) -> &Bytes {
        self.body.received()
    }

    /// The document in the body. A long one is parsed off the workers that serve connections.
    pub(crate) async fn document<T: DeserializeOwned + Send + 'static>(
        &self,
    ) -> Result<T, ApiError> {
        self.parsed(document::parse).await
    }

    /// The list in the body, like [`Self::document`].
    pub(crate) async fn list<T: DeserializeOwned + Send + 'static>(&self) -> Result<T, ApiError> {
        self.parsed(document::parse_list).await
    }

    async fn parsed<T: Send + 'static>(
        &self,
        parse: fn(&[u8]) -> Result<T, DocumentError>,
    ) -> Result<T, ApiError> {
        let body = self.body().await?;
        let content_type = self.header(header::CONTENT_TYPE).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if !body.is_empty() && !self.is_form && !media_type.eq_ignore_ascii_case("application/json")
        {
            return Err(ApiError::UnsupportedType);
        }
        if body.len() <= SMALL {
            return Ok(parse(body)?);
        }
        let turn = self.body.turn(self.app, body.len()).await?;
        let (body, hold) = (body.clone(), self.body.hold.clone());
        self.off_the_workers(move || {
            let _turn = turn;
            hold.draw_blocking(Lane::Work, document_becomes(&body))?;
            Ok(parse(&body)?)
        })
        .await
    }

    /// Runs long work on a thread that may block.
    pub(crate) async fn off_the_workers<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        web::block(work).await.map_err(|_| ApiError::Interrupted)?
    }

    /// The document in the body, or the default if the body is empty.
    pub(crate) async fn optional_document<T: DeserializeOwned + Default + Send + 'static>(
        &self,
    ) -> Result<T, ApiError> {
        if self.body().await?.is_empty() { Ok(T::default()) } else { self.document().await }
    }

    pub(crate) fn header(&self, name: impl Into<HeaderName>) -> Option<&str> {
        self.request.headers().get(name.into()).and_then(|value| value.to_str().ok())
    }

    /// The request's `Idempotency-Key`, with the response to store for it.
    ///
    /// `place` identifies the resource by its ids: a project registered again under an old name is a
    /// different one.
    pub(crate) async fn claim(
        &self,
        place: &str,
        status: StatusCode,
        location: String,
    ) -> Result<Option<Claim>, ApiError> {
        const NAME: &str = "Idempotency-Key";
        let Some(key) = self.request.headers().get(NAME) else { return Ok(None) };
        let key = key.as_bytes();
        if key.is_empty() || key.len() > 255 {
            return Err(ApiError::BadValue {
                name: NAME,
                problem: "must be 1 to 255 characters long".to_owned(),
            });
        }
        let user = self.viewer().username().map_or(String::new(), |username| username.key());
        Ok(Some(Claim {
            scope: Digest::of_parts([user.as_bytes(), place.as_bytes(), key]),
            body: Digest::of(self.body().await?),
            outcome: format!("{} {location}", status.as_u16()),
        }))
    }
}

/// What a request with a known `Idempotency-Key` was told the first time: its status and its location.
///
/// # Errors
/// The key came with another body.
pub(crate) fn replayed(claimed: Claimed) -> Result<(StatusCode, String), ApiError> {
    let Claimed::Replayed(outcome) = claimed else { return Err(ApiError::KeyReused) };
    let (status, location) = outcome.split_once(' ').ok_or(ApiError::Interrupted)?;
    let status = status.parse().map_err(|_| ApiError::Interrupted)?;
    Ok((status, location.to_owned()))
}

/// Approximate memory for a document and what is made from it, in bytes: twice its text, plus the
/// possible members of each object.
fn document_becomes(body: &[u8]) -> usize {
    /// Memory per object in addition to its text; a test case is the largest.
    const OBJECT: usize = 400;
    let objects = memchr::memchr_iter(b'{', body).count();
    // Braces in text aren't objects; a document that consists only of objects needs no more than this.
    let objects = objects.saturating_mul(OBJECT).min(body.len().saturating_mul(12));
    body.len().saturating_mul(2).saturating_add(objects)
}
