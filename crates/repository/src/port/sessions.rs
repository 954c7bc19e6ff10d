//! Browser sessions.

use devmason_domain::{Account, AccountId, Digest, Timestamp};

use crate::Result;

/// Browser sessions.
pub trait Sessions {
    /// Creates a session for a user, identified by the hash of its secret. Of more than twenty, those
    /// that expire first are removed.
    fn session_create(&self, hash: Digest, of: AccountId, expires: Timestamp) -> Result<()>;
    /// The user of a session that has not expired by `now`.
    fn session_find(&self, hash: Digest, now: Timestamp) -> Result<Option<Account>>;
    /// Ends a session.
    fn session_delete(&self, hash: Digest) -> Result<()>;
}
