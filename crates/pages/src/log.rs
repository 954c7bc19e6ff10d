//! Logs as HTML: numbered lines with times, streams told apart, groups that fold.

use std::fmt::Write;

use devmason_domain::{LogEntry, LogStream};

use crate::output::{Screen, plain};
use crate::views::{LogPart, Window};

/// Maximum depth of groups.
const DEPTH: usize = 5;

/// A line that begins or ends a group, as CI systems write them.
#[derive(Debug, PartialEq, Eq)]
enum Mark {
    /// A group begins; its title.
    Start(String),
    End,
}

/// Reads a marker of GitHub, Azure Pipelines or GitLab.
fn mark(line: &str) -> Option<Mark> {
    let line = line.trim_end();
    for prefix in ["::group::", "##[group]"] {
        if let Some(title) = line.strip_prefix(prefix) {
            return Some(Mark::Start(plain(title)));
        }
    }
    if line == "::endgroup::" || line == "##[endgroup]" {
        return Some(Mark::End);
    }
    // Colours may come before it; what is shown comes after a carriage return.
    let bare = line.trim_start_matches("\x1b[0K");
    if let Some(rest) = bare.strip_prefix("section_start:") {
        let title = plain(rest.split_once('\r').map_or("", |(_, title)| title));
        let name = rest.split('\r').next().unwrap_or_default();
        let name = name.split(':').nth(1).unwrap_or_default();
        let name = name.split('[').next().unwrap_or_default();
        return Some(Mark::Start(if title.is_empty() { name.to_owned() } else { title }));
    }
    bare.starts_with("section_end:").then_some(Mark::End)
}

/// A line that is being put together.
#[derive(Default)]
struct Line<'a> {
    millis: u64,
    parts: Vec<(LogStream, &'a str)>,
}

/// The lines of a window, with ids for links to them.
pub(crate) fn log_lines(window: &Window, step: u32) -> String {
    let mut html = Screen::default();
    let mut state = State { number: window.first, depth: 0, second: None, step };
    let mut line = Line::default();
    for part in &window.parts {
        match part {
            LogPart::Entry(entry) => state.entry(entry, &mut line, &mut html),
            LogPart::Gap { text, next } => {
                state.end(&mut line, &mut html);
                html.html.push_str("<div class=\"l gap\"><span class=\"n\"></span><code><em>");
                text.trim().chars().for_each(|c| crate::escape(&mut html.html, c));
                html.html.push_str("</em></code></div>");
                state.number = *next;
            }
        }
    }
    state.end(&mut line, &mut html);
    for _ in 0..state.depth {
        html.html.push_str("</details>");
    }
    html.html
}

struct State {
    number: u64,
    depth: usize,
    /// The last second that was shown.
    second: Option<u64>,
    step: u32,
}

impl State {
    fn entry<'a>(&mut self, entry: &'a LogEntry, line: &mut Line<'a>, html: &mut Screen) {
        for text in entry.text.split_inclusive('\n') {
            if line.parts.is_empty() {
                line.millis = entry.millis;
            }
            line.parts.push((entry.stream, text.strip_suffix('\n').unwrap_or(text)));
            if text.ends_with('\n') {
                self.line(line, html);
            }
        }
    }

    /// The window ends, maybe within a line.
    fn end(&mut self, line: &mut Line<'_>, html: &mut Screen) {
        if !line.parts.is_empty() {
            self.line(line, html);
        }
    }

    fn line(&mut self, line: &mut Line<'_>, html: &mut Screen) {
        let Line { millis, parts } = std::mem::take(line);
        let text: String = parts.iter().map(|(_, text)| *text).collect();
        let number = self.number;
        self.number += 1;
        let mark = mark(&text);
        match &mark {
            Some(Mark::Start(_)) if self.depth < DEPTH => {
                self.depth += 1;
                html.html.push_str("<details class=\"group\" open><summary>");
            }
            Some(Mark::End) if self.depth > 0 => {
                self.depth -= 1;
                html.html.push_str("</details>");
            }
            _ => {}
        }
        let is_err = parts.iter().any(|(stream, _)| *stream == LogStream::Err);
        let anchor = format!("step-{}-L{number}", self.step);
        let class = if is_err { "l e" } else { "l" };
        let _ = write!(
            html.html,
            "<div class=\"{class}\" id=\"{anchor}\"><a class=\"n\" href=\"#{anchor}\">{number}</a>"
        );
        // Only where a second begins: most lines come in bursts.
        let second = millis / 1000;
        if self.second != Some(second) {
            self.second = Some(second);
            let _ =
                write!(html.html, "<span class=\"t\" data-t=\"{millis}\">{}</span>", since(millis));
        }
        html.html.push_str("<code>");
        match mark {
            Some(Mark::Start(title)) => {
                title.chars().for_each(|c| crate::escape(&mut html.html, c));
                html.html.push_str("</code></div></summary>");
            }
            Some(Mark::End) => html.html.push_str("</code></div>"),
            None => {
                html.line(&text);
                html.html.push_str("</code></div>");
            }
        }
    }
}

/// A time since the start of a step.
fn since(millis: u64) -> String {
    let seconds = millis / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}
