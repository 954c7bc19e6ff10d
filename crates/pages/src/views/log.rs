//! The log of a step, and what was found in logs.

use askama::Template;
use devmason_domain::{Build, LogEntry, Project, Step};
use devmason_hypermedia::document::LogMatch;

use super::{Page, of_step};
use crate::Standing;
use crate::log::log_lines;
use crate::site::Site;
use crate::text::grouped;

/// A part of what a page shows of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPart {
    /// What was written.
    Entry(LogEntry),
    /// What stands for a dropped part, and the number of the line behind it.
    Gap {
        /// What is said.
        text: String,
        /// The number of the next line.
        next: u64,
    },
}

/// Some lines of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// What was written.
    pub parts: Vec<LogPart>,
    /// The number of the first line, from 1.
    pub first: u64,
    /// The number of the last line; 0 if there is none.
    pub last: u64,
    /// The number of lines of the whole log.
    pub of: u64,
}

impl Window {
    /// Drops the first line, which is not whole, unless there is no other.
    pub fn drop_partial_line(&mut self) {
        let break_in = |part: &LogPart| match part {
            LogPart::Entry(entry) => entry.text.find('\n').map(|at| (at + 1, entry.text.len())),
            LogPart::Gap { .. } => Some((0, 1)),
        };
        let first =
            self.parts.iter().enumerate().find_map(|(nth, part)| Some((nth, break_in(part)?)));
        let Some((nth, (behind, length))) = first else { return };
        if behind == length && nth + 1 == self.parts.len() {
            return;
        }
        self.parts.drain(..nth);
        if let Some(LogPart::Entry(entry)) = self.parts.first_mut() {
            entry.text.drain(..behind);
            self.first += 1;
            if entry.text.is_empty() {
                self.parts.remove(0);
            }
        }
    }

    /// Drops the last line if it goes on, unless it is the only one.
    pub fn drop_open_line(&mut self) {
        let has_break = |part: &LogPart| match part {
            LogPart::Entry(entry) => entry.text.contains('\n'),
            LogPart::Gap { .. } => true,
        };
        let Some(at) = self.parts.iter().rposition(has_break) else { return };
        self.parts.truncate(at + 1);
        if let Some(LogPart::Entry(entry)) = self.parts.last_mut()
            && let Some(end) = entry.text.rfind('\n')
        {
            entry.text.truncate(end + 1);
        }
    }

    /// Sets the number of the last line.
    pub fn count(&mut self) {
        let (mut line, mut is_open) = (self.first, false);
        for part in &self.parts {
            match part {
                LogPart::Entry(entry) => {
                    line += entry.text.bytes().filter(|byte| *byte == b'\n').count() as u64;
                    is_open = !entry.text.ends_with('\n');
                }
                LogPart::Gap { next, .. } => (line, is_open) = (*next, false),
            }
        }
        self.last = if self.parts.is_empty() { 0 } else { line - u64::from(!is_open) };
    }
}

/// A page of the log of a step.
#[derive(Template)]
#[template(path = "log.html")]
pub struct LogPage<'a> {
    site: Site<'a>,
    project: &'a Project,
    build: &'a Build,
    nth: u32,
    step: &'a Step,
    about: String,
    started: i64,
    stream: Option<&'a str>,
    log: String,
    search: String,
    previous: Option<String>,
    next: Option<String>,
    tail: String,
    error: Option<(u64, String)>,
    follow: Option<String>,
    lines: String,
}

impl<'a> LogPage<'a> {
    /// A page of a log: these lines, and the number of the line with the first error.
    pub fn new(
        site: Site<'a>,
        project: &'a Project,
        build: &'a Build,
        (nth, step): (u32, &'a Step),
        window: &Window,
        (stream, first_error): (Option<&'a str>, Option<u64>),
    ) -> Self {
        let log = site.output(&project.slug, build, nth as usize, "log");
        let with = |query: String| match stream {
            Some(stream) => format!("{log}?format=html&stream={stream}&{query}"),
            None => format!("{log}?format=html&{query}"),
        };
        let is_end = window.last >= window.of;
        Self {
            about: match window.last {
                0 => format!("no such lines; the log has {}", grouped(window.of)),
                last => format!(
                    "lines {} to {} of {}",
                    grouped(window.first),
                    grouped(last),
                    grouped(window.of)
                ),
            },
            started: step.started.micros() / 1000,
            previous: (window.first > 1 && window.last > 0)
                .then(|| with(format!("to={}", window.first - 1))),
            next: (!is_end && window.last > 0).then(|| with(format!("from={}", window.last + 1))),
            tail: with(format!("to={}", u32::MAX)),
            error: first_error.map(|line| {
                let from = line.saturating_sub(20).max(1);
                (line, with(format!("from={from}")) + &format!("#step-{nth}-L{line}"))
            }),
            follow: (step.is_running() && is_end && stream.is_none())
                .then(|| format!("{log}?follow&from={}", window.last.max(1))),
            lines: log_lines(window, nth),
            search: site.of_build(&project.slug, build, "search"),
            log,
            site,
            project,
            build,
            nth,
            step,
            stream,
        }
    }
}

impl Page for LogPage<'_> {
    fn title(&self) -> String {
        format!("Log of {}", self.step.name)
    }
    fn standing(&self) -> Standing {
        of_step(self.step)
    }
}

/// What was found in the logs of a build.
#[derive(Template)]
#[template(path = "log_search.html")]
pub struct LogSearchPage<'a> {
    site: Site<'a>,
    project: &'a Project,
    build: &'a Build,
    action: String,
    text: &'a str,
    is_regex: bool,
    step: Option<String>,
    matches: &'a [LogMatch],
    next: Option<String>,
    problem: Option<String>,
}

/// What a search of logs was about.
#[derive(Debug, Clone)]
pub struct Searched<'a> {
    /// The text or the expression.
    pub text: &'a str,
    /// Whether it is an expression.
    pub is_regex: bool,
    /// The only step that was searched.
    pub step: Option<String>,
    /// Where to go on.
    pub next: Option<String>,
    /// Why nothing was searched.
    pub problem: Option<String>,
}

impl<'a> LogSearchPage<'a> {
    /// The lines that were found.
    pub fn new(
        site: Site<'a>,
        project: &'a Project,
        build: &'a Build,
        matches: &'a [LogMatch],
        searched: Searched<'a>,
    ) -> Self {
        let Searched { text, is_regex, step, next, problem } = searched;
        let action = site.of_build(&project.slug, build, "search");
        Self { action, text, is_regex, step, next, problem, matches, site, project, build }
    }
}

impl Page for LogSearchPage<'_> {
    fn title(&self) -> String {
        format!("Search the logs of {}", self.build.key())
    }
    fn standing(&self) -> Standing {
        Standing::of(self.build)
    }
}
