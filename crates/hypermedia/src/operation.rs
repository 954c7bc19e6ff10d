//! How the map describes an operation: what it does, what it takes, who may do it and what it answers.

use crate::Method;

/// An operation of a resource, as `/openapi.json` describes it.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// What it does, in a few words.
    pub summary: &'static str,
    /// Who may do it.
    pub right: Right,
    /// The names of its query parameters.
    pub query: &'static [&'static str],
    /// The name of the schema of its body.
    pub body: Option<&'static str>,
    /// What it answers, beside what its right implies and what any operation may answer.
    pub answers: &'static [Answer],
}

/// One answer of an operation.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The name of the schema of its body; none where the body is empty or is not JSON.
    pub schema: Option<&'static str>,
    /// What it means.
    pub meaning: &'static str,
}

/// Who may perform an operation. The policy of the domain decides for a given client; this is what it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Anybody; credentials are not even looked at.
    Open,
    /// Anybody; the answer depends on the credentials.
    SignIn,
    /// Whoever may read.
    Read,
    /// Whoever may register projects; of an existing project its owner and administrators.
    Project,
    /// Whoever may report to the project.
    Report,
    /// The user who began the build and whoever owns the project, as long as they may report.
    Continue,
    /// The user who sent the build, the owner of the project, administrators.
    Build,
    /// The user itself, administrators.
    User,
    /// Signed-in users.
    Create,
    /// The creator of the object, administrators.
    Object,
}

impl Right {
    /// The right as a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Open => "Open to anyone; credentials are ignored.",
            Self::SignIn => "Open to anyone.",
            Self::Read => {
                "Needs permission to read: everyone, unless the server is set to signed-in users."
            }
            Self::Project => {
                "A new project: anyone the server lets register projects. An existing one: its owner and administrators."
            }
            Self::Report => "Needs permission to report to the project.",
            Self::Continue => {
                "The user who started the build, the project's owner and administrators."
            }
            Self::Build => "The user who sent the build, the project's owner and administrators.",
            Self::User => "The user and administrators.",
            Self::Create => "Signed-in users.",
            Self::Object => "The object's creator and administrators.",
        }
    }
}

/// The row of a resource: its pattern and its operations.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its path, with the names of variable segments in braces.
    pub pattern: &'static str,
    /// Its methods.
    pub methods: &'static [Method],
    /// Its operations, in the order of its methods.
    pub operations: &'static [Description],
}

/// An answer without a body, or with one that is not JSON.
pub(crate) const fn answer(status: u16, meaning: &'static str) -> Answer {
    Answer { status, schema: None, meaning }
}

/// An answer with a document.
pub(crate) const fn document(status: u16, schema: &'static str, meaning: &'static str) -> Answer {
    Answer { status, schema: Some(schema), meaning }
}

/// An answer that refuses.
pub(crate) const fn error(status: u16, meaning: &'static str) -> Answer {
    document(status, "Error", meaning)
}
