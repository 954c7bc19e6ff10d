//! Tracks that fell silent.

use std::fmt;
use std::str::FromStr;

use crate::{Invalid, Timestamp};

/// Number of the newest builds whose gaps are looked at, and the fewest that tell.
const GAPS: usize = 10;
const FEWEST: usize = 5;

/// No track is overdue before six hours, unless its owner says so. In microseconds.
const LEAST: i64 = 6 * 3600 * 1_000_000;

/// The longest time that may be named, in days.
const MOST_DAYS: u32 = 366;

/// When builds of a track are expected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expected {
    /// As often as they came until now.
    #[default]
    Learned,
    /// Never: the track cannot be overdue.
    Never,
    /// Within a time.
    Within(Within),
}

/// A time as it was named: `90m`, `26h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within {
    count: u32,
    unit: char,
}

impl Within {
    fn minutes(self) -> u32 {
        self.count.saturating_mul(match self.unit {
            'm' => 1,
            'h' => 60,
            _ => 24 * 60,
        })
    }
}

impl FromStr for Expected {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = || {
            Invalid::new(
                "must be 'learned', 'never' or a time such as '90m', '26h' or '7d', of at most 366 days",
            )
        };
        match text {
            "learned" => return Ok(Self::Learned),
            "never" => return Ok(Self::Never),
            _ => {}
        }
        let unit = text.chars().next_back().filter(|unit| "mhd".contains(*unit)).ok_or_else(bad)?;
        let digits = text.strip_suffix(unit).unwrap_or_default();
        let is_number = digits.len() <= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let count = digits.parse().ok().filter(|count: &u32| is_number && *count > 0);
        let within = Within { count: count.ok_or_else(bad)?, unit };
        if within.minutes() > MOST_DAYS * 24 * 60 {
            return Err(bad());
        }
        Ok(Self::Within(within))
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Learned => f.write_str("learned"),
            Self::Never => f.write_str("never"),
            Self::Within(Within { count, unit }) => write!(f, "{count}{unit}"),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Expected {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How often builds start, in microseconds: the median gap of the newest ones, which come first. `None`
/// if there are fewer than five.
pub fn every(starts: &[Timestamp]) -> Option<i64> {
    if starts.len() < FEWEST {
        return None;
    }
    let pairs = starts.iter().zip(starts.iter().skip(1)).take(GAPS);
    let mut gaps: Vec<i64> =
        pairs.map(|(later, earlier)| (later.micros() - earlier.micros()).max(0)).collect();
    gaps.sort_unstable();
    let middle = gaps.len() / 2;
    let upper = *gaps.get(middle)?;
    if gaps.len() % 2 == 1 {
        return Some(upper);
    }
    Some((gaps.get(middle.checked_sub(1)?)? + upper) / 2)
}

impl Expected {
    /// Whether builds that started then, the newest first, have been followed by none for too long.
    pub fn is_overdue(self, starts: &[Timestamp], now: Timestamp) -> bool {
        let Some(last) = starts.first() else { return false };
        let most = match self {
            Self::Never => return false,
            Self::Within(within) => i64::from(within.minutes()) * 60_000_000,
            Self::Learned => match every(starts) {
                Some(every) => every.saturating_mul(3).max(LEAST),
                None => return false,
            },
        };
        now.micros().saturating_sub(last.micros()) > most
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const HOUR: i64 = 3600 * 1_000_000;

    fn starts(hours: &[i64]) -> Vec<Timestamp> {
        hours.iter().map(|hour| Timestamp::from_parts(hour * HOUR, 0).unwrap()).collect()
    }

    #[test]
    fn a_time_is_written_as_it_is_read() {
        for text in ["learned", "never", "1m", "26h", "48h", "366d"] {
            assert_eq!(text.parse::<Expected>().unwrap().to_string(), text);
        }
        for bad in ["", "h", "0h", "-1h", "+1h", "1.5h", "26", "367d", "1w", "9999999m", "1 h", "ü"]
        {
            assert!(bad.parse::<Expected>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_track_is_overdue_when_it_is_silent_for_three_times_as_long_as_usual() {
        let daily = starts(&[96, 72, 48, 24, 0]);
        let at = |hour: i64| Timestamp::from_parts(hour * HOUR, 0).unwrap();
        assert_eq!(every(&daily), Some(24 * HOUR));
        let learned = Expected::Learned;
        assert!(
            !learned.is_overdue(&daily, at(96 + 72)) && learned.is_overdue(&daily, at(96 + 73))
        );
        // Builds that come every minute are not missed within six hours; four builds tell nothing.
        let often = starts(&[1, 1, 1, 1, 1]);
        assert!(!learned.is_overdue(&often, at(7)) && learned.is_overdue(&often, at(8)));
        assert!(!learned.is_overdue(&starts(&[3, 2, 1, 0]), at(999)));
        assert!(!Expected::Never.is_overdue(&daily, at(9_999)));
        let within: Expected = "26h".parse().unwrap();
        assert!(!within.is_overdue(&daily, at(96 + 26)) && within.is_overdue(&daily, at(96 + 27)));
        assert!(within.is_overdue(&starts(&[0]), at(27)) && !within.is_overdue(&[], at(27)));
    }

    #[test]
    fn the_usual_gap_is_the_median_of_the_last_ten() {
        let hours: Vec<i64> =
            (0..20).map(|n| if n < 11 { 1_000 - n } else { 900 - 50 * n }).collect();
        assert_eq!(every(&starts(&hours)), Some(HOUR));
        assert_eq!(every(&starts(&[10, 8, 5, 1, 0])), Some(2 * HOUR + HOUR / 2));
    }
}
