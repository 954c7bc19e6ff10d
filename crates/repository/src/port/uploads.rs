//! Uploads: report files that came, how they were parsed, and parsing them again.

use devmason_domain::{Build, BuildId, ProjectId, Step, TestResult, Timestamp};

use crate::{Result, Updated};

/// The body of a request that brought report files, kept for a time so that it can be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawUpload {
    /// When it was received.
    pub received: Timestamp,
    /// Its media type, as the client sent it.
    pub content_type: String,
    /// What else the sender said of it. The store only keeps it.
    pub said: String,
    /// Whether all its files are one step, not one each.
    pub one_step: bool,
    /// The body, decompressed.
    pub body: Vec<u8>,
}

/// What a build, or a step, brings of test cases.
#[derive(Debug, Clone, Default)]
pub struct TestReport {
    /// What the cases came to, in order.
    pub tests: Vec<TestResult>,
    /// What each file of the upload was read as: JSON text; none where it was a document of the API.
    pub receipts: Vec<String>,
    /// What the document of the API was read as: JSON text.
    pub document: Option<String>,
    /// The upload itself, where it is to be kept.
    pub upload: Option<RawUpload>,
}

impl TestReport {
    /// How long the upload is that is to be kept, in bytes.
    pub fn kept_bytes(&self) -> usize {
        self.upload.as_ref().map_or(0, |upload| upload.body.len())
    }

    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty() && self.receipts.is_empty() && self.upload.is_none()
    }
}

/// Some of a build's steps, cases or receipts, one behind the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Piece {
    /// The place of the first of them, from 0.
    pub first: u32,
    /// How many they are.
    pub count: u32,
}

/// An upload that is kept, without its body, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptUpload {
    /// Its place among its build's uploads.
    pub nth: u32,
    /// When it was received.
    pub received: Timestamp,
    /// Its media type, as the client sent it.
    pub content_type: String,
    /// What else the sender said of it. The store only keeps it.
    pub said: String,
    /// Whether all its files are one step, not one each.
    pub one_step: bool,
    /// The build's steps that it is.
    pub steps: Piece,
    /// The build's cases that it brought.
    pub tests: Piece,
    /// The receipts of its files.
    pub receipts: Piece,
    /// How long it is as it is stored.
    pub bytes: u64,
}

/// What came of reading a build's uploads again: the whole of what the build has then.
#[derive(Debug, Clone)]
pub struct Reread {
    /// All its steps.
    pub steps: Vec<Step>,
    /// All its cases and receipts.
    pub report: TestReport,
    /// The uploads that were read again, with what came of each.
    pub uploads: Vec<KeptUpload>,
    /// Whether a build that is finished succeeded; it stays as it is where nothing is said.
    pub success: Option<bool>,
    /// The present.
    pub now: Timestamp,
}

/// How long uploads are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// For so long after they were received, in microseconds.
    pub micros: i64,
    /// As long as all of them together have no more bytes than this; the oldest go first.
    pub bytes: u64,
}

/// What a build's uploads were read as: JSON texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipts {
    /// The documents of the API: that of the build, then those of its steps, in order.
    pub documents: Vec<String>,
    /// The files, in order.
    pub files: Vec<String>,
}

impl Receipts {
    /// All of them, the documents first.
    pub fn all(self) -> Vec<String> {
        self.documents.into_iter().chain(self.files).collect()
    }
}

/// Uploads and their receipts.
pub trait Uploads {
    /// What a build's uploads were read as: the first of its documents, and the first of its files, so many each. Unless
    /// all are wanted (`u32::MAX`), no more files behind the first 8 MiB.
    fn receipt_list(&self, project: ProjectId, build: BuildId, most: u32) -> Result<Receipts>;
    /// The uploads of a build that are kept, in order.
    fn upload_list(&self, project: ProjectId, build: BuildId) -> Result<Vec<KeptUpload>>;
    /// The body of an upload that is kept.
    fn upload_body(&self, project: ProjectId, build: BuildId, nth: u32) -> Result<Option<Vec<u8>>>;
    /// Replaces what a build's uploads were read as, if it is still as it was when it was read.
    fn build_reread(&self, build: &Build, new: &Reread) -> Result<Updated<()>>;
}
