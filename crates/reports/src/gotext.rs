//! The text output of `go test`, with or without `-v`: the default when JSON is not requested.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::go::{ITSELF, Running};
use crate::input::Input;
use crate::model::{because, nested};
use crate::number;
use crate::{Case, Cause, Failure, Note, NoteKind, ReadError, Reason, Sink, Status, Suite};

/// The meaning of a line.
enum Line<'t> {
    /// A test starts or continues; only with `-v`.
    Goes(&'t str),
    /// The following output belongs to no test.
    Pauses,
    /// A test ended; the text before that on the line is output.
    Ended {
        before: &'t str,
        word: &'t str,
        name: &'t str,
        micros: Option<u64>,
    },
    /// A package ended, or has no tests.
    Package {
        word: &'t str,
        name: &'t str,
        rest: &'t str,
    },
    /// The tests of a package ended.
    Whole {
        is_ok: bool,
    },
    /// Build errors follow.
    Unbuilt(&'t str),
    Bench(&'t str),
    Other,
}

fn parse(line: &str) -> Line<'_> {
    for frame in ["=== RUN ", "=== CONT ", "=== NAME "] {
        if let Some(name) = line.strip_prefix(frame) {
            return Line::Goes(name.trim());
        }
    }
    if line.starts_with("=== PAUSE ") {
        return Line::Pauses;
    }
    for word in ["ok", "FAIL", "?"] {
        let rest = line.strip_prefix(word).map(|rest| rest.trim_start_matches(' '));
        if let Some((name, rest)) = rest.and_then(|rest| rest.strip_prefix('\t')).map(|rest| {
            let end = rest.find(['\t', ' ']).unwrap_or(rest.len());
            rest.split_at(end)
        }) && !name.is_empty()
        {
            return Line::Package { word, name, rest: rest.trim() };
        }
    }
    match line {
        "PASS" => return Line::Whole { is_ok: true },
        "FAIL" => return Line::Whole { is_ok: false },
        _ => {}
    }
    if let Some(package) = line.strip_prefix("# ") {
        // `go vet` appends the package in brackets.
        let name = package.split(' ').next().unwrap_or(package);
        return Line::Unbuilt(name.trim_matches(['[', ']']));
    }
    for word in ["PASS", "FAIL", "SKIP"] {
        let mark = format!("--- {word}: ");
        if let Some((before, rest)) = line.split_once(mark.as_str())
            && let Some((name, took)) = rest.rsplit_once(" (")
            && let Some(took) = took.strip_suffix("s)")
        {
            let micros = number::seconds(took).map(|(micros, _)| micros);
            return Line::Ended { before, word, name, micros };
        }
    }
    if line.starts_with("Benchmark") && (line.contains(" ns/op") || line.contains("\tns/op")) {
        let name = line.split_whitespace().next().unwrap_or_default();
        // The number of processors is not part of the name.
        let own = name.rsplit_once('-').filter(|(_, count)| count.parse::<u32>().is_ok());
        return Line::Bench(own.map_or(name, |(own, _)| own));
    }
    Line::Other
}

/// Whether a text is the output of `go test`: it contains a characteristic line.
pub(crate) fn looks_like(text: &str) -> bool {
    first_line(text).is_some()
}

/// The position of the first characteristic line in a text.
pub(crate) fn first_line(text: &str) -> Option<usize> {
    text.lines().position(|line| match parse(line) {
        Line::Goes(_) => line.starts_with("=== RUN "),
        Line::Ended { before, .. } => before.trim().is_empty(),
        Line::Package { word, name, rest } => {
            (name.contains('/') || name.contains('.') || rest.starts_with('['))
                && (word != "ok" || rest == "(cached)" || rest.contains('s'))
        }
        _ => false,
    })
}

pub(crate) fn read(input: &mut Input<'_>, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut text = Text::default();
    loop {
        let number = input.line();
        let Some(line) = input.next_line()? else { break };
        text.line(&line, number, sink)?;
    }
    text.end(sink)
}

#[derive(Default)]
struct Text {
    /// The tests of the current package, whose name follows them.
    running: HashMap<String, Running>,
    /// The order in which they started, including those that ended.
    order: Vec<String>,
    held: Vec<Case>,
    /// The test that output belongs to.
    current: Option<String>,
    /// The last test that ended: indented lines below belong to it.
    last: Option<usize>,
    own: Running,
    is_verbose: bool,
    /// The result of a package's tests if no package line follows.
    whole: Option<bool>,
    /// Build errors, by package.
    unbuilt: BTreeMap<String, Running>,
    building: Option<String>,
    /// Packages that failed without a reason of their own: one of their dependencies cannot be built.
    needing: Vec<Case>,
    packages: u64,
    bad: u64,
}

impl Text {
    fn line(&mut self, line: &str, number: u64, sink: &mut dyn Sink) -> Result<(), ReadError> {
        // Output of a test without a final newline precedes it.
        let at = line.find("=== RUN   ").filter(|at| *at > 0 && self.is_verbose);
        if let Some((before, line)) = at.and_then(|at| line.split_at_checked(at)) {
            let name = line.rsplit(' ').next().unwrap_or_default();
            let kinds = ["Test", "Benchmark", "Fuzz", "Example"];
            let is_frame = line.len() == "=== RUN   ".len() + name.len();
            if is_frame && kinds.iter().any(|kind| name.starts_with(kind)) {
                self.output(before, number, sink);
                return self.line(line, number, sink);
            }
        }
        match parse(line) {
            Line::Goes(name) => {
                self.is_verbose = true;
                self.building = None;
                if line.starts_with("=== RUN ") && !self.running.contains_key(name) {
                    sink.room(self.held.len() + self.running.len())?;
                    let running = Running::on(number);
                    self.running.insert(name.to_owned(), running);
                    self.order.push(name.to_owned());
                }
                self.current = Some(name.to_owned());
                self.last = None;
            }
            Line::Pauses => self.current = None,
            // A test's own output may look like this.
            Line::Ended { name, before, .. }
                if (self.is_verbose && !self.running.contains_key(name))
                    || (!self.is_verbose && !before.trim().is_empty()) =>
            {
                self.output(line, number, sink);
            }
            Line::Ended { before, word, name, micros } => {
                if !before.trim().is_empty() {
                    self.output(before, number, sink);
                }
                self.ended(word, name, micros, number, sink)?;
            }
            Line::Package { word, name, rest } => self.package(word, name, rest, number, sink)?,
            Line::Whole { is_ok } => {
                self.whole = Some(self.whole.unwrap_or(true) && is_ok);
                (self.current, self.last) = (None, None);
            }
            Line::Unbuilt(package) => {
                sink.room(self.unbuilt.len())?;
                self.building = Some(package.to_owned());
            }
            Line::Bench(name) => {
                sink.room(self.held.len())?;
                self.held.push(Case {
                    name: name.to_owned(),
                    status: Some(Status::Passed),
                    stdout: format!("{line}\n"),
                    report_line: Some(number),
                    ..Case::default()
                });
            }
            Line::Other => self.output(line, number, sink),
        }
        Ok(())
    }

    fn output(&mut self, line: &str, number: u64, sink: &mut dyn Sink) {
        let text = format!("{line}\n");
        let of_last = self.last.filter(|_| line.starts_with([' ', '\t']));
        if let Some(case) = of_last.and_then(|last| self.held.get_mut(last)) {
            let to = match &mut case.failure {
                Some(failure) => failure.text.get_or_insert_default(),
                None => &mut case.stdout,
            };
            if to.len() + text.len() < crate::json::MAX_TEXT {
                to.push_str(&text);
            }
            return;
        }
        let current = self.current.as_ref().and_then(|name| self.running.get_mut(name));
        match (current, &self.building) {
            (Some(running), _) => running.add(&text, number, sink),
            (None, Some(package)) => {
                self.unbuilt.entry(package.clone()).or_default().add(&text, number, sink);
            }
            (None, None) => self.own.add(&text, number, sink),
        }
    }

    fn ended(
        &mut self,
        word: &str,
        name: &str,
        micros: Option<u64>,
        number: u64,
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        let status = match word {
            "FAIL" => Status::Failed,
            "SKIP" => Status::Skipped,
            _ => Status::Passed,
        };
        let running = self.running.remove(name).unwrap_or(Running::on(number));
        sink.room(self.held.len() + self.running.len())?;
        let mut case = running.case("", name.to_owned(), status, None);
        case.micros = micros;
        self.last = Some(self.held.len());
        self.held.push(case);
        self.current = None;
        Ok(())
    }

    fn package(
        &mut self,
        word: &str,
        name: &str,
        rest: &str,
        number: u64,
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        self.packages += 1;
        self.building = None;
        let is_ok = word != "FAIL";
        let mut own = std::mem::take(&mut self.own).output;
        if let Some(unbuilt) = self.unbuilt.remove(name) {
            own = unbuilt.output + &own;
        }
        let is_empty = self.held.is_empty() && self.running.is_empty();
        let any_bad = self.emit(name, is_ok, sink)?;
        let took = rest.split(['\t', ' ']).next().unwrap_or_default();
        let micros =
            number::seconds(took).filter(|_| took.ends_with('s')).map(|(micros, _)| micros);
        let nothing =
            word == "?" || rest.contains("[no tests to run]") || rest.contains("[no test files]");
        let itself = if !is_ok && !any_bad {
            let said = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let message = said.map(str::to_owned).or_else(|| {
                let panic = own.lines().find(|line| line.starts_with("panic: "));
                panic.or(own.lines().find(|line| !line.trim().is_empty())).map(str::to_owned)
            });
            let text = Some(own.clone()).filter(|text| !text.is_empty());
            Some((Status::Error, Some(Failure { kind: None, message, text })))
        } else if is_ok && is_empty && !nothing {
            // Without -v, only failures are reported.
            Some((Status::Passed, None))
        } else {
            None
        };
        if let Some((status, failure)) = itself {
            self.bad += u64::from(status.is_bad());
            let case = Case {
                class: Some(name.to_owned()),
                name: ITSELF.to_owned(),
                status: Some(status),
                micros,
                failure,
                report_line: Some(number),
                ..Case::default()
            };
            if own.is_empty() && status.is_bad() {
                sink.room(self.needing.len())?;
                self.needing.push(case);
            } else {
                sink.case(case)?;
            }
        }
        (self.whole, self.is_verbose) = (None, false);
        let path = nested(&Arc::default(), name, Some(number), sink);
        sink.suite(Suite { path, micros, stdout: own, ..Suite::default() })
    }

    /// Emits the tests of a package; returns whether one of them failed or broke.
    fn emit(&mut self, package: &str, is_ok: bool, sink: &mut dyn Sink) -> Result<bool, ReadError> {
        (self.current, self.last) = (None, None);
        let mut cases = std::mem::take(&mut self.held);
        for name in std::mem::take(&mut self.order) {
            let Some(running) = self.running.remove(&name) else { continue };
            let line = running.line;
            let mut case =
                running.case("", name, if is_ok { Status::Passed } else { Status::Error }, None);
            if is_ok {
                let text = format!("no result for '{}'; assumed to match its package", case.name);
                sink.note(Note { line: Some(line), kind: NoteKind::Guessed, text });
            } else {
                let text = case.failure.take().and_then(|failure| failure.text);
                let panic = text.as_deref().unwrap_or_default();
                let panic = panic.lines().find(|line| line.starts_with("panic: "));
                let message = panic.unwrap_or("did not finish").to_owned();
                case.failure = Some(Failure { text, ..because(message) });
            }
            cases.push(case);
        }
        self.running.clear();
        let any_bad = cases.iter().any(|case| case.outcome().is_bad());
        for mut case in cases {
            case.class = Some(package.to_owned()).filter(|package| !package.is_empty());
            self.bad += u64::from(case.outcome().is_bad());
            sink.case(case)?;
        }
        Ok(any_bad)
    }

    fn end(mut self, sink: &mut dyn Sink) -> Result<(), ReadError> {
        let whole = self.whole;
        if self.packages == 0 && whole.is_none() && self.held.is_empty() && self.running.is_empty()
        {
            return Err(ReadError::new(None, "no test or package result found"));
        }
        if !self.held.is_empty() || !self.running.is_empty() {
            // The test binary does not name its package, only the result.
            let any_bad = self.emit("", whole == Some(true), sink)?;
            match whole {
                None => {
                    let text = "the file ends before the package finishes";
                    sink.against(Reason::new(Cause::Cut, None, text));
                }
                Some(false) if !any_bad => {
                    sink.against(Reason::new(Cause::Verdict, None, "the output says FAIL"));
                }
                Some(_) => {}
            }
        } else if whole == Some(false) && self.bad == 0 {
            sink.against(Reason::new(Cause::Verdict, None, "the output says FAIL"));
        }
        // A package that cannot be built has no tests itself; the first of these depends on it.
        let texts: Vec<String> = self.unbuilt.into_values().map(|unbuilt| unbuilt.output).collect();
        let mut text = Some(texts.concat()).filter(|text| !text.is_empty());
        for mut case in self.needing {
            if let (Some(failure), text @ Some(_)) = (&mut case.failure, &mut text) {
                failure.text = text.take();
            }
            sink.case(case)?;
        }
        if let Some(stdout) = text {
            sink.suite(Suite { stdout, ..Suite::default() })?;
        }
        Ok(())
    }
}
