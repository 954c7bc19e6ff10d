//! Users.

use devmason_domain::{Account, AccountId, PageRequest, PasswordHash, Timestamp, Username};
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::filter::{Columns, bounds};
use super::rows::AccountRow;
use super::{Conn, Store, counts, next, sessions};
use crate::store::columns::At;
use crate::store::fault::Outcome;
use crate::store::schema::{account, project};
use crate::{Actor, Listed, Listing, NewAccount, Result, Tally, Updated, Users};

pub(super) fn find(conn: &mut Conn, username: &Username) -> Outcome<Option<Account>> {
    account::table
        .filter(account::username_key.eq(username.key()))
        .select(AccountRow::as_select())
        .first(conn)
        .optional()?
        .map(Account::try_from)
        .transpose()
}

/// Whether the user still exists.
pub(super) fn is_there(conn: &mut Conn, id: AccountId) -> Outcome<bool> {
    let there =
        account::table.filter(account::id.eq(id.0).and(account::username_key.is_not_null()));
    Ok(diesel::select(diesel::dsl::exists(there)).get_result(conn)?)
}

fn stale_or_gone<T>(conn: &mut Conn, id: AccountId) -> Outcome<Updated<T>> {
    Ok(if is_there(conn, id)? { Updated::Stale } else { Updated::Gone })
}

pub(super) fn list(conn: &mut Conn, page: PageRequest) -> Outcome<Vec<Account>> {
    let rows = account::table
        .filter(account::username_key.is_not_null())
        .order(account::username_key)
        .offset(page.offset().try_into().unwrap_or(i64::MAX))
        .limit(page.per_page.try_into().unwrap_or(i64::MAX))
        .select(AccountRow::as_select())
        .load(conn)?;
    rows.into_iter().map(Account::try_from).collect()
}

pub(super) fn create(conn: &mut Conn, new: &NewAccount) -> Outcome<Option<Account>> {
    let now = At(Timestamp::now().micros());
    let row = diesel::insert_into(account::table)
        .values((
            account::username.eq(new.username.as_str()),
            account::username_key.eq(new.username.key()),
            account::password_hash.eq(new.password_hash.as_str()),
            account::created_at.eq(now),
            account::updated_at.eq(now),
            account::version.eq(next("0")),
        ))
        .on_conflict(account::username_key)
        .do_nothing()
        .returning(AccountRow::as_returning())
        .get_result(conn)
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    counts::collection_changed(conn, counts::USERS, 1)?;
    Account::try_from(row).map(Some)
}

/// The account that something is stored for, created now if necessary.
pub(super) enum Resolved {
    /// An existing account, or none.
    Id(Option<i64>),
    /// Created by this transaction.
    Made(i64),
    /// Its name was taken in the meantime.
    Taken,
}

impl Resolved {
    pub(super) fn id(&self) -> Option<i64> {
        match self {
            Self::Id(id) => *id,
            Self::Made(id) => Some(*id),
            Self::Taken => None,
        }
    }
}

pub(super) fn resolve(conn: &mut Conn, actor: &Actor) -> Outcome<Resolved> {
    Ok(match actor {
        Actor::Nobody => Resolved::Id(None),
        Actor::Account(id) => Resolved::Id(Some(id.0)),
        Actor::Newcomer(new) => match create(conn, new)? {
            Some(account) => Resolved::Made(account.id.0),
            None => Resolved::Taken,
        },
    })
}

/// Removes the account that `resolve` created, if the request did not succeed.
pub(super) fn withdraw(conn: &mut Conn, resolved: &Resolved) -> Outcome<()> {
    if let Resolved::Made(id) = resolved {
        diesel::delete(account::table.find(id)).execute(conn)?;
        counts::collection_changed(conn, counts::USERS, -1)?;
    }
    Ok(())
}

pub(super) fn set_password(
    conn: &mut Conn,
    id: AccountId,
    hash: &PasswordHash,
    seen: Option<i64>,
) -> Outcome<Updated<Account>> {
    let row = diesel::update(account::table)
        .filter(account::id.eq(id.0).and(account::username_key.is_not_null()))
        .filter(account::version.eq(seen.unwrap_or(0)).or(seen.is_none().into_sql::<Bool>()))
        .set((
            account::password_hash.eq(hash.as_str()),
            account::updated_at.eq(At(Timestamp::now().micros())),
            account::version.eq(next("account.version")),
        ))
        .returning(AccountRow::as_returning())
        .get_result(conn)
        .optional()?;
    let Some(row) = row else { return stale_or_gone(conn, id) };
    sessions::end(conn, id)?;
    counts::collection_changed(conn, counts::USERS, 0)?;
    Account::try_from(row).map(Updated::Done)
}

pub(super) fn delete(conn: &mut Conn, id: AccountId, seen: Option<i64>) -> Outcome<Updated<()>> {
    let gone = diesel::update(account::table)
        .filter(account::id.eq(id.0).and(account::username_key.is_not_null()))
        .filter(account::version.eq(seen.unwrap_or(0)).or(seen.is_none().into_sql::<Bool>()))
        .set((
            account::username_key.eq(None::<String>),
            account::password_hash.eq(""),
            account::version.eq(next("account.version")),
        ))
        .execute(conn)?;
    if gone == 0 {
        return stale_or_gone(conn, id);
    }
    sessions::end(conn, id)?;
    counts::collection_changed(conn, counts::USERS, -1)?;
    let disowned = diesel::update(project::table.filter(project::owner_id.eq(id.0)))
        .set((project::owner_id.eq(None::<i64>), project::version.eq(next("project.version"))))
        .execute(conn)?;
    if disowned > 0 {
        counts::collection_changed(conn, counts::PROJECTS, 0)?;
    }
    counts::credits_changed(conn, id)?;
    Ok(Updated::Done(()))
}

const COLUMNS: Columns = Columns {
    fields: &[
        ("username", "account.username_key"),
        ("created_at", "account.created_at"),
        ("updated_at", "account.updated_at"),
    ],
    folded: &["username"],
    sets: &[],
    open: "null",
    scanned: "account.version",
    indexed: &[],
    tracks: None,
};

pub(super) fn query(conn: &mut Conn, listing: &Listing) -> Outcome<Listed<Account>> {
    let (limit, offset) = bounds(listing);
    let there = || account::table.filter(account::username_key.is_not_null());
    let filter = || COLUMNS.filter(&listing.selection.filter);
    let count: i64 = there().filter(filter()).count().get_result(conn)?;
    let rows = there()
        .filter(filter())
        .order(COLUMNS.order(&listing.selection.sort, "account.id"))
        .limit(limit)
        .offset(offset)
        .select(AccountRow::as_select())
        .load(conn)?;
    let items = rows.into_iter().map(Account::try_from).collect::<Outcome<_>>()?;
    Ok(Listed { items, count: count.unsigned_abs() })
}

impl Users for Store {
    fn user_find(&self, username: &Username) -> Result<Option<Account>> {
        self.read(|conn| find(conn, username))
    }
    fn user_list(&self, page: PageRequest) -> Result<Vec<Account>> {
        self.read(|conn| list(conn, page))
    }
    fn user_tally(&self) -> Result<Tally> {
        self.read(|conn| counts::collection(conn, counts::USERS))
    }
    fn user_create(&self, new: &NewAccount) -> Result<Option<Account>> {
        self.write(|conn| create(conn, new))
    }
    fn user_set_password(
        &self,
        id: AccountId,
        hash: &PasswordHash,
        seen: Option<i64>,
    ) -> Result<Updated<Account>> {
        self.write(|conn| set_password(conn, id, hash, seen))
    }
    fn user_delete(&self, id: AccountId, seen: Option<i64>) -> Result<Updated<()>> {
        self.write(|conn| delete(conn, id, seen))
    }
}
