//! Users.

use crate::{PasswordHash, Timestamp, Username};

/// A user's number in the store. Never used again, not even after the user is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub i64);

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The number in the store.
    pub id: AccountId,
    /// The name, as first written.
    pub username: Username,
    /// The hash of the password.
    pub password_hash: PasswordHash,
    /// When the user was made.
    pub created_at: Timestamp,
    /// When the user last changed.
    pub updated_at: Timestamp,
    /// Goes up with each change.
    pub version: i64,
}
