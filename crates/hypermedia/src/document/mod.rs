//! The documents on the wire: what clients send, and what they get.

mod incoming;
mod outgoing;
mod raw;

pub use incoming::{
    DocumentError, IncomingBuild, IncomingClosing, IncomingProject, IncomingStep, IncomingUser,
    parse,
};
pub use outgoing::{
    BuildDocument, Fields, ListMembers, ProjectDocument, TagListDocument, UserDocument,
};
