//! Steps of a build, and their outputs.

use askama::Template;
use devmason_domain::{Build, Project, Step, Timestamp};

use super::{Member, Page, Window, members, of_step, rendered};
use crate::Standing;
use crate::log::log_lines;
use crate::output::{Part, lines};
use crate::site::{Site, When, bytes, duration, micros_of};
use crate::text::{counted, grouped};

/// The room left for outputs.
#[derive(Debug)]
pub struct Room(usize);

impl Room {
    /// Room for this many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(bytes)
    }

    pub(super) fn is_left(&self) -> bool {
        self.0 > 0
    }

    pub(super) fn take(&mut self, bytes: usize) {
        self.0 = self.0.saturating_sub(bytes);
    }
}

/// The shown part of a step's output.
struct Stream {
    name: &'static str,
    /// The length of the whole output.
    whole: String,
    /// The length of the whole output, and how much of it is shown.
    about: String,
    raw: String,
    more: Option<String>,
    id: String,
    /// Where to follow it while it grows.
    follow: Option<String>,
    lines: String,
}

/// A step on a build's page.
#[derive(Template)]
#[template(path = "step.html")]
struct StepPart<'a> {
    step: &'a Step,
    nth: usize,
    standing: Standing,
    is_open: bool,
    took: String,
    bar: (u64, u64),
    started: When,
    extras: Vec<Member>,
    streams: Vec<Stream>,
    /// The page of its log.
    log: Option<String>,
    /// The line with its first error.
    error: Option<(u64, String)>,
}

/// The two outputs of a step: their names in URIs, their labels and their line prefixes.
const STREAMS: [(&str, &str, &str); 2] =
    [("output", "Output", "L"), ("errout", "Error output", "E")];

/// How much of a failed step's outputs is shown, whatever came before it, in bytes.
const LEAST: usize = 4 << 10;

/// How much of one output is shown at first: lines, bytes.
const TAIL: (usize, usize) = (1000, 128 << 10);

/// A step of a build as HTML, as far as there is room.
///
/// # Errors
/// As [`rendered`].
pub fn step_html(
    site: &Site<'_>,
    project: &Project,
    build: &Build,
    (nth, step): (usize, &Step),
    is_open: bool,
    room: &mut Room,
) -> Result<String, std::fmt::Error> {
    let mut streams = Vec::new();
    for ((path, name, letter), text) in STREAMS.into_iter().zip([&step.output, &step.errout]) {
        if text.is_empty() {
            continue;
        }
        let left = if step.success { room.0 } else { room.0.max(LEAST) };
        let part = Part::tail(text, if left == 0 { 0 } else { TAIL.0 }, TAIL.1.min(left));
        let raw = site.output(&project.slug, build, nth, path);
        let more = (part.first > 1).then(|| format!("{raw}?format=html&to={}", part.first - 1));
        let whole = format!("{}, {}", counted(part.of, "line"), bytes(text.len()));
        let about = if part.first > 1 {
            let shown = (part.of + 1).saturating_sub(part.first);
            format!("{whole}; last {} shown", grouped(shown))
        } else {
            whole.clone()
        };
        let lines = lines(part, &format!("step-{nth}-{letter}"));
        room.take(lines.len());
        streams.push(Stream {
            name,
            whole,
            about,
            raw: format!("{raw}?format=raw"),
            follow: None,
            more,
            id: format!("step-{nth}-{path}"),
            lines,
        });
    }
    rendered(&StepPart::new(build, (nth, step), is_open, streams))
}

/// A step with a log as HTML: its last lines, and where its first error is.
///
/// # Errors
/// As [`rendered`].
pub fn log_step_html(
    site: &Site<'_>,
    project: &Project,
    build: &Build,
    (nth, step): (usize, &Step),
    is_open: bool,
    (window, first_error): (&Window, Option<u64>),
    room: &mut Room,
) -> Result<String, std::fmt::Error> {
    let log = site.output(&project.slug, build, nth, "log");
    let whole = counted(usize::try_from(window.of).unwrap_or(usize::MAX), "line");
    let about = if window.first > 1 && window.last > 0 {
        format!("{whole}; last {} shown", grouped(window.last + 1 - window.first))
    } else {
        whole.clone()
    };
    let lines = log_lines(window, u32::try_from(nth).unwrap_or(u32::MAX));
    room.take(lines.len());
    let stream = Stream {
        name: "Log",
        whole,
        about,
        raw: format!("{log}?format=raw"),
        follow: step.is_running().then(|| format!("{log}?follow&from={}", window.last.max(1))),
        more: (window.first > 1 && window.last > 0)
            .then(|| format!("{log}?format=html&to={}", window.first - 1)),
        id: format!("step-{nth}-log"),
        lines,
    };
    let mut part = StepPart::new(build, (nth, step), is_open, vec![stream]);
    part.error = first_error.map(|line| {
        let here = (window.first..=window.last).contains(&line);
        let from = line.saturating_sub(20).max(1);
        let page = if here { String::new() } else { format!("{log}?format=html&from={from}") };
        (line, format!("{page}#step-{nth}-L{line}"))
    });
    part.log = Some(format!("{log}?format=html"));
    rendered(&part)
}

/// A step whose log was not read: only links to it.
pub(super) fn unread_log_html(
    site: &Site<'_>,
    project: &Project,
    build: &Build,
    (nth, step): (usize, &Step),
) -> Result<String, std::fmt::Error> {
    let log = site.output(&project.slug, build, nth, "log");
    let stream = Stream {
        name: "Log",
        whole: String::new(),
        about: "not loaded".to_owned(),
        raw: format!("{log}?format=raw"),
        more: Some(format!("{log}?format=html&to={}", u32::MAX)),
        id: format!("step-{nth}-log"),
        follow: None,
        lines: String::new(),
    };
    let mut part = StepPart::new(build, (nth, step), false, vec![stream]);
    part.log = Some(format!("{log}?format=html"));
    rendered(&part)
}

/// A step whose outputs were not read: only links to them.
pub(super) fn unread_step_html(
    site: &Site<'_>,
    project: &Project,
    build: &Build,
    (nth, step): (usize, &Step),
) -> Result<String, std::fmt::Error> {
    let streams = STREAMS.map(|(path, name, _)| {
        let raw = site.output(&project.slug, build, nth, path);
        let more = Some(format!("{raw}?format=html&to={}", u32::MAX));
        let about = "not loaded".to_owned();
        let id = format!("step-{nth}-{path}");
        Stream {
            name,
            whole: String::new(),
            about,
            raw: format!("{raw}?format=raw"),
            follow: None,
            more,
            id,
            lines: String::new(),
        }
    });
    rendered(&StepPart::new(build, (nth, step), false, streams.into()))
}

impl<'a> StepPart<'a> {
    fn new(
        build: &Build,
        (nth, step): (usize, &'a Step),
        is_open: bool,
        streams: Vec<Stream>,
    ) -> Self {
        let end = if step.is_running() { Timestamp::now() } else { step.finished };
        let micros = end.micros().saturating_sub(step.started.micros());
        Self {
            step,
            nth,
            standing: of_step(step),
            is_open,
            took: duration(u64::try_from(micros).unwrap_or(0)),
            bar: bar(build, step),
            started: When(step.started),
            extras: members(&step.extras),
            streams,
            log: None,
            error: None,
        }
    }
}

/// A step's place in its build's duration, in thousandths: start and length.
fn bar(build: &Build, step: &Step) -> (u64, u64) {
    let from = build.started.micros();
    let until = micros_of(build)
        .map_or_else(|| Timestamp::now().micros(), |micros| from + micros.cast_signed());
    let all = until.max(step.finished.micros()).saturating_sub(from).max(1);
    let thousandths = |micros: i64| {
        u64::try_from(i128::from(micros.max(0)) * 1000 / i128::from(all)).unwrap_or(0).min(1000)
    };
    let start = thousandths(step.started.micros().saturating_sub(from)).min(995);
    let end = if step.is_running() { until } else { step.finished.micros() };
    let length = thousandths(end.saturating_sub(step.started.micros()));
    (start, length.clamp(5, 1000 - start))
}

/// A page of an output of a step.
#[derive(Template)]
#[template(path = "output.html")]
pub struct Output<'a> {
    site: Site<'a>,
    project: &'a Project,
    build: &'a Build,
    nth: usize,
    step: &'a Step,
    name: &'static str,
    about: String,
    raw: String,
    previous: Option<String>,
    next: Option<String>,
    lines: String,
}

/// Maximum size of a page of an output: lines, bytes.
const PAGE: (usize, usize) = (5000, 512 << 10);

/// The requested lines of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// From this line on.
    From(usize),
    /// Up to this line.
    To(usize),
}

impl<'a> Output<'a> {
    /// A page of a step's standard output or standard error.
    pub fn new(
        site: Site<'a>,
        project: &'a Project,
        build: &'a Build,
        (nth, step): (usize, &'a Step),
        is_errout: bool,
        wanted: Lines,
    ) -> Self {
        let [out, err] = STREAMS;
        let ((path, name, letter), text) =
            if is_errout { (err, &step.errout) } else { (out, &step.output) };
        let part = match wanted {
            Lines::From(first) => Part::from_line(text, first.max(1), PAGE.0, PAGE.1),
            Lines::To(last) => {
                let upto = Part::from_line(text, 1, last.max(1), usize::MAX);
                Part { of: Part::tail(text, 0, 0).of, ..Part::tail(upto.text, PAGE.0, PAGE.1) }
            }
        };
        let raw = site.output(&project.slug, build, nth, path);
        Self {
            about: match part.last {
                0 => format!("no such lines; the output has {}", part.of),
                last => format!("lines {} to {last} of {}", part.first, part.of),
            },
            previous: (part.first > 1).then(|| format!("{raw}?format=html&to={}", part.first - 1)),
            next: (part.last > 0 && part.last < part.of)
                .then(|| format!("{raw}?format=html&from={}", part.last + 1)),
            raw: format!("{raw}?format=raw"),
            lines: lines(part, &format!("step-{nth}-{letter}")),
            site,
            project,
            build,
            nth,
            step,
            name,
        }
    }
}

impl Page for Output<'_> {
    fn title(&self) -> String {
        format!("{} of {}", self.name, self.step.name)
    }
    fn standing(&self) -> Standing {
        of_step(self.step)
    }
}
