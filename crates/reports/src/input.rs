//! Text from bytes in whatever encoding, with its lines counted.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8};

use crate::ReadError;

/// How many bytes are decoded at a time.
const PIECE: usize = 16 << 10;

/// Bytes, decoded into UTF-8 as they are read. What is no text becomes U+FFFD.
pub(crate) struct Input<'a> {
    bytes: &'a mut dyn BufRead,
    /// All of it, where it is in memory and needs no decoding.
    whole: Option<&'a str>,
    decoder: Decoder,
    /// What was decoded: as far as `filled`.
    text: Vec<u8>,
    filled: usize,
    taken: usize,
    line: u64,
    replaced: u64,
    ended: bool,
}

/// The encoding that the first bytes show: a byte order mark, zeros as UTF-16 has them in ASCII, or the
/// declaration of XML. Else UTF-8.
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
    // A file that says UTF-16 and can be read so far is not.
    declared.filter(|encoding| encoding.is_ascii_compatible()).unwrap_or(UTF_8)
}

/// The first of a file as text, to recognize it by.
pub(crate) fn start(bytes: &[u8]) -> Cow<'_, str> {
    let (text, ..) = encoding(bytes).decode(bytes);
    text
}

/// The last of a file as text, of so many bytes at most.
pub(crate) fn end(bytes: &[u8], most: usize) -> Cow<'_, str> {
    // A unit of UTF-16 has two bytes.
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

    /// The same of bytes that are all in memory.
    pub(crate) fn of_slice(bytes: &'a mut &[u8], all: &'a [u8]) -> Result<Self, ReadError> {
        let text = if encoding(all) == UTF_8 { std::str::from_utf8(all).ok() } else { None };
        let whole = text.map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
        Ok(Self { whole, ..Self::new(bytes)? })
    }

    /// All of it, where it is in memory and needs no decoding: what is read of that is not counted here.
    pub(crate) fn whole(&self) -> Option<&'a str> {
        self.whole
    }

    /// All that is left of it.
    pub(crate) fn rest(&mut self) -> Result<Cow<'a, str>, ReadError> {
        if let Some(text) = self.whole {
            return Ok(Cow::Borrowed(text));
        }
        let mut text = String::new();
        self.read_to_string(&mut text).map_err(|error| ReadError::new(None, error.to_string()))?;
        Ok(Cow::Owned(text))
    }

    /// The same, as bytes that are no text.
    pub(crate) fn rest_as_bytes(&mut self) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::new();
        self.bytes
            .read_to_end(&mut bytes)
            .map_err(|error| ReadError::new(None, error.to_string()))?;
        Ok(bytes)
    }

    /// The line that is being read, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// How many sequences of bytes were no text.
    pub(crate) fn replaced(&self) -> u64 {
        self.replaced
    }

    /// The next line without its end; `None` at the end of the input.
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
        // The decoder writes UTF-8.
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
