//! Decodes bytes of any encoding to text, and counts lines.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8};

use crate::ReadError;

/// How many bytes are decoded at a time.
const PIECE: usize = 16 << 10;

/// Bytes, decoded to UTF-8 while they are read. Invalid sequences become U+FFFD.
pub(crate) struct Input<'a> {
    bytes: &'a mut dyn BufRead,
    /// The whole text, if it is in memory and needs no decoding.
    whole: Option<&'a str>,
    decoder: Decoder,
    /// Decoded text, up to `filled`.
    text: Vec<u8>,
    filled: usize,
    taken: usize,
    line: u64,
    replaced: u64,
    ended: bool,
}

/// The encoding according to the first bytes: a byte order mark, the zero bytes of ASCII in UTF-16,
/// or the XML declaration. The default is UTF-8.
fn encoding(start: &[u8]) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(start) {
        return encoding;
    }
    match start {
        [b'<' | b'{' | b'[', 0, ..] => return encoding_rs::UTF_16LE,
        [0, b'<' | b'{' | b'[', ..] => return encoding_rs::UTF_16BE,
        _ => {}
    }
    let declaration = start.get(..200.min(start.len())).unwrap_or_default();
    let declared = declaration
        .strip_prefix(b"<?xml")
        .and_then(|rest| rest.split(|byte| *byte == b'>').next())
        .and_then(|rest| {
            let at = memchr::memmem::find(rest, b"encoding")?;
            let value = rest.get(at..)?;
            let mut quoted = value.split(|byte| matches!(byte, b'"' | b'\''));
            quoted.nth(1)
        })
        .and_then(Encoding::for_label);
    // If the declaration itself was readable, the file is not UTF-16.
    declared.filter(|encoding| encoding.is_ascii_compatible()).unwrap_or(UTF_8)
}

/// The start of a file as text, for format recognition.
pub(crate) fn start(bytes: &[u8]) -> Cow<'_, str> {
    let (text, ..) = encoding(bytes).decode(bytes);
    text
}

/// The end of a file as text, at most this many bytes.
pub(crate) fn end(bytes: &[u8], most: usize) -> Cow<'_, str> {
    // A UTF-16 code unit has two bytes.
    let from = bytes.len().saturating_sub(most).next_multiple_of(2);
    let (text, _) =
        encoding(bytes).decode_without_bom_handling(bytes.get(from..).unwrap_or_default());
    text
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a mut dyn BufRead) -> Result<Self, ReadError> {
        let start = bytes.fill_buf().map_err(|error| ReadError::new(None, error.to_string()))?;
        let decoder = encoding(start).new_decoder_with_bom_removal();
        Ok(Self {
            bytes,
            whole: None,
            decoder,
            text: vec![0; PIECE * 3],
            filled: 0,
            taken: 0,
            line: 1,
            replaced: 0,
            ended: false,
        })
    }

    /// The same for bytes that are all in memory.
    pub(crate) fn of_slice(bytes: &'a mut &[u8], all: &'a [u8]) -> Result<Self, ReadError> {
        let text = if encoding(all) == UTF_8 { std::str::from_utf8(all).ok() } else { None };
        let whole = text.map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
        Ok(Self { whole, ..Self::new(bytes)? })
    }

    /// The whole text, if it is in memory and needs no decoding. Lines read from it are not counted
    /// here.
    pub(crate) fn whole(&self) -> Option<&'a str> {
        self.whole
    }

    /// The remaining text.
    pub(crate) fn rest(&mut self) -> Result<Cow<'a, str>, ReadError> {
        if let Some(text) = self.whole {
            return Ok(Cow::Borrowed(text));
        }
        let mut text = String::new();
        self.read_to_string(&mut text).map_err(|error| ReadError::new(None, error.to_string()))?;
        Ok(Cow::Owned(text))
    }

    /// The remaining bytes, not decoded.
    pub(crate) fn rest_as_bytes(&mut self) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::new();
        self.bytes
            .read_to_end(&mut bytes)
            .map_err(|error| ReadError::new(None, error.to_string()))?;
        Ok(bytes)
    }

    /// The current line, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// The number of invalid byte sequences.
    pub(crate) fn replaced(&self) -> u64 {
        self.replaced
    }

    /// The next line without its terminator; `None` at the end of the input.
    pub(crate) fn next_line(&mut self) -> Result<Option<String>, ReadError> {
        let mut bytes = Vec::new();
        let read = self.read_until(b'\n', &mut bytes);
        let line = self.line;
        match read {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(ReadError::new(Some(line), error.to_string())),
        }
        while matches!(bytes.last(), Some(b'\n' | b'\r')) {
            bytes.pop();
        }
        // The decoder's output is valid UTF-8.
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn decode(&mut self) -> io::Result<()> {
        (self.filled, self.taken) = (0, 0);
        let mut written = 0;
        while written == 0 && !self.ended {
            let bytes = self.bytes.fill_buf()?;
            let last = bytes.is_empty();
            let piece = bytes.get(..PIECE.min(bytes.len())).unwrap_or_default();
            let (result, read, wrote, replaced) =
                self.decoder.decode_to_utf8(piece, &mut self.text, last);
            self.replaced += u64::from(replaced);
            written = wrote;
            self.ended = last && result == CoderResult::InputEmpty;
            self.bytes.consume(read);
        }
        self.filled = written;
        Ok(())
    }
}

impl io::Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let text = self.fill_buf()?;
        let count = text.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), text.get(..count)) {
            to.copy_from_slice(from);
        }
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken >= self.filled && !self.ended {
            self.decode()?;
        }
        Ok(self.text.get(self.taken..self.filled).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        let end = (self.taken + count).min(self.filled);
        let taken = self.text.get(self.taken..end).unwrap_or_default();
        self.line += memchr::memchr_iter(b'\n', taken).count() as u64;
        self.taken = end;
    }
}
