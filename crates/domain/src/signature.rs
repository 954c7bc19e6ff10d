//! Signatures: what equal failures have in common.
//!
//! The message of a failure names ports, line numbers, addresses and directories, so the same fault
//! rarely has the same text twice. A signature is the text without them.

use std::net::Ipv6Addr;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::{Digest, TestFailure, limits};

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

/// Dates, alone or with a time behind, and times of day. `[0-9]` where `\d` is not needed: with the
/// digits of all scripts, each thread's memory for matching is ten times as large.
const DATES: &str = r"(?x)
    (?: \b[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}
      | \b[0-9]{1,2}/[0-9]{1,2}/[0-9]{2,4}
      | (?: \b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,?\s+ )?
        (?: \b[0-9]{1,2}[\ /-](?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*[\ /-][0-9]{2,4}
          | \b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?\s+[0-9]{1,2}\b(?:,?\s+[0-9]{4}\b)? ) )
    (?: [T,:\ ]\s*[0-9]{1,2}:[0-9][0-9](?::[0-9][0-9](?:[.,][0-9]+)?)?(?:\s?[AaPp][Mm]\b)?
        (?:\s?(?:Z\b|UTC\b|GMT\b|[+-][0-9][0-9]:?[0-9][0-9]\b))? (?:\s[0-9]{4}\b)? )?
  | \b[0-9]{1,2}:[0-9][0-9](?::[0-9][0-9](?:[.,][0-9]+)?(?:\s?[AaPp][Mm]\b)?|\s?[AaPp][Mm]\b)
    (?:\s?(?:Z\b|UTC\b|GMT\b|[+-][0-9][0-9]:?[0-9][0-9]\b))?";

/// Hexadecimal numbers, and words of letters from a to f.
const HEX: &str = r"\b(?:0[xX][0-9A-Fa-f]+|[0-9A-Fa-f]{8,})\b";

/// The host of a URL, with its port.
const URLS: &str = r"\b([A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#]+";

/// A URL of a file is its path.
const FILE_URLS: &str = r"\bfile://";

/// An absolute path in quotes, which may hold spaces, and one without.
const QUOTED: &str = r#"(["'`])((?:[A-Za-z]:)?(?:/|\\{1,4})[^"'`\n]+)(["'`])"#;
const PATHS: &str = r#"(^|[\s"'(\[<=,:`])((?:[A-Za-z]:)?(?:/|\\{1,4})[^\s/\\:"'()\[\]<>,;`]+(?:[/\\]+[^\s/\\:"'()\[\]<>,;`]*)*)"#;

/// Host names with a port.
const HOSTS: &str = r"\b(?:localhost|(?:[A-Za-z0-9_-]+\.)+([A-Za-z]{2,})):[0-9]{1,5}\b";

/// The last parts of host names. Anything else with a number behind a colon may be a file with a line,
/// or a name in a program: only its number is replaced.
const DOMAINS: [&str; 34] = [
    "app",
    "biz",
    "cloud",
    "cluster",
    "co",
    "com",
    "corp",
    "de",
    "dev",
    "edu",
    "eu",
    "example",
    "fr",
    "gov",
    "home",
    "info",
    "int",
    "internal",
    "intranet",
    "invalid",
    "io",
    "jp",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "mil",
    "net",
    "nl",
    "org",
    "svc",
    "test",
    "uk",
    "us",
];

/// IP addresses, with a port or without.
const IPV4: &str = r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?::[0-9]{1,5})?\b";
const IPV6: &str = r"(^|[^0-9A-Za-z_:.])(\[?)((?:[0-9A-Fa-f]{0,4}:){2,8}[0-9A-Fa-f.]*)(?:%[0-9A-Za-z]+)?(\](?::[0-9]{1,5})?)?";

/// A sign before a number, and a number.
const SIGNS: &str = r#"(^|[\s(\[{,=:<>'"])[+-](\d)"#;
const NUMBERS: &str = r"\d+(?:[.,_]\d+)*(?:[eE][+-]?\d+)?";

/// Terminal escapes: colours, and what terminals take as titles.
const ESCAPES: &str = r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])";

/// The rules in the order in which they are applied.
struct Rules {
    escapes: Regex,
    uuids: Regex,
    dates: Regex,
    hex: Regex,
    file_urls: Regex,
    urls: Regex,
    quoted: Regex,
    paths: Regex,
    hosts: Regex,
    ipv4: Regex,
    ipv6: Regex,
    signs: Regex,
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
        file_urls: rule(FILE_URLS)?,
        urls: rule(URLS)?,
        quoted: rule(QUOTED)?,
        paths: rule(PATHS)?,
        hosts: rule(HOSTS)?,
        ipv4: rule(IPV4)?,
        ipv6: rule(IPV6)?,
        signs: rule(SIGNS)?,
        numbers: rule(NUMBERS)?,
    })
});

/// The line that says what failed: the message, or else the first line of the text that is not blank.
pub fn said(failure: &TestFailure) -> &str {
    let message = failure.message.as_deref().filter(|message| !message.trim().is_empty());
    let lines = failure.text.iter().flat_map(|text| text.lines());
    message.or_else(|| lines.map(str::trim).find(|line| !line.is_empty())).unwrap_or_default()
}

/// The first 64 bits of a signature's id, by which stores find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SignatureKey(pub i64);

impl SignatureKey {
    /// Stands for the signatures of a report that are too many to be kept.
    pub const MORE: Self = Self(i64::MIN);

    /// The key of the signature with this id; of a text that is no id, one that none has.
    pub fn of(id: &str) -> Self {
        let first = id.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        Self(first.unwrap_or_default().cast_signed())
    }
}

impl Signature {
    /// The version of the rules. It is a part of every signature's id, so that ids of different rules
    /// differ.
    pub const VERSION: &str = "v1";

    /// The signature of a failure; `None` if nothing is left of its text.
    pub fn of(failure: &TestFailure) -> Option<Self> {
        let kind = failure.kind.as_deref().unwrap_or_default().trim();
        let rest = plain(said(failure));
        // A type alone says too little: it would make any two failures of that type equal.
        if rest.is_empty() {
            return None;
        }
        let id = Digest::of_parts([Self::VERSION, kind, &rest]).short();
        let mut title = if kind.is_empty() { rest } else { format!("{kind}: {rest}") };
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
        replaced(&found[0], found[0].bytes().any(|byte| byte.is_ascii_digit()))
    });
    let text = rules.file_urls.replace_all(&text, "");
    let text = rules.urls.replace_all(&text, "$1#");
    let text = rules.quoted.replace_all(&text, |found: &Captures<'_>| {
        format!("{}{}{}", &found[1], last_segment(&found[2]), &found[3])
    });
    let text = rules.paths.replace_all(&text, |found: &Captures<'_>| {
        format!("{}{}", &found[1], last_segment(&found[2]))
    });
    let text = rules.hosts.replace_all(&text, |found: &Captures<'_>| {
        replaced(&found[0], found.get(1).is_none_or(|last| DOMAINS.contains(&last.as_str())))
    });
    let text = rules.ipv4.replace_all(&text, "#");
    let text = rules.ipv6.replace_all(&text, |found: &Captures<'_>| {
        // `ab::cd` may be a name in a program.
        let has_digit = found[3].bytes().any(|byte| byte.is_ascii_digit());
        let is_address = has_digit && found[3].parse::<Ipv6Addr>().is_ok();
        if is_address { format!("{}#", &found[1]) } else { found[0].to_owned() }
    });
    let text = rules.signs.replace_all(&text, "$1$2");
    let text = rules.numbers.replace_all(&text, "#");
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((at, _)) = words.char_indices().nth(LONGEST) {
        words.truncate(at);
    }
    words
}

fn replaced(text: &str, by_a_mark: bool) -> String {
    if by_a_mark { "#".to_owned() } else { text.to_owned() }
}

/// What stays of a path.
fn last_segment(path: &str) -> &str {
    let mut segments = path.rsplit(['/', '\\']);
    segments.find(|segment| !segment.is_empty()).unwrap_or(path)
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
            ("app.tsx:3 and pkg.Foo.method:42", "app.tsx:# and pkg.Foo.method:#"),
            ("GET /api/users/ 404", "GET users #"),
            ("regex /foo/ no match", "regex foo no match"),
            ("GET http://host1:80/a/users/7 failed", "GET http://#/a/users/# failed"),
            ("open file:///tmp/a1/b.html: no", "open b.html: no"),
            (r"'C:\\Users\\a\\x.txt' is gone", "'x.txt' is gone"),
            (r#""C:\Program Files\x y\data.json" is gone"#, r#""data.json" is gone"#),
            (r"\\server\share\dir\f.txt is gone", "f.txt is gone"),
            ("/tmp/x/a.rs:7:9: no", "a.rs:#:#: no"),
            ("on Thu Nov 26 14:37:31 2026: no", "on #: no"),
            ("on Thu, 26 Nov 2026 14:37:31 GMT: no", "on #: no"),
            ("[26/Nov/2026:14:37:31 +0000] no", "[#] no"),
            ("11/26/2026 2:37:31 PM: no", "#: no"),
            ("1/5/2025 11:02:03 AM: no", "#: no"),
            ("May fail", "May fail"),
            ("fe80::1ff:fe23:4567:890a and 2001:db8::1 and ::1", "# and # and #"),
            ("foo::1 and foo::2", "foo::# and foo::#"),
            ("1e-05s, -7, 1,234,567 and 1_000", "#s, #, # and #"),
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
        assert_eq!(format!("{:016x}", SignatureKey::of(&one.id).0), one.id[..16]);
    }

    #[test]
    fn without_a_message_the_first_line_of_the_text_counts() {
        let text = Some("\n  \n first \nsecond".to_owned());
        let failure = TestFailure { kind: None, message: Some("  ".to_owned()), text };
        assert_eq!(Signature::of(&failure).unwrap().title, "first");
        assert_eq!(Signature::of(&TestFailure::default()), None);
        // A type alone would make any two failures of that type equal.
        assert_eq!(
            Signature::of(&TestFailure { kind: Some("E".into()), ..TestFailure::default() }),
            None
        );
    }

    #[test]
    fn a_long_text_is_cut() {
        let title = Signature::of(&failure("", &"wörd ".repeat(1_000))).unwrap().title;
        assert!(title.chars().count() <= LONGEST);
    }
}
