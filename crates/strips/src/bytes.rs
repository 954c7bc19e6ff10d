//! Numbers and texts as bytes, and their compression.

use std::io::Read as _;

use crate::Corrupt;

/// Favours speed: on strips, higher levels save little more.
const LEVEL: i32 = 3;

/// For bytes that are soon read back and dropped.
const BRIEF: i32 = 1;

/// A number in as few bytes as it needs: seven bits each, the least first (LEB128).
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A difference, short if it is near zero on either side.
pub(crate) fn put_difference(out: &mut Vec<u8>, difference: i64) {
    put(out, ((difference << 1) ^ (difference >> 63)).cast_unsigned());
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// How the bytes behind the version are written.
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// The stored form of the bytes: version, how they are written, their length, and they themselves,
/// compressed where that makes them shorter.
pub(crate) fn compress(version: u8, bytes: &[u8]) -> Vec<u8> {
    compress_at(LEVEL, version, bytes)
}

/// As [`compress`], in less time.
pub(crate) fn compress_briefly(version: u8, bytes: &[u8]) -> Vec<u8> {
    compress_at(BRIEF, version, bytes)
}

fn compress_at(level: i32, version: u8, bytes: &[u8]) -> Vec<u8> {
    let packed = zstd::bulk::compress(bytes, level).ok();
    let packed = packed.filter(|packed| packed.len() < bytes.len());
    let mut out = vec![version, if packed.is_some() { ZSTD } else { PLAIN }];
    put(&mut out, bytes.len() as u64);
    out.extend_from_slice(packed.as_deref().unwrap_or(bytes));
    out
}

/// Restores bytes, at most so many.
pub(crate) fn decompress(version: u8, stored: &[u8], most: usize) -> Result<Vec<u8>, Corrupt> {
    let mut head = Reader(stored);
    if head.byte()? != version {
        return Err(Corrupt("unknown version"));
    }
    let written = head.byte()?;
    let length = usize::try_from(head.number()?).map_err(|_| Corrupt("too long"))?;
    if length > most {
        return Err(Corrupt("too long"));
    }
    // The declared length may be wrong, so it allocates only up to a point.
    let mut bytes = Vec::with_capacity(length.min(1 << 20));
    match written {
        PLAIN => bytes.extend_from_slice(head.0),
        ZSTD => {
            zstd::stream::read::Decoder::with_buffer(head.0)
                .and_then(|decoder| decoder.take(length as u64 + 1).read_to_end(&mut bytes))
                .map_err(|_| Corrupt("cannot decompress"))?;
        }
        _ => return Err(Corrupt("unknown compression")),
    }
    if bytes.len() != length {
        return Err(Corrupt("another length than declared"));
    }
    Ok(bytes)
}

/// Bytes left to read.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn byte(&mut self) -> Result<u8, Corrupt> {
        let (first, rest) = self.0.split_first().ok_or(Corrupt("ends early"))?;
        self.0 = rest;
        Ok(*first)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Corrupt> {
        let (these, rest) = self.0.split_at_checked(count).ok_or(Corrupt("ends early"))?;
        self.0 = rest;
        Ok(these)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Corrupt> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Corrupt("a number is too great"))
    }

    pub(crate) fn difference(&mut self) -> Result<i64, Corrupt> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// A number of things that take at least a byte each.
    pub(crate) fn count(&mut self) -> Result<usize, Corrupt> {
        let count = usize::try_from(self.number()?).map_err(|_| Corrupt("too many"))?;
        if count > self.0.len() {
            return Err(Corrupt("ends early"));
        }
        Ok(count)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Corrupt> {
        let length = self.count()?;
        std::str::from_utf8(self.bytes(length)?).map_err(|_| Corrupt("a text is not UTF-8"))
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), Corrupt> {
        if self.0.is_empty() { Ok(()) } else { Err(Corrupt("has more than its cases")) }
    }
}
