//! Outputs as HTML: line numbers become links, ANSI colours become classes.

use std::fmt::Write;

use anstyle_parse::{Params, Parser, Perform, Utf8Parser};

/// Maximum length of a line, in bytes. Longer lines are cut; the raw output is complete.
const LONGEST_LINE: usize = 8 << 10;

/// A part of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    /// The text.
    pub(crate) text: &'a str,
    /// The number of its first line, from 1.
    pub(crate) first: usize,
    /// The number of its last line; 0 if there is none.
    pub(crate) last: usize,
    /// Number of lines in the whole output.
    pub(crate) of: usize,
}

impl<'a> Part<'a> {
    /// Lines from this one on, as many as fit: a page of an output.
    pub(crate) fn from_line(whole: &'a str, first: usize, lines: usize, bytes: usize) -> Self {
        let of = lines_of(whole);
        let start = start_of_line(whole, first);
        let rest = whole.get(start..).unwrap_or_default();
        let mut end = 0;
        let mut count = 0;
        for line in rest.split_inclusive('\n').take(lines) {
            if count > 0 && end + line.len() > bytes {
                break;
            }
            end += line.len();
            count += 1;
        }
        let last = if count == 0 { 0 } else { first + count - 1 };
        Self { text: rest.get(..end).unwrap_or_default(), first, last, of }
    }

    /// The last lines, as many as fit: the part shown first.
    pub(crate) fn tail(whole: &'a str, lines: usize, bytes: usize) -> Self {
        let of = lines_of(whole);
        let mut start = whole.len();
        let mut count = 0;
        // Go through the lines from the end, each with its own line break.
        while start > 0 && count < lines {
            let before = whole.get(..start).unwrap_or_default();
            let body = before.strip_suffix('\n').unwrap_or(before);
            let at = body.rfind('\n').map_or(0, |at| at + 1);
            if count > 0 && whole.len() - at > bytes {
                break;
            }
            start = at;
            count += 1;
        }
        Self { text: whole.get(start..).unwrap_or_default(), first: of - count + 1, last: of, of }
    }
}

/// Number of lines in a text. Any text after the last line break counts as a line.
fn lines_of(text: &str) -> usize {
    let breaks = text.bytes().filter(|byte| *byte == b'\n').count();
    breaks + usize::from(!text.is_empty() && !text.ends_with('\n'))
}

fn start_of_line(text: &str, nth: usize) -> usize {
    match nth {
        0 | 1 => 0,
        _ => text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .nth(nth - 2)
            .map_or(text.len(), |(at, _)| at + 1),
    }
}

/// The lines of a part as HTML. `anchor` is the prefix of their ids.
pub(crate) fn lines(part: Part<'_>, anchor: &str) -> String {
    let mut screen = Screen::default();
    screen.html.reserve(part.text.len() * 2);
    for (at, line) in part.text.split_inclusive('\n').enumerate() {
        let nth = part.first + at;
        let _ = write!(
            screen.html,
            "<div class=\"l\" id=\"{anchor}{nth}\"><a class=\"n\" href=\"#{anchor}{nth}\">{nth}</a><code>"
        );
        screen.line(line.strip_suffix('\n').unwrap_or(line));
        screen.html.push_str("</code></div>");
    }
    screen.html
}

/// A line as a terminal shows it, without its colours.
pub fn plain(line: &str) -> String {
    struct Plain(String);
    impl Perform for Plain {
        fn print(&mut self, c: char) {
            self.0.push(c);
        }
        fn execute(&mut self, byte: u8) {
            if byte == b'\t' {
                self.0.push('\t');
            }
        }
    }
    let line = last_state(line);
    if !line.bytes().any(|byte| byte < b' ' && byte != b'\t') {
        return line.to_owned();
    }
    let mut plain = Plain(String::with_capacity(line.len()));
    let mut parser = Parser::<Utf8Parser>::new();
    for byte in line.bytes() {
        parser.advance(&mut plain, byte);
    }
    plain.0
}

/// After a carriage return, a terminal shows what follows the last one.
fn last_state(line: &str) -> &str {
    let line = line.strip_suffix('\r').unwrap_or(line);
    line.rfind('\r').map_or(line, |at| line.get(at + 1..).unwrap_or_default())
}

/// The style of text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Style {
    bold: bool,
    dim: bool,
    italic: bool,
    underline: bool,
    struck: bool,
    reverse: bool,
    /// 0 to 7. Bright colours look the same, because light and dark pages have their own colours.
    front: Option<u8>,
    back: Option<u8>,
}

impl Style {
    fn classes(self) -> String {
        let mut classes: Vec<String> = [
            (self.bold, "b"),
            (self.dim, "d"),
            (self.italic, "i"),
            (self.underline, "u"),
            (self.struck, "x"),
            (self.reverse, "r"),
        ]
        .into_iter()
        .filter(|(on, _)| *on)
        .map(|(_, class)| class.to_owned())
        .collect();
        // Text on a background colour uses the contrast colour of that background.
        match (self.front, self.back) {
            (_, Some(back)) => classes.push(format!("g{back}")),
            (Some(front), None) if !self.reverse => classes.push(format!("f{front}")),
            _ => {}
        }
        classes.join(" ")
    }

    /// Applies the parameters of an SGR sequence (ECMA-48, 8.3.117).
    fn take(&mut self, params: &Params) {
        let mut numbers = params.iter().map(|group| group.to_vec());
        while let Some(group) = numbers.next() {
            let mut rest = group.iter().skip(1).copied().collect::<Vec<_>>();
            match group.first().copied().unwrap_or(0) {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                3 => self.italic = true,
                4 => self.underline = rest.first() != Some(&0),
                7 => self.reverse = true,
                9 => self.struck = true,
                22 => (self.bold, self.dim) = (false, false),
                23 => self.italic = false,
                24 => self.underline = false,
                27 => self.reverse = false,
                29 => self.struck = false,
                colour @ (30..=37 | 90..=97) => self.front = u8::try_from(colour % 10).ok(),
                colour @ (40..=47 | 100..=107) => self.back = u8::try_from(colour % 10).ok(),
                39 => self.front = None,
                49 => self.back = None,
                which @ (38 | 48) => {
                    // `38;5;n` or `38:5:n`, `38;2;r;g;b` or `38:2:…`.
                    if rest.is_empty() {
                        let kind = numbers.next().and_then(|group| group.first().copied());
                        let more = if kind == Some(2) { 3 } else { 1 };
                        rest.extend(kind);
                        rest.extend(
                            numbers.by_ref().take(more).filter_map(|group| group.first().copied()),
                        );
                    }
                    let colour = nearest(&rest);
                    if which == 38 { self.front = colour } else { self.back = colour }
                }
                _ => {}
            }
        }
    }
}

/// The nearest of eight colours to one of 256, or to red, green and blue values.
fn nearest(colour: &[u16]) -> Option<u8> {
    let of = |red: u16, green: u16, blue: u16| {
        let high = red.max(green).max(blue);
        let on = |part: u16| u8::from(high > 40 && part * 3 >= high * 2);
        on(red) | on(green) << 1 | on(blue) << 2
    };
    match colour {
        [5, nth @ 0..=15] => u8::try_from(nth % 8).ok(),
        [5, nth @ 16..=231] => {
            let nth = nth - 16;
            Some(of(nth / 36 * 51, nth / 6 % 6 * 51, nth % 6 * 51))
        }
        [5, nth] => Some(if *nth < 244 { 0 } else { 7 }),
        [2, red, green, blue] | [2, _, red, green, blue] => Some(of(*red, *green, *blue)),
        _ => None,
    }
}

/// Terminal output rendered as HTML.
#[derive(Default)]
pub(crate) struct Screen {
    pub(crate) html: String,
    style: Style,
    is_open: bool,
}

impl Screen {
    /// Adds a line, without its line break.
    pub(crate) fn line(&mut self, line: &str) {
        let line = last_state(line);
        let cut = line.len() > LONGEST_LINE;
        let line = line.get(..line.floor_char_boundary(LONGEST_LINE)).unwrap_or_default();
        self.open();
        // An escape sequence ends with its line, even if it is incomplete or cut, so that it cannot swallow
        // what follows.
        let mut parser = Parser::<Utf8Parser>::new();
        for byte in line.bytes() {
            parser.advance(self, byte);
        }
        self.close();
        if cut {
            self.html.push_str(" <em>(truncated; see the raw output)</em>");
        }
    }

    fn open(&mut self) {
        let classes = self.style.classes();
        if !classes.is_empty() {
            let _ = write!(self.html, "<span class=\"{classes}\">");
            self.is_open = true;
        }
    }

    fn close(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.html.push_str("</span>");
        }
    }
}

impl Perform for Screen {
    fn print(&mut self, c: char) {
        match c {
            // Direction controls would make lines look different from what they are.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => self.html.push('\u{fffd}'),
            c => crate::escape(&mut self.html, c),
        }
    }

    fn execute(&mut self, byte: u8) {
        if byte == b'\t' {
            self.html.push('\t');
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _ignore: bool, action: u8) {
        if action == b'm' && intermediates.is_empty() {
            let before = self.style;
            self.style.take(params);
            if self.style != before {
                self.close();
                self.open();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(text: &str) -> String {
        let part = Part::from_line(text, 1, 1000, 1 << 20);
        let all = lines(part, "L");
        all.replace("</code></div>", "\n")
            .split('\n')
            .map(|line| line.split_once("<code>").map_or("", |(_, code)| code))
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn colours_become_classes_that_end_with_their_line_and_go_on_in_the_next() {
        assert_eq!(
            html("a\x1b[1;31mb\nc\x1b[0md"),
            "a<span class=\"b f1\">b</span>\n<span class=\"b f1\">c</span>d\n"
        );
        assert_eq!(
            html("\x1b[38;5;196mx\x1b[48;2;0;0;255my"),
            "<span class=\"f1\">x</span><span class=\"g4\">y</span>\n"
        );
        assert_eq!(
            html("\x1b[38:2::0:255:0mx\x1b[39;4my"),
            "<span class=\"f2\">x</span><span class=\"u\">y</span>\n"
        );
    }

    #[test]
    fn nothing_that_was_sent_becomes_markup() {
        assert_eq!(
            html("<script>\"&\x1b]8;;javascript:alert(1)\x07x\x1b]8;;\x07"),
            "&lt;script&gt;&quot;&amp;x\n"
        );
        assert_eq!(html("a\u{202e}b\0c\x1b[2Jd"), "a\u{fffd}bcd\n");
    }

    #[test]
    fn of_a_line_that_was_written_again_the_last_is_shown() {
        assert_eq!(html("10%\r50%\r100%\r\nnext"), "100%\nnext\n");
    }

    #[test]
    fn a_sequence_that_is_broken_off_swallows_no_other_line() {
        assert_eq!(html("a\n\x1b]\nb\n\x1b[31\nc\n"), "a\n\nb\n\nc\n");
        let link = format!(
            "{}\x1b]8;;https://x.example.org/{}\x1b\\\nnext",
            "x".repeat(8180),
            "y".repeat(50)
        );
        assert!(html(&link).ends_with("next\n"), "{}", html(&link));
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert!(html(&"ü".repeat(10_000)).contains("ü <em>(truncated;"));
    }

    #[test]
    fn parts_of_an_output_join() {
        let text = "1\n2\n3\n4\n5";
        let tail = Part::tail(text, 2, 1000);
        assert_eq!((tail.text, tail.first, tail.last, tail.of), ("4\n5", 4, 5, 5));
        assert_eq!(Part::tail(text, 9, 3).text, "4\n5");
        assert_eq!(Part::tail(text, 9, 1000).first, 1);
        let page = Part::from_line(text, 2, 2, 1000);
        assert_eq!((page.text, page.first, page.last), ("2\n3\n", 2, 3));
        let none = Part::from_line(text, 9, 2, 1000);
        assert_eq!((none.text, none.last), ("", 0));
        let nothing = Part::tail("", 9, 9);
        assert_eq!((nothing.text, nothing.first, nothing.last), ("", 1, 0));
        assert_eq!(Part::tail("a\n", 9, 9).of, 1);
        // A line longer than a page gets a page of its own.
        assert_eq!(Part::from_line("abcdef\ng", 1, 9, 3).text, "abcdef\n");
        assert_eq!(Part::tail("g\nabcdef", 9, 3).text, "abcdef");
    }
}
