//! What a command has written and what was not sent yet.

use std::collections::VecDeque;

use super::PIECE_BYTES;

/// The maximum size of a piece, in bytes: escaped as JSON, it grows up to sixfold and stays below the
/// server's limit on bodies.
const MOST_OF_PIECE: usize = 2 << 20;

/// Entries of one stream that follow each other within this many milliseconds are one.
const BURST: u64 = 20;

/// The names of the streams: standard output and standard error.
const STREAMS: [&str; 2] = ["out", "err"];

/// A text that was written at once: milliseconds since the start, which stream, and its bytes.
struct Said {
    millis: u64,
    which: usize,
    bytes: Vec<u8>,
}

/// Output not yet sent.
#[derive(Default)]
pub(super) struct Written {
    said: VecDeque<Said>,
    /// The bytes in it.
    pub(super) bytes: usize,
    /// The beginning of a character of each stream.
    partial: [Vec<u8>; 2],
    /// No more output is accepted.
    pub(super) is_closed: bool,
    /// Whether a terminal ends lines, with a carriage return before each line break.
    pub(super) is_of_terminal: bool,
}

impl Written {
    /// Adds what was read. A character that is not whole waits for its rest.
    pub(super) fn add(&mut self, millis: u64, which: usize, piece: &[u8]) {
        let Some(partial) = self.partial.get_mut(which) else { return };
        let mut bytes = std::mem::take(partial);
        bytes.extend_from_slice(piece);
        let mut end = whole_characters(&bytes);
        if self.is_of_terminal && bytes.get(..end).is_some_and(|bytes| bytes.ends_with(b"\r")) {
            // A line break may follow, and then it is none of its own.
            end -= 1;
        }
        *partial = bytes.split_off(end);
        if self.is_of_terminal {
            without_returns(&mut bytes);
        }
        self.push(millis, which, bytes);
    }

    fn push(&mut self, millis: u64, which: usize, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        self.bytes += bytes.len();
        match self.said.back_mut() {
            Some(last)
                if last.which == which
                    && millis.saturating_sub(last.millis) <= BURST
                    && last.bytes.len() < PIECE_BYTES =>
            {
                last.bytes.extend_from_slice(&bytes);
            }
            _ => self.said.push_back(Said { millis, which, bytes }),
        }
    }

    /// Nothing more comes: what is left of characters is no text.
    pub(super) fn close(&mut self, millis: u64) {
        self.is_closed = true;
        for which in 0..STREAMS.len() {
            let rest = self.partial.get_mut(which).map(std::mem::take).unwrap_or_default();
            self.push(millis, which, rest);
        }
    }

    /// Takes as much as fits into a piece.
    pub(super) fn take(&mut self) -> Vec<(u64, &'static str, String)> {
        let (mut piece, mut bytes) = (Vec::new(), 0);
        while let Some(said) = self.said.pop_front() {
            if bytes > 0 && bytes + said.bytes.len() > MOST_OF_PIECE {
                self.said.push_front(said);
                break;
            }
            bytes += said.bytes.len();
            self.bytes -= said.bytes.len();
            let text = String::from_utf8_lossy(&said.bytes).into_owned();
            piece.push((said.millis, STREAMS.get(said.which).copied().unwrap_or("out"), text));
        }
        piece
    }
}

/// The length of the complete characters: an incomplete UTF-8 character at the end has up to three
/// bytes.
fn whole_characters(bytes: &[u8]) -> usize {
    let start = bytes.len().saturating_sub(3);
    let tail = bytes.get(start..).unwrap_or_default();
    let lead = tail.iter().rposition(|byte| *byte >= 0xC0);
    let Some(at) = lead else { return bytes.len() };
    let length = match tail.get(at) {
        Some(0xF0..) => 4,
        Some(0xE0..) => 3,
        _ => 2,
    };
    if tail.len() - at < length { start + at } else { bytes.len() }
}

/// Removes the carriage return before each line break.
fn without_returns(bytes: &mut Vec<u8>) {
    let mut at = 0;
    let all = std::mem::take(bytes);
    bytes.reserve(all.len());
    while let Some(byte) = all.get(at) {
        if *byte != b'\r' || all.get(at + 1) != Some(&b'\n') {
            bytes.push(*byte);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_end_with_whole_characters() {
        for (bytes, end) in [
            (&b"abc"[..], 3),
            ("ü".as_bytes(), 2),
            (&"aü".as_bytes()[..2], 1),
            (&"a\u{1F600}".as_bytes()[..4], 1),
            ("a\u{1F600}".as_bytes(), 5),
            (&"a€".as_bytes()[..3], 1),
            // Invalid bytes are not waited for.
            (b"a\x80\x80", 3),
            (b"", 0),
        ] {
            assert_eq!(whole_characters(bytes), end, "{bytes:?}");
        }
        let mut written = Written::default();
        written.add(1, 0, b"a\xc3");
        written.add(2, 1, b"b");
        written.add(50, 0, b"\xbc\xc3");
        let texts = |piece: Vec<(u64, &'static str, String)>| -> Vec<_> {
            piece
                .into_iter()
                .map(|(millis, stream, text)| format!("{millis} {stream} {text}"))
                .collect()
        };
        assert_eq!(texts(written.take()), ["1 out a", "2 err b", "50 out ü"]);
        written.close(60);
        assert_eq!(texts(written.take()), ["60 out \u{fffd}"]);
        assert_eq!(written.bytes, 0);
    }

    #[test]
    fn a_terminals_line_breaks_are_those_of_a_text() {
        let mut written = Written { is_of_terminal: true, ..Written::default() };
        written.add(0, 0, b"50%\r100%\r\na\r");
        written.add(0, 0, b"\nb\r");
        written.add(0, 0, b"c");
        let text: String = written.take().into_iter().map(|(_, _, text)| text).collect();
        assert_eq!(text, "50%\r100%\na\nb\rc");
    }
}
