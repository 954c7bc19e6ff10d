#![doc = include_str!("../README.md")]

mod assets;
mod docs;
mod json;
mod log;
mod output;
mod plot;
mod site;
mod text;
mod trace;
mod views;

pub use askama::Template;
use devmason_domain::{Build, Outcome};

pub use assets::{Asset, look};
pub use docs::{Doc, DocPage};
pub use output::plain;
pub use site::Site;
pub use text::{counted, grouped};
pub use views::{
    AdministrationPage, BuildFilter, BuildPage, BuildParts, Builds, CasePage, ComparisonPage,
    ComponentBuilds, ComponentRow, Components, DocumentPage, Failing, Form, GridOrder, GridPage,
    GridPlaces, Head, Heads, History, InsightPage, IssueFields, IssueLine, IssuePage, IssuesPage,
    Lines, LogPage, LogPart, LogSearchPage, MainlineTrack, Output, Pager, ProblemPage, ProjectPage,
    ProjectParts, ProjectRow, Projects, ReceiptPage, Reference, RefusedForm, RevisionPage, Room,
    Row, Run, SIGN_IN, SQUARES, SearchPage, Searched, Shelf, Shown, SignIn, SignaturePage, Tags,
    TestLine, TestRow, Tests, TrackPage, TrackTestsPage, TracksPage, User, Users, Window,
    log_step_html, rendered, step_html,
};

/// Adds a character, escaped for use between tags and in quoted attributes.
fn escape(html: &mut String, c: char) {
    match c {
        '&' => html.push_str("&amp;"),
        '<' => html.push_str("&lt;"),
        '>' => html.push_str("&gt;"),
        '"' => html.push_str("&quot;"),
        '\'' => html.push_str("&#39;"),
        c => html.push(c),
    }
}

/// The status of a list's latest build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It succeeded.
    Success,
    /// It failed.
    Failure,
    /// No build is finished, and one is running.
    Running,
    /// There is none.
    Nothing,
}

impl Standing {
    /// The status of a build.
    pub fn of(build: &Build) -> Self {
        match build.outcome {
            Outcome::Running => Self::Running,
            Outcome::Finished { success: true, .. } => Self::Success,
            Outcome::Finished { success: false, .. } => Self::Failure,
        }
    }

    /// The status of the latest finished build, given newest first; `Running` if none is finished.
    pub fn latest<'a>(builds: impl Iterator<Item = &'a Build> + Clone) -> Self {
        let mut all = builds.map(Self::of);
        let first = all.clone().next().unwrap_or(Self::Nothing);
        all.find(|standing| *standing != Self::Running).unwrap_or(first)
    }

    /// Its name: colour is never the only sign.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Running => "running",
            Self::Nothing => "no builds",
        }
    }

    /// The CSS class that shows it.
    pub fn class(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            other => other.as_str(),
        }
    }

    /// Its colour, dark enough for white text (WCAG 2.2 AA: 4.5 to 1).
    fn colour(self) -> &'static str {
        match self {
            Self::Success => "#1a7f37",
            Self::Failure => "#c62828",
            Self::Running => "#8a5a00",
            Self::Nothing => "#57606a",
        }
    }
}

/// A badge: a label with a word beside it.
#[derive(Template)]
#[template(path = "badge.svg", escape = "xml")]
struct Badge<'a> {
    label: &'a str,
    word: &'a str,
    colour: &'a str,
    label_width: usize,
    width: usize,
}

/// Maximum length of a badge's label, in characters.
const LABEL: usize = 40;

/// A badge as SVG; a label that is too long is cut.
///
/// # Errors
/// As [`rendered`].
pub fn badge(label: &str, standing: Standing) -> Result<String, std::fmt::Error> {
    let cut = text::cut(label, LABEL);
    // 11 px sans-serif takes about 7 px per character; the text is fitted into that width.
    let room = |text: &str| text.chars().count() * 7 + 12;
    let word = standing.as_str();
    let label_width = room(&cut);
    let badge = Badge {
        label: &cut,
        word,
        colour: standing.colour(),
        label_width,
        width: label_width + room(word),
    };
    badge.render().map_err(|_| std::fmt::Error)
}

/// A feed entry: a build.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its URL, also used as its id.
    pub href: String,
    /// A one-line title.
    pub title: String,
    /// When it last changed, as in RFC 3339.
    pub updated: String,
    /// Who sent it.
    pub author: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// A one-line summary.
    pub summary: String,
}

/// An Atom feed (RFC 4287).
#[derive(Template)]
#[template(path = "feed.atom", escape = "xml")]
struct Feed<'a> {
    title: &'a str,
    this: &'a str,
    list: &'a str,
    updated: &'a str,
    entries: &'a [Entry],
}

/// A feed of builds, newest first: `this` is its own URL, `list` that of the list.
///
/// # Errors
/// As [`rendered`].
pub fn feed(
    title: &str,
    this: &str,
    list: &str,
    entries: &[Entry],
) -> Result<String, std::fmt::Error> {
    // An empty feed is dated to the Unix epoch.
    let newest = entries.iter().map(|entry| entry.updated.as_str()).max();
    let updated = newest.unwrap_or("1970-01-01T00:00:00Z");
    let feed = Feed { title, this, list, updated, entries };
    feed.render().map_err(|_| std::fmt::Error)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_badge_says_how_it_stands_in_a_word_and_nothing_becomes_markup() {
        let svg = badge("<b>&\"pony", Standing::Failure).unwrap();
        assert!(svg.contains("failure") && svg.contains("#c62828"), "{svg}");
        assert!(!svg.contains("<b>"), "{svg}");
        assert!(badge(&"x".repeat(500), Standing::Success).unwrap().len() < 1500);
    }

    /// Whether it is well-formed: quick-xml checks the tags, but not the characters.
    fn is_well_formed(xml: &str) -> bool {
        use quick_xml::events::Event;
        let has =
            |c| matches!(u32::from(c), 9 | 10 | 13 | 0x20..=0xd7ff | 0xe000..=0xfffd | 0x1_0000..);
        let mut reader = quick_xml::Reader::from_str(xml);
        reader.config_mut().check_end_names = true;
        let mut depth = 0;
        loop {
            match reader.read_event() {
                Ok(Event::Start(of))
                    if of
                        .attributes()
                        .all(|each| each.is_ok_and(|each| !each.value.contains('<'))) =>
                {
                    depth += 1
                }
                Ok(Event::Empty(of)) if of.attributes().all(|each| each.is_ok()) => {}
                Ok(Event::End(_)) => depth -= 1,
                Ok(Event::Eof) => return depth == 0 && xml.chars().all(has),
                Ok(Event::Start(_) | Event::Empty(_)) | Err(_) => return false,
                Ok(_) => {}
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn what_we_write_as_xml_is_well_formed_whatever_names_hold(name in ".*", tag in proptest::prelude::any::<String>()) {
            for name in [name.as_str(), &tag, "a\0\u{1}\u{1b}\u{7f}\u{fffe}\u{ffff}]]>&<\"'"] {
                let entry = Entry {
                    href: name.to_owned(), title: name.to_owned(), updated: String::new(), author: name.to_owned(),
                    tags: vec![tag.clone(), name.to_owned()], summary: name.to_owned(),
                };
                proptest::prop_assert!(is_well_formed(&feed(name, name, name, &[entry]).unwrap()));
                proptest::prop_assert!(is_well_formed(&badge(name, Standing::Success).unwrap()));
            }
        }
    }

    #[test]
    fn a_feed_has_its_entries_and_nothing_becomes_markup() {
        let entry = Entry {
            href: "http://ci.example.org/p/builds/1".to_owned(),
            title: "failure: 1 </title><script>".to_owned(),
            updated: "2026-01-02T03:04:05Z".to_owned(),
            author: "ann".to_owned(),
            tags: vec!["a\"b".to_owned()],
            summary: String::new(),
        };
        let atom = feed("pony", "http://x/f", "http://x/l", &[entry]).unwrap();
        assert!(atom.contains("<updated>2026-01-02T03:04:05Z</updated>"), "{atom}");
        assert!(!atom.contains("<script>"), "{atom}");
    }
}
