//! Users.

use devmason_domain::{Account, AccountId, PageRequest, PasswordHash, Username};

use crate::{Result, Tally, Updated};

/// A user who is to be made by the request that it comes with, if that succeeds.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The name.
    pub username: Username,
    /// The password's hash.
    pub password_hash: PasswordHash,
}

/// On whose behalf something is stored.
#[derive(Debug, Clone)]
pub enum Actor {
    /// Nobody's: no credentials came with it.
    Nobody,
    /// A user's.
    Account(AccountId),
    /// Somebody's who becomes a user with it.
    Newcomer(NewAccount),
}

/// Users.
pub trait Users {
    /// The user of that name.
    fn user_find(&self, username: &Username) -> Result<Option<Account>>;
    /// A page of all users, in order of name.
    fn user_list(&self, page: PageRequest) -> Result<Vec<Account>>;
    /// How many users there are.
    fn user_tally(&self) -> Result<Tally>;
    /// Makes a user; `None` where the name is taken.
    fn user_create(&self, new: &NewAccount) -> Result<Option<Account>>;
    /// Changes a password, and ends the user's sessions.
    fn user_set_password(
        &self,
        id: AccountId,
        hash: &PasswordHash,
        seen: Option<i64>,
    ) -> Result<Updated<Account>>;
    /// Deletes a user: its projects belong to nobody then, and its builds are credited to nobody.
    fn user_delete(&self, id: AccountId, seen: Option<i64>) -> Result<Updated<()>>;
}
