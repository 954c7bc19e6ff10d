//! TAP 13 and 14 with subtests and YAML blocks, and the kernel's KTAP.

mod diagnostics;
mod line;
mod prove;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::input::Input;
use crate::model::put_in;
use crate::{Case, Cause, Failure, Note, NoteKind, ReadError, Reason, Sink, Status, Suite};
use line::{Log, TestLine, plan, test, time_in};
pub(crate) use line::{is_in_log, looks_like};

/// The maximum size kept of a test's comments and YAML block, and of lines that belong to no test,
/// in bytes.
const MAX_OTHER: usize = 8 << 20;

/// The width of a tab: KUnit once used tabs.
const TAB: usize = 4;

/// The maximum nesting depth of subtests.
const MAX_DEPTH: usize = 64;

/// Lines of one indentation: the whole report, or the subtests of one test.
#[derive(Default)]
struct Level {
    indent: usize,
    planned: Option<u64>,
    /// Whether the plan follows the tests.
    is_plan_last: bool,
    /// Whether it stands between them.
    is_plan_within: bool,
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
    /// Tests whose subtests follow in braces, whether they passed, and whether they are todos.
    blocks: Vec<(String, bool, bool)>,
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
    /// The number of failed todos.
    todos: u64,
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
    if tap.is_proves && !tap.is_summary {
        let text = "prove's summary is missing, so it is unknown whether all files ran";
        sink.against(Reason::new(Cause::Cut, None, text));
    }
    if !tap.other.is_empty() {
        sink.suite(Suite { stdout: tap.other, ..Suite::default() })?;
    }
    Ok(())
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
        let Some((name, ok, is_todo)) = level.blocks.pop() else { return Ok(()) };
        let forgiven = if is_todo { forgive(&mut children) } else { 0 };
        let ok = ok || is_todo;
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
        self.bad = self.bad.saturating_sub(forgiven);
        self.todos += forgiven;
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
        let is_todo = matches!(test.directive, Some((false, _)));
        if is_todo {
            let forgiven = forgive(&mut children);
            self.bad = self.bad.saturating_sub(forgiven);
            self.todos += forgiven;
        }
        let level = self.level(indent, line)?;
        if level.is_plan_last
            && level.indent == 0
            && level.planned.is_some_and(|planned| level.seen >= planned)
        {
            // Its plan followed the tests, so this test belongs to the next stream.
            self.end_stream(sink)?;
        }
        self.todos += u64::from(!test.ok && is_todo);
        let level = self.level(indent, line)?;
        if level.is_plan_last && !level.is_plan_within {
            // The specification allows it before the first test or behind the last one.
            level.is_plan_within = true;
            let text = "the plan stands between tests";
            sink.against(Reason::new(Cause::Plan, Some(line), text));
        }
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
            level.blocks.push((test.name, test.ok, is_todo));
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

/// The failures below a todo do not count; returns their number.
fn forgive(children: &mut [Case]) -> u64 {
    let bad = children.iter_mut().filter(|case| case.outcome().is_bad());
    bad.map(|case| case.status = Some(Status::Skipped)).count() as u64
}

fn check(level: &Level, sink: &mut dyn Sink) {
    let Some(planned) = level.planned else { return };
    if planned != level.seen || level.greatest > planned {
        let text = format!("{planned} tests planned, {} found", level.seen);
        sink.against(Reason::new(Cause::Plan, Some(level.line.max(1)), text));
    }
}
