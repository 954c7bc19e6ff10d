//! Limits that hold for every report, whatever its format.

use anstream::adapter::strip_str;
use devmason_domain::{Timestamp, limits};

use crate::doubled::Doubled;
use crate::model::start;
use crate::{Case, Note, NoteKind, ReadError, Reason, Sink, Suite};

/// A sink that enforces limits: truncates long names with a note and drops placeholder dates.
pub(crate) struct Fitted<'a> {
    pub(crate) sink: &'a mut dyn Sink,
    pub(crate) cases: u64,
    /// The names so far, unless the parser tracks them itself.
    pub(crate) doubled: Option<Doubled>,
}

/// Earlier dates are placeholders that tools write for unknown ones: the year 2000.
const FIRST_DATE: i64 = 946_684_800_000_000;

fn is_date(date: &Timestamp) -> bool {
    date.micros() >= FIRST_DATE
}

/// The maximum length of a note in bytes: it may quote the report.
const NOTE: usize = 512;

/// The name of a case without a name.
const UNNAMED: &str = "(unnamed)";

impl Fitted<'_> {
    fn cut(&mut self, line: Option<u64>, what: &str, text: &mut String) {
        if limits::cut(text, limits::NAME) {
            let text = format!("{what} '{}…' is longer than {} bytes", start(text), limits::NAME);
            self.sink.note(Note { line, kind: NoteKind::Cut, text });
        }
    }
}

impl Sink for Fitted<'_> {
    fn suite(&mut self, mut suite: Suite) -> Result<(), ReadError> {
        suite.started = suite.started.filter(is_date);
        self.sink.suite(suite)
    }

    fn case(&mut self, mut case: Case) -> Result<(), ReadError> {
        let line = case.report_line;
        self.cases += 1;
        case.started = case.started.filter(is_date);
        if case.name.is_empty() {
            // The name is how the test is found again.
            case.name = UNNAMED.to_owned();
        }
        if let Some(message) = case.failure.as_mut().and_then(|why| why.message.as_mut())
            && message.contains('\u{1b}')
        {
            // Colours are for terminals; the failure's text keeps them.
            *message = strip_str(message).to_string();
        }
        if let Some(doubled) = &mut self.doubled {
            doubled.check(&mut case, self.sink);
        }
        self.cut(line, "the name", &mut case.name);
        for (what, text) in [("the class", &mut case.class), ("the file", &mut case.file)] {
            if let Some(text) = text {
                self.cut(line, what, text);
            }
        }
        if case.properties.len() > limits::PROPERTIES {
            let text =
                format!("'{}' has more than {} properties", start(&case.name), limits::PROPERTIES);
            self.sink.note(Note { line, kind: NoteKind::Cut, text });
            case.properties.truncate(limits::PROPERTIES);
        }
        self.sink.case(case)
    }

    fn note(&mut self, mut note: Note) {
        if limits::cut(&mut note.text, NOTE) {
            note.text.push('…');
        }
        self.sink.note(note);
    }

    fn room(&self, held: usize) -> Result<(), ReadError> {
        self.sink.room(held)
    }

    fn against(&mut self, mut reason: Reason) {
        if limits::cut(&mut reason.text, NOTE) {
            reason.text.push('…');
        }
        self.sink.against(reason);
    }
}
