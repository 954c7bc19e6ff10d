//! `like` and `ilike` for what no database evaluates: cases in strips, and SQLite, whose own `LIKE`
//! backtracks through every way to match a pattern, which takes minutes for one with many `%`.

use devmason_domain::limits;
use memchr::memmem;

/// An element of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// `%`: any text.
    Any,
    /// `_`: any character.
    One,
    /// A literal character.
    Char(char),
}

fn parts(pattern: &str) -> impl Iterator<Item = Part> {
    let mut chars = pattern.chars();
    std::iter::from_fn(move || {
        Some(match chars.next()? {
            '%' => Part::Any,
            '_' => Part::One,
            '\\' => Part::Char(chars.next()?),
            c => Part::Char(c),
        })
    })
}

/// The part of a pattern between two `%`.
struct Piece(Vec<Part>);

impl Piece {
    fn chars(&self) -> usize {
        self.0.len()
    }

    /// If the text starts with this piece, the rest of the text.
    fn begins<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut chars = text.chars();
        for part in &self.0 {
            let c = chars.next()?;
            if !matches!(part, Part::One) && *part != Part::Char(c) {
                return None;
            }
        }
        Some(chars.as_str())
    }

    /// The rest of the text after the first match of this piece.
    fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        let plain: Option<String> = self
            .0
            .iter()
            .map(|part| if let Part::Char(c) = part { Some(*c) } else { None })
            .collect();
        if let Some(plain) = plain {
            let at = memmem::find(text.as_bytes(), plain.as_bytes())?;
            return text.get(at + plain.len()..);
        }
        let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        starts.filter_map(|at| text.get(at..)).find_map(|rest| self.begins(rest))
    }

    /// Whether the text ends with this piece.
    fn ends(&self, text: &str) -> bool {
        let Some(before) = text.chars().count().checked_sub(self.chars()) else { return false };
        let at = text.char_indices().nth(before).map_or(text.len(), |(at, _)| at);
        text.get(at..).is_some_and(|rest| self.begins(rest) == Some(""))
    }
}

/// Whether a text matches a pattern. Each piece takes the first match after the previous piece: if
/// that does not reach the end, no other choice does.
pub(super) fn like(text: &str, pattern: &str) -> bool {
    let text = text
        .char_indices()
        .nth(limits::PATTERN)
        .map_or(text, |(at, _)| text.get(..at).unwrap_or(text));
    let mut pieces = vec![Piece(Vec::new())];
    for part in parts(pattern) {
        match (part, pieces.last_mut()) {
            (Part::Any, _) | (_, None) => pieces.push(Piece(Vec::new())),
            (part, Some(last)) => last.0.push(part),
        }
    }
    let Some((first, rest)) = pieces.split_first() else { return text.is_empty() };
    let Some(mut left) = first.begins(text) else { return false };
    let Some((last, between)) = rest.split_last() else { return left.is_empty() };
    for piece in between {
        let Some(behind) = piece.find(left) else { return false };
        left = behind;
    }
    last.ends(left)
}

/// The same, ignoring ASCII case.
pub(super) fn ilike(text: &str, pattern: &str) -> bool {
    let end = text.char_indices().nth(limits::PATTERN).map_or(text.len(), |(at, _)| at);
    like(&text.get(..end).unwrap_or(text).to_ascii_lowercase(), &pattern.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reference implementation: tries every way to match.
    fn by_definition(text: &[char], pattern: &[Part]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, first) => first.is_none(),
            (Some((Part::Any, rest)), _) => {
                (0..=text.len()).any(|at| by_definition(&text[at..], rest))
            }
            (Some(_), None) => false,
            (Some((Part::One, rest)), Some((_, text))) => by_definition(text, rest),
            (Some((Part::Char(c), rest)), Some((first, text))) => {
                c == first && by_definition(text, rest)
            }
        }
    }

    proptest! {
        #[test]
        fn it_is_as_the_definition_says(text in "[abü\\n]{0,9}", pattern in "[abü%_]{0,7}(\\\\[%_\\\\a])?") {
            let chars: Vec<char> = text.chars().collect();
            let of: Vec<Part> = parts(&pattern).collect();
            prop_assert_eq!(like(&text, &pattern), by_definition(&chars, &of), "{} {}", text, pattern);
        }
    }

    #[test]
    fn case_is_set_aside_for_ascii_alone() {
        assert!(ilike("Linux", "LI%X") && !like("Linux", "LI%X"));
        assert!(!ilike("ÜBER", "über"));
    }

    #[test]
    fn a_pattern_of_many_wildcards_is_tried_once() {
        // Trying every way to match it would take far too long.
        let pattern = "%a".repeat(1_000) + "%b";
        assert!(!like(&"a".repeat(limits::PATTERN), &pattern));
        assert!(like(&("a".repeat(2_000) + "b"), &pattern));
    }

    #[test]
    fn what_lies_beyond_the_bound_is_not_looked_at() {
        let text = "a".repeat(limits::PATTERN) + "b";
        assert!(!like(&text, "%b") && like(&text, "%a"));
    }
}
