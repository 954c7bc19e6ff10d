//! Some lines of a log, for a page.

use devmason_domain::{LogEntry, LogStream, Position, Step, StepLog, missing};
use devmason_pages::{LogPart, Window};
use devmason_repository::{LogPiece, Repository, Result, Seek, StepPlace};

use super::text::given_entries;

/// The lines that a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// From this line on.
    From(u64),
    /// Up to this line.
    To(u64),
    /// The last ones.
    Tail,
}

/// How much a page shows: lines, and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

/// Where the line begins that has so many line breaks before it, in bytes of the stream.
pub(super) fn byte_of_line(
    repository: &dyn Repository,
    place: StepPlace,
    stream: Option<LogStream>,
    breaks: u64,
    end: Position,
) -> Result<u64> {
    if breaks == 0 {
        return Ok(0);
    }
    let found = repository.log_read(place, Seek::Line(stream, breaks))?;
    let Some(piece) = found.first() else { return Ok(end.bytes_of(stream)) };
    let mut at = piece.start.bytes_of(stream);
    let Some(mut left) = breaks.checked_sub(piece.start.breaks_of(stream)) else {
        // The line is among those that were dropped.
        return Ok(at);
    };
    for text in texts(piece, stream) {
        if left == 0 {
            break;
        }
        let mut found = memchr::memchr_iter(b'\n', text.as_bytes());
        let count = found.clone().count() as u64;
        if count >= left {
            let nth = found.nth(usize::try_from(left - 1).unwrap_or(usize::MAX)).unwrap_or(0);
            return Ok(at + nth as u64 + 1);
        }
        left -= count;
        at += text.len() as u64;
    }
    Ok(at)
}

fn texts(piece: &LogPiece, stream: Option<LogStream>) -> impl Iterator<Item = &str> {
    let wanted = piece.entries.iter();
    wanted
        .filter(move |entry| stream.is_none_or(|of| of == entry.stream))
        .map(|entry| entry.text.as_str())
}

fn breaks(text: &str) -> u64 {
    memchr::memchr_iter(b'\n', text.as_bytes()).count() as u64
}

/// Lines of a step's log.
pub(crate) fn window(
    repository: &dyn Repository,
    place: StepPlace,
    step: &Step,
    stream: Option<LogStream>,
    wanted: Wanted,
    room: Room,
) -> Result<Window> {
    if step.log == StepLog::Absent {
        return Ok(of_entries(given_entries(step, stream), wanted, room));
    }
    let end = repository.log_state(place)?.map(|state| state.end).unwrap_or_default();
    let bytes = end.bytes_of(stream);
    let of = end.breaks_of(stream) + u64::from(!begins_line(repository, place, stream, bytes)?);
    let line = |breaks| byte_of_line(repository, place, stream, breaks, end);
    let (from, until) = match wanted {
        Wanted::From(first) => {
            let from = line(first.max(1) - 1)?;
            let until = line((first.max(1) - 1).saturating_add(room.lines))?;
            (from, until.min(from + room.bytes))
        }
        Wanted::To(_) | Wanted::Tail => {
            let last = if let Wanted::To(last) = wanted { last.min(of) } else { of };
            let until = if last == of { bytes } else { line(last)? };
            (line(last.saturating_sub(room.lines))?.max(until.saturating_sub(room.bytes)), until)
        }
    };
    let mut window = read(repository, place, stream, (from, until), bytes)?;
    window.of = of;
    // Lines that were dropped are asked for, and others shown.
    if let (Wanted::From(first), Some((before, behind))) = (wanted, repository.log_gap(place)?)
        && first > before.breaks_of(stream)
        && first <= behind.breaks_of(stream)
        && let Some(text) = missing(before, behind, stream)
    {
        window.parts.insert(0, LogPart::Gap { text, next: window.first });
        window.first = first;
    }
    Ok(window)
}

/// Whether a line begins behind so many bytes of the stream.
fn begins_line(
    repository: &dyn Repository,
    place: StepPlace,
    stream: Option<LogStream>,
    bytes: u64,
) -> Result<bool> {
    let Some(last) = bytes.checked_sub(1) else { return Ok(true) };
    for piece in repository.log_read(place, Seek::Byte(stream, last))? {
        let mut at = piece.start.bytes_of(stream);
        for text in texts(&piece, stream) {
            if let Some(offset) = last.checked_sub(at)
                && let Some(byte) =
                    text.as_bytes().get(usize::try_from(offset).unwrap_or(usize::MAX))
            {
                return Ok(*byte == b'\n');
            }
            at += text.len() as u64;
        }
    }
    Ok(true)
}

/// Whole lines between two places, in bytes of the stream. A line that is longer than there is room for
/// is cut.
fn read(
    repository: &dyn Repository,
    place: StepPlace,
    stream: Option<LogStream>,
    (from, until): (u64, u64),
    end: u64,
) -> Result<Window> {
    let mut window = Window::default();
    let (mut at, mut before, mut is_started) = (from, None::<Position>, false);
    let is_within = !begins_line(repository, place, stream, from)?;
    while at < until {
        let start = at;
        for piece in repository.log_read(place, Seek::Byte(stream, at))? {
            let first = piece.start.bytes_of(stream);
            if let Some(gap) = before.and_then(|before| missing(before, piece.start, stream)) {
                let next = piece.start.breaks_of(stream) + 1;
                window.parts.push(LogPart::Gap { text: gap, next });
            }
            before = Some(piece.end);
            let (mut here, mut line) = (first, piece.start.breaks_of(stream) + 1);
            for entry in piece.entries {
                if stream.is_some_and(|of| of != entry.stream) {
                    continue;
                }
                let length = entry.text.len() as u64;
                let low = from.clamp(here, here + length) - here;
                let high = until.clamp(here, here + length) - here;
                let (low, high) = (low as usize, high as usize);
                let cut = |at: usize| entry.text.floor_char_boundary(at);
                if !is_started && here + length > from {
                    let head = entry.text.get(..cut(low)).unwrap_or_default();
                    window.first = line + breaks(head);
                    is_started = true;
                }
                let text = entry.text.get(cut(low)..cut(high)).unwrap_or_default();
                if !text.is_empty() {
                    let text = text.to_owned();
                    window.parts.push(LogPart::Entry(LogEntry { text, ..entry.clone() }));
                }
                line += breaks(&entry.text);
                here += length;
            }
            at = at.max(here.min(until));
            if here >= until {
                at = until;
                break;
            }
        }
        if at == start {
            break;
        }
    }
    if is_within {
        window.drop_partial_line();
    }
    if until < end {
        window.drop_open_line();
    }
    window.count();
    Ok(window)
}

/// Lines of a log that is in memory.
fn of_entries(entries: Vec<LogEntry>, wanted: Wanted, room: Room) -> Window {
    let total: u64 = entries.iter().map(|entry| breaks(&entry.text)).sum();
    let is_open = entries.last().is_some_and(|entry| !entry.text.ends_with('\n'));
    let of = total + u64::from(is_open);
    let (first, last) = match wanted {
        Wanted::From(first) => (first.max(1), first.max(1).saturating_add(room.lines - 1)),
        Wanted::To(last) => (last.min(of).saturating_sub(room.lines) + 1, last.min(of)),
        Wanted::Tail => (of.saturating_sub(room.lines) + 1, of),
    };
    let mut window = Window { first, of, ..Window::default() };
    let (mut line, mut bytes) = (1, 0);
    let mut lines: Vec<LogPart> = Vec::new();
    for entry in entries {
        for text in entry.text.split_inclusive('\n') {
            if (first..=last).contains(&line) {
                bytes += text.len() as u64;
                lines.push(LogPart::Entry(LogEntry { text: text.to_owned(), ..entry.clone() }));
            }
            line += u64::from(text.ends_with('\n'));
        }
    }
    // Too long: of a tail the end is shown, otherwise the beginning.
    while bytes > room.bytes && lines.len() > 1 {
        let gone =
            if matches!(wanted, Wanted::From(_)) { lines.pop() } else { Some(lines.remove(0)) };
        if let Some(LogPart::Entry(entry)) = gone {
            bytes -= entry.text.len() as u64;
            if !matches!(wanted, Wanted::From(_)) {
                window.first += breaks(&entry.text);
            }
        }
    }
    window.parts = lines;
    window.count();
    window
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_in_memory_are_those_asked_for() {
        let entry =
            |text: &str| LogEntry { millis: 0, stream: LogStream::Out, text: text.to_owned() };
        let all = || vec![entry("1\n2\n3"), entry("x\n4\n5")];
        let room = Room { lines: 2, bytes: 100 };
        let bounds = |wanted| {
            let window = of_entries(all(), wanted, room);
            (window.first, window.last, window.of)
        };
        assert_eq!(bounds(Wanted::From(2)), (2, 3, 5));
        assert_eq!(bounds(Wanted::To(3)), (2, 3, 5));
        assert_eq!(bounds(Wanted::Tail), (4, 5, 5));
        assert_eq!(bounds(Wanted::From(9)), (9, 0, 5));
    }
}
