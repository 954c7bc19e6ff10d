//! Texts of failures, with the frames of the project itself marked.

use devmason_domain::CodeAddress;

use crate::escape;
use crate::views::line_of;

/// What a trace is about.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Trace<'a> {
    /// Where the project's source code can be read.
    pub(crate) code: Option<&'a CodeAddress>,
    /// The commit that was tested.
    pub(crate) revision: Option<&'a str>,
    /// The suite of the test: frames of Java name classes, not paths.
    pub(crate) suite: &'a str,
}

/// Parts of paths of what others wrote.
const OTHERS: [&str; 12] = [
    "site-packages",
    "dist-packages",
    "node_modules",
    "/.cargo/",
    "/rustc/",
    "/usr/",
    "/lib/python",
    "/go/pkg/",
    "/vendor/",
    "/.rustup/",
    "/opt/",
    "internal/",
];

/// A place in a file, as a line of a trace names it.
struct Frame<'a> {
    path: &'a str,
    line: u64,
    /// Where the place begins and ends in the line, in bytes.
    at: (usize, usize),
    /// Whether it is certainly a path, such as in Python.
    is_path: bool,
}

fn digits(text: &str) -> &str {
    text.get(..text.bytes().take_while(u8::is_ascii_digit).count()).unwrap_or_default()
}

/// `File "PATH", line NUMBER`, as Python writes it.
fn python(line: &str) -> Option<Frame<'_>> {
    let begin = line.find("File \"")? + 6;
    let (path, rest) = line.get(begin..)?.split_once('"')?;
    let number = digits(rest.strip_prefix(", line ")?);
    let end = begin + path.len() + 8 + number.len();
    Some(Frame { path, line: number.parse().ok()?, at: (begin, end), is_path: true })
}

/// `PATH:NUMBER`.
fn plain(line: &str) -> Option<Frame<'_>> {
    let is_of_path = |c: char| c.is_alphanumeric() || "_./\\@+-".contains(c);
    line.match_indices(':').find_map(|(colon, _)| {
        let number = digits(line.get(colon + 1..)?);
        let before = line.get(..colon)?;
        let begin = before.trim_end_matches(is_of_path).len();
        let path = before.get(begin..)?;
        let (stem, extension) = path.rsplit_once('.')?;
        // What follows a scheme is no path.
        let is_file = !stem.is_empty()
            && !path.starts_with("//")
            && (1..=5).contains(&extension.len())
            && extension.starts_with(|c: char| c.is_ascii_alphabetic());
        let end = colon + 1 + number.len();
        is_file.then_some(Frame {
            path,
            line: number.parse().ok()?,
            at: (begin, end),
            is_path: false,
        })
    })
}

impl Trace<'_> {
    /// Whether a frame is the project's own.
    fn is_own(&self, line: &str, frame: &Frame<'_>) -> bool {
        if OTHERS.iter().any(|other| line.contains(other)) {
            return false;
        }
        if frame.is_path || frame.path.contains('/') {
            return true;
        }
        // A frame of Java: its own classes are in the test's package, or near it.
        let mut dots = self.suite.match_indices('.');
        let second = dots.nth(1).map(|(at, _)| at);
        let package = second.and_then(|at| self.suite.get(..=at));
        package.is_some_and(|package| line.contains(package))
    }

    /// The text as HTML: a frame of the project is marked, and a link if its file can be read.
    pub(crate) fn html(&self, text: &str) -> String {
        let mut html = String::with_capacity(text.len() + text.len() / 4);
        let add = |html: &mut String, text: &str| text.chars().for_each(|c| escape(html, c));
        for (nth, line) in text.split('\n').enumerate() {
            if nth > 0 {
                html.push('\n');
            }
            let frame = python(line).or_else(|| plain(line));
            let Some(frame) = frame.filter(|frame| self.is_own(line, frame)) else {
                add(&mut html, line);
                continue;
            };
            let (begin, end) = frame.at;
            let [before, place, after] = [line.get(..begin), line.get(begin..end), line.get(end..)]
                .map(Option::unwrap_or_default);
            html.push_str("<span class=\"own\">");
            add(&mut html, before);
            let href = line_of(self.code, self.revision, (frame.path, frame.line));
            // The name of a file alone does not say where it is.
            match href.filter(|_| frame.is_path || frame.path.contains('/')) {
                Some(href) => {
                    html.push_str("<a rel=\"noreferrer\" href=\"");
                    add(&mut html, &href);
                    html.push_str("\">");
                    add(&mut html, place);
                    html.push_str("</a>");
                }
                None => add(&mut html, place),
            }
            add(&mut html, after);
            html.push_str("</span>");
        }
        html
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn html(text: &str) -> String {
        let code: CodeAddress = "https://github.com/acme/pony".parse().unwrap();
        let of = Trace {
            code: Some(&code),
            revision: Some("abc1234"),
            suite: "com.acme.billing.LedgerTest",
        };
        of.html(text)
    }

    #[test]
    fn own_frames_are_marked_and_lead_to_their_lines() {
        let link = |path: &str, line: u64, text: &str| {
            format!(
                "<a rel=\"noreferrer\" href=\"https://github.com/acme/pony/blob/abc1234/{path}#L{line}\">{text}</a>"
            )
        };
        for (line, path, number, text) in [
            (
                "tests/test_ledger.py:88: in test_it",
                "tests/test_ledger.py",
                88,
                "tests/test_ledger.py:88",
            ),
            ("             at ./src/ranker.rs:380:17", "src/ranker.rs", 380, "./src/ranker.rs:380"),
            ("    at wait (src/test/wait.ts:21:11)", "src/test/wait.ts", 21, "src/test/wait.ts:21"),
        ] {
            assert!(html(line).contains(&link(path, number, text)), "{}", html(line));
            assert!(html(line).starts_with("<span class=\"own\">"));
        }
        let python = html("  File \"src/ledger.py\", line 12, in check");
        assert!(
            python.contains("src/ledger.py#L12\">src/ledger.py&quot;, line 12</a>, in check"),
            "{python}"
        );
        let java = html("\tat com.acme.billing.ledger.Repository.open(Repository.java:57)");
        assert!(java.contains("class=\"own\"") && !java.contains("href"), "{java}");
    }

    #[test]
    fn frames_of_others_and_other_lines_stay_as_they_are() {
        for line in [
            "/usr/lib/python3.11/site-packages/urllib3/connection.py:200: in _new_conn",
            "\tat java.base/java.net.Socket.connect(Socket.java:633)",
            "\tat org.postgresql.core.PGStream.createSocket(PGStream.java:243)",
            "Connection refused: ledger.internal:5432",
            "    at node_modules/jest/build/x.js:12:3",
            "left: 3 legs, right: 4 legs",
            "GET https://db.acme.com:5432/x failed",
        ] {
            assert_eq!(html(line), line.replace('&', "&amp;"), "{line}");
        }
    }

    #[test]
    fn nothing_becomes_markup_and_nothing_leads_astray() {
        let evil = html("<script>src/\"'x.rs:1 <b> ../../x.rs:3 /etc/x.rs:2");
        assert!(!evil.contains("<script>") && !evil.contains("<b>"), "{evil}");
        assert!(!html("../../x.rs:3").contains("href"));
        assert!(!html("File \"/etc/passwd.py\", line 1").contains("href"));
        assert!(!html("File \"javascript:x.py\", line 1").contains("href"));
    }

    proptest::proptest! {
        #[test]
        fn what_is_seen_is_the_text(text in "[ -~\u{e4}\u{6f22}\n]{0,80}") {
            let html = html(&text);
            let mut seen = String::new();
            let mut is_tag = false;
            for c in html.chars() {
                match c {
                    '<' => is_tag = true,
                    '>' => is_tag = false,
                    c if !is_tag => seen.push(c),
                    _ => {}
                }
            }
            let seen = seen.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&");
            proptest::prop_assert_eq!(seen, text);
        }
    }
}
