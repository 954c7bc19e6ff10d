//! Parsing the files of an upload within bounds.

use std::time::Instant;

use actix_web::web;
use devmason_domain::limits;
use devmason_reports::files::{Gathered, Named};
use devmason_reports::{
    Case, Cause, Fault, Format, Note, NoteKind, Read, ReadError, Reason, Seen, Sink, Suite, build,
};

use devmason_repository::WaitingCases;

use super::file::File;
use crate::budget::{Hold, Lane};
use crate::error::ApiError;

/// Memory for a report whose parser builds its own representation, as a multiple of its length.
pub(super) const HELD: usize = 8;

/// Memory for JSON that must be decoded before parsing, as a multiple of its length.
pub(super) const DECODED: usize = 3;

/// What remains of the limits shared by all files of an upload.
pub(super) struct Bounds<'a> {
    pub(super) cases: usize,
    /// Bytes of names and suites.
    pub(super) names: usize,
    /// Notes kept in receipts.
    pub(super) notes: usize,
    pub(super) hold: &'a Hold,
}

/// Bytes drawn at once for parsed data.
pub(super) const DRAWN_AT_ONCE: usize = 256 << 10;

/// Additional memory for storing a case, in bytes: its place in a strip.
pub(super) const STORED_CASE: usize = 16;

/// A report being parsed within limits.
pub(super) struct Bounded<'a, 'b> {
    pub(super) read: Read,
    pub(super) results: WaitingCases,
    pub(super) as_results: build::Results,
    pub(super) bounds: &'a mut Bounds<'b>,
    pub(super) suites: usize,
    /// The size that the results have had at most, in bytes.
    pub(super) most: usize,
    /// Bytes not yet drawn.
    pub(super) undrawn: usize,
    /// The suites of the last case, shared by cases in the same suite.
    pub(super) last: Option<std::sync::Arc<[String]>>,
}

impl Bounded<'_, '_> {
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), ReadError> {
        self.undrawn += bytes;
        if self.undrawn < DRAWN_AT_ONCE {
            return Ok(());
        }
        let drawn = self.bounds.hold.draw_whole_blocking(Lane::Work, self.undrawn);
        self.undrawn = 0;
        match drawn {
            Ok(()) => Ok(()),
            Err(ApiError::TooMuch { problem }) => Err(ReadError::too_much(problem)),
            Err(_) => Err(ReadError::no_room()),
        }
    }
}

impl Sink for Bounded<'_, '_> {
    fn suite(&mut self, suite: Suite) -> Result<(), ReadError> {
        self.suites += 1;
        if self.suites > limits::SUITES {
            let problem = format!("the report has more than {} suites", limits::SUITES);
            return Err(ReadError::too_much(problem));
        }
        self.grow(suite.bytes())?;
        self.read.suite(suite)
    }

    fn case(&mut self, case: Case) -> Result<(), ReadError> {
        self.room(0)?;
        self.bounds.cases -= 1;
        let is_shared =
            self.last.as_ref().is_some_and(|last| std::sync::Arc::ptr_eq(last, &case.suites));
        let own: usize = case.suites.iter().map(|name| name.len() + size_of::<String>()).sum();
        if !is_shared {
            self.last = Some(case.suites.clone());
        }
        let group = case.class.as_ref().map_or(own, String::len);
        let names = group + case.name.len();
        self.bounds.names = self.bounds.names.checked_sub(names).ok_or_else(|| {
            let problem = format!("the test case names exceed {} bytes in total", limits::NAMES);
            ReadError::too_much(problem)
        })?;
        let own = if is_shared { 0 } else { own };
        self.read.tally.add(&case);
        self.results.push(self.as_results.of(case));
        let bytes = self.results.bytes() + self.results.len() * STORED_CASE;
        let more = bytes.saturating_sub(self.most);
        self.most += more;
        self.grow(own + more)
    }

    fn note(&mut self, note: Note) {
        match self.bounds.notes.checked_sub(1) {
            Some(left) => {
                self.bounds.notes = left;
                self.read.note(note);
            }
            None => self.read.notes_total += 1,
        }
    }

    fn against(&mut self, reason: Reason) {
        self.read.tally.verdict.against(&reason);
        self.note(Note::from(&reason));
    }

    fn room(&self, held: usize) -> Result<(), ReadError> {
        if held < self.bounds.cases {
            return Ok(());
        }
        Err(ReadError::too_much("the upload exceeds the limit on test cases"))
    }
}

/// The files of a form.
///
/// # Errors
/// The body isn't a form, contains something other than files, or has too many files.
pub(super) async fn form(content_type: &str, body: web::Bytes) -> Result<Vec<Named>, ApiError> {
    let bad = |problem| ApiError::BadValue { name: "body", problem };
    let no_form = |error: multer::Error| bad(format!("invalid multipart/form-data: {error}"));
    let boundary = multer::parse_boundary(content_type).map_err(no_form)?;
    let stream = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    let mut form = multer::Multipart::new(stream, boundary);
    let mut files = Vec::new();
    while let Some(field) = form.next_field().await.map_err(no_form)? {
        let Some(name) = field.file_name().map(str::to_owned) else {
            let field = field.name().unwrap_or_default();
            return Err(bad(format!("'{field}' is not a file; pass metadata as query parameters")));
        };
        if files.len() >= limits::FILES {
            return Err(bad(format!("more than {} files", limits::FILES)));
        }
        files.push((Some(name), field.bytes().await.map_err(no_form)?));
    }
    Ok(files)
}

/// Parses a file. If it isn't a report but came with others, it is left out and its receipt says
/// so.
pub(super) fn file(
    gathered: Gathered,
    (asked, is_alone): (Option<Format>, bool),
    bounds: &mut Bounds<'_>,
) -> Result<File, ApiError> {
    let beside = gathered.note();
    let Gathered { mut name, body, files, broken, .. } = gathered;
    let body = body.as_ref();
    if let Some(name) = &mut name {
        limits::cut(name, limits::NAME);
    }
    let start = Instant::now();
    let seen = asked.map_or_else(|| Seen::of(body), Seen::Format);
    let format = match &seen {
        Seen::Format(format) => Some(*format),
        Seen::Foreign(_) | Seen::Nothing => None,
    };
    let mut receipt = build::receipt(name.as_deref(), body, format, asked.is_some());
    if files > 1 {
        receipt.files = Some(files as u64);
    }
    let format = match (format, &broken) {
        (Some(format), None) => format,
        (Some(format), Some(_)) if !body.is_empty() => format,
        (_, Some(problem)) if name.is_none() => {
            return Err(ApiError::BadValue { name: "body", problem: problem.clone() });
        }
        (_, Some(problem)) => {
            let text = format!("cannot read the file: {problem}");
            receipt.note(NoteKind::Verdict.as_str(), text.as_str());
            let results = WaitingCases::default();
            return Ok(File { name, seen, read: None, broken: Some(text), results, receipt });
        }
        (None, None) => {
            build::leave_out(&mut receipt, &seen);
            let results = WaitingCases::default();
            return Ok(File { broken: None, name, seen, read: None, results, receipt });
        }
    };
    if format.is_held() {
        bounds.hold.draw_blocking(Lane::Work, body.len().saturating_mul(HELD))?;
    } else if format.is_json() && std::str::from_utf8(body).is_err() {
        bounds.hold.draw_blocking(Lane::Work, body.len().saturating_mul(DECODED))?;
    }
    let mut sink = Bounded {
        read: Read::of(format),
        results: WaitingCases::default(),
        as_results: build::Results::default(),
        bounds,
        suites: 0,
        most: 0,
        undrawn: 0,
        last: None,
    };
    if let Some(note) = beside {
        sink.note(note);
    }
    let parsed = devmason_reports::read_slice(format, body, &mut sink);
    sink.bounds.hold.draw_blocking(Lane::Work, sink.undrawn)?;
    if let Some(problem) = broken {
        let text = format!("cannot read the file to its end: {problem}");
        sink.against(Reason { cause: Cause::Cut, line: None, text });
    }
    // If one of several files cannot be parsed at all, the build fails and the other files are stored.
    let parsed = match parsed {
        Err(error) if error.fault == Fault::Broken && !is_alone => {
            let text = format!("cannot parse the file: {error}");
            sink.against(Reason { cause: Cause::Cut, line: error.line, text });
            Ok(())
        }
        parsed => parsed,
    };
    let (read, results) = (sink.read, sink.results);
    if let Err(error) = parsed {
        match error.fault {
            Fault::Broken => {}
            Fault::TooMuch => return Err(ApiError::TooMuch { problem: error.to_string() }),
            Fault::NoRoom => return Err(ApiError::Overloaded),
        }
        let problem = match &name {
            Some(name) => format!("{name}: {error}"),
            None => error.to_string(),
        };
        return Err(ApiError::Report { problem, line: error.line, receipt: Box::new(receipt) });
    }
    build::receive(&mut receipt, &read, start.elapsed());
    Ok(File { name, seen, read: Some(read), broken: None, results, receipt })
}
