//! Reports as tools write them, and what they are parsed into.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use devmason_reports::*;

mod broken;
mod claims;
mod events;
mod files;
mod fixtures;
mod junit;
mod odd;
mod properties;
mod tap;
mod tools;
mod xml;

fn read(text: &str) -> Read {
    Read::from_bytes(text.as_bytes(), None).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Each case as `group::name status`.
fn cases(read: &Read) -> Vec<String> {
    let show = |case: &Case| format!("{}::{} {}", case.group(), case.name, case.outcome().as_str());
    read.cases.iter().map(show).collect()
}

/// Each note as `line kind: text`.
fn notes(read: &Read) -> Vec<String> {
    let show = |note: &Note| {
        let line = note.line.map_or("-".to_owned(), |line| line.to_string());
        format!("{line} {}: {}", note.kind.as_str(), note.text)
    };
    read.notes.iter().map(show).collect()
}

/// The number of cases by status: passed, flaky, skipped, failed, error.
fn counts(read: &Read) -> [usize; 5] {
    Status::ALL.map(|status| read.cases.iter().filter(|case| case.outcome() == status).count())
}
