//! Compression of outputs, where it saves space.

use std::borrow::Cow;

use devmason_domain::Step;

use super::fault::Fault;

/// Minimum length of a text to compress, in bytes.
const WORTH: usize = 256;

/// A step's output and errors in stored form.
pub(crate) struct Packed<'a> {
    pub(crate) output: Cow<'a, [u8]>,
    pub(crate) errout: Cow<'a, [u8]>,
    /// Bit flags of the compressed parts: 1 for the output, 2 for the errors.
    pub(crate) flags: i16,
}

impl<'a> Packed<'a> {
    pub(crate) fn new(step: &'a Step) -> Self {
        let (output, errout) = (pack(&step.output), pack(&step.errout));
        let flag = |bytes: &Cow<'_, [u8]>, flag| match bytes {
            Cow::Owned(_) => flag,
            Cow::Borrowed(_) => 0,
        };
        Self { flags: flag(&output, 1) | flag(&errout, 2), output, errout }
    }
}

/// Compresses a text, unless that saves less than an eighth.
pub(crate) fn pack(text: &str) -> Cow<'_, [u8]> {
    pack_bytes(text.as_bytes())
}

/// Compresses bytes, unless that saves less than an eighth.
pub(crate) fn pack_bytes(bytes: &[u8]) -> Cow<'_, [u8]> {
    if bytes.len() >= WORTH {
        let packed = lz4_flex::compress_prepend_size(bytes);
        if packed.len() < bytes.len() - bytes.len() / 8 {
            return Cow::Owned(packed);
        }
    }
    Cow::Borrowed(bytes)
}

/// Restores stored bytes, compressed or plain.
pub(crate) fn unpack_bytes(bytes: Vec<u8>, packed: bool) -> Result<Vec<u8>, Fault> {
    if packed { decompress(&bytes) } else { Ok(bytes) }
}

/// Restores the stored output and errors.
pub(crate) fn unpack(
    output: Vec<u8>,
    errout: Vec<u8>,
    flags: i16,
) -> Result<(String, String), Fault> {
    Ok((text(output, flags & 1 != 0)?, text(errout, flags & 2 != 0)?))
}

/// Restores a stored text, compressed or plain.
pub(crate) fn text(bytes: Vec<u8>, packed: bool) -> Result<String, Fault> {
    String::from_utf8(unpack_bytes(bytes, packed)?)
        .map_err(|_| Fault::Corrupt("an output is not UTF-8".into()))
}

fn decompress(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    let corrupt = |what: String| Fault::Corrupt(format!("cannot decompress an output: {what}"));
    let (length, block) =
        lz4_flex::block::uncompressed_size(bytes).map_err(|error| corrupt(error.to_string()))?;
    // A compressed byte expands to at most 255 bytes, so a greater length is invalid.
    if length > block.len().saturating_mul(255) {
        return Err(corrupt(format!("{length} bytes in {}", block.len())));
    }
    let text = lz4_flex::decompress(block, length).map_err(|error| corrupt(error.to_string()))?;
    if text.len() == length { Ok(text) } else { Err(corrupt("too short".to_owned())) }
}
