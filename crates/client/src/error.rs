//! Errors between a client and a server.

use serde_json::Value;

/// Why a request failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No attempt got a response: the server or the network is down, or it hangs.
    #[error("{server} is unreachable: {problem}")]
    Unreachable {
        /// The server.
        server: String,
        /// The error of the last attempt.
        problem: String,
    },
    /// Every attempt got a temporary error from the server.
    #[error("the server is temporarily unavailable ({status}): {message}")]
    Failed {
        /// The HTTP status: 408, 425, 429 or 5xx.
        status: u16,
        /// The server's message.
        message: String,
    },
    /// A response that no devmason server gives to this request: from a proxy, or truncated.
    #[error("not a response from a devmason server: {0}")]
    Garbage(String),
    /// The server refused the request.
    #[error("the server refused the request ({status}): {message}")]
    Refused {
        /// The HTTP status: 4xx.
        status: u16,
        /// The server's message, which names the problem.
        message: String,
        /// Further details; for a report file, its receipt.
        payload: Value,
    },
    /// The request is invalid.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// Whether the same request may succeed later without any change.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Failed { .. } | Self::Garbage(_))
    }

    /// Whether any other request would currently fail as well: the server is unreachable or overloaded.
    pub fn is_of_server(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Failed { status: 429 | 503, .. })
    }

    /// Whether the same request may succeed once a project, a user or a password is corrected.
    pub fn is_of_access(&self) -> bool {
        matches!(self, Self::Refused { status: 401 | 403 | 404, .. })
    }

    /// The HTTP status, if the server refused.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Failed { status, .. } | Self::Refused { status, .. } => Some(*status),
            Self::Unreachable { .. } | Self::Garbage(_) | Self::Invalid(_) => None,
        }
    }
}

/// The result of a client operation.
pub type Result<T> = std::result::Result<T, Error>;
