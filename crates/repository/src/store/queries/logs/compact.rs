//! Joining the small pieces of a log.

use devmason_strips::{PIECE, unpack_log};
use diesel::prelude::*;

use super::{Bounds, Conn, Db, Id, Store, hold, insert, log_piece, parts, pieces_of, position};
use crate::store::fault::Outcome;
use crate::{Result, StepPlace};

/// Pieces joined in one transaction.
const JOINED: i64 = 256;

/// Joins the pieces of a log, some at a time, so that nobody waits long.
pub(super) fn compact(store: &Store, place: StepPlace) -> Result<()> {
    let mut from = 0;
    while let Some(next) = store.write(|conn| join(conn, place, from))? {
        from = next;
    }
    Ok(())
}

/// Joins pieces from here on, up to the size of one piece; where to go on.
fn join(conn: &mut Conn, place: StepPlace, from: i64) -> Outcome<Option<i64>> {
    hold(conn, place)?;
    let rows: Vec<(Bounds, Vec<u8>)> = pieces_of!(place)
        .filter(log_piece::start.ge(from))
        .order(log_piece::start)
        .limit(JOINED)
        .select((Bounds::as_select(), log_piece::body))
        .load(conn)?;
    let Some((first, _)) = rows.first() else { return Ok(None) };
    let (start, mut past, mut count) = (first.start(), first.start, 0);
    let mut entries = Vec::new();
    for (bounds, body) in &rows {
        let is_long = (bounds.past - start.bytes.cast_signed()).unsigned_abs() > PIECE as u64;
        if bounds.start != past || (count > 0 && is_long) {
            break;
        }
        past = bounds.past;
        count += 1;
        entries.extend(unpack_log(body)?);
    }
    if count > 1 {
        let joined = log_piece::project_id
            .eq(place.project.0)
            .and(log_piece::build_id.eq(Id(place.build.0)))
            .and(log_piece::position.eq(position(place.step)))
            .and(log_piece::start.ge(start.bytes.cast_signed()))
            .and(log_piece::start.lt(past));
        diesel::delete(log_piece::table.filter(joined)).execute(conn)?;
        insert(conn, place, start, &parts(&entries))?;
    }
    Ok(Some(past))
}
