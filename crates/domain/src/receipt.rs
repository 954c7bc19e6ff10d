//! Receipts: what the sender is told about each upload, a report file or a document.

use serde::{Deserialize, Serialize};

use crate::TestSummary;

/// How one upload was parsed: its format, its contents, and what was not stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Upload"))]
pub struct Receipt {
    /// The name of the file, if it came with others.
    pub file: Option<String>,
    /// The number of files that make up this one report, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// The format; null if the file is not a report.
    pub format: Option<String>,
    /// How the format was detected.
    pub recognized: String,
    /// The length in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The SHA-256 of the bytes, as `sha256:` and hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// How long parsing took, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// The number of steps, for a document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// The number of suites, for a report file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suites: Option<u64>,
    /// The test cases by status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tests: Option<Counts>,
    /// What the sender should know: what was dropped, cut, doubled, guessed or odd, and what decided
    /// the verdict.
    pub notes: Vec<ReceiptNote>,
    /// The total number of notes; only the first ones are listed.
    pub notes_total: u64,
}

/// Test cases by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct Counts {
    /// All of them.
    pub total: u64,
    /// Passed at the first attempt.
    pub passed: u64,
    /// Passed after a failed attempt.
    pub flaky: u64,
    /// Skipped.
    pub skipped: u64,
    /// Failed.
    pub failed: u64,
    /// Broken.
    pub error: u64,
}

impl From<&TestSummary> for Counts {
    fn from(of: &TestSummary) -> Self {
        Self {
            total: of.total,
            passed: of.passed,
            flaky: of.flaky,
            skipped: of.skipped,
            failed: of.failed,
            error: of.error,
        }
    }
}

/// A note for the sender about an upload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct ReceiptNote {
    /// The line number, if the note is about a line.
    pub line: Option<u64>,
    /// `dropped`, `doubled`, `guessed`, `cut`, `odd` or `verdict`.
    pub kind: String,
    /// The note.
    pub text: String,
}

impl Receipt {
    /// For a document of the API, and for a report file whose format the request names.
    pub const AS_SAID: &'static str = "as the request says";

    /// For a report file whose format the request doesn't name.
    pub const FROM_BYTES: &'static str = "from the bytes";

    /// The format name of API documents.
    pub const DOCUMENT: &'static str = "devmason";

    /// Adds a note.
    pub fn note(&mut self, kind: &str, text: impl Into<String>) {
        self.notes.push(ReceiptNote { line: None, kind: kind.to_owned(), text: text.into() });
        self.notes_total += 1;
    }
}
