//! Requests with retries.

mod answer;
mod hidden;
mod outgoing;

use std::fmt;
use std::time::Duration;

use devmason_domain::{BuildKey, Slug};
use devmason_hypermedia::Resource;
use reqwest::header;
use serde_json::json;

use crate::document::{Document, Report, Step};
use crate::error::{Error, Result};
pub use answer::Answer;
use answer::{message, read, refused};
use hidden::{chain, without_credentials};
pub use outgoing::{Body, Content, Outgoing};
pub use reqwest::Method;

/// A username and password.
#[derive(Clone)]
pub struct Credentials {
    /// The username. If it is empty, the password is a key, which is sent as `Bearer`.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Retries of requests that got no response, or one that asks to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The maximum number of attempts.
    pub tries: u32,
    /// The pause after the first attempt. It doubles each time, with a jitter of one half.
    pub first: Duration,
    /// The longest pause, even if the server asks for more.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { tries: 4, first: Duration::from_millis(250), longest: Duration::from_secs(10) }
    }
}

impl Retry {
    /// A single attempt.
    pub const NONE: Self = Self { tries: 1, first: Duration::ZERO, longest: Duration::ZERO };
}

/// A connection to a server, for one user.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    /// The server's URL, without a trailing slash.
    server: String,
    credentials: Option<Credentials>,
    retry: Retry,
    /// Whether the server may be of another kind.
    is_foreign: bool,
}

/// The maximum time of a request, from its start to the end of the response.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The timeout for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum number of redirects.
const REDIRECTS: usize = 5;

impl Client {
    /// A client of the server at that URL, including a path prefix if it has one.
    ///
    /// # Errors
    /// It is not an http or https URL.
    pub fn new(server: &str, credentials: Option<Credentials>) -> Result<Self> {
        let shown = without_credentials(server);
        let url = reqwest::Url::parse(server)
            .map_err(|error| Error::Invalid(format!("server: invalid URL '{shown}': {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(Error::Invalid(format!("server: '{shown}' is not an http or https URL")));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let problem =
                "server: the URL must not contain credentials; use the user and password settings";
            return Err(Error::Invalid(problem.to_owned()));
        }
        // If the embedding program installed another provider, that one is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("devmason-client/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::Invalid(format!("cannot create the HTTP client: {error}")))?;
        let server = server.trim_end_matches('/').to_owned();
        Ok(Self { http, server, credentials, retry: Retry::default(), is_foreign: false })
    }

    /// The same with different retry settings.
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The same for a server of another kind: what it refuses is refused, although it does not say so in
    /// a document of ours.
    #[must_use]
    pub fn of_another_kind(mut self) -> Self {
        self.is_foreign = true;
        self
    }

    /// The server's URL, without a trailing slash.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The username, unless the client is anonymous.
    pub fn user(&self) -> Option<&str> {
        self.credentials.as_ref().map(|credentials| credentials.user.as_str())
    }

    fn url(&self, target: &str) -> Result<reqwest::Url> {
        let full = if target.starts_with('/') {
            format!("{}{target}", self.server)
        } else {
            target.to_owned()
        };
        reqwest::Url::parse(&full)
            .map_err(|error| Error::Invalid(format!("invalid URL '{full}': {error}")))
    }

    /// Whether a URL belongs to this server, so that credentials may be sent.
    fn is_own(&self, url: &reqwest::Url) -> bool {
        reqwest::Url::parse(&self.server).is_ok_and(|own| own.origin() == url.origin())
    }

    /// Sends a request, with retries if there is no response.
    ///
    /// # Errors
    /// The last attempt's.
    pub async fn send(&self, outgoing: &Outgoing) -> Result<Answer> {
        let mut pause = self.retry.first;
        for last in (1..=self.retry.tries.max(1)).map(|nth| nth >= self.retry.tries.max(1)) {
            let (error, asked) = match self.try_once(outgoing).await {
                Ok(answer) => return Ok(answer),
                Err(refused) => refused,
            };
            if last || !error.is_temporary() {
                return Err(error);
            }
            let varied = pause.mul_f64(0.5 + rand::random::<f64>());
            let wait = asked.map_or(varied, |asked| asked.max(varied)).min(self.retry.longest);
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(self.retry.longest);
        }
        // The last attempt has always returned.
        Err(Error::Invalid("no attempt was made".to_owned()))
    }

    /// One attempt; an error includes how long the server asks to wait.
    async fn try_once(
        &self,
        outgoing: &Outgoing,
    ) -> std::result::Result<Answer, (Error, Option<Duration>)> {
        let mut url = self.url(&outgoing.target).map_err(|error| (error, None))?;
        for _ in 0..=REDIRECTS {
            let response =
                self.request(outgoing, url.clone()).await.map_err(|error| (error, None))?;
            let status = response.status().as_u16();
            let text = |name: header::HeaderName| {
                Some(response.headers().get(name)?.to_str().ok()?.to_owned())
            };
            let location = text(header::LOCATION);
            let etag = text(header::ETAG);
            let asked = text(header::RETRY_AFTER)
                .and_then(|seconds| seconds.trim().parse().ok())
                .map(Duration::from_secs);
            if outgoing.method == Method::GET && (300..400).contains(&status) && status != 304 {
                let to = location.as_deref().and_then(|to| url.join(to).ok());
                url = to.ok_or_else(|| {
                    (Error::Garbage("redirect without a valid target".to_owned()), None)
                })?;
                continue;
            }
            let body = read(response).await.map_err(|problem| (self.unreachable(problem), None))?;
            return match status {
                200..=299 => Ok(Answer { status, location, etag, body }),
                304 if outgoing.unless.is_some() => Ok(Answer { status, location, etag, body }),
                408 | 425 | 429 | 500..=599 => {
                    Err((Error::Failed { status, message: message(&body, status) }, asked))
                }
                400..=499 if self.is_foreign => {
                    let message = message(&body, status);
                    Err((
                        Error::Refused { status, message, payload: serde_json::Value::Null },
                        None,
                    ))
                }
                _ => Err((refused(status, &body, location.as_deref()), None)),
            };
        }
        Err((Error::Garbage("too many redirects".to_owned()), None))
    }

    async fn request(&self, outgoing: &Outgoing, url: reqwest::Url) -> Result<reqwest::Response> {
        let is_own = self.is_own(&url);
        let mut request = self
            .http
            .request(outgoing.method.clone(), url)
            .header(header::ACCEPT, "application/json");
        if let Some(Credentials { user, password }) = self.credentials.as_ref().filter(|_| is_own) {
            request = match user.as_str() {
                "" => request.bearer_auth(password),
                user => request.basic_auth(user, Some(password)),
            };
        }
        if let Some(key) = &outgoing.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(offset) = outgoing.offset {
            request = request.header("Upload-Offset", offset);
        }
        if outgoing.only_new {
            request = request.header(header::IF_NONE_MATCH, "*");
        } else if let Some(etag) = &outgoing.unless {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        if let Some(Content { media_type, body }) = &outgoing.content {
            request = request.header(header::CONTENT_TYPE, media_type);
            request = match body {
                Body::Bytes(bytes) => request.body(bytes.clone()),
                Body::File(path) => {
                    let file = tokio::fs::File::open(path)
                        .await
                        .map_err(|error| Error::Invalid(format!("{}: {error}", path.display())))?;
                    request.body(file)
                }
            };
        }
        request.send().await.map_err(|error| self.unreachable(chain(&error)))
    }

    fn unreachable(&self, problem: String) -> Error {
        Error::Unreachable { server: self.server.clone(), problem }
    }

    /// Reads a document from a path of the server or a link.
    ///
    /// # Errors
    /// It was not found, or may not be read.
    pub async fn get(&self, target: &str) -> Result<Document> {
        self.send(&Outgoing::new(Method::GET, target)).await?.document()
    }

    /// Reads a document and its ETag, unless it is still the one with this ETag: then `None`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn get_unless(
        &self,
        target: &str,
        etag: Option<&str>,
    ) -> Result<Option<(Document, Option<String>)>> {
        let unless = etag.map(str::to_owned);
        let answer = self.send(&Outgoing { unless, ..Outgoing::new(Method::GET, target) }).await?;
        match answer.status {
            304 => Ok(None),
            _ => Ok(Some((answer.document()?, answer.etag))),
        }
    }

    /// Follows a document's link.
    ///
    /// # Errors
    /// The document has no such link; otherwise as [`Self::get`].
    pub async fn follow(&self, document: &Document, rel: &str) -> Result<Document> {
        let href = document
            .link(rel)
            .ok_or_else(|| Error::Garbage(format!("the document has no link '{rel}'")))?;
        self.get(&href).await
    }

    /// Reads a project.
    ///
    /// # Errors
    /// It was not found, or may not be read.
    pub async fn project(&self, project: &Slug) -> Result<Document> {
        self.get(&Resource::Project(project.clone()).path()).await
    }

    /// Registers a project, or changes its name.
    ///
    /// # Errors
    /// It belongs to another user, or registration is closed.
    pub async fn put_project(&self, project: &Slug, name: &str) -> Result<Answer> {
        let target = Resource::Project(project.clone()).path();
        let content = Content::json(&json!({ "name": name }))?;
        self.send(&Outgoing::new(Method::PUT, target).with(content)).await
    }

    /// Registers a project if it does not exist; otherwise nothing is changed and this returns `false`.
    ///
    /// # Errors
    /// Registration is closed, or not permitted to this user.
    pub async fn create_project(&self, project: &Slug, name: &str) -> Result<bool> {
        let target = Resource::Project(project.clone()).path();
        let content = Content::json(&json!({ "name": name }))?;
        let put = Outgoing { only_new: true, ..Outgoing::new(Method::PUT, target).with(content) };
        match self.send(&put).await {
            Ok(_) => Ok(true),
            Err(Error::Refused { status: 412, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reports a build under an id chosen by the client: sent several times, it is stored once. Returns
    /// the path of the build, or of its progress if it is incremental.
    ///
    /// # Errors
    /// The server refuses it, or another build has the id.
    pub async fn report(&self, project: &Slug, id: &BuildKey, report: &Report) -> Result<String> {
        let target = Resource::Build(project.clone(), id.clone()).path();
        let content = Content::json(report)?;
        let answer = self.send(&Outgoing::new(Method::PUT, target).with(content)).await?;
        Ok(answer.has_location()?.location.unwrap_or_default())
    }

    /// Adds a step to a build in progress, once.
    ///
    /// # Errors
    /// The build is finished or gone, or the step is refused.
    pub async fn step(&self, progress: &str, step: &Step) -> Result<()> {
        let content = Content::json(step)?;
        let answer = self.send(&Outgoing::new(Method::POST, progress).with(content)).await?;
        answer.has_location().map(drop)
    }

    /// Ends a build in progress; unless given, its success follows from its steps.
    ///
    /// # Errors
    /// It has already ended, or is gone.
    pub async fn end(&self, progress: &str, success: Option<bool>) -> Result<()> {
        let content = Content::json(&json!({ "success": success }))?;
        let answer = self.send(&Outgoing::new(Method::DELETE, progress).with(content)).await?;
        answer.has_location().map(drop)
    }
}

/// A new build id; such ids sort by time.
pub fn fresh_id() -> String {
    devmason_domain::fresh_uuid().to_string()
}

#[cfg(test)]
mod behaviour;
