//! The lines of TAP, and of logs that hold it.

use crate::number;

/// Whether a text is TAP: its first significant line is TAP, or it contains a version or plan line,
/// with numbered tests. A single line that begins with `ok` is not enough.
pub(crate) fn looks_like(text: &str) -> bool {
    let is_version =
        |line: &str| line.starts_with("TAP version ") || line.starts_with("KTAP version ");
    let is_numbered = |line: &str| test(line).is_some_and(|test| test.number.is_some());
    let is_number_one = |line: &str| test(line).is_some_and(|test| test.number == Some(1));
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines().find(|line| !line.starts_with('#') && !line.starts_with("pragma "));
    let is_first = first.is_some_and(|line| {
        is_version(line)
            || plan(line).is_some()
            || (is_number_one(line) && !line.contains('\t'))
            || header(line).is_some()
            || test(line).is_some_and(|test| test.is_dashed)
    });
    is_first
        || lines().any(is_version)
        || (lines().any(|line| plan(line).is_some()) && lines().any(is_numbered))
}

/// A line of a kernel log without level, time, and processor or thread: `<6>[    1.234567][    T1]
/// `.
pub(super) fn of_kernel(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once('[')?;
    let before = before.trim();
    let is_level = before.starts_with('<') && before.ends_with('>');
    if !(before.is_empty()
        || is_level
        || before.ends_with("kernel:")
        || before.starts_with("kern "))
    {
        return None;
    }
    let (time, mut rest) = rest.split_once(']')?;
    let (whole, fraction) = time.trim_matches(['<', '>', ' ']).split_once('.')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    if let Some((of, behind)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let of = of.trim().strip_prefix(['T', 'C']);
        rest = if of.is_some_and(is_number) { behind } else { rest };
    }
    Some(rest.strip_prefix(' ').unwrap_or(rest))
}

/// The prefix of each line in a kernel log.
#[derive(Default)]
pub(super) struct Log {
    /// The prefix of the version line. Other lines have one of the same length, with different digits
    /// and letters.
    before: Option<String>,
}

impl Log {
    /// The log that contains the version line, if any.
    pub(super) fn of(line: &str) -> Option<Self> {
        let at = VERSIONS.iter().filter_map(|version| line.find(version)).min()?;
        let before = line.get(..at)?;
        let has_time = before.bytes().any(|byte| byte.is_ascii_digit());
        let ends = before.ends_with(' ') && before.trim_end().ends_with([']', ':', 'Z'])
            || before.trim_end().bytes().next_back().is_some_and(|byte| byte.is_ascii_digit());
        (has_time && ends).then(|| Self { before: Some(before.to_owned()) })
    }

    /// The line without the prefix; `None` if it has none.
    pub(super) fn strip<'l>(&self, line: &'l str) -> Option<&'l str> {
        of_kernel(line).or_else(|| {
            let before = self.before.as_deref()?;
            let (start, rest) = line.split_at_checked(before.len())?;
            let kind = |byte: u8| match byte {
                b'0'..=b'9' | b' ' => b'0',
                byte if byte.is_ascii_alphabetic() => b'a',
                byte => byte,
            };
            start.bytes().map(kind).eq(before.bytes().map(kind)).then_some(rest)
        })
    }
}

pub(super) const VERSIONS: [&str; 2] = ["KTAP version ", "TAP version "];

/// Whether the TAP is in a log whose lines begin with a time.
pub(crate) fn is_in_log(file: &[u8]) -> bool {
    let marks = memchr::memmem::find_iter(file, b"TAP version ").take(LOOKED_AT);
    marks.into_iter().any(|at| {
        let start = file.get(..at).and_then(|before| memchr::memrchr(b'\n', before));
        let rest = file.get(start.map_or(0, |at| at + 1)..).unwrap_or_default();
        let mut lines = rest.split(|byte| *byte == b'\n').take(2).map(std::str::from_utf8);
        let (Some(Ok(first)), Some(Ok(second))) = (lines.next(), lines.next()) else {
            return false;
        };
        Log::of(first).is_some_and(|log| log.strip(second).is_some())
    })
}

/// How many version lines are examined.
pub(super) const LOOKED_AT: usize = 100;

/// A line without the time of day that `prove --timer` puts before a file's name.
fn unclocked(line: &str) -> &str {
    let clock = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    let is_clock = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    clock.filter(|(clock, _)| is_clock(clock)).map_or(line, |(_, rest)| rest)
}

/// The result of a test file without the durations that `prove --timer` puts behind `ok`.
pub(super) fn untimed(outcome: &str) -> &str {
    let mut words = outcome.strip_prefix("ok ").unwrap_or_default().split_whitespace();
    let is_number = words.next().is_some_and(|number| number.parse::<f64>().is_ok());
    if is_number && matches!(words.next(), Some("ms" | "s" | "wallclock")) { "ok" } else { outcome }
}

/// What prove prints before a test file's output: its name and dots, and without `-v` its result.
pub(super) fn header(line: &str) -> Option<(&str, &str)> {
    let (file, rest) = unclocked(line).split_once(' ')?;
    let outcome = rest.trim_start_matches('.');
    (rest.len() - outcome.len() >= 2 && (outcome.is_empty() || outcome.starts_with(' ')))
        .then(|| (file, untimed(outcome.trim())))
}

/// Parses `1..4` and the reason for running no tests after it.
pub(super) fn plan(line: &str) -> Option<(u64, Option<&str>)> {
    let rest = line.strip_prefix("1..")?;
    let (count, rest) =
        rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
    let reason = rest.trim().strip_prefix('#').map(str::trim);
    if !rest.trim().is_empty() && reason.is_none() {
        return None;
    }
    Some((count.parse().ok()?, reason))
}

pub(super) struct TestLine<'a> {
    pub(super) ok: bool,
    pub(super) number: Option<u64>,
    /// Whether a dash precedes the name.
    pub(super) is_dashed: bool,
    pub(super) name: String,
    /// `SKIP` or `TODO`, and the reason.
    pub(super) directive: Option<(bool, &'a str)>,
    /// Any other text after `#`, which is not part of the name.
    pub(super) remark: Option<&'a str>,
    /// Whether subtests follow in braces.
    pub(super) is_block: bool,
}

/// Parses `ok 1 - name # SKIP reason`.
pub(super) fn test(line: &str) -> Option<TestLine<'_>> {
    let (ok, rest) = match line.strip_prefix("not ok") {
        Some(rest) => (false, rest),
        None => (true, line.strip_prefix("ok")?),
    };
    if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
        return None;
    }
    // A line of go test: `ok  <tab>package<tab>0.002s`.
    if rest.trim_start_matches(' ').starts_with('\t') {
        return None;
    }
    // node-tap writes subtests in braces after the test, with the time between.
    let is_block = rest.ends_with(" {");
    let rest = rest.strip_suffix(" {").unwrap_or(rest).trim_start();
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, behind) = rest.split_at(digits);
    // Digits followed by other text are a name.
    let (number, rest) = match number.parse() {
        Ok(number) if behind.is_empty() || behind.starts_with([' ', '\t', '-', '#']) => {
            (Some(number), behind.trim_start())
        }
        _ => (None, rest),
    };
    let is_dashed = rest == "-" || rest.starts_with("- ");
    let rest = rest.strip_prefix("- ").unwrap_or(rest.strip_prefix('-').unwrap_or(rest)).trim();
    // A # after white space ends the name, unless a backslash escapes it (TAP 14, "Directives").
    let mark = rest.char_indices().find(|(at, c)| {
        let before = rest.get(..*at).unwrap_or_default();
        let behind = rest.get(at + 1..).unwrap_or_default();
        let word = behind.trim_start().to_ascii_uppercase();
        let is_directive = word.starts_with("SKIP") || word.starts_with("TODO");
        *c == '#'
            && (before.is_empty() || before.ends_with([' ', '\t']))
            && (behind.starts_with([' ', '\t']) || is_directive)
    });
    let (name, directive, remark) = match mark {
        None => (rest, None, None),
        Some((at, _)) => {
            let remark = rest.get(at + 1..)?.trim_start();
            let word: String = remark.chars().take_while(char::is_ascii_alphabetic).collect();
            let is_skip = word.to_ascii_uppercase().starts_with("SKIP");
            let reason = remark.get(word.len()..).unwrap_or_default();
            let reason = reason.trim_start_matches(':').trim();
            let is_directive = is_skip || word.eq_ignore_ascii_case("TODO");
            (rest.get(..at)?, is_directive.then_some((is_skip, reason)), Some(remark))
        }
    };
    let name = name.trim().replace("\\#", "#").replace("\\\\", "\\");
    let remark = remark.filter(|_| directive.is_none());
    Some(TestLine { ok, number, is_dashed, name, directive, remark, is_block })
}

/// The duration in the output of bats and node-tap. It is not part of the name, which would differ
/// on every run.
pub(super) fn time_in(name: &str, remark: Option<&str>) -> Option<(usize, u64)> {
    let scaled = |text: &str| {
        let (text, scale) = match text.strip_suffix("ms") {
            Some(text) => (text, 1e3),
            None => (text.strip_suffix("sec").unwrap_or(text.trim_end_matches('s')), 1.0),
        };
        text.trim().parse::<f64>().ok().and_then(|time| number::micros(time / scale))
    };
    if let Some(time) = remark.and_then(|remark| remark.strip_prefix("time=")) {
        return Some((name.len(), scaled(time)?));
    }
    let (before, time) = name.rsplit_once(" in ")?;
    let is_time = time.ends_with("ms") || time.ends_with("sec");
    let digits = time.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_time && is_number { Some((before.len(), scaled(time)?)) } else { None }
}
