//! JSON as a stream of objects that start and end, each with the members its parser asks for.
//! Nothing else is held in memory, and everything before a break is kept.

mod walk;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::de::IgnoredAny;

use crate::input::Input;
use crate::{Cause, Note, NoteKind, ReadError, Reason, Sink, shape};
use walk::{MAX_NAME, ROOM, Walk};

/// The maximum number of values held per object.
const MAX_VALUES: usize = 1_000;

/// The maximum size of the texts held per object, in bytes.
pub(crate) const MAX_TEXT: usize = 8 << 20;

/// The maximum length in bytes of a text that is still held after a list has used up the room.
const SHORT: usize = 4096;

/// A scalar value.
#[derive(Debug)]
enum Value<'t> {
    Text(Cow<'t, str>),
    Number(f64),
    Is(bool),
}

/// An object with the members that its parser asked for.
#[derive(Debug, Default)]
pub(crate) struct Object<'t> {
    /// The member whose value or list item it is; empty for the document itself.
    pub(crate) key: &'static str,
    /// The line of its first member.
    pub(crate) line: u64,
    values: Vec<(&'static str, Value<'t>)>,
    bytes: usize,
    is_cut: bool,
}

impl<'t> Object<'t> {
    /// A member's text; the first if there are several.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The texts of a list member.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values.iter().filter_map(move |(known, value)| match value {
            Value::Text(text) if *known == name => Some(text.as_ref()),
            _ => None,
        })
    }

    /// A member's text, owned; `None` if it is empty.
    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.get(name).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// The texts of a list joined by newlines; `None` if it is empty.
    pub(crate) fn lines(&self, name: &str) -> Option<String> {
        let lines: Vec<&str> = self.all(name).collect();
        Some(lines.join("\n")).filter(|text| !text.is_empty())
    }

    /// A member's number.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.values.iter().find_map(|(known, value)| match value {
            Value::Number(number) if *known == name => Some(*number),
            _ => None,
        })
    }

    /// A member's number as a count.
    pub(crate) fn count(&self, name: &str) -> Option<u64> {
        self.number(name).filter(|number| (0.0..9e15).contains(number)).map(|number| number as u64)
    }

    /// The last item of a member that is a list of numbers.
    pub(crate) fn last_count(&self, name: &str) -> Option<u64> {
        self.values.iter().rev().find_map(|(known, value)| match value {
            Value::Number(number) if *known == name && *number >= 0.0 => Some(*number as u64),
            _ => None,
        })
    }

    /// A member's boolean.
    pub(crate) fn is(&self, name: &str) -> Option<bool> {
        self.values.iter().find_map(|(known, value)| match value {
            Value::Is(is) if *known == name => Some(*is),
            _ => None,
        })
    }

    /// A member's number, text or boolean as text; the items of a list are joined.
    pub(crate) fn shown(&self, name: &str) -> Option<String> {
        let values = self.values.iter().filter(|(known, _)| *known == name);
        let shown = values.map(|(_, value)| match value {
            Value::Text(text) => text.clone().into_owned(),
            Value::Number(number) => number.to_string(),
            Value::Is(is) => is.to_string(),
        });
        shown.reduce(|one, other| format!("{one}, {other}"))
    }

    /// These members as properties of a case.
    pub(crate) fn properties(&self, names: &[&str]) -> Vec<(String, String)> {
        let shown = |name: &&str| Some(((*name).to_owned(), self.shown(name)?));
        names.iter().filter_map(shown).filter(|(_, value)| !value.is_empty()).collect()
    }

    fn add(&mut self, name: &'static str, value: Value<'t>, sink: &mut dyn Sink) {
        let bytes = if let Value::Text(text) = &value { text.len() } else { 0 };
        let has_room = self.values.len() < MAX_VALUES && self.bytes + bytes <= MAX_TEXT;
        // Members after a long list are still kept.
        let is_new =
            || bytes <= SHORT && !self.values.iter().rev().any(|(known, _)| *known == name);
        if has_room || is_new() {
            self.bytes += bytes;
            self.values.push((name, value));
        } else if !self.is_cut {
            self.is_cut = true;
            let text = format!("'{name}' truncated: too long");
            sink.note(Note { line: Some(self.line), kind: NoteKind::Cut, text });
        }
    }
}

/// Turns objects into cases.
pub(crate) trait Handler {
    /// The members whose objects are emitted, one by one if they are in a list: by name, or by a path
    /// through objects that are not emitted, such as `results.tests`.
    const OBJECTS: &'static [&'static str];
    /// The members that are parsed of such an object, named in the same way: `err.message`. All others
    /// are skipped.
    const MEMBERS: &'static [&'static str];
    /// Whether a report may consist of many concatenated documents.
    const HAS_MANY: bool = false;
    /// Whether only events may occur between its lines: then any other line is a truncated event.
    const HAS_EVENTS_ALONE: bool = false;

    /// An object starts; its members follow.
    fn start(
        &mut self,
        _key: &'static str,
        _open: &mut [Object<'_>],
        _sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        Ok(())
    }

    /// An object ends; the enclosing ones are still open.
    fn end(
        &mut self,
        object: &Object<'_>,
        open: &mut [Object<'_>],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError>;

    /// The document breaks off within an object: only cases held back for it may be emitted.
    fn cut(
        &mut self,
        _object: &Object<'_>,
        _open: &mut [Object<'_>],
        _sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        Ok(())
    }
}

/// Emits the objects of a document in a text, or of several concatenated ones. Text before the
/// first is ignored.
pub(crate) fn walk<H: Handler>(
    text: &str,
    sink: &mut dyn Sink,
    handler: &mut H,
) -> Result<(), ReadError> {
    let (text, replaced) = paired(text);
    note_replaced(replaced, sink);
    let (before, text) = text.split_at(shape::begins(&text));
    let first = 1 + memchr::memchr_iter(b'\n', before.as_bytes()).count() as u64;
    let mut unread = Unread::default();
    let mut walk = Walk::new(text, first, (sink, &mut unread), handler);
    let mut rest = text;
    let mut is_first = true;
    let mut look = shape::Look::new();
    while is_first || !rest.is_empty() {
        let line = walk.line_of(rest);
        let is_one = is_first || (H::HAS_MANY && rest.starts_with('{')) || look.is_one(rest);
        if !is_one {
            let text = "text after the JSON was ignored".to_owned();
            walk.sink.note(Note { line: Some(line), kind: NoteKind::Dropped, text });
            // The next program may have appended its own document, for example one per package.
            let next = look.next(rest);
            if look.is_over() {
                let text = "too much text after the JSON";
                walk.sink.against(Reason::new(Cause::Cut, Some(line), text));
            }
            match next.and_then(|at| rest.get(at..)) {
                Some(next) => rest = next,
                None => break,
            }
        }
        walk.first = walk.line_of(rest);
        let mut json = serde_json::Deserializer::from_str(rest);
        match walk.document(&mut json) {
            Ok(()) => {}
            Err(Stop::Before(error) | Stop::Within(error) | Stop::Told(error)) => {
                return Err(error);
            }
        }
        // Asking it for its position would count all lines again.
        let read = json.into_iter::<IgnoredAny>().byte_offset();
        rest = rest.get(read..).unwrap_or_default().trim_start_matches([' ', '\t', '\r', '\n']);
        is_first = false;
    }
    unread.tell(sink);
    Ok(())
}

/// The same for text with one document per line; other lines are ignored. Returns the number of
/// documents.
pub(crate) fn lines<H: Handler>(
    input: &mut Input<'_>,
    sink: &mut dyn Sink,
    handler: &mut H,
) -> Result<u64, ReadError> {
    let (mut documents, mut others, mut replaced) = (0, 0u64, 0);
    let mut unread = Unread::default();
    let mut broken: Option<ReadError> = None;
    loop {
        let line = input.line();
        let Some(text) = input.next_line()? else { break };
        if text.trim().is_empty() {
            continue;
        }
        if let Some(error) = broken.take() {
            // It was not the last line: the file continues after it.
            others += 1;
            let text = format!("ignored a line that is not an event: {}", error.problem);
            if H::HAS_EVENTS_ALONE {
                sink.against(Reason::new(Cause::Cut, error.line, text));
            } else {
                sink.note(Note { line: error.line, kind: NoteKind::Dropped, text });
            }
        }
        if !text.trim_start().starts_with(['{', '[']) {
            others += 1;
            continue;
        }
        let (text, replaced_here) = paired(&text);
        replaced += replaced_here;
        let mut json = serde_json::Deserializer::from_str(&text);
        let mut walk = Walk::new(&text, line, (sink, &mut unread), handler);
        match walk.document(&mut json) {
            Ok(()) => documents += 1,
            Err(Stop::Before(error) | Stop::Within(error)) => broken = Some(error),
            Err(Stop::Told(error)) => return Err(error),
        }
    }
    note_replaced(replaced, sink);
    unread.tell(sink);
    if others > 0 {
        let text = format!("ignored {others} lines that are not events");
        sink.note(Note { line: None, kind: NoteKind::Dropped, text });
    }
    match broken {
        Some(error) if documents == 0 => Err(error),
        Some(error) => {
            let text = format!("the file is truncated: {error}");
            sink.against(Reason::new(Cause::Cut, error.line, text));
            Ok(documents)
        }
        None => Ok(documents),
    }
}

fn note_replaced(count: u64, sink: &mut dyn Sink) {
    if count > 0 {
        let text = format!("{count} invalid escapes were replaced by U+FFFD");
        sink.note(Note { line: None, kind: NoteKind::Odd, text });
    }
}

/// Replaces escapes of unpaired surrogates, which are not characters, by U+FFFD; and returns their
/// number.
pub(crate) fn paired(json: &str) -> (Cow<'_, str>, u64) {
    let unit = |at: usize| {
        let digits = json.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (mut fixed, mut copied, mut count, mut from) = (String::new(), 0, 0, 0);
    while let Some(at) = json.get(from..).and_then(|rest| rest.find('\\')).map(|at| from + at) {
        let is_pair = matches!(unit(at), Some(0xd800..=0xdbff))
            && matches!(unit(at + 6), Some(0xdc00..=0xdfff));
        match unit(at) {
            _ if is_pair => from = at + 12,
            Some(0xd800..=0xdfff) => {
                fixed += json.get(copied..at).unwrap_or_default();
                fixed += "\\ufffd";
                (copied, from, count) = (at + 6, at + 6, count + 1);
            }
            // Skips the escaped character, whatever it is.
            _ => {
                let behind = json.get(at + 1..).and_then(|rest| rest.chars().next());
                from = at + 1 + behind.map_or(1, char::len_utf8);
            }
        }
    }
    if count == 0 {
        return (Cow::Borrowed(json), 0);
    }
    fixed += json.get(copied..).unwrap_or_default();
    (Cow::Owned(fixed), count)
}

/// Why parsing a document stopped.
enum Stop {
    /// There is no object.
    Before(ReadError),
    /// It is truncated or malformed.
    Within(ReadError),
    /// The handler or the sink stopped it.
    Told(ReadError),
}

/// How many names of unknown members are reported.
const TOLD: usize = 100;

/// Unknown members, by the objects that contain them.
#[derive(Default)]
struct Unread {
    names: BTreeMap<&'static str, BTreeSet<String>>,
    count: usize,
}

impl Unread {
    fn add(&mut self, object: &'static str, path: &str) {
        if self.count >= TOLD || path.len() > MAX_NAME {
            return;
        }
        let names = self.names.entry(object).or_default();
        if !names.contains(path) {
            names.insert(path.to_owned());
            self.count += 1;
        }
    }

    fn tell(&self, sink: &mut dyn Sink) {
        for (object, names) in &self.names {
            let of = if object.is_empty() { String::new() } else { format!(" of '{object}'") };
            let mut names = names.iter().peekable();
            while names.peek().is_some() {
                // A note has a maximum length; names that do not fit go into the next one.
                let mut text = format!("ignored members{of}: ");
                while let Some(name) = names.next_if(|name| text.len() + name.len() < ROOM) {
                    text += name;
                    text += if names.peek().is_some() { ", " } else { "" };
                }
                sink.note(Note { line: None, kind: NoteKind::Dropped, text });
            }
        }
    }
}
