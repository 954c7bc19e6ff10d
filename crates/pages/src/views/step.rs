//! Steps of a build, and their outputs.

use askama::Template;
use devmason_domain::{Build, Project, Step, Timestamp};

use super::{Member, Page, members, of_success, rendered};
use crate::Standing;
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
            more,
            id: format!("step-{nth}-{path}"),
            lines,
        });
    }
    rendered(&StepPart::new(build, (nth, step), is_open, streams))
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
        let micros = step.finished.micros().saturating_sub(step.started.micros());
        Self {
            step,
            nth,
            standing: of_success(step.success),
            is_open,
            took: duration(u64::try_from(micros).unwrap_or(0)),
            bar: bar(build, step),
            started: When(step.started),
            extras: members(&step.extras),
            streams,
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
    let length = thousandths(step.finished.micros().saturating_sub(step.started.micros()));
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
        of_success(self.step.success)
    }
}
