//! The gate: how much of each kind of failure is allowed.

use std::fmt;
use std::str::FromStr;

use crate::Invalid;

/// What a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Items that fail and did not in the baseline.
    New,
    /// Items that fail and have no baseline.
    Unknown,
    /// Tests that ran in the baseline and are not in the build.
    Missing,
    /// Items that fail and did in the baseline.
    Failing,
    /// Tests that fail and are known to be flaky.
    Flaky,
    /// Tests that are flaky here and were not before.
    NewFlaky,
    /// Tests that ran in the baseline and were skipped.
    Skipped,
    /// Tests that became slower.
    Slower,
    /// Variants that usually report about a commit and did not.
    Variants,
}

impl Rule {
    /// All of them, in the order in which a gate writes them.
    pub const ALL: [Self; 9] = [
        Self::New,
        Self::Unknown,
        Self::Missing,
        Self::Failing,
        Self::Flaky,
        Self::NewFlaky,
        Self::Skipped,
        Self::Slower,
        Self::Variants,
    ];

    /// Its name in the text of a gate.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Unknown => "unknown",
            Self::Missing => "missing",
            Self::Failing => "failing",
            Self::Flaky => "flaky",
            Self::NewFlaky => "new_flaky",
            Self::Skipped => "skipped",
            Self::Slower => "slower",
            Self::Variants => "variants",
        }
    }
}

/// How many items a rule allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// So many.
    Number(u64),
    /// So many percent of the tests that ran in the baseline.
    Percent(u8),
    /// Any number.
    Any,
}

impl Limit {
    /// Whether so many items are too many, of so many tests that ran in the baseline.
    pub fn is_exceeded(self, items: u64, ran: u64) -> bool {
        match self {
            Self::Number(most) => items > most,
            Self::Percent(percent) => {
                u128::from(items) * 100 > u128::from(ran) * u128::from(percent)
            }
            Self::Any => false,
        }
    }
}

impl FromStr for Limit {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let bad = || Invalid::new("a limit is a whole number, 0% to 100%, or 'any'");
        match text.strip_suffix('%') {
            _ if text == "any" => Ok(Self::Any),
            Some(percent) if digits(percent) => {
                let percent = percent.parse().ok().filter(|percent| *percent <= 100);
                percent.map(Self::Percent).ok_or_else(bad)
            }
            None if digits(text) => text.parse().map(Self::Number).map_err(|_| bad()),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(most) => write!(f, "{most}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Any => f.write_str("any"),
        }
    }
}

/// A gate as it is written: `new:0,missing:10%`. It sets the rules that it names; the empty text sets
/// none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gate(Vec<(Rule, Limit)>);

impl Gate {
    /// Maximum length of its text, in bytes. All rules with large limits take half of it.
    pub const BYTES: usize = 400;

    /// The limits of rules that nobody sets: a new failure, a failure without a baseline, and more than
    /// a tenth of missing tests are too many.
    const USUAL: [(Rule, Limit); 3] = [
        (Rule::New, Limit::Number(0)),
        (Rule::Unknown, Limit::Number(0)),
        (Rule::Missing, Limit::Percent(10)),
    ];

    /// All rules with their limits: those of the request, then the project's, then the usual ones.
    pub fn limits(&self, of_project: &Self) -> Vec<(Rule, Limit)> {
        let set = |gate: &[(Rule, Limit)], rule| {
            gate.iter().find(|(named, _)| *named == rule).map(|(_, limit)| *limit)
        };
        let limit = |rule| {
            let found = set(&self.0, rule).or_else(|| set(&of_project.0, rule));
            (rule, found.or_else(|| set(&Self::USUAL, rule)).unwrap_or(Limit::Any))
        };
        Rule::ALL.into_iter().map(limit).collect()
    }
}

impl FromStr for Gate {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut rules: Vec<(Rule, Limit)> = Vec::new();
        if text.len() > Self::BYTES {
            return Err(Invalid::new(format!("a gate has at most {} bytes", Self::BYTES)));
        }
        if text.is_empty() {
            return Ok(Self::default());
        }
        for part in text.split(',') {
            let (name, limit) = part.split_once(':').ok_or_else(|| {
                Invalid::new(format!("'{part}' is not of the form RULE:LIMIT, such as new:0"))
            })?;
            let rule =
                Rule::ALL.into_iter().find(|rule| rule.as_str() == name).ok_or_else(|| {
                    let names: Vec<&str> = Rule::ALL.iter().map(|rule| rule.as_str()).collect();
                    Invalid::new(format!("'{name}' is not one of {}", names.join(", ")))
                })?;
            if rules.iter().any(|(known, _)| *known == rule) {
                return Err(Invalid::new(format!("'{name}' is given twice")));
            }
            rules.push((rule, limit.parse()?));
        }
        Ok(Self(rules))
    }
}

impl<'de> serde::Deserialize<'de> for Gate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        written(&self.0, f)
    }
}

fn written(rules: &[(Rule, Limit)], f: &mut impl fmt::Write) -> fmt::Result {
    for (at, (rule, limit)) in rules.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        write!(f, "{comma}{}:{limit}", rule.as_str())?;
    }
    Ok(())
}

/// Rules as they are written, without those that allow anything.
pub fn written_rules(limits: &[(Rule, Limit)]) -> String {
    let set: Vec<(Rule, Limit)> =
        limits.iter().filter(|(_, limit)| *limit != Limit::Any).copied().collect();
    Gate(set).to_string()
}

/// What a gate says of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No rule is exceeded.
    Pass,
    /// A rule is exceeded.
    Fail,
    /// No rule is exceeded yet, and the build still runs.
    Undecided,
}

impl Verdict {
    /// The name of this variant.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Undecided => "undecided",
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_gate_sets_the_rules_that_it_names() {
        let of_project: Gate = "new:3,flaky:0".parse().unwrap();
        let asked: Gate = "new:any,missing:5%".parse().unwrap();
        let limits = asked.limits(&of_project);
        assert_eq!(written_rules(&limits), "unknown:0,missing:5%,flaky:0");
        let usual = Gate::default().limits(&Gate::default());
        assert_eq!(written_rules(&usual), "new:0,unknown:0,missing:10%");
        assert_eq!(of_project.to_string(), "new:3,flaky:0");
    }

    #[test]
    fn what_is_no_gate_is_refused() {
        for bad in [
            ",",
            "new",
            "new:",
            "new:-1",
            "new:1.5",
            "new:101%",
            "new:%",
            "new:0,",
            "new:0,new:1",
            "old:0",
            "new: 0",
            " new:0",
            "new:+1",
            "new:99999999999999999999",
        ] {
            assert!(bad.parse::<Gate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_share_is_of_the_tests_that_ran_in_the_baseline() {
        let tenth = Limit::Percent(10);
        assert!(!tenth.is_exceeded(10, 100));
        assert!(tenth.is_exceeded(11, 100));
        assert!(tenth.is_exceeded(1, 0));
        assert!(!tenth.is_exceeded(0, 0));
        assert!(!Limit::Any.is_exceeded(u64::MAX, 0));
    }
}
