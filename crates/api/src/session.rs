//! Browser sessions: a cookie with a secret, of which the store keeps a hash.

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite, time};
use actix_web::http::header;
use devmason_domain::{AccountId, Digest, Policy, Timestamp};
use devmason_hypermedia::Base;

use crate::auth::Caller;
use crate::error::ApiError;
use crate::store::Store;

/// The name of the cookie. Over TLS it makes browsers accept the cookie only from this host and
/// only over TLS (RFC 6265bis, 4.1.3). A `__Host-` cookie applies to the whole host; under a
/// prefix, the path keeps the cookie from other applications.
fn name(base: &Base) -> &'static str {
    match (base.origin().starts_with("https:"), base.prefix()) {
        (false, _) => "devmason_session",
        (true, "") => "__Host-devmason_session",
        (true, _) => "__Secure-devmason_session",
    }
}

/// How long a session lasts.
const DAYS: i64 = 30;

/// A session's secret, as stored by a browser.
pub(crate) struct Session(String);

impl Session {
    fn fresh() -> Self {
        // 244 random bits from the system.
        let half = || uuid::Uuid::new_v4().simple().to_string();
        Self(half() + &half())
    }

    /// The session in a request's cookie.
    pub(crate) fn of(request: &HttpRequest, base: &Base) -> Option<Self> {
        request.cookie(name(base)).map(|cookie| Self(cookie.value().to_owned()))
    }

    fn hash(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }

    /// The token in the forms of its pages, known only to whoever can read one.
    pub(crate) fn token(&self) -> String {
        Digest::of(format!("form {}", self.0).as_bytes()).to_string()
    }

    /// The session's user; `None` if the session has ended.
    pub(crate) async fn caller(
        &self,
        store: &Store,
        policy: &Policy,
    ) -> Result<Option<Caller>, ApiError> {
        let hash = self.hash();
        let found =
            store.run(move |repository| repository.session_find(hash, Timestamp::now())).await?;
        let caller =
            |account| Caller { is_of_session: true, ..Caller::known(policy.viewer(&account)) };
        Ok(found.map(caller))
    }

    /// Starts a session.
    pub(crate) async fn begin(store: &Store, of: AccountId) -> Result<Self, ApiError> {
        let session = Self::fresh();
        let now = Timestamp::now();
        let expires = Timestamp::from_parts(now.micros() + DAYS * 86_400_000_000, 0).unwrap_or(now);
        let hash = session.hash();
        store.run(move |repository| repository.session_create(hash, of, expires)).await?;
        Ok(session)
    }

    /// Ends the session.
    pub(crate) async fn end(&self, store: &Store) -> Result<(), ApiError> {
        let hash = self.hash();
        store.run(move |repository| repository.session_delete(hash)).await
    }

    /// The cookie that contains the session.
    pub(crate) fn cookie(&self, base: &Base) -> Cookie<'static> {
        let mut cookie = cookie(self.0.clone(), base);
        cookie.set_max_age(time::Duration::days(DAYS));
        cookie
    }
}

/// A cookie that makes a browser forget its session.
pub(crate) fn no_cookie(base: &Base) -> Cookie<'static> {
    let mut cookie = cookie(String::new(), base);
    cookie.make_removal();
    cookie
}

fn cookie(value: String, base: &Base) -> Cookie<'static> {
    let path = if base.prefix().is_empty() { "/" } else { base.prefix() };
    Cookie::build(name(base), value)
        .path(path.to_owned())
        .http_only(true)
        .secure(base.origin().starts_with("https:"))
        .same_site(SameSite::Lax)
        .finish()
}

/// Whether a form may come from a page of this server; browsers tell where it comes from.
pub(crate) fn is_own_page(request: &HttpRequest, base: &Base) -> bool {
    let origin = request.headers().get(header::ORIGIN);
    origin.is_none_or(|origin| origin.as_bytes() == base.origin().as_bytes())
}

/// Whether the browser says that a form comes from a page of this server. Without that, what was typed is
/// not shown again, and nobody signs in with it: another site may have written it.
pub(crate) fn is_surely_own_page(request: &HttpRequest, base: &Base) -> bool {
    request.headers().contains_key(header::ORIGIN) && is_own_page(request, base)
}
