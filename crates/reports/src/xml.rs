//! XML as a stream of elements that start and end, with their lines; entities are never expanded
//! and nothing is fetched.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::input::Input;
use crate::{Note, NoteKind, ReadError, Sink};

/// The maximum nesting depth of elements.
const MAX_DEPTH: usize = 512;

/// The maximum size of one element's text, in bytes.
const MAX_TEXT: usize = 8 << 20;

/// How much text capacity a reused element keeps, in bytes.
const KEPT_ROOM: usize = 64 << 10;

/// An element, from its start to its end.
#[derive(Debug, Default)]
pub(crate) struct Element {
    /// Its name, without a prefix.
    pub(crate) name: String,
    /// The concatenated names and values of its attributes.
    written: String,
    /// The ends of each attribute's name and value in `written`.
    attributes: Vec<(usize, usize)>,
    /// The line on which it starts.
    pub(crate) line: u64,
    /// Its own text so far, without that of child elements.
    pub(crate) text: String,
    cut: bool,
}

impl Element {
    /// Initializes the element from a start tag; only allocations are reused.
    fn begin(
        &mut self,
        start: &BytesStart<'_>,
        line: u64,
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError> {
        self.name.clear();
        self.written.clear();
        self.attributes.clear();
        self.text.clear();
        self.text.shrink_to(KEPT_ROOM);
        (self.line, self.cut) = (line, false);
        self.name += local(start.name().0);
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| {
                let problem = format!("invalid XML: <{}>: {error}", self.name);
                ReadError::new(Some(line), problem)
            })?;
            self.written += local(attribute.key.0);
            let name_end = self.written.len();
            unescape(&attribute.value, &mut self.written, line, sink)?;
            self.attributes.push((name_end, self.written.len()));
        }
        Ok(())
    }

    /// The attributes with their values.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.attributes.iter().filter_map(move |&(name_end, end)| {
            let name = self.written.get(start..name_end);
            start = end;
            Some((name?, self.written.get(name_end..end)?))
        })
    }

    /// An attribute's value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// The value of the first of these attributes that is present and not empty.
    pub(crate) fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name).filter(|value| !value.is_empty()))
    }

    /// An attribute's value, owned.
    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.get(name).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// Its text without surrounding white space; `None` if it is empty.
    pub(crate) fn trimmed(&self) -> Option<String> {
        let text = self.text.trim_matches(['\n', '\r', ' ', '\t']);
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// Turns elements into cases.
pub(crate) trait Handler {
    /// An element starts within the open ones.
    fn start(
        &mut self,
        element: &mut Element,
        open: &[Element],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError>;
    /// An element ends; the enclosing ones are still open.
    fn end(
        &mut self,
        element: &mut Element,
        open: &mut [Element],
        sink: &mut dyn Sink,
    ) -> Result<(), ReadError>;
}

/// A name without its prefix.
pub(crate) fn local(name: &str) -> &str {
    // Names are short, so a simple loop beats memchr.
    let colon = name.bytes().rposition(|byte| byte == b':');
    colon.and_then(|at| name.get(at + 1..)).unwrap_or(name)
}

/// A source of events.
trait Events {
    /// The next event.
    fn next(&mut self) -> Result<Event<'_>, quick_xml::Error>;
    /// The current line.
    fn line(&mut self) -> u64;
}

/// Events from text that arrives in chunks.
struct Streamed<'a, 'i> {
    reader: Reader<&'a mut Input<'i>>,
    buffer: Vec<u8>,
}

impl Events for Streamed<'_, '_> {
    fn next(&mut self) -> Result<Event<'_>, quick_xml::Error> {
        self.buffer.clear();
        self.reader.read_event_into(&mut self.buffer)
    }

    fn line(&mut self) -> u64 {
        self.reader.get_ref().line()
    }
}

/// Events from text in memory, without copying.
struct Whole<'a> {
    reader: Reader<&'a [u8]>,
    text: &'a str,
    /// How far lines were counted, and their number.
    counted: usize,
    line: u64,
}

impl Events for Whole<'_> {
    fn next(&mut self) -> Result<Event<'_>, quick_xml::Error> {
        self.reader.read_event()
    }

    fn line(&mut self) -> u64 {
        let at = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX);
        let passed = self.text.as_bytes().get(self.counted..at).unwrap_or_default();
        self.line += memchr::memchr_iter(b'\n', passed).count() as u64;
        self.counted = at.max(self.counted);
        self.line
    }
}

/// Parses the document. An element's line is the reader's current one: where its tag ends, or where
/// parsing failed.
pub(crate) fn walk(
    input: &mut Input<'_>,
    sink: &mut dyn Sink,
    handler: &mut impl Handler,
) -> Result<(), ReadError> {
    fn configure<R>(reader: &mut Reader<R>) {
        let config = reader.config_mut();
        config.allow_dangling_amp = true;
        config.check_comments = false;
    }
    if let Some(text) = input.whole() {
        let mut reader = Reader::from_str(text);
        configure(&mut reader);
        return walk_events(Whole { reader, text, counted: 0, line: 1 }, sink, handler);
    }
    let mut reader = Reader::from_reader(input);
    configure(&mut reader);
    walk_events(Streamed { reader, buffer: Vec::new() }, sink, handler)
}

fn walk_events(
    mut events: impl Events,
    sink: &mut dyn Sink,
    handler: &mut impl Handler,
) -> Result<(), ReadError> {
    let mut open: Vec<Element> = Vec::new();
    // Ended elements, whose allocations are reused.
    let mut ended: Vec<Element> = Vec::new();
    let mut roots = 0u32;
    loop {
        let line = events.line();
        let problem = match events.next() {
            Ok(event) => {
                if !take(event, line, (&mut open, &mut ended, &mut roots), sink, handler)? {
                    break;
                }
                continue;
            }
            Err(error) => error,
        };
        let within = open
            .last()
            .map(|open| format!(" (in <{}>, which starts on line {})", open.name, open.line));
        let problem = format!("invalid XML: {problem}{}", within.unwrap_or_default());
        return Err(ReadError::new(Some(events.line()), problem));
    }
    if let Some(last) = open.last() {
        let problem =
            format!("the file ends inside <{}>, which starts on line {}", last.name, last.line);
        return Err(ReadError::new(Some(events.line()), problem));
    }
    match roots {
        0 => Err(ReadError::new(None, "no elements found")),
        1 => Ok(()),
        _ => {
            let text = format!("the file contains {roots} XML documents; all were parsed");
            sink.note(Note { line: None, kind: NoteKind::Odd, text });
            Ok(())
        }
    }
}

/// Handles an event; returns whether more may follow.
fn take(
    event: Event<'_>,
    line: u64,
    (open, ended, roots): (&mut Vec<Element>, &mut Vec<Element>, &mut u32),
    sink: &mut dyn Sink,
    handler: &mut impl Handler,
) -> Result<bool, ReadError> {
    match event {
        Event::Start(start) => {
            let mut element = ended.pop().unwrap_or_default();
            element.begin(&start, line, sink)?;
            if open.is_empty() {
                *roots += 1;
            }
            if open.len() >= MAX_DEPTH {
                return Err(ReadError::new(
                    Some(line),
                    format!("elements nested more than {MAX_DEPTH} levels deep"),
                ));
            }
            handler.start(&mut element, open, sink)?;
            open.push(element);
        }
        Event::Empty(start) => {
            let mut element = ended.pop().unwrap_or_default();
            element.begin(&start, line, sink)?;
            if open.is_empty() {
                *roots += 1;
            }
            handler.start(&mut element, open, sink)?;
            handler.end(&mut element, open, sink)?;
            ended.push(element);
        }
        Event::End(_) => {
            // The reader has checked that the tag matches.
            if let Some(mut element) = open.pop() {
                handler.end(&mut element, open, sink)?;
                ended.push(element);
            }
        }
        Event::Text(text) => add(open, &text, line, sink)?,
        Event::CData(text) => add(open, &text, line, sink)?,
        Event::GeneralRef(reference) => {
            let text = resolve(&reference, line, sink)?;
            add(open, text.encode_utf8(&mut [0; 4]), line, sink)?;
        }
        Event::Eof => return Ok(false),
        Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
    }
    Ok(true)
}

/// Appends to the text of the innermost open element.
fn add(open: &mut [Element], text: &str, line: u64, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let Some(element) = open.last_mut() else {
        return if text.trim().is_empty() {
            Ok(())
        } else {
            Err(ReadError::new(Some(line), "invalid XML: text outside of any element"))
        };
    };
    let room = MAX_TEXT - element.text.len().min(MAX_TEXT);
    let fits = text.len().min(room);
    let fits = (0..=fits).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    element.text += text.get(..fits).unwrap_or_default();
    if fits < text.len() && !element.cut {
        element.cut = true;
        let text = format!("text of <{}> truncated to {MAX_TEXT} bytes", element.name);
        sink.note(Note { line: Some(element.line), kind: NoteKind::Cut, text });
    }
    Ok(())
}

/// The character for `&name;` or `&#10;`.
fn resolve(reference: &str, line: u64, sink: &mut dyn Sink) -> Result<char, ReadError> {
    Ok(match reference {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let Some(number) = reference.strip_prefix('#') else {
                let problem = format!(
                    "unknown entity &{reference};: entities declared in the document are not expanded"
                );
                return Err(ReadError::new(Some(line), problem));
            };
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => number.parse().ok(),
            };
            code.and_then(char::from_u32).unwrap_or_else(|| {
                let text =
                    format!("invalid character reference &{reference}; was replaced by U+FFFD");
                sink.note(Note { line: Some(line), kind: NoteKind::Odd, text });
                char::REPLACEMENT_CHARACTER
            })
        }
    })
}

/// Appends text with its references resolved.
fn unescape(raw: &str, text: &mut String, line: u64, sink: &mut dyn Sink) -> Result<(), ReadError> {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'&', rest.as_bytes()) {
        let (before, reference) = rest.split_at(at);
        *text += before;
        let reference = reference.get(1..).unwrap_or_default();
        match reference.bytes().take(33).position(|byte| byte == b';') {
            Some(end) => {
                let (name, behind) = reference.split_at(end);
                text.push(resolve(name, line, sink)?);
                rest = behind.get(1..).unwrap_or_default();
            }
            // A lone & is literal.
            None => {
                text.push('&');
                rest = reference;
            }
        }
    }
    *text += rest;
    Ok(())
}
