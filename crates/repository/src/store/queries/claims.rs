//! Idempotency keys, claimed in the transaction of the request that carries them.

use devmason_domain::Timestamp;
use diesel::prelude::*;

use super::Conn;
use crate::store::columns::At;
use crate::store::fault::Outcome;
use crate::store::schema::claim;
use crate::{Claim, Claimed, Created};

/// Claims a request's `Idempotency-Key`; returns what an earlier request left if the key was
/// claimed before.
pub(super) fn make(conn: &mut Conn, new: &Claim) -> Outcome<Option<Claimed>> {
    let made = diesel::insert_into(claim::table)
        .values((
            claim::scope.eq(new.scope.0.as_slice()),
            claim::body.eq(new.body.0.as_slice()),
            claim::outcome.eq(&new.outcome),
            claim::created_at.eq(At(Timestamp::now().micros())),
        ))
        .on_conflict(claim::scope)
        .do_nothing()
        .execute(conn)?;
    if made > 0 {
        return Ok(None);
    }
    let made: Option<(Vec<u8>, String)> = claim::table
        .find(new.scope.0.as_slice())
        .select((claim::body, claim::outcome))
        .first(conn)
        .optional()?;
    // A claim that has just expired may be purged between the two statements; then this request is the
    // first.
    let Some((body, outcome)) = made else { return make(conn, new) };
    Ok(Some(if body == new.body.0 { Claimed::Replayed(outcome) } else { Claimed::KeyReused }))
}

/// Creates an object, unless an earlier request with this key did.
pub(super) fn once<T>(
    conn: &mut Conn,
    new: Option<&Claim>,
    create: impl FnOnce(&mut Conn) -> Outcome<Created<T>>,
) -> Outcome<Created<T>> {
    let Some(new) = new else { return create(conn) };
    if let Some(claimed) = make(conn, new)? {
        return Ok(Created::Claimed(claimed));
    }
    let created = create(conn)?;
    if !matches!(created, Created::New(_)) {
        withdraw(conn, new)?;
    }
    Ok(created)
}

/// Changes what a repetition of a request is told.
pub(super) fn tell(conn: &mut Conn, made: &Claim, outcome: &str) -> Outcome<()> {
    diesel::update(claim::table.find(made.scope.0.as_slice()))
        .set(claim::outcome.eq(outcome))
        .execute(conn)?;
    Ok(())
}

/// Releases the key of a request that failed after claiming it.
pub(super) fn withdraw(conn: &mut Conn, made: &Claim) -> Outcome<()> {
    diesel::delete(claim::table.find(made.scope.0.as_slice())).execute(conn)?;
    Ok(())
}
