//! Known issues: failures that somebody has looked at.

use uuid::Uuid;
use wildmatch::WildMatch;

use crate::name::text_value;
use crate::{AccountId, Invalid, Timestamp, Track, Username};

/// Maximum number of open issues of a project.
pub const OPEN_ISSUES: u64 = 1_000;

const DAY: i64 = 24 * 3600 * 1_000_000;

/// How long an issue mutes unless it says so, and at most, in days.
const USUAL_DAYS: i64 = 30;
const MOST_DAYS: i64 = 366;

/// Maximum length of a note and of a URL, in characters.
const NOTE: usize = 10_000;
const URL: usize = 2_000;

text_value! {
    /// The title of an issue: 1 to 200 characters, no control characters.
    IssueTitle, |text| {
        if text.trim().is_empty() || text.chars().count() > 200 || text.chars().any(char::is_control) {
            return Err(Invalid::new("a title must have 1 to 200 characters and no control characters"));
        }
        Ok(text.to_owned())
    }
}

text_value! {
    /// A note on an issue: at most 10,000 characters.
    Note, |text| {
        if text.contains('\0') || text.chars().nth(NOTE).is_some() {
            return Err(Invalid::new(format!("must have at most {NOTE} characters, without NUL")));
        }
        Ok(text.to_owned())
    }
}

text_value! {
    /// The address of an issue in a tracker: an `http` or `https` URL.
    WebAddress, |text| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let is_host = |rest: &&str| rest.starts_with(|first: char| first.is_alphanumeric() || first == '[');
        let is_plain = !text.contains(|part: char| part.is_whitespace() || part.is_control());
        match rest.filter(is_host) {
            Some(_) if is_plain && text.chars().nth(URL).is_none() => Ok(text.to_owned()),
            _ => Err(Invalid::new(format!("must be an http or https URL of at most {URL} characters"))),
        }
    }
}

text_value! {
    /// A pattern with `*` and `?`, of 1 to 1000 characters.
    Pattern, |text| {
        if text.is_empty() || text.contains('\0') || text.chars().nth(1_000).is_some() {
            return Err(Invalid::new("a pattern must have 1 to 1000 characters, without NUL"));
        }
        Ok(text.to_owned())
    }
}

text_value! {
    /// The id of a signature: 32 hexadecimal digits, in small letters.
    SignatureId, |text| {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 32 || !text.bytes().all(is_digit) {
            return Err(Invalid::new("a signature has 32 hexadecimal digits"));
        }
        Ok(text.to_owned())
    }
}

/// Which failures an issue explains: those that fit all of these that are given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fitting {
    /// The full name of a test, or the name of a step.
    pub test: Option<Pattern>,
    /// The failure's message; without one, the first line of its text.
    pub message: Option<Pattern>,
    /// The failure's signature.
    pub signature: Option<SignatureId>,
    /// The branch of the build.
    pub branch: Option<Pattern>,
    /// The variant of the build.
    pub variant: Option<Pattern>,
}

impl Fitting {
    /// Refuses one that fits every failure of a branch or variant.
    ///
    /// # Errors
    /// Neither a test, nor a message, nor a signature is given.
    pub fn checked(self) -> Result<Self, Invalid> {
        if self.test.is_none() && self.message.is_none() && self.signature.is_none() {
            return Err(Invalid::new("needs at least one of 'test', 'message' and 'signature'"));
        }
        Ok(self)
    }

    /// Prepares the patterns for many failures.
    pub fn matcher(&self) -> Matcher {
        let glob =
            |pattern: &Option<Pattern>| pattern.as_ref().map(|text| WildMatch::new(text.as_str()));
        Matcher {
            test: glob(&self.test),
            message: glob(&self.message),
            signature: self.signature.clone(),
            branch: glob(&self.branch),
            variant: glob(&self.variant),
        }
    }
}

/// A [`Fitting`] whose patterns are prepared. Each answer is true where the issue does not care.
#[derive(Debug, Clone)]
pub struct Matcher {
    test: Option<WildMatch>,
    message: Option<WildMatch>,
    signature: Option<SignatureId>,
    branch: Option<WildMatch>,
    variant: Option<WildMatch>,
}

impl Matcher {
    /// Whether it fits builds of a track.
    pub fn fits_track(&self, track: &Track) -> bool {
        self.branch.as_ref().is_none_or(|glob| glob.matches(&track.branch))
            && self.variant.as_ref().is_none_or(|glob| glob.matches(&track.variant))
    }

    /// Whether it fits the name of a test or step; the build itself has none.
    pub fn fits_name(&self, name: Option<&str>) -> bool {
        self.test.as_ref().is_none_or(|glob| name.is_some_and(|name| glob.matches(name)))
    }

    /// Whether it fits what a failure says.
    pub fn fits_message(&self, message: Option<&str>) -> bool {
        let fits = |glob: &WildMatch| message.is_some_and(|text| glob.matches(text));
        self.message.as_ref().is_none_or(fits)
    }

    /// Whether it fits a signature, by its id.
    pub fn fits_signature(&self, id: Option<&str>) -> bool {
        self.signature.as_ref().is_none_or(|signature| id == Some(signature.as_str()))
    }

    /// Whether it asks for names.
    pub fn wants_names(&self) -> bool {
        self.test.is_some()
    }
}

/// Whether an issue still explains failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueState {
    /// It does, until it expires.
    Open,
    /// It does not: a failure that it fits has returned.
    Closed,
}

impl IssueState {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Open, Self::Closed];

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

impl std::str::FromStr for IssueState {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let known = Self::ALL.into_iter().find(|state| state.as_str() == text);
        known.ok_or_else(|| Invalid::new("must be 'open' or 'closed'"))
    }
}

impl<'de> serde::Deserialize<'de> for IssueState {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What people say of an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueDetails {
    /// Its title.
    pub title: IssueTitle,
    /// Its address in a tracker.
    pub url: Option<WebAddress>,
    /// A note.
    pub note: Option<Note>,
    /// Which failures it explains.
    pub fitting: Fitting,
    /// Whether the gate passes over these failures.
    pub mute: bool,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
    /// When it was closed; `None` while it is open.
    pub closed_at: Option<Timestamp>,
}

/// A known issue of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Its id.
    pub id: Uuid,
    /// What people say of it.
    pub details: IssueDetails,
    /// The user who created it; `None` once the user was deleted.
    pub creator: Option<(AccountId, Username)>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Increases with every change.
    pub version: i64,
}

impl IssueDetails {
    /// Whether it is open.
    pub fn state(&self) -> IssueState {
        if self.closed_at.is_none() { IssueState::Open } else { IssueState::Closed }
    }

    /// Whether it explains failures at this time.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        let is_over = |end: Timestamp| end.micros() <= now.micros();
        self.closed_at.is_none() && !self.expires.is_some_and(is_over)
    }

    /// Sets when it ends by itself, after `mute` was set. A request that says nothing keeps the end, one
    /// that says null asks for the usual one: 30 days for an issue that mutes, none for others.
    ///
    /// # Errors
    /// An issue that mutes would last for more than 366 days, or the end is out of range.
    pub fn expire(
        &mut self,
        asked: Option<Option<Timestamp>>,
        now: Timestamp,
    ) -> Result<(), Invalid> {
        let after = |days: i64| now.micros().saturating_add(days * DAY);
        let end = asked.unwrap_or(self.expires);
        // An end is a moment, without the offset in which it was written.
        let utc = |end: Timestamp| {
            let utc = Timestamp::from_parts(end.micros(), 0);
            utc.ok_or_else(|| Invalid::new("not between the years 1 and 9999 in UTC"))
        };
        let end = end.map(utc).transpose()?;
        self.expires = match end {
            None if self.mute => Timestamp::from_parts(after(USUAL_DAYS), 0),
            Some(end) if self.mute && end.micros() > after(MOST_DAYS) => {
                let problem = format!("an issue that mutes lasts for at most {MOST_DAYS} days");
                return Err(Invalid::new(problem));
            }
            end => end,
        };
        Ok(())
    }

    /// Opens or closes it.
    pub fn become_state(&mut self, state: IssueState, now: Timestamp) {
        self.closed_at = match state {
            IssueState::Open => None,
            IssueState::Closed => Some(self.closed_at.unwrap_or(now)),
        };
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_parts(days * DAY, 0).unwrap()
    }

    fn details(mute: bool) -> IssueDetails {
        IssueDetails {
            title: "t".parse().unwrap(),
            url: None,
            note: None,
            fitting: Fitting::default(),
            mute,
            expires: None,
            closed_at: None,
        }
    }

    #[test]
    fn all_that_is_given_must_fit() {
        let fitting = Fitting {
            test: Some("a.*::t?".parse().unwrap()),
            message: Some("*port * is taken".parse().unwrap()),
            branch: Some("release/*".parse().unwrap()),
            ..Fitting::default()
        };
        let matcher = fitting.checked().unwrap().matcher();
        let track = |branch: &str| Track {
            variant: String::new(),
            branch: branch.to_owned(),
            is_credited: true,
        };
        assert!(matcher.fits_track(&track("release/1")) && !matcher.fits_track(&track("main")));
        assert!(matcher.fits_name(Some("a.B::t1")) && !matcher.fits_name(Some("a.B::t")));
        assert!(!matcher.fits_name(None));
        assert!(matcher.fits_message(Some("E: port 80 is taken")) && !matcher.fits_message(None));
        assert!(matcher.fits_signature(None));
        let of_branch = Fitting { branch: Some("*".parse().unwrap()), ..Fitting::default() };
        assert!(of_branch.checked().is_err());
    }

    #[test]
    fn what_mutes_ends_by_itself() {
        let end = |mute, asked, kept: Option<Timestamp>| {
            let mut details = IssueDetails { expires: kept, ..details(mute) };
            details.expire(asked, at(0)).map(|()| details.expires)
        };
        assert_eq!(end(true, None, None), Ok(Some(at(30))));
        assert_eq!(end(true, Some(None), Some(at(3))), Ok(Some(at(30))));
        assert_eq!(end(true, None, Some(at(3))), Ok(Some(at(3))));
        assert_eq!(end(true, Some(Some(at(366))), None), Ok(Some(at(366))));
        assert!(end(true, Some(Some(at(367))), None).is_err());
        assert!(end(true, None, Some(at(367))).is_err());
        assert_eq!(end(false, Some(None), Some(at(3))), Ok(None));
        assert_eq!(end(false, Some(Some(at(999))), None), Ok(Some(at(999))));
    }

    #[test]
    fn an_issue_is_in_force_until_it_expires_or_is_closed() {
        let mut issue = IssueDetails { expires: Some(at(5)), ..details(false) };
        assert!(issue.is_in_force(at(4)) && !issue.is_in_force(at(5)));
        issue.become_state(IssueState::Closed, at(2));
        issue.become_state(IssueState::Closed, at(3));
        assert_eq!((issue.closed_at, issue.is_in_force(at(4))), (Some(at(2)), false));
        issue.become_state(IssueState::Open, at(4));
        assert!(issue.is_in_force(at(4)));
    }

    #[test]
    fn texts_of_another_form_are_refused() {
        for bad in ["", "ftp://x", "javascript:alert(1)", "https://", "https://a b", "http:///x"] {
            assert!(bad.parse::<WebAddress>().is_err(), "{bad}");
        }
        assert!("https://example.org/issues/7?x=y#z".parse::<WebAddress>().is_ok());
        assert!("https://[::1]/x".parse::<WebAddress>().is_ok());
        assert!("ü".repeat(1_000).parse::<Pattern>().is_ok());
        assert!("ü".repeat(1_001).parse::<Pattern>().is_err());
        assert!("0123456789abcdef0123456789abcdef".parse::<SignatureId>().is_ok());
        assert!("0123456789ABCDEF0123456789abcdef".parse::<SignatureId>().is_err());
    }
}
