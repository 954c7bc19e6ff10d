//! XML as elements that end, with their text, their attributes and what they stand in.

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};

use crate::WireError;

/// The maximum nesting depth of elements.
const MAX_DEPTH: usize = 128;

/// An element.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
    /// Its own text, without that of elements within it.
    pub(crate) text: String,
}

impl Element {
    fn of(start: &BytesStart<'_>) -> Self {
        let mut attributes = start.attributes();
        let attributes = attributes.with_checks(false).filter_map(|attribute| {
            let attribute = attribute.ok()?;
            let value = unescape(&attribute.value).map_or(attribute.value.clone(), |value| value);
            Some((attribute.key.0.to_owned(), value.into_owned()))
        });
        Self {
            name: start.name().0.to_owned(),
            attributes: attributes.collect(),
            text: String::new(),
        }
    }

    /// The attributes in order.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// An attribute's value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes().find_map(|(known, value)| (known == name).then_some(value))
    }
}

/// Calls `ended` for each element at its end, with the elements around it, the outermost first. Entities
/// that a document declares are not expanded, and nothing is fetched.
///
/// # Errors
/// The text is no XML, or the elements are nested too deeply.
pub(crate) fn walk(
    text: &str,
    mut ended: impl FnMut(&Element, &[Element]),
) -> Result<(), WireError> {
    let broken = |problem: String| WireError::bad("body", format!("invalid XML: {problem}"));
    let mut reader = Reader::from_str(text);
    reader.config_mut().allow_dangling_amp = true;
    reader.config_mut().check_comments = false;
    let mut open: Vec<Element> = Vec::new();
    let mut has_root = false;
    loop {
        match reader.read_event().map_err(|error| broken(error.to_string()))? {
            Event::Start(start) => {
                if open.len() == MAX_DEPTH {
                    return Err(broken(format!("more than {MAX_DEPTH} nested elements")));
                }
                open.push(Element::of(&start));
            }
            Event::Empty(start) => {
                has_root = true;
                ended(&Element::of(&start), &open);
            }
            Event::End(_) => {
                has_root = true;
                if let Some(element) = open.pop() {
                    ended(&element, &open);
                }
            }
            Event::Text(text) => {
                if let Some(element) = open.last_mut() {
                    element.text += &text;
                }
            }
            Event::CData(data) => {
                if let Some(element) = open.last_mut() {
                    element.text += &data;
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(element) = open.last_mut() {
                    let whole = format!("&{};", &*reference);
                    // One to a character that there is not stands for itself.
                    element.text += &unescape(&whole).unwrap_or(whole.as_str().into());
                }
            }
            Event::Eof if open.is_empty() && has_root => return Ok(()),
            Event::Eof if open.is_empty() => return Err(broken("no elements found".to_owned())),
            Event::Eof => return Err(broken("it ends in the middle of an element".to_owned())),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}
