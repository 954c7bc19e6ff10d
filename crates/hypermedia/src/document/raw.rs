//! JSON stored as sent.

use serde_json::value::RawValue;

/// Maximum nesting of clients' own JSON. Databases that look into it have similar limits.
const MAX_DEPTH: usize = 128;

/// Why valid JSON text cannot be stored: it contains a string that isn't Unicode, or is nested too
/// deeply.
pub(super) fn unfit(json: &str) -> Option<&'static str> {
    let bytes = json.as_bytes();
    // Most texts have no such escape and few brackets, and need no closer look.
    if memchr::memmem::find(bytes, b"\\u").is_none()
        && memchr::memchr2_iter(b'[', b'{', bytes).nth(MAX_DEPTH).is_none()
    {
        return None;
    }
    let (mut at, mut depth, mut in_string) = (0, 0usize, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Some("nested more than 128 levels deep");
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            b'\\' => {
                match (bytes.get(at + 1), unit(bytes, at)) {
                    (Some(b'u'), Some(0xD800..=0xDBFF)) => {
                        let low = (bytes.get(at + 6) == Some(&b'\\'))
                            .then(|| unit(bytes, at + 6))
                            .flatten();
                        if !matches!(low, Some(0xDC00..=0xDFFF)) {
                            return Some("a lone surrogate");
                        }
                        at += 10;
                    }
                    (Some(b'u'), Some(0xDC00..=0xDFFF)) => return Some("a lone surrogate"),
                    _ => {}
                }
                at += 1;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The UTF-16 code unit of the escape `\uXXXX` at a position.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at + 1..at + 6)?.strip_prefix(b"u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// A value stored as sent, after checking that it can be.
pub(super) struct Kept(pub(super) Box<RawValue>);

impl<'de> serde::Deserialize<'de> for Kept {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        match unfit(raw.get()) {
            Some(problem) => Err(serde::de::Error::custom(problem)),
            None => Ok(Self(raw)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_surrogates_are_found_and_pairs_are_not() {
        for json in [
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud800\u0041""#,
            r#"{"a":["\uDBFFx"]}"#,
            r#""\\\ud800""#,
        ] {
            assert_eq!(unfit(json), Some("a lone surrogate"), "{json}");
        }
        for json in [r#""\ud83d\ude00""#, r#""\\ud800""#, r#""\u0000\n\"""#, "1e999", "[]"] {
            assert_eq!(unfit(json), None, "{json}");
        }
    }

    #[test]
    fn nesting_has_a_bound() {
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert_eq!(unfit(&nested(128)), None);
        assert!(unfit(&nested(129)).is_some());
        assert_eq!(unfit(&format!("\"{}\"", "[".repeat(500))), None);
    }
}
