//! Responses: documents, and errors with their causes.

use serde_json::Value;

use super::hidden::{chain, without_credentials};
use crate::document::Document;
use crate::error::{Error, Result};

/// The maximum size of a response, in bytes.
const MAX_ANSWER: usize = 256 << 20;

/// A successful response.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `Location` header as received.
    pub location: Option<String>,
    /// The `ETag` header as received.
    pub etag: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The document in the body.
    ///
    /// # Errors
    /// The body is not a document.
    pub fn document(&self) -> Result<Document> {
        serde_json::from_slice(&self.body)
            .map(Document)
            .map_err(|error| Error::Garbage(format!("the body is not JSON: {error}")))
    }

    pub(super) fn has_location(self) -> Result<Self> {
        if self.location.is_some() {
            Ok(self)
        } else {
            Err(Error::Garbage(format!("status {} without a Location header", self.status)))
        }
    }
}

/// Reads a response to its end, up to a limit.
pub(super) async fn read(mut response: reqwest::Response) -> std::result::Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| chain(&error))? {
        if body.len() + piece.len() > MAX_ANSWER {
            return Err(format!("the response exceeds {MAX_ANSWER} bytes"));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

pub(super) fn message(body: &[u8], status: u16) -> String {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    match document.get("message").and_then(Value::as_str) {
        Some(message) => message.to_owned(),
        None => format!("status {status}"),
    }
}

/// The error for an unsuccessful status. Our servers explain it in a document with a message.
pub(super) fn refused(status: u16, body: &[u8], location: Option<&str>) -> Error {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let is_ours = document.get("status_code").is_some();
    match (status, location) {
        (400..=499, _) if is_ours => Error::Refused {
            status,
            message: message(body, status),
            payload: document.get("payload").cloned().unwrap_or_default(),
        },
        // A proxy's limit on bodies is lower than the server's: retries will not help.
        (413, _) => Error::Refused {
            status,
            message: "the report exceeds the size limit of a proxy in front of the server"
                .to_owned(),
            payload: Value::Null,
        },
        // It may redirect to a sign-in page for a while; treating it as temporary loses nothing.
        (300..=399, Some(to)) => Error::Garbage(format!(
            "redirect to {}; if the server has moved, update its URL in the settings",
            without_credentials(to)
        )),
        // A proxy that requires its own credentials, or a "not found" page.
        _ => Error::Garbage(format!("status {status} without a devmason error document")),
    }
}
