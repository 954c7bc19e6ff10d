//! JSON laid out as HTML, token by token, so that every digit stays as it is.

/// Lays out JSON text with two spaces a level; strings that are URLs become links.
pub(crate) fn to_html(json: &str) -> String {
    let mut html = String::with_capacity(json.len() * 2);
    let mut depth = 0usize;
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_length(rest),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        match first {
            '"' => string(&mut html, token, after.trim_start().starts_with(':')),
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
    html
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

fn string(html: &mut String, token: &str, is_key: bool) {
    let text = token.trim_matches('"');
    if is_key {
        html.push_str("<b>");
        escape(html, token);
        html.push_str("</b>");
    } else if (text.starts_with("http://") || text.starts_with("https://")) && !text.contains('\\')
    {
        html.push_str("\"<a href=\"");
        escape(html, text);
        html.push_str("\">");
        escape(html, text);
        html.push_str("</a>\"");
    } else {
        escape(html, token);
    }
}

fn line(html: &mut String, depth: usize) {
    html.push('\n');
    for _ in 0..depth {
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
        let html = to_html(r#"{"a":[1.00,"x: <b>"],"e":{},"l":"http://h/?a=1&b"}"#);
        assert_eq!(
            html,
            "{\n  <b>&quot;a&quot;</b>: [\n    1.00,\n    &quot;x: &lt;b&gt;&quot;\n  ],\n  <b>&quot;e&quot;</b>: {},\n  \
             <b>&quot;l&quot;</b>: \"<a href=\"http://h/?a=1&amp;b\">http://h/?a=1&amp;b</a>\"\n}"
        );
    }

    #[test]
    fn nothing_that_a_client_sent_becomes_markup() {
        let html = to_html(r#"{"<script>":"http://x/\"onload=\"","y":"http://x/'><script>"}"#);
        assert!(!html.contains("<script"), "{html}");
        assert!(!html.contains("onload=\""), "{html}");
    }
}
