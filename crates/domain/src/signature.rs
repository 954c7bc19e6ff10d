//! Signatures: what equal failures have in common.
//!
//! The message of a failure names ports, line numbers, addresses and directories, so the same fault
//! rarely has the same text twice. A signature is the text without them.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::{Digest, TestFailure, limits};

/// The version of the rules. It is a part of every signature's id, so that ids of different rules
/// differ.
const VERSION: &str = "v1";

/// Maximum length of the text that is looked at, and of what remains of it, in characters.
const LOOKED_AT: usize = 2_000;
const LONGEST: usize = 300;

/// The signature of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Signature {
    /// The failure's type, and what remains of its text: `AssertionError: # != #`.
    pub title: String,
    /// Its id: 32 hexadecimal digits.
    pub id: String,
}

const UUIDS: &str = r"\b[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\b";

const DATES: &str = r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?|\b\d\d:\d\d:\d\d(?:[.,]\d+)?";

/// Hexadecimal numbers, and words of letters from a to f.
const HEX: &str = r"\b(?:0[xX][0-9A-Fa-f]+|[0-9A-Fa-f]{8,})\b";

/// The directories of an absolute path; its last segment stays.
const DIRECTORIES: &str =
    r#"(^|[\s"'(\[<=,:`])(?:[A-Za-z]:)?[/\\](?:[^\s/\\:"'()\[\]<>,;`]+[/\\])+"#;

/// Host names with a port.
const HOSTS: &str = r"\b(?:localhost|(?:[A-Za-z0-9_-]+\.)+([A-Za-z]{2,})):\d{1,5}\b";

/// What looks like a host name with a port, but is a file with a line.
const FILES: [&str; 36] = [
    "adb", "cc", "clj", "cpp", "cs", "css", "cxx", "dart", "erl", "ex", "exs", "feature", "go",
    "groovy", "hpp", "hs", "html", "java", "jl", "js", "json", "jsx", "kt", "lua", "mjs", "ml",
    "php", "pl", "py", "rb", "rs", "scala", "sh", "swift", "ts", "txt",
];

/// IP addresses, with a port or without.
const ADDRESSES: &str = r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b|\[[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*\](?::\d{1,5})?|\b(?:[0-9A-Fa-f]{1,4}:){3,7}[0-9A-Fa-f]{1,4}\b|::1\b";

const NUMBERS: &str = r"\d+(?:\.\d+)*";

/// Terminal escapes: colours, and what terminals take as titles.
const ESCAPES: &str = r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])";

/// The rules in the order in which they are applied.
struct Rules {
    escapes: Regex,
    uuids: Regex,
    dates: Regex,
    hex: Regex,
    directories: Regex,
    hosts: Regex,
    addresses: Regex,
    numbers: Regex,
}

/// `None` only if a rule is no regular expression, which a test rules out.
static RULES: LazyLock<Option<Rules>> = LazyLock::new(|| {
    let rule = |text| Regex::new(text).ok();
    Some(Rules {
        escapes: rule(ESCAPES)?,
        uuids: rule(UUIDS)?,
        dates: rule(DATES)?,
        hex: rule(HEX)?,
        directories: rule(DIRECTORIES)?,
        hosts: rule(HOSTS)?,
        addresses: rule(ADDRESSES)?,
        numbers: rule(NUMBERS)?,
    })
});

/// The line that says what failed: the message, or else the first line of the text that is not blank.
pub fn said(failure: &TestFailure) -> &str {
    let message = failure.message.as_deref().filter(|message| !message.trim().is_empty());
    let lines = failure.text.iter().flat_map(|text| text.lines());
    message.or_else(|| lines.map(str::trim).find(|line| !line.is_empty())).unwrap_or_default()
}

impl Signature {
    /// The signature of a failure; `None` if nothing is left of it.
    pub fn of(failure: &TestFailure) -> Option<Self> {
        let kind = failure.kind.as_deref().unwrap_or_default().trim();
        let rest = plain(said(failure));
        if kind.is_empty() && rest.is_empty() {
            return None;
        }
        let id = Digest::of_parts([VERSION, kind, &rest]).short();
        let mut title = match (kind.is_empty(), rest.is_empty()) {
            (true, _) => rest,
            (_, true) => kind.to_owned(),
            _ => format!("{kind}: {rest}"),
        };
        limits::cut(&mut title, 2 * LONGEST);
        Some(Self { title, id })
    }
}

/// A text without what differs from run to run.
fn plain(text: &str) -> String {
    let end = text.char_indices().nth(LOOKED_AT).map_or(text.len(), |(at, _)| at);
    let text = text.get(..end).unwrap_or_default();
    let Some(rules) = &*RULES else { return text.to_owned() };
    let text = rules.escapes.replace_all(text, "");
    let text = rules.uuids.replace_all(&text, "#");
    let text = rules.dates.replace_all(&text, "#");
    let text = rules.hex.replace_all(&text, |found: &Captures<'_>| {
        let is_number = found[0].bytes().any(|byte| byte.is_ascii_digit());
        if is_number { "#".to_owned() } else { found[0].to_owned() }
    });
    let text = rules.directories.replace_all(&text, "$1");
    let text = rules.hosts.replace_all(&text, |found: &Captures<'_>| {
        let is_file = found.get(1).is_some_and(|last| FILES.contains(&last.as_str()));
        if is_file { found[0].to_owned() } else { "#".to_owned() }
    });
    let text = rules.addresses.replace_all(&text, "#");
    let text = rules.numbers.replace_all(&text, "#");
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((at, _)) = words.char_indices().nth(LONGEST) {
        words.truncate(at);
    }
    words
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn failure(kind: &str, message: &str) -> TestFailure {
        let kind = (!kind.is_empty()).then(|| kind.to_owned());
        TestFailure { kind, message: Some(message.to_owned()), text: None }
    }

    #[test]
    fn the_rules_are_valid() {
        assert!(RULES.is_some());
    }

    #[test]
    fn what_differs_from_run_to_run_is_replaced() {
        for (text, left) in [
            ("1 != 2", "# != #"),
            ("took 1.5 s", "took # s"),
            ("id 123e4567-e89b-12d3-a456-426614174000 gone", "id # gone"),
            ("at 2026-01-02T03:04:05.678Z: no", "at #: no"),
            ("at 2026-01-02 03:04:05 no", "at # no"),
            ("03:04:05 no", "# no"),
            ("pointer 0x7ffe12 of deadbeef01", "pointer # of #"),
            ("facade deadbeef defaced", "facade deadbeef defaced"),
            ("cannot open /tmp/x-1/y/file.txt", "cannot open file.txt"),
            ("cannot open '/tmp/x-1/y/file7.txt'", "cannot open 'file#.txt'"),
            (r"cannot open C:\a\b\file.txt", "cannot open file.txt"),
            ("connect to db.example.com:5432 failed", "connect to # failed"),
            ("connect to localhost:38123 failed", "connect to # failed"),
            ("connect to 127.0.0.1:38123 failed", "connect to # failed"),
            ("connect to [::1]:80 failed", "connect to # failed"),
            ("connect to 10.0.0.1 failed", "connect to # failed"),
            ("main.py:12: no", "main.py:#: no"),
            ("error:404 and redis:6379", "error:# and redis:#"),
            ("a \t\n  b", "a b"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
        ] {
            assert_eq!(plain(text), left, "{text}");
        }
    }

    #[test]
    fn failures_that_differ_in_a_word_differ() {
        let one = Signature::of(&failure("E", "port 4711 is taken")).unwrap();
        assert_eq!(one, Signature::of(&failure("E", "port 4712 is taken")).unwrap());
        assert_ne!(one.id, Signature::of(&failure("E", "port 4711 is free")).unwrap().id);
        assert_ne!(one.id, Signature::of(&failure("F", "port 4711 is taken")).unwrap().id);
        assert_eq!(one.title, "E: port # is taken");
        assert_eq!(one.id.len(), 32);
    }

    #[test]
    fn without_a_message_the_first_line_of_the_text_counts() {
        let text = Some("\n  \n first \nsecond".to_owned());
        let failure = TestFailure { kind: None, message: Some("  ".to_owned()), text };
        assert_eq!(Signature::of(&failure).unwrap().title, "first");
        assert_eq!(Signature::of(&TestFailure::default()), None);
    }

    #[test]
    fn a_long_text_is_cut() {
        let title = Signature::of(&failure("", &"wörd ".repeat(1_000))).unwrap().title;
        assert!(title.chars().count() <= LONGEST);
    }
}
