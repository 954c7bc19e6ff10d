//! Every error that a client can get, in one table.

use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder};
use devmason_domain::query::QueryError;
use devmason_domain::{Receipt, Refusal};
use devmason_hypermedia::document::ErrorDocument;
use devmason_hypermedia::{DocumentError, Method, PathError};
use devmason_pages::{ProblemPage, SignIn, Site, Template};
use devmason_repository::Error as StoreError;
use serde_json::{Value, json};

use crate::params::Params;
use crate::respond::PAGE_HEADERS;

/// Why a request was not done.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// Nothing is there.
    NotFound(&'static str),
    /// A name in the path of a PUT is malformed.
    BadPath(String),
    /// The document in the body was refused.
    Document(DocumentError),
    /// `where`, `query`, `sort` or `embed` was refused.
    Query(QueryError),
    /// A parameter or header has a value that it cannot have.
    BadValue { name: &'static str, problem: String },
    /// The report file in the body was refused; what was seen of it is in the receipt.
    Report { problem: String, line: Option<u64>, receipt: Box<Receipt> },
    /// None of the files in the body is a report.
    NoReport,
    /// The body is no report of a format that is parsed: what it is, and which those are.
    NotAReport { problem: String },
    /// The body is of a type that is not understood.
    UnsupportedType,
    /// The body is compressed in a way that is not understood.
    UnsupportedCoding,
    /// The client paused too long in the middle of the body.
    TooSlow,
    /// The body is too long.
    TooLarge { limit: usize },
    /// The policy says no.
    Refused(Refusal),
    /// The credentials are wrong or no credentials at all.
    BadCredentials(&'static str),
    /// A form that is not from a page of the session that it came with.
    ForeignForm,
    /// A browser says that a page of another site sends this.
    CrossSite,
    /// The request is meant for a host that this server is not.
    ForeignHost,
    /// The client watches as much as it may already, or all clients together do.
    TooManyWatchers,
    /// A report has more than one may have: what, and how many.
    TooMuch { problem: String },
    /// Too many wrong passwords came from there, or for that user.
    TooManyFailures,
    /// The resource doesn't have the method.
    MethodNotAllowed(Vec<Method>),
    /// A build that is not in progress.
    NotInProgress,
    /// Something else is there already.
    Conflict(&'static str),
    /// Something was made or removed between two looks at it; the request is to be tried again.
    Raced,
    /// The query face changes nothing without If-Match.
    IfMatchRequired,
    /// A name fits several components.
    Ambiguous(Vec<uuid::Uuid>),
    /// If-Match names another version.
    PreconditionFailed,
    /// An Idempotency-Key came with another body before.
    KeyReused,
    /// Too much is waiting to be stored, or to be verified.
    Overloaded,
    /// The store failed.
    Store(Arc<StoreError>),
    /// The store would fail, for this reason.
    NotReady(Arc<StoreError>),
    /// A worker was stopped in the middle.
    Interrupted,
    /// A document could not be written.
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
    /// What a path that leads nowhere means for a request.
    pub(crate) fn of_path(error: PathError, is_put: bool) -> Self {
        match error {
            PathError::Malformed(problem) if is_put => Self::BadPath(problem),
            PathError::Malformed(_) | PathError::NotFound => {
                Self::NotFound("there is nothing here")
            }
        }
    }

    /// Whether it tells somebody who may not read what is there and what is not.
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

    /// Status, message and payload: the whole table.
    fn parts(&self) -> (StatusCode, String, Value) {
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
                let problem = format!(
                    "none of the files in the body is a report of a format that is parsed: {formats}"
                );
                plain(S::UNSUPPORTED_MEDIA_TYPE, &problem)
            }
            Self::NotAReport { problem } => plain(S::UNSUPPORTED_MEDIA_TYPE, problem),
            Self::UnsupportedType => plain(
                S::UNSUPPORTED_MEDIA_TYPE,
                "the body must be application/json, or where builds are reported a report file",
            ),
            Self::UnsupportedCoding => {
                plain(S::UNSUPPORTED_MEDIA_TYPE, "a compressed body must be gzip or zstd")
            }
            Self::TooSlow => plain(S::REQUEST_TIMEOUT, "the body did not arrive in time"),
            Self::TooLarge { limit } => (
                S::PAYLOAD_TOO_LARGE,
                format!("the body is longer than {limit} bytes"),
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
            Self::ForeignForm => plain(
                S::FORBIDDEN,
                "this form is of another session, or of none; load its page again",
            ),
            Self::CrossSite => plain(S::FORBIDDEN, "a page of another site may not send this"),
            Self::ForeignHost => {
                plain(S::MISDIRECTED_REQUEST, "this server does not answer to this host")
            }
            Self::TooManyWatchers => {
                plain(S::SERVICE_UNAVAILABLE, "too many builds are being watched; try again later")
            }
            Self::TooMuch { problem } => plain(S::PAYLOAD_TOO_LARGE, problem),
            Self::TooManyFailures => {
                plain(S::TOO_MANY_REQUESTS, "too many wrong passwords; try again in a minute")
            }
            Self::MethodNotAllowed(_) => {
                plain(S::METHOD_NOT_ALLOWED, "the resource doesn't have this method")
            }
            Self::NotInProgress => plain(S::GONE, "the build is finished"),
            Self::Conflict(what) => plain(S::CONFLICT, what),
            Self::Raced => plain(S::CONFLICT, "another request is just doing the same; try again"),
            Self::IfMatchRequired => {
                plain(S::PRECONDITION_FAILED, "'If-match' header must be provided")
            }
            Self::Ambiguous(ids) => {
                (S::CONFLICT, "the name fits several components".to_owned(), json!({"ids": ids}))
            }
            Self::PreconditionFailed => plain(
                S::PRECONDITION_FAILED,
                "the resource is not as 'If-Match' or 'If-None-Match' expects it",
            ),
            Self::KeyReused => {
                plain(S::UNPROCESSABLE_ENTITY, "this Idempotency-Key came with another body before")
            }
            Self::Overloaded => plain(S::SERVICE_UNAVAILABLE, "too much to do at once; try again"),
            Self::Store(error) => match **error {
                StoreError::Unavailable(_) => {
                    plain(S::SERVICE_UNAVAILABLE, "the database cannot be reached; try again")
                }
                StoreError::Busy(_) => {
                    plain(S::SERVICE_UNAVAILABLE, "the database is busy; try again")
                }
                StoreError::Locked(_) => plain(
                    S::SERVICE_UNAVAILABLE,
                    "somebody else holds a lock in the database; try again",
                ),
                StoreError::ReadOnly(_) => plain(
                    S::SERVICE_UNAVAILABLE,
                    "the database takes no writes just now; try again",
                ),
                StoreError::Removed(_) => plain(
                    S::SERVICE_UNAVAILABLE,
                    "the database's file was removed or replaced; the server must be started again",
                ),
                StoreError::TooLong(_) => plain(
                    S::SERVICE_UNAVAILABLE,
                    "the query took too long; narrow it, best by project, id, user, tags or components",
                ),
                StoreError::Unfit(_) => plain(
                    S::BAD_REQUEST,
                    "a text in the request is none that the database takes, as one with NUL",
                ),
                StoreError::Full(_) => {
                    plain(S::SERVICE_UNAVAILABLE, "the database has no space left")
                }
                StoreError::Corrupt(_) | StoreError::Backend(_) | StoreError::Url(_) => plain(
                    S::INTERNAL_SERVER_ERROR,
                    "the server failed to do this; its log says why",
                ),
            },
            Self::NotReady(error) => plain(S::SERVICE_UNAVAILABLE, &error.to_string()),
            Self::Interrupted | Self::Unwritable(_) => {
                plain(S::INTERNAL_SERVER_ERROR, "the server failed to do this; its log says why")
            }
        }
    }

    /// What the log says of it, which a client never sees.
    pub(crate) fn log(&self) -> String {
        match self {
            Self::Store(error) | Self::NotReady(error) => error.chain(),
            Self::Unwritable(problem) => problem.clone(),
            _ => self.parts().1,
        }
    }

    /// The same as a page.
    pub(crate) fn page(&self, site: Site<'_>) -> HttpResponse {
        let (status, message, _) = self.parts();
        let reason = status.canonical_reason().unwrap_or_default();
        self.paged(&ProblemPage { site, status: status.as_u16(), reason, message: &message })
    }

    /// The same as the form to sign in with, as it was filled in.
    pub(crate) fn sign_in(&self, site: Site<'_>, fields: &Params) -> HttpResponse {
        let [next, username] =
            ["next", "username"].map(|name| fields.first(name).unwrap_or_default());
        self.paged(&SignIn { site, next, username, problem: &self.parts().1 })
    }

    fn paged(&self, page: &impl Template) -> HttpResponse {
        let Ok(html) = devmason_pages::rendered(page) else { return self.response() };
        let status = self.parts().0;
        let mut response = self.headed(status);
        if status == StatusCode::UNAUTHORIZED {
            // A browser that was told of Basic would ask by itself, and never show the page with the form.
            response.insert_header((header::WWW_AUTHENTICATE, "Session realm=\"devmason\""));
        }
        for (name, value) in PAGE_HEADERS {
            response.insert_header((name, value));
        }
        response.insert_header(header::ContentType::html()).body(html)
    }

    /// The answer to the client, in the one shape that errors have.
    pub(crate) fn response(&self) -> HttpResponse {
        let (status, message, payload) = self.parts();
        let (message, status_code) = (message.as_str(), status.as_u16());
        self.headed(status).json(ErrorDocument { message, payload, status_code })
    }

    fn headed(&self, status: StatusCode) -> HttpResponseBuilder {
        let mut response = HttpResponse::build(status);
        match status {
            StatusCode::UNAUTHORIZED => {
                response.insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"devmason\""));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                response.insert_header((header::RETRY_AFTER, "1"));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                response.insert_header((header::RETRY_AFTER, "60"));
            }
            _ => {}
        }
        if let Self::MethodNotAllowed(methods) = self {
            response.insert_header((header::ALLOW, crate::respond::allow(methods)));
        }
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        response
    }
}
