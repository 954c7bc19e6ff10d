//! Receipts: what a sender is told of each upload, a report file or a document.

use serde::{Deserialize, Serialize};

use crate::TestSummary;

/// How one upload was parsed: what it was taken for, what it holds, and what of it was not stored.
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
    /// How the format was determined.
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
    /// The number of steps, of a document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// The number of suites, of a report file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suites: Option<u64>,
    /// The test cases by status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tests: Option<Counts>,
    /// What the sender should know: what was dropped, cut, doubled, guessed or odd, and what decided the verdict.
    pub notes: Vec<ReceiptNote>,
    /// The number of notes, of which only the first are listed.
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

/// One thing that a sender should know about an upload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct ReceiptNote {
    /// The line, if it is about one.
    pub line: Option<u64>,
    /// `dropped`, `doubled`, `guessed`, `cut`, `odd` or `verdict`.
    pub kind: String,
    /// The note.
    pub text: String,
}

impl Receipt {
    /// How a document of the API is recognized, and a report file whose format the request names.
    pub const AS_SAID: &'static str = "as the request says";

    /// How a report file is recognized if the request does not name its format.
    pub const FROM_BYTES: &'static str = "from the bytes";

    /// The format of documents of the API.
    pub const DOCUMENT: &'static str = "devmason";

    /// Adds a note.
    pub fn note(&mut self, kind: &str, text: impl Into<String>) {
        self.notes.push(ReceiptNote { line: None, kind: kind.to_owned(), text: text.into() });
        self.notes_total += 1;
    }
}
