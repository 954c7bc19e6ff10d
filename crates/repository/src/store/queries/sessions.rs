//! Browser sessions.

use devmason_domain::{Account, AccountId, Digest, Timestamp};
use diesel::prelude::*;

use super::rows::AccountRow;
use super::{Conn, Store};
use crate::store::columns::At;
use crate::store::fault::Outcome;
use crate::store::schema::{account, session};
use crate::{Result, Sessions};

/// The maximum number of sessions per user; the newest are kept.
const SESSIONS: i64 = 20;

pub(super) fn create(
    conn: &mut Conn,
    hash: Digest,
    of: AccountId,
    expires: Timestamp,
) -> Outcome<()> {
    // Repeated sign-ins leave only a limited number of sessions.
    let old: Vec<Vec<u8>> = session::table
        .filter(session::account_id.eq(of.0))
        .order(session::expires.desc())
        .limit(i64::MAX)
        .offset(SESSIONS - 1)
        .select(session::hash)
        .load(conn)?;
    diesel::delete(session::table.filter(session::hash.eq_any(old))).execute(conn)?;
    diesel::insert_into(session::table)
        .values((
            session::hash.eq(hash.0.as_slice()),
            session::account_id.eq(of.0),
            session::expires.eq(At(expires.micros())),
        ))
        .execute(conn)?;
    Ok(())
}

pub(super) fn find(conn: &mut Conn, hash: Digest, now: Timestamp) -> Outcome<Option<Account>> {
    let of = session::table
        .filter(session::hash.eq(hash.0.as_slice()).and(session::expires.gt(At(now.micros()))))
        .select(session::account_id);
    account::table
        .filter(account::id.eq_any(of).and(account::username_key.is_not_null()))
        .select(AccountRow::as_select())
        .first(conn)
        .optional()?
        .map(Account::try_from)
        .transpose()
}

pub(super) fn delete(conn: &mut Conn, hash: Digest) -> Outcome<()> {
    diesel::delete(session::table.find(hash.0.as_slice())).execute(conn)?;
    Ok(())
}

pub(super) fn end(conn: &mut Conn, of: AccountId) -> Outcome<()> {
    diesel::delete(session::table.filter(session::account_id.eq(of.0))).execute(conn)?;
    Ok(())
}

impl Sessions for Store {
    fn session_create(&self, hash: Digest, of: AccountId, expires: Timestamp) -> Result<()> {
        self.write(|conn| create(conn, hash, of, expires))
    }
    fn session_find(&self, hash: Digest, now: Timestamp) -> Result<Option<Account>> {
        self.read(|conn| find(conn, hash, now))
    }
    fn session_delete(&self, hash: Digest) -> Result<()> {
        self.write(|conn| delete(conn, hash))
    }
}
