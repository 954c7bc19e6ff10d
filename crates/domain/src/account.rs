//! Users.

use crate::{PasswordHash, Timestamp, Username};

/// A user's id in the store. Never reused, even after the user is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub i64);

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id in the store.
    pub id: AccountId,
    /// The name, as first written.
    pub username: Username,
    /// The hash of the password.
    pub password_hash: PasswordHash,
    /// When the user was created.
    pub created_at: Timestamp,
    /// When the user last changed.
    pub updated_at: Timestamp,
    /// Increases with every change.
    pub version: i64,
}
