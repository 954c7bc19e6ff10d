//! The logs of steps, stored as compressed pieces.

mod compact;
mod end;
mod whole;

use std::collections::BTreeMap;

use devmason_domain::{BuildId, LogEntry, LogStream, Position, ProjectId, StepLog};
use devmason_strips::{log_pieces, pack_log, unpack_log};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, SmallInt};

use super::{Conn, Db, Sql, Store, tuned};
use crate::store::columns::Id;
use crate::store::fault::{Fault, Outcome};
use crate::store::schema::{log_piece, sql};
use crate::{
    Ended, LogListener, LogPiece, LogState, Logged, Logs, NewPiece, Result, Seek, StepEnd,
    StepPlace,
};

pub(super) use end::end_all;
pub(super) use whole::{growing, move_all, outputs, remove};

/// Pieces read at once. Each has at most [`devmason_strips::PIECE`] bytes of text.
const READ: i64 = 16;

/// What column `step.log` holds.
pub(in super::super) fn number(log: StepLog) -> i16 {
    match log {
        StepLog::Absent => 0,
        StepLog::Open => 1,
        StepLog::Closed => 2,
    }
}

/// The reverse.
pub(super) fn step_log(number: i16) -> Outcome<StepLog> {
    match number {
        0 => Ok(StepLog::Absent),
        1 => Ok(StepLog::Open),
        2 => Ok(StepLog::Closed),
        _ => Err(Fault::Corrupt("a step has a log of an unknown kind".into())),
    }
}

/// A part of a new piece, packed: its counts are those from the start of the new piece on.
struct Part {
    start: Position,
    end: Position,
    body: Vec<u8>,
}

fn parts(entries: &[LogEntry]) -> Vec<Part> {
    let mut start = Position::default();
    let pieces = log_pieces(entries.iter().cloned());
    pieces
        .into_iter()
        .map(|entries| {
            let mut end = start;
            entries.iter().for_each(|entry| end += entry);
            let part = Part { start, end, body: pack_log(&entries) };
            start = end;
            part
        })
        .collect()
}

fn sum(one: Position, other: Position) -> Position {
    Position {
        bytes: one.bytes + other.bytes,
        breaks: one.breaks + other.breaks,
        out_bytes: one.out_bytes + other.out_bytes,
        out_breaks: one.out_breaks + other.out_breaks,
    }
}

/// Where a piece starts and ends.
#[derive(Queryable, Selectable)]
#[diesel(table_name = log_piece)]
struct Bounds {
    start: i64,
    start_line: i64,
    start_out: i64,
    start_out_line: i64,
    past: i64,
    past_line: i64,
    past_out: i64,
    past_out_line: i64,
}

impl Bounds {
    fn start(&self) -> Position {
        Position {
            bytes: self.start.unsigned_abs(),
            breaks: self.start_line.unsigned_abs(),
            out_bytes: self.start_out.unsigned_abs(),
            out_breaks: self.start_out_line.unsigned_abs(),
        }
    }

    fn end(&self) -> Position {
        Position {
            bytes: self.past.unsigned_abs(),
            breaks: self.past_line.unsigned_abs(),
            out_bytes: self.past_out.unsigned_abs(),
            out_breaks: self.past_out_line.unsigned_abs(),
        }
    }

    fn piece(&self, body: &[u8]) -> Outcome<LogPiece> {
        Ok(LogPiece { start: self.start(), end: self.end(), entries: unpack_log(body)? })
    }
}

fn position(step: u32) -> i32 {
    i32::try_from(step).unwrap_or(i32::MAX)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The pieces of a step's log.
macro_rules! pieces_of {
    ($place:expr) => {
        log_piece::table.into_boxed::<Db>().filter(
            log_piece::project_id
                .eq($place.project.0)
                .and(log_piece::build_id.eq(Id($place.build.0)))
                .and(log_piece::position.eq(position($place.step))),
        )
    };
}
use pieces_of;

/// Locks a step against those who append to it or end it; the state of its log.
fn hold(conn: &mut Conn, place: StepPlace) -> Outcome<Option<StepLog>> {
    let log: Option<i16> = Sql::<SmallInt>::new(
        "select log from step where project_id = ? and build_id = ? and position = ?",
    )
    .text(tuned::FOR_NO_KEY_UPDATE)
    .bind::<BigInt, _>(place.project.0)
    .bind::<sql::Uuid, _>(Id(place.build.0))
    .bind::<Integer, _>(position(place.step))
    .get_result(conn)
    .optional()?;
    log.map(step_log).transpose()
}

/// The end of a log.
fn end_of(conn: &mut Conn, place: StepPlace) -> Outcome<Position> {
    let last: Option<Bounds> = pieces_of!(place)
        .order(log_piece::start.desc())
        .select(Bounds::as_select())
        .first(conn)
        .optional()?;
    Ok(last.map(|last| last.end()).unwrap_or_default())
}

fn insert(conn: &mut Conn, place: StepPlace, at: Position, parts: &[Part]) -> Outcome<()> {
    let rows: Vec<_> = parts
        .iter()
        .map(|part| {
            let (start, end) = (sum(at, part.start), sum(at, part.end));
            (
                log_piece::project_id.eq(place.project.0),
                log_piece::build_id.eq(Id(place.build.0)),
                log_piece::position.eq(position(place.step)),
                log_piece::start.eq(signed(start.bytes)),
                log_piece::start_line.eq(signed(start.breaks)),
                log_piece::start_out.eq(signed(start.out_bytes)),
                log_piece::start_out_line.eq(signed(start.out_breaks)),
                log_piece::past.eq(signed(end.bytes)),
                log_piece::past_line.eq(signed(end.breaks)),
                log_piece::past_out.eq(signed(end.out_bytes)),
                log_piece::past_out_line.eq(signed(end.out_breaks)),
                log_piece::body.eq(part.body.as_slice()),
            )
        })
        .collect();
    for row in rows {
        diesel::insert_into(log_piece::table).values(row).execute(conn)?;
    }
    Ok(())
}

/// Drops the middle of a log that is longer than it may be.
fn drop_middle(conn: &mut Conn, place: StepPlace, end: u64, most: u64) -> Outcome<()> {
    if end <= most {
        return Ok(());
    }
    let head = most / 2;
    let tail = end - (most - head);
    Sql::<()>::new(
        "delete from log_piece where project_id = ? and build_id = ? and position = ? \
         and start >= ? and start < ? and past <= ?",
    )
    .bind::<BigInt, _>(place.project.0)
    .bind::<sql::Uuid, _>(Id(place.build.0))
    .bind::<Integer, _>(position(place.step))
    .bind::<BigInt, _>(signed(head))
    .bind::<BigInt, _>(signed(tail))
    .bind::<BigInt, _>(signed(tail))
    .execute(conn)?;
    Ok(())
}

/// What a sent piece that lies before the end of its log is: there, or something else. What was dropped
/// from the middle counts as there.
fn compare(conn: &mut Conn, piece: &NewPiece, end: u64) -> Outcome<Logged> {
    let length: u64 = piece.entries.iter().map(|entry| entry.text.len() as u64).sum();
    if piece.offset > end || piece.offset + length > end {
        return Ok(Logged::Elsewhere(end));
    }
    let sent: String = piece.entries.iter().map(|entry| entry.text.as_str()).collect();
    let mut at = piece.offset;
    while at < piece.offset + length {
        let there = read(conn, piece.place, Seek::Byte(None, at))?;
        let before = at;
        for stored in there {
            let mut from = stored.start.bytes;
            for entry in &stored.entries {
                let until = from + entry.text.len() as u64;
                let (low, high) = (from.max(at), until.min(piece.offset + length));
                if low < high {
                    let part = |text: &str, start: u64| {
                        let range = (low - start) as usize..(high - start) as usize;
                        text.as_bytes().get(range).map(<[u8]>::to_vec)
                    };
                    if part(&sent, piece.offset) != part(&entry.text, from) {
                        return Ok(Logged::Differs);
                    }
                }
                from = until;
            }
            at = at.max(stored.end.bytes);
        }
        if at == before {
            break;
        }
    }
    Ok(Logged::Known(end))
}

/// Appends pieces to their logs.
fn append(conn: &mut Conn, pieces: &[NewPiece], packed: &[Vec<Part>]) -> Outcome<Vec<Logged>> {
    // In one order, so that two writers with the same steps don't wait for each other.
    let mut ends: BTreeMap<StepPlace, Option<(StepLog, Position)>> =
        pieces.iter().map(|piece| (piece.place, None)).collect();
    for (place, end) in &mut ends {
        if let Some(log) = hold(conn, *place)? {
            *end = Some((log, end_of(conn, *place)?));
        }
    }
    let mut outcomes = Vec::with_capacity(pieces.len());
    let mut grown = Vec::new();
    for (piece, parts) in pieces.iter().zip(packed) {
        let outcome = match ends.get_mut(&piece.place) {
            None | Some(None) => Logged::Gone,
            Some(Some((StepLog::Absent, _))) => Logged::Closed,
            Some(Some((_, end))) if piece.offset < end.bytes => compare(conn, piece, end.bytes)?,
            Some(Some((StepLog::Open, end))) if piece.offset == end.bytes => {
                let at = *end;
                insert(conn, piece.place, at, parts)?;
                *end = sum(at, parts.last().map(|part| part.end).unwrap_or_default());
                drop_middle(conn, piece.place, end.bytes, piece.most)?;
                grown.push(piece.place);
                Logged::Done(end.bytes)
            }
            Some(Some((StepLog::Open, end))) => Logged::Elsewhere(end.bytes),
            Some(Some((StepLog::Closed, end))) => match parts.is_empty() {
                true if piece.offset == end.bytes => Logged::Known(end.bytes),
                _ => Logged::Closed,
            },
        };
        outcomes.push(outcome);
    }
    tuned::tell_logs(conn, &grown)?;
    Ok(outcomes)
}

fn state(conn: &mut Conn, place: StepPlace) -> Outcome<Option<LogState>> {
    let log: Option<i16> = Sql::<SmallInt>::new(
        "select log from step where project_id = ? and build_id = ? and position = ?",
    )
    .bind::<BigInt, _>(place.project.0)
    .bind::<sql::Uuid, _>(Id(place.build.0))
    .bind::<Integer, _>(position(place.step))
    .get_result(conn)
    .optional()?;
    let Some(log) = log.map(step_log).transpose()? else { return Ok(None) };
    let end = end_of(conn, place)?;
    Ok(Some(LogState { log, end }))
}

/// The part of a log's middle that was dropped. There is one at most: the pieces before it and those
/// behind it follow each other. One statement, as pieces may be dropped at any time; it reads what is
/// beside the bodies, not the bodies.
fn gap(conn: &mut Conn, place: StepPlace) -> Outcome<Option<(Position, Position)>> {
    type Columns = (BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt);
    type Row = (i64, i64, i64, i64, i64, i64, i64, i64);
    let gap: Option<Row> = Sql::<Columns>::new(
        "select past, past_line, past_out, past_out_line, start, start_line, start_out, start_out_line from ( \
             select lag(past) over pieces as past, lag(past_line) over pieces as past_line, \
                    lag(past_out) over pieces as past_out, lag(past_out_line) over pieces as past_out_line, \
                    start, start_line, start_out, start_out_line \
             from log_piece where project_id = ? and build_id = ? and position = ? \
             window pieces as (order by start)) as piece \
         where start > past order by start limit 1",
    )
    .bind::<BigInt, _>(place.project.0)
    .bind::<sql::Uuid, _>(Id(place.build.0))
    .bind::<Integer, _>(position(place.step))
    .get_result(conn)
    .optional()?;
    let position = |bytes: i64, breaks: i64, out_bytes: i64, out_breaks: i64| Position {
        bytes: bytes.unsigned_abs(),
        breaks: breaks.unsigned_abs(),
        out_bytes: out_bytes.unsigned_abs(),
        out_breaks: out_breaks.unsigned_abs(),
    };
    Ok(gap.map(|(a, b, c, d, e, f, g, h)| (position(a, b, c, d), position(e, f, g, h))))
}

/// The start of the piece from which on to read.
fn floor(conn: &mut Conn, place: StepPlace, from: Seek) -> Outcome<Option<i64>> {
    let all = pieces_of!(place).order(log_piece::start.desc()).select(log_piece::start);
    let found: Option<i64> = match from {
        Seek::Byte(None, bytes) => all.filter(log_piece::start.le(signed(bytes))),
        Seek::Byte(Some(LogStream::Out), bytes) => {
            all.filter(log_piece::start_out.le(signed(bytes)))
        }
        Seek::Byte(Some(LogStream::Err), bytes) => {
            all.filter((log_piece::start - log_piece::start_out).le(signed(bytes)))
        }
        // The piece with the line break that comes before the line.
        Seek::Line(None, breaks) => all.filter(log_piece::start_line.lt(signed(breaks))),
        Seek::Line(Some(LogStream::Out), breaks) => {
            all.filter(log_piece::start_out_line.lt(signed(breaks)))
        }
        Seek::Line(Some(LogStream::Err), breaks) => {
            all.filter((log_piece::start_line - log_piece::start_out_line).lt(signed(breaks)))
        }
    }
    .first(conn)
    .optional()?;
    Ok(found)
}

/// How often a piece is sought again that was joined with others, or dropped, before it was read.
const AGAIN: usize = 9;

fn read(conn: &mut Conn, place: StepPlace, from: Seek) -> Outcome<Vec<LogPiece>> {
    let mut rows: Vec<(Bounds, Vec<u8>)> = Vec::new();
    for _ in 0..AGAIN {
        let start = floor(conn, place, from)?;
        rows = pieces_of!(place)
            .filter(log_piece::start.ge(start.unwrap_or(0)))
            .order(log_piece::start)
            .limit(READ)
            .select((Bounds::as_select(), log_piece::body))
            .load(conn)?;
        let found = rows.first().map(|(bounds, _)| bounds.start);
        if start.is_none() || found == start {
            break;
        }
    }
    let mut pieces = Vec::with_capacity(rows.len());
    for (bounds, body) in rows {
        let is_before = match from {
            Seek::Byte(stream, bytes) => bounds.end().bytes_of(stream) <= bytes,
            Seek::Line(stream, breaks) => bounds.end().breaks_of(stream) < breaks,
        };
        if !is_before {
            pieces.push(bounds.piece(&body)?);
        }
    }
    Ok(pieces)
}

impl Logs for Store {
    fn log_append_many(&self, pieces: &[NewPiece]) -> Result<Vec<Logged>> {
        let packed: Vec<Vec<Part>> = pieces.iter().map(|piece| parts(&piece.entries)).collect();
        self.write(|conn| append(conn, pieces, &packed))
    }
    fn log_state(&self, place: StepPlace) -> Result<Option<LogState>> {
        self.read(|conn| state(conn, place))
    }
    fn log_gap(&self, place: StepPlace) -> Result<Option<(Position, Position)>> {
        self.read(|conn| gap(conn, place))
    }
    fn log_read(&self, place: StepPlace, from: Seek) -> Result<Vec<LogPiece>> {
        self.read(|conn| read(conn, place, from))
    }
    fn log_growing(&self, project: ProjectId, build: BuildId) -> Result<u64> {
        self.read(|conn| growing(conn, project, build))
    }
    fn step_end(&self, end: &StepEnd) -> Result<Ended> {
        let cases = self.packed(end.place.project, &end.test_report.tests)?;
        self.write(|conn| end::end(conn, end, &cases))
    }
    fn log_compact(&self, place: StepPlace) -> Result<()> {
        compact::compact(self, place)
    }
    fn log_abandoned(&self, project: ProjectId, build: BuildId) -> Result<Vec<StepPlace>> {
        self.read(|conn| end::abandoned(conn, project, build))
    }
    fn log_listen(&self) -> Result<Option<Box<dyn LogListener>>> {
        tuned::listen_to_logs(self)
    }
}
