//! What can go wrong between a client and a server.

use serde_json::Value;

/// Why something was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No answer came, on no try: the server is away, or the network, or it hangs.
    #[error("{server} does not answer: {problem}")]
    Unreachable {
        /// The server.
        server: String,
        /// What happened on the last try.
        problem: String,
    },
    /// The server answered that it can't just now, on every try.
    #[error("the server cannot just now ({status}): {message}")]
    Failed {
        /// The HTTP status: 408, 425, 429 or 5xx.
        status: u16,
        /// The server's message.
        message: String,
    },
    /// An answer that no devmason server gives to this request: a proxy's, or one that was cut off.
    #[error("this is no answer of a devmason server: {0}")]
    Garbage(String),
    /// The server will not do it.
    #[error("the server refuses ({status}): {message}")]
    Refused {
        /// The HTTP status: 4xx.
        status: u16,
        /// The server's message, which names what is wrong.
        message: String,
        /// What else it says: of a report file, its receipt.
        payload: Value,
    },
    /// What was asked for cannot be asked for.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// Whether the same request may succeed later without anybody changing it.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Failed { .. } | Self::Garbage(_))
    }

    /// Whether any other request would fail as well for now: nobody answers, or asks for patience.
    pub fn is_of_server(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Failed { status: 429 | 503, .. })
    }

    /// Whether the same request may succeed once a project, a user or a password is set right.
    pub fn is_of_access(&self) -> bool {
        matches!(self, Self::Refused { status: 401 | 403 | 404, .. })
    }

    /// The HTTP status, where the server refused.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Failed { status, .. } | Self::Refused { status, .. } => Some(*status),
            Self::Unreachable { .. } | Self::Garbage(_) | Self::Invalid(_) => None,
        }
    }
}

/// What a client gives.
pub type Result<T> = std::result::Result<T, Error>;
