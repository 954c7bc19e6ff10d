//! Text from clients: names are cut to fit a page, and only characters allowed in XML are written.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

use askama::filters::{Escaper, Html};

/// Maximum length of a displayed name, in characters; the full name is in its title.
const NAME: usize = 120;

/// Maximum length of a title, in bytes: some names were stored before names were limited.
const WHOLE: usize = 4 << 10;

/// The first characters of a text, with a mark if it is cut.
pub(crate) fn cut(text: &str, chars: usize) -> Cow<'_, str> {
    if text.chars().nth(chars).is_none() {
        return text.into();
    }
    text.chars().take(chars.saturating_sub(1)).chain(['\u{2026}']).collect::<String>().into()
}

/// The displayed form of a name.
pub(crate) fn short(name: &str) -> Cow<'_, str> {
    cut(name, NAME)
}

/// The full name, if its displayed form is cut.
pub(crate) fn whole(name: &str) -> Option<Cow<'_, str>> {
    name.chars().nth(NAME)?;
    let fits = name.get(..name.floor_char_boundary(WHOLE))?;
    Some(if fits.len() < name.len() { format!("{fits}\u{2026}").into() } else { name.into() })
}

/// Whether an id is too long for a table: then its start is shown. It can be copied as a whole.
pub(crate) fn is_long_id(id: &str) -> bool {
    id.chars().nth(20).is_some()
}

/// The full name for a title, in whatever form it is displayed.
pub(crate) fn whole_title(name: &str) -> Cow<'_, str> {
    whole(name).unwrap_or_else(|| name.into())
}

/// A variant without the names of its members: `linux \u{b7} x86_64` of `linux;client.arch=x86_64`.
pub(crate) fn variant(variant: &str) -> String {
    let value = |part: &str| {
        let value = part.strip_prefix("client.").and_then(|member| member.split_once('='));
        let value = value.map_or(part, |(_, value)| value);
        value.replace("%3B", ";").replace("%3D", "=").replace("%25", "%")
    };
    let parts: Vec<String> = variant.split(';').map(value).collect();
    short(&parts.join(" \u{b7} ")).into_owned()
}

/// The first characters of a commit.
pub(crate) fn short_commit(revision: &str) -> &str {
    revision.get(..8).unwrap_or(revision)
}

/// A number with commas between groups of three digits.
pub fn grouped(number: impl Display) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 build`, `1,200 builds`.
pub fn counted(number: impl Display, noun: &str) -> String {
    match grouped(number).as_str() {
        "1" => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

/// Whether XML allows a character at all (XML 1.0, 2.2). Others cannot be written even as
/// references.
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Escapes text for any position in the XML we write. Markup is escaped, and characters not allowed
/// in XML become U+FFFD.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Xml;

impl Escaper for Xml {
    fn write_escaped_str<W: Write>(&self, mut to: W, text: &str) -> fmt::Result {
        for (at, piece) in text.split(|c| !is_xml(c)).enumerate() {
            if at > 0 {
                to.write_char('\u{fffd}')?;
            }
            Html.write_escaped_str(&mut to, piece)?;
        }
        Ok(())
    }
}

/// The same for XML written without a template.
pub(crate) fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    // Writing to a string cannot fail.
    let _ = Xml.write_escaped_str(&mut escaped, text);
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_and_the_whole_is_in_its_title() {
        assert_eq!((short("pony").as_ref(), whole("pony")), ("pony", None));
        let long = "\u{fc}".repeat(500);
        assert_eq!(short(&long).chars().count(), NAME);
        assert!(short(&long).ends_with('\u{2026}'));
        assert_eq!(whole(&long).as_deref(), Some(long.as_str()));
        assert!(whole(&"\u{fc}".repeat(1 << 20)).is_some_and(|title| title.len() < WHOLE + 4));
    }

    #[test]
    fn a_variant_is_told_by_its_values() {
        assert_eq!(variant("linux;client.arch=x86_64"), "linux \u{b7} x86_64");
        assert_eq!(variant("client.job=a%3Bb%3D%25"), "a;b=%");
        assert_eq!(variant("client.x"), "client.x");
    }

    #[test]
    fn numbers_are_grouped_and_nouns_follow_them() {
        let shown = [0, 1, 999, 1_000, 12_345, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "1", "999", "1,000", "12,345", "1,234,567"]);
        assert_eq!(counted(1, "build"), "1 build");
        assert_eq!(counted(0, "build"), "0 builds");
        assert_eq!(counted(2_000, "build"), "2,000 builds");
    }

    #[test]
    fn xml_has_no_character_that_it_lacks() {
        assert_eq!(
            xml("a\0\u{1b}\u{fffe}\u{ffff}<\u{fdd0}\u{1f40e}"),
            "a\u{fffd}\u{fffd}\u{fffd}\u{fffd}&#60;\u{fdd0}\u{1f40e}"
        );
    }
}
