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
        // A group that cannot be opened or closed is shown as the line that it is.
        let mark = mark(&text).filter(|mark| match mark {
            Mark::Start(_) => self.depth < DEPTH,
            Mark::End => self.depth > 0,
        });
        match &mark {
            Some(Mark::Start(_)) => {
                self.depth += 1;
                html.html.push_str("<details class=\"group\" open><summary>");
            }
            Some(Mark::End) => {
                self.depth -= 1;
                html.html.push_str("</details>");
            }
            None => {}
        }
        let is_err = parts.iter().any(|(stream, _)| *stream == LogStream::Err);
        let anchor = format!("step-{}-L{number}", self.step);
        let class = if is_err { "l e" } else { "l" };
        let _ = write!(html.html, "<div class=\"{class}\" id=\"{anchor}\">");
        // The head of a group is a button, which may not have a link in it.
        let _ = match &mark {
            Some(Mark::Start(_)) => write!(html.html, "<span class=\"n\">{number}</span>"),
            _ => write!(html.html, "<a class=\"n\" href=\"#{anchor}\">{number}</a>"),
        };
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
                html.line(&title);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(parts: &[(u64, LogStream, &str)]) -> String {
        let entry = |(millis, stream, text): &(u64, LogStream, &str)| {
            LogPart::Entry(LogEntry { millis: *millis, stream: *stream, text: (*text).to_owned() })
        };
        let parts = parts.iter().map(entry).collect();
        log_lines(&Window { parts, first: 1, ..Window::default() }, 0)
    }

    #[test]
    fn lines_are_put_together_from_both_streams_with_the_time_of_their_beginning() {
        let html = shown(&[
            (0, LogStream::Out, "a"),
            (900, LogStream::Err, "b\nc\n"),
            (61_000, LogStream::Out, "d"),
        ]);
        assert_eq!(
            html,
            "<div class=\"l e\" id=\"step-0-L1\"><a class=\"n\" href=\"#step-0-L1\">1</a>\
             <span class=\"t\" data-t=\"0\">0:00</span><code>ab</code></div>\
             <div class=\"l e\" id=\"step-0-L2\"><a class=\"n\" href=\"#step-0-L2\">2</a><code>c</code></div>\
             <div class=\"l\" id=\"step-0-L3\"><a class=\"n\" href=\"#step-0-L3\">3</a>\
             <span class=\"t\" data-t=\"61000\">1:01</span><code>d</code></div>"
        );
    }

    #[test]
    fn groups_of_ci_systems_fold_and_are_closed_whatever_was_written() {
        for text in [
            "::group::a\nx\n::endgroup::\n".to_owned(),
            "##[group]a\nx\n##[endgroup]\n".to_owned(),
            "\u{1b}[0Ksection_start:1:s[collapsed=true]\r\u{1b}[0Ka\nx\n\u{1b}[0Ksection_end:1:s\r\u{1b}[0K\n"
                .to_owned(),
        ] {
            let html = shown(&[(0, LogStream::Out, &text)]);
            assert!(html.contains("<code>a</code></div></summary>"), "{html}");
            assert!(html.contains("<code>x</code>"), "{html}");
            assert_eq!((html.matches("<details").count(), html.matches("</details>").count()), (1, 1));
        }
        let odd = format!("::endgroup::\n{}", "::group::<b>\u{202e}\n".repeat(9));
        let html = shown(&[(0, LogStream::Out, &odd)]);
        for (open, close) in
            [("<details", "</details>"), ("<summary", "</summary>"), ("<div", "</div>")]
        {
            assert_eq!(html.matches(open).count(), html.matches(close).count(), "{html}");
        }
        assert_eq!(html.matches("<details").count(), DEPTH);
        assert!(!html.contains("<b>") && !html.contains('\u{202e}'));
    }

    #[test]
    fn what_was_dropped_is_said_and_lines_go_on_behind_it() {
        let parts = vec![
            LogPart::Entry(LogEntry { millis: 0, stream: LogStream::Out, text: "a\nb".to_owned() }),
            LogPart::Gap { text: "\n[<left out>]\n".to_owned(), next: 90 },
            LogPart::Entry(LogEntry { millis: 0, stream: LogStream::Out, text: "c\n".to_owned() }),
        ];
        let html = log_lines(&Window { parts, first: 1, ..Window::default() }, 0);
        assert!(
            html.contains("[&lt;left out&gt;]") && html.contains("id=\"step-0-L90\""),
            "{html}"
        );
    }
}
