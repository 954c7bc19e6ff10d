//! Sessions of browsers.

use devmason_domain::{Account, AccountId, Digest, Timestamp};

use crate::Result;

/// Sessions of browsers.
pub trait Sessions {
    /// Begins a session of a user's, known by the hash of its secret; of more than twenty those that end first go.
    fn session_create(&self, hash: Digest, of: AccountId, expires: Timestamp) -> Result<()>;
    /// Whose session that is, where it has not expired by `now`.
    fn session_find(&self, hash: Digest, now: Timestamp) -> Result<Option<Account>>;
    /// Ends a session.
    fn session_delete(&self, hash: Digest) -> Result<()>;
}
