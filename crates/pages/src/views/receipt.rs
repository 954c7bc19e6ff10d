//! How a build's uploads were parsed.

use askama::Template;
use devmason_domain::{Build, Counts, Project, Receipt, ReceiptNote};

use super::Page;
use crate::site::Site;

/// Maximum number of files shown.
const FILES: usize = 200;

/// Maximum number of notes shown per file, and in total.
const NOTES: usize = 50;
const ALL_NOTES: usize = 500;

/// A file in the table.
struct Row {
    file: String,
    format: String,
    recognized: String,
    size: String,
    tests: Counts,
    kept: &'static str,
    notes: Vec<ReceiptNote>,
    more_notes: u64,
}

impl Row {
    fn new(stored: &str, kept: &'static str, room: &mut usize) -> Self {
        // A receipt that cannot be parsed becomes an empty row.
        let stored: Receipt = serde_json::from_str(stored).unwrap_or_default();
        let is_document = stored.format.as_deref() == Some(Receipt::DOCUMENT);
        let file = stored
            .file
            .unwrap_or_else(|| if is_document { "API document" } else { "the file" }.to_owned());
        let files = stored.files.map(|files| format!("{files} files, ")).unwrap_or_default();
        let mut notes = stored.notes;
        notes.truncate(NOTES.min(*room));
        *room -= notes.len();
        Self {
            file,
            format: stored.format.unwrap_or_else(|| "not a report".to_owned()),
            recognized: stored.recognized,
            size: stored.bytes.map(|bytes| format!("{files}{bytes} bytes")).unwrap_or_default(),
            tests: stored.tests.unwrap_or_default(),
            kept,
            more_notes: stored.notes_total.saturating_sub(notes.len() as u64),
            notes,
        }
    }
}

/// How a build's uploads were parsed: a row per file.
#[derive(Template)]
#[template(path = "receipt.html")]
pub struct ReceiptPage<'a> {
    /// The page's frame.
    site: Site<'a>,
    project: &'a Project,
    build: &'a Build,
    rows: Vec<Row>,
    more: usize,
    /// Whether the viewer may reparse the uploads.
    may_reparse: bool,
}

impl<'a> ReceiptPage<'a> {
    /// From the stored receipts of documents and files, and for each file whether its upload is kept.
    pub fn new(
        site: Site<'a>,
        (project, build): (&'a Project, &'a Build),
        documents: &[String],
        files: &[(String, bool)],
        may_reparse: bool,
    ) -> Self {
        let mut room = ALL_NOTES;
        let all = documents.len() + files.len();
        let documents = documents.iter().map(|stored| (stored, ""));
        let files =
            files.iter().map(|(stored, is_kept)| (stored, if *is_kept { "yes" } else { "no" }));
        // A build may have a document for each of its steps.
        let shown = files.chain(documents).take(FILES);
        let rows: Vec<Row> =
            shown.map(|(stored, kept)| Row::new(stored, kept, &mut room)).collect();
        let more = all - rows.len();
        Self { site, project, build, rows, more, may_reparse }
    }
}

impl Page for ReceiptPage<'_> {
    fn title(&self) -> String {
        format!("Receipt of build {}", self.build.key())
    }
    fn summary(&self) -> String {
        "How its uploads were parsed".to_owned()
    }
}
