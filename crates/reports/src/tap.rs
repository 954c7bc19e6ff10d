//! TAP 13 and 14, with subtests and YAML blocks, and the kernel's KTAP.

use crate::input::Input;
use crate::model::put_in;
use crate::number;
use crate::{Case, Failure, Note, NoteKind, ReadError, Sink, Status, Suite};

/// How much is kept of a test's comments and YAML block, and of the lines that belong to no test, in bytes.
const MAX_OTHER: usize = 8 << 20;

/// How deep subtests may lie in each other.
const MAX_DEPTH: usize = 64;

/// Whether a text is likely TAP.
pub(crate) fn looks_like(text: &str) -> bool {
    text.lines().take(50).any(|line| {
        let line = line.trim_start();
        line.starts_with("TAP version ")
            || line.starts_with("KTAP version ")
            || plan(line).is_some()
            || test(line).is_some()
    })
}

/// Lines of one indentation: the whole report, or the subtests of one test.
#[derive(Default)]
struct Level {
    indent: usize,
    planned: Option<u64>,
    seen: u64,
    line: u64,
    cases: Vec<Case>,
    /// Tests whose subtests follow them in braces, and whether they passed.
    blocks: Vec<(String, bool)>,
}

#[derive(Default)]
struct Tap {
    levels: Vec<Level>,
    /// The last test, to which a YAML block may follow.
    last: Option<(usize, Case)>,
    other: String,
    cut: bool,
    bad: u64,
}

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut tap = Tap { levels: vec![Level::default()], ..Tap::default() };
    let mut any = false;
    loop {
        let number = input.line();
        let Some(line) = input.next_line()? else { break };
        let indent = line.len() - line.trim_start_matches(' ').len();
        let rest = line.trim();
        if rest == "---" && tap.last.as_ref().is_some_and(|(of, _)| indent > *of) {
            tap.yaml(input, indent, number, sink)?;
        } else if let Some(test) = test(rest) {
            any = true;
            tap.test(test, indent, number, sink)?;
        } else if let Some((planned, reason)) = plan(rest) {
            any = true;
            tap.flush()?;
            let level = tap.level(indent, number)?;
            level.planned = Some(planned);
            if planned == 0
                && let Some(reason) = reason
            {
                let text = format!("all tests are skipped: {reason}");
                sink.note(Note { line: Some(number), kind: NoteKind::Odd, text });
            }
        } else if let Some(reason) = rest.strip_prefix("Bail out!") {
            any = true;
            tap.flush()?;
            let failure = Failure { message: Some(reason.trim().to_owned()), ..Failure::default() };
            tap.own("Bail out!", Some(failure), number);
        } else if rest.starts_with("TAP version ") || rest.starts_with("KTAP version ") {
            tap.flush()?;
            // A version that is indented begins subtests.
            tap.level(indent, number)?;
        } else if rest == "}" {
            tap.close_block(indent, number, sink)?;
        } else {
            tap.comment(&line, rest, number, sink);
        }
    }
    if !any {
        return Err(ReadError::new(None, "there is neither a plan nor a test in it"));
    }
    tap.end(sink)
}

/// `1..4`, and behind it why none is run.
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
    name: String,
    /// `SKIP` or `TODO`, and the reason.
    directive: Option<(bool, &'a str)>,
}

/// `ok 1 - name # SKIP reason`
fn test(line: &str) -> Option<TestLine<'_>> {
    let (ok, rest) = match line.strip_prefix("not ok") {
        Some(rest) => (false, rest),
        None => (true, line.strip_prefix("ok")?),
    };
    if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
        return None;
    }
    let rest = rest.trim_start();
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    let rest = rest.strip_prefix("- ").unwrap_or(rest.strip_prefix('-').unwrap_or(rest)).trim();
    // The last # that no backslash takes away begins a directive.
    let mark = rest
        .char_indices()
        .filter(|(at, c)| {
            *c == '#' && !rest.get(..*at).is_some_and(|before| before.ends_with('\\'))
        })
        .find_map(|(at, _)| {
            let words = rest.get(at + 1..)?.trim_start();
            let word: String = words.chars().take_while(char::is_ascii_alphabetic).collect();
            let is_skip = word.to_ascii_uppercase().starts_with("SKIP");
            let is_todo = word.eq_ignore_ascii_case("TODO");
            (is_skip || is_todo).then(|| (at, is_skip, words.get(word.len()..).unwrap_or_default()))
        });
    let (name, directive) = match mark {
        Some((at, skip, reason)) => {
            (rest.get(..at)?, Some((skip, reason.trim_start_matches(':').trim())))
        }
        None => (rest, None),
    };
    let name = name.trim().replace("\\#", "#").replace("\\\\", "\\");
    Some(TestLine { ok, name, directive })
}

impl Tap {
    /// The level of an indentation; one that is deeper than all is new.
    fn level(&mut self, indent: usize, line: u64) -> Result<&mut Level, ReadError> {
        if self.levels.last().is_none_or(|level| level.indent < indent) {
            if self.levels.len() >= MAX_DEPTH {
                let problem = format!("subtests lie more than {MAX_DEPTH} deep");
                return Err(ReadError::new(Some(line), problem));
            }
            self.levels.push(Level { indent, line, ..Level::default() });
        }
        let at = self.levels.iter().position(|level| level.indent >= indent).unwrap_or(0);
        self.levels.get_mut(at).ok_or_else(|| ReadError::new(Some(line), "there is no such level"))
    }

    /// The last test has nothing more to come.
    fn flush(&mut self) -> Result<(), ReadError> {
        if let Some((indent, case)) = self.last.take() {
            self.bad += u64::from(case.outcome().is_bad());
            let line = case.report_line.unwrap_or(1);
            self.level(indent, line)?.cases.push(case);
        }
        Ok(())
    }

    /// An error that is no test's own.
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

    /// What lies deeper than this indentation has ended; gives the cases of it.
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

    /// `}` ends the subtests of a test whose line ended with `{`: node-tap writes the test before them.
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
        level.seen += 1;
        let is_block = test.name.ends_with(" {") || test.name == "{";
        if is_block {
            test.name.truncate(test.name.len() - 1);
        }
        // What node-tap says of the time: not a part of the name, which would be another each time.
        let mut micros = None;
        if let Some((name, time)) = test.name.trim_end().rsplit_once("# time=") {
            let (text, scale) = match time.strip_suffix("ms") {
                Some(text) => (text, 1e3),
                None => (time.trim_end_matches('s'), 1.0),
            };
            micros = text.trim().parse::<f64>().ok().and_then(|time| number::micros(time / scale));
            if micros.is_some() {
                test.name = name.to_owned();
            }
        }
        test.name = test.name.trim_end().to_owned();
        if is_block && children.is_empty() {
            level.blocks.push((test.name, test.ok));
            return Ok(());
        }
        if !children.is_empty() {
            // It only sums up what was in it.
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
                "'{}' failed, and none of the tests in it; it is kept as one of its own",
                test.name
            );
            sink.note(Note { line: Some(line), kind: NoteKind::Odd, text });
        }
        let (status, reason) = match test.directive {
            Some((true, reason)) => (Status::Skipped, Some(reason)),
            // What is still to be done may fail, and says nothing if it doesn't.
            Some((false, reason)) => {
                (if test.ok { Status::Passed } else { Status::Skipped }, Some(reason))
            }
            None => (if test.ok { Status::Passed } else { Status::Failed }, None),
        };
        let failure = reason
            .filter(|reason| !reason.is_empty())
            .map(|reason| Failure { message: Some(reason.to_owned()), ..Failure::default() });
        let case = Case {
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

    /// Hands over what is complete at the outermost level.
    fn emit(&mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        if let Some(level) = self.levels.first_mut() {
            level.cases.drain(..).try_for_each(|case| sink.case(case))?;
        }
        Ok(())
    }

    /// A YAML block, which ends with `...` of the same indentation.
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
                let text = "the file ends within a YAML block".to_owned();
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
            let text =
                format!("a YAML block is longer than {MAX_OTHER} bytes; the rest is left out");
            sink.note(Note { line: Some(begun), kind: NoteKind::Cut, text });
        }
        let Some((_, case)) = self.last.as_mut() else { return Ok(()) };
        let plain = |value: &str| value.trim().trim_matches(['\'', '"']).to_owned();
        let mut message = None;
        for line in &lines {
            let Some((key, value)) = line.split_once(':') else { continue };
            match key.trim() {
                "duration_ms" if !key.starts_with(' ') => {
                    case.micros =
                        value.trim().parse::<f64>().ok().and_then(|ms| number::micros(ms / 1e3));
                }
                "message" | "error"
                    if !key.starts_with(' ')
                        && !matches!(value.trim(), "" | "|" | ">" | "|-" | ">-") =>
                {
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

    /// A comment, or a line of something else: output of the last test, or of the whole.
    fn comment(&mut self, line: &str, rest: &str, number: u64, sink: &mut dyn Sink) {
        if rest.is_empty() || rest.starts_with("# Subtest:") || rest.starts_with("pragma ") {
            return;
        }
        let (text, to) = match &mut self.last {
            Some((_, case)) if rest.starts_with('#') => {
                (rest.trim_start_matches('#').trim_start(), &mut case.stdout)
            }
            _ => (line, &mut self.other),
        };
        if to.len() + text.len() < MAX_OTHER {
            to.push_str(text);
            to.push('\n');
        } else if !self.cut {
            self.cut = true;
            let text =
                format!("more than {MAX_OTHER} bytes belong to no test; the rest is left out");
            sink.note(Note { line: Some(number), kind: NoteKind::Cut, text });
        }
    }

    fn end(mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let mut children = self.close(0, sink)?;
        if let Some(level) = self.levels.first_mut() {
            if !children.is_empty() {
                let text = "the file ends before the test that these subtests belong to".to_owned();
                sink.note(Note { line: Some(level.line.max(1)), kind: NoteKind::Odd, text });
                level.cases.append(&mut children);
            }
            match level.planned {
                Some(planned) if level.seen < planned => {
                    let message = format!("the plan says {planned} tests, {} ran", level.seen);
                    let failure = Failure { message: Some(message), ..Failure::default() };
                    level.cases.push(Case {
                        name: "tests that did not run".to_owned(),
                        status: Some(Status::Error),
                        failure: Some(failure),
                        ..Case::default()
                    });
                }
                Some(_) => check(level, sink),
                None => {
                    let text =
                        "there is no plan, so nobody can tell whether all tests ran".to_owned();
                    sink.note(Note { line: None, kind: NoteKind::Odd, text });
                }
            }
        }
        self.emit(sink)?;
        sink.suite(Suite { stdout: self.other, ..Suite::default() })
    }
}

fn check(level: &Level, sink: &mut dyn Sink) {
    if let Some(planned) = level.planned.filter(|planned| *planned != level.seen) {
        let text = format!("the plan says {planned} tests, there are {}", level.seen);
        sink.note(Note { line: Some(level.line.max(1)), kind: NoteKind::Odd, text });
    }
}
