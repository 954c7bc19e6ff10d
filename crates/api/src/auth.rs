//! HTTP Basic authentication: credentials and the users they identify.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::cache::Cache as Kept;
use crate::connection::network;
use crate::error::ApiError;
use crate::forwarded::Origin;
use crate::store::Store;
use crate::turns::{AtOnce, Turn, Turns, Waiting};
use actix_web::http::header::HeaderValue;
use actix_web::web;
use base64::Engine;
use devmason_domain::{Account, AccountId, Password, PasswordHash, Policy, Username, Viewer};
use devmason_repository::{Actor, Changes, NewAccount};
use hmac::{Hmac, KeyInit, Mac};
use moka::sync::Cache;
use sha2::Sha256;

/// How long a verified password is cached.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Maximum number of users with cached passwords.
const REMEMBERED_USERS: u64 = 10_000;

/// How long a user's sign-in from an address is remembered.
const PROVEN: Duration = Duration::from_secs(24 * 60 * 60);

/// Number of wrong passwords and unknown names allowed per address, as a multiple of the number
/// allowed per name: many users may share one address.
const OF_ADDRESS: u32 = 5;

/// The sender of a request, with what is needed to create an unknown user.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) viewer: Viewer,
    pub(crate) newcomer: Newcomer,
    /// Whether the user is identified by a browser session.
    pub(crate) is_of_session: bool,
}

/// The account that an unknown user would get.
#[derive(Debug)]
pub(crate) enum Newcomer {
    /// The caller isn't an unknown user.
    No,
    /// An account with this hash.
    Possible(NewAccount),
    /// None: the password is invalid.
    BadPassword(String),
}

impl Caller {
    pub(crate) fn known(viewer: Viewer) -> Self {
        Self { viewer, newcomer: Newcomer::No, is_of_session: false }
    }

    /// The actor for whom the request stores something, if it may create users.
    pub(crate) fn actor(&self) -> Result<Actor, ApiError> {
        match (&self.newcomer, self.viewer.account()) {
            (_, Some(id)) => Ok(Actor::Account(id)),
            (Newcomer::No, None) => Ok(Actor::Nobody),
            (Newcomer::Possible(new), None) => Ok(Actor::Newcomer(new.clone())),
            (Newcomer::BadPassword(problem), None) => {
                Err(ApiError::BadValue { name: "password", problem: problem.clone() })
            }
        }
    }
}

/// A username and a password, as sent.
struct Credentials {
    username: Username,
    password: String,
}

/// Parses an `Authorization` header. An empty one is ignored, because the original client sends it.
///
/// Clients that were made for other servers send a key, as `Bearer KEY`, `token KEY` or
/// `Token token="KEY"`. It is `user:password`, or the base64 of that, and means the same as HTTP Basic.
fn credentials(header: Option<&HeaderValue>) -> Result<Option<Credentials>, ApiError> {
    let Some(header) = header.filter(|value| !value.as_bytes().trim_ascii().is_empty()) else {
        return Ok(None);
    };
    let malformed = || ApiError::BadCredentials("the Authorization header is not valid HTTP Basic");
    let (scheme, encoded) =
        header.to_str().ok().and_then(|text| text.trim().split_once(' ')).ok_or_else(malformed)?;
    let decode = |encoded: &str| {
        let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
        String::from_utf8(decoded).ok().filter(|text| text.contains(':'))
    };
    let decoded = match scheme.to_ascii_lowercase().as_str() {
        "basic" => decode(encoded.trim()).ok_or_else(malformed)?,
        "bearer" | "token" => {
            let key = encoded.trim();
            let key = key.strip_prefix("token=").map_or(key, |key| key.trim_matches('"'));
            let key = if key.contains(':') { Some(key.to_owned()) } else { decode(key) };
            key.ok_or(ApiError::BadCredentials(
                "the key in the Authorization header must be user:password, or the base64 of that",
            ))?
        }
        _ => return Err(malformed()),
    };
    let (username, password) = decoded.split_once(':').ok_or_else(malformed)?;
    let username = username.parse().map_err(|_| ApiError::BadCredentials("invalid username"))?;
    Ok(Some(Credentials { username, password: password.to_owned() }))
}

#[derive(Clone)]
struct Verified {
    mac: [u8; 32],
    id: AccountId,
    password_hash: PasswordHash,
    viewer: Viewer,
    /// The store's change counter before the account was read.
    changes: Changes,
}

impl Verified {
    /// Whether the account still has this password.
    fn is_of(&self, account: &Account) -> bool {
        account.id == self.id && account.password_hash == self.password_hash
    }
}

/// Verifies passwords: cached ones immediately, others with bcrypt, a few at a time, and none from
/// clients that guess.
pub(crate) struct Verifier {
    cost: u32,
    /// A random key per process, which makes cached data useless elsewhere.
    key: [u8; 32],
    remembered: Cache<String, Verified>,
    /// Wrong passwords and unknown names per address.
    failures: Cache<Option<IpAddr>, Arc<AtomicU32>>,
    /// Wrong passwords per address and name, so that guessing locks nobody else out.
    failures_for_name: Cache<(Option<IpAddr>, String), Arc<AtomicU32>>,
    failures_allowed: u32,
    /// Wrong passwords, and passwords of unknown names with the hash to store for them. Retrying one
    /// costs nothing, and takes no longer if the name exists.
    refused: Cache<[u8; 32], Option<PasswordHash>>,
    /// Who signed in from which address. Guesses by others behind the same address don't count against
    /// them.
    proven: Cache<(Option<IpAddr>, String), ()>,
    /// Half of the cores, so that a flood of wrong passwords cannot take them all.
    turns: Arc<Turns>,
}

impl Verifier {
    pub(crate) fn new(cost: u32, failures_allowed: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut key = [0; 32];
        key[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        key[16..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        let minute = Duration::from_secs(60);
        Self {
            cost,
            key,
            remembered: Cache::builder()
                .max_capacity(REMEMBERED_USERS)
                .time_to_live(REMEMBERED)
                .build(),
            failures: Cache::builder().max_capacity(100_000).time_to_live(minute).build(),
            failures_for_name: Cache::builder().max_capacity(100_000).time_to_live(minute).build(),
            failures_allowed,
            refused: Cache::builder()
                .max_capacity(REMEMBERED_USERS)
                .time_to_live(REMEMBERED)
                .build(),
            proven: Cache::builder().max_capacity(REMEMBERED_USERS).time_to_live(PROVEN).build(),
            turns: Turns::new(
                AtOnce::all((cores / 2).max(1)),
                Waiting { in_all: 256, of_address: 128 },
            ),
        }
    }

    /// A keyed hash of credentials and of the hash they are compared with.
    fn mac(&self, credentials: &Credentials, against: &str) -> [u8; 32] {
        // HMAC accepts a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return [0; 32] };
        for part in [&credentials.username.key(), against, &credentials.password] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    /// The cached entry for these credentials, if they are correct.
    fn recall(&self, credentials: &Credentials) -> Option<Verified> {
        let remembered = self.remembered.get(&credentials.username.key())?;
        // The timing of comparing a keyed hash reveals nothing.
        (remembered.mac == self.mac(credentials, "")).then_some(remembered)
    }

    fn guesses_too_much(&self, address: Option<IpAddr>, username: &Username) -> bool {
        let count = |failures: Arc<AtomicU32>| failures.load(Ordering::Relaxed);
        let place = (address.map(network), username.key());
        self.failures_for_name.get(&place).map_or(0, count) >= self.failures_allowed
            || (self.failures.get(&place.0).map_or(0, count)
                >= self.failures_allowed.saturating_mul(OF_ADDRESS)
                && !self.proven.contains_key(&place))
    }

    /// Counts an unknown name or a wrong password.
    fn note_failure(&self, address: Option<IpAddr>) {
        let address = address.map(network);
        self.failures.get_with(address, Arc::default).fetch_add(1, Ordering::Relaxed);
    }

    /// Uncounts a wrong password that turned out to be correct.
    fn take_back_wrong_password(&self, address: Option<IpAddr>, username: &Username) {
        let place = (address.map(network), username.key());
        let counts = [self.failures.get(&place.0), self.failures_for_name.get(&place)];
        for count in counts.into_iter().flatten() {
            let less = |count: u32| count.checked_sub(1);
            let _ = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    /// Counts a wrong password for an existing name.
    fn note_wrong_password(&self, address: Option<IpAddr>, username: &Username) {
        self.note_failure(address);
        let place = (address.map(network), username.key());
        self.failures_for_name.get_with(place, Arc::default).fetch_add(1, Ordering::Relaxed);
    }

    /// Waits for a turn, then checks the password against the hash.
    pub(crate) async fn verify(
        &self,
        hash: PasswordHash,
        password: Password,
        address: Option<IpAddr>,
    ) -> Result<bool, ApiError> {
        self.in_turn(address, move || hash.verify(&password)).await
    }

    /// Waits for a turn, then hashes the password.
    pub(crate) async fn hash(
        &self,
        password: Password,
        address: Option<IpAddr>,
    ) -> Result<PasswordHash, ApiError> {
        let cost = self.cost;
        let hash = self.in_turn(address, move || password.hash(cost)).await?;
        hash.map_err(|invalid| ApiError::Unwritable(invalid.0))
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        address: Option<IpAddr>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let turn = self.turns.take(address).await?;
        in_turn(turn, work).await
    }
}

/// What credentials are checked with.
pub(crate) struct Door<'a> {
    pub(crate) store: &'a Store,
    pub(crate) cache: &'a Kept,
    pub(crate) policy: &'a Policy,
    pub(crate) verifier: &'a Verifier,
}

/// What is known about these credentials without bcrypt: their user, or that they are refused.
async fn known_already(
    door: &Door<'_>,
    credentials: &Credentials,
    origin: &Origin,
) -> Result<Option<Viewer>, ApiError> {
    let verifier = door.verifier;
    if let Some(mut verified) = verifier.recall(credentials) {
        let changes = door.cache.changes(door.store, origin.arrived).await?;
        if verified.changes == changes {
            return Ok(Some(verified.viewer));
        }
        // Something changed, possibly this user.
        let username = credentials.username.clone();
        let account = door.store.run(move |repository| repository.user_find(&username)).await?;
        if account.is_some_and(|account| verified.is_of(&account)) {
            verified.changes = changes;
            let viewer = verified.viewer.clone();
            verifier.remembered.insert(credentials.username.key(), verified);
            return Ok(Some(viewer));
        }
    }
    if verifier.guesses_too_much(origin.client, &credentials.username) {
        return Err(ApiError::TooManyFailures);
    }
    Ok(None)
}

/// Runs work that keeps a core busy for long. The turn lasts until the work ends, even if the
/// client disconnects.
async fn in_turn<T: Send + 'static>(
    turn: Turn,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let work = move || {
        let done = work();
        drop(turn);
        done
    };
    web::block(work).await.map_err(|_| ApiError::Interrupted)
}

/// Identifies the sender of a request.
///
/// # Errors
/// Wrong or malformed credentials: 401; too many wrong ones: 429.
pub(crate) async fn authenticate(
    door: &Door<'_>,
    header: Option<&HeaderValue>,
    origin: &Origin,
) -> Result<Caller, ApiError> {
    let Some(credentials) = credentials(header)? else {
        return Ok(Caller::known(Viewer::Anonymous));
    };
    let verifier = door.verifier;
    if let Some(viewer) = known_already(door, &credentials, origin).await? {
        return Ok(Caller::known(viewer));
    }
    // Before it waits for its turn: who holds one must not wait for the database.
    let changes = door.cache.changes(door.store, origin.arrived).await?;
    let username = credentials.username.clone();
    let account = door.store.run(move |repository| repository.user_find(&username)).await?;
    let turn = verifier.turns.take(origin.client).await?;
    // While this request waited, another one may have verified the same password, or enough guesses may
    // have failed.
    if let (Some(verified), Some(account)) = (verifier.recall(&credentials), &account)
        && verified.is_of(account)
    {
        return Ok(Caller::known(verified.viewer));
    }
    if verifier.guesses_too_much(origin.client, &credentials.username) {
        return Err(ApiError::TooManyFailures);
    }
    let password = Password::new(credentials.password.as_str());
    match account {
        Some(account) => {
            known(door, &credentials, account, (password.ok(), turn), origin.client, changes).await
        }
        None => stranger(verifier, &credentials, (password, turn), origin.client).await,
    }
}

async fn known(
    door: &Door<'_>,
    credentials: &Credentials,
    account: Account,
    (password, turn): (Option<Password>, Turn),
    address: Option<IpAddr>,
    changes: Changes,
) -> Result<Caller, ApiError> {
    let verifier = door.verifier;
    let viewer = door.policy.viewer(&account);
    let mac = verifier.mac(credentials, account.password_hash.as_str());
    let verified = match password {
        Some(password) if !verifier.refused.contains_key(&mac) => {
            let hash = account.password_hash.clone();
            // Count the password as wrong until it is verified, so that a client that disconnects meanwhile has
            // used up a guess.
            verifier.note_wrong_password(address, &credentials.username);
            let verified = in_turn(turn, move || hash.verify(&password)).await?;
            if verified {
                verifier.take_back_wrong_password(address, &credentials.username);
            }
            verified
        }
        _ => {
            verifier.note_wrong_password(address, &credentials.username);
            false
        }
    };
    if !verified {
        verifier.refused.insert(mac, None);
        return Err(ApiError::BadCredentials("wrong username or password"));
    }
    verifier.proven.insert((address.map(network), credentials.username.key()), ());
    let verified = Verified {
        mac: verifier.mac(credentials, ""),
        id: account.id,
        password_hash: account.password_hash,
        viewer: viewer.clone(),
        changes,
    };
    verifier.remembered.insert(credentials.username.key(), verified);
    Ok(Caller::known(viewer))
}

/// Handles an unknown username. Hashing the password takes as long as verifying one, so timing
/// doesn't reveal which names exist. If the request creates users, the hash is stored.
async fn stranger(
    verifier: &Verifier,
    credentials: &Credentials,
    (password, turn): (Result<Password, devmason_domain::Invalid>, Turn),
    address: Option<IpAddr>,
) -> Result<Caller, ApiError> {
    let username = credentials.username.clone();
    let mac = verifier.mac(credentials, "");
    let newcomer = match (password, verifier.refused.get(&mac).flatten()) {
        (Err(invalid), _) => Newcomer::BadPassword(invalid.0),
        (Ok(_), Some(password_hash)) => {
            Newcomer::Possible(NewAccount { username: username.clone(), password_hash })
        }
        (Ok(password), None) => {
            verifier.note_failure(address);
            let cost = verifier.cost;
            let hash = in_turn(turn, move || password.hash(cost)).await?;
            let password_hash = hash.map_err(|invalid| ApiError::Unwritable(invalid.0))?;
            verifier.refused.insert(mac, Some(password_hash.clone()));
            Newcomer::Possible(NewAccount { username: username.clone(), password_hash })
        }
    };
    Ok(Caller { viewer: Viewer::Stranger(username), newcomer, is_of_session: false })
}
