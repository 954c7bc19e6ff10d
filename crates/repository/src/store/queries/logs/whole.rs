//! All of a log, and all logs of a build.

use devmason_domain::{Build, BuildId, LogStream, Position, ProjectId, missing};
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::{Conn, Id, Sql, end_of, log_piece, position, read, sql};
use crate::store::fault::Outcome;
use crate::{Seek, StepPlace};

/// The outputs of a step, from its log: about so many bytes at most.
pub(in super::super) fn outputs(
    conn: &mut Conn,
    place: StepPlace,
    most: u64,
) -> Outcome<(String, String)> {
    let (mut out, mut err) = (String::new(), String::new());
    let mut end = Position::default();
    let lacks = |out: &mut String, err: &mut String, from, to| {
        for (text, stream) in [(out, LogStream::Out), (err, LogStream::Err)] {
            text.push_str(&missing(from, to, Some(stream)).unwrap_or_default());
        }
    };
    loop {
        let pieces = read(conn, place, Seek::Byte(None, end.bytes))?;
        if pieces.is_empty() {
            return Ok((out, err));
        }
        if (out.len() + err.len()) as u64 >= most {
            lacks(&mut out, &mut err, end, end_of(conn, place)?);
            return Ok((out, err));
        }
        for piece in pieces {
            lacks(&mut out, &mut err, end, piece.start);
            for entry in piece.entries {
                match entry.stream {
                    LogStream::Out => out.push_str(&entry.text),
                    LogStream::Err => err.push_str(&entry.text),
                }
            }
            end = piece.end;
        }
    }
}

/// The bytes in the logs of the running steps of a build.
pub(in super::super) fn growing(
    conn: &mut Conn,
    project: ProjectId,
    build: BuildId,
) -> Outcome<u64> {
    let bytes: i64 = Sql::<BigInt>::new(
        "select cast(coalesce(sum((select p.past from log_piece p \
             where p.project_id = step.project_id and p.build_id = step.build_id and p.position = step.position \
             order by p.start desc limit 1)), 0) as bigint) \
         from step where project_id = ? and build_id = ? and log = 1",
    )
    .bind::<BigInt, _>(project.0)
    .bind::<sql::Uuid, _>(Id(build.0))
    .get_result(conn)?;
    Ok(bytes.unsigned_abs())
}

/// Removes the logs of a build.
pub(in super::super) fn remove(conn: &mut Conn, project: ProjectId, build: BuildId) -> Outcome<()> {
    let of_it = log_piece::project_id.eq(project.0).and(log_piece::build_id.eq(Id(build.0)));
    diesel::delete(log_piece::table.filter(of_it)).execute(conn)?;
    Ok(())
}

/// Moves the logs of a build whose steps have got other positions: from, to.
pub(in super::super) fn move_all(conn: &mut Conn, of: &Build, moved: &[(u32, u32)]) -> Outcome<()> {
    // By way of positions that no step has, as the new ones may still be taken.
    let aside = |position: i32| -1 - position;
    let moves = moved.iter().map(|(from, to)| (position(*from), aside(position(*to))));
    let back = moved.iter().map(|(_, to)| (aside(position(*to)), position(*to)));
    for (from, to) in moves.chain(back) {
        let of_it = log_piece::project_id
            .eq(of.project.0)
            .and(log_piece::build_id.eq(Id(of.id.0)))
            .and(log_piece::position.eq(from));
        diesel::update(log_piece::table.filter(of_it))
            .set(log_piece::position.eq(to))
            .execute(conn)?;
    }
    Ok(())
}
