//! The documents on the wire: what clients send, and what they get.

mod bounded;
mod incoming;
mod incoming_tests;
mod objects;
mod outgoing;
mod raw;
mod tests;

pub use incoming::{
    ComponentRef, DocumentError, IncomingBuild, IncomingClosing, IncomingComponent,
    IncomingComponentType, IncomingProject, IncomingStep, IncomingUser, parse,
};
pub use incoming_tests::IncomingTestList;
pub use objects::{
    BuildObject, ComponentObject, ComponentTypeObject, ObjectList, OneObject, ProjectObject,
    StepObject, TagObject, TestObject, UserObject,
};
pub use outgoing::{
    BuildDocument, Fields, ListMembers, ProjectDocument, Results, TagListDocument, UserDocument,
    around_steps, written_step, written_steps,
};
pub use tests::{HistoryDocument, ReceiptDocument, RunDocument, TestDocument, TestListDocument};
