//! The table of all errors that clients can get.

use std::sync::Arc;

use actix_web::http::StatusCode;
use devmason_domain::query::QueryError;
use devmason_domain::{Receipt, Refusal};
use devmason_hypermedia::{DocumentError, Method, PathError};
use devmason_repository::Error as StoreError;
use serde_json::{Value, json};

/// Why a request failed.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// Not found.
    NotFound(&'static str),
    /// A name in the path of a PUT is malformed.
    BadPath(String),
    /// A piece does not fit at the end of its log, which has so many bytes.
    LogElsewhere(u64, &'static str),
    /// The step has ended.
    StepEnded,
    /// The log has no such bytes; it has so many.
    NoSuchBytes(u64),
    /// The document in the body was refused.
    Document(DocumentError),
    /// `where`, `query`, `sort` or `embed` was refused.
    Query(QueryError),
    /// A parameter or header has an invalid value.
    BadValue { name: &'static str, problem: String },
    /// The report file in the body was refused; the receipt says what was recognized.
    Report { problem: String, line: Option<u64>, receipt: Box<Receipt> },
    /// No file in the body is a report.
    NoReport,
    /// The body isn't a report in a supported format; the problem says what it is and lists those
    /// formats.
    NotAReport { problem: String },
    /// The body's media type is not supported.
    UnsupportedType,
    /// The body's content coding is not supported.
    UnsupportedCoding,
    /// The client paused too long in the middle of the body.
    TooSlow,
    /// The body is too long.
    TooLarge { limit: usize },
    /// The policy refuses the operation.
    Refused(Refusal),
    /// The credentials are wrong or malformed.
    BadCredentials(&'static str),
    /// A form that isn't from a page of its session.
    ForeignForm,
    /// A form of a session that has ended, and what to do about it.
    OldForm(&'static str),
    /// The browser says that the request comes from a page of another site.
    CrossSite,
    /// The request is for a host that this server doesn't serve.
    ForeignHost,
    /// The client, or all clients together, watch as many builds as allowed.
    TooManyWatchers,
    /// A report exceeds a limit; the problem names it.
    TooMuch { problem: String },
    /// Too many wrong passwords from this address or for this user.
    TooManyFailures,
    /// The resource doesn't have the method.
    MethodNotAllowed(Vec<Method>),
    /// The build is not in progress.
    NotInProgress,
    /// Something else already exists there.
    Conflict(&'static str),
    /// Something was created or removed between two checks; retry the request.
    Raced,
    /// The query API requires `If-Match` for changes.
    IfMatchRequired,
    /// A name matches several components.
    Ambiguous(Vec<uuid::Uuid>),
    /// `If-Match` names another version.
    PreconditionFailed,
    /// The `Idempotency-Key` was used before with a different body.
    KeyReused,
    /// Too much is waiting to be stored or verified.
    Overloaded,
    /// The store failed.
    Store(Arc<StoreError>),
    /// The store isn't ready, for this reason.
    NotReady(Arc<StoreError>),
    /// A worker was interrupted.
    Interrupted,
    /// A document could not be serialized.
    Unwritable(String),
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<DocumentError> for ApiError {
    fn from(error: DocumentError) -> Self {
        Self::Document(error)
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

impl ApiError {
    /// The error for a request whose path matches no resource.
    pub(crate) fn of_path(error: PathError, is_put: bool) -> Self {
        match error {
            PathError::Malformed(problem) if is_put => Self::BadPath(problem),
            PathError::Malformed(_) | PathError::NotFound => Self::NotFound("not found"),
        }
    }

    /// Whether the error reveals what exists to someone who may not read.
    pub(crate) fn tells_what_is_there(&self) -> bool {
        matches!(
            self,
            Self::NotFound(_)
                | Self::MethodNotAllowed(_)
                | Self::Refused(_)
                | Self::IfMatchRequired
                | Self::PreconditionFailed
                | Self::Ambiguous(_)
        )
    }

    /// The table: status, message and payload.
    pub(crate) fn parts(&self) -> (StatusCode, String, Value) {
        use StatusCode as S;
        let plain = |status, message: &str| (status, message.to_owned(), json!({}));
        match self {
            Self::NotFound(what) => plain(S::NOT_FOUND, what),
            Self::BadPath(problem) => plain(S::BAD_REQUEST, problem),
            Self::Document(error) => {
                (S::BAD_REQUEST, error.to_string(), json!({"field": error.field}))
            }
            Self::Query(error @ QueryError::UnknownKey { parameter, valid, .. }) => (
                S::BAD_REQUEST,
                error.to_string(),
                json!({format!("Valid {parameter} keys"): valid}),
            ),
            Self::Query(error @ QueryError::Malformed { parameter, .. }) => {
                (S::BAD_REQUEST, error.to_string(), json!({"field": parameter}))
            }
            Self::BadValue { name, problem } => {
                (S::BAD_REQUEST, format!("{name}: {problem}"), json!({"field": name}))
            }
            Self::Report { problem, line, receipt } => {
                let mut payload = json!(receipt);
                payload["line"] = json!(line);
                payload["field"] = json!("body");
                (S::BAD_REQUEST, problem.clone(), payload)
            }
            Self::NoReport => {
                let formats = devmason_reports::Format::words();
                let problem =
                    format!("no file in the body is in a supported report format: {formats}");
                plain(S::UNSUPPORTED_MEDIA_TYPE, &problem)
            }
            Self::NotAReport { problem } => plain(S::UNSUPPORTED_MEDIA_TYPE, problem),
            Self::UnsupportedType => plain(
                S::UNSUPPORTED_MEDIA_TYPE,
                "unsupported media type: the body must be application/json, or a report file when reporting a build",
            ),
            Self::UnsupportedCoding => {
                plain(S::UNSUPPORTED_MEDIA_TYPE, "unsupported Content-Encoding: use gzip or zstd")
            }
            Self::TooSlow => plain(S::REQUEST_TIMEOUT, "timed out waiting for the request body"),
            Self::TooLarge { limit } => (
                S::PAYLOAD_TOO_LARGE,
                format!("the body exceeds the limit of {limit} bytes"),
                json!({"limit": limit}),
            ),
            Self::Refused(refusal) => {
                let status = match refusal {
                    Refusal::CredentialsRequired => S::UNAUTHORIZED,
                    Refusal::NotPermitted => S::FORBIDDEN,
                };
                plain(status, &refusal.to_string())
            }
            Self::BadCredentials(problem) => plain(S::UNAUTHORIZED, problem),
            Self::ForeignForm => plain(S::FORBIDDEN, "this form has expired; reload the page"),
            Self::OldForm(what) => plain(S::FORBIDDEN, what),
            Self::CrossSite => plain(S::FORBIDDEN, "cross-site requests are not allowed"),
            Self::ForeignHost => {
                plain(S::MISDIRECTED_REQUEST, "this server does not serve this host name")
            }
            Self::TooManyWatchers => {
                plain(S::SERVICE_UNAVAILABLE, "too many clients are following builds; retry later")
            }
            Self::TooMuch { problem } => plain(S::PAYLOAD_TOO_LARGE, problem),
            Self::TooManyFailures => {
                plain(S::TOO_MANY_REQUESTS, "too many wrong passwords; retry in a minute")
            }
            Self::MethodNotAllowed(_) => {
                plain(S::METHOD_NOT_ALLOWED, "this resource does not support this method")
            }
            Self::LogElsewhere(end, problem) => {
                (S::CONFLICT, (*problem).to_owned(), json!({"upload_offset": end}))
            }
            Self::StepEnded => plain(S::GONE, "the step has ended; its log is complete"),
            Self::NoSuchBytes(length) => {
                plain(S::RANGE_NOT_SATISFIABLE, &format!("the log has {length} bytes"))
            }
            Self::NotInProgress => plain(S::GONE, "the build is already finished"),
            Self::Conflict(what) => plain(S::CONFLICT, what),
            Self::Raced => {
                plain(S::CONFLICT, "a concurrent request is changing the same resource; retry")
            }
            Self::IfMatchRequired => {
                plain(S::PRECONDITION_FAILED, "'If-match' header must be provided")
            }
            Self::Ambiguous(ids) => (
                S::CONFLICT,
                "the name matches several components; use one of the ids".to_owned(),
                json!({"ids": ids}),
            ),
            Self::PreconditionFailed => plain(
                S::PRECONDITION_FAILED,
                "the condition in 'If-Match' or 'If-None-Match' is not met; fetch the resource and retry",
            ),
            Self::KeyReused => plain(
                S::UNPROCESSABLE_ENTITY,
                "this Idempotency-Key was already used with a different body",
            ),
            Self::Overloaded => plain(S::SERVICE_UNAVAILABLE, "the server is overloaded; retry"),
            Self::Store(error) => match **error {
                StoreError::Unavailable(_) => {
                    plain(S::SERVICE_UNAVAILABLE, "the database is unreachable; retry")
                }
                StoreError::Busy(_) => plain(S::SERVICE_UNAVAILABLE, "the database is busy; retry"),
                StoreError::Locked(_) => {
                    plain(S::SERVICE_UNAVAILABLE, "another client holds a database lock; retry")
                }
                StoreError::ReadOnly(_) => {
                    plain(S::SERVICE_UNAVAILABLE, "the database is currently read-only; retry")
                }
                StoreError::Removed(_) => plain(
                    S::SERVICE_UNAVAILABLE,
                    "the database file was removed or replaced; restart the server",
                ),
                StoreError::TooLong(_) => plain(
                    S::SERVICE_UNAVAILABLE,
                    "the query took too long; narrow it, ideally by project, id, user, tags or components",
                ),
                StoreError::Unfit(_) => plain(
                    S::BAD_REQUEST,
                    "the request contains text that the database cannot store, such as a NUL character",
                ),
                StoreError::Full(_) => {
                    plain(S::SERVICE_UNAVAILABLE, "the database is out of disk space")
                }
                StoreError::Corrupt(_) | StoreError::Backend(_) | StoreError::Url(_) => {
                    plain(S::INTERNAL_SERVER_ERROR, "internal error; see the server log")
                }
            },
            Self::NotReady(error) => plain(S::SERVICE_UNAVAILABLE, &error.to_string()),
            Self::Interrupted | Self::Unwritable(_) => {
                plain(S::INTERNAL_SERVER_ERROR, "internal error; see the server log")
            }
        }
    }

    /// The text for the log, which clients never see.
    pub(crate) fn log(&self) -> String {
        match self {
            Self::Store(error) | Self::NotReady(error) => error.chain(),
            Self::Unwritable(problem) => problem.clone(),
            _ => self.parts().1,
        }
    }
}
