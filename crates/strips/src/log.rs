//! Pieces of a log.

use devmason_domain::{LogEntry, LogStream};

use crate::Corrupt;
use crate::bytes::{Reader, compress, decompress, put, put_difference};

const VERSION: u8 = 1;

/// Maximum size of the texts of a piece, in bytes. Reading any part of a log unpacks one piece or
/// two, so its cost is that of this much, however long the log is.
pub const PIECE: usize = 256 << 10;

/// Maximum size of a piece before it is compressed: each entry adds up to 20 bytes to its text, and
/// only entries with a text are packed.
const UNPACKED: usize = 21 * PIECE;

/// Packs what was written: for each entry the milliseconds since the last one, twice the length of
/// its text, plus one for standard error, and the text.
pub fn pack_log(entries: &[LogEntry]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut before = 0u64;
    for entry in entries {
        put_difference(&mut out, entry.millis.wrapping_sub(before).cast_signed());
        before = entry.millis;
        let stream = u64::from(entry.stream == LogStream::Err);
        put(&mut out, (entry.text.len() as u64) << 1 | stream);
        out.extend_from_slice(entry.text.as_bytes());
    }
    compress(VERSION, &out)
}

/// Restores what [`pack_log`] packed.
///
/// # Errors
/// The bytes are no piece of a log.
pub fn unpack_log(stored: &[u8]) -> Result<Vec<LogEntry>, Corrupt> {
    let bytes = decompress(VERSION, stored, UNPACKED)?;
    let mut rest = Reader(&bytes);
    let mut entries = Vec::new();
    let mut before = 0u64;
    while !rest.0.is_empty() {
        before = before.wrapping_add(rest.difference()?.cast_unsigned());
        let head = rest.number()?;
        let length = usize::try_from(head >> 1).map_err(|_| Corrupt("too long"))?;
        let text = std::str::from_utf8(rest.bytes(length)?);
        let text = text.map_err(|_| Corrupt("a text is not UTF-8"))?.to_owned();
        let stream = if head & 1 == 0 { LogStream::Out } else { LogStream::Err };
        entries.push(LogEntry { millis: before, stream, text });
    }
    Ok(entries)
}

/// Divides entries into pieces of at most [`PIECE`] bytes. Longer texts are divided between
/// characters; empty ones are left out.
pub fn log_pieces(entries: impl IntoIterator<Item = LogEntry>) -> Vec<Vec<LogEntry>> {
    let mut pieces = Vec::new();
    let (mut piece, mut bytes) = (Vec::new(), 0);
    for mut entry in entries {
        while !entry.text.is_empty() {
            if bytes + entry.text.len() <= PIECE {
                bytes += entry.text.len();
                piece.push(entry);
                break;
            }
            // An entry that fits into a piece stays whole; a longer one fills this piece and others.
            let room = if entry.text.len() > PIECE { PIECE - bytes } else { 0 };
            let rest = entry.text.split_off(entry.text.floor_char_boundary(room));
            let LogEntry { millis, stream, text } = entry;
            if !text.is_empty() {
                piece.push(LogEntry { millis, stream, text });
            }
            pieces.push(std::mem::take(&mut piece));
            bytes = 0;
            entry = LogEntry { millis, stream, text: rest };
        }
    }
    pieces.push(piece);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    fn entry() -> impl Strategy<Value = LogEntry> {
        (any::<u64>(), any::<bool>(), ".*|ü{0,9}\n").prop_map(|(millis, is_err, text)| LogEntry {
            millis,
            stream: if is_err { LogStream::Err } else { LogStream::Out },
            text,
        })
    }

    proptest! {
        #[test]
        fn what_was_packed_is_restored(entries in proptest::collection::vec(entry(), 0..50)) {
            prop_assert_eq!(unpack_log(&pack_log(&entries)).unwrap(), entries);
        }

        #[test]
        fn other_bytes_are_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpack_log(&bytes);
        }
    }

    #[test]
    fn pieces_are_short_and_together_the_log() {
        let long =
            |text: &str| LogEntry { millis: 3, stream: LogStream::Err, text: text.to_owned() };
        let entries = vec![long("a\n"), long(&"€".repeat(PIECE)), long(""), long("b\n"), long("c")];
        let pieces = log_pieces(entries.clone());
        assert!(pieces.len() > 3);
        let size =
            |piece: &Vec<LogEntry>| piece.iter().map(|entry| entry.text.len()).sum::<usize>();
        assert!(pieces.iter().all(|piece| (1..=PIECE).contains(&size(piece))));
        let text = |entries: &[LogEntry]| {
            entries.iter().map(|entry| entry.text.as_str()).collect::<String>()
        };
        assert_eq!(text(&pieces.concat()), text(&entries));
        assert!(log_pieces([long("")]).is_empty());
    }

    #[test]
    fn a_piece_of_many_short_entries_can_be_restored() {
        let entry = |nth: u64| LogEntry {
            millis: (nth % 2) * u64::MAX / 2,
            stream: LogStream::Out,
            text: "x".to_owned(),
        };
        let entries: Vec<_> = (0..PIECE as u64).map(entry).collect();
        assert_eq!(unpack_log(&pack_log(&entries)).unwrap().len(), PIECE);
    }
}
