//! The documents that clients send and receive.

mod bounded;
mod cases;
mod comparison;
mod fingerprint;
mod incoming;
mod incoming_cases;
mod incoming_components;
mod incoming_step;
mod insight;
mod issue;
mod lists;
mod log;
mod objects;
mod outgoing;
mod raw;
mod read;
mod revision;
mod schemas;
mod search;
pub(crate) mod shape;
mod signature;
mod track;

pub use cases::{
    HistoryDocument, ReceiptDocument, RunDocument, SegmentDocument, TestBehaviour, TestDocument,
    TestListDocument, TestStats, TestTrack,
};
pub use comparison::*;
pub use incoming::{ComponentRef, IncomingBuild, IncomingClosing, IncomingProject, IncomingUser};
pub use incoming_cases::IncomingTestList;
pub use incoming_components::{IncomingComponent, IncomingComponentType};
pub use incoming_step::{IncomingLog, IncomingStep, StepEnding};
pub use insight::*;
pub use issue::{IncomingIssue, IssueDocument, IssueListDocument, IssueObject};
pub use lists::{BuildListDocument, ListPage, ProjectListDocument, UserListDocument};
pub use log::{LogLine, LogMatch, LogMatchesDocument};
pub use objects::{
    BuildObject, ComponentObject, ComponentTypeObject, ObjectList, OneObject, ProjectObject,
    StepObject, TagObject, TestObject, UserObject,
};
pub use outgoing::{
    BuildDocument, ErrorDocument, Fields, ProjectDocument, Results, SessionDocument,
    StatusDocument, StepDocument, TagListDocument, UserDocument, around_steps, written_entries,
    written_step, written_steps,
};
pub use read::{DocumentError, parse, parse_list};
pub use revision::{RevisionBuild, RevisionDocument, VariantDocument};
pub use schemas::schemas;
pub use search::*;
pub use signature::*;
pub use track::*;
