//! Requests to send.

use std::path::PathBuf;

use reqwest::Method;

use crate::error::{Error, Result};

/// The body of a request.
#[derive(Debug, Clone)]
pub enum Body {
    /// Bytes in memory.
    Bytes(Vec<u8>),
    /// A file, read while it is sent.
    File(PathBuf),
}

/// A body with its media type.
#[derive(Debug, Clone)]
pub struct Content {
    /// Its media type.
    pub media_type: String,
    /// The body.
    pub body: Body,
}

impl Content {
    /// A JSON document.
    pub fn json(document: &impl serde::Serialize) -> Result<Self> {
        let body =
            serde_json::to_vec(document).map_err(|error| Error::Invalid(error.to_string()))?;
        Ok(Self { media_type: "application/json".to_owned(), body: Body::Bytes(body) })
    }
}

/// A request. It may be sent several times, so repeating it must have no further effect: a POST
/// needs a key.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// A path within the server, with its query, or a full URL.
    pub target: String,
    /// The `Idempotency-Key`.
    pub key: Option<String>,
    /// The bytes of a log before the piece in the body: sent with `Upload-Offset`.
    pub offset: Option<u64>,
    /// The content.
    pub content: Option<Content>,
    /// Whether it may only create a resource: sent with `If-None-Match: *`.
    pub only_new: bool,
    /// The ETag of what the client has: sent with `If-None-Match`, and answered with 304.
    pub unless: Option<String>,
}

impl Outgoing {
    /// A request without a body.
    pub fn new(method: Method, target: impl Into<String>) -> Self {
        Self {
            method,
            target: target.into(),
            key: None,
            offset: None,
            content: None,
            only_new: false,
            unless: None,
        }
    }

    /// The same with a body; a POST gets a new key.
    pub fn with(mut self, content: Content) -> Self {
        if self.method == Method::POST && self.key.is_none() {
            self.key = Some(uuid::Uuid::new_v4().to_string());
        }
        self.content = Some(content);
        self
    }
}
