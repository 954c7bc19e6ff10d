//! Responses: documents as JSON or HTML, ETags, preconditions.

use std::fmt::Display;

use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentType, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use devmason_domain::{Digest, Username, Viewer};
use devmason_hypermedia::Method;
use devmason_pages::{DocumentPage, Site, Template};
use futures_util::{Stream, StreamExt};
use serde::Serialize;

use crate::call::Call;
use crate::error::ApiError;
use crate::negotiate::Format;
use crate::session::Session;

/// Minimum size of a body worth compressing, in bytes; a smaller one fits in one packet
/// uncompressed.
const COMPRESSED_FROM: usize = 1024;

/// Headers of every page: it loads only this server's own files, and nothing that clients sent can
/// run.
pub(crate) const PAGE_HEADERS: [(HeaderName, &str); 1] = [(
    header::CONTENT_SECURITY_POLICY,
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
)];

/// The `Allow` header for these methods.
pub(crate) fn allow(methods: &[Method]) -> String {
    let mut names: Vec<&str> = Vec::with_capacity(6);
    for method in methods {
        names.push(method.as_str());
        if *method == Method::Get {
            names.push("HEAD");
        }
    }
    names.push("OPTIONS");
    names.join(", ")
}

fn json(document: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    json_about(document, 1 << 10)
}

/// The same, for a document of about this size: growing to it would copy it again and again.
fn json_about(document: &impl Serialize, bytes: usize) -> Result<Vec<u8>, ApiError> {
    let mut json = Vec::with_capacity(bytes);
    let written = serde_json::to_writer(&mut json, document);
    written.map(|()| json).map_err(|error| ApiError::Unwritable(error.to_string()))
}

/// The ETag of an object in the query API, without quotes; the same for all clients.
pub(crate) fn object_etag(kind: &str, state: &[&dyn Display]) -> String {
    let state: Vec<String> = state.iter().map(ToString::to_string).collect();
    Digest::of(format!("{kind} {}", state.join(" ")).as_bytes()).short()
}

/// The result of a lookup: a finished response, because the client or the cache has it, or the data to build one
/// from.
pub(crate) enum Found<T> {
    Ready(HttpResponse),
    New(T),
}

impl Call<'_> {
    /// The strong ETag of this resource's representation for this client.
    ///
    /// `state` holds the inputs of the representation: versions and change counters, which are known
    /// before the data for the body is read, and the parameters that select a representation.
    pub(crate) fn etag(&self, state: &[&dyn Display]) -> String {
        self.etag_as(self.format, state)
    }

    fn etag_as(&self, format: Format, state: &[&dyn Display]) -> String {
        let viewer = match self.viewer() {
            Viewer::Anonymous => String::new(),
            Viewer::Stranger(name) => format!("?{}", name.key()),
            Viewer::User(id, _) => format!("u{}", id.0),
            Viewer::Administrator(id, _) => format!("a{}", id.0),
        };
        let policy = &self.app.settings.policy;
        let (registration, reading) = (policy.registration, policy.reading);
        let server =
            format!("{} {registration:?} {reading:?} {format:?}", self.app.settings.version);
        let page = match format {
            Format::Json => String::new(),
            // A page's forms belong to this session, and its links contain the server's address.
            Format::Html => {
                let token = self.session.map(Session::token).unwrap_or_default();
                format!("{:x} {token} {}", devmason_pages::look(), self.params.choice())
            }
        };
        let parts = [self.base.href(self.resource), server, viewer, page];
        let parts = parts.into_iter().chain(state.iter().map(ToString::to_string));
        format!("\"{}\"", Digest::of_parts(parts).short())
    }

    /// Whether the client already has this representation.
    pub(crate) fn is_known(&self, etag: &str) -> bool {
        let known = self.etags(&header::IF_NONE_MATCH);
        known.iter().any(|known| known == "*" || known.trim_start_matches("W/") == etag)
    }

    /// A response that needs no further data: 304 if the client has this representation, or else the
    /// cached body for this ETag.
    pub(crate) fn ready(&self, etag: &str) -> Option<HttpResponse> {
        if self.is_known(etag) {
            return Some(self.unchanged(etag));
        }
        let body = self.app.cache.body(etag)?;
        Some(self.typed(self.headed(StatusCode::OK, etag), body))
    }

    /// The ETags in all headers with this name; a value that isn't text matches no ETag.
    fn etags(&self, name: &HeaderName) -> Vec<String> {
        let values = self.request.headers().get_all(name);
        let texts = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        texts
            .flat_map(|text| text.split(',').map(|etag| etag.trim().to_owned()).collect::<Vec<_>>())
            .collect()
    }

    fn has(&self, name: &HeaderName) -> bool {
        self.request.headers().contains_key(name)
    }

    /// Checks `If-Match`, if sent, against a resource with this state and version.
    ///
    /// Returns the version that the resource must still have when it is changed; `None` means any.
    pub(crate) fn seen(
        &self,
        version: i64,
        state: &[&dyn Display],
    ) -> Result<Option<i64>, ApiError> {
        if !self.has(&header::IF_MATCH) {
            return Ok(None);
        }
        let etag = self.etag_as(Format::Json, state);
        let mut any = false;
        for known in self.etags(&header::IF_MATCH) {
            // Unquoted ETags too, as in the source document's example.
            if known.trim_matches('"') == etag.trim_matches('"') {
                return Ok(Some(version));
            }
            any |= known == "*";
        }
        if any { Ok(None) } else { Err(ApiError::PreconditionFailed) }
    }

    /// Checks `If-Match`, if sent, against the ETag that a GET as JSON has now.
    pub(crate) fn matches(&self, etag: &str) -> Result<(), ApiError> {
        let known = self.etags(&header::IF_MATCH);
        let is_same =
            |known: &String| known == "*" || known.trim_matches('"') == etag.trim_matches('"');
        if known.is_empty() || known.iter().any(is_same) {
            Ok(())
        } else {
            Err(ApiError::PreconditionFailed)
        }
    }

    /// Requires `If-Match`, as the query API does, and checks it against an object's ETag.
    pub(crate) fn must_have_seen(&self, version: i64, etag: &str) -> Result<Option<i64>, ApiError> {
        if !self.has(&header::IF_MATCH) {
            return Err(ApiError::IfMatchRequired);
        }
        let known = self.etags(&header::IF_MATCH);
        if known.iter().any(|known| known.trim_matches('"').trim_end_matches("-html") == etag) {
            return Ok(Some(version));
        }
        if known.iter().any(|known| known == "*") {
            Ok(None)
        } else {
            Err(ApiError::PreconditionFailed)
        }
    }

    /// A list whose ETag is computed from its contents.
    pub(crate) fn listed(&self, document: &impl Serialize) -> Result<HttpResponse, ApiError> {
        let json = json(document)?;
        let etag = self.etag(&[&Digest::of(&json).short()]);
        if self.is_known(&etag) {
            return Ok(self.unchanged(&etag));
        }
        let body = self.formatted(json)?.into();
        Ok(self.typed(self.headed(StatusCode::OK, &etag), body))
    }

    /// An object in the query API, with the ETag that it contains.
    pub(crate) fn object(
        &self,
        status: StatusCode,
        etag: &str,
        location: Option<String>,
        document: &impl Serialize,
    ) -> Result<HttpResponse, ApiError> {
        // The page is a different representation of the object.
        let quoted = match self.format {
            Format::Json => format!("\"{etag}\""),
            Format::Html => format!("\"{etag}-html\""),
        };
        if status == StatusCode::OK && self.is_known(&quoted) {
            return Ok(self.unchanged(&quoted));
        }
        let mut response = self.headed(status, &quoted);
        if let Some(location) = location {
            response.insert_header((header::LOCATION, location));
        }
        Ok(self.typed(response, self.represented(document)?.into()))
    }

    /// 204 with the new ETag of an object.
    pub(crate) fn changed(&self, etag: &str) -> HttpResponse {
        self.headed(StatusCode::NO_CONTENT, &format!("\"{etag}\"")).finish()
    }

    /// Refuses `If-Match` if there is no resource to match.
    pub(crate) fn seen_nothing(&self) -> Result<(), ApiError> {
        if self.has(&header::IF_MATCH) { Err(ApiError::PreconditionFailed) } else { Ok(()) }
    }

    /// Whether the request has preconditions.
    pub(crate) fn has_preconditions(&self) -> bool {
        self.has(&header::IF_MATCH) || self.has(&header::IF_NONE_MATCH)
    }

    /// Refuses `If-None-Match: *` if the resource exists.
    pub(crate) fn expects_something(&self) -> Result<(), ApiError> {
        let nothing = self.etags(&header::IF_NONE_MATCH).iter().any(|etag| etag == "*");
        if nothing { Err(ApiError::PreconditionFailed) } else { Ok(()) }
    }

    fn headed(&self, status: StatusCode, etag: &str) -> HttpResponseBuilder {
        let mut response = HttpResponse::build(status);
        response.insert_header((header::ETAG, etag));
        response.insert_header((header::VARY, "Accept, Accept-Encoding, Authorization, Cookie"));
        // Clients may cache it, but must revalidate each time.
        response.insert_header((header::CACHE_CONTROL, "no-cache"));
        response
    }

    /// Not modified.
    pub(crate) fn unchanged(&self, etag: &str) -> HttpResponse {
        self.headed(StatusCode::NOT_MODIFIED, etag).finish()
    }

    /// An empty representation.
    pub(crate) fn empty(&self, etag: &str) -> HttpResponse {
        self.headed(StatusCode::OK, etag).finish()
    }

    /// A document with status 200.
    pub(crate) fn ok(
        &self,
        etag: &str,
        document: &impl Serialize,
    ) -> Result<HttpResponse, ApiError> {
        self.ok_about(etag, document, 1 << 10)
    }

    /// The same, of about this size in bytes.
    pub(crate) fn ok_about(
        &self,
        etag: &str,
        document: &impl Serialize,
        bytes: usize,
    ) -> Result<HttpResponse, ApiError> {
        let mut body = self.formatted(json_about(document, bytes)?)?;
        body.shrink_to_fit();
        let body = Bytes::from(body);
        if self.format == Format::Json {
            self.app.cache.keep_body(etag, &body);
        }
        Ok(self.typed(self.headed(StatusCode::OK, etag), body))
    }

    /// A document with status 200 and about this size, written while it is being read.
    pub(crate) fn streamed(
        &self,
        etag: &str,
        bytes: u64,
        pieces: impl Stream<Item = Result<Bytes, ApiError>> + 'static,
    ) -> HttpResponse {
        let mut response = self.headed(StatusCode::OK, etag);
        response.insert_header(ContentType::json());
        let deadline = self.body.deadline(bytes);
        let pieces = pieces.map(move |piece| {
            // The deadline ends with the last piece, or when the client disconnects.
            let _deadline = &deadline;
            piece.map_err(|error| {
                tracing::error!(error = %error.log(), "response aborted");
                actix_web::error::ErrorInternalServerError("response aborted")
            })
        });
        response.streaming(Box::pin(pieces))
    }

    /// A response in a fixed format, whatever the client prefers.
    pub(crate) fn other(
        &self,
        etag: &str,
        media_type: &'static str,
        body: impl Into<Bytes>,
    ) -> HttpResponse {
        self.headed(StatusCode::OK, etag)
            .insert_header((header::CONTENT_TYPE, media_type))
            // An image or text opened on its own may only be displayed.
            .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'"))
            .body(body.into())
    }

    /// A document with status 201 and the resource's `Location`.
    pub(crate) fn created(
        &self,
        etag: &str,
        document: &impl Serialize,
    ) -> Result<HttpResponse, ApiError> {
        let mut response = self.headed(StatusCode::CREATED, etag);
        response.insert_header((header::LOCATION, self.base.location(self.resource)));
        Ok(self.typed(response, self.represented(document)?.into()))
    }

    /// A document as JSON or as a page.
    fn represented(&self, document: &impl Serialize) -> Result<Vec<u8>, ApiError> {
        self.formatted(json(document)?)
    }

    fn formatted(&self, json: Vec<u8>) -> Result<Vec<u8>, ApiError> {
        match self.format {
            Format::Json => Ok(json),
            Format::Html => self.page(&json),
        }
    }

    /// Completes a response with a body and its headers.
    fn typed(&self, mut response: HttpResponseBuilder, body: Bytes) -> HttpResponse {
        match self.format {
            Format::Json => response.insert_header(ContentType::json()),
            Format::Html => {
                for (name, value) in PAGE_HEADERS {
                    response.insert_header((name, value));
                }
                response.insert_header(ContentType::html())
            }
        };
        if body.len() < COMPRESSED_FROM {
            response.insert_header((header::CONTENT_ENCODING, "identity"));
        }
        response.body(body)
    }

    /// The generic page of a document that has no page of its own.
    fn page(&self, json: &[u8]) -> Result<Vec<u8>, ApiError> {
        let path = self.base.location(self.resource);
        let text = String::from_utf8_lossy(json);
        written(&DocumentPage::new(self.site(), &path, &text))
    }

    /// The frame of pages for this client.
    pub(crate) fn site(&self) -> Site<'_> {
        let path = self.base.location(self.resource);
        Site {
            base: self.base,
            user: self.viewer().username().map(Username::as_str),
            is_administrator: self.viewer().is_administrator(),
            token: self.session.map(Session::token),
            here: format!("{path}{}", self.params.choice()),
            json: Some(format!("{path}{}", self.params.as_json())),
            version: &self.app.settings.version,
        }
    }

    /// A page whose ETag is known in advance.
    pub(crate) fn paged(&self, etag: &str, page: &impl Template) -> Result<HttpResponse, ApiError> {
        let body = Bytes::from(written(page)?);
        self.app.cache.keep_body(etag, &body);
        Ok(self.typed(self.headed(StatusCode::OK, etag), body))
    }

    /// A page whose ETag is computed from its contents.
    pub(crate) fn shown(&self, page: &impl Template) -> Result<HttpResponse, ApiError> {
        let html = written(page)?;
        let etag = self.etag(&[&Digest::of(&html).short()]);
        if self.is_known(&etag) {
            return Ok(self.unchanged(&etag));
        }
        Ok(self.typed(self.headed(StatusCode::OK, &etag), html.into()))
    }
}

fn written(page: &impl Template) -> Result<Vec<u8>, ApiError> {
    let html = devmason_pages::rendered(page);
    html.map(String::into_bytes).map_err(|error| ApiError::Unwritable(error.to_string()))
}

/// Security headers of every response: browsers must not guess its type or reveal its address to
/// others. If this server uses TLS itself, browsers must always use TLS.
pub(crate) fn secured<B>(mut response: ServiceResponse<B>, is_tls: bool) -> ServiceResponse<B> {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    if is_tls {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

/// `Content-Encoding: identity` tells the compression middleware to skip a short body; clients
/// should not see it (RFC 9110, 8.4.1).
pub(crate) fn without_identity<B>(mut response: ServiceResponse<B>) -> ServiceResponse<B> {
    let headers = response.headers_mut();
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding == "identity") {
        headers.remove(header::CONTENT_ENCODING);
    }
    response
}

/// 204, with `Location` if there is another resource to look at.
pub(crate) fn no_content(location: Option<String>) -> HttpResponse {
    let mut response = HttpResponse::NoContent();
    if let Some(location) = location {
        response.insert_header((header::LOCATION, location));
    }
    response.finish()
}

/// A response without a body that leads to another resource.
pub(crate) fn leading(status: StatusCode, location: String) -> HttpResponse {
    HttpResponse::build(status).insert_header((header::LOCATION, location)).finish()
}
