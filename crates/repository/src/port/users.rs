//! Users.

use devmason_domain::{Account, AccountId, PageRequest, PasswordHash, Username};

use crate::{Result, Tally, Updated};

/// A user to create together with the request that names it, if that request succeeds.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The username.
    pub username: Username,
    /// The password's hash.
    pub password_hash: PasswordHash,
}

/// On whose behalf something is stored.
#[derive(Debug, Clone)]
pub enum Actor {
    /// An anonymous client: the request had no credentials.
    Nobody,
    /// A user.
    Account(AccountId),
    /// A user created by this request.
    Newcomer(NewAccount),
}

/// Users.
pub trait Users {
    /// The user of that name.
    fn user_find(&self, username: &Username) -> Result<Option<Account>>;
    /// A page of all users, ordered by name.
    fn user_list(&self, page: PageRequest) -> Result<Vec<Account>>;
    /// The number of users, and their change count.
    fn user_tally(&self) -> Result<Tally>;
    /// Creates a user; `None` if the name is taken.
    fn user_create(&self, new: &NewAccount) -> Result<Option<Account>>;
    /// Changes a password, and ends the user's sessions.
    fn user_set_password(
        &self,
        id: AccountId,
        hash: &PasswordHash,
        seen: Option<i64>,
    ) -> Result<Updated<Account>>;
    /// Deletes a user. Its projects lose their owner, and its builds their sender.
    fn user_delete(&self, id: AccountId, seen: Option<i64>) -> Result<Updated<()>>;
}
