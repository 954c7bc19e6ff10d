//! JSON from clients that are not strict about text.

use serde::de::DeserializeOwned;

use crate::WireError;

/// Reads JSON. Bytes that are no UTF-8, and escapes of half a character, become U+FFFD.
///
/// # Errors
/// It is no JSON of this kind.
pub(crate) fn lenient<T: DeserializeOwned>(body: &[u8]) -> Result<T, WireError> {
    let strict = match serde_json::from_slice(body) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let text = String::from_utf8_lossy(body);
    serde_json::from_str(&whole(&text)).map_err(|_| WireError::bad("body", strict.to_string()))
}

/// The text, in which escapes of half a character are those of U+FFFD.
fn whole(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out += before;
        let unit = |text: &str| {
            let hex = text.strip_prefix("\\u")?.get(..4)?;
            u16::from_str_radix(hex, 16).ok()
        };
        let is_second = |unit: u16| (0xdc00..0xe000).contains(&unit);
        let (taken, replaced) = match unit(escape) {
            Some(first) if (0xd800..0xdc00).contains(&first) => {
                let next = escape.get(6..).and_then(unit);
                if next.is_some_and(is_second) { (12, false) } else { (6, true) }
            }
            Some(second) if is_second(second) => (6, true),
            Some(_) => (6, false),
            // A backslash with the character that it escapes.
            None => (1 + escape.chars().nth(1).map_or(0, char::len_utf8), false),
        };
        let (escaped, behind) = escape.split_at(taken.min(escape.len()));
        out += if replaced { "\\ufffd" } else { escaped };
        rest = behind;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn halves_of_characters_are_replaced_and_whole_ones_stay() {
        let read = |text: &[u8]| lenient::<String>(text).unwrap();
        assert_eq!(read(br#""a\ud83d""#), "a\u{fffd}");
        assert_eq!(read(br#""\ude00\ud83d\ude00\ud83dx""#), "\u{fffd}\u{1f600}\u{fffd}x");
        assert_eq!(read(br#""\\ud83d \ud83d""#), "\\ud83d \u{fffd}");
        assert_eq!(read(b"\"a\xff\""), "a\u{fffd}");
        assert!(lenient::<String>(b"\"\\ud83d").is_err());
        assert!(lenient::<String>("\"\\ud8".as_bytes()).is_err());
    }
}
