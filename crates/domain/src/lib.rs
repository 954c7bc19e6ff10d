#![doc = include_str!("../README.md")]

mod account;
mod build;
mod case;
mod component;
mod digest;
mod forge;
pub mod gate;
pub mod insight;
mod issue;
mod json;
pub mod limits;
mod log;
mod name;
mod overdue;
mod page;
mod password;
pub mod policy;
mod project;
pub mod query;
mod receipt;
mod signature;
mod time;
mod track;

pub use account::{Account, AccountId};
pub use build::{
    Build, BuildId, ClientRecord, Closing, Outcome, Report, Sender, State, Step, StepLog, StepName,
};
pub use case::{
    Details, TestDetails, TestFailure, TestResult, TestStatus, TestSummary, full_test_name,
};
pub use component::{Component, ComponentDetails, ComponentName, ComponentType, PlainText};
pub use digest::Digest;
pub use forge::CodeAddress;
pub use issue::{
    Fitting, Issue, IssueDetails, IssueState, IssueTitle, Matcher, Note, OPEN_ISSUES, Pattern,
    SignatureId, WebAddress,
};
pub use json::JsonObject;
pub use log::{LogEntry, LogStream, Position, in_order, missing};
pub use name::{BuildKey, Invalid, ProjectName, Slug, Tag, TagSet, Username, split_dashed};
pub use overdue::{Expected, every};
pub use page::{PageRequest, Pages};
pub use password::{MAX_PASSWORD_BYTES, Password, PasswordHash};
pub use policy::{Policy, Reading, Refusal, Registration, Viewer};
pub use project::{MAINLINES, Project, ProjectId, Reporting, Tracking, Triage};
pub use receipt::{Counts, Receipt, ReceiptNote};
pub use signature::{Signature, SignatureKey, said};
pub use time::{Timestamp, fresh_uuid};
pub use track::{Origin, Track, TrackKey, TrackParts, VariantPart, is_branch, is_revision};
