//! `Idempotency-Key`s: the outcome of a request, kept so that a retry stores nothing.

use devmason_domain::Digest;

/// An `Idempotency-Key`, to be claimed in the transaction of the request that carries it.
#[derive(Debug, Clone)]
pub struct Claim {
    /// A hash of the user, the resource and the key.
    pub scope: Digest,
    /// A hash of the body.
    pub body: Digest,
    /// What a retry is told if this is the first such request. The store only keeps it.
    pub outcome: String,
}

/// What a claim found that was made before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The same request came before, with this outcome.
    Replayed(String),
    /// Another body came with this key before.
    KeyReused,
}

/// How long an `Idempotency-Key` is kept, in microseconds: 24 hours.
pub const CLAIM_LIFETIME_MICROS: i64 = 24 * 3600 * 1_000_000;
