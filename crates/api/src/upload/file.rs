//! A report file of an upload.

use devmason_domain::Receipt;
use devmason_reports::{Read, Seen};
use devmason_repository::WaitingCases;

/// A report file.
pub(super) struct File {
    /// Its name, if it came with others.
    pub(super) name: Option<String>,
    /// The format detected from its first bytes.
    pub(super) seen: Seen,
    /// What was parsed, except its test cases; `None` if it isn't a report.
    pub(super) read: Option<Read>,
    /// Why nothing of it could be unpacked, if so; this fails the build.
    pub(super) broken: Option<String>,
    /// Its test cases.
    pub(super) results: WaitingCases,
    /// Its receipt.
    pub(super) receipt: Receipt,
}
