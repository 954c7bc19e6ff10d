//! One request, as handlers see it.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderName};
use actix_web::web::{self, Bytes};
use devmason_domain::{Project, Slug, Viewer};
use devmason_hypermedia::{Base, Resource, View, document};
use devmason_repository::{Answer, Claim, Repository};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::params::{Format, Params};
use crate::session::Session;

/// One request, as handlers see it: where it leads, who sends it, what it wants and brings.
pub(crate) struct Call<'a> {
    pub(crate) app: &'a web::Data<App>,
    pub(crate) request: &'a HttpRequest,
    pub(crate) resource: &'a Resource,
    pub(crate) base: &'a Base,
    pub(crate) caller: &'a Caller,
    pub(crate) params: &'a Params,
    pub(crate) format: Format,
    pub(crate) body: &'a Bytes,
    /// The browser's session, where the caller is known by it.
    pub(crate) session: Option<&'a Session>,
    /// Whether the body was made of a form.
    pub(crate) is_form: bool,
}

impl Call<'_> {
    /// Asks the repository.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Repository) -> devmason_repository::Result<T> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.app.run(ask).await
    }

    pub(crate) fn viewer(&self) -> &Viewer {
        &self.caller.viewer
    }

    /// Documents and links as this client sees them.
    pub(crate) fn view(&self) -> View<'_> {
        View { base: self.base, policy: &self.app.settings.policy, viewer: self.viewer() }
    }

    /// The project of that name, which must be there.
    pub(crate) async fn project(&self, slug: &Slug) -> Result<Project, ApiError> {
        self.find_project(slug).await?.ok_or(ApiError::NotFound("there is no such project"))
    }

    /// The project of that name.
    pub(crate) async fn find_project(&self, slug: &Slug) -> Result<Option<Project>, ApiError> {
        self.app.cache.project(self.app, slug).await
    }

    /// The document in the body.
    pub(crate) fn document<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let content_type = self.header(header::CONTENT_TYPE).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if !self.body.is_empty()
            && !self.is_form
            && !media_type.eq_ignore_ascii_case("application/json")
        {
            return Err(ApiError::UnsupportedType);
        }
        Ok(document::parse(self.body)?)
    }

    /// The document in the body, or its default where there is no body.
    pub(crate) fn optional_document<T: DeserializeOwned + Default>(&self) -> Result<T, ApiError> {
        if self.body.is_empty() { Ok(T::default()) } else { self.document() }
    }

    pub(crate) fn header(&self, name: impl Into<HeaderName>) -> Option<&str> {
        self.request.headers().get(name.into()).and_then(|value| value.to_str().ok())
    }

    /// The request's `Idempotency-Key`, with the answer to keep for it.
    ///
    /// `place` is the resource by its numbers: a project that is registered anew under an old name is
    /// another one.
    pub(crate) fn claim(
        &self,
        place: &str,
        status: u16,
        location: String,
    ) -> Result<Option<Claim>, ApiError> {
        const NAME: &str = "Idempotency-Key";
        let Some(key) = self.request.headers().get(NAME) else { return Ok(None) };
        let key = key.as_bytes();
        if key.is_empty() || key.len() > 255 {
            return Err(ApiError::BadValue {
                name: NAME,
                problem: "a key has 1 to 255 characters".to_owned(),
            });
        }
        let user = self.viewer().username().map_or(String::new(), |username| username.key());
        let mut scope = Sha256::new();
        for part in [user.as_bytes(), place.as_bytes(), key] {
            scope.update((part.len() as u64).to_le_bytes());
            scope.update(part);
        }
        let body = Sha256::digest(self.body).into();
        Ok(Some(Claim {
            scope: scope.finalize().into(),
            body,
            answer: Answer { status, location },
        }))
    }
}
