//! Durations and dates in their many notations.

use devmason_domain::Timestamp;

/// Parses seconds with a decimal point or comma, with or without thousands separators, as
/// microseconds; and returns whether that was a guess.
pub(crate) fn seconds(text: &str) -> Option<(u64, bool)> {
    if let Some(micros) = plain(text) {
        return Some((micros, false));
    }
    let text = text.trim().trim_end_matches('s').trim_end();
    let (commas, points) = (text.matches(',').count(), text.matches('.').count());
    let last = text.rfind([',', '.']);
    let (whole, fraction, guessed) = match (commas, points, last) {
        (0, 0, _) | (_, _, None) => (text, "", false),
        // Several of one kind are thousands separators.
        (2.., 0, _) | (0, 2.., _) => (text, "", false),
        (0, 1, Some(at)) => (text.get(..at)?, text.get(at + 1..)?, false),
        (1, 0, Some(at)) => {
            let (whole, rest) = (text.get(..at)?, text.get(at + 1..)?);
            // 1,234 is ambiguous; 0,234 and 1,23 have decimals.
            if rest.len() == 3 && whole != "0" && !whole.is_empty() {
                (text, "", true)
            } else {
                (whole, rest, false)
            }
        }
        // If there are both, the last one is the decimal separator.
        (_, _, Some(at)) => (text.get(..at)?, text.get(at + 1..)?, false),
    };
    // In 1.2e-05, an exponent follows the decimals.
    if text.contains(['e', 'E']) && commas == 0 {
        let seconds: f64 = text.parse().ok()?;
        return micros(seconds).map(|micros| (micros, false));
    }
    let whole: String =
        whole.chars().filter(|c| !matches!(c, ',' | '.' | '\'' | ' ' | '\u{a0}')).collect();
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if !digits(&whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let micros = whole.checked_mul(1_000_000)?.checked_add(fraction.parse().ok()?)?;
    Some((micros, guessed))
}

/// The common case: digits, a point, digits.
fn plain(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.')?;
    let number = |digits: &str| {
        digits.bytes().try_fold(0u64, |number, byte| {
            byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0'))
        })
    };
    if !(1..=12).contains(&whole.len()) || !(1..=9).contains(&fraction.len()) {
        return None;
    }
    // Nine digits are nanoseconds; fractions of a microsecond are dropped.
    let nanos = number(fraction)? * 10u64.pow(9 - fraction.len() as u32);
    Some(number(whole)? * 1_000_000 + nanos / 1_000)
}

/// Converts non-negative seconds to microseconds.
pub(crate) fn micros(seconds: f64) -> Option<u64> {
    (seconds.is_finite() && (0.0..1e12).contains(&seconds)).then(|| (seconds * 1e6).round() as u64)
}

/// Converts milliseconds to microseconds.
pub(crate) fn of_millis(millis: f64) -> Option<u64> {
    micros(millis / 1e3)
}

/// Converts milliseconds since 1970 to a date. Some tools write seconds.
pub(crate) fn date(millis: f64) -> Option<Timestamp> {
    let micros = of_millis(millis).filter(|micros| *micros > 0)?;
    let micros = if micros < 100_000_000_000_000 { micros.checked_mul(1000)? } else { micros };
    Timestamp::from_parts(i64::try_from(micros).ok()?, 0)
}

/// Parses `hh:mm:ss.fffffff`, optionally preceded by days, as microseconds.
pub(crate) fn clock(text: &str) -> Option<u64> {
    let (hours, rest) = text.trim().split_once(':')?;
    let (minutes, rest) = rest.split_once(':')?;
    let (days, hours) = hours.split_once('.').unwrap_or(("0", hours));
    let number = |text: &str| text.parse::<u64>().ok();
    let hours = number(days)?.checked_mul(24)?.checked_add(number(hours)?)?;
    let minutes = hours.checked_mul(60)?.checked_add(number(minutes)?)?;
    let (whole, _) = seconds(rest)?;
    minutes.checked_mul(60_000_000)?.checked_add(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_they_are_written_anywhere() {
        for (text, micros, guessed) in [
            ("0.25", 250_000, false),
            ("0,530", 530_000, false),
            ("1,23", 1_230_000, false),
            ("1,234", 1_234_000_000, true),
            ("1,234.5", 1_234_500_000, false),
            ("1.234,5", 1_234_500_000, false),
            ("1,234,567.891", 1_234_567_891_000, false),
            (".5", 500_000, false),
            ("12", 12_000_000, false),
            ("0.0000001", 0, false),
            ("1.2e-05", 12, false),
            (" 3.5s ", 3_500_000, false),
        ] {
            assert_eq!(seconds(text), Some((micros, guessed)), "{text}");
        }
        for text in ["", "-1", "soon", "NaN", "1:2", "1e99"] {
            assert_eq!(seconds(text), None, "{text}");
        }
        assert_eq!(clock("00:00:01.2345678"), Some(1_234_567));
        assert_eq!(clock("1.02:03:04"), Some(((26 * 60 + 3) * 60 + 4) * 1_000_000));
    }
}
