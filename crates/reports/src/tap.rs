//! TAP 13 and 14 with subtests and YAML blocks, and the kernel's KTAP.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::input::Input;
use crate::model::{nested, put_in};
use crate::number;
use crate::{Case, Cause, Failure, Note, NoteKind, ReadError, Reason, Sink, Status, Suite};

/// The maximum size kept of a test's comments and YAML block, and of lines that belong to no test,
/// in bytes.
const MAX_OTHER: usize = 8 << 20;

/// The width of a tab: KUnit once used tabs.
const TAB: usize = 4;

/// The maximum nesting depth of subtests.
const MAX_DEPTH: usize = 64;

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
fn of_kernel(line: &str) -> Option<&str> {
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
struct Log {
    /// The prefix of the version line. Other lines have one of the same length, with different digits
    /// and letters.
    before: Option<String>,
}

impl Log {
    /// The log that contains the version line, if any.
    fn of(line: &str) -> Option<Self> {
        let at = VERSIONS.iter().filter_map(|version| line.find(version)).min()?;
        let before = line.get(..at)?;
        let has_time = before.bytes().any(|byte| byte.is_ascii_digit());
        let ends = before.ends_with(' ') && before.trim_end().ends_with([']', ':', 'Z'])
            || before.trim_end().bytes().next_back().is_some_and(|byte| byte.is_ascii_digit());
        (has_time && ends).then(|| Self { before: Some(before.to_owned()) })
    }

    /// The line without the prefix; `None` if it has none.
    fn strip<'l>(&self, line: &'l str) -> Option<&'l str> {
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

const VERSIONS: [&str; 2] = ["KTAP version ", "TAP version "];

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
const LOOKED_AT: usize = 100;

/// What prove prints before a test file's output: its name and dots, and without `-v` its result.
fn header(line: &str) -> Option<(&str, &str)> {
    let (file, rest) = line.split_once(' ')?;
    let outcome = rest.trim_start_matches('.');
    (rest.len() - outcome.len() >= 2 && (outcome.is_empty() || outcome.starts_with(' ')))
        .then(|| (file, outcome.trim()))
}

/// Lines of one indentation: the whole report, or the subtests of one test.
#[derive(Default)]
struct Level {
    indent: usize,
    planned: Option<u64>,
    /// Whether the plan follows the tests.
    is_plan_last: bool,
    seen: u64,
    /// The number of failed tests, except todos.
    failed: u64,
    /// The highest test number.
    greatest: u64,
    /// All tests from 1 to this number were seen.
    through: u64,
    /// The numbers seen beyond it.
    early: BTreeSet<u64>,
    line: u64,
    cases: Vec<Case>,
    /// Tests whose subtests follow in braces, and whether they passed.
    blocks: Vec<(String, bool)>,
}

#[derive(Default)]
struct Tap {
    levels: Vec<Level>,
    /// The last test, which a YAML block may follow.
    last: Option<(usize, Case)>,
    other: String,
    /// In KTAP, a test's diagnostics precede it.
    before: Option<String>,
    cut: bool,
    bad: u64,
    /// Whether the stream bailed out.
    bailed: bool,
    /// The test file run by prove; whether the output is prove's, and whether its summary has begun.
    file: Option<Arc<[String]>>,
    is_proves: bool,
    is_summary: bool,
    streams: u64,
}

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut tap = Tap { levels: vec![Level::default()], ..Tap::default() };
    let mut any = false;
    let mut log: Option<Log> = None;
    loop {
        let number = input.line();
        let Some(line) = input.next_line()? else { break };
        if !any && log.is_none() {
            log = Log::of(&line);
            if log.is_some() {
                // Earlier kernel messages belong to no test.
                tap.other.clear();
            }
        }
        let bare = log.as_ref().and_then(|log| log.strip(&line));
        let line = bare.unwrap_or(&line);
        let indent = line.bytes().take_while(|byte| matches!(byte, b' ' | b'\t'));
        let indent = indent.map(|byte| if byte == b'\t' { TAB } else { 1 }).sum();
        let rest = line.trim();
        if indent == 0 && log.is_none() && tap.of_prove(rest, number, sink)? {
            any = true;
        } else if rest == "---" && tap.last.as_ref().is_some_and(|(of, _)| indent > *of) {
            tap.yaml(input, indent, number, sink)?;
        } else if let Some(test) = test(rest) {
            any = true;
            tap.test(test, indent, number, sink)?;
        } else if let Some((planned, reason)) = plan(rest) {
            any = true;
            tap.flush()?;
            if indent == 0 && tap.levels.first().is_some_and(|level| level.planned.is_some()) {
                tap.end_stream(sink)?;
            }
            let level = tap.level(indent, number)?;
            level.planned = Some(planned);
            level.is_plan_last = level.seen > 0;
            if planned == 0
                && let Some(reason) = reason
            {
                let text = format!("all tests are skipped: {reason}");
                sink.note(Note { line: Some(number), kind: NoteKind::Odd, text });
            }
        } else if let Some(reason) = rest.strip_prefix("Bail out!") {
            any = true;
            tap.flush()?;
            tap.bailed = true;
            let failure = Failure { message: Some(reason.trim().to_owned()), ..Failure::default() };
            tap.own("Bail out!", Some(failure), number);
        } else if rest.starts_with("TAP version ") || rest.starts_with("KTAP version ") {
            tap.flush()?;
            if indent == 0 && tap.has_begun() {
                tap.end_stream(sink)?;
            }
            if rest.starts_with('K') {
                tap.before.get_or_insert_default();
            }
            // An indented version line starts subtests.
            tap.level(indent, number)?;
        } else if rest == "}" {
            tap.close_block(indent, number, sink)?;
        } else {
            tap.comment(line, rest, indent, number, sink);
        }
    }
    if !any {
        return Err(ReadError::new(None, "neither a plan nor a test found"));
    }
    if tap.has_begun() || tap.streams == 0 {
        tap.end_stream(sink)?;
    }
    if !tap.other.is_empty() {
        sink.suite(Suite { stdout: tap.other, ..Suite::default() })?;
    }
    Ok(())
}

/// Parses `1..4` and the reason for running no tests after it.
fn plan(line: &str) -> Option<(u64, Option<&str>)> {
    let rest = line.strip_prefix("1..")?;
    let (count, rest) =
        rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
    let reason = rest.trim().strip_prefix('#').map(str::trim);
    if !rest.trim().is_empty() && reason.is_none() {
        return None;
    }
    Some((count.parse().ok()?, reason))
}

struct TestLine<'a> {
    ok: bool,
    number: Option<u64>,
    /// Whether a dash precedes the name.
    is_dashed: bool,
    name: String,
    /// `SKIP` or `TODO`, and the reason.
    directive: Option<(bool, &'a str)>,
    /// Any other text after `#`, which is not part of the name.
    remark: Option<&'a str>,
    /// Whether subtests follow in braces.
    is_block: bool,
}

/// Parses `ok 1 - name # SKIP reason`.
fn test(line: &str) -> Option<TestLine<'_>> {
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
fn time_in(name: &str, remark: Option<&str>) -> Option<(usize, u64)> {
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

impl Tap {
    /// The level of an indentation; a deeper one than all is new.
    fn level(&mut self, indent: usize, line: u64) -> Result<&mut Level, ReadError> {
        if self.levels.last().is_none_or(|level| level.indent < indent) {
            if self.levels.len() >= MAX_DEPTH {
                let problem = format!("subtests nested more than {MAX_DEPTH} levels deep");
                return Err(ReadError::new(Some(line), problem));
            }
            self.levels.push(Level { indent, line, ..Level::default() });
        }
        let at = self.levels.iter().position(|level| level.indent >= indent).unwrap_or(0);
        self.levels.get_mut(at).ok_or_else(|| ReadError::new(Some(line), "no such nesting level"))
    }

    /// Completes the last test.
    fn flush(&mut self) -> Result<(), ReadError> {
        if let Some((indent, case)) = self.last.take() {
            self.bad += u64::from(case.outcome().is_bad());
            let line = case.report_line.unwrap_or(1);
            self.level(indent, line)?.cases.push(case);
        }
        Ok(())
    }

    fn has_begun(&self) -> bool {
        let root = self.levels.first();
        self.levels.len() > 1
            || self.last.is_some()
            || self.file.is_some()
            || root.is_some_and(|level| level.seen > 0 || level.planned.is_some())
    }

    /// Handles prove's own lines; returns whether the line is one.
    fn of_prove(
        &mut self,
        line: &str,
        number: u64,
        sink: &mut dyn Sink,
    ) -> Result<bool, ReadError> {
        if let Some((file, outcome)) = header(line) {
            if self.has_begun() {
                self.end_stream(sink)?;
            }
            self.is_proves = true;
            self.file = Some(nested(&Arc::default(), file, Some(number), sink));
            if !outcome.is_empty() {
                self.end_file(outcome, number, sink)?;
            }
            return Ok(true);
        }
        if !self.is_proves {
            return Ok(false);
        }
        match line {
            "Result: FAIL" => {
                let text = "prove reports that the run failed";
                sink.against(Reason::new(Cause::Verdict, Some(number), text));
            }
            "Result: NOTESTS" => {
                let text = "prove reports that no tests were run";
                sink.against(Reason::new(Cause::NothingRun, Some(number), text));
            }
            "All tests successful." | "Test Summary Report" | "Result: PASS" => {}
            _ if line.starts_with("Files=") => {}
            _ if self.is_summary => {}
            _ if self.file.is_some() => return self.end_file(line, number, sink),
            _ => return Ok(false),
        }
        self.is_summary = true;
        if self.has_begun() {
            self.end_stream(sink)?;
        }
        Ok(true)
    }

    /// Handles prove's result of a test file at its end.
    fn end_file(
        &mut self,
        outcome: &str,
        number: u64,
        sink: &mut dyn Sink,
    ) -> Result<bool, ReadError> {
        let has_tests = self.levels.first().is_some_and(|level| level.seen > 0);
        let case = |status, message: &str| Case {
            name: "the test file itself".to_owned(),
            status: Some(status),
            failure: (!message.is_empty())
                .then(|| Failure { message: Some(message.to_owned()), ..Failure::default() }),
            report_line: Some(number),
            ..Case::default()
        };
        let case = match outcome {
            "ok" if has_tests => None,
            "ok" => Some(case(Status::Passed, "")),
            _ if outcome.starts_with("skipped:") => Some(case(Status::Skipped, outcome)),
            // Test::More exits with the number of failed tests (its documentation, "Exit codes"), which report
            // themselves.
            _ if self.is_sum(outcome) => None,
            _ if outcome.starts_with("Dubious") => Some(case(Status::Error, outcome)),
            _ if outcome.starts_with("Failed ") && outcome.ends_with("subtests") => {
                sink.against(Reason::new(
                    Cause::Verdict,
                    Some(number),
                    format!("prove reports: {outcome}"),
                ));
                None
            }
            _ => return Ok(false),
        };
        self.flush()?;
        self.bad += u64::from(case.as_ref().is_some_and(|case| case.outcome().is_bad()));
        let is_broken = case.as_ref().is_some_and(|case| case.outcome() == Status::Error);
        if let (Some(case), Some(level)) = (case, self.levels.first_mut()) {
            level.cases.push(case);
        }
        if outcome == "ok" || outcome.starts_with("skipped:") {
            // Without -v, no plan is printed.
            if !has_tests && let Some(level) = self.levels.first_mut() {
                level.planned.get_or_insert(0);
            }
            self.end_stream(sink)?;
        } else if is_broken && let Some(level) = self.levels.first_mut() {
            // The reason for the missing plan is already reported.
            self.bailed |= level.planned.is_none();
        }
        Ok(true)
    }

    /// Whether prove's "dubious" result only means that the exit code was the number of failed tests.
    fn is_sum(&self, outcome: &str) -> bool {
        let code = outcome.strip_prefix("Dubious, test returned ");
        let code = code.and_then(|code| code.split(' ').next()?.parse::<u64>().ok());
        self.levels.first().is_some_and(|level| {
            level.planned == Some(level.seen) && level.failed > 0 && code == Some(level.failed)
        })
    }

    /// Adds an error that belongs to no test.
    fn own(&mut self, name: &str, failure: Option<Failure>, line: u64) {
        self.bad += 1;
        let case = Case {
            name: name.to_owned(),
            status: Some(Status::Error),
            failure,
            report_line: Some(line),
            ..Case::default()
        };
        if let Some(level) = self.levels.first_mut() {
            level.cases.push(case);
        }
    }

    /// Ends everything deeper than this indentation; returns its cases.
    fn close(&mut self, indent: usize, sink: &mut dyn Sink) -> Result<Vec<Case>, ReadError> {
        self.flush()?;
        let mut cases = Vec::new();
        while self.levels.len() > 1
            && let Some(level) = self.levels.pop_if(|level| level.indent > indent)
        {
            check(&level, sink);
            let mut inner = level.cases;
            inner.append(&mut cases);
            cases = inner;
        }
        Ok(cases)
    }

    /// `}` ends the subtests of a test whose line ended with `{`: node-tap writes the test first.
    fn close_block(
        &mut self,
        indent: usize,
        line: u64,
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let mut children = self.close(indent, sink)?;
        let level = self.level(indent, line)?;
        let Some((name, ok)) = level.blocks.pop() else { return Ok(()) };
        let any_bad = children.iter().any(|case| case.outcome().is_bad());
        let is_empty = children.is_empty();
        put_in(&mut children, &name, sink);
        level.cases.append(&mut children);
        if is_empty || (!ok && !any_bad) {
            let status = if ok { Status::Passed } else { Status::Failed };
            level.cases.push(Case {
                name,
                status: Some(status),
                report_line: Some(line),
                ..Case::default()
            });
        }
        Ok(())
    }

    fn test(
        &mut self,
        mut test: TestLine<'_>,
        indent: usize,
        line: u64,
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let mut children = self.close(indent, sink)?;
        let level = self.level(indent, line)?;
        if level.is_plan_last
            && level.indent == 0
            && level.planned.is_some_and(|planned| level.seen >= planned)
        {
            // Its plan followed the tests, so this test belongs to the next stream.
            self.end_stream(sink)?;
        }
        let level = self.level(indent, line)?;
        level.seen += 1;
        level.failed += u64::from(!test.ok && test.directive.is_none());
        level.greatest = level.greatest.max(test.number.unwrap_or(0));
        let nth = test.number.unwrap_or(level.seen);
        if test.number == Some(0) || test.number > level.planned.or(test.number) {
            let text = format!("test {nth} is outside the plan");
            sink.against(Reason::new(Cause::Plan, Some(line), text));
        } else if level.is_again(nth) {
            let text = format!("test {nth} appears twice");
            sink.against(Reason::new(Cause::Plan, Some(line), text));
        }
        let is_block = test.is_block;
        let mut micros = None;
        if let Some((end, time)) = time_in(&test.name, test.remark) {
            test.name.truncate(end);
            micros = Some(time);
            test.remark = test.remark.filter(|remark| !remark.starts_with("time="));
        }
        test.name = test.name.trim_end().to_owned();
        if test.name.is_empty() {
            // The number is its only name.
            test.name = format!("test {nth}");
        }
        if is_block && children.is_empty() {
            level.blocks.push((test.name, test.ok));
            return Ok(());
        }
        if !children.is_empty() {
            // It only summarizes its subtests.
            let any_bad = children.iter().any(|case| case.outcome().is_bad());
            let is_root = level.indent == 0;
            put_in(&mut children, &test.name, sink);
            level.cases.append(&mut children);
            if test.ok || any_bad || test.directive.is_some() {
                if is_root {
                    self.emit(sink)?;
                }
                return Ok(());
            }
            let text = format!(
                "'{}' failed, but none of its subtests did; kept as a separate test",
                test.name
            );
            sink.note(Note { line: Some(line), kind: NoteKind::Odd, text });
        }
        let (status, reason) = match test.directive {
            Some((true, reason)) => (Status::Skipped, Some(reason)),
            // A todo may fail; a failure does not count, and a pass means nothing.
            Some((false, reason)) => {
                (if test.ok { Status::Passed } else { Status::Skipped }, Some(reason))
            }
            None => (if test.ok { Status::Passed } else { Status::Failed }, None),
        };
        let reason = reason.or(test.remark.filter(|_| !test.ok));
        let mut failure = reason
            .filter(|reason| !reason.is_empty())
            .map(|reason| Failure { message: Some(reason.to_owned()), ..Failure::default() });
        let said = self.before.as_mut().map(std::mem::take).unwrap_or_default();
        let mut stdout = String::new();
        if status.is_bad() && !said.is_empty() {
            let failure = failure.get_or_insert_default();
            failure.message = failure.message.take().or(said.lines().next().map(str::to_owned));
            failure.text = Some(said.trim_end().to_owned());
        } else {
            stdout = said;
        }
        let case = Case {
            stdout,
            name: test.name,
            status: Some(status),
            micros,
            failure,
            report_line: Some(line),
            ..Case::default()
        };
        if indent == 0 {
            self.emit(sink)?;
        } else {
            sink.room(self.levels.iter().map(|level| level.cases.len()).sum())?;
        }
        self.last = Some((indent, case));
        self.cut = false;
        Ok(())
    }

    /// Emits the completed cases of the outermost level.
    fn emit(&mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        if let Some(level) = self.levels.first_mut() {
            let mut cases: Vec<Case> = level.cases.drain(..).collect();
            if let Some(file) = &self.file {
                let (own, within): (Vec<Case>, Vec<Case>) =
                    cases.into_iter().partition(|case| case.suites.is_empty());
                cases = within;
                if let Some(name) = file.first() {
                    put_in(&mut cases, name, sink);
                }
                cases.extend(own.into_iter().map(|case| Case { suites: file.clone(), ..case }));
            }
            cases.into_iter().try_for_each(|case| sink.case(case))?;
        }
        Ok(())
    }

    /// Parses a YAML block, which ends with `...` at the same indentation.
    fn yaml(
        &mut self,
        input: &mut Input<'_>,
        indent: usize,
        begun: u64,
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let (mut lines, mut bytes, mut cut) = (Vec::new(), 0, false);
        loop {
            let Some(line) = input.next_line()? else {
                let text = "the file ends inside a YAML block".to_owned();
                sink.note(Note { line: Some(begun), kind: NoteKind::Odd, text });
                break;
            };
            if line.trim() == "..." {
                break;
            }
            bytes += line.len() + 32;
            if bytes <= MAX_OTHER {
                let text = line.get(indent.min(line.len())..).unwrap_or(line.trim_start());
                lines.push(text.to_owned());
            } else {
                cut = true;
            }
        }
        if cut {
            let text = format!("YAML block truncated to {MAX_OTHER} bytes");
            sink.note(Note { line: Some(begun), kind: NoteKind::Cut, text });
        }
        let Some((_, case)) = self.last.as_mut() else { return Ok(()) };
        let plain = |value: &str| value.trim().trim_matches(['\'', '"']).to_owned();
        let depth = |line: &str| line.len() - line.trim_start_matches(' ').len();
        // Some producers indent all members of the block.
        let outer =
            lines.iter().filter(|line| !line.trim().is_empty()).map(|line| depth(line)).min();
        let outer = outer.unwrap_or(0);
        let (mut message, mut is_place) = (None, false);
        for (nth, line) in lines.iter().enumerate() {
            let Some((key, value)) = line.split_once(':') else { continue };
            // Nested members hold the test's location only below `at`.
            if depth(line) == outer {
                is_place = key.trim() == "at";
            } else if !(is_place && matches!(key.trim(), "file" | "line")) {
                continue;
            }
            // A block scalar: the following lines with deeper indentation (YAML 1.2, 8.1).
            let is_block = matches!(value.trim(), "|" | ">" | "|-" | ">-" | "|+" | ">+");
            let block = || {
                let lines = lines.iter().skip(nth + 1);
                let lines = lines.take_while(|line| line.trim().is_empty() || depth(line) > outer);
                lines.map(|line| line.trim()).collect::<Vec<_>>().join("\n").trim_end().to_owned()
            };
            match key.trim() {
                "duration_ms" => {
                    case.micros =
                        value.trim().parse::<f64>().ok().and_then(|ms| number::micros(ms / 1e3));
                }
                "message" | "error" if message.is_none() && is_block => message = Some(block()),
                "message" | "error" if message.is_none() && !value.trim().is_empty() => {
                    message = Some(plain(value));
                }
                "file" => case.file = Some(plain(value)),
                "line" => case.line = value.trim().parse().ok(),
                "location" => {
                    let place = plain(value);
                    let mut parts = place.rsplitn(3, ':');
                    let (_, line, file) = (parts.next(), parts.next(), parts.next());
                    case.line = line.and_then(|line| line.parse().ok());
                    case.file = file.map(str::to_owned);
                }
                _ => {}
            }
        }
        if case.outcome() != Status::Passed {
            let failure = case.failure.get_or_insert_with(Failure::default);
            failure.message = message.or_else(|| failure.message.take());
            failure.text = Some(lines.join("\n"));
        }
        Ok(())
    }

    /// Assigns a comment or other line to the last test, in KTAP to the next test, or to the report.
    fn comment(&mut self, line: &str, rest: &str, indent: usize, number: u64, sink: &mut dyn Sink) {
        if rest.is_empty() || rest.starts_with("# Subtest:") || rest.starts_with("pragma ") {
            return;
        }
        let bare = rest.trim_start_matches('#').trim_start();
        let is_remark = rest.starts_with('#');
        let is_sum = bare.starts_with("Totals:") || bare.contains(": pass:");
        let (text, to) = match (&mut self.before, &mut self.last) {
            (Some(_), _) if is_sum => (line, &mut self.other),
            (Some(before), _) => (if is_remark { bare } else { rest }, before),
            (None, Some((_, case))) if is_remark => (bare, &mut case.stdout),
            // Mocha writes a test's diagnostics below it, without a block.
            (None, Some((of, case))) if indent > *of && case.outcome().is_bad() => {
                let failure = case.failure.get_or_insert_default();
                failure.message.get_or_insert_with(|| rest.to_owned());
                (rest, failure.text.get_or_insert_default())
            }
            (None, Some((of, case))) if indent > *of => (rest, &mut case.stdout),
            _ => (line, &mut self.other),
        };
        if to.len() + text.len() < MAX_OTHER {
            to.push_str(text);
            to.push('\n');
        } else if !self.cut {
            self.cut = true;
            let text = format!("output that belongs to no test truncated to {MAX_OTHER} bytes");
            sink.note(Note { line: Some(number), kind: NoteKind::Cut, text });
        }
    }

    /// Ends a stream and checks its plan against the tests.
    fn end_stream(&mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let mut children = self.close(0, sink)?;
        self.streams += 1;
        let bailed = std::mem::take(&mut self.bailed);
        if let Some(level) = self.levels.first_mut() {
            if !children.is_empty() {
                let text = "the file ends before the parent test of these subtests";
                sink.against(Reason::new(Cause::Cut, Some(level.line.max(1)), text));
                level.cases.append(&mut children);
            }
            match level.planned {
                Some(planned) if level.seen < planned => {
                    let message = format!("{planned} tests planned, {} ran", level.seen);
                    let failure = Failure { message: Some(message), ..Failure::default() };
                    level.cases.push(Case {
                        name: "tests that did not run".to_owned(),
                        status: Some(Status::Error),
                        failure: Some(failure),
                        ..Case::default()
                    });
                }
                Some(_) => check(level, sink),
                None if bailed => {}
                None => {
                    let text = "no plan, so it is unknown whether all tests ran";
                    sink.against(Reason::new(Cause::Plan, None, text));
                }
            }
        }
        self.emit(sink)?;
        self.file = None;
        self.levels = vec![Level::default()];
        Ok(())
    }
}

/// The maximum number of out-of-order numbers that is held.
const MAX_EARLY: usize = 10_000;

impl Level {
    /// Whether a test with this number occurred before.
    fn is_again(&mut self, number: u64) -> bool {
        if number <= self.through {
            return true;
        }
        if self.early.len() < MAX_EARLY && !self.early.insert(number) {
            return true;
        }
        while self.early.remove(&(self.through + 1)) {
            self.through += 1;
        }
        false
    }
}

fn check(level: &Level, sink: &mut dyn Sink) {
    let Some(planned) = level.planned else { return };
    if planned != level.seen || level.greatest > planned {
        let text = format!("{planned} tests planned, {} found", level.seen);
        sink.against(Reason::new(Cause::Plan, Some(level.line.max(1)), text));
    }
}
