//! The documents that clients send and receive.

mod bounded;
mod cases;
mod fingerprint;
mod incoming;
mod incoming_cases;
mod incoming_components;
mod insight;
mod issue;
mod lists;
mod objects;
mod outgoing;
mod raw;
mod read;
mod revision;
mod schemas;
pub(crate) mod shape;
mod signature;
mod track;

pub use cases::{
    HistoryDocument, ReceiptDocument, RunDocument, SegmentDocument, TestBehaviour, TestDocument,
    TestListDocument, TestStats, TestTrack,
};
pub use incoming::{
    ComponentRef, IncomingBuild, IncomingClosing, IncomingProject, IncomingStep, IncomingUser,
};
pub use incoming_cases::IncomingTestList;
pub use incoming_components::{IncomingComponent, IncomingComponentType};
pub use insight::*;
pub use issue::{IncomingIssue, IssueDocument, IssueListDocument, IssueObject};
pub use lists::{BuildListDocument, ListPage, ProjectListDocument, UserListDocument};
pub use objects::{
    BuildObject, ComponentObject, ComponentTypeObject, ObjectList, OneObject, ProjectObject,
    StepObject, TagObject, TestObject, UserObject,
};
pub use outgoing::{
    BuildDocument, ErrorDocument, Fields, ProjectDocument, Results, SessionDocument,
    StatusDocument, TagListDocument, UserDocument, around_steps, written_step, written_steps,
};
pub use read::{DocumentError, parse};
pub use revision::{RevisionBuild, RevisionDocument, VariantDocument};
pub use schemas::schemas;
pub use signature::*;
pub use track::*;
