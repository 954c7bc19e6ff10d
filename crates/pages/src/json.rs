//! Formats JSON as HTML, token by token, so that every digit is preserved.

/// Maximum size of the formatted HTML, in bytes; the JSON itself is complete.
const LONGEST: usize = 1 << 20;

/// Maximum length of a displayed string, and of a URL that becomes a link, in bytes.
const STRING: usize = 32 << 10;
const LINK: usize = 2 << 10;

/// Maximum number of indented levels. Deeper ones get no further indentation; otherwise 2 MB would
/// become 480.
const LEVELS: usize = 16;

/// Formats JSON text with two spaces per level; strings that are URLs become links. Returns the
/// HTML and whether it is complete.
pub(crate) fn to_html(json: &str) -> (String, bool) {
    let mut html = String::with_capacity(json.len().saturating_mul(2).min(LONGEST));
    let mut is_whole = true;
    let mut depth = 0usize;
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        if html.len() >= LONGEST {
            return (html, false);
        }
        let length = match first {
            '"' => string_length(rest),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        match first {
            '"' => is_whole &= string(&mut html, token, after.trim_start().starts_with(':')),
            '{' | '[' => {
                html.push(first);
                if !after.trim_start().starts_with(['}', ']']) {
                    depth += 1;
                    line(&mut html, depth);
                }
            }
            '}' | ']' => {
                if !html.ends_with(['{', '[']) {
                    depth = depth.saturating_sub(1);
                    line(&mut html, depth);
                }
                html.push(first);
            }
            ',' => {
                html.push(',');
                line(&mut html, depth);
            }
            ':' => html.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            _ => escape(&mut html, token),
        }
        rest = after;
    }
    (html, is_whole)
}

/// The length of the string literal that the text starts with.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Adds a string, cut if it is long; returns whether it is complete.
fn string(html: &mut String, token: &str, is_key: bool) -> bool {
    let shown = token.get(..token.floor_char_boundary(STRING)).unwrap_or_default();
    let text = token.trim_matches('"');
    let is_url = text.starts_with("http://") || text.starts_with("https://");
    if is_key {
        html.push_str("<b>");
        escape(html, shown);
        html.push_str("</b>");
    } else if is_url && text.len() <= LINK && !text.contains('\\') {
        html.push_str("\"<a href=\"");
        escape(html, text);
        html.push_str("\">");
        escape(html, text);
        html.push_str("</a>\"");
    } else {
        escape(html, shown);
    }
    if shown.len() < token.len() {
        html.push_str("\u{2026} <em>(truncated)</em>");
    }
    shown.len() == token.len()
}

fn line(html: &mut String, depth: usize) {
    html.push('\n');
    for _ in 0..depth.min(LEVELS) {
        html.push_str("  ");
    }
}

fn escape(html: &mut String, text: &str) {
    text.chars().for_each(|c| crate::escape(html, c));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_laid_out_and_its_urls_are_links() {
        let (html, _) = to_html(r#"{"a":[1.00,"x: <b>"],"e":{},"l":"http://h/?a=1&b"}"#);
        assert_eq!(
            html,
            "{\n  <b>&quot;a&quot;</b>: [\n    1.00,\n    &quot;x: &lt;b&gt;&quot;\n  ],\n  <b>&quot;e&quot;</b>: {},\n  \
             <b>&quot;l&quot;</b>: \"<a href=\"http://h/?a=1&amp;b\">http://h/?a=1&amp;b</a>\"\n}"
        );
    }

    #[test]
    fn nothing_that_a_client_sent_becomes_markup() {
        let (html, _) = to_html(r#"{"<script>":"http://x/\"onload=\"","y":"http://x/'><script>"}"#);
        assert!(!html.contains("<script"), "{html}");
        assert!(!html.contains("onload=\""), "{html}");
    }

    #[test]
    fn the_html_has_a_bound_whatever_the_json() {
        let nested = |levels: usize, unit: &str| {
            let units = vec![unit; (2 << 20) / (unit.len() + 1)].join(",");
            "[".repeat(levels) + &units + &"]".repeat(levels)
        };
        let long = format!("\"{}\"", "&".repeat(2 << 20));
        let url = format!("\"http://{}\"", "&".repeat(2 << 20));
        for json in [
            nested(127, "1"),
            nested(116, "[[[[[[[[[[1]]]]]]]]]]"),
            nested(1, "\"\""),
            format!("[{}]", vec![long; 50].join(",")),
            url,
        ] {
            let (html, is_whole) = to_html(&json);
            assert!(!is_whole && html.len() < LONGEST + 6 * STRING + 100, "{}", html.len());
        }
        assert!(to_html(&nested(9, "1")).0.len() > LONGEST - 100 && to_html("[1]").1);
    }
}
