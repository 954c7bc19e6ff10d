//! Removes what controls a terminal from other people's text before it is printed.

use std::fmt::Write as _;

use anstyle_parse::{Params, Parser, Perform, Utf8Parser};

/// What is kept of a text besides its characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// Nothing: it becomes one line.
    Line,
    /// Line breaks.
    Lines,
    /// Line breaks and colours.
    Colours,
}

/// A text as one line: a name, a message.
pub fn line(text: &str) -> String {
    sieve(text, Kept::Line)
}

/// A text with its line breaks.
pub fn lines(text: &str) -> String {
    sieve(text, Kept::Lines)
}

/// An output with its line breaks and colours, which are reset at its end.
pub fn coloured(text: &str) -> String {
    sieve(text, Kept::Colours)
}

/// A document as JSON text, with control characters escaped, so its meaning is the same.
pub fn json(document: &serde_json::Value) -> String {
    let mut text = String::new();
    // In JSON, such characters occur only within strings.
    for c in document.to_string().chars() {
        if is_obeyed(c) {
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
    text
}

/// Control characters (C0 and C1 with DEL), and characters that change the text direction or break
/// a line.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn sieve(text: &str, kept: Kept) -> String {
    if !text.chars().any(|c| is_obeyed(c) && (c != '\n' || kept == Kept::Line)) {
        return text.to_owned();
    }
    // A carriage return must not overwrite the text before it.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut screen = Screen { text: String::with_capacity(text.len()), kept, is_coloured: false };
    for line in text.split_inclusive('\n') {
        // A line break ends an incomplete sequence, which must not swallow what follows.
        let mut parser = Parser::<Utf8Parser>::new();
        line.trim_end_matches('\n').bytes().for_each(|byte| parser.advance(&mut screen, byte));
        if line.ends_with('\n') {
            screen.text.push(if kept == Kept::Line { ' ' } else { '\n' });
        }
    }
    if screen.is_coloured {
        screen.text.push_str("\x1b[0m");
    }
    screen.text
}

struct Screen {
    text: String,
    kept: Kept,
    is_coloured: bool,
}

impl Perform for Screen {
    fn print(&mut self, c: char) {
        self.text.push(if is_obeyed(c) { '\u{fffd}' } else { c });
    }

    fn execute(&mut self, byte: u8) {
        if byte == b'\t' {
            self.text.push(if self.kept == Kept::Line { ' ' } else { '\t' });
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: u8) {
        if self.kept != Kept::Colours || action != b'm' || !intermediates.is_empty() || ignore {
            return;
        }
        for (nth, group) in params.iter().enumerate() {
            let group: Vec<String> = group.iter().map(u16::to_string).collect();
            self.text.push_str(if nth == 0 { "\x1b[" } else { ";" });
            self.text.push_str(&group.join(":"));
        }
        self.text.push('m');
        self.is_coloured = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let bad = "a\x1b]0;t\x07b\x08\x7f\u{9b}31m\u{202e}c\r\nd\te\x1bPq#0\x1b\\f\x1b(0g\x1b[2J";
        assert_eq!(line(bad), "ab\u{fffd}\u{fffd}31m\u{fffd}c d efg");
        assert_eq!(lines(bad), "ab\u{fffd}\u{fffd}31m\u{fffd}c\nd\tefg");
        assert_eq!(lines("10%\r50%\n\x1b]\nnext\x1b[31m"), "10%\n50%\n\nnext");
        assert_eq!(lines("plain\nü"), "plain\nü");
    }

    #[test]
    fn colours_stay_in_outputs_and_end_with_them() {
        assert_eq!(
            coloured("a\x1b[1;38:5:9mb\x1b[2Jx\x1b[mz\n"),
            "a\x1b[1;38:5:9mbx\x1b[0mz\n\x1b[0m"
        );
        assert_eq!(coloured("a\x1b[?25lb\x1b[>4;2mc"), "abc");
    }

    #[test]
    fn a_document_says_the_same_with_escapes() {
        let document = serde_json::json!({"a": "\x1b\u{7f}\u{9b}\u{202e}ü"});
        let text = json(&document);
        assert_eq!(text, "{\"a\":\"\\u001b\\u007f\\u009b\\u202eü\"}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).ok(), Some(document));
    }
}
