//! Reading logs line by line.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use devmason_domain::{Build, StepLog};
use devmason_pages::plain;
use devmason_repository::{Repository, Result, Seek, StepPlace};
use regex::bytes::{Regex, RegexBuilder};

/// How long a search may take. It says where it stopped.
const TIME: Duration = Duration::from_secs(2);

/// How much of a line is looked at and shown, in bytes.
const LINE: usize = 16 << 10;

/// How much of a line is shown around what was searched for.
const SHOWN: usize = 1_000;

/// What is searched for. The engine takes time in proportion to the text, whatever the expression.
pub(crate) struct Matcher(Regex);

impl Matcher {
    /// A text, in which ASCII letters match in either case.
    pub(crate) fn literal(text: &str) -> std::result::Result<Self, String> {
        Self::built(RegexBuilder::new(&regex::escape(text)).case_insensitive(true))
    }

    pub(crate) fn regex(text: &str) -> std::result::Result<Self, String> {
        Self::built(&mut RegexBuilder::new(text))
    }

    fn built(builder: &mut RegexBuilder) -> std::result::Result<Self, String> {
        let built = builder.unicode(false).size_limit(1 << 20).dfa_size_limit(1 << 20).build();
        built.map(Self).map_err(|error| error.to_string())
    }
}

/// What the first error of a log looks like: of compilers, test runners and common languages.
const ERRORS: &str = r"(?x)
    \b(?:fatal\s)?[Ee]rror(?:\[\w+\])?: | \bERROR\b | \bFATAL\b | \bFAILED\b | \bFAIL:?\b | ^not\ ok\b
    | panicked\ at | ^Traceback\ \(most\ recent\ call\ last\) | ^\s*---\ FAIL
    | \b\w+(?:Error|Exception)\b: | ^Exception\ in\ thread | ^\s+at\ [\w.$<>]+\(.*:\d+\)
    | undefined\ reference\ to | Segmentation\ fault | \bAssertion\b.*\bfailed\b | ^make(?:\[\d+\])?:\ \*\*\*
    | ^npm\ ERR! | ^goroutine\ \d+\ \[";

/// The number of the line with the first error of a step.
pub(crate) fn first_error(
    repository: &dyn Repository,
    build: &Build,
    step: u32,
) -> Result<Option<u64>> {
    // A constant that did not compile would be found by the test below; here it finds nothing.
    let Ok(matcher) = Matcher::regex(ERRORS) else { return Ok(None) };
    let search = Search { matcher, step: Some(step), context: 0, from: (step, 1), most: 1 };
    let found = search.run(repository, build)?;
    Ok(found.lines.first().map(|found| found.line.0))
}

/// A search.
pub(crate) struct Search {
    pub(crate) matcher: Matcher,
    /// The only step to search; `None` for all.
    pub(crate) step: Option<u32>,
    /// Lines to show before and after each that is found.
    pub(crate) context: usize,
    /// Where to begin: step and line.
    pub(crate) from: (u32, u64),
    /// Maximum number of lines to find.
    pub(crate) most: usize,
}

/// A line: its number, from 1, and its text.
type Line = (u64, String);

/// A line that was found.
pub(crate) struct Found {
    pub(crate) step: u32,
    pub(crate) name: String,
    pub(crate) line: Line,
    pub(crate) before: Vec<Line>,
    pub(crate) after: Vec<Line>,
}

/// What a search found.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) lines: Vec<Found>,
    /// Where to go on, if it did not come to the end.
    pub(crate) next: Option<(u32, u64)>,
}

impl Search {
    pub(crate) fn run(&self, repository: &dyn Repository, build: &Build) -> Result<Findings> {
        let end = Instant::now() + TIME;
        let mut findings = Findings::default();
        let steps = match self.step {
            Some(step) => step..step.saturating_add(1).min(build.steps),
            None => self.from.0..build.steps,
        };
        for nth in steps {
            let first = if nth == self.from.0 { self.from.1 } else { 1 };
            // The first step makes progress, whatever came before.
            if nth > self.from.0 && Instant::now() >= end {
                findings.next = Some((nth, first));
                break;
            }
            let Some(step) = repository.step_head(build, nth)? else { continue };
            let name = step.name.to_string();
            let mut scan = Scan::new(self, nth, &name, first, end);
            if step.log == StepLog::Absent {
                let separator = match step.output.is_empty() || step.output.ends_with('\n') {
                    true => "",
                    false if step.errout.is_empty() => "",
                    false => "\n",
                };
                for text in [step.output.as_str(), separator, &step.errout] {
                    scan.feed(text, &mut findings);
                }
            } else {
                let place = StepPlace { project: build.project, build: build.id, step: nth };
                read(repository, place, &mut scan, &mut findings)?;
            }
            scan.end(&mut findings);
            if findings.next.is_some() {
                break;
            }
        }
        Ok(findings)
    }
}

/// Feeds the pieces of a log, from some lines before the first one on.
fn read(
    repository: &dyn Repository,
    place: StepPlace,
    scan: &mut Scan<'_>,
    findings: &mut Findings,
) -> Result<()> {
    let before = (scan.first - 1).saturating_sub(scan.search.context as u64);
    let mut seek = Seek::Line(None, before);
    let mut past = None;
    loop {
        let pieces = repository.log_read(place, seek)?;
        let Some(last) = pieces.last() else { return Ok(()) };
        seek = Seek::Byte(None, last.end.bytes);
        for piece in &pieces {
            match past {
                None => scan.breaks = piece.start.breaks,
                // What was dropped parts lines and their surroundings.
                Some(past) if piece.start.bytes > past => scan.part(piece.start.breaks, findings),
                Some(_) => {}
            }
            past = Some(piece.end.bytes);
            for entry in &piece.entries {
                scan.feed(&entry.text, findings);
                if scan.is_done(findings) {
                    return Ok(());
                }
            }
            // A very long line makes progress at its end only.
            if Instant::now() >= scan.end && scan.breaks >= scan.first && findings.next.is_none() {
                findings.next = Some((scan.step, scan.breaks + 1));
                return Ok(());
            }
        }
    }
}

/// The scan of one step's log.
struct Scan<'a> {
    search: &'a Search,
    step: u32,
    name: &'a str,
    first: u64,
    end: Instant,
    /// Line breaks before the current line.
    breaks: u64,
    line: String,
    before: VecDeque<Line>,
    /// How many found lines get no more lines after them.
    parted: usize,
}

impl<'a> Scan<'a> {
    fn new(search: &'a Search, step: u32, name: &'a str, first: u64, end: Instant) -> Self {
        Self {
            search,
            step,
            name,
            first,
            end,
            breaks: 0,
            line: String::new(),
            before: VecDeque::new(),
            parted: 0,
        }
    }

    /// Goes on behind a dropped part, before which so many line breaks came.
    fn part(&mut self, breaks: u64, findings: &mut Findings) {
        if !self.line.is_empty() {
            self.whole(findings);
        }
        self.breaks = breaks;
        self.before.clear();
        self.parted = findings.lines.len();
    }

    /// The found lines that lack lines after them.
    fn open<'f>(
        &self,
        findings: &'f mut Findings,
    ) -> impl Iterator<Item = &'f mut Found> + use<'f> {
        let (step, context) = (self.step, self.search.context);
        let kept = findings.lines.len().saturating_sub(self.parted);
        // Only the last few can.
        let last = findings.lines.iter_mut().rev().take(context.min(kept));
        last.filter(move |found| found.step == step && found.after.len() < context)
    }

    /// Whether the search stops here: no line can be added, and none lacks its surroundings.
    fn is_done(&self, findings: &mut Findings) -> bool {
        findings.next.is_some() && self.open(findings).next().is_none()
    }

    fn feed(&mut self, text: &str, findings: &mut Findings) {
        for part in text.split_inclusive('\n') {
            let (body, is_whole) = match part.strip_suffix('\n') {
                Some(body) => (body, true),
                None => (part, false),
            };
            let room = LINE.saturating_sub(self.line.len());
            self.line.push_str(body.get(..body.floor_char_boundary(room)).unwrap_or_default());
            if is_whole {
                self.whole(findings);
                if self.is_done(findings) {
                    return;
                }
            }
        }
    }

    /// The log has ended, maybe within a line.
    fn end(&mut self, findings: &mut Findings) {
        if !self.line.is_empty() && !self.is_done(findings) {
            self.whole(findings);
        }
    }

    fn whole(&mut self, findings: &mut Findings) {
        let number = self.breaks + 1;
        self.breaks = number;
        let line = std::mem::take(&mut self.line);
        let context = self.search.context;
        if number + (context as u64) < self.first {
            return;
        }
        let text = plain(&line);
        let found = self.search.matcher.0.find(text.as_bytes()).map(|found| found.range());
        let is_found = number >= self.first && found.is_some() && findings.next.is_none();
        let is_full = findings.lines.len() >= self.search.most;
        let is_late = number.is_multiple_of(1024) && Instant::now() >= self.end;
        if number >= self.first && findings.next.is_none() && ((is_found && is_full) || is_late) {
            // Lines that were found before it still get theirs after them.
            findings.next = Some((self.step, number));
        }
        let is_found = is_found && findings.next.is_none();
        let shown = shown(&text, found.filter(|_| is_found));
        for found in self.open(findings) {
            found.after.push((number, shown.clone()));
        }
        if is_found {
            findings.lines.push(Found {
                step: self.step,
                name: self.name.to_owned(),
                line: (number, shown.clone()),
                before: self.before.iter().cloned().collect(),
                after: Vec::new(),
            });
        }
        if context > 0 {
            self.before.push_back((number, shown));
            while self.before.len() > context {
                self.before.pop_front();
            }
        }
    }
}

/// The part of a line that is shown: around what was found, if the line is long.
fn shown(text: &str, found: Option<std::ops::Range<usize>>) -> String {
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let start = found.map_or(0, |found| found.start.saturating_sub(SHOWN / 4));
    let start = text.floor_char_boundary(start);
    let end = text.floor_char_boundary(start + SHOWN);
    let part = text.get(start..end).unwrap_or_default();
    format!("{}{part}{}", if start > 0 { "…" } else { "" }, if end < text.len() { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn matches(line: &str) -> bool {
        Matcher::regex(ERRORS).unwrap().0.is_match(line.as_bytes())
    }

    #[test]
    fn errors_of_compilers_tests_and_languages_are_found() {
        for line in [
            "src/main.rs:3: error: expected `;`",
            "error[E0425]: cannot find value",
            "FAILED tests/test_a.py::test_b - assert 1 == 2",
            "thread 'main' panicked at src/lib.rs:2:5:",
            "Traceback (most recent call last):",
            "ValueError: no",
            "Exception in thread \"main\" java.lang.IllegalStateException",
            "\tat org.example.Main.run(Main.java:12)",
            "--- FAIL: TestX (0.00s)",
            "not ok 3 - it works",
            "make: *** [Makefile:2: all] Error 2",
            "npm ERR! code 1",
        ] {
            assert!(matches(line), "{line}");
        }
        for line in [
            "0 errors, 0 warnings",
            "test result: ok. 3 passed; 0 failed",
            "ok 3",
            "downloading error-chain v1",
        ] {
            assert!(!matches(line), "{line}");
        }
    }

    #[test]
    fn a_long_line_is_shown_around_what_was_found() {
        let line = format!("{}needle{}", "a".repeat(5000), "b".repeat(5000));
        let part = shown(&line, Some(5000..5006));
        assert!(part.len() < 1100 && part.contains("needle"), "{part}");
    }
}
