//! Uploads: the report files received, their receipts, and reparsing.

use bytes::Bytes;
use devmason_domain::{Build, BuildId, ProjectId, Step, Timestamp};

use crate::{Cases, Result, Updated};

/// The body of a request that uploaded report files, kept for a time for reparsing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawUpload {
    /// When it was received.
    pub received: Timestamp,
    /// Its media type, as the client sent it.
    pub content_type: String,
    /// Other data from the sender. Opaque to the store.
    pub said: String,
    /// Whether all its files form one step, instead of one step each.
    pub one_step: bool,
    /// The body, decompressed.
    pub body: RawBody,
}

/// The body of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawBody {
    /// As it was received. The store packs it.
    Given(Bytes),
    /// Packed by [`Uploads::upload_pack`].
    Packed(PackedBody),
}

impl RawBody {
    /// Size in bytes, as it is now.
    pub fn len(&self) -> usize {
        match self {
            Self::Given(body) => body.len(),
            Self::Packed(body) => body.bytes.len(),
        }
    }

    /// Whether the body is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A body in the form in which it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedBody {
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_compressed: bool,
}

/// The test cases of a build or step.
#[derive(Debug, Clone, Default)]
pub struct TestReport {
    /// The test cases.
    pub tests: Cases,
    /// The receipt of each uploaded file, as JSON text; empty for an API document.
    pub receipts: Vec<String>,
    /// The receipt of the API document, as JSON text.
    pub document: Option<String>,
    /// The upload itself, if it is to be kept.
    pub upload: Option<RawUpload>,
    /// By what a part of another system's client is known when it comes again, see
    /// [`crate::Foreign::part_exists`].
    pub part: Option<String>,
}

impl TestReport {
    /// The size in bytes of the upload to be kept.
    pub fn kept_bytes(&self) -> usize {
        self.upload.as_ref().map_or(0, |upload| upload.body.len())
    }

    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty() && self.receipts.is_empty() && self.upload.is_none()
    }
}

/// A contiguous range of a build's steps, cases or receipts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Piece {
    /// The position of the first, from 0.
    pub first: u32,
    /// Number of items.
    pub count: u32,
}

/// A stored upload, without its body, and what it was parsed into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptUpload {
    /// Its position among the build's uploads.
    pub nth: u32,
    /// When it was received.
    pub received: Timestamp,
    /// Its media type, as the client sent it.
    pub content_type: String,
    /// Other data from the sender. Opaque to the store.
    pub said: String,
    /// Whether all its files form one step, instead of one step each.
    pub one_step: bool,
    /// The steps it created.
    pub steps: Piece,
    /// The test cases it contained.
    pub tests: Piece,
    /// The receipts of its files.
    pub receipts: Piece,
    /// Its stored size in bytes.
    pub bytes: u64,
}

/// The result of reparsing a build's uploads: the build's complete new contents.
#[derive(Debug, Clone)]
pub struct Reread {
    /// All its steps.
    pub steps: Vec<Step>,
    /// All its cases and receipts.
    pub report: TestReport,
    /// The reparsed uploads and what each was parsed into.
    pub uploads: Vec<KeptUpload>,
    /// Whether a finished build succeeded; `None` leaves it unchanged.
    pub success: Option<bool>,
    /// The current time.
    pub now: Timestamp,
}

/// Limits on how long uploads are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Maximum age since receipt, in microseconds.
    pub micros: i64,
    /// Maximum total size in bytes; the oldest are removed first.
    pub bytes: u64,
}

/// The receipts of a build, as JSON texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipts {
    /// The receipts of API documents: the build's, then those of its steps, in order.
    pub documents: Vec<String>,
    /// The receipts of the files, in order.
    pub files: Vec<String>,
}

impl Receipts {
    /// All receipts, documents first.
    pub fn all(self) -> Vec<String> {
        self.documents.into_iter().chain(self.files).collect()
    }
}

/// Uploads and their receipts.
pub trait Uploads {
    /// Packs a body for storage, which takes a while if it is long. Builds and steps do it for uploads
    /// that are not packed yet, and whatever is stored with them waits for it.
    fn upload_pack(&self, body: &[u8]) -> PackedBody;
    /// The receipts of a build: the first `most` of its documents and the first `most` of its files.
    /// Unless all are requested (`u32::MAX`), no more files are read once 8 MiB are exceeded.
    fn receipt_list(&self, project: ProjectId, build: BuildId, most: u32) -> Result<Receipts>;
    /// The stored uploads of a build, in order.
    fn upload_list(&self, project: ProjectId, build: BuildId) -> Result<Vec<KeptUpload>>;
    /// The body of a stored upload.
    fn upload_body(&self, project: ProjectId, build: BuildId, nth: u32) -> Result<Option<Vec<u8>>>;
    /// Replaces what a build's uploads were parsed into, if the build has not changed since it was
    /// read.
    fn build_reread(&self, build: &Build, new: &Reread) -> Result<Updated<()>>;
}
