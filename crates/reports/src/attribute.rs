//! Durations and points in time in the attributes of XML.

use devmason_domain::Timestamp;

use crate::number;
use crate::xml::Element;
use crate::{Note, NoteKind, Sink};

/// An attribute's duration. A guess is reported.
pub(crate) fn duration(element: &Element, name: &str, sink: &mut dyn Sink) -> Option<u64> {
    duration_in(element, name, false, sink)
}

/// The same, if it is known whether the file uses decimal commas.
pub(crate) fn duration_in(
    element: &Element,
    name: &str,
    has_commas: bool,
    sink: &mut dyn Sink,
) -> Option<u64> {
    let text = element.get(name).filter(|text| !text.trim().is_empty())?;
    let decimal;
    let text = if has_commas && !text.contains('.') && text.matches(',').count() == 1 {
        decimal = text.replace(',', ".");
        decimal.as_str()
    } else {
        text
    };
    match number::seconds(text) {
        Some((micros, guessed)) => {
            if guessed {
                let text =
                    format!("{name}=\"{text}\" interpreted as {} seconds", micros / 1_000_000);
                sink.note(Note { line: Some(element.line), kind: NoteKind::Guessed, text });
            }
            Some(micros)
        }
        None => {
            let text = format!("{name}=\"{text}\" is not a duration");
            sink.note(Note { line: Some(element.line), kind: NoteKind::Odd, text });
            None
        }
    }
}

/// An attribute's point in time.
pub(crate) fn time(element: &Element, name: &str, sink: &mut dyn Sink) -> Option<Timestamp> {
    let text = element.get(name).filter(|text| !text.trim().is_empty())?;
    match text.parse() {
        Ok(at) => Some(at),
        Err(_) => {
            let text = format!("{name}=\"{text}\" is not a date");
            sink.note(Note { line: Some(element.line), kind: NoteKind::Odd, text });
            None
        }
    }
}
