//! `Idempotency-Key`s: the stored outcome of a request, so that a retry stores nothing.

use devmason_domain::Digest;

/// An `Idempotency-Key`, claimed in the transaction of the request that carries it.
#[derive(Debug, Clone)]
pub struct Claim {
    /// A hash of the user, the resource and the key.
    pub scope: Digest,
    /// A hash of the body.
    pub body: Digest,
    /// The outcome to return to a retry if this is the first request with the key. Opaque to the store.
    pub outcome: String,
}

/// The result of claiming a key that was claimed before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The same request was made before, with this outcome.
    Replayed(String),
    /// The key was used before with a different body.
    KeyReused,
}

/// How long an `Idempotency-Key` is kept, in microseconds: 24 hours.
pub const CLAIM_LIFETIME_MICROS: i64 = 24 * 3600 * 1_000_000;
