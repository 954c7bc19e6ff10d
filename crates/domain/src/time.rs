//! Instants with the offset that the client wrote them in.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, Timelike, Utc};
use uuid::Uuid;

use crate::Invalid;

/// An instant to the microsecond, with the UTC offset (in minutes) it was written in.
///
/// Microseconds, because that is what the databases store: an instant read back must equal the one
/// written. Years 1 to 9999, because RFC 2822 and RFC 3339 cannot express others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    micros: i64,
    offset_minutes: i16,
}

/// A new UUID that sorts by time (version 7 of RFC 9562). If the clock is before 1970, which
/// version 7 cannot express, it is random.
pub fn fresh_uuid() -> Uuid {
    if SystemTime::now() < SystemTime::UNIX_EPOCH { Uuid::new_v4() } else { Uuid::now_v7() }
}

impl Timestamp {
    /// The current time, in UTC.
    #[expect(clippy::disallowed_methods, reason = "all other code gets the time from here")]
    pub fn now() -> Self {
        Self { micros: Utc::now().timestamp_micros(), offset_minutes: 0 }
    }

    /// A time from the file system, such as when a file was modified; `None` if no calendar date
    /// expresses it.
    pub fn of_system(time: SystemTime) -> Option<Self> {
        let micros = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).ok()?,
            Err(before) => -i64::try_from(before.duration().as_micros()).ok()?,
        };
        Self::from_parts(micros, 0)
    }

    /// From microseconds since 1970 and an offset in minutes; `None` if no calendar date expresses
    /// them.
    pub fn from_parts(micros: i64, offset_minutes: i16) -> Option<Self> {
        let utc = DateTime::from_timestamp_micros(micros)?;
        let offset = FixedOffset::east_opt(i32::from(offset_minutes) * 60)?;
        let year = utc.with_timezone(&offset).year();
        (1..=9999).contains(&year).then_some(Self { micros, offset_minutes })
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn micros(self) -> i64 {
        self.micros
    }

    /// Minutes east of UTC, as the client wrote it.
    pub fn offset_minutes(self) -> i16 {
        self.offset_minutes
    }

    fn local(self) -> DateTime<FixedOffset> {
        // Both parts were checked when the value was created; UTC and the epoch are unused fallbacks.
        let offset = FixedOffset::east_opt(i32::from(self.offset_minutes) * 60);
        let offset = offset.unwrap_or_else(|| chrono::Offset::fix(&Utc));
        DateTime::from_timestamp_micros(self.micros).unwrap_or_default().with_timezone(&offset)
    }

    /// `Tue, 20 Oct 2009 10:20:00 -0500`: RFC 2822, in the offset that the client sent.
    pub fn to_rfc2822(self) -> String {
        const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (local, offset) = (self.local(), self.offset_minutes);
        let name = |names: &'static [&str], at: u32| names.get(at as usize).copied().unwrap_or("");
        // Formatted by hand: a page of builds has hundreds of dates, and interpreting a format string takes
        // five times as long.
        format!(
            "{}, {:02} {} {:04} {:02}:{:02}:{:02} {}{:02}{:02}",
            name(&DAYS, local.weekday().num_days_from_monday()),
            local.day(),
            name(&MONTHS, local.month0()),
            local.year(),
            local.hour(),
            local.minute(),
            local.second(),
            if offset < 0 { '-' } else { '+' },
            offset.unsigned_abs() / 60,
            offset.unsigned_abs() % 60,
        )
    }

    /// `2009-10-20T15:20:00Z`: RFC 3339 in UTC, with fractional seconds as needed.
    pub fn to_rfc3339_utc(self) -> String {
        let utc = self.local().with_timezone(&Utc);
        utc.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
    }
}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.micros, self.offset_minutes).cmp(&(other.micros, other.offset_minutes))
    }
}

impl FromStr for Timestamp {
    type Err = Invalid;

    /// Parses RFC 2822, RFC 3339 and similar ISO 8601 forms (`T` or a space, with or without seconds,
    /// `+01:00`, `+0100`, `+01` or `Z`). The default offset is UTC; the default time is midnight.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let refused =
            || Invalid::new(format!("'{}' is not an RFC 2822 or RFC 3339 date", cut(text)));
        let instant = DateTime::parse_from_rfc2822(text)
            .or_else(|_| DateTime::parse_from_rfc3339(text))
            .ok()
            .or_else(|| iso8601(text))
            .ok_or_else(refused)?;
        let offset_minutes =
            i16::try_from(instant.offset().local_minus_utc() / 60).map_err(|_| refused())?;
        Self::from_parts(instant.timestamp_micros(), offset_minutes).ok_or_else(refused)
    }
}

fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}

fn iso8601(text: &str) -> Option<DateTime<FixedOffset>> {
    let text = text.replacen(' ', "T", 1);
    ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z"]
        .iter()
        .find_map(|format| DateTime::parse_from_str(&text, format).ok())
        .or_else(|| {
            ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
                .iter()
                .find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok())
                .or_else(|| NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))
                .map(|naive| naive.and_utc().fixed_offset())
        })
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc2822())
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_offset_that_the_client_sent_comes_back() {
        let sent = "Tue, 20 Oct 2009 10:20:00 -0500";
        assert_eq!(sent.parse::<Timestamp>().unwrap().to_rfc2822(), sent);
    }

    #[test]
    fn iso_8601_is_read_and_without_an_offset_it_is_utc() {
        for (sent, utc) in [
            ("2010-08-07T10:20:00", "2010-08-07T10:20:00Z"),
            ("2010-08-07 10:20:00.25", "2010-08-07T10:20:00.250Z"),
            ("2010-08-07T10:20:00+02:00", "2010-08-07T08:20:00Z"),
            ("2010-08-07T10:20:00+0200", "2010-08-07T08:20:00Z"),
            ("2010-08-07T10:20:00.123456Z", "2010-08-07T10:20:00.123456Z"),
            ("2010-08-07T10:20:00.123456789Z", "2010-08-07T10:20:00.123456Z"),
            ("2010-08-07T10:20", "2010-08-07T10:20:00Z"),
            ("2010-08-07", "2010-08-07T00:00:00Z"),
            ("20 Oct 2009 10:20:00 GMT", "2009-10-20T10:20:00Z"),
        ] {
            assert_eq!(sent.parse::<Timestamp>().unwrap().to_rfc3339_utc(), utc, "{sent}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "yesterday",
            "2010-13-01",
            "1287588000",
            "Mon, 20 Oct 2009 10:20:00 -0500",
            "99999-01-01T00:00:00Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in -62_000_000_000i64..250_000_000_000, offset in -1439i16..1439) {
            let written = Timestamp::from_parts(seconds * 1_000_000, offset).unwrap();
            prop_assert_eq!(written.to_rfc2822().parse::<Timestamp>().unwrap(), written);
            let utc = written.to_rfc3339_utc().parse::<Timestamp>().unwrap();
            prop_assert_eq!(utc.micros(), written.micros());
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}") {
            let _ = text.parse::<Timestamp>();
        }
    }
}
